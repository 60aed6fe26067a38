// SPDX-License-Identifier: GPL-2.0
/*
 * The remaining options: those of SOL_TLS that are not keys, the agreement of
 * both directions, and all that belongs to the layers below.
 */
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "kselftest_harness.h"
#include "tls_common.h"

static uint8_t data[32 << 10];

#define EXPECT_ERROR(err, call) do { \
	EXPECT_EQ(-1, call) TH_LOG("%s", #call); \
	EXPECT_EQ(err, errno) TH_LOG("%s", #call); \
} while (0)

static int get_int(int fd, int level, int opt)
{
	socklen_t len = sizeof(int);
	int v = -2;

	if (getsockopt(fd, level, opt, &v, &len))
		return -1;
	return len == sizeof(v) ? v : -3;
}

static int set_int(int fd, int level, int opt, int v)
{
	return setsockopt(fd, level, opt, &v, sizeof(v));
}

FIXTURE(options)
{
	struct tls_link l;
};

FIXTURE_VARIANT(options)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_FEW(options);

FIXTURE_SETUP(options)
{
	tls_fill(data, sizeof(data), 20);
	ASSERT_EQ(0, tls_link_open(&self->l, variant->family, variant->version,
				   variant->cipher));
}

FIXTURE_TEARDOWN(options)
{
	tls_link_close(&self->l);
}

static int still_works(struct tls_link *l)
{
	return send(l->fd[0], data, 300, 0) != 300 ||
	       tls_expect_record(&l->r, TLS_DATA, data, 300);
}

TEST_F(options, unknown)
{
	static const int opts[] = { 0, 6, 7, 100, -1, INT32_MAX };
	const int fd = self->l.fd[0];
	socklen_t len = 4;
	uint32_t v = 1;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(opts); i++) {
		EXPECT_ERROR(ENOPROTOOPT, setsockopt(fd, SOL_TLS, opts[i], &v,
						     sizeof(v)));
		EXPECT_ERROR(ENOPROTOOPT, setsockopt(fd, SOL_TLS, opts[i], NULL,
						     0));
		EXPECT_ERROR(ENOPROTOOPT, getsockopt(fd, SOL_TLS, opts[i], &v,
						     &len));
		EXPECT_ERROR(EFAULT, getsockopt(fd, SOL_TLS, opts[i], &v, NULL));
	}
	len = -1;
	EXPECT_ERROR(EINVAL, getsockopt(fd, SOL_TLS, 100, &v, &len));
	ASSERT_EQ(0, still_works(&self->l));
}

