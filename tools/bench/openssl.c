// SPDX-License-Identifier: GPL-2.0
/* TLS in user space, what there is to use instead of the kernel's. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "bench.h"

static void openssl_fail(const char *what)
{
	fail("OpenSSL, %s: %s", what, ERR_reason_error_string(ERR_get_error()));
}

static void make_certificate(SSL_CTX *ctx)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);

	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const void *)"bench", -1, -1, 0);
	if (!key || !X509_set_issuer_name(cert, name) || !X509_set_pubkey(cert, key) ||
	    !X509_sign(cert, key, EVP_sha256()) ||
	    SSL_CTX_use_certificate(ctx, cert) != 1 || SSL_CTX_use_PrivateKey(ctx, key) != 1)
		openssl_fail("certificate");
	X509_free(cert);
	EVP_PKEY_free(key);
}

static SSL *make_ssl(const struct test *test, bool server, int fd)
{
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	int version = test->version == TLS_1_3_VERSION ? TLS1_3_VERSION : TLS1_2_VERSION;
	SSL *ssl;

	if (!ctx || !SSL_CTX_set_min_proto_version(ctx, version) ||
	    !SSL_CTX_set_max_proto_version(ctx, version) ||
	    !SSL_CTX_set_cipher_list(ctx, test->suite->openssl_12) ||
	    !SSL_CTX_set_ciphersuites(ctx, test->suite->openssl_13))
		openssl_fail("context");
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_read_ahead(ctx, 1);
	if (server)
		make_certificate(ctx);
	ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	if (!ssl || !SSL_set_fd(ssl, fd))
		openssl_fail("socket");
	if (server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return ssl;
}

static bool handshake_step(SSL *ssl)
{
	int result = SSL_do_handshake(ssl);

	if (result != 1 && SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ)
		openssl_fail("handshake");
	return result == 1;
}

void openssl_pair(const struct test *test, struct end *a, struct end *b)
{
	bool a_done = false, b_done = false;
	int flags = fcntl(a->fd, F_GETFL), i;

	a->ssl = make_ssl(test, false, a->fd);
	b->ssl = make_ssl(test, true, b->fd);
	fcntl(a->fd, F_SETFL, flags | O_NONBLOCK);
	fcntl(b->fd, F_SETFL, flags | O_NONBLOCK);
	for (i = 0; i < 20 && !(a_done && b_done); i++) {
		a_done = handshake_step(a->ssl);
		b_done = handshake_step(b->ssl);
	}
	if (!a_done || !b_done)
		fail("OpenSSL: the handshake does not end");
	fcntl(a->fd, F_SETFL, flags);
	fcntl(b->fd, F_SETFL, flags);
}

/* From now on what is written goes to memory. */
void openssl_capture(struct end *from)
{
	SSL_set0_wbio(from->ssl, BIO_new(BIO_s_mem()));
}

size_t openssl_seal(struct end *from, const uint8_t *data, size_t len, uint8_t *out, size_t room)
{
	int n;

	if (SSL_write(from->ssl, data, len) != (int)len)
		openssl_fail("SSL_write");
	n = BIO_read(SSL_get_wbio(from->ssl), out, room);
	if (n <= 0 || BIO_pending(SSL_get_wbio(from->ssl)))
		fail("OpenSSL: no room for a record");
	return n;
}
