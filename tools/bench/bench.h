/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <openssl/ssl.h>
#include <linux/tls.h>

#define fallthrough	__attribute__((__fallthrough__))
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define RECORD		16384	/* most that a record holds */
#define AREA		(1 << 20)	/* plaintext of the largest batch */
#define MORE_PARTS	16
#define IOV_PARTS	16

/* Who does the work: nobody (the floor), the kernel, or OpenSSL in user space. */
enum kind {
	KIND_TCP,
	KIND_TLS,
	KIND_OPENSSL,
};

enum what {
	TX_SEND,
	TX_IOV,
	TX_MORE,
	TX_SENDFILE,
	RX,
	RX_SPLICE,
	REQUEST,
	SETUP,
};

struct suite {
	const char *name;
	uint16_t cipher;
	size_t key_len;
	size_t salt_len;
	size_t iv_len;
	const char *evp;
	const char *openssl_12;
	const char *openssl_13;
};

struct test {
	char name[48];
	enum what what;
	uint16_t version;
	const struct suite *suite;
	size_t size;		/* plaintext of one operation */
	size_t buffer;		/* size of the receive calls' buffer */
	unsigned int bulk;	/* operations of a step: records sent at once */
	unsigned int group;	/* steps before anything is received */
	int mtu;
	bool no_pad;
	bool quick;
};

/* What setsockopt(TLS_TX) takes, and a counter of records of our own. */
struct key {
	const struct test *test;
	uint8_t raw[64];
	size_t len;
	uint8_t *iv, *key, *salt, *seq;
	uint64_t records;
	EVP_CIPHER_CTX *ctx;
};

/* One end of a connection; ssl only for KIND_OPENSSL. */
struct end {
	int fd;
	SSL *ssl;
};

struct run {
	const struct test *test;
	enum kind kind;
	struct end a, b;	/* data goes from a to b */
	struct key key;
	uint8_t *data;		/* plaintext */
	uint8_t *got;		/* what came out of b */
	uint8_t *wire;		/* ciphertext */
	size_t wire_size;
	size_t *wire_len;	/* of every step */
	uint8_t *next_wire, *next_got;
	size_t received;	/* in this batch */
	EVP_MD_CTX *digest;	/* of what was sent */
	int file;
	int pipe[2];
	int null;
	unsigned int steps;	/* of a batch */
	bool checking;		/* this batch is not timed, but looked at */
};

/* main.c */
extern unsigned int profile_half;
void fail_begin(void);
_Noreturn void fail_end(void);

/* Says what is wrong with this case, and ends it. */
#define fail(...) (fail_begin(), printf(__VA_ARGS__), fail_end())

#define HALF_TX		1
#define HALF_RX		2

/*
 * Exchanging a register with itself does nothing, and no compiler does it: the
 * profiler takes them for its start and stop.
 */
static inline void half_begins(unsigned int half)
{
	if (profile_half & half)
		asm volatile("xchg %%r13, %%r13" : : : "memory");
}

static inline void half_ends(unsigned int half)
{
	if (profile_half & half)
		asm volatile("xchg %%r14, %%r14" : : : "memory");
}

static inline void profile_ends(void)
{
	if (profile_half)
		asm volatile("xchg %%r15, %%r15" : : : "memory");
}

/* cases.c */
size_t make_tests(struct test **tests);

/* net.c */
void tcp_listen(void);
void tcp_pair(int *a, int *b);
void tcp_options(int fd);
void tcp_late_acks(int a, int b);
void tcp_mtu(int mtu);
void ktls_attach(int fd, bool tx, bool rx, const struct key *key);

/* seal.c */
void key_make(struct key *key, const struct test *test);
size_t seal(struct key *key, const uint8_t *data, size_t len, uint8_t *out);
size_t seal_all(struct key *key, const uint8_t *data, size_t len, uint8_t *out);
size_t sealed_size(const struct test *test, size_t len);

/* openssl.c */
void openssl_pair(const struct test *test, struct end *a, struct end *b);
void openssl_capture(struct end *from);
size_t openssl_seal(struct end *from, const uint8_t *data, size_t len, uint8_t *out, size_t room);

/* operations.c */
bool run_possible(const struct test *test, enum kind kind);
void run_open(struct run *run, const struct test *test, enum kind kind);
void run_prepare(struct run *run);
void run_batch(struct run *run);
void run_verify(struct run *run);

/* memory.c */
void memory_report(const struct test *test, enum kind kind, const char *kind_name,
		   unsigned int connections);

#endif
