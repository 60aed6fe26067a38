// SPDX-License-Identifier: GPL-2.0
/*
 * recvmsg() and splice() against a model of them. Records of both kinds and of all
 * lengths, also none, arrive; then calls with buffers of all sizes, some of which
 * only peek, must return exactly what the model says: how much, of which type,
 * with which flags, or which error.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"

#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>

#include "tls_writer.h"

#define RECORDS	12

struct model_record {
	uint8_t type;
	size_t at, len;		/* in data */
};

/*
 * Opened records that were not read up, then those still to be opened, then those
 * that are not there as a whole.
 */
struct model {
	struct model_record list[RECORDS];
	int opened, arrived, n;
};

static uint8_t data[RECORDS * TLS_PLAIN_MAX], buf[sizeof(data) + 1];
static uint8_t want[sizeof(buf)];

static unsigned int seed;

static unsigned int any(unsigned int below)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % below;
}

static void forget(struct model *m, int i)
{
	memmove(m->list + i, m->list + i + 1,
		(--m->n - i) * sizeof(m->list[0]));
	m->arrived--;
	m->opened--;
}

/* What a call may take of a record: its type decides, or that of the first. */
static bool admit(struct tls_got *g, uint8_t type)
{
	if (g->type < 0)
		g->type = type;
	return g->type == type;
}

static void take(struct tls_got *g, struct model_record *r, size_t n)
{
	memcpy(want + g->n, data + r->at, n);
	g->n += n;
}

/* From the list. Returns whether the call may go on to the stream. */
static bool model_opened(struct model *m, struct tls_got *g, size_t len,
			 bool peek)
{
	int i = 0;

	while (len > (size_t)g->n && i < m->opened) {
		struct model_record *r = &m->list[i];
		size_t n = r->len < len - g->n ? r->len : len - g->n;

		if (!admit(g, r->type))
			return false;
		take(g, r, n);
		if (!peek && n < r->len) {
			r->at += n;
			r->len -= n;
			return false;
		}
		g->flags |= MSG_EOR;
		if (peek)
			i++;
		else
			forget(m, i);
	}
	return (size_t)g->n < len && (g->type < 0 || g->type == TLS_DATA);
}

/* Data without content is no reason to return. It ends a call of the module in C. */
static bool is_nothing(const struct model_record *r)
{
	return tls_is_ours() && r->type == TLS_DATA && !r->len;
}

static struct tls_got model_recv(struct model *m, size_t len, bool peek)
{
	struct tls_got g = { .type = -1 };
	struct model_record *r;
	size_t n;

	if (!len || !model_opened(m, &g, len, peek))
		return g;
	while ((size_t)g.n < len && m->opened < m->arrived) {
		r = &m->list[m->opened++];
		if (is_nothing(r)) {
			forget(m, m->opened - 1);
			continue;
		}
		if (!admit(&g, r->type))
			return g;
		n = r->len < len - g.n ? r->len : len - g.n;
		take(&g, r, n);
		if (!peek && n < r->len) {
			r->at += n;
			r->len -= n;
			return g;
		}
		if (!peek) {
			forget(m, m->opened - 1);
			g.flags |= MSG_EOR;
		}
		if (g.type != TLS_DATA)
			return g;
	}
	/* It would wait for a byte. */
	if (!g.n) {
		g.n = -1;
		g.err = EAGAIN;
	}
	return g;
}

/* Returns a number of bytes, or a negative error. */
static ssize_t model_splice(struct model *m, size_t len)
{
	struct model_record *r = m->list;

	if (!m->arrived)
		return -EAGAIN;
	if (!m->opened)
		m->opened = 1;
	if (r->type != TLS_DATA)
		return -EINVAL;
	if (len > r->len)
		len = r->len;
	memcpy(want, data + r->at, len);
	r->at += len;
	r->len -= len;
	if (!r->len)
		forget(m, 0);
	return len;
}

FIXTURE(model)
{
	struct tls_inlet l;
};

FIXTURE_VARIANT(model)
{
	uint16_t version;
	uint16_t cipher;
	int family;
	int no_pad;
};

#define MODEL_VARIANT(name, v, c, f, pad) \
	FIXTURE_VARIANT_ADD(model, name) { \
		.version = TLS_1_##v##_VERSION, \
		.cipher = TLS_CIPHER_##c, \
		.family = AF_##f, \
		.no_pad = pad, \
	}

