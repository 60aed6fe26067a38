// SPDX-License-Identifier: GPL-2.0
/*
 * Memory on the receiving side: buffers that cannot be written to and what that
 * means for the data, pages of all kinds, and what the socket is charged for.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"

#include <fcntl.h>
#include <linux/sock_diag.h>
#include <pthread.h>
#include <sys/uio.h>

#include "tls_writer.h"

#define PAGE	4096
#define GOOD	(8 * PAGE)	/* writable, then comes a hole */

#define MUCH	(16 << 20)

static uint8_t data[256 << 10], buf[256 << 10];

FIXTURE(mem)
{
	struct tls_inlet l;
	uint8_t *end;		/* of what is writable */
};

FIXTURE_VARIANT(mem)
{
	uint16_t version;
	uint16_t cipher;
	int family;
	unsigned int no_pad;
};

#define MEM_VARIANT(name, v, c, f, pad) \
	FIXTURE_VARIANT_ADD(mem, name) { \
		.version = TLS_1_##v##_VERSION, \
		.cipher = TLS_CIPHER_##c, \
		.family = AF_##f, \
		.no_pad = pad, \
	}

MEM_VARIANT(12_aes_gcm_128, 2, AES_GCM_128, INET, 0);
MEM_VARIANT(12_chacha20_v6, 2, CHACHA20_POLY1305, INET6, 0);
MEM_VARIANT(13_aes_gcm_256_v6, 3, AES_GCM_256, INET6, 0);
MEM_VARIANT(13_aes_gcm_128_no_pad, 3, AES_GCM_128, INET, 1);

FIXTURE_SETUP(mem)
{
	uint8_t *p = mmap(NULL, 2 * GOOD, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	tls_fill(data, sizeof(data), 240);
	ASSERT_NE(MAP_FAILED, p);
	self->end = p + GOOD;
	ASSERT_EQ(0, mprotect(self->end, GOOD, PROT_NONE));
	ASSERT_EQ(0, tls_inlet_open(&self->l, variant->family, variant->version,
				    variant->cipher));
	if (variant->no_pad) {
		ASSERT_EQ(0, setsockopt(self->l.fd[1], SOL_TLS,
					TLS_RX_EXPECT_NO_PAD, &variant->no_pad,
					sizeof(variant->no_pad)));
	}
}

FIXTURE_TEARDOWN(mem)
{
	munmap(self->end - GOOD, 2 * GOOD);
	tls_inlet_close(&self->l);
}

#define EXPECT_EFAULT(call) do { \
	EXPECT_EQ(-1, call); \
	EXPECT_EQ(EFAULT, errno); \
} while (0)

/* The data stays for a call that has room for it. */
TEST_F(mem, no_room)
{
	const int fd = self->l.fd[1];

	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 1000));
	EXPECT_EFAULT(recv(fd, self->end, 1000, 0));
	EXPECT_EFAULT(recv(fd, self->end, 2000, 0));
	EXPECT_EFAULT(recv(fd, self->end, 10, 0));
	EXPECT_EFAULT(recv(fd, NULL, 1000, 0));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 1000, 0));
}

/* And so it does if there was room for a part of it. */
TEST_F(mem, not_enough_room)
{
	static const size_t rooms[] = { 1, 16, 999, 1000, PAGE, PAGE + 1 };
	const int fd = self->l.fd[1];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rooms); i++) {
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 9000));
		EXPECT_EFAULT(recv(fd, self->end - rooms[i], 9000, 0));
		EXPECT_EFAULT(recv(fd, self->end - rooms[i], 9000, 0));
		EXPECT_EFAULT(recv(fd, self->end - rooms[i], 9000, MSG_PEEK));
		ASSERT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 9000, 0));
		/* All the room that is asked for is there. */
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 9000));
		ASSERT_EQ(rooms[i], recv(fd, self->end - rooms[i], rooms[i],
					 0));
		EXPECT_EQ(0, memcmp(self->end - rooms[i], data, rooms[i]));
		ASSERT_EQ(0, tls_expect_bytes(fd, data + rooms[i],
					      9000 - rooms[i]));
	}
}

