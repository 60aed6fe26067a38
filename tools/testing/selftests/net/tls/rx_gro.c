// SPDX-License-Identifier: GPL-2.0
/*
 * Segments from a device, which GRO has merged into packets: the first ones into
 * fragments of a packet, the others into a list of packets behind it.
 */
#include "kselftest_harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "tls_writer.h"

#define LEN	(1 << 19)
#define ROOM	(16 << 20)
/* More than the fragments of a packet hold, with a segment of 1448 bytes in each. */
#define HAS_LIST	(18 * 1448)

static uint8_t data[LEN], buf[LEN];

FIXTURE(gro)
{
	struct tls_inlet l;
	int packets;
};

FIXTURE_VARIANT(gro)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_EACH(gro);

static int set_feature(const char *name, uint32_t cmd, uint32_t value)
{
	struct ethtool_value v = { .cmd = cmd, .data = value };
	struct ifreq ifr = { .ifr_data = (void *)&v };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), ret;

	strcpy(ifr.ifr_name, name);
	ret = ioctl(fd, SIOCETHTOOL, &ifr);
	close(fd);
	return ret;
}

static int new_namespace(void)
{
	if (unshare(CLONE_NEWNET))
		return -1;
	return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

static int enlarge(int fd)
{
	int room = ROOM;

	return setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) ||
	       setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
}

static int address(const char *dev, int host)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "ip addr add 10.9.0.%d/24 dev %s", host, dev);
	if (system(cmd))
		return -1;
	snprintf(cmd, sizeof(cmd), "ip addr add fd09::%d/64 dev %s nodad", host, dev);
	if (system(cmd))
		return -1;
	snprintf(cmd, sizeof(cmd), "ip link set %s up", dev);
	return system(cmd);
}

/*
 * Two namespaces, with a pair of devices between them: "near" sends segments that
 * are no longer than the MTU, "far" merges them. Ends in the far one.
 */
static int make_devices(int *near, int *far)
{
	char cmd[128];

	*far = new_namespace();
	*near = new_namespace();
	if (*far < 0 || *near < 0)
		return -1;
	snprintf(cmd, sizeof(cmd),
		 "ip link add near type veth peer name far netns /proc/%d/fd/%d 2>/dev/null",
		 getpid(), *far);
	if (system(cmd) || address("near", 1) ||
	    set_feature("near", ETHTOOL_STSO, 0) ||
	    set_feature("near", ETHTOOL_SGSO, 0) || setns(*far, CLONE_NEWNET))
		return -1;
	return address("far", 2) || set_feature("far", ETHTOOL_SGRO, 1) ? -1 : 0;
}

