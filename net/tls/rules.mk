# SPDX-License-Identifier: GPL-2.0
#
# What tls.o is made of, three crates and a few C objects, for the Makefile that
# includes this and says where they are:
#
#   $(knet-dir)/bindings/  what bindgen makes of the C headers      (knet_bindings)
#   $(knet-dir)/           safe abstractions over them, all unsafe  (knet)
#   $(tls-dir)/            the protocol, safe Rust only             (the module)
#   $(knet-dir)/helpers/   wrappers for static inlines and macros   (C)

tls-y := $(tls-dir)/tls_main.o
tls-y += $(knet-dir)/knet.o
tls-y += $(knet-dir)/bindings/knet_bindings.o
tls-y += $(knet-dir)/helpers/helpers.o
tls-$(CONFIG_TLS_DEVICE) += $(knet-dir)/helpers/exports.o

knet-obj := $(obj)/$(knet-dir)
bindings-obj := $(knet-obj)/bindings

# The path of the generated file, for include!(env!(...)).
export KNET_BINDINGS := $(abspath $(bindings-obj))/generated.rs

RUSTFLAGS_$(knet-dir)/bindings/knet_bindings.o := \
	--emit=metadata=$(bindings-obj)/libknet_bindings.rmeta
RUSTFLAGS_$(knet-dir)/knet.o := --emit=metadata=$(knet-obj)/libknet.rmeta \
	-L $(bindings-obj) --extern knet_bindings
RUSTFLAGS_$(tls-dir)/tls_main.o := -L $(knet-obj) -L $(bindings-obj) --extern knet

# Each crate reads the metadata that its predecessor leaves beside its object.
$(obj)/$(tls-dir)/tls_main.o: $(knet-obj)/knet.o
$(knet-obj)/knet.o: $(bindings-obj)/knet_bindings.o
$(bindings-obj)/knet_bindings.o: $(bindings-obj)/generated.rs

ccflags-y += -I$(src)/$(knet-dir)/helpers

# A user-mode kernel loads modules far away from itself, and makes no GOT for them.
ifdef CONFIG_UML
KBUILD_RUSTFLAGS_MODULE += -Crelocation-model=static -Ccode-model=large
endif

# bindgen parses with libclang, whatever compiler builds the kernel: drop the
# options that only GCC knows. The kernel keeps the list of them.
ifdef CONFIG_CC_IS_CLANG
knet-bindgen-c-flags = $(c_flags)
else
knet-skip-c-flags := $(shell sed -n \
	'/^bindgen_skip_c_flags :=/,/[^\\]$$/{s/.*:=//;s/\\$$//;p}' \
	$(srctree)/rust/Makefile)
knet-bindgen-c-flags = $(filter-out $(knet-skip-c-flags),$(c_flags)) -w \
	--target=$(knet-bindgen-target)
endif
knet-bindgen-target-x86 := x86_64-linux-gnu
knet-bindgen-target-arm64 := aarch64-linux-gnu
knet-bindgen-target-riscv := riscv64-linux-gnu
knet-bindgen-target-um := $(knet-bindgen-target-$(SUBARCH))
knet-bindgen-target := $(knet-bindgen-target-$(SRCARCH))

# The kernel's own parameters, less what needs a compiler feature that is not
# allowed outside of the kernel's rust/ folder, and then ours.
knet-bindgen-parameters = $(shell sed -e '/^\#/d' -e '/^$$/d' \
	-e '/cfi_encoding/d' -e '/newtype-enum/d' -e '/MaybeZeroable/d' \
	$(srctree)/rust/bindgen_parameters; \
	sed -e '/^\#/d' -e '/^$$/d' $(src)/$(knet-dir)/bindings/parameters)

# The same flags as for the crate that this becomes.
$(bindings-obj)/generated.rs: private part-of-module = \
	$(if $(filter $(bindings-obj)/knet_bindings.o,$(real-obj-m)),y)

