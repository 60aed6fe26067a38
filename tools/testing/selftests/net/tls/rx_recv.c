// SPDX-License-Identifier: GPL-2.0
/*
 * All calls that receive, and what their flags and the socket's options ask for:
 * how long they wait, for how much, and what they say beside the data.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>

#include "tls_writer.h"

static uint8_t data[64 << 10], buf[64 << 10];
static volatile sig_atomic_t alarms;

static void on_alarm(int sig __maybe_unused)
{
	alarms++;
}

static void alarm_in(int ms, int flags)
{
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = flags };
	struct itimerval it = { .it_value.tv_usec = ms * 1000 };

	alarms = 0;
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
}

/* By the clock of the ticks, which timers go by: it is late when they are. */
static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int patience(int fd, int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
}

FIXTURE(recv)
{
	struct tls_inlet l;
	pthread_t thread;
};

FIXTURE_VARIANT(recv)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANT(recv, 12_aes_gcm_128, 2, AES_GCM_128, INET);
TLS_VARIANT(recv, 12_chacha20_v6, 2, CHACHA20_POLY1305, INET6);
TLS_VARIANT(recv, 13_aes_gcm_256, 3, AES_GCM_256, INET);
TLS_VARIANT(recv, 13_aes_ccm_128_v6, 3, AES_CCM_128, INET6);

FIXTURE_SETUP(recv)
{
	sigset_t alrm;

	tls_fill(data, sizeof(data), 140);
	/* The threads of the tests leave signals to the main one. */
	sigemptyset(&alrm);
	sigaddset(&alrm, SIGALRM);
	pthread_sigmask(SIG_UNBLOCK, &alrm, NULL);
	ASSERT_EQ(0, tls_inlet_open(&self->l, variant->family, variant->version,
				    variant->cipher));
}

FIXTURE_TEARDOWN(recv)
{
	tls_inlet_close(&self->l);
}

/* Pushes what waits in pieces of a record each, 30 ms apart. */
static void *push_slowly(void *arg)
{
	struct tls_writer *w = arg;
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	while (w->len) {
		usleep(30000);
		if (tls_push_some(w, tls_wire_len(w->wire + w->pushed)))
			break;
	}
	return NULL;
}

/* Pushes what waits when the alarm has rung. */
static void *push_after_alarm(void *arg)
{
	sigset_t all;
	int i;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	for (i = 0; i < 10000 && !alarms; i++)
		usleep(1000);
	tls_push(arg);
	return NULL;
}

#define SLOWLY() \
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, push_slowly, \
				    &self->l.w))

TEST_F(recv, every_call)
{
	const int fd = self->l.fd[1];
	struct iovec iov[2] = { { buf, 30 }, { buf + 30, 170 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	struct mmsghdr mmsg = { .msg_hdr = msg };
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	int i;

	for (i = 0; i < 7; i++) {
		memset(buf, 0, 200);
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data + i, 100));
		switch (i) {
		case 0:
			ASSERT_EQ(100, recv(fd, buf, 200, 0));
			break;
		case 1:
			ASSERT_EQ(100, read(fd, buf, 200));
			break;
		case 2:
			ASSERT_EQ(100, recvfrom(fd, buf, 200, 0, (void *)&from,
						&len));
			break;
		case 3:
			ASSERT_EQ(100, recvmsg(fd, &msg, 0));
			break;
		case 4:
			ASSERT_EQ(100, readv(fd, iov, 2));
			break;
		case 5:
			ASSERT_EQ(1, recvmmsg(fd, &mmsg, 1, 0, NULL));
			ASSERT_EQ(100, mmsg.msg_len);
			break;
		case 6:
			ASSERT_EQ(100, preadv2(fd, iov, 2, -1, 0));
			break;
		}
		EXPECT_EQ(0, memcmp(buf, data + i, 100));
	}
	EXPECT_EQ(-1, pread(fd, buf, 100, 0));
	EXPECT_EQ(ESPIPE, errno);
	/* To do nothing takes no record, and no time. */
	EXPECT_EQ(0, recv(fd, buf, 0, 0));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
	EXPECT_EQ(0, recv(fd, buf, 0, 0));
	EXPECT_EQ(0, recv(fd, buf, 0, MSG_PEEK));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 100, 0));
}

