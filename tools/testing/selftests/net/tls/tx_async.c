// SPDX-License-Identifier: GPL-2.0
/*
 * Sending by kernel TLS on asynchronous crypto.
 *
 * Skipped without root, and for what the kernel does not have.
 */
#include "kselftest_harness.h"

#include <fcntl.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/time.h>

#include "tls_async.h"
#include "tls_common.h"

#define LEN		400000
#define PRESSED		250000
FIXTURE(async)
{
	struct tls_async async;
	int fd[2];
	struct tls_key key;
	struct tls_reader r;
	uint8_t *data;
	bool failed;
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
	tls_key_make(&self->key, variant->version, variant->cipher, 7);
	ASSERT_EQ(0, tls_tx_pair(AF_INET, &self->key, self->fd));
	ASSERT_EQ(0, tls_async_in_use(&self->async));
	ASSERT_EQ(0, tls_reader_init(&self->r, self->fd[1], &self->key));
	self->data = malloc(LEN);
	ASSERT_NE(NULL, self->data);
	tls_fill(self->data, LEN, 7);
}

FIXTURE_TEARDOWN(async)
{
	tls_reader_free(&self->r);
	close(self->fd[0]);
	close(self->fd[1]);
	free(self->data);
	EXPECT_EQ(0, tls_async_end(&self->async));
}

static void *read_slowly(void *arg)
{
	FIXTURE_DATA(async) *self = arg;
	size_t at;

	usleep(50000);
	for (at = 0; at < PRESSED; at += self->r.len) {
		if (tls_read_record(&self->r) != 1 ||
		    self->r.len > PRESSED - at ||
		    memcmp(self->r.data, self->data + at, self->r.len)) {
			self->failed = true;
			break;
		}
		usleep(1000);
	}
	return NULL;
}

TEST_F(async, order)
{
	static const int lens[] = { 1, 5, 100, 1400, 4096, 16384, 16385, 100000 };
	uint32_t info[SK_MEMINFO_VARS] = {};
	socklen_t len = sizeof(info);
	int i, j;

	for (i = 0; i < 25; i++) {
		/* Several calls' records are under way together. */
		for (j = 0; j < 8; j++)
			ASSERT_EQ(lens[j], send(self->fd[0], self->data + i,
						lens[j], 0));
		for (j = 0; j < 8; j++)
			ASSERT_EQ(0, tls_expect_records(&self->r, TLS_DATA,
							self->data + i, lens[j],
							TLS_PLAIN_MAX));
	}
	for (i = 0; i < 200; i++) {
		ASSERT_EQ(0, getsockopt(self->fd[0], SOL_SOCKET, SO_MEMINFO,
					info, &len));
		if (!info[SK_MEMINFO_WMEM_QUEUED])
			break;
		usleep(10000);
	}
	EXPECT_EQ(0u, info[SK_MEMINFO_WMEM_QUEUED]);
}

TEST_F(async, types)
{
	uint8_t type;
	int i, n;

	for (i = 0; i < 60; i++) {
		n = 1 + i * 250;
		ASSERT_EQ(n, send(self->fd[0], self->data + i, n,
				  i % 3 == 1 ? MSG_MORE : 0));
		type = i & 1 ? TLS_ALERT : TLS_HANDSHAKE;
		ASSERT_EQ(i + 1, tls_send_type(self->fd[0], type, self->data,
					       i + 1, 0));
	}
	for (i = 0; i < 60; i++) {
		type = i & 1 ? TLS_ALERT : TLS_HANDSHAKE;
		ASSERT_EQ(0, tls_expect_record(&self->r, TLS_DATA,
					       self->data + i, 1 + i * 250));
		ASSERT_EQ(0, tls_expect_record(&self->r, type, self->data, i + 1));
	}
}

/* Another connection, with the reader at its end. */
static int another(FIXTURE_DATA(async) *self)
{
	close(self->fd[0]);
	close(self->fd[1]);
	if (tls_tx_pair(AF_INET, &self->key, self->fd))
		return -1;
	self->r.fd = self->fd[1];
	return tls_reader_rekey(&self->r, &self->key);
}

/*
 * The caller may use its buffer again as soon as the call returned. A new
 * connection does not know yet that its crypto is asynchronous.
 */
TEST_F(async, reuse_buffer)
{
	uint8_t *buf = malloc(LEN);
	int i, n;

	ASSERT_NE(NULL, buf);
	for (i = 0; i < 60; i++) {
		n = i % 3 ? 1 + i * 400 : 100000 + i;
		memcpy(buf, self->data + i, n);
		ASSERT_EQ(n, send(self->fd[0], buf, n, 0));
		memset(buf, 0x55, n);
		ASSERT_EQ(0, tls_expect_stream(&self->r, self->data + i, n));
		if (i % 3 == 2)
			ASSERT_EQ(0, another(self));
	}
	free(buf);
}

