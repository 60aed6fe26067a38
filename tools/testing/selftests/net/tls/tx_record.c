// SPDX-License-Identifier: GPL-2.0
/*
 * What goes over the wire for each kind of send: every suite, both versions,
 * both families. The records are opened with libcrypto.
 */
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "kselftest_harness.h"
#include "tls_common.h"

#define DATA_MAX	(256 << 10)

static uint8_t data[DATA_MAX];
static uint8_t scratch[DATA_MAX];

static const size_t sizes[] = {
	0, 1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256,
	257, 1023, 1024, 1025, 1460, 4095, 4096, 4097, 8191, 8192, 8193, 16382,
	16383, 16384, 16385, 16386, 32767, 32768, 32769, 49152, 65535, 65536,
	65537, 100000, 131072,
};

/*
 * The send buffer lies at any alignment and is overwritten as soon as send()
 * has returned: what was sent must not change any more.
 */
static ssize_t send_and_clobber(int fd, const void *from, size_t len, int flags)
{
	uint8_t *at = scratch + len % 61;
	ssize_t ret;

	memcpy(at, from, len);
	ret = send(fd, at, len, flags);
	memset(at, 0xa5, len);
	return ret;
}

FIXTURE(record)
{
	struct tls_link l;
};

FIXTURE_VARIANT(record)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS(record);

FIXTURE_SETUP(record)
{
	tls_fill(data, sizeof(data), 2);
	ASSERT_EQ(0, tls_link_open(&self->l, variant->family, variant->version,
				   variant->cipher));
}

FIXTURE_TEARDOWN(record)
{
	tls_link_close(&self->l);
}

TEST_F(record, sizes)
{
	size_t i, len;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		len = sizes[i];
		ASSERT_EQ(len, send_and_clobber(self->l.fd[0], data + i, len, 0));
		ASSERT_EQ(0, tls_expect_records(&self->l.r, TLS_DATA, data + i,
						len, TLS_PLAIN_MAX))
			TH_LOG("send of %zu bytes", len);
	}
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

