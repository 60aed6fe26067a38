// SPDX-License-Identifier: GPL-2.0
/*
 * Records in pages that somebody on this machine can still write to: a relay passes
 * them on with sendfile(), and changes them while they are read. What is received
 * is what the peer has sent, or nothing.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "tls_writer.h"

#define ROUNDS	60

static uint8_t data[TLS_PLAIN_MAX], buf[2 * TLS_PLAIN_MAX];

FIXTURE(shared)
{
	struct tls_inlet l;
};

FIXTURE_VARIANT(shared)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_EACH(shared);

FIXTURE_SETUP(shared)
{
	tls_fill(data, sizeof(data), 170);
	ASSERT_EQ(0, tls_inlet_open(&self->l, variant->family, variant->version,
				    variant->cipher));
}

FIXTURE_TEARDOWN(shared)
{
	tls_inlet_close(&self->l);
}

struct flipper {
	volatile uint8_t *byte;
	atomic_bool stop;
};

static void *flip(void *arg)
{
	struct flipper *f = arg;

	while (!atomic_load(&f->stop))
		*f->byte ^= 0x80;
	return NULL;
}

/* The first part is copied by TCP, the rest are pages of the file. */
static int relay(int fd, int file, const uint8_t *p, size_t copied, size_t len)
{
	off_t at = copied;

	if (copied && send(fd, p, copied, MSG_MORE) != (ssize_t)copied)
		return -1;
	while (at < (off_t)len)
		if (sendfile(fd, file, &at, len - at) <= 0)
			return -1;
	return tls_settle(fd);
}

/* Returns how often what came was not what was sent, or -1. */
static int receive_changing(struct tls_inlet *l, int round)
{
	static const size_t copied[] = { 0, 3, 20, 9000 };
	struct flipper f = { .stop = false };
	pthread_t thread;
	size_t len, have;
	uint8_t *p, *map;
	int file, wrong;
	ssize_t n;

	/* One that stays, and the one that changes. */
	if (!tls_put(&l->w, TLS_DATA, data, 100))
		return -1;
	p = tls_put(&l->w, TLS_DATA, data, TLS_PLAIN_MAX);
	if (!p)
		return -1;
	len = l->w.len;
	file = memfd_create("relay", MFD_CLOEXEC);
	if (file < 0 || write(file, l->w.wire, len) != (ssize_t)len)
		return -1;
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (map == MAP_FAILED)
		return -1;
	if (relay(l->fd[0], file, l->w.wire, copied[round % ARRAY_SIZE(copied)],
		  len))
		return -1;
	f.byte = map + (p - l->w.wire) + 12000;
	if (pthread_create(&thread, NULL, flip, &f))
		return -1;
	have = 0;
	do {
		n = recv(l->fd[1], buf + have, sizeof(buf) - have, 0);
		if (n > 0)
			have += n;
	} while (n > 0 && have < 100 + TLS_PLAIN_MAX);
	atomic_store(&f.stop, true);
	pthread_join(thread, NULL);
	wrong = memcmp(buf, data, have < 100 ? have : 100) ||
		(have > 100 && memcmp(buf + 100, data, have - 100));
	munmap(map, len);
	close(file);
	if (n < 0 && errno != EBADMSG)
		return tls_wrong("errno %d", errno);
	return wrong;
}

TEST_F(shared, changes)
{
	int i, n, wrong = 0;

	for (i = 0; i < ROUNDS; i++) {
		n = receive_changing(&self->l, i);
		ASSERT_LE(0, n);
		wrong += n;
		tls_inlet_close(&self->l);
		ASSERT_EQ(0, tls_inlet_open(&self->l, variant->family,
					    variant->version, variant->cipher));
	}
	/* The module in C reads what others can write twice. */
	if (tls_is_ours()) {
		EXPECT_EQ(0, wrong);
	} else if (wrong) {
		TH_LOG("%d of %d times it was something else", wrong, i);
	}
}

/* As long as nobody changes them they are as good as any. */
TEST_F(shared, stays)
{
	static const size_t copied[] = { 0, 3, 20, 9000 };
	struct tls_writer *w = &self->l.w;
	int file, i, j;

	for (i = 0; i < ARRAY_SIZE(copied); i++) {
		for (j = 0; j < 5; j++) {
			ASSERT_NE(NULL, tls_put(w, TLS_DATA, data,
						j & 1 ? TLS_PLAIN_MAX : 3000));
		}
		file = memfd_create("relay", MFD_CLOEXEC);
		ASSERT_EQ(w->len, write(file, w->wire, w->len));
		ASSERT_EQ(0, relay(self->l.fd[0], file, w->wire, copied[i],
				   w->len));
		close(file);
		w->len = 0;
		for (j = 0; j < 5; j++) {
			ASSERT_EQ(0, tls_expect_bytes(self->l.fd[1], data,
						      j & 1 ? TLS_PLAIN_MAX :
							      3000));
		}
	}
}

TEST_HARNESS_MAIN
