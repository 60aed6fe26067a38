// SPDX-License-Identifier: GPL-2.0
/*
 * KeyUpdate in TLS 1.3: the message is delivered, then reading pauses with
 * EKEYEXPIRED until TLS_RX brings the key of what comes next.
 */
#include "kselftest_harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tls_writer.h"

/* KeyUpdate, update_not_requested; NewSessionTicket, only its beginning. */
#define KEY_UPDATE	"\x18\0\0\1\0"
#define TICKET		"\x04\0\0\1\0"

static uint8_t data[64 << 10];

FIXTURE(rekey)
{
	struct tls_inlet l;
	struct tls_key next;
	long received, ok, error;
};

FIXTURE_VARIANT(rekey)
{
	uint16_t version;
	uint16_t cipher;
	int family;
};

TLS_VARIANTS_13(rekey);

FIXTURE_SETUP(rekey)
{
	tls_fill(data, sizeof(data), 180);
	self->received = tls_stat("TlsRxRekeyReceived");
	self->ok = tls_stat("TlsRxRekeyOk");
	self->error = tls_stat("TlsRxRekeyError");
	ASSERT_LE(0, self->received);
	ASSERT_LE(0, self->ok);
	ASSERT_LE(0, self->error);
	ASSERT_EQ(0, tls_inlet_open(&self->l, variant->family, variant->version,
				    variant->cipher));
	tls_key_make(&self->next, variant->version, variant->cipher, 50);
	tls_key_set_seq(&self->next, 0);
}

FIXTURE_TEARDOWN(rekey)
{
	tls_inlet_close(&self->l);
}

#define EXPECT_COUNTED(more_received, more_ok, more_errors) do { \
	EXPECT_EQ(self->received += (more_received), \
		  tls_stat("TlsRxRekeyReceived")); \
	EXPECT_EQ(self->ok += (more_ok), tls_stat("TlsRxRekeyOk")); \
	EXPECT_EQ(self->error += (more_errors), \
		  tls_stat("TlsRxRekeyError")); \
} while (0)

/* No reader gets further, and none is told to try. */
static int paused(int fd)
{
	int p[2], ret = 0;

	if (tls_expect_error(fd, EKEYEXPIRED, 0) ||
	    tls_expect_error(fd, EKEYEXPIRED, MSG_DONTWAIT) ||
	    tls_expect_error(fd, EKEYEXPIRED, MSG_PEEK) ||
	    tls_expect_error(fd, EKEYEXPIRED, MSG_WAITALL) ||
	    tls_expect_events(fd, 0, 0) || pipe(p))
		return -1;
	if (splice(fd, NULL, p[1], NULL, 100, 0) != -1 || errno != EKEYEXPIRED)
		ret = tls_wrong("splice: %s", strerror(errno));
	close(p[0]);
	close(p[1]);
	return ret;
}

static int works(struct tls_inlet *l)
{
	return tls_write(&l->w, TLS_DATA, data, 300) ||
	       tls_expect_got(l->fd[1], TLS_DATA, data, 300, 0);
}

TEST_F(rekey, pause)
{
	struct tls_key got = self->next;
	const int fd = self->l.fd[1];
	socklen_t len;

	ASSERT_EQ(0, works(&self->l));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_HANDSHAKE, KEY_UPDATE, 5));
	ASSERT_EQ(0, tls_expect_got(fd, TLS_HANDSHAKE, KEY_UPDATE, 5, 0));
	EXPECT_COUNTED(1, 0, 0);
	EXPECT_EQ(0, paused(fd));
	/* What comes meanwhile waits. */
	ASSERT_EQ(0, tls_writer_rekey(&self->l.w, &self->next));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	EXPECT_EQ(0, paused(fd));
	ASSERT_EQ(0, tls_set_rx(fd, &self->next));
	EXPECT_COUNTED(0, 1, 0);
	len = got.len;
	memset(got.raw, 0, sizeof(got.raw));
	ASSERT_EQ(0, getsockopt(fd, SOL_TLS, TLS_RX, got.raw, &len));
	EXPECT_EQ(0, memcmp(got.raw, self->next.raw, self->next.len));
	EXPECT_EQ(0, tls_expect_events(fd, POLLIN | POLLRDNORM, 0));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 100, 0));
	EXPECT_EQ(0, works(&self->l));
}

