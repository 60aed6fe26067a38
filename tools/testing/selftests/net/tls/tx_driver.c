// SPDX-License-Identifier: GPL-2.0
/*
 * A driver fails on a record that send() has accepted: what came before it arrives,
 * nothing else does, and whatever the program does next is told so and does not hang.
 */
#include "kselftest_harness.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <time.h>

#include "tls_common.h"
#include "tls_driver.h"

#define RECORDS	4

#define LOSES	"good records are lost with the bad one, or its error is"

FIXTURE(driver)
{
	struct tls_link l;
	uint8_t *data;
};

FIXTURE_VARIANT(driver)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_FEW(driver);

FIXTURE_SETUP(driver)
{
	signal(SIGPIPE, SIG_IGN);
	self->l.fd[0] = -1;
	self->l.fd[1] = -1;
	if (tls_driver_load("delay=30"))
		SKIP(return, "no gcm_test");
	ASSERT_EQ(0, tls_link_open(&self->l, variant->family, variant->version,
				   variant->cipher));
	self->data = malloc(RECORDS * TLS_PLAIN_MAX);
	ASSERT_NE(NULL, self->data);
	tls_fill(self->data, RECORDS * TLS_PLAIN_MAX, 6);
}

FIXTURE_TEARDOWN(driver)
{
	tls_link_close(&self->l);
	free(self->data);
	tls_driver_unload();
}

/* Hands the driver full records, one with each call; it fails on the nth. */
static void submit(struct __test_metadata *_metadata,
		   FIXTURE_DATA(driver) *self, int nth)
{
	int i;

	ASSERT_EQ(0, tls_driver_set("fail_nth", nth));
	for (i = 0; i < RECORDS; i++)
		ASSERT_EQ(TLS_PLAIN_MAX, send(self->l.fd[0],
					      self->data + i * TLS_PLAIN_MAX,
					      TLS_PLAIN_MAX, MSG_MORE));
}

/* Nothing more goes out, however often it is tried. */
static void expect_broken(struct __test_metadata *_metadata, int fd, void *data)
{
	int i;

	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-1, send(fd, data, 100, 0));
		EXPECT_EQ(EBADMSG, errno);
	}
}

static int error_of(int fd)
{
	socklen_t len = sizeof(int);
	int err = -1;

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	return err;
}

/* The first n records arrive, and then the end. */
static void expect_first(struct __test_metadata *_metadata,
			 FIXTURE_DATA(driver) *self, int n)
{
	EXPECT_EQ(0, tls_expect_records(&self->l.r, TLS_DATA, self->data,
					n * TLS_PLAIN_MAX, TLS_PLAIN_MAX));
	EXPECT_EQ(0, tls_expect_eof(&self->l.r));
}

TEST_F(driver, next_send)
{
	TLS_OURS_ONLY(LOSES);
	submit(_metadata, self, 3);
	ASSERT_EQ(0, tls_driver_wait(RECORDS));
	usleep(100000);
	expect_broken(_metadata, self->l.fd[0], self->data);
	EXPECT_EQ(EBADMSG, error_of(self->l.fd[0]));
	expect_broken(_metadata, self->l.fd[0], self->data);
	shutdown(self->l.fd[0], SHUT_WR);
	expect_first(_metadata, self, 2);
}

/* One call, that waits for the driver. */
TEST_F(driver, same_send)
{
	TLS_OURS_ONLY(LOSES);
	ASSERT_EQ(0, tls_driver_set("fail_nth", 3));
	EXPECT_EQ(-1, send(self->l.fd[0], self->data, RECORDS * TLS_PLAIN_MAX, 0));
	EXPECT_EQ(EBADMSG, errno);
	expect_broken(_metadata, self->l.fd[0], self->data);
	shutdown(self->l.fd[0], SHUT_WR);
	expect_first(_metadata, self, 2);
}

TEST_F(driver, at_submission)
{
	TLS_OURS_ONLY(LOSES);
	ASSERT_EQ(0, tls_driver_set("fail_at_once", 1));
	ASSERT_EQ(0, tls_driver_set("fail_nth", 3));
	/* Those before it are under way, and good. */
	EXPECT_EQ(2 * TLS_PLAIN_MAX,
		  send(self->l.fd[0], self->data, RECORDS * TLS_PLAIN_MAX, 0));
	expect_broken(_metadata, self->l.fd[0], self->data);
	shutdown(self->l.fd[0], SHUT_WR);
	expect_first(_metadata, self, 2);
}

TEST_F(driver, rekey)
{
	struct tls_key new;

	TLS_OURS_ONLY(LOSES);
	if (variant->version == TLS_1_2_VERSION)
		SKIP(return, "TLS 1.2 has no key updates");
	submit(_metadata, self, 2);
	tls_key_make(&new, variant->version, variant->cipher, 9);
	EXPECT_EQ(-1, tls_set_tx(self->l.fd[0], &new));
	EXPECT_EQ(EBADMSG, errno);
	expect_broken(_metadata, self->l.fd[0], self->data);
	shutdown(self->l.fd[0], SHUT_WR);
	expect_first(_metadata, self, 1);
}

TEST_F(driver, shutdown)
{
	TLS_OURS_ONLY(LOSES);
	submit(_metadata, self, 2);
	ASSERT_EQ(0, shutdown(self->l.fd[0], SHUT_WR));
	expect_first(_metadata, self, 1);
	EXPECT_EQ(EBADMSG, error_of(self->l.fd[0]));
}

TEST_F(driver, close)
{
	submit(_metadata, self, 2);
	ASSERT_EQ(0, close(self->l.fd[0]));
	self->l.fd[0] = -1;
	expect_first(_metadata, self, 1);
}

/* A small buffer, which the bytes of the lost records would fill up. */
TEST_F(driver, small_buffer)
{
	int size = 4096;

	TLS_OURS_ONLY(LOSES);
	ASSERT_EQ(0, setsockopt(self->l.fd[0], SOL_SOCKET, SO_SNDBUF, &size,
				sizeof(size)));
	ASSERT_EQ(0, tls_driver_set("fail_nth", 1));
	ASSERT_EQ(TLS_PLAIN_MAX, send(self->l.fd[0], self->data, TLS_PLAIN_MAX,
				      MSG_MORE));
	alarm(10);
	EXPECT_EQ(-1, send(self->l.fd[0], self->data, TLS_PLAIN_MAX, 0));
	EXPECT_EQ(EBADMSG, errno);
	alarm(0);
	expect_broken(_metadata, self->l.fd[0], self->data);
}

/* None of it happens without a reason, and the driver may be slow. */
TEST_F(driver, good)
{
	ASSERT_EQ(0, tls_driver_set("busy", 1));
	submit(_metadata, self, 0);
	ASSERT_EQ(0, shutdown(self->l.fd[0], SHUT_WR));
	expect_first(_metadata, self, RECORDS);
	EXPECT_EQ(0, error_of(self->l.fd[0]));
}

TEST_HARNESS_MAIN
