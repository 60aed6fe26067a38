// SPDX-License-Identifier: GPL-2.0
/*
 * What is sent in one call fills its packets: a small one costs as much as a large
 * one, and TCP may keep the next one until it has arrived (RFC 896).
 */
#include "kselftest_harness.h"

#include <linux/tcp.h>
#include <netinet/in.h>

#include "tls_writer.h"

#define LEN	150001
#define CALLS	16

static uint8_t data[LEN];

FIXTURE(packets)
{
	struct tls_link l;
};

FIXTURE_VARIANT(packets)
{
	int mtu;
	bool nodelay;
};

FIXTURE_VARIANT_ADD(packets, mtu_1500) { .mtu = 1500 };
FIXTURE_VARIANT_ADD(packets, mtu_1500_nodelay) { .mtu = 1500, .nodelay = true };
FIXTURE_VARIANT_ADD(packets, mtu_9000) { .mtu = 9000 };
FIXTURE_VARIANT_ADD(packets, mtu_9000_nodelay) { .mtu = 9000, .nodelay = true };
FIXTURE_VARIANT_ADD(packets, mtu_65536) { .mtu = 65536 };

FIXTURE_SETUP(packets)
{
	int one = variant->nodelay;

	if (tls_own_network(variant->mtu))
		SKIP(return, "needs a network namespace");
	ASSERT_EQ(0, tls_link_open(&self->l, AF_INET, TLS_1_3_VERSION,
				   TLS_CIPHER_AES_GCM_128));
	ASSERT_EQ(0, setsockopt(self->l.fd[0], IPPROTO_TCP, TCP_NODELAY, &one,
				sizeof(one)));
	tls_fill(data, sizeof(data), 9);
}

FIXTURE_TEARDOWN(packets)
{
	tls_link_close(&self->l);
}

static struct tcp_info info(int fd)
{
	struct tcp_info info = {};
	socklen_t len = sizeof(info);

	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	return info;
}

/* Packets of a call beyond those that its bytes fill. */
static int small_packets(struct tls_link *l)
{
	struct tcp_info before = info(l->fd[0]), after;
	unsigned int bytes, packets;

	if (send(l->fd[0], data, LEN, 0) != LEN ||
	    tls_expect_stream(&l->r, data, LEN) || tls_settle(l->fd[0]))
		return tls_wrong("cannot send");
	after = info(l->fd[0]);
	packets = after.tcpi_data_segs_out - before.tcpi_data_segs_out;
	bytes = after.tcpi_bytes_sent - before.tcpi_bytes_sent;
	return packets - (bytes + after.tcpi_snd_mss - 1) / after.tcpi_snd_mss;
}

TEST_F(packets, are_full)
{
	int i, n, sum = 0;

	/* TCP learns what the peer's window allows. */
	for (i = 0; i < 4; i++)
		ASSERT_LE(0, small_packets(&self->l));
	for (i = 0; i < CALLS; i++) {
		n = small_packets(&self->l);
		ASSERT_LE(0, n);
		/* At worst each record ends with a small one. */
		EXPECT_GE(LEN / TLS_PLAIN_MAX + 1, n);
		sum += n;
	}
	TLS_OURS_ONLY("records are sent one by one");
	EXPECT_GE(CALLS / 4, sum);
}

TEST_HARNESS_MAIN
