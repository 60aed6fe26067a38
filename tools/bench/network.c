// SPDX-License-Identifier: GPL-2.0
/*
 * network [OPTION]... WHAT: sends over a network from one process to another, and
 * prints one line of name=value pairs: how fast it was, and what TCP knows of it.
 *
 *	bulk		one direction, -n bytes in calls of -s bytes
 *	sendfile	the same bytes, from a file
 *	streams		-c connections, which share the -n bytes
 *	request		-c requests of 200 bytes, answers of -n bytes
 *	burst		-c rounds: -n bytes there, then -n bytes back
 *
 *	-t tcp|1.2|1.3	what to send over
 *	-a ADDRESS	of the receiver (127.0.0.1)
 *	-N NAMESPACE	of the receiver, as "ip netns" knows it
 *	-l SECONDS	limit (60)
 *	-d		TCP_NODELAY
 *	-v		"burst" shows what TCP knows after each round
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <linux/tls.h>

#ifndef SOL_TLS
#define SOL_TLS		282
#endif
#define REQUEST		200
#define BUFFER		(256 << 10)
#define STREAMS		64
#define SAMPLES		10000

/* What one connection has to say when it is over. */
struct result {
	uint64_t end;			/* the receiver has all of it */
	struct tcp_info sender, receiver;
	unsigned int rcvbuf;		/* of the receiver */
};

/* What the processes share. */
static struct shared {
	in_port_t port;
	volatile int listening, ready, go, failed;
	uint64_t start;
	struct result results[STREAMS];
	unsigned int samples;
	uint32_t sample[SAMPLES];	/* microseconds */
} *shared;

static const char *what, *over = "1.3", *address = "127.0.0.1", *namespace;
static size_t amount = 16 << 20, piece = BUFFER;
static unsigned int count = 1;
static bool verbose;
static int nodelay;
static char *data;

static _Noreturn void __attribute__((format(printf, 1, 2))) fail(const char *form, ...)
{
	va_list args;

	if (!__sync_lock_test_and_set(&shared->failed, 1)) {
		va_start(args, form);
		printf("error=");
		vprintf(form, args);
		va_end(args);
		printf("\n");
		fflush(stdout);
	}
	_exit(1);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ull + t.tv_nsec / 1000;
}

static void wait_for(volatile int *value, int at_least)
{
	while (*value < at_least) {
		if (shared->failed)
			_exit(1);
		usleep(500);
	}
}

static void tls_start(int fd)
{
	struct tls12_crypto_info_aes_gcm_128 info = {
		.info.version = strcmp(over, "1.2") ? TLS_1_3_VERSION : TLS_1_2_VERSION,
		.info.cipher_type = TLS_CIPHER_AES_GCM_128,
		.key = "not a secret",
	};

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, sizeof(nodelay)))
		fail("TCP_NODELAY: %s", strerror(errno));
	if (!strcmp(over, "tcp"))
		return;
	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) ||
	    setsockopt(fd, SOL_TLS, TLS_TX, &info, sizeof(info)) ||
	    setsockopt(fd, SOL_TLS, TLS_RX, &info, sizeof(info)))
		fail("no TLS: %s", strerror(errno));
}

static void send_all(int fd, size_t len)
{
	ssize_t n;

	for (; len; len -= n) {
		n = send(fd, data, len < piece ? len : piece, MSG_NOSIGNAL);
		if (n <= 0)
			fail("send: %s", strerror(errno));
	}
}

static void receive_all(int fd, size_t len)
{
	ssize_t n;

	for (; len; len -= n) {
		n = recv(fd, data, len < BUFFER ? len : BUFFER, 0);
		if (n <= 0)
			fail("receive, %zu left: %s", len, n ? strerror(errno) : "end");
	}
}

/* What comes before the keys: TCP has measured small packets by then. */
static void handshake(int fd, bool first)
{
	static const size_t flights[] = { 300, 1400, 80 };
	unsigned int i;

	for (i = 0; i < 3; i++) {
		if (first == !(i & 1))
			send_all(fd, flights[i]);
		else
			receive_all(fd, flights[i]);
	}
}