TEST_F(recv, many_parts)
{
	static const size_t lens[] = { 1, 3, 16, 17, 0, 1000 };
	struct iovec iov[IOV_MAX];
	size_t i, n, at, len;
	int round;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < 3; i++) {
			ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA,
						data + i * 16384, 16384));
		}
		ASSERT_EQ(0, tls_push(&self->l.w));
		ASSERT_EQ(0, tls_settle(self->l.fd[0]));
		memset(buf, 0, sizeof(buf));
		for (i = 0, at = 0; i < IOV_MAX; i++, at += len) {
			len = round == 0 ? 16 : round == 1 ? 48 :
			      lens[i % ARRAY_SIZE(lens)];
			if (len > sizeof(buf) - at)
				len = sizeof(buf) - at;
			iov[i] = (struct iovec) { buf + at, len };
		}
		n = at < 3 * 16384 ? at : 3 * 16384;
		ASSERT_EQ(n, readv(self->l.fd[1], iov, IOV_MAX));
		ASSERT_EQ(0, tls_compare(buf, data, n, "parts"));
		ASSERT_EQ(0, tls_expect_bytes(self->l.fd[1], data + n,
					      3 * 16384 - n));
	}
}

TEST_F(recv, several_messages)
{
	uint8_t control[4][CMSG_SPACE(1)];
	struct mmsghdr m[4];
	struct iovec iov[4];
	int i;

	for (i = 0; i < 4; i++) {
		iov[i] = (struct iovec) { buf + i * 100, 100 };
		m[i] = (struct mmsghdr) { .msg_hdr = {
			.msg_iov = &iov[i],
			.msg_iovlen = 1,
			.msg_control = control[i],
			.msg_controllen = sizeof(control[i]),
		} };
	}
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 150));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_ALERT, data, 2));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 20));
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(4, recvmmsg(self->l.fd[1], m, 4, 0, NULL));
	EXPECT_EQ(100, m[0].msg_len);
	EXPECT_EQ(50, m[1].msg_len);
	EXPECT_EQ(2, m[2].msg_len);
	EXPECT_EQ(20, m[3].msg_len);
	EXPECT_EQ(TLS_ALERT, *CMSG_DATA((struct cmsghdr *)control[2]));
	EXPECT_EQ(TLS_DATA, *CMSG_DATA((struct cmsghdr *)control[3]));
	EXPECT_EQ(0, memcmp(buf, data, 150));
	/* Not all of them: it does not wait for the rest. */
	for (i = 0; i < 4; i++)
		m[i].msg_hdr.msg_controllen = sizeof(control[i]);
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 50));
	EXPECT_EQ(1, recvmmsg(self->l.fd[1], m, 4, MSG_WAITFORONE, NULL));
	EXPECT_EQ(-1, recvmmsg(self->l.fd[1], m, 4, MSG_DONTWAIT, NULL));
	EXPECT_EQ(EAGAIN, errno);
}

TEST_F(recv, wait_all)
{
	int i;

	for (i = 0; i < 4; i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + i * 100,
					100));
	}
	SLOWLY();
	EXPECT_EQ(350, recv(self->l.fd[1], buf, 350, MSG_WAITALL));
	EXPECT_EQ(0, memcmp(buf, data, 350));
	EXPECT_EQ(50, recv(self->l.fd[1], buf, 50, MSG_WAITALL));
	EXPECT_EQ(0, memcmp(buf, data + 350, 50));
	pthread_join(self->thread, NULL);
	/* It does not wait if it may not. */
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
	EXPECT_EQ(0, tls_expect_events(self->l.fd[1], POLLIN | POLLRDNORM,
				       1000));
	EXPECT_EQ(100, recv(self->l.fd[1], buf, 350,
			    MSG_WAITALL | MSG_DONTWAIT));
}

/* What ends waiting: another type, the end of the stream, the time limit. */
TEST_F(recv, wait_for_less)
{
	long t;

	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_ALERT, data, 2));
	SLOWLY();
	EXPECT_EQ(100, recv(self->l.fd[1], buf, 350, MSG_WAITALL));
	pthread_join(self->thread, NULL);
	EXPECT_EQ(0, tls_expect_got(self->l.fd[1], TLS_ALERT, data, 2,
				    MSG_WAITALL));

	ASSERT_EQ(0, patience(self->l.fd[1], 60));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 70));
	t = now_ms();
	EXPECT_EQ(70, recv(self->l.fd[1], buf, 350, MSG_WAITALL));
	EXPECT_LE(50, now_ms() - t);

	ASSERT_EQ(0, patience(self->l.fd[1], 10000));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 80));
	ASSERT_EQ(0, shutdown(self->l.fd[0], SHUT_WR));
	EXPECT_EQ(80, recv(self->l.fd[1], buf, 350, MSG_WAITALL));
	EXPECT_EQ(0, recv(self->l.fd[1], buf, 350, MSG_WAITALL));
}

