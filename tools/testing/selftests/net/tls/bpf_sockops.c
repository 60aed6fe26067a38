// SPDX-License-Identifier: GPL-2.0
/*
 * BPF programs of a cgroup that run inside of TCP, where they can make TCP call a
 * receiver while that takes data out of TCP's queue, or put a socket into a sockmap
 * before any program has seen it.
 *
 * Skipped without root, and without CONFIG_CGROUP_BPF.
 */
#include "kselftest_harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "tls_bpf.h"
#include "tls_writer.h"

#define LEN	(512 << 10)

static uint8_t data[LEN];

#define CONTEXT(field)	offsetof(struct bpf_sock_ops, field)

/* A cgroup of its own, so that nobody else's sockets are concerned. */
FIXTURE(sockops)
{
	char root[32], group[64];
	int cgroup, prog, map;
	struct tls_inlet l;
};

FIXTURE_VARIANT(sockops)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANT(sockops, 12_aes_gcm_128, 2, AES_GCM_128, INET);
TLS_VARIANT(sockops, 13_aes_gcm_256_v6, 3, AES_GCM_256, INET6);

/* Move this process. */
static int enter(const char *group)
{
	char path[128], pid[16];
	int fd, len, ret;

	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	len = snprintf(pid, sizeof(pid), "%d", getpid());
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return -1;
	ret = write(fd, pid, len) == len ? 0 : -1;
	close(fd);
	return ret;
}

FIXTURE_SETUP(sockops)
{
	tls_fill(data, sizeof(data), 233);
	self->cgroup = -1;
	self->prog = -1;
	self->map = -1;
	strcpy(self->root, "/tmp/tls_sockops.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->root));
	if (mount("none", self->root, "cgroup2", 0, NULL)) {
		rmdir(self->root);
		SKIP(return, "no cgroup2, or not root");
	}
	snprintf(self->group, sizeof(self->group), "%s/tls.%d", self->root,
		 getpid());
	ASSERT_EQ(0, mkdir(self->group, 0755));
	self->cgroup = open(self->group, O_RDONLY);
	ASSERT_LE(0, self->cgroup);
	ASSERT_EQ(0, enter(self->group));
}

FIXTURE_TEARDOWN(sockops)
{
	if (self->cgroup < 0)
		return;
	if (self->prog >= 0) {
		EXPECT_EQ(0, tls_bpf_detach(self->cgroup, self->prog,
					    BPF_CGROUP_SOCK_OPS));
		close(self->prog);
	}
	if (self->map >= 0)
		close(self->map);
	EXPECT_EQ(0, enter(self->root));
	close(self->cgroup);
	rmdir(self->group);
	umount2(self->root, MNT_DETACH);
	rmdir(self->root);
}

/* From now on it runs for connections of this cgroup. */
static int start(FIXTURE_DATA(sockops) *self, const struct bpf_insn *insns,
		 size_t n)
{
	self->prog = tls_bpf_load(BPF_PROG_TYPE_SOCK_OPS, 0, insns, n);
	return self->prog < 0 ? -1 : tls_bpf_attach(self->cgroup, self->prog,
						    BPF_CGROUP_SOCK_OPS);
}

/*
 * Whenever TCP makes room for options in a header, as for an acknowledgment, set
 * SO_RCVLOWAT: TCP then calls the receiver if there is data. Counts in the map
 * how often that was done.
 */
static int tell_at_each_ack(FIXTURE_DATA(sockops) *self)
{
	const struct bpf_insn insns[] = {
		BPF_COPY(BPF_REG_6, BPF_REG_1),
		BPF_LOAD(BPF_W, BPF_REG_2, BPF_REG_6, CONTEXT(op)),
		BPF_IF(BPF_JEQ, BPF_REG_2, BPF_SOCK_OPS_HDR_OPT_LEN_CB, 7),
		BPF_IF(BPF_JEQ, BPF_REG_2, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, 1),
		BPF_IF(BPF_JNE, BPF_REG_2, BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, 23),
		/* All connections: call for options. */
		BPF_LOAD(BPF_W, BPF_REG_2, BPF_REG_6, CONTEXT(bpf_sock_ops_cb_flags)),
		BPF_OR_WITH(BPF_REG_2, BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG),
		BPF_COPY(BPF_REG_1, BPF_REG_6),
		BPF_RUN(BPF_FUNC_sock_ops_cb_flags_set),
		BPF_IF(BPF_JA, 0, 0, 18),
		/* An option of a segment. */
		BPF_STORE_IMM(BPF_W, BPF_REG_10, -4, 1),
		BPF_COPY(BPF_REG_1, BPF_REG_6),
		BPF_SET(BPF_REG_2, SOL_SOCKET),
		BPF_SET(BPF_REG_3, SO_RCVLOWAT),
		BPF_COPY(BPF_REG_4, BPF_REG_10),
		BPF_PLUS(BPF_REG_4, -4),
		BPF_SET(BPF_REG_5, 4),
		BPF_RUN(BPF_FUNC_setsockopt),
		BPF_STORE_IMM(BPF_W, BPF_REG_10, -4, 0),
		BPF_MAP(BPF_REG_1, self->map),
		BPF_COPY(BPF_REG_2, BPF_REG_10),
		BPF_PLUS(BPF_REG_2, -4),
		BPF_RUN(BPF_FUNC_map_lookup_elem),
		BPF_IF(BPF_JEQ, BPF_REG_0, 0, 3),
		BPF_LOAD(BPF_DW, BPF_REG_1, BPF_REG_0, 0),
		BPF_PLUS(BPF_REG_1, 1),
		BPF_STORE(BPF_DW, BPF_REG_0, BPF_REG_1, 0),
		BPF_SET(BPF_REG_0, 1),
		BPF_LEAVE(),
	};

	return start(self, insns, ARRAY_SIZE(insns));
}

static void *push_all(void *arg)
{
	struct tls_writer *w = arg;

	return (void *)(intptr_t)tls_push(w);
}

/* A connection whose receiver is told of data by each of its acknowledgments. */
static int open_told(struct tls_inlet *l, int family, uint16_t version,
		     uint16_t cipher, int size)
{
	tls_key_make(&l->key, version, cipher, 2);
	return tls_tcp_pair_narrow(family, size, l->fd) || tls_attach(l->fd[1]) ||
	       tls_set_rx(l->fd[1], &l->key) ||
	       tls_writer_init(&l->w, l->fd[0], &l->key);
}

static const int sizes[] = { 1, 4096, 8192, 16384, 24000, 65536, 2 << 20 };

/*
 * Records are put together by the callback, as they do not fit into the buffer: it
 * takes out a part, TCP acknowledges that, and calls it again from within.
 */
TEST_F_TIMEOUT(sockops, told_within, 120)
{
	pthread_t thread;
	uint64_t times;
	void *failed;
	size_t i, at;

	self->map = tls_bpf_map(BPF_MAP_TYPE_ARRAY, sizeof(uint64_t), 1);
	ASSERT_LE(0, self->map);
	ASSERT_EQ(0, tell_at_each_ack(self));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		ASSERT_EQ(0, open_told(&self->l, variant->family,
				       variant->version, variant->cipher,
				       sizes[i]));
		for (at = 0; at < LEN; at += TLS_PLAIN_MAX) {
			ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA,
						data + at, TLS_PLAIN_MAX));
		}
		ASSERT_EQ(0, pthread_create(&thread, NULL, push_all,
					    &self->l.w));
		/* The first ones come when nobody reads. */
		usleep(20000);
		EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, LEN)) {
			TH_LOG("buffer of %d", sizes[i]);
		}
		shutdown(self->l.fd[0], SHUT_RDWR);
		pthread_join(thread, &failed);
		EXPECT_EQ(NULL, failed);
		tls_inlet_close(&self->l);
	}
	ASSERT_EQ(0, tls_bpf_lookup(self->map, 0, &times));
	EXPECT_LT(100, times);
}

