// SPDX-License-Identifier: GPL-2.0
/*
 * How a connection with TLS_RX ends: by FIN, by reset, by this end; what was there
 * before is read, what was copied is not lost, and nothing is left behind.
 */
#include "kselftest_harness.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>

#include "tls_writer.h"

#define CYCLES	400

#define BIG	7	/* records that are read without a look at what has come */

static uint8_t data[64 << 10], buf[BIG * TLS_PLAIN_MAX];

FIXTURE(close)
{
	struct tls_inlet l;
};

FIXTURE_VARIANT(close)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANT(close, 12_aes_gcm_128, 2, AES_GCM_128, INET);
TLS_VARIANT(close, 12_chacha20_v6, 2, CHACHA20_POLY1305, INET6);
TLS_VARIANT(close, 13_aes_gcm_256_v6, 3, AES_GCM_256, INET6);

FIXTURE_SETUP(close)
{
	tls_fill(data, sizeof(data), 210);
	ASSERT_EQ(0, tls_inlet_open(&self->l, variant->family, variant->version,
				    variant->cipher));
}

FIXTURE_TEARDOWN(close)
{
	tls_inlet_close(&self->l);
}

static int put_two(struct tls_writer *w)
{
	return tls_put(w, TLS_DATA, data, 1000) &&
	       tls_put(w, TLS_DATA, data + 1000, 1000) ? 0 : -1;
}

static int reset(struct tls_inlet *l)
{
	struct linger now = { .l_onoff = 1 };
	int fd = l->fd[0];

	l->fd[0] = -1;
	return setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) ||
	       close(fd);
}

/* Without close_notify it is an end as well; who cares has to look for it. */
TEST_F(close, fin)
{
	int i;

	ASSERT_EQ(0, put_two(&self->l.w));
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, shutdown(self->l.fd[0], SHUT_WR));
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, 500));
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data + 500, 1500));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, tls_expect_end(self->l.fd[1]));
	}
	EXPECT_EQ(0, recv(self->l.fd[1], buf, 10, MSG_DONTWAIT | MSG_PEEK));
	/* The other direction goes on. */
	ASSERT_EQ(10, send(self->l.fd[1], data, 10, 0));
	EXPECT_EQ(0, tls_expect_plain(self->l.fd[0], data, 10));
}

TEST_F(close, close_notify)
{
	ASSERT_EQ(0, put_two(&self->l.w));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_ALERT, "\1\0", 2));
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, shutdown(self->l.fd[0], SHUT_WR));
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, 2000));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EIO, 0));
	EXPECT_EQ(0, tls_expect_got(self->l.fd[1], TLS_ALERT, "\1\0", 2, 0));
	EXPECT_EQ(0, tls_expect_end(self->l.fd[1]));
}

/* In the middle of a record: at every part of it. */
TEST_F(close, fin_within)
{
	static const size_t lens[] = { 1, 4, 5, 12, 13, 14, 500, 1020 };
	struct tls_inlet l;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		ASSERT_EQ(0, tls_inlet_open(&l, variant->family,
					    variant->version, variant->cipher));
		ASSERT_EQ(0, put_two(&l.w));
		ASSERT_EQ(0, tls_push_some(&l.w, tls_wire_len(l.w.wire) +
					   lens[i]));
		ASSERT_EQ(0, shutdown(l.fd[0], SHUT_WR));
		EXPECT_EQ(1000, recv(l.fd[1], buf, 3000, MSG_WAITALL));
		EXPECT_EQ(0, tls_expect_end(l.fd[1]));
		EXPECT_EQ(0, tls_expect_end(l.fd[1]));
		tls_inlet_close(&l);
	}
}

/* What has come before a reset can be read; then it is told of, once. */
TEST_F(close, reset_behind_data)
{
	struct pollfd p = { .fd = self->l.fd[1] };

	ASSERT_EQ(0, put_two(&self->l.w));
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	ASSERT_EQ(0, reset(&self->l));
	ASSERT_EQ(1, poll(&p, 1, 1000));
	EXPECT_EQ(POLLERR | POLLHUP, p.revents);
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, 1500));
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data + 1500, 500));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], ECONNRESET, 0));
	EXPECT_EQ(0, tls_expect_end(self->l.fd[1]));
}

struct late {
	struct tls_inlet *l;
	volatile int delay;
};

static void *record_and_reset(void *arg)
{
	struct late *late = arg;

	/* Shorter than anything that sleeps. */
	while (late->delay > 0)
		late->delay--;
	return tls_push(&late->l->w) || reset(late->l) ? arg : NULL;
}

