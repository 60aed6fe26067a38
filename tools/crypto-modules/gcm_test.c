// SPDX-License-Identifier: GPL-2.0
/*
 * gcm_test: an asynchronous gcm(aes) for tests, whose behaviour can be chosen. As long
 * as it is loaded, it is what everybody gets who asks for gcm(aes) from then on. Another
 * gcm(aes) does the work, in a workqueue.
 *
 * In /sys/module/gcm_test/parameters, at any time:
 *
 *	delay		milliseconds from the submission of a request to its completion
 *	busy		1: say EBUSY, as a driver does that has put a request into its
 *			backlog, and EINPROGRESS after the delay; then it begins again
 *	fail_nth	N: the Nth request from now on fails, and becomes 0 by that
 *	fail_error	with this errno (5, EIO)
 *	fail_at_once	1: at its submission, not at its completion
 *	requests	how many were submitted
 *	under_way	how many of them have not completed
 *
 * And when it is loaded:
 *
 *	unmarked	1: not marked CRYPTO_ALG_ASYNC, but asynchronous all the same
 *	iv_size		what it says the length of its IV is; it uses the first 12 bytes
 *
 * The driver's name in /proc/crypto is gcm-aes-test. The module cannot be unloaded as
 * long as somebody has a transform.
 */
#include <crypto/internal/aead.h>
#include <linux/atomic.h>
#include <linux/bottom_half.h>
#include <linux/err.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/workqueue.h>

static unsigned int delay;
module_param(delay, uint, 0644);
static bool busy;
module_param(busy, bool, 0644);
static unsigned int fail_error = EIO;
module_param(fail_error, uint, 0644);
static bool fail_at_once;
module_param(fail_at_once, bool, 0644);
static bool unmarked;
module_param(unmarked, bool, 0444);
static unsigned int iv_size = 12;
module_param(iv_size, uint, 0444);

static atomic_t fail_nth, requests, under_way;

static int get_atomic(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%d\n", atomic_read((atomic_t *)kp->arg));
}

static int set_atomic(const char *val, const struct kernel_param *kp)
{
	int value, err = kstrtoint(val, 0, &value);

	if (!err)
		atomic_set((atomic_t *)kp->arg, value);
	return err;
}

static const struct kernel_param_ops readable = { .get = get_atomic };
static const struct kernel_param_ops writable = { .get = get_atomic, .set = set_atomic };

module_param_cb(fail_nth, &writable, &fail_nth, 0644);
module_param_cb(requests, &readable, &requests, 0444);
module_param_cb(under_way, &readable, &under_way, 0444);

static struct workqueue_struct *queue;

struct ctx {
	struct crypto_aead *worker;
};

struct job {
	struct delayed_work work;
	struct aead_request *req;
	bool decrypt;
	bool in_backlog;
	int error;
	/* What the worker needs is behind it. */
	struct aead_request sub;
};

static unsigned long delay_jiffies(void)
{
	return msecs_to_jiffies(READ_ONCE(delay));
}

static void tell(struct aead_request *req, int err)
{
	local_bh_disable();
	aead_request_complete(req, err);
	local_bh_enable();
}

static void work(struct work_struct *item)
{
	struct job *job = container_of(to_delayed_work(item), struct job, work);
	struct aead_request *req = job->req;
	int err = job->error;

	if (job->in_backlog) {
		job->in_backlog = false;
		tell(req, -EINPROGRESS);
		queue_delayed_work(queue, &job->work, delay_jiffies());
		return;
	}
	if (!err)
		err = job->decrypt ? crypto_aead_decrypt(&job->sub) :
				     crypto_aead_encrypt(&job->sub);
	atomic_dec(&under_way);
	tell(req, err);
}