static void send_file(int fd, size_t len)
{
	int file = memfd_create("file", 0);
	off_t at = 0;
	ssize_t n;

	if (file < 0 || ftruncate(file, len))
		fail("no file: %s", strerror(errno));
	while ((size_t)at < len) {
		n = sendfile(fd, file, &at, len - at);
		if (n <= 0)
			fail("sendfile: %s", strerror(errno));
	}
	close(file);
}

static struct tcp_info tcp_info(int fd)
{
	struct tcp_info info = {};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		fail("TCP_INFO: %s", strerror(errno));
	return info;
}

static unsigned int receive_buffer(int fd)
{
	unsigned int memory[SK_MEMINFO_VARS] = {};
	socklen_t len = sizeof(memory);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &len))
		fail("SO_MEMINFO: %s", strerror(errno));
	return memory[SK_MEMINFO_RCVBUF];
}

static void say_round(unsigned int round, const char *end, int fd)
{
	struct tcp_info info = tcp_info(fd);

	if (verbose)
		printf("# round %u %s: space=%u ssthresh=%u wnd=%u rcvbuf=%u at=%.1fms\n", round,
		       end, info.tcpi_rcv_space, info.tcpi_rcv_ssthresh, info.tcpi_rcv_wnd,
		       receive_buffer(fd), (now() - shared->start) / 1e3);
	fflush(stdout);
}

static void receiver(int listener, unsigned int index)
{
	struct result *result = &shared->results[index];
	unsigned int round;
	char byte = 0;
	int fd;

	fd = accept(listener, NULL, NULL);
	if (fd < 0)
		fail("accept: %s", strerror(errno));
	handshake(fd, false);
	tls_start(fd);
	/* In plain text it would be taken for a record if the sender were too early. */
	__sync_fetch_and_add(&shared->ready, 1);
	if (!strcmp(what, "request")) {
		for (round = 0; round < count; round++) {
			receive_all(fd, REQUEST);
			send_all(fd, amount);
		}
	} else if (!strcmp(what, "burst")) {
		for (round = 0; round < count; round++) {
			receive_all(fd, amount);
			say_round(round, "there", fd);
			send_all(fd, amount);
		}
	} else if (!strcmp(what, "streams")) {
		receive_all(fd, amount / count);
	} else {
		receive_all(fd, amount);
	}
	result->end = now();
	result->receiver = tcp_info(fd);
	result->rcvbuf = receive_buffer(fd);
	if (strcmp(what, "request") && strcmp(what, "burst") && send(fd, &byte, 1, 0) != 1)
		fail("send: %s", strerror(errno));
	/* The sender closes first. */
	(void)!recv(fd, &byte, 1, 0);
	_exit(0);
}

static void sender(unsigned int index)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = shared->port };
	struct result *result = &shared->results[index];
	bool back = !strcmp(what, "request") || !strcmp(what, "burst");
	unsigned int round;
	uint64_t begin;
	char byte;
	int fd;

	fd = socket(AF_INET, SOCK_STREAM, 0);
	inet_pton(AF_INET, address, &to.sin_addr);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)))
		fail("connect: %s", strerror(errno));
	handshake(fd, true);
	tls_start(fd);
	__sync_fetch_and_add(&shared->ready, 1);
	wait_for(&shared->go, 1);
	if (!strcmp(what, "sendfile")) {
		send_file(fd, amount);
	} else if (!back) {
		send_all(fd, !strcmp(what, "streams") ? amount / count : amount);
	} else {
		for (round = 0; round < count; round++) {
			begin = now();
			send_all(fd, strcmp(what, "burst") ? REQUEST : amount);
			receive_all(fd, amount);
			say_round(round, "back ", fd);
			if (shared->samples < SAMPLES)
				shared->sample[shared->samples++] = now() - begin;
		}
	}
	if (!back && recv(fd, &byte, 1, 0) != 1)
		fail("receive: %s", strerror(errno));
	result->sender = tcp_info(fd);
	_exit(0);
}

