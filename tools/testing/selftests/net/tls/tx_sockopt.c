// SPDX-License-Identifier: GPL-2.0
/*
 * Attaching TLS and setting TLS_TX: all that is refused, with which error, and
 * that a refused call leaves the connection as it was.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "kselftest_harness.h"
#include "tls_common.h"

static uint8_t data[32 << 10];

static int ulp(int fd, const char *name, socklen_t len)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_ULP, name, len);
}

static int set(int fd, const void *val, socklen_t len)
{
	return setsockopt(fd, SOL_TLS, TLS_TX, val, len);
}

static int get(int fd, void *val, socklen_t len)
{
	return getsockopt(fd, SOL_TLS, TLS_TX, val, &len);
}

/* A page, and behind it one that must not be touched. */
static uint8_t *page_before_hole(void)
{
	uint8_t *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + 4096, 4096, PROT_NONE))
		return NULL;
	return p + 4096;
}

#define EXPECT_ERROR(err, call) do { \
	EXPECT_EQ(-1, call) TH_LOG("%s", #call); \
	EXPECT_EQ(err, errno) TH_LOG("%s", #call); \
} while (0)

FIXTURE(attach)
{
	int fd[2];
};

FIXTURE_VARIANT(attach)
{
	int family;
};

FIXTURE_VARIANT_ADD(attach, ipv4) { .family = AF_INET };
FIXTURE_VARIANT_ADD(attach, ipv6) { .family = AF_INET6 };

FIXTURE_SETUP(attach)
{
	ASSERT_EQ(0, tls_tcp_pair(variant->family, self->fd));
}

FIXTURE_TEARDOWN(attach)
{
	close(self->fd[0]);
	close(self->fd[1]);
}

TEST_F(attach, not_connected)
{
	struct sockaddr_storage any = { .ss_family = variant->family };
	int fd = socket(variant->family, SOCK_STREAM, 0);

	ASSERT_LE(0, fd);
	EXPECT_ERROR(ENOTCONN, tls_attach(fd));
	ASSERT_EQ(0, bind(fd, (struct sockaddr *)&any, sizeof(any)));
	EXPECT_ERROR(ENOTCONN, tls_attach(fd));
	ASSERT_EQ(0, listen(fd, 1));
	EXPECT_ERROR(ENOTCONN, tls_attach(fd));
	close(fd);
}

TEST_F(attach, closed)
{
	struct linger abort = { .l_onoff = 1 };
	char c;

	/* Half closed by this side, then by both. */
	ASSERT_EQ(0, shutdown(self->fd[0], SHUT_WR));
	EXPECT_ERROR(ENOTCONN, tls_attach(self->fd[0]));
	ASSERT_EQ(0, recv(self->fd[1], &c, 1, 0));
	EXPECT_ERROR(ENOTCONN, tls_attach(self->fd[1]));
	close(self->fd[0]);
	close(self->fd[1]);

	/* Reset by the peer. */
	ASSERT_EQ(0, tls_tcp_pair(variant->family, self->fd));
	ASSERT_EQ(0, setsockopt(self->fd[1], SOL_SOCKET, SO_LINGER, &abort,
				sizeof(abort)));
	ASSERT_EQ(0, shutdown(self->fd[1], SHUT_RD));
	close(self->fd[1]);
	ASSERT_EQ(-1, recv(self->fd[0], &c, 1, 0));
	ASSERT_EQ(ECONNRESET, errno);
	EXPECT_ERROR(ENOTCONN, tls_attach(self->fd[0]));
	self->fd[1] = dup(self->fd[0]);
}

TEST_F(attach, other_protocols)
{
	int fd = socket(variant->family, SOCK_DGRAM, 0);

	ASSERT_LE(0, fd);
	EXPECT_ERROR(ENOPROTOOPT, tls_attach(fd));
	close(fd);
}

TEST_F(attach, twice)
{
	ASSERT_EQ(0, tls_attach(self->fd[0]));
	EXPECT_ERROR(EEXIST, tls_attach(self->fd[0]));
	/* The other end is another socket. */
	ASSERT_EQ(0, tls_attach(self->fd[1]));
}

TEST_F(attach, names)
{
	EXPECT_ERROR(EINVAL, ulp(self->fd[0], "tls", 0));
	EXPECT_ERROR(EFAULT, ulp(self->fd[0], NULL, 4));
	EXPECT_ERROR(ENOENT, ulp(self->fd[0], "tls", 2));
	EXPECT_ERROR(ENOENT, ulp(self->fd[0], "tls ", 4));
	EXPECT_ERROR(ENOENT, ulp(self->fd[0], "TLS", 4));
	ASSERT_EQ(0, ulp(self->fd[0], "tls", 3));
	ASSERT_EQ(0, ulp(self->fd[1], "tls\0rest of it", 14));
}

TEST_F(attach, name_back)
{
	char name[32] = "none";
	socklen_t len = sizeof(name);

	ASSERT_EQ(0, getsockopt(self->fd[0], IPPROTO_TCP, TCP_ULP, name, &len));
	EXPECT_EQ(0, len);
	EXPECT_STREQ("none", name);
	ASSERT_EQ(0, tls_attach(self->fd[0]));
	len = sizeof(name);
	ASSERT_EQ(0, getsockopt(self->fd[0], IPPROTO_TCP, TCP_ULP, name, &len));
	EXPECT_EQ(16, len);
	EXPECT_STREQ("tls", name);
}

/* Without keys all is TCP, apart from the options. */
TEST_F(attach, plain_until_keys)
{
	char c;

	EXPECT_ERROR(ENOPROTOOPT, set(self->fd[0], data, 40));
	ASSERT_EQ(0, tls_attach(self->fd[0]));
	tls_fill(data, sizeof(data), 11);
	ASSERT_EQ(20000, send(self->fd[0], data, 20000, MSG_MORE));
	ASSERT_EQ(100, send(self->fd[0], data + 20000, 100, 0));
	ASSERT_EQ(0, tls_expect_plain(self->fd[1], data, 20100));
	ASSERT_EQ(1, send(self->fd[0], "x", 1, MSG_OOB));
	ASSERT_EQ(1, recv(self->fd[1], &c, 1, MSG_OOB));
	EXPECT_EQ('x', c);
	ASSERT_EQ(1, send(self->fd[1], "y", 1, 0));
	ASSERT_EQ(1, recv(self->fd[0], &c, 1, 0));
	EXPECT_EQ('y', c);
}

TEST_F(attach, no_disconnect)
{
	struct sockaddr addr = { .sa_family = AF_UNSPEC };
	struct tls_reader r;
	struct tls_key key;

	ASSERT_EQ(0, tls_attach(self->fd[0]));
	EXPECT_ERROR(EOPNOTSUPP, connect(self->fd[0], &addr, sizeof(addr)));
	ASSERT_EQ(5, send(self->fd[0], "plain", 5, 0));
	ASSERT_EQ(0, tls_expect_plain(self->fd[1], "plain", 5));

	tls_key_make(&key, TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128, 12);
	ASSERT_EQ(0, tls_set_tx(self->fd[0], &key));
	ASSERT_EQ(0, tls_reader_init(&r, self->fd[1], &key));
	EXPECT_ERROR(EOPNOTSUPP, connect(self->fd[0], &addr, sizeof(addr)));
	ASSERT_EQ(6, send(self->fd[0], "secret", 6, 0));
	ASSERT_EQ(0, tls_expect_record(&r, TLS_DATA, "secret", 6));
	tls_reader_free(&r);
}

FIXTURE(setopt)
{
	int fd[2];
	struct tls_key key;
	struct tls_reader r;
	uint8_t *hole;
};

FIXTURE_VARIANT(setopt)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_INET(setopt);
TLS_VARIANT(setopt, 12_aes_gcm_128_v6, 2, AES_GCM_128, INET6);
TLS_VARIANT(setopt, 13_aes_gcm_256_v6, 3, AES_GCM_256, INET6);

FIXTURE_SETUP(setopt)
{
	tls_fill(data, sizeof(data), 13);
	self->hole = page_before_hole();
	ASSERT_NE(NULL, self->hole);
	tls_key_make(&self->key, variant->version, variant->cipher, 14);
	ASSERT_EQ(0, tls_tcp_pair(variant->family, self->fd));
	ASSERT_EQ(0, tls_attach(self->fd[0]));
	ASSERT_EQ(0, tls_reader_init(&self->r, self->fd[1], &self->key));
}

FIXTURE_TEARDOWN(setopt)
{
	tls_reader_free(&self->r);
	close(self->fd[0]);
	close(self->fd[1]);
}

static int still_plain(const int fd[2])
{
	static int turn;
	uint8_t *at = data + turn++ % 1000;

	return send(fd[0], at, 700, 0) != 700 ||
	       tls_expect_plain(fd[1], at, 700);
}

static int still_tls(const int fd[2], struct tls_reader *r)
{
	return send(fd[0], data, 700, 0) != 700 ||
	       tls_expect_record(r, TLS_DATA, data, 700);
}

/* The first TLS_TX: every refusal leaves plain TCP, which can still start. */
#define REFUSED(err, call) do { \
	EXPECT_ERROR(err, call); \
	ASSERT_EQ(0, still_plain(self->fd)); \
	EXPECT_ERROR(EBUSY, get(self->fd[0], data, 4)); \
} while (0)

