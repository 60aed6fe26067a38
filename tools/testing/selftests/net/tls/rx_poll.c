// SPDX-License-Identifier: GPL-2.0
/*
 * poll() and epoll on a socket with TLS_RX: a record is readable when it is there
 * as a whole, and each one is told of once to those who want to be told once.
 */
#include "kselftest_harness.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#include "tls_writer.h"

#define READABLE (POLLIN | POLLRDNORM)

static uint8_t data[256 << 10], buf[256 << 10];

FIXTURE(poll)
{
	struct tls_inlet l;
	int ep;
};

FIXTURE_VARIANT(poll)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANT(poll, 12_aes_gcm_128, 2, AES_GCM_128, INET);
TLS_VARIANT(poll, 12_chacha20_v6, 2, CHACHA20_POLY1305, INET6);
TLS_VARIANT(poll, 13_aes_gcm_256, 3, AES_GCM_256, INET);
TLS_VARIANT(poll, 13_aes_ccm_128_v6, 3, AES_CCM_128, INET6);

FIXTURE_SETUP(poll)
{
	tls_fill(data, sizeof(data), 190);
	ASSERT_EQ(0, tls_inlet_open(&self->l, variant->family, variant->version,
				    variant->cipher));
	self->ep = epoll_create1(EPOLL_CLOEXEC);
	ASSERT_LE(0, self->ep);
}

FIXTURE_TEARDOWN(poll)
{
	close(self->ep);
	tls_inlet_close(&self->l);
}

static int watch(int ep, int fd, int events)
{
	struct epoll_event e = { .events = events };

	return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
}

/* The events that are told of within that time, or 0. */
static int told(int ep, int ms)
{
	struct epoll_event e = {};

	return epoll_wait(ep, &e, 1, ms) == 1 ? (int)e.events : 0;
}

TEST_F(poll, whole_records)
{
	const int fd = self->l.fd[1];
	size_t len;

	EXPECT_EQ(0, tls_expect_events(fd, 0, 0));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	for (len = self->l.w.len; len > 1; len -= len / 2) {
		ASSERT_EQ(0, tls_push_some(&self->l.w, len / 2));
		ASSERT_EQ(0, tls_settle(self->l.fd[0]));
		EXPECT_EQ(0, tls_expect_events(fd, 0, 0));
	}
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_events(fd, READABLE, 1000));
	/* It stays so until all of it was read. */
	EXPECT_EQ(0, tls_expect_bytes(fd, data, 99));
	EXPECT_EQ(0, tls_expect_events(fd, READABLE, 0));
	EXPECT_EQ(0, tls_expect_bytes(fd, data + 99, 1));
	EXPECT_EQ(0, tls_expect_events(fd, 0, 0));
}

/* One and a half. */
TEST_F(poll, half_a_record)
{
	const int fd = self->l.fd[1];

	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + 100, 100));
	ASSERT_EQ(0, tls_push_some(&self->l.w, self->l.w.len - 1));
	EXPECT_EQ(0, tls_expect_events(fd, READABLE, 1000));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 100, 0));
	EXPECT_EQ(0, tls_expect_events(fd, 0, 0));
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_events(fd, READABLE, 1000));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data + 100, 100, 0));
}

TEST_F(poll, writing_is_separate)
{
	struct pollfd p = { .fd = self->l.fd[1], .events = POLLOUT | POLLIN };

	ASSERT_EQ(1, poll(&p, 1, 1000));
	EXPECT_EQ(POLLOUT, p.revents);
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
	EXPECT_EQ(0, tls_expect_events(p.fd, READABLE, 1000));
	ASSERT_EQ(1, poll(&p, 1, 0));
	EXPECT_EQ(POLLOUT | POLLIN, p.revents);
}

