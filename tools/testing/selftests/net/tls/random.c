// SPDX-License-Identifier: GPL-2.0
/*
 * Random system calls on connections with TLS in both directions, against a model
 * that knows what was accepted and therefore has to arrive, of which type, and
 * where the stream ends.
 *
 *	random [STEPS [SEED [WORKERS]]]
 *
 * Each of the workers is a process with a seed of its own. A failure names the seed
 * and the step; the same numbers make the same calls.
 */
#define _GNU_SOURCE
#include "kselftest.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tls_writer.h"

#define STEPS		20000
#define WORKERS		2
#define ROOM		70000	/* bytes of a call, at the most */
#define RUNS		4096	/* of one type, on their way */
#define PERIOD		131071	/* of the data */

/* Bytes of one type, one after the other. */
struct run {
	uint8_t type;
	bool key_update;
	size_t len;
};

/* One direction of the connection: from fd to peer. */
struct way {
	int fd, peer;
	struct run runs[RUNS];
	int first, n;
	uint64_t sent, received;	/* bytes, which determine the content */
	unsigned int tx_keys, rx_keys;
	bool ended, key_expired;
};

static uint8_t pattern[PERIOD + ROOM], buf[ROOM];
static struct way ways[2];
static const uint8_t key_update[] = { 24, 0, 0, 1, 0 };
static uint16_t version, cipher;
static uint64_t state;
static unsigned int seed, step;
static const char *doing;

