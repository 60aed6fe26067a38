/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The counterpart of the reader: makes records with libcrypto and writes them to
 * a plain TCP socket, whose peer has TLS_RX. Records wait in a buffer until they
 * are pushed, whole or piece by piece; until then a test may spoil them.
 */
#ifndef TLS_WRITER_H
#define TLS_WRITER_H

#include "tls_common.h"

/* Records that can wait. */
#define TLS_WRITER_ROOM	(4 << 20)

struct tls_writer {
	int fd;
	struct tls_key key;
	uint64_t seq;		/* of the next record */
	EVP_CIPHER *cipher;
	EVP_CIPHER_CTX *ctx;
	uint8_t *wire;
	size_t len;		/* bytes in wire */
	size_t pushed;		/* of these */
};

int tls_writer_init(struct tls_writer *w, int fd, const struct tls_key *k);
void tls_writer_free(struct tls_writer *w);
/* The next record uses this key, sequence number and IV. */
int tls_writer_rekey(struct tls_writer *w, const struct tls_key *k);

/* Append a record. Returns where it is in wire, or NULL. */
uint8_t *tls_put(struct tls_writer *w, uint8_t type, const void *data,
		 size_t len);
/* In 1.3, with pad zeroes behind the type, and that outer type. */
uint8_t *tls_put_odd(struct tls_writer *w, uint8_t outer, uint8_t type,
		     const void *data, size_t len, size_t pad);
/* Length of the record at p, with its header. */
size_t tls_wire_len(const uint8_t *p);

/* Send all that waits, in one call. */
int tls_push(struct tls_writer *w);
/* Send the next len bytes of what waits. */
int tls_push_some(struct tls_writer *w, size_t len);
/* Append a record, send all that waits. */
int tls_write(struct tls_writer *w, uint8_t type, const void *data, size_t len);
/* Wait until the peer's TCP has everything. */
int tls_settle(int fd);

/* A pair with a writer on fd[0] and TLS_RX on fd[1]. */
struct tls_inlet {
	int fd[2];
	struct tls_key key;
	struct tls_writer w;
};

int tls_set_rx(int fd, const struct tls_key *k);	/* TLS_RX */
/* The key's seed is 2. On failure errno says why TLS_RX was refused. */
int tls_inlet_open(struct tls_inlet *l, int family, uint16_t version,
		   uint16_t cipher);
/* The same, but fd[1] is still a plain TCP socket. */
int tls_inlet_open_plain(struct tls_inlet *l, int family, uint16_t version,
			 uint16_t cipher);
void tls_inlet_close(struct tls_inlet *l);

/* What one recvmsg() returned, and what it said beside. */
struct tls_got {
	ssize_t n;
	int err;		/* errno, if n is -1 */
	int type;		/* -1 without TLS_GET_RECORD_TYPE */
	int flags;
};

struct tls_got tls_recv(int fd, void *buf, size_t len, int flags);

/* One recvmsg() with room for more gives exactly this. */
int tls_expect_got(int fd, uint8_t type, const void *data, size_t len,
		   int flags);
/* The next bytes are these; how many calls it takes does not matter. */
int tls_expect_bytes(int fd, const void *data, size_t len);
/* recv() fails like that, once. */
int tls_expect_error(int fd, int err, int flags);
/* recv() says that the stream has ended. */
int tls_expect_end(int fd);
/* poll() for reading says exactly these events, within ms milliseconds. */
int tls_expect_events(int fd, int events, int ms);

/* All mandatory suites in both versions, each over one of the families. */
#define TLS_VARIANTS_EACH(fixture) \
	TLS_VARIANT(fixture, 12_aes_gcm_128, 2, AES_GCM_128, INET); \
	TLS_VARIANT(fixture, 13_aes_gcm_128_v6, 3, AES_GCM_128, INET6); \
	TLS_VARIANT(fixture, 12_aes_gcm_256_v6, 2, AES_GCM_256, INET6); \
	TLS_VARIANT(fixture, 13_aes_gcm_256, 3, AES_GCM_256, INET); \
	TLS_VARIANT(fixture, 12_aes_ccm_128, 2, AES_CCM_128, INET); \
	TLS_VARIANT(fixture, 13_aes_ccm_128_v6, 3, AES_CCM_128, INET6); \
	TLS_VARIANT(fixture, 12_chacha20_v6, 2, CHACHA20_POLY1305, INET6); \
	TLS_VARIANT(fixture, 13_chacha20, 3, CHACHA20_POLY1305, INET)

/* Those of 1.3. */
#define TLS_VARIANTS_13(fixture) \
	TLS_VARIANT(fixture, aes_gcm_128, 3, AES_GCM_128, INET); \
	TLS_VARIANT(fixture, aes_gcm_256_v6, 3, AES_GCM_256, INET6); \
	TLS_VARIANT(fixture, aes_ccm_128, 3, AES_CCM_128, INET); \
	TLS_VARIANT(fixture, chacha20_v6, 3, CHACHA20_POLY1305, INET6)

#endif /* TLS_WRITER_H */
