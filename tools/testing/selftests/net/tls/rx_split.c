// SPDX-License-Identifier: GPL-2.0
/*
 * Records do not respect segments, nor segments records: the stream is cut in all
 * ways, arrives before TLS_RX is set, or out of order, and gives the same bytes.
 */
#include "kselftest_harness.h"

#include <netinet/in.h>
#include <pthread.h>

#include "tls_writer.h"

#define LEN	(1 << 20)

static uint8_t data[LEN], buf[LEN];

FIXTURE(split)
{
	struct tls_inlet l;
};

FIXTURE_VARIANT(split)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_EACH(split);

FIXTURE_SETUP(split)
{
	tls_fill(data, sizeof(data), 110);
	ASSERT_EQ(0, tls_inlet_open(&self->l, variant->family, variant->version,
				    variant->cipher));
}

FIXTURE_TEARDOWN(split)
{
	tls_inlet_close(&self->l);
}

/* Nothing is read of a record before its last byte is there. */
TEST_F(split, byte_by_byte)
{
	static const size_t lens[] = { 1, 30, 2, 100, 17 };
	size_t i, at = 0, left;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + at,
					lens[i]));
		for (left = self->l.w.len; left > 1; left--) {
			ASSERT_EQ(0, tls_push_some(&self->l.w, 1));
			ASSERT_EQ(0, tls_expect_error(self->l.fd[1], EAGAIN,
						      MSG_DONTWAIT));
		}
		ASSERT_EQ(0, tls_push(&self->l.w));
		ASSERT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data + at,
					    lens[i], 0));
		at += lens[i];
	}
}

/* The same, read afterwards. */
TEST_F(split, byte_stream)
{
	static const size_t lens[] = { 1, 30, 2, 100, 17, 256, 3 };
	size_t i, sum = 0;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + sum,
					lens[i]));
		sum += lens[i];
	}
	while (self->l.w.len) {
		ASSERT_EQ(0, tls_push_some(&self->l.w, 1));
	}
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, sum));
}

static void put_two(struct __test_metadata *_metadata, struct tls_writer *w)
{
	ASSERT_NE(NULL, tls_put(w, TLS_DATA, data, 5));
	ASSERT_NE(NULL, tls_put(w, TLS_DATA, data + 5, 20));
}

/* Two records, cut in two at every position. */
TEST_F(split, every_cut)
{
	size_t cut, first, all, got;

	put_two(_metadata, &self->l.w);
	first = tls_wire_len(self->l.w.wire);
	all = self->l.w.len;
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_expect_bytes(self->l.fd[1], data, 25));
	for (cut = 1; cut < all; cut++) {
		put_two(_metadata, &self->l.w);
		ASSERT_EQ(0, tls_push_some(&self->l.w, cut));
		/* In every other round the reader looks in between. */
		got = 0;
		if (cut & 1 && cut >= first) {
			got = 5;
			ASSERT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA,
						    data, got, 0));
		} else if (cut & 1) {
			ASSERT_EQ(0, tls_expect_error(self->l.fd[1], EAGAIN,
						      MSG_DONTWAIT));
		}
		ASSERT_EQ(0, tls_push(&self->l.w));
		ASSERT_EQ(0, tls_expect_bytes(self->l.fd[1], data + got,
					      25 - got)) {
			TH_LOG("cut %zu of %zu", cut, all);
		}
	}
}

/* Two records, cut in three. */
TEST_F(split, two_cuts)
{
	size_t a, b, all;

	put_two(_metadata, &self->l.w);
	all = self->l.w.len;
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_expect_bytes(self->l.fd[1], data, 25));
	for (a = 1; a < all - 1; a += 3) {
		for (b = a + 1; b < all; b += 7) {
			put_two(_metadata, &self->l.w);
			ASSERT_EQ(0, tls_push_some(&self->l.w, a));
			ASSERT_EQ(0, tls_push_some(&self->l.w, b - a));
			ASSERT_EQ(0, tls_push(&self->l.w));
			ASSERT_EQ(0, tls_expect_bytes(self->l.fd[1], data,
						      25)) {
				TH_LOG("cuts %zu and %zu of %zu", a, b, all);
			}
		}
	}
}