static int submit(struct aead_request *req, bool decrypt)
{
	struct ctx *ctx = crypto_aead_ctx(crypto_aead_reqtfm(req));
	struct job *job = aead_request_ctx(req);
	bool may_backlog = req->base.flags & CRYPTO_TFM_REQ_MAY_BACKLOG;
	bool in_backlog = READ_ONCE(busy);

	if (in_backlog && !may_backlog)
		return -ENOSPC;
	atomic_inc(&requests);
	job->error = 0;
	/* Zero only once. */
	if (atomic_dec_if_positive(&fail_nth) == 0) {
		job->error = -(int)READ_ONCE(fail_error);
		if (READ_ONCE(fail_at_once))
			return job->error;
	}
	job->req = req;
	job->decrypt = decrypt;
	job->in_backlog = in_backlog;
	aead_request_set_tfm(&job->sub, ctx->worker);
	aead_request_set_callback(&job->sub, CRYPTO_TFM_REQ_MAY_SLEEP, NULL, NULL);
	aead_request_set_ad(&job->sub, req->assoclen);
	aead_request_set_crypt(&job->sub, req->src, req->dst, req->cryptlen, req->iv);
	INIT_DELAYED_WORK(&job->work, work);
	atomic_inc(&under_way);
	/* From here on the request can be gone. */
	queue_delayed_work(queue, &job->work, delay_jiffies());
	return in_backlog ? -EBUSY : -EINPROGRESS;
}

static int encrypt(struct aead_request *req)
{
	return submit(req, false);
}

static int decrypt(struct aead_request *req)
{
	return submit(req, true);
}

static int set_key(struct crypto_aead *tfm, const u8 *key, unsigned int len)
{
	struct ctx *ctx = crypto_aead_ctx(tfm);

	return crypto_aead_setkey(ctx->worker, key, len);
}

static int set_auth_size(struct crypto_aead *tfm, unsigned int size)
{
	struct ctx *ctx = crypto_aead_ctx(tfm);

	return crypto_aead_setauthsize(ctx->worker, size);
}

static int init_tfm(struct crypto_aead *tfm)
{
	struct ctx *ctx = crypto_aead_ctx(tfm);

	ctx->worker = crypto_alloc_aead("gcm(aes)", 0,
					CRYPTO_ALG_ASYNC | CRYPTO_ALG_NEED_FALLBACK);
	if (IS_ERR(ctx->worker))
		return PTR_ERR(ctx->worker);
	crypto_aead_set_reqsize(tfm, sizeof(struct job) +
				     crypto_aead_reqsize(ctx->worker));
	return 0;
}

static void exit_tfm(struct crypto_aead *tfm)
{
	struct ctx *ctx = crypto_aead_ctx(tfm);

	crypto_free_aead(ctx->worker);
}

static struct aead_alg alg = {
	.base.cra_name = "gcm(aes)",
	.base.cra_driver_name = "gcm-aes-test",
	.base.cra_priority = 10000,
	.base.cra_flags = CRYPTO_ALG_NEED_FALLBACK,
	.base.cra_blocksize = 1,
	.base.cra_ctxsize = sizeof(struct ctx),
	.base.cra_module = THIS_MODULE,
	.maxauthsize = 16,
	.chunksize = 16,
	.init = init_tfm,
	.exit = exit_tfm,
	.setkey = set_key,
	.setauthsize = set_auth_size,
	.encrypt = encrypt,
	.decrypt = decrypt,
};

static int __init gcm_test_init(void)
{
	int err;

	queue = alloc_workqueue("gcm_test", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!queue)
		return -ENOMEM;
	alg.ivsize = iv_size;
	if (!unmarked)
		alg.base.cra_flags |= CRYPTO_ALG_ASYNC;
	err = crypto_register_aead(&alg);
	if (err)
		destroy_workqueue(queue);
	return err;
}

static void __exit gcm_test_exit(void)
{
	crypto_unregister_aead(&alg);
	destroy_workqueue(queue);
}

module_init(gcm_test_init);
module_exit(gcm_test_exit);

MODULE_DESCRIPTION("gcm(aes) that is as slow and as faulty as a test wants");
MODULE_LICENSE("GPL");
