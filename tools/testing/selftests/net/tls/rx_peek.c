// SPDX-License-Identifier: GPL-2.0
/* Looking at data without taking it: any number of times, and over records. */
#include "kselftest_harness.h"

#include <pthread.h>

#include "tls_writer.h"

#define MANY	40000

static uint8_t data[256 << 10], buf[256 << 10];

FIXTURE(peek)
{
	struct tls_inlet l;
	pthread_t thread;
};

FIXTURE_VARIANT(peek)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANT(peek, 12_aes_gcm_128, 2, AES_GCM_128, INET);
TLS_VARIANT(peek, 12_chacha20_v6, 2, CHACHA20_POLY1305, INET6);
TLS_VARIANT(peek, 13_aes_gcm_256_v6, 3, AES_GCM_256, INET6);
TLS_VARIANT(peek, 13_aes_ccm_128, 3, AES_CCM_128, INET);

FIXTURE_SETUP(peek)
{
	tls_fill(data, sizeof(data), 160);
	ASSERT_EQ(0, tls_inlet_open(&self->l, variant->family, variant->version,
				    variant->cipher));
}

FIXTURE_TEARDOWN(peek)
{
	tls_inlet_close(&self->l);
}

/* The next bytes are these, of which so many are there; they stay. */
static int look(int fd, const uint8_t *want, size_t len, size_t there)
{
	ssize_t n = recv(fd, buf, len, MSG_PEEK);

	if (n != (ssize_t)there)
		return tls_wrong("a look at %zu bytes shows %zd, not %zu", len,
				 n, there);
	return tls_compare(buf, want, there, "look");
}

static int put_all(struct tls_writer *w, size_t n, size_t len)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!tls_put(w, TLS_DATA, data + i * len, len))
			return -1;
	return tls_push(w) || tls_settle(w->fd);
}

TEST_F(peek, one)
{
	const int fd = self->l.fd[1];

	ASSERT_EQ(0, put_all(&self->l.w, 1, 100));
	EXPECT_EQ(0, look(fd, data, 1, 1));
	EXPECT_EQ(0, look(fd, data, 100, 100));
	EXPECT_EQ(0, look(fd, data, 99, 99));
	EXPECT_EQ(0, look(fd, data, 1000, 100));
	EXPECT_EQ(0, tls_expect_events(fd, POLLIN | POLLRDNORM, 0));
	EXPECT_EQ(0, tls_expect_bytes(fd, data, 30));
	EXPECT_EQ(0, look(fd, data + 30, 1000, 70));
	EXPECT_EQ(0, tls_expect_bytes(fd, data + 30, 70));
	EXPECT_EQ(0, tls_expect_error(fd, EAGAIN, MSG_DONTWAIT | MSG_PEEK));
	EXPECT_EQ(0, tls_expect_events(fd, 0, 0));
}

/* More and more of it, over twenty records; then read across their limits. */
TEST_F(peek, over_records)
{
	const int fd = self->l.fd[1];
	size_t i;

	ASSERT_EQ(0, put_all(&self->l.w, 20, 100));
	for (i = 1; i <= 2000; i += 37) {
		ASSERT_EQ(0, look(fd, data, i, i));
	}
	EXPECT_EQ(0, look(fd, data, 5000, 2000));
	for (i = 0; i < 2000; i += 250) {
		ASSERT_EQ(0, look(fd, data + i, 5000, 2000 - i));
		ASSERT_EQ(0, tls_expect_bytes(fd, data + i, 250));
	}
	EXPECT_EQ(0, tls_expect_error(fd, EAGAIN, MSG_DONTWAIT));
}

/* What comes later is seen as well, behind what was seen already. */
TEST_F(peek, grows)
{
	const int fd = self->l.fd[1];
	size_t i;

	for (i = 0; i < 6; i++) {
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data + i * 5000,
				       5000));
		ASSERT_EQ(0, tls_settle(self->l.fd[0]));
		ASSERT_EQ(0, look(fd, data, sizeof(buf), (i + 1) * 5000));
	}
	/* One look does not make a reader read less. */
	ASSERT_EQ(0, look(fd, data, 100, 100));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data + 30000, 100));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	EXPECT_EQ(30100, recv(fd, buf, sizeof(buf), 0));
	EXPECT_EQ(0, tls_compare(buf, data, 30100, "plaintext"));
}

TEST_F(peek, large)
{
	const int fd = self->l.fd[1];

	ASSERT_EQ(0, put_all(&self->l.w, 12, TLS_PLAIN_MAX));
	EXPECT_EQ(0, look(fd, data, 12 * TLS_PLAIN_MAX, 12 * TLS_PLAIN_MAX));
	EXPECT_EQ(0, look(fd, data, 12 * TLS_PLAIN_MAX, 12 * TLS_PLAIN_MAX));
	EXPECT_EQ(0, tls_expect_bytes(fd, data, 100000));
	EXPECT_EQ(0, look(fd, data + 100000, 50000, 50000));
	EXPECT_EQ(0, tls_expect_bytes(fd, data + 100000,
				      12 * TLS_PLAIN_MAX - 100000));
}

