// SPDX-License-Identifier: GPL-2.0
/* One case: its connection, its operations, and whether they did what they should. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "bench.h"

static bool receives(const struct test *test)
{
	return test->what == RX || test->what == RX_SPLICE;
}

/* User space has no splice, no MSG_MORE, and no attaching of what a handshake gave. */
bool run_possible(const struct test *test, enum kind kind)
{
	if (kind == KIND_OPENSSL)
		return !test->no_pad && test->what != TX_MORE && test->what != RX_SPLICE &&
		       test->what != SETUP;
	return true;
}

static void *area(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		fail("no memory");
	return p;
}

static void make_data(struct run *run)
{
	uint32_t x = 1;
	size_t i;

	for (i = 0; i < AREA; i++) {
		x = x * 1664525 + 1013904223;
		run->data[i] = x >> 24;
	}
	run->file = memfd_create("bench", 0);
	if (run->file < 0 || pwrite(run->file, run->data, AREA, 0) != AREA)
		fail("memfd: %s", strerror(errno));
}

/*
 * Of about a million instructions: many, because pages run out and acknowledgements
 * come due only now and then, but most batches should have no timer tick in them.
 */
static unsigned int steps_for(const struct test *test)
{
	unsigned int step = test->bulk * 3 * test->size, steps;

	if (test->what == SETUP)
		step += 100000;
	else if (test->what == TX_MORE || test->what == REQUEST)
		step += 40000;
	else
		step += test->bulk > 1 ? test->bulk * 4000 : 14000;
	steps = 1000000 / step;
	if (steps > 32)
		steps = 32;
	return steps > test->group ? steps - steps % test->group : test->group;
}

void run_open(struct run *run, const struct test *test, enum kind kind)
{
	memset(run, 0, sizeof(*run));
	run->test = test;
	run->kind = kind;
	run->steps = steps_for(test);
	run->data = area(AREA);
	run->got = area(AREA + 65536);
	run->wire_size = 2 * AREA;
	run->wire = area(run->wire_size);
	run->wire_len = calloc(run->steps, sizeof(*run->wire_len));
	make_data(run);
	key_make(&run->key, test);
	run->digest = EVP_MD_CTX_new();
	if (!EVP_DigestInit(run->digest, EVP_sha256()))
		fail("no SHA-256 in OpenSSL");
	run->null = open("/dev/null", O_WRONLY);
	if (pipe(run->pipe) || fcntl(run->pipe[0], F_SETPIPE_SZ, 1 << 20) < 0)
		fail("pipe: %s", strerror(errno));
	tcp_mtu(test->mtu);
	if (test->what == SETUP)
		return;

	tcp_pair(&run->a.fd, &run->b.fd);
	tcp_options(run->a.fd);
	tcp_options(run->b.fd);
	if (kind == KIND_OPENSSL) {
		openssl_pair(test, &run->a, &run->b);
		if (receives(test))
			openssl_capture(&run->a);
	} else if (kind == KIND_TLS && test->what == REQUEST) {
		ktls_attach(run->a.fd, true, true, &run->key);
		ktls_attach(run->b.fd, true, true, &run->key);
	} else if (kind == KIND_TLS && receives(test)) {
		ktls_attach(run->b.fd, false, true, &run->key);
	} else if (kind == KIND_TLS) {
		ktls_attach(run->a.fd, true, false, &run->key);
	}
}

/*
 * Sending and receiving, by whoever does it
 */

static void put(struct end *end, const void *data, size_t len, int flags)
{
	ssize_t n = end->ssl ? SSL_write(end->ssl, data, len) : send(end->fd, data, len, flags);

	if (n != (ssize_t)len)
		fail("sent %zd of %zu: %s", n, len, strerror(errno));
}

static void get(struct end *end, uint8_t *to, size_t len, size_t buffer)
{
	ssize_t n;

	while (len) {
		n = end->ssl ? SSL_read(end->ssl, to, buffer) : recv(end->fd, to, buffer, 0);
		if (n <= 0 || (size_t)n > len)
			fail("received %zd, wanted %zu: %s", n, len, strerror(errno));
		to += n;
		len -= n;
	}
}

