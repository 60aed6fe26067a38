// SPDX-License-Identifier: GPL-2.0
#include <trace/events/sock.h>

#include "helpers.h"

void knet_lock_sock(struct sock *sk)
{
	lock_sock(sk);
}

struct net *knet_sock_net(const struct sock *sk)
{
	return sock_net(sk);
}

struct sk_psock *knet_sk_psock(struct sock *sk)
{
	guard(rcu)();
	return sk_psock(sk);
}

long knet_sock_sndtimeo(const struct sock *sk, bool noblock)
{
	return sock_sndtimeo(sk, noblock);
}

bool knet_sk_wmem_schedule(struct sock *sk, int size)
{
	return sk_wmem_schedule(sk, size);
}

bool knet_sk_rmem_schedule(struct sock *sk, int size, bool always)
{
	return __sk_rmem_schedule(sk, size, always);
}

void knet_sk_mem_charge(struct sock *sk, int size)
{
	sk_mem_charge(sk, size);
}

void knet_sk_mem_uncharge(struct sock *sk, int size)
{
	sk_mem_uncharge(sk, size);
}

void knet_sock_hold(struct sock *sk)
{
	sock_hold(sk);
}

void knet_module_get(struct module *module)
{
	__module_get(module);
}

void knet_sk_set_nospace(struct sock *sk)
{
	if (sk->sk_socket)
		set_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
}

void knet_warn_charged(void)
{
	WARN_ONCE(1, "a socket stays charged for memory\n");
}

struct page_frag *knet_sk_page_frag(struct sock *sk)
{
	return sk_page_frag(sk);
}

bool knet_tcp_queues_empty(const struct sock *sk)
{
	return tcp_rtx_and_write_queues_empty(sk);
}

u32 knet_tcp_notsent_lowat(const struct sock *sk)
{
	return tcp_notsent_lowat(tcp_sk(sk));
}

void knet_set_prot(struct sock *sk, struct proto *prot)
{
	/* Whoever sees the functions sees the data that they use. */
	smp_store_release(&sk->sk_prot, prot);
}

void knet_spin_lock_sock(struct sock *sk)
{
	spin_lock_bh(&sk->sk_lock.slock);
}

