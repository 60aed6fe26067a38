// SPDX-License-Identifier: GPL-2.0
/*
 * Records that are no data, and how a reader is told: with TLS_GET_RECORD_TYPE,
 * one at a time, never together with others, and only if it can be told.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"

#include <fcntl.h>

#include "tls_writer.h"

static uint8_t data[64 << 10], buf[64 << 10];

FIXTURE(control)
{
	struct tls_inlet l;
};

FIXTURE_VARIANT(control)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_EACH(control);

FIXTURE_SETUP(control)
{
	tls_fill(data, sizeof(data), 150);
	ASSERT_EQ(0, tls_inlet_open(&self->l, variant->family, variant->version,
				    variant->cipher));
}

FIXTURE_TEARDOWN(control)
{
	tls_inlet_close(&self->l);
}

/* recvmsg() with so much room for control messages; returns errno, too. */
static ssize_t recv_room(int fd, size_t len, size_t room, int flags,
			 struct msghdr *msg)
{
	static struct iovec iov;
	static union {
		struct cmsghdr head;
		uint8_t space[CMSG_SPACE(64)];
	} control;

	iov.iov_base = buf;
	iov.iov_len = len;
	memset(&control, 0xee, sizeof(control));
	memset(msg, 0, sizeof(*msg));
	msg->msg_iov = &iov;
	msg->msg_iovlen = 1;
	msg->msg_control = room ? &control : NULL;
	msg->msg_controllen = room;
	return recvmsg(fd, msg, flags);
}

static bool tells(struct msghdr *msg, uint8_t type)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);

	return c && c->cmsg_level == SOL_TLS &&
	       c->cmsg_type == TLS_GET_RECORD_TYPE &&
	       c->cmsg_len == CMSG_LEN(1) && *CMSG_DATA(c) == type &&
	       !CMSG_NXTHDR(msg, c);
}

/* Everything is in one segment, and still comes one after the other. */
TEST_F(control, not_mixed)
{
	static const uint8_t types[] = {
		TLS_DATA, TLS_DATA, TLS_ALERT, TLS_DATA, TLS_ALERT, TLS_ALERT,
		TLS_HANDSHAKE, 99, TLS_DATA, TLS_DATA, TLS_DATA, 20, 20,
	};
	const int fd = self->l.fd[1];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, types[i], data + i * 100,
					100));
	}
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 200, 0));
	ASSERT_EQ(0, tls_expect_got(fd, TLS_ALERT, data + 200, 100, 0));
	ASSERT_EQ(0, tls_expect_got(fd, TLS_DATA, data + 300, 100, 0));
	/* Neither are two of one type, unless it is data. */
	ASSERT_EQ(0, tls_expect_got(fd, TLS_ALERT, data + 400, 100, 0));
	ASSERT_EQ(0, tls_expect_got(fd, TLS_ALERT, data + 500, 100, 0));
	ASSERT_EQ(0, tls_expect_got(fd, TLS_HANDSHAKE, data + 600, 100, 0));
	ASSERT_EQ(0, tls_expect_got(fd, 99, data + 700, 100, 0));
	ASSERT_EQ(0, tls_expect_got(fd, TLS_DATA, data + 800, 300, 0));
	ASSERT_EQ(0, tls_expect_got(fd, 20, data + 1100, 100, 0));
	ASSERT_EQ(0, tls_expect_got(fd, 20, data + 1200, 100, 0));
	EXPECT_EQ(0, tls_expect_error(fd, EAGAIN, MSG_DONTWAIT));
}

TEST_F(control, in_parts)
{
	const int fd = self->l.fd[1];
	struct tls_got got;

	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_HANDSHAKE, data + 100, 100));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + 200, 100));
	ASSERT_EQ(0, tls_push(&self->l.w));
	/* The second part has its type as well; nothing else follows. */
	ASSERT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 100, 0));
	got = tls_recv(fd, buf, 40, 0);
	EXPECT_EQ(40, got.n);
	EXPECT_EQ(TLS_HANDSHAKE, got.type);
	EXPECT_EQ(0, got.flags);
	got = tls_recv(fd, buf + 40, 1000, MSG_PEEK);
	EXPECT_EQ(60, got.n);
	EXPECT_EQ(TLS_HANDSHAKE, got.type);
	got = tls_recv(fd, buf + 40, 1000, 0);
	EXPECT_EQ(60, got.n);
	EXPECT_EQ(TLS_HANDSHAKE, got.type);
	EXPECT_EQ(MSG_EOR, got.flags);
	EXPECT_EQ(0, memcmp(buf, data + 100, 100));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data + 200, 100, 0));
}