TEST_F(setopt, first_refused)
{
	static const uint16_t versions[] = { 0, 0x0300, 0x0301, 0x0302, 0x0305,
					     0x0403, 0xfefd, 0xffff };
	static const uint16_t ciphers[] = { 0, 1, 49, 50, 59, 60, 0x3300,
					    0xffff };
	const struct tls_key good = self->key;
	const int fd = self->fd[0];
	struct tls_key bad;
	socklen_t len;
	size_t i;

	REFUSED(EINVAL, set(fd, NULL, good.len));
	REFUSED(EINVAL, set(fd, NULL, 0));
	for (len = 0; len < good.len + 8; len++)
		if (len != good.len)
			REFUSED(EINVAL, set(fd, good.raw, len));
	REFUSED(EINVAL, set(fd, good.raw, -1));
	for (i = 0; i < ARRAY_SIZE(versions); i++) {
		bad = good;
		bad.info.version = versions[i];
		REFUSED(EINVAL, set(fd, bad.raw, bad.len));
	}
	for (i = 0; i < ARRAY_SIZE(ciphers); i++) {
		bad = good;
		bad.info.cipher_type = ciphers[i];
		REFUSED(EINVAL, set(fd, bad.raw, bad.len));
	}
	/* The head cannot be read, or what follows cannot. */
	REFUSED(EFAULT, set(fd, self->hole, good.len));
	memcpy(self->hole - 3, good.raw, 3);
	REFUSED(EFAULT, set(fd, self->hole - 3, good.len));
	memcpy(self->hole - 4, good.raw, 4);
	REFUSED(EFAULT, set(fd, self->hole - 4, good.len));
	memcpy(self->hole - good.len + 1, good.raw, good.len - 1);
	REFUSED(EFAULT, set(fd, self->hole - good.len + 1, good.len));
	/* An unreadable rest of the wrong length is of the wrong length. */
	memcpy(self->hole - 4, good.raw, 4);
	REFUSED(EINVAL, set(fd, self->hole - 4, good.len + 1));

	/* As far as it must be readable, up to the last byte. */
	memcpy(self->hole - good.len, good.raw, good.len);
	ASSERT_EQ(0, set(fd, self->hole - good.len, good.len));
	ASSERT_EQ(0, still_tls(self->fd, &self->r));
}

