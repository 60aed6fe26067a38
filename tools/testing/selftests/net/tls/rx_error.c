// SPDX-License-Identifier: GPL-2.0
/*
 * What is no record, and what is not the peer's: which error the reader gets, how
 * often, and that it gets all that came before.
 */
#include "kselftest_harness.h"

#include <netinet/in.h>

#include "tls_writer.h"

static uint8_t data[TLS_PLAIN_MAX * 2];

FIXTURE(error)
{
	struct tls_inlet l;
	size_t prefix;		/* what has to be there to know the length */
	size_t most;		/* the longest body of a record */
	size_t least;
	long errors;
};

FIXTURE_VARIANT(error)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_EACH(error);

FIXTURE_SETUP(error)
{
	bool is13 = variant->version == TLS_1_3_VERSION;
	size_t nonce = is13 ? 0 : tls_suite(variant->cipher)->nonce_len;

	tls_fill(data, sizeof(data), 130);
	self->prefix = TLS_HEADER + nonce;
	self->least = nonce + TLS_TAG;
	self->most = self->least + TLS_PLAIN_MAX + (is13 ? 1 : 0);
	self->errors = tls_stat("TlsDecryptError");
	ASSERT_LE(0, self->errors);
	ASSERT_EQ(0, tls_inlet_open(&self->l, variant->family, variant->version,
				    variant->cipher));
}

FIXTURE_TEARDOWN(error)
{
	tls_inlet_close(&self->l);
}

/* A header, and enough behind it for a header to be looked at. */
static void put_header(struct tls_writer *w, uint8_t type, uint16_t version,
		       size_t len)
{
	uint8_t *p = w->wire + w->len;

	memset(p, 0x55, 40);
	p[0] = type;
	p[1] = version >> 8;
	p[2] = version;
	p[3] = len >> 8;
	p[4] = len;
	w->len += 40;
}

struct header {
	uint16_t version;
	size_t len;
	int err;
};

/* All of them fail; 0 and 1 stand for the limits of the suite. */
#define HEADERS(h) \
	const struct header h[] = { \
		{ 0x303, self->most + 1, EMSGSIZE }, \
		{ 0x303, 0xffff, EMSGSIZE }, \
		{ 0x303, self->least - 1, EBADMSG }, \
		{ 0x303, 0, EBADMSG }, \
		{ 0x301, 100, EINVAL }, \
		{ 0x302, 100, EINVAL }, \
		{ 0x304, 100, EINVAL }, \
		{ 0x203, 100, EINVAL }, \
		{ 0x0000, 100, EINVAL }, \
		{ 0x301, self->most + 1, EMSGSIZE }, \
		{ 0x301, self->least - 1, EBADMSG }, \
	}

/* Once, and then there is nothing more: the stream has lost its frames. */
static int error_once(int fd, int err)
{
	return tls_expect_error(fd, err, 0) ||
	       tls_expect_error(fd, EAGAIN, MSG_DONTWAIT) ||
	       tls_expect_error(fd, EAGAIN, MSG_DONTWAIT | MSG_PEEK);
}

TEST_F(error, headers)
{
	struct tls_inlet l;
	size_t i;
	HEADERS(h);

	for (i = 0; i < ARRAY_SIZE(h); i++) {
		ASSERT_EQ(0, tls_inlet_open(&l, variant->family,
					    variant->version, variant->cipher));
		put_header(&l.w, TLS_DATA, h[i].version, h[i].len);
		ASSERT_EQ(0, tls_push(&l.w));
		EXPECT_EQ(0, error_once(l.fd[1], h[i].err)) {
			TH_LOG("version %x, length %zu", h[i].version,
			       h[i].len);
		}
		/* Good records come too late. */
		ASSERT_EQ(0, tls_write(&l.w, TLS_DATA, data, 100));
		ASSERT_EQ(0, tls_settle(l.fd[0]));
		EXPECT_EQ(0, tls_expect_error(l.fd[1], EAGAIN, MSG_DONTWAIT));
		ASSERT_EQ(0, shutdown(l.fd[0], SHUT_WR));
		EXPECT_EQ(0, tls_expect_end(l.fd[1]));
		tls_inlet_close(&l);
	}
	EXPECT_EQ(self->errors, tls_stat("TlsDecryptError"));
}