quiet_cmd_knet_bindgen = BINDGEN $(quiet_modtag) $@
      cmd_knet_bindgen = $(BINDGEN) $< $(knet-bindgen-parameters) \
	--rust-target 1.85 --use-core --with-derive-default --ctypes-prefix ffi \
	--no-debug '.*' --enable-function-attribute-detection \
	-o $@ -- $(knet-bindgen-c-flags) -fno-builtin -D__BINDGEN__

$(bindings-obj)/generated.rs: $(src)/$(knet-dir)/bindings/bindings.h \
		$(src)/$(knet-dir)/helpers/helpers.h \
		$(src)/$(knet-dir)/bindings/parameters FORCE
	$(call if_changed_dep,knet_bindgen)

targets += $(knet-dir)/bindings/generated.rs
clean-files += $(knet-dir)/bindings/generated.rs \
	$(knet-dir)/bindings/libknet_bindings.rmeta $(knet-dir)/libknet.rmeta

# The unit tests of the host as a module of their own, for KUnit: its crate
# (tests/kunit.rs) calls those in kunit_tests, which is made of the tests and needs
# alloc.
tests := $(tls-dir)/tests
tests-obj := $(obj)/$(tests)
tls_kunit-y := $(tests)/kunit.o $(tests)/kunit_tests.o
tls_kunit-y += $(tests)/alloc.o $(knet-dir)/helpers/alloc.o

# Only Rust calls these.
CFLAGS_$(knet-dir)/helpers/alloc.o := -Wno-missing-prototypes -Wno-missing-declarations

RUST_LIB_SRC ?= $(shell $(RUSTC) --print sysroot)/lib/rustlib/src/rust/library

quiet_cmd_rustc_tests = RUSTC $(quiet_modtag) $@
      cmd_rustc_tests = OBJTREE=$(abspath $(objtree)) $(RUSTC) $(rust_flags) \
	--cap-lints allow --crate-name $(basename $(@F)) --crate-type rlib \
	-L $(objtree)/rust -L $(tests-obj) --sysroot=/dev/null -Zunstable-options \
	--emit=dep-info=$(depfile) --emit=obj=$@ \
	--emit=metadata=$(tests-obj)/lib$(basename $(@F)).rmeta $< $(cmd_objtool)

$(tests-obj)/alloc.o: $(RUST_LIB_SRC)/alloc/src/lib.rs FORCE
	+$(call if_changed_dep,rustc_tests)

RUSTFLAGS_$(tests)/kunit_tests.o := --extern alloc
$(tests-obj)/kunit_tests.o: $(tests-obj)/kunit_tests.rs $(tests-obj)/alloc.o FORCE
	+$(call if_changed_dep,rustc_tests)

# The list of the suites is where objects are, which need not be where sources are.
export TLS_KUNIT_SUITES := $(abspath $(tests-obj))/kunit_suites.rs
RUSTFLAGS_$(tests)/kunit.o := -L $(tests-obj) --extern kunit_tests
$(tests-obj)/kunit.o: $(tests-obj)/kunit_tests.o $(tests-obj)/kunit_suites.rs

quiet_cmd_kunit_awk = GEN $(quiet_modtag) $@
      cmd_kunit_awk = $(AWK) -v what=$(patsubst kunit_%.rs,%,$(@F)) \
	-f $< $(abspath $(src)/$(tests)/main.rs) >$@

kunit-made := $(tests-obj)/kunit_tests.rs $(tests-obj)/kunit_suites.rs
$(kunit-made): $(src)/$(tests)/kunit.awk $(filter-out %/kunit_tests.rs %/kunit_suites.rs, \
		$(wildcard $(src)/$(tests)/*.rs)) FORCE
	$(call if_changed,kunit_awk)

targets += $(addprefix $(tests)/,alloc.o kunit_tests.o kunit_tests.rs kunit_suites.rs)
clean-files += $(addprefix $(tests)/,kunit_tests.rs kunit_suites.rs \
	liballoc.rmeta libkunit_tests.rmeta)
