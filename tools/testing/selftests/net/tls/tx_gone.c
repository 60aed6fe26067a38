// SPDX-License-Identifier: GPL-2.0
/*
 * The connection ends under a sender and a reader that wait: neither an error nor
 * a count is lost.
 */
#include "kselftest_harness.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>

#include "tls_writer.h"

#define LEN	(4 << 20)

/* Does what "ss -K" does: ECONNABORTED. Returns -1 where the kernel cannot. */
static int destroy(int fd)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 r;
	} req = {
		.h = {
			.nlmsg_len = sizeof(req),
			.nlmsg_type = SOCK_DESTROY,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		},
		.r = {
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_states = -1,
			.id.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE },
		},
	};
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
		char more[256];
	} reply;
	struct sockaddr_storage us, peer;
	socklen_t len = sizeof(us), peer_len = sizeof(peer);
	int nl, ret = -1;

	if (getsockname(fd, (struct sockaddr *)&us, &len) ||
	    getpeername(fd, (struct sockaddr *)&peer, &peer_len))
		return -1;
	req.r.sdiag_family = us.ss_family;
	if (us.ss_family == AF_INET) {
		struct sockaddr_in *a = (void *)&us, *b = (void *)&peer;

		req.r.id.idiag_sport = a->sin_port;
		req.r.id.idiag_dport = b->sin_port;
		memcpy(req.r.id.idiag_src, &a->sin_addr, 4);
		memcpy(req.r.id.idiag_dst, &b->sin_addr, 4);
	} else {
		struct sockaddr_in6 *a = (void *)&us, *b = (void *)&peer;

		req.r.id.idiag_sport = a->sin6_port;
		req.r.id.idiag_dport = b->sin6_port;
		memcpy(req.r.id.idiag_src, &a->sin6_addr, 16);
		memcpy(req.r.id.idiag_dst, &b->sin6_addr, 16);
	}
	nl = socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
	if (send(nl, &req, sizeof(req), 0) == sizeof(req) &&
	    recv(nl, &reply, sizeof(reply), 0) >= (ssize_t)NLMSG_LENGTH(sizeof(int))) {
		errno = -reply.e.error;
		ret = reply.e.error ? -1 : 0;
	}
	close(nl);
	return ret;
}

FIXTURE(gone)
{
	struct tls_inlet l;
	struct tls_key tx;
	uint8_t *data;
};

FIXTURE_VARIANT(gone)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_FEW(gone);

/* fd[1] receives and sends; its peer is plain TCP, and does not read. */
FIXTURE_SETUP(gone)
{
	int size = 32768;

	signal(SIGPIPE, SIG_IGN);
	ASSERT_EQ(0, tls_inlet_open(&self->l, variant->family, variant->version,
				    variant->cipher));
	tls_key_make(&self->tx, variant->version, variant->cipher, 7);
	ASSERT_EQ(0, tls_set_tx(self->l.fd[1], &self->tx));
	ASSERT_EQ(0, setsockopt(self->l.fd[1], SOL_SOCKET, SO_SNDBUF, &size,
				sizeof(size)));
	ASSERT_EQ(0, setsockopt(self->l.fd[0], SOL_SOCKET, SO_RCVBUF, &size,
				sizeof(size)));
	self->data = calloc(1, LEN);
	ASSERT_NE(NULL, self->data);
}

FIXTURE_TEARDOWN(gone)
{
	tls_inlet_close(&self->l);
	free(self->data);
}

struct call {
	int fd;
	uint8_t *data;
	ssize_t n;
	int err;
	pthread_t thread;
};

static void *writes(void *arg)
{
	struct call *c = arg;

	c->n = send(c->fd, c->data, LEN, 0);
	c->err = c->n < 0 ? errno : 0;
	return NULL;
}

static void *reads(void *arg)
{
	static uint8_t buf[1000];
	struct call *c = arg;

	c->n = recv(c->fd, buf, sizeof(buf), 0);
	c->err = c->n < 0 ? errno : 0;
	return NULL;
}

static void begin(struct __test_metadata *_metadata, FIXTURE_DATA(gone) *self,
		  struct call *c, void *(*fn)(void *))
{
	*c = (struct call){ .fd = self->l.fd[1], .data = self->data };
	ASSERT_EQ(0, pthread_create(&c->thread, NULL, fn, c));
	usleep(200000);
}

TEST_F(gone, destroyed_under_writer)
{
	struct call w;

	TLS_OURS_ONLY("a writer that returns a count takes the error as well");
	begin(_metadata, self, &w, writes);
	if (destroy(w.fd))
		SKIP(return, "no SOCK_DESTROY: %s", strerror(errno));
	pthread_join(w.thread, NULL);
	EXPECT_LT(0, w.n);
	EXPECT_GT(LEN, w.n);
	/* The next call gets the error, and those behind it what is left then. */
	EXPECT_EQ(-1, send(w.fd, self->data, 1, 0));
	EXPECT_EQ(ECONNABORTED, errno);
	EXPECT_EQ(-1, send(w.fd, self->data, 1, 0));
	EXPECT_EQ(EPIPE, errno);
	/* Nothing that goes on in the background makes another error of it. */
	usleep(50000);
	EXPECT_EQ(0, recv(w.fd, self->data, 1, 0));
}

TEST_F(gone, destroyed_under_reader)
{
	struct call r;

	begin(_metadata, self, &r, reads);
	if (destroy(r.fd))
		SKIP(return, "no SOCK_DESTROY: %s", strerror(errno));
	pthread_join(r.thread, NULL);
	EXPECT_EQ(-1, r.n);
	EXPECT_EQ(ECONNABORTED, r.err);
	EXPECT_EQ(0, recv(r.fd, self->data, 1, 0));
}

/* One of them is told, or the next call. */
TEST_F(gone, destroyed_under_both)
{
	struct call r, w;
	bool told;

	TLS_OURS_ONLY("the writer takes the error and returns a count");
	begin(_metadata, self, &r, reads);
	begin(_metadata, self, &w, writes);
	if (destroy(r.fd))
		SKIP(return, "no SOCK_DESTROY: %s", strerror(errno));
	pthread_join(r.thread, NULL);
	pthread_join(w.thread, NULL);
	EXPECT_LT(0, w.n);
	told = r.n < 0 && r.err == ECONNABORTED;
	if (!told)
		told = send(w.fd, self->data, 1, 0) < 0 && errno == ECONNABORTED;
	EXPECT_TRUE(told);
}

/* What a reader finds wrong takes nothing from what a writer has got rid of. */
TEST_F(gone, forged_record_under_writer)
{
	struct call r, w;
	uint8_t *p;

	begin(_metadata, self, &r, reads);
	begin(_metadata, self, &w, writes);
	p = tls_put(&self->l.w, TLS_DATA, self->data, 100);
	ASSERT_NE(NULL, p);
	p[tls_wire_len(p) - 1] ^= 1;
	ASSERT_EQ(0, tls_push(&self->l.w));
	pthread_join(r.thread, NULL);
	pthread_join(w.thread, NULL);
	EXPECT_EQ(-1, r.n);
	EXPECT_EQ(EBADMSG, r.err);
	EXPECT_LT(0, w.n);
	EXPECT_GT(LEN, w.n);
}

TEST_HARNESS_MAIN
