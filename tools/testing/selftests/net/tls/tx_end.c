// SPDX-License-Identifier: GPL-2.0
/*
 * The end of what is sent, by shutdown() or close(), while the peer does not
 * read: all that a send has accepted arrives, and nothing else does. Neither
 * call waits for the peer.
 */
#include "kselftest_harness.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <time.h>

#include "tls_common.h"

#define LEN	(1 << 20)	/* far more than the sockets can hold */
#define BUFFER	32768

#define CUTS	"what TCP has not taken is lost"

static atomic_int pipes;

static void on_pipe(int sig __maybe_unused)
{
	pipes++;
}

static void on_alarm(int sig __maybe_unused)
{
}

static void alarm_after(int ms)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct itimerval it = { .it_value.tv_usec = ms * 1000 };

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

FIXTURE(end)
{
	int fd[2];
	struct tls_key key;
	struct tls_reader r;
	uint8_t *data;
};

FIXTURE_VARIANT(end)
{
	bool half;	/* shutdown(), not close() */
	uint16_t version;
	uint16_t cipher;
	int family;
};

#define END_VARIANT(name, h, v, c, f) \
	FIXTURE_VARIANT_ADD(end, name) { \
		h, TLS_1_##v##_VERSION, TLS_CIPHER_##c, AF_##f, \
	}

END_VARIANT(shutdown_12, true, 2, AES_GCM_128, INET);
END_VARIANT(shutdown_13_v6, true, 3, AES_GCM_256, INET6);
END_VARIANT(close_12_v6, false, 2, AES_GCM_128, INET6);
END_VARIANT(close_13, false, 3, AES_GCM_256, INET);

FIXTURE_SETUP(end)
{
	int size = BUFFER;

	signal(SIGPIPE, on_pipe);
	tls_key_make(&self->key, variant->version, variant->cipher, 8);
	ASSERT_EQ(0, tls_tx_pair(variant->family, &self->key, self->fd));
	ASSERT_EQ(0, setsockopt(self->fd[0], SOL_SOCKET, SO_SNDBUF, &size,
				sizeof(size)));
	ASSERT_EQ(0, setsockopt(self->fd[1], SOL_SOCKET, SO_RCVBUF, &size,
				sizeof(size)));
	ASSERT_EQ(0, tls_reader_init(&self->r, self->fd[1], &self->key));
	self->data = malloc(LEN);
	ASSERT_NE(NULL, self->data);
	tls_fill(self->data, LEN, 8);
}

FIXTURE_TEARDOWN(end)
{
	tls_reader_free(&self->r);
	free(self->data);
	close(self->fd[0]);
	close(self->fd[1]);
}

/* Ends the stream, which does not take long. */
static int end(int fd, bool half)
{
	long t = now_ms();

	if (half ? shutdown(fd, SHUT_WR) : close(fd))
		return tls_wrong("it cannot be ended: %s", strerror(errno));
	if (now_ms() - t > 3000)
		return tls_wrong("it took %ld ms", now_ms() - t);
	return 0;
}

/* Sends as much as can be had without waiting, n bytes at a time. */
static ssize_t fill(int fd, const uint8_t *data, size_t n)
{
	ssize_t sent = 0, ret;

	while (sent + n <= LEN) {
		ret = send(fd, data + sent, n, MSG_DONTWAIT);
		if (ret < 0)
			return errno == EAGAIN ? sent : -1;
		sent += ret;
	}
	return -1;
}

/* Sends until nothing more is taken, also after a while. */
static ssize_t fill_up(int fd, const uint8_t *data)
{
	ssize_t sent = 0, n;
	int tries = 0;

	while (tries < 2) {
		n = send(fd, data + sent, LEN - sent, MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			return -1;
		if (n > 0) {
			sent += n;
			tries = 0;
		} else {
			tries++;
			usleep(20000);
		}
	}
	return sent;
}

/* What MSG_MORE has announced does not come. What there is goes out. */
TEST_F(end, open_record)
{
	ASSERT_EQ(3, send(self->fd[0], "abc", 3, 0));
	ASSERT_EQ(3, send(self->fd[0], "def", 3, MSG_MORE));
	ASSERT_EQ(0, end(self->fd[0], variant->half));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, "abc", 3));
	if (tls_is_ours())
		EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, "def", 3));
	EXPECT_EQ(0, tls_expect_eof(&self->r));
}

TEST_F(end, full)
{
	ssize_t sent;

	sent = fill(self->fd[0], self->data, 5000);
	ASSERT_LT(0, sent);
	ASSERT_EQ(0, end(self->fd[0], variant->half));
	EXPECT_EQ(0, tls_expect_stream(&self->r, self->data, sent));
	EXPECT_EQ(0, tls_expect_eof(&self->r));
}

