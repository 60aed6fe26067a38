// SPDX-License-Identifier: GPL-2.0
/* What an idle connection holds of the kernel's memory, before and after it was used. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

struct usage {
	double slab;	/* bytes in slab objects */
	double other;	/* bytes in pages that are not slab */
};

static double slab_pages(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	unsigned long kib;
	char word[64];

	while (f && fscanf(f, "%63s %lu kB\n", word, &kib) == 2) {
		if (!strcmp(word, "Slab:")) {
			fclose(f);
			return kib * 1024.0;
		}
	}
	fail("no Slab in /proc/meminfo");
}

/* With those that CPUs keep for themselves, unlike MemFree. */
static double free_pages(void)
{
	FILE *f = fopen("/proc/zoneinfo", "r");
	unsigned long n, pages = 0;
	char line[256];

	if (!f)
		fail("/proc/zoneinfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " nr_free_pages %lu", &n) == 1 ||
		    sscanf(line, " count: %lu", &n) == 1)
			pages += n;
	fclose(f);
	return pages * 4096.0;
}

/* By object, because slabs that are not full say nothing about one connection. */
static double slab_objects(void)
{
	FILE *f = fopen("/proc/slabinfo", "r");
	unsigned long active, all, size;
	double bytes = 0;
	char line[512];

	if (!f)
		fail("/proc/slabinfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%*s %lu %lu %lu", &active, &all, &size) == 3)
			bytes += (double)active * size;
	fclose(f);
	return bytes;
}

static struct usage usage(void)
{
	struct usage usage;

	/* What RCU and the workqueues still have to free. */
	usleep(500000);
	usage.slab = slab_objects();
	usage.other = -free_pages() - slab_pages();
	return usage;
}

static void report(const struct test *test, const char *kind, const char *when,
		   struct usage before, unsigned int sockets)
{
	struct usage now = usage();

	printf("memory\t%s\t%s\t%s\t%.0f\t%.0f\n", test->name, kind, when,
	       (now.slab - before.slab) / sockets, (now.other - before.other) / sockets);
}

static void transfer(int from, int to, uint8_t *data, size_t len)
{
	ssize_t n;

	if (send(from, data, len, 0) != (ssize_t)len)
		fail("send: %s", strerror(errno));
	for (; len; len -= n) {
		n = recv(to, data + RECORD, len, 0);
		if (n <= 0)
			fail("recv: %s", strerror(errno));
	}
}

struct pairs {
	int (*fd)[2];
	unsigned int count;
};

static void open_more(struct pairs *pairs, unsigned int count, enum kind kind,
		      const struct key *key)
{
	for (; count; count--) {
		int *fd = pairs->fd[pairs->count++];

		tcp_pair(&fd[0], &fd[1]);
		if (kind == KIND_TLS) {
			ktls_attach(fd[0], true, true, key);
			ktls_attach(fd[1], true, true, key);
		}
	}
}

static void use(const struct pairs *pairs, unsigned int from, uint8_t *data)
{
	for (; from < pairs->count; from++) {
		int *fd = pairs->fd[from];

		transfer(fd[0], fd[1], data, 64);
		transfer(fd[1], fd[0], data, RECORD);
		transfer(fd[0], fd[1], data, RECORD);
	}
}

/*
 * The first connections fill what allocators keep for later; of the others every one
 * costs what it holds.
 */
void memory_report(const struct test *test, enum kind kind, const char *kind_name,
		   unsigned int connections)
{
	struct rlimit limit = { 4 * connections + 64, 4 * connections + 64 };
	struct pairs pairs = { calloc(2 * connections, sizeof(*pairs.fd)), 0 };
	uint8_t *data = calloc(2, RECORD);
	struct usage before;
	struct key key;

	if (setrlimit(RLIMIT_NOFILE, &limit) || !pairs.fd || !data)
		fail("no room for so many connections");
	key_make(&key, test);
	open_more(&pairs, connections, kind, &key);
	use(&pairs, 0, data);

	before = usage();
	open_more(&pairs, connections, kind, &key);
	report(test, kind_name, "idle", before, 2 * connections);
	use(&pairs, connections, data);
	report(test, kind_name, "used", before, 2 * connections);
}
