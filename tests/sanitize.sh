#!/usr/bin/env bash
# Runs the kernel's tests, and those of large nets, files and threads, under AddressSanitizer. It finds reads and writes
# beyond an end, on the heap or the stack, even if they change no result. The tests use each level of SIMD in turn.
# This needs a nightly toolchain, because the sanitizer is not a stable option; without one it is skipped. The standard
# library and assembly are not instrumented.
# Usage: tests/sanitize.sh [filter and options of the tests]
set -euo pipefail
cd "$(dirname "$0")/.."
skip() { echo "skipped: $*"; exit 0; }
rustc +nightly --version > /dev/null 2>&1 || skip "AddressSanitizer needs a nightly toolchain, and none is installed"
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
case $host in
  x86_64-unknown-linux-gnu | aarch64-unknown-linux-gnu) ;;
  *) skip "no AddressSanitizer for $host" ;;
esac
# The widest register has 64 bytes. An access that begins within an object must not end in the next object. For
# the same reason the kernel's tests put no NaN around their memory.
export ASAN_OPTIONS=redzone=256:detect_stack_use_after_return=1:strict_string_checks=1 KERNEL_GUARD=0
# With --target the flags do not apply to build scripts and macros.
RUSTFLAGS=-Zsanitizer=address CARGO_PROFILE_DEV_DEBUG=line-tables-only cargo +nightly test --target "$host" \
  --lib --test large --test data --test threads -- "$@"
