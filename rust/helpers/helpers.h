/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Functions for what the C headers define as macros or static inline functions.
 * Each does what the name behind "knet_" does, and nothing more.
 */
#ifndef _KNET_HELPERS_H
#define _KNET_HELPERS_H

#include <linux/bvec.h>
#include <linux/cpumask.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/proc_fs.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/shrinker.h>
#include <linux/skmsg.h>
#include <linux/workqueue.h>
#include <crypto/aead.h>
#include <net/netlink.h>
#include <net/snmp.h>
#include <net/sock.h>
#include <net/tcp.h>
#include <net/tls.h>

/* Sockets */
static const gfp_t KNET_GFP_KERNEL = GFP_KERNEL;
static const u8 KNET_SKBFL_SHARED_FRAG = SKBFL_SHARED_FRAG;

void knet_lock_sock(struct sock *sk);
struct net *knet_sock_net(const struct sock *sk);
struct sk_psock *knet_sk_psock(struct sock *sk);
long knet_sock_sndtimeo(const struct sock *sk, bool noblock);
bool knet_sk_wmem_schedule(struct sock *sk, int size);
bool knet_sk_rmem_schedule(struct sock *sk, int size, bool always);
void knet_sk_mem_charge(struct sock *sk, int size);
void knet_sk_mem_uncharge(struct sock *sk, int size);
void knet_sock_hold(struct sock *sk);
void knet_module_get(struct module *module);
void knet_sk_set_nospace(struct sock *sk);
void knet_warn_charged(void);
struct page_frag *knet_sk_page_frag(struct sock *sk);
bool knet_tcp_queues_empty(const struct sock *sk);
u32 knet_tcp_notsent_lowat(const struct sock *sk);
void knet_set_prot(struct sock *sk, struct proto *prot);
void knet_spin_lock_sock(struct sock *sk);
void knet_spin_unlock_sock(struct sock *sk);
void knet_callback_lock(struct sock *sk);
void knet_callback_unlock(struct sock *sk);
void knet_set_ulp_data(struct sock *sk, void *data);
void knet_set_ulp_ops(struct sock *sk, const struct tcp_ulp_ops *ops);
void *knet_rcu_dereference_ulp_data(const struct sock *sk);
int knet_tcp_inq(struct sock *sk);
bool knet_tcp_under_pressure(struct sock *sk);
bool knet_sock_urginline(const struct sock *sk);
void knet_tcp_fast_path_check(struct sock *sk);
bool knet_sk_flush_backlog(struct sock *sk);
long knet_sock_rcvtimeo(const struct sock *sk, bool noblock);
int knet_sock_rcvlowat(const struct sock *sk, int waitall, int len);
int knet_sock_error(struct sock *sk);
bool knet_sock_done(const struct sock *sk);
bool knet_sock_owned(const struct sock *sk);
/* The tracepoint of a callback, and whether a task owns the lock. */
bool knet_data_ready_owned(struct sock *sk);
int knet_sk_wait_flag(struct sock *sk, struct wait_queue_head *wq, long *timeo,
		      const bool *flag, bool want);
int knet_sk_wait_data_flag(struct sock *sk, long *timeo, const bool *flag);
bool knet_signal_pending(void);
int knet_sock_intr_errno(long timeo);
void knet_smp_wmb(void);
unsigned int knet_memalloc_noio_save(void);
void knet_memalloc_noio_restore(unsigned int flags);
void knet_kfree_rcu(struct kvfree_rcu_head *head, void *ptr);

/* Socket options */
int knet_copy_from_sockptr(void *dst, sockptr_t src, size_t offset, size_t len);
bool knet_sockptr_is_null(sockptr_t ptr);
int knet_check_zeroed_sockptr(sockptr_t src, size_t offset, size_t size);

/* Messages */
struct cmsghdr *knet_cmsg_first(struct msghdr *msg);
struct cmsghdr *knet_cmsg_next(struct msghdr *msg, struct cmsghdr *cmsg);
bool knet_cmsg_ok(struct msghdr *msg, struct cmsghdr *cmsg);
bool knet_user_backed_iter(const struct iov_iter *iter);

