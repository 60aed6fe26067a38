// SPDX-License-Identifier: GPL-2.0
/*
 * splice() out of a socket with TLS_RX: into pipes, on into files and other
 * sockets. It takes at most a record at a time, and only data.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"

#include <fcntl.h>
#include <poll.h>

#include "tls_writer.h"

#define LEN	(256 << 10)

static uint8_t data[LEN], buf[LEN];

FIXTURE(splice)
{
	struct tls_inlet l;
	int p[2];
};

FIXTURE_VARIANT(splice)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANT(splice, 12_aes_gcm_128, 2, AES_GCM_128, INET);
TLS_VARIANT(splice, 12_chacha20_v6, 2, CHACHA20_POLY1305, INET6);
TLS_VARIANT(splice, 13_aes_gcm_256_v6, 3, AES_GCM_256, INET6);
TLS_VARIANT(splice, 13_aes_ccm_128, 3, AES_CCM_128, INET);

FIXTURE_SETUP(splice)
{
	tls_fill(data, sizeof(data), 220);
	ASSERT_EQ(0, tls_inlet_open(&self->l, variant->family, variant->version,
				    variant->cipher));
	ASSERT_EQ(0, pipe2(self->p, O_CLOEXEC));
}

FIXTURE_TEARDOWN(splice)
{
	close(self->p[0]);
	close(self->p[1]);
	tls_inlet_close(&self->l);
}

static ssize_t out(int fd, int p[2], size_t len, int flags)
{
	return splice(fd, NULL, p[1], NULL, len, flags);
}

static int expect_pipe(int p[2], const void *want, size_t len)
{
	size_t at;
	ssize_t n;

	for (at = 0; at < len; at += n) {
		n = read(p[0], buf + at, len - at);
		if (n <= 0)
			return tls_wrong("the pipe has %zu of %zu bytes", at,
					 len);
	}
	return tls_compare(buf, want, len, "pipe");
}

TEST_F(splice, sizes)
{
	static const size_t lens[] = { 1, 100, 4095, 4096, 4097, 10000, 16384 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, lens[i]));
		ASSERT_EQ(lens[i], out(self->l.fd[1], self->p, lens[i], 0));
		ASSERT_EQ(0, expect_pipe(self->p, data, lens[i]));
		/* More is asked for than there is. */
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, lens[i]));
		ASSERT_EQ(lens[i], out(self->l.fd[1], self->p, 1 << 20, 0));
		ASSERT_EQ(0, expect_pipe(self->p, data, lens[i]));
	}
}

TEST_F(splice, in_parts)
{
	static const size_t parts[] = { 1, 777, 4096, 5000, 16383 };
	size_t i, at;
	ssize_t n;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		size_t len = parts[i] == 1 ? 50 : TLS_PLAIN_MAX;

		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, len));
		for (at = 0; at < len; at += n) {
			n = out(self->l.fd[1], self->p, parts[i], 0);
			ASSERT_EQ(len - at < parts[i] ? len - at : parts[i], n);
			ASSERT_EQ(0, expect_pipe(self->p, data + at, n));
		}
	}
	EXPECT_EQ(-1, out(self->l.fd[1], self->p, 10, SPLICE_F_NONBLOCK));
	EXPECT_EQ(EAGAIN, errno);
}

/* The size of records does not show in what arrives. */
TEST_F(splice, to_file)
{
	static const size_t lens[] = { 16384, 1, 100, 4096, 9999, 16384 };
	int file = memfd_create("spliced", MFD_CLOEXEC);
	size_t i, sum, at;
	ssize_t n, m;

	ASSERT_LE(0, file);
	for (i = 0, sum = 0; sum < LEN - TLS_PLAIN_MAX; i++) {
		size_t len = lens[i % ARRAY_SIZE(lens)];

		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + sum, len));
		sum += len;
	}
	ASSERT_EQ(0, tls_push(&self->l.w));
	for (at = 0; at < sum; at += n) {
		n = out(self->l.fd[1], self->p, LEN, SPLICE_F_MOVE);
		ASSERT_LT(0, n);
		for (i = 0; i < (size_t)n; i += m) {
			m = splice(self->p[0], NULL, file, NULL, n - i, 0);
			ASSERT_LT(0, m);
		}
	}
	ASSERT_EQ(sum, at);
	ASSERT_EQ(sum, pread(file, buf, LEN, 0));
	EXPECT_EQ(0, tls_compare(buf, data, sum, "file"));
	close(file);
}