/* With nothing in it that belongs to a receiver but TCP's own work. */
static void drain(struct run *run, size_t len)
{
	ssize_t n;

	while (len) {
		n = recv(run->b.fd, run->wire, len, MSG_TRUNC);
		if (n <= 0)
			fail("drained %zd, wanted %zu: %s", n, len, strerror(errno));
		len -= n;
	}
}

static void put_parts(struct run *run)
{
	size_t size = run->test->size / IOV_PARTS, i;
	struct iovec iov[IOV_PARTS];
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = IOV_PARTS };
	ssize_t n;

	if (run->a.ssl) {
		for (i = 0; i < IOV_PARTS; i++)
			memcpy(run->got + i * size, run->data + i * size, size);
		put(&run->a, run->got, run->test->size, 0);
		return;
	}
	for (i = 0; i < IOV_PARTS; i++)
		iov[i] = (struct iovec) { run->data + i * size, size };
	n = sendmsg(run->a.fd, &msg, 0);
	if (n != (ssize_t)run->test->size)
		fail("sendmsg: sent %zd: %s", n, strerror(errno));
}

static void put_more(struct run *run)
{
	size_t size = run->test->size / MORE_PARTS, i;

	for (i = 0; i < MORE_PARTS; i++)
		put(&run->a, run->data + i * size, size, i + 1 < MORE_PARTS ? MSG_MORE : 0);
}

static void put_file(struct run *run)
{
	size_t left = run->test->size;
	off_t offset = 0;
	ssize_t n;

	while (left) {
		if (run->a.ssl) {
			n = pread(run->file, run->got, RECORD, offset);
			offset += n;
			put(&run->a, run->got, n, 0);
		} else {
			n = sendfile(run->a.fd, run->file, &offset, left);
			if (n <= 0)
				fail("sendfile: %zd: %s", n, strerror(errno));
		}
		left -= n;
	}
}

static void get_splice(struct run *run, uint8_t *to, size_t len)
{
	ssize_t n, m;

	while (len) {
		n = splice(run->b.fd, NULL, run->pipe[1], NULL, run->test->buffer, 0);
		if (n <= 0 || (size_t)n > len)
			fail("splice: %zd, wanted %zu: %s", n, len, strerror(errno));
		len -= n;
		for (; n > 0; n -= m) {
			m = run->checking ? read(run->pipe[0], to, n) :
			    splice(run->pipe[0], NULL, run->null, NULL, n, 0);
			if (m <= 0)
				fail("pipe: %zd: %s", m, strerror(errno));
			to += m;
		}
	}
}

static size_t wire_size(struct run *run)
{
	return run->kind == KIND_TCP ? run->test->size :
	       sealed_size(run->test, run->test->size);
}

/*
 * What goes over the wire has to be what the records of these sends are, whoever
 * makes them.
 */
static void check_wire(struct run *run, size_t len)
{
	struct end raw = { .fd = run->b.fd };

	get(&raw, run->got, len, len);
	if (run->kind != KIND_TLS)
		return;
	EVP_DigestUpdate(run->digest, run->got, len);
	if (seal_all(&run->key, run->data, run->test->size, run->wire) != len ||
	    memcmp(run->wire, run->got, len))
		fail("the records on the wire are wrong");
}

static void transmit(struct run *run, unsigned int step)
{
	const struct test *test = run->test;
	size_t len = wire_size(run);

	half_begins(HALF_TX);
	switch (test->what) {
	case TX_IOV:
		put_parts(run);
		break;
	case TX_MORE:
		put_more(run);
		break;
	case TX_SENDFILE:
		put_file(run);
		break;
	default:
		put(&run->a, run->data, test->size, 0);
	}
	half_ends(HALF_TX);
	if (run->checking) {
		check_wire(run, len);
	} else if (step % test->group == 0) {
		half_begins(HALF_RX);
		drain(run, len * test->group);
		half_ends(HALF_RX);
	}
}

