// SPDX-License-Identifier: GPL-2.0
/*
 * Several readers on one socket: each record goes to one of them, whole if there
 * is room. Both directions at once. Sockets that change their owner.
 */
#include "kselftest_harness.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/time.h>

#include "tls_writer.h"

#define READERS		4
#define MESSAGES	1500
#define LEN		200		/* of a message; a record is one */

static uint8_t data[TLS_PLAIN_MAX * 2];

FIXTURE(threads)
{
	struct tls_inlet l;
};

FIXTURE_VARIANT(threads)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANT(threads, 12_aes_gcm_128, 2, AES_GCM_128, INET);
TLS_VARIANT(threads, 13_aes_gcm_256_v6, 3, AES_GCM_256, INET6);
TLS_VARIANT(threads, 12_chacha20_v6, 2, CHACHA20_POLY1305, INET6);

FIXTURE_SETUP(threads)
{
	tls_fill(data, sizeof(data), 200);
	ASSERT_EQ(0, tls_inlet_open(&self->l, variant->family, variant->version,
				    variant->cipher));
}

FIXTURE_TEARDOWN(threads)
{
	tls_inlet_close(&self->l);
}

static void message(uint32_t n, uint8_t *buf)
{
	tls_fill(buf, LEN, n);
	memcpy(buf, &n, sizeof(n));
}

/* Which messages came, shared by all that read them. */
struct inbox {
	atomic_int seen[MESSAGES];
	atomic_int bad, failed;
};

struct member {
	pthread_t thread;
	int fd;
	int role;
	struct inbox *inbox;
	atomic_bool *stop;
	int rounds;
};

static void deliver(struct inbox *in, const uint8_t *buf, ssize_t len)
{
	uint8_t want[LEN];
	uint32_t n;

	memcpy(&n, buf, sizeof(n));
	if (len != LEN || n >= MESSAGES)
		in->bad++;
	else {
		message(n, want);
		if (memcmp(buf, want, LEN))
			in->bad++;
		in->seen[n]++;
	}
}

/* Reads until the stream ends, in one of three ways. */
static void *read_messages(void *arg)
{
	struct member *m = arg;
	struct pollfd p = { .fd = m->fd, .events = POLLIN };
	uint8_t buf[LEN];
	ssize_t n;

	for (;;) {
		if (m->role % 3 == 1)
			poll(&p, 1, 1000);
		n = recv(m->fd, buf, LEN, m->role % 3 == 1 ? MSG_DONTWAIT :
					  m->role % 3 == 2 ? MSG_WAITALL : 0);
		if (n < 0 && errno == EAGAIN && m->role % 3 == 1)
			continue;
		if (n <= 0)
			break;
		deliver(m->inbox, buf, n);
		m->rounds++;
	}
	if (n)
		m->inbox->failed = errno;
	return NULL;
}

/* Looks, asks and polls as long as others read. */
static void *meddle(void *arg)
{
	struct member *m = arg;
	struct pollfd p = { .fd = m->fd, .events = POLLIN };
	struct tls_crypto_info info;
	uint8_t buf[LEN * 3];
	socklen_t len;

	while (!*m->stop) {
		switch (m->role) {
		case 0:
			if (recv(m->fd, buf, sizeof(buf),
				 MSG_PEEK | MSG_DONTWAIT) < 0 &&
			    errno != EAGAIN)
				m->inbox->failed = errno;
			break;
		case 1:
			len = sizeof(info);
			if (getsockopt(m->fd, SOL_TLS, TLS_RX, &info, &len))
				m->inbox->failed = errno;
			break;
		case 2:
			poll(&p, 1, 1);
			break;
		}
		m->rounds++;
	}
	return NULL;
}

static int write_messages(struct tls_writer *w)
{
	uint8_t buf[LEN];
	size_t n;
	int i;

	for (i = 0; i < MESSAGES; i++) {
		message(i, buf);
		if (!tls_put(w, TLS_DATA, buf, LEN))
			return -1;
	}
	/* In segments that are no records. */
	for (i = 0; w->len; i++) {
		n = w->len - w->pushed;
		if (n > 100 + i % 11 * 97)
			n = 100 + i % 11 * 97;
		if (tls_push_some(w, n))
			return -1;
	}
	return shutdown(w->fd, SHUT_WR);
}

