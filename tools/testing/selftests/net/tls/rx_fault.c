// SPDX-License-Identifier: GPL-2.0
/*
 * The receive path without memory: each call is repeated with its first
 * allocation failing, then its second, until it makes no more. It may fail; the
 * same bytes then come with the next call, or the connection is aborted with
 * EBADMSG. There is no gap, and no other data.
 *
 * Skipped on kernels without fault injection, which is all but debug kernels.
 */
#include "kselftest_harness.h"

#include <fcntl.h>

#include "tls_fault.h"
#include "tls_writer.h"

#define LEN	200000

FIXTURE(fault)
{
	struct tls_inlet l;
	struct tls_fault f;
	int aborted;
	uint8_t *data, *got;
};

FIXTURE_VARIANT(fault)
{
	uint16_t version;
	uint16_t cipher;
	int family;
	bool nopad;
};

TLS_VARIANTS_FEW(fault);
TLS_VARIANT(fault, 13_chacha20, 3, CHACHA20_POLY1305, INET);
TLS_VARIANT(fault, 12_aes_ccm_128_v6, 2, AES_CCM_128, INET6);
FIXTURE_VARIANT_ADD(fault, 13_nopad) {
	TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128, AF_INET, true,
};

FIXTURE_SETUP(fault)
{
	int err = tls_fault_open();

	if (err)
		SKIP(return, "no fault injection here: %s", strerror(err));
	self->data = malloc(LEN);
	self->got = malloc(LEN);
	ASSERT_NE(NULL, self->data);
	ASSERT_NE(NULL, self->got);
	tls_fill(self->data, LEN, 4);
	/* Its pages are there. */
	memset(self->got, 0, LEN);
	/* What the first socket does once for all. */
	ASSERT_EQ(0, tls_inlet_open(&self->l, variant->family, variant->version,
				    variant->cipher));
	tls_inlet_close(&self->l);
}

FIXTURE_TEARDOWN(fault)
{
	free(self->data);
	free(self->got);
	tls_fault_close();
}

/* A connection on which these records wait to be read. */
static int begin(struct tls_inlet *l, int family, uint16_t version, uint16_t cipher,
		 bool nopad, const uint8_t *data, const int *lens, int n)
{
	int i, on = 1;

	if (tls_inlet_open(l, family, version, cipher))
		return -1;
	if (nopad && setsockopt(l->fd[1], SOL_TLS, TLS_RX_EXPECT_NO_PAD, &on, sizeof(on)))
		return -1;
	for (i = 0; i < n; i++) {
		if (!tls_put(&l->w, TLS_DATA, data, lens[i]))
			return -1;
		data += lens[i];
	}
	return tls_push(&l->w) || tls_settle(l->fd[0]);
}

#define BEGIN(...) do { \
	static const int _lens[] = { __VA_ARGS__ }; \
	ASSERT_EQ(0, begin(&self->l, variant->family, variant->version, \
			   variant->cipher, variant->nopad, self->data, _lens, \
			   ARRAY_SIZE(_lens))); \
} while (0)

#define END(least) do { \
	TH_LOG("%u allocations, %d aborts", self->f.nth - 2, self->aborted); \
	EXPECT_LE(least, (int)self->f.nth - 2); \
	EXPECT_GT(TLS_FAULT_MAX, self->f.nth); \
} while (0)

static int so_error(int fd)
{
	socklen_t len = sizeof(int);
	int err = 0;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) ? -1 : err;
}

/*
 * After a call that gave ret bytes of these: the rest comes, and records that are
 * sent now. Returns 1 if it was the end of the connection instead.
 */
