// SPDX-License-Identifier: GPL-2.0
/*
 * Drivers of ciphers that are slow, have a backlog, or do not say of themselves that
 * they complete requests later. Whatever a driver does, nobody takes away the memory
 * that it works on.
 *
 * Skipped without root, and without the module gcm_test (tools/crypto-modules).
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/wait.h>

#include "tls_driver.h"
#include "tls_writer.h"

#define LEN	100000

static uint8_t data[LEN], buf[LEN];

FIXTURE(driver)
{
	struct tls_link tx;
	struct tls_inlet rx;
	bool loaded;
};

FIXTURE_VARIANT(driver)
{
	const char *parameters;
	uint16_t version;
	uint16_t cipher;
};

#define DRIVER_VARIANT(name, parameters, v, c) \
	FIXTURE_VARIANT_ADD(driver, name##_1##v) { \
		parameters, TLS_1_##v##_VERSION, TLS_CIPHER_##c, \
	}

DRIVER_VARIANT(slow, "delay=1", 2, AES_GCM_128);
DRIVER_VARIANT(slow, "delay=1", 3, AES_GCM_256);
DRIVER_VARIANT(backlog, "busy=1", 2, AES_GCM_128);
DRIVER_VARIANT(backlog, "busy=1", 3, AES_GCM_256);
DRIVER_VARIANT(unmarked, "unmarked=1 delay=1", 2, AES_GCM_128);
DRIVER_VARIANT(unmarked, "unmarked=1 delay=1", 3, AES_GCM_256);
DRIVER_VARIANT(unmarked_backlog, "unmarked=1 busy=1", 2, AES_GCM_128);
DRIVER_VARIANT(unmarked_backlog, "unmarked=1 busy=1", 3, AES_GCM_256);

FIXTURE_SETUP(driver)
{
	if (tls_driver_load(variant->parameters))
		SKIP(return, "no gcm_test");
	self->loaded = true;
	tls_fill(data, sizeof(data), 21);
	ASSERT_EQ(0, tls_link_open(&self->tx, AF_INET, variant->version,
				   variant->cipher));
	ASSERT_EQ(0, tls_inlet_open(&self->rx, AF_INET, variant->version,
				    variant->cipher));
}

FIXTURE_TEARDOWN(driver)
{
	if (!self->loaded)
		return;
	tls_link_close(&self->tx);
	tls_inlet_close(&self->rx);
	EXPECT_EQ(0, tls_driver_unload());
}

TEST_F(driver, send)
{
	static const int lens[] = { 1, 64, 1400, 4096, 16384, 16385, 70000 };
	int i;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		memcpy(buf, data + i, lens[i]);
		ASSERT_EQ(lens[i], send(self->tx.fd[0], buf, lens[i], 0));
		/* The caller may use its memory again. */
		memset(buf, 0x55, lens[i]);
		ASSERT_EQ(0, tls_expect_records(&self->tx.r, TLS_DATA, data + i,
						lens[i], TLS_PLAIN_MAX));
	}
	EXPECT_LT(0, tls_driver_get("requests"));
}

TEST_F(driver, send_pieces)
{
	int i, n, sent = 0;

	for (i = 0; sent < LEN - 1; i++, sent += n) {
		n = 1 + i * 997 % 9000;
		if (n > LEN - 1 - sent)
			n = LEN - 1 - sent;
		ASSERT_EQ(n, send(self->tx.fd[0], data + sent, n, MSG_MORE));
	}
	ASSERT_EQ(1, send(self->tx.fd[0], data + sent, 1, 0));
	EXPECT_EQ(0, tls_expect_records(&self->tx.r, TLS_DATA, data, LEN,
					TLS_PLAIN_MAX));
}

TEST_F(driver, sendfile)
{
	int file = memfd_create("source", 0);
	off_t off = 0;

	ASSERT_EQ(LEN, pwrite(file, data, LEN, 0));
	ASSERT_EQ(LEN, sendfile(self->tx.fd[0], file, &off, LEN));
	/* Nor does it look at the file any more. */
	ASSERT_EQ(0, ftruncate(file, 0));
	EXPECT_EQ(0, tls_expect_stream(&self->tx.r, data, LEN));
	close(file);
}

