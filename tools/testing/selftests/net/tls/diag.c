// SPDX-License-Identifier: GPL-2.0
/*
 * What an administrator sees of kernel TLS: /proc/net/tls_stat in each network
 * namespace, the name of the upper layer protocol, and what ss(8) shows from
 * inet_diag.
 */
#include "kselftest_harness.h"

#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/stat.h>

#include "tls_common.h"

static const char * const counters[] = {
	"TlsCurrTxSw", "TlsCurrRxSw", "TlsCurrTxDevice", "TlsCurrRxDevice",
	"TlsTxSw", "TlsRxSw", "TlsTxDevice", "TlsRxDevice", "TlsDecryptError",
	"TlsRxDeviceResync", "TlsDecryptRetry", "TlsRxNoPadViolation",
	"TlsRxRekeyOk", "TlsRxRekeyError", "TlsTxRekeyOk", "TlsTxRekeyError",
	"TlsRxRekeyReceived",
};

/* The sum of all counters, or -1. */
static long all_stats(void)
{
	long sum = 0, value;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(counters); i++) {
		value = tls_stat(counters[i]);
		if (value < 0)
			return -1;
		sum += value;
	}
	return sum;
}

/* Fixed for the programs that parse it: names, order, one line each. */
TEST(stat_format)
{
	char line[128], want[128];
	unsigned long value;
	FILE *f;
	size_t i;

	if (tls_own_network(0))
		SKIP(return, "needs the right to make a network namespace");
	f = fopen("/proc/net/tls_stat", "r");
	ASSERT_NE(NULL, f);
	for (i = 0; i < ARRAY_SIZE(counters); i++) {
		ASSERT_NE(NULL, fgets(line, sizeof(line), f));
		ASSERT_EQ(1, sscanf(line, "%*s %lu", &value));
		EXPECT_EQ(0ul, value);
		snprintf(want, sizeof(want), "%-32s\t%lu\n", counters[i], value);
		EXPECT_STREQ(want, line);
	}
	EXPECT_EQ(NULL, fgets(line, sizeof(line), f));
	fclose(f);
}

TEST(stat_mode)
{
	struct stat st;

	ASSERT_EQ(0, stat("/proc/net/tls_stat", &st));
	EXPECT_EQ((mode_t)(S_IFREG | 0444), st.st_mode);
}

/* A socket counts where it was made, also when it is closed from elsewhere. */
TEST(stat_namespaces)
{
	int a, b, one[2], two[2];
	struct tls_key k;

	tls_key_make(&k, TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128, 1);
	if (tls_own_network(0))
		SKIP(return, "needs the right to make a network namespace");
	a = open("/proc/self/ns/net", O_RDONLY);
	ASSERT_EQ(0, tls_tx_pair(AF_INET, &k, one));
	ASSERT_EQ(0, tls_tx_pair(AF_INET6, &k, two));
	EXPECT_EQ(2, tls_stat("TlsCurrTxSw"));
	EXPECT_EQ(2, tls_stat("TlsTxSw"));
	EXPECT_EQ(4, all_stats());

	ASSERT_EQ(0, tls_own_network(0));
	b = open("/proc/self/ns/net", O_RDONLY);
	EXPECT_EQ(0, all_stats());
	close(one[0]);
	EXPECT_EQ(0, all_stats());

	ASSERT_EQ(0, setns(a, CLONE_NEWNET));
	EXPECT_EQ(1, tls_stat("TlsCurrTxSw"));
	EXPECT_EQ(2, tls_stat("TlsTxSw"));
	close(two[0]);
	EXPECT_EQ(0, tls_stat("TlsCurrTxSw"));
	EXPECT_EQ(2, tls_stat("TlsTxSw"));
	EXPECT_EQ(2, all_stats());
	ASSERT_EQ(0, setns(b, CLONE_NEWNET));
	EXPECT_EQ(0, all_stats());
	close(one[1]);
	close(two[1]);
	close(a);
	close(b);
}

