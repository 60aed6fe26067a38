// SPDX-License-Identifier: GPL-2.0
/*
 * A socket is in a BPF sockmap or has TLS keys, never both. It may come into a map,
 * leave it, get TLS and be closed in any order, also at the same time.
 *
 * Skipped without root, and without CONFIG_BPF_SYSCALL.
 */
#include "kselftest_harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "tls_bpf.h"
#include "tls_writer.h"

#define LEN	40000
/* Sockets of a race, and the seconds that it may take. */
#define SOCKETS	6000
#define RACE_S	5

#define EXPECT_ERROR(e, call) do { \
	EXPECT_EQ(-1, call); \
	EXPECT_EQ(e, errno); \
} while (0)

static uint8_t data[LEN];

/* Sockets that are attached, as far as the module knows; -1 if it cannot be asked. */
static long module_users(void)
{
	FILE *f = fopen("/sys/module/tls/refcnt", "r");
	long n = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%ld", &n) != 1)
		n = -1;
	fclose(f);
	return n;
}

FIXTURE(sockmap)
{
	int map;
	long users;
};

FIXTURE_VARIANT(sockmap)
{
	int family;
};

FIXTURE_VARIANT_ADD(sockmap, v4) { .family = AF_INET };
FIXTURE_VARIANT_ADD(sockmap, v6) { .family = AF_INET6 };

FIXTURE_SETUP(sockmap)
{
	tls_fill(data, sizeof(data), 232);
	self->users = module_users();
	self->map = tls_bpf_map(BPF_MAP_TYPE_SOCKMAP, sizeof(int), 2);
	if (self->map < 0)
		SKIP(return, "no sockmap, or not root");
}

/* Whatever a test has done, closing its sockets has let go of the module. */
FIXTURE_TEARDOWN(sockmap)
{
	int i;

	if (self->map < 0)
		return;
	close(self->map);
	for (i = 0; i < 500 && module_users() > self->users; i++)
		usleep(10000);
	EXPECT_EQ(self->users, module_users());
}

/* A pair without TLS, and the keys for a reader on fd[1]. */
#define OPEN(l) \
	ASSERT_EQ(0, tls_inlet_open_plain(l, variant->family, TLS_1_3_VERSION, \
					  TLS_CIPHER_AES_GCM_128))

/* What is sent in records is received. */
static int works(struct tls_inlet *l)
{
	size_t at, n;

	for (at = 0; at < LEN; at += n) {
		n = LEN - at < TLS_PLAIN_MAX ? LEN - at : TLS_PLAIN_MAX;
		if (!tls_put(&l->w, TLS_DATA, data + at, n))
			return -1;
	}
	return tls_push(&l->w) || tls_expect_bytes(l->fd[1], data, LEN);
}

/* What is sent without TLS is received. */
static int works_plain(struct tls_inlet *l)
{
	if (send(l->fd[0], data, 100, 0) != 100 ||
	    tls_expect_plain(l->fd[1], data, 100) ||
	    send(l->fd[1], data, 200, 0) != 200)
		return tls_wrong("send: %s", strerror(errno));
	return tls_expect_plain(l->fd[0], data, 200);
}

TEST_F(sockmap, not_with_keys)
{
	struct tls_inlet l;

	OPEN(&l);
	ASSERT_EQ(0, tls_attach(l.fd[1]));
	ASSERT_EQ(0, tls_set_rx(l.fd[1], &l.key));
	EXPECT_ERROR(EINVAL, tls_bpf_update(self->map, 0, &l.fd[1]));
	EXPECT_EQ(0, works(&l));
	tls_inlet_close(&l);
}

TEST_F(sockmap, not_when_attached)
{
	struct tls_inlet l;

	OPEN(&l);
	ASSERT_EQ(0, tls_attach(l.fd[1]));
	EXPECT_ERROR(EINVAL, tls_bpf_update(self->map, 0, &l.fd[1]));
	ASSERT_EQ(0, tls_set_rx(l.fd[1], &l.key));
	EXPECT_ERROR(EINVAL, tls_bpf_update(self->map, 0, &l.fd[1]));
	EXPECT_EQ(0, works(&l));
	tls_inlet_close(&l);
}

