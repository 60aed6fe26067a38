// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#include "tls_common.h"

#define BIG_BUFFER	(2 << 20)

static const struct tls_suite suites[] = {
	{ "aes-gcm-128", "AES-128-GCM", TLS_CIPHER_AES_GCM_128,
	  .key_len = 16, .salt_len = 4, .iv_len = 8, .nonce_len = 8 },
	{ "aes-gcm-256", "AES-256-GCM", TLS_CIPHER_AES_GCM_256,
	  .key_len = 32, .salt_len = 4, .iv_len = 8, .nonce_len = 8 },
	{ "aes-ccm-128", "AES-128-CCM", TLS_CIPHER_AES_CCM_128,
	  .key_len = 16, .salt_len = 4, .iv_len = 8, .nonce_len = 8,
	  .ccm = true },
	{ "chacha20-poly1305", "ChaCha20-Poly1305",
	  TLS_CIPHER_CHACHA20_POLY1305, .key_len = 32, .iv_len = 12 },
	{ "sm4-gcm", "SM4-GCM", TLS_CIPHER_SM4_GCM,
	  .key_len = 16, .salt_len = 4, .iv_len = 8, .nonce_len = 8,
	  .optional = true },
	{ "sm4-ccm", "SM4-CCM", TLS_CIPHER_SM4_CCM,
	  .key_len = 16, .salt_len = 4, .iv_len = 8, .nonce_len = 8,
	  .ccm = true, .optional = true },
	{ "aria-gcm-128", "ARIA-128-GCM", TLS_CIPHER_ARIA_GCM_128,
	  .key_len = 16, .salt_len = 4, .iv_len = 8, .nonce_len = 8,
	  .optional = true },
	{ "aria-gcm-256", "ARIA-256-GCM", TLS_CIPHER_ARIA_GCM_256,
	  .key_len = 32, .salt_len = 4, .iv_len = 8, .nonce_len = 8,
	  .optional = true },
};

const struct tls_suite *tls_suite(uint16_t cipher)
{
	size_t i;

	for (i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
		if (suites[i].cipher == cipher)
			return &suites[i];
	return NULL;
}

/* The fields follow each other: head, IV, key, salt, record sequence. */
uint8_t *tls_key_iv(struct tls_key *k)
{
	return k->raw + sizeof(k->info);
}

uint8_t *tls_key_key(struct tls_key *k)
{
	return tls_key_iv(k) + k->suite->iv_len;
}

uint8_t *tls_key_salt(struct tls_key *k)
{
	return tls_key_key(k) + k->suite->key_len;
}

uint8_t *tls_key_seq(struct tls_key *k)
{
	return tls_key_salt(k) + k->suite->salt_len;
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

static void put64(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof(v));
}

void tls_key_set_seq(struct tls_key *k, uint64_t seq)
{
	put64(tls_key_seq(k), seq);
}

uint64_t tls_key_get_seq(struct tls_key *k)
{
	return get64(tls_key_seq(k));
}

void tls_key_make(struct tls_key *k, uint16_t version, uint16_t cipher,
		  unsigned int seed)
{
	memset(k, 0, sizeof(*k));
	k->suite = tls_suite(cipher);
	k->len = sizeof(k->info) + k->suite->iv_len + k->suite->key_len +
		 k->suite->salt_len + 8;
	tls_fill(k->raw, k->len, seed + 0x715);
	k->info.version = version;
	k->info.cipher_type = cipher;
	/* A few records in, both counters carry, and not at the same time. */
	tls_key_iv(k)[k->suite->iv_len - 1] = 0xfe;
	tls_key_seq(k)[0] &= 0x7f;
	tls_key_seq(k)[7] = 0xfd;
}

void tls_fill(void *buf, size_t len, unsigned int seed)
{
	uint64_t x = 0x9e3779b97f4a7c15ULL * (seed + 1);
	uint8_t *p = buf;
	size_t i;

	for (i = 0; i < len; i++) {
		if (i % 8 == 0) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
		}
		p[i] = x >> (i % 8 * 8);
	}
}

