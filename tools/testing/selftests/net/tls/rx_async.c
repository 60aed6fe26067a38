// SPDX-License-Identifier: GPL-2.0
/*
 * Receiving by kernel TLS on asynchronous crypto: several records are opened at
 * the same time. The module in C does that in TLS 1.2.
 *
 * Skipped without root, and for what the kernel does not have.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

#include "tls_async.h"
#include "tls_writer.h"

#define LEN	(1 << 20)

static uint8_t data[LEN], buf[LEN];

FIXTURE(async)
{
	struct tls_async async;
	struct tls_inlet l;
};

FIXTURE_VARIANT(async)
{
	const char *template;
	uint16_t version;
	uint16_t cipher;
};

#define ASYNC_VARIANT(t, v, c) \
	FIXTURE_VARIANT_ADD(async, t##_1##v) { \
		#t, TLS_1_##v##_VERSION, TLS_CIPHER_##c, \
	}

ASYNC_VARIANT(cryptd, 2, AES_GCM_128);
ASYNC_VARIANT(cryptd, 3, AES_GCM_256);
ASYNC_VARIANT(pcrypt, 2, AES_GCM_128);
ASYNC_VARIANT(pcrypt, 3, AES_GCM_256);

FIXTURE_SETUP(async)
{
	if (tls_async_begin(&self->async, variant->template))
		SKIP(return, "%s", self->async.why);
	tls_fill(data, sizeof(data), 250);
	ASSERT_EQ(0, tls_inlet_open(&self->l, AF_INET, variant->version,
				    variant->cipher));
	ASSERT_EQ(0, tls_async_in_use(&self->async));
}

FIXTURE_TEARDOWN(async)
{
	tls_inlet_close(&self->l);
	EXPECT_EQ(0, tls_async_end(&self->async));
}

/* Records of all sizes, made from data; returns their sum. */
static size_t put_many(struct tls_writer *w, size_t limit)
{
	static const size_t lens[] = {
		1, 16384, 5, 100, 1400, 4096, 300, 16384, 16383, 17, 9000,
	};
	size_t i, sum = 0;

	for (i = 0; sum + TLS_PLAIN_MAX <= limit; i++) {
		if (!tls_put(w, TLS_DATA, data + sum,
			     lens[i % ARRAY_SIZE(lens)]))
			return 0;
		sum += lens[i % ARRAY_SIZE(lens)];
	}
	return sum;
}

static void *push_all(void *arg)
{
	struct tls_writer *w = arg;
	size_t i, n;

	for (i = 0; w->len; i++) {
		n = w->len - w->pushed;
		if (n > 30000 + i % 5 * 7777)
			n = 30000 + i % 5 * 7777;
		if (tls_push_some(w, n))
			break;
	}
	return NULL;
}

TEST_F(async, stream)
{
	static const size_t asks[] = { 5, 70000, 100, 16384, 16385, 1, 40000 };
	pthread_t thread;
	size_t sum, at, i;
	ssize_t n;

	sum = put_many(&self->l.w, LEN);
	ASSERT_LT(0, sum);
	ASSERT_EQ(0, pthread_create(&thread, NULL, push_all, &self->l.w));
	for (i = 0, at = 0; at < sum; i++, at += n) {
		n = recv(self->l.fd[1], buf, asks[i % ARRAY_SIZE(asks)],
			 i % 3 ? 0 : MSG_WAITALL);
		ASSERT_LT(0, n);
		ASSERT_EQ(0, tls_compare(buf, data + at, n, "plaintext"));
	}
	pthread_join(thread, NULL);
}