/* Wrong keys are of no interest: the socket is in a map. */
TEST_F(sockmap, no_keys_within)
{
	struct tls_key wrong;
	struct tls_inlet l;

	OPEN(&l);
	tls_key_make(&wrong, 0x1234, TLS_CIPHER_AES_GCM_128, 1);
	ASSERT_EQ(0, tls_bpf_update(self->map, 0, &l.fd[1]));
	ASSERT_EQ(0, tls_attach(l.fd[1]));
	EXPECT_ERROR(EINVAL, tls_set_rx(l.fd[1], &l.key));
	EXPECT_ERROR(EINVAL, tls_set_tx(l.fd[1], &l.key));
	EXPECT_ERROR(EINVAL, tls_set_tx(l.fd[1], &wrong));
	EXPECT_ERROR(EINVAL, setsockopt(l.fd[1], SOL_TLS, TLS_TX, (void *)8,
					l.key.len));
	EXPECT_EQ(0, works_plain(&l));
	tls_inlet_close(&l);
}

TEST_F(sockmap, keys_behind)
{
	struct tls_inlet l;

	OPEN(&l);
	ASSERT_EQ(0, tls_bpf_update(self->map, 0, &l.fd[1]));
	ASSERT_EQ(0, tls_attach(l.fd[1]));
	EXPECT_ERROR(EINVAL, tls_set_rx(l.fd[1], &l.key));
	EXPECT_EQ(0, works_plain(&l));
	ASSERT_EQ(0, tls_bpf_delete(self->map, 0));
	EXPECT_EQ(0, works_plain(&l));
	ASSERT_EQ(0, tls_set_rx(l.fd[1], &l.key));
	EXPECT_ERROR(EINVAL, tls_bpf_update(self->map, 0, &l.fd[1]));
	EXPECT_EQ(0, works(&l));
	tls_inlet_close(&l);
}

TEST_F(sockmap, attached_behind)
{
	struct tls_inlet l;

	OPEN(&l);
	ASSERT_EQ(0, tls_bpf_update(self->map, 0, &l.fd[1]));
	ASSERT_EQ(0, tls_bpf_delete(self->map, 0));
	ASSERT_EQ(0, tls_attach(l.fd[1]));
	ASSERT_EQ(0, tls_set_rx(l.fd[1], &l.key));
	EXPECT_EQ(0, works(&l));
	tls_inlet_close(&l);
}

/* The map goes first. */
TEST_F(sockmap, without_its_map)
{
	struct tls_inlet l;
	int map, i;

	OPEN(&l);
	map = tls_bpf_map(BPF_MAP_TYPE_SOCKMAP, sizeof(int), 1);
	ASSERT_LE(0, map);
	ASSERT_EQ(0, tls_bpf_update(map, 0, &l.fd[1]));
	ASSERT_EQ(0, tls_attach(l.fd[1]));
	close(map);
	/* It is taken apart later. */
	for (i = 0; i < 500 && tls_set_rx(l.fd[1], &l.key); i++)
		usleep(10000);
	EXPECT_GT(500, i);
	EXPECT_EQ(0, works(&l));
	tls_inlet_close(&l);
}

TEST_F(sockmap, in_two_maps)
{
	struct tls_inlet l;

	OPEN(&l);
	ASSERT_EQ(0, tls_bpf_update(self->map, 0, &l.fd[1]));
	ASSERT_EQ(0, tls_bpf_update(self->map, 1, &l.fd[1]));
	ASSERT_EQ(0, tls_attach(l.fd[1]));
	ASSERT_EQ(0, tls_bpf_delete(self->map, 0));
	EXPECT_ERROR(EINVAL, tls_set_rx(l.fd[1], &l.key));
	EXPECT_ERROR(EBUSY, tls_bpf_update(self->map, 0, &l.fd[1]));
	EXPECT_EQ(0, works_plain(&l));
	ASSERT_EQ(0, tls_bpf_delete(self->map, 1));
	ASSERT_EQ(0, tls_set_rx(l.fd[1], &l.key));
	EXPECT_EQ(0, works(&l));
	tls_inlet_close(&l);
}

static int load_verdict(void)
{
	const struct bpf_insn insns[] = {
		BPF_SET(BPF_REG_0, SK_PASS),
		BPF_LEAVE(),
	};

	return tls_bpf_load(BPF_PROG_TYPE_SK_SKB, BPF_SK_SKB_STREAM_VERDICT,
			    insns, ARRAY_SIZE(insns));
}