/* The largest of them, and one that no buffer is large enough for. */
TEST_F(control, large)
{
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_HANDSHAKE, data, TLS_PLAIN_MAX));
	ASSERT_EQ(0, tls_expect_got(self->l.fd[1], TLS_HANDSHAKE, data,
				    TLS_PLAIN_MAX, MSG_WAITALL));
	ASSERT_EQ(0, tls_write(&self->l.w, 1, data, TLS_PLAIN_MAX));
	ASSERT_EQ(TLS_PLAIN_MAX, tls_recv(self->l.fd[1], buf, TLS_PLAIN_MAX,
					  MSG_PEEK).n);
	ASSERT_EQ(0, tls_expect_got(self->l.fd[1], 1, data, TLS_PLAIN_MAX, 0));
}

/* Who cannot be told of a type gets an error, and the record waits for others. */
TEST_F(control, no_room)
{
	static const size_t rooms[] = { 0, 1, sizeof(struct cmsghdr) - 1,
					sizeof(struct cmsghdr) };
	const int fd = self->l.fd[1];
	struct msghdr msg;
	size_t i;

	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_ALERT, data, 2));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_error(fd, EIO, 0));
	EXPECT_EQ(0, tls_expect_error(fd, EIO, MSG_PEEK));
	EXPECT_EQ(-1, read(fd, buf, 100));
	EXPECT_EQ(EIO, errno);
	for (i = 0; i < ARRAY_SIZE(rooms); i++) {
		EXPECT_EQ(-1, recv_room(fd, 100, rooms[i], 0, &msg)) {
			TH_LOG("room %zu", rooms[i]);
		}
		EXPECT_EQ(EIO, errno);
	}
	/* It is not the end of the connection. */
	EXPECT_EQ(0, tls_expect_events(fd, POLLIN | POLLRDNORM, 0));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_ALERT, data, 2, 0));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 100, 0));
	/* The same one after data: those come first, and without error. */
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_ALERT, data, 2));
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(100, recv(fd, buf, 1000, MSG_WAITALL));
	EXPECT_EQ(0, tls_expect_error(fd, EIO, 0));
	EXPECT_EQ(2, recv_room(fd, 100, CMSG_LEN(1), 0, &msg));
	EXPECT_TRUE(tells(&msg, TLS_ALERT));
}

/* For data it does not matter whether the type can be told. */
TEST_F(control, data_without_room)
{
	static const size_t rooms[] = { 0, 1, sizeof(struct cmsghdr),
					CMSG_LEN(1), CMSG_SPACE(1),
					CMSG_SPACE(64) };
	struct msghdr msg;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rooms); i++) {
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
		ASSERT_EQ(100, recv_room(self->l.fd[1], 200, rooms[i], 0,
					 &msg));
		EXPECT_EQ(0, memcmp(buf, data, 100));
		if (rooms[i] >= CMSG_LEN(1)) {
			EXPECT_EQ(MSG_EOR, msg.msg_flags);
			EXPECT_TRUE(tells(&msg, TLS_DATA));
		} else {
			EXPECT_EQ(MSG_EOR | MSG_CTRUNC, msg.msg_flags);
			EXPECT_FALSE(tells(&msg, TLS_DATA));
		}
	}
}

/* Data without content, and then this type, in n rows. */
static int put_behind_nothing(struct tls_writer *w, uint8_t type, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if (!tls_put(w, TLS_DATA, data, 0) ||
		    !tls_put(w, TLS_DATA, data, 0) ||
		    !tls_put(w, type, data, 50))
			return -1;
	return tls_push(w) || tls_settle(w->fd);
}

/* To return 0 for it would be to say that the stream has ended. */
TEST_F(control, behind_nothing)
{
	const int fd = self->l.fd[1];
	struct tls_got got;
	int i, p[2];

	TLS_OURS_ONLY("an empty record of data hides the type of the next");
	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(0, put_behind_nothing(&self->l.w, TLS_ALERT, 4));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_ALERT, data, 50, 0));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_ALERT, data, 50, MSG_PEEK));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_ALERT, data, 50, MSG_WAITALL));
	got = tls_recv(fd, buf, 20, 0);
	EXPECT_EQ(20, got.n);
	EXPECT_EQ(TLS_ALERT, got.type);
	EXPECT_EQ(0, got.flags);
	got = tls_recv(fd, buf, 100, 0);
	EXPECT_EQ(30, got.n);
	EXPECT_EQ(TLS_ALERT, got.type);
	/* Who cannot be told of the type does not get 0 either. */
	EXPECT_EQ(0, tls_expect_error(fd, EIO, 0));
	EXPECT_EQ(0, tls_expect_error(fd, EIO, MSG_PEEK));
	EXPECT_EQ(-1, splice(fd, NULL, p[1], NULL, 100, SPLICE_F_NONBLOCK));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, tls_expect_got(fd, TLS_ALERT, data, 50, 0));
	EXPECT_EQ(0, tls_expect_error(fd, EAGAIN, MSG_DONTWAIT));

	/* And it is not the end of a record that was read in part. */
	ASSERT_EQ(0, put_behind_nothing(&self->l.w, TLS_DATA, 1));
	for (i = 0; i < 5; i++) {
		got = tls_recv(fd, buf, 10, 0);
		EXPECT_EQ(10, got.n);
		EXPECT_EQ(TLS_DATA, got.type);
		EXPECT_EQ(i == 4 ? MSG_EOR : 0, got.flags);
	}
	EXPECT_EQ(0, tls_expect_error(fd, EAGAIN, MSG_DONTWAIT));
	close(p[0]);
	close(p[1]);
}