/* When a call returns, nobody writes into its buffer any more. */
TEST_F(async, buffer_is_free)
{
	static uint8_t mine[40000];
	int i, j;

	memset(mine, 0x55, sizeof(mine));
	for (i = 0; i < 30; i++) {
		for (j = 0; j < 8; j++) {
			ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA,
						data + j * 5000, 5000));
		}
		ASSERT_EQ(0, tls_push(&self->l.w));
		ASSERT_EQ(0, tls_settle(self->l.fd[0]));
		ASSERT_EQ(40000, recv(self->l.fd[1], buf, LEN, 0));
		ASSERT_EQ(0, tls_compare(buf, data, 40000, "plaintext"));
		memcpy(buf, mine, 40000);
		usleep(500);
		ASSERT_EQ(0, memcmp(buf, mine, 40000));
	}
}

/* Order is kept, whatever is opened at the same time. */
TEST_F(async, types)
{
	int i, j;

	for (i = 0; i < 20; i++) {
		for (j = 0; j < 3; j++) {
			ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA,
						data + j * 3000, 3000));
		}
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_ALERT, data, 2));
	}
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data, 9000,
					    MSG_WAITALL));
		ASSERT_EQ(0, tls_expect_got(self->l.fd[1], TLS_ALERT, data, 2,
					    0));
	}
}

/* Of those that are not data each call gets one. */
TEST_F(async, types_in_a_row)
{
	static const uint8_t types[] = {
		TLS_ALERT, TLS_ALERT, TLS_DATA, TLS_ALERT, TLS_ALERT,
		TLS_HANDSHAKE, TLS_HANDSHAKE, TLS_DATA, TLS_HANDSHAKE,
		TLS_ALERT, TLS_DATA, TLS_ALERT, TLS_ALERT,
	};
	struct tls_got got;
	int round, peek;
	size_t i;

	/* What is looked at is opened by itself, so once without that. */
	for (round = 0; round < 2; round++) {
		for (i = 0; i < ARRAY_SIZE(types); i++) {
			ASSERT_NE(NULL, tls_put(&self->l.w, types[i], data + i,
						2));
		}
		ASSERT_EQ(0, tls_push(&self->l.w));
		ASSERT_EQ(0, tls_settle(self->l.fd[0]));
		for (i = 0; i < ARRAY_SIZE(types); i++) {
			for (peek = round; peek >= 0; peek--) {
				got = tls_recv(self->l.fd[1], buf, LEN,
					       peek ? MSG_PEEK : 0);
				ASSERT_EQ(2, got.n) {
					TH_LOG("record %zu", i);
				}
				EXPECT_EQ(types[i], got.type);
				EXPECT_EQ(0, memcmp(buf, data + i, 2));
			}
		}
	}
}

/* Looks over records, some of which are on the list and some not yet opened. */
TEST_F(async, peek)
{
	const int fd = self->l.fd[1];
	size_t i, n;

	for (i = 0; i < 10; i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + i * 1000,
					1000));
	}
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_ALERT, data, 2));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 1000));
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	for (n = 1; n <= 10000; n += 799) {
		ASSERT_EQ(n, recv(fd, buf, n, MSG_PEEK));
		ASSERT_EQ(0, tls_compare(buf, data, n, "look"));
	}
	ASSERT_EQ(0, tls_expect_bytes(fd, data, 1500));
	ASSERT_EQ(0, tls_expect_got(fd, TLS_DATA, data + 1500, 8500, MSG_PEEK));
	ASSERT_EQ(0, tls_expect_bytes(fd, data + 1500, 8500));
	ASSERT_EQ(0, tls_expect_got(fd, TLS_ALERT, data, 2, MSG_PEEK));
	ASSERT_EQ(0, tls_expect_got(fd, TLS_ALERT, data, 2, 0));
	ASSERT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 1000, 0));
}

TEST_F(async, splice)
{
	size_t sum, at;
	ssize_t n;
	int p[2];

	ASSERT_EQ(0, pipe(p));
	sum = put_many(&self->l.w, 200000);
	ASSERT_EQ(0, tls_push(&self->l.w));
	for (at = 0; at < sum; at += n) {
		n = splice(self->l.fd[1], NULL, p[1], NULL, 10000, 0);
		ASSERT_LT(0, n);
		ASSERT_EQ(n, read(p[0], buf, n));
		ASSERT_EQ(0, tls_compare(buf, data + at, n, "pipe"));
	}
	close(p[0]);
	close(p[1]);
}

