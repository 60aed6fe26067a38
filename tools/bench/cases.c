// SPDX-License-Identifier: GPL-2.0
/* Which cases there are: every operation, with every suite for which it is worth it. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static const struct suite suites[] = {
	{ "gcm128", TLS_CIPHER_AES_GCM_128, 16, 4, 8, "AES-128-GCM",
	  "ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_AES_128_GCM_SHA256" },
	{ "gcm256", TLS_CIPHER_AES_GCM_256, 32, 4, 8, "AES-256-GCM",
	  "ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_AES_256_GCM_SHA384" },
	{ "chacha", TLS_CIPHER_CHACHA20_POLY1305, 32, 0, 12, "ChaCha20-Poly1305",
	  "ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_CHACHA20_POLY1305_SHA256" },
};

/* Bits of a version with a suite. */
#define GCM128_12	0x01
#define GCM128_13	0x02
#define GCM256_12	0x04
#define GCM256_13	0x08
#define CHACHA_12	0x10
#define CHACHA_13	0x20
#define NO_PAD		0x40	/* TLS 1.3 with AES-GCM-128 */
#define GCM128		(GCM128_12 | GCM128_13)
#define ALL		0x3f

static const struct {
	const char *name;
	enum what what;
	size_t size;
	size_t buffer;
	unsigned int bulk;
	unsigned int group;
	int mtu;
	unsigned int full;
	unsigned int quick;
} operations[] = {
	{ "tx/1", TX_SEND, 1, .full = GCM128, .quick = GCM128_12 },
	{ "tx/64", TX_SEND, 64, .full = ALL, .quick = GCM128 | CHACHA_13 },
	{ "tx/256", TX_SEND, 256, .full = GCM128 },
	{ "tx/1k", TX_SEND, 1024, .full = ALL, .quick = GCM128 },
	{ "tx/4k", TX_SEND, 4096, .full = GCM128 | CHACHA_13, .quick = GCM128_12 },
	{ "tx/16k", TX_SEND, 16384, .full = ALL, .quick = GCM128 },
	{ "tx/64k", TX_SEND, 65536, .full = GCM128 | CHACHA_13, .quick = GCM128_12 },
	{ "tx/256k", TX_SEND, 262144, .full = GCM128 },
	{ "tx/iov-16x1k", TX_IOV, IOV_PARTS * 1024, .full = GCM128, .quick = GCM128_12 },
	{ "tx/more-16x64", TX_MORE, MORE_PARTS * 64, .full = GCM128, .quick = GCM128_12 },
	{ "tx/sendfile-16k", TX_SENDFILE, 16384, .full = GCM128, .quick = GCM128_12 },
	{ "tx/sendfile-256k", TX_SENDFILE, 262144, .full = GCM128, .quick = GCM128_12 },
	{ "tx/each-64", TX_SEND, 64, .group = 1, .full = GCM128 },
	{ "tx/mtu1500-64", TX_SEND, 64, .mtu = 1500, .full = GCM128 },
	{ "tx/mtu1500-16k", TX_SEND, 16384, .mtu = 1500, .full = GCM128 },
	{ "rx/64", RX, 64, 16384, .full = ALL | NO_PAD, .quick = GCM128 | CHACHA_13 },
	{ "rx/1k", RX, 1024, 16384, .full = GCM128 | NO_PAD },
	{ "rx/16k", RX, 16384, 16384, .full = ALL | NO_PAD, .quick = GCM128 | NO_PAD },
	{ "rx/16k-by-4k", RX, 16384, 4096, .full = GCM128 | NO_PAD, .quick = GCM128_12 },
	{ "rx/bulk-64", RX, 64, 65536, 64, .full = ALL | NO_PAD, .quick = GCM128 | NO_PAD },
	{ "rx/bulk-1k", RX, 1024, 65536, 64, .full = GCM128 | NO_PAD, .quick = GCM128 },
	{ "rx/bulk-16k", RX, 16384, 65536, 16, .full = ALL | NO_PAD, .quick = GCM128_12 },
	{ "rx/bulk-64-by-64", RX, 64, 64, 64, .full = GCM128 },
	{ "rx/bulk-16k-by-4k", RX, 16384, 4096, 16, .full = GCM128 },
	{ "rx/splice-16k", RX_SPLICE, 16384, 65536, 16, .full = GCM128 | NO_PAD,
	  .quick = GCM128_12 },
	{ "rx/each-64", RX, 64, 16384, .group = 1, .full = GCM128 | NO_PAD },
	{ "rx/mtu1500-64", RX, 64, 16384, .mtu = 1500, .full = GCM128 },
	{ "rx/mtu1500-16k", RX, 16384, 16384, .mtu = 1500, .full = GCM128, .quick = GCM128 },
	{ "request/64", REQUEST, 64, 16384, .full = ALL | NO_PAD, .quick = GCM128 },
	{ "setup/close", SETUP, 0, .full = GCM128 | CHACHA_13, .quick = GCM128_12 },
};

/*
 * A process that gets small records one after the other finds several when it runs.
 * With a reader after each of them, half of what is counted is acknowledgements.
 */
static unsigned int group_for(const struct test *test)
{
	size_t size = test->size * test->bulk;

	return size <= 4096 ? 16 : 1;
}

static void add(struct test *test, size_t operation, unsigned int bit)
{
	unsigned int suite = bit == NO_PAD ? 0 : bit >= CHACHA_12 ? 2 : bit >= GCM256_12;
	bool v13 = bit & (GCM128_13 | GCM256_13 | CHACHA_13 | NO_PAD);
	const char *slash = strchr(operations[operation].name, '/');

	test->what = operations[operation].what;
	test->size = operations[operation].size;
	test->buffer = operations[operation].buffer;
	test->bulk = operations[operation].bulk ?: 1;
	test->group = operations[operation].group ?: group_for(test);
	test->mtu = operations[operation].mtu ?: 65536;
	test->quick = operations[operation].quick & bit;
	test->version = v13 ? TLS_1_3_VERSION : TLS_1_2_VERSION;
	test->suite = &suites[suite];
	test->no_pad = bit == NO_PAD;
	snprintf(test->name, sizeof(test->name), "%.*s/%s%s/%s%s",
		 (int)(slash - operations[operation].name), operations[operation].name,
		 v13 ? "1.3" : "1.2", bit == NO_PAD ? "-nopad" : "",
		 suites[suite].name, slash);
}

size_t make_tests(struct test **tests)
{
	size_t operation, count = ARRAY_SIZE(operations), n = 0;
	unsigned int bit;

	*tests = calloc(count * 7, sizeof(**tests));
	if (!*tests)
		fail("no memory");
	for (operation = 0; operation < count; operation++)
		for (bit = 1; bit <= NO_PAD; bit <<= 1)
			if (operations[operation].full & bit)
				add(*tests + n++, operation, bit);
	return n;
}