/* With good records before it: all of them, in all ways of reading. */
TEST_F(error, headers_behind_good)
{
	struct tls_inlet l;
	uint8_t buf[400];
	size_t i;
	int how;
	HEADERS(h);

	for (i = 0; i < ARRAY_SIZE(h) * 4; i++) {
		how = i % 4;
		ASSERT_EQ(0, tls_inlet_open(&l, variant->family,
					    variant->version, variant->cipher));
		ASSERT_NE(NULL, tls_put(&l.w, TLS_DATA, data, 100));
		ASSERT_NE(NULL, tls_put(&l.w, TLS_DATA, data + 100, 100));
		put_header(&l.w, TLS_DATA, h[i / 4].version, h[i / 4].len);
		ASSERT_EQ(0, tls_push(&l.w));
		switch (how) {
		case 0:
			EXPECT_EQ(200, recv(l.fd[1], buf, 400, 0));
			break;
		case 1:
			EXPECT_EQ(200, recv(l.fd[1], buf, 400, MSG_WAITALL));
			break;
		case 2:
			EXPECT_EQ(100, recv(l.fd[1], buf, 100, 0));
			EXPECT_EQ(100, recv(l.fd[1], buf + 100, 100, 0));
			break;
		case 3:
			EXPECT_EQ(200, recv(l.fd[1], buf, 400, MSG_PEEK));
			EXPECT_EQ(90, recv(l.fd[1], buf, 90, 0));
			break;
		}
		EXPECT_EQ(0, memcmp(buf, data, how == 3 ? 90 : 200));
		if (how != 3) {
			EXPECT_EQ(0, error_once(l.fd[1], h[i / 4].err)) {
				TH_LOG("version %x, length %zu, read %d",
				       h[i / 4].version, h[i / 4].len, how);
			}
		}
		tls_inlet_close(&l);
	}
}

/* The limits themselves are no errors yet. */
TEST_F(error, lengths_at_the_limit)
{
	struct tls_inlet l;
	size_t i;
	const size_t lens[] = { self->least, self->most };

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		ASSERT_EQ(0, tls_inlet_open(&l, variant->family,
					    variant->version, variant->cipher));
		put_header(&l.w, TLS_DATA, 0x303, lens[i]);
		l.w.len = TLS_HEADER + lens[i];
		ASSERT_EQ(0, tls_push_some(&l.w, l.w.len - 1));
		EXPECT_EQ(0, tls_expect_error(l.fd[1], EAGAIN, MSG_DONTWAIT));
		ASSERT_EQ(0, tls_push(&l.w));
		EXPECT_EQ(0, tls_expect_error(l.fd[1], EBADMSG, 0));
		tls_inlet_close(&l);
	}
}

/* It is looked at when the explicit nonce is there, too, and not before. */
TEST_F(error, short_header)
{
	put_header(&self->l.w, TLS_DATA, 0x301, 100);
	self->l.w.len = self->prefix;
	ASSERT_EQ(0, tls_push_some(&self->l.w, self->prefix - 1));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	EXPECT_EQ(0, tls_expect_events(self->l.fd[1], 0, 0));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EAGAIN, MSG_DONTWAIT));
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EINVAL, 0));
}

/* Whoever asks for the error first gets it. */
TEST_F(error, so_error)
{
	socklen_t len = sizeof(int);
	int err;

	put_header(&self->l.w, TLS_DATA, 0x303, self->most + 1);
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_events(self->l.fd[1], POLLERR, 1000));
	ASSERT_EQ(0, getsockopt(self->l.fd[1], SOL_SOCKET, SO_ERROR, &err,
				&len));
	EXPECT_EQ(EMSGSIZE, err);
	EXPECT_EQ(0, tls_expect_events(self->l.fd[1], 0, 0));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EAGAIN, MSG_DONTWAIT));
}

/* The error is that of the socket: it ends sending, too. */
TEST_F(error, of_the_socket)
{
	put_header(&self->l.w, TLS_DATA, 0x303, self->most + 1);
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_events(self->l.fd[1], POLLERR, 1000));
	EXPECT_EQ(-1, send(self->l.fd[1], data, 10, MSG_NOSIGNAL));
	EXPECT_EQ(EMSGSIZE, errno);
}

/* A byte is flipped: in every part of the record. Returns where. */
static size_t spoil(uint8_t *p, int where, size_t prefix)
{
	size_t len = tls_wire_len(p);
	size_t at[] = { prefix, prefix + 1, len / 2, len - TLS_TAG - 1,
			len - TLS_TAG, len - 1 };

	p[at[where]] ^= 0x80;
	return at[where];
}

#define PLACES	6

