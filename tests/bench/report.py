#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""report.py DIR GROUP...: from DIR/GROUP/results, lines "KEY.METRIC WHO VALUE" of one
run each, the document DIR/bench.json, a plot DIR/KEY.svg and the table."""

import json
import os
import platform
import statistics
import subprocess
import sys

OF_THE_METRIC = "see the metric"

# The keys of the document, for people: (what, unit).
GROUPS = {
    "cost": ("a 4 KiB random request, libaio, depth 32, null_blk", "instructions"),
    "source": ("an image from each kind of source, and by that protocol's own client", "MB/s"),
    "miss_us": ("a 4 KiB random read of missing blocks, then again; depth 32: a request of many",
                "us"),
    "first_write_us": ("a random write to missing blocks, depth 1", "us"),
    "flush_us": ("a 4 KiB random write and its flush, depth 1", "us"),
    "copy_mb_s": ("the whole image, idle host", "MB/s"),
    "under_load": ("a host's 4 KiB requests (70/30) beside the copy", OF_THE_METRIC),
    "boot": ("a host from power-on to its login prompt; image of 2 GiB, link of 20 MB/s",
             OF_THE_METRIC),
    "memory": ("what deployments need of the card", OF_THE_METRIC),
}


def over(figures, who, base, unit):
    """By how much who is above base, in terms of how much unit is."""
    return (figures[who] - figures[base]) / (figures[unit] - figures[base])


def ratio(who, base):
    return lambda f: f[who] / f[base]


# MB/s that a link carries.
LINKS = {"1gbit": 125, "10gbit": 1250}


def copy_ratio(metric):
    return lambda f: f["sluice"] / min(f["dd"], LINKS.get(metric, f["dd"]))


# (key, its metrics, what is bounded, how it is computed from {who: median}, "<=" or
# ">=", bound)
BOUNDS = [
    ("cost", ("read", "write"), "(sluice_complete - raw) / (dm_linear - raw)",
     lambda f: over(f, "sluice_complete", "raw", "dm_linear"), "<=", 0.30),
    ("cost", ("read", "write"), "(sluice_resident - raw) / (dm_clone_hydrated - raw)",
     lambda f: over(f, "sluice_resident", "raw", "dm_clone_hydrated"), "<=", 0.45),
    ("source", [kind + "_" + rate for kind in ("nvme_tcp", "nbd", "iscsi_tgt", "iscsi_lio")
                for rate in ("1gbit", "unlimited")],
     "sluice / client", ratio("sluice", "client"), ">=", 0.90),
    ("miss_us", ("depth1",), "sluice / remote", ratio("sluice", "remote"), "<=", 1.15),
    ("miss_us", ("depth32", "depth32_fast"), "remote / sluice (throughput)",
     ratio("remote", "sluice"), ">=", 0.95),
    ("miss_us", ("depth1", "depth32", "depth32_fast"), "sluice_again / local",
     ratio("sluice_again", "local"), "<=", 1.05),
    # What the request itself costs: nobody's copy is on the one processor.
    ("miss_us", ("depth1", "depth32"), "sluice_again_paused / local",
     ratio("sluice_again_paused", "local"), "<=", 1.05),
    ("first_write_us", ("4k",), "sluice / local", ratio("sluice", "local"), "<=", 1.15),
    ("flush_us", ("missing", "resident"), "sluice / local", ratio("sluice", "local"), "<=", 1.5),
    ("flush_us", ("missing", "resident"), "sluice / dm_clone_64k",
     ratio("sluice", "dm_clone_64k"), "<=", 1.0),
    # Neither copies; both do.
    ("flush_us", ("resident",), "sluice_paused / dm_clone_64k",
     ratio("sluice_paused", "dm_clone_64k"), "<=", 1.0),
    ("flush_us", ("resident",), "sluice / dm_clone_64k_copies",
     ratio("sluice", "dm_clone_64k_copies"), "<=", 1.0),
    ("copy_mb_s", ("1gbit",), "sluice / min(link, dd)", copy_ratio("1gbit"), ">=", 0.95),
    ("copy_mb_s", ("10gbit",), "sluice / min(link, dd)", copy_ratio("10gbit"), ">=", 0.95),
    ("copy_mb_s", ("unlimited",), "sluice / dd", copy_ratio("unlimited"), ">=", 0.95),
    ("under_load", ("iops_kept",), "sluice", lambda f: f["sluice"], ">=", 0.90),
    ("under_load", ("p99_ratio",), "sluice", lambda f: f["sluice"], "<=", 1.5),
    ("under_load", ("copy_mb_s",), "sluice / the floor, 2 MiB/s",
     lambda f: f["sluice"] / 2.097, ">=", 1),
    ("boot", ("login_s",), "sluice / local", ratio("sluice", "local"), "<=", 1.25),
    ("boot", ("login_s",), "sluice_profile / local", ratio("sluice_profile", "local"),
     "<=", 1.10),
    ("boot", ("login_s",), "copy_then_boot / sluice", ratio("copy_then_boot", "sluice"),
     ">=", 4),
    ("memory", ("kernel_mib",), "MiB a TiB of image",
     lambda f: (f["1024_gib"] - f["1_gib"]) * 1024 / 1023, "<=", 40),
    ("memory", ("daemon_peak_mib",), "at 1 TiB, without the pool's 32 MiB",
     lambda f: f["1024_gib"] - 32, "<=", 64),
    ("memory", ("ms_a_gib_of_holes",), "1 TiB / 32 GiB",
     lambda f: f["1024_gib"] / f["32_gib"], "<=", 1.1),
    ("memory", ("ms_a_gib_copied",), "64 deployments / 1",
     lambda f: f["64_deployments"] / f["1_deployments"], "<=", 1.1),
]


def read_results(path):
    """{key: {metric: {who: [value, ...]}}} in the order of the file."""
    runs = {}
    with open(path, encoding="ascii") as lines:
        for line in lines:
            name, who, value = line.split()
            key, metric = name.split(".")
            if key not in GROUPS:
                sys.exit(f"{path}: there is no key {key} of the document")
            runs.setdefault(key, {}).setdefault(metric, {}).setdefault(who, []).append(
                float(value))
    return runs


def number(value):
    """Short, and whole where it is large."""
    return round(value) if abs(value) >= 1000 else round(value, 1 if abs(value) >= 100 else 3)


def summary(values):
    return {"median": number(statistics.median(values)), "min": number(min(values)),
            "max": number(max(values)), "runs": [number(v) for v in values]}


def check_bounds(document):
    found = []
    for group, metrics, text, compute, relation, bound in BOUNDS:
        for metric in metrics:
            figures = {who: s["median"]
                       for who, s in document.get(group, {}).get(metric, {}).items()}
            try:
                value = round(compute(figures), 3)
            except (KeyError, ZeroDivisionError):
                continue
            kept = value <= bound if relation == "<=" else value >= bound
            found.append({"group": group, "metric": metric, "what": text, "value": value,
                          "relation": relation, "bound": bound, "kept": kept})
    return found


def gnuplot(path, size, script):
    script = f"""set terminal svg size {size} background "white"