/* Records of one byte each, tens of thousands of them: none makes the next dearer. */
TEST_F(peek, many)
{
	const int fd = self->l.fd[1];
	const int room = 8 << 20;
	size_t i;

	/* As much memory as they take when they are opened. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
		SKIP(return, "SO_RCVBUFFORCE: %s", strerror(errno));
	for (i = 0; i < MANY; i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + i, 1));
	}
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(MANY, recv(fd, buf, MANY, MSG_PEEK | MSG_WAITALL));
	EXPECT_EQ(0, tls_compare(buf, data, MANY, "look"));
	for (i = 0; i < MANY / 2; i += 500) {
		ASSERT_EQ(0, tls_expect_bytes(fd, data + i, 500));
	}
	EXPECT_EQ(0, look(fd, data + i, 300, 300));
	EXPECT_EQ(0, tls_expect_bytes(fd, data + i, MANY - i));
}

/* A look ends where the type changes; the next one begins at the same place. */
TEST_F(peek, types)
{
	const int fd = self->l.fd[1];
	int i;

	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + 100, 100));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_ALERT, data + 200, 100));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_ALERT, data + 300, 100));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + 400, 100));
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 200, MSG_PEEK));
	}
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 200, 0));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, tls_expect_got(fd, TLS_ALERT, data + 200, 100,
					    MSG_PEEK));
	}
	EXPECT_EQ(0, tls_expect_error(fd, EIO, MSG_PEEK));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_ALERT, data + 200, 100, 0));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_ALERT, data + 300, 100, 0));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data + 400, 100, MSG_PEEK));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data + 400, 100, 0));
}

static void *push_slowly(void *arg)
{
	struct tls_writer *w = arg;

	while (w->len) {
		usleep(10000);
		if (tls_push_some(w, tls_wire_len(w->wire + w->pushed)))
			break;
	}
	return NULL;
}

/* Waiting for all of it; part of it is on the list already. */
TEST_F(peek, wait_all)
{
	size_t i;

	ASSERT_EQ(0, put_all(&self->l.w, 1, 100));
	EXPECT_EQ(0, look(self->l.fd[1], data, 50, 50));
	for (i = 1; i < 8; i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + i * 100,
					100));
	}
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, push_slowly,
				    &self->l.w));
	ASSERT_EQ(750, recv(self->l.fd[1], buf, 750, MSG_PEEK | MSG_WAITALL));
	EXPECT_EQ(0, tls_compare(buf, data, 750, "look"));
	pthread_join(self->thread, NULL);
	ASSERT_EQ(800, recv(self->l.fd[1], buf, 800, MSG_WAITALL));
	EXPECT_EQ(0, tls_compare(buf, data, 800, "plaintext"));
}

/* The end comes behind all data, and can be looked at, too. */
TEST_F(peek, end)
{
	ASSERT_EQ(0, put_all(&self->l.w, 2, 100));
	ASSERT_EQ(0, shutdown(self->l.fd[0], SHUT_WR));
	EXPECT_EQ(0, look(self->l.fd[1], data, 1000, 200));
	EXPECT_EQ(200, recv(self->l.fd[1], buf, 1000, MSG_PEEK | MSG_WAITALL));
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, 200));
	EXPECT_EQ(0, look(self->l.fd[1], data, 1000, 0));
	EXPECT_EQ(0, tls_expect_end(self->l.fd[1]));
}

/* A look at a bad record does no harm to the good ones before it. */
TEST_F(peek, bad_tag)
{
	uint8_t *p;

	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	p = tls_put(&self->l.w, TLS_DATA, data + 100, 100);
	ASSERT_NE(NULL, p);
	p[50] ^= 1;
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	EXPECT_EQ(0, look(self->l.fd[1], data, 1000, 100));
	EXPECT_EQ(0, look(self->l.fd[1], data, 1000, 100));
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, 100));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EBADMSG, MSG_PEEK));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EBADMSG, 0));
}

/* TCP's own offset for looks is not used. */
TEST_F(peek, offset)
{
	int at = 10;

	setsockopt(self->l.fd[1], SOL_SOCKET, SO_PEEK_OFF, &at, sizeof(at));
	ASSERT_EQ(0, put_all(&self->l.w, 1, 100));
	EXPECT_EQ(0, look(self->l.fd[1], data, 50, 50));
	EXPECT_EQ(0, look(self->l.fd[1], data, 50, 50));
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, 100));
}

TEST_HARNESS_MAIN
