// SPDX-License-Identifier: GPL-2.0
/*
 * io_uring: calls that nobody waits in, that are tried without waiting and again
 * when poll says so, and buffers that the kernel knows by their pages.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "tls_writer.h"

#define ENTRIES	16
#define LEN	(64 << 10)

static uint8_t data[LEN], buf[LEN] __attribute__((aligned(4096)));

struct ring {
	int fd;
	struct io_uring_params p;
	uint8_t *rings;
	struct io_uring_sqe *sqes;
};

FIXTURE(uring)
{
	struct tls_inlet l;
	struct tls_reader r;
	struct ring ring;
	int fd;
};

FIXTURE_VARIANT(uring)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANT(uring, 12_aes_gcm_128, 2, AES_GCM_128, INET);
TLS_VARIANT(uring, 12_chacha20_v6, 2, CHACHA20_POLY1305, INET6);
TLS_VARIANT(uring, 13_aes_gcm_256_v6, 3, AES_GCM_256, INET6);

static int ring_open(struct ring *r)
{
	const struct io_uring_params *p = &r->p;

	memset(r, 0, sizeof(*r));
	r->fd = syscall(SYS_io_uring_setup, ENTRIES, &r->p);
	if (r->fd < 0)
		return -1;
	r->rings = mmap(NULL, p->cq_off.cqes +
			p->cq_entries * sizeof(struct io_uring_cqe),
			PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			r->fd, IORING_OFF_SQ_RING);
	r->sqes = mmap(NULL, ENTRIES * sizeof(*r->sqes), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_SQES);
	return r->rings == MAP_FAILED || r->sqes == MAP_FAILED ? -1 : 0;
}

static _Atomic uint32_t *at(struct ring *r, uint32_t offset)
{
	return (_Atomic uint32_t *)(r->rings + offset);
}

/* Hands an operation to the kernel. */
static int start(struct ring *r, const struct io_uring_sqe *sqe)
{
	uint32_t tail = *at(r, r->p.sq_off.tail);
	uint32_t i = tail & *at(r, r->p.sq_off.ring_mask);

	r->sqes[i] = *sqe;
	*at(r, r->p.sq_off.array + i * 4) = i;
	*at(r, r->p.sq_off.tail) = tail + 1;
	return syscall(SYS_io_uring_enter, r->fd, 1, 0, 0, NULL, 0) == 1 ? 0 :
									  -1;
}

/* Whether an operation has come to its end, and with what; takes note of it. */
static bool ended(struct ring *r, struct io_uring_cqe *cqe)
{
	uint32_t head = *at(r, r->p.cq_off.head);
	struct io_uring_cqe *cqes = (void *)(r->rings + r->p.cq_off.cqes);

	syscall(SYS_io_uring_enter, r->fd, 0, 0, IORING_ENTER_GETEVENTS, NULL,
		0);
	if (head == *at(r, r->p.cq_off.tail))
		return false;
	*cqe = cqes[head & *at(r, r->p.cq_off.ring_mask)];
	*at(r, r->p.cq_off.head) = head + 1;
	return true;
}

/* Result of the next operation that ends. */
static int wait_end(struct ring *r, struct io_uring_cqe *cqe)
{
	int i;

	for (i = 0; i < TLS_PATIENCE_S * 1000; i++) {
		if (ended(r, cqe))
			return cqe->res;
		usleep(1000);
	}
	return -ETIME;
}

/* An operation from its beginning to its end. */
static int run(struct ring *r, const struct io_uring_sqe *sqe)
{
	struct io_uring_cqe cqe;

	return start(r, sqe) ? -errno : wait_end(r, &cqe);
}

FIXTURE_SETUP(uring)
{
	struct tls_key back;

	tls_fill(data, sizeof(data), 260);
	memset(buf, 0, sizeof(buf));
	tls_key_make(&back, variant->version, variant->cipher, 46);
	ASSERT_EQ(0, tls_inlet_open(&self->l, variant->family, variant->version,
				    variant->cipher));
	self->fd = self->l.fd[1];
	ASSERT_EQ(0, tls_set_tx(self->fd, &back));
	ASSERT_EQ(0, tls_reader_init(&self->r, self->l.fd[0], &back));
	if (ring_open(&self->ring))
		SKIP(return, "no io_uring");
}

FIXTURE_TEARDOWN(uring)
{
	if (self->ring.fd >= 0)
		close(self->ring.fd);
	tls_reader_free(&self->r);
	tls_inlet_close(&self->l);
}

