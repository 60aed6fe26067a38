// SPDX-License-Identifier: GPL-2.0
#include <endian.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tls_writer.h"

int tls_writer_rekey(struct tls_writer *w, const struct tls_key *k)
{
	w->key = *k;
	w->seq = tls_key_get_seq(&w->key);
	EVP_CIPHER_free(w->cipher);
	w->cipher = EVP_CIPHER_fetch(NULL, k->suite->evp, NULL);
	if (!w->cipher)
		return tls_wrong("libcrypto has no %s", k->suite->evp);
	return 0;
}

int tls_writer_init(struct tls_writer *w, int fd, const struct tls_key *k)
{
	memset(w, 0, sizeof(*w));
	w->fd = fd;
	w->ctx = EVP_CIPHER_CTX_new();
	w->wire = malloc(TLS_WRITER_ROOM);
	if (!w->ctx || !w->wire)
		return tls_wrong("no memory for a writer");
	return tls_writer_rekey(w, k);
}

void tls_writer_free(struct tls_writer *w)
{
	EVP_CIPHER_CTX_free(w->ctx);
	EVP_CIPHER_free(w->cipher);
	free(w->wire);
	memset(w, 0, sizeof(*w));
}

size_t tls_wire_len(const uint8_t *p)
{
	return TLS_HEADER + (p[3] << 8 | p[4]);
}

/* text[0..len) is encrypted where it is, and the tag put behind it. */
static int seal_aead(struct tls_writer *w, const uint8_t nonce[12],
		     const uint8_t *aad, int aad_len, uint8_t *text, int len)
{
	const uint8_t *key = tls_key_key(&w->key);
	EVP_CIPHER_CTX *c = w->ctx;
	bool ccm = w->key.suite->ccm;
	int n;

	if (EVP_CIPHER_CTX_reset(c) != 1 ||
	    EVP_EncryptInit_ex2(c, w->cipher, NULL, NULL, NULL) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL) != 1 ||
	    (ccm && EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TLS_TAG,
					NULL) != 1) ||
	    EVP_EncryptInit_ex2(c, NULL, key, nonce, NULL) != 1 ||
	    (ccm && EVP_EncryptUpdate(c, NULL, &n, NULL, len) != 1) ||
	    EVP_EncryptUpdate(c, NULL, &n, aad, aad_len) != 1 ||
	    EVP_EncryptUpdate(c, text, &n, text, len) != 1 || n != len ||
	    EVP_EncryptFinal_ex(c, text + len, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TLS_TAG,
				text + len) != 1)
		return tls_wrong("libcrypto cannot seal with %s",
				 w->key.suite->evp);
	return 0;
}

uint8_t *tls_put_odd(struct tls_writer *w, uint8_t outer, uint8_t type,
		     const void *data, size_t len, size_t pad)
{
	const struct tls_suite *s = w->key.suite;
	bool is13 = w->key.info.version == TLS_1_3_VERSION;
	size_t explicit_len = is13 ? 0 : s->nonce_len;
	uint8_t *p = w->wire + w->len, *body = p + TLS_HEADER;
	uint8_t *text = body + explicit_len;
	uint8_t nonce[12], aad[13];
	uint64_t any;
	size_t size;
	int aad_len;

	if (w->len + TLS_HEADER + explicit_len + len + 1 + pad + TLS_TAG >
	    TLS_WRITER_ROOM) {
		tls_wrong("too much for the writer");
		return NULL;
	}
	/* Nobody may expect that explicit nonces are a counter. */
	any = htobe64((w->seq + 1) * 0x9e3779b97f4a7c15ULL);
	memcpy(body, &any, explicit_len);
	memcpy(text, data, len);
	size = len;
	if (is13) {
		text[size++] = type;
		memset(text + size, 0, pad);
		size += pad;
	}
	p[0] = outer;
	p[1] = 3;
	p[2] = 3;
	p[3] = (explicit_len + size + TLS_TAG) >> 8;
	p[4] = explicit_len + size + TLS_TAG;
	tls_make_nonce(&w->key, w->seq, body, nonce);
	aad_len = tls_make_aad(&w->key, w->seq, p, size, aad);
	if (seal_aead(w, nonce, aad, aad_len, text, size))
		return NULL;
	w->seq++;
	w->len += tls_wire_len(p);
	return p;
}

uint8_t *tls_put(struct tls_writer *w, uint8_t type, const void *data,
		 size_t len)
{
	bool is13 = w->key.info.version == TLS_1_3_VERSION;

	return tls_put_odd(w, is13 ? TLS_DATA : type, type, data, len, 0);
}

int tls_push_some(struct tls_writer *w, size_t len)
{
	ssize_t n;

	if (len > w->len - w->pushed)
		return tls_wrong("no %zu bytes to push", len);
	while (len) {
		n = send(w->fd, w->wire + w->pushed, len, MSG_NOSIGNAL);
		if (n <= 0)
			return tls_wrong("pushing %zu bytes: %s", len,
					 strerror(errno));
		w->pushed += n;
		len -= n;
	}
	if (w->pushed == w->len) {
		w->pushed = 0;
		w->len = 0;
	}
	return 0;
}