/* Nothing of a record with a bad tag is given out, nor of any record after it. */
TEST_F(error, bad_tag)
{
	uint8_t buf[3000];
	struct tls_inlet l;
	uint8_t *p;
	int i;

	for (i = 0; i < PLACES; i++) {
		ASSERT_EQ(0, tls_inlet_open(&l, variant->family,
					    variant->version, variant->cipher));
		p = tls_put(&l.w, TLS_DATA, data, 1000);
		ASSERT_NE(NULL, p);
		spoil(p, i, self->prefix);
		ASSERT_NE(NULL, tls_put(&l.w, TLS_DATA, data, 1000));
		ASSERT_EQ(0, tls_push(&l.w));
		EXPECT_EQ(-1, recv(l.fd[1], buf, sizeof(buf), 0));
		EXPECT_EQ(EBADMSG, errno);
		/* There is no way around it. */
		EXPECT_EQ(-1, recv(l.fd[1], buf, 1, 0));
		EXPECT_EQ(EBADMSG, errno);
		EXPECT_EQ(0, tls_expect_error(l.fd[1], EBADMSG, MSG_PEEK));
		EXPECT_EQ(0, tls_expect_error(l.fd[1], EBADMSG, MSG_WAITALL));
		tls_inlet_close(&l);
	}
	EXPECT_LE(self->errors + PLACES, tls_stat("TlsDecryptError"));
}

TEST_F(error, bad_tag_behind_good)
{
	uint8_t buf[3000];
	struct tls_inlet l;
	uint8_t *p;
	int i;

	for (i = 0; i < PLACES; i++) {
		ASSERT_EQ(0, tls_inlet_open(&l, variant->family,
					    variant->version, variant->cipher));
		ASSERT_NE(NULL, tls_put(&l.w, TLS_DATA, data, 500));
		ASSERT_NE(NULL, tls_put(&l.w, TLS_DATA, data + 500, 500));
		p = tls_put(&l.w, TLS_DATA, data + 1000, 1000);
		ASSERT_NE(NULL, p);
		spoil(p, i, self->prefix);
		ASSERT_EQ(0, tls_push(&l.w));
		EXPECT_EQ(1000, recv(l.fd[1], buf, sizeof(buf),
				     i & 1 ? MSG_WAITALL : 0));
		EXPECT_EQ(0, memcmp(buf, data, 1000));
		EXPECT_EQ(0, tls_expect_error(l.fd[1], EBADMSG, 0));
		EXPECT_EQ(0, tls_expect_error(l.fd[1], EBADMSG, 0));
		tls_inlet_close(&l);
	}
}

/* The header is protected as well. */
TEST_F(error, other_header)
{
	uint8_t *p = tls_put(&self->l.w, TLS_ALERT, data, 100);
	struct tls_inlet l;

	ASSERT_NE(NULL, p);
	/* A shorter body: the tag is where none was. */
	p[4]--;
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EBADMSG, 0));

	if (variant->version == TLS_1_3_VERSION)
		return;
	ASSERT_EQ(0, tls_inlet_open(&l, variant->family, variant->version,
				    variant->cipher));
	p = tls_put(&l.w, TLS_ALERT, data, 100);
	ASSERT_NE(NULL, p);
	p[0] = TLS_HANDSHAKE;
	ASSERT_EQ(0, tls_push(&l.w));
	EXPECT_EQ(0, tls_expect_error(l.fd[1], EBADMSG, 0));
	tls_inlet_close(&l);
}

/* The explicit nonce decides, if there is one. */
TEST_F(error, other_nonce)
{
	uint8_t *p = tls_put(&self->l.w, TLS_DATA, data, 100);

	ASSERT_NE(NULL, p);
	p[TLS_HEADER] ^= 1;
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EBADMSG, 0));
}

TEST_F(error, other_key)
{
	struct tls_key key;

	tls_key_make(&key, variant->version, variant->cipher, 999);
	ASSERT_EQ(0, tls_writer_rekey(&self->l.w, &key));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EBADMSG, 0));
}

/* A reset tells the peer nothing; only this end knows. */
TEST_F(error, sender_does_not_notice)
{
	uint8_t *p = tls_put(&self->l.w, TLS_DATA, data, 100);

	ASSERT_NE(NULL, p);
	p[40] ^= 1;
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EBADMSG, 0));
	EXPECT_EQ(0, tls_expect_quiet(self->l.fd[0], 20));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
}

TEST_HARNESS_MAIN
