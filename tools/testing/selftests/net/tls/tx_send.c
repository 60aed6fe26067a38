// SPDX-License-Identifier: GPL-2.0
/*
 * The forms of a send, where the cipher makes no difference: flags, several
 * messages per call, buffers that are not there.
 */
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "kselftest_harness.h"
#include "tls_common.h"
#include "tls_writer.h"

#define DATA_MAX	(128 << 10)

static uint8_t data[DATA_MAX];

FIXTURE(tx_send)
{
	struct tls_link l;
};

FIXTURE_VARIANT(tx_send)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_FEW(tx_send);

FIXTURE_SETUP(tx_send)
{
	tls_fill(data, sizeof(data), 5);
	ASSERT_EQ(0, tls_link_open(&self->l, variant->family, variant->version,
				   variant->cipher));
}

FIXTURE_TEARDOWN(tx_send)
{
	tls_link_close(&self->l);
}

TEST_F(tx_send, every_small_size)
{
	size_t len;

	for (len = 0; len <= 300; len++)
		ASSERT_EQ(len, send(self->l.fd[0], data + len, len, 0));
	for (len = 1; len <= 300; len++)
		ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, data + len,
					       len));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

/* The last record of a send has any size. */
TEST_F(tx_send, every_small_remainder)
{
	size_t len, total;

	for (len = 0; len <= 40; len++) {
		total = TLS_PLAIN_MAX + len;
		ASSERT_EQ(total, send(self->l.fd[0], data + len, total, 0));
		ASSERT_EQ(0, tls_expect_records(&self->l.r, TLS_DATA,
						data + len, total,
						TLS_PLAIN_MAX));
	}
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

/* MSG_MORE holds back what may still grow, and only that. */
TEST_F(tx_send, full_record_does_not_wait)
{
	const int fd = self->l.fd[0];
	struct tls_reader *r = &self->l.r;
	size_t i;

	/* 54 sends stay below the limit of a record, the 55th crosses it. */
	for (i = 0; i < 54; i++)
		ASSERT_EQ(300, send(fd, data + i * 300, 300, MSG_MORE));
	ASSERT_EQ(0, tls_expect_quiet(self->l.fd[1], 300));
	ASSERT_EQ(300, send(fd, data + i * 300, 300, MSG_MORE));
	ASSERT_EQ(0, tls_expect_record(r, TLS_DATA, data, TLS_PLAIN_MAX));
	ASSERT_EQ(0, tls_expect_quiet(self->l.fd[1], 300));
	ASSERT_EQ(1, send(fd, data + 16500, 1, 0));
	ASSERT_EQ(0, tls_expect_record(r, TLS_DATA, data + TLS_PLAIN_MAX,
				       16501 - TLS_PLAIN_MAX));

	ASSERT_EQ(TLS_PLAIN_MAX, send(fd, data, TLS_PLAIN_MAX, MSG_MORE));
	ASSERT_EQ(0, tls_expect_record(r, TLS_DATA, data, TLS_PLAIN_MAX));
	ASSERT_EQ(40000, send(fd, data, 40000, MSG_MORE));
	ASSERT_EQ(0, tls_expect_records(r, TLS_DATA, data, 2 * TLS_PLAIN_MAX,
					TLS_PLAIN_MAX));
	ASSERT_EQ(0, tls_expect_quiet(self->l.fd[1], 300));
	ASSERT_EQ(1, send(fd, data + 40000, 1, 0));
	ASSERT_EQ(0, tls_expect_record(r, TLS_DATA, data + 2 * TLS_PLAIN_MAX,
				       40001 - 2 * TLS_PLAIN_MAX));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

/* An address is of no interest on a connection. */
TEST_F(tx_send, sendto)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };

	ASSERT_EQ(100, sendto(self->l.fd[0], data, 100, 0,
			      (struct sockaddr *)&addr, sizeof(addr)));
	ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, data, 100));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