static unsigned int any(unsigned int below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

static void __attribute__((format(printf, 1, 2), noreturn)) fail(const char *fmt, ...)
{
	va_list ap;

	printf("# seed %u, step %u, %s: ", seed, step, doing);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	_exit(1);
}

static size_t length(void)
{
	switch (any(6)) {
	case 0: return 1 + any(16);
	case 1: return TLS_PLAIN_MAX - 2 + any(5);
	case 2: return 1 + any(ROOM);
	default: return 1 + any(3000);
	}
}

static struct run *next(struct way *w)
{
	return w->n ? &w->runs[w->first] : NULL;
}

static void add(struct way *w, uint8_t type, size_t len, bool key_update)
{
	struct run *last = &w->runs[(w->first + w->n - 1) % RUNS];

	w->sent += len;
	if (w->n && last->type == type && !last->key_update && !key_update) {
		last->len += len;
		return;
	}
	w->runs[(w->first + w->n++) % RUNS] = (struct run){
		.type = type, .len = len, .key_update = key_update,
	};
}

static void make_key(struct tls_key *k, struct way *w, unsigned int number)
{
	tls_key_make(k, version, cipher, 2 * number + (w - ways));
}

/*
 * Sending
 */

static void accepted(struct way *w, uint8_t type, ssize_t n, size_t len)
{
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		fail("%s", strerror(errno));
	if (n > (ssize_t)len || !n)
		fail("%zd of %zu bytes accepted", n, len);
	if (n > 0)
		add(w, type, n, false);
}

static void send_data(struct way *w)
{
	size_t len = length(), a = any(2) ? len : any(len + 1), b = any(len - a + 1);
	uint8_t *p = pattern + w->sent % PERIOD;
	struct iovec iov[] = {
		{ p, a }, { p + a, b }, { p + a + b, len - a - b },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = ARRAY_SIZE(iov) };
	int flags = any(12) ? MSG_DONTWAIT : 0;

	flags |= any(3) ? 0 : any(2) ? MSG_MORE : MSG_EOR;
	accepted(w, TLS_DATA, sendmsg(w->fd, &msg, flags), len);
}

static void send_control(struct way *w)
{
	uint8_t type = any(2) ? TLS_ALERT : 100;
	size_t len = any(2) ? length() : 2;

	accepted(w, type, tls_send_type(w->fd, type, pattern + w->sent % PERIOD,
					len, any(12) ? MSG_DONTWAIT : 0), len);
}

static void send_file(struct way *w)
{
	size_t len = length(), ask = len + (any(2) ? 0 : 100);
	int file = memfd_create("random", 0);
	off_t at = 0;

	if (file < 0 || write(file, pattern + w->sent % PERIOD, len) != (ssize_t)len)
		fail("no file");
	accepted(w, TLS_DATA, sendfile(w->fd, file, &at, ask), len);
	close(file);
}

static void send_pipe(struct way *w)
{
	size_t len = 1 + any(60000);
	int flags = SPLICE_F_NONBLOCK, p[2];

	if (pipe(p) || write(p[1], pattern + w->sent % PERIOD, len) != (ssize_t)len)
		fail("no pipe");
	flags |= any(2) ? SPLICE_F_MORE : 0;
	accepted(w, TLS_DATA, splice(p[0], NULL, w->fd, NULL, len, flags), len);
	close(p[0]);
	close(p[1]);
}

/* The message (RFC 8446, 4.6.3), and a new key behind it. */
static void update_key(struct way *w)
{
	struct tls_key k;
	ssize_t n;

	if (version != TLS_1_3_VERSION)
		return;
	n = tls_send_type(w->fd, TLS_HANDSHAKE, key_update, sizeof(key_update),
			  MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != sizeof(key_update))
		fail("KeyUpdate: %zd, %s", n, strerror(errno));
	add(w, TLS_HANDSHAKE, n, true);
	make_key(&k, w, ++w->tx_keys);
	while (tls_set_tx(w->fd, &k))
		if (errno != EINTR)
			fail("TLS_TX: %s", strerror(errno));
}

/*
 * Receiving
 */

static void check_content(struct way *w, const uint8_t *got, size_t n)
{
	const struct run *r = next(w);

	const uint8_t *want;
	size_t i;

	want = r->key_update ? key_update + sizeof(key_update) - r->len : pattern + w->received % PERIOD;
	for (i = 0; i < n; i++)
		if (got[i] != want[i])
			fail("of %zu bytes, type %d, number %zu is wrong", n, r->type, i);
}

static void take(struct way *w, size_t n)
{
	struct run *r = next(w);
	struct tls_key k;

	w->received += n;
	r->len -= n;
	if (r->len)
		return;
	w->first = (w->first + 1) % RUNS;
	w->n--;
	if (!r->key_update)
		return;
	if (recv(w->peer, buf, 1, MSG_DONTWAIT) != -1 || errno != EKEYEXPIRED)
		fail("read without a key");
	make_key(&k, w, ++w->rx_keys);
	if (tls_set_rx(w->peer, &k))
		fail("TLS_RX: %s", strerror(errno));
}

/* n bytes of that type arrived; -1 for errno, which is harmless. */
static void arrived(struct way *w, const struct tls_got *g, size_t room, bool peek)
{
	const struct run *r = next(w);

	if (g->n < 0) {
		if (g->err != EAGAIN && g->err != EINTR)
			fail("%s", strerror(g->err));
		return;
	}
	if (!g->n) {
		if (r || !w->ended)
			fail("the stream has ended too early");
		return;
	}
	if (!r)
		fail("%zd bytes that were not sent", g->n);
	if (g->type != r->type || g->n > (ssize_t)room || g->n > (ssize_t)r->len)
		fail("%zd bytes of type %d instead of %zu of type %d", g->n, g->type,
		     r->len, r->type);
	check_content(w, buf, g->n);
	if (!peek)
		take(w, g->n);
}

/* At once, or with a limit of time. */
static void receive(struct way *w, int flags)
{
	bool peek = flags & MSG_DONTWAIT && !any(5);
	size_t len = length();
	struct tls_got g;

	flags |= peek ? MSG_PEEK : 0;
	flags |= any(5) ? 0 : MSG_WAITALL;
	g = tls_recv(w->peer, buf, len, flags);
	arrived(w, &g, len, peek);
}

static void receive_pipe(struct way *w)
{
	struct tls_got g = { .type = TLS_DATA };
	const struct run *r = next(w);
	size_t len = length();
	int p[2];

	if (pipe(p))
		fail("no pipe");
	g.n = splice(w->peer, NULL, p[1], NULL, len, SPLICE_F_NONBLOCK);
	g.err = errno;
	if (g.n > 0 && read(p[0], buf, sizeof(buf)) != g.n)
		fail("the pipe has not got what splice() says");
	close(p[0]);
	close(p[1]);
	/* Other types are not for a pipe. */
	if (g.n < 0 && g.err == EINVAL && r && r->type != TLS_DATA)
		return;
	arrived(w, &g, len, false);
}

static void ask(struct way *w)
{
	struct pollfd p = { .fd = w->peer, .events = POLLIN | POLLOUT };
	struct tls_key k;
	socklen_t len;

	poll(&p, 1, 0);
	if (p.revents & (POLLERR | POLLNVAL))
		fail("poll() says %x", p.revents);
	make_key(&k, w, w->tx_keys);
	len = k.len;
	if (getsockopt(w->fd, SOL_TLS, TLS_TX, k.raw, &len) || len != k.len)
		fail("TLS_TX cannot be read: %s", strerror(errno));
}

/*
 * Options
 */

static void set_int(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)))
		fail("option %d, %d: %s", level, name, strerror(errno));
}

