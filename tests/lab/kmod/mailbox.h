/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * What the endpoint controller's driver and the wire tell each other, in the
 * shared memory of the ivshmem device. Both run on the same machine: native
 * endianness.
 *
 * The shared memory is a power of two. Its first half is the host machine's
 * memory; the mailbox opens the second half, which no host can address.
 *
 * Doorbells. Endpoint to wire (peer 0): vector 0, the mailbox has news; vector
 * N, the host's MSI-X vector N-1. Wire to endpoint: vector 0, the mailbox has
 * news.
 *
 * The link. The wire writes "link", then counts "request" up, then rings. The
 * endpoint takes the link down if it is up, up again if "link" says so, copies
 * the count to "answer" and rings. So an arriving host, a leaving one and a
 * reset are the same request, and one that overtakes another is no harm.
 */
#ifndef SLUICE_LAB_MAILBOX_H
#define SLUICE_LAB_MAILBOX_H

#include <linux/types.h>

#define LAB_MAILBOX_MAGIC	0x65726977	/* "wire" */
#define LAB_MAILBOX_VERSION	1

/* The ivshmem device has that many, the first is the mailbox's. */
#define LAB_DOORBELLS		32
#define LAB_MSIX_VECTORS	(LAB_DOORBELLS - 1)

#define LAB_PEER_WIRE		0
#define LAB_PEER_ENDPOINT	1

struct lab_mailbox {
	/* The wire's, before anybody else sees the mailbox. */
	__u32 magic;
	__u32 version;
	__u64 host_bytes;	/* the host's memory, from address 0 */

	/* The wire's. */
	__u32 link;		/* 1: a host is attached */
	__u32 request;
	__u32 msix_enabled;	/* vectors the host listens to */
	__u32 reserved0;

	/* The endpoint's. All but "answer" hold still while started. */
	__u32 started;
	__u32 answer;
	__u16 vendor;
	__u16 device;
	__u16 subsystem_vendor;
	__u16 subsystem;
	__u8 revision;
	__u8 prog_if;
	__u8 subclass;
	__u8 base_class;
	__u32 vectors;		/* MSI-X; 0: none */
	__u64 bar0_address;	/* in the endpoint machine's memory */
	__u64 bar0_bytes;
	__u32 bar0_flags;	/* as in the BAR itself */
	__u32 reserved1;
};

#endif
