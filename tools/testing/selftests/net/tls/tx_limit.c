// SPDX-License-Identifier: GPL-2.0
/* TLS_TX_MAX_PAYLOAD_LEN: what it accepts, and the records it makes. */
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "kselftest_harness.h"
#include "tls_common.h"

static uint8_t data[128 << 10];

static int set_limit(int fd, uint16_t limit)
{
	return setsockopt(fd, SOL_TLS, TLS_TX_MAX_PAYLOAD_LEN, &limit,
			  sizeof(limit));
}

static int get_limit(int fd)
{
	uint16_t limit = 0;
	socklen_t len = sizeof(limit);

	if (getsockopt(fd, SOL_TLS, TLS_TX_MAX_PAYLOAD_LEN, &limit, &len))
		return -1;
	return len == sizeof(limit) ? limit : -2;
}

FIXTURE(limit)
{
	struct tls_link l;
};

FIXTURE_VARIANT(limit)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_FEW(limit);
TLS_VARIANT(limit, 13_chacha20, 3, CHACHA20_POLY1305, INET);
TLS_VARIANT(limit, 12_aes_ccm_128_v6, 2, AES_CCM_128, INET6);

FIXTURE_SETUP(limit)
{
	tls_fill(data, sizeof(data), 6);
	ASSERT_EQ(0, tls_link_open(&self->l, variant->family, variant->version,
				   variant->cipher));
}

FIXTURE_TEARDOWN(limit)
{
	tls_link_close(&self->l);
}

/* A sender that was told to try again has no open record. */
TEST_F(limit, no_room)
{
	const int fd = self->l.fd[0];

	TLS_OURS_ONLY("EAGAIN leaves a record open, and the limit cannot be set");
	while (send(fd, data, sizeof(data), MSG_DONTWAIT) > 0)
		;
	ASSERT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, set_limit(fd, 1000));
	EXPECT_EQ(1000, get_limit(fd));
}

TEST_F(limit, records)
{
	static const uint16_t limits[] = { 64, 65, 100, 511, 512, 1400, 4096,
					   16383, 16384, 64 };
	const int fd = self->l.fd[0];
	size_t i, j;

	EXPECT_EQ(16384, get_limit(fd));
	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		size_t max = limits[i];
		const size_t len[] = { 1, max - 1, max, max + 1, 2 * max,
				       2 * max + 1, 5 * max - 1 };

		ASSERT_EQ(0, set_limit(fd, max));
		ASSERT_EQ(max, get_limit(fd));
		for (j = 0; j < ARRAY_SIZE(len); j++) {
			ASSERT_EQ(len[j], send(fd, data, len[j], 0));
			ASSERT_EQ(0, tls_expect_records(&self->l.r, TLS_DATA,
							data, len[j], max))
				TH_LOG("limit %zu, %zu bytes", max, len[j]);
		}
	}
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

TEST_F(limit, more_joins_up_to_it)
{
	const int fd = self->l.fd[0];
	int i;

	ASSERT_EQ(0, set_limit(fd, 100));
	for (i = 0; i < 9; i++)
		ASSERT_EQ(33, send(fd, data + i * 33, 33, MSG_MORE));
	ASSERT_EQ(0, tls_expect_records(&self->l.r, TLS_DATA, data, 200, 100));
	ASSERT_EQ(0, tls_expect_quiet(self->l.fd[1], 20));
	ASSERT_EQ(3, send(fd, data + 297, 3, MSG_MORE));
	ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, data + 200, 100));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

