#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# dmesg-scan.sh FILE...: show what kernel logs complain about. Ends with 1 when
# there is anything which tests/vm/dmesg-allow does not excuse. A data race is
# ours when an access is made by a function of Sluice's or by one that it called: the
# kernel has many of its own that it lives with, below everybody's calls.

set -euo pipefail

allow=${SLUICE_DMESG_ALLOW:-$(dirname "$0")/dmesg-allow}
if [ $# = 0 ]; then
	echo "usage: dmesg-scan.sh FILE..." >&2
	exit 2
fi

# What opens a report. `at` is the start of a message: a line of user space
# that merely quotes one of these words is not a report.
at='(^|\] ?)(<[0-9]+>)?'
headers=(
	"$at\[? *BUG[: ]"
	"$at\[? *WARNING: "
	"$at\[? *INFO: (task|trying to register|lockdep is turned off|possible|rcu)"
	'KASAN: |KFENCE: |KCSAN: |UBSAN: |ODEBUG: |refcount_t: '
	'kmemleak: [0-9]+ new|kmemleak: .*disabled|unreferenced object 0x'
	'possible (circular|recursive|irq|unsafe|interrupt)|inconsistent lock state'
	'suspicious RCU usage|bad unlock balance|DEBUG_LOCKS_WARN_ON'
	'turning off the locking correctness validator|Invalid wait context'
	'sleeping function called from invalid context|scheduling while atomic'
	'blocked (for more than|in I/O wait for) |hung task|hung_task: '
	'rcu.*(detected stalls|self-detected stall|expedited stalls|kthread starved)'
	'soft lockup|hard LOCKUP|hard lockup'
	'general protection fault|Oops|[Uu]nable to handle|kernel BUG at'
	'double fault|stack guard page|divide error:|invalid opcode:|Kernel panic'
	'(list|slab|heap|stack) ?(add|del|pointer|memory)? ?corruption|list_(add|del) corruption'
	'Poison overwritten|Redzone overwritten|padding overwritten|Bad page'
	'vmalloc error: size '
	'page allocation failure|Out of memory:|invoked oom-killer'
	"debugfs: .* already present|cannot create duplicate filename"
	'tried to init an initialized object|still has locks held|held lock freed'
	# Excused by default, but then so is the trace that follows.
	'FAULT_INJECTION: forcing a failure'
)
pattern=$(IFS='|'; printf '%s' "${headers[*]}")

found=0
for file; do
	if [ ! -s "$file" ]; then
		echo "dmesg-scan: $file is missing or empty, so it proves nothing" >&2
		found=1
		continue
	fi
	pattern=$pattern LC_ALL=C awk -v file="$file" -v allow="$allow" '
	BEGIN {
		while ((getline line <allow) > 0)
			if (line !~ /^(#|[ \t]*$)/)
				excuse[line]
	}
	function excused(line,	re) {
		for (re in excuse)
			if (line ~ re)
				return 1
		return 0
	}
	{ sub(/\r$/, ""); text[NR] = $0 }
	# A report of KCSAN ends with a rule, each access with its stack begins with who
	# and where. One cut short may be anything.
	function foreign(header,	l, frames) {
		for (l = header + 1; l <= NR && l <= header + 120; l++) {
			if (text[l] ~ /==========/)
				return 1
			if (text[l] ~ / on cpu [0-9]+:$/)
				frames = 2
			else if (text[l] ~ /reordered to: .*\[sluice\]/)
				return 0
			else if (frames && text[l] ~ /\+0x/) {
				frames--
				if (text[l] ~ /\[sluice\]/)
					return 0
			}
		}
		return 0
	}
	$0 ~ ENVIRON["pattern"] {
		ours = !excused($0)
		# An oops takes about 60 lines, a lockdep report up to 90.
		last = NR + 100
		if (ours) header[++n] = NR
		next
	}
	/---\[ end trace/ { last = 0 }
	# A bare stack dump; otherwise it belongs to the report around it.
	/Call [Tt]race:/ && NR > last && !excused($0) { header[++n] = NR; last = NR + 100 }
	END {
		for (i = 1; i <= n; i++)
			if (text[header[i]] !~ /KCSAN: / || !foreign(header[i]))
				header[++left] = header[i]
		n = left + 0
		for (i = 1; i <= n; i++) {
			if (i > 20) {
				printf "%s: %d more reports\n", file, n - 20
				break
			}
			# Lines of one report are shown once.
			from = header[i] - 3 > shown ? header[i] - 3 : shown + 1
			to = header[i] + 25 < NR ? header[i] + 25 : NR
			if (header[i] > shown)
				printf "%s:%d: %s\n", file, header[i], text[header[i]]
			for (l = from; l <= to; l++)
				print "    " text[l]
			if (to > shown) shown = to
		}
		exit n > 0
	}' "$file" || found=1
done
exit "$found"