TEST_F(recv, does_not_wait)
{
	const int fd = self->l.fd[1];

	EXPECT_EQ(0, tls_expect_error(fd, EAGAIN, MSG_DONTWAIT));
	EXPECT_EQ(0, tls_expect_error(fd, EAGAIN, MSG_DONTWAIT | MSG_PEEK));
	ASSERT_EQ(0, fcntl(fd, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(0, tls_expect_error(fd, EAGAIN, 0));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_EQ(0, tls_push_some(&self->l.w, 50));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	EXPECT_EQ(0, tls_expect_error(fd, EAGAIN, 0));
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_events(fd, POLLIN | POLLRDNORM, 1000));
	EXPECT_EQ(100, recv(fd, buf, 200, 0));
	EXPECT_EQ(0, tls_expect_error(fd, EAGAIN, 0));
}

TEST_F(recv, low_water)
{
	int low = 250, i;
	ssize_t n;

	ASSERT_EQ(0, setsockopt(self->l.fd[1], SOL_SOCKET, SO_RCVLOWAT, &low,
				sizeof(low)));
	for (i = 0; i < 4; i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + i * 100,
					100));
	}
	SLOWLY();
	/* At least 250 bytes. TCP, too, waits for that many, on the wire. */
	n = recv(self->l.fd[1], buf, 1000, 0);
	EXPECT_TRUE(n == 300 || n == 400);
	EXPECT_EQ(0, memcmp(buf, data, n));
	pthread_join(self->thread, NULL);
	if (n == 300) {
		EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data + 300, 100));
	}
	/* Or as much as asked for. */
	for (i = 0; i < 4; i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + i * 100,
					100));
	}
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(60, recv(self->l.fd[1], buf, 60, 0));
	/* Who does not wait gets what there is. */
	EXPECT_EQ(240, recv(self->l.fd[1], buf, 240, MSG_DONTWAIT));
	EXPECT_EQ(100, recv(self->l.fd[1], buf, 1000, MSG_DONTWAIT));
	ASSERT_EQ(0, patience(self->l.fd[1], 50));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
	EXPECT_EQ(100, recv(self->l.fd[1], buf, 1000, 0));
}

TEST_F(recv, time_limit)
{
	long t = now_ms();

	ASSERT_EQ(0, patience(self->l.fd[1], 60));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EAGAIN, 0));
	EXPECT_LE(50, now_ms() - t);
	/* Half a record is as good as none. */
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_EQ(0, tls_push_some(&self->l.w, 80));
	t = now_ms();
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EAGAIN, 0));
	EXPECT_LE(50, now_ms() - t);
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data, 100, 0));
}

TEST_F(recv, interrupted)
{
	/* With a time limit nothing is restarted. */
	alarm_in(50, SA_RESTART);
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EINTR, 0));
	EXPECT_EQ(1, alarms);

	ASSERT_EQ(0, patience(self->l.fd[1], 0));
	alarm_in(50, 0);
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EINTR, 0));
	EXPECT_EQ(1, alarms);

	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	alarm_in(10, SA_RESTART);
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, push_after_alarm,
				    &self->l.w));
	EXPECT_EQ(100, recv(self->l.fd[1], buf, 200, 0));
	EXPECT_EQ(1, alarms);
	pthread_join(self->thread, NULL);

	/* What was read by then is not lost. */
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
	alarm_in(50, 0);
	EXPECT_EQ(100, recv(self->l.fd[1], buf, 200, MSG_WAITALL));
	EXPECT_EQ(1, alarms);
	EXPECT_EQ(0, memcmp(buf, data, 100));

	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
	alarm_in(50, 0);
	EXPECT_EQ(100, recv(self->l.fd[1], buf, 200, MSG_WAITALL | MSG_PEEK));
	EXPECT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data, 100, 0));
}

