// SPDX-License-Identifier: GPL-2.0
/* Records that libcrypto made, one by one and in rows, as the reader gets them. */
#include "kselftest_harness.h"

#include "tls_writer.h"

#define LEN	(256 << 10)

static uint8_t data[LEN], buf[LEN];

FIXTURE(record)
{
	struct tls_inlet l;
};

FIXTURE_VARIANT(record)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_EACH(record);

FIXTURE_SETUP(record)
{
	tls_fill(data, sizeof(data), 100);
	ASSERT_EQ(0, tls_inlet_open(&self->l, variant->family, variant->version,
				    variant->cipher));
}

FIXTURE_TEARDOWN(record)
{
	tls_inlet_close(&self->l);
}

TEST_F(record, sizes)
{
	static const size_t lens[] = {
		1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128,
		255, 256, 257, 1000, 1447, 1448, 1449, 4063, 4064, 4075, 4076,
		4095, 4096, 4097, 8191, 8192, 8193, 12288, 16367, 16368, 16382,
		16383, 16384,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data + i, lens[i]));
		ASSERT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data + i,
					    lens[i], 0));
		/* Again into a buffer that it fills. */
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data + i, lens[i]));
		ASSERT_EQ(lens[i], recv(self->l.fd[1], buf, lens[i], 0));
		ASSERT_EQ(0, tls_compare(buf, data + i, lens[i], "plaintext"));
	}
}

TEST_F(record, small_sizes)
{
	size_t i, sum = 0;

	for (i = 1; i <= 320; i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + sum, i));
		sum += i;
	}
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, sum));
}

TEST_F(record, in_parts)
{
	static const size_t parts[] = { 1, 2, 5, 16, 100, 1000, 4095, 16383 };
	size_t i, at, n;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data,
				       parts[i] < 16 ? 333 : TLS_PLAIN_MAX));
		n = parts[i] < 16 ? 333 : TLS_PLAIN_MAX;
		for (at = 0; at < n; at += parts[i]) {
			size_t want = n - at < parts[i] ? n - at : parts[i];

			ASSERT_EQ(want, recv(self->l.fd[1], buf, parts[i], 0));
			ASSERT_EQ(0, tls_compare(buf, data + at, want, "part"));
		}
	}
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EAGAIN, MSG_DONTWAIT));
}

/* Whatever the records are and whatever the reader asks for, the bytes match. */
TEST_F(record, stream)
{
	static const size_t asks[] = { 1, 60, 777, 5000, 16384, 16385, 70000 };
	static const size_t lens[] = { 1, 100, 777, 16384, 2, 4096, 13000 };
	size_t made, at, i;
	ssize_t n;

	for (i = 0, made = 0; made < LEN - TLS_PLAIN_MAX; i++) {
		size_t len = lens[i % ARRAY_SIZE(lens)];

		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + made, len));
		made += len;
	}
	ASSERT_EQ(0, tls_push(&self->l.w));
	for (i = 0, at = 0; at < made; i++, at += n) {
		n = recv(self->l.fd[1], buf, asks[i % ARRAY_SIZE(asks)], 0);
		ASSERT_LT(0, n);
		ASSERT_EQ(0, tls_compare(buf, data + at, n, "plaintext"));
	}
	EXPECT_EQ(made, at);
}

/* One call takes all records that are there. */
TEST_F(record, several_in_a_call)
{
	size_t i;

	for (i = 0; i < 50; i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + i * 500,
					500));
	}
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data, 25000, 0));
}

TEST_F(record, all_types)
{
	int type;

	for (type = 1; type < 256; type++) {
		ASSERT_EQ(0, tls_write(&self->l.w, type, data, 40 + type));
		ASSERT_EQ(0, tls_expect_got(self->l.fd[1], type, data,
					    40 + type, 0));
	}
}

/* It is no type: nobody gets the record, and it does not go away. */
TEST_F(record, type_zero)
{
	int i;

	memset(data + 100, 0, 100);
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_NE(NULL, tls_put(&self->l.w, 0, data, 200));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data, 100, 0));
	if (variant->version == TLS_1_3_VERSION) {
		/* It is padding, as all zeroes before it. */
		ASSERT_EQ(0, tls_expect_got(self->l.fd[1], data[99], data, 99,
					    0));
		EXPECT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data, 100,
					    0));
		return;
	}
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EBADMSG, 0));
	}
}