TEST_F(options, zerocopy_ro)
{
	void *gone = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	const int fd = self->l.fd[0], opt = TLS_TX_ZEROCOPY_RO;
	uint32_t v[2] = { 1, 0 };
	socklen_t len;

	ASSERT_NE(MAP_FAILED, gone);
	EXPECT_EQ(0, get_int(fd, SOL_TLS, opt));
	for (len = 0; len <= 8; len++) {
		socklen_t l = len;

		if (len == 4)
			continue;
		EXPECT_ERROR(EINVAL, setsockopt(fd, SOL_TLS, opt, v, len));
		EXPECT_ERROR(EINVAL, getsockopt(fd, SOL_TLS, opt, v, &l));
	}
	EXPECT_ERROR(EINVAL, setsockopt(fd, SOL_TLS, opt, NULL, 4));
	EXPECT_ERROR(EFAULT, setsockopt(fd, SOL_TLS, opt, gone, 4));
	EXPECT_ERROR(EINVAL, set_int(fd, SOL_TLS, opt, 2));
	EXPECT_ERROR(EINVAL, set_int(fd, SOL_TLS, opt, -1));
	EXPECT_ERROR(EINVAL, set_int(fd, SOL_TLS, opt, 0x100));
	EXPECT_EQ(0, get_int(fd, SOL_TLS, opt));

	ASSERT_EQ(0, set_int(fd, SOL_TLS, opt, 1));
	EXPECT_EQ(1, get_int(fd, SOL_TLS, opt));
	len = 4;
	EXPECT_ERROR(EFAULT, getsockopt(fd, SOL_TLS, opt, gone, &len));
	EXPECT_ERROR(EINVAL, set_int(fd, SOL_TLS, opt, 2));
	EXPECT_EQ(1, get_int(fd, SOL_TLS, opt));
	/* Without a card that does TLS it changes nothing. */
	ASSERT_EQ(0, still_works(&self->l));
	ASSERT_EQ(0, set_int(fd, SOL_TLS, opt, 0));
	EXPECT_EQ(0, get_int(fd, SOL_TLS, opt));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

/* An option of the receiving half, which is not there. */
TEST_F(options, no_pad_without_rx)
{
	const int fd = self->l.fd[0], opt = TLS_RX_EXPECT_NO_PAD;

	EXPECT_ERROR(EINVAL, set_int(fd, SOL_TLS, opt, 0));
	EXPECT_ERROR(EINVAL, set_int(fd, SOL_TLS, opt, 1));
	EXPECT_ERROR(EINVAL, set_int(fd, SOL_TLS, opt, 2));
	EXPECT_ERROR(EINVAL, get_int(fd, SOL_TLS, opt));
	ASSERT_EQ(0, still_works(&self->l));
}

TEST_F(options, rx_has_no_keys)
{
	uint8_t buf[64];
	socklen_t len = self->l.key.len;

	EXPECT_ERROR(EBUSY, getsockopt(self->l.fd[0], SOL_TLS, TLS_RX, buf,
				       &len));
	len = 3;
	EXPECT_ERROR(EINVAL, getsockopt(self->l.fd[0], SOL_TLS, TLS_RX, buf,
					&len));
}

/* Before any keys these options are there, too. */
TEST_F(options, without_keys)
{
	int fd[2];

	ASSERT_EQ(0, tls_tcp_pair(variant->family, fd));
	ASSERT_EQ(0, tls_attach(fd[0]));
	EXPECT_ERROR(ENOPROTOOPT, set_int(fd[0], SOL_TLS, 6, 1));
	EXPECT_EQ(0, set_int(fd[0], SOL_TLS, TLS_TX_ZEROCOPY_RO, 1));
	EXPECT_EQ(1, get_int(fd[0], SOL_TLS, TLS_TX_ZEROCOPY_RO));
	EXPECT_ERROR(EINVAL, set_int(fd[0], SOL_TLS, TLS_RX_EXPECT_NO_PAD, 1));
	EXPECT_ERROR(EINVAL, get_int(fd[0], SOL_TLS, TLS_RX_EXPECT_NO_PAD));
	ASSERT_EQ(300, send(fd[0], data, 300, 0));
	ASSERT_EQ(0, tls_expect_plain(fd[1], data, 300));
	close(fd[0]);
	close(fd[1]);
}

static bool has_rx(const struct tls_key *k)
{
	bool yes;
	int fd[2];

	if (tls_tcp_pair(AF_INET, fd))
		return false;
	yes = !tls_attach(fd[0]) &&
	      !setsockopt(fd[0], SOL_TLS, TLS_RX, k->raw, k->len);
	close(fd[0]);
	close(fd[1]);
	return yes;
}

/* Version and cipher are one choice for both directions. */
TEST_F(options, agree_with_rx)
{
	struct tls_key key, other[2];
	struct tls_reader r;
	int fd[2];
	size_t i;

	if (!has_rx(&self->l.key))
		SKIP(return, "no TLS_RX here");
	tls_key_make(&key, variant->version, variant->cipher, 21);
	tls_key_make(&other[0], variant->version, TLS_CIPHER_CHACHA20_POLY1305,
		     22);
	tls_key_make(&other[1], variant->version ^ TLS_1_2_VERSION ^
		     TLS_1_3_VERSION, variant->cipher, 23);

	/* TLS_TX is there, TLS_RX differs. */
	for (i = 0; i < 2; i++)
		EXPECT_ERROR(EINVAL, setsockopt(self->l.fd[0], SOL_TLS, TLS_RX,
						other[i].raw, other[i].len));
	ASSERT_EQ(0, still_works(&self->l));
	ASSERT_EQ(0, setsockopt(self->l.fd[0], SOL_TLS, TLS_RX, key.raw,
				key.len));
	ASSERT_EQ(0, still_works(&self->l));

	/* The other way round. */
	ASSERT_EQ(0, tls_tcp_pair(variant->family, fd));
	ASSERT_EQ(0, tls_attach(fd[0]));
	ASSERT_EQ(0, setsockopt(fd[0], SOL_TLS, TLS_RX, key.raw, key.len));
	for (i = 0; i < 2; i++) {
		EXPECT_ERROR(EINVAL, tls_set_tx(fd[0], &other[i]));
		ASSERT_EQ(300, send(fd[0], data, 300, 0));
		ASSERT_EQ(0, tls_expect_plain(fd[1], data, 300));
	}
	ASSERT_EQ(0, tls_set_tx(fd[0], &key));
	ASSERT_EQ(0, tls_reader_init(&r, fd[1], &key));
	ASSERT_EQ(300, send(fd[0], data, 300, 0));
	ASSERT_EQ(0, tls_expect_record(&r, TLS_DATA, data, 300));
	tls_reader_free(&r);
	close(fd[0]);
	close(fd[1]);
}

/* TCP and IP keep their options. */
TEST_F(options, other_levels)
{
	const int fd = self->l.fd[0];
	struct tcp_info info = {};
	socklen_t len = sizeof(info);
	int was, queued = -1;

	EXPECT_EQ(0, get_int(fd, IPPROTO_TCP, TCP_NODELAY));
	EXPECT_EQ(0, set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1));
	EXPECT_EQ(1, get_int(fd, IPPROTO_TCP, TCP_NODELAY));
	EXPECT_EQ(0, set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1));
	EXPECT_EQ(1, get_int(fd, SOL_SOCKET, SO_KEEPALIVE));
	was = get_int(fd, SOL_SOCKET, SO_SNDBUF);
	EXPECT_EQ(0, set_int(fd, SOL_SOCKET, SO_SNDBUF, 50000));
	EXPECT_EQ(100000, get_int(fd, SOL_SOCKET, SO_SNDBUF));
	EXPECT_NE(was, 100000);
	if (variant->family == AF_INET) {
		EXPECT_EQ(0, set_int(fd, IPPROTO_IP, IP_TOS, IPTOS_LOWDELAY));
		EXPECT_EQ(IPTOS_LOWDELAY, get_int(fd, IPPROTO_IP, IP_TOS));
	} else {
		EXPECT_EQ(0, set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, 0x20));
		EXPECT_EQ(0x20, get_int(fd, IPPROTO_IPV6, IPV6_TCLASS));
	}
	EXPECT_EQ(SOCK_STREAM, get_int(fd, SOL_SOCKET, SO_TYPE));
	EXPECT_EQ(IPPROTO_TCP, get_int(fd, SOL_SOCKET, SO_PROTOCOL));
	EXPECT_ERROR(EINVAL, listen(fd, 1));
	EXPECT_ERROR(ENOPROTOOPT, set_int(fd, IPPROTO_TCP, 12345, 1));

	ASSERT_EQ(0, still_works(&self->l));
	ASSERT_EQ(0, getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	EXPECT_EQ(TCP_ESTABLISHED, info.tcpi_state);
	EXPECT_LT(300, info.tcpi_snd_mss);
	ASSERT_EQ(0, ioctl(fd, TIOCOUTQ, &queued));
	EXPECT_LE(0, queued);
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

/* A cork holds back complete records; it makes none of its own. */
TEST_F(options, cork)
{
	const int fd = self->l.fd[0];
	size_t i, at = 0;

	ASSERT_EQ(0, set_int(fd, IPPROTO_TCP, TCP_CORK, 1));
	for (i = 1; i <= 10; i++) {
		ASSERT_EQ(i, send(fd, data + at, i, 0));
		at += i;
	}
	ASSERT_EQ(0, tls_expect_quiet(self->l.fd[1], 50));
	ASSERT_EQ(0, set_int(fd, IPPROTO_TCP, TCP_CORK, 0));
	at = 0;
	for (i = 1; i <= 10; i++) {
		ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, data + at,
					       i));
		at += i;
	}
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