static void receive(struct run *run, unsigned int step)
{
	const struct test *test = run->test;
	size_t len = test->size * test->bulk;
	struct end raw = { .fd = run->a.fd };

	half_begins(HALF_TX);
	put(&raw, run->next_wire, run->wire_len[step - 1], 0);
	half_ends(HALF_TX);
	run->next_wire += run->wire_len[step - 1];
	if (step % test->group)
		return;

	len *= test->group;
	half_begins(HALF_RX);
	if (test->what == RX_SPLICE)
		get_splice(run, run->next_got, len);
	else
		get(&run->b, run->next_got, len, test->buffer);
	half_ends(HALF_RX);
	run->next_got += len;
}

/* The sender is the first half here, in both directions. */
static void request(struct run *run)
{
	size_t size = run->test->size;

	run->received = size;
	half_begins(HALF_TX);
	put(&run->a, run->data, size, 0);
	half_ends(HALF_TX);
	half_begins(HALF_RX);
	get(&run->b, run->got, size, run->test->buffer);
	half_ends(HALF_RX);
	half_begins(HALF_TX);
	put(&run->b, run->data, size, 0);
	half_ends(HALF_TX);
	half_begins(HALF_RX);
	get(&run->a, run->got, size, run->test->buffer);
	half_ends(HALF_RX);
}

static void setup(struct run *run)
{
	half_begins(HALF_TX);
	tcp_pair(&run->a.fd, &run->b.fd);
	if (run->kind == KIND_TLS) {
		ktls_attach(run->a.fd, true, true, &run->key);
		ktls_attach(run->b.fd, true, true, &run->key);
	}
	close(run->a.fd);
	close(run->b.fd);
	half_ends(HALF_TX);
}

/*
 * Batches
 */

/* Not timed: the ciphertext that the next batch is to receive. */
void run_prepare(struct run *run)
{
	const struct test *test = run->test;
	uint8_t *out = run->wire, *data = run->data;
	unsigned int step, i;
	size_t n;

	if (test->what != SETUP)
		tcp_late_acks(run->a.fd, run->b.fd);
	if (!receives(test))
		return;
	for (step = 0; step < run->steps; step++) {
		run->wire_len[step] = 0;
		for (i = 0; i < test->bulk; i++) {
			if (run->kind == KIND_TLS) {
				n = seal_all(&run->key, data, test->size, out);
			} else if (run->kind == KIND_OPENSSL) {
				n = openssl_seal(&run->a, data, test->size, out,
						 run->wire + run->wire_size - out);
			} else {
				memcpy(out, data, test->size);
				n = test->size;
			}
			data += test->size;
			out += n;
			run->wire_len[step] += n;
		}
	}
	run->received = data - run->data;
	memset(run->got, 0, run->received);
}

void run_batch(struct run *run)
{
	unsigned int step;

	run->next_wire = run->wire;
	run->next_got = run->got;
	for (step = 1; step <= run->steps; step++) {
		switch (run->test->what) {
		case RX:
		case RX_SPLICE:
			receive(run, step);
			break;
		case REQUEST:
			request(run);
			break;
		case SETUP:
			setup(run);
			break;
		default:
			transmit(run, step);
		}
	}
}

/* What was received has to be what was sent. */
void run_verify(struct run *run)
{
	const struct test *test = run->test;
	uint8_t digest[32];
	int i;

	switch (test->what) {
	case SETUP:
		return;
	case RX_SPLICE:
		if (!run->checking)
			return;
		fallthrough;
	case RX:
	case REQUEST:
		if (memcmp(run->got, run->data, run->received))
			fail("the received data is wrong");
		return;
	default:
		if (!run->checking || run->kind != KIND_TLS)
			return;
		EVP_DigestFinal(run->digest, digest, NULL);
		printf("wire\t%s\t", test->name);
		for (i = 0; i < 16; i++)
			printf("%02x", digest[i]);
		printf("\n");
	}
}
