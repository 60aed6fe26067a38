// SPDX-License-Identifier: GPL-2.0
/* Records of other types than data, by way of TLS_SET_RECORD_TYPE. */
#include <netinet/in.h>
#include <sys/socket.h>

#include "kselftest_harness.h"
#include "tls_common.h"

static uint8_t data[64 << 10];

FIXTURE(control)
{
	struct tls_link l;
};

FIXTURE_VARIANT(control)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_INET(control);
TLS_VARIANT(control, 12_aes_gcm_128_v6, 2, AES_GCM_128, INET6);
TLS_VARIANT(control, 13_aes_gcm_256_v6, 3, AES_GCM_256, INET6);

FIXTURE_SETUP(control)
{
	tls_fill(data, sizeof(data), 7);
	ASSERT_EQ(0, tls_link_open(&self->l, variant->family, variant->version,
				   variant->cipher));
}

FIXTURE_TEARDOWN(control)
{
	tls_link_close(&self->l);
}

/* Type and payload are the caller's affair: all 256 types go. */
TEST_F(control, every_type)
{
	int type;

	for (type = 0; type < 256; type++) {
		ASSERT_EQ(2, tls_send_type(self->l.fd[0], type, data + type, 2,
					   0));
		ASSERT_EQ(0, tls_expect_record(&self->l.r, type, data + type,
					       2));
		/* The type is for one call only. */
		if (type % 50)
			continue;
		ASSERT_EQ(5, send(self->l.fd[0], data, 5, 0));
		ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, data, 5));
	}
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

TEST_F(control, large)
{
	static const size_t len[] = { 1, 16383, 16384, 16385, 40000 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(len); i++) {
		ASSERT_EQ(len[i], tls_send_type(self->l.fd[0], TLS_HANDSHAKE,
						data, len[i], 0));
		ASSERT_EQ(0, tls_expect_records(&self->l.r, TLS_HANDSHAKE, data,
						len[i], TLS_PLAIN_MAX));
	}
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

TEST_F(control, open_record_goes_first)
{
	const int fd = self->l.fd[0];
	struct tls_reader *r = &self->l.r;

	ASSERT_EQ(100, send(fd, data, 100, MSG_MORE));
	ASSERT_EQ(50, send(fd, data + 100, 50, MSG_MORE));
	ASSERT_EQ(2, tls_send_type(fd, TLS_ALERT, "\1\0", 2, 0));
	ASSERT_EQ(0, tls_expect_record(r, TLS_DATA, data, 150));
	ASSERT_EQ(0, tls_expect_record(r, TLS_ALERT, "\1\0", 2));

	/* So it is when the explicit type is that of data. */
	ASSERT_EQ(100, send(fd, data, 100, MSG_MORE));
	ASSERT_EQ(50, tls_send_type(fd, TLS_DATA, data + 100, 50, MSG_EOR));
	ASSERT_EQ(0, tls_expect_record(r, TLS_DATA, data, 100));
	ASSERT_EQ(0, tls_expect_record(r, TLS_DATA, data + 100, 50));

	/* A record without content does not exist, but what waited is sent. */
	ASSERT_EQ(0, tls_send_type(fd, TLS_ALERT, data, 0, 0));
	ASSERT_EQ(0, tls_expect_quiet(self->l.fd[1], 20));
	ASSERT_EQ(100, send(fd, data, 100, MSG_MORE));
	ASSERT_EQ(0, tls_send_type(fd, TLS_ALERT, data, 0, 0));
	ASSERT_EQ(0, tls_expect_record(r, TLS_DATA, data, 100));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

/* A control record is complete: with more to come it is refused. */
TEST_F(control, no_more)
{
	const int fd = self->l.fd[0];

	ASSERT_EQ(-1, tls_send_type(fd, TLS_ALERT, "\1\0", 2, MSG_MORE));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(-1, tls_send_type(fd, TLS_DATA, "\1\0", 2, MSG_MORE));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(100, send(fd, data, 100, MSG_MORE));
	ASSERT_EQ(-1, tls_send_type(fd, TLS_ALERT, "\1\0", 2, MSG_MORE));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(0, tls_expect_quiet(self->l.fd[1], 20));
	ASSERT_EQ(20, send(fd, data + 100, 20, 0));
	ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, data, 120));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

/* A type is given, but no readable payload. */
TEST_F(control, fault)
{
	const int fd = self->l.fd[0];

	ASSERT_EQ(100, send(fd, data, 100, MSG_MORE));
	ASSERT_EQ(-1, tls_send_type(fd, TLS_ALERT, NULL, 2, 0));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, data, 100));
	ASSERT_EQ(3, send(fd, data, 3, 0));
	ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, data, 3));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

/*
 * Control messages by the piece. Of each: level, type, value, the number of
 * bytes that its length claims behind the head.
 */
struct piece {
	int level;
	int type;
	uint8_t value;
	size_t claims;
};

static ssize_t send_pieces(int fd, const struct piece *p, int n, int flags)
{
	uint8_t space[8][CMSG_SPACE(8)] __attribute__((aligned(8))) = {};
	struct iovec iov = { .iov_base = data, .iov_len = 10 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = space,
	};
	struct cmsghdr *c;
	uint8_t *at = space[0];
	int i;

	for (i = 0; i < n; i++) {
		c = (struct cmsghdr *)at;
		c->cmsg_level = p[i].level;
		c->cmsg_type = p[i].type;
		c->cmsg_len = CMSG_LEN(p[i].claims);
		*CMSG_DATA(c) = p[i].value;
		at += CMSG_SPACE(p[i].claims);
	}
	msg.msg_controllen = at - space[0];
	return sendmsg(fd, &msg, flags);
}

