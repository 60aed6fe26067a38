// SPDX-License-Identifier: GPL-2.0
/*
 * Several threads and processes on one kernel TLS socket. A message that fits
 * a record is one record: it is never mixed with another, never lost, and those
 * of one sender keep their order.
 */
#include "kselftest_harness.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tls_common.h"

#define SENDERS		4
#define MESSAGES	150
#define MAX_LEN		20000

struct head {
	uint16_t sender;
	uint16_t number;
	uint32_t len;
};

/* What sender s says in its message number n: a head, then bytes from both. */
static size_t message(int s, int n, size_t limit, uint8_t *buf)
{
	static const size_t lens[] = { 8, 9, 100, 1400, 4096, 9000, 16383, 16384 };
	struct head h = { .sender = s, .number = n };

	h.len = lens[(s + n * 3) % ARRAY_SIZE(lens)];
	if (n % 10 == 9)
		h.len = limit - s;
	tls_fill(buf, h.len, s * 1000 + n);
	memcpy(buf, &h, sizeof(h));
	return h.len;
}

struct sender {
	pthread_t thread;
	int fd;
	int id;
	size_t limit;
	int failed;
};

static void *send_messages(void *arg)
{
	struct sender *s = arg;
	uint8_t buf[MAX_LEN];
	size_t len;
	int i;

	for (i = 0; i < MESSAGES; i++) {
		len = message(s->id, i, s->limit, buf);
		if (send(s->fd, buf, len, MSG_NOSIGNAL) != (ssize_t)len) {
			s->failed = errno ?: -1;
			break;
		}
	}
	return NULL;
}

/* Take messages, whole and in each sender's order, until all are there. */
static int read_messages(struct tls_reader *r, int senders, size_t limit)
{
	uint8_t want[MAX_LEN], got[MAX_LEN];
	int next[SENDERS * 2] = {};
	int left = senders * MESSAGES;
	struct head h;
	size_t len;

	while (left--) {
		if (tls_read_record(r) != 1 || r->len < sizeof(h))
			return -1;
		memcpy(&h, r->data, sizeof(h));
		if (h.sender >= senders || h.number != next[h.sender]++)
			return -1;
		len = message(h.sender, h.number, limit, want);
		/* Longer than a record: the rest follows at once. */
		if (len > TLS_PLAIN_MAX) {
			if (r->len != TLS_PLAIN_MAX)
				return -1;
			memcpy(got, r->data, r->len);
			if (tls_read_record(r) != 1 ||
			    r->len != len - TLS_PLAIN_MAX)
				return -1;
			memcpy(got + TLS_PLAIN_MAX, r->data, r->len);
		} else {
			if (r->len != len)
				return -1;
			memcpy(got, r->data, len);
		}
		if (memcmp(got, want, len))
			return -1;
	}
	return 0;
}

FIXTURE(threads)
{
	int fd[2];
	struct tls_key key;
	struct tls_reader r;
};

FIXTURE_VARIANT(threads)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_FEW(threads);

FIXTURE_SETUP(threads)
{
	int size = 65536;

	tls_key_make(&self->key, variant->version, variant->cipher, 3);
	ASSERT_EQ(0, tls_tcp_pair_plain(variant->family, self->fd));
	/* Small enough that the senders have to wait now and then. */
	ASSERT_EQ(0, setsockopt(self->fd[0], SOL_SOCKET, SO_SNDBUF, &size,
				sizeof(size)));
	ASSERT_EQ(0, tls_attach(self->fd[0]));
	ASSERT_EQ(0, tls_set_tx(self->fd[0], &self->key));
	ASSERT_EQ(0, tls_reader_init(&self->r, self->fd[1], &self->key));
}

FIXTURE_TEARDOWN(threads)
{
	tls_reader_free(&self->r);
	close(self->fd[0]);
	close(self->fd[1]);
}

static void run_threads(struct __test_metadata *_metadata, int fd,
			struct tls_reader *r, size_t limit)
{
	struct sender s[SENDERS];
	int i;

