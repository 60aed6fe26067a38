// SPDX-License-Identifier: GPL-2.0
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tls_common.h"

int tls_wrong(const char *fmt, ...)
{
	va_list ap;

	/* One write, in KTAP's form of a diagnostic line. */
	char line[256] = "# ";

	va_start(ap, fmt);
	vsnprintf(line + 2, sizeof(line) - 3, fmt, ap);
	va_end(ap);
	strcat(line, "\n");
	fputs(line, stderr);
	return -1;
}

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

/*
 * libcrypto starts up slowly, and the harness runs each test in a child: let all
 * of them inherit it.
 */
static void __attribute__((constructor)) warm_up(void)
{
	EVP_CIPHER_free(EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL));
}

int tls_reader_rekey(struct tls_reader *r, const struct tls_key *k)
{
	r->key = *k;
	r->seq = tls_key_get_seq(&r->key);
	r->nonce = get64(tls_key_iv(&r->key));
	EVP_CIPHER_free(r->cipher);
	r->cipher = EVP_CIPHER_fetch(NULL, k->suite->evp, NULL);
	if (!r->cipher)
		return tls_wrong("libcrypto has no %s", k->suite->evp);
	return 0;
}

int tls_reader_init(struct tls_reader *r, int fd, const struct tls_key *k)
{
	memset(r, 0, sizeof(*r));
	r->fd = fd;
	r->ctx = EVP_CIPHER_CTX_new();
	if (!r->ctx)
		return tls_wrong("no memory for a cipher context");
	return tls_reader_rekey(r, k);
}

void tls_reader_free(struct tls_reader *r)
{
	EVP_CIPHER_CTX_free(r->ctx);
	EVP_CIPHER_free(r->cipher);
	r->ctx = NULL;
	r->cipher = NULL;
}

/* All of len, or nothing because the stream has ended. */
static int read_all(int fd, uint8_t *buf, size_t len, const char *what)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = recv(fd, buf + done, len - done, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return tls_wrong("reading %s: %s after %zu of %zu bytes",
					 what, strerror(errno), done, len);
		if (n == 0)
			break;
		done += n;
	}
	if (done && done < len)
		return tls_wrong("stream ends after %zu of %zu bytes of %s", done,
				 len, what);
	return done ? 1 : 0;
}

static bool is13(const struct tls_key *k)
{
	return k->info.version == TLS_1_3_VERSION;
}

void tls_make_nonce(struct tls_key *k, uint64_t seq,
		    const uint8_t *explicit_nonce, uint8_t nonce[12])
{
	const struct tls_suite *s = k->suite;
	uint8_t bytes[8];
	int i;

	memcpy(nonce, tls_key_salt(k), s->salt_len);
	memcpy(nonce + s->salt_len, tls_key_iv(k), s->iv_len);
	if (!is13(k) && s->nonce_len) {
		memcpy(nonce + s->salt_len, explicit_nonce, s->nonce_len);
		return;
	}
	put64(bytes, seq);
	for (i = 0; i < 8; i++)
		nonce[4 + i] ^= bytes[i];
}

int tls_make_aad(const struct tls_key *k, uint64_t seq, const uint8_t *header,
		 size_t len, uint8_t aad[13])
{
	if (is13(k)) {
		memcpy(aad, header, TLS_HEADER);
		return TLS_HEADER;
	}
	put64(aad, seq);
	memcpy(aad + 8, header, 3);
	aad[11] = len >> 8;
	aad[12] = len;
	return 13;
}

static int open_aead(struct tls_reader *r, const uint8_t nonce[12],
		     const uint8_t *aad, int aad_len, uint8_t *in, int len,
		     uint8_t *out)
{
	const uint8_t *key = tls_key_key(&r->key);
	EVP_CIPHER_CTX *c = r->ctx;
	uint8_t *tag = in + len;
	bool ccm = r->key.suite->ccm;
	int n, m;

	if (EVP_CIPHER_CTX_reset(c) != 1 ||
	    EVP_DecryptInit_ex2(c, r->cipher, NULL, NULL, NULL) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TLS_TAG, tag) != 1 ||
	    EVP_DecryptInit_ex2(c, NULL, key, nonce, NULL) != 1)
		return tls_wrong("libcrypto cannot set up %s", r->key.suite->evp);
	/* CCM wants to know the length first, and checks the tag at once. */
	if (ccm && EVP_DecryptUpdate(c, NULL, &n, NULL, len) != 1)
		return tls_wrong("libcrypto refuses a length of %d", len);
	if (EVP_DecryptUpdate(c, NULL, &n, aad, aad_len) != 1)
		return tls_wrong("libcrypto refuses additional data");
	if (EVP_DecryptUpdate(c, out, &n, in, len) != 1 || n != len)
		return -1;
	if (!ccm && EVP_DecryptFinal_ex(c, out + n, &m) != 1)
		return -1;
	return 0;
}

