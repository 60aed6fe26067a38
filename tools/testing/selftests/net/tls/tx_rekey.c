// SPDX-License-Identifier: GPL-2.0
/* TLS_TX for the second time: a key update in 1.3, an error in 1.2. */
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "kselftest_harness.h"
#include "tls_common.h"

/* KeyUpdate, update_not_requested. */
#define KEY_UPDATE	"\x18\0\0\1\0"

static uint8_t data[32 << 10];

/* A link, and how the counters of its namespace stood. */
struct counted {
	struct tls_link l;
	long ok, error;
};

static int counted_open(struct counted *c, int family, uint16_t version,
			uint16_t cipher)
{
	tls_fill(data, sizeof(data), 16);
	c->ok = tls_stat("TlsTxRekeyOk");
	c->error = tls_stat("TlsTxRekeyError");
	return c->ok < 0 || c->error < 0 ||
	       tls_link_open(&c->l, family, version, cipher);
}

static int still_works(struct tls_link *l)
{
	return send(l->fd[0], data, 300, 0) != 300 ||
	       tls_expect_record(&l->r, TLS_DATA, data, 300);
}

static int set_both(struct tls_link *l, const struct tls_key *key)
{
	return tls_set_tx(l->fd[0], key) || tls_reader_rekey(&l->r, key);
}

#define EXPECT_COUNTED(more_ok, more_errors) do { \
	EXPECT_EQ(self->c.ok += (more_ok), tls_stat("TlsTxRekeyOk")); \
	EXPECT_EQ(self->c.error += (more_errors), \
		  tls_stat("TlsTxRekeyError")); \
} while (0)

/* Refused, counted or not, and the old key goes on. */
#define REFUSED(err, counted, val, len) do { \
	EXPECT_EQ(-1, setsockopt(self->c.l.fd[0], SOL_TLS, TLS_TX, val, len)); \
	EXPECT_EQ(err, errno); \
	EXPECT_COUNTED(0, counted); \
	ASSERT_EQ(0, still_works(&self->c.l)); \
} while (0)

FIXTURE(once)
{
	struct counted c;
};

FIXTURE_VARIANT(once)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANT(once, 12_aes_gcm_128, 2, AES_GCM_128, INET);
TLS_VARIANT(once, 12_aes_gcm_256_v6, 2, AES_GCM_256, INET6);
TLS_VARIANT(once, 12_aes_ccm_128, 2, AES_CCM_128, INET);
TLS_VARIANT(once, 12_chacha20_v6, 2, CHACHA20_POLY1305, INET6);

FIXTURE_SETUP(once)
{
	ASSERT_EQ(0, counted_open(&self->c, variant->family, variant->version,
				  variant->cipher));
}

FIXTURE_TEARDOWN(once)
{
	tls_link_close(&self->c.l);
}

TEST_F(once, busy)
{
	uint8_t *gone = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);
	const struct tls_key *old = &self->c.l.key;
	struct tls_key key;

	ASSERT_NE(MAP_FAILED, gone);
	EXPECT_COUNTED(0, 0);
	ASSERT_EQ(0, still_works(&self->c.l));
	REFUSED(EBUSY, 1, old->raw, old->len);
	tls_key_make(&key, variant->version, variant->cipher, 17);
	REFUSED(EBUSY, 1, key.raw, key.len);
	tls_key_make(&key, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128, 17);
	REFUSED(EBUSY, 1, key.raw, key.len);
	/* Nobody looks at what it would have been. */
	REFUSED(EBUSY, 1, key.raw, 4);
	REFUSED(EBUSY, 1, gone, key.len);
	/* These are not even an attempt. */
	REFUSED(EINVAL, 0, key.raw, 3);
	REFUSED(EINVAL, 0, NULL, key.len);
	EXPECT_EQ(0, tls_link_finish(&self->c.l));
}

FIXTURE(rekey)
{
	struct counted c;
};

FIXTURE_VARIANT(rekey)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANT(rekey, 13_aes_gcm_128, 3, AES_GCM_128, INET);
TLS_VARIANT(rekey, 13_aes_gcm_128_v6, 3, AES_GCM_128, INET6);
TLS_VARIANT(rekey, 13_aes_gcm_256_v6, 3, AES_GCM_256, INET6);
TLS_VARIANT(rekey, 13_aes_ccm_128, 3, AES_CCM_128, INET);
TLS_VARIANT(rekey, 13_chacha20_v6, 3, CHACHA20_POLY1305, INET6);

FIXTURE_SETUP(rekey)
{
	ASSERT_EQ(0, counted_open(&self->c, variant->family, variant->version,
				  variant->cipher));
}

FIXTURE_TEARDOWN(rekey)
{
	tls_link_close(&self->c.l);
}

