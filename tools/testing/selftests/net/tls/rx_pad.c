// SPDX-License-Identifier: GPL-2.0
/*
 * Padding, which TLS 1.3 has: zeroes behind the content type, as many as a record
 * can hold. TLS_RX_EXPECT_NO_PAD bets on there being none; it changes counters,
 * never what is read.
 */
#include "kselftest_harness.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "tls_writer.h"

static uint8_t data[TLS_PLAIN_MAX * 2], buf[TLS_PLAIN_MAX * 2];

FIXTURE(pad)
{
	struct tls_inlet l;
	long violations, retries, errors;
};

FIXTURE_VARIANT(pad)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_13(pad);

FIXTURE_SETUP(pad)
{
	tls_fill(data, sizeof(data), 170);
	ASSERT_EQ(0, tls_inlet_open(&self->l, variant->family, variant->version,
				    variant->cipher));
	self->violations = tls_stat("TlsRxNoPadViolation");
	self->retries = tls_stat("TlsDecryptRetry");
	self->errors = tls_stat("TlsDecryptError");
	ASSERT_LE(0, self->violations);
	ASSERT_LE(0, self->retries);
}

FIXTURE_TEARDOWN(pad)
{
	tls_inlet_close(&self->l);
}

static int put(struct tls_writer *w, uint8_t type, size_t len, size_t pad)
{
	return tls_put_odd(w, TLS_DATA, type, data, len, pad) ? 0 : -1;
}

static int push(struct tls_writer *w, uint8_t type, size_t len, size_t pad)
{
	return put(w, type, len, pad) || tls_push(w);
}

static int no_pad(int fd, unsigned int value)
{
	return setsockopt(fd, SOL_TLS, TLS_RX_EXPECT_NO_PAD, &value,
			  sizeof(value));
}

#define EXPECT_COUNTED(more_violations, more_retries) do { \
	EXPECT_EQ(self->violations += (more_violations), \
		  tls_stat("TlsRxNoPadViolation")); \
	EXPECT_EQ(self->retries += (more_retries), \
		  tls_stat("TlsDecryptRetry")); \
} while (0)

static const size_t lens[] = { 1, 2, 15, 16, 100, 4096, 10000, TLS_PLAIN_MAX };
static const size_t pads[] = { 0, 1, 2, 15, 16, 17, 255, 4096, 9999, 16384 };

TEST_F(pad, lengths)
{
	size_t i, j, pad, on;

	for (on = 0; on < 2; on++) {
		ASSERT_EQ(0, no_pad(self->l.fd[1], on));
		for (i = 0; i < ARRAY_SIZE(lens); i++) {
			for (j = 0; j < ARRAY_SIZE(pads); j++) {
				/* The last fills the record. */
				pad = TLS_PLAIN_MAX - lens[i];
				if (pads[j] < pad)
					pad = pads[j];
				ASSERT_EQ(0, push(&self->l.w, TLS_DATA, lens[i],
						  pad));
				ASSERT_EQ(0, tls_expect_got(self->l.fd[1],
							    TLS_DATA, data,
							    lens[i], 0)) {
					TH_LOG("%zu bytes, padding %zu",
					       lens[i], pad);
				}
			}
		}
	}
}

/* Content that ends with zeroes keeps them. */
TEST_F(pad, zeroes_in_content)
{
	memset(data + 50, 0, 50);
	ASSERT_EQ(0, push(&self->l.w, TLS_DATA, 100, 30));
	EXPECT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data, 100, 0));
	memset(data, 0, 50);
	ASSERT_EQ(0, push(&self->l.w, TLS_DATA, 100, 30));
	EXPECT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data, 100, 0));
}

/* Nothing but padding behind the type: an empty record. */
TEST_F(pad, no_content)
{
	struct tls_got got;

	ASSERT_EQ(0, put(&self->l.w, TLS_DATA, 0, 1000));
	ASSERT_EQ(0, put(&self->l.w, TLS_DATA, 0, TLS_PLAIN_MAX));
	ASSERT_EQ(0, put(&self->l.w, TLS_DATA, 10, 0));
	ASSERT_EQ(0, put(&self->l.w, TLS_ALERT, 0, TLS_PLAIN_MAX));
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data, 10, 0));
	got = tls_recv(self->l.fd[1], buf, 100, 0);
	EXPECT_EQ(0, got.n);
	EXPECT_EQ(TLS_ALERT, got.type);
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EAGAIN, MSG_DONTWAIT));
}

