// SPDX-License-Identifier: GPL-2.0
/*
 * setsockopt() and getsockopt() of TLS_RX: what is refused, with which error, and
 * that a refused call leaves the connection as it was.
 */
#include "kselftest_harness.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>

#include "tls_writer.h"

static uint8_t data[32 << 10];

static int set(int fd, const void *val, socklen_t len)
{
	return setsockopt(fd, SOL_TLS, TLS_RX, val, len);
}

static int get(int fd, void *val, socklen_t len)
{
	socklen_t given = len;
	int ret = getsockopt(fd, SOL_TLS, TLS_RX, val, &given);

	return !ret && given != len ? -2 : ret;
}

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

FIXTURE(setopt)
{
	struct tls_inlet l;
	uint8_t *hole;
};

FIXTURE_VARIANT(setopt)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_EACH(setopt);

FIXTURE_SETUP(setopt)
{
	tls_fill(data, sizeof(data), 230);
	self->hole = page_before_hole();
	ASSERT_NE(NULL, self->hole);
	ASSERT_EQ(0, tls_inlet_open_plain(&self->l, variant->family,
					  variant->version, variant->cipher));
	ASSERT_EQ(0, tls_attach(self->l.fd[1]));
}

FIXTURE_TEARDOWN(setopt)
{
	munmap(self->hole - 4096, 8192);
	tls_inlet_close(&self->l);
}

static int works(struct tls_inlet *l)
{
	return tls_write(&l->w, TLS_DATA, data, 300) ||
	       tls_expect_got(l->fd[1], TLS_DATA, data, 300, 0);
}

TEST_F(setopt, refused)
{
	const int fd = self->l.fd[1];
	const struct tls_key *k = &self->l.key;
	struct tls_key bad = *k;

	EXPECT_ERROR(EINVAL, set(fd, NULL, k->len));
	EXPECT_ERROR(EINVAL, set(fd, k->raw, 0));
	EXPECT_ERROR(EINVAL, set(fd, k->raw, 3));
	EXPECT_ERROR(EINVAL, set(fd, k->raw, 4));
	EXPECT_ERROR(EINVAL, set(fd, k->raw, k->len - 1));
	EXPECT_ERROR(EINVAL, set(fd, k->raw, k->len + 1));
	EXPECT_ERROR(EFAULT, set(fd, self->hole, k->len));
	memcpy(self->hole - 4, k->raw, 4);
	EXPECT_ERROR(EFAULT, set(fd, self->hole - 4, k->len));
	memcpy(self->hole - k->len + 1, k->raw, k->len - 1);
	EXPECT_ERROR(EFAULT, set(fd, self->hole - k->len + 1, k->len));
	bad.info.version = 0x301;
	EXPECT_ERROR(EINVAL, set(fd, bad.raw, bad.len));
	bad.info.version = 0x305;
	EXPECT_ERROR(EINVAL, set(fd, bad.raw, bad.len));
	bad = *k;
	bad.info.cipher_type = 50;
	EXPECT_ERROR(EINVAL, set(fd, bad.raw, bad.len));
	bad.info.cipher_type = 0;
	EXPECT_ERROR(EINVAL, set(fd, bad.raw, bad.len));
	EXPECT_ERROR(EBUSY, get(fd, bad.raw, k->len));

	/* Still a TCP connection. */
	ASSERT_EQ(100, send(self->l.fd[0], data, 100, 0));
	ASSERT_EQ(0, tls_expect_plain(fd, data, 100));
	ASSERT_EQ(0, tls_set_rx(fd, k));
	EXPECT_EQ(0, works(&self->l));
}

TEST_F(setopt, not_attached)
{
	EXPECT_ERROR(ENOPROTOOPT, set(self->l.fd[0], self->l.key.raw,
				      self->l.key.len));
}