TEST_F(poll, level)
{
	int i;

	ASSERT_EQ(0, watch(self->ep, self->l.fd[1], EPOLLIN));
	EXPECT_EQ(0, told(self->ep, 0));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_EQ(0, tls_push_some(&self->l.w, 70));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	EXPECT_EQ(0, told(self->ep, 0));
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(EPOLLIN, told(self->ep, 1000));
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(EPOLLIN, told(self->ep, 0));
		EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data + i * 20,
					      20));
	}
	EXPECT_EQ(0, told(self->ep, 0));
}

/* One event for a record, none for a part of one. */
TEST_F(poll, edge)
{
	const int fd = self->l.fd[1];
	int i;

	ASSERT_EQ(0, watch(self->ep, fd, EPOLLIN | EPOLLET));
	for (i = 0; i < 10; i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
		while (self->l.w.len - self->l.w.pushed > 30) {
			ASSERT_EQ(0, tls_push_some(&self->l.w, 30));
			EXPECT_EQ(0, told(self->ep, 0));
		}
		ASSERT_EQ(0, tls_settle(self->l.fd[0]));
		EXPECT_EQ(0, told(self->ep, 0));
		ASSERT_EQ(0, tls_push(&self->l.w));
		EXPECT_EQ(EPOLLIN, told(self->ep, 1000));
		EXPECT_EQ(0, told(self->ep, 0));
		/* To read a part of it is nothing new. */
		EXPECT_EQ(0, tls_expect_bytes(fd, data, 40));
		EXPECT_EQ(0, told(self->ep, 0));
		EXPECT_EQ(0, tls_expect_bytes(fd, data + 40, 60));
		EXPECT_EQ(0, told(self->ep, 0));
	}
}

/* A reader that takes one record for each event is told of the next. */
TEST_F(poll, edge_by_edge)
{
	const int fd = self->l.fd[1];
	int i;

	ASSERT_EQ(0, watch(self->ep, fd, EPOLLIN | EPOLLET));
	for (i = 0; i < 20; i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + i * 100,
					100));
	}
	ASSERT_EQ(0, tls_push(&self->l.w));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(EPOLLIN, told(self->ep, 1000)) {
			TH_LOG("record %d", i);
		}
		EXPECT_EQ(0, told(self->ep, 0));
		ASSERT_EQ(100, recv(fd, buf, 100, 0));
		ASSERT_EQ(0, tls_compare(buf, data + i * 100, 100, "data"));
	}
	EXPECT_EQ(0, told(self->ep, 0));
	EXPECT_EQ(0, tls_expect_error(fd, EAGAIN, MSG_DONTWAIT));
}

/* One that takes all there is, is not told of what it has already. */
TEST_F(poll, edge_of_many)
{
	const int fd = self->l.fd[1];
	int i, round;

	ASSERT_EQ(0, watch(self->ep, fd, EPOLLIN | EPOLLET));
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 10; i++) {
			ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA,
						data + i * 100, 100));
		}
		ASSERT_EQ(0, tls_push(&self->l.w));
		ASSERT_EQ(EPOLLIN, told(self->ep, 1000));
		EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 1000, 0));
		EXPECT_EQ(0, told(self->ep, 0));
	}
}

/* A record that the reader has found, and cannot take with the data, is news. */
TEST_F(poll, edge_of_another_type)
{
	const int fd = self->l.fd[1];

	ASSERT_EQ(0, watch(self->ep, fd, EPOLLIN | EPOLLET));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_ALERT, data, 2));
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(EPOLLIN, told(self->ep, 1000));
	EXPECT_EQ(0, told(self->ep, 0));
	ASSERT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 100, 0));
	/* The module in C leaves it to the reader to find out. */
	if (tls_is_ours()) {
		EXPECT_EQ(EPOLLIN, told(self->ep, 0));
	}
	ASSERT_EQ(0, tls_expect_got(fd, TLS_ALERT, data, 2, 0));
	EXPECT_EQ(0, told(self->ep, 0));
}