TEST_F(pad, other_types)
{
	int type;

	for (type = 1; type < 256; type += 11) {
		ASSERT_EQ(0, push(&self->l.w, type, 100, type));
		ASSERT_EQ(0, tls_expect_got(self->l.fd[1], type, data, 100, 0));
	}
}

/* In a row, with all ways to read. */
TEST_F(pad, stream)
{
	size_t i, on, at;
	ssize_t n;

	for (on = 0; on < 2; on++) {
		ASSERT_EQ(0, no_pad(self->l.fd[1], on));
		for (i = 0; i < 100; i++) {
			ASSERT_NE(NULL, tls_put_odd(&self->l.w, TLS_DATA,
						    TLS_DATA, data + i * 60, 60,
						    i % 7 * 50));
		}
		ASSERT_EQ(0, tls_push(&self->l.w));
		for (at = 0, i = 0; at < 6000; i++, at += n) {
			n = recv(self->l.fd[1], buf, 7 + i * 31, MSG_PEEK);
			ASSERT_LT(0, n);
			ASSERT_EQ(0, tls_compare(buf, data + at, n, "look"));
			n = recv(self->l.fd[1], buf, 7 + i * 29, 0);
			ASSERT_LT(0, n);
			ASSERT_EQ(0, tls_compare(buf, data + at, n, "data"));
		}
	}
}

/* There is no type among the zeroes: no record. */
TEST_F(pad, nothing_else)
{
	static const size_t zeroes[] = { 0, 1, 100, TLS_PLAIN_MAX };
	struct tls_inlet l;
	size_t i, on;

	memset(data, 0, sizeof(data));
	for (i = 0; i < ARRAY_SIZE(zeroes) * 2; i++) {
		on = i & 1;
		ASSERT_EQ(0, tls_inlet_open(&l, variant->family,
					    variant->version, variant->cipher));
		ASSERT_EQ(0, no_pad(l.fd[1], on));
		ASSERT_NE(NULL, tls_put(&l.w, TLS_DATA, data, 100));
		ASSERT_NE(NULL, tls_put(&l.w, 0, data, zeroes[i / 2]));
		ASSERT_NE(NULL, tls_put(&l.w, TLS_DATA, data, 100));
		ASSERT_EQ(0, tls_push(&l.w));
		EXPECT_EQ(0, tls_expect_got(l.fd[1], TLS_DATA, data, 100, 0));
		EXPECT_EQ(0, tls_expect_error(l.fd[1], EBADMSG, 0));
		EXPECT_EQ(0, tls_expect_error(l.fd[1], EBADMSG, 0));
		/*
		 * Padding that was not expected, for each call that had room
		 * for it.
		 */
		if (on && zeroes[i / 2] < TLS_PLAIN_MAX)
			EXPECT_COUNTED(3, 3);
		else
			EXPECT_COUNTED(0, 0);
		tls_inlet_close(&l);
	}
	/* The tag was right: it does not count as an error. */
	EXPECT_EQ(self->errors, tls_stat("TlsDecryptError"));
}

