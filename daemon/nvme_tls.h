/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLS of the kernel's NVMe/TCP initiator: it takes the pre-shared key from its keyring
 * ".nvme", where the operator puts it, and leaves the handshake to tlshd.
 */
#ifndef SLUICED_NVME_TLS_H
#define SLUICED_NVME_TLS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether @hostnqn can connect to @nqn with TLS, as far as this machine is concerned:
 * 0, or -errno with a sentence in @why of what is missing. Once the initiator is there.
 */
int sluiced_nvme_tls_check(const char *hostnqn, const char *nqn, char *why, size_t why_len);

#endif /* SLUICED_NVME_TLS_H */
