// SPDX-License-Identifier: GPL-2.0
/*
 * sendfile() and splice() into kernel TLS. Files and spliced pages are only
 * read: after every test the source must be what it was, and changing it after
 * the call returned must not change what the peer gets.
 */
#include "kselftest_harness.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "tls_common.h"

#define FILE_LEN	(3 * 1024 * 1024 + 777)

FIXTURE(splice)
{
	int fd[2];
	int file;
	int pipe[2];
	struct tls_key key;
	struct tls_reader r;
	uint8_t *data;		/* what is in the file */
};

FIXTURE_VARIANT(splice)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_FEW(splice);
TLS_VARIANT(splice, 13_chacha20, 3, CHACHA20_POLY1305, INET);
TLS_VARIANT(splice, 12_aes_ccm_128, 2, AES_CCM_128, INET);

FIXTURE_SETUP(splice)
{
	tls_key_make(&self->key, variant->version, variant->cipher, 2);
	ASSERT_EQ(0, tls_tx_pair(variant->family, &self->key, self->fd));
	ASSERT_EQ(0, tls_reader_init(&self->r, self->fd[1], &self->key));
	ASSERT_EQ(0, pipe(self->pipe));
	ASSERT_LE(1 << 18, fcntl(self->pipe[1], F_SETPIPE_SZ, 1 << 18));
	self->data = malloc(FILE_LEN);
	ASSERT_NE(NULL, self->data);
	tls_fill(self->data, FILE_LEN, 3);
	self->file = memfd_create("source", 0);
	ASSERT_LE(0, self->file);
	ASSERT_EQ(FILE_LEN, write(self->file, self->data, FILE_LEN));
	ASSERT_EQ(0, lseek(self->file, 0, SEEK_SET));
}

FIXTURE_TEARDOWN(splice)
{
	struct stat st;
	uint8_t *now;

	/* A test that changes the file empties it at the end. */
	ASSERT_EQ(0, fstat(self->file, &st));
	if (st.st_size) {
		now = mmap(NULL, FILE_LEN, PROT_READ, MAP_SHARED, self->file, 0);
		ASSERT_NE(MAP_FAILED, now);
		EXPECT_EQ(0, memcmp(now, self->data, FILE_LEN)) {
			TH_LOG("sending has changed the file");
		}
		munmap(now, FILE_LEN);
	}
	tls_reader_free(&self->r);
	close(self->file);
	close(self->pipe[0]);
	close(self->pipe[1]);
	close(self->fd[0]);
	close(self->fd[1]);
	free(self->data);
}

struct reading {
	pthread_t thread;
	struct tls_reader *r;
	const uint8_t *data;
	size_t len;
	bool full;		/* all records are of maximum length */
	int pause_ms;
	int ret;
};

static void *reading(void *arg)
{
	struct reading *t = arg;
	size_t at;

	usleep(t->pause_ms * 1000);
	if (t->full) {
		t->ret = tls_expect_records(t->r, TLS_DATA, t->data, t->len,
					    TLS_PLAIN_MAX);
		return NULL;
	}
	for (at = 0; at < t->len; at += t->r->len) {
		if (tls_read_record(t->r) != 1 || t->r->len > t->len - at ||
		    memcmp(t->r->data, t->data + at, t->r->len)) {
			t->ret = -1;
			break;
		}
		usleep(1000);
	}
	return NULL;
}

static void narrow(int fd[2])
{
	int size = 16384;

	setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd[1], SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

TEST_F(splice, sendfile_sizes)
{
	static const int sizes[] = { 1, 4095, 4096, 4097, 16383, 16384, 16385,
				     65536, 65537, 100000, 300000 };
	off_t off;
	size_t i;

	off = 5;
	EXPECT_EQ(0, sendfile(self->fd[0], self->file, &off, 0));
	EXPECT_EQ(5, off);
	EXPECT_EQ(0, tls_expect_quiet(self->fd[1], 10));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		off = 0;
		ASSERT_EQ(sizes[i], sendfile(self->fd[0], self->file, &off,
					     sizes[i]));
		EXPECT_EQ(sizes[i], off);
		ASSERT_EQ(0, tls_expect_records(&self->r, TLS_DATA, self->data,
						sizes[i], TLS_PLAIN_MAX));
	}
	/* With an offset of its own, the call leaves the file's alone. */
	EXPECT_EQ(0, lseek(self->file, 0, SEEK_CUR));
}

