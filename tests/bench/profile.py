#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""profile.py DIR: the instructions of each module and of each kernel function a request, from
DIR/blocks (of insnprof.c), DIR/kallsyms and DIR/results; ordered by what the last column has
more than the first."""

import bisect
import sys

# A figure of a key is so many instructions.
INSTRUCTIONS = {"cost": 1, "miss_us": 1000}


def read_symbols(path):
    symbols = []
    with open(path, encoding="ascii") as lines:
        for line in lines:
            address, kind, name = line.split(maxsplit=2)
            if kind in "tTwW":
                symbols.append((int(address, 16), " ".join(name.split())))
    symbols.sort()
    return [s[0] for s in symbols], [s[1] for s in symbols]


def read_profiles(path, starts, names):
    """[{function: instructions}], what user space runs as one."""
    profiles = []
    with open(path, encoding="ascii") as lines:
        for line in lines:
            if line.startswith("#"):
                profiles.append({})
                continue
            address, count = int(line.split()[0], 16), int(line.split()[1])
            name = "(user space)"
            if address >> 63:
                i = bisect.bisect_right(starts, address) - 1
                name = names[i] if i >= 0 else "(unknown)"
            profiles[-1][name] = profiles[-1].get(name, 0) + count
    # The first one is of a trial.
    return profiles[1:]


def module_of(function):
    if function.startswith("("):
        return function
    return function.partition("[")[2].rstrip("]") or "(the kernel itself)"


def by_module(profile):
    modules = {}
    for function, n in profile.items():
        module = module_of(function)
        modules[module] = modules.get(module, 0) + n
    return modules


def print_table(title, columns):
    """Columns are (who, {name: instructions})."""
    names = {f for _, c in columns for f, n in c.items() if n >= 0.5}
    first, last = columns[0][1], columns[-1][1]
    print(f"\n{title}")
    print(f"{'':<44}" + "".join(f"{who:>20}" for who, _ in columns))
    for f in sorted(names, key=lambda f: (first.get(f, 0) - last.get(f, 0), -last.get(f, 0))):
        print(f"{f:<44}" + "".join(f"{c.get(f, 0):>20.1f}" for _, c in columns))
    print(f"{'all':<44}" + "".join(f"{sum(c.values()):>20.1f}" for _, c in columns))


def main():
    where = sys.argv[1]
    profiles = read_profiles(where + "/blocks", *read_symbols(where + "/kallsyms"))
    metrics = {}
    with open(where + "/results", encoding="ascii") as lines:
        for profile, line in zip(profiles, lines):
            metric, who, cost = line.split()
            each = float(cost) * INSTRUCTIONS[metric.partition(".")[0]] / sum(profile.values())
            columns = metrics.setdefault(metric, [])
            columns.append((who, {f: n * each for f, n in profile.items()}))
    for metric, columns in metrics.items():
        print_table(f"{metric}, instructions a request, by module",
                    [(who, by_module(c)) for who, c in columns])
        print_table(f"{metric}, instructions a request, by function", columns)


if __name__ == "__main__":
    main()
