// SPDX-License-Identifier: GPL-2.0
/*
 * Urgent data: a byte that the sender has marked. It is part of the stream of
 * records if the receiver has set SO_OOBINLINE; otherwise TCP takes it out, and
 * the stream goes on behind it.
 */
#include "kselftest_harness.h"

#include <poll.h>

#include "tls_writer.h"

static uint8_t data[TLS_PLAIN_MAX], buf[TLS_PLAIN_MAX];

FIXTURE(urgent)
{
	struct tls_inlet l;
};

FIXTURE_VARIANT(urgent)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_FEW(urgent);

FIXTURE_SETUP(urgent)
{
	tls_fill(data, sizeof(data), 260);
	ASSERT_EQ(0, tls_inlet_open(&self->l, variant->family, variant->version,
				    variant->cipher));
}

FIXTURE_TEARDOWN(urgent)
{
	tls_inlet_close(&self->l);
}

static int set_inline(int fd)
{
	int on = 1;

	return setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
}

static int shrink(int fd)
{
	int size = 4096;

	return setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

/* The next len bytes that wait, of which the last is urgent. */
static int push_marked(struct tls_writer *w, size_t len)
{
	if (send(w->fd, w->wire + w->pushed, len, MSG_OOB) != len)
		return -1;
	w->pushed += len;
	if (w->pushed == w->len) {
		w->pushed = 0;
		w->len = 0;
	}
	return 0;
}

/* An urgent byte that is not part of a record. */
static int push_alien(struct tls_writer *w)
{
	return send(w->fd, "!", 1, MSG_OOB) == 1 ? 0 : -1;
}

/* Every byte of a record in turn is urgent, with records before and behind it. */
TEST_F(urgent, part_of_stream)
{
	size_t at, one, n;

	ASSERT_EQ(0, set_inline(self->l.fd[1]));
	for (at = 0, one = 1; at < one; at++) {
		for (n = 0; n < 3; n++)
			ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA,
						data + n * 20, 20));
		one = tls_wire_len(self->l.w.wire);
		ASSERT_EQ(0, push_marked(&self->l.w, one + at + 1));
		ASSERT_EQ(0, tls_push(&self->l.w));
		ASSERT_EQ(0, tls_expect_bytes(self->l.fd[1], data, 60)) {
			TH_LOG("byte %zu of the record", at);
		}
	}
}

/* A record that does not fit into the window. */
TEST_F(urgent, part_of_stream_small_buffer)
{
	size_t at[] = { 1, 5, 3000, 8192 };
	int i;

	TLS_OURS_ONLY("the stream stops at the urgent byte");
	ASSERT_EQ(0, set_inline(self->l.fd[1]));
	ASSERT_EQ(0, shrink(self->l.fd[1]));
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data,
					sizeof(data)));
		ASSERT_EQ(0, push_marked(&self->l.w, at[i]));
		ASSERT_EQ(0, tls_push(&self->l.w));
		ASSERT_EQ(0, tls_expect_bytes(self->l.fd[1], data,
					      sizeof(data)));
	}
}

/* What comes before is delivered in any case. */
TEST_F(urgent, before)
{
	int i;

	for (i = 0; i < 2; i++)
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, push_alien(&self->l.w));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, 100));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EAGAIN, MSG_DONTWAIT));
	/* There is no way to have it alone. */
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EAGAIN,
				      MSG_DONTWAIT | MSG_OOB));
}

/* Once there is another one, TCP itself passes the first. */
TEST_F(urgent, two)
{
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
	ASSERT_EQ(0, push_alien(&self->l.w));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data + 100, 100));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, 100));
	ASSERT_EQ(0, push_alien(&self->l.w));
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data + 100, 100));
}

TEST_F(urgent, between)
{
	int i;

	TLS_OURS_ONLY("the stream stops at the urgent byte");
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, push_alien(&self->l.w));
		ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100 + i));
		ASSERT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data,
					    100 + i, 0));
	}
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EAGAIN, MSG_DONTWAIT));
}

/* Before each byte of a record, and behind the last, with records around it. */
TEST_F(urgent, within)
{
	size_t at, one, n;

	TLS_OURS_ONLY("the stream stops at the urgent byte");
	for (at = 0, one = 1; at <= one; at++) {
		for (n = 0; n < 3; n++)
			ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA,
						data + n * 20, 20));
		one = tls_wire_len(self->l.w.wire);
		ASSERT_EQ(0, tls_push_some(&self->l.w, one + at));
		ASSERT_EQ(0, push_alien(&self->l.w));
		ASSERT_EQ(0, tls_push(&self->l.w));
		ASSERT_EQ(0, tls_expect_bytes(self->l.fd[1], data, 60)) {
			TH_LOG("byte %zu of the record", at);
		}
	}
}

TEST_F(urgent, within_small_buffer)
{
	size_t at[] = { 0, 1, 5, 3000, 8192, sizeof(data) };
	int i;

	TLS_OURS_ONLY("the stream stops at the urgent byte");
	ASSERT_EQ(0, shrink(self->l.fd[1]));
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data,
					sizeof(data)));
		if (at[i])
			ASSERT_EQ(0, tls_push_some(&self->l.w, at[i]));
		ASSERT_EQ(0, push_alien(&self->l.w));
		ASSERT_EQ(0, tls_push(&self->l.w));
		ASSERT_EQ(0, tls_expect_bytes(self->l.fd[1], data,
					      sizeof(data))) {
			TH_LOG("byte %zu of the record", at[i]);
		}
	}
}

/* The byte is an event until the reader has got past it. */
TEST_F(urgent, poll)
{
	struct pollfd p = { .fd = self->l.fd[1], .events = POLLPRI };

	EXPECT_EQ(0, poll(&p, 1, 0));
	ASSERT_EQ(0, push_alien(&self->l.w));
	EXPECT_EQ(1, poll(&p, 1, 5000));
	EXPECT_EQ(POLLPRI, p.revents);
	TLS_OURS_ONLY("the stream stops at the urgent byte");
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	EXPECT_EQ(1, poll(&p, 1, 0));
	ASSERT_EQ(0, tls_expect_bytes(self->l.fd[1], data, 100));
	EXPECT_EQ(0, poll(&p, 1, 0));
}

/* The end of the stream, right behind an urgent byte, is found. */
TEST_F(urgent, end)
{
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
	ASSERT_EQ(0, push_alien(&self->l.w));
	ASSERT_EQ(0, shutdown(self->l.fd[0], SHUT_WR));
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, 100));
	EXPECT_EQ(0, recv(self->l.fd[1], buf, sizeof(buf), 0));
}

TEST_HARNESS_MAIN
