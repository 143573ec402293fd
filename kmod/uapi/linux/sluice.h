/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The boundary between sluice.ko and the daemon: one control node,
 * /dev/sluice-control (root, 0600), ioctls for what is rare, and
 * IORING_OP_URING_CMD for the commits that move data.
 *
 * A file opened on the node is first nobody's. SLUICE_IOC_OPEN and
 * SLUICE_IOC_CLOSE manage devices through any file; SLUICE_IOC_ATTACH binds
 * the file to one device, and mmap, poll, commits and the device ioctls below
 * it then mean that device. Closing the attaching process's descriptor ends the
 * attachment, also when a forked child still holds a copy.
 *
 * Units: a block is SLUICE_BLOCK_SIZE bytes of the namespace; extents are in
 * blocks; everything named _bytes is in bytes.
 *
 * Every struct has explicit padding. Reserved fields and undefined flag bits
 * must be zero; the kernel refuses others with EINVAL, so that they can get a
 * meaning later.
 */
#ifndef _UAPI_LINUX_SLUICE_H
#define _UAPI_LINUX_SLUICE_H

#include <linux/ioctl.h>
#include <linux/types.h>

#ifdef __KERNEL__
#include <linux/build_bug.h>
#else
#include <assert.h>
#endif

/* Raised when an old pair of daemon and module could misunderstand each other. */
#define SLUICE_ABI_VERSION	1

#define SLUICE_CONTROL_NODE	"sluice-control"

#define SLUICE_BLOCK_SHIFT	12
#define SLUICE_BLOCK_SIZE	(1U << SLUICE_BLOCK_SHIFT)

/* Blocks whose bits share one 64-bit word of the map: the unit of splitting. */
#define SLUICE_REGION_BLOCKS	64

/* String fields are NUL-terminated within their size. */
#define SLUICE_NAME_LEN		64
#define SLUICE_IMAGE_NAME_LEN	256
#define SLUICE_ID_LEN		128
#define SLUICE_DIGEST_LEN	32
#define SLUICE_UUID_LEN		16

/*
 * A parked request ends after 20 s by default: inside Linux hosts' 30 s NVMe
 * timeout, so that they see a status they retry instead of resetting the controller.
 */
#define SLUICE_DEADLINE_MS	20000

struct sluice_info {
	__u32 abi_version;		/* out */
	__u32 block_size;		/* out */
	__u64 features;			/* out: SLUICE_FEATURE_* */
	__u32 max_commit_blocks;	/* out: of a data commit */
	__u32 max_zero_blocks;		/* out: of a zero commit */
	__u64 max_pool_bytes;		/* out */
	__u64 reserved[4];
};

/* What image a deployment is of. Two identities are the same image when size,
 * digest (where both have one) and id (where both have one) are equal.
 */
struct sluice_identity {
	__u64 image_bytes;
	__u32 logical_block_size;	/* 512 or 4096 */
	__u32 digest_kind;		/* SLUICE_DIGEST_* */
	__u8  digest[SLUICE_DIGEST_LEN];
	char  image_name[SLUICE_IMAGE_NAME_LEN];	/* for people: not compared */
	char  image_id[SLUICE_ID_LEN];	/* as the source reports it, or empty */
};

#define SLUICE_DIGEST_NONE	0
#define SLUICE_DIGEST_SAMPLE	1	/* SHA-256 over sampled blocks: see libcommon/sample.h */

/* Write new metadata. Without it a disk that holds none is refused. */
#define SLUICE_OPEN_FORMAT	(1U << 0)
/* Compare identity with the disk's; without it the disk's is taken as it is. */
#define SLUICE_OPEN_IDENTITY	(1U << 1)
/* Compare uuid with the disk's. */
#define SLUICE_OPEN_UUID	(1U << 2)
#define SLUICE_OPEN_FLAGS	(SLUICE_OPEN_FORMAT | SLUICE_OPEN_IDENTITY | SLUICE_OPEN_UUID)

/* Why an open failed, where errno alone could mean several things. */
enum sluice_refusal {
	SLUICE_REFUSED_NOT = 0,
	SLUICE_REFUSED_TOO_SMALL,	/* the disk cannot hold size and tail: ENOSPC */
	SLUICE_REFUSED_NO_SUPERBLOCK,	/* neither copy was ever one: ENODATA */
	SLUICE_REFUSED_SUPERBLOCK,	/* damaged beyond use: EUCLEAN */
	SLUICE_REFUSED_MAP,		/* a map page without a valid slot: EUCLEAN */
	SLUICE_REFUSED_VERSION,		/* written by a newer Sluice: EPROTONOSUPPORT */
	SLUICE_REFUSED_IMAGE,		/* of another image: ESTALE */
	SLUICE_REFUSED_UUID,		/* of another deployment: ESTALE */
	SLUICE_REFUSED_DISK,		/* made on another disk: ESTALE */
	SLUICE_REFUSED_BLOCK_SIZE,	/* image blocks smaller than the disk's: EINVAL */
	SLUICE_REFUSED_IMAGE_SIZE,	/* no multiple of the logical block: EINVAL */
	SLUICE_REFUSED_BUSY,		/* somebody else holds the disk: EBUSY */
};