TEST_F(setopt, aria_only_in_12)
{
	struct tls_key aria;
	uint16_t cipher;

	for (cipher = TLS_CIPHER_ARIA_GCM_128;
	     cipher <= TLS_CIPHER_ARIA_GCM_256; cipher++) {
		tls_key_make(&aria, TLS_1_3_VERSION, cipher, 15);
		REFUSED(EINVAL, tls_set_tx(self->fd[0], &aria));
	}
}

TEST_F(setopt, short_and_full_back)
{
	const int fd = self->fd[0];
	struct tls_key got = self->key;
	socklen_t len;

	EXPECT_ERROR(EBUSY, get(fd, got.raw, 4));
	EXPECT_ERROR(EBUSY, get(fd, got.raw, self->key.len));
	EXPECT_ERROR(EINVAL, get(fd, got.raw, 3));
	EXPECT_ERROR(EINVAL, get(fd, NULL, 4));
	ASSERT_EQ(0, tls_set_tx(fd, &self->key));

	memset(got.raw, 0xee, sizeof(got.raw));
	len = 4;
	ASSERT_EQ(0, getsockopt(fd, SOL_TLS, TLS_TX, got.raw, &len));
	EXPECT_EQ(4, len);
	EXPECT_EQ(variant->version, got.info.version);
	EXPECT_EQ(variant->cipher, got.info.cipher_type);
	EXPECT_EQ(0xee, got.raw[4]);
	len = self->key.len;
	ASSERT_EQ(0, getsockopt(fd, SOL_TLS, TLS_TX, got.raw, &len));
	EXPECT_EQ(self->key.len, len);
	EXPECT_EQ(0, memcmp(got.raw, self->key.raw, len));

	memset(got.raw, 0xee, sizeof(got.raw));
	for (len = 0; len < self->key.len + 8; len++)
		if (len != 4 && len != self->key.len)
			EXPECT_ERROR(EINVAL, get(fd, got.raw, len));
	EXPECT_ERROR(EINVAL, get(fd, got.raw, -1));
	EXPECT_ERROR(EINVAL, get(fd, NULL, self->key.len));
	EXPECT_ERROR(EFAULT, getsockopt(fd, SOL_TLS, TLS_TX, got.raw, NULL));
	EXPECT_ERROR(EFAULT, get(fd, self->hole, 4));
	EXPECT_ERROR(EFAULT, get(fd, self->hole - 3, 4));
	EXPECT_ERROR(EFAULT, get(fd, self->hole - 4, self->key.len));
	EXPECT_EQ(0xee, got.raw[0]);
	ASSERT_EQ(0, get(fd, self->hole - self->key.len, self->key.len));
	EXPECT_EQ(0, memcmp(self->hole - self->key.len, self->key.raw,
			    self->key.len));
	ASSERT_EQ(0, still_tls(self->fd, &self->r));
}

TEST_HARNESS_MAIN
