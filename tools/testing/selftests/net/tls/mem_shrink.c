// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that kernel TLS keeps for reuse: it can be had back, by everybody who is short
 * of memory, at any time.
 *
 * Skipped without root.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tls_writer.h"

#define LEN		(256 << 10)
#define CHUNKS		(16 * 32)	/* KiB that a CPU may keep for senders, */
#define SCRATCH		32		/* and for receivers */

static uint8_t data[LEN];

/* KiB of pages that the kernel could have back, besides what slabs have. */
static long kept(void)
{
	int fd = open("/proc/sys/vm/stat_refresh", O_WRONLY);
	long kib, sum = 0;
	char line[128];
	FILE *f;

	/* Have each CPU add what it has counted. */
	if (fd < 0 || write(fd, "1", 1) != 1)
		return -1;
	close(fd);
	f = fopen("/proc/meminfo", "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "KReclaimable: %ld", &kib) == 1)
			sum += kib;
		if (sscanf(line, "SReclaimable: %ld", &kib) == 1)
			sum -= kib;
	}
	if (f)
		fclose(f);
	return sum;
}

static int shrink(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY), err;

	if (fd < 0)
		return -1;
	err = write(fd, "2", 1) != 1;
	close(fd);
	return err ? -1 : 0;
}

static bool init_on_free(void)
{
	char line[4096] = "";
	FILE *f = fopen("/proc/cmdline", "r");
	bool on = f && fgets(line, sizeof(line), f) && strstr(line, "init_on_free=1");

	if (f)
		fclose(f);
	return on;
}

FIXTURE(shrink)
{
	int fd[2];
	struct tls_key key;
};

FIXTURE_VARIANT(shrink)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_FEW(shrink);

FIXTURE_SETUP(shrink)
{
	if (geteuid())
		SKIP(return, "only for root");
	tls_fill(data, sizeof(data), 5);
	tls_key_make(&self->key, variant->version, variant->cipher, 5);
	ASSERT_EQ(0, tls_tx_pair(variant->family, &self->key, self->fd));
	ASSERT_EQ(0, tls_attach(self->fd[1]));
	ASSERT_EQ(0, tls_set_rx(self->fd[1], &self->key));
}

FIXTURE_TEARDOWN(shrink)
{
	close(self->fd[0]);
	close(self->fd[1]);
}

/* Calls of all sizes, in turn. */
static int transfer(FIXTURE_DATA(shrink) *self, int calls)
{
	static const int lens[] = { 100, 16384, 1, LEN, 5000, 70000 };
	int i, len;

	for (i = 0; i < calls; i++) {
		len = lens[i % ARRAY_SIZE(lens)];
		if (send(self->fd[0], data, len, 0) != len ||
		    tls_expect_bytes(self->fd[1], data, len))
			return -1;
	}
	return 0;
}

TEST_F(shrink, goes_away)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	long before, after;

	TLS_OURS_ONLY("nothing is kept");
	ASSERT_EQ(0, shrink());
	before = kept();
	ASSERT_EQ(0, transfer(self, 120));
	after = kept();
	/* It is used, it is seen, and it has a limit. */
	EXPECT_LE(before + SCRATCH, after);
	EXPECT_LE(after, before + cpus * (CHUNKS + SCRATCH));
	/* Where memory is wiped when it is freed, it is freed. */
	EXPECT_EQ(init_on_free(), after <= before + cpus * SCRATCH);
	ASSERT_EQ(0, shrink());
	EXPECT_EQ(before, kept());
	/* And it comes again. */
	ASSERT_EQ(0, transfer(self, 12));
	EXPECT_LT(before, kept());
}

static atomic_bool stop;

static void *shrink_all_the_time(void *arg)
{
	while (!atomic_load(&stop) && !shrink())
		;
	return arg;
}

TEST_F(shrink, under_traffic)
{
	pthread_t thread;

	atomic_store(&stop, false);
	ASSERT_EQ(0, pthread_create(&thread, NULL, shrink_all_the_time, NULL));
	EXPECT_EQ(0, transfer(self, 600));
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
}

TEST_HARNESS_MAIN
