#!/usr/bin/env bash
# Compares the workloads with other programs that print the same lines, interleaved on one pinned core. Prints a table
# of medians, and of ratios to the fastest other program.
# Usage: benches/workloads.sh ROUNDS PROGRAM...
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:?rounds}
shift
build() { # folder, then settings of cargo
  env "${@:2}" cargo bench --quiet --bench workloads --no-run --target-dir "$1" --message-format json \
    | sed -n 's/.*"executable":"\([^"]*workloads-[^"]*\)".*/\1/p' | tail -n 1
}
target=${CARGO_TARGET_DIR:-target}
native=$(build "$target/native" RUSTFLAGS=-Ctarget-cpu=native CARGO_PROFILE_BENCH_LTO=fat \
  CARGO_PROFILE_BENCH_CODEGEN_UNITS=1 CARGO_PROFILE_BENCH_PANIC=abort)
plain=$(build "$target/plain")
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
lines=$(mktemp)
for round in $(seq "$rounds"); do
  for program in "$@"; do taskset -c "${BENCH_CORE:-1}" $program; done | sed 's/^/peer\t/' >> "$lines"
  taskset -c "${BENCH_CORE:-1}" "$native" | sed 's/^/native\t/' >> "$lines"
  taskset -c "${BENCH_CORE:-1}" "$plain" | sed 's/^/plain\t/' >> "$lines"
  echo "round $round of $rounds" >&2
done
python3 benches/workloads.py "$lines"