/* It ends behind a good record: that one is delivered. */
TEST_F(mem, room_for_one)
{
	const int fd = self->l.fd[1];

	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 1000));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + 1000, 1000));
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	EXPECT_EQ(1000, recv(fd, self->end - 1500, 5000, 0));
	EXPECT_EQ(0, memcmp(self->end - 1500, data, 1000));
	EXPECT_EQ(0, tls_expect_bytes(fd, data + 1000, 1000));
}

/* A hole between good parts. */
TEST_F(mem, hole_in_iovec)
{
	struct iovec iov[3] = {
		{ self->end - 100, 100 }, { self->end, 100 }, { buf, 5000 },
	};

	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 1000));
	EXPECT_EFAULT(readv(self->l.fd[1], iov, 3));
	EXPECT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data, 1000, 0));
}

/* To fail to write is no reason to end the connection. */
TEST_F(mem, no_error_left)
{
	socklen_t len = sizeof(int);
	int err;

	TLS_OURS_ONLY("EFAULT can leave EBADMSG behind");
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 1000));
	EXPECT_EFAULT(recv(self->l.fd[1], self->end, 1000, 0));
	ASSERT_EQ(0, getsockopt(self->l.fd[1], SOL_SOCKET, SO_ERROR, &err,
				&len));
	EXPECT_EQ(0, err);
	EXPECT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data, 1000, 0));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EAGAIN, MSG_DONTWAIT));
}

TEST_F(mem, read_only)
{
	uint8_t *p = self->end - GOOD;

	memset(p, 0x11, GOOD);
	ASSERT_EQ(0, mprotect(p, PAGE, PROT_READ));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 1000));
	EXPECT_EFAULT(recv(self->l.fd[1], p, 1000, 0));
	EXPECT_EQ(0x11, p[0]);
	EXPECT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data, 1000, 0));
}

static uint8_t *map(int flags, int file)
{
	return mmap(NULL, GOOD, PROT_READ | PROT_WRITE, flags, file, 0);
}

static int receive(struct tls_inlet *l, uint8_t *p)
{
	if (tls_write(&l->w, TLS_DATA, data, TLS_PLAIN_MAX) ||
	    recv(l->fd[1], p, TLS_PLAIN_MAX, 0) != TLS_PLAIN_MAX)
		return -1;
	return tls_compare(p, data, TLS_PLAIN_MAX, "plaintext");
}

/* Memory that nobody has touched yet. */
TEST_F(mem, fresh_pages)
{
	uint8_t *p = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, receive(&self->l, p + 77));
	EXPECT_EQ(0, p[76]);
	munmap(p, GOOD);
}

TEST_F(mem, file_pages)
{
	int file = memfd_create("received", MFD_CLOEXEC);
	uint8_t *p;

	ASSERT_LE(0, file);
	ASSERT_EQ(0, ftruncate(file, GOOD));
	p = map(MAP_SHARED, file);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, receive(&self->l, p + 77));
	ASSERT_EQ(TLS_PLAIN_MAX, pread(file, buf, TLS_PLAIN_MAX, 77));
	EXPECT_EQ(0, memcmp(buf, data, TLS_PLAIN_MAX));
	munmap(p, GOOD);
	close(file);
}