static void run(struct __test_metadata *_metadata, struct tls_inlet *l,
		int meddlers)
{
	struct member r[READERS], m[3];
	atomic_bool stop = false;
	struct inbox in = {};
	int i;

	for (i = 0; i < READERS; i++) {
		r[i] = (struct member){ .fd = l->fd[1], .role = i,
					.inbox = &in };
		ASSERT_EQ(0, pthread_create(&r[i].thread, NULL, read_messages,
					    &r[i]));
	}
	for (i = 0; i < meddlers; i++) {
		m[i] = (struct member){ .fd = l->fd[1], .role = i,
					.inbox = &in, .stop = &stop };
		ASSERT_EQ(0, pthread_create(&m[i].thread, NULL, meddle, &m[i]));
	}
	EXPECT_EQ(0, write_messages(&l->w));
	for (i = 0; i < READERS; i++)
		pthread_join(r[i].thread, NULL);
	stop = true;
	for (i = 0; i < meddlers; i++)
		pthread_join(m[i].thread, NULL);
	EXPECT_EQ(0, in.bad);
	EXPECT_EQ(0, in.failed);
	for (i = 0; i < MESSAGES; i++) {
		EXPECT_EQ(1, in.seen[i]) {
			TH_LOG("message %d", i);
			break;
		}
	}
}

TEST_F(threads, readers)
{
	run(_metadata, &self->l, 0);
}

TEST_F(threads, meddlers)
{
	run(_metadata, &self->l, 3);
}

TEST_F(threads, processes)
{
	struct member r = { .fd = self->l.fd[1] };
	struct inbox *in;
	pid_t pid[READERS];
	int i, status;

	in = mmap(NULL, sizeof(*in), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, in);
	r.inbox = in;
	for (i = 0; i < READERS; i++) {
		r.role = i;
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i]) {
			close(self->l.fd[0]);
			read_messages(&r);
			_exit(0);
		}
	}
	close(self->l.fd[1]);
	self->l.fd[1] = -1;
	EXPECT_EQ(0, write_messages(&self->l.w));
	for (i = 0; i < READERS; i++) {
		ASSERT_EQ(pid[i], waitpid(pid[i], &status, 0));
		EXPECT_EQ(0, status);
	}
	EXPECT_EQ(0, in->bad);
	EXPECT_EQ(0, in->failed);
	for (i = 0; i < MESSAGES; i++) {
		ASSERT_EQ(1, in->seen[i]);
	}
	munmap(in, sizeof(*in));
}

struct one_call {
	pthread_t thread;
	int fd;
	size_t len;
	ssize_t n;
	int err;
	uint8_t buf[1000];
};

static void *one_recv(void *arg)
{
	struct one_call *c = arg;

	c->n = recv(c->fd, c->buf, c->len ? c->len : sizeof(c->buf), 0);
	c->err = errno;
	return NULL;
}

static void start(struct __test_metadata *_metadata, struct one_call *c, int fd)
{
	c->fd = fd;
	ASSERT_EQ(0, pthread_create(&c->thread, NULL, one_recv, c));
	usleep(30000);
}

/* One waits for data; the others wait for it, as long as they want to. */
TEST_F(threads, one_at_a_time)
{
	struct timeval tv = { .tv_usec = 40000 };
	const int fd = self->l.fd[1];
	struct one_call c = {};

	start(_metadata, &c, fd);
	EXPECT_EQ(0, tls_expect_error(fd, EAGAIN, MSG_DONTWAIT));
	ASSERT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	EXPECT_EQ(0, tls_expect_error(fd, EAGAIN, 0));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
	pthread_join(c.thread, NULL);
	EXPECT_EQ(100, c.n);
	EXPECT_EQ(0, memcmp(c.buf, data, 100));
}

/* What one reader leaves of a record, or cannot take, wakes the next one. */
TEST_F(threads, left_to_others)
{
	struct one_call c[3] = {};
	size_t sum = 0;
	int i;

	for (i = 0; i < 3; i++) {
		c[i].len = 100;
		start(_metadata, &c[i], self->l.fd[1]);
	}
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 250));
	for (i = 0; i < 3; i++) {
		pthread_join(c[i].thread, NULL);
		EXPECT_TRUE(c[i].n == 100 || c[i].n == 50);
		EXPECT_EQ(0, memcmp(c[i].buf, data +
				    (c[i].n == 50 ? 200 : c[i].buf[0] ==
				     data[0] ? 0 : 100), c[i].n));
		sum += c[i].n;
	}
	EXPECT_EQ(250, sum);

	/* None of them can be told of the type, but we can. */
	for (i = 0; i < 3; i++) {
		start(_metadata, &c[i], self->l.fd[1]);
	}
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_ALERT, data, 2));
	for (i = 0; i < 3; i++) {
		pthread_join(c[i].thread, NULL);
		EXPECT_EQ(-1, c[i].n);
		EXPECT_EQ(EIO, c[i].err);
	}
	EXPECT_EQ(0, tls_expect_got(self->l.fd[1], TLS_ALERT, data, 2, 0));
}

TEST_F(threads, shutdown_wakes)
{
	struct one_call c[2] = {};

	start(_metadata, &c[0], self->l.fd[1]);
	start(_metadata, &c[1], self->l.fd[1]);
	ASSERT_EQ(0, shutdown(self->l.fd[1], SHUT_RD));
	pthread_join(c[0].thread, NULL);
	pthread_join(c[1].thread, NULL);
	EXPECT_EQ(0, c[0].n);
	EXPECT_EQ(0, c[1].n);
}