/* A peer that sends nothing, again and again, does not keep anybody. */
TEST_F(recv, interrupted_by_nothing)
{
	struct itimerval it = { { 0, 1000 }, { 0, 1000 } };
	struct sigaction sa = { .sa_handler = on_alarm };
	int i, room = 8 << 20, round, given_up;
	ssize_t n;

	if (setsockopt(self->l.fd[1], SOL_SOCKET, SO_RCVBUFFORCE, &room,
		       sizeof(room)))
		SKIP(return, "SO_RCVBUFFORCE: %s", strerror(errno));
	sigaction(SIGALRM, &sa, NULL);
	for (round = 0; round < 2; round++) {
		for (i = 0; i < 30000; i++) {
			ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 0));
		}
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
		ASSERT_EQ(0, tls_push(&self->l.w));
		ASSERT_EQ(0, tls_settle(self->l.fd[0]));
		/* Either there are signals, or it may not wait. */
		if (!round)
			setitimer(ITIMER_REAL, &it, NULL);
		given_up = 0;
		while ((n = recv(self->l.fd[1], buf, 100,
				 round ? MSG_DONTWAIT : 0)) < 0 &&
		       errno == (round ? EAGAIN : EINTR))
			given_up++;
		memset(&it, 0, sizeof(it));
		setitimer(ITIMER_REAL, &it, NULL);
		EXPECT_EQ(100, n);
		EXPECT_EQ(0, memcmp(buf, data, 100));
		/* The module in C goes on until it finds something. */
		if (tls_is_ours()) {
			EXPECT_LT(0, given_up);
		}
	}
}

/* The end of a record was reached: not with less than all of it, nor by a look. */
TEST_F(recv, end_of_record)
{
	const int fd = self->l.fd[1];
	struct tls_got got;

	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
	got = tls_recv(fd, buf, 99, 0);
	EXPECT_EQ(99, got.n);
	EXPECT_EQ(0, got.flags);
	got = tls_recv(fd, buf, 99, 0);
	EXPECT_EQ(1, got.n);
	EXPECT_EQ(MSG_EOR, got.flags);
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
	got = tls_recv(fd, buf, 100, MSG_PEEK);
	EXPECT_EQ(100, got.n);
	EXPECT_EQ(0, got.flags);
	got = tls_recv(fd, buf, 100, 0);
	EXPECT_EQ(100, got.n);
	EXPECT_EQ(MSG_EOR, got.flags);
	/* One record and a part: an end was among it. */
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_EQ(0, tls_push(&self->l.w));
	got = tls_recv(fd, buf, 150, 0);
	EXPECT_EQ(150, got.n);
	EXPECT_EQ(MSG_EOR, got.flags);
	got = tls_recv(fd, buf, 150, 0);
	EXPECT_EQ(50, got.n);
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_ALERT, data, 2));
	got = tls_recv(fd, buf, 150, 0);
	EXPECT_EQ(MSG_EOR, got.flags);
	EXPECT_EQ(TLS_ALERT, got.type);
}

/* Flags that mean something to TCP mean nothing here. */
TEST_F(recv, other_flags)
{
	static const int flags[] = { MSG_TRUNC, MSG_OOB, MSG_NOSIGNAL,
				     MSG_CMSG_CLOEXEC, MSG_DONTROUTE };
	size_t i;
	int inq;

	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EAGAIN,
				      MSG_OOB | MSG_DONTWAIT));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EAGAIN, MSG_ERRQUEUE));
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
		ASSERT_EQ(100, recv(self->l.fd[1], buf, 200, flags[i])) {
			TH_LOG("flags %x", flags[i]);
		}
		EXPECT_EQ(0, memcmp(buf, data, 100));
	}
	/* This is about the stream, not about what is in the records. */
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	i = self->l.w.len;
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_events(self->l.fd[1], POLLIN | POLLRDNORM,
				       1000));
	ASSERT_EQ(0, ioctl(self->l.fd[1], FIONREAD, &inq));
	EXPECT_EQ(i, inq);
	ASSERT_EQ(1, recv(self->l.fd[1], buf, 1, 0));
	ASSERT_EQ(0, ioctl(self->l.fd[1], FIONREAD, &inq));
	EXPECT_EQ(0, inq);
}

TEST_HARNESS_MAIN
