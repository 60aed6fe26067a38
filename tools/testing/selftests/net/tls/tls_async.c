// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <linux/cryptouser.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tls_async.h"
#include "tls_common.h"

#define TYPE_AEAD	3	/* the crypto layer's numbers, not in its UAPI */
#define TYPE_MASK	0xf

struct alg {
	char driver[64];
	int priority, refcnt;
	bool async;
};

/* The gcm(aes) with the highest priority: what a new socket would get. */
static struct alg best_gcm(void)
{
	struct alg a = {}, best = { .priority = -1 };
	FILE *f = fopen("/proc/crypto", "r");
	char line[256], key[32], value[64];
	bool gcm = false;

	/* An empty line follows each algorithm. */
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%31s : %63s", key, value) != 2) {
			if (gcm && a.priority > best.priority)
				best = a;
			gcm = false;
		} else if (!strcmp(key, "name")) {
			gcm = !strcmp(value, "gcm(aes)");
		} else if (!strcmp(key, "driver")) {
			memcpy(a.driver, value, sizeof(value));
		} else if (!strcmp(key, "priority")) {
			a.priority = atoi(value);
		} else if (!strcmp(key, "refcnt")) {
			a.refcnt = atoi(value);
		} else if (!strcmp(key, "async")) {
			a.async = !strcmp(value, "yes");
		}
	}
	if (f)
		fclose(f);
	return best;
}

/* Make or remove an instance. Returns 0 or an errno value. */
static int configure(int what, const char *driver)
{
	struct {
		struct nlmsghdr nlh;
		struct crypto_user_alg alg;
	} q = {
		.nlh.nlmsg_len = sizeof(q),
		.nlh.nlmsg_type = what,
		.nlh.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		.alg.cru_type = TYPE_AEAD,
		.alg.cru_mask = TYPE_MASK,
	};
	struct {
		struct nlmsghdr nlh;
		struct nlmsgerr err;
	} a = {};
	int nl = socket(AF_NETLINK, SOCK_RAW, NETLINK_CRYPTO);
	int ret = EPROTONOSUPPORT;

	if (nl < 0)
		return errno;
	snprintf(q.alg.cru_name, sizeof(q.alg.cru_name), "gcm(aes)");
	snprintf(q.alg.cru_driver_name, sizeof(q.alg.cru_driver_name), "%s",
		 driver);
	if (send(nl, &q, sizeof(q), 0) == sizeof(q) &&
	    recv(nl, &a, sizeof(a), 0) > 0 && a.nlh.nlmsg_type == NLMSG_ERROR)
		ret = -a.err.error;
	close(nl);
	return ret;
}

int tls_async_begin(struct tls_async *a, const char *template)
{
	struct alg best = best_gcm();
	int i, err;

	memset(a, 0, sizeof(*a));
	if (best.async) {
		snprintf(a->why, sizeof(a->why),
			 "gcm(aes) is asynchronous already");
		return -1;
	}
	snprintf(a->driver, sizeof(a->driver), "%.20s(%.40s)", template,
		 best.driver);
	err = configure(CRYPTO_MSG_NEWALG, a->driver);
	if (err) {
		snprintf(a->why, sizeof(a->why), "no %s: %s", a->driver,
			 strerror(err));
		return -1;
	}
	/* What made it lets it go soon. */
	for (i = 0; i < 100; i++) {
		best = best_gcm();
		if (best.refcnt == 1)
			break;
		usleep(i * 1000);
	}
	a->refcnt = best.refcnt;
	if (strcmp(a->driver, best.driver) || !best.async) {
		snprintf(a->why, sizeof(a->why), "%s is not preferred",
			 a->driver);
		tls_async_end(a);
		return -1;
	}
	return 0;
}

int tls_async_in_use(struct tls_async *a)
{
	if (best_gcm().refcnt > a->refcnt)
		return 0;
	return tls_wrong("nobody uses %s", a->driver);
}

int tls_async_end(struct tls_async *a)
{
	int i, err = EBUSY;

	/* Nothing of a closed socket keeps the driver busy for long. */
	for (i = 0; i < 100 && err == EBUSY; i++) {
		usleep(i * 1000);
		err = configure(CRYPTO_MSG_DELALG, a->driver);
	}
	return err ? tls_wrong("removing %s: %s", a->driver, strerror(err)) : 0;
}
