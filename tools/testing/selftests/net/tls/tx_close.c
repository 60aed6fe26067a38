// SPDX-License-Identifier: GPL-2.0
/*
 * Closing a kernel TLS socket, in all the ways a connection can end: what was
 * sent arrives completely, what was reset does not hang, and nothing is left
 * behind in the kernel's counters.
 */
#include "kselftest_harness.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "tls_common.h"

#define LEN	300000		/* fits the sender, not the peer */
#define CYCLES	1000

static atomic_int pipes;

static void on_pipe(int sig __maybe_unused)
{
	pipes++;
}

/* By the clock of the ticks, which timers go by: it is late when they are. */
static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* TCP sockets of this namespace, and the pages of all in the system. */
static bool sockstat(int *inuse, int *mem)
{
	FILE *f = fopen("/proc/net/sockstat", "r");
	char line[128];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "TCP: inuse %d %*s %*d %*s %*d %*s %*d mem %d",
			       inuse, mem) == 2;
	if (f)
		fclose(f);
	return found;
}

FIXTURE(close)
{
	int fd[2];
	struct tls_key key;
	struct tls_reader r;
	uint8_t *data;
};

FIXTURE_VARIANT(close)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_FEW(close);

FIXTURE_SETUP(close)
{
	int size = 32768;

	signal(SIGPIPE, on_pipe);
	tls_key_make(&self->key, variant->version, variant->cipher, 5);
	ASSERT_EQ(0, tls_tx_pair(variant->family, &self->key, self->fd));
	/* What is sent waits at the sender until the peer reads. */
	ASSERT_EQ(0, setsockopt(self->fd[1], SOL_SOCKET, SO_RCVBUF, &size,
				sizeof(size)));
	ASSERT_EQ(0, tls_reader_init(&self->r, self->fd[1], &self->key));
	self->data = malloc(LEN);
	ASSERT_NE(NULL, self->data);
	tls_fill(self->data, LEN, 5);
}

FIXTURE_TEARDOWN(close)
{
	tls_reader_free(&self->r);
	free(self->data);
	close(self->fd[0]);
	close(self->fd[1]);
}

TEST_F(close, slow_reader)
{
	long t;

	ASSERT_EQ(LEN, send(self->fd[0], self->data, LEN, 0));
	t = now_ms();
	ASSERT_EQ(0, close(self->fd[0]));
	EXPECT_GT(5000, now_ms() - t);
	usleep(100000);
	EXPECT_EQ(0, tls_expect_records(&self->r, TLS_DATA, self->data, LEN,
					TLS_PLAIN_MAX));
	EXPECT_EQ(0, tls_expect_eof(&self->r));
}

static bool hung_up(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 5000) == 1 && p.revents & POLLHUP;
}

/* Data has come, and the sender had time to run into its limit. */
static bool busy(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 5000) == 1 && !usleep(100000);
}

static void linger(int fd, int seconds)
{
	struct linger l = { .l_onoff = 1, .l_linger = seconds };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
}

TEST_F(close, linger_reset)
{
	uint8_t buf[4096];
	ssize_t n;

	linger(self->fd[0], 0);
	ASSERT_EQ(LEN, send(self->fd[0], self->data, LEN, 0));
	ASSERT_EQ(0, close(self->fd[0]));
	do {
		n = recv(self->fd[1], buf, sizeof(buf), 0);
	} while (n > 0);
	EXPECT_EQ(-1, n);
	EXPECT_EQ(ECONNRESET, errno);
}

struct reading {
	pthread_t thread;
	struct tls_reader *r;
	const uint8_t *data;
	int ret;
};

static void *read_later(void *arg)
{
	struct reading *t = arg;

	usleep(300000);
	t->ret = tls_expect_stream(t->r, t->data, LEN);
	return NULL;
}

TEST_F(close, linger_waits)
{
	struct reading t = { .r = &self->r, .data = self->data };
	long start;

	linger(self->fd[0], 20);
	ASSERT_EQ(LEN, send(self->fd[0], self->data, LEN, 0));
	ASSERT_EQ(0, pthread_create(&t.thread, NULL, read_later, &t));
	start = now_ms();
	ASSERT_EQ(0, close(self->fd[0]));
	EXPECT_LE(200, now_ms() - start);
	EXPECT_GT(15000, now_ms() - start);
	pthread_join(t.thread, NULL);
	EXPECT_EQ(0, t.ret);
	EXPECT_EQ(0, tls_expect_eof(&self->r));
}

TEST_F(close, linger_gives_up)
{
	long start;

	linger(self->fd[0], 1);
	ASSERT_EQ(LEN, send(self->fd[0], self->data, LEN, 0));
	start = now_ms();
	ASSERT_EQ(0, close(self->fd[0]));
	EXPECT_LE(900, now_ms() - start);
	EXPECT_GT(9000, now_ms() - start);
	EXPECT_EQ(0, tls_expect_stream(&self->r, self->data, LEN));
	EXPECT_EQ(0, tls_expect_eof(&self->r));
}

