// SPDX-License-Identifier: GPL-2.0
/*
 * Sending on kernel TLS when the peer does not read: partial sends, waiting,
 * polling, timeouts, signals. Whatever a send accepted must arrive once
 * and in order; whatever it did not accept must not arrive at all.
 */
#include "kselftest_harness.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <time.h>

#include "tls_common.h"

#define LEN	(1 << 20)	/* far more than the sockets can hold */
#define BUFFER	32768

static atomic_int alarms;

static void on_alarm(int sig __maybe_unused)
{
	alarms++;
}

static void catch(int flags)
{
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = flags };

	sigaction(SIGALRM, &sa, NULL);
}

static void timer(int ms, int repeat_ms)
{
	struct itimerval it = {
		.it_value.tv_usec = ms * 1000,
		.it_interval.tv_usec = repeat_ms * 1000,
	};

	setitimer(ITIMER_REAL, &it, NULL);
}

/* By the clock of the ticks, which timers go by: it is late when they are. */
static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* A thread that sends, or one that reads and compares, after a delay. */
struct worker {
	pthread_t thread;
	int fd;
	struct tls_reader *r;
	const uint8_t *data;
	ssize_t len;
	int delay_ms;
	ssize_t ret;
	atomic_bool done;
};

static void *send_work(void *arg)
{
	struct worker *w = arg;

	w->ret = send(w->fd, w->data, w->len, 0);
	w->done = true;
	return NULL;
}

/* Many small pauses, so that the sender runs into the full socket often. */
static void *read_work(void *arg)
{
	struct worker *w = arg;
	ssize_t at = 0;

	usleep(w->delay_ms * 1000);
	while (at < w->len) {
		if (tls_read_record(w->r) != 1 ||
		    (ssize_t)w->r->len > w->len - at ||
		    memcmp(w->r->data, w->data + at, w->r->len)) {
			w->ret = -1;
			return NULL;
		}
		at += w->r->len;
		if (w->delay_ms)
			usleep(2000);
	}
	w->done = true;
	return NULL;
}

/* Only the main thread takes signals. */
static void start(struct worker *w, void *(*fn)(void *))
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	if (pthread_create(&w->thread, NULL, fn, w))
		abort();
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static int writable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, ms) == 1 ? p.revents : 0;
}

/*
 * Send until nothing more fits. Some room may still come up later, when the
 * peer acknowledges or tidies its queue.
 */
static ssize_t fill(int fd, const uint8_t *data, ssize_t len, ssize_t chunk)
{
	ssize_t at = 0, n;

	do {
		n = send(fd, data + at, len - at < chunk ? len - at : chunk,
			 MSG_DONTWAIT);
		if (n > 0)
			at += n;
	} while (at < len && (n > 0 || writable(fd, 60)));
	return at;
}

FIXTURE(blocking)
{
	int fd[2];
	struct tls_key key;
	struct tls_reader r;
	struct worker w;
	uint8_t *data;
};

FIXTURE_VARIANT(blocking)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_FEW(blocking);