/* Records of many sends without a reader in between keep their order. */
TEST_F(record, sizes_in_a_row)
{
	size_t i, at = 0;

	for (i = 0; i < ARRAY_SIZE(sizes) && sizes[i] <= 32768; i++) {
		ASSERT_EQ(sizes[i], write(self->l.fd[0], data + at, sizes[i]));
		at += sizes[i] / 7;
	}
	at = 0;
	for (i = 0; i < ARRAY_SIZE(sizes) && sizes[i] <= 32768; i++) {
		ASSERT_EQ(0, tls_expect_records(&self->l.r, TLS_DATA, data + at,
						sizes[i], TLS_PLAIN_MAX));
		at += sizes[i] / 7;
	}
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

/* Cuts total bytes of data into parts of these sizes, in a circle. */
static size_t cut(struct iovec *iov, size_t n, const size_t *part, size_t parts)
{
	size_t i, at = 0;

	for (i = 0; i < n; i++) {
		iov[i].iov_base = data + at;
		iov[i].iov_len = part[i % parts];
		at += part[i % parts];
	}
	return at;
}

TEST_F(record, vectors)
{
	static const size_t odd[] = { 0, 1, 0, 2, 3, 100, 0, 4097, 5, 1 };
	static const size_t tiny[] = { 17 }, none[] = { 0 };
	static const size_t pages[] = { 4096, 4000 };
	struct iovec iov[1024];
	size_t len, n;

	/* One call is one record, however many parts it comes in. */
	for (n = 1; n <= 30; n++) {
		len = cut(iov, n, odd, ARRAY_SIZE(odd));
		ASSERT_EQ(len, writev(self->l.fd[0], iov, n));
		ASSERT_EQ(0, tls_expect_records(&self->l.r, TLS_DATA, data, len,
						TLS_PLAIN_MAX))
			TH_LOG("%zu parts, %zu bytes", n, len);
	}
	/* More parts than a scatterlist holds, and over the record's limit. */
	len = cut(iov, 1024, tiny, 1);
	ASSERT_EQ(len, writev(self->l.fd[0], iov, 1024));
	ASSERT_EQ(0, tls_expect_records(&self->l.r, TLS_DATA, data, len,
					TLS_PLAIN_MAX));
	len = cut(iov, 19, pages, 2);
	ASSERT_EQ(len, writev(self->l.fd[0], iov, 19));
	ASSERT_EQ(0, tls_expect_records(&self->l.r, TLS_DATA, data, len,
					TLS_PLAIN_MAX));
	/* Nothing in many parts is nothing. */
	ASSERT_EQ(0, cut(iov, 20, none, 1));
	ASSERT_EQ(0, writev(self->l.fd[0], iov, 20));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

TEST_F(record, more_joins)
{
	const int fd = self->l.fd[0];
	struct tls_reader *r = &self->l.r;
	size_t i;

	for (i = 0; i < 100; i++)
		ASSERT_EQ(300, send_and_clobber(fd, data + i * 300, 300, MSG_MORE));
	ASSERT_EQ(1, send(fd, data + 30000, 1, 0));
	ASSERT_EQ(0, tls_expect_records(r, TLS_DATA, data, 30001,
					TLS_PLAIN_MAX));

	/* What joins may fill the record exactly, or spill over by one. */
	ASSERT_EQ(1, send(fd, data, 1, MSG_MORE));
	ASSERT_EQ(TLS_PLAIN_MAX - 1, send(fd, data + 1, TLS_PLAIN_MAX - 1, 0));
	ASSERT_EQ(0, tls_expect_record(r, TLS_DATA, data, TLS_PLAIN_MAX));
	ASSERT_EQ(1, send(fd, data, 1, MSG_MORE));
	ASSERT_EQ(TLS_PLAIN_MAX, send(fd, data + 1, TLS_PLAIN_MAX, 0));
	ASSERT_EQ(0, tls_expect_records(r, TLS_DATA, data, TLS_PLAIN_MAX + 1,
					TLS_PLAIN_MAX));

	/* Large parts do not wait for more than a record's remainder. */
	ASSERT_EQ(40000, send_and_clobber(fd, data, 40000, MSG_MORE));
	ASSERT_EQ(10000, send_and_clobber(fd, data + 40000, 10000, 0));
	ASSERT_EQ(0, tls_expect_records(r, TLS_DATA, data, 50000,
					TLS_PLAIN_MAX));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

/* Small and large, copied and mapped parts in one record. */
TEST_F(record, more_mixed)
{
	static const size_t step[] = { 1, 5000, 3, 0, 9000, 64, 20000, 2, 4096 };
	size_t i, at = 0;

	for (i = 0; i < 60; i++) {
		size_t len = step[i % ARRAY_SIZE(step)];

		ASSERT_EQ(len, send_and_clobber(self->l.fd[0], data + at, len,
						MSG_MORE));
		at += len;
	}
	ASSERT_EQ(7, send(self->l.fd[0], data + at, 7, 0));
	ASSERT_EQ(0, tls_expect_records(&self->l.r, TLS_DATA, data, at + 7,
					TLS_PLAIN_MAX));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

/* getsockopt() shows where the counters are. */
TEST_F(record, position)
{
	struct tls_key *want = &self->l.key, got;
	const struct tls_suite *s = want->suite;
	bool counts = variant->version == TLS_1_2_VERSION && s->nonce_len;
	uint8_t *low;
	socklen_t len;
	int i;

	for (i = 0; i < 6; i++) {
		got = *want;
		memset(got.raw, 0xee, sizeof(got.raw));
		len = want->len;
		ASSERT_EQ(0, getsockopt(self->l.fd[0], SOL_TLS, TLS_TX, got.raw,
					&len));
		ASSERT_EQ(want->len, len);
		ASSERT_EQ(0, memcmp(got.raw, want->raw, want->len))
			TH_LOG("after %d records", i);
		/* Behind it nothing is written. */
		ASSERT_EQ(0xee, got.raw[want->len]);

		ASSERT_EQ(10, send(self->l.fd[0], data, 10, 0));
		ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, data, 10));
		tls_key_set_seq(want, tls_key_get_seq(want) + 1);
		low = tls_key_iv(want) + s->iv_len - 1;
		if (counts && ++*low == 0)
			low[-1]++;
	}
	/* An open record has not been counted yet. */
	ASSERT_EQ(10, send(self->l.fd[0], data, 10, MSG_MORE));
	ASSERT_EQ(0, getsockopt(self->l.fd[0], SOL_TLS, TLS_TX, got.raw, &len));
	ASSERT_EQ(0, memcmp(got.raw, want->raw, want->len));
}

/* The suites for which a kernel may have no driver. */
FIXTURE(optional)
{
	struct tls_link l;
	bool missing;
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
	tls_fill(data, sizeof(data), 3);
	if (!tls_link_open(&self->l, variant->family, variant->version,
			   variant->cipher))
		return;
	ASSERT_EQ(ENOENT, errno);
	self->missing = true;
}

FIXTURE_TEARDOWN(optional)
{
	tls_link_close(&self->l);
}

TEST_F(optional, works_or_enoent)
{
	const int fd = self->l.fd[0];
	struct tls_reader *r = &self->l.r;
	struct tls_key aes;
	size_t i, len;

	if (self->missing) {
		/* After the refusal the socket is as it was. */
		ASSERT_EQ(0, tls_tcp_pair(variant->family, self->l.fd));
		ASSERT_EQ(0, tls_attach(self->l.fd[0]));
		ASSERT_EQ(-1, tls_set_tx(self->l.fd[0], &self->l.key));
		ASSERT_EQ(ENOENT, errno);
		ASSERT_EQ(20000, send(self->l.fd[0], data, 20000, 0));
		ASSERT_EQ(0, tls_expect_plain(self->l.fd[1], data, 20000));
		tls_key_make(&aes, TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_256, 4);
		ASSERT_EQ(0, tls_set_tx(self->l.fd[0], &aes));
		ASSERT_EQ(0, tls_reader_init(r, self->l.fd[1], &aes));
		ASSERT_EQ(100, send(self->l.fd[0], data, 100, 0));
		ASSERT_EQ(0, tls_expect_record(r, TLS_DATA, data, 100));
		return;
	}

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		len = sizes[i];
		ASSERT_EQ(len, send_and_clobber(fd, data, len, 0));
		ASSERT_EQ(0, tls_expect_records(r, TLS_DATA, data, len,
						TLS_PLAIN_MAX));
	}
	for (i = 0; i < 100; i++)
		ASSERT_EQ(300, send(fd, data + i * 300, 300, MSG_MORE));
	ASSERT_EQ(1, tls_send_type(fd, TLS_ALERT, "a", 1, 0));
	ASSERT_EQ(0, tls_expect_records(r, TLS_DATA, data, 30000,
					TLS_PLAIN_MAX));
	ASSERT_EQ(0, tls_expect_record(r, TLS_ALERT, "a", 1));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

TEST_HARNESS_MAIN
