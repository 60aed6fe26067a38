// SPDX-License-Identifier: GPL-2.0
/*
 * A sender waits for nothing but room: not for TCP to give up waiting for more,
 * not longer than it has said, not for another sender that waits for its peer.
 */
#include "kselftest_harness.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/time.h>
#include <time.h>

#include "tls_common.h"

#define LEN	(1 << 20)

#define TIMER	"waits for TCP's timer"

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

FIXTURE(stall)
{
	struct tls_link l;
	uint8_t *data;
	pthread_t thread;
	atomic_bool stop;
	atomic_int pace_ms;
	atomic_long got;
};

FIXTURE_VARIANT(stall)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_FEW(stall);

FIXTURE_SETUP(stall)
{
	ASSERT_EQ(0, tls_link_open(&self->l, variant->family, variant->version,
				   variant->cipher));
	self->data = malloc(LEN);
	ASSERT_NE(NULL, self->data);
	tls_fill(self->data, LEN, 4);
}

FIXTURE_TEARDOWN(stall)
{
	tls_link_close(&self->l);
	free(self->data);
}

/* Takes what arrives, 32 KiB at a time, and rests in between if it shall. */
static void *drain(void *arg)
{
	FIXTURE_DATA(stall) *self = arg;
	static uint8_t buf[32768];
	ssize_t n;

	while (!self->stop) {
		n = recv(self->l.fd[1], buf, sizeof(buf), MSG_DONTWAIT);
		if (n > 0)
			self->got += n;
		if (self->pace_ms || n <= 0)
			usleep(self->pace_ms ? self->pace_ms * 1000 : 1000);
	}
	return NULL;
}

static void start(struct __test_metadata *_metadata, FIXTURE_DATA(stall) *self,
		  int pace_ms)
{
	self->pace_ms = pace_ms;
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, drain, self));
}

static void finish(FIXTURE_DATA(stall) *self)
{
	self->stop = true;
	pthread_join(self->thread, NULL);
}

static int limit_unsent(int fd, int bytes)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes,
			  sizeof(bytes));
}

/*
 * Sends 20 records that are each all that may wait to be sent, and says that more
 * is to come. With TCP's timer that would take 4 s.
 */
static void send_more(struct __test_metadata *_metadata,
		      FIXTURE_DATA(stall) *self, int lowat, size_t piece)
{
	size_t sent = 0;
	long t;

	TLS_OURS_ONLY(TIMER);
	ASSERT_EQ(0, limit_unsent(self->l.fd[0], lowat));
	start(_metadata, self, 0);
	t = now_ms();
	while (sent < 20 * TLS_PLAIN_MAX) {
		ASSERT_EQ((ssize_t)piece, send(self->l.fd[0], self->data + sent,
					       piece, MSG_MORE));
		sent += piece;
	}
	EXPECT_GT(1500, now_ms() - t);
	finish(self);
}

TEST_F(stall, more_16384)
{
	send_more(_metadata, self, 16384, TLS_PLAIN_MAX);
}

TEST_F(stall, more_8192)
{
	send_more(_metadata, self, 8192, TLS_PLAIN_MAX);
}

TEST_F(stall, more_above_a_record)
{
	send_more(_metadata, self, 17000, TLS_PLAIN_MAX);
}

TEST_F(stall, more_two_records)
{
	send_more(_metadata, self, 16384, 2 * TLS_PLAIN_MAX);
}

/* A program that asks for room, and does not wait in the call. */
TEST_F(stall, more_and_poll)
{
	struct pollfd p = { .fd = self->l.fd[0], .events = POLLOUT };
	size_t sent = 0;
	ssize_t n;
	long t;

	TLS_OURS_ONLY(TIMER);
	ASSERT_EQ(0, limit_unsent(self->l.fd[0], 16384));
	start(_metadata, self, 0);
	t = now_ms();
	while (sent < 20 * TLS_PLAIN_MAX) {
		ASSERT_EQ(1, poll(&p, 1, 5000));
		n = send(p.fd, self->data + sent, TLS_PLAIN_MAX,
			 MSG_MORE | MSG_DONTWAIT);
		ASSERT_TRUE(n > 0 || errno == EAGAIN);
		if (n > 0)
			sent += n;
	}
	EXPECT_GT(1500, now_ms() - t);
	finish(self);
}

