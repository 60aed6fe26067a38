// SPDX-License-Identifier: GPL-2.0
/*
 * What a record costs when there is nothing but its encryption: one synchronous AEAD
 * call over one contiguous buffer. Writes to the kernel's log; does not stay loaded.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <crypto/aead.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <asm/msr.h>

#define AAD	13
#define TAG	16
#define CALLS	16
#define TIMES	9

static const struct {
	const char *name, *driver;
	unsigned int key_len;
} suites[] = {
	{ "gcm128", "gcm(aes)", 16 },
	{ "gcm256", "gcm(aes)", 32 },
	{ "chacha", "rfc7539(chacha20,poly1305)", 32 },
};

/* And one more byte each: the content type of TLS 1.3. */
static const unsigned int sizes[] = { 1, 64, 256, SZ_1K, SZ_4K, SZ_16K };

static int ascending(const void *a, const void *b)
{
	return *(const u64 *)a < *(const u64 *)b ? -1 : *(const u64 *)a > *(const u64 *)b;
}

/* Instructions of one call; a wrong tag is found after all the work. */
static u64 measure(struct aead_request *req, u8 *buf, unsigned int size, bool seal)
{
	struct scatterlist sg;
	u64 times[TIMES];
	u8 iv[12] = {};
	int i, j, err;

	for (i = 0; i < TIMES; i++) {
		times[i] = rdtsc();
		for (j = 0; j < CALLS; j++) {
			sg_init_one(&sg, buf, AAD + size + TAG);
			aead_request_set_callback(req, 0, NULL, NULL);
			aead_request_set_ad(req, AAD);
			aead_request_set_crypt(req, &sg, &sg, size + (seal ? 0 : TAG), iv);
			err = seal ? crypto_aead_encrypt(req) : crypto_aead_decrypt(req);
			if (err && (seal || err != -EBADMSG))
				pr_err("error %d\n", err);
		}
		times[i] = (rdtsc() - times[i]) / CALLS;
	}
	sort(times, TIMES, sizeof(times[0]), ascending, NULL);
	return times[TIMES / 2];
}

static int measure_suite(int i, u8 *buf)
{
	struct crypto_aead *tfm = crypto_alloc_aead(suites[i].driver, 0, CRYPTO_ALG_ASYNC);
	struct aead_request *req;
	int err, j;

	if (IS_ERR(tfm))
		return PTR_ERR(tfm);
	err = crypto_aead_setkey(tfm, buf, suites[i].key_len) ?:
	      crypto_aead_setauthsize(tfm, TAG);
	req = aead_request_alloc(tfm, GFP_KERNEL);
	if (!req)
		err = -ENOMEM;
	for (j = 0; !err && j < 2 * ARRAY_SIZE(sizes); j++) {
		unsigned int size = sizes[j / 2] + j % 2;

		pr_info("aead %s %u %llu %llu\n", suites[i].name, size,
			measure(req, buf, size, true), measure(req, buf, size, false));
	}
	kfree(req);
	crypto_free_aead(tfm);
	return err;
}

static int __init bench_aead_init(void)
{
	u8 *buf = kzalloc(SZ_32K, GFP_KERNEL);
	int i, err = 0;

	if (!buf)
		return -ENOMEM;
	for (i = 0; !err && i < ARRAY_SIZE(suites); i++)
		err = measure_suite(i, buf);
	kfree(buf);
	return err ?: -ECANCELED;
}
module_init(bench_aead_init);

MODULE_DESCRIPTION("Instructions of bare AEAD calls");
MODULE_LICENSE("GPL");
