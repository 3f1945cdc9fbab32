"""Prints the table of benches/workloads.sh or benches/tiny.sh from the lines that the script collected."""

import collections
import statistics
import sys

times = collections.defaultdict(list)
for line in open(sys.argv[1]):
    build, kind, *fields = line.rstrip("\n").split("\t")
    if kind == "R":
        workload, peer, scalar, median = fields[:4]
        times[workload, scalar, build if peer == "chainrule" else peer].append(float(median))
median = {key: statistics.median(values) for key, values in times.items()}


def time(ns):
    return f"{ns:.1f} ns" if ns < 1e3 else f"{ns / 1e3:.2f} µs" if ns < 1e6 else f"{ns / 1e6:.2f} ms"


rounds = max(len(values) for values in times.values())
print(f"Medians of {rounds} rounds; in brackets, the ratio to the fastest other program.\n")
builds = {"plain": "plain build", "native": "native with LTO"}
builds = {key: name for key, name in builds.items() if any(build == key for *_, build in median)}
print("| workload | type | fastest other |", " | ".join(f"chainrule, {name}" for name in builds.values()), "|")
print("|---" * (3 + len(builds)) + "|")
for workload, scalar in sorted({key[:2] for key in median if key[2] == "plain"}):
    others = {key[2]: ns for key, ns in median.items() if key[:2] == (workload, scalar) and key[2] not in ("native", "plain")}
    cells = [workload, scalar]
    best = min(others, key=others.get, default=None)
    cells.append(f"{best} {time(others[best])}" if best else "")
    for build in builds:
        ns = median[workload, scalar, build]
        cells.append(time(ns) + (f" ({ns / others[best]:.2f})" if best else ""))
    print("|", " | ".join(cells), "|")