MODEL_VARIANT(12_aes_gcm_128, 2, AES_GCM_128, INET, 0);
MODEL_VARIANT(12_chacha20_v6, 2, CHACHA20_POLY1305, INET6, 0);
MODEL_VARIANT(12_aes_ccm_128, 2, AES_CCM_128, INET, 0);
MODEL_VARIANT(13_aes_gcm_256, 3, AES_GCM_256, INET, 0);
MODEL_VARIANT(13_aes_gcm_128_v6_no_pad, 3, AES_GCM_128, INET6, 1);

FIXTURE_SETUP(model)
{
	tls_fill(data, sizeof(data), 101);
	ASSERT_EQ(0, tls_inlet_open(&self->l, variant->family, variant->version,
				    variant->cipher));
	if (variant->no_pad) {
		ASSERT_EQ(0, setsockopt(self->l.fd[1], SOL_TLS,
					TLS_RX_EXPECT_NO_PAD, &variant->no_pad,
					sizeof(variant->no_pad)));
	}
}

FIXTURE_TEARDOWN(model)
{
	tls_inlet_close(&self->l);
}

static int put(struct tls_inlet *l, struct model *m, uint8_t type, size_t at,
	       size_t len)
{
	m->list[m->n++] = (struct model_record) {
		.type = type, .at = at, .len = len,
	};
	return tls_put(&l->w, type, data + at, len) ? 0 : -1;
}

static int show(const char *what, struct tls_got *g)
{
	return tls_wrong("%s: %zd bytes, errno %d, type %d, flags %x", what,
			 g->n, g->err, g->type, g->flags);
}

static int check(int fd, struct model *m, size_t len, bool peek)
{
	struct tls_got w = model_recv(m, len, peek), g;

	g = tls_recv(fd, buf, len, MSG_DONTWAIT | (peek ? MSG_PEEK : 0));
	/* With an error nobody gets the rest. */
	if (w.n < 0)
		w.type = -1;
	if (g.n != w.n || g.err != w.err || g.type != w.type ||
	    (w.n >= 0 && g.flags != w.flags)) {
		show("is", &g);
		show("should be", &w);
		return tls_wrong("at %s of up to %zu bytes, %d records opened, %d not",
				 peek ? "peek" : "read", len, m->opened,
				 m->n - m->opened);
	}
	return w.n > 0 ? tls_compare(buf, want, w.n, "plaintext") : 0;
}

static int check_splice(int fd, const int pipe[2], struct model *m, size_t len)
{
	ssize_t w = model_splice(m, len);
	ssize_t n = splice(fd, NULL, pipe[1], NULL, len, SPLICE_F_NONBLOCK);

	if (n < 0)
		n = -errno;
	if (n != w)
		return tls_wrong("splice of %zu bytes: %zd instead of %zd", len,
				 n, w);
	if (n <= 0)
		return 0;
	if (read(pipe[0], buf, n) != n)
		return tls_wrong("%zd bytes are not in the pipe", n);
	return tls_compare(buf, want, n, "pipe");
}

static int drained(int fd, struct model *m)
{
	return m->n ? tls_wrong("%d records are left", m->n) :
		      tls_expect_error(fd, EAGAIN, MSG_DONTWAIT);
}

/* All rows of four records: data or alert, with or without content. */
TEST_F(model, empty_ones)
{
	static const uint8_t types[] = { TLS_DATA, TLS_ALERT };
	struct model m;
	int row, i, n;

	for (row = 0; row < 256; row++) {
		m.n = 0;
		m.opened = 0;
		for (i = 0; i < 4; i++) {
			n = row >> i * 2;
			ASSERT_EQ(0, put(&self->l, &m, types[n & 1], i * 10,
					 n & 2 ? 7 : 0));
		}
		m.arrived = m.n;
		ASSERT_EQ(0, tls_push(&self->l.w));
		ASSERT_EQ(0, tls_expect_events(self->l.fd[1],
					       POLLIN | POLLRDNORM, 1000));
		for (i = 0; m.n && i < 9; i++) {
			ASSERT_EQ(0, check(self->l.fd[1], &m, 100,
					   row & 1 && i & 1)) {
				TH_LOG("row %02x, call %d", row, i);
			}
		}
		for (; m.n && i < 20; i++) {
			ASSERT_EQ(0, check(self->l.fd[1], &m, 100, false)) {
				TH_LOG("row %02x, call %d", row, i);
			}
		}
		ASSERT_EQ(0, drained(self->l.fd[1], &m)) {
			TH_LOG("row %02x", row);
		}
	}
}

static size_t any_len(void)
{
	static const size_t lens[] = {
		0, 1, 5, 16, 17, 100, 1000, 4096, 10000, 16384,
	};

	return lens[any(ARRAY_SIZE(lens))];
}