int tls_push(struct tls_writer *w)
{
	return tls_push_some(w, w->len - w->pushed);
}

int tls_write(struct tls_writer *w, uint8_t type, const void *data, size_t len)
{
	return tls_put(w, type, data, len) ? tls_push(w) : -1;
}

int tls_settle(int fd)
{
	int i, left;

	for (i = 0; i < TLS_PATIENCE_S * 1000; i++) {
		if (ioctl(fd, SIOCOUTQ, &left))
			return tls_wrong("SIOCOUTQ: %s", strerror(errno));
		if (!left)
			return 0;
		usleep(1000);
	}
	return tls_wrong("%d bytes are not acknowledged", left);
}

int tls_set_rx(int fd, const struct tls_key *k)
{
	return setsockopt(fd, SOL_TLS, TLS_RX, k->raw, k->len);
}

int tls_inlet_open_plain(struct tls_inlet *l, int family, uint16_t version,
			 uint16_t cipher)
{
	int on = 1;

	memset(l, 0, sizeof(*l));
	tls_key_make(&l->key, version, cipher, 2);
	if (tls_tcp_pair(family, l->fd))
		return -1;
	/* A push is a segment. */
	setsockopt(l->fd[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return tls_writer_init(&l->w, l->fd[0], &l->key);
}

int tls_inlet_open(struct tls_inlet *l, int family, uint16_t version,
		   uint16_t cipher)
{
	int err;

	if (tls_inlet_open_plain(l, family, version, cipher))
		return -1;
	if (!tls_attach(l->fd[1]) && !tls_set_rx(l->fd[1], &l->key))
		return 0;
	err = errno;
	tls_inlet_close(l);
	errno = err;
	return -1;
}

void tls_inlet_close(struct tls_inlet *l)
{
	int i;

	tls_writer_free(&l->w);
	for (i = 0; i < 2; i++) {
		if (l->fd[i] >= 0)
			close(l->fd[i]);
		l->fd[i] = -1;
	}
}

struct tls_got tls_recv(int fd, void *buf, size_t len, int flags)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	union {
		struct cmsghdr head;
		uint8_t space[CMSG_SPACE(1)];
	} control = {};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct tls_got got = { .type = -1 };
	struct cmsghdr *c;

	got.n = recvmsg(fd, &msg, flags);
	if (got.n < 0) {
		got.err = errno;
		return got;
	}
	got.flags = msg.msg_flags;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_TLS &&
	    c->cmsg_type == TLS_GET_RECORD_TYPE &&
	    c->cmsg_len == CMSG_LEN(1))
		got.type = *CMSG_DATA(c);
	return got;
}

int tls_expect_got(int fd, uint8_t type, const void *data, size_t len,
		   int flags)
{
	uint8_t *buf = malloc(len + 100);
	struct tls_got got = tls_recv(fd, buf, len + 100, flags);
	int ret = -1;

	if (got.n < 0)
		tls_wrong("%s instead of %zu bytes", strerror(got.err), len);
	else if (got.n != (ssize_t)len)
		tls_wrong("%zd bytes of type %d instead of %zu", got.n,
			  got.type, len);
	else if (got.type != type)
		tls_wrong("%zd bytes of type %d instead of %u", got.n, got.type,
			  type);
	else
		ret = tls_compare(buf, data, len, "plaintext");
	free(buf);
	return ret;
}

int tls_expect_bytes(int fd, const void *data, size_t len)
{
	uint8_t *buf = malloc(len + 1);
	size_t done;
	ssize_t n;
	int ret = -1;

	for (done = 0; done < len; done += n) {
		n = recv(fd, buf + done, len - done, 0);
		if (n <= 0)
			break;
	}
	if (done < len)
		tls_wrong("%s after %zu of %zu bytes",
			  n ? strerror(errno) : "end of stream", done, len);
	else
		ret = tls_compare(buf, data, len, "plaintext");
	free(buf);
	return ret;
}

int tls_expect_error(int fd, int err, int flags)
{
	uint8_t buf[100];
	ssize_t n = recv(fd, buf, sizeof(buf), flags);

	if (n >= 0)
		return tls_wrong("recv gives %zd instead of %s", n,
				 strerror(err));
	if (errno != err)
		return tls_wrong("%s instead of %s", strerror(errno),
				 strerror(err));
	return 0;
}

int tls_expect_end(int fd)
{
	uint8_t buf[100];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	if (n < 0)
		return tls_wrong("%s instead of the end", strerror(errno));
	if (n)
		return tls_wrong("recv gives %zd instead of the end", n);
	return 0;
}

int tls_expect_events(int fd, int events, int ms)
{
	struct pollfd p = { .fd = fd };

	p.events = POLLIN | POLLRDNORM | POLLRDHUP | POLLPRI;
	poll(&p, 1, ms);
	if (p.revents != events)
		return tls_wrong("events %x instead of %x", p.revents, events);
	return 0;
}