static int goes_on(struct tls_inlet *l, const struct tls_fault *f, ssize_t ret, int err,
		   uint8_t *got, const uint8_t *data, size_t len)
{
	struct tls_got next;

	if (ret < 0 && !(f->hit && (tls_fault_errno(err) || err == EBADMSG)))
		return tls_wrong("allocation %u: %s", f->nth, strerror(err));
	if (ret > (ssize_t)len)
		return tls_wrong("%zd bytes of %zu", ret, len);
	if (ret > 0 && tls_compare(got, data, ret, "what was received"))
		return tls_wrong("allocation %u", f->nth);
	if (ret < 0 && err == EBADMSG)
		return 1;
	/* The module in C ends the connection. */
	if (ret < 0 && tls_is_ours() && so_error(l->fd[1]))
		return tls_wrong("allocation %u: there is an error", f->nth);
	if (ret < 0)
		ret = 0;
	if (f->hit) {
		next = tls_recv(l->fd[1], got, 1, MSG_PEEK | MSG_DONTWAIT);
		if (next.n < 0 && next.err == EBADMSG)
			return 1;
	}
	if ((size_t)ret < len && tls_expect_bytes(l->fd[1], data + ret, len - ret))
		return tls_wrong("allocation %u: the rest, from %zd on", f->nth, ret);
	if (tls_write(&l->w, TLS_DATA, "after", 5) ||
	    tls_expect_got(l->fd[1], TLS_DATA, "after", 5, 0))
		return tls_wrong("allocation %u: the next record", f->nth);
	return 0;
}

#define GOES_ON(ret, got, len) do { \
	int _end = goes_on(&self->l, &self->f, ret, errno, got, self->data, len); \
	ASSERT_LE(0, _end); \
	self->aborted += _end; \
	tls_inlet_close(&self->l); \
} while (0)

TEST_F_TIMEOUT(fault, set_rx, 300)
{
	long sockets = tls_stat("TlsCurrRxSw");
	int ret;

	tls_for_each_fault(&self->f) {
		ASSERT_EQ(0, tls_inlet_open_plain(&self->l, variant->family,
						  variant->version, variant->cipher));
		ASSERT_EQ(0, tls_attach(self->l.fd[1]));
		/* A record may be there before the key is. */
		if (self->f.nth & 1)
			ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, self->data, 100));
		ret = tls_fault_armed(&self->f, tls_set_rx(self->l.fd[1], &self->l.key));
		if (ret) {
			ASSERT_TRUE(self->f.hit);
			ASSERT_TRUE(tls_fault_errno(errno)) {
				TH_LOG("allocation %u: %s", self->f.nth,
				       strerror(errno));
			}
			ASSERT_EQ(0, tls_set_rx(self->l.fd[1], &self->l.key));
		}
		if (!(self->f.nth & 1))
			ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, self->data, 100));
		GOES_ON(0, self->got, 100);
	}
	END(2);
	EXPECT_EQ(sockets, tls_stat("TlsCurrRxSw"));
}

TEST_F_TIMEOUT(fault, recv, 600)
{
	ssize_t ret;

	tls_for_each_fault(&self->f) {
		BEGIN(100);
		ret = tls_fault_armed(&self->f, recv(self->l.fd[1], self->got, LEN, 0));
		GOES_ON(ret, self->got, 100);
	}
	END(1);
}

TEST_F_TIMEOUT(fault, recv_large, 600)
{
	ssize_t ret;

	tls_for_each_fault(&self->f) {
		BEGIN(16384, 16384, 16384);
		ret = tls_fault_armed(&self->f, recv(self->l.fd[1], self->got, LEN, 0));
		GOES_ON(ret, self->got, 3 * 16384);
	}
	END(1);
}

TEST_F_TIMEOUT(fault, recv_part, 600)
{
	ssize_t ret;

	tls_for_each_fault(&self->f) {
		BEGIN(16384, 1000);
		ret = tls_fault_armed(&self->f, recv(self->l.fd[1], self->got, 5000, 0));
		GOES_ON(ret, self->got, 17384);
	}
	END(1);
}

TEST_F_TIMEOUT(fault, peek, 600)
{
	ssize_t ret;

	tls_for_each_fault(&self->f) {
		BEGIN(1000, 9000, 16000);
		ret = tls_fault_armed(&self->f, recv(self->l.fd[1], self->got, 20000,
						     MSG_PEEK));
		ASSERT_TRUE(ret > 0 || self->f.hit);
		if (ret > 0)
			ASSERT_EQ(0, tls_compare(self->got, self->data, ret, "peek"));
		/* It took nothing. */
		GOES_ON(ret < 0 ? ret : 0, self->got, 26000);
	}
	END(1);
}