/* Both arrive while a reader holds the lock, at some times: data still comes first. */
TEST_F(close, reset_behind_data_while_reading)
{
	const size_t len = BIG * TLS_PLAIN_MAX;
	struct tls_inlet *l = &self->l;
	struct late late = { .l = l };
	int i, j, lost = 0;
	pthread_t thread;
	void *failed;
	ssize_t n;

	for (i = 0; i < CYCLES / 2; i++) {
		late.delay = i * 10000;
		for (j = 0; j < BIG; j++) {
			ASSERT_NE(NULL, tls_put(&l->w, TLS_DATA, data,
						TLS_PLAIN_MAX));
		}
		ASSERT_EQ(0, tls_push(&l->w));
		ASSERT_EQ(0, tls_settle(l->fd[0]));
		ASSERT_NE(NULL, tls_put(&l->w, TLS_DATA, data, 100));
		ASSERT_EQ(0, pthread_create(&thread, NULL, record_and_reset,
					    &late));
		ASSERT_EQ(len, recv(l->fd[1], buf, len, 0));
		do {
			n = recv(l->fd[1], buf, 100, MSG_DONTWAIT);
		} while (n < 0 && errno == EAGAIN);
		if (n < 0) {
			ASSERT_EQ(ECONNRESET, errno);
			lost++;
		} else {
			ASSERT_EQ(100, n);
			ASSERT_EQ(0, memcmp(buf, data, 100));
		}
		pthread_join(thread, &failed);
		ASSERT_EQ(NULL, failed);
		tls_inlet_close(l);
		ASSERT_EQ(0, tls_inlet_open(l, variant->family, variant->version,
					    variant->cipher));
	}
	/* The module in C looks for the error first. */
	if (tls_is_ours()) {
		EXPECT_EQ(0, lost);
	} else if (lost) {
		TH_LOG("%d of %d records lost", lost, i);
	}
}

TEST_F(close, reset_within)
{
	struct pollfd p = { .fd = self->l.fd[1] };

	ASSERT_EQ(0, put_two(&self->l.w));
	ASSERT_EQ(0, tls_push_some(&self->l.w, self->l.w.len - 1));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	ASSERT_EQ(0, reset(&self->l));
	ASSERT_EQ(1, poll(&p, 1, 1000));
	EXPECT_EQ(1000, recv(self->l.fd[1], buf, 3000, 0));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], ECONNRESET, 0));
	EXPECT_EQ(0, tls_expect_end(self->l.fd[1]));
}

struct one_call {
	pthread_t thread;
	int fd, flags;
	ssize_t n;
	int err;
};

static void *one_recv(void *arg)
{
	struct one_call *c = arg;

	c->n = recv(c->fd, buf, sizeof(buf), c->flags);
	c->err = errno;
	return NULL;
}

static void start(struct __test_metadata *_metadata, struct one_call *c)
{
	ASSERT_EQ(0, pthread_create(&c->thread, NULL, one_recv, c));
	usleep(50000);
}

/* A reader that has got some and waits for more gets that; the error comes next. */
TEST_F(close, reset_after_copy)
{
	struct one_call c = { .fd = self->l.fd[1], .flags = MSG_WAITALL };

	ASSERT_EQ(0, put_two(&self->l.w));
	ASSERT_EQ(0, tls_push(&self->l.w));
	start(_metadata, &c);
	ASSERT_EQ(0, reset(&self->l));
	pthread_join(c.thread, NULL);
	EXPECT_EQ(2000, c.n);
	EXPECT_EQ(0, memcmp(buf, data, 2000));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], ECONNRESET, 0));
	EXPECT_EQ(0, tls_expect_end(self->l.fd[1]));
}

TEST_F(close, fin_after_copy)
{
	struct one_call c = { .fd = self->l.fd[1], .flags = MSG_WAITALL };

	ASSERT_EQ(0, put_two(&self->l.w));
	ASSERT_EQ(0, tls_push(&self->l.w));
	start(_metadata, &c);
	ASSERT_EQ(0, shutdown(self->l.fd[0], SHUT_WR));
	pthread_join(c.thread, NULL);
	EXPECT_EQ(2000, c.n);
	EXPECT_EQ(0, tls_expect_end(self->l.fd[1]));
}

TEST_F(close, reset_while_waiting)
{
	struct one_call c = { .fd = self->l.fd[1] };

	start(_metadata, &c);
	ASSERT_EQ(0, reset(&self->l));
	pthread_join(c.thread, NULL);
	EXPECT_EQ(-1, c.n);
	EXPECT_EQ(ECONNRESET, c.err);
}

