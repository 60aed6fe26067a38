// SPDX-License-Identifier: GPL-2.0
/*
 * Urgent data means nothing to TLS: a byte that the sender has marked is part of a
 * record as all others, whatever the socket's options say.
 */
#include "kselftest_harness.h"

#include <netinet/in.h>
#include <pthread.h>
#include <sys/time.h>

#include "tls_writer.h"

static uint8_t data[64 << 10], buf[64 << 10];

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

/* The next len bytes, of which the last is urgent. */
static int push_urgent(struct tls_writer *w, size_t len)
{
	while (len) {
		ssize_t n = send(w->fd, w->wire + w->pushed, len,
				 MSG_OOB | MSG_NOSIGNAL);

		if (n <= 0)
			return -1;
		w->pushed += n;
		len -= n;
	}
	if (w->pushed == w->len) {
		w->pushed = 0;
		w->len = 0;
	}
	return 0;
}

/* At every place of a record, with records before and behind it. */
TEST_F(urgent, everywhere)
{
	size_t at, one, len;
	int n;

	for (at = 0, one = 1; at < one; at++) {
		for (n = 0; n < 3; n++) {
			ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA,
						data + n * 20, 20));
		}
		one = tls_wire_len(self->l.w.wire);
		len = one + at + 1;
		ASSERT_EQ(0, push_urgent(&self->l.w, len));
		ASSERT_EQ(0, tls_push(&self->l.w));
		ASSERT_EQ(0, tls_expect_bytes(self->l.fd[1], data, 60)) {
			TH_LOG("byte %zu of the record", at);
		}
	}
}

TEST_F(urgent, inline_or_not)
{
	int on;

	for (on = 0; on < 2; on++) {
		ASSERT_EQ(0, setsockopt(self->l.fd[1], SOL_SOCKET, SO_OOBINLINE,
					&on, sizeof(on)));
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
		ASSERT_EQ(0, push_urgent(&self->l.w, 50));
		ASSERT_EQ(0, tls_settle(self->l.fd[0]));
		EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EAGAIN,
					      MSG_DONTWAIT));
		/* There is no way to have it alone. */
		EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EAGAIN,
					      MSG_DONTWAIT | MSG_OOB));
		ASSERT_EQ(0, tls_push(&self->l.w));
		ASSERT_EQ(0, tls_expect_bytes(self->l.fd[1], data, 100));
	}
}

TEST_F(urgent, last_byte)
{
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100 + i));
		ASSERT_EQ(0, push_urgent(&self->l.w, self->l.w.len));
		ASSERT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data,
					    100 + i, 0));
	}
}

struct pusher {
	pthread_t thread;
	struct tls_writer *w;
};

static void *push_marked(void *arg)
{
	struct pusher *p = arg;
	size_t n, i;

	for (i = 0; p->w->len; i++) {
		n = p->w->len - p->w->pushed;
		if (n > 3000)
			n = 3000;
		if (i % 2 ? push_urgent(p->w, n) : tls_push_some(p->w, n))
			break;
	}
	return NULL;
}

/* A record that is taken out of TCP's queue, because it does not fit in there. */
TEST_F(urgent, small_buffer)
{
	struct pusher p = { .w = &self->l.w };
	int size = 4096, i;

	TLS_OURS_ONLY("an urgent byte can stop the stream");
	ASSERT_EQ(0, setsockopt(self->l.fd[1], SOL_SOCKET, SO_RCVBUF, &size,
				sizeof(size)));
	for (i = 0; i < 4; i++) {
		ASSERT_NE(NULL, tls_put(p.w, TLS_DATA, data + i * TLS_PLAIN_MAX,
					TLS_PLAIN_MAX));
	}
	ASSERT_EQ(0, pthread_create(&p.thread, NULL, push_marked, &p));
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, sizeof(buf)));
	pthread_join(p.thread, NULL);
}

TEST_HARNESS_MAIN