/* While one waits to be read, the next arrives. */
TEST_F(poll, edge_behind_unread)
{
	const int fd = self->l.fd[1];

	ASSERT_EQ(0, watch(self->ep, fd, EPOLLIN | EPOLLET));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
	ASSERT_EQ(EPOLLIN, told(self->ep, 1000));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data + 100, 100));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	told(self->ep, 0);
	/* Whether that was an event or not: after this the next one is. */
	ASSERT_EQ(100, recv(fd, buf, 100, 0));
	EXPECT_EQ(EPOLLIN, told(self->ep, 0));
	ASSERT_EQ(100, recv(fd, buf, 100, 0));
	EXPECT_EQ(0, memcmp(buf, data + 100, 100));
	/* Half of it read; the next comes; it must be told of. */
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
	ASSERT_EQ(EPOLLIN, told(self->ep, 1000));
	ASSERT_EQ(50, recv(fd, buf, 50, 0));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data + 100, 100));
	EXPECT_EQ(EPOLLIN, told(self->ep, 1000));
	EXPECT_EQ(0, tls_expect_bytes(fd, data + 50, 150));
}

/* The usual loop with edges: read until EAGAIN, then wait. Nothing is missed. */
TEST_F(poll, edge_loop)
{
	static const size_t lens[] = { 1, 16384, 100, 5000, 333, 0, 16000 };
	const int fd = self->l.fd[1];
	size_t i, sum = 0, at = 0, n;
	int status, events = 0;
	ssize_t got;
	pid_t pid;

	for (i = 0; sum < sizeof(data) - TLS_PLAIN_MAX; i++) {
		n = lens[i % ARRAY_SIZE(lens)];
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + sum, n));
		sum += n;
	}
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		for (i = 0; self->l.w.len; i++) {
			n = self->l.w.len - self->l.w.pushed;
			if (n > 700 + i % 7 * 400)
				n = 700 + i % 7 * 400;
			if (tls_push_some(&self->l.w, n))
				_exit(1);
		}
		_exit(0);
	}
	ASSERT_EQ(0, watch(self->ep, fd, EPOLLIN | EPOLLET));
	while (at < sum) {
		ASSERT_EQ(EPOLLIN, told(self->ep, 5000)) {
			TH_LOG("%zu of %zu bytes, %d events", at, sum, events);
		}
		events++;
		while ((got = recv(fd, buf, 4000, MSG_DONTWAIT)) > 0) {
			ASSERT_EQ(0, tls_compare(buf, data + at, got, "data"));
			at += got;
		}
		ASSERT_EQ(EAGAIN, errno);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* A look is no reading: the level stays, and there is no new edge. */
TEST_F(poll, peek)
{
	const int fd = self->l.fd[1];

	ASSERT_EQ(0, watch(self->ep, fd, EPOLLIN | EPOLLET));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
	ASSERT_EQ(EPOLLIN, told(self->ep, 1000));
	ASSERT_EQ(100, recv(fd, buf, 1000, MSG_PEEK));
	EXPECT_EQ(0, told(self->ep, 0));
	EXPECT_EQ(0, tls_expect_events(fd, READABLE, 0));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data + 100, 100));
	EXPECT_EQ(EPOLLIN, told(self->ep, 1000));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 200, 0));
	EXPECT_EQ(0, tls_expect_events(fd, 0, 0));
}

/* A record of another type that a reader has come upon is there for the next. */
TEST_F(poll, other_type)
{
	const int fd = self->l.fd[1];

	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_ALERT, data, 2));
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_events(fd, READABLE, 1000));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 100, 0));
	EXPECT_EQ(0, tls_expect_events(fd, READABLE, 0));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_ALERT, data, 2, 0));
	EXPECT_EQ(0, tls_expect_events(fd, 0, 0));
}