void knet_spin_unlock_sock(struct sock *sk)
{
	spin_unlock_bh(&sk->sk_lock.slock);
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

void knet_set_ulp_ops(struct sock *sk, const struct tcp_ulp_ops *ops)
{
	WRITE_ONCE(inet_csk(sk)->icsk_ulp_ops, ops);
}

void *knet_rcu_dereference_ulp_data(const struct sock *sk)
{
	return rcu_dereference_raw(inet_csk(sk)->icsk_ulp_data);
}

int knet_tcp_inq(struct sock *sk)
{
	return tcp_inq(sk);
}

bool knet_tcp_under_pressure(struct sock *sk)
{
	return tcp_epollin_ready(sk, INT_MAX);
}

bool knet_sock_urginline(const struct sock *sk)
{
	return sock_flag(sk, SOCK_URGINLINE);
}

void knet_tcp_fast_path_check(struct sock *sk)
{
	tcp_fast_path_check(sk);
}

bool knet_sk_flush_backlog(struct sock *sk)
{
	return sk_flush_backlog(sk);
}

long knet_sock_rcvtimeo(const struct sock *sk, bool noblock)
{
	return sock_rcvtimeo(sk, noblock);
}

int knet_sock_rcvlowat(const struct sock *sk, int waitall, int len)
{
	return sock_rcvlowat(sk, waitall, len);
}

int knet_sock_error(struct sock *sk)
{
	return sock_error(sk);
}

bool knet_sock_done(const struct sock *sk)
{
	return sock_flag(sk, SOCK_DONE);
}

bool knet_sock_owned(const struct sock *sk)
{
	return sock_owned_by_user_nocheck(sk);
}

bool knet_data_ready_owned(struct sock *sk)
{
	trace_sk_data_ready(sk);
	return sock_owned_by_user_nocheck(sk);
}

int knet_sk_wait_flag(struct sock *sk, struct wait_queue_head *wq, long *timeo,
		      const bool *flag, bool want)
{
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	int ret;

	add_wait_queue(wq, &wait);
	ret = sk_wait_event(sk, timeo, READ_ONCE(*flag) == want, &wait);
	remove_wait_queue(wq, &wait);
	return ret;
}

int knet_sk_wait_data_flag(struct sock *sk, long *timeo, const bool *flag)
{
	int ret;

	sk_set_bit(SOCKWQ_ASYNC_WAITDATA, sk);
	ret = knet_sk_wait_flag(sk, sk_sleep(sk), timeo, flag, true);
	sk_clear_bit(SOCKWQ_ASYNC_WAITDATA, sk);
	return ret;
}

bool knet_signal_pending(void)
{
	return signal_pending(current);
}

int knet_sock_intr_errno(long timeo)
{
	return sock_intr_errno(timeo);
}

void knet_smp_wmb(void)
{
	/* The caller says what it goes with. */
	smp_wmb();
}

unsigned int knet_memalloc_noio_save(void)
{
	return memalloc_noio_save();
}

void knet_memalloc_noio_restore(unsigned int flags)
{
	memalloc_noio_restore(flags);
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

int knet_check_zeroed_sockptr(sockptr_t src, size_t offset, size_t size)
{
	return check_zeroed_sockptr(src, offset, size);
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

int knet_sk_rmem_alloc(const struct sock *sk)
{
	return sk_rmem_alloc_get(sk);
}

struct sk_buff *knet_skb_first(struct sock *sk)
{
	return skb_peek(&sk->sk_receive_queue);
}

struct sk_buff *knet_skb_next(struct sock *sk, struct sk_buff *skb)
{
	return skb_peek_next(skb, &sk->sk_receive_queue);
}

struct sk_buff *knet_skb_merged_next(const struct sk_buff *skb)
{
	return skb->next;
}

struct skb_shared_info *knet_skb_shinfo(const struct sk_buff *skb)
{
	return skb_shinfo(skb);
}

struct page *knet_skb_frag_page(const skb_frag_t *frag)
{
	return skb_frag_page(frag);
}

struct sk_buff *knet_alloc_skb(unsigned int size, bool atomic)
{
	return alloc_skb(size, atomic ? GFP_ATOMIC : GFP_KERNEL);
}

void knet_skb_add_frag(struct sk_buff *skb, struct page *page, u32 offset,
		       u32 len)
{
	skb_add_rx_frag(skb, skb_shinfo(skb)->nr_frags, page, offset, len, len);
}

void knet_skb_share_frags(struct sk_buff *skb)
{
	skb_shinfo(skb)->flags |= SKBFL_SHARED_FRAG;
}

void knet_consume_skb(struct sk_buff *skb)
{
	consume_skb(skb);
}

void knet_kfree_skb(struct sk_buff *skb)
{
	kfree_skb(skb);
}

struct page *knet_alloc_compound(unsigned int order, bool atomic)
{
	return alloc_pages((atomic ? GFP_ATOMIC : GFP_KERNEL) | __GFP_COMP |
			   __GFP_NORETRY | __GFP_NOWARN, order);
}

void knet_get_page(struct page *page)
{
	get_page(page);
}

void knet_put_page(struct page *page)
{
	put_page(page);
}

bool knet_page_is_ours(const struct page *page)
{
	if (page_ref_count(page) != 1)
		return false;
	/* What others did with the page is done. */
	smp_acquire__after_ctrl_dep();
	return true;
}

bool knet_page_is_pfmemalloc(const struct page *page)
{
	return page_is_pfmemalloc(page);
}

void *knet_page_address(const struct page *page)
{
	return page_address(page);
}

bool knet_sendpage_ok(struct page *page)
{
	return sendpage_ok(page);
}

void knet_mod_reclaimable(struct page *page, long nr)
{
	mod_node_page_state(page_pgdat(page), NR_KERNEL_MISC_RECLAIMABLE, nr);
}

bool knet_want_init_on_free(void)
{
	return want_init_on_free();
}

struct shrinker *knet_shrinker_alloc(const char *name)
{
	return shrinker_alloc(0, "%s", name);
}

void *__percpu *knet_alloc_percpu_ptr(void)
{
	return alloc_percpu(void *);
}

void knet_free_percpu_ptr(void *__percpu *ptrs)
{
	free_percpu(ptrs);
}

void *knet_this_cpu_xchg(void *__percpu *const *ptrs, void *value)
{
	void *__percpu *here;

	/* A section that synchronize_rcu() waits for, on one CPU. */
	preempt_disable();
	here = READ_ONCE(*ptrs);
	/* Others may take what is there, so it has to be atomic. */
	if (here)
		value = xchg(this_cpu_ptr(here), value);
	preempt_enable();
	return value;
}

void **knet_per_cpu_ptr(void *__percpu *ptrs, unsigned int cpu)
{
	return per_cpu_ptr(ptrs, cpu);
}

unsigned int knet_nr_cpu_ids(void)
{
	return nr_cpu_ids;
}

bool knet_cpu_possible(unsigned int cpu)
{
	return cpu_possible(cpu);
}

void knet_sg_set_buf(struct scatterlist *sg, const void *buf, unsigned int len)
{
	sg_set_buf(sg, buf, len);
}

void knet_crypto_free_aead(struct crypto_aead *tfm)
{
	crypto_free_aead(tfm);
}

bool knet_crypto_aead_is_async(struct crypto_aead *tfm)
{
	return crypto_aead_alg(tfm)->base.cra_flags & CRYPTO_ALG_ASYNC;
}

unsigned int knet_crypto_aead_ivsize(struct crypto_aead *tfm)
{
	return crypto_aead_ivsize(tfm);
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

void knet_wake_up(struct wait_queue_head *wq)
{
	wake_up(wq);
}

void knet_init_delayed_work(struct delayed_work *work, work_func_t func)
{
	INIT_DELAYED_WORK(work, func);
}

struct workqueue_struct *knet_alloc_workqueue(const char *name)
{
	return alloc_workqueue("%s", WQ_MEM_RECLAIM | WQ_PERCPU, 0, name);
}

bool knet_queue_delayed_work(struct workqueue_struct *wq,
			     struct delayed_work *work, unsigned long delay)
{
	return queue_delayed_work(wq, work, delay);
}

bool knet_queue_work_now(struct workqueue_struct *wq, struct delayed_work *work)
{
	return mod_delayed_work(wq, work, 0);
}

void knet_mutex_init(struct mutex *lock, const char *name,
		     struct lock_class_key *key)
{
	__mutex_init(lock, name, key);
}

void knet_mutex_lock(struct mutex *lock)
{
	mutex_lock(lock);
}

int knet_mutex_lock_interruptible(struct mutex *lock)
{
	return mutex_lock_interruptible(lock);
}

int knet_mutex_trylock(struct mutex *lock)
{
	return mutex_trylock(lock);
}

void knet_mutex_unlock(struct mutex *lock)
{
	mutex_unlock(lock);
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