/* A bad header while the reader waits for more. */
TEST_F(close, bad_after_copy)
{
	struct one_call c = { .fd = self->l.fd[1], .flags = MSG_WAITALL };

	ASSERT_EQ(0, put_two(&self->l.w));
	ASSERT_EQ(0, tls_push(&self->l.w));
	start(_metadata, &c);
	memset(self->l.w.wire, 0xff, 20);
	self->l.w.len = 20;
	ASSERT_EQ(0, tls_push(&self->l.w));
	pthread_join(c.thread, NULL);
	EXPECT_EQ(2000, c.n);
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EMSGSIZE, 0));
}

/* This end wants no more: what is there can still be read. */
TEST_F(close, shutdown_here)
{
	ASSERT_EQ(0, put_two(&self->l.w));
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	ASSERT_EQ(0, shutdown(self->l.fd[1], SHUT_RD));
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, 2000));
	EXPECT_EQ(0, tls_expect_end(self->l.fd[1]));
}

/* To go without reading is rude, and TCP tells the peer. */
TEST_F(close, unread)
{
	ASSERT_EQ(0, put_two(&self->l.w));
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	close(self->l.fd[1]);
	self->l.fd[1] = -1;
	EXPECT_EQ(-1, recv(self->l.fd[0], buf, 10, 0));
	EXPECT_EQ(ECONNRESET, errno);
}

TEST_F(close, all_read)
{
	ASSERT_EQ(0, put_two(&self->l.w));
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, 2000));
	close(self->l.fd[1]);
	self->l.fd[1] = -1;
	EXPECT_EQ(0, recv(self->l.fd[0], buf, 10, 0));
}

TEST_F(close, no_disconnect)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	ASSERT_EQ(0, put_two(&self->l.w));
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(-1, connect(self->l.fd[1], &none, sizeof(none)));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, 2000));
}

/* TCP sockets of this namespace, and the pages of all in the system. */
static bool sockstat(int *inuse, int *mem)
{
	FILE *f = fopen("/proc/net/sockstat", "r");
	char line[128];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "TCP: inuse %d %*s %*d %*s %*d %*s %*d mem %d",
			       inuse, mem) == 2;
	if (f)
		fclose(f);
	return found;
}

/*
 * Every way to end, many times, with records in all states: unread, opened,
 * half there, bad. The counters of a new namespace are where they were; memory
 * is counted for the whole system and in batches per CPU, so that only a leak of a
 * page per connection is certain to show.
 */
TEST_F_TIMEOUT(close, many, 60)
{
	int slack = 200 + 256 * sysconf(_SC_NPROCESSORS_ONLN);
	int i, inuse, before, mem;
	struct tls_inlet l;

	if (tls_own_network(0))
		SKIP(return, "needs the right to make a network namespace");
	ASSERT_TRUE(sockstat(&inuse, &before));
	for (i = 0; i < CYCLES; i++) {
		ASSERT_EQ(0, tls_inlet_open(&l, variant->family,
					    variant->version, variant->cipher));
		ASSERT_NE(NULL, tls_put(&l.w, TLS_DATA, data, 5000));
		ASSERT_NE(NULL, tls_put(&l.w, TLS_ALERT, data, 5000));
		ASSERT_NE(NULL, tls_put(&l.w, TLS_DATA, data, 5000));
		if (i % 7 == 6)
			l.w.wire[100] ^= 1;
		ASSERT_EQ(0, tls_push_some(&l.w, l.w.len - i % 2));
		if (i % 4 == 1) {
			EXPECT_NE(0, recv(l.fd[1], buf, 2000, 0));
		}
		if (i % 4 == 2) {
			EXPECT_NE(0, recv(l.fd[1], buf, 6000, MSG_PEEK));
		}
		if (i % 4 == 3) {
			EXPECT_NE(0, recv(l.fd[1], buf, 6000, 0));
		}
		if (i % 3 == 1) {
			ASSERT_EQ(0, reset(&l));
		}
		tls_inlet_close(&l);
	}
	EXPECT_EQ(CYCLES, tls_stat("TlsRxSw"));
	EXPECT_EQ(0, tls_stat("TlsCurrRxSw"));
	EXPECT_EQ(0, tls_stat("TlsCurrTxSw"));
	for (i = 0; i < 50; i++) {
		ASSERT_TRUE(sockstat(&inuse, &mem));
		if (!inuse && mem <= before + slack)
			break;
		usleep(20000);
	}
	EXPECT_EQ(0, inuse);
	EXPECT_GE(before + slack, mem);
}

TEST_HARNESS_MAIN