#define TYPE(v)		{ SOL_TLS, TLS_SET_RECORD_TYPE, v, 1 }
#define FOREIGN		{ SOL_SOCKET, 77, 1, 4 }

TEST_F(control, several_messages)
{
	static const struct piece last_counts[] = { TYPE(21), TYPE(22) };
	static const struct piece foreign_before[] = { FOREIGN, TYPE(21) };
	static const struct piece foreign_after[] = { TYPE(21), FOREIGN };
	static const struct piece longer[] = {
		{ SOL_TLS, TLS_SET_RECORD_TYPE, 21, 8 },
	};
	const int fd = self->l.fd[0];
	struct tls_reader *r = &self->l.r;

	ASSERT_EQ(10, send_pieces(fd, last_counts, 2, 0));
	ASSERT_EQ(0, tls_expect_record(r, 22, data, 10));
	ASSERT_EQ(10, send_pieces(fd, foreign_before, 2, 0));
	ASSERT_EQ(0, tls_expect_record(r, 21, data, 10));
	ASSERT_EQ(10, send_pieces(fd, foreign_after, 2, 0));
	ASSERT_EQ(0, tls_expect_record(r, 21, data, 10));
	ASSERT_EQ(10, send_pieces(fd, longer, 1, 0));
	ASSERT_EQ(0, tls_expect_record(r, 21, data, 10));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

TEST_F(control, malformed)
{
	static const struct piece foreign[] = { FOREIGN };
	static const struct piece get[] = {
		{ SOL_TLS, TLS_GET_RECORD_TYPE, 21, 1 },
	};
	static const struct piece zero[] = { { SOL_TLS, 0, 21, 1 } };
	static const struct piece unknown[] = { { SOL_TLS, 3, 21, 1 } };
	static const struct piece no_value[] = {
		{ SOL_TLS, TLS_SET_RECORD_TYPE, 21, 0 },
	};
	static const struct {
		const struct piece *p;
		const char *name;
	} bad[] = {
		{ foreign, "nothing for TLS" }, { get, "TLS_GET_RECORD_TYPE" },
		{ zero, "type 0" }, { unknown, "type 3" },
		{ no_value, "no value" },
	};
	const int fd = self->l.fd[0];
	size_t i;

	/* None of them takes or sends anything, not even an open record. */
	ASSERT_EQ(100, send(fd, data, 100, MSG_MORE));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-1, send_pieces(fd, bad[i].p, 1, 0))
			TH_LOG("%s", bad[i].name);
		EXPECT_EQ(EINVAL, errno) TH_LOG("%s", bad[i].name);
	}
	ASSERT_EQ(0, tls_expect_quiet(self->l.fd[1], 20));
	ASSERT_EQ(20, send(fd, data + 100, 20, 0));
	ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, data, 120));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

/* They are taken in turn: a bad one behind a good one comes too late. */
TEST_F(control, bad_after_good)
{
	static const struct piece late[] = {
		TYPE(21), { SOL_TLS, 3, 21, 1 },
	};
	const int fd = self->l.fd[0];

	ASSERT_EQ(100, send(fd, data, 100, MSG_MORE));
	ASSERT_EQ(-1, send_pieces(fd, late, 2, 0));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, data, 100));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

/* The length of the message, and of all messages, is out of bounds. */
TEST_F(control, lengths)
{
	static const struct {
		size_t claimed, given;
	} bad[] = {
		{ 0, CMSG_SPACE(1) },
		{ sizeof(struct cmsghdr) - 1, CMSG_SPACE(1) },
		{ CMSG_SPACE(1) + 1, CMSG_SPACE(1) },
		{ CMSG_LEN(1), CMSG_LEN(0) },
		{ CMSG_LEN(1), sizeof(struct cmsghdr) - 1 },
		{ CMSG_LEN(1), 1 },
		{ SIZE_MAX, CMSG_SPACE(1) },
	};
	union {
		struct cmsghdr head;
		uint8_t space[CMSG_SPACE(1)];
	} c = {
		.head.cmsg_level = SOL_TLS,
		.head.cmsg_type = TLS_SET_RECORD_TYPE,
	};
	struct iovec iov = { .iov_base = data, .iov_len = 10 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &c,
	};
	size_t i;

	*CMSG_DATA(&c.head) = 21;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		c.head.cmsg_len = bad[i].claimed;
		msg.msg_controllen = bad[i].given;
		EXPECT_EQ(-1, sendmsg(self->l.fd[0], &msg, 0));
		EXPECT_EQ(EINVAL, errno) TH_LOG("claims %zu of %zu",
						bad[i].claimed, bad[i].given);
	}
	/* The shortest and the longest that are right. */
	c.head.cmsg_len = CMSG_LEN(1);
	msg.msg_controllen = CMSG_LEN(1);
	ASSERT_EQ(10, sendmsg(self->l.fd[0], &msg, 0));
	ASSERT_EQ(0, tls_expect_record(&self->l.r, 21, data, 10));
	c.head.cmsg_len = CMSG_SPACE(1);
	msg.msg_controllen = CMSG_SPACE(1);
	ASSERT_EQ(10, sendmsg(self->l.fd[0], &msg, 0));
	ASSERT_EQ(0, tls_expect_record(&self->l.r, 21, data, 10));
	/* No control messages, but a pointer to some. */
	msg.msg_controllen = 0;
	ASSERT_EQ(10, sendmsg(self->l.fd[0], &msg, 0));
	ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, data, 10));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

TEST_HARNESS_MAIN