TEST_F(splice, sendfile_offsets)
{
	static const int offs[] = { 1, 100, 4095, 4097, 12345, 16384 };
	static const int sizes[] = { 10, 4096, 16384, 40000 };
	off_t off;
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(offs); i++) {
		for (j = 0; j < ARRAY_SIZE(sizes); j++) {
			off = offs[i];
			ASSERT_EQ(sizes[j], sendfile(self->fd[0], self->file,
						     &off, sizes[j]));
			ASSERT_EQ(0, tls_expect_records(&self->r, TLS_DATA,
							self->data + offs[i],
							sizes[j],
							TLS_PLAIN_MAX));
		}
	}
}

TEST_F(splice, sendfile_position)
{
	ASSERT_EQ(1000, lseek(self->file, 1000, SEEK_SET));
	ASSERT_EQ(20000, sendfile(self->fd[0], self->file, NULL, 20000));
	EXPECT_EQ(21000, lseek(self->file, 0, SEEK_CUR));
	ASSERT_EQ(5, sendfile(self->fd[0], self->file, NULL, 5));
	EXPECT_EQ(0, tls_expect_records(&self->r, TLS_DATA, self->data + 1000,
					20000, TLS_PLAIN_MAX));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, self->data + 21000, 5));
}

/* A sender that asks for more than there is: the last record still goes out. */
TEST_F(splice, sendfile_past_end)
{
	off_t off = FILE_LEN - 20000;

	ASSERT_EQ(20000, sendfile(self->fd[0], self->file, &off, 100000));
	EXPECT_EQ(FILE_LEN, off);
	EXPECT_EQ(0, tls_expect_records(&self->r, TLS_DATA,
					self->data + FILE_LEN - 20000, 20000,
					TLS_PLAIN_MAX));
	EXPECT_EQ(0, sendfile(self->fd[0], self->file, &off, 100000));
	EXPECT_EQ(0, tls_expect_quiet(self->fd[1], 10));

	off = FILE_LEN - 3;
	ASSERT_EQ(3, sendfile(self->fd[0], self->file, &off, 4));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA,
				       self->data + FILE_LEN - 3, 3));
}

TEST_F(splice, sendfile_shortened)
{
	off_t off = 0;

	ASSERT_EQ(0, ftruncate(self->file, 17000));
	ASSERT_EQ(17000, sendfile(self->fd[0], self->file, &off, FILE_LEN));
	EXPECT_EQ(0, tls_expect_records(&self->r, TLS_DATA, self->data, 17000,
					TLS_PLAIN_MAX));
	ASSERT_EQ(0, ftruncate(self->file, 0));
	off = 0;
	EXPECT_EQ(0, sendfile(self->fd[0], self->file, &off, FILE_LEN));
	EXPECT_EQ(0, tls_expect_quiet(self->fd[1], 10));
}

/* What is sent is what the file held during the call. */
static void change_after(struct __test_metadata *_metadata,
			 FIXTURE_DATA(splice) *self)
{
	uint8_t zero[4096] = {};
	off_t off = 100;
	int i;

	ASSERT_EQ(150000, sendfile(self->fd[0], self->file, &off, 150000));
	for (i = 0; i < 20; i++)
		ASSERT_EQ(4096, pwrite(self->file, zero, 4096, i * 4096));
	ASSERT_EQ(0, ftruncate(self->file, 90000));
	EXPECT_EQ(0, tls_expect_records(&self->r, TLS_DATA, self->data + 100,
					150000, TLS_PLAIN_MAX));
	ASSERT_EQ(0, ftruncate(self->file, 0));
}

TEST_F(splice, sendfile_then_change)
{
	change_after(_metadata, self);
}

TEST_F(splice, zerocopy_ro)
{
	unsigned int on = 1;
	socklen_t len = sizeof(on);

	ASSERT_EQ(0, setsockopt(self->fd[0], SOL_TLS, TLS_TX_ZEROCOPY_RO, &on,
				sizeof(on)));
	on = 0;
	ASSERT_EQ(0, getsockopt(self->fd[0], SOL_TLS, TLS_TX_ZEROCOPY_RO, &on,
				&len));
	EXPECT_EQ(1u, on);
	/* Without an offloading device the promise costs nothing. */
	change_after(_metadata, self);
}