/* What is in a pipe is not touched by what is received later. */
TEST_F(splice, stays)
{
	static uint8_t later[TLS_PLAIN_MAX];
	int i;

	ASSERT_LE(LEN, fcntl(self->p[1], F_SETPIPE_SZ, 1 << 20));
	for (i = 0; i < 40; i++) {
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data + i * 1000,
				       1000));
		ASSERT_EQ(1000, out(self->l.fd[1], self->p, 1000, 0));
		tls_fill(later, sizeof(later), 1000 + i);
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, later,
				       i % 3 ? 500 : TLS_PLAIN_MAX));
		ASSERT_EQ(0, tls_expect_bytes(self->l.fd[1], later,
					      i % 3 ? 500 : TLS_PLAIN_MAX));
	}
	EXPECT_EQ(0, expect_pipe(self->p, data, 40000));
}

/* On into another connection; the bytes are sent again from where they are. */
TEST_F(splice, to_socket)
{
	int fd[2], i;
	size_t at;
	ssize_t n;

	ASSERT_EQ(0, tls_tcp_pair(variant->family, fd));
	for (i = 0; i < 12; i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA,
					data + i * TLS_PLAIN_MAX,
					TLS_PLAIN_MAX));
	}
	ASSERT_EQ(0, tls_push(&self->l.w));
	for (at = 0; at < 12 * TLS_PLAIN_MAX; at += n) {
		n = out(self->l.fd[1], self->p, TLS_PLAIN_MAX, 0);
		ASSERT_LT(0, n);
		ASSERT_EQ(n, splice(self->p[0], NULL, fd[0], NULL, n, 0));
	}
	EXPECT_EQ(0, tls_expect_plain(fd[1], data, 12 * TLS_PLAIN_MAX));
	close(fd[0]);
	close(fd[1]);
}

/* Other types cannot be told of: they stay for those who can be told. */
TEST_F(splice, other_type)
{
	const int fd = self->l.fd[1];
	int i;

	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_ALERT, data, 2));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_HANDSHAKE, data, 50));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + 100, 100));
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(100, out(fd, self->p, 1000, 0));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-1, out(fd, self->p, 1000, 0));
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(0, tls_expect_events(fd, POLLIN | POLLRDNORM, 0));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_ALERT, data, 2, 0));
	EXPECT_EQ(-1, out(fd, self->p, 1000, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, tls_expect_got(fd, TLS_HANDSHAKE, data, 50, MSG_PEEK));
	EXPECT_EQ(-1, out(fd, self->p, 1000, 0));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_HANDSHAKE, data, 50, 0));
	ASSERT_EQ(100, out(fd, self->p, 1000, 0));
	EXPECT_EQ(0, expect_pipe(self->p, data, 200));
}

/* Behind a look, and behind a part that was read: what was opened comes first. */
TEST_F(splice, mixed_with_recv)
{
	const int fd = self->l.fd[1];
	int i;

	for (i = 0; i < 4; i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + i * 1000,
					1000));
	}
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	ASSERT_EQ(2500, recv(fd, buf, 2500, MSG_PEEK));
	ASSERT_EQ(1000, out(fd, self->p, 1500, 0));
	ASSERT_EQ(0, tls_expect_bytes(fd, data + 1000, 300));
	ASSERT_EQ(700, out(fd, self->p, 5000, 0));
	ASSERT_EQ(0, expect_pipe(self->p, data, 1000));
	ASSERT_EQ(0, expect_pipe(self->p, data + 1300, 700));
	ASSERT_EQ(1, out(fd, self->p, 1, 0));
	ASSERT_EQ(0, expect_pipe(self->p, data + 2000, 1));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data + 2001, 1999, 0));
}

/* An empty record is skipped; C's module says that this was the end. */
TEST_F(splice, empty)
{
	ssize_t n;

	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 0));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_EQ(0, tls_push(&self->l.w));
	n = out(self->l.fd[1], self->p, 1000, 0);
	if (!n && !tls_is_ours())
		n = out(self->l.fd[1], self->p, 1000, 0);
	EXPECT_EQ(100, n);
	EXPECT_EQ(0, expect_pipe(self->p, data, 100));
}

