// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of kernel TLS sockets: what is charged is given back, and a buffer
 * that cannot be read harms neither the data before nor the data after it.
 */
#include "kselftest_harness.h"

#include <fcntl.h>
#include <linux/sock_diag.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "tls_common.h"

#define PAGE		4096
#define GOOD		(8 * PAGE)	/* readable, then comes a hole */

FIXTURE(mem)
{
	int fd[2];
	int kmsg;
	struct tls_key key;
	struct tls_reader r;
	uint8_t *data;
	uint8_t *end;		/* of what is readable in data */
};

FIXTURE_VARIANT(mem)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_FEW(mem);

FIXTURE_SETUP(mem)
{
	self->kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (self->kmsg >= 0)
		lseek(self->kmsg, 0, SEEK_END);
	tls_key_make(&self->key, variant->version, variant->cipher, 6);
	ASSERT_EQ(0, tls_tx_pair(variant->family, &self->key, self->fd));
	ASSERT_EQ(0, tls_reader_init(&self->r, self->fd[1], &self->key));
	self->data = mmap(NULL, 2 * GOOD, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->data);
	tls_fill(self->data, GOOD, 6);
	self->end = self->data + GOOD;
	/* Reserved, so that nothing else is ever mapped here. */
	ASSERT_EQ(0, mprotect(self->end, GOOD, PROT_NONE));
}

/* The kernel checks its own accounts when a socket goes, and complains here. */
static bool complaints(int kmsg)
{
	static const char * const bad[] = { "WARNING:", "BUG:", "Oops:", "refcount_t:" };
	char line[2048];
	bool found = false;
	ssize_t n;
	size_t i;

	while (kmsg >= 0) {
		n = read(kmsg, line, sizeof(line) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			break;
		line[n] = 0;
		for (i = 0; i < ARRAY_SIZE(bad); i++)
			found = found || strstr(line, bad[i]);
	}
	return found;
}

FIXTURE_TEARDOWN(mem)
{
	tls_reader_free(&self->r);
	close(self->fd[0]);
	close(self->fd[1]);
	usleep(20000);
	EXPECT_FALSE(complaints(self->kmsg));
	close(self->kmsg);
	munmap(self->data, 2 * GOOD);
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

/* Pages that all TCP sockets of the system hold. */
static long tcp_pages(void)
{
	FILE *f = fopen("/proc/net/sockstat", "r");
	char line[256];
	long mem = -1;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "TCP: %*s %*d %*s %*d %*s %*d %*s %*d mem %ld",
			   &mem) == 1)
			break;
	fclose(f);
	return mem;
}

/* Everything is acknowledged: nothing is charged to the sender any more. */
static void all_given_back(struct __test_metadata *_metadata, int fd)
{
	int i;

	for (i = 0; i < 200; i++) {
		if (!meminfo(fd, SK_MEMINFO_WMEM_QUEUED) &&
		    !meminfo(fd, SK_MEMINFO_WMEM_ALLOC))
			break;
		usleep(10000);
	}
	EXPECT_EQ(0, meminfo(fd, SK_MEMINFO_WMEM_QUEUED));
	EXPECT_EQ(0, meminfo(fd, SK_MEMINFO_WMEM_ALLOC));
	/* What is held in advance is less than a page. */
	EXPECT_GT(PAGE, meminfo(fd, SK_MEMINFO_FWD_ALLOC));
}

TEST_F(mem, drained)
{
	static const int lens[] = { 1, 100, 4096, 16384, 16385, 32768 };
	size_t i, total = 0;
	int round;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < ARRAY_SIZE(lens); i++) {
			ASSERT_EQ(lens[i], send(self->fd[0], self->data, lens[i],
						round == 1 ? MSG_MORE : 0));
			total += lens[i];
		}
	}
	EXPECT_LT(0, meminfo(self->fd[0], SK_MEMINFO_WMEM_QUEUED) +
		     meminfo(self->fd[1], SK_MEMINFO_RMEM_ALLOC));
	while (total) {
		ASSERT_EQ(1, tls_read_record(&self->r));
		ASSERT_LE(self->r.len, total);
		total -= self->r.len;
	}
	all_given_back(_metadata, self->fd[0]);
}

/* Unread data is accounted at the sender, at least with its length. */
TEST_F(mem, pending_is_charged)
{
	int size = 32768, i;

	ASSERT_EQ(0, setsockopt(self->fd[1], SOL_SOCKET, SO_RCVBUF, &size,
				sizeof(size)));
	for (i = 0; i < 12; i++)
		ASSERT_EQ(GOOD, send(self->fd[0], self->data, GOOD, 0));
	usleep(50000);
	/* The peer takes some of it, but by far not half. */
	EXPECT_LT(6 * GOOD, meminfo(self->fd[0], SK_MEMINFO_WMEM_QUEUED));
	for (i = 0; i < 12; i++)
		ASSERT_EQ(0, tls_expect_stream(&self->r, self->data, GOOD));
	all_given_back(_metadata, self->fd[0]);
}

