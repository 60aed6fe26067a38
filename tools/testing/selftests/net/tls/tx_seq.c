// SPDX-License-Identifier: GPL-2.0
/* The record sequence number and the explicit nonce, up to their ends. */
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "kselftest_harness.h"
#include "tls_common.h"

static uint8_t data[64 << 10];

FIXTURE(seq)
{
	int fd[2];
	struct tls_key key;
	struct tls_reader r;
};

FIXTURE_VARIANT(seq)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_INET(seq);
TLS_VARIANT(seq, 12_aes_gcm_128_v6, 2, AES_GCM_128, INET6);
TLS_VARIANT(seq, 13_aes_gcm_256_v6, 3, AES_GCM_256, INET6);

FIXTURE_SETUP(seq)
{
	tls_fill(data, sizeof(data), 8);
	tls_key_make(&self->key, variant->version, variant->cipher, 9);
	ASSERT_EQ(0, tls_tcp_pair(variant->family, self->fd));
	ASSERT_EQ(0, tls_attach(self->fd[0]));
}

FIXTURE_TEARDOWN(seq)
{
	tls_reader_free(&self->r);
	close(self->fd[0]);
	close(self->fd[1]);
}

static int start_at(struct tls_key *k, struct tls_reader *r, const int fd[2],
		    uint64_t first)
{
	tls_key_set_seq(k, first);
	return tls_set_tx(fd[0], k) || tls_reader_init(r, fd[1], k);
}

static int error_of(int fd)
{
	socklen_t len = sizeof(int);
	int err = -1;

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	return err;
}

/* Each byte of the number takes a carry from the byte below. */
TEST_F(seq, carries)
{
	static const uint64_t first[] = {
		0, 0xfe, 0xfffe, 0xfffffffe, 0x00ffffffffffffff,
		0x7fffffffffffffff, 0xfeffffffffffffff, 0xffffffffffffff00,
	};
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(first); i++) {
		ASSERT_EQ(0, start_at(&self->key, &self->r, self->fd, first[i]));
		for (n = 0; n < 4; n++) {
			ASSERT_EQ(100, send(self->fd[0], data, 100, 0));
			ASSERT_EQ(0, tls_expect_record(&self->r, TLS_DATA, data,
						       100));
		}
		tls_reader_free(&self->r);
		close(self->fd[0]);
		close(self->fd[1]);
		ASSERT_EQ(0, tls_tcp_pair(variant->family, self->fd));
		ASSERT_EQ(0, tls_attach(self->fd[0]));
	}
}

/* The explicit nonce of 1.2 has an end, too, but no meaning: it goes round. */
TEST_F(seq, nonce_goes_round)
{
	size_t i;

	memset(tls_key_iv(&self->key), 0xff, self->key.suite->iv_len);
	ASSERT_EQ(0, start_at(&self->key, &self->r, self->fd, 5));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(100, send(self->fd[0], data, 100, 0));
		ASSERT_EQ(0, tls_expect_record(&self->r, TLS_DATA, data, 100));
	}
}

/*
 * The record with the highest number of all would need a successor that reuses
 * a nonce. It is not sent, and nothing is after it.
 */
TEST_F(seq, no_wrap)
{
	struct pollfd p = { .fd = self->fd[0], .events = POLLOUT };
	int i;

	ASSERT_EQ(0, start_at(&self->key, &self->r, self->fd, UINT64_MAX - 1));
	ASSERT_EQ(100, send(self->fd[0], data, 100, 0));
	ASSERT_EQ(0, tls_expect_record(&self->r, TLS_DATA, data, 100));
	EXPECT_EQ(0, error_of(self->fd[0]));

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(-1, send(self->fd[0], data, 100, 0));
		EXPECT_EQ(EBADMSG, errno);
	}
	ASSERT_EQ(-1, tls_send_type(self->fd[0], TLS_ALERT, "\1\0", 2, 0));
	EXPECT_EQ(EBADMSG, errno);
	ASSERT_EQ(1, poll(&p, 1, 0));
	EXPECT_EQ(POLLERR, p.revents & POLLERR);
	ASSERT_EQ(0, tls_expect_quiet(self->fd[1], 50));
	EXPECT_EQ(EBADMSG, error_of(self->fd[0]));
}

/* In the middle of a send: what went out is counted, the error comes next. */
TEST_F(seq, no_wrap_within_a_send)
{
	ASSERT_EQ(0, start_at(&self->key, &self->r, self->fd, UINT64_MAX - 2));
	ASSERT_EQ(2 * TLS_PLAIN_MAX, send(self->fd[0], data, 60000, 0));
	ASSERT_EQ(0, tls_expect_records(&self->r, TLS_DATA, data,
					2 * TLS_PLAIN_MAX, TLS_PLAIN_MAX));
	ASSERT_EQ(-1, send(self->fd[0], data, 100, 0));
	EXPECT_EQ(EBADMSG, errno);
	ASSERT_EQ(0, tls_expect_quiet(self->fd[1], 50));
}

/* The same with data that waited for more. */
TEST_F(seq, no_wrap_of_an_open_record)
{
	ASSERT_EQ(0, start_at(&self->key, &self->r, self->fd, UINT64_MAX));
	ASSERT_EQ(100, send(self->fd[0], data, 100, MSG_MORE));
	EXPECT_EQ(0, error_of(self->fd[0]));
	ASSERT_EQ(-1, tls_send_type(self->fd[0], TLS_ALERT, "\1\0", 2, 0));
	EXPECT_EQ(EBADMSG, errno);
	ASSERT_EQ(-1, send(self->fd[0], data, 100, 0));
	EXPECT_EQ(EBADMSG, errno);
	ASSERT_EQ(0, tls_expect_quiet(self->fd[1], 50));
}

/* The abort is final for the peer, too: after close() it sees the end. */
TEST_F(seq, close_after_wrap)
{
	char c;

	ASSERT_EQ(0, start_at(&self->key, &self->r, self->fd, UINT64_MAX - 1));
	ASSERT_EQ(100, send(self->fd[0], data, 100, 0));
	ASSERT_EQ(-1, send(self->fd[0], data, 100, 0));
	EXPECT_EQ(EBADMSG, errno);
	ASSERT_EQ(0, close(self->fd[0]));
	ASSERT_EQ(0, tls_expect_record(&self->r, TLS_DATA, data, 100));
	ASSERT_EQ(0, recv(self->fd[1], &c, 1, 0));
}

TEST_HARNESS_MAIN