/* The largest records, in pieces of one size. */
TEST_F(split, pieces)
{
	static const size_t lens[] = { 61, 536, 1448, 4096, 16405, 20000 };
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		for (n = 0; n < 3; n++) {
			ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA,
						data + n * TLS_PLAIN_MAX,
						TLS_PLAIN_MAX));
		}
		while (self->l.w.len) {
			n = self->l.w.len - self->l.w.pushed;
			ASSERT_EQ(0, tls_push_some(&self->l.w,
						   n < lens[i] ? n : lens[i]));
		}
		ASSERT_EQ(0, tls_expect_bytes(self->l.fd[1], data,
					      3 * TLS_PLAIN_MAX)) {
			TH_LOG("pieces of %zu", lens[i]);
		}
	}
}

/* Hundreds of records in a segment, taken one by one, in parts, all at once. */
TEST_F(split, many_in_a_segment)
{
	static const size_t asks[] = { 50, 7, 333, 100, 49, 25000 };
	size_t i, n, at;
	ssize_t got;

	for (i = 0; i < ARRAY_SIZE(asks); i++) {
		for (n = 0; n < 500; n++) {
			ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA,
						data + n * 50, 50));
		}
		ASSERT_EQ(0, tls_push(&self->l.w));
		for (at = 0; at < 25000; at += got) {
			got = recv(self->l.fd[1], buf, asks[i], 0);
			ASSERT_LT(0, got);
			ASSERT_EQ(0, tls_compare(buf, data + at, got, "data"));
		}
	}
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EAGAIN, MSG_DONTWAIT));
}

FIXTURE(early)
{
	struct tls_inlet l;
};

FIXTURE_VARIANT(early)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_FEW(early);

FIXTURE_SETUP(early)
{
	tls_fill(data, sizeof(data), 111);
	ASSERT_EQ(0, tls_inlet_open_plain(&self->l, variant->family,
					  variant->version, variant->cipher));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 3000));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_HANDSHAKE, data, 5));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + 3000, 3000));
}

FIXTURE_TEARDOWN(early)
{
	tls_inlet_close(&self->l);
}

static int set(struct tls_inlet *l)
{
	return tls_attach(l->fd[1]) || tls_set_rx(l->fd[1], &l->key);
}

static int read_three(int fd)
{
	return tls_expect_got(fd, TLS_DATA, data, 3000, 0) ||
	       tls_expect_got(fd, TLS_HANDSHAKE, data, 5, 0) ||
	       tls_expect_got(fd, TLS_DATA, data + 3000, 3000, 0);
}

TEST_F(early, all)
{
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	ASSERT_EQ(0, set(&self->l));
	EXPECT_EQ(0, tls_expect_events(self->l.fd[1], POLLIN | POLLRDNORM, 0));
	EXPECT_EQ(0, read_three(self->l.fd[1]));
}

TEST_F(early, attached)
{
	ASSERT_EQ(0, tls_attach(self->l.fd[1]));
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	ASSERT_EQ(0, tls_set_rx(self->l.fd[1], &self->l.key));
	EXPECT_EQ(0, read_three(self->l.fd[1]));
}

/* The beginning of the first record is there. */
TEST_F(early, beginning)
{
	static const size_t lens[] = { 1, 4, 5, 6, 13, 14, 1000 };
	struct tls_inlet l;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		ASSERT_EQ(0, tls_inlet_open_plain(&l, variant->family,
						  variant->version,
						  variant->cipher));
		ASSERT_NE(NULL, tls_put(&l.w, TLS_DATA, data, 2000));
		ASSERT_EQ(0, tls_push_some(&l.w, lens[i]));
		ASSERT_EQ(0, tls_settle(l.fd[0]));
		ASSERT_EQ(0, set(&l));
		EXPECT_EQ(0, tls_expect_events(l.fd[1], 0, 0));
		EXPECT_EQ(0, tls_expect_error(l.fd[1], EAGAIN, MSG_DONTWAIT));
		ASSERT_EQ(0, tls_push(&l.w));
		EXPECT_EQ(0, tls_expect_got(l.fd[1], TLS_DATA, data, 2000, 0));
		tls_inlet_close(&l);
	}
}

