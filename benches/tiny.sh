#!/usr/bin/env bash
# Measures the small nets of benches/workloads.rs and their twins in C++ in interleaved rounds on one pinned core. Prints
# a table of medians and ratios.
# Usage: benches/tiny.sh ROUNDS
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:?rounds}
folder=$(mktemp -d)
${CXX:-g++} -O3 -march=native -ffast-math -o "$folder/tiny" benches/tiny.cpp
plain=$(cargo bench --quiet --bench workloads --no-run --message-format json \
  | sed -n 's/.*"executable":"\([^"]*workloads-[^"]*\)".*/\1/p' | tail -n 1)
export BENCH_ONLY=${BENCH_ONLY:-W3,W4.tiny,4-8-3,2-5-2}
for round in $(seq "$rounds"); do
  taskset -c "${BENCH_CORE:-1}" "$folder/tiny" | sed 's/^/peer\t/'
  taskset -c "${BENCH_CORE:-1}" "$plain" | sed 's/^/plain\t/'
  echo "round $round of $rounds" >&2
done > "$folder/lines"
python3 benches/workloads.py "$folder/lines"
