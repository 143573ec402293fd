/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /dev/sluice-control in the types of user space. The structs of the uapi header
 * do not leave control.c; its constants and enums are used everywhere.
 *
 * Functions return 0 or -errno and may block while the kernel writes metadata,
 * unless said otherwise. A file descriptor may be used from several threads.
 */
#ifndef SLUICE_CONTROL_H
#define SLUICE_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/sluice.h>

#define SLUICE_CONTROL_PATH	"/dev/" SLUICE_CONTROL_NODE

/* What the module can do. */
struct sluice_module {
	uint32_t abi_version;
	uint64_t features;
	uint32_t max_commit_blocks;
	uint32_t max_zero_blocks;
	uint64_t max_pool_bytes;
};

/* Which image a deployment is of. */
struct sluice_image {
	uint64_t bytes;
	uint32_t logical_block;		/* bytes: 512 or 4096 */
	uint32_t digest_kind;		/* SLUICE_DIGEST_* */
	uint8_t digest[SLUICE_DIGEST_LEN];
	char name[SLUICE_IMAGE_NAME_LEN];
	char id[SLUICE_ID_LEN];
};

/* A device to open. */
struct sluice_opening {
	uint32_t flags;			/* in: SLUICE_OPEN_* */
	dev_t disk;			/* in */
	char name[SLUICE_NAME_LEN];	/* in */
	char disk_id[SLUICE_ID_LEN];	/* in, or empty */
	struct sluice_image image;	/* in; out without SLUICE_OPEN_IDENTITY */
	uint64_t namespace_bytes;	/* in for a format, 0: all there is; out */
	uint8_t uuid[SLUICE_UUID_LEN];	/* in with SLUICE_OPEN_UUID; out */
	uint32_t deadline_ms;		/* in, 0: the kernel's default */
	uint32_t index;			/* out */
	enum sluice_refusal refusal;	/* out, also on error */
	enum sluice_state state;	/* out */
};

/* One attachment and its shared memory. */
struct sluice_attachment {
	int fd;				/* bound to the device; -1 when there is none */
	uint32_t index;
	uint64_t generation;
	uint64_t namespace_bytes;
	uint8_t uuid[SLUICE_UUID_LEN];
	struct sluice_image image;
	const uint64_t *map;		/* little endian; the kernel sets bits in it */
	size_t map_bytes;
	void *ring;
	size_t ring_bytes;
	uint32_t ring_entries;
	uint8_t *pool;			/* page aligned */
	size_t pool_bytes;		/* of whole pages: more than its blocks, perhaps */
	uint32_t pool_blocks;
};

/* What the host waits for. */
struct sluice_wanted {
	uint64_t block;
	uint32_t blocks;
	bool write;			/* a host write covers part of the block */
};

struct sluice_counters {
	enum sluice_state state;
	bool attached;
	uint64_t generation;
	uint64_t total_blocks;
	uint64_t resident_blocks;
	uint64_t dirty_pages;
	uint64_t parked;
	uint64_t parked_total;
	uint64_t expired;
	uint64_t fill_blocks;
	uint64_t host_blocks;
	uint64_t served_blocks;
	uint64_t flush_rounds;
	uint64_t host_seq;
	uint32_t deadline_ms;
	uint32_t open_count;
};

/* A new descriptor of the control node. -ENOENT or -ENXIO: no module. */
int sluice_control_open(void);

/* -EPROTO, with @module filled, when the module speaks another ABI version. */
int sluice_control_info(int fd, struct sluice_module *module);

/* On error @opening->refusal says why, where the kernel knows. */
int sluice_control_open_device(int fd, struct sluice_opening *opening);

/* -EBUSY while the device is open or attached. */
int sluice_control_close_device(int fd, uint32_t index);

/* Does not block. -ENODEV: no such device. */
int sluice_control_stat(int fd, uint32_t index, struct sluice_counters *out);

int sluice_control_set_deadline(int fd, uint32_t index, uint32_t deadline_ms);
int sluice_control_sync(int fd, uint32_t index);
int sluice_control_fail_parked(int fd, uint32_t index);

/*
 * Opens a descriptor, attaches it and maps the shared memory. -EBUSY while
 * another one is attached. On error @att holds nothing and att->fd is -1.
 */
int sluice_attach(struct sluice_attachment *att, uint32_t index, uint32_t pool_blocks,
		  uint32_t ring_events, uint32_t watchdog_ms);

/* Ends the attachment, unmaps and closes. Waits for commits in flight. */
void sluice_detach(struct sluice_attachment *att);

/* -EAGAIN while a block is missing. */
int sluice_attachment_complete(const struct sluice_attachment *att);

/* Does not block. */
int sluice_attachment_offer(const struct sluice_attachment *att);
int sluice_attachment_heartbeat(const struct sluice_attachment *att);

/*
 * Takes the oldest event of the ring; false when there is none. The ring is
 * written by the kernel only, yet what makes no sense is not trusted: a ring
 * with more than its entries is emptied, and counts as overflown. Does not check
 * @out against the namespace.
 */
bool sluice_attachment_next(struct sluice_attachment *att, struct sluice_wanted *out);

/* Whether events were lost since the last call: then offer again. */
bool sluice_attachment_overflown(struct sluice_attachment *att);

/*
 * Fills the command area of an io_uring entry, @len bytes at @cmd, with a commit
 * of @blocks at @block from @pool_block on, or of zeroes. The operation is
 * SLUICE_CMD_COMMIT on att->fd.
 */
void sluice_attachment_prep_commit(const struct sluice_attachment *att, void *cmd, size_t len,
				   uint64_t block, uint32_t blocks, uint32_t pool_block,
				   bool zero);

/*
 * Why an open was refused, as the end of a sentence about a disk: "holds no
 * deployment". NULL for SLUICE_REFUSED_NOT, unknown reasons, and what nobody asks for
 * who looked at the image.
 */
const char *sluice_refusal_text(enum sluice_refusal refusal);

#endif /* SLUICE_CONTROL_H */