/* A child has the same pages, and must not see what its parent receives. */
TEST_F(mem, shared_pages)
{
	uint8_t *p = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
	int go[2], status, i;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, pipe(go));
	memset(p, 0x22, GOOD);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (read(go[0], &i, 1) != 1)
			_exit(2);
		for (i = 0; i < GOOD; i++)
			if (p[i] != 0x22)
				_exit(1);
		_exit(0);
	}
	EXPECT_EQ(0, receive(&self->l, p + 77));
	ASSERT_EQ(1, write(go[1], "g", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	close(go[0]);
	close(go[1]);
	munmap(p, GOOD);
}

/* At all offsets within a page; bytes beside the buffer stay. */
TEST_F(mem, alignment)
{
	uint8_t *p = self->end - GOOD;
	size_t at, len;

	for (at = 1; at < 70; at += 7) {
		for (len = 1; len < 6000; len = len * 5 + at) {
			memset(p, 0x33, GOOD);
			ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data,
					       len));
			ASSERT_EQ(len, recv(self->l.fd[1], p + at, 9000, 0));
			ASSERT_EQ(0, tls_compare(p + at, data, len, "data"));
			ASSERT_EQ(0x33, p[at - 1]);
			ASSERT_EQ(0x33, p[at + len]);
			ASSERT_EQ(0x33, p[at + len + 1]);
		}
	}
}

static long meminfo(int fd, int what)
{
	uint32_t info[SK_MEMINFO_VARS];
	socklen_t len = sizeof(info);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) ||
	    len < (what + 1) * sizeof(info[0]))
		return -1;
	return info[what];
}

/* Whatever way it was read, nothing is charged in the end. */
TEST_F(mem, given_back)
{
	const int fd = self->l.fd[1];
	int how, i, p[2];
	ssize_t n;

	ASSERT_EQ(0, pipe(p));
	for (how = 0; how < 5; how++) {
		for (i = 0; i < 40; i++) {
			ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data,
						100 + i * 100));
		}
		ASSERT_EQ(0, tls_push(&self->l.w));
		ASSERT_EQ(0, tls_settle(self->l.fd[0]));
		EXPECT_LT(0, meminfo(fd, SK_MEMINFO_RMEM_ALLOC));
		switch (how) {
		case 0:
			n = recv(fd, buf, sizeof(buf), 0);
			ASSERT_EQ(82000, n);
			break;
		case 1:
			while ((n = recv(fd, buf, 111, MSG_DONTWAIT)) > 0)
				;
			break;
		case 2:
			ASSERT_EQ(82000, recv(fd, buf, sizeof(buf), MSG_PEEK));
			ASSERT_EQ(82000, recv(fd, buf, sizeof(buf), 0));
			break;
		case 3:
			while ((n = splice(fd, NULL, p[1], NULL, 1 << 20,
					   SPLICE_F_NONBLOCK)) > 0)
				ASSERT_EQ(n, read(p[0], buf, n));
			break;
		case 4:
			while ((n = recv(fd, buf, 5, MSG_DONTWAIT)) > 0)
				n = recv(fd, buf, 5000, MSG_PEEK | MSG_DONTWAIT);
			break;
		}
		EXPECT_EQ(0, tls_expect_error(fd, EAGAIN, MSG_DONTWAIT));
		EXPECT_EQ(0, meminfo(fd, SK_MEMINFO_RMEM_ALLOC)) {
			TH_LOG("read in way %d", how);
		}
		EXPECT_EQ(0, meminfo(fd, SK_MEMINFO_BACKLOG));
		EXPECT_EQ(0, meminfo(fd, SK_MEMINFO_DROPS));
	}
	close(p[0]);
	close(p[1]);
}