TEST_F(splice, sendfile_large)
{
	struct reading t = { .r = &self->r, .data = self->data,
			     .len = FILE_LEN, .full = true };
	off_t off = 0;

	ASSERT_EQ(0, pthread_create(&t.thread, NULL, reading, &t));
	EXPECT_EQ(FILE_LEN, sendfile(self->fd[0], self->file, &off, FILE_LEN));
	pthread_join(t.thread, NULL);
	EXPECT_EQ(0, t.ret);
}

TEST_F(splice, sendfile_slow_reader)
{
	struct reading t = { .r = &self->r, .data = self->data, .len = 250000,
			     .pause_ms = 50 };
	off_t off = 0;

	narrow(self->fd);
	ASSERT_EQ(0, pthread_create(&t.thread, NULL, reading, &t));
	EXPECT_EQ(250000, sendfile(self->fd[0], self->file, &off, 250000));
	pthread_join(t.thread, NULL);
	EXPECT_EQ(0, t.ret);
}

TEST_F(splice, sendfile_nonblock)
{
	struct reading t = { .r = &self->r, .data = self->data, .len = 250000,
			     .pause_ms = 50 };
	struct pollfd p = { .fd = self->fd[0], .events = POLLOUT };
	int again = 0;
	ssize_t n;
	off_t off = 0, was;

	narrow(self->fd);
	ASSERT_EQ(0, fcntl(self->fd[0], F_SETFL, O_NONBLOCK));
	while (off < 250000) {
		was = off;
		n = sendfile(self->fd[0], self->file, &off, 250000 - off);
		if (n < 0) {
			ASSERT_EQ(EAGAIN, errno);
			ASSERT_EQ(was, off);
			if (!again++)
				ASSERT_EQ(0, pthread_create(&t.thread, NULL,
							    reading, &t));
			ASSERT_EQ(1, poll(&p, 1, 10000));
			continue;
		}
		ASSERT_LT(0, n);
		ASSERT_EQ(was + n, off);
	}
	ASSERT_LT(0, again);
	pthread_join(t.thread, NULL);
	EXPECT_EQ(0, t.ret);
	EXPECT_EQ(0, tls_expect_quiet(self->fd[1], 20));
}

/* The way a web server sends: head, then the file, in full records. */
TEST_F(splice, head_and_file)
{
	uint8_t *want = malloc(60000);
	off_t off = 0;

	ASSERT_NE(NULL, want);
	tls_fill(want, 300, 9);
	memcpy(want + 300, self->data, 50000);
	ASSERT_EQ(300, send(self->fd[0], want, 300, MSG_MORE));
	ASSERT_EQ(50000, sendfile(self->fd[0], self->file, &off, 50000));
	EXPECT_EQ(0, tls_expect_records(&self->r, TLS_DATA, want, 50300,
					TLS_PLAIN_MAX));

	/* The data of the head stays in front when the file is empty. */
	off = FILE_LEN;
	ASSERT_EQ(300, send(self->fd[0], want, 300, MSG_MORE));
	EXPECT_EQ(0, sendfile(self->fd[0], self->file, &off, 1000));
	ASSERT_EQ(4, send(self->fd[0], "tail", 4, 0));
	memcpy(want + 300, "tail", 4);
	EXPECT_EQ(0, tls_expect_stream(&self->r, want, 304));
	free(want);
}

TEST_F(splice, record_limit)
{
	uint16_t limit = 1000;
	off_t off = 0;

	ASSERT_EQ(0, setsockopt(self->fd[0], SOL_TLS, TLS_TX_MAX_PAYLOAD_LEN,
				&limit, sizeof(limit)));
	ASSERT_EQ(12345, sendfile(self->fd[0], self->file, &off, 12345));
	EXPECT_EQ(0, tls_expect_records(&self->r, TLS_DATA, self->data, 12345,
					limit));
}