TEST_F(close, shutdown_pending)
{
	ASSERT_EQ(LEN, send(self->fd[0], self->data, LEN, 0));
	ASSERT_EQ(0, shutdown(self->fd[0], SHUT_WR));
	ASSERT_EQ(0, close(self->fd[0]));
	EXPECT_EQ(0, tls_expect_stream(&self->r, self->data, LEN));
	EXPECT_EQ(0, tls_expect_eof(&self->r));
}

TEST_F(close, fork)
{
	int status;
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(close(self->fd[0]));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(6, send(self->fd[0], "parent", 6, 0));

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		usleep(100000);
		_exit(send(self->fd[0], "child", 5, 0) != 5);
	}
	ASSERT_EQ(0, close(self->fd[0]));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, "parent", 6));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, "child", 5));
	EXPECT_EQ(0, tls_expect_eof(&self->r));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(close, exit_pending)
{
	pid_t pid = fork();
	int status;

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(send(self->fd[0], self->data, LEN, 0) != LEN);
	close(self->fd[0]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	EXPECT_EQ(0, tls_expect_stream(&self->r, self->data, LEN));
	EXPECT_EQ(0, tls_expect_eof(&self->r));
}

/* Killed in the middle of a send: nothing wrong arrives, nobody hangs. */
TEST_F(close, killed)
{
	int size = 20000, status;
	ssize_t at = 0;
	pid_t pid;

	ASSERT_EQ(0, setsockopt(self->fd[0], SOL_SOCKET, SO_SNDBUF, &size,
				sizeof(size)));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		send(self->fd[0], self->data, LEN, 0);
		_exit(0);
	}
	close(self->fd[0]);
	ASSERT_TRUE(busy(self->fd[1]));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	/* The last record may be cut off. */
	while (tls_read_record(&self->r) == 1) {
		ASSERT_LE((ssize_t)self->r.len, LEN - at);
		ASSERT_EQ(0, memcmp(self->r.data, self->data + at, self->r.len));
		at += self->r.len;
	}
	EXPECT_LT(0, at);
	EXPECT_GT(LEN, at);
	EXPECT_EQ(0, recv(self->fd[1], &size, 1, 0));
}

TEST_F(close, after_reset)
{
	linger(self->fd[1], 0);
	ASSERT_EQ(100, send(self->fd[0], self->data, 100, MSG_MORE));
	ASSERT_EQ(0, close(self->fd[1]));
	EXPECT_TRUE(hung_up(self->fd[0]));
	EXPECT_EQ(-1, send(self->fd[0], self->data, 100, 0));
	EXPECT_EQ(ECONNRESET, errno);
	EXPECT_EQ(0, pipes);
	EXPECT_EQ(0, close(self->fd[0]));
}

/*
 * What a send says after the connection died under it may be a part of the
 * data; but it ends, and an error is one of these two.
 */
static bool dead(ssize_t ret, ssize_t len, int err)
{
	return ret < 0 ? err == ECONNRESET || err == EPIPE : ret <= len;
}

struct sending {
	pthread_t thread;
	int fd;
	const uint8_t *data;
	ssize_t ret;
	int err;
	atomic_bool done;
};

static void *send_all(void *arg)
{
	struct sending *s = arg;

	s->ret = send(s->fd, s->data, LEN, MSG_NOSIGNAL);
	s->err = errno;
	s->done = true;
	return NULL;
}

static void start_blocked(struct __test_metadata *_metadata, struct sending *s,
			  FIXTURE_DATA(close) *self)
{
	int size = 16384;

	*s = (struct sending){ .fd = self->fd[0], .data = self->data };
	ASSERT_EQ(0, setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &size,
				sizeof(size)));
	ASSERT_EQ(0, pthread_create(&s->thread, NULL, send_all, s));
	ASSERT_TRUE(busy(self->fd[1]));
	EXPECT_FALSE(s->done);
}

TEST_F(close, reset_while_sending)
{
	struct sending s;
	ssize_t n;
	int i;

	start_blocked(_metadata, &s, self);
	linger(self->fd[1], 0);
	ASSERT_EQ(0, close(self->fd[1]));
	pthread_join(s.thread, NULL);
	EXPECT_TRUE(dead(s.ret, LEN - 1, s.err));
	EXPECT_TRUE(hung_up(self->fd[0]));
	for (i = 0; i < 3; i++) {
		n = send(self->fd[0], self->data, 100, MSG_NOSIGNAL);
		EXPECT_TRUE(dead(n, 100, errno));
	}
	EXPECT_EQ(0, pipes);
	send(self->fd[0], self->data, 100, 0);
	EXPECT_EQ(1, pipes);
}