	for (i = 0; i < SENDERS; i++) {
		s[i] = (struct sender){ .fd = fd, .id = i, .limit = limit };
		ASSERT_EQ(0, pthread_create(&s[i].thread, NULL, send_messages,
					    &s[i]));
	}
	EXPECT_EQ(0, read_messages(r, SENDERS, limit));
	for (i = 0; i < SENDERS; i++) {
		pthread_join(s[i].thread, NULL);
		EXPECT_EQ(0, s[i].failed);
	}
	EXPECT_EQ(0, tls_expect_quiet(r->fd, 10));
}

TEST_F(threads, records)
{
	run_threads(_metadata, self->fd[0], &self->r, TLS_PLAIN_MAX);
}

/* The records of one call stay together even when it has to wait. */
TEST_F(threads, two_records)
{
	run_threads(_metadata, self->fd[0], &self->r, MAX_LEN);
}

static pid_t fork_sender(int fd, int id)
{
	struct sender s = { .fd = fd, .id = id, .limit = TLS_PLAIN_MAX };
	pid_t pid = fork();

	if (pid)
		return pid;
	send_messages(&s);
	_exit(s.failed ? 1 : 0);
}

TEST_F(threads, processes)
{
	pid_t pid[SENDERS];
	int i, status;

	for (i = 0; i < SENDERS; i++) {
		pid[i] = fork_sender(self->fd[0], i);
		ASSERT_LT(0, pid[i]);
	}
	/* The children's copies of the socket are enough. */
	close(self->fd[0]);
	EXPECT_EQ(0, read_messages(&self->r, SENDERS, TLS_PLAIN_MAX));
	for (i = 0; i < SENDERS; i++) {
		ASSERT_EQ(pid[i], waitpid(pid[i], &status, 0));
		EXPECT_EQ(0, status);
	}
	EXPECT_EQ(0, tls_expect_eof(&self->r));
}

struct meddler {
	pthread_t thread;
	int fd;
	struct tls_key key;
	int what;
	int failed;
	int rounds;
	atomic_bool stop;
};

/* Calls that look at the connection or tune it while others send. */
static void *meddle(void *arg)
{
	struct meddler *m = arg;
	struct pollfd p = { .fd = m->fd, .events = POLLOUT };
	struct tls_key got = m->key;
	uint64_t seq, last = tls_key_get_seq(&got);
	int on = 0, err;
	socklen_t len;

	while (!m->stop && !m->failed) {
		switch (m->what) {
		case 0:
			on = !on;
			m->failed = setsockopt(m->fd, IPPROTO_TCP, TCP_NODELAY,
					       &on, sizeof(on));
			break;
		case 1:
			/* The position only grows; the key stays. */
			len = m->key.len;
			if (getsockopt(m->fd, SOL_TLS, TLS_TX, got.raw, &len) ||
			    len != m->key.len) {
				m->failed = 1;
				break;
			}
			seq = tls_key_get_seq(&got);
			m->failed = seq < last ||
				memcmp(tls_key_key(&got), tls_key_key(&m->key),
				       got.suite->key_len);
			last = seq;
			break;
		case 2:
			m->failed = poll(&p, 1, 1) < 0 ||
				    p.revents & ~POLLOUT;
			break;
		case 3:
			len = sizeof(err);
			m->failed = tls_attach(m->fd) != -1 || errno != EEXIST ||
				    getsockopt(m->fd, SOL_SOCKET, SO_ERROR,
					       &err, &len) || err;
			break;
		}
		m->rounds++;
	}
	return NULL;
}

TEST_F(threads, while_others_ask)
{
	struct meddler m[4];
	int i;

	for (i = 0; i < 4; i++) {
		memset(&m[i], 0, sizeof(m[i]));
		m[i].fd = self->fd[0];
		m[i].key = self->key;
		m[i].what = i;
		ASSERT_EQ(0, pthread_create(&m[i].thread, NULL, meddle, &m[i]));
	}
	run_threads(_metadata, self->fd[0], &self->r, TLS_PLAIN_MAX);
	for (i = 0; i < 4; i++) {
		m[i].stop = true;
		pthread_join(m[i].thread, NULL);
		EXPECT_EQ(0, m[i].failed) {
			TH_LOG("meddler %d", i);
		}
		EXPECT_LT(0, m[i].rounds);
	}
}