/* All in one segment: the records behind the message have the new key. */
TEST_F(rekey, in_one_segment)
{
	const int fd = self->l.fd[1];

	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + 100, 100));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_HANDSHAKE, KEY_UPDATE, 5));
	ASSERT_EQ(0, tls_writer_rekey(&self->l.w, &self->next));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + 200, 100));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + 300, 100));
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data, 200, MSG_WAITALL));
	EXPECT_COUNTED(1, 0, 0);
	EXPECT_EQ(0, tls_expect_error(fd, EIO, 0));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_HANDSHAKE, KEY_UPDATE, 5, 0));
	EXPECT_EQ(0, paused(fd));
	ASSERT_EQ(0, tls_set_rx(fd, &self->next));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, data + 200, 200, 0));
	EXPECT_COUNTED(0, 1, 0);
}

/* The message is there to be read, in parts or after a look. */
TEST_F(rekey, in_parts)
{
	const int fd = self->l.fd[1];
	struct tls_got got;
	uint8_t buf[10];

	ASSERT_EQ(0, tls_write(&self->l.w, TLS_HANDSHAKE, KEY_UPDATE, 5));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_HANDSHAKE, KEY_UPDATE, 5,
				    MSG_PEEK));
	EXPECT_COUNTED(1, 0, 0);
	EXPECT_EQ(0, tls_expect_got(fd, TLS_HANDSHAKE, KEY_UPDATE, 5,
				    MSG_PEEK));
	got = tls_recv(fd, buf, 2, 0);
	EXPECT_EQ(2, got.n);
	EXPECT_EQ(TLS_HANDSHAKE, got.type);
	got = tls_recv(fd, buf, 10, 0);
	EXPECT_EQ(3, got.n);
	EXPECT_EQ(TLS_HANDSHAKE, got.type);
	EXPECT_EQ(0, paused(fd));
	EXPECT_COUNTED(0, 0, 0);
	ASSERT_EQ(0, tls_set_rx(fd, &self->next));
	ASSERT_EQ(0, tls_writer_rekey(&self->l.w, &self->next));
	EXPECT_EQ(0, works(&self->l));
}

/* A reader that polls must learn of the message that tells it what to do. */
TEST_F(rekey, is_readable)
{
	TLS_OURS_ONLY("poll() does not tell of the message");
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_HANDSHAKE, KEY_UPDATE, 5));
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data, 100,
				    MSG_WAITALL));
	EXPECT_EQ(0, tls_expect_events(self->l.fd[1], POLLIN | POLLRDNORM, 0));
	EXPECT_EQ(0, tls_expect_got(self->l.fd[1], TLS_HANDSHAKE, KEY_UPDATE,
				    5, 0));
	EXPECT_EQ(0, tls_expect_events(self->l.fd[1], 0, 0));
}

/* Before anybody has read it, it is a record like others. */
TEST_F(rekey, is_readable_at_first)
{
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_HANDSHAKE, KEY_UPDATE, 5));
	EXPECT_EQ(0, tls_expect_events(self->l.fd[1], POLLIN | POLLRDNORM,
				       1000));
	EXPECT_COUNTED(0, 0, 0);
}

/* Only this message: not others, and only what is a handshake message. */
TEST_F(rekey, others_do_not_pause)
{
	const int fd = self->l.fd[1];
	struct tls_got got;
	uint8_t buf[10];

	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_HANDSHAKE, TICKET, 5));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_HANDSHAKE, "\0\x18", 2));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_HANDSHAKE, "", 0));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_ALERT, KEY_UPDATE, 5));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, KEY_UPDATE, 5));
	ASSERT_EQ(0, tls_push(&self->l.w));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_HANDSHAKE, TICKET, 5, 0));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_HANDSHAKE, "\0\x18", 2, 0));
	got = tls_recv(fd, buf, sizeof(buf), 0);
	EXPECT_EQ(0, got.n);
	EXPECT_EQ(TLS_HANDSHAKE, got.type);
	EXPECT_EQ(0, tls_expect_got(fd, TLS_ALERT, KEY_UPDATE, 5, 0));
	EXPECT_EQ(0, tls_expect_got(fd, TLS_DATA, KEY_UPDATE, 5, 0));
	EXPECT_EQ(0, works(&self->l));
	EXPECT_COUNTED(0, 0, 0);
}

/*
 * TLS 1.2 has no such message, and there will be no other key: what begins like
 * one must not stop the stream.
 */