TEST_F(mem, open_record)
{
	int i;

	for (i = 0; i < 50; i++)
		ASSERT_EQ(200, send(self->fd[0], self->data + i * 200, 200,
				    MSG_MORE));
	ASSERT_EQ(2, tls_send_type(self->fd[0], TLS_ALERT, "\1", 2, 0));
	EXPECT_EQ(0, tls_expect_stream(&self->r, self->data, 10000));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_ALERT, "\1", 2));
	all_given_back(_metadata, self->fd[0]);
}

TEST_F(mem, sendfile)
{
	int file = memfd_create("source", 0), i;
	off_t off;

	ASSERT_EQ(GOOD, write(file, self->data, GOOD));
	for (i = 0; i < 10; i++) {
		off = i;
		ASSERT_EQ(GOOD - i, sendfile(self->fd[0], file, &off, GOOD));
		ASSERT_EQ(0, tls_expect_stream(&self->r, self->data + i, GOOD - i));
	}
	close(file);
	all_given_back(_metadata, self->fd[0]);
}

static long available_kb(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];
	long kb = -1;

	while (f && kb < 0 && fgets(line, sizeof(line), f))
		sscanf(line, "MemAvailable: %ld", &kb);
	if (f)
		fclose(f);
	return kb;
}

static void traffic(struct __test_metadata *_metadata,
		    FIXTURE_DATA(mem) *self, int rounds)
{
	int file = memfd_create("source", 0), i;
	off_t off = 0;

	for (i = 0; i < rounds * 8; i++) {
		ASSERT_EQ(64, send(self->fd[0], self->data, 64, 0));
		ASSERT_EQ(0, tls_expect_record(&self->r, TLS_DATA, self->data, 64));
	}
	for (i = 0; i < rounds; i++) {
		ASSERT_EQ(GOOD, send(self->fd[0], self->data, GOOD, 0));
		ASSERT_EQ(0, tls_expect_stream(&self->r, self->data, GOOD));
		ASSERT_EQ(GOOD, write(file, self->data, GOOD));
		ASSERT_EQ(GOOD, sendfile(self->fd[0], file, &off, GOOD));
		ASSERT_EQ(0, tls_expect_stream(&self->r, self->data, GOOD));
	}
	close(file);
}

/*
 * Pages and records are freed: 25 MB each of file pages and of ciphertext, and
 * 9000 records go through. The first round fills the caches on the way.
 */
TEST_F_TIMEOUT(mem, leak, 90)
{
	long kb;
	int i;

	traffic(_metadata, self, 150);
	kb = available_kb();
	ASSERT_LE(0, kb);
	traffic(_metadata, self, 800);
	/* What is available goes up and down by itself, by 20 MB at times. */
	for (i = 0; i < 100 && available_kb() < kb - 30000; i++)
		usleep(10000);
	EXPECT_LT(kb - 30000, available_kb());
}

/* In one record: nothing of it goes out, and the sequence goes on. */
TEST_F(mem, fault_small)
{
	static const int before[] = { 0, 1, 100, PAGE, 2 * PAGE };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(before); i++) {
		ASSERT_EQ(-1, send(self->fd[0], self->end - before[i],
				   before[i] + 1, 0));
		EXPECT_EQ(EFAULT, errno);
		ASSERT_EQ(-1, send(self->fd[0], self->end - before[i], 16384, 0));
		EXPECT_EQ(EFAULT, errno);
		ASSERT_EQ(-1, send(self->fd[0], self->end - before[i],
				   before[i] + 1, MSG_MORE));
		EXPECT_EQ(EFAULT, errno);
	}
	EXPECT_EQ(0, tls_expect_quiet(self->fd[1], 10));
	ASSERT_EQ(5, send(self->fd[0], "after", 5, 0));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, "after", 5));
	all_given_back(_metadata, self->fd[0]);
}