static void enter(const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		fail("namespace %s: %s", name, strerror(errno));
	close(fd);
}

/* Parent of the receivers, in the namespace where they are. */
static void receivers(unsigned int connections)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	socklen_t len = sizeof(any);
	unsigned int i;
	int fd;

	if (namespace)
		enter(namespace);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&any, len) || listen(fd, STREAMS) ||
	    getsockname(fd, (struct sockaddr *)&any, &len))
		fail("listen: %s", strerror(errno));
	shared->port = any.sin_port;
	for (i = 0; i < connections; i++)
		if (!fork())
			receiver(fd, i);
	shared->listening = 1;
	while (wait(NULL) > 0)
		;
	_exit(0);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void report(unsigned int connections)
{
	uint64_t end = 0, segments = 0, acks = 0, again = 0, limited = 0;
	const struct result *result = shared->results;
	unsigned int i, n = shared->samples;
	double bytes = amount, seconds;

	for (i = 0; i < connections; i++) {
		if (result[i].end > end)
			end = result[i].end;
		segments += result[i].sender.tcpi_data_segs_out;
		acks += result[i].receiver.tcpi_segs_out;
		again += result[i].sender.tcpi_total_retrans;
		limited += result[i].sender.tcpi_rwnd_limited;
	}
	if (n)
		bytes *= count;
	seconds = (end - shared->start) / 1e6;
	qsort(shared->sample, n, sizeof(shared->sample[0]), compare);
	printf("seconds=%.4f mbps=%.3f", seconds, bytes * 8 / 1e6 / seconds);
	if (n)
		printf(" p50=%u p99=%u", shared->sample[n / 2], shared->sample[n * 99 / 100]);
	printf(" mss=%u segs=%lu acks=%lu retrans=%lu rwnd_limited=%lu",
	       result->sender.tcpi_snd_mss, segments, acks, again, limited);
	printf(" space=%u ssthresh=%u rcvbuf=%u\n", result->receiver.tcpi_rcv_space,
	       result->receiver.tcpi_rcv_ssthresh, result->rcvbuf);
}

static void too_long(int signal)
{
	static const char text[] = "error=timeout\n";

	(void)signal;
	shared->failed = 1;
	(void)!write(1, text, sizeof(text) - 1);
	kill(0, SIGKILL);
}

int main(int argc, char **argv)
{
	unsigned int i, connections, limit = 60;
	int option, status, failed = 0;

	while ((option = getopt(argc, argv, "t:a:N:n:s:c:l:dv")) != -1) {
		if (option == 't')
			over = optarg;
		else if (option == 'a')
			address = optarg;
		else if (option == 'N')
			namespace = optarg;
		else if (option == 'n')
			amount = strtoul(optarg, NULL, 0);
		else if (option == 's')
			piece = strtoul(optarg, NULL, 0);
		else if (option == 'c')
			count = strtoul(optarg, NULL, 0);
		else if (option == 'l')
			limit = strtoul(optarg, NULL, 0);
		else if (option == 'd')
			nodelay = 1;
		else if (option == 'v')
			verbose = true;
		else
			return 2;
	}
	if (optind + 1 != argc || !piece || piece > BUFFER || !count)
		return 2;
	what = argv[optind];
	connections = !strcmp(what, "streams") ? count : 1;
	if (connections > STREAMS)
		return 2;
	data = calloc(1, BUFFER);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (!data || shared == MAP_FAILED)
		return 1;

	setpgid(0, 0);
	signal(SIGALRM, too_long);
	if (!fork())
		receivers(connections);
	wait_for(&shared->listening, 1);
	for (i = 0; i < connections; i++)
		if (!fork())
			sender(i);
	wait_for(&shared->ready, 2 * connections);
	alarm(limit);
	shared->start = now();
	shared->go = 1;
	while (wait(&status) > 0)
		failed |= status;
	if (failed || shared->failed)
		return 1;
	report(connections);
	return 0;
}