static void set_option(struct way *w)
{
	uint16_t limit = any(2) ? TLS_PLAIN_MAX : 64 + any(TLS_PLAIN_MAX - 64);
	const struct {
		int fd, level, name, value;
	} options[] = {
		{ w->fd, SOL_SOCKET, SO_SNDBUF, 2048 << any(8) },
		{ w->peer, SOL_SOCKET, SO_RCVBUF, 2048 << any(8) },
		{ w->peer, SOL_SOCKET, SO_RCVLOWAT, 1 + any(100) },
		{ w->fd, IPPROTO_TCP, TCP_NODELAY, any(2) },
		{ w->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, any(2) ? 4096 << any(5) : 0 },
		{ w->peer, SOL_TLS, TLS_RX_EXPECT_NO_PAD, any(2) },
	};
	unsigned int i = any(ARRAY_SIZE(options) + 1);

	if (i == ARRAY_SIZE(options)) {
		if (setsockopt(w->fd, SOL_TLS, TLS_TX_MAX_PAYLOAD_LEN, &limit,
			       sizeof(limit)) && errno != EBUSY && errno != EINTR)
			fail("TLS_TX_MAX_PAYLOAD_LEN: %s", strerror(errno));
	} else if (options[i].level != SOL_TLS || version == TLS_1_3_VERSION) {
		set_int(options[i].fd, options[i].level, options[i].name,
			options[i].value);
	}
}

/*
 * Connections
 */

static void on_alarm(int sig __maybe_unused)
{
}

/* Now and then a signal ends a call that waits. */
static void set_timer(int us)
{
	struct itimerval it = {
		.it_value.tv_usec = us, .it_interval.tv_usec = us,
	};

	setitimer(ITIMER_REAL, &it, NULL);
}