TEST(rekey_12)
{
	long received = tls_stat("TlsRxRekeyReceived");
	struct tls_inlet l;

	TLS_OURS_ONLY("nothing more is received");
	tls_fill(data, sizeof(data), 181);
	ASSERT_EQ(0, tls_inlet_open(&l, AF_INET, TLS_1_2_VERSION,
				    TLS_CIPHER_AES_GCM_128));
	ASSERT_NE(NULL, tls_put(&l.w, TLS_HANDSHAKE, KEY_UPDATE, 5));
	ASSERT_NE(NULL, tls_put(&l.w, TLS_DATA, data, 100));
	ASSERT_EQ(0, tls_push(&l.w));
	EXPECT_EQ(0, tls_expect_got(l.fd[1], TLS_HANDSHAKE, KEY_UPDATE, 5, 0));
	EXPECT_EQ(0, tls_expect_got(l.fd[1], TLS_DATA, data, 100, 0));
	EXPECT_EQ(received, tls_stat("TlsRxRekeyReceived"));
	tls_inlet_close(&l);
}

/* A new key may come without a message, if both sides know when. */
TEST_F(rekey, unannounced)
{
	int i;

	for (i = 0; i < 20; i++) {
		tls_key_make(&self->next, variant->version, variant->cipher,
			     60 + i);
		ASSERT_EQ(0, tls_writer_rekey(&self->l.w, &self->next));
		ASSERT_EQ(0, tls_set_rx(self->l.fd[1], &self->next));
		ASSERT_EQ(0, works(&self->l));
	}
	EXPECT_COUNTED(0, 20, 0);
}

TEST_F(rekey, many)
{
	struct tls_inlet *l = &self->l;
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_NE(NULL, tls_put(&l->w, TLS_DATA, data, 1000));
		ASSERT_NE(NULL, tls_put(&l->w, TLS_HANDSHAKE, KEY_UPDATE, 5));
		tls_key_make(&self->next, variant->version, variant->cipher,
			     80 + i);
		ASSERT_EQ(0, tls_writer_rekey(&l->w, &self->next));
		ASSERT_NE(NULL, tls_put(&l->w, TLS_DATA, data, 20));
		ASSERT_EQ(0, tls_push(&l->w));
		ASSERT_EQ(0, tls_expect_bytes(l->fd[1], data, 1000));
		ASSERT_EQ(0, tls_expect_got(l->fd[1], TLS_HANDSHAKE, KEY_UPDATE,
					    5, 0));
		ASSERT_EQ(0, tls_expect_error(l->fd[1], EKEYEXPIRED, 0));
		ASSERT_EQ(0, tls_set_rx(l->fd[1], &self->next));
		ASSERT_EQ(0, tls_expect_bytes(l->fd[1], data, 20));
	}
	EXPECT_COUNTED(20, 20, 0);
}

/* A refused key leaves the pause as it is. */
TEST_F(rekey, refused)
{
	const int fd = self->l.fd[1];
	struct tls_key bad;

	ASSERT_EQ(0, tls_write(&self->l.w, TLS_HANDSHAKE, KEY_UPDATE, 5));
	ASSERT_EQ(0, tls_expect_got(fd, TLS_HANDSHAKE, KEY_UPDATE, 5, 0));
	EXPECT_COUNTED(1, 0, 0);
	bad = self->next;
	bad.info.version = TLS_1_2_VERSION;
	EXPECT_EQ(-1, tls_set_rx(fd, &bad));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_COUNTED(0, 0, 1);
	tls_key_make(&bad, variant->version,
		     variant->cipher == TLS_CIPHER_AES_GCM_128 ?
		     TLS_CIPHER_AES_CCM_128 : TLS_CIPHER_AES_GCM_128, 41);
	EXPECT_EQ(-1, tls_set_rx(fd, &bad));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_COUNTED(0, 0, 1);
	bad = self->next;
	bad.len--;
	EXPECT_EQ(-1, tls_set_rx(fd, &bad));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_COUNTED(0, 0, 1);
	EXPECT_EQ(-1, setsockopt(fd, SOL_TLS, TLS_RX, (void *)8, bad.len));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_COUNTED(0, 0, 1);
	bad.len = 3;
	EXPECT_EQ(-1, tls_set_rx(fd, &bad));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_COUNTED(0, 0, 0);
	EXPECT_EQ(0, paused(fd));
	ASSERT_EQ(0, tls_set_rx(fd, &self->next));
	EXPECT_COUNTED(0, 1, 0);
	ASSERT_EQ(0, tls_writer_rekey(&self->l.w, &self->next));
	EXPECT_EQ(0, works(&self->l));
}

