// SPDX-License-Identifier: GPL-2.0
#include "tls_bpf.h"

#include <sys/syscall.h>
#include <unistd.h>

static int bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

int tls_bpf_map(enum bpf_map_type type, uint32_t value_size, uint32_t entries)
{
	union bpf_attr attr = {
		.map_type = type,
		.key_size = sizeof(uint32_t),
		.value_size = value_size,
		.max_entries = entries,
	};

	return bpf(BPF_MAP_CREATE, &attr);
}

int tls_bpf_update(int map, uint32_t key, const void *value)
{
	union bpf_attr attr = {
		.map_fd = map,
		.key = (uintptr_t)&key,
		.value = (uintptr_t)value,
	};

	return bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

int tls_bpf_lookup(int map, uint32_t key, void *value)
{
	union bpf_attr attr = {
		.map_fd = map,
		.key = (uintptr_t)&key,
		.value = (uintptr_t)value,
	};

	return bpf(BPF_MAP_LOOKUP_ELEM, &attr);
}

int tls_bpf_delete(int map, uint32_t key)
{
	union bpf_attr attr = {
		.map_fd = map,
		.key = (uintptr_t)&key,
	};

	return bpf(BPF_MAP_DELETE_ELEM, &attr);
}

int tls_bpf_load(enum bpf_prog_type type, enum bpf_attach_type attach,
		 const struct bpf_insn *insns, size_t n)
{
	union bpf_attr attr = {
		.prog_type = type,
		.expected_attach_type = attach,
		.insns = (uintptr_t)insns,
		.insn_cnt = n,
		.license = (uintptr_t)"GPL",
	};

	return bpf(BPF_PROG_LOAD, &attr);
}

int tls_bpf_attach(int target, int prog, enum bpf_attach_type attach)
{
	union bpf_attr attr = {
		.target_fd = target,
		.attach_bpf_fd = prog,
		.attach_type = attach,
	};

	return bpf(BPF_PROG_ATTACH, &attr);
}

int tls_bpf_detach(int target, int prog, enum bpf_attach_type attach)
{
	union bpf_attr attr = {
		.target_fd = target,
		.attach_bpf_fd = prog,
		.attach_type = attach,
	};

	return bpf(BPF_PROG_DETACH, &attr);
}
