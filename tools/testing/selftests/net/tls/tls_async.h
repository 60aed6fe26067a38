/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Asynchronous crypto. cryptd and pcrypt make an asynchronous gcm(aes) out of the
 * one that the kernel would use; having a higher priority, it is what new TLS
 * sockets get. An instance is made through the configuration interface of the
 * crypto layer and has to be removed again; one that stays is used by all
 * programs that run later.
 */
#ifndef TLS_ASYNC_H
#define TLS_ASYNC_H

struct tls_async {
	char driver[64];
	int refcnt;
	char why[128];		/* it could not be made */
};

/* Makes template(gcm(aes)) what new sockets get, or says why it cannot. */
int tls_async_begin(struct tls_async *a, const char *template);
/* Sockets were opened since, and they use it. */
int tls_async_in_use(struct tls_async *a);
/* Removes it. All sockets that have used it are closed. */
int tls_async_end(struct tls_async *a);

#endif /* TLS_ASYNC_H */