static int position(struct tls_inlet *l, uint64_t *seq, uint8_t *iv)
{
	struct tls_key got = l->key;
	socklen_t len = l->key.len;

	if (getsockopt(l->fd[1], SOL_TLS, TLS_RX, got.raw, &len) ||
	    len != l->key.len)
		return -1;
	*seq = tls_key_get_seq(&got);
	memcpy(iv, tls_key_iv(&got), got.suite->iv_len);
	return memcmp(tls_key_key(&got), tls_key_key(&l->key),
		      got.suite->key_len) ||
	       memcmp(tls_key_salt(&got), tls_key_salt(&l->key),
		      got.suite->salt_len);
}

/* Records count when they are opened, not when they arrive or are read up. */
TEST_F(record, position)
{
	uint64_t first = tls_key_get_seq(&self->l.key), seq;
	const struct tls_suite *s = self->l.key.suite;
	uint8_t iv[12], before[12];
	int i;

	ASSERT_EQ(0, position(&self->l, &seq, before));
	EXPECT_EQ(first, seq);
	EXPECT_EQ(0, memcmp(before, tls_key_iv(&self->l.key), s->iv_len));
	for (i = 0; i < 6; i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	}
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	ASSERT_EQ(0, position(&self->l, &seq, iv));
	EXPECT_EQ(first, seq);
	ASSERT_EQ(250, recv(self->l.fd[1], buf, 250, 0));
	ASSERT_EQ(0, position(&self->l, &seq, iv));
	EXPECT_EQ(first + 3, seq);
	ASSERT_EQ(350, recv(self->l.fd[1], buf, 400, 0));
	ASSERT_EQ(0, position(&self->l, &seq, iv));
	EXPECT_EQ(first + 6, seq);
	/* The IV stays, unless it is a counter: that of 1.2 has carried. */
	if (variant->version == TLS_1_3_VERSION || !s->nonce_len) {
		EXPECT_EQ(0, memcmp(before, iv, s->iv_len));
	} else {
		EXPECT_EQ(4, iv[s->iv_len - 1]);
		EXPECT_EQ((uint8_t)(before[s->iv_len - 2] + 1),
			  iv[s->iv_len - 2]);
	}
}

/* The numbers end: what has the last one arrives, nothing comes after it. */
TEST_F(record, last_number)
{
	struct tls_inlet l;

	ASSERT_EQ(0, tls_inlet_open_plain(&l, variant->family, variant->version,
					  variant->cipher));
	tls_key_set_seq(&l.key, UINT64_MAX - 1);
	ASSERT_EQ(0, tls_writer_rekey(&l.w, &l.key));
	ASSERT_EQ(0, tls_attach(l.fd[1]));
	ASSERT_EQ(0, tls_set_rx(l.fd[1], &l.key));
	ASSERT_NE(NULL, tls_put(&l.w, TLS_DATA, data, 10));
	ASSERT_NE(NULL, tls_put(&l.w, TLS_DATA, data + 10, 10));
	ASSERT_EQ(0, tls_push(&l.w));
	EXPECT_EQ(0, tls_expect_got(l.fd[1], TLS_DATA, data, 20, 0));
	EXPECT_EQ(0, tls_expect_error(l.fd[1], EBADMSG, 0));
	tls_inlet_close(&l);
}

/* A number is used once: neither again, nor left out, nor out of turn. */
TEST_F(record, wrong_number)
{
	static const int off[] = { -1, 1, 256 };
	struct tls_inlet l;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(off); i++) {
		ASSERT_EQ(0, tls_inlet_open(&l, variant->family,
					    variant->version, variant->cipher));
		ASSERT_NE(NULL, tls_put(&l.w, TLS_DATA, data, 10));
		l.w.seq += off[i];
		ASSERT_NE(NULL, tls_put(&l.w, TLS_DATA, data, 10));
		ASSERT_EQ(0, tls_push(&l.w));
		EXPECT_EQ(0, tls_expect_got(l.fd[1], TLS_DATA, data, 10, 0));
		EXPECT_EQ(0, tls_expect_error(l.fd[1], EBADMSG, 0));
		tls_inlet_close(&l);
	}
}

TEST_HARNESS_MAIN