/*
 * A map with a program that looks at what is received. When the socket leaves it, the
 * map puts a table of its own over that of TLS, and close() never ends in C.
 */
TEST_F(sockmap, with_verdict)
{
	int prog = load_verdict();
	struct tls_inlet l;

	TLS_OURS_ONLY("close() never returns");
	ASSERT_LE(0, prog);
	ASSERT_EQ(0, tls_bpf_attach(self->map, prog, BPF_SK_SKB_STREAM_VERDICT));
	OPEN(&l);
	ASSERT_EQ(0, tls_bpf_update(self->map, 0, &l.fd[1]));
	EXPECT_ERROR(EBUSY, tls_attach(l.fd[1]));
	EXPECT_EQ(0, works_plain(&l));
	ASSERT_EQ(0, tls_bpf_delete(self->map, 0));
	ASSERT_EQ(0, tls_attach(l.fd[1]));
	ASSERT_EQ(0, tls_set_rx(l.fd[1], &l.key));
	EXPECT_EQ(0, works(&l));
	tls_inlet_close(&l);
	close(prog);
}

struct race {
	int map;
	_Atomic int fd;
	_Atomic bool end;
	/* How often a socket came into the map. */
	_Atomic unsigned long entered;
};

static void *in_and_out(void *arg)
{
	struct race *r = arg;
	int fd;

	while (!r->end) {
		fd = r->fd;
		if (fd < 0) {
			sched_yield();
			continue;
		}
		if (!tls_bpf_update(r->map, 0, &fd))
			r->entered++;
		tls_bpf_delete(r->map, 0);
	}
	return NULL;
}

/*
 * In C a map that is left while TLS is attached takes the table of TLS away: then the
 * socket has it, and does not.
 */
static bool is_lost(void)
{
	return errno == ENOPROTOOPT && !tls_is_ours();
}

/* All that a socket can go through, but for its end. */
static int live(int fd, int peer, const struct tls_key *key, bool rx)
{
	struct tls_reader reader;
	int ret;

	if (tls_attach(fd))
		return tls_wrong("TCP_ULP: %s", strerror(errno));
	if (rx && tls_set_rx(fd, key) && errno != EINVAL && !is_lost())
		return tls_wrong("TLS_RX: %s", strerror(errno));
	if (tls_set_tx(fd, key)) {
		if (errno != EINVAL && !is_lost())
			return tls_wrong("TLS_TX: %s", strerror(errno));
		if (send(fd, data, 1, MSG_NOSIGNAL) != 1)
			return tls_wrong("send: %s", strerror(errno));
		return tls_expect_plain(peer, data, 1);
	}
	if (tls_reader_init(&reader, peer, key) ||
	    send(fd, data, 1, MSG_NOSIGNAL) != 1)
		return tls_wrong("send: %s", strerror(errno));
	ret = tls_expect_record(&reader, TLS_DATA, data, 1);
	tls_reader_free(&reader);
	return ret;
}

/* In and out of the map while all of that happens. */
TEST_F_TIMEOUT(sockmap, race, 60)
{
	struct race r = { .map = self->map, .fd = -1 };
	time_t end = time(NULL) + RACE_S;
	struct tls_key key;
	unsigned long before;
	pthread_t thread;
	int i, fd[2];

	tls_key_make(&key, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128, 1);
	ASSERT_EQ(0, pthread_create(&thread, NULL, in_and_out, &r));
	for (i = 0; i < SOCKETS && time(NULL) < end; i++) {
		ASSERT_EQ(0, tls_tcp_pair(variant->family, fd));
		before = r.entered;
		r.fd = fd[0];
		/* Some of them have been there before. */
		while (i % 3 == 0 && r.entered == before && time(NULL) < end)
			sched_yield();
		EXPECT_EQ(0, live(fd[0], fd[1], &key, i % 2));
		/* It is also closed while it comes and goes. */
		close(fd[0]);
		r.fd = -1;
		close(fd[1]);
	}
	r.end = true;
	pthread_join(thread, NULL);
	EXPECT_LT(0, r.entered);
	TH_LOG("%d sockets, %lu times in the map", i, r.entered);
}

TEST_HARNESS_MAIN