TEST(stat_values)
{
	struct tls_key k12, k13, other;
	int fd[2], p[2];

	tls_key_make(&k12, TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128, 1);
	tls_key_make(&k13, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128, 2);
	tls_key_make(&other, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_256, 3);
	if (tls_own_network(0))
		SKIP(return, "needs the right to make a network namespace");

	/* Neither the protocol alone nor a refused key is a session. */
	ASSERT_EQ(0, tls_tcp_pair(AF_INET, fd));
	ASSERT_EQ(0, tls_attach(fd[0]));
	k12.len--;
	EXPECT_EQ(-1, tls_set_tx(fd[0], &k12));
	k12.len++;
	EXPECT_EQ(0, all_stats());
	close(fd[0]);
	close(fd[1]);
	EXPECT_EQ(0, all_stats());

	/* 1.2 has no rekey: a second key is an error, and counted. */
	ASSERT_EQ(0, tls_tx_pair(AF_INET, &k12, fd));
	EXPECT_EQ(-1, tls_set_tx(fd[0], &k12));
	EXPECT_EQ(1, tls_stat("TlsTxRekeyError"));
	EXPECT_EQ(0, tls_stat("TlsTxRekeyOk"));
	EXPECT_EQ(1, tls_stat("TlsTxSw"));

	ASSERT_EQ(0, tls_tx_pair(AF_INET, &k13, p));
	EXPECT_EQ(0, tls_set_tx(p[0], &k13));
	EXPECT_EQ(0, tls_set_tx(p[0], &k13));
	EXPECT_EQ(2, tls_stat("TlsTxRekeyOk"));
	EXPECT_EQ(-1, tls_set_tx(p[0], &other));
	EXPECT_EQ(2, tls_stat("TlsTxRekeyError"));
	/* A new key is not a new session. */
	EXPECT_EQ(2, tls_stat("TlsTxSw"));
	EXPECT_EQ(2, tls_stat("TlsCurrTxSw"));

	/* Duplicates share the session; the last one ends it. */
	ASSERT_LE(0, dup2(p[0], p[1]));
	close(p[0]);
	EXPECT_EQ(2, tls_stat("TlsCurrTxSw"));
	close(p[1]);
	EXPECT_EQ(1, tls_stat("TlsCurrTxSw"));
	close(fd[1]);
	close(fd[0]);
	EXPECT_EQ(0, tls_stat("TlsCurrTxSw"));
	EXPECT_EQ(6, all_stats());
}

TEST(ulp_name)
{
	char name[16];
	socklen_t len;
	int fd[2];

	ASSERT_EQ(0, tls_tcp_pair(AF_INET, fd));
	len = sizeof(name);
	ASSERT_EQ(0, getsockopt(fd[0], IPPROTO_TCP, TCP_ULP, name, &len));
	EXPECT_EQ(0u, len);
	ASSERT_EQ(0, tls_attach(fd[0]));
	len = sizeof(name);
	ASSERT_EQ(0, getsockopt(fd[0], IPPROTO_TCP, TCP_ULP, name, &len));
	EXPECT_STREQ("tls", name);
	close(fd[0]);
	close(fd[1]);
}

/* An answer of inet_diag about one socket, and what it says of TLS. */
struct answer {
	int err;
	int state;
	bool ulp, tls, zerocopy, no_pad;
	char name[16];
	int version, cipher, txconf, rxconf, max_payload;
	uint8_t buf[8192];
};

static struct nlattr *attr(void *start, int len, int type)
{
	struct nlattr *a = start;

	while (len >= NLA_HDRLEN && a->nla_len >= NLA_HDRLEN && a->nla_len <= len) {
		if ((a->nla_type & NLA_TYPE_MASK) == type)
			return a;
		len -= NLA_ALIGN(a->nla_len);
		a = (void *)a + NLA_ALIGN(a->nla_len);
	}
	return NULL;
}

static struct nlattr *inside(struct nlattr *nest, int type)
{
	return attr((void *)nest + NLA_HDRLEN, nest->nla_len - NLA_HDRLEN, type);
}

static int number(struct nlattr *nest, int type)
{
	struct nlattr *a = inside(nest, type);
	uint16_t v;

	if (!a)
		return -1;
	if (a->nla_len != NLA_HDRLEN + sizeof(v))
		return -2;
	memcpy(&v, (void *)a + NLA_HDRLEN, sizeof(v));
	return v;
}