set output "{path}"
set style fill solid 0.6 border -1
set grid ytics
set yrange [0:*]
{script}
"""
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def plot(path, group, metrics):
    """Bars of medians, a cluster for each metric, whiskers from the least to the most."""
    what, unit = GROUPS[group]
    if unit == OF_THE_METRIC:
        return plot_panels(path, group, metrics)
    names = []
    for figures in metrics.values():
        names += [who for who in figures if who not in names]
    rows = []
    for metric, figures in metrics.items():
        row = ['"' + metric.replace("_", " ") + '"']
        for who in names:
            s = figures.get(who)
            row += [str(s[k]) for k in ("median", "min", "max")] if s else ["NaN"] * 3
        rows.append(" ".join(row))
    bars = ", ".join(f'$data using {2 + 3 * i}:{3 + 3 * i}:{4 + 3 * i}'
                     f'{":xtic(1)" if i == 0 else ""} title "{who}" noenhanced'
                     for i, who in enumerate(names))
    return gnuplot(path, "900,480", f"""set title "{group}: {what}" noenhanced
set ylabel "{unit}" noenhanced
set style data histogram
set style histogram errorbars gap 2 lw 1
set key outside right top
$data << end
{chr(10).join(rows)}
end
plot {bars}""")


def plot_panels(path, group, metrics):
    """Metrics of different units: each has a panel and a scale of its own."""
    rows = (len(metrics) + 2) // 3
    script = [f'set multiplot layout {rows},3 title "{group}: {GROUPS[group][0]}" noenhanced',
              'unset key', 'set boxwidth 0.7', 'set pointintervalbox 0',
              'set xtics rotate by -30 noenhanced']
    for metric, figures in metrics.items():
        script.append(f'set title "{metric}" noenhanced\n'
                      f'set xrange [-0.6:{len(figures) - 0.4}]\n$data << end')
        script += [f'{i} "{who}" {s["median"]} {s["min"]} {s["max"]}'
                   for i, (who, s) in enumerate(figures.items())]
        script.append('end\nplot $data using 1:3:xtic(2) with boxes, '
                      '$data using 1:3:4:5 with yerrorbars ps 0 lt -1')
    gnuplot(path, f"1000,{60 + 240 * rows}", "\n".join(script))


def print_table(document, groups):
    for group in groups:
        what, unit = GROUPS[group]
        print(f"\n{group}: {what}; {unit}")
        for metric, figures in document[group].items():
            for who, s in figures.items():
                spread = f"{s['min']} to {s['max']}" if len(s["runs"]) > 1 else "one run"
                print(f"  {metric:<22} {who:<20} {s['median']:>12}   {spread}")
    print(f"\n{'bound':<76} {'value':>8}    {'':<8}")
    for b in document["bounds"]:
        name = f"{b['group']} {b['metric']}: {b['what']}"
        print(f"  {name:<74} {b['value']:>8} {b['relation']} {b['bound']:<6} "
              f"{'kept' if b['kept'] else 'MISSED'}")


def main():
    where, scripts = sys.argv[1], sys.argv[2:]
    document = {"about": {"machine": platform.machine(), "processors": os.cpu_count()}}
    keys = []
    for script in scripts:
        for key, runs in read_results(os.path.join(where, script, "results")).items():
            document[key] = {metric: {who: summary(values) for who, values in figures.items()}
                             for metric, figures in runs.items()}
            plot(os.path.join(where, key + ".svg"), key, document[key])
            keys.append(key)
    document["bounds"] = check_bounds(document)
    with open(os.path.join(where, "bench.json"), "w", encoding="ascii") as out:
        json.dump(document, out, indent=1)
        out.write("\n")
    print_table(document, keys)


if __name__ == "__main__":
    main()