/* Not even room for the type. */
TEST_F(pad, no_plaintext)
{
	struct tls_writer *w = &self->l.w;
	EVP_CIPHER_CTX *c = w->ctx;
	uint8_t nonce[12], *p = w->wire;
	int n;

	memcpy(p, "\x17\x03\x03\x00\x10", TLS_HEADER);
	tls_make_nonce(&w->key, w->seq, NULL, nonce);
	ASSERT_EQ(1, EVP_CIPHER_CTX_reset(c));
	ASSERT_EQ(1, EVP_EncryptInit_ex2(c, w->cipher, NULL, NULL, NULL));
	EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL);
	if (w->key.suite->ccm)
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TLS_TAG, NULL);
	ASSERT_EQ(1, EVP_EncryptInit_ex2(c, NULL, tls_key_key(&w->key), nonce,
					 NULL));
	if (w->key.suite->ccm)
		EVP_EncryptUpdate(c, NULL, &n, NULL, 0);
	ASSERT_EQ(1, EVP_EncryptUpdate(c, NULL, &n, p, TLS_HEADER));
	ASSERT_EQ(1, EVP_EncryptUpdate(c, p + TLS_HEADER, &n, p, 0));
	ASSERT_EQ(1, EVP_EncryptFinal_ex(c, p + TLS_HEADER, &n));
	ASSERT_EQ(1, EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TLS_TAG,
					 p + TLS_HEADER));
	w->len = TLS_HEADER + TLS_TAG;
	ASSERT_EQ(0, tls_push(w));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EBADMSG, 0));
	EXPECT_EQ(self->errors, tls_stat("TlsDecryptError"));
}

/* The same without a good tag is as forged as any other. */
TEST_F(pad, no_plaintext_forged)
{
	struct tls_writer *w = &self->l.w;

	memset(w->wire, 0x55, TLS_HEADER + TLS_TAG);
	memcpy(w->wire, "\x17\x03\x03\x00\x10", TLS_HEADER);
	w->len = TLS_HEADER + TLS_TAG;
	ASSERT_EQ(0, tls_push(w));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EBADMSG, 0));
	EXPECT_EQ(self->errors + 1, tls_stat("TlsDecryptError"));
}

/* Who expects padding, by default, does not count it. */
TEST_F(pad, expected)
{
	ASSERT_EQ(0, push(&self->l.w, TLS_DATA, 100, 100));
	ASSERT_EQ(0, push(&self->l.w, TLS_ALERT, 100, 100));
	ASSERT_EQ(200, recv(self->l.fd[1], buf, 1000, MSG_WAITALL) + 100);
	ASSERT_EQ(0, tls_expect_got(self->l.fd[1], TLS_ALERT, data, 100, 0));
	EXPECT_COUNTED(0, 0);
}

TEST_F(pad, not_expected)
{
	const int fd = self->l.fd[1];

	ASSERT_EQ(0, no_pad(fd, 1));
	/* None: nothing to count. */
	ASSERT_EQ(0, push(&self->l.w, TLS_DATA, 100, 0));
	ASSERT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 100, 0));
	EXPECT_COUNTED(0, 0);
	/* Some, and room for them. */
	ASSERT_EQ(0, push(&self->l.w, TLS_DATA, 100, 50));
	ASSERT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 100, 0));
	EXPECT_COUNTED(1, 1);
	ASSERT_EQ(0, push(&self->l.w, TLS_DATA, 100, 50));
	ASSERT_EQ(100, recv(fd, buf, 150, 0));
	EXPECT_COUNTED(1, 1);
	/* No room: they are not opened where they shall be in the end. */
	ASSERT_EQ(0, push(&self->l.w, TLS_DATA, 100, 50));
	ASSERT_EQ(100, recv(fd, buf, 149, 0));
	EXPECT_COUNTED(0, 0);
	ASSERT_EQ(0, push(&self->l.w, TLS_DATA, 100, 50));
	ASSERT_EQ(100, recv(fd, buf, 150, MSG_PEEK));
	ASSERT_EQ(100, recv(fd, buf, 150, 0));
	EXPECT_COUNTED(0, 0);
	/* Another type comes as unexpected, padded or not. */
	ASSERT_EQ(0, push(&self->l.w, TLS_ALERT, 100, 0));
	ASSERT_EQ(0, tls_expect_got(fd, TLS_ALERT, data, 100, 0));
	EXPECT_COUNTED(0, 1);
	ASSERT_EQ(0, push(&self->l.w, TLS_ALERT, 50, 1));
	ASSERT_EQ(0, tls_expect_got(fd, TLS_ALERT, data, 50, 0));
	EXPECT_COUNTED(1, 1);
	/* Only as long as it is not expected. */
	ASSERT_EQ(0, no_pad(fd, 0));
	ASSERT_EQ(0, push(&self->l.w, TLS_DATA, 100, 50));
	ASSERT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 100, 0));
	EXPECT_COUNTED(0, 0);
}

