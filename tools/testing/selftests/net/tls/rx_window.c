// SPDX-License-Identifier: GPL-2.0
/*
 * Receive buffers and windows that are smaller than a record. The whole record
 * can only come if its beginning is taken out of TCP's queue meanwhile.
 */
#include "kselftest_harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>

#include "tls_writer.h"

#define LEN	(128 << 10)

static uint8_t data[LEN], buf[LEN];

FIXTURE(window)
{
	struct tls_inlet l;
	pthread_t thread;
	size_t piece;
	int failed;
};

FIXTURE_VARIANT(window)
{
	uint16_t version;
	uint16_t cipher;
	int family;
	int size;		/* of the receive buffer */
};

#define WINDOW_VARIANT(name, v, c, f, s) \
	FIXTURE_VARIANT_ADD(window, name) { \
		.version = TLS_1_##v##_VERSION, \
		.cipher = TLS_CIPHER_##c, \
		.family = AF_##f, \
		.size = s, \
	}

WINDOW_VARIANT(12_aes_gcm_128_least, 2, AES_GCM_128, INET, 1);
WINDOW_VARIANT(12_aes_gcm_128_4k, 2, AES_GCM_128, INET, 4096);
WINDOW_VARIANT(12_chacha20_v6_8k, 2, CHACHA20_POLY1305, INET6, 8192);
WINDOW_VARIANT(13_aes_gcm_256_v6_least, 3, AES_GCM_256, INET6, 1);
WINDOW_VARIANT(13_aes_gcm_256_8k, 3, AES_GCM_256, INET, 8192);
WINDOW_VARIANT(13_aes_ccm_128_16k, 3, AES_CCM_128, INET, 16384);

FIXTURE_SETUP(window)
{
	struct tls_inlet *l = &self->l;

	tls_fill(data, sizeof(data), 120);
	tls_key_make(&l->key, variant->version, variant->cipher, 2);
	ASSERT_EQ(0, tls_tcp_pair_narrow(variant->family, variant->size, l->fd));
	ASSERT_EQ(0, tls_attach(l->fd[1]));
	ASSERT_EQ(0, tls_set_rx(l->fd[1], &l->key));
	ASSERT_EQ(0, tls_writer_init(&l->w, l->fd[0], &l->key));
	self->piece = TLS_WRITER_ROOM;
}

FIXTURE_TEARDOWN(window)
{
	tls_inlet_close(&self->l);
}

static void *push_all(void *arg)
{
	FIXTURE_DATA(window) *self = arg;
	struct tls_writer *w = &self->l.w;
	size_t n;

	while (w->len && !self->failed) {
		n = w->len - w->pushed;
		if (n > self->piece)
			n = self->piece;
		if (tls_push_some(w, n))
			self->failed = 1;
	}
	return NULL;
}

#define START() \
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, push_all, self))

#define FINISH() do { \
	pthread_join(self->thread, NULL); \
	EXPECT_EQ(0, self->failed); \
} while (0)

static int put_large(struct tls_writer *w, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!tls_put(w, TLS_DATA, data + i * TLS_PLAIN_MAX,
			     TLS_PLAIN_MAX))
			return -1;
	return 0;
}

TEST_F(window, large_records)
{
	ASSERT_EQ(0, put_large(&self->l.w, 8));
	START();
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, LEN));
	FINISH();
}

/* The reader is not there yet when the record comes. */
TEST_F(window, late_reader)
{
	ASSERT_EQ(0, put_large(&self->l.w, 3));
	START();
	ASSERT_EQ(0, tls_expect_events(self->l.fd[1], POLLIN | POLLRDNORM,
				       10000));
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, TLS_PLAIN_MAX));
	ASSERT_EQ(0, tls_expect_events(self->l.fd[1], POLLIN | POLLRDNORM,
				       10000));
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data + TLS_PLAIN_MAX,
				      2 * TLS_PLAIN_MAX));
	FINISH();
}

TEST_F(window, peek)
{
	ASSERT_EQ(0, put_large(&self->l.w, 2));
	START();
	ASSERT_EQ(2 * TLS_PLAIN_MAX, recv(self->l.fd[1], buf, 2 * TLS_PLAIN_MAX,
					  MSG_PEEK | MSG_WAITALL));
	EXPECT_EQ(0, tls_compare(buf, data, 2 * TLS_PLAIN_MAX, "peek"));
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, 2 * TLS_PLAIN_MAX));
	FINISH();
}

/* In dribs and drabs: large and small records, read in parts. */
TEST_F(window, slowly)
{
	static const size_t lens[] = { 16384, 1, 300, 16384, 5000, 40 };
	size_t i, sum, at;
	ssize_t n;

	for (i = 0, sum = 0; i < ARRAY_SIZE(lens); sum += lens[i++]) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + sum,
					lens[i]));
	}
	self->piece = 239;
	START();
	for (at = 0; at < sum; at += n) {
		n = recv(self->l.fd[1], buf, 999, 0);
		ASSERT_LT(0, n);
		ASSERT_EQ(0, tls_compare(buf, data + at, n, "plaintext"));
	}
	FINISH();
}

/* Small ones, of which the reader leaves many in the queue. */
TEST_F(window, small_records)
{
	size_t i;

	for (i = 0; i < 400; i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + i * 90,
					90));
	}
	START();
	usleep(50000);
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, 36000));
	FINISH();
}

/* Also in a buffer of its own, a record is opened or it is not. */
TEST_F(window, bad_tag)
{
	uint8_t *p;

	ASSERT_EQ(0, put_large(&self->l.w, 1));
	p = tls_put(&self->l.w, TLS_DATA, data, TLS_PLAIN_MAX);
	ASSERT_NE(NULL, p);
	p[TLS_PLAIN_MAX / 2] ^= 1;
	START();
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, TLS_PLAIN_MAX));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EBADMSG, 0));
	FINISH();
}

TEST_F(window, ends_within)
{
	ASSERT_EQ(0, put_large(&self->l.w, 2));
	self->l.w.len -= 100;
	START();
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, TLS_PLAIN_MAX));
	FINISH();
	ASSERT_EQ(0, shutdown(self->l.fd[0], SHUT_WR));
	EXPECT_EQ(0, tls_expect_end(self->l.fd[1]));
}

TEST_HARNESS_MAIN