/* Bytes that TCP has accounted for, of all sockets; each CPU keeps up to 1 MiB. */
static long tcp_memory(void)
{
	char line[256];
	long pages = -1;
	FILE *f = fopen("/proc/net/protocols", "r");

	while (f && pages < 0 && fgets(line, sizeof(line), f))
		sscanf(line, "TCP %*d %*d %ld", &pages);
	if (f)
		fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

#define SLACK		((1 + sysconf(_SC_NPROCESSORS_ONLN)) << 20)

/* Much address space, and little memory behind it. */
static uint8_t *map_much(size_t len)
{
	const size_t piece = 64 << 10;
	int file = memfd_create("much", MFD_CLOEXEC);
	uint8_t *p;
	size_t at;

	if (file < 0 || ftruncate(file, piece))
		return MAP_FAILED;
	p = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (at = 0; p != MAP_FAILED && at < len; at += piece) {
		if (mmap(p + at, piece, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED)
			return MAP_FAILED;
	}
	close(file);
	return p;
}

static void *write_much(void *arg)
{
	struct tls_writer *w = arg;
	size_t i;

	for (i = 0; i < MUCH; i += TLS_PLAIN_MAX)
		if (tls_write(w, TLS_DATA, data, TLS_PLAIN_MAX))
			break;
	return NULL;
}

/* So many bytes are kept after a look, and of TCP there are hardly any. */
static int look_at(struct tls_inlet *l, uint8_t *p, size_t len)
{
	const int room = 8 << 20;
	size_t i;
	ssize_t n;

	if (setsockopt(l->fd[1], SOL_SOCKET, SO_RCVBUFFORCE, &room,
		       sizeof(room)))
		return tls_wrong("SO_RCVBUFFORCE: %s", strerror(errno));
	for (i = 0; i < len; i += 1 << 20) {
		while (l->w.len < 1 << 20)
			if (!tls_put(&l->w, TLS_DATA, data, TLS_PLAIN_MAX))
				return -1;
		if (tls_push(&l->w))
			return -1;
		n = recv(l->fd[1], p, i + (1 << 20), MSG_PEEK | MSG_WAITALL);
		if (n != (ssize_t)i + (1 << 20))
			return tls_wrong("a look at %zd bytes", n);
	}
	return tls_settle(l->fd[0]);
}

/* What is opened and not read is memory of the socket, in the end of nobody. */
TEST_F(mem, looks_are_paid_for)
{
	uint8_t *p = map_much(MUCH);
	long before;
	int how, i;

	TLS_OURS_ONLY("nobody pays for what a look has opened");
	if (geteuid())
		SKIP(return, "for root");
	ASSERT_NE(MAP_FAILED, p);
	for (how = 0; how < 2; how++) {
		before = tcp_memory();
		ASSERT_EQ(0, look_at(&self->l, p, 6 << 20));
		EXPECT_LE(before + (6 << 20) - SLACK, tcp_memory());
		if (how) {
			tls_inlet_close(&self->l);
			ASSERT_EQ(0, tls_inlet_open(&self->l, variant->family,
						    variant->version,
						    variant->cipher));
		} else {
			for (i = 0; i < 6; i++) {
				ASSERT_EQ(1 << 20, recv(self->l.fd[1], p,
							1 << 20, MSG_WAITALL));
			}
		}
		EXPECT_GE(before + SLACK, tcp_memory());
	}
	munmap(p, MUCH);
}

/* A look that asks for more than may be kept gets what may be. */
TEST_F(mem, looks_have_a_limit)
{
	uint8_t *p = map_much(MUCH);
	int room = 128 << 10, i;
	socklen_t len = sizeof(room);
	pthread_t thread;
	ssize_t n, first = 0;

	TLS_OURS_ONLY("a look opens as much as there is");
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, setsockopt(self->l.fd[1], SOL_SOCKET, SO_RCVBUF, &room,
				sizeof(room)));
	ASSERT_EQ(0, getsockopt(self->l.fd[1], SOL_SOCKET, SO_RCVBUF, &room,
				&len));
	ASSERT_EQ(0, pthread_create(&thread, NULL, write_much, &self->l.w));
	for (i = 0; i < 3; i++) {
		n = recv(self->l.fd[1], p, MUCH, MSG_PEEK | MSG_WAITALL);
		EXPECT_LE(room / 2, n);
		EXPECT_GE(room + TLS_PLAIN_MAX, n);
		if (i)
			EXPECT_EQ(first, n);
		first = n;
	}
	/* Nothing is lost, and nothing stops, whatever was looked at before. */
	for (first = 0; first < MUCH; first += n) {
		ASSERT_LT(0, recv(self->l.fd[1], p, 50000, MSG_PEEK));
		n = recv(self->l.fd[1], p, 77777, 0);
		ASSERT_LT(0, n);
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EAGAIN, MSG_DONTWAIT));
	munmap(p, MUCH);
}

TEST_HARNESS_MAIN