TEST_F(close, shutdown_while_sending)
{
	struct sending s;
	ssize_t len;

	start_blocked(_metadata, &s, self);
	ASSERT_EQ(0, shutdown(self->fd[0], SHUT_WR));
	pthread_join(s.thread, NULL);
	ASSERT_TRUE(dead(s.ret, LEN - 1, s.err));
	/* What does arrive is a beginning of the data. */
	for (len = 0; tls_read_record(&self->r) == 1; len += self->r.len) {
		ASSERT_LE((ssize_t)self->r.len, LEN - len);
		ASSERT_EQ(0, memcmp(self->r.data, self->data + len, self->r.len));
	}
	EXPECT_LT(0, len);
	if (s.ret > 0)
		EXPECT_LE(len, s.ret);
}

TEST_F(close, send_after_shutdown)
{
	ssize_t n;

	ASSERT_EQ(4, send(self->fd[0], "last", 4, 0));
	ASSERT_EQ(0, shutdown(self->fd[0], SHUT_WR));
	n = send(self->fd[0], "x", 1, MSG_NOSIGNAL);
	EXPECT_TRUE(dead(n, 1, errno));
	EXPECT_EQ(0, pipes);
	n = send(self->fd[0], "x", 1, 0);
	EXPECT_TRUE(dead(n, 1, errno));
	EXPECT_EQ(1, pipes);
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, "last", 4));
	EXPECT_EQ(0, tls_expect_eof(&self->r));
}

TEST_F(close, after_peer_closed)
{
	ssize_t n;
	int i;

	ASSERT_EQ(0, close(self->fd[1]));
	/* The first meets a closed connection and provokes a reset. */
	EXPECT_EQ(1, send(self->fd[0], "x", 1, MSG_NOSIGNAL));
	usleep(20000);
	for (i = 0; i < 2; i++) {
		n = send(self->fd[0], "x", 1, MSG_NOSIGNAL);
		EXPECT_TRUE(dead(n, 1, errno));
	}
	EXPECT_EQ(0, close(self->fd[0]));
}

/* The number is free for another connection, which is a plain one. */
TEST_F(close, reuse)
{
	char name[16] = "?";
	socklen_t len = sizeof(name);
	int old = self->fd[0];

	ASSERT_EQ(4, send(self->fd[0], "last", 4, 0));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, "last", 4));
	close(self->fd[1]);
	close(self->fd[0]);
	ASSERT_EQ(0, tls_tcp_pair(variant->family, self->fd));
	/* The listener, which is closed again, comes first. */
	ASSERT_EQ(old, dup2(self->fd[0], old));
	ASSERT_EQ(0, getsockopt(old, IPPROTO_TCP, TCP_ULP, name, &len));
	EXPECT_EQ(0u, len);
	ASSERT_EQ(5, send(old, "plain", 5, 0));
	EXPECT_EQ(0, tls_expect_plain(self->fd[1], "plain", 5));
	ASSERT_EQ(0, tls_attach(old));
	ASSERT_EQ(0, tls_set_tx(old, &self->key));
	ASSERT_EQ(5, send(old, "again", 5, 0));
	self->r.fd = self->fd[1];
	ASSERT_EQ(0, tls_reader_rekey(&self->r, &self->key));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, "again", 5));
	close(old);
}

/*
 * Every way of ending, many times. The counters of a new namespace must be
 * where they were; memory is counted for the whole system and in batches per
 * CPU, so that only a leak of a page per connection is certain to show.
 */
TEST_F_TIMEOUT(close, many, 60)
{
	int slack = 300 + 256 * sysconf(_SC_NPROCESSORS_ONLN);
	int fd[2], i, inuse, before, mem;
	uint8_t buf[6000];

	if (tls_own_network(0))
		SKIP(return, "needs the right to make a network namespace");
	ASSERT_TRUE(sockstat(&inuse, &before));
	for (i = 0; i < CYCLES; i++) {
		ASSERT_EQ(0, tls_tx_pair(variant->family, &self->key, fd));
		ASSERT_EQ(5000, send(fd[0], self->data, 5000,
				     i % 4 == 1 ? MSG_MORE : 0));
		if (i % 4 == 2)
			linger(fd[1], 0);
		if (i % 4 == 3)
			EXPECT_LT(5000, recv(fd[1], buf, sizeof(buf), 0));
		if (i & 1)
			close(fd[0]);
		close(fd[1]);
		if (!(i & 1))
			close(fd[0]);
	}
	EXPECT_EQ(CYCLES, tls_stat("TlsTxSw"));
	EXPECT_EQ(0, tls_stat("TlsCurrTxSw"));
	for (i = 0; i < 50; i++) {
		ASSERT_TRUE(sockstat(&inuse, &mem));
		if (!inuse && mem <= before + slack)
			break;
		usleep(20000);
	}
	EXPECT_EQ(0, inuse);
	EXPECT_GE(before + slack, mem);
}

TEST_HARNESS_MAIN