TEST_F_TIMEOUT(fault, many_segments, 600)
{
	ssize_t ret;
	int i;

	tls_for_each_fault(&self->f) {
		BEGIN(100);
		ASSERT_EQ(100, recv(self->l.fd[1], self->got, 100, 0));
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, self->data, 16384));
		for (i = 0; i < 60; i++)
			ASSERT_EQ(0, tls_push_some(&self->l.w, 100));
		ASSERT_EQ(0, tls_push(&self->l.w));
		ASSERT_EQ(0, tls_settle(self->l.fd[0]));
		ret = tls_fault_armed(&self->f, recv(self->l.fd[1], self->got, LEN, 0));
		GOES_ON(ret, self->got, 16384);
	}
	END(1);
}

TEST_F_TIMEOUT(fault, control, 600)
{
	struct tls_got got;

	tls_for_each_fault(&self->f) {
		BEGIN(100);
		ASSERT_EQ(100, recv(self->l.fd[1], self->got, 100, 0));
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_ALERT, self->data, 2));
		ASSERT_EQ(0, tls_settle(self->l.fd[0]));
		got = tls_fault_armed(&self->f, tls_recv(self->l.fd[1], self->got, 100, 0));
		if (got.n < 0) {
			/* EIO: the type could not be told. */
			ASSERT_TRUE(self->f.hit && (tls_fault_errno(got.err) ||
						    got.err == EIO));
			got = tls_recv(self->l.fd[1], self->got, 100, 0);
			if (got.n < 0) {
				ASSERT_EQ(EBADMSG, got.err);
				tls_inlet_close(&self->l);
				self->aborted++;
				continue;
			}
		}
		ASSERT_EQ(2, got.n);
		/* A control message that could not be written is cut off. */
		if (!(got.flags & MSG_CTRUNC))
			ASSERT_EQ(TLS_ALERT, got.type);
		GOES_ON(0, self->got, 0);
	}
	END(1);
}

TEST_F_TIMEOUT(fault, splice, 600)
{
	ssize_t ret, n;
	int p[2];

	tls_for_each_fault(&self->f) {
		BEGIN(16384, 500);
		ASSERT_EQ(0, pipe(p));
		ret = tls_fault_armed(&self->f, splice(self->l.fd[1], NULL, p[1], NULL,
						       16384, 0));
		n = errno;
		if (ret > 0)
			ASSERT_EQ(ret, read(p[0], self->got, LEN));
		errno = n;
		GOES_ON(ret, self->got, 16884);
		close(p[0]);
		close(p[1]);
	}
	END(1);
}

/* A key that could not be set does not replace the one before it. */
TEST_F_TIMEOUT(fault, rekey, 600)
{
	static const uint8_t update[5] = { 24, 0, 0, 1, 0 };
	struct tls_key next;
	int ret;

	if (variant->version != TLS_1_3_VERSION)
		SKIP(return, "only 1.3 changes keys");
	tls_key_make(&next, variant->version, variant->cipher, 99);
	tls_for_each_fault(&self->f) {
		BEGIN(100);
		ASSERT_EQ(100, recv(self->l.fd[1], self->got, 100, 0));
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_HANDSHAKE, update, 5));
		ASSERT_EQ(0, tls_expect_got(self->l.fd[1], TLS_HANDSHAKE, update, 5, 0));
		ASSERT_EQ(0, tls_writer_rekey(&self->l.w, &next));
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, self->data, 100));
		ret = tls_fault_armed(&self->f, tls_set_rx(self->l.fd[1], &next));
		if (ret) {
			ASSERT_TRUE(self->f.hit);
			ASSERT_TRUE(tls_fault_errno(errno));
			ASSERT_EQ(0, tls_set_rx(self->l.fd[1], &next));
		}
		GOES_ON(0, self->got, 100);
	}
	END(1);
}

TEST_HARNESS_MAIN