static int connect_narrow(FIXTURE_DATA(blocking) *self, int family, int size)
{
	int buffer = BUFFER;

	return tls_tcp_pair_plain(family, self->fd) ||
	       setsockopt(self->fd[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) ||
	       setsockopt(self->fd[1], SOL_SOCKET, SO_RCVBUF, &buffer,
			  sizeof(buffer)) ||
	       tls_attach(self->fd[0]) || tls_set_tx(self->fd[0], &self->key) ||
	       tls_reader_init(&self->r, self->fd[1], &self->key);
}

static void disconnect(FIXTURE_DATA(blocking) *self)
{
	tls_reader_free(&self->r);
	close(self->fd[0]);
	close(self->fd[1]);
}

FIXTURE_SETUP(blocking)
{
	tls_key_make(&self->key, variant->version, variant->cipher, 1);
	ASSERT_EQ(0, connect_narrow(self, variant->family, BUFFER));
	self->data = malloc(LEN);
	ASSERT_NE(NULL, self->data);
	tls_fill(self->data, LEN, 7);
	self->w = (struct worker){ .fd = self->fd[0], .r = &self->r,
				   .data = self->data, .len = LEN };
}

FIXTURE_TEARDOWN(blocking)
{
	disconnect(self);
	free(self->data);
}

TEST_F(blocking, nonblock)
{
	static const ssize_t chunks[] = { 1, 16384, 700, 16385, 40000, 5000 };
	ssize_t sent, n, ret;
	int i = 0;

	ASSERT_EQ(0, fcntl(self->fd[0], F_SETFL, O_NONBLOCK));
	sent = fill(self->fd[0], self->data, LEN, 5000);
	EXPECT_EQ(EAGAIN, errno);
	ASSERT_GT(LEN, sent);

	self->w.delay_ms = 50;
	start(&self->w, read_work);
	while (sent < LEN) {
		n = chunks[i++ % ARRAY_SIZE(chunks)];
		if (n > LEN - sent)
			n = LEN - sent;
		ret = send(self->fd[0], self->data + sent, n, 0);
		if (ret < 0) {
			ASSERT_EQ(EAGAIN, errno);
			ASSERT_TRUE(writable(self->fd[0], 10000) & POLLOUT);
			continue;
		}
		ASSERT_NE(0, ret);
		ASSERT_LE(ret, n);
		sent += ret;
	}
	pthread_join(self->w.thread, NULL);
	EXPECT_EQ(0, self->w.ret);
	EXPECT_EQ(0, tls_expect_quiet(self->fd[1], 20));
}

/*
 * What a call has accepted arrives without any further call, even if only a
 * part of a record fitted; where that part ends depends on what was before.
 */
TEST_F(blocking, partial)
{
	ssize_t sent, n, len;
	int i, j;

	for (i = 0; i < 24; i++) {
		disconnect(self);
		ASSERT_EQ(0, connect_narrow(self, variant->family,
					    2000 + i % 4 * 12000));
		for (sent = 0, j = 0; j < 50; j++) {
			len = 1 + (i * 7919 + j * 3571) % 30000;
			n = send(self->fd[0], self->data + sent, len,
				 MSG_DONTWAIT);
			if (n > 0)
				sent += n;
			if (n < len)
				break;
		}
		ASSERT_GT(50, j);
		ASSERT_EQ(0, tls_expect_stream(&self->r, self->data, sent));
		ASSERT_TRUE(writable(self->fd[0], 10000) & POLLOUT);
		EXPECT_EQ(0, tls_expect_quiet(self->fd[1], 0));
	}
}

TEST_F(blocking, dontwait_is_per_call)
{
	ssize_t sent = 0, n;

	do {
		n = send(self->fd[0], self->data + sent, 3000, MSG_DONTWAIT);
		if (n > 0)
			sent += n;
	} while (n > 0 && sent < LEN / 2);
	ASSERT_EQ(-1, n);
	EXPECT_EQ(EAGAIN, errno);

	/* The next call without the flag waits for the reader again. */
	self->w.delay_ms = 100;
	start(&self->w, read_work);
	EXPECT_EQ(LEN - sent, send(self->fd[0], self->data + sent, LEN - sent, 0));
	pthread_join(self->w.thread, NULL);
	EXPECT_EQ(0, self->w.ret);
}

TEST_F(blocking, poll_level)
{
	ssize_t sent = 0, n;
	int i, tries;

	for (i = 0; i < 4; i++) {
		EXPECT_EQ(POLLOUT, writable(self->fd[0], 0));
		n = 0;
		for (tries = 0; tries < 50 && writable(self->fd[0], 0); tries++)
			n += fill(self->fd[0], self->data + sent + n,
				  LEN - sent - n, 9000);
		ASSERT_GT(50, tries);
		ASSERT_NE(0, n);
		ASSERT_EQ(0, tls_expect_stream(&self->r, self->data + sent, n));
		EXPECT_EQ(POLLOUT, writable(self->fd[0], 10000));
		sent += n;
	}
}

TEST_F(blocking, epoll_edge)
{
	struct epoll_event ev = { .events = EPOLLOUT | EPOLLET };
	int ep = epoll_create1(0), round, tries;
	ssize_t sent = 0, n, part;

	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->fd[0], &ev));
	ASSERT_EQ(1, epoll_wait(ep, &ev, 1, 0));
	for (round = 0; round < 4; round++) {
		n = 0;
		for (tries = 0; tries < 50; tries++) {
			do {
				part = send(self->fd[0], self->data + sent + n,
					    5000, MSG_DONTWAIT);
				if (part > 0)
					n += part;
			} while (part > 0 && n < LEN / 8);
			/* No poll() here: the failed send is what asks for it. */
			if (!epoll_wait(ep, &ev, 1, 60))
				break;
		}
		ASSERT_GT(50, tries);
		ASSERT_EQ(-1, part);
		ASSERT_NE(0, n);
		ASSERT_EQ(0, tls_expect_stream(&self->r, self->data + sent, n));
		ASSERT_EQ(1, epoll_wait(ep, &ev, 1, 10000));
		EXPECT_EQ(EPOLLOUT, ev.events);
		sent += n;
	}
	close(ep);
}

