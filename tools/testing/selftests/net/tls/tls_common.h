/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of kernel TLS share: TCP pairs, keys, and a reader that takes
 * the raw bytes off the other end of the connection and checks them as records
 * with libcrypto, without any help from the kernel.
 *
 * Functions that return int give 0 for success and -1 for failure. The
 * tls_expect_*() and tls_read_*() family says on stderr what was wrong; the
 * wrappers around system calls leave errno as it was.
 */
#ifndef TLS_COMMON_H
#define TLS_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <linux/tls.h>
#include <openssl/evp.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

#define TLS_ALERT	21
#define TLS_HANDSHAKE	22
#define TLS_DATA	23

#define TLS_HEADER	5
#define TLS_TAG		16
#define TLS_PLAIN_MAX	16384
/* Header, explicit nonce, plaintext, inner type, tag. */
#define TLS_WIRE_MAX	(TLS_HEADER + 8 + TLS_PLAIN_MAX + 1 + TLS_TAG)

/* No read of a test waits longer than this. */
#define TLS_PATIENCE_S	10

struct tls_suite {
	const char *name;
	const char *evp;	/* libcrypto's name */
	uint16_t cipher;
	uint8_t key_len;
	uint8_t salt_len;
	uint8_t iv_len;
	uint8_t nonce_len;	/* explicit part on the wire, in 1.2 */
	bool ccm;
	bool optional;		/* the kernel may have no driver for it */
};

const struct tls_suite *tls_suite(uint16_t cipher);

/* What goes into setsockopt(TLS_TX): raw[0..len). */
struct tls_key {
	const struct tls_suite *suite;
	socklen_t len;
	union {
		struct tls_crypto_info info;
		uint8_t raw[64];
	};
};

/* A key that depends on the arguments only; all bytes of its fields vary. */
void tls_key_make(struct tls_key *k, uint16_t version, uint16_t cipher,
		  unsigned int seed);
uint8_t *tls_key_iv(struct tls_key *k);
uint8_t *tls_key_key(struct tls_key *k);
uint8_t *tls_key_salt(struct tls_key *k);
uint8_t *tls_key_seq(struct tls_key *k);
void tls_key_set_seq(struct tls_key *k, uint64_t seq);
uint64_t tls_key_get_seq(struct tls_key *k);

/* Reproducible bytes without visible period. */
void tls_fill(void *buf, size_t len, unsigned int seed);

/*
 * A connected pair over loopback, AF_INET or AF_INET6: fd[0] is where the test
 * sends, fd[1] where it reads. Buffers are large enough that a few hundred KiB
 * can be sent before anything is read.
 */
int tls_tcp_pair(int family, int fd[2]);
/* The same with the system's own buffer sizes. */
int tls_tcp_pair_plain(int family, int fd[2]);
/* fd[1] has a receive buffer of that size, fd[0] sends at once. */
int tls_tcp_pair_narrow(int family, int size, int fd[2]);

/*
 * A network namespace of our own, whose loopback is up, and has that MTU unless it
 * is 0. Fails without the right to make one.
 */
int tls_own_network(int mtu);

int tls_attach(int fd);				/* TCP_ULP "tls" */
int tls_set_tx(int fd, const struct tls_key *k);	/* TLS_TX */
/* Pair, attach and TLS_TX. On failure both are closed, errno is TLS_TX's. */
int tls_tx_pair(int family, const struct tls_key *k, int fd[2]);

/* sendmsg() of one buffer with TLS_SET_RECORD_TYPE. */
ssize_t tls_send_type(int fd, uint8_t type, const void *buf, size_t len,
		      int flags);

/* A line of /proc/net/tls_stat, or -1 if it is not there. */
long tls_stat(const char *name);

/*
 * Whether it is said (KTLS_MODULE=ours) that the module is the one that these
 * tests came with. They check what it does better than the one in C only then.
 */
bool tls_is_ours(void);
#define TLS_OURS_ONLY(reason) do { \
	if (!tls_is_ours()) \
		SKIP(return, "differs: " reason); \
} while (0)

/* Says what is wrong, as a diagnostic line of KTAP. Returns -1. */
int __attribute__((format(printf, 1, 2))) tls_wrong(const char *fmt, ...);
int tls_compare(const uint8_t *got, const uint8_t *want, size_t len,
		const char *what);

/* What goes into the AEAD beside the text of len bytes. */
void tls_make_nonce(struct tls_key *k, uint64_t seq,
		    const uint8_t *explicit_nonce, uint8_t nonce[12]);
int tls_make_aad(const struct tls_key *k, uint64_t seq, const uint8_t *header,
		 size_t len, uint8_t aad[13]);

/* The receiving end: knows key and position, holds the last record read. */
struct tls_reader {
	int fd;
	struct tls_key key;
	uint64_t seq;		/* of the next record */
	uint64_t nonce;		/* explicit nonce of the next record */
	EVP_CIPHER *cipher;
	EVP_CIPHER_CTX *ctx;
	uint8_t type;
	size_t len;
	uint8_t data[TLS_PLAIN_MAX + 1];
	size_t wire_len;
	uint8_t wire[TLS_WIRE_MAX];
};

int tls_reader_init(struct tls_reader *r, int fd, const struct tls_key *k);
void tls_reader_free(struct tls_reader *r);
/* The next record uses this key, sequence number and IV. */
int tls_reader_rekey(struct tls_reader *r, const struct tls_key *k);

