// SPDX-License-Identifier: GPL-2.0
/*
 * Bytes that somebody else takes out of TCP's queue, below the records. Who has
 * the socket can do so with TCP_ZEROCOPY_RECEIVE, which knows nothing of TLS. What
 * is left is the stream from then on: nothing is read that is not there, and
 * nothing is delivered that is not the peer's.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>

#include "tls_writer.h"

/* <linux/tcp.h> has these, but does not go together with <netinet/tcp.h>. */
#define TCP_ZEROCOPY_RECEIVE	35
struct zerocopy_receive {
	uint64_t address;
	uint32_t length;
	uint32_t recv_skip_hint;
	uint32_t inq;
	int32_t err;
	uint64_t copybuf_address;
	int32_t copybuf_len;
	uint32_t flags;
};

static uint8_t data[TLS_PLAIN_MAX], buf[TLS_WIRE_MAX * 2], loot[64 << 10];

FIXTURE(stolen)
{
	struct tls_inlet l;
	int fd;
};

FIXTURE_VARIANT(stolen)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANT(stolen, 12_aes_gcm_128, 2, AES_GCM_128, INET);
TLS_VARIANT(stolen, 12_chacha20_v6, 2, CHACHA20_POLY1305, INET6);
TLS_VARIANT(stolen, 13_aes_gcm_256_v6, 3, AES_GCM_256, INET6);

FIXTURE_SETUP(stolen)
{
	tls_fill(data, sizeof(data), 240);
	ASSERT_EQ(0, tls_inlet_open(&self->l, variant->family, variant->version,
				    variant->cipher));
	self->fd = self->l.fd[1];
}

FIXTURE_TEARDOWN(stolen)
{
	tls_inlet_close(&self->l);
}

/* Takes all that is in TCP's queue. Returns how much that is. */
static int steal(int fd)
{
	struct zerocopy_receive zc = {
		.copybuf_address = (uintptr_t)loot,
		.copybuf_len = sizeof(loot),
	};
	socklen_t len = sizeof(zc);

	if (getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &zc, &len))
		return -1;
	return zc.copybuf_len;
}

#define WAIT_READABLE() \
	ASSERT_EQ(0, tls_expect_events(self->fd, POLLIN | POLLRDNORM, 1000))

/* The next record of the peer, which has that number once more. */
static int works(struct tls_inlet *l, int records)
{
	l->w.seq -= records;
	return tls_write(&l->w, TLS_DATA, data, 700) ||
	       tls_expect_got(l->fd[1], TLS_DATA, data, 700, 0);
}

/* The record that poll() has told of is gone, and so is what poll() says. */
TEST_F(stolen, record)
{
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 1000));
	const int wire = self->l.w.len;

	ASSERT_EQ(0, tls_push(&self->l.w));
	WAIT_READABLE();
	ASSERT_EQ(wire, steal(self->fd));
	EXPECT_EQ(0, tls_expect_error(self->fd, EAGAIN, MSG_DONTWAIT));
	EXPECT_EQ(0, tls_expect_events(self->fd, 0, 0));
	EXPECT_EQ(0, works(&self->l, 1));
}

TEST_F(stolen, every_other_record)
{
	int i;

	for (i = 0; i < 40; i++) {
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100 + i));
		WAIT_READABLE();
		ASSERT_LT(100, steal(self->fd));
		ASSERT_EQ(0, tls_expect_error(self->fd, EAGAIN, MSG_DONTWAIT));
		ASSERT_EQ(0, works(&self->l, 1));
	}
}

/* Whatever was opened already is not in the queue. */
TEST_F(stolen, behind_opened)
{
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 500));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + 500, 500));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + 1000, 500));
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	EXPECT_EQ(0, tls_expect_bytes(self->fd, data, 100));
	ASSERT_LT(1000, steal(self->fd));
	EXPECT_EQ(0, tls_expect_got(self->fd, TLS_DATA, data + 100, 400,
				    MSG_DONTWAIT));
	EXPECT_EQ(0, tls_expect_error(self->fd, EAGAIN, MSG_DONTWAIT));
	EXPECT_EQ(0, works(&self->l, 2));
}

TEST_F(stolen, behind_peeked)
{
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 500));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + 500, 500));
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	EXPECT_EQ(400, recv(self->fd, buf, 400, MSG_PEEK));
	ASSERT_LT(500, steal(self->fd));
	EXPECT_EQ(0, tls_expect_got(self->fd, TLS_DATA, data, 500,
				    MSG_DONTWAIT));
	EXPECT_EQ(0, tls_expect_error(self->fd, EAGAIN, MSG_DONTWAIT));
	EXPECT_EQ(0, works(&self->l, 1));
}