#define OP(op, p, n, ...) (&(struct io_uring_sqe) { \
	.opcode = IORING_OP_##op, \
	.fd = self->fd, \
	.addr = (uintptr_t)(p), \
	.len = (n), \
	__VA_ARGS__ \
})

TEST_F(uring, receives)
{
	struct iovec iov[2] = { { buf, 30 }, { buf + 30, 1000 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	const struct io_uring_sqe *ops[] = {
		OP(READ, buf, 1000),
		OP(READV, iov, 2),
		OP(RECV, buf, 1000),
		OP(RECVMSG, &msg, 1),
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		memset(buf, 0, 1000);
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data + i, 500));
		ASSERT_EQ(500, run(&self->ring, ops[i])) {
			TH_LOG("operation %zu", i);
		}
		EXPECT_EQ(0, tls_compare(buf, data + i, 500, "plaintext"));
	}
}

TEST_F(uring, sends)
{
	struct iovec iov[2] = { { data, 30 }, { data + 30, 470 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	const struct io_uring_sqe *ops[] = {
		OP(WRITE, data, 500),
		OP(WRITEV, iov, 2),
		OP(SEND, data, 500),
		OP(SENDMSG, &msg, 1),
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		ASSERT_EQ(500, run(&self->ring, ops[i])) {
			TH_LOG("operation %zu", i);
		}
		EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, data, 500));
	}
}

static void *expect_all(void *arg)
{
	return tls_expect_stream(arg, data, LEN) ? arg : NULL;
}

/* More than fits at once: the rest is tried again when there is room. */
TEST_F(uring, sends_all)
{
	int size = 4096, n, sent;
	pthread_t thread;
	void *failed;

	ASSERT_EQ(0, setsockopt(self->fd, SOL_SOCKET, SO_SNDBUF, &size,
				sizeof(size)));
	ASSERT_EQ(0, pthread_create(&thread, NULL, expect_all, &self->r));
	for (sent = 0; sent < LEN; sent += n) {
		n = run(&self->ring, OP(SEND, data + sent, LEN - sent));
		ASSERT_LT(0, n);
	}
	pthread_join(thread, &failed);
	EXPECT_EQ(NULL, failed);
}

/* Pages that the kernel has taken down: no addresses of a program. */
TEST_F(uring, registered_memory)
{
	static const size_t lens[] = { 1, 100, 4096, 5000, 16384 };
	struct iovec iov = { buf, sizeof(buf) };
	size_t i, n;

	ASSERT_EQ(0, syscall(SYS_io_uring_register, self->ring.fd,
			     IORING_REGISTER_BUFFERS, &iov, 1));
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		n = lens[i];
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data + i, n));
		ASSERT_EQ(n, run(&self->ring, OP(READ_FIXED, buf + 77 * i,
						 20000)));
		EXPECT_EQ(0, tls_compare(buf + 77 * i, data + i, n, "read"));
		ASSERT_EQ(n, run(&self->ring, OP(WRITE_FIXED, buf + 77 * i,
						 n)));
		EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, data + i,
					       n));
	}
	/* Three records and a part, then what is left. */
	for (i = 0; i < 4; i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA,
					data + i * 3000, 3000));
	}
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	ASSERT_EQ(10001, run(&self->ring, OP(READ_FIXED, buf + 5, 10001)));
	EXPECT_EQ(0, tls_compare(buf + 5, data, 10001, "read"));
	EXPECT_EQ(0, tls_expect_bytes(self->fd, data + 10001, 1999));
}

/* It ends when a whole record is there, not when something is. */
TEST_F(uring, waits)
{
	struct io_uring_cqe cqe;
	size_t left;

	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_EQ(0, start(&self->ring, OP(RECV, buf, 1000)));
	for (left = self->l.w.len; left > 1; left--) {
		ASSERT_EQ(0, tls_push_some(&self->l.w, 1));
		ASSERT_FALSE(ended(&self->ring, &cqe));
	}
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(100, wait_end(&self->ring, &cqe));
	EXPECT_EQ(0, tls_compare(buf, data, 100, "plaintext"));
}

TEST_F(uring, wait_all)
{
	struct io_uring_cqe cqe;
	int i;

	ASSERT_EQ(0, start(&self->ring, OP(RECV, buf, 350,
					   .msg_flags = MSG_WAITALL)));
	for (i = 0; i < 4; i++) {
		ASSERT_FALSE(ended(&self->ring, &cqe));
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data + i * 100,
				       100));
		usleep(10000);
	}
	ASSERT_EQ(350, wait_end(&self->ring, &cqe));
	EXPECT_EQ(0, tls_compare(buf, data, 350, "plaintext"));
	EXPECT_EQ(0, tls_expect_bytes(self->fd, data + 350, 50));
}