/* Other types without content are told of: the peer must not send them. */
TEST_F(control, no_content)
{
	const int fd = self->l.fd[1];
	struct tls_got got;
	int i;

	for (i = 0; i < 2; i++)
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_ALERT, data, 0));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_EQ(0, tls_push(&self->l.w));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, tls_expect_error(fd, EIO, 0));
		got = tls_recv(fd, buf, 100, 0);
		EXPECT_EQ(0, got.n);
		EXPECT_EQ(TLS_ALERT, got.type);
	}
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 100, 0));
}

/* There is nothing to say without a record. */
TEST_F(control, nothing_to_tell)
{
	struct msghdr msg;

	EXPECT_EQ(-1, recv_room(self->l.fd[1], 100, CMSG_SPACE(64),
				MSG_DONTWAIT, &msg));
	EXPECT_EQ(EAGAIN, errno);
	ASSERT_EQ(0, shutdown(self->l.fd[0], SHUT_WR));
	EXPECT_EQ(0, recv_room(self->l.fd[1], 100, CMSG_SPACE(64), 0, &msg));
	EXPECT_EQ(0, msg.msg_controllen);
	EXPECT_EQ(0, msg.msg_flags);
}

/* An empty record of data is nothing; an empty one of another type is told of. */
TEST_F(control, empty)
{
	const int fd = self->l.fd[1];
	struct tls_got got;
	int i;

	for (i = 0; i < 30; i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 0));
	}
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_error(fd, EAGAIN, MSG_DONTWAIT));
	for (i = 0; i < 30; i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 0));
	}
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 10));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 0));
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 10, 0));

	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_ALERT, data, 0));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_HANDSHAKE, data, 0));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 10));
	ASSERT_EQ(0, tls_push(&self->l.w));
	got = tls_recv(fd, buf, 100, MSG_PEEK);
	EXPECT_EQ(0, got.n);
	EXPECT_EQ(TLS_ALERT, got.type);
	got = tls_recv(fd, buf, 100, 0);
	EXPECT_EQ(0, got.n);
	EXPECT_EQ(TLS_ALERT, got.type);
	EXPECT_EQ(MSG_EOR, got.flags);
	EXPECT_EQ(0, tls_expect_error(fd, EIO, 0));
	got = tls_recv(fd, buf, 100, 0);
	EXPECT_EQ(0, got.n);
	EXPECT_EQ(TLS_HANDSHAKE, got.type);
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 10, 0));
	EXPECT_EQ(0, tls_expect_error(fd, EAGAIN, MSG_DONTWAIT));
}

/* Thousands of them in a row, with one byte behind. */
TEST_F(control, empty_ones_without_end)
{
	int i, round;

	for (round = 0; round < 2; round++) {
		for (i = 0; i < 5000; i++) {
			ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 0));
		}
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 1));
		ASSERT_EQ(0, tls_push(&self->l.w));
		EXPECT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data, 1,
					    round ? MSG_PEEK : 0));
	}
}

/* Looked at, an empty record is on the list of those that were opened. */
TEST_F(control, empty_and_peek)
{
	const int fd = self->l.fd[1];

	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 0));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	EXPECT_EQ(0, tls_expect_error(fd, EAGAIN, MSG_DONTWAIT | MSG_PEEK));
	EXPECT_EQ(0, tls_expect_error(fd, EAGAIN, MSG_DONTWAIT | MSG_PEEK));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 0));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 10));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 0));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + 10, 10));
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 20, MSG_PEEK));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 20, MSG_PEEK));
	EXPECT_EQ(0, tls_expect_bytes(fd, data, 1));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data + 1, 19, MSG_PEEK));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data + 1, 19, 0));
	EXPECT_EQ(0, tls_expect_error(fd, EAGAIN, MSG_DONTWAIT));
}

/* Empty records wake up a reader that waits; it goes on waiting. */
TEST_F(control, empty_ones_while_waiting)
{
	pid_t pid = fork();
	int i, status;

	ASSERT_LE(0, pid);
	if (!pid) {
		for (i = 0; i < 10; i++) {
			usleep(3000);
			if (tls_write(&self->l.w, TLS_DATA, data, 0))
				_exit(1);
		}
		_exit(tls_write(&self->l.w, TLS_DATA, data, 7) ? 1 : 0);
	}
	EXPECT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data, 7, 0));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_HARNESS_MAIN
