#!/usr/bin/env bash
# Measures the edit-run cycle of a small program. It edits one size in the twenty lines of the README, and measures the
# CPU time of the rebuild: with the profile that the README recommends, and with `opt-level = 2` alone. Then it trains the
# digits in the recommended build and in a release build. Prints the medians.
# Usage: benches/edit_run.sh ROUNDS
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:?rounds}
crate=$PWD
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export TIMEFORMAT='%U %S'
# User and system time of a command, in seconds.
seconds() { { time "$@" > "$folder/out" 2>&1; } 2>&1 | awk '{ print $1 + $2 }'; }
median() { sort -g | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

awk '/^## Twenty lines/ { on = 1 } on && /^```$/ { exit } code { print } on && /^```rust/ { code = 1 }' README.md \
  > "$folder/program.rs"
for profile in recommended default; do
  mkdir -p "$folder/$profile/src"
  cat > "$folder/$profile/Cargo.toml" <<TOML
[package]
name = "program"
version = "0.0.0"
edition = "2024"

[dependencies]
chainrule = { path = "$crate" }
nalgebra = { version = "0.35", default-features = false }
rand = { version = "0.10", default-features = false }

[profile.dev]
opt-level = 2
TOML
  [ "$profile" = default ] || printf 'incremental = false\ndebug = 0\n' >> "$folder/$profile/Cargo.toml"
  cp "$folder/program.rs" "$folder/$profile/src/main.rs"
  cargo build --quiet --manifest-path "$folder/$profile/Cargo.toml" --target-dir "$folder/target/$profile"
done
cargo build --quiet --example 06_train_neuralnet
cargo build --quiet --release --example 06_train_neuralnet
programs=${CARGO_TARGET_DIR:-target}

for round in $(seq "$rounds"); do
  for profile in recommended default; do
    sed "s/\b16\b/$((16 + round))/g" "$folder/program.rs" > "$folder/$profile/src/main.rs"
    seconds cargo build --quiet --manifest-path "$folder/$profile/Cargo.toml" \
      --target-dir "$folder/target/$profile" >> "$folder/build-$profile"
  done
  seconds "$programs/debug/examples/06_train_neuralnet" --out "$folder/pictures" >> "$folder/run-dev"
  seconds "$programs/release/examples/06_train_neuralnet" --out "$folder/pictures" >> "$folder/run-release"
  echo "round $round of $rounds" >&2
done
echo "rebuild, recommended profile: $(median < "$folder/build-recommended") s of CPU"
echo "rebuild, opt-level = 2 alone: $(median < "$folder/build-default") s of CPU"
echo "digits, recommended profile: $(median < "$folder/run-dev") s of CPU"
echo "digits, release: $(median < "$folder/run-release") s of CPU"