TEST_F(stolen, splice)
{
	int p[2];

	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 1000));
	WAIT_READABLE();
	ASSERT_LT(1000, steal(self->fd));
	EXPECT_EQ(-1, splice(self->fd, NULL, p[1], NULL, 1000,
			     SPLICE_F_NONBLOCK));
	EXPECT_EQ(EAGAIN, errno);
	self->l.w.seq--;
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 800));
	ASSERT_EQ(800, splice(self->fd, NULL, p[1], NULL, 1000, 0));
	ASSERT_EQ(800, read(p[0], buf, 800));
	EXPECT_EQ(0, tls_compare(buf, data, 800, "plaintext"));
	close(p[0]);
	close(p[1]);
}

/*
 * A record and the beginning of the next. What is left of that is taken for a
 * header.
 */
TEST_F(stolen, beginning)
{
	static const uint8_t rest[] = { 0xff, 0xff, 0xff, 0xff, 0xff };
	static const size_t lens[] = { 1, 4, 5, 13, 20, 400 };
	struct tls_inlet l;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		ASSERT_EQ(0, tls_inlet_open(&l, variant->family,
					    variant->version, variant->cipher));
		ASSERT_NE(NULL, tls_put(&l.w, TLS_DATA, data, 100));
		ASSERT_NE(NULL, tls_put(&l.w, TLS_DATA, data, 1000));
		memcpy(l.w.wire + tls_wire_len(l.w.wire) + lens[i], rest,
		       sizeof(rest));
		ASSERT_EQ(0, tls_push_some(&l.w, tls_wire_len(l.w.wire) +
					   lens[i]));
		ASSERT_EQ(0, tls_expect_events(l.fd[1], POLLIN | POLLRDNORM,
					       1000));
		ASSERT_LT(100, steal(l.fd[1]));
		EXPECT_EQ(0, tls_expect_error(l.fd[1], EAGAIN, MSG_DONTWAIT));
		ASSERT_EQ(0, tls_push(&l.w));
		EXPECT_EQ(0, tls_expect_error(l.fd[1], EMSGSIZE, 0));
		tls_inlet_close(&l);
	}
}

/*
 * The beginning of a record whose header was read: what comes next is not what is
 * missing of it, and the tag says so.
 */
TEST_F(stolen, half)
{
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 1000));
	ASSERT_EQ(0, tls_push_some(&self->l.w, 600));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	EXPECT_EQ(0, tls_expect_error(self->fd, EAGAIN, MSG_DONTWAIT));
	ASSERT_LE(0, steal(self->fd));
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 1000));
	EXPECT_EQ(0, tls_expect_error(self->fd, EBADMSG, 0));
}

struct one_call {
	pthread_t thread;
	int fd;
	ssize_t n;
};

static void *one_recv(void *arg)
{
	struct one_call *c = arg;

	c->n = recv(c->fd, buf, sizeof(buf), 0);
	return NULL;
}

/* A reader is waiting meanwhile. It gets records of the peer, or none. */
TEST_F(stolen, while_waiting)
{
	struct one_call c = { .fd = self->fd };
	int i, lost = 0;

	ASSERT_EQ(0, pthread_create(&c.thread, NULL, one_recv, &c));
	for (i = 0; i < 200 && !lost; i++) {
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 900));
		lost = steal(self->fd) > 0;
		if (lost)
			self->l.w.seq--;
		else
			break;
	}
	if (lost) {
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 900));
	}
	pthread_join(c.thread, NULL);
	ASSERT_EQ(900, c.n);
	EXPECT_EQ(0, tls_compare(buf, data, 900, "plaintext"));
}

struct thief {
	pthread_t thread;
	int fd;
	volatile bool stop;
};

static void *keep_stealing(void *arg)
{
	struct thief *t = arg;

	while (!t->stop) {
		steal(t->fd);
		usleep(300);
	}
	return NULL;
}

/* At any moment: each record comes as it was sent, until one cannot be opened. */
TEST_F(stolen, at_any_time)
{
	struct thief t = { .fd = self->fd };
	uint8_t *p = buf;
	ssize_t n;
	int i;

	for (i = 0; i < 400; i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 300));
	}
	ASSERT_EQ(0, pthread_create(&t.thread, NULL, keep_stealing, &t));
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, shutdown(self->l.fd[0], SHUT_WR));
	while ((n = recv(self->fd, p, 300, 0)) > 0) {
		ASSERT_EQ(300, n);
		ASSERT_EQ(0, tls_compare(p, data, 300, "plaintext"));
	}
	t.stop = true;
	pthread_join(t.thread, NULL);
	if (n) {
		EXPECT_TRUE(errno == EBADMSG || errno == EMSGSIZE ||
			    errno == EINVAL) {
			TH_LOG("%s", strerror(errno));
		}
	}
}

TEST_HARNESS_MAIN