/* TCP takes a part of a record, wherever its limit is. */
TEST_F(end, part_of_record)
{
	int size, peer = BUFFER, fd[2];
	ssize_t sent;

	TLS_OURS_ONLY(CUTS);
	for (size = 5000; size < 60000; size += 2777) {
		ASSERT_EQ(0, tls_tx_pair(variant->family, &self->key, fd));
		ASSERT_EQ(0, setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &size,
					sizeof(size)));
		ASSERT_EQ(0, setsockopt(fd[1], SOL_SOCKET, SO_RCVBUF, &peer,
					sizeof(peer)));
		sent = fill_up(fd[0], self->data);
		ASSERT_LT(0, sent);
		ASSERT_EQ(0, end(fd[0], variant->half));
		self->r.fd = fd[1];
		ASSERT_EQ(0, tls_reader_rekey(&self->r, &self->key));
		ASSERT_EQ(0, tls_expect_stream(&self->r, self->data, sent)) {
			TH_LOG("SO_SNDBUF %d", size);
		}
		ASSERT_EQ(0, tls_expect_eof(&self->r));
		close(fd[0]);
		close(fd[1]);
	}
}

TEST_F(end, full_and_open_record)
{
	ssize_t sent, n;

	n = send(self->fd[0], self->data, LEN, MSG_DONTWAIT | MSG_MORE);
	for (sent = 0; n > 0; ) {
		sent += n;
		n = send(self->fd[0], self->data + sent, 100,
			 MSG_DONTWAIT | MSG_MORE);
	}
	ASSERT_EQ(EAGAIN, errno);
	ASSERT_EQ(0, end(self->fd[0], variant->half));
	EXPECT_EQ(0, tls_expect_stream(&self->r, self->data, sent));
	EXPECT_EQ(0, tls_expect_eof(&self->r));
}

TEST_F(end, after_signal)
{
	ssize_t sent;

	alarm_after(200);
	sent = send(self->fd[0], self->data, LEN, 0);
	ASSERT_LT(0, sent);
	ASSERT_GT(LEN, sent);
	ASSERT_EQ(0, end(self->fd[0], variant->half));
	EXPECT_EQ(0, tls_expect_stream(&self->r, self->data, sent));
	EXPECT_EQ(0, tls_expect_eof(&self->r));
}

TEST_F(end, after_timeout)
{
	struct timeval tv = { .tv_usec = 200000 };
	ssize_t sent;

	ASSERT_EQ(0, setsockopt(self->fd[0], SOL_SOCKET, SO_SNDTIMEO, &tv,
				sizeof(tv)));
	sent = send(self->fd[0], self->data, LEN, 0);
	ASSERT_LT(0, sent);
	ASSERT_GT(LEN, sent);
	ASSERT_EQ(0, end(self->fd[0], variant->half));
	EXPECT_EQ(0, tls_expect_stream(&self->r, self->data, sent));
	EXPECT_EQ(0, tls_expect_eof(&self->r));
}

/* With SO_LINGER it takes as long as that says, and not longer. */
TEST_F(end, linger)
{
	struct linger l = { .l_onoff = 1, .l_linger = 1 };
	ssize_t sent;
	long t;

	ASSERT_EQ(0, setsockopt(self->fd[0], SOL_SOCKET, SO_LINGER, &l,
				sizeof(l)));
	alarm_after(200);
	sent = send(self->fd[0], self->data, LEN, 0);
	ASSERT_LT(0, sent);
	if (variant->half)
		ASSERT_EQ(0, end(self->fd[0], true));
	t = now_ms();
	ASSERT_EQ(0, close(self->fd[0]));
	EXPECT_LE(900, now_ms() - t);
	EXPECT_GT(9000, now_ms() - t);
	EXPECT_EQ(0, tls_expect_stream(&self->r, self->data, sent));
	EXPECT_EQ(0, tls_expect_eof(&self->r));
}

/* The peer has ended its direction before. */
TEST_F(end, second)
{
	ssize_t sent;
	char c;

	ASSERT_EQ(0, shutdown(self->fd[1], SHUT_WR));
	EXPECT_EQ(0, recv(self->fd[0], &c, 1, 0));
	sent = fill(self->fd[0], self->data, 5000);
	ASSERT_LT(0, sent);
	ASSERT_EQ(0, end(self->fd[0], variant->half));
	EXPECT_EQ(0, tls_expect_stream(&self->r, self->data, sent));
	EXPECT_EQ(0, tls_expect_eof(&self->r));
}

/* The end of the other direction does not matter. */
TEST_F(end, receiving)
{
	ASSERT_EQ(0, shutdown(self->fd[0], SHUT_RD));
	ASSERT_EQ(3, send(self->fd[0], "abc", 3, 0));
	ASSERT_EQ(0, end(self->fd[0], variant->half));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, "abc", 3));
	EXPECT_EQ(0, tls_expect_eof(&self->r));
}

