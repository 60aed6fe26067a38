// SPDX-License-Identifier: GPL-2.0
/*
 * The transmit path without memory: each call is repeated with its first
 * allocation failing, then its second, until it makes no more. It may fail; what
 * it did accept arrives, nothing else does, and the next call works. If it was the
 * cipher that got no memory, the connection is aborted with EBADMSG instead.
 *
 * Skipped on kernels without fault injection, which is all but debug kernels.
 */
#include "kselftest_harness.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "tls_common.h"
#include "tls_fault.h"

#define LEN	200000

FIXTURE(fault)
{
	struct tls_link l;
	struct tls_fault f;
	int aborted;
	uint8_t *data;
};

FIXTURE_VARIANT(fault)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_FEW(fault);
TLS_VARIANT(fault, 13_chacha20, 3, CHACHA20_POLY1305, INET);
TLS_VARIANT(fault, 12_aes_ccm_128_v6, 2, AES_CCM_128, INET6);

FIXTURE_SETUP(fault)
{
	int err = tls_fault_open();

	if (err)
		SKIP(return, "no fault injection here: %s", strerror(err));
	self->data = malloc(LEN);
	ASSERT_NE(NULL, self->data);
	tls_fill(self->data, LEN, 3);
	/* What the first socket does once for all. */
	ASSERT_EQ(0, tls_link_open(&self->l, variant->family, variant->version,
				   variant->cipher));
	tls_link_close(&self->l);
}

FIXTURE_TEARDOWN(fault)
{
	free(self->data);
	tls_fault_close();
}

#define BEGIN() \
	ASSERT_EQ(0, tls_link_open(&self->l, variant->family, \
				   variant->version, variant->cipher))

/* How often the loop went round says that something was tried at all. */
#define END(least) do { \
	TH_LOG("%u allocations, %d aborts", self->f.nth - 2, self->aborted); \
	EXPECT_LE(least, (int)self->f.nth - 2); \
	EXPECT_GT(TLS_FAULT_MAX, self->f.nth); \
} while (0)

/*
 * Of len bytes so many were taken; the connection goes on. Returns 1 if it was
 * aborted instead.
 */
static int goes_on(struct tls_link *l, const struct tls_fault *f, ssize_t ret,
		   int err, const uint8_t *data, size_t len)
{
	if (ret < 0 && f->hit && err == EBADMSG)
		return 1;
	if (ret < 0 && !tls_fault_errno(err))
		return tls_wrong("allocation %u: %s", f->nth, strerror(err));
	if (ret < 0 && !f->hit)
		return tls_wrong("%s, but nothing failed", strerror(err));
	if (ret > (ssize_t)len || (!f->hit && ret != (ssize_t)len))
		return tls_wrong("%zd bytes of %zu", ret, len);
	if (ret > 0 && tls_expect_stream(&l->r, data, ret))
		return tls_wrong("allocation %u: the data", f->nth);
	if (send(l->fd[0], "after", 5, 0) != 5) {
		if (f->hit && errno == EBADMSG)
			return 1;
		return tls_wrong("allocation %u: the next send: %s", f->nth,
				 strerror(errno));
	}
	if (tls_expect_record(&l->r, TLS_DATA, "after", 5) || tls_link_finish(l))
		return tls_wrong("allocation %u: the rest", f->nth);
	return 0;
}

#define GOES_ON(ret, data, len) do { \
	int _end = goes_on(&self->l, &self->f, ret, errno, data, len); \
	ASSERT_LE(0, _end); \
	self->aborted += _end; \
	tls_link_close(&self->l); \
} while (0)

TEST_F_TIMEOUT(fault, attach, 300)
{
	int fd[2], ret;

	tls_for_each_fault(&self->f) {
		ASSERT_EQ(0, tls_tcp_pair(variant->family, fd));
		ret = tls_fault_armed(&self->f, tls_attach(fd[0]));
		if (ret) {
			ASSERT_TRUE(self->f.hit);
			ASSERT_TRUE(tls_fault_errno(errno));
			ASSERT_EQ(0, tls_attach(fd[0]));
		}
		ASSERT_EQ(0, tls_set_tx(fd[0], &self->l.key));
		close(fd[0]);
		close(fd[1]);
	}
	END(1);
}

TEST_F_TIMEOUT(fault, set_tx, 300)
{
	long sockets = tls_stat("TlsCurrTxSw");
	int fd[2], ret;

	tls_for_each_fault(&self->f) {
		ASSERT_EQ(0, tls_tcp_pair(variant->family, fd));
		ASSERT_EQ(0, tls_attach(fd[0]));
		ret = tls_fault_armed(&self->f, tls_set_tx(fd[0], &self->l.key));
		if (ret) {
			ASSERT_TRUE(self->f.hit);
			ASSERT_TRUE(tls_fault_errno(errno)) {
				TH_LOG("allocation %u: %s", self->f.nth,
				       strerror(errno));
			}
			ASSERT_EQ(0, tls_set_tx(fd[0], &self->l.key)) {
				TH_LOG("allocation %u: again: %s", self->f.nth,
				       strerror(errno));
			}
		}
		ASSERT_EQ(3, send(fd[0], "abc", 3, 0));
		ASSERT_EQ(0, tls_reader_init(&self->l.r, fd[1], &self->l.key));
		ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, "abc", 3));
		tls_reader_free(&self->l.r);
		close(fd[0]);
		close(fd[1]);
	}
	END(2);
	EXPECT_EQ(sockets, tls_stat("TlsCurrTxSw"));
}

