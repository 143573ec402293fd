/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints: every change of state of a request, of a claim, of a commit, of
 * an attachment. Masks have bit i for block region * 64 + i.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM sluice

#if !defined(SLUICE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define SLUICE_TRACE_H

#include <linux/tracepoint.h>

DECLARE_EVENT_CLASS(sluice_mask,
	TP_PROTO(int dev, u64 region, u64 mask),
	TP_ARGS(dev, region, mask),
	TP_STRUCT__entry(
		__field(int, dev)
		__field(u64, region)
		__field(u64, mask)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->region = region;
		__entry->mask = mask;
	),
	TP_printk("sluice%d region=%llu mask=%016llx", __entry->dev,
		  (unsigned long long)__entry->region, (unsigned long long)__entry->mask)
);

DEFINE_EVENT(sluice_mask, sluice_serve, TP_PROTO(int dev, u64 region, u64 mask),
	     TP_ARGS(dev, region, mask));
DEFINE_EVENT(sluice_mask, sluice_expire, TP_PROTO(int dev, u64 region, u64 mask),
	     TP_ARGS(dev, region, mask));

TRACE_EVENT(sluice_park,
	TP_PROTO(int dev, u64 region, u64 mask, bool write),
	TP_ARGS(dev, region, mask, write),
	TP_STRUCT__entry(
		__field(int, dev)
		__field(u64, region)
		__field(u64, mask)
		__field(bool, write)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->region = region;
		__entry->mask = mask;
		__entry->write = write;
	),
	TP_printk("sluice%d region=%llu mask=%016llx %s", __entry->dev,
		  (unsigned long long)__entry->region, (unsigned long long)__entry->mask,
		  __entry->write ? "write" : "read")
);

TRACE_EVENT(sluice_claim,
	TP_PROTO(int dev, u64 region, u64 mask, bool fill),
	TP_ARGS(dev, region, mask, fill),
	TP_STRUCT__entry(
		__field(int, dev)
		__field(u64, region)
		__field(u64, mask)
		__field(bool, fill)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->region = region;
		__entry->mask = mask;
		__entry->fill = fill;
	),
	TP_printk("sluice%d region=%llu mask=%016llx %s", __entry->dev,
		  (unsigned long long)__entry->region, (unsigned long long)__entry->mask,
		  __entry->fill ? "fill" : "host")
);

TRACE_EVENT(sluice_release,
	TP_PROTO(int dev, u64 region, u64 mask, u64 set),
	TP_ARGS(dev, region, mask, set),
	TP_STRUCT__entry(
		__field(int, dev)
		__field(u64, region)
		__field(u64, mask)
		__field(u64, set)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->region = region;
		__entry->mask = mask;
		__entry->set = set;
	),
	TP_printk("sluice%d region=%llu mask=%016llx set=%016llx", __entry->dev,
		  (unsigned long long)__entry->region, (unsigned long long)__entry->mask,
		  (unsigned long long)__entry->set)
);

TRACE_EVENT(sluice_commit,
	TP_PROTO(int dev, u64 block, u32 blocks, u32 flags),
	TP_ARGS(dev, block, blocks, flags),
	TP_STRUCT__entry(
		__field(int, dev)
		__field(u64, block)
		__field(u32, blocks)
		__field(u32, flags)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->block = block;
		__entry->blocks = blocks;
		__entry->flags = flags;
	),
	TP_printk("sluice%d block=%llu blocks=%u flags=%x", __entry->dev,
		  (unsigned long long)__entry->block, __entry->blocks, __entry->flags)
);

TRACE_EVENT(sluice_commit_done,
	TP_PROTO(int dev, u64 block, u32 blocks, int res),
	TP_ARGS(dev, block, blocks, res),
	TP_STRUCT__entry(
		__field(int, dev)
		__field(u64, block)
		__field(u32, blocks)
		__field(int, res)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->block = block;
		__entry->blocks = blocks;
		__entry->res = res;
	),
	TP_printk("sluice%d block=%llu blocks=%u res=%d", __entry->dev,
		  (unsigned long long)__entry->block, __entry->blocks, __entry->res)
);

TRACE_EVENT(sluice_sync,
	TP_PROTO(int dev, unsigned int pages, int err),
	TP_ARGS(dev, pages, err),
	TP_STRUCT__entry(
		__field(int, dev)
		__field(unsigned int, pages)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->pages = pages;
		__entry->err = err;
	),
	TP_printk("sluice%d pages=%u err=%d", __entry->dev, __entry->pages, __entry->err)
);

DECLARE_EVENT_CLASS(sluice_generation,
	TP_PROTO(int dev, u64 generation),
	TP_ARGS(dev, generation),
	TP_STRUCT__entry(
		__field(int, dev)
		__field(u64, generation)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->generation = generation;
	),
	TP_printk("sluice%d generation=%llx", __entry->dev,
		  (unsigned long long)__entry->generation)
);

DEFINE_EVENT(sluice_generation, sluice_attach, TP_PROTO(int dev, u64 generation),
	     TP_ARGS(dev, generation));
DEFINE_EVENT(sluice_generation, sluice_attach_end, TP_PROTO(int dev, u64 generation),
	     TP_ARGS(dev, generation));

TRACE_EVENT(sluice_state,
	TP_PROTO(int dev, u32 state),
	TP_ARGS(dev, state),
	TP_STRUCT__entry(
		__field(int, dev)
		__field(u32, state)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->state = state;
	),
	TP_printk("sluice%d state=%u", __entry->dev, __entry->state)
);

#endif /* SLUICE_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