struct sluice_open {
	__u32 flags;			/* SLUICE_OPEN_* */
	__u32 abi_version;		/* of the caller: EPROTO unless ours */
	__u32 local_major;		/* the local disk */
	__u32 local_minor;
	char  name[SLUICE_NAME_LEN];	/* of the deployment; unique */
	char  local_id[SLUICE_ID_LEN];	/* of the disk (wwid, serial), or empty */
	struct sluice_identity identity; /* in, or out without SLUICE_OPEN_IDENTITY */
	__u64 namespace_bytes;		/* format: 0 is the disk less the tail; out */
	__u8  uuid[SLUICE_UUID_LEN];	/* in with SLUICE_OPEN_UUID; out */
	__u32 deadline_ms;		/* of a parked request; 0 is the default */
	__u32 index;			/* out: N of /dev/sluiceN */
	__u32 refusal;			/* out: enum sluice_refusal, also on error */
	__u32 state;			/* out: enum sluice_state */
	__u64 reserved[4];
};

enum sluice_state {
	SLUICE_STATE_DEPLOYING = 0,
	SLUICE_STATE_COMPLETE,
	SLUICE_STATE_FAILED,		/* sticky metadata failure */
};

/*
 * SLUICE_IOC_CLOSE: EBUSY while the disk is open, or somebody opens or closes it just now,
 * or a daemon is attached.
 */
struct sluice_close {
	__u32 index;
	__u32 flags;			/* none yet */
	__u64 reserved[2];
};

struct sluice_attach {
	__u32 index;
	__u32 abi_version;		/* of the caller: EPROTO unless ours */
	__u32 pool_blocks;		/* size of the buffer pool */
	__u32 ring_events;		/* a power of two */
	__u32 watchdog_ms;		/* silence after which another may attach; 0: default */
	__u32 flags;			/* none yet */
	__u64 generation;		/* out: to be given with every command */
	__u64 namespace_bytes;		/* out */
	__u64 map_bytes;		/* out: length to mmap, of whole pages */
	__u64 ring_bytes;		/* out: likewise */
	__u64 pool_bytes;		/* out: likewise, so no measure of the pool's blocks */
	__u8  uuid[SLUICE_UUID_LEN];	/* out */
	struct sluice_identity identity; /* out */
	__u64 reserved[4];
};

/* mmap offsets of an attached file. */
#define SLUICE_MMAP_MAP		0x000000000000ULL	/* read-only, shared */
#define SLUICE_MMAP_RING	0x100000000000ULL	/* shared */
#define SLUICE_MMAP_POOL	0x200000000000ULL	/* shared */

/*
 * The map: bit (b % 64) of the native 64-bit word b / 64 is set when block b is
 * resident. Bits beyond the namespace's last block are set. A set bit stays.
 *
 * The event ring: the kernel writes an event at index tail & (entries - 1) and
 * then advances tail; the daemon reads up to tail and then advances head. Both
 * run freely over 32 bits. The control file polls readable while tail != head.
 * With no room left the kernel sets SLUICE_RING_OVERFLOW in flags instead; after
 * draining, the daemon clears it and calls SLUICE_IOC_OFFER.
 */
struct sluice_event {
	__u64 block;
	__u32 blocks;
	__u32 kind;			/* enum sluice_event_kind */
};

enum sluice_event_kind {
	SLUICE_EVENT_READ = 1,		/* a host read waits for these blocks */
	SLUICE_EVENT_WRITE,		/* a host write covers part of this block */
};

#define SLUICE_RING_OVERFLOW	(1U << 0)

struct sluice_ring {
	__u32 tail;			/* written by the kernel */
	__u32 entries;			/* written by the kernel, informative */
	__u32 flags;			/* SLUICE_RING_* */
	__u32 pad0;
	__u8  pad1[48];
	__u32 head;			/* written by the daemon */
	__u32 pad2;
	__u8  pad3[56];
	struct sluice_event events[];
};

/*
 * SLUICE_CMD_COMMIT, an IORING_OP_URING_CMD on a ring with SQE128: makes the
 * missing blocks of an extent resident with data from the pool, or with zeroes.
 * The result is the number of blocks that became resident through this command
 * (those already resident or being written by the host are skipped), or
 * -errno. The pool blocks named belong to the kernel until it completes.
 *
 * Errors: EINVAL malformed, ERANGE outside the namespace or pool, EBUSY pool
 * blocks in use, ESTALE generation, ENOLINK not attached (any more), EIO the
 * local disk failed (no bit of the failed part is set; blocks of other parts
 * may be), EROFS metadata failed, EBADFD the device is complete.
 */