/* The call that is under way keeps the socket. */
TEST_F(threads, close_while_reading)
{
	struct one_call c = {};

	start(_metadata, &c, self->l.fd[1]);
	ASSERT_EQ(0, close(self->l.fd[1]));
	self->l.fd[1] = -1;
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
	pthread_join(c.thread, NULL);
	EXPECT_EQ(100, c.n);
	EXPECT_EQ(0, memcmp(c.buf, data, 100));
}

/* A process opens the connection, reads a part, passes it on and is gone. */
TEST_F(threads, pass_descriptor)
{
	struct iovec iov = { .iov_base = "f", .iov_len = 1 };
	union {
		struct cmsghdr head;
		uint8_t space[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int us[2], fd, status;
	char byte;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, us));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + 100, 100));
	ASSERT_EQ(0, tls_push(&self->l.w));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (tls_expect_bytes(self->l.fd[1], data, 30))
			_exit(1);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &self->l.fd[1], sizeof(int));
		_exit(sendmsg(us[1], &msg, 0) == 1 ? 0 : 2);
	}
	close(self->l.fd[1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	iov.iov_base = &byte;
	ASSERT_EQ(1, recvmsg(us[0], &msg, 0));
	memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	self->l.fd[1] = fd;
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data + 30, 170, 0));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 10));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 10, 0));
	close(us[0]);
	close(us[1]);
}

/* The end of the connection that did not accept() receives as well. */
TEST_F(threads, other_end)
{
	struct tls_inlet l;
	int fd;

	ASSERT_EQ(0, tls_inlet_open_plain(&l, variant->family, variant->version,
					  variant->cipher));
	fd = l.fd[0];
	l.fd[0] = l.fd[1];
	l.fd[1] = fd;
	l.w.fd = l.fd[0];
	ASSERT_EQ(0, tls_attach(l.fd[1]));
	ASSERT_EQ(0, tls_set_rx(l.fd[1], &l.key));
	ASSERT_EQ(0, tls_write(&l.w, TLS_DATA, data, TLS_PLAIN_MAX));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data, TLS_PLAIN_MAX, 0));
	tls_inlet_close(&l);
}

struct echo {
	pthread_t thread;
	int fd;
	int failed;
};

/* Sends back what it gets, on the same socket. */
static void *echo(void *arg)
{
	struct echo *e = arg;
	uint8_t buf[9999];
	ssize_t n;

	while ((n = recv(e->fd, buf, sizeof(buf), 0)) > 0)
		if (send(e->fd, buf, n, MSG_NOSIGNAL) != n)
			e->failed = errno;
	if (n)
		e->failed = errno;
	shutdown(e->fd, SHUT_WR);
	return NULL;
}

#define ROUND	(TLS_PLAIN_MAX + 1000)

struct source {
	pthread_t thread;
	struct tls_writer *w;
	const uint8_t *data;
	size_t len;
	int failed;
};

static void *pour(void *arg)
{
	struct source *s = arg;
	size_t at;

	for (at = 0; at < s->len; at += ROUND)
		if (tls_write(s->w, TLS_DATA, s->data + at, TLS_PLAIN_MAX) ||
		    tls_write(s->w, TLS_DATA, s->data + at + TLS_PLAIN_MAX,
			      ROUND - TLS_PLAIN_MAX))
			s->failed = 1;
	shutdown(s->w->fd, SHUT_WR);
	return NULL;
}

/* Both directions, each with its own key; libcrypto is at the other end. */
TEST_F(threads, both_directions)
{
	struct echo e = { .fd = self->l.fd[1] };
	struct source s = { .w = &self->l.w, .len = 40 * ROUND };
	uint8_t *flow = malloc(s.len);
	struct tls_reader r;
	struct tls_key back;

	ASSERT_NE(NULL, flow);
	tls_fill(flow, s.len, 201);
	s.data = flow;
	tls_key_make(&back, variant->version, variant->cipher, 45);
	ASSERT_EQ(0, tls_set_tx(self->l.fd[1], &back));
	ASSERT_EQ(0, tls_reader_init(&r, self->l.fd[0], &back));
	ASSERT_EQ(0, pthread_create(&e.thread, NULL, echo, &e));
	ASSERT_EQ(0, pthread_create(&s.thread, NULL, pour, &s));
	EXPECT_EQ(0, tls_expect_stream(&r, flow, s.len));
	EXPECT_EQ(0, tls_expect_eof(&r));
	pthread_join(e.thread, NULL);
	pthread_join(s.thread, NULL);
	EXPECT_EQ(0, e.failed);
	EXPECT_EQ(0, s.failed);
	tls_reader_free(&r);
	free(flow);
}

TEST_HARNESS_MAIN