TEST_F(splice, pipe_more)
{
	const uint8_t *d = self->data;

	ASSERT_EQ(1000, write(self->pipe[1], d, 1000));
	ASSERT_EQ(1000, splice(self->pipe[0], NULL, self->fd[0], NULL, 1000, 0));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, d, 1000));

	ASSERT_EQ(5000, write(self->pipe[1], d, 5000));
	ASSERT_EQ(5000, splice(self->pipe[0], NULL, self->fd[0], NULL, 5000,
			       SPLICE_F_MORE));
	EXPECT_EQ(0, tls_expect_quiet(self->fd[1], 10));
	ASSERT_EQ(300, write(self->pipe[1], d + 5000, 300));
	ASSERT_EQ(300, splice(self->pipe[0], NULL, self->fd[0], NULL, 300, 0));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, d, 5300));

	/* A send continues what a splice has left open, and the reverse. */
	ASSERT_EQ(700, write(self->pipe[1], d, 700));
	ASSERT_EQ(700, splice(self->pipe[0], NULL, self->fd[0], NULL, 700,
			      SPLICE_F_MORE));
	ASSERT_EQ(800, send(self->fd[0], d + 700, 800, MSG_MORE));
	ASSERT_EQ(20, write(self->pipe[1], d + 1500, 20));
	ASSERT_EQ(20, splice(self->pipe[0], NULL, self->fd[0], NULL, 20,
			     SPLICE_F_MORE));
	ASSERT_EQ(1, send(self->fd[0], d + 1520, 1, 0));
	EXPECT_EQ(0, tls_expect_stream(&self->r, d, 1521));
}

/* Data left open by a splice goes out before a record of another type. */
TEST_F(splice, pipe_then_alert)
{
	ASSERT_EQ(900, write(self->pipe[1], self->data, 900));
	ASSERT_EQ(900, splice(self->pipe[0], NULL, self->fd[0], NULL, 900,
			      SPLICE_F_MORE));
	ASSERT_EQ(2, tls_send_type(self->fd[0], TLS_ALERT, "\1", 2, 0));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, self->data, 900));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_ALERT, "\1", 2));
}

/*
 * More pieces than one record has room for, odd lengths, from user pages. That
 * these are only read is what the comparison at the end of each test says.
 */
TEST_F(splice, pipe_pieces)
{
	size_t at = 0, sent = 0, len;
	struct iovec iov;
	int i, round;

	for (round = 0; round < 6; round++) {
		for (i = 0; i < 12; i++) {
			len = 1 + (i * 761 + round * 97) % 4000;
			iov = (struct iovec){ self->data + at, len };
			ASSERT_EQ((ssize_t)len,
				  vmsplice(self->pipe[1], &iov, 1,
					   round & 1 ? SPLICE_F_GIFT : 0));
			at += len;
		}
		/* Some in one call, the others one by one. */
		while (sent < at) {
			len = round < 3 ? at - sent : 777;
			if (len > at - sent)
				len = at - sent;
			ASSERT_EQ((ssize_t)len,
				  splice(self->pipe[0], NULL, self->fd[0],
					 NULL, len,
					 round == 4 ? SPLICE_F_MORE : 0));
			sent += len;
		}
	}
	EXPECT_EQ(0, tls_expect_stream(&self->r, self->data, sent));
	EXPECT_EQ(0, tls_expect_quiet(self->fd[1], 10));
}

/* A proxy: what comes in on a plain connection goes out encrypted. */
TEST_F(splice, from_socket)
{
	int in[2], sent = 0;
	ssize_t n;

	ASSERT_EQ(0, tls_tcp_pair(AF_INET, in));
	ASSERT_EQ(200000, send(in[0], self->data, 200000, 0));
	while (sent < 200000) {
		n = splice(in[1], NULL, self->pipe[1], NULL, 50000, 0);
		ASSERT_LT(0, n);
		ASSERT_EQ(n, splice(self->pipe[0], NULL, self->fd[0], NULL, n,
				    sent + n < 200000 ? SPLICE_F_MORE : 0));
		sent += n;
	}
	EXPECT_EQ(0, tls_expect_stream(&self->r, self->data, 200000));
	close(in[0]);
	close(in[1]);
}

/* A pipe that is duplicated with tee(): both copies arrive unharmed. */
TEST_F(splice, tee)
{
	int copy[2];

	ASSERT_EQ(0, pipe(copy));
	ASSERT_EQ(30000, write(self->pipe[1], self->data, 30000));
	ASSERT_EQ(30000, tee(self->pipe[0], copy[1], 30000, 0));
	ASSERT_EQ(30000, splice(self->pipe[0], NULL, self->fd[0], NULL, 30000, 0));
	ASSERT_EQ(30000, splice(copy[0], NULL, self->fd[0], NULL, 30000, 0));
	EXPECT_EQ(0, tls_expect_stream(&self->r, self->data, 30000));
	EXPECT_EQ(0, tls_expect_stream(&self->r, self->data, 30000));
	close(copy[0]);
	close(copy[1]);
}

TEST_HARNESS_MAIN