/* A handshake was read from the segment in which the records begin. */
TEST_F(early, behind_plain)
{
	memmove(self->l.w.wire + 200, self->l.w.wire, self->l.w.len);
	memcpy(self->l.w.wire, data, 200);
	self->l.w.len += 200;
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_expect_plain(self->l.fd[1], data, 200));
	ASSERT_EQ(0, set(&self->l));
	EXPECT_EQ(0, read_three(self->l.fd[1]));
}

/* All of it, and the end of the stream too. */
TEST_F(early, ended)
{
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_attach(self->l.fd[1]));
	ASSERT_EQ(0, shutdown(self->l.fd[0], SHUT_WR));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	ASSERT_EQ(0, tls_set_rx(self->l.fd[1], &self->l.key));
	EXPECT_EQ(0, read_three(self->l.fd[1]));
	EXPECT_EQ(0, tls_expect_end(self->l.fd[1]));
}

struct thief {
	pthread_t thread;
	int fd;
	size_t len;
	ssize_t ret;
};

static void *steal(void *arg)
{
	struct thief *t = arg;

	t->ret = recv(t->fd, buf, t->len, 0);
	return NULL;
}

/*
 * A reader that was waiting before TLS_RX takes bytes as they come on the wire.
 * What is behind them is a stream of its own.
 */
TEST_F(early, stolen)
{
	struct thief t = { .fd = self->l.fd[1] };
	struct tls_inlet *l = &self->l;

	l->w.len = 0;
	l->w.seq = tls_key_get_seq(&l->key);
	ASSERT_NE(NULL, tls_put(&l->w, TLS_DATA, data, 1000));
	t.len = l->w.len;
	ASSERT_EQ(0, tls_attach(t.fd));
	ASSERT_EQ(0, pthread_create(&t.thread, NULL, steal, &t));
	usleep(300000);
	ASSERT_EQ(0, tls_set_rx(t.fd, &l->key));
	ASSERT_EQ(0, tls_push(&l->w));
	pthread_join(t.thread, NULL);
	ASSERT_EQ(t.len, t.ret);
	EXPECT_EQ(0, tls_expect_error(t.fd, EAGAIN, MSG_DONTWAIT));
	l->w.seq--;
	ASSERT_EQ(0, tls_write(&l->w, TLS_DATA, data, 700));
	EXPECT_EQ(0, tls_expect_got(t.fd, TLS_DATA, data, 700, 0));
}

static int delayed_loopback(void)
{
	return tls_own_network(1500) ||
	       system("tc qdisc add dev lo root netem delay 3ms 3ms reorder 60% loss 1% duplicate 2% 2>/dev/null");
}

/* Segments overtake each other, get lost, come twice. */
TEST_F_TIMEOUT(early, out_of_order, 60)
{
	struct tls_inlet l;
	pid_t pid;
	int status;

	if (delayed_loopback())
		SKIP(return, "no network namespace with netem");
	ASSERT_EQ(0, tls_inlet_open(&l, variant->family, variant->version,
				    variant->cipher));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		static const size_t lens[] = { 16384, 100, 5000, 1, 1448 };
		size_t i, at, n;

		for (i = 0, at = 0; at < LEN / 4; i++, at += n) {
			n = lens[i % ARRAY_SIZE(lens)];
			if (n > LEN / 4 - at)
				n = LEN / 4 - at;
			if (tls_write(&l.w, TLS_DATA, data + at, n))
				_exit(1);
		}
		_exit(0);
	}
	EXPECT_EQ(0, tls_expect_bytes(l.fd[1], data, LEN / 4));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	tls_inlet_close(&l);
}

TEST_HARNESS_MAIN
