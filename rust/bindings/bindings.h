/* SPDX-License-Identifier: GPL-2.0 */
/* The C interfaces that the abstractions in rust/ stand on. */

#include <linux/bvec.h>
#include <linux/inet_diag.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/proc_fs.h>
#include <linux/scatterlist.h>
#include <linux/skbuff.h>
#include <linux/snmp.h>
#include <linux/socket.h>
#include <linux/splice.h>
#include <linux/errqueue.h>
#include <linux/sockptr.h>
#include <linux/tcp.h>
#include <linux/uio.h>
#include <linux/workqueue.h>
#include <crypto/aead.h>
#include <net/inet_common.h>
#include <net/inet_connection_sock.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include <net/netlink.h>
#include <net/sock.h>
#include <net/tcp.h>
#include <net/tls.h>
#include <net/transp_v6.h>

#include "../helpers/helpers.h"
