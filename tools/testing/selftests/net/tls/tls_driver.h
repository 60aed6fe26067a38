/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A driver of gcm(aes) that does what a test wants: the module gcm_test, of which
 * tools/crypto-modules has the source, and a list of what can be set. As long as it is
 * loaded, new TLS sockets get it.
 *
 * It is loaded by modprobe, or else from the folder that TLS_TEST_MODULES names.
 */
#ifndef TLS_DRIVER_H
#define TLS_DRIVER_H

/* Loads it with these parameters. Returns 0, or -1 if there is none to be had. */
int tls_driver_load(const char *parameters);
/* All sockets that have used it are closed. */
int tls_driver_unload(void);

int tls_driver_set(const char *parameter, int value);
/* -1 if it cannot be read */
int tls_driver_get(const char *parameter);
/* Waits until it has been given that many requests since it was loaded. */
int tls_driver_wait(int requests);

#endif /* TLS_DRIVER_H */
