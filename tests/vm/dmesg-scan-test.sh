#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Feeds dmesg-scan.sh logs that must and must not be complained about.

set -euo pipefail
# What is behind a pipe counts, too.
shopt -s lastpipe

scan=$(dirname "$0")/dmesg-scan.sh
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

expect() { # good|bad WHAT, log on stdin
	local verdict=good
	cat >"$tmp/log"
	"$scan" "$tmp/log" >"$tmp/report" 2>&1 || verdict=bad
	[ "$verdict" = "$1" ] && return
	echo "dmesg-scan: takes this for $verdict, it is $1: $2"
	failed=1
}

# One complaint a line, as kernels 6.1 to 7.x print them.
while IFS= read -r line; do
	printf '[    1.000000] before\r\n[    2.000000] %s\r\n[    3.000000] after\r\n' "$line" |
		expect bad "$line"
	printf '%s\n' "$line" | expect bad "without time stamp: $line"
done <<'BAD'
BUG: kernel NULL pointer dereference, address: 0000000000000008
BUG: unable to handle page fault for address: ffff888100000000
BUG: KASAN: slab-use-after-free in sluice_map_claim+0x1d/0x40 [sluice]
BUG: sleeping function called from invalid context at block/blk-core.c:100
BUG: scheduling while atomic: fio/123/0x00000002
BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 33s!
BUG kmalloc-64 (Tainted: G    B      O      ): Poison overwritten
BUG: Bad page state in process fio  pfn:00abc
watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [fio:123]
kernel BUG at drivers/block/sluice/map.c:42!
WARNING: CPU: 1 PID: 12 at kernel/workqueue.c:3000 __flush_work+0x1d/0x40
WARNING: kernel/workqueue.c:3000 at __flush_work+0x1d/0x40, CPU#1: kworker/12
WARNING: possible circular locking dependency detected
WARNING: possible recursive locking detected
WARNING: possible irq lock inversion dependency detected
WARNING: inconsistent lock state
WARNING: suspicious RCU usage
WARNING: bad unlock balance detected!
WARNING: lock held when returning to user space!
[ BUG: Invalid wait context ]
[ BUG: held lock freed! ]
DEBUG_LOCKS_WARN_ON(lock->magic != lock)
BUG: MAX_LOCKDEP_CHAINS too low!
turning off the locking correctness validator.
INFO: lockdep is turned off.
INFO: trying to register non-static key.
INFO: task fio:123 blocked for more than 120 seconds.
INFO: task fio:123 blocked in I/O wait for more than 120 seconds.
rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
rcu: INFO: rcu_preempt self-detected stall on CPU
rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-... }
rcu: rcu_preempt kthread starved for 5250 jiffies!
ODEBUG: free active (active state 0) object: 0000000012345678 object type: timer_list
refcount_t: underflow; use-after-free.
UBSAN: array-index-out-of-bounds in map.c:42:7
KCSAN: data-race in a / b
general protection fault, probably for non-canonical address 0xdead000000000122
Oops: general protection fault, probably for non-canonical address 0xdead
Oops: Oops: 0002 [#1] SMP KASAN PTI
Internal error: Oops: 96000004 [#1] SMP
Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008
divide error: 0000 [#1] SMP
Kernel panic - not syncing: Fatal exception
list_add corruption. next->prev should be prev
list_del corruption, ffff888100000000->next is LIST_POISON1
kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
fio: page allocation failure: order:4, mode:0xcc0(GFP_KERNEL)
Out of memory: Killed process 123 (fio)
sysfs: cannot create duplicate filename '/devices/virtual/block/sluice0'
debugfs: Directory 'sluice0' with parent 'block' already present!
kobject: kobject (000): tried to init an initialized object, something is seriously wrong.
Call Trace:
Call trace:
BAD

# What healthy kernels with all the checkers print.
expect good 'a healthy boot' <<'GOOD'
[    0.000000] Linux version 7.2.0 (x@y) #1 SMP PREEMPT
[    0.000000] kasan: KernelAddressSanitizer initialized (generic)
[    0.000000] Lock dependency validator: Copyright (c) 2006 Red Hat, Inc.
[    0.000000] ... MAX_LOCKDEP_SUBCLASSES:  8
[    0.000000] rcu: Preemptible hierarchical RCU implementation.
[    0.000000] rcu: RCU lockdep checking is enabled.
[    0.100000] kmemleak: Kernel memory leak detector initialized (mem pool available: 15679)
[    0.200000] kmemleak: Automatic memory scanning thread started
[    0.300000] BIOS-provided physical RAM map:
[    0.400000] Spectre V2 : WARNING is not what this line starts with
[    0.500000] nvme nvme0: I/O 12 QID 1 timeout, aborting
[    0.600000] blk_update_request: I/O error, dev sluice0, sector 0 op 0x0:(READ)
[    0.700000] workqueue: kblockd hogged CPU for >10000us 4 times
[    0.800000] guest-init: running /srv/test "BUG: quoted"
[    0.900000] sluice: loading out-of-tree module taints kernel.
GOOD

expect good 'an injected fault with its stack' <<'GOOD'
[    1.000000] FAULT_INJECTION: forcing a failure.
[    1.000001] name fail_make_request, interval 1, probability 100, space 0, times 1
[    1.000002] CPU: 0 PID: 12 Comm: fio Not tainted 7.2.0 #1
[    1.000003] Call Trace:
[    1.000004]  <TASK>
GOOD

expect good 'memory that a test takes away' <<'GOOD'
[    1.000000] kmod-test: vmalloc error: size 4096, align 0x1, vm_struct allocation failed
[    1.000003] Call Trace:
GOOD

{
	echo '[    1.000000] sluiced: vmalloc error: size 4096, align 0x1, vm_struct allocation failed'
	echo '[    1.000003] Call Trace:'
} | expect bad 'memory that was not there'

{
	echo '[    1.000000] FAULT_INJECTION: forcing a failure.'
	echo '[    1.000003] Call Trace:'
	echo '[    1.000004] WARNING: CPU: 0 PID: 1 at fs/x.c:1 x+0x0/0x1'
} | expect bad 'a warning right behind an excused report'
{
	echo '[    1.000000] FAULT_INJECTION: forcing a failure.'
	for i in $(seq 120); do echo "[    1.000001] line $i"; done
	echo '[    2.000000] Call Trace:'
} | expect bad 'a stack dump far behind an excused report'

# race TITLE FUNCTION FUNCTION [MODULE]...: as KCSAN reports it. The modules are those
# of the functions, of the first one's caller and of that one's.
race() {
	cat <<-RACE
	[    1.000000] ==================================================================
	[    1.000001] BUG: KCSAN: data-race in $1
	[    1.000002]
	[    1.000003] write to 0xffff888100000000 of 8 bytes by task 12 on cpu 1:
	[    1.000004]  $2+0x1d/0x40${4-}
	[    1.000005]  submit_bio_noacct_nocheck+0x1d/0x40${6-}
	[    1.000005]  submit_bio_noacct+0x1d/0x40${7-}
	[    1.000006]
	[    1.000007] read to 0xffff888100000000 of 8 bytes by interrupt on cpu 0:
	[    1.000008]  $3+0x1d/0x40${5-}
	[    1.000009]
	[    1.000010] value changed: 0x0000000000000001 -> 0x0000000000000002
	[    1.000011]
	[    1.000012] Reported by Kernel Concurrency Sanitizer on:
	[    1.000013] CPU: 0 UID: 0 PID: 12 Comm: fio Tainted: G           O        7.3.4 #1
	[    1.000014] ==================================================================
	RACE
}
race 'a / b' a b | expect good "a race of the kernel's"
race 'a / sluice_map_release' a sluice_map_release '' ' [sluice]' | expect bad 'a race with the kernel'
race 'a / b' a b '' '' ' [sluice]' | expect bad 'a race in what a function of ours calls'
race 'a / b' a b '' '' '' ' [sluice]' | expect good "a race of the kernel's, further below"
race 'a / b' a b | head -14 | expect bad 'a race whose report is cut short'
{
	race 'a / b' a b
	race 'x / x' x x ' [sluice]' ' [sluice]'
} | expect bad "a race of ours behind one of the kernel's"

: | expect bad 'an empty log'
if "$scan" "$tmp/none" >/dev/null 2>&1; then
	echo "dmesg-scan: takes a missing log for a good one"
	failed=1
fi

printf '# upstream\nat fs/x.c:1\n' >"$tmp/allow"
echo '[    1.0] WARNING: CPU: 0 PID: 1 at fs/x.c:1 x+0x0/0x1' |
	SLUICE_DMESG_ALLOW=$tmp/allow expect good 'an excused warning'

exit "$failed"