TEST_F(tx_send, sendmsg_without_buffers)
{
	struct msghdr msg = {};

	ASSERT_EQ(0, sendmsg(self->l.fd[0], &msg, 0));
	ASSERT_EQ(0, sendmsg(self->l.fd[0], &msg, MSG_EOR));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

TEST_F(tx_send, sendmmsg_one)
{
	struct iovec iov[3] = {
		{ data, 1000 }, { data + 1000, 0 }, { data + 1000, 20000 },
	};
	struct mmsghdr mm = { .msg_hdr = { .msg_iov = iov, .msg_iovlen = 3 } };

	ASSERT_EQ(1, sendmmsg(self->l.fd[0], &mm, 1, 0));
	ASSERT_EQ(21000, mm.msg_len);
	ASSERT_EQ(0, tls_expect_records(&self->l.r, TLS_DATA, data, 21000,
					TLS_PLAIN_MAX));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

/*
 * From sendmmsg(), all messages but the last one carry a flag that says so. The
 * module in C takes no flag that it does not know, and refuses more than one.
 */
TEST_F(tx_send, sendmmsg_many)
{
	struct iovec iov[2] = { { data, 100 }, { data + 100, 200 } };
	struct mmsghdr mm[2] = {
		{ .msg_hdr = { .msg_iov = iov, .msg_iovlen = 1 } },
		{ .msg_hdr = { .msg_iov = iov + 1, .msg_iovlen = 1 } },
	};

	if (!tls_is_ours() && sendmmsg(self->l.fd[0], mm, 2, 0) < 0) {
		ASSERT_EQ(EOPNOTSUPP, errno);
		ASSERT_EQ(0, tls_expect_quiet(self->l.fd[1], 20));
		SKIP(return, "this module takes one message at a time");
	}
	ASSERT_EQ(2, sendmmsg(self->l.fd[0], mm, 2, 0));
	ASSERT_EQ(100, mm[0].msg_len);
	ASSERT_EQ(200, mm[1].msg_len);
	ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, data, 100));
	ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, data + 100, 200));
	/* Both in one record, and here the end of a record counts. */
	ASSERT_EQ(2, sendmmsg(self->l.fd[0], mm, 2, MSG_MORE));
	ASSERT_EQ(1, send(self->l.fd[0], data + 300, 1, 0));
	ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, data, 301));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

TEST_F(tx_send, eor_ends_a_record)
{
	const int fd = self->l.fd[0];
	struct tls_reader *r = &self->l.r;

	ASSERT_EQ(10, send(fd, data, 10, MSG_EOR));
	ASSERT_EQ(20, send(fd, data + 10, 20, MSG_EOR | MSG_DONTWAIT));
	ASSERT_EQ(0, tls_expect_record(r, TLS_DATA, data, 10));
	ASSERT_EQ(0, tls_expect_record(r, TLS_DATA, data + 10, 20));
	/* It takes along what was waiting. */
	ASSERT_EQ(30, send(fd, data, 30, MSG_MORE));
	ASSERT_EQ(40, send(fd, data + 30, 40, MSG_EOR));
	ASSERT_EQ(0, tls_expect_record(r, TLS_DATA, data, 70));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

/* More to come and no more to come at once: refused, nothing is taken. */
TEST_F(tx_send, more_with_eor)
{
	const int fd = self->l.fd[0];

	ASSERT_EQ(-1, send(fd, data, 10, MSG_MORE | MSG_EOR));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(-1, send(fd, data, 0, MSG_MORE | MSG_EOR));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(10, send(fd, data, 10, MSG_MORE));
	ASSERT_EQ(-1, send(fd, data + 10, 10, MSG_MORE | MSG_EOR));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(0, tls_expect_quiet(self->l.fd[1], 20));
	ASSERT_EQ(10, send(fd, data + 10, 10, 0));
	ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, data, 20));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

/* An empty send has no record to end, not even an open one. */
TEST_F(tx_send, empty_send_ends_nothing)
{
	const int fd = self->l.fd[0];
	struct msghdr msg = {};

	ASSERT_EQ(10, send(fd, data, 10, MSG_MORE));
	ASSERT_EQ(0, send(fd, data, 0, 0));
	ASSERT_EQ(0, send(fd, data, 0, MSG_EOR));
	ASSERT_EQ(0, send(fd, data, 0, MSG_MORE));
	ASSERT_EQ(0, sendmsg(fd, &msg, 0));
	ASSERT_EQ(0, tls_expect_quiet(self->l.fd[1], 50));
	ASSERT_EQ(1, send(fd, data + 10, 1, 0));
	ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, data, 11));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