int tls_read_record(struct tls_reader *r)
{
	const struct tls_suite *s = r->key.suite;
	size_t explicit_len = is13(&r->key) ? 0 : s->nonce_len;
	size_t inner_len = is13(&r->key) ? 1 : 0;
	uint8_t *body = r->wire + TLS_HEADER;
	uint8_t nonce[12], aad[13];
	size_t body_len, len;
	int ret, aad_len;

	ret = read_all(r->fd, r->wire, TLS_HEADER, "a record header");
	if (ret <= 0)
		return ret;
	body_len = r->wire[3] << 8 | r->wire[4];
	r->wire_len = TLS_HEADER + body_len;
	if (r->wire[1] != 3 || r->wire[2] != 3)
		return tls_wrong("record says version %u.%u", r->wire[1],
				 r->wire[2]);
	/* The kernel never makes an empty record. */
	if (body_len < explicit_len + inner_len + TLS_TAG + 1 ||
	    body_len > explicit_len + inner_len + TLS_TAG + TLS_PLAIN_MAX)
		return tls_wrong("record says length %zu", body_len);
	if (read_all(r->fd, body, body_len, "a record") != 1)
		return tls_wrong("no body of %zu bytes after the header", body_len);

	if (explicit_len && get64(body) != r->nonce)
		return tls_wrong("explicit nonce %016jx instead of %016jx",
				 (uintmax_t)get64(body), (uintmax_t)r->nonce);
	tls_make_nonce(&r->key, r->seq, body, nonce);
	len = body_len - explicit_len - TLS_TAG;
	aad_len = tls_make_aad(&r->key, r->seq, r->wire, len, aad);
	if (open_aead(r, nonce, aad, aad_len, body + explicit_len, len,
		      r->data))
		return tls_wrong("record of %zu bytes with sequence %016jx: bad tag",
				 len, (uintmax_t)r->seq);
	r->type = r->wire[0];
	if (is13(&r->key)) {
		if (r->type != TLS_DATA)
			return tls_wrong("outer type %u", r->type);
		/* No padding, so the type is the last byte, even if it is 0. */
		r->type = r->data[--len];
	}
	r->len = len;
	r->seq++;
	r->nonce++;
	return 1;
}

int tls_compare(const uint8_t *got, const uint8_t *want, size_t len,
		const char *what)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (got[i] != want[i])
			return tls_wrong("%s differs at byte %zu of %zu: %02x, not %02x",
					 what, i, len, got[i], want[i]);
	return 0;
}

int tls_expect_record(struct tls_reader *r, uint8_t type, const void *data,
		      size_t len)
{
	int ret = tls_read_record(r);

	if (ret < 0)
		return -1;
	if (!ret)
		return tls_wrong("end of stream instead of %zu bytes", len);
	if (r->type != type)
		return tls_wrong("record type %u instead of %u", r->type, type);
	if (r->len != len)
		return tls_wrong("record of %zu bytes instead of %zu", r->len, len);
	return tls_compare(r->data, data, len, "plaintext");
}

int tls_expect_records(struct tls_reader *r, uint8_t type, const void *data,
		       size_t len, size_t limit)
{
	size_t done, part;

	for (done = 0; done < len; done += part) {
		part = len - done < limit ? len - done : limit;
		if (tls_expect_record(r, type, (const uint8_t *)data + done,
				      part))
			return tls_wrong("... after %zu of %zu bytes", done, len);
	}
	return 0;
}

int tls_expect_stream(struct tls_reader *r, const void *data, size_t len)
{
	size_t done = 0;
	int ret;

	while (done < len) {
		ret = tls_read_record(r);
		if (ret < 0)
			return -1;
		if (!ret)
			return tls_wrong("stream ends after %zu of %zu bytes", done,
					 len);
		if (r->type != TLS_DATA || r->len > len - done)
			return tls_wrong("record of type %u, %zu bytes, after %zu of %zu",
					 r->type, r->len, done, len);
		if (tls_compare(r->data, (const uint8_t *)data + done, r->len,
				"plaintext"))
			return tls_wrong("... after %zu of %zu bytes", done, len);
		done += r->len;
	}
	return 0;
}

int tls_expect_eof(struct tls_reader *r)
{
	int ret = tls_read_record(r);

	if (ret > 0)
		return tls_wrong("record of type %u, %zu bytes, instead of the end",
				 r->type, r->len);
	return ret;
}

int tls_expect_quiet(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLRDHUP };
	uint8_t buf[64];
	ssize_t n;

	if (poll(&p, 1, ms) == 0)
		return 0;
	n = recv(fd, buf, sizeof(buf), MSG_PEEK | MSG_DONTWAIT);
	return tls_wrong("something instead of silence: events %x, recv gives %zd",
			 p.revents, n);
}

int tls_expect_plain(int fd, const void *data, size_t len)
{
	uint8_t *buf = malloc(len + 1);
	int ret = -1;

	if (!buf)
		return tls_wrong("no memory for %zu bytes", len);
	if (!len || read_all(fd, buf, len, "plain data") == 1)
		ret = tls_compare(buf, data, len, "plain data");
	else
		tls_wrong("no %zu bytes of plain data", len);
	free(buf);
	return ret;
}

int tls_link_open(struct tls_link *l, int family, uint16_t version,
		  uint16_t cipher)
{
	tls_key_make(&l->key, version, cipher, 1);
	if (tls_tx_pair(family, &l->key, l->fd)) {
		l->fd[0] = -1;
		l->fd[1] = -1;
		return -1;
	}
	return tls_reader_init(&l->r, l->fd[1], &l->key);
}

int tls_link_finish(struct tls_link *l)
{
	if (shutdown(l->fd[0], SHUT_WR))
		return tls_wrong("shutdown: %s", strerror(errno));
	return tls_expect_eof(&l->r);
}

void tls_link_close(struct tls_link *l)
{
	tls_reader_free(&l->r);
	if (l->fd[0] >= 0)
		close(l->fd[0]);
	if (l->fd[1] >= 0)
		close(l->fd[1]);
}
