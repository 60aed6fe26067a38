// SPDX-License-Identifier: GPL-2.0
/*
 * Prints a digest of the bytes on the wire for fixed keys and fixed sends, one
 * line for each: name, number of bytes, SHA-256. Two implementations of kernel
 * TLS that print the same have sent the same. A suite for which the kernel has
 * no driver gets a line that says so.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tls_common.h"

#define DATA_MAX	(256 << 10)
#define NO_DRIVER	1
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static uint8_t data[DATA_MAX];

static void put(int fd, const void *from, size_t len, int flags)
{
	ssize_t ret = send(fd, from, len, flags);

	if (ret == (ssize_t)len)
		return;
	printf("# send of %zu bytes: %zd, %s\n", len, ret, strerror(errno));
	exit(1);
}

static void put_type(int fd, uint8_t type, size_t len)
{
	ssize_t ret = tls_send_type(fd, type, data, len, 0);

	if (ret == (ssize_t)len)
		return;
	printf("# record of type %u: %zd, %s\n", type, ret, strerror(errno));
	exit(1);
}

static void put_parts(int fd, int parts, size_t len)
{
	struct iovec iov[64];
	int i;

	for (i = 0; i < parts; i++) {
		iov[i].iov_base = data + i * len;
		iov[i].iov_len = len;
	}
	if (writev(fd, iov, parts) == (ssize_t)(parts * len))
		return;
	printf("# writev of %d parts: %s\n", parts, strerror(errno));
	exit(1);
}

static void set_limit(int fd, uint16_t limit)
{
	if (!setsockopt(fd, SOL_TLS, TLS_TX_MAX_PAYLOAD_LEN, &limit,
			sizeof(limit)))
		return;
	printf("# limit of %u: %s\n", limit, strerror(errno));
	exit(1);
}

static void one_byte(int fd)
{
	put(fd, data, 1, 0);
}

static void small(int fd)
{
	size_t len;

	for (len = 1; len < 300; len++)
		put(fd, data + len, len, 0);
}

static void boundaries(int fd)
{
	static const size_t len[] = { 1023, 1024, 4095, 4096, 4097, 16383,
				      16384, 16385, 32769, 65537 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(len); i++)
		put(fd, data + i, len[i], 0);
}

static void bulk(int fd)
{
	put(fd, data, DATA_MAX, 0);
}

static void joined(int fd)
{
	int i;

	for (i = 0; i < 200; i++)
		put(fd, data + i * 331, 331, MSG_MORE);
	put(fd, data, 5000, 0);
}

static void vectors(int fd)
{
	put_parts(fd, 3, 10);
	put_parts(fd, 16, 1024);
	put_parts(fd, 64, 700);
}

static void control(int fd)
{
	put(fd, data, 100, MSG_MORE);
	put_type(fd, TLS_ALERT, 2);
	put_type(fd, TLS_HANDSHAKE, 20000);
	put_type(fd, 0, 1);
	put_type(fd, 255, 17);
	put(fd, data, 100, MSG_EOR);
}

static void limited(int fd)
{
	set_limit(fd, 64);
	put(fd, data, 1000, 0);
	set_limit(fd, 4096);
	put(fd, data, 10000, 0);
}

static const struct {
	const char *name;
	void (*run)(int fd);
} patterns[] = {
	{ "one-byte", one_byte },
	{ "small", small },
	{ "boundaries", boundaries },
	{ "bulk", bulk },
	{ "joined", joined },
	{ "vectors", vectors },
	{ "control", control },
	{ "limited", limited },
};

static int digest(int fd, const char *name)
{
	static uint8_t buf[64 << 10];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned int len, i;
	size_t total = 0;
	ssize_t n;

	if (!ctx || EVP_DigestInit(ctx, EVP_sha256()) != 1)
		return -1;
	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0) {
		total += n;
		EVP_DigestUpdate(ctx, buf, n);
	}
	EVP_DigestFinal(ctx, md, &len);
	EVP_MD_CTX_free(ctx);
	if (n < 0) {
		printf("# %s: reading: %s\n", name, strerror(errno));
		return -1;
	}
	printf("%-40s %7zu ", name, total);
	for (i = 0; i < len; i++)
		printf("%02x", md[i]);
	printf("\n");
	return 0;
}

static int golden(const char *version_name, uint16_t version, uint16_t cipher,
		  int family, size_t pattern)
{
	struct tls_key key;
	char name[64];
	int fd[2], ret;

	tls_key_make(&key, version, cipher, 100 + pattern);
	snprintf(name, sizeof(name), "%s/%s/%s/%s", version_name,
		 key.suite->name, family == AF_INET ? "ipv4" : "ipv6",
		 patterns[pattern].name);
	if (tls_tx_pair(family, &key, fd)) {
		if (errno == ENOENT && key.suite->optional)
			return NO_DRIVER;
		printf("# %s: %s\n", name, strerror(errno));
		return -1;
	}
	patterns[pattern].run(fd[0]);
	shutdown(fd[0], SHUT_WR);
	ret = digest(fd[1], name);
	close(fd[0]);
	close(fd[1]);
	return ret;
}

static int golden_suite(const char *version_name, uint16_t version,
			uint16_t cipher, int family)
{
	int ret = 0;
	size_t p;

	for (p = 0; p < ARRAY_SIZE(patterns) && !ret; p++)
		ret = golden(version_name, version, cipher, family, p);
	if (ret == NO_DRIVER) {
		printf("%s/%s: no driver\n", version_name,
		       tls_suite(cipher)->name);
		return 0;
	}
	return ret;
}

int main(void)
{
	uint16_t cipher;
	int bad = 0;

	tls_fill(data, sizeof(data), 99);
	for (cipher = TLS_CIPHER_AES_GCM_128; cipher <= TLS_CIPHER_ARIA_GCM_256;
	     cipher++) {
		bad |= golden_suite("1.2", TLS_1_2_VERSION, cipher, AF_INET);
		/* ARIA is not defined for 1.3. */
		if (cipher < TLS_CIPHER_ARIA_GCM_128)
			bad |= golden_suite("1.3", TLS_1_3_VERSION, cipher,
					    AF_INET6);
	}
	return bad ? 1 : 0;
}