#define SLUICE_CMD_COMMIT	_IOW(SLUICE_IOC_MAGIC, 0x40, struct sluice_commit)

/* No data: the blocks read as zeroes. pool_block must be 0. */
#define SLUICE_COMMIT_ZERO	(1U << 0)

struct sluice_commit {
	__u64 generation;
	__u64 block;
	__u32 blocks;
	__u32 pool_block;		/* first pool block with the data */
	__u32 flags;			/* SLUICE_COMMIT_* */
	__u32 reserved[5];
};

/* SLUICE_IOC_COMPLETE: records that every block is local. EAGAIN while one is
 * missing. The device then only remaps and takes no more commits.
 */
struct sluice_generation {
	__u64 generation;
	__u64 reserved;
};

struct sluice_stat {
	__u32 state;			/* enum sluice_state */
	__u32 attached;
	__u64 generation;
	__u64 total_blocks;
	__u64 resident_blocks;
	__u64 dirty_pages;		/* map pages with bits not yet durable */
	__u64 parked;			/* host requests waiting now */
	__u64 parked_total;
	__u64 expired;			/* ended by their deadline */
	__u64 fill_blocks;		/* made resident by commits */
	__u64 host_blocks;		/* made resident by host writes and discards */
	__u64 served_blocks;		/* answered from the pool */
	__u64 flush_rounds;
	__u64 host_seq;			/* host requests seen while deploying */
	__u32 deadline_ms;
	__u32 open_count;
	__u64 reserved[4];
};

struct sluice_set {
	__u32 deadline_ms;		/* 0 leaves it */
	__u32 flags;			/* none yet */
	__u64 reserved[2];
};

/* By-index forms serve files that are not attached. */
struct sluice_index {
	__u32 index;
	__u32 flags;			/* none yet */
	__u64 reserved;
};

struct sluice_stat_index {
	struct sluice_index of;
	struct sluice_stat stat;	/* out */
};

struct sluice_set_index {
	struct sluice_index of;
	struct sluice_set set;
};

#define SLUICE_IOC_MAGIC	0xB5
#define SLUICE_IOC_INFO		_IOR(SLUICE_IOC_MAGIC, 0x00, struct sluice_info)
#define SLUICE_IOC_OPEN		_IOWR(SLUICE_IOC_MAGIC, 0x01, struct sluice_open)
#define SLUICE_IOC_CLOSE	_IOW(SLUICE_IOC_MAGIC, 0x02, struct sluice_close)
#define SLUICE_IOC_ATTACH	_IOWR(SLUICE_IOC_MAGIC, 0x03, struct sluice_attach)
/* Ends this file's attachment; returns when no commit of it is in flight. */
#define SLUICE_IOC_DETACH	_IO(SLUICE_IOC_MAGIC, 0x04)
#define SLUICE_IOC_COMPLETE	_IOW(SLUICE_IOC_MAGIC, 0x05, struct sluice_generation)
/* Raises the events of every parked request again. */
#define SLUICE_IOC_OFFER	_IOW(SLUICE_IOC_MAGIC, 0x06, struct sluice_generation)
/* A sign of life for the watchdog; every commit is one too. */
#define SLUICE_IOC_HEARTBEAT	_IOW(SLUICE_IOC_MAGIC, 0x07, struct sluice_generation)
#define SLUICE_IOC_STAT		_IOWR(SLUICE_IOC_MAGIC, 0x10, struct sluice_stat_index)
#define SLUICE_IOC_SET		_IOW(SLUICE_IOC_MAGIC, 0x11, struct sluice_set_index)
/* Makes data and map durable now, like a host flush. */
#define SLUICE_IOC_SYNC		_IOW(SLUICE_IOC_MAGIC, 0x12, struct sluice_index)
/* Ends every parked request with the retryable status. */
#define SLUICE_IOC_FAIL_PARKED	_IOW(SLUICE_IOC_MAGIC, 0x13, struct sluice_index)

static_assert(sizeof(struct sluice_info) == 64, "uapi layout");
static_assert(sizeof(struct sluice_identity) == 432, "uapi layout");
static_assert(sizeof(struct sluice_open) == 712, "uapi layout");
static_assert(sizeof(struct sluice_close) == 24, "uapi layout");
static_assert(sizeof(struct sluice_attach) == 544, "uapi layout");
static_assert(sizeof(struct sluice_event) == 16, "uapi layout");
static_assert(sizeof(struct sluice_ring) == 128, "uapi layout");
static_assert(sizeof(struct sluice_commit) == 48, "uapi layout");
static_assert(sizeof(struct sluice_generation) == 16, "uapi layout");
static_assert(sizeof(struct sluice_stat) == 144, "uapi layout");
static_assert(sizeof(struct sluice_set) == 24, "uapi layout");
static_assert(sizeof(struct sluice_stat_index) == 160, "uapi layout");
static_assert(sizeof(struct sluice_set_index) == 40, "uapi layout");

#endif /* _UAPI_LINUX_SLUICE_H */