TEST_F(splice, does_not_wait)
{
	const int fd = self->l.fd[1];

	EXPECT_EQ(-1, out(fd, self->p, 100, SPLICE_F_NONBLOCK));
	EXPECT_EQ(EAGAIN, errno);
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_EQ(0, tls_push_some(&self->l.w, 60));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	EXPECT_EQ(-1, out(fd, self->p, 100, SPLICE_F_NONBLOCK));
	EXPECT_EQ(EAGAIN, errno);
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_events(fd, POLLIN | POLLRDNORM, 1000));
	EXPECT_EQ(100, out(fd, self->p, 100, SPLICE_F_NONBLOCK));
}

/* Without room in the pipe nothing is taken, and nothing lost. */
TEST_F(splice, full_pipe)
{
	const int fd = self->l.fd[1];
	size_t at = 0;
	ssize_t n;

	ASSERT_EQ(4096, fcntl(self->p[1], F_SETPIPE_SZ, 4096));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, TLS_PLAIN_MAX));
	EXPECT_EQ(0, tls_expect_events(fd, POLLIN | POLLRDNORM, 1000));
	while (at < TLS_PLAIN_MAX) {
		n = out(fd, self->p, TLS_PLAIN_MAX, SPLICE_F_NONBLOCK);
		ASSERT_LT(0, n);
		if (at + n < TLS_PLAIN_MAX) {
			EXPECT_EQ(-1, out(fd, self->p, TLS_PLAIN_MAX,
					  SPLICE_F_NONBLOCK));
			EXPECT_EQ(EAGAIN, errno);
		}
		ASSERT_EQ(0, expect_pipe(self->p, data + at, n));
		at += n;
	}
	EXPECT_EQ(TLS_PLAIN_MAX, at);
}

TEST_F(splice, ends)
{
	uint8_t *p;

	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
	ASSERT_EQ(0, shutdown(self->l.fd[0], SHUT_WR));
	EXPECT_EQ(100, out(self->l.fd[1], self->p, 1000, 0));
	EXPECT_EQ(0, out(self->l.fd[1], self->p, 1000, 0));
	tls_inlet_close(&self->l);

	ASSERT_EQ(0, tls_inlet_open(&self->l, variant->family, variant->version,
				    variant->cipher));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	p = tls_put(&self->l.w, TLS_DATA, data, 100);
	ASSERT_NE(NULL, p);
	p[60] ^= 1;
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(100, out(self->l.fd[1], self->p, 1000, 0));
	EXPECT_EQ(-1, out(self->l.fd[1], self->p, 1000, 0));
	EXPECT_EQ(EBADMSG, errno);
	EXPECT_EQ(-1, out(self->l.fd[1], self->p, 1000, 0));
	EXPECT_EQ(EBADMSG, errno);
	tls_inlet_close(&self->l);

	ASSERT_EQ(0, tls_inlet_open(&self->l, variant->family, variant->version,
				    variant->cipher));
	memset(self->l.w.wire, 0xff, 20);
	self->l.w.len = 20;
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(-1, out(self->l.fd[1], self->p, 1000, 0));
	EXPECT_EQ(EMSGSIZE, errno);
	EXPECT_EQ(-1, out(self->l.fd[1], self->p, 1000, SPLICE_F_NONBLOCK));
	EXPECT_EQ(EAGAIN, errno);
}

/* The padding of 1.3 is not data. */
TEST_F(splice, padding)
{
	if (variant->version != TLS_1_3_VERSION)
		return;
	ASSERT_NE(NULL, tls_put_odd(&self->l.w, TLS_DATA, TLS_DATA, data, 5000,
				    3000));
	ASSERT_NE(NULL, tls_put_odd(&self->l.w, TLS_DATA, TLS_DATA, data + 5000,
				    1, 16383));
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(5000, out(self->l.fd[1], self->p, 9000, 0));
	ASSERT_EQ(1, out(self->l.fd[1], self->p, 9000, 0));
	EXPECT_EQ(0, expect_pipe(self->p, data, 5001));
}

TEST_HARNESS_MAIN