/* Small windows: the record that is opened is not in TCP's queue. */
TEST_F(async, small_window)
{
	int size = 4096;
	pthread_t thread;
	size_t sum;

	ASSERT_EQ(0, setsockopt(self->l.fd[1], SOL_SOCKET, SO_RCVBUF, &size,
				sizeof(size)));
	sum = put_many(&self->l.w, 200000);
	ASSERT_EQ(0, pthread_create(&thread, NULL, push_all, &self->l.w));
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, sum));
	pthread_join(thread, NULL);
}

/* Eight records of 1000 bytes, the sixth of which is not authentic. */
static int push_bad(struct tls_inlet *l)
{
	uint8_t *p;
	int i;

	for (i = 0; i < 8; i++) {
		p = tls_put(&l->w, TLS_DATA, data + i * 1000, 1000);
		if (!p)
			return -1;
		if (i == 5)
			p[100] ^= 1;
	}
	return tls_push(&l->w) || tls_settle(l->fd[0]);
}

/* The first bad record is where it ends; nothing wrong is delivered. */
TEST_F(async, bad_tag)
{
	size_t at;
	ssize_t n;

	ASSERT_EQ(0, push_bad(&self->l));
	for (at = 0; (n = recv(self->l.fd[1], buf, 2500, 0)) > 0; at += n) {
		ASSERT_GE(5000, at + n);
		ASSERT_EQ(0, tls_compare(buf, data + at, n, "plaintext"));
	}
	EXPECT_EQ(-1, n);
	EXPECT_EQ(EBADMSG, errno);
	/* The module in C forgets what was opened together with it. */
	if (tls_is_ours()) {
		EXPECT_EQ(5000, at);
	}
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EBADMSG, 0));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EBADMSG, MSG_PEEK));
}

/* The same in one call, which gets all that is good. */
TEST_F(async, bad_tag_in_one)
{
	long errors = tls_stat("TlsDecryptError");
	ssize_t n;

	ASSERT_EQ(0, push_bad(&self->l));
	n = recv(self->l.fd[1], buf, LEN, 0);
	/* The module in C forgets what was opened together with it. */
	if (tls_is_ours()) {
		EXPECT_EQ(5000, n);
		EXPECT_EQ(0, tls_compare(buf, data, 5000, "plaintext"));
		EXPECT_EQ(errors + 1, tls_stat("TlsDecryptError"));
		EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EBADMSG, 0));
	}
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EBADMSG, 0));
}

/* What is behind the announcement of a new key waits for that key. */
TEST_F(async, rekey)
{
	struct tls_key next;
	int i, j;

	if (variant->version != TLS_1_3_VERSION)
		SKIP(return, "only TLS 1.3 has new keys");
	for (i = 0; i < 4; i++) {
		tls_key_make(&next, variant->version, variant->cipher, 60 + i);
		tls_key_set_seq(&next, 0);
		for (j = 0; j < 3; j++) {
			ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA,
						data + j * 3000, 3000));
		}
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_HANDSHAKE,
					"\x18\0\0\1\0", 5));
		ASSERT_EQ(0, tls_writer_rekey(&self->l.w, &next));
	}
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	for (i = 0; i < 4; i++) {
		/* There is room for more. */
		ASSERT_EQ(9000, recv(self->l.fd[1], buf, LEN, 0));
		ASSERT_EQ(0, tls_compare(buf, data, 9000, "plaintext"));
		ASSERT_EQ(0, tls_expect_got(self->l.fd[1], TLS_HANDSHAKE,
					    "\x18\0\0\1\0", 5, 0));
		ASSERT_EQ(0, tls_expect_error(self->l.fd[1], EKEYEXPIRED, 0));
		tls_key_make(&next, variant->version, variant->cipher, 60 + i);
		tls_key_set_seq(&next, 0);
		ASSERT_EQ(0, tls_set_rx(self->l.fd[1], &next));
	}
}