TEST_F(blocking, smallest_buffer)
{
	int size = 1;

	ASSERT_EQ(0, setsockopt(self->fd[0], SOL_SOCKET, SO_SNDBUF, &size,
				sizeof(size)));
	self->w.len = 300000;
	start(&self->w, read_work);
	EXPECT_EQ(200000, send(self->fd[0], self->data, 200000, 0));
	EXPECT_EQ(70000, send(self->fd[0], self->data + 200000, 70000, MSG_MORE));
	EXPECT_EQ(30000, send(self->fd[0], self->data + 270000, 30000, 0));
	pthread_join(self->w.thread, NULL);
	EXPECT_EQ(0, self->w.ret);
}

TEST_F(blocking, wakes)
{
	struct worker s = self->w;

	start(&s, send_work);
	usleep(200000);
	EXPECT_FALSE(s.done);
	EXPECT_EQ(0, tls_expect_stream(&self->r, self->data, LEN));
	pthread_join(s.thread, NULL);
	EXPECT_EQ(LEN, s.ret);
}

TEST_F(blocking, timeout)
{
	struct timeval tv = { .tv_usec = 200000 };
	ssize_t sent, n;
	long t;

	ASSERT_EQ(0, setsockopt(self->fd[0], SOL_SOCKET, SO_SNDTIMEO, &tv,
				sizeof(tv)));
	/* A part was accepted: that is what the call says after the time. */
	t = now_ms();
	n = send(self->fd[0], self->data, LEN, 0);
	EXPECT_LE(190, now_ms() - t);
	EXPECT_GT(8000, now_ms() - t);
	ASSERT_GT(n, 0);
	ASSERT_LT(n, LEN);

	/* Nothing was accepted: it says so after the time, too. */
	for (sent = 0; n > 0; ) {
		sent += n;
		ASSERT_GT(LEN / 2, sent);
		t = now_ms();
		n = send(self->fd[0], self->data + sent, 1000, 0);
	}
	EXPECT_EQ(-1, n);
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_LE(190, now_ms() - t);
	EXPECT_GT(8000, now_ms() - t);

	EXPECT_EQ(0, tls_expect_stream(&self->r, self->data, sent));
	EXPECT_EQ(0, tls_expect_quiet(self->fd[1], 20));
	EXPECT_EQ(9, send(self->fd[0], "afterward", 9, 0));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, "afterward", 9));
}