TEST_F(async, more)
{
	int i, n, sent = 0;

	for (i = 0; sent < 300000; i++) {
		n = 1 + i * 997 % 20000;
		ASSERT_EQ(n, send(self->fd[0], self->data + sent, n, MSG_MORE));
		sent += n;
	}
	ASSERT_EQ(1, send(self->fd[0], self->data + sent, 1, 0));
	EXPECT_EQ(0, tls_expect_records(&self->r, TLS_DATA, self->data, sent + 1,
					TLS_PLAIN_MAX));
	EXPECT_EQ(0, tls_expect_quiet(self->fd[1], 20));
}

/* The file is only read, and only during the call. */
TEST_F(async, sendfile)
{
	int file = memfd_create("source", 0), i;
	uint8_t *now = malloc(LEN);
	off_t off;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(LEN, pwrite(file, self->data, LEN, 0));
		off = i * 1000;
		ASSERT_EQ(100000, sendfile(self->fd[0], file, &off, 100000));
		ASSERT_EQ(LEN, pread(file, now, LEN, 0));
		ASSERT_EQ(0, memcmp(now, self->data, LEN));
		ASSERT_EQ(100000, sendfile(self->fd[0], file, &off, 100000));
		memset(now, 0, LEN);
		ASSERT_EQ(LEN, pwrite(file, now, LEN, 0));
		ASSERT_EQ(0, tls_expect_records(&self->r, TLS_DATA,
						self->data + i * 1000, 100000,
						TLS_PLAIN_MAX));
		ASSERT_EQ(0, tls_expect_records(&self->r, TLS_DATA,
						self->data + i * 1000 + 100000,
						100000, TLS_PLAIN_MAX));
		if (i & 1)
			ASSERT_EQ(0, another(self));
	}
	free(now);
	close(file);
}