TEST_F(setopt, get)
{
	struct tls_key *k = &self->l.key, got = *k;
	const int fd = self->l.fd[1];

	EXPECT_ERROR(EBUSY, get(fd, got.raw, 4));
	ASSERT_EQ(0, tls_set_rx(fd, k));
	/* The head alone, and all; nothing between, nothing longer. */
	memset(got.raw, 0xee, sizeof(got.raw));
	ASSERT_EQ(0, get(fd, got.raw, 4));
	EXPECT_EQ(variant->version, got.info.version);
	EXPECT_EQ(variant->cipher, got.info.cipher_type);
	EXPECT_EQ(0xee, got.raw[4]);
	memset(got.raw, 0xee, sizeof(got.raw));
	ASSERT_EQ(0, get(fd, got.raw, k->len));
	EXPECT_EQ(0, memcmp(got.raw, k->raw, k->len));
	EXPECT_EQ(0xee, got.raw[k->len]);
	EXPECT_ERROR(EINVAL, get(fd, got.raw, 0));
	EXPECT_ERROR(EINVAL, get(fd, got.raw, 3));
	EXPECT_ERROR(EINVAL, get(fd, got.raw, 5));
	EXPECT_ERROR(EINVAL, get(fd, got.raw, k->len - 1));
	EXPECT_ERROR(EINVAL, get(fd, got.raw, k->len + 1));
	EXPECT_ERROR(EINVAL, get(fd, NULL, k->len));
	EXPECT_ERROR(EFAULT, get(fd, self->hole, 4));
	EXPECT_ERROR(EFAULT, get(fd, self->hole - 10, k->len));
	/* The other direction has no keys. */
	EXPECT_EQ(-1, getsockopt(fd, SOL_TLS, TLS_TX, got.raw,
				 &(socklen_t){ k->len }));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(0, works(&self->l));
}

/* Once in 1.2; with what, does not matter. It counts, but changes nothing. */
TEST_F(setopt, twice)
{
	const int fd = self->l.fd[1];
	const struct tls_key *k = &self->l.key;
	long errors = tls_stat("TlsRxRekeyError");
	struct tls_key other;

	ASSERT_EQ(0, tls_set_rx(fd, k));
	if (variant->version == TLS_1_3_VERSION) {
		ASSERT_EQ(0, tls_set_rx(fd, k));
		EXPECT_EQ(errors, tls_stat("TlsRxRekeyError"));
		EXPECT_EQ(0, works(&self->l));
		return;
	}
	EXPECT_ERROR(EBUSY, set(fd, k->raw, k->len));
	tls_key_make(&other, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128, 60);
	EXPECT_ERROR(EBUSY, set(fd, other.raw, other.len));
	EXPECT_ERROR(EBUSY, set(fd, self->hole, k->len));
	EXPECT_ERROR(EBUSY, set(fd, k->raw, 4));
	EXPECT_EQ(errors + 4, tls_stat("TlsRxRekeyError"));
	EXPECT_ERROR(EINVAL, set(fd, k->raw, 3));
	EXPECT_ERROR(EINVAL, set(fd, NULL, k->len));
	EXPECT_EQ(errors + 4, tls_stat("TlsRxRekeyError"));
	EXPECT_EQ(0, works(&self->l));
}