struct blocked {
	pthread_t thread;
	int fd;
	const uint8_t *data;
	size_t len;
	ssize_t ret;
	atomic_bool done;
};

static void *send_large(void *arg)
{
	struct blocked *b = arg;

	b->ret = send(b->fd, b->data, b->len, MSG_NOSIGNAL);
	b->done = true;
	return NULL;
}

/* A close in another thread lets the send that is under way finish. */
TEST_F(threads, close_while_sending)
{
	struct blocked b = { .fd = self->fd[0], .len = 8 << 20 };
	uint8_t *data = malloc(b.len);
	struct pollfd p = { .fd = self->fd[1], .events = POLLIN };

	ASSERT_NE(NULL, data);
	tls_fill(data, b.len, 8);
	b.data = data;
	ASSERT_EQ(0, pthread_create(&b.thread, NULL, send_large, &b));
	ASSERT_EQ(1, poll(&p, 1, 5000));
	usleep(100000);
	EXPECT_FALSE(b.done);
	ASSERT_EQ(0, close(self->fd[0]));
	EXPECT_EQ(-1, send(self->fd[0], "x", 1, MSG_NOSIGNAL));
	EXPECT_EQ(EBADF, errno);

	EXPECT_EQ(0, tls_expect_records(&self->r, TLS_DATA, data, b.len,
					TLS_PLAIN_MAX));
	EXPECT_EQ(0, tls_expect_eof(&self->r));
	pthread_join(b.thread, NULL);
	EXPECT_EQ((ssize_t)b.len, b.ret);
	free(data);
}

/* The process that created the socket hands it over and is gone. */
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
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (send(self->fd[0], "before", 6, 0) != 6)
			_exit(1);
		/* Left open here, completed by the receiver. */
		if (send(self->fd[0], "half", 4, MSG_MORE) != 4)
			_exit(2);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &self->fd[0], sizeof(int));
		_exit(sendmsg(us[1], &msg, 0) == 1 ? 0 : 3);
	}
	close(self->fd[0]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	iov.iov_base = &byte;
	ASSERT_EQ(1, recvmsg(us[0], &msg, 0));
	memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	ASSERT_EQ(4, send(fd, "full", 4, 0));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, "before", 6));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, "halffull", 8));
	close(fd);
	EXPECT_EQ(0, tls_expect_eof(&self->r));
	close(us[0]);
	close(us[1]);
}

struct end {
	pthread_t thread;
	struct tls_reader r;
	int failed;
};

static void *read_end(void *arg)
{
	struct end *e = arg;

	e->failed = read_messages(&e->r, 1, TLS_PLAIN_MAX);
	return NULL;
}

/* Both directions at once: TLS_TX at both ends, raw reading at both ends. */
TEST_F(threads, both_ends)
{
	struct sender s[2];
	struct end e[2];
	struct tls_key back;
	int i;

	tls_key_make(&back, variant->version, variant->cipher, 44);
	ASSERT_EQ(0, tls_attach(self->fd[1]));
	ASSERT_EQ(0, tls_set_tx(self->fd[1], &back));
	for (i = 0; i < 2; i++) {
		memset(&e[i], 0, sizeof(e[i]));
		ASSERT_EQ(0, tls_reader_init(&e[i].r, self->fd[!i],
					     i ? &back : &self->key));
		s[i] = (struct sender){ .fd = self->fd[i],
					.limit = TLS_PLAIN_MAX };
		ASSERT_EQ(0, pthread_create(&e[i].thread, NULL, read_end, &e[i]));
		ASSERT_EQ(0, pthread_create(&s[i].thread, NULL, send_messages,
					    &s[i]));
	}
	for (i = 0; i < 2; i++) {
		pthread_join(s[i].thread, NULL);
		pthread_join(e[i].thread, NULL);
		EXPECT_EQ(0, s[i].failed);
		EXPECT_EQ(0, e[i].failed);
		tls_reader_free(&e[i].r);
	}
}

TEST_HARNESS_MAIN