static void pressure(struct __test_metadata *_metadata,
		     FIXTURE_DATA(async) *self, bool nonblock)
{
	struct pollfd p = { .fd = self->fd[0], .events = POLLOUT };
	int size = 16384, sent = 0, n;
	bool full = false;
	pthread_t thread;

	setsockopt(self->fd[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(self->fd[1], SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	while (sent < PRESSED) {
		n = sent % 3 ? 700 : 40001;
		if (n > PRESSED - sent)
			n = PRESSED - sent;
		n = send(self->fd[0], self->data + sent, n,
			 nonblock || !full ? MSG_DONTWAIT : 0);
		if (n > 0) {
			sent += n;
			continue;
		}
		ASSERT_EQ(EAGAIN, errno);
		/* The reader starts when the sender has seen the limit. */
		if (!full)
			ASSERT_EQ(0, pthread_create(&thread, NULL,
						    read_slowly, self));
		full = true;
		ASSERT_EQ(1, poll(&p, 1, 10000));
	}
	ASSERT_TRUE(full);
	pthread_join(thread, NULL);
	EXPECT_FALSE(self->failed);
	EXPECT_EQ(0, tls_expect_quiet(self->fd[1], 20));
}

TEST_F(async, back_pressure)
{
	pressure(_metadata, self, false);
	ASSERT_EQ(0, another(self));
	pressure(_metadata, self, true);
}

/* A close waits for the crypto: all that was accepted arrives. */
TEST_F(async, close_at_once)
{
	int i, n;

	for (i = 0; i < 40; i++) {
		n = i % 6 ? 1 + i * 300 : 100000;
		ASSERT_EQ(3, send(self->fd[0], "one", 3, 0));
		ASSERT_EQ(n, send(self->fd[0], self->data, n, 0));
		ASSERT_EQ(0, close(self->fd[0]));
		ASSERT_EQ(0, tls_expect_record(&self->r, TLS_DATA, "one", 3));
		ASSERT_EQ(0, tls_expect_stream(&self->r, self->data, n));
		ASSERT_EQ(0, tls_expect_eof(&self->r));
		ASSERT_EQ(0, another(self));
	}
}

/* The same with records that nobody waited for. */
static void end_in_flight(struct __test_metadata *_metadata,
			  FIXTURE_DATA(async) *self, bool half)
{
	/* The C module sends full records only. */
	int all = tls_is_ours() ? 40000 : 2 * TLS_PLAIN_MAX, i;

	for (i = 0; i < 40; i++) {
		ASSERT_EQ(3, send(self->fd[0], "one", 3, 0));
		ASSERT_EQ(40000, send(self->fd[0], self->data, 40000, MSG_MORE));
		ASSERT_EQ(0, half ? shutdown(self->fd[0], SHUT_WR) :
				    close(self->fd[0]));
		ASSERT_EQ(0, tls_expect_record(&self->r, TLS_DATA, "one", 3));
		ASSERT_EQ(0, tls_expect_records(&self->r, TLS_DATA, self->data,
						all, TLS_PLAIN_MAX));
		ASSERT_EQ(0, tls_expect_eof(&self->r));
		ASSERT_EQ(0, another(self));
	}
}

TEST_F(async, close_in_flight)
{
	end_in_flight(_metadata, self, false);
}

TEST_F(async, shutdown_in_flight)
{
	TLS_OURS_ONLY("what is not encrypted yet is lost");
	end_in_flight(_metadata, self, true);
}

static void on_alarm(int sig __maybe_unused)
{
}

/* A signal ends the wait for the crypto: what was accepted arrives all the same. */
TEST_F(async, shutdown_after_signals)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct itimerval it = { { 0, 700 }, { 0, 700 } };
	int i, sent, n;

	TLS_OURS_ONLY("what is not encrypted yet is lost");
	sigaction(SIGALRM, &sa, NULL);
	for (i = 0; i < 40; i++) {
		setitimer(ITIMER_REAL, &it, NULL);
		for (sent = 0; sent < 50000; sent += n > 0 ? n : 0) {
			n = send(self->fd[0], self->data + sent, 20000,
				 i & 1 ? MSG_MORE : 0);
			if (n < 0)
				ASSERT_EQ(EINTR, errno);
		}
		ASSERT_EQ(0, shutdown(self->fd[0], SHUT_WR));
		setitimer(ITIMER_REAL, &(struct itimerval){}, NULL);
		ASSERT_EQ(0, tls_expect_stream(&self->r, self->data, sent));
		ASSERT_EQ(0, tls_expect_eof(&self->r));
		ASSERT_EQ(0, another(self));
	}
}

static void use_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/*
 * Each CPU has a queue of its own, so that a later record can be ready earlier:
 * the crypto of the first CPU does not run before the sender has left it.
 */
TEST_F(async, across_cpus)
{
	int most = 20 * TLS_PLAIN_MAX, all = 21 * TLS_PLAIN_MAX, i;
	struct sched_param high = { .sched_priority = 1 };

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2 ||
	    sched_setscheduler(0, SCHED_FIFO, &high))
		SKIP(return, "needs two CPUs and a real-time priority");
	for (i = 0; i < 20; i++) {
		use_cpu(i % 2);
		ASSERT_EQ(most, send(self->fd[0], self->data, most, MSG_MORE));
		use_cpu(!(i % 2));
		ASSERT_EQ(all - most, send(self->fd[0], self->data + most,
					   all - most, MSG_MORE));
		usleep(3000);
		ASSERT_EQ(1, send(self->fd[0], self->data + all, 1, 0));
		ASSERT_EQ(0, tls_expect_stream(&self->r, self->data, all + 1));
	}
}

struct connection {
	pthread_t thread;
	struct tls_key key;
	const uint8_t *data;
	int seed;
	const char *failed;
};

static void *use_connection(void *arg)
{
	struct connection *c = arg;
	struct tls_reader r;
	int fd[2], i, n;

	tls_key_make(&c->key, c->key.info.version, c->key.info.cipher_type,
		     c->seed);
	c->failed = "setup";
	if (tls_tx_pair(AF_INET, &c->key, fd) || tls_reader_init(&r, fd[1], &c->key))
		return NULL;
	c->failed = NULL;
	for (i = 0; i < 20 && !c->failed; i++) {
		n = 1 + (i * 5 + c->seed) * 733 % 40000;
		if (send(fd[0], c->data + i, n, 0) != n)
			c->failed = "send";
		else if (tls_expect_stream(&r, c->data + i, n))
			c->failed = "data";
	}
	close(fd[0]);
	if (!c->failed && tls_expect_eof(&r))
		c->failed = "end";
	tls_reader_free(&r);
	close(fd[1]);
	return NULL;
}

TEST_F(async, many_sockets)
{
	struct connection c[12];
	int i;

	for (i = 0; i < 12; i++) {
		c[i] = (struct connection){ .key = self->key,
					    .data = self->data, .seed = i };
		ASSERT_EQ(0, pthread_create(&c[i].thread, NULL, use_connection,
					    &c[i]));
	}
	for (i = 0; i < 12; i++) {
		pthread_join(c[i].thread, NULL);
		EXPECT_EQ(NULL, c[i].failed) {
			TH_LOG("connection %d: %s", i, c[i].failed);
		}
	}
}

/* Two processes on one socket: each record is one of theirs, none is missing. */
TEST_F(async, fork)
{
	int i, n, status, at[2] = {};
	pid_t pid = fork();

	for (i = 0; i < 60; i++) {
		n = 1 + i * 100;
		if (send(self->fd[0], self->data + (pid ? 0 : 200000), n, 0) != n)
			break;
	}
	if (!pid)
		_exit(i != 60);
	ASSERT_EQ(60, i);
	ASSERT_LT(0, pid);
	for (i = 0; i < 120; i++) {
		ASSERT_EQ(1, tls_read_record(&self->r));
		n = memcmp(self->r.data, self->data, self->r.len) ? 1 : 0;
		ASSERT_EQ(0, memcmp(self->r.data, self->data + n * 200000,
				    self->r.len));
		ASSERT_EQ((size_t)(1 + at[n]++ * 100), self->r.len);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_HARNESS_MAIN