/* Bytes behind the content must not be touched in the reader's buffer. */
TEST_F(pad, behind_content)
{
	int on;

	for (on = 0; on < 2; on++) {
		ASSERT_EQ(0, no_pad(self->l.fd[1], on));
		memset(buf, 0xaa, sizeof(buf));
		ASSERT_EQ(0, push(&self->l.w, TLS_DATA, 100, 0));
		ASSERT_EQ(100, recv(self->l.fd[1], buf, 100, 0));
		EXPECT_EQ(0, memcmp(buf, data, 100));
		EXPECT_EQ(0xaa, buf[100]);
	}
}

TEST_F(pad, bad_tag)
{
	uint8_t *p;

	ASSERT_EQ(0, no_pad(self->l.fd[1], 1));
	p = tls_put_odd(&self->l.w, TLS_DATA, TLS_DATA, data, 100, 100);
	ASSERT_NE(NULL, p);
	p[210] ^= 1;
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EBADMSG, 0));
	EXPECT_COUNTED(0, 0);
	EXPECT_EQ(self->errors + 1, tls_stat("TlsDecryptError"));
}

/*
 * RFC 8446 5.2: the outer type is application_data. Here it was changed on the
 * way; what the peer has sealed is right.
 */
TEST_F(pad, outer_type)
{
	static const uint8_t types[] = { TLS_ALERT, TLS_HANDSHAKE, 20, 0, 255 };
	struct tls_inlet l;
	uint8_t *p;
	size_t i;

	TLS_OURS_ONLY("the outer type is not looked at");
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		ASSERT_EQ(0, tls_inlet_open(&l, variant->family,
					    variant->version, variant->cipher));
		ASSERT_NE(NULL, tls_put(&l.w, TLS_DATA, data, 100));
		p = tls_put(&l.w, TLS_DATA, data, 100);
		ASSERT_NE(NULL, p);
		p[0] = types[i];
		ASSERT_EQ(0, tls_push(&l.w));
		EXPECT_EQ(0, tls_expect_got(l.fd[1], TLS_DATA, data, 100, 0));
		EXPECT_EQ(0, tls_expect_error(l.fd[1], EBADMSG, 0));
		EXPECT_EQ(0, tls_expect_error(l.fd[1], EAGAIN, MSG_DONTWAIT));
		tls_inlet_close(&l);
	}
}

/* The peer has sealed another one: it is no TLS 1.3. */
TEST_F(pad, outer_type_sealed)
{
	ASSERT_NE(NULL, tls_put_odd(&self->l.w, TLS_ALERT, TLS_ALERT, data, 2,
				    0));
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EBADMSG, 0));
}