/* As tls_inlet_open(), between the namespaces. Returns -1 without devices for it. */
static int open_inlet(struct tls_inlet *l, int family, uint16_t version,
		      uint16_t cipher)
{
	struct timeval patience = { .tv_sec = TLS_PATIENCE_S };
	struct sockaddr_storage addr = { .ss_family = family };
	int near, far, listener, err, on = 1;
	socklen_t len = sizeof(addr);

	memset(l, 0, sizeof(*l));
	tls_key_make(&l->key, version, cipher, 2);
	l->fd[0] = -1;
	l->fd[1] = -1;
	if (make_devices(&near, &far))
		return -1;
	if (family == AF_INET6)
		inet_pton(family, "fd09::2", &((struct sockaddr_in6 *)&addr)->sin6_addr);
	else
		inet_pton(family, "10.9.0.2", &((struct sockaddr_in *)&addr)->sin_addr);
	listener = socket(family, SOCK_STREAM, 0);
	if (enlarge(listener) || bind(listener, (void *)&addr, len) ||
	    listen(listener, 1) || getsockname(listener, (void *)&addr, &len) ||
	    setns(near, CLONE_NEWNET))
		return -2;
	l->fd[0] = socket(family, SOCK_STREAM, 0);
	/* Without an end of slow start as long as nothing is lost: bursts get long. */
	err = enlarge(l->fd[0]) ||
	      setsockopt(l->fd[0], IPPROTO_TCP, TCP_CONGESTION, "reno", 4) ||
	      setsockopt(l->fd[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ||
	      connect(l->fd[0], (void *)&addr, len) ||
	      setns(far, CLONE_NEWNET);
	l->fd[1] = accept(listener, NULL, NULL);
	close(listener);
	close(near);
	close(far);
	if (err || l->fd[1] < 0 ||
	    setsockopt(l->fd[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		return -2;
	return tls_writer_init(&l->w, l->fd[0], &l->key) ||
	       tls_attach(l->fd[1]) || tls_set_rx(l->fd[1], &l->key) ? -2 : 0;
}

FIXTURE_SETUP(gro)
{
	int ret;

	tls_fill(data, sizeof(data), 470);
	ret = open_inlet(&self->l, variant->family, variant->version,
			 variant->cipher);
	if (ret == -1)
		SKIP(return, "needs ip(8), veth, and the right to use them");
	ASSERT_EQ(0, ret);
	self->packets = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	ASSERT_LE(0, self->packets);
	ASSERT_EQ(0, enlarge(self->packets));
}

FIXTURE_TEARDOWN(gro)
{
	tls_inlet_close(&self->l);
	close(self->packets);
}

/* Length of the longest packet that has arrived. */
static ssize_t longest_packet(int fd)
{
	ssize_t n, longest = 0;
	char byte;

	while ((n = recv(fd, &byte, 1, MSG_TRUNC | MSG_DONTWAIT)) >= 0)
		if (n > longest)
			longest = n;
	return longest;
}

static int put_all(struct tls_inlet *l, size_t record)
{
	size_t at, n;

	for (at = 0; at < LEN; at += n) {
		n = LEN - at < record ? LEN - at : record;
		if (!tls_put(&l->w, TLS_DATA, data + at, n))
			return -1;
	}
	return tls_push(&l->w) || tls_settle(l->fd[0]);
}

/* Records within a packet of the list, over several of them, over whole packets. */
TEST_F(gro, records)
{
	static const size_t records[] = { 16384, 300, 1500, 9000, 1448 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(records); i++) {
		ASSERT_EQ(0, put_all(&self->l, records[i]));
		ASSERT_EQ(0, tls_expect_bytes(self->l.fd[1], data, LEN)) {
			TH_LOG("records of %zu", records[i]);
		}
	}
	/* How many segments come at once depends on when they are acknowledged. */
	EXPECT_LT(HAS_LIST, longest_packet(self->packets));
}

/* Looked at first, in one piece and in parts. */
TEST_F(gro, peek)
{
	size_t at, n;

	ASSERT_EQ(0, put_all(&self->l, 10000));
	for (at = 0; at < LEN; at += n) {
		n = LEN - at < 25000 ? LEN - at : 25000;
		ASSERT_LT(0, recv(self->l.fd[1], buf, n, MSG_PEEK));
		ASSERT_EQ(n, recv(self->l.fd[1], buf, n, MSG_WAITALL));
		ASSERT_EQ(0, tls_compare(buf, data + at, n, "data"));
	}
}

/* What is not authentic is found there as well. */
TEST_F(gro, bad_tag)
{
	size_t at;
	ssize_t n;
	uint8_t *p;

	for (at = 0; at < LEN; at += 8192) {
		p = tls_put(&self->l.w, TLS_DATA, data + at, 8192);
		ASSERT_NE(NULL, p);
		if (at == LEN / 2)
			p[5000] ^= 1;
	}
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	for (at = 0; (n = recv(self->l.fd[1], buf, 8192, 0)) > 0; at += n)
		ASSERT_EQ(0, tls_compare(buf, data + at, n, "data"));
	EXPECT_EQ(EBADMSG, errno);
	EXPECT_EQ(LEN / 2, at);
}

TEST_HARNESS_MAIN