TEST_F(poll, low_water)
{
	const int fd = self->l.fd[1];
	int low = 400;

	ASSERT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low,
				sizeof(low)));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	EXPECT_EQ(0, tls_expect_events(fd, 0, 20));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data + 100, 400));
	EXPECT_EQ(0, tls_expect_events(fd, READABLE, 1000));
	EXPECT_EQ(0, tls_expect_bytes(fd, data, 500));
}

TEST_F(poll, end)
{
	const int fd = self->l.fd[1];

	ASSERT_EQ(0, watch(self->ep, fd, EPOLLIN | EPOLLRDHUP | EPOLLET));
	/* The end within a record is an end. */
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_EQ(0, tls_push_some(&self->l.w, self->l.w.len - 3));
	ASSERT_EQ(EPOLLIN, told(self->ep, 1000));
	ASSERT_EQ(0, shutdown(self->l.fd[0], SHUT_WR));
	EXPECT_EQ(EPOLLIN | EPOLLRDHUP, told(self->ep, 1000));
	EXPECT_EQ(0, tls_expect_events(fd, READABLE | POLLRDHUP, 1000));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 100, 0));
	EXPECT_EQ(0, tls_expect_events(fd, READABLE | POLLRDHUP, 0));
	EXPECT_EQ(0, tls_expect_end(fd));
}

TEST_F(poll, reset)
{
	struct linger now = { .l_onoff = 1 };
	const int fd = self->l.fd[1];

	ASSERT_EQ(0, watch(self->ep, fd, EPOLLIN | EPOLLET));
	ASSERT_EQ(0, setsockopt(self->l.fd[0], SOL_SOCKET, SO_LINGER, &now,
				sizeof(now)));
	close(self->l.fd[0]);
	self->l.fd[0] = -1;
	EXPECT_EQ(EPOLLIN | EPOLLERR | EPOLLHUP, told(self->ep, 1000));
	EXPECT_EQ(0, tls_expect_events(fd, READABLE | POLLERR | POLLHUP |
				       POLLRDHUP, 0));
	EXPECT_EQ(0, tls_expect_error(fd, ECONNRESET, 0));
}

/* No record, and never one: an error, but nothing to read. */
TEST_F(poll, bad_header)
{
	ASSERT_EQ(0, watch(self->ep, self->l.fd[1], EPOLLIN | EPOLLET));
	memset(self->l.w.wire, 0xff, 20);
	self->l.w.len = 20;
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(EPOLLERR, told(self->ep, 1000));
	EXPECT_EQ(0, tls_expect_events(self->l.fd[1], POLLERR, 0));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EMSGSIZE, 0));
	EXPECT_EQ(0, tls_expect_events(self->l.fd[1], 0, 0));
}

struct sleeper {
	pthread_t thread;
	int fd, events;
	atomic_bool awake;
};

static void *sleep_in_poll(void *arg)
{
	struct sleeper *s = arg;
	struct pollfd p = { .fd = s->fd, .events = POLLIN };

	poll(&p, 1, 5000);
	s->events = p.revents;
	s->awake = true;
	return NULL;
}

/* Several that sleep: all are woken by a record, none by its beginning. */
TEST_F(poll, sleepers)
{
	struct sleeper s[4];
	int i;

	for (i = 0; i < 4; i++) {
		s[i] = (struct sleeper){ .fd = self->l.fd[1] };
		ASSERT_EQ(0, pthread_create(&s[i].thread, NULL, sleep_in_poll,
					    &s[i]));
	}
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_EQ(0, tls_push_some(&self->l.w, 100));
	usleep(50000);
	for (i = 0; i < 4; i++) {
		EXPECT_FALSE(s[i].awake);
	}
	ASSERT_EQ(0, tls_push(&self->l.w));
	for (i = 0; i < 4; i++) {
		pthread_join(s[i].thread, NULL);
		EXPECT_EQ(POLLIN, s[i].events);
	}
	EXPECT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data, 100, 0));
}

TEST_HARNESS_MAIN