/* Nothing can be sent afterwards; receiving goes on. */
TEST_F(end, afterwards)
{
	socklen_t len = sizeof(int);
	ssize_t sent;
	int err = -1;

	sent = fill(self->fd[0], self->data, 5000);
	ASSERT_LT(0, sent);
	ASSERT_EQ(0, end(self->fd[0], true));
	EXPECT_EQ(-1, send(self->fd[0], "x", 1, MSG_NOSIGNAL));
	EXPECT_EQ(EPIPE, errno);
	EXPECT_EQ(-1, send(self->fd[0], "x", 1, MSG_NOSIGNAL | MSG_MORE));
	EXPECT_EQ(EPIPE, errno);
	EXPECT_EQ(0, pipes);
	EXPECT_EQ(-1, send(self->fd[0], "x", 1, 0));
	EXPECT_EQ(1, pipes);
	EXPECT_EQ(0, getsockopt(self->fd[0], SOL_SOCKET, SO_ERROR, &err, &len));
	EXPECT_EQ(0, err);
	EXPECT_EQ(0, shutdown(self->fd[0], SHUT_WR));
	ASSERT_EQ(5, send(self->fd[1], "still", 5, 0));
	EXPECT_EQ(0, tls_expect_plain(self->fd[0], "still", 5));
	if (!variant->half)
		ASSERT_EQ(0, close(self->fd[0]));
	EXPECT_EQ(0, tls_expect_stream(&self->r, self->data, sent));
	EXPECT_EQ(0, tls_expect_eof(&self->r));
}

struct sending {
	pthread_t thread;
	int fd;
	const uint8_t *data;
	int flags;
	ssize_t ret;
	int err;
	atomic_bool done;
};

static void *send_all(void *arg)
{
	struct sending *s = arg;

	s->ret = send(s->fd, s->data, LEN, s->flags);
	s->err = errno;
	s->done = true;
	return NULL;
}

/* Some are in the middle of a call, or wait for their turn. */
static void while_sending(struct __test_metadata *_metadata,
			  FIXTURE_DATA(end) *self, int flags)
{
	struct sending s[3] = {};
	ssize_t sent = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(s); i++) {
		s[i].fd = self->fd[0];
		s[i].data = self->data;
		s[i].flags = MSG_NOSIGNAL | flags;
		ASSERT_EQ(0, pthread_create(&s[i].thread, NULL, send_all, &s[i]));
	}
	usleep(200000);
	for (i = 0; i < ARRAY_SIZE(s); i++)
		EXPECT_FALSE(s[i].done);
	ASSERT_EQ(0, end(self->fd[0], true));
	for (i = 0; i < ARRAY_SIZE(s); i++) {
		pthread_join(s[i].thread, NULL);
		if (s[i].ret > 0)
			sent += s[i].ret;
		else
			EXPECT_EQ(EPIPE, s[i].err);
	}
	/* One of them has sent something. */
	EXPECT_LT(0, sent);
	EXPECT_GT(LEN, sent);
	EXPECT_EQ(0, tls_expect_stream(&self->r, self->data, sent));
	EXPECT_EQ(0, tls_expect_eof(&self->r));
}

TEST_F(end, while_sending)
{
	TLS_OURS_ONLY(CUTS);
	if (!variant->half)
		SKIP(return, "whoever sends keeps the socket open");
	while_sending(_metadata, self, 0);
}

TEST_F(end, while_sending_more)
{
	TLS_OURS_ONLY(CUTS);
	if (!variant->half)
		SKIP(return, "whoever sends keeps the socket open");
	while_sending(_metadata, self, MSG_MORE);
}

struct racing {
	pthread_t thread;
	int fd;
	const uint8_t *data;
	unsigned int seed;
	ssize_t sent;
};

static void *send_often(void *arg)
{
	struct racing *r = arg;
	int flags;
	ssize_t n;

	for (;;) {
		flags = rand_r(&r->seed) % 3 ? 0 : MSG_MORE;
		flags |= rand_r(&r->seed) % 3 ? 0 : MSG_DONTWAIT;
		n = send(r->fd, r->data, 1 + rand_r(&r->seed) % 40000,
			 flags | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			return NULL;
		if (n > 0)
			r->sent += n;
		else
			usleep(300);
	}
}

/* At any moment: as much arrives as all of them together were told. */
TEST_F(end, race)
{
	struct racing r[3];
	ssize_t sent, got;
	int i, j, fd[2];

	TLS_OURS_ONLY(CUTS);
	if (!variant->half)
		SKIP(return, "whoever sends keeps the socket open");
	for (i = 0; i < 40; i++) {
		ASSERT_EQ(0, tls_tx_pair(variant->family, &self->key, fd));
		for (j = 0; j < ARRAY_SIZE(r); j++) {
			r[j] = (struct racing){ .fd = fd[0], .seed = i * 10 + j,
						.data = self->data };
			ASSERT_EQ(0, pthread_create(&r[j].thread, NULL,
						    send_often, &r[j]));
		}
		usleep(i * 500);
		ASSERT_EQ(0, end(fd[0], true));
		self->r.fd = fd[1];
		ASSERT_EQ(0, tls_reader_rekey(&self->r, &self->key));
		for (got = 0; tls_read_record(&self->r) == 1; )
			got += self->r.len;
		for (sent = 0, j = 0; j < ARRAY_SIZE(r); j++) {
			pthread_join(r[j].thread, NULL);
			sent += r[j].sent;
		}
		ASSERT_EQ(sent, got);
		EXPECT_EQ(0, tls_expect_eof(&self->r));
		close(fd[0]);
		close(fd[1]);
	}
}

TEST_HARNESS_MAIN