TEST_F(tx_send, flags)
{
	/*
	 * The kernel's own flags: send() takes them away before TLS sees them,
	 * or, as with that of sendmmsg(), they do no harm.
	 */
	const unsigned int internal = 0x10000 | 0x40000 | 0x80000 | 0x100000 |
				      0x8000000;
	const unsigned int good = MSG_MORE | MSG_DONTWAIT | MSG_NOSIGNAL |
				  MSG_EOR;
	const int fd = self->l.fd[0];
	unsigned int flag;

	for (flag = 1; flag < 1u << 31; flag <<= 1) {
		if ((good | internal) & flag)
			continue;
		ASSERT_EQ(-1, send(fd, data, 10, flag)) TH_LOG("flag %x", flag);
		ASSERT_EQ(EOPNOTSUPP, errno) TH_LOG("flag %x", flag);
		ASSERT_EQ(-1, send(fd, data, 10, flag | good));
		ASSERT_EQ(EOPNOTSUPP, errno);
	}
	ASSERT_EQ(10, send(fd, data, 10, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_EOR));
	ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, data, 10));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

/* Pages of which all but the first ones cannot be read. */
static uint8_t *half_mapped(size_t good, size_t total)
{
	uint8_t *p = mmap(NULL, total, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	memcpy(p, data, good);
	if (mprotect(p + good, total - good, PROT_NONE))
		return NULL;
	return p;
}

TEST_F(tx_send, faults)
{
	const int fd = self->l.fd[0];
	struct tls_reader *r = &self->l.r;
	uint8_t *p = half_mapped(8192, 65536);

	ASSERT_NE(NULL, p);
	/* Nothing of a record that cannot be read goes out. */
	ASSERT_EQ(-1, send(fd, NULL, 10, 0));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_EQ(-1, send(fd, p + 8192, 10, 0));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_EQ(-1, send(fd, p + 8190, 10, 0));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_EQ(-1, send(fd, p, 16384, 0));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_EQ(-1, send(fd, p + 8190, 10, MSG_MORE));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_EQ(0, tls_expect_quiet(self->l.fd[1], 20));
	ASSERT_EQ(8192, send(fd, p, 8192, 0));
	ASSERT_EQ(0, tls_expect_record(r, TLS_DATA, data, 8192));

	/* What was waiting stays as it was. */
	ASSERT_EQ(100, send(fd, data, 100, MSG_MORE));
	ASSERT_EQ(-1, send(fd, p + 8190, 10, MSG_MORE));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_EQ(-1, send(fd, p + 8190, 10, 0));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_EQ(-1, send(fd, p, 16384, 0));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_EQ(0, tls_expect_quiet(self->l.fd[1], 20));
	ASSERT_EQ(50, send(fd, data + 100, 50, 0));
	ASSERT_EQ(0, tls_expect_record(r, TLS_DATA, data, 150));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

/* The records before the one that cannot be read are sent and counted. */
TEST_F(tx_send, fault_in_a_later_record)
{
	const int fd = self->l.fd[0];
	uint8_t *p = half_mapped(40960, 65536);
	struct iovec iov[2] = { { data, 20000 }, { NULL, 20000 } };

	ASSERT_NE(NULL, p);
	ASSERT_EQ(32768, send(fd, p, 65536, 0));
	ASSERT_EQ(0, tls_expect_records(&self->l.r, TLS_DATA, data, 32768,
					TLS_PLAIN_MAX));
	ASSERT_EQ(16384, writev(fd, iov, 2));
	ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, data, 16384));
	ASSERT_EQ(10, send(fd, data, 10, 0));
	ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, data, 10));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

/* Not the sender's business, and it works as on any TCP socket. */
TEST_F(tx_send, other_direction_is_plain)
{
	char buf[16] = "";

	ASSERT_EQ(6, send(self->l.fd[1], "hello", 6, 0));
	ASSERT_EQ(6, recv(self->l.fd[0], buf, sizeof(buf), 0));
	ASSERT_STREQ("hello", buf);
	ASSERT_EQ(5, send(self->l.fd[0], "world", 5, 0));
	ASSERT_EQ(0, tls_expect_record(&self->l.r, TLS_DATA, "world", 5));
	EXPECT_EQ(0, tls_link_finish(&self->l));
}

TEST_HARNESS_MAIN