#define EXPECT_ERROR(err, call) do { \
	EXPECT_EQ(-1, call) TH_LOG("%s", #call); \
	EXPECT_EQ(err, errno) TH_LOG("%s", #call); \
} while (0)

TEST_F(pad, option)
{
	uint8_t *hole = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const int fd = self->l.fd[1], opt = TLS_RX_EXPECT_NO_PAD;
	unsigned int v[4] = { 1 };
	struct tls_inlet l;
	socklen_t len;

	ASSERT_NE(MAP_FAILED, hole);
	ASSERT_EQ(0, mprotect(hole + 4096, 4096, PROT_NONE));
	len = sizeof(v);
	ASSERT_EQ(0, getsockopt(fd, SOL_TLS, opt, v, &len));
	EXPECT_EQ(sizeof(v[0]), len);
	EXPECT_EQ(0, v[0]);
	v[0] = 2;
	EXPECT_ERROR(EINVAL, setsockopt(fd, SOL_TLS, opt, v, 4));
	v[0] = 1;
	EXPECT_ERROR(EINVAL, setsockopt(fd, SOL_TLS, opt, v, 3));
	EXPECT_ERROR(EINVAL, setsockopt(fd, SOL_TLS, opt, NULL, 4));
	EXPECT_ERROR(EFAULT, setsockopt(fd, SOL_TLS, opt, hole + 4096, 4));
	/* A longer value is right if the rest is nothing. */
	v[3] = 1;
	EXPECT_ERROR(EINVAL, setsockopt(fd, SOL_TLS, opt, v, 16));
	EXPECT_EQ(0, setsockopt(fd, SOL_TLS, opt, v, 12));
	*(int *)(hole + 4092) = 1;
	EXPECT_ERROR(EFAULT, setsockopt(fd, SOL_TLS, opt, hole + 4092, 5));
	len = 3;
	EXPECT_ERROR(EINVAL, getsockopt(fd, SOL_TLS, opt, v, &len));
	len = 4;
	EXPECT_ERROR(EFAULT, getsockopt(fd, SOL_TLS, opt, hole + 4096, &len));
	len = 4;
	ASSERT_EQ(0, getsockopt(fd, SOL_TLS, opt, v, &len));
	EXPECT_EQ(1, v[0]);

	/* It needs TLS_RX, and 1.3. */
	ASSERT_EQ(0, tls_attach(self->l.fd[0]));
	EXPECT_ERROR(EINVAL, no_pad(self->l.fd[0], 1));
	len = 4;
	EXPECT_ERROR(EINVAL, getsockopt(self->l.fd[0], SOL_TLS, opt, v, &len));
	ASSERT_EQ(0, tls_set_tx(self->l.fd[0], &self->l.key));
	EXPECT_ERROR(EINVAL, no_pad(self->l.fd[0], 1));
	len = 4;
	EXPECT_ERROR(EINVAL, getsockopt(self->l.fd[0], SOL_TLS, opt, v, &len));
	ASSERT_EQ(0, tls_inlet_open(&l, variant->family, TLS_1_2_VERSION,
				    variant->cipher));
	EXPECT_ERROR(EINVAL, no_pad(l.fd[1], 1));
	EXPECT_ERROR(EINVAL, no_pad(l.fd[1], 0));
	len = 4;
	EXPECT_ERROR(EINVAL, getsockopt(l.fd[1], SOL_TLS, opt, v, &len));
	tls_inlet_close(&l);
}

static void on_alarm(int signal)
{
	(void)signal;
}

/* A peer that sends padding, with nothing in it or hardly anything, keeps nobody. */
TEST_F(pad, interrupted_by_padding)
{
	struct itimerval it = { { 0, 1000 }, { 0, 1000 } };
	struct sigaction sa = { .sa_handler = on_alarm };
	const int fd = self->l.fd[1], n = 200;
	int i, room = 8 << 20, round, calls = 0;
	ssize_t got, sum = 0;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
		SKIP(return, "SO_RCVBUFFORCE: %s", strerror(errno));
	sigaction(SIGALRM, &sa, NULL);
	for (round = 0; round < 2; round++) {
		for (i = 0; i < n; i++) {
			ASSERT_NE(NULL, tls_put_odd(&self->l.w, TLS_DATA,
						    TLS_DATA, data + i, round,
						    TLS_PLAIN_MAX - round));
		}
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 1));
		ASSERT_EQ(0, tls_push(&self->l.w));
		ASSERT_EQ(0, tls_settle(self->l.fd[0]));
		if (!round) {
			for (i = 0; recv(fd, buf, 1, MSG_DONTWAIT) != 1; i++)
				ASSERT_EQ(EAGAIN, errno);
			if (tls_is_ours()) {
				EXPECT_LE(10, i);
			}
			continue;
		}
		setitimer(ITIMER_REAL, &it, NULL);
		while (sum <= n) {
			got = recv(fd, buf + sum, n + 1 - sum, 0);
			if (got < 0) {
				ASSERT_EQ(EINTR, errno);
			} else {
				sum += got;
			}
			calls++;
		}
		memset(&it, 0, sizeof(it));
		setitimer(ITIMER_REAL, &it, NULL);
		EXPECT_EQ(0, tls_compare(buf, data, n, "plaintext"));
		if (tls_is_ours()) {
			EXPECT_LE(3, calls);
		}
	}
}

TEST_HARNESS_MAIN