/* A key that could not be set does not replace the one before it. */
TEST_F_TIMEOUT(fault, rekey, 300)
{
	struct tls_key next;
	int ret;

	if (variant->version != TLS_1_3_VERSION)
		SKIP(return, "only 1.3 changes keys");
	tls_key_make(&next, variant->version, variant->cipher, 99);
	tls_for_each_fault(&self->f) {
		BEGIN();
		ASSERT_EQ(3, send(self->l.fd[0], "old", 3, 0));
		ret = tls_fault_armed(&self->f, tls_set_tx(self->l.fd[0], &next));
		ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, "old", 3));
		if (ret) {
			ASSERT_TRUE(self->f.hit);
			ASSERT_TRUE(tls_fault_errno(errno));
			ASSERT_EQ(5, send(self->l.fd[0], "still", 5, 0));
			ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, "still", 5));
			ASSERT_EQ(0, tls_set_tx(self->l.fd[0], &next));
		}
		ASSERT_EQ(0, tls_reader_rekey(&self->l.r, &next));
		GOES_ON(send(self->l.fd[0], self->data, 100, 0), self->data, 100);
	}
	END(1);
}

TEST_F_TIMEOUT(fault, send, 600)
{
	static const int lens[] = { 1, 1000, 16384, 16385, 100000 };
	unsigned int i;
	ssize_t ret;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		tls_for_each_fault(&self->f) {
			BEGIN();
			ret = tls_fault_armed(&self->f, send(self->l.fd[0], self->data,
							     lens[i], 0));
			GOES_ON(ret, self->data, lens[i]);
		}
		END(1);
	}
}

TEST_F_TIMEOUT(fault, writev, 300)
{
	struct iovec iov[16];
	ssize_t ret;
	int i;

	for (i = 0; i < 16; i++)
		iov[i] = (struct iovec){ self->data + i * 3000, 3000 };
	tls_for_each_fault(&self->f) {
		BEGIN();
		ret = tls_fault_armed(&self->f, writev(self->l.fd[0], iov, 16));
		GOES_ON(ret, self->data, 16 * 3000);
	}
	END(1);
}

/* What an earlier call left open stays, whatever becomes of the later one. */
TEST_F_TIMEOUT(fault, more, 300)
{
	ssize_t ret, n;

	tls_for_each_fault(&self->f) {
		BEGIN();
		ASSERT_EQ(1000, send(self->l.fd[0], self->data, 1000, MSG_MORE));
		ret = tls_fault_armed(&self->f, send(self->l.fd[0], self->data + 1000,
						     20000, MSG_MORE));
		if (ret < 0) {
			ASSERT_TRUE(self->f.hit);
			if (errno == EBADMSG) {
				self->aborted++;
				tls_link_close(&self->l);
				continue;
			}
			ASSERT_TRUE(tls_fault_errno(errno)) {
				TH_LOG("allocation %u: %s", self->f.nth,
				       strerror(errno));
			}
			ret = 0;
		}
		n = send(self->l.fd[0], self->data + 1000 + ret, 100, 0);
		if (n < 0 && errno == EBADMSG && self->f.hit) {
			self->aborted++;
			tls_link_close(&self->l);
			continue;
		}
		ASSERT_EQ(100, n);
		GOES_ON(1100 + ret, self->data, 1100 + ret);
	}
	END(1);
}

TEST_F_TIMEOUT(fault, control, 300)
{
	ssize_t ret;

	tls_for_each_fault(&self->f) {
		BEGIN();
		ASSERT_EQ(10, send(self->l.fd[0], self->data, 10, MSG_MORE));
		ret = tls_fault_armed(&self->f, tls_send_type(self->l.fd[0], TLS_ALERT,
							      "\1\0", 2, 0));
		ASSERT_TRUE(ret == 2 || (self->f.hit && tls_fault_errno(errno)));
		if (ret != 2)
			ASSERT_EQ(2, tls_send_type(self->l.fd[0], TLS_ALERT, "\1\0", 2, 0));
		ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, self->data, 10));
		ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_ALERT, "\1\0", 2));
		GOES_ON(0, self->data, self->f.hit ? 1 : 0);
	}
	END(1);
}

TEST_F_TIMEOUT(fault, sendfile, 600)
{
	int file = memfd_create("source", 0);
	ssize_t ret;
	off_t off;

	ASSERT_EQ(LEN, write(file, self->data, LEN));
	tls_for_each_fault(&self->f) {
		BEGIN();
		off = 0;
		ret = tls_fault_armed(&self->f, sendfile(self->l.fd[0], file, &off,
							 70000));
		GOES_ON(ret, self->data, 70000);
	}
	END(1);
	close(file);
}

TEST_F_TIMEOUT(fault, splice, 600)
{
	ssize_t ret;
	int p[2];

	tls_for_each_fault(&self->f) {
		BEGIN();
		ASSERT_EQ(0, pipe(p));
		ASSERT_EQ(20000, write(p[1], self->data, 20000));
		ret = tls_fault_armed(&self->f, splice(p[0], NULL, self->l.fd[0], NULL,
						       20000, 0));
		GOES_ON(ret, self->data, 20000);
		close(p[0]);
		close(p[1]);
	}
	END(1);
}

TEST_F_TIMEOUT(fault, getsockopt, 300)
{
	struct tls_key now;
	socklen_t len;
	int ret;

	BEGIN();
	tls_for_each_fault(&self->f) {
		len = self->l.key.len;
		now = self->l.key;
		ret = tls_fault_armed(&self->f, getsockopt(self->l.fd[0], SOL_TLS, TLS_TX,
							   now.raw, &len));
		ASSERT_TRUE(!ret || (self->f.hit && tls_fault_errno(errno)));
	}
	END(1);
	GOES_ON(0, self->data, 0);
}

TEST_HARNESS_MAIN