/*
 * Take one record off the connection and open it. Header, length, explicit
 * nonce, sequence number, tag and absence of padding are checked.
 * Returns 1 for a record (type, len, data are set), 0 at the end of the stream,
 * -1 if anything is wrong.
 */
int tls_read_record(struct tls_reader *r);

/* The next record has exactly this type and content. */
int tls_expect_record(struct tls_reader *r, uint8_t type, const void *data,
		      size_t len);
/* The next records are data, cut every limit bytes. */
int tls_expect_records(struct tls_reader *r, uint8_t type, const void *data,
		       size_t len, size_t limit);
/* The next records together hold data; how it is cut does not matter. */
int tls_expect_stream(struct tls_reader *r, const void *data, size_t len);
/* The stream ends here, between two records. */
int tls_expect_eof(struct tls_reader *r);
/* Nothing has arrived, and nothing does within ms milliseconds. */
int tls_expect_quiet(int fd, int ms);
/* The next bytes are exactly these, unencrypted. */
int tls_expect_plain(int fd, const void *data, size_t len);

/* A pair with TLS_TX on fd[0] and a reader on fd[1]: what most tests start with. */
struct tls_link {
	int fd[2];
	struct tls_key key;
	struct tls_reader r;
};

/* The key's seed is 1. On failure errno says why TLS_TX was refused. */
int tls_link_open(struct tls_link *l, int family, uint16_t version,
		  uint16_t cipher);
/* No more sends: the stream ends, and nothing unexpected is left in it. */
int tls_link_finish(struct tls_link *l);
void tls_link_close(struct tls_link *l);

/*
 * The mandatory suites in both versions and over both families, as variants of
 * a fixture whose FIXTURE_VARIANT has the fields version, cipher and family.
 */
#define TLS_VARIANT(fixture, name, v, c, f) \
	FIXTURE_VARIANT_ADD(fixture, name) { \
		.version = TLS_1_##v##_VERSION, \
		.cipher = TLS_CIPHER_##c, \
		.family = AF_##f, \
	}

#define TLS_VARIANTS_INET(fixture) \
	TLS_VARIANT(fixture, 12_aes_gcm_128, 2, AES_GCM_128, INET); \
	TLS_VARIANT(fixture, 13_aes_gcm_128, 3, AES_GCM_128, INET); \
	TLS_VARIANT(fixture, 12_aes_gcm_256, 2, AES_GCM_256, INET); \
	TLS_VARIANT(fixture, 13_aes_gcm_256, 3, AES_GCM_256, INET); \
	TLS_VARIANT(fixture, 12_aes_ccm_128, 2, AES_CCM_128, INET); \
	TLS_VARIANT(fixture, 13_aes_ccm_128, 3, AES_CCM_128, INET); \
	TLS_VARIANT(fixture, 12_chacha20, 2, CHACHA20_POLY1305, INET); \
	TLS_VARIANT(fixture, 13_chacha20, 3, CHACHA20_POLY1305, INET)

#define TLS_VARIANTS_INET6(fixture) \
	TLS_VARIANT(fixture, 12_aes_gcm_128_v6, 2, AES_GCM_128, INET6); \
	TLS_VARIANT(fixture, 13_aes_gcm_128_v6, 3, AES_GCM_128, INET6); \
	TLS_VARIANT(fixture, 12_aes_gcm_256_v6, 2, AES_GCM_256, INET6); \
	TLS_VARIANT(fixture, 13_aes_gcm_256_v6, 3, AES_GCM_256, INET6); \
	TLS_VARIANT(fixture, 12_aes_ccm_128_v6, 2, AES_CCM_128, INET6); \
	TLS_VARIANT(fixture, 13_aes_ccm_128_v6, 3, AES_CCM_128, INET6); \
	TLS_VARIANT(fixture, 12_chacha20_v6, 2, CHACHA20_POLY1305, INET6); \
	TLS_VARIANT(fixture, 13_chacha20_v6, 3, CHACHA20_POLY1305, INET6)

#define TLS_VARIANTS(fixture) \
	TLS_VARIANTS_INET(fixture); \
	TLS_VARIANTS_INET6(fixture)

/* Two that stand for all where the cipher does not matter. */
#define TLS_VARIANTS_FEW(fixture) \
	TLS_VARIANT(fixture, 12_aes_gcm_128, 2, AES_GCM_128, INET); \
	TLS_VARIANT(fixture, 13_aes_gcm_256_v6, 3, AES_GCM_256, INET6)

/* What the kernel may have no driver for: TLS_TX works, or says ENOENT. */
#define TLS_VARIANTS_OPTIONAL(fixture) \
	TLS_VARIANT(fixture, 12_sm4_gcm, 2, SM4_GCM, INET); \
	TLS_VARIANT(fixture, 13_sm4_gcm_v6, 3, SM4_GCM, INET6); \
	TLS_VARIANT(fixture, 12_sm4_ccm_v6, 2, SM4_CCM, INET6); \
	TLS_VARIANT(fixture, 13_sm4_ccm, 3, SM4_CCM, INET); \
	TLS_VARIANT(fixture, 12_aria_gcm_128, 2, ARIA_GCM_128, INET); \
	TLS_VARIANT(fixture, 12_aria_gcm_256_v6, 2, ARIA_GCM_256, INET6)

#endif /* TLS_COMMON_H */