/* Types of records go both ways. */
TEST_F(uring, control)
{
	struct iovec iov = { buf, 100 };
	union {
		struct cmsghdr head;
		uint8_t space[CMSG_SPACE(1)];
	} control = {};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	ASSERT_EQ(0, tls_write(&self->l.w, TLS_ALERT, data, 2));
	EXPECT_EQ(-EIO, run(&self->ring, OP(RECV, buf, 100)));
	ASSERT_EQ(2, run(&self->ring, OP(RECVMSG, &msg, 1)));
	EXPECT_EQ(TLS_GET_RECORD_TYPE, control.head.cmsg_type);
	EXPECT_EQ(TLS_ALERT, *CMSG_DATA(&control.head));
	EXPECT_TRUE(msg.msg_flags & MSG_EOR);

	control.head.cmsg_type = TLS_SET_RECORD_TYPE;
	*CMSG_DATA(&control.head) = TLS_HANDSHAKE;
	msg.msg_controllen = CMSG_LEN(1);
	iov.iov_base = data;
	ASSERT_EQ(100, run(&self->ring, OP(SENDMSG, &msg, 1)));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_HANDSHAKE, data, 100));
}

/* One operation for any number of records, until the stream ends. */
TEST_F(uring, many_at_once)
{
	struct io_uring_sqe give = {
		.opcode = IORING_OP_PROVIDE_BUFFERS,
		.fd = 8,
		.addr = (uintptr_t)buf,
		.len = 2000,
	};
	struct io_uring_cqe cqe;
	int i;

	ASSERT_EQ(0, run(&self->ring, &give));
	ASSERT_EQ(0, start(&self->ring, OP(RECV, 0, 0,
					   .ioprio = IORING_RECV_MULTISHOT,
					   .flags = IOSQE_BUFFER_SELECT)));
	for (i = 0; i < 7; i++) {
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data + i * 100,
				       1000 + i));
		ASSERT_EQ(1000 + i, wait_end(&self->ring, &cqe));
		ASSERT_TRUE(cqe.flags & IORING_CQE_F_MORE);
		ASSERT_EQ(0, tls_compare(buf + 2000 *
					 (cqe.flags >> IORING_CQE_BUFFER_SHIFT),
					 data + i * 100, 1000 + i, "message"));
	}
	ASSERT_EQ(0, shutdown(self->l.fd[0], SHUT_WR));
	EXPECT_EQ(0, wait_end(&self->ring, &cqe));
	EXPECT_FALSE(cqe.flags & IORING_CQE_F_MORE);
}

TEST_F(uring, splice)
{
	int p[2];

	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 5000));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_SPLICE,
		.fd = p[1],
		.off = -1,
		.splice_fd_in = self->fd,
		.splice_off_in = -1,
		.len = 9000,
	};

	ASSERT_EQ(5000, run(&self->ring, &sqe));
	ASSERT_EQ(5000, read(p[0], buf, 9000));
	EXPECT_EQ(0, tls_compare(buf, data, 5000, "plaintext"));
	close(p[0]);
	close(p[1]);
}

/* What was called off has taken nothing. */
TEST_F(uring, cancel)
{
	struct io_uring_cqe cqe;
	int i;

	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_EQ(0, tls_push_some(&self->l.w, 50));
	ASSERT_EQ(0, start(&self->ring, OP(RECV, buf, 100, .user_data = 7)));
	ASSERT_EQ(0, start(&self->ring, OP(ASYNC_CANCEL, 7, 0)));
	for (i = 0; i < 2; i++) {
		int res = wait_end(&self->ring, &cqe);

		EXPECT_EQ(cqe.user_data == 7 ? -ECANCELED : 0, res);
	}
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_got(self->fd, TLS_DATA, data, 100, 0));
}

/* Memory that is sent later must not change, but TLS encrypts it at once. */
TEST_F(uring, no_zero_copy)
{
	struct io_uring_cqe cqe;

	EXPECT_EQ(-EOPNOTSUPP, run(&self->ring, OP(SEND_ZC, data, 100)));
	/* Whether it was of use or not, it says that the memory is free. */
	EXPECT_EQ(0, wait_end(&self->ring, &cqe));
	EXPECT_TRUE(cqe.flags & IORING_CQE_F_NOTIF);
	ASSERT_EQ(100, run(&self->ring, OP(SEND, data, 100)));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, data, 100));
}

TEST_HARNESS_MAIN