/* A peer that announces a new key and goes on with the old one is not believed. */
TEST_F(async, rekey_in_vain)
{
	struct tls_key next;
	int i;

	if (variant->version != TLS_1_3_VERSION)
		SKIP(return, "only TLS 1.3 has new keys");
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_HANDSHAKE, "\x18\0\0\1\0", 5));
	for (i = 0; i < 3; i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	}
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	ASSERT_EQ(100, recv(self->l.fd[1], buf, LEN, 0));
	ASSERT_EQ(0, tls_expect_got(self->l.fd[1], TLS_HANDSHAKE,
				    "\x18\0\0\1\0", 5, 0));
	ASSERT_EQ(0, tls_expect_error(self->l.fd[1], EKEYEXPIRED, 0));
	tls_key_make(&next, variant->version, variant->cipher, 60);
	tls_key_set_seq(&next, 0);
	ASSERT_EQ(0, tls_set_rx(self->l.fd[1], &next));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EBADMSG, 0));
}

/* Empty records are no end of the stream, and no records that are missing. */
TEST_F(async, empty)
{
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 0));
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + i * 100,
					100));
	}
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	EXPECT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data, 2000,
				    MSG_PEEK));
	EXPECT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data, 2000, 0));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 0));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	if (tls_is_ours()) {
		EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EAGAIN,
					      MSG_DONTWAIT));
	}
}

/* A buffer that cannot be written to; the data stays. */
TEST_F(async, fault)
{
	uint8_t *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, mprotect(p + 4096, 4096, PROT_NONE));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 3000));
	EXPECT_EQ(-1, recv(self->l.fd[1], p + 4096, 3000, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, recv(self->l.fd[1], p + 4000, 3000, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data, 3000, 0));
	munmap(p, 8192);
}

/* Gone while much of it is unread, or opened and unread. */
TEST_F(async, close)
{
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_LT(0, put_many(&self->l.w, 100000));
		ASSERT_EQ(0, tls_push(&self->l.w));
		if (i & 1) {
			ASSERT_LT(0, recv(self->l.fd[1], buf, 3000, MSG_PEEK));
		}
		if (i & 2) {
			ASSERT_LT(0, recv(self->l.fd[1], buf, 30000, 0));
		}
		tls_inlet_close(&self->l);
		ASSERT_EQ(0, tls_inlet_open(&self->l, AF_INET, variant->version,
					    variant->cipher));
	}
}

static void on_alarm(int sig __maybe_unused)
{
}

/* Signals while records are being opened lose nothing. */
TEST_F(async, signals)
{
	struct itimerval it = { { 0, 700 }, { 0, 700 } };
	struct sigaction sa = { .sa_handler = on_alarm };
	size_t sum, at = 0;
	pthread_t thread;
	sigset_t alrm;
	ssize_t n;

	sigemptyset(&alrm);
	sigaddset(&alrm, SIGALRM);
	sum = put_many(&self->l.w, LEN);
	pthread_sigmask(SIG_BLOCK, &alrm, NULL);
	ASSERT_EQ(0, pthread_create(&thread, NULL, push_all, &self->l.w));
	pthread_sigmask(SIG_UNBLOCK, &alrm, NULL);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
	while (at < sum) {
		n = recv(self->l.fd[1], buf, 50000, MSG_WAITALL);
		if (n < 0 && errno == EINTR)
			continue;
		ASSERT_LT(0, n);
		ASSERT_EQ(0, tls_compare(buf, data + at, n, "plaintext"));
		at += n;
	}
	memset(&it, 0, sizeof(it));
	setitimer(ITIMER_REAL, &it, NULL);
	pthread_join(thread, NULL);
	EXPECT_EQ(sum, at);
}

TEST_HARNESS_MAIN
