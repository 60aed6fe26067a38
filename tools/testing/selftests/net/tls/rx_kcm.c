// SPDX-License-Identifier: GPL-2.0
/*
 * Readers inside of the kernel. A KCM socket takes the stream of a TCP socket, or
 * of one with TLS, with read_sock() as soon as it is told that something has come,
 * and makes messages of it that a program can receive.
 *
 * Skipped without root, and without the module kcm.
 */
#include "kselftest_harness.h"

#include <linux/bpf.h>
#include <linux/kcm.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "tls_writer.h"

#define MESSAGE	1000
#define LEN	(MESSAGE * 300)

static uint8_t data[LEN], buf[LEN];

FIXTURE(kcm)
{
	struct tls_inlet l;
	int fd, prog;
};

FIXTURE_VARIANT(kcm)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANT(kcm, 12_aes_gcm_128, 2, AES_GCM_128, INET);
TLS_VARIANT(kcm, 12_chacha20_v6, 2, CHACHA20_POLY1305, INET6);
TLS_VARIANT(kcm, 13_aes_gcm_256_v6, 3, AES_GCM_256, INET6);

/* Says that every message is so long. */
static int load_parser(void)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = MESSAGE },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.insns = (uintptr_t)insns,
		.insn_cnt = ARRAY_SIZE(insns),
		.license = (uintptr_t)"GPL",
	};

	return syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

FIXTURE_SETUP(kcm)
{
	struct timeval patience = { .tv_sec = TLS_PATIENCE_S };

	tls_fill(data, sizeof(data), 250);
	self->fd = socket(AF_KCM, SOCK_SEQPACKET, KCMPROTO_CONNECTED);
	self->prog = load_parser();
	ASSERT_EQ(0, tls_inlet_open_plain(&self->l, variant->family,
					  variant->version, variant->cipher));
	if (self->fd < 0 || self->prog < 0)
		SKIP(return, "no KCM, or not root");
	ASSERT_EQ(0, setsockopt(self->fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
				sizeof(patience)));
}

FIXTURE_TEARDOWN(kcm)
{
	if (self->fd >= 0)
		close(self->fd);
	if (self->prog >= 0)
		close(self->prog);
	tls_inlet_close(&self->l);
}

static int set(struct tls_inlet *l)
{
	return tls_attach(l->fd[1]) || tls_set_rx(l->fd[1], &l->key);
}

static int attach(int kcm, int fd, int prog)
{
	struct kcm_attach a = { .fd = fd, .bpf_fd = prog };

	return ioctl(kcm, SIOCKCMATTACH, &a);
}

#define ATTACH() \
	ASSERT_EQ(0, attach(self->fd, self->l.fd[1], self->prog))

/* The next n messages of the stream that begins at p. */
static int expect_messages(int fd, const uint8_t *p, size_t n)
{
	ssize_t got;
	size_t i;

	for (i = 0; i < n; i++) {
		got = recv(fd, buf, sizeof(buf), 0);
		if (got != MESSAGE)
			return tls_wrong("message %zu has %zd bytes: %s", i, got,
					 got < 0 ? strerror(errno) : "");
		if (tls_compare(buf, p + i * MESSAGE, MESSAGE, "message"))
			return tls_wrong("message %zu", i);
	}
	return 0;
}

static int put_all(struct tls_writer *w, const size_t *lens, size_t n,
		   size_t all)
{
	size_t i, at, len;

	for (i = 0, at = 0; at < all; i++, at += len) {
		len = lens[i % n];
		if (len > all - at)
			len = all - at;
		if (!tls_put(w, TLS_DATA, data + at, len))
			return -1;
	}
	return 0;
}

/* The first len bytes, in records that end where messages do. */
#define PUT_WHOLE(len) \
	ASSERT_EQ(0, put_all(&self->l.w, (size_t []){ 1000, 16000, 3000 }, 3, \
			     len))

/* It is told of each record that comes. */
TEST_F(kcm, one_by_one)
{
	int i;

	ASSERT_EQ(0, set(&self->l));
	ATTACH();
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA,
				       data + i * MESSAGE, MESSAGE));
		ASSERT_EQ(0, expect_messages(self->fd, data + i * MESSAGE, 1));
	}
}

TEST_F(kcm, stream)
{
	ASSERT_EQ(0, set(&self->l));
	ATTACH();
	PUT_WHOLE(LEN);
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, expect_messages(self->fd, data, LEN / MESSAGE));
}

/* What was there before it came. */
TEST_F(kcm, waiting)
{
	ASSERT_EQ(0, set(&self->l));
	PUT_WHOLE(LEN / 3);
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	ATTACH();
	EXPECT_EQ(0, expect_messages(self->fd, data, LEN / 3 / MESSAGE));
}

/* Records in pieces: they are messages when they are whole. */
TEST_F(kcm, pieces)
{
	size_t n;

	ASSERT_EQ(0, set(&self->l));
	ATTACH();
	PUT_WHOLE(LEN / 5);
	while (self->l.w.len) {
		n = self->l.w.len - self->l.w.pushed;
		ASSERT_EQ(0, tls_push_some(&self->l.w, n < 777 ? n : 777));
	}
	EXPECT_EQ(0, expect_messages(self->fd, data, LEN / 5 / MESSAGE));
}

/* A part of a record was received from the socket itself. */
TEST_F(kcm, after_recv)
{
	ASSERT_EQ(0, set(&self->l));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100 + MESSAGE));
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, 100));
	ATTACH();
	EXPECT_EQ(0, expect_messages(self->fd, data + 100, 1));
}

/* Records without content are nothing to it. */
TEST_F(kcm, empty)
{
	int i;

	ASSERT_EQ(0, set(&self->l));
	ATTACH();
	for (i = 0; i < 20; i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 0));
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA,
					data + i * MESSAGE, MESSAGE));
	}
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, expect_messages(self->fd, data, 20));
}

/* KCM was there before the keys. */
TEST_F(kcm, first)
{
	ATTACH();
	ASSERT_EQ(0, set(&self->l));
	PUT_WHOLE(LEN / 5);
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, expect_messages(self->fd, data, LEN / 5 / MESSAGE));
}

/* Messages begin and end within records. */
TEST_F(kcm, across_records)
{
	static const size_t lens[] = { 1, 999, 1000, 1001, 16384, 300, 7000 };

	TLS_OURS_ONLY("what is behind the first record of a message is not it");
	ASSERT_EQ(0, set(&self->l));
	ATTACH();
	ASSERT_EQ(0, put_all(&self->l.w, lens, ARRAY_SIZE(lens), LEN));
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, expect_messages(self->fd, data, LEN / MESSAGE));
}

TEST_HARNESS_MAIN