TEST_F(rekey, wrong_key)
{
	ASSERT_EQ(0, tls_set_rx(self->l.fd[1], &self->next));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
	EXPECT_EQ(0, tls_expect_error(self->l.fd[1], EBADMSG, 0));
}

/* Records that were opened with the old key are still read. */
TEST_F(rekey, opened_before)
{
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data, 100));
	ASSERT_NE(NULL, tls_put(&self->l.w, TLS_DATA, data + 100, 100));
	ASSERT_EQ(0, tls_push(&self->l.w));
	ASSERT_EQ(0, tls_settle(self->l.fd[0]));
	EXPECT_EQ(0, tls_expect_got(self->l.fd[1], TLS_DATA, data, 200,
				    MSG_PEEK));
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data, 30));
	ASSERT_EQ(0, tls_set_rx(self->l.fd[1], &self->next));
	ASSERT_EQ(0, tls_writer_rekey(&self->l.w, &self->next));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data + 200, 100));
	EXPECT_EQ(0, tls_expect_bytes(self->l.fd[1], data + 30, 270));
}

struct poller {
	pthread_t thread;
	int fd;
	int events;
	atomic_bool done;
};

static void *wait_for_data(void *arg)
{
	struct poller *p = arg;
	struct pollfd pfd = { .fd = p->fd, .events = POLLIN };

	poll(&pfd, 1, 5000);
	p->events = pfd.revents;
	p->done = true;
	return NULL;
}

/* Who polls while the key is missing is woken up when it is there. */
TEST_F(rekey, wakes_pollers)
{
	struct poller p = { .fd = self->l.fd[1] };

	ASSERT_EQ(0, tls_write(&self->l.w, TLS_HANDSHAKE, KEY_UPDATE, 5));
	ASSERT_EQ(0, tls_expect_got(p.fd, TLS_HANDSHAKE, KEY_UPDATE, 5, 0));
	ASSERT_EQ(0, pthread_create(&p.thread, NULL, wait_for_data, &p));
	ASSERT_EQ(0, tls_writer_rekey(&self->l.w, &self->next));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_DATA, data, 100));
	usleep(50000);
	EXPECT_FALSE(p.done);
	ASSERT_EQ(0, tls_set_rx(p.fd, &self->next));
	pthread_join(p.thread, NULL);
	EXPECT_EQ(POLLIN, p.events);
	EXPECT_EQ(0, tls_expect_got(p.fd, TLS_DATA, data, 100, 0));
}

/* Each direction has its own key, and its own pause. */
TEST_F(rekey, one_direction)
{
	struct tls_reader r;
	struct tls_key out;
	const int fd = self->l.fd[1];

	tls_key_make(&out, variant->version, variant->cipher, 55);
	ASSERT_EQ(0, tls_set_tx(fd, &out));
	ASSERT_EQ(0, tls_reader_init(&r, self->l.fd[0], &out));
	ASSERT_EQ(0, tls_write(&self->l.w, TLS_HANDSHAKE, KEY_UPDATE, 5));
	ASSERT_EQ(0, tls_expect_got(fd, TLS_HANDSHAKE, KEY_UPDATE, 5, 0));
	ASSERT_EQ(100, send(fd, data, 100, 0));
	EXPECT_EQ(0, tls_expect_record(&r, TLS_DATA, data, 100));
	tls_key_make(&out, variant->version, variant->cipher, 56);
	ASSERT_EQ(0, tls_set_tx(fd, &out));
	ASSERT_EQ(0, tls_reader_rekey(&r, &out));
	EXPECT_EQ(0, paused(fd));
	ASSERT_EQ(0, tls_set_rx(fd, &self->next));
	ASSERT_EQ(0, tls_writer_rekey(&self->l.w, &self->next));
	EXPECT_EQ(0, works(&self->l));
	ASSERT_EQ(100, send(fd, data, 100, 0));
	EXPECT_EQ(0, tls_expect_record(&r, TLS_DATA, data, 100));
	tls_reader_free(&r);
}

TEST_HARNESS_MAIN