TEST_F(blocking, signal)
{
	ssize_t sent, n;

	catch(0);
	timer(150, 150);
	n = send(self->fd[0], self->data, LEN, 0);
	EXPECT_LT(0, alarms);
	ASSERT_GT(n, 0);
	ASSERT_LT(n, LEN);
	for (sent = 0; n > 0; ) {
		sent += n;
		ASSERT_GT(LEN / 2, sent);
		n = send(self->fd[0], self->data + sent, 1000, 0);
	}
	EXPECT_EQ(-1, n);
	EXPECT_EQ(EINTR, errno);
	timer(0, 0);

	EXPECT_EQ(0, tls_expect_stream(&self->r, self->data, sent));
	EXPECT_EQ(0, tls_expect_quiet(self->fd[1], 20));
}

/*
 * A call that has accepted nothing yet is restarted. Only the lock between
 * senders, which a worker takes for a moment, may say EINTR all the same.
 */
TEST_F(blocking, signal_restart)
{
	ssize_t sent = fill(self->fd[0], self->data, LEN / 2, 5000), n = 0;
	int failed = 0;

	catch(SA_RESTART);
	self->w.delay_ms = 400;
	start(&self->w, read_work);
	timer(20, 20);
	while (!alarms || n < 0) {
		n = send(self->fd[0], self->data + sent, 1000, 0);
		if (n < 0) {
			ASSERT_EQ(EINTR, errno);
			ASSERT_GT(5, ++failed);
			continue;
		}
		sent += n;
	}
	timer(0, 0);
	EXPECT_EQ(LEN - sent, send(self->fd[0], self->data + sent, LEN - sent, 0));
	pthread_join(self->w.thread, NULL);
	EXPECT_EQ(0, self->w.ret);
}

TEST_F(blocking, signal_storm)
{
	static const int chunks[] = { 60000, 5000, 17, 200000, 16384 };
	ssize_t sent = 0, n;
	int i, flags;

	catch(0);
	self->w.delay_ms = 10;
	start(&self->w, read_work);
	timer(3, 3);
	for (i = 0; sent < LEN; i++) {
		n = chunks[i % ARRAY_SIZE(chunks)];
		flags = i % 3 == 1 && n < LEN - sent ? MSG_MORE : 0;
		if (n > LEN - sent)
			n = LEN - sent;
		n = send(self->fd[0], self->data + sent, n, flags);
		if (n > 0)
			sent += n;
		else
			ASSERT_EQ(EINTR, errno);
	}
	timer(0, 0);
	EXPECT_LT(1, alarms);
	pthread_join(self->w.thread, NULL);
	EXPECT_EQ(0, self->w.ret);
	EXPECT_EQ(0, tls_expect_quiet(self->fd[1], 20));
}

TEST_F(blocking, sendmmsg)
{
	struct mmsghdr mm[128];
	struct iovec iov[128];
	ssize_t sent = 0;
	int i, n;

	for (i = 0; i < 128; i++) {
		iov[i] = (struct iovec){ self->data + i * 8000, 8000 };
		mm[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i],
						       .msg_iovlen = 1 } };
	}
	/* Kernels whose TLS does not know MSG_BATCH take one message only. */
	n = sendmmsg(self->fd[0], mm, 128, MSG_DONTWAIT);
	if (n < 0) {
		ASSERT_EQ(EOPNOTSUPP, errno);
		ASSERT_EQ(0, tls_expect_quiet(self->fd[1], 20));
		n = sendmmsg(self->fd[0], mm, 1, MSG_DONTWAIT);
		ASSERT_EQ(1, n);
	}
	ASSERT_LT(0, n);
	ASSERT_GT(128, n);
	for (i = 0; i < n; i++) {
		/* Only the last can be a partial one. */
		if (i < n - 1)
			EXPECT_EQ(8000u, mm[i].msg_len);
		sent += mm[i].msg_len;
	}
	do {
		ASSERT_GT(LEN / 2, sent);
		iov[0].iov_base = self->data + sent;
		n = sendmmsg(self->fd[0], mm, 1, MSG_DONTWAIT);
		if (n == 1)
			sent += mm[0].msg_len;
	} while (n == 1);
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, tls_expect_stream(&self->r, self->data, sent));
	EXPECT_EQ(0, tls_expect_quiet(self->fd[1], 20));
}

TEST_HARNESS_MAIN
