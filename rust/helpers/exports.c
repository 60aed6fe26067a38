// SPDX-License-Identifier: GPL-2.0
/* The symbols that drivers import, defined in net/offload.rs. */

#include <linux/export.h>
#include <net/tls.h>

EXPORT_SYMBOL_GPL(tls_validate_xmit_skb);
EXPORT_SYMBOL_GPL(tls_encrypt_skb);
EXPORT_SYMBOL(tls_get_record);
EXPORT_SYMBOL_GPL(tls_device_sk_destruct);
EXPORT_SYMBOL_GPL(tls_offload_tx_resync_request);