static void enlarge(int fd)
{
	int size = BIG_BUFFER;

	/* Root may pass the system's limit, others get what it allows. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

/* The system's own buffers, large ones, or a receive buffer of that size. */
#define PLAIN	0
#define BIG	-1

static int tcp_pair(int family, int fd[2], int size)
{
	struct timeval patience = { .tv_sec = TLS_PATIENCE_S };
	struct sockaddr_storage addr = { .ss_family = family };
	socklen_t len = sizeof(addr);
	int listener, err;

	if (family == AF_INET6)
		((struct sockaddr_in6 *)&addr)->sin6_addr = in6addr_loopback;
	else
		((struct sockaddr_in *)&addr)->sin_addr.s_addr =
			htonl(INADDR_LOOPBACK);

	fd[0] = -1;
	fd[1] = -1;
	listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0)
		return -1;
	if (size == BIG)
		enlarge(listener);
	/* Before there is a connection, so that no larger window is ever offered. */
	if (size > 0 && setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &size,
				   sizeof(size)))
		goto fail;
	if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&addr, &len))
		goto fail;
	fd[0] = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd[0] < 0)
		goto fail;
	if (size == BIG)
		enlarge(fd[0]);
	if (connect(fd[0], (struct sockaddr *)&addr, len))
		goto fail;
	fd[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd[1] < 0)
		goto fail;
	if (setsockopt(fd[1], SOL_SOCKET, SO_RCVTIMEO, &patience,
		       sizeof(patience)))
		goto fail;
	close(listener);
	return 0;

fail:
	err = errno;
	close(listener);
	if (fd[0] >= 0)
		close(fd[0]);
	if (fd[1] >= 0)
		close(fd[1]);
	errno = err;
	return -1;
}

int tls_tcp_pair(int family, int fd[2])
{
	return tcp_pair(family, fd, BIG);
}

int tls_tcp_pair_plain(int family, int fd[2])
{
	return tcp_pair(family, fd, PLAIN);
}

int tls_tcp_pair_narrow(int family, int size, int fd[2])
{
	int on = 1;

	if (tcp_pair(family, fd, size))
		return -1;
	return setsockopt(fd[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int tls_own_network(int mtu)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd, ret = 0;

	if (unshare(CLONE_NEWNET))
		return -1;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	ifr.ifr_mtu = mtu;
	if (mtu)
		ret = ioctl(fd, SIOCSIFMTU, &ifr);
	ifr.ifr_flags = IFF_UP;
	ret |= ioctl(fd, SIOCSIFFLAGS, &ifr);
	close(fd);
	return ret;
}

int tls_attach(int fd)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls"));
}

int tls_set_tx(int fd, const struct tls_key *k)
{
	return setsockopt(fd, SOL_TLS, TLS_TX, k->raw, k->len);
}

int tls_tx_pair(int family, const struct tls_key *k, int fd[2])
{
	int err;

	if (tls_tcp_pair(family, fd))
		return -1;
	if (!tls_attach(fd[0]) && !tls_set_tx(fd[0], k))
		return 0;
	err = errno;
	close(fd[0]);
	close(fd[1]);
	errno = err;
	return -1;
}

ssize_t tls_send_type(int fd, uint8_t type, const void *buf, size_t len,
		      int flags)
{
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = len };
	union {
		struct cmsghdr head;
		uint8_t space[CMSG_SPACE(1)];
	} control = {};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_LEN(1),
	};

	control.head.cmsg_level = SOL_TLS;
	control.head.cmsg_type = TLS_SET_RECORD_TYPE;
	control.head.cmsg_len = CMSG_LEN(1);
	*CMSG_DATA(&control.head) = type;
	return sendmsg(fd, &msg, flags);
}

long tls_stat(const char *name)
{
	FILE *f = fopen("/proc/net/tls_stat", "r");
	char line[128], key[64];
	long value, found = -1;

	if (!f)
		return -1;
	while (found < 0 && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %ld", key, &value) == 2 &&
		    !strcmp(key, name))
			found = value;
	fclose(f);
	return found;
}

bool tls_is_ours(void)
{
	const char *module = getenv("KTLS_MODULE");

	return module && !strcmp(module, "ours");
}