static uint8_t any_type(void)
{
	return any(4) ? TLS_DATA : any(3) ? TLS_ALERT : TLS_HANDSHAKE;
}

TEST_F(model, anything)
{
	struct model m;
	int round, i, n;
	size_t at;

	/* The first byte of a handshake message is not that of KeyUpdate. */
	for (i = 0; i < RECORDS; i++)
		data[i * TLS_PLAIN_MAX] = 4;
	for (round = 0; round < 120; round++) {
		seed = round;
		m.n = 0;
		m.opened = 0;
		n = 1 + any(RECORDS);
		for (i = 0, at = 0; i < n; i++, at += TLS_PLAIN_MAX) {
			ASSERT_EQ(0, put(&self->l, &m, any_type(), at,
					 any_len()));
		}
		m.arrived = m.n;
		ASSERT_EQ(0, tls_push(&self->l.w));
		ASSERT_EQ(0, tls_settle(self->l.fd[0]));
		for (i = 0; m.n && i < 200; i++) {
			size_t len = any(4) ? any_len() + any(3) :
					      any(sizeof(data));

			ASSERT_EQ(0, check(self->l.fd[1], &m, len,
					   any(3) == 0)) {
				TH_LOG("round %d, call %d", round, i);
			}
		}
		while (m.n) {
			ASSERT_EQ(0, check(self->l.fd[1], &m, sizeof(data),
					   false)) {
				TH_LOG("end of round %d", round);
			}
		}
		ASSERT_EQ(0, drained(self->l.fd[1], &m));
	}
}

/* Waits until the receiver has so many bytes; acknowledgements may come late. */
static int wait_received(int fd, uint64_t bytes)
{
	struct tcp_info info = {};
	socklen_t len;
	int i;

	for (i = 0; i < 10000; i++) {
		len = sizeof(info);
		if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
			return tls_wrong("TCP_INFO: %s", strerror(errno));
		if (info.tcpi_bytes_received >= bytes)
			return 0;
		usleep(1000);
	}
	return tls_wrong("only %llu bytes have come",
			 (unsigned long long)info.tcpi_bytes_received);
}

/* Sends some bytes more. Returns how many records that completes, or -1. */
static int push_any(struct tls_inlet *l, size_t *begun, uint64_t *sent)
{
	size_t left = l->w.len - l->w.pushed, n;
	int complete = 0;

	n = any(4) ? 1 + any(400) : 1 + any(40000);
	if (n > left)
		n = left;
	*begun += n;
	*sent += n;
	while (*begun) {
		const uint8_t *p = l->w.wire + l->w.pushed + n - *begun;

		if (*begun < TLS_HEADER || *begun < tls_wire_len(p))
			break;
		*begun -= tls_wire_len(p);
		complete++;
	}
	return tls_push_some(&l->w, n) || wait_received(l->fd[1], *sent) ? -1 :
								       complete;
}

/* The calls come between pieces of records, and some of them are splice(). */
TEST_F(model, in_pieces)
{
	int round, i, n, pipe_fd[2];
	uint64_t sent = 0;
	struct model m;
	size_t begun;

	ASSERT_EQ(0, pipe(pipe_fd));
	for (i = 0; i < RECORDS; i++)
		data[i * TLS_PLAIN_MAX] = 4;
	for (round = 0; round < 60; round++) {
		seed = round;
		memset(&m, 0, sizeof(m));
		n = 1 + any(RECORDS);
		for (i = 0; i < n; i++) {
			/* No empty ones, where splice() differs. */
			ASSERT_EQ(0, put(&self->l, &m, any_type(),
					 i * TLS_PLAIN_MAX, 1 + any_len() % TLS_PLAIN_MAX));
		}
		for (i = 0, begun = 0; m.n && i < 2000; i++) {
			size_t len = any(4) ? any_len() + any(3) :
					      any(sizeof(data));

			if (self->l.w.len && any(3)) {
				n = push_any(&self->l, &begun, &sent);
				ASSERT_LE(0, n);
				m.arrived += n;
			}
			if (len && any(4) == 0) {
				ASSERT_EQ(0, check_splice(self->l.fd[1],
							  pipe_fd, &m, len)) {
					TH_LOG("round %d, call %d", round, i);
				}
			} else {
				ASSERT_EQ(0, check(self->l.fd[1], &m, len,
						   any(3) == 0)) {
					TH_LOG("round %d, call %d", round, i);
				}
			}
		}
		ASSERT_EQ(0, drained(self->l.fd[1], &m));
	}
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

TEST_HARNESS_MAIN
