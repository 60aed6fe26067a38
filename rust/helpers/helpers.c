// SPDX-License-Identifier: GPL-2.0
#include "helpers.h"

void knet_lock_sock(struct sock *sk)
{
	lock_sock(sk);
}

struct net *knet_sock_net(const struct sock *sk)
{
	return sock_net(sk);
}

bool knet_sk_has_psock(struct sock *sk)
{
	bool ret;

	rcu_read_lock();
	ret = sk_psock(sk);
	rcu_read_unlock();
	return ret;
}

long knet_sock_sndtimeo(const struct sock *sk, bool noblock)
{
	return sock_sndtimeo(sk, noblock);
}

bool knet_sk_stream_memory_free(const struct sock *sk)
{
	return sk_stream_memory_free(sk);
}

bool knet_sk_wmem_schedule(struct sock *sk, int size)
{
	return sk_wmem_schedule(sk, size);
}

void knet_sk_mem_charge(struct sock *sk, int size)
{
	sk_mem_charge(sk, size);
}

void knet_sk_mem_uncharge(struct sock *sk, int size)
{
	sk_mem_uncharge(sk, size);
}

void knet_sk_set_nospace(struct sock *sk)
{
	if (sk->sk_socket)
		set_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
}

struct page_frag *knet_sk_page_frag(struct sock *sk)
{
	return sk_page_frag(sk);
}

void knet_callback_lock(struct sock *sk)
{
	write_lock_bh(&sk->sk_callback_lock);
}

void knet_callback_unlock(struct sock *sk)
{
	write_unlock_bh(&sk->sk_callback_lock);
}

void knet_set_ulp_data(struct sock *sk, void *data)
{
	rcu_assign_pointer(inet_csk(sk)->icsk_ulp_data, data);
}

void *knet_rcu_dereference_ulp_data(const struct sock *sk)
{
	return rcu_dereference_raw(inet_csk(sk)->icsk_ulp_data);
}

void knet_smp_wmb(void)
{
	smp_wmb();
}

void knet_kfree_rcu(struct kvfree_rcu_head *head, void *ptr)
{
	kvfree_call_rcu(head, ptr);
}

int knet_copy_from_sockptr(void *dst, sockptr_t src, size_t offset, size_t len)
{
	return copy_from_sockptr_offset(dst, src, offset, len);
}

bool knet_sockptr_is_null(sockptr_t ptr)
{
	return sockptr_is_null(ptr);
}

struct cmsghdr *knet_cmsg_first(struct msghdr *msg)
{
	return CMSG_FIRSTHDR(msg);
}

struct cmsghdr *knet_cmsg_next(struct msghdr *msg, struct cmsghdr *cmsg)
{
	return CMSG_NXTHDR(msg, cmsg);
}

bool knet_cmsg_ok(struct msghdr *msg, struct cmsghdr *cmsg)
{
	return CMSG_OK(msg, cmsg);
}

bool knet_user_backed_iter(const struct iov_iter *iter)
{
	return user_backed_iter(iter);
}

void knet_get_page(struct page *page)
{
	get_page(page);
}

void knet_put_page(struct page *page)
{
	put_page(page);
}

void *knet_page_address(const struct page *page)
{
	return page_address(page);
}

bool knet_sendpage_ok(struct page *page)
{
	return sendpage_ok(page);
}

void knet_sg_set_buf(struct scatterlist *sg, const void *buf, unsigned int len)
{
	sg_set_buf(sg, buf, len);
}

void knet_crypto_free_aead(struct crypto_aead *tfm)
{
	crypto_free_aead(tfm);
}

unsigned int knet_crypto_aead_reqsize(struct crypto_aead *tfm)
{
	return crypto_aead_reqsize(tfm);
}

bool knet_crypto_aead_is_async(struct crypto_aead *tfm)
{
	return crypto_aead_alg(tfm)->base.cra_flags & CRYPTO_ALG_ASYNC;
}

void knet_aead_request_set_tfm(struct aead_request *req,
			       struct crypto_aead *tfm)
{
	aead_request_set_tfm(req, tfm);
}

void knet_init_completion(struct completion *c)
{
	init_completion(c);
}

void knet_init_delayed_work(struct delayed_work *work, work_func_t func)
{
	INIT_DELAYED_WORK(work, func);
}

bool knet_schedule_delayed_work(struct delayed_work *work, unsigned long delay)
{
	return schedule_delayed_work(work, delay);
}

void knet_mutex_init(struct mutex *lock, const char *name,
		     struct lock_class_key *key)
{
	__mutex_init(lock, name, key);
}

struct linux_tls_mib __percpu *knet_alloc_tls_mib(void)
{
	return alloc_percpu(struct linux_tls_mib);
}

void knet_free_tls_mib(struct linux_tls_mib __percpu *mib)
{
	free_percpu(mib);
}

void knet_tls_mib_add(struct net *net, int field, int value)
{
	SNMP_ADD_STATS(net->mib.tls_statistics, field, value);
}

unsigned long knet_tls_mib_sum(struct net *net, int field)
{
	unsigned long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu_ptr(net->mib.tls_statistics, cpu)->mibs[field];
	return sum;
}

struct nlattr *knet_nla_nest_start_noflag(struct sk_buff *skb, int type)
{
	return nla_nest_start_noflag(skb, type);
}

int knet_nla_nest_end(struct sk_buff *skb, struct nlattr *start)
{
	return nla_nest_end(skb, start);
}

void knet_nla_nest_cancel(struct sk_buff *skb, struct nlattr *start)
{
	nla_nest_cancel(skb, start);
}

struct net *knet_seq_file_net(struct seq_file *seq)
{
	return seq_file_single_net(seq);
}