TEST_F(driver, receive)
{
	static const int lens[] = { 1, 64, 1400, 4096, 16384 };
	int i, j, at;

	for (i = 0; i < 6; i++) {
		for (j = 0, at = 0; j < ARRAY_SIZE(lens); at += lens[j], j++)
			ASSERT_NE(NULL, tls_put(&self->rx.w, TLS_DATA, data + at,
						lens[j]));
		ASSERT_EQ(0, tls_push(&self->rx.w));
		if (i & 1)
			ASSERT_EQ(at, recv(self->rx.fd[1], buf, at,
					   MSG_PEEK | MSG_WAITALL));
		ASSERT_EQ(0, tls_expect_bytes(self->rx.fd[1], data, at));
	}
	EXPECT_LT(0, tls_driver_get("requests"));
}

/* A forged record is found out, whenever that is. */
TEST_F(driver, receive_forged)
{
	uint8_t *record;

	ASSERT_NE(NULL, tls_put(&self->rx.w, TLS_DATA, data, 1000));
	record = tls_put(&self->rx.w, TLS_DATA, data, 1000);
	ASSERT_NE(NULL, record);
	record[tls_wire_len(record) - 1] ^= 1;
	ASSERT_EQ(0, tls_push(&self->rx.w));
	ASSERT_EQ(0, tls_settle(self->rx.fd[0]));
	ASSERT_EQ(0, tls_expect_bytes(self->rx.fd[1], data, 1000));
	EXPECT_EQ(0, tls_expect_error(self->rx.fd[1], EBADMSG, 0));
}

/* A driver that fails later: the error is not taken for success. */
TEST_F(driver, fails)
{
	ASSERT_EQ(0, tls_write(&self->rx.w, TLS_DATA, data, 1000));
	ASSERT_EQ(0, tls_settle(self->rx.fd[0]));
	/* What they say may be their own, or this. */
	ASSERT_EQ(0, tls_driver_set("fail_error", EBADMSG));
	ASSERT_EQ(0, tls_driver_set("fail_nth", 1));
	EXPECT_EQ(-1, recv(self->rx.fd[1], buf, 1000, 0));
	EXPECT_EQ(0, tls_driver_get("fail_nth"));
	ASSERT_EQ(0, tls_driver_set("fail_nth", 1));
	EXPECT_EQ(-1, send(self->tx.fd[0], data, 1000, 0));
	EXPECT_EQ(EBADMSG, errno);
	EXPECT_EQ(0, tls_driver_get("fail_nth"));
	EXPECT_EQ(0, tls_expect_quiet(self->tx.fd[1], 20));
}

/* Killed while the driver is at work: that is waited for. */
TEST_F(driver, killed)
{
	int i, before, status;
	pid_t pid;

	ASSERT_EQ(0, tls_driver_set("delay", 100));
	ASSERT_EQ(0, tls_write(&self->rx.w, TLS_DATA, data, 1000));
	ASSERT_EQ(0, tls_settle(self->rx.fd[0]));
	for (i = 0; i < 2; i++) {
		before = tls_driver_get("requests");
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			if (i)
				recv(self->rx.fd[1], buf, 1000, 0);
			else
				send(self->tx.fd[0], data, 1000, 0);
			_exit(0);
		}
		ASSERT_EQ(0, tls_driver_wait(before + 1));
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
	}
	EXPECT_EQ(0, tls_expect_record(&self->tx.r, TLS_DATA, data, 1000));
}

/* An IV that there is no room for. */
TEST(iv_too_long)
{
	TLS_OURS_ONLY("the driver gets what is behind the IV");
	if (tls_driver_load("iv_size=24"))
		SKIP(return, "no gcm_test");
	struct tls_link link;
	int requests = 0, i;

	/* The kernel may test a driver before the first use of it. */
	for (i = 0; i < 2; i++) {
		if (i)
			requests = tls_driver_get("requests");
		EXPECT_NE(0, tls_link_open(&link, AF_INET, TLS_1_2_VERSION,
					   TLS_CIPHER_AES_GCM_128));
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(requests, tls_driver_get("requests"));
	EXPECT_EQ(0, tls_driver_unload());
}

TEST_HARNESS_MAIN