/* In a later record: the whole records before it are sent, and counted. */
TEST_F(mem, fault_large)
{
	ASSERT_EQ(GOOD, send(self->fd[0], self->data, GOOD + 1, 0));
	ASSERT_EQ(GOOD, send(self->fd[0], self->data, GOOD + 10000, MSG_MORE));
	ASSERT_EQ(TLS_PLAIN_MAX, send(self->fd[0], self->data + 1, GOOD, 0));
	ASSERT_EQ(5, send(self->fd[0], "after", 5, 0));
	EXPECT_EQ(0, tls_expect_records(&self->r, TLS_DATA, self->data, GOOD,
					TLS_PLAIN_MAX));
	EXPECT_EQ(0, tls_expect_records(&self->r, TLS_DATA, self->data, GOOD,
					TLS_PLAIN_MAX));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, self->data + 1,
				       TLS_PLAIN_MAX));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, "after", 5));
	all_given_back(_metadata, self->fd[0]);
}

/* What earlier calls left in the open record stays there. */
TEST_F(mem, fault_open_record)
{
	ASSERT_EQ(100, send(self->fd[0], self->data, 100, MSG_MORE));
	ASSERT_EQ(-1, send(self->fd[0], self->end - 10, 20, MSG_MORE));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(-1, send(self->fd[0], self->end - 10, 20, 0));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(-1, send(self->fd[0], self->end - PAGE, TLS_PLAIN_MAX, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, tls_expect_quiet(self->fd[1], 10));
	ASSERT_EQ(200, send(self->fd[0], self->data + 100, 200, 0));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, self->data, 300));

	/* The first record is filled up, the second is whole, the third not. */
	ASSERT_EQ(100, send(self->fd[0], self->data, 100, MSG_MORE));
	ASSERT_EQ(2 * TLS_PLAIN_MAX - 100,
		  send(self->fd[0], self->data + 100, GOOD, 0));
	EXPECT_EQ(0, tls_expect_records(&self->r, TLS_DATA, self->data,
					2 * TLS_PLAIN_MAX, TLS_PLAIN_MAX));
	ASSERT_EQ(5, send(self->fd[0], "after", 5, 0));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, "after", 5));
	all_given_back(_metadata, self->fd[0]);
}

TEST_F(mem, fault_vector)
{
	struct iovec iov[3] = {
		{ self->data, 1000 },
		{ self->end, 10 },
		{ self->data + 1000, 1000 },
	};

	ASSERT_EQ(-1, writev(self->fd[0], iov, 3));
	EXPECT_EQ(EFAULT, errno);
	iov[0].iov_len = TLS_PLAIN_MAX;
	ASSERT_EQ(TLS_PLAIN_MAX, writev(self->fd[0], iov, 3));
	iov[1].iov_len = 0;
	ASSERT_EQ(TLS_PLAIN_MAX + 1000, writev(self->fd[0], iov, 3));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, self->data,
				       TLS_PLAIN_MAX));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, self->data,
				       TLS_PLAIN_MAX));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, self->data + 1000, 1000));
	EXPECT_EQ(0, tls_expect_quiet(self->fd[1], 10));
}

/* The open record goes out before an alert, even one that cannot be read. */
TEST_F(mem, fault_control)
{
	ASSERT_EQ(4, send(self->fd[0], "open", 4, MSG_MORE));
	ASSERT_EQ(-1, tls_send_type(self->fd[0], TLS_ALERT, self->end - 1, 2, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, "open", 4));
	EXPECT_EQ(0, tls_expect_quiet(self->fd[1], 10));
	ASSERT_EQ(2, tls_send_type(self->fd[0], TLS_ALERT, self->end - 2, 2, 0));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_ALERT, self->end - 2, 2));
}

/* A file that became shorter than its mapping. */
TEST_F(mem, fault_mapped_file)
{
	int file = memfd_create("source", 0);
	uint8_t *map;

	ASSERT_EQ(2 * PAGE, write(file, self->data, 2 * PAGE));
	map = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, file, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, ftruncate(file, PAGE));
	ASSERT_EQ(-1, send(self->fd[0], map, 2 * PAGE, 0));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(PAGE, send(self->fd[0], map, PAGE, 0));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, self->data, PAGE));
	munmap(map, 2 * PAGE);
	close(file);
}

/* A failed send keeps nothing: 3000 of them would hold 48 MB otherwise. */
TEST_F(mem, fault_often)
{
	long mem = tcp_pages();
	int i;

	ASSERT_LE(0, mem);
	for (i = 0; i < 3000; i++)
		ASSERT_EQ(-1, send(self->fd[0], self->end - TLS_PLAIN_MAX + 1,
				   TLS_PLAIN_MAX, i & 1 ? MSG_MORE : 0));
	EXPECT_GT(mem + 4000, tcp_pages());
	ASSERT_EQ(5, send(self->fd[0], "after", 5, 0));
	EXPECT_EQ(0, tls_expect_record(&self->r, TLS_DATA, "after", 5));
	all_given_back(_metadata, self->fd[0]);
}

TEST_HARNESS_MAIN