/* Packets */
int knet_sk_rmem_alloc(const struct sock *sk);
struct sk_buff *knet_skb_first(struct sock *sk);
struct sk_buff *knet_skb_next(struct sock *sk, struct sk_buff *skb);
struct sk_buff *knet_skb_merged_next(const struct sk_buff *skb);
struct skb_shared_info *knet_skb_shinfo(const struct sk_buff *skb);
struct page *knet_skb_frag_page(const skb_frag_t *frag);
struct sk_buff *knet_alloc_skb(unsigned int size, bool atomic);
void knet_skb_add_frag(struct sk_buff *skb, struct page *page, u32 offset,
		       u32 len);
void knet_skb_share_frags(struct sk_buff *skb);
void knet_consume_skb(struct sk_buff *skb);
void knet_kfree_skb(struct sk_buff *skb);

/* Pages */
struct page *knet_alloc_compound(unsigned int order, bool atomic);
void knet_get_page(struct page *page);
void knet_put_page(struct page *page);
bool knet_page_is_ours(const struct page *page);
bool knet_page_is_pfmemalloc(const struct page *page);
void *knet_page_address(const struct page *page);
bool knet_sendpage_ok(struct page *page);
void knet_mod_reclaimable(struct page *page, long nr);
bool knet_want_init_on_free(void);
struct shrinker *knet_shrinker_alloc(const char *name);

/* CPUs */
void *__percpu *knet_alloc_percpu_ptr(void);
void knet_free_percpu_ptr(void *__percpu *ptrs);
void *knet_this_cpu_xchg(void *__percpu *const *ptrs, void *value);
void **knet_per_cpu_ptr(void *__percpu *ptrs, unsigned int cpu);
unsigned int knet_nr_cpu_ids(void);
bool knet_cpu_possible(unsigned int cpu);

/* Scatterlists and AEAD */
void knet_sg_set_buf(struct scatterlist *sg, const void *buf, unsigned int len);
void knet_crypto_free_aead(struct crypto_aead *tfm);
bool knet_crypto_aead_is_async(struct crypto_aead *tfm);
unsigned int knet_crypto_aead_ivsize(struct crypto_aead *tfm);
void knet_aead_request_set_tfm(struct aead_request *req,
			       struct crypto_aead *tfm);

/* Completions, waiting and work */
void knet_wake_up(struct wait_queue_head *wq);
void knet_init_completion(struct completion *c);
void knet_init_delayed_work(struct delayed_work *work, work_func_t func);
struct workqueue_struct *knet_alloc_workqueue(const char *name);
bool knet_queue_delayed_work(struct workqueue_struct *wq,
			     struct delayed_work *work, unsigned long delay);
bool knet_queue_work_now(struct workqueue_struct *wq, struct delayed_work *work);

/* Locks */
void knet_mutex_init(struct mutex *lock, const char *name,
		     struct lock_class_key *key);
void knet_mutex_lock(struct mutex *lock);
int knet_mutex_lock_interruptible(struct mutex *lock);
int knet_mutex_trylock(struct mutex *lock);
void knet_mutex_unlock(struct mutex *lock);

/* Counters, /proc and netlink */
struct linux_tls_mib __percpu *knet_alloc_tls_mib(void);
void knet_free_tls_mib(struct linux_tls_mib __percpu *mib);
void knet_tls_mib_add(struct net *net, int field, int value);
unsigned long knet_tls_mib_sum(struct net *net, int field);
struct nlattr *knet_nla_nest_start_noflag(struct sk_buff *skb, int type);
int knet_nla_nest_end(struct sk_buff *skb, struct nlattr *start);
void knet_nla_nest_cancel(struct sk_buff *skb, struct nlattr *start);
struct net *knet_seq_file_net(struct seq_file *seq);

#endif
