#!/usr/bin/env bash
# Counts the instructions of a step of the tiny workloads with valgrind, which emulates a CPU with AVX2 and without
# AVX-512. The counts have no noise, so they show the cost of a change at once.
# Usage: benches/instructions.sh [--measure]. Without --measure it fails if a count is more than 2 % above the one in
# benches/instructions.txt. Only a reviewed change may raise these. It is skipped without valgrind or AVX2, and
# with another compiler than the one of the counts.
set -euo pipefail
cd "$(dirname "$0")/.."
compiler=$(rustc --version | cut -d' ' -f1,2)
skip() { echo "skipped: $*"; exit 0; }
command -v valgrind > /dev/null || skip "valgrind is not installed"
grep -q avx2 /proc/cpuinfo || skip "this CPU has no AVX2"
if [ "${1-}" = --measure ]; then
  echo "# $compiler"
else
  grep -qx "# $compiler" benches/instructions.txt || skip "the counts are not of $compiler"
fi
bench=$(cargo bench --quiet --bench workloads --no-run --message-format json \
  | sed -n 's/.*"executable":"\([^"]*workloads-[^"]*\)".*/\1/p' | tail -n 1)
count() { # workload, steps
  BENCH_ONLY=$1 BENCH_STEPS=$2 RAYON_NUM_THREADS=1 valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bench" 2>&1 >/dev/null \
    | sed -n 's/.*Collected : //p'
}
failed=0
for workload in W3.b1.f32 W3.b1.f64 W3.b32.f32 W3.b32.f64 W4.tiny.f32 W4.tiny.f64 W4.mnist.f32 W4.mnist.f64 \
  4-8-3.b32.f32 4-8-3.b32.f64 4-8-3.b32.clipped.f32 4-8-3.b32.clipped.f64 4-8-3.b32.loss.f32 4-8-3.b32.loss.f64; do
  step=$((($(count "$workload" 500) - $(count "$workload" 200)) / 300))
  most=$(sed -n "s/^$workload //p" benches/instructions.txt 2>/dev/null || true)
  if [ "${1-}" = --measure ]; then
    echo "$workload $step"
  elif [ "$step" -gt $((${most:?"no count of $workload in benches/instructions.txt"} * 102 / 100)) ]; then
    echo "$workload: $step instructions a step, $most before"
    failed=1
  else
    echo "$workload: $step instructions a step"
  fi
done
exit $failed
