/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * User-space interface of kernel TLS: the "tls" upper layer protocol of TCP.
 *
 * Attach it to an established socket with setsockopt(SOL_TCP, TCP_ULP, "tls"),
 * then hand over the negotiated keys, one direction at a time, with
 * setsockopt(SOL_TLS, TLS_TX or TLS_RX) and the structure of the cipher.
 */
#ifndef _UAPI_LINUX_TLS_H
#define _UAPI_LINUX_TLS_H

#include <linux/types.h>

/* Options at level SOL_TLS; the value's type is in brackets. */
#define TLS_TX			1	/* keys for sending [crypto info] */
#define TLS_RX			2	/* keys for receiving [crypto info] */
#define TLS_TX_ZEROCOPY_RO	3	/* sendfile() data never changes [__u32] */
#define TLS_RX_EXPECT_NO_PAD	4	/* 1.3: the peer does not pad [__u32] */
#define TLS_TX_MAX_PAYLOAD_LEN	5	/* longest plaintext of a record [__u16] */

/* Ancillary data at level SOL_TLS: one byte, the record's content type. */
#define TLS_SET_RECORD_TYPE	1	/* sendmsg() */
#define TLS_GET_RECORD_TYPE	2	/* recvmsg() */

/* Protocol versions, as they are written in a record's header. */
#define TLS_VERSION_MAJOR(ver)	(((ver) >> 8) & 0xFF)
#define TLS_VERSION_MINOR(ver)	((ver) & 0xFF)
#define TLS_VERSION_NUMBER(id)	((((id##_VERSION_MAJOR) & 0xFF) << 8) | \
				 ((id##_VERSION_MINOR) & 0xFF))

#define TLS_1_2_VERSION_MAJOR	0x3
#define TLS_1_2_VERSION_MINOR	0x3
#define TLS_1_2_VERSION		TLS_VERSION_NUMBER(TLS_1_2)

#define TLS_1_3_VERSION_MAJOR	0x3
#define TLS_1_3_VERSION_MINOR	0x4
#define TLS_1_3_VERSION		TLS_VERSION_NUMBER(TLS_1_3)

/*
 * Every crypto info starts with this head. Its short form, the head alone, can
 * be read back with getsockopt().
 */
struct tls_crypto_info {
	__u16 version;
	__u16 cipher_type;
};

/*
 * Cipher suites. The salt is the fixed part of the nonce and the IV the rest of
 * it: the first explicit nonce in 1.2, the remaining bytes of the static IV
 * in 1.3 and for ChaCha20-Poly1305. Numbers are in network byte order.
 */
#define TLS_CIPHER_AES_GCM_128			51
#define TLS_CIPHER_AES_GCM_128_IV_SIZE		8
#define TLS_CIPHER_AES_GCM_128_KEY_SIZE		16
#define TLS_CIPHER_AES_GCM_128_SALT_SIZE	4
#define TLS_CIPHER_AES_GCM_128_TAG_SIZE		16
#define TLS_CIPHER_AES_GCM_128_REC_SEQ_SIZE	8

struct tls12_crypto_info_aes_gcm_128 {
	struct tls_crypto_info info;
	unsigned char iv[TLS_CIPHER_AES_GCM_128_IV_SIZE];
	unsigned char key[TLS_CIPHER_AES_GCM_128_KEY_SIZE];
	unsigned char salt[TLS_CIPHER_AES_GCM_128_SALT_SIZE];
	unsigned char rec_seq[TLS_CIPHER_AES_GCM_128_REC_SEQ_SIZE];
};

#define TLS_CIPHER_AES_GCM_256			52
#define TLS_CIPHER_AES_GCM_256_IV_SIZE		8
#define TLS_CIPHER_AES_GCM_256_KEY_SIZE		32
#define TLS_CIPHER_AES_GCM_256_SALT_SIZE	4
#define TLS_CIPHER_AES_GCM_256_TAG_SIZE		16
#define TLS_CIPHER_AES_GCM_256_REC_SEQ_SIZE	8

struct tls12_crypto_info_aes_gcm_256 {
	struct tls_crypto_info info;
	unsigned char iv[TLS_CIPHER_AES_GCM_256_IV_SIZE];
	unsigned char key[TLS_CIPHER_AES_GCM_256_KEY_SIZE];
	unsigned char salt[TLS_CIPHER_AES_GCM_256_SALT_SIZE];
	unsigned char rec_seq[TLS_CIPHER_AES_GCM_256_REC_SEQ_SIZE];
};

#define TLS_CIPHER_AES_CCM_128			53
#define TLS_CIPHER_AES_CCM_128_IV_SIZE		8
#define TLS_CIPHER_AES_CCM_128_KEY_SIZE		16
#define TLS_CIPHER_AES_CCM_128_SALT_SIZE	4
#define TLS_CIPHER_AES_CCM_128_TAG_SIZE		16
#define TLS_CIPHER_AES_CCM_128_REC_SEQ_SIZE	8

struct tls12_crypto_info_aes_ccm_128 {
	struct tls_crypto_info info;
	unsigned char iv[TLS_CIPHER_AES_CCM_128_IV_SIZE];
	unsigned char key[TLS_CIPHER_AES_CCM_128_KEY_SIZE];
	unsigned char salt[TLS_CIPHER_AES_CCM_128_SALT_SIZE];
	unsigned char rec_seq[TLS_CIPHER_AES_CCM_128_REC_SEQ_SIZE];
};

#define TLS_CIPHER_CHACHA20_POLY1305			54
#define TLS_CIPHER_CHACHA20_POLY1305_IV_SIZE		12
#define TLS_CIPHER_CHACHA20_POLY1305_KEY_SIZE		32
#define TLS_CIPHER_CHACHA20_POLY1305_SALT_SIZE		0
#define TLS_CIPHER_CHACHA20_POLY1305_TAG_SIZE		16
#define TLS_CIPHER_CHACHA20_POLY1305_REC_SEQ_SIZE	8

struct tls12_crypto_info_chacha20_poly1305 {
	struct tls_crypto_info info;
	unsigned char iv[TLS_CIPHER_CHACHA20_POLY1305_IV_SIZE];
	unsigned char key[TLS_CIPHER_CHACHA20_POLY1305_KEY_SIZE];
	unsigned char salt[TLS_CIPHER_CHACHA20_POLY1305_SALT_SIZE];
	unsigned char rec_seq[TLS_CIPHER_CHACHA20_POLY1305_REC_SEQ_SIZE];
};

#define TLS_CIPHER_SM4_GCM			55
#define TLS_CIPHER_SM4_GCM_IV_SIZE		8
#define TLS_CIPHER_SM4_GCM_KEY_SIZE		16
#define TLS_CIPHER_SM4_GCM_SALT_SIZE		4
#define TLS_CIPHER_SM4_GCM_TAG_SIZE		16
#define TLS_CIPHER_SM4_GCM_REC_SEQ_SIZE		8

struct tls12_crypto_info_sm4_gcm {
	struct tls_crypto_info info;
	unsigned char iv[TLS_CIPHER_SM4_GCM_IV_SIZE];
	unsigned char key[TLS_CIPHER_SM4_GCM_KEY_SIZE];
	unsigned char salt[TLS_CIPHER_SM4_GCM_SALT_SIZE];
	unsigned char rec_seq[TLS_CIPHER_SM4_GCM_REC_SEQ_SIZE];
};

#define TLS_CIPHER_SM4_CCM			56
#define TLS_CIPHER_SM4_CCM_IV_SIZE		8
#define TLS_CIPHER_SM4_CCM_KEY_SIZE		16
#define TLS_CIPHER_SM4_CCM_SALT_SIZE		4
#define TLS_CIPHER_SM4_CCM_TAG_SIZE		16
#define TLS_CIPHER_SM4_CCM_REC_SEQ_SIZE		8

struct tls12_crypto_info_sm4_ccm {
	struct tls_crypto_info info;
	unsigned char iv[TLS_CIPHER_SM4_CCM_IV_SIZE];
	unsigned char key[TLS_CIPHER_SM4_CCM_KEY_SIZE];
	unsigned char salt[TLS_CIPHER_SM4_CCM_SALT_SIZE];
	unsigned char rec_seq[TLS_CIPHER_SM4_CCM_REC_SEQ_SIZE];
};

/* ARIA exists in 1.2 only. */
#define TLS_CIPHER_ARIA_GCM_128			57
#define TLS_CIPHER_ARIA_GCM_128_IV_SIZE		8
#define TLS_CIPHER_ARIA_GCM_128_KEY_SIZE	16
#define TLS_CIPHER_ARIA_GCM_128_SALT_SIZE	4
#define TLS_CIPHER_ARIA_GCM_128_TAG_SIZE	16
#define TLS_CIPHER_ARIA_GCM_128_REC_SEQ_SIZE	8

struct tls12_crypto_info_aria_gcm_128 {
	struct tls_crypto_info info;
	unsigned char iv[TLS_CIPHER_ARIA_GCM_128_IV_SIZE];
	unsigned char key[TLS_CIPHER_ARIA_GCM_128_KEY_SIZE];
	unsigned char salt[TLS_CIPHER_ARIA_GCM_128_SALT_SIZE];
	unsigned char rec_seq[TLS_CIPHER_ARIA_GCM_128_REC_SEQ_SIZE];
};

#define TLS_CIPHER_ARIA_GCM_256			58
#define TLS_CIPHER_ARIA_GCM_256_IV_SIZE		8
#define TLS_CIPHER_ARIA_GCM_256_KEY_SIZE	32
#define TLS_CIPHER_ARIA_GCM_256_SALT_SIZE	4
#define TLS_CIPHER_ARIA_GCM_256_TAG_SIZE	16
#define TLS_CIPHER_ARIA_GCM_256_REC_SEQ_SIZE	8

struct tls12_crypto_info_aria_gcm_256 {
	struct tls_crypto_info info;
	unsigned char iv[TLS_CIPHER_ARIA_GCM_256_IV_SIZE];
	unsigned char key[TLS_CIPHER_ARIA_GCM_256_KEY_SIZE];
	unsigned char salt[TLS_CIPHER_ARIA_GCM_256_SALT_SIZE];
	unsigned char rec_seq[TLS_CIPHER_ARIA_GCM_256_REC_SEQ_SIZE];
};

/* Attributes inside INET_ULP_INFO_TLS of inet_diag. */
enum {
	TLS_INFO_UNSPEC,
	TLS_INFO_VERSION,		/* u16 */
	TLS_INFO_CIPHER,		/* u16 */
	TLS_INFO_TXCONF,		/* u16, TLS_CONF_* */
	TLS_INFO_RXCONF,		/* u16, TLS_CONF_* */
	TLS_INFO_ZC_RO_TX,		/* flag */
	TLS_INFO_RX_NO_PAD,		/* flag */
	TLS_INFO_TX_MAX_PAYLOAD_LEN,	/* u16 */
	__TLS_INFO_MAX,
};
#define TLS_INFO_MAX	(__TLS_INFO_MAX - 1)

/* Who does the record layer in one direction. */
#define TLS_CONF_BASE		1	/* nobody, plain TCP */
#define TLS_CONF_SW		2	/* the kernel */
#define TLS_CONF_HW		3	/* the network card */
#define TLS_CONF_HW_RECORD	4	/* reserved */

#endif /* _UAPI_LINUX_TLS_H */