static void parse(struct answer *ans, struct inet_diag_msg *msg, int len)
{
	struct nlattr *ulp, *tls, *name;

	ans->state = msg->idiag_state;
	ulp = attr(msg + 1, len - sizeof(*msg), INET_DIAG_ULP_INFO);
	ans->ulp = ulp;
	if (!ulp)
		return;
	name = inside(ulp, INET_ULP_INFO_NAME);
	if (name && name->nla_len - NLA_HDRLEN < (int)sizeof(ans->name))
		memcpy(ans->name, (void *)name + NLA_HDRLEN,
		       name->nla_len - NLA_HDRLEN);
	tls = inside(ulp, INET_ULP_INFO_TLS);
	ans->tls = tls;
	if (!tls)
		return;
	ans->version = number(tls, TLS_INFO_VERSION);
	ans->cipher = number(tls, TLS_INFO_CIPHER);
	ans->txconf = number(tls, TLS_INFO_TXCONF);
	ans->rxconf = number(tls, TLS_INFO_RXCONF);
	ans->max_payload = number(tls, TLS_INFO_TX_MAX_PAYLOAD_LEN);
	ans->zerocopy = inside(tls, TLS_INFO_ZC_RO_TX);
	ans->no_pad = inside(tls, TLS_INFO_RX_NO_PAD);
}

static void set_id(struct inet_diag_sockid *id, int fd)
{
	struct sockaddr_in6 a[2] = {};
	socklen_t len = sizeof(a[0]);
	int i;

	getsockname(fd, (struct sockaddr *)&a[0], &len);
	len = sizeof(a[1]);
	getpeername(fd, (struct sockaddr *)&a[1], &len);
	id->idiag_sport = a[0].sin6_port;
	id->idiag_dport = a[1].sin6_port;
	for (i = 0; i < 2; i++) {
		void *to = i ? id->idiag_dst : id->idiag_src;

		if (a[i].sin6_family == AF_INET6)
			memcpy(to, &a[i].sin6_addr, 16);
		else
			memcpy(to, &((struct sockaddr_in *)&a[i])->sin_addr, 4);
	}
	memset(id->idiag_cookie, 0xff, sizeof(id->idiag_cookie));
}

/* Ask for the socket itself, or for all and pick it out like ss does. */
static void ask(struct answer *ans, int fd, int family, bool dump)
{
	struct {
		struct nlmsghdr nlh;
		struct inet_diag_req_v2 req;
	} q = {
		.nlh.nlmsg_len = sizeof(q),
		.nlh.nlmsg_type = SOCK_DIAG_BY_FAMILY,
		.nlh.nlmsg_flags = NLM_F_REQUEST | (dump ? NLM_F_DUMP : 0),
		.req.sdiag_family = family,
		.req.sdiag_protocol = IPPROTO_TCP,
		.req.idiag_ext = 1 << (INET_DIAG_INFO - 1),
		.req.idiag_states = -1,
	};
	int nl = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_SOCK_DIAG);
	struct inet_diag_sockid id = {};
	struct inet_diag_msg *msg;
	struct nlmsghdr *h;
	bool more = true;
	int len;

	memset(ans, 0, sizeof(*ans));
	set_id(&id, fd);
	if (!dump)
		q.req.id = id;
	if (send(nl, &q, sizeof(q), 0) != sizeof(q))
		ans->err = errno;
	while (more && !ans->err) {
		len = recv(nl, ans->buf, sizeof(ans->buf), 0);
		more = dump && len > 0;
		h = (struct nlmsghdr *)ans->buf;
		for (; len > 0 && NLMSG_OK(h, (unsigned int)len);
		     h = NLMSG_NEXT(h, len)) {
			if (h->nlmsg_type == NLMSG_DONE)
				more = false;
			if (h->nlmsg_type == NLMSG_ERROR)
				ans->err = -((struct nlmsgerr *)NLMSG_DATA(h))->error;
			msg = NLMSG_DATA(h);
			if (h->nlmsg_type == SOCK_DIAG_BY_FAMILY &&
			    msg->id.idiag_sport == id.idiag_sport &&
			    msg->id.idiag_dport == id.idiag_dport)
				parse(ans, msg, h->nlmsg_len - NLMSG_HDRLEN);
		}
	}
	close(nl);
}

FIXTURE(diag)
{
	int fd[2];
	struct tls_key key;
};

FIXTURE_VARIANT(diag)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS(diag);