/* The program puts each connection into the map, both of its ends. */
static int put_into_map(FIXTURE_DATA(sockops) *self)
{
	const struct bpf_insn insns[] = {
		BPF_LOAD(BPF_W, BPF_REG_2, BPF_REG_1, CONTEXT(op)),
		BPF_STORE_IMM(BPF_W, BPF_REG_10, -4, 0),
		BPF_IF(BPF_JEQ, BPF_REG_2, BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, 2),
		BPF_STORE_IMM(BPF_W, BPF_REG_10, -4, 1),
		BPF_IF(BPF_JNE, BPF_REG_2, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, 6),
		BPF_MAP(BPF_REG_2, self->map),
		BPF_COPY(BPF_REG_3, BPF_REG_10),
		BPF_PLUS(BPF_REG_3, -4),
		BPF_SET(BPF_REG_4, BPF_ANY),
		BPF_RUN(BPF_FUNC_sock_map_update),
		BPF_SET(BPF_REG_0, 1),
		BPF_LEAVE(),
	};

	return start(self, insns, ARRAY_SIZE(insns));
}

TEST_F(sockops, puts_into_map)
{
	struct tls_inlet *l = &self->l;
	int i;

	self->map = tls_bpf_map(BPF_MAP_TYPE_SOCKMAP, sizeof(int), 2);
	ASSERT_LE(0, self->map);
	ASSERT_EQ(0, put_into_map(self));
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, tls_inlet_open_plain(l, variant->family,
						  variant->version,
						  variant->cipher));
		ASSERT_EQ(0, tls_attach(l->fd[1]));
		EXPECT_EQ(-1, tls_set_rx(l->fd[1], &l->key));
		EXPECT_EQ(EINVAL, errno);
		if (i % 2) {
			/* Taken out, it can have keys. */
			ASSERT_EQ(0, tls_bpf_delete(self->map, 1));
			ASSERT_EQ(0, tls_set_rx(l->fd[1], &l->key));
			ASSERT_EQ(0, tls_write(&l->w, TLS_DATA, data, 5000));
			EXPECT_EQ(0, tls_expect_bytes(l->fd[1], data, 5000));
		} else {
			ASSERT_EQ(5000, send(l->fd[0], data, 5000, 0));
			EXPECT_EQ(0, tls_expect_plain(l->fd[1], data, 5000));
		}
		tls_inlet_close(l);
	}
}

TEST_HARNESS_MAIN