/* Both names of a socket are the same TLS connection. */
TEST_F(options, dup)
{
	int twin = dup(self->l.fd[0]);

	ASSERT_LE(0, twin);
	ASSERT_EQ(10, send(twin, data, 10, MSG_MORE));
	ASSERT_EQ(10, send(self->l.fd[0], data + 10, 10, 0));
	ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, data, 20));
	close(twin);
	ASSERT_EQ(0, still_works(&self->l));
}

/* Every socket has its own keys and counters. */
TEST_F(options, neighbours)
{
	struct tls_link n[4];
	size_t i, turn;

	for (i = 0; i < ARRAY_SIZE(n); i++)
		ASSERT_EQ(0, tls_link_open(&n[i], i & 1 ? AF_INET : AF_INET6,
					   i & 2 ? TLS_1_2_VERSION :
					   TLS_1_3_VERSION, 51 + i));
	for (turn = 0; turn < 5; turn++) {
		for (i = 0; i < ARRAY_SIZE(n); i++)
			ASSERT_EQ(500, send(n[i].fd[0], data + i, 500, MSG_MORE));
		for (i = 0; i < ARRAY_SIZE(n); i++)
			ASSERT_EQ(9, send(n[i].fd[0], data + i + 500, 9, 0));
		for (i = 0; i < ARRAY_SIZE(n); i++)
			ASSERT_EQ(0, tls_expect_record(&n[i].r, TLS_DATA,
						       data + i, 509));
	}
	for (i = 0; i < ARRAY_SIZE(n); i++)
		tls_link_close(&n[i]);
}

TEST_HARNESS_MAIN