TEST_F(rekey, new_key)
{
	const int fd = self->c.l.fd[0];
	struct tls_reader *r = &self->c.l.r;
	struct tls_key key, got;
	socklen_t len;
	int i;

	EXPECT_COUNTED(0, 0);
	ASSERT_EQ(0, still_works(&self->c.l));
	for (i = 0; i < 4; i++) {
		tls_key_make(&key, variant->version, variant->cipher, 18 + i);
		tls_key_set_seq(&key, i * 1000);
		/* As a TLS library does: the message still has the old key. */
		ASSERT_EQ(5, tls_send_type(fd, TLS_HANDSHAKE, KEY_UPDATE, 5,
					   0));
		ASSERT_EQ(0, tls_set_tx(fd, &key));
		EXPECT_COUNTED(1, 0);
		memset(&got, 0xee, sizeof(got));
		len = key.len;
		ASSERT_EQ(0, getsockopt(fd, SOL_TLS, TLS_TX, got.raw, &len));
		EXPECT_EQ(0, memcmp(got.raw, key.raw, key.len));
		ASSERT_EQ(20000, send(fd, data, 20000, 0));
		ASSERT_EQ(0, tls_expect_record(r, TLS_HANDSHAKE, KEY_UPDATE, 5));
		ASSERT_EQ(0, tls_reader_rekey(r, &key));
		ASSERT_EQ(0, tls_expect_records(r, TLS_DATA, data, 20000,
						TLS_PLAIN_MAX));
	}
	/* The same key again starts again where it says. */
	ASSERT_EQ(0, set_both(&self->c.l, &key));
	EXPECT_COUNTED(1, 0);
	ASSERT_EQ(0, still_works(&self->c.l));
	EXPECT_EQ(0, tls_link_finish(&self->c.l));
}

/* An open record is closed with the key that is there when it closes. */
TEST_F(rekey, open_record)
{
	const int fd = self->c.l.fd[0];
	struct tls_key key;

	ASSERT_EQ(100, send(fd, data, 100, MSG_MORE));
	tls_key_make(&key, variant->version, variant->cipher, 30);
	ASSERT_EQ(0, set_both(&self->c.l, &key));
	ASSERT_EQ(0, tls_expect_quiet(self->c.l.fd[1], 20));
	ASSERT_EQ(100, send(fd, data + 100, 100, 0));
	ASSERT_EQ(0, tls_expect_record(&self->c.l.r, TLS_DATA, data, 200));
	EXPECT_EQ(0, tls_link_finish(&self->c.l));
}

/* The way on for a connection that comes to the end of its numbers. */
TEST_F(rekey, new_count)
{
	struct tls_key key;
	int i;

	tls_key_make(&key, variant->version, variant->cipher, 31);
	tls_key_set_seq(&key, UINT64_MAX - 1);
	ASSERT_EQ(0, set_both(&self->c.l, &key));
	ASSERT_EQ(0, still_works(&self->c.l));
	tls_key_make(&key, variant->version, variant->cipher, 32);
	tls_key_set_seq(&key, 0);
	ASSERT_EQ(0, set_both(&self->c.l, &key));
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, still_works(&self->c.l));
	EXPECT_COUNTED(2, 0);
	EXPECT_EQ(0, tls_link_finish(&self->c.l));
}

TEST_F(rekey, keeps_the_limit)
{
	const uint16_t limit = 1000;
	struct tls_key key;
	socklen_t len;
	uint16_t got;

	ASSERT_EQ(0, setsockopt(self->c.l.fd[0], SOL_TLS, TLS_TX_MAX_PAYLOAD_LEN,
				&limit, sizeof(limit)));
	tls_key_make(&key, variant->version, variant->cipher, 33);
	ASSERT_EQ(0, set_both(&self->c.l, &key));
	len = sizeof(got);
	ASSERT_EQ(0, getsockopt(self->c.l.fd[0], SOL_TLS, TLS_TX_MAX_PAYLOAD_LEN,
				&got, &len));
	EXPECT_EQ(limit, got);
	ASSERT_EQ(2500, send(self->c.l.fd[0], data, 2500, 0));
	ASSERT_EQ(0, tls_expect_records(&self->c.l.r, TLS_DATA, data, 2500,
					limit));
	EXPECT_EQ(0, tls_link_finish(&self->c.l));
}

TEST_F(rekey, refused)
{
	uint8_t *hole = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct tls_key good, bad;

	ASSERT_NE(MAP_FAILED, hole);
	hole += 4096;
	ASSERT_EQ(0, mprotect(hole, 4096, PROT_NONE));
	tls_key_make(&good, variant->version, variant->cipher, 40);

	/* Version and cipher stay. */
	bad = good;
	bad.info.version = TLS_1_2_VERSION;
	REFUSED(EINVAL, 1, bad.raw, bad.len);
	bad.info.version = 0;
	REFUSED(EINVAL, 1, bad.raw, bad.len);
	tls_key_make(&bad, variant->version,
		     variant->cipher == TLS_CIPHER_AES_GCM_128 ?
		     TLS_CIPHER_AES_CCM_128 : TLS_CIPHER_AES_GCM_128, 41);
	REFUSED(EINVAL, 1, bad.raw, bad.len);
	bad = good;
	bad.info.cipher_type = 0;
	REFUSED(EINVAL, 1, bad.raw, bad.len);

	REFUSED(EINVAL, 1, good.raw, good.len - 1);
	REFUSED(EINVAL, 1, good.raw, good.len + 1);
	REFUSED(EINVAL, 1, good.raw, 4);
	REFUSED(EINVAL, 0, good.raw, 3);
	REFUSED(EINVAL, 0, NULL, good.len);
	REFUSED(EFAULT, 1, hole, good.len);
	memcpy(hole - 4, good.raw, 4);
	REFUSED(EFAULT, 1, hole - 4, good.len);
	memcpy(hole - good.len + 1, good.raw, good.len - 1);
	REFUSED(EFAULT, 1, hole - good.len + 1, good.len);

	ASSERT_EQ(0, set_both(&self->c.l, &good));
	EXPECT_COUNTED(1, 0);
	ASSERT_EQ(0, still_works(&self->c.l));
	EXPECT_EQ(0, tls_link_finish(&self->c.l));
}

TEST_HARNESS_MAIN
