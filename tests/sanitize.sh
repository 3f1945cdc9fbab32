#!/usr/bin/env bash
# The kernel's tests, and those of large nets, files and threads, under AddressSanitizer: a read or write beyond
# an end, on the heap or the stack, of which no number need tell. Every level of instructions is forced in turn.
# Needs a nightly toolchain, as the sanitizer is no stable option; skipped without. The standard library is
# not instrumented, and assembly neither.
# Usage: tests/sanitize.sh [filter and options of the tests]
set -euo pipefail
cd "$(dirname "$0")/.."
skip() { echo "skipped: $*"; exit 0; }
rustc +nightly --version > /dev/null 2>&1 || skip "no nightly toolchain here, which AddressSanitizer needs"
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
case $host in
  x86_64-unknown-linux-gnu | aarch64-unknown-linux-gnu) ;;
  *) skip "no AddressSanitizer for $host" ;;
esac
# The widest register is 64 bytes: an access that begins within must not end in the next object. For
# the same reason the kernel's tests put no NaN around their memory.
export ASAN_OPTIONS=redzone=256:detect_stack_use_after_return=1:strict_string_checks=1 KERNEL_GUARD=0
# With a target the flags are not those of build scripts and macros.
RUSTFLAGS=-Zsanitizer=address CARGO_PROFILE_DEV_DEBUG=line-tables-only cargo +nightly test --target "$host" \
  --lib --test large --test data --test threads -- "$@"