FIXTURE_SETUP(diag)
{
	struct answer ans;

	tls_key_make(&self->key, variant->version, variant->cipher, 1);
	ASSERT_EQ(0, tls_tcp_pair(variant->family, self->fd));
	ask(&ans, self->fd[0], variant->family, false);
	if (ans.err == ENOENT)
		SKIP(return, "the kernel has no tcp_diag");
	ASSERT_EQ(0, ans.err);
	EXPECT_EQ(TCP_ESTABLISHED, ans.state);
	EXPECT_FALSE(ans.ulp);
}

FIXTURE_TEARDOWN(diag)
{
	close(self->fd[0]);
	close(self->fd[1]);
}

/* From nothing to a session that sends; dump and single question agree. */
TEST_F(diag, stages)
{
	struct answer ans;
	uint16_t limit = 1000;
	unsigned int on = 1;
	int dump;

	ASSERT_EQ(0, tls_attach(self->fd[0]));
	for (dump = 0; dump < 2; dump++) {
		ask(&ans, self->fd[0], variant->family, dump);
		EXPECT_STREQ("tls", ans.name);
		EXPECT_TRUE(ans.tls);
		EXPECT_EQ(-1, ans.version);
		EXPECT_EQ(-1, ans.cipher);
		EXPECT_EQ(TLS_CONF_BASE, ans.txconf);
		EXPECT_EQ(TLS_CONF_BASE, ans.rxconf);
		EXPECT_EQ(TLS_PLAIN_MAX, ans.max_payload);
	}

	ASSERT_EQ(0, tls_set_tx(self->fd[0], &self->key));
	ASSERT_EQ(0, setsockopt(self->fd[0], SOL_TLS, TLS_TX_MAX_PAYLOAD_LEN,
				&limit, sizeof(limit)));
	ASSERT_EQ(0, setsockopt(self->fd[0], SOL_TLS, TLS_TX_ZEROCOPY_RO, &on,
				sizeof(on)));
	for (dump = 0; dump < 2; dump++) {
		ask(&ans, self->fd[0], variant->family, dump);
		EXPECT_EQ(TCP_ESTABLISHED, ans.state);
		EXPECT_STREQ("tls", ans.name);
		EXPECT_EQ(variant->version, ans.version);
		EXPECT_EQ(variant->cipher, ans.cipher);
		EXPECT_EQ(TLS_CONF_SW, ans.txconf);
		EXPECT_EQ(TLS_CONF_BASE, ans.rxconf);
		EXPECT_EQ(1000, ans.max_payload);
		/* It is a matter of devices, and there is none. */
		EXPECT_FALSE(ans.zerocopy);
		EXPECT_FALSE(ans.no_pad);
	}
	ask(&ans, self->fd[1], variant->family, false);
	EXPECT_FALSE(ans.ulp);
}

/* Keys that were refused, as the kernel has no driver for them, are not there. */
TEST_F(diag, refused_keys)
{
	struct answer ans;
	struct tls_key key;

	tls_key_make(&key, TLS_1_2_VERSION, TLS_CIPHER_SM4_GCM, 1);
	ASSERT_EQ(0, tls_attach(self->fd[0]));
	if (!tls_set_tx(self->fd[0], &key))
		SKIP(return, "the kernel has a driver for SM4");
	ASSERT_EQ(ENOENT, errno);
	if (tls_is_ours()) {
		ask(&ans, self->fd[0], variant->family, false);
		EXPECT_EQ(-1, ans.version);
		EXPECT_EQ(-1, ans.cipher);
		EXPECT_EQ(TLS_CONF_BASE, ans.txconf);
	}
	/* They do not decide what comes next either. */
	ASSERT_EQ(0, tls_set_tx(self->fd[0], &self->key));
	ask(&ans, self->fd[0], variant->family, false);
	EXPECT_EQ(variant->version, ans.version);
	EXPECT_EQ(variant->cipher, ans.cipher);
}

TEST_F(diag, unprivileged)
{
	struct answer ans;

	ASSERT_EQ(0, tls_attach(self->fd[0]));
	ASSERT_EQ(0, tls_set_tx(self->fd[0], &self->key));
	if (setresuid(65534, 65534, 65534))
		SKIP(return, "needs the right to change the user");
	ask(&ans, self->fd[0], variant->family, false);
	EXPECT_STREQ("tls", ans.name);
	EXPECT_EQ(variant->cipher, ans.cipher);
	EXPECT_EQ(TLS_CONF_SW, ans.txconf);
}

TEST_HARNESS_MAIN
