// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define SOCKET_BUFFER	(4 << 20)

static struct sockaddr_in address;
static int listener;

void tcp_listen(void)
{
	socklen_t len = sizeof(address);

	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (listener < 0 ||
	    bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(listener, 16) ||
	    getsockname(listener, (struct sockaddr *)&address, &len))
		fail("cannot listen: %s", strerror(errno));
}

/* One process does both ends, so nothing may wait: not for room, nor for Nagle. */
void tcp_options(int fd)
{
	int size = SOCKET_BUFFER, one = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		fail("socket options: %s", strerror(errno));
}

void tcp_pair(int *a, int *b)
{
	*a = socket(AF_INET, SOCK_STREAM, 0);
	if (*a < 0 || connect(*a, (struct sockaddr *)&address, sizeof(address)))
		fail("cannot connect: %s", strerror(errno));
	*b = accept(listener, NULL, NULL);
	if (*b < 0)
		fail("cannot accept: %s", strerror(errno));
}

/*
 * As on a connection with answers: no packet for every acknowledgement. TCP forgets
 * this when nothing was sent for a while, and the counts would jump.
 */
void tcp_late_acks(int a, int b)
{
	int zero = 0;

	if (setsockopt(a, IPPROTO_TCP, TCP_QUICKACK, &zero, sizeof(zero)) ||
	    setsockopt(b, IPPROTO_TCP, TCP_QUICKACK, &zero, sizeof(zero)))
		fail("TCP_QUICKACK: %s", strerror(errno));
}

void tcp_mtu(int mtu)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_mtu = mtu };

	if (ioctl(listener, SIOCSIFMTU, &request))
		fail("cannot set the MTU: %s", strerror(errno));
}

static void set_key(int fd, int direction, const struct key *key)
{
	if (setsockopt(fd, SOL_TLS, direction, key->raw, key->len))
		fail("%s: %s", direction == TLS_TX ? "TLS_TX" : "TLS_RX", strerror(errno));
}

void ktls_attach(int fd, bool tx, bool rx, const struct key *key)
{
	int one = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")))
		fail("TCP_ULP: %s", strerror(errno));
	if (tx)
		set_key(fd, TLS_TX, key);
	if (rx)
		set_key(fd, TLS_RX, key);
	if (rx && key->test->no_pad &&
	    setsockopt(fd, SOL_TLS, TLS_RX_EXPECT_NO_PAD, &one, sizeof(one)))
		fail("TLS_RX_EXPECT_NO_PAD: %s", strerror(errno));
}