/* Both directions have the same version and suite, whichever comes first. */
TEST_F(setopt, mismatch)
{
	const int fd = self->l.fd[1];
	struct tls_key version, cipher, tx;

	tls_key_make(&version, variant->version == TLS_1_3_VERSION ?
		     TLS_1_2_VERSION : TLS_1_3_VERSION, variant->cipher, 61);
	tls_key_make(&cipher, variant->version,
		     variant->cipher == TLS_CIPHER_AES_GCM_128 ?
		     TLS_CIPHER_AES_CCM_128 : TLS_CIPHER_AES_GCM_128, 62);
	tls_key_make(&tx, variant->version, variant->cipher, 63);
	ASSERT_EQ(0, tls_set_tx(fd, &tx));
	EXPECT_ERROR(EINVAL, tls_set_rx(fd, &version));
	EXPECT_ERROR(EINVAL, tls_set_rx(fd, &cipher));
	ASSERT_EQ(0, tls_set_rx(fd, &self->l.key));
	EXPECT_EQ(0, works(&self->l));

	ASSERT_EQ(0, tls_attach(self->l.fd[0]));
	ASSERT_EQ(0, tls_set_rx(self->l.fd[0], &tx));
	EXPECT_ERROR(EINVAL, tls_set_tx(self->l.fd[0], &version));
	EXPECT_ERROR(EINVAL, tls_set_tx(self->l.fd[0], &cipher));
	ASSERT_EQ(0, tls_set_tx(self->l.fd[0], &self->l.key));
}

/* What was sent before a connection ended can still be decrypted. */
TEST_F(setopt, after_the_end)
{
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 300));
	ASSERT_EQ(0, shutdown(self->l.fd[0], SHUT_WR));
	EXPECT_EQ(0, tls_settle(self->l.fd[0]));
	ASSERT_EQ(0, tls_set_rx(self->l.fd[1], &self->l.key));
	EXPECT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data, 300, 0));
	EXPECT_EQ(0, tls_expect_end(self->l.fd[1]));
}

TEST_F(setopt, counted)
{
	long rx = tls_stat("TlsRxSw"), now = tls_stat("TlsCurrRxSw");

	EXPECT_EQ(tls_stat("TlsCurrTxSw"), 0);
	ASSERT_EQ(0, tls_set_rx(self->l.fd[1], &self->l.key));
	EXPECT_EQ(rx + 1, tls_stat("TlsRxSw"));
	EXPECT_EQ(now + 1, tls_stat("TlsCurrRxSw"));
	EXPECT_EQ(tls_stat("TlsCurrTxSw"), 0);
	close(self->l.fd[1]);
	self->l.fd[1] = -1;
	EXPECT_EQ(rx + 1, tls_stat("TlsRxSw"));
	EXPECT_EQ(now, tls_stat("TlsCurrRxSw"));
}

/* TCP's own options still work. */
TEST_F(setopt, of_tcp)
{
	const int fd = self->l.fd[1];
	struct tcp_info info;
	socklen_t len = sizeof(info);
	int on = 1;

	ASSERT_EQ(0, tls_set_rx(fd, &self->l.key));
	EXPECT_EQ(0, setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	ASSERT_EQ(0, getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	EXPECT_EQ(TCP_ESTABLISHED, info.tcpi_state);
	EXPECT_ERROR(EEXIST, tls_attach(fd));
	EXPECT_ERROR(ENOPROTOOPT, setsockopt(fd, SOL_TLS, 77, &on, sizeof(on)));
	EXPECT_EQ(0, works(&self->l));
}

FIXTURE(optional)
{
	struct tls_inlet l;
	int err;
};

FIXTURE_VARIANT(optional)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_OPTIONAL(optional);

FIXTURE_SETUP(optional)
{
	tls_fill(data, sizeof(data), 231);
	if (tls_inlet_open(&self->l, variant->family, variant->version,
			   variant->cipher))
		self->err = errno;
}

FIXTURE_TEARDOWN(optional)
{
	tls_inlet_close(&self->l);
}

TEST_F(optional, works)
{
	static const size_t lens[] = { 1, 16, 100, 5000, 16384 };
	size_t i;

	if (self->err) {
		ASSERT_EQ(ENOENT, self->err);
		return;
	}
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, lens[i]));
		ASSERT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data,
					    lens[i], 0));
	}
}

TEST(aria_is_not_in_13)
{
	struct tls_inlet l;

	EXPECT_ERROR(EINVAL, tls_inlet_open(&l, AF_INET, TLS_1_3_VERSION,
					    TLS_CIPHER_ARIA_GCM_128));
}

TEST_HARNESS_MAIN
