#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeline.sh TIMELINE.json SAMPLES NAMESPACE_BYTES: the picture of a demonstration,
# as SVG: how much of the disk is local and how fast the image comes, over the
# phases of the host's boot. SAMPLES has lines "ms local fetched demand received".
set -euo pipefail

value() { sed -n "s/.*\"$1\": *\([0-9.]*\).*/\1/p" "$timeline"; }

timeline=$1 samples=$2 bytes=$3
marks=''
row=0
for phase in firmware grub kernel login all_local; do
	ms=$(value "${phase}_ms")
	label=${phase/_/ }
	# Labels one below the other: the first phases are close together.
	marks+="set arrow from $ms/1e3, graph 0 to $ms/1e3, graph 1 nohead dt 3 lc rgb '#888888'
set label '$label  $(printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100)))' at $ms/1e3, graph $(awk "BEGIN { print 0.97 - 0.06 * $row }") offset 0.5,0 font ',11'
"
	row=$((row + 1))
done

gnuplot <<GNUPLOT
set terminal svg size 960,480 font 'sans,12' background '#ffffff'
set title 'A host boots from its disk while the image is still on the network'
set xlabel 'seconds since the host was powered on'
set ylabel 'local, % of the disk'
set y2label 'from the network, MiB/s'
set yrange [0:115]
set y2range [0:*]
set xrange [0:$(value all_local_ms)/1e3*1.15]
set ytics 0,20,100 nomirror
set y2tics
set key bottom right
set grid x
$marks
rate(ms, n) = (d = ms - last_ms, b = n - last_n, last_ms = ms, last_n = n, d > 0 && b >= 0 ? b / d * 1000. / 1048576 : NaN)
last_ms = 0
last_n = 0
plot '$samples' using (\$1 / 1e3):(rate(\$1, \$5)) axes x1y2 with fsteps lc rgb '#e69f00' title 'from the network', \
     '$samples' using (\$1 / 1e3):(\$2 * 100. / $bytes) with lines lw 2 lc rgb '#0072b2' title 'local', \
     '$samples' using (\$1 / 1e3):(\$4 * 100. / $bytes) with lines lw 2 lc rgb '#009e73' title 'fetched because the host asked'
GNUPLOT