/* 20000 bytes in the smallest records there are. */
TEST_F(limit, many_records_in_one_send)
{
	ASSERT_EQ(0, set_limit(self->l.fd[0], 64));
	ASSERT_EQ(20000, send(self->l.fd[0], data, 20000, 0));
	ASSERT_EQ(0, tls_expect_records(&self->l.r, TLS_DATA, data, 20000, 64));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

TEST_F(limit, control_records_too)
{
	ASSERT_EQ(0, set_limit(self->l.fd[0], 512));
	ASSERT_EQ(1500, tls_send_type(self->l.fd[0], TLS_HANDSHAKE, data, 1500,
				      0));
	ASSERT_EQ(0, tls_expect_records(&self->l.r, TLS_HANDSHAKE, data, 1500,
					512));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

/* RFC 8449 counts the inner content type, the option does not. */
TEST_F(limit, values)
{
	const uint16_t least = variant->version == TLS_1_3_VERSION ? 63 : 64;
	const uint16_t bad[] = { 0, 1, 16, least - 1, 16385, 32768, 65535 };
	const int fd = self->l.fd[0];
	size_t i;

	ASSERT_EQ(0, set_limit(fd, 200));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ASSERT_EQ(-1, set_limit(fd, bad[i])) TH_LOG("%u", bad[i]);
		ASSERT_EQ(EINVAL, errno);
		ASSERT_EQ(200, get_limit(fd));
	}
	ASSERT_EQ(0, set_limit(fd, least));
	ASSERT_EQ(200, send(fd, data, 200, 0));
	ASSERT_EQ(0, tls_expect_records(&self->l.r, TLS_DATA, data, 200, least));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

TEST_F(limit, not_while_a_record_is_open)
{
	const int fd = self->l.fd[0];

	ASSERT_EQ(300, send(fd, data, 300, MSG_MORE));
	ASSERT_EQ(-1, set_limit(fd, 200));
	EXPECT_EQ(EBUSY, errno);
	ASSERT_EQ(-1, set_limit(fd, 1));
	EXPECT_EQ(EBUSY, errno);
	ASSERT_EQ(16384, get_limit(fd));
	ASSERT_EQ(300, send(fd, data + 300, 300, 0));
	ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, data, 600));
	ASSERT_EQ(0, set_limit(fd, 200));
	ASSERT_EQ(300, send(fd, data, 300, 0));
	ASSERT_EQ(0, tls_expect_records(&self->l.r, TLS_DATA, data, 300, 200));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

TEST_F(limit, forms)
{
	uint8_t *gone = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);
	const int fd = self->l.fd[0];
	const int opt = TLS_TX_MAX_PAYLOAD_LEN;
	union {
		uint16_t half;
		uint32_t word;
		uint8_t raw[8];
	} v;
	socklen_t len;

	ASSERT_NE(MAP_FAILED, gone);
	v.word = 200;
	for (len = 0; len <= 8; len++) {
		if (len == 2)
			continue;
		EXPECT_EQ(-1, setsockopt(fd, SOL_TLS, opt, &v, len));
		EXPECT_EQ(EINVAL, errno) TH_LOG("length %u", len);
	}
	EXPECT_EQ(-1, setsockopt(fd, SOL_TLS, opt, NULL, 2));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, setsockopt(fd, SOL_TLS, opt, gone, 2));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(16384, get_limit(fd));

	for (len = 0; len < 2; len++) {
		socklen_t l = len;

		EXPECT_EQ(-1, getsockopt(fd, SOL_TLS, opt, &v, &l));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(len, l);
	}
	/* A larger buffer is filled as far as the value goes. */
	memset(&v, 0xee, sizeof(v));
	len = sizeof(v);
	EXPECT_EQ(0, getsockopt(fd, SOL_TLS, opt, &v, &len));
	EXPECT_EQ(2, len);
	EXPECT_EQ(16384, v.half);
	EXPECT_EQ(0xee, v.raw[2]);
	len = 2;
	EXPECT_EQ(-1, getsockopt(fd, SOL_TLS, opt, gone, &len));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, getsockopt(fd, SOL_TLS, opt, NULL, &len));
	EXPECT_EQ(EFAULT, errno);
}

/* It may come before the keys; the version is not known then. */
TEST(limit_before_keys)
{
	struct tls_reader r;
	struct tls_key key;
	int fd[2];

	tls_key_make(&key, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128, 1);
	ASSERT_EQ(0, tls_tcp_pair(AF_INET, fd));
	ASSERT_EQ(0, tls_attach(fd[0]));
	ASSERT_EQ(16384, get_limit(fd[0]));
	ASSERT_EQ(-1, set_limit(fd[0], 63));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(0, set_limit(fd[0], 64));
	ASSERT_EQ(64, get_limit(fd[0]));
	ASSERT_EQ(300, send(fd[0], data, 300, 0));
	ASSERT_EQ(0, tls_expect_plain(fd[1], data, 300));
	ASSERT_EQ(0, tls_set_tx(fd[0], &key));
	ASSERT_EQ(0, tls_reader_init(&r, fd[1], &key));
	ASSERT_EQ(64, get_limit(fd[0]));
	ASSERT_EQ(300, send(fd[0], data, 300, 0));
	ASSERT_EQ(0, tls_expect_records(&r, TLS_DATA, data, 300, 64));
}

TEST_HARNESS_MAIN