static void connect_pair(void)
{
	static const uint16_t ciphers[] = {
		TLS_CIPHER_AES_GCM_128, TLS_CIPHER_AES_GCM_256,
		TLS_CIPHER_AES_CCM_128, TLS_CIPHER_CHACHA20_POLY1305,
	};
	struct timeval tv = { .tv_usec = 10000 };
	int fd[2], family = any(2) ? AF_INET : AF_INET6, i;
	struct tls_key k;

	version = any(2) ? TLS_1_2_VERSION : TLS_1_3_VERSION;
	cipher = ciphers[any(ARRAY_SIZE(ciphers))];
	if (any(2) ? tls_tcp_pair(family, fd) : tls_tcp_pair_plain(family, fd))
		fail("no connection: %s", strerror(errno));
	for (i = 0; i < 2; i++) {
		struct way *w = &ways[i];

		memset(w, 0, sizeof(*w));
		w->fd = fd[i];
		w->peer = fd[!i];
		if (tls_attach(w->fd))
			fail("TCP_ULP: %s", strerror(errno));
		setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
		setsockopt(w->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	}
	for (i = 0; i < 2; i++) {
		make_key(&k, &ways[i], 0);
		if (tls_set_tx(ways[i].fd, &k) || tls_set_rx(ways[i].peer, &k))
			fail("no keys: %s", strerror(errno));
	}
}

/* All that was accepted arrives, and then the end. */
static void finish(struct way *w)
{
	int idle;

	if (shutdown(w->fd, SHUT_WR))
		fail("shutdown: %s", strerror(errno));
	w->ended = true;
	/* Otherwise TCP waits for timers. */
	set_int(w->peer, SOL_SOCKET, SO_RCVBUF, 1 << 20);
	for (idle = 0; w->n && idle < 500;) {
		size_t left = next(w)->len;
		int n = w->n;

		receive(w, 0);
		idle = w->n == n && w->n && next(w)->len == left ? idle + 1 : 0;
	}
	if (w->n)
		fail("%zu bytes do not arrive", next(w)->len);
	if (recv(w->peer, buf, 1, 0))
		fail("the stream does not end: %s", strerror(errno));
}

static void reconnect(void)
{
	set_timer(0);
	/* Half of all connections are not ended in order. */
	if (any(2)) {
		finish(&ways[0]);
		finish(&ways[1]);
	}
	close(ways[0].fd);
	close(ways[1].fd);
	connect_pair();
	if (!any(3))
		set_timer(2000 + any(20000));
}

static void receive_now(struct way *w)
{
	receive(w, MSG_DONTWAIT);
}

static void receive_in_time(struct way *w)
{
	receive(w, 0);
}

static void reconnect_seldom(struct way *w __maybe_unused)
{
	if (!any(8))
		reconnect();
}

static const struct {
	int per_cent;
	void (*call)(struct way *w);
	const char *name;
} calls[] = {
#define CALL(n, name) { n, name, #name }
	CALL(35, receive_now),
	CALL(2, receive_in_time),
	CALL(10, receive_pipe),
	CALL(4, ask),
	CALL(5, set_option),
	CALL(1, reconnect_seldom),
	/* Those that send, if the model has room. */
	CALL(26, send_data),
	CALL(6, send_control),
	CALL(5, send_file),
	CALL(5, send_pipe),
	CALL(1, update_key),
};

static void one_step(void)
{
	struct way *w = &ways[any(2)];
	int i = 0, at = any(w->n < RUNS - 4 ? 100 : 57);

	while (at >= calls[i].per_cent)
		at -= calls[i++].per_cent;
	doing = calls[i].name;
	calls[i].call(w);
}

static void __attribute__((noreturn)) work(unsigned int steps)
{
	struct sigaction sa = { .sa_handler = on_alarm };

	sigaction(SIGALRM, &sa, NULL);
	state = 0x9e3779b97f4a7c15ULL * (seed + 1);
	tls_fill(pattern, PERIOD, 99);
	memcpy(pattern + PERIOD, pattern, ROOM);
	doing = "begin";
	connect_pair();
	for (step = 0; step < steps; step++)
		one_step();
	set_timer(0);
	doing = "finish";
	finish(&ways[0]);
	finish(&ways[1]);
	_exit(0);
}

int main(int argc, char **argv)
{
	unsigned int steps = argc > 1 ? strtoul(argv[1], NULL, 0) : STEPS;
	unsigned int workers = argc > 3 ? strtoul(argv[3], NULL, 0) : WORKERS;
	unsigned int i;
	int status;

	seed = argc > 2 ? strtoul(argv[2], NULL, 0) : 1;
	ksft_print_header();
	if (!tls_is_ours())
		ksft_exit_skip("what C does at the end of a stream is no model\n");
	ksft_set_plan(1);
	ksft_print_msg("%u steps, seeds from %u on\n", steps, seed);
	fflush(stdout);
	for (i = 0; i < workers; i++, seed++)
		if (!fork())
			work(steps / workers);
	status = 0;
	for (i = 0; i < workers; i++) {
		int s = 1;

		wait(&s);
		status |= s;
	}
	ksft_test_result(!status, "%u random steps\n", steps);
	ksft_finished();
}
