// SPDX-License-Identifier: GPL-2.0
/*
 * The receive window grows with what is read, as without TLS, though the end of
 * what has arrived is mostly a part of a record, which cannot be read yet.
 */
#include "kselftest_harness.h"

#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>

#include "tls_writer.h"

#define RECORDS	(3 << 20)

static uint8_t data[RECORDS], buf[256 << 10];

FIXTURE(growth)
{
	struct tls_inlet l;
	pthread_t thread;
	int failed;
};

FIXTURE_VARIANT(growth)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_FEW(growth);

FIXTURE_SETUP(growth)
{
	tls_fill(data, sizeof(data), 130);
	tls_key_make(&self->l.key, variant->version, variant->cipher, 2);
	if (tls_own_network(0))
		SKIP(return, "needs a network namespace");
}

/* Buffers of the system's own sizes: others do not grow. */
static int open_inlet(struct tls_inlet *l, int family)
{
	return tls_tcp_pair_plain(family, l->fd) || tls_attach(l->fd[1]) ||
	       tls_set_rx(l->fd[1], &l->key) ||
	       tls_writer_init(&l->w, l->fd[0], &l->key);
}

FIXTURE_TEARDOWN(growth)
{
	if (self->l.w.wire)
		tls_inlet_close(&self->l);
}

static unsigned int memory(int fd, int which)
{
	unsigned int info[SK_MEMINFO_VARS] = {};
	socklen_t len = sizeof(info);

	getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len);
	return info[which];
}

static int put_all(struct tls_writer *w, size_t len)
{
	size_t at;

	for (at = 0; at < len; at += TLS_PLAIN_MAX)
		if (!tls_put(w, TLS_DATA, data + at, TLS_PLAIN_MAX))
			return -1;
	return 0;
}

/*
 * A packet has the end of a record, another one, and most of a third. When the
 * reader has got all that it can, the packet does not stay for the rest.
 */
TEST_F(growth, a_part_keeps_no_packet)
{
	struct tls_inlet *l = &self->l;
	int fd;

	ASSERT_EQ(0, open_inlet(l, variant->family));
	fd = l->fd[1];
	ASSERT_EQ(0, put_all(&l->w, 4 * TLS_PLAIN_MAX));
	ASSERT_EQ(0, tls_push_some(&l->w, 3 * TLS_PLAIN_MAX - 500));
	ASSERT_EQ(0, tls_settle(l->fd[0]));
	EXPECT_LT(memory(fd, SK_MEMINFO_RCVBUF) / 8,
		  memory(fd, SK_MEMINFO_RMEM_ALLOC));
	ASSERT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 2 * TLS_PLAIN_MAX, 0));
	EXPECT_EQ(0, tls_expect_events(fd, 0, 0));
	if (tls_is_ours())
		EXPECT_GE(memory(fd, SK_MEMINFO_RCVBUF) / 8,
			  memory(fd, SK_MEMINFO_RMEM_ALLOC));
	EXPECT_EQ(0, tls_expect_error(fd, EAGAIN, MSG_DONTWAIT));

	/* A second part is not there for a reader either. */
	ASSERT_EQ(0, tls_push_some(&l->w, 400));
	ASSERT_EQ(0, tls_settle(l->fd[0]));
	EXPECT_EQ(0, tls_expect_events(fd, 0, 0));
	ASSERT_EQ(0, tls_push(&l->w));
	ASSERT_EQ(0, tls_settle(l->fd[0]));
	EXPECT_EQ(0, tls_expect_events(fd, POLLIN | POLLRDNORM, 0));
	EXPECT_EQ(0, tls_expect_bytes(fd, data + 2 * TLS_PLAIN_MAX,
				      2 * TLS_PLAIN_MAX));
	EXPECT_EQ(0, memory(fd, SK_MEMINFO_RMEM_ALLOC));
}

/* What has moved out of the queue is checked as a whole. */
TEST_F(growth, a_part_is_forged)
{
	struct tls_inlet *l = &self->l;
	uint8_t *p;

	ASSERT_EQ(0, open_inlet(l, variant->family));
	ASSERT_EQ(0, put_all(&l->w, 2 * TLS_PLAIN_MAX));
	p = tls_put(&l->w, TLS_DATA, data, TLS_PLAIN_MAX);
	ASSERT_NE(NULL, p);
	p[100] ^= 1;
	ASSERT_EQ(0, tls_push_some(&l->w, l->w.len - 700));
	ASSERT_EQ(0, tls_settle(l->fd[0]));
	ASSERT_EQ(0, tls_expect_bytes(l->fd[1], data, 2 * TLS_PLAIN_MAX));
	ASSERT_EQ(0, tls_push(&l->w));
	EXPECT_EQ(0, tls_expect_error(l->fd[1], EBADMSG, 0));
}

/* Nor does the stream go on behind a part of a record that has moved. */
TEST_F(growth, a_part_is_the_last)
{
	struct tls_inlet *l = &self->l;

	ASSERT_EQ(0, open_inlet(l, variant->family));
	ASSERT_EQ(0, put_all(&l->w, 3 * TLS_PLAIN_MAX));
	ASSERT_EQ(0, tls_push_some(&l->w, l->w.len - 700));
	ASSERT_EQ(0, tls_settle(l->fd[0]));
	ASSERT_EQ(0, tls_expect_bytes(l->fd[1], data, 2 * TLS_PLAIN_MAX));
	ASSERT_EQ(0, shutdown(l->fd[0], SHUT_WR));
	EXPECT_EQ(0, tls_expect_end(l->fd[1]));
}

static void *push_all(void *arg)
{
	FIXTURE_DATA(growth) *self = arg;

	self->failed = tls_push(&self->l.w);
	return NULL;
}

/* Packets are nearly as large as the window, and a round trip takes a while. */
TEST_F_TIMEOUT(growth, over_a_distance, 60)
{
	struct tls_inlet *l = &self->l;
	unsigned int before;
	size_t at;
	ssize_t n;

	if (system("tc qdisc add dev lo root netem delay 10ms limit 100000 2>/dev/null"))
		SKIP(return, "needs tc and netem");
	ASSERT_EQ(0, open_inlet(l, variant->family));
	before = memory(l->fd[1], SK_MEMINFO_RCVBUF);
	ASSERT_EQ(0, put_all(&l->w, RECORDS));
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, push_all, self));
	for (at = 0; at < RECORDS; at += n) {
		n = recv(l->fd[1], buf, sizeof(buf), 0);
		ASSERT_LT(0, n);
		ASSERT_EQ(0, tls_compare(buf, data + at, n, "plaintext"));
	}
	pthread_join(self->thread, NULL);
	EXPECT_EQ(0, self->failed);
	TLS_OURS_ONLY("the window stays at its first size");
	EXPECT_LE(4 * before, memory(l->fd[1], SK_MEMINFO_RCVBUF));
}

TEST_HARNESS_MAIN
