// SPDX-License-Identifier: GPL-2.0
/* TLS records made in user space: what receivers get, and what senders have to send. */
#include <endian.h>
#include <string.h>

#include "bench.h"

#define HEADER	5
#define TAG	16
#define DATA	23

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

static void put64(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof(v));
}

void key_make(struct key *key, const struct test *test)
{
	const struct suite *suite = test->suite;
	struct tls_crypto_info info = {
		.version = test->version,
		.cipher_type = suite->cipher,
	};
	EVP_CIPHER *cipher;
	size_t i;

	memset(key, 0, sizeof(*key));
	key->test = test;
	memcpy(key->raw, &info, sizeof(info));
	key->iv = key->raw + sizeof(info);
	key->key = key->iv + suite->iv_len;
	key->salt = key->key + suite->key_len;
	key->seq = key->salt + suite->salt_len;
	key->len = key->seq + 8 - key->raw;
	for (i = sizeof(info); i < key->len - 8; i++)
		key->raw[i] = i * 89 + 7;

	cipher = EVP_CIPHER_fetch(NULL, suite->evp, NULL);
	key->ctx = EVP_CIPHER_CTX_new();
	if (!cipher || !key->ctx ||
	    !EVP_EncryptInit_ex2(key->ctx, cipher, key->key, NULL, NULL))
		fail("no %s in OpenSSL", suite->evp);
	EVP_CIPHER_free(cipher);
}

/* Only GCM of TLS 1.2 has a nonce in its records. */
static size_t nonce_len(const struct test *test)
{
	return test->version == TLS_1_2_VERSION && test->suite->salt_len ? 8 : 0;
}

static size_t inner_len(const struct test *test, size_t len)
{
	return len + (test->version == TLS_1_3_VERSION);
}

size_t sealed_size(const struct test *test, size_t len)
{
	size_t records = (len + RECORD - 1) / RECORD;

	return records * (HEADER + nonce_len(test) + inner_len(test, 0) + TAG) + len;
}

size_t seal(struct key *key, const uint8_t *data, size_t len, uint8_t *out)
{
	const struct test *test = key->test;
	size_t nonce = nonce_len(test), body = inner_len(test, len), i;
	uint64_t seq = get64(key->seq) + key->records;
	uint8_t iv[12], aad[13], *text = out + HEADER + nonce;
	uint16_t length;
	int n, aad_len, ok;

	memcpy(iv, key->salt, test->suite->salt_len);
	memcpy(iv + test->suite->salt_len, key->iv, test->suite->iv_len);
	if (nonce) {
		put64(iv + 4, get64(key->iv) + key->records);
		memcpy(out + HEADER, iv + 4, nonce);
	} else {
		for (i = 0; i < 8; i++)
			iv[4 + i] ^= seq >> (56 - 8 * i);
	}
	out[0] = DATA;
	out[1] = 3;
	out[2] = 3;
	length = htobe16(nonce + body + TAG);
	memcpy(out + 3, &length, 2);

	if (test->version == TLS_1_3_VERSION) {
		memcpy(aad, out, HEADER);
		aad_len = HEADER;
	} else {
		put64(aad, seq);
		memcpy(aad + 8, out, 3);
		length = htobe16(len);
		memcpy(aad + 11, &length, 2);
		aad_len = 13;
	}
	memcpy(text, data, len);
	if (body > len)
		text[len] = DATA;
	ok = EVP_EncryptInit_ex2(key->ctx, NULL, NULL, iv, NULL) &&
	     EVP_EncryptUpdate(key->ctx, NULL, &n, aad, aad_len) &&
	     EVP_EncryptUpdate(key->ctx, text, &n, text, body) &&
	     EVP_EncryptFinal_ex(key->ctx, text + body, &n) &&
	     EVP_CIPHER_CTX_ctrl(key->ctx, EVP_CTRL_AEAD_GET_TAG, TAG, text + body);
	if (!ok)
		fail("OpenSSL cannot encrypt");
	key->records++;
	return HEADER + nonce + body + TAG;
}

/* As many records as it takes, all full but the last. */
size_t seal_all(struct key *key, const uint8_t *data, size_t len, uint8_t *out)
{
	size_t done = 0, n;

	while (len) {
		n = len < RECORD ? len : RECORD;
		done += seal(key, data, n, out + done);
		data += n;
		len -= n;
	}
	return done;
}
