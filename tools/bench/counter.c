// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU plugin: what is executed between the marks that bench makes (half_begins(),
 * half_ends(), profile_ends() in bench.h), by block of code and by call.
 *
 * Writes OUT.0, OUT.1, ..., one for each profile_ends(), with lines
 *	block ADDRESS INSTRUCTIONS EXECUTED
 *	call SITE TARGET RETURN CALLS INSTRUCTIONS	those of the callee and below
 * TARGET is 0 for an indirect call; RETURN is in another function after a tail call.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-plugin.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 4;

#define BLOCKS	(1u << 20)
#define EDGES	(1u << 18)
#define DEPTH	1024
#define KERNEL	(1ull << 63)

static struct block {
	uint64_t address, size;
	uint64_t sum;		/* between the marks */
	uint64_t at_start;
} blocks[BLOCKS];

static struct edge {
	uint64_t site, target, ret;
	uint64_t calls, instructions;
} edges[EDGES];

static struct frame {
	uint64_t site, target, start;
} stack[DEPTH];

static unsigned int depth, written;
static bool counting;
static const char *out = "profile";
static struct qemu_plugin_scoreboard *executed;	/* times, by block */
static struct qemu_plugin_scoreboard *total;	/* instructions */

static uint32_t hash(uint64_t a, uint64_t b, uint64_t c)
{
	return ((a * 31 + b) * 31 + c) * 0x9e3779b97f4a7c15ull >> 32;
}

/* The same code is translated again and again; it stays one block. */
static size_t find_block(uint64_t address, uint64_t size)
{
	size_t i = hash(address, size, 0) % BLOCKS, tries;

	for (tries = 0; tries < BLOCKS; tries++, i = (i + 1) % BLOCKS) {
		if (!blocks[i].size) {
			blocks[i].address = address;
			blocks[i].size = size;
		}
		if (blocks[i].address == address && blocks[i].size == size)
			return i;
	}
	fprintf(stderr, "counter: too much code\n");
	exit(1);
}

static uint64_t now(unsigned int cpu)
{
	return *(uint64_t *)qemu_plugin_scoreboard_find(total, cpu);
}

static void on_call(unsigned int cpu, void *data)
{
	const struct frame *site = data;

	if (!counting)
		return;
	if (depth < DEPTH) {
		stack[depth] = *site;
		stack[depth].start = now(cpu);
	}
	depth++;
}

static void on_return(unsigned int cpu, void *data)
{
	uint64_t ret = (uintptr_t)data;
	struct frame *f;
	struct edge *e;
	size_t i;

	if (!counting || !depth || --depth >= DEPTH)
		return;
	f = &stack[depth];
	for (i = hash(f->site, f->target, ret) % EDGES; ; i = (i + 1) % EDGES) {
		e = &edges[i];
		if (!e->calls || (e->site == f->site && e->target == f->target && e->ret == ret))
			break;
	}
	e->site = f->site;
	e->target = f->target;
	e->ret = ret;
	e->calls++;
	e->instructions += now(cpu) - f->start;
}

static void on_begin(unsigned int cpu, void *data)
{
	const uint64_t *times = qemu_plugin_scoreboard_find(executed, cpu);
	size_t i;

	for (i = 0; i < BLOCKS; i++)
		blocks[i].at_start = times[i];
	depth = 0;
	counting = true;
}

static void on_end(unsigned int cpu, void *data)
{
	const uint64_t *times = qemu_plugin_scoreboard_find(executed, cpu);
	size_t i;

	counting = false;
	for (i = 0; i < BLOCKS; i++)
		blocks[i].sum += times[i] - blocks[i].at_start;
}

static void on_write(unsigned int cpu, void *data)
{
	char name[4096];
	FILE *file;
	size_t i;

	snprintf(name, sizeof(name), "%s.%u", out, written++);
	file = fopen(name, "w");
	if (!file) {
		perror(name);
		exit(1);
	}
	for (i = 0; i < BLOCKS; i++) {
		if (blocks[i].sum)
			fprintf(file, "block %" PRIx64 " %" PRIu64 " %" PRIu64 "\n",
				blocks[i].address, blocks[i].size, blocks[i].sum);
		blocks[i].sum = 0;
	}
	for (i = 0; i < EDGES; i++)
		if (edges[i].calls)
			fprintf(file, "call %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIu64
				" %" PRIu64 "\n", edges[i].site, edges[i].target, edges[i].ret,
				edges[i].calls, edges[i].instructions);
	memset(edges, 0, sizeof(edges));
	fclose(file);
}

/* xchg of r13, r14 or r15 with itself, in user space */
static plugin_callback mark(const uint8_t *code, size_t len)
{
	if (len != 3 || code[0] != 0x4d || code[1] != 0x87)
		return NULL;
	return code[2] == 0xed ? on_begin : code[2] == 0xf6 ? on_end :
	       code[2] == 0xff ? on_write : NULL;
}

static bool is_return(const uint8_t *code, size_t len)
{
	return code[0] == 0xc3 || (code[0] == 0xc2 && len == 3) ||
	       (code[0] == 0xf3 && code[1] == 0xc3);
}

/* A call, maybe with prefixes; its target is relative, or not known here. */
static bool is_call(const uint8_t *code, size_t len, uint64_t next, uint64_t *target)
{
	int32_t distance;

	for (; len > 2 && (*code == 0x2e || *code == 0x3e || (*code & 0xf0) == 0x40); len--)
		code++;
	if (code[0] == 0xe8 && len == 5) {
		memcpy(&distance, code + 1, sizeof(distance));
		*target = next + distance;
		return true;
	}
	*target = 0;
	return code[0] == 0xff && (code[1] >> 3 & 7) == 2;
}

static void look_at(struct qemu_plugin_insn *insn)
{
	uint64_t address = qemu_plugin_insn_vaddr(insn), target;
	size_t len = qemu_plugin_insn_size(insn);
	plugin_callback callback = NULL;
	uint8_t code[16] = {};
	void *data = NULL;

	qemu_plugin_insn_data(insn, code, len < sizeof(code) ? len : sizeof(code));
	if (!(address & KERNEL)) {
		callback = mark(code, len);
	} else if (is_return(code, len)) {
		callback = on_return;
		data = (void *)(uintptr_t)address;
	} else if (is_call(code, len, address + len, &target)) {
		struct frame *site = calloc(1, sizeof(*site));

		site->site = address;
		site->target = target;
		callback = on_call;
		data = site;
	}
	if (callback)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, callback, NO_REGISTERS, data);
}

static void on_translation(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t len = qemu_plugin_tb_n_insns(tb), i;
	struct plugin_u64 times = { executed, 8 * find_block(qemu_plugin_tb_vaddr(tb), len) };
	struct plugin_u64 instructions = { total, 0 };

	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, INLINE_ADD, times, 1);
	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, INLINE_ADD, instructions, len);
	for (i = 0; i < len; i++)
		look_at(qemu_plugin_tb_get_insn(tb, i));
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	int i;

	for (i = 0; i < argc; i++)
		if (!strncmp(argv[i], "out=", 4))
			out = strdup(argv[i] + 4);
	executed = qemu_plugin_scoreboard_new(8 * BLOCKS);
	total = qemu_plugin_scoreboard_new(8);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
