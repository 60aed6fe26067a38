# SPDX-License-Identifier: GPL-2.0
#
# What people call; "make help" lists it. Kbuild has the rules of the module.

.PHONY: all bench bench-net build check-tree clean demo distclean fmt fuzz guest help install \
	lint modules_install patches setup test check uninstall unit

ifdef KDIR

# A prepared kernel tree was named: build here, with the tools that are there.
all: check-tree
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

# rustc reads what another rustc left in the tree, so it has to be the same.
check-tree:
	@fail() { echo "make: $$*" >&2; exit 1; }; \
	test -e $(KDIR)/.config || \
		fail "$(KDIR) is no configured kernel tree"; \
	grep -q '^CONFIG_TLS=[ym]' $(KDIR)/.config || \
		fail "the kernel of $(KDIR) is configured without TLS: it has to have CONFIG_TLS=m"; \
	grep -q '^CONFIG_RUST=y' $(KDIR)/.config || \
		fail "the kernel of $(KDIR) is configured without Rust (CONFIG_RUST)"; \
	test -e $(KDIR)/rust/libkernel.rmeta || \
		fail "$(KDIR) is not prepared for Rust modules: run 'make modules_prepare' in it (header packages cannot do this; plain 'make' here gets the source)"; \
	test -e $(KDIR)/Module.symvers || \
		fail "$(KDIR) has no Module.symvers: copy it from the package of the kernel's headers"; \
	for tool in rustc bindgen; do \
		command -v $$tool >/dev/null || fail "no $$tool here (plain 'make' brings its own)"; \
	done; \
	want=$$(sed -n 's/^CONFIG_RUSTC_VERSION_TEXT="\(rustc [^ ]*\).*/\1/p' $(KDIR)/.config); \
	have=$$(rustc --version | cut -d' ' -f1,2); \
	test "$$have" = "$$want" || \
		fail "this is $$have, but $(KDIR) was prepared with $$want"

else

# None was named: Debian's, in the toolchain root that setup makes.
all: setup
	@. tools/versions; tools/in-root make --no-print-directory -j$$(nproc) \
		KDIR=/build/linux CC=$$KERNEL_CC $(no-btf)

# Type information for tracers would need the kernel's own, which is in no package.
no-btf = CONFIG_DEBUG_INFO_BTF_MODULES=

endif

setup:
	@tools/setup

clean:
	@find . -path ./.git -prune -o -type f \( -name '*.o' -o -name '*.ko' \
		-o -name '*.mod' -o -name '*.mod.c' -o -name '*.rmeta' \
		-o -name '.*.cmd' -o -name '.*.d' \) -exec rm -f {} +
	@rm -rf build Module.symvers modules.order rust/bindings/generated.rs \
		net/tls/tests/kunit_suites.rs net/tls/tests/kunit_tests.rs

# Also the toolchain roots, of every version of this project.
distclean: clean
	@tools/setup --remove

#
# Installing: updates/ comes before the kernel's own modules.
#

release = $$(modinfo -F vermagic ./tls.ko | cut -d' ' -f1)
updates = $(INSTALL_MOD_PATH)/lib/modules/$$release/updates
depmod = depmod $(addprefix -b ,$(INSTALL_MOD_PATH)) $$release

install modules_install:
	@test -e tls.ko || { echo "make: no tls.ko yet: run make first" >&2; exit 1; }
	@release=$(release); test -n "$$release" || exit 1; \
	test -n "$(INSTALL_MOD_PATH)" -o "$$release" = "$$(uname -r)" || \
		{ echo "make: tls.ko is for $$release, but this machine runs $$(uname -r); with INSTALL_MOD_PATH=/ it is installed all the same" >&2; exit 1; }; \
	install -D -m 644 tls.ko "$(updates)/tls.ko" && $(depmod) && \
	echo "installed $(updates)/tls.ko; 'modprobe -r tls; modprobe tls' replaces a loaded module"

uninstall:
	@release=$$(uname -r); rm -f "$(updates)/tls.ko" && $(depmod)

#
# Development
#

fmt: setup
	@tools/in-root tools/lint --fix

lint unit: setup
	@tools/check $@

# make fuzz SECONDS=3600: longer than the quarter of a minute that the check takes.
fuzz: setup
	@tools/fuzz $(SECONDS)

test check: setup
	@tools/check

# The same tests on a kernel that checks itself; building that takes half an hour.
check-debug: setup
	@tools/check-debug

demo: all
	@tools/demo

# make bench QUICK=1: two minutes for the daily look.
bench: all
	@tools/bench/run $(if $(QUICK),--quick)

# Over networks with delay and loss; UML=1 in the user-mode kernel.
bench-net: all
	@tools/bench/run-net $(if $(QUICK),--quick) $(if $(UML),--uml)

# make guest: a shell; make guest CMD='dmesg | tail': a command. With UML=1 in a user-mode
# kernel, for which the module is built then.
guest: $(if $(UML),setup,all)
	@tools/guest $(if $(UML),--uml) $(if $(CMD),'$(subst ','\'',$(CMD))')

# make patches TREE=../linux: a series for that kernel source, in build/patches.
patches:
	@tools/in-tree '$(TREE)'

help:
	@echo "make             build tls.ko for Debian's kernel; sets up a toolchain root first"
	@echo "make KDIR=TREE   build tls.ko for that prepared kernel tree, with the tools that are here"
	@echo "make demo        see it work: TLS servers in a virtual machine"
	@echo "make check       all tests (make test is the same)"
	@echo "make bench       instructions per operation, against the module in C; QUICK=1 is faster"
	@echo "make bench-net   time over networks with delay, loss and packets of any size; QUICK=1, UML=1"
	@echo "make unit, lint  only the tests on the host, only the checks of the source"
	@echo "make fuzz        anything as input for the record layer, on the host; SECONDS=15 each"
	@echo "make check-debug tests on a kernel with KASAN, lockdep, kmemleak (hours)"
	@echo "make guest       a shell in the virtual machine; CMD='...' runs a command instead;"
	@echo "                 with UML=1 it is a user-mode kernel, which boots in a second"
	@echo "make patches     TREE=...: a series for git am that puts it into that kernel source"
	@echo "make fmt         format the Rust source"
	@echo "make install     put tls.ko into updates/ of this kernel, or of INSTALL_MOD_PATH"
	@echo "make uninstall   take it out of there"
	@echo "make clean       remove what was built; make distclean: the toolchain root, too"
