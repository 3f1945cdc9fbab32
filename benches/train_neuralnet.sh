#!/usr/bin/env bash
# Compares the crate's training loop of chapter 5 on MNIST with NumPy's, interleaved on one core, in wall-clock time.
# The times include drawing the batches and the evaluations. The crate's whole program, with loading, is timed too.
# Usage: benches/train_neuralnet.sh MNIST_FOLDER [ROUNDS]; needs python3 with numpy, and taskset.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 TIMEFORMAT='  with loading %R s, CPU %U s'
cargo build --quiet --release --example 06_train_neuralnet
ours=${CARGO_TARGET_DIR:-target}/release/examples/06_train_neuralnet
for _ in $(seq "${2:-3}"); do
  for scalar in f32 f64; do
    taskset -c 0 python3 benches/train_neuralnet.py "$folder" $scalar 2>/dev/null
    echo -n "chainrule $scalar: "
    time taskset -c 0 "$ours" --mnist "$folder" --scalar $scalar --out "$(mktemp -d)" | tail -n 3 | head -n 2 | paste -sd ' '
  done
done
