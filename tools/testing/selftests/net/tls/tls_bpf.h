/* SPDX-License-Identifier: GPL-2.0 */
/*
 * BPF without libbpf: maps of sockets, and programs written by hand. Needs root;
 * functions that make something return a file descriptor, or -1 with errno.
 */
#ifndef TLS_BPF_H
#define TLS_BPF_H

#include <stdint.h>
#include <stddef.h>

#include <linux/bpf.h>

/* Instructions. */
#define BPF_I(c, dst, src, o, i) ((struct bpf_insn) { \
	.code = (c), .dst_reg = (dst), .src_reg = (src), .off = (o), .imm = (i) })
#define BPF_SET(dst, i)		BPF_I(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, i)
#define BPF_COPY(dst, src)	BPF_I(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0)
#define BPF_PLUS(dst, i)	BPF_I(BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, i)
#define BPF_OR_WITH(dst, i)	BPF_I(BPF_ALU64 | BPF_OR | BPF_K, dst, 0, 0, i)
#define BPF_LOAD(size, dst, src, o) \
	BPF_I(BPF_LDX | BPF_MEM | (size), dst, src, o, 0)
#define BPF_STORE(size, dst, src, o) \
	BPF_I(BPF_STX | BPF_MEM | (size), dst, src, o, 0)
#define BPF_STORE_IMM(size, dst, o, i) \
	BPF_I(BPF_ST | BPF_MEM | (size), dst, 0, o, i)
#define BPF_IF(op, dst, i, o)	BPF_I(BPF_JMP | (op) | BPF_K, dst, 0, o, i)
#define BPF_RUN(f)		BPF_I(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define BPF_LEAVE()		BPF_I(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
/* Takes the place of two. */
#define BPF_MAP(dst, fd) \
	BPF_I(BPF_LD | BPF_DW | BPF_IMM, dst, BPF_PSEUDO_MAP_FD, 0, fd), \
	BPF_I(0, 0, 0, 0, 0)

int tls_bpf_map(enum bpf_map_type type, uint32_t value_size, uint32_t entries);
/* The value is as large as the map's; that of a map of sockets is a descriptor. */
int tls_bpf_update(int map, uint32_t key, const void *value);
int tls_bpf_lookup(int map, uint32_t key, void *value);
int tls_bpf_delete(int map, uint32_t key);

int tls_bpf_load(enum bpf_prog_type type, enum bpf_attach_type attach,
		 const struct bpf_insn *insns, size_t n);
int tls_bpf_attach(int target, int prog, enum bpf_attach_type attach);
int tls_bpf_detach(int target, int prog, enum bpf_attach_type attach);

#endif /* TLS_BPF_H */