TEST_F(stall, splice_more)
{
	int p[2], i;
	long t;

	TLS_OURS_ONLY(TIMER);
	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(0, limit_unsent(self->l.fd[0], 16384));
	start(_metadata, self, 0);
	t = now_ms();
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(TLS_PLAIN_MAX, write(p[1], self->data, TLS_PLAIN_MAX));
		ASSERT_EQ(TLS_PLAIN_MAX, splice(p[0], NULL, self->l.fd[0], NULL,
						TLS_PLAIN_MAX, SPLICE_F_MORE));
	}
	EXPECT_GT(1500, now_ms() - t);
	finish(self);
	close(p[0]);
	close(p[1]);
}

/* The peer takes a little now and then, for much longer than the call may. */
TEST_F(stall, one_timeout_for_a_call)
{
	struct timeval tv = { .tv_sec = 1 };
	int size = 32768;
	ssize_t n;
	long t;

	TLS_OURS_ONLY("the time begins again with each record");
	ASSERT_EQ(0, setsockopt(self->l.fd[0], SOL_SOCKET, SO_SNDTIMEO, &tv,
				sizeof(tv)));
	ASSERT_EQ(0, setsockopt(self->l.fd[0], SOL_SOCKET, SO_SNDBUF, &size,
				sizeof(size)));
	ASSERT_EQ(0, setsockopt(self->l.fd[1], SOL_SOCKET, SO_RCVBUF, &size,
				sizeof(size)));
	start(_metadata, self, 200);
	t = now_ms();
	n = send(self->l.fd[0], self->data, LEN, 0);
	EXPECT_GT(1500, now_ms() - t);
	EXPECT_LT(0, n);
	EXPECT_GT(LEN, n);
	finish(self);
}

struct file_sender {
	int fd, file;
	ssize_t ret;
	atomic_bool done;
};

/* Asks for more than the file has, so that the end of the splice is announced. */
static void *send_file(void *arg)
{
	struct file_sender *s = arg;
	off_t at = 0;

	s->ret = sendfile(s->fd, s->file, &at, 1000);
	s->done = true;
	return NULL;
}

static void *send_all(void *arg)
{
	FIXTURE_DATA(stall) *self = arg;

	send(self->l.fd[0], self->data, LEN, MSG_NOSIGNAL);
	return NULL;
}

/*
 * While one sender waits for room, another one has given its 100 bytes, and has
 * only the end of them to announce.
 */
TEST_F(stall, end_of_splice_passes_a_sender)
{
	struct file_sender s = { .fd = self->l.fd[0] };
	int size = 16384, full, i;
	pthread_t file, big;

	TLS_OURS_ONLY("waits for the other sender");
	s.file = memfd_create("file", 0);
	ASSERT_EQ(100, write(s.file, self->data, 100));
	ASSERT_EQ(0, setsockopt(s.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)));
	ASSERT_EQ(0, setsockopt(self->l.fd[1], SOL_SOCKET, SO_RCVBUF, &size,
				sizeof(size)));
	for (full = 0; full < 10; full++) {
		if (send(s.fd, self->data, TLS_PLAIN_MAX, MSG_DONTWAIT) > 0)
			full = 0;
		usleep(20000);
	}
	/* It waits for room, and the other one for it. */
	ASSERT_EQ(0, pthread_create(&file, NULL, send_file, &s));
	usleep(200000);
	ASSERT_EQ(0, pthread_create(&big, NULL, send_all, self));
	usleep(200000);
	EXPECT_FALSE(s.done);
	/* As much room as lets the first one in. */
	for (i = 0; i < 100 && !s.done; i++) {
		static uint8_t buf[4096];

		recv(self->l.fd[1], buf, sizeof(buf), MSG_DONTWAIT);
		usleep(20000);
	}
	EXPECT_TRUE(s.done);
	EXPECT_EQ(100, s.ret);
	/* All of it, at the latest when the peer takes no more. */
	shutdown(self->l.fd[1], SHUT_RDWR);
	close(self->l.fd[1]);
	self->l.fd[1] = -1;
	pthread_join(file, NULL);
	pthread_join(big, NULL);
	close(s.file);
}

TEST_HARNESS_MAIN
