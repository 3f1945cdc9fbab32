#!/usr/bin/env bash
# Builds and runs the programs on emulated chips: see usage.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/chainrule-core
budgets=$here/budgets.txt
programs='xor sine fit friction predict digits lenet'
profiles='release small'
m4f=thumbv7em-none-eabihf
# Target, program of src/bin, command that runs it.
boards='
thumbv7em-none-eabihf cortex_m qemu-system-arm -machine mps2-an386 -nographic -icount shift=0 -semihosting-config enable=on,target=native -kernel
thumbv6m-none-eabi cortex_m qemu-system-arm -machine microbit -nographic -icount shift=0 -semihosting-config enable=on,target=native -kernel
riscv32imc-unknown-none-elf riscv qemu-system-riscv32 -machine virt -cpu rv32 -bios none -nographic -icount shift=0 -kernel
wasm32-unknown-unknown wasm node wasm.mjs
'

usage() {
  cat <<END
usage: tests/bare_metal/chips.sh [--install | --measure | --quick]

Builds the programs of tests/bare_metal for three chips and WebAssembly, and runs them in emulators.
Compares the results with a run on this machine, and flash, RAM, stack and instructions of a step with
budgets.txt. Skips what it cannot build or run here, and says what is missing.

  --measure  print a table for budgets.txt instead, 2 % and 8 bytes above the measured values
  --quick    leave out opt-level 3, except for the chip with a floating-point unit
  --install  as root on Debian: install QEMU and a C compiler, and put a compiler with its library's source, from
             which \`core\` is built for any target, into $cache
             (elsewhere: QEMU for ARM and RISC-V, Node.js, arm-none-eabi-gcc with newlib, and
             rustup target add TARGET)
END
}

install() {
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "--install needs root and apt-get; --help lists what to install on other systems" >&2
    exit 1
  fi
  apt-get update -qq
  # One by one, so that a failure does not prevent the others.
  for package in binutils qemu-system-arm qemu-system-misc nodejs gcc-arm-none-eabi libnewlib-arm-none-eabi; do
    case $package in
      binutils) tool=size ;;
      qemu-system-misc) tool=qemu-system-riscv32 ;;
      nodejs) tool=node ;;
      gcc-arm-none-eabi) tool=arm-none-eabi-gcc ;;
      *) tool=$package ;;
    esac
    command -v $tool >/dev/null || apt-get install -y -qq --no-install-recommends $package ||
      echo "$package could not be installed" >&2
  done
  if [ ! -x "$cache/usr/bin/rustc" ]; then
    rm -rf "$cache.part" && mkdir -p "$cache.part"
    (
      cd "$cache.part"
      # The package of the compiler's LLVM is a dependency of the compiler or of its library.
      needs() { sed -nE "s/.*Depends: ($1)\$/\1/p" | sort -u; }
      library=$(apt-cache depends libstd-rust-web-dev | needs 'libstd-rust-web-[0-9].*')
      libraries="$library $(apt-cache depends rustc-web "$library" | needs 'libllvm[0-9]+')"
      # shellcheck disable=SC2086
      apt-get download -qq -o APT::Sandbox::User=root rustc-web rust-web-src libstd-rust-web-dev $libraries
      for file in *.deb; do dpkg -x "$file" . && rm "$file"; done
    )
    rm -rf "$cache" && mv "$cache.part" "$cache"
  fi
}

skip() {
  echo "skipped: $1: $2"
  skipped=$((skipped + 1))
}

fail() {
  echo "FAILED: $*"
  failed=$((failed + 1))
}

# `cargo_for TARGET ...`: uses rustup's `core` for the target, or builds one from source.
cargo_for() {
  local how=()
  if [ ! -d "$sysroot/lib/rustlib/$1/lib" ]; then
    how=(env "LD_LIBRARY_PATH=$cache/usr/lib/$(uname -m)-linux-gnu" "RUSTC=$cache/usr/bin/rustc"
      RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_BUILD_STD=core)
  fi
  "${how[@]}" cargo "${@:2}" --quiet --target "$1"
}

# `build TARGET BIN PROFILE FEATURES`
build() { cargo_for "$1" build --bin "$2" --profile "$3" --features "$4"; }

# Prints the number of one of the lines `name number` in the output of a run.
said() { sed -n "s/^$1 //p" <<<"$output"; }

# `hold "TARGET PROFILE PROGRAM" FLASH RAM STACK INSTRUCTIONS`
hold() {
  local names=(flash RAM stack instructions) numbers=("${@:2}") row limit i
  read -r -a row < <(awk -v key="$1" '$1 " " $2 " " $3 == key { print $4, $5, $6, $7 }' "$budgets") || true
  if [ ${#row[@]} != 4 ]; then
    fail "$1 has no budget"
    return
  fi
  for i in 0 1 2 3; do
    limit=$((row[i] * (100 + slack) / 100))
    if ((numbers[i] > limit)); then
      fail "$1: ${names[i]} ${numbers[i]}, but the budget is $limit"
    elif (((numbers[i] + 8) * 10 < row[i] * 9)); then
      echo "hint: $1: ${names[i]} ${numbers[i]} is far below the budget of ${row[i]}, which could be lowered"
    fi
  done
}

# The flash of a net of 1-16-1 that is exported as C, and as Rust, in the same program. C may take 5 % more. With ReLU
# both must give the same bits.
compare_c() {
  local net language libm object=$CARGO_TARGET_DIR/predict.o
  local gcc='arm-none-eabi-gcc -mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16 -Os -std=c99 -ffp-contract=off'
  libm=$($gcc -print-file-name=libm.a 2>/dev/null) || true
  if [[ $libm != /* ]]; then
    skip 'flash of C' "no arm-none-eabi-gcc with newlib (chips.sh --install, or your system's packages)"
    return
  fi
  local -x COMPILED_C="$object $libm"
  local -A flash bits
  for net in relu tanh; do
    $gcc -include "../export/chip_$net.h" -x c -c -o "$object" - \
      <<<'float predict_in_c(float x) { float y; net_predict(&x, &y); return y; }'
    for language in nothing rust c; do
      build "$target" "$bin" small exported,$net,$language
      file=$CARGO_TARGET_DIR/$target/small/$bin
      flash[$language]=$(size "$file" | awk 'NR == 2 { print $1 + $2 }')
      # shellcheck disable=SC2086
      output=$(timeout 300 "$runner" $arguments "$file" 2>&1 </dev/null)
      bits[$language]=$(said bits)
    done
    flash[rust]=$((flash[rust] - flash[nothing])) flash[c]=$((flash[c] - flash[nothing]))
    echo "$target small 1-16-1 with $net: flash ${flash[c]} as C, ${flash[rust]} as Rust"
    if ((flash[c] * 100 > flash[rust] * 105)); then
      fail "$target: the net with $net takes more flash as C than as Rust"
    elif [ $net = relu ] && [ "${bits[c]}" != "${bits[rust]}" ]; then
      fail "$target: the net gives other bits as C than as Rust"
    else
      passed=$((passed + 1))
    fi
  done
}

# Adds 2 % and a few bytes, because 2 % of a small number are too little.
roomy() { echo $(($1 + $1 / 50 + ($1 > 0 ? 8 : 0))); }

measure='' quick=''
case ${1-} in
  '') ;;
  --measure) measure=yes ;;
  --quick) quick=yes ;;
  --install) install && exit ;;
  --help | -h) usage && exit ;;
  *) usage >&2 && exit 2 ;;
esac

cd "$here"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$here/../../target}/chips
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
sysroot=$(rustc --print sysroot)
host=$(rustc -vV | sed -n 's/^host: //p')
# rustup's linker, because the compiler from the cache has none.
PATH=$sysroot/lib/rustlib/$host/bin:$PATH
passed=0 failed=0 skipped=0
pictures=$(wc -c <src/digits.bin)

# The results on this machine, in bits. There is no tolerance: Rust neither contracts nor reorders operations, every
# target rounds as in IEEE 754 (by a unit or by software), and without std tanh, ln and √ are the same Rust code of
# libm everywhere. If one bit differs, a target or a kernel has a fault.
declare -A expected=()
if [ "$host" = x86_64-unknown-linux-gnu ]; then
  for program in $programs; do
    cargo build --quiet --bin linux --profile small --features "$program"
    output=$("$CARGO_TARGET_DIR/small/linux")
    expected[$program]=$(said bits)
  done
else
  skip 'comparison with this machine' 'its program is for Linux on x86-64'
fi

while read -r target bin runner arguments; do
  [ -n "$target" ] || continue
  if ! command -v "$runner" >/dev/null; then
    skip "$target" "no $runner (chips.sh --install, or your system's package)"
    continue
  elif [ -d "$sysroot/lib/rustlib/$target/lib" ]; then
    compiler=$(rustc --version)
  elif [ -x "$cache/usr/bin/rustc" ]; then
    compiler=$(LD_LIBRARY_PATH=$cache/usr/lib/$(uname -m)-linux-gnu "$cache/usr/bin/rustc" --version)
  else
    skip "$target" "no core for it (rustup target add $target, or chips.sh --install)"
    continue
  fi
  compiler=$(cut -d' ' -f1-2 <<<"$compiler")
  # The code of another compiler may be a little larger.
  slack=0
  grep -q "^# $compiler\$" "$budgets" || slack=10
  [ -z "$measure" ] || echo "# $compiler"

  for profile in $profiles; do
    if [ "$quick $profile" = 'yes release' ] && [ "$target" != $m4f ]; then continue; fi
    for program in $programs; do
      case $program,$target in
        # These are for chips with a floating-point unit, and LeNet-5 is for one with 256 KiB of RAM.
        fit,$m4f | friction,$m4f | lenet,$m4f) ;;
        fit,* | friction,* | lenet,*) continue ;;
      esac
      if ! build "$target" "$bin" $profile $program; then
        fail "$target $profile $program does not build, or it contains a panic"
        continue
      fi
      file=$CARGO_TARGET_DIR/$target/$profile/$bin
      [ -f "$file" ] || file=$file.wasm
      # shellcheck disable=SC2086
      if ! output=$(timeout 300 "$runner" $arguments "$file" 2>&1 </dev/null); then
        fail "$target $profile $program: $output"
        continue
      fi
      if [ "$bin" = wasm ]; then
        flash=$(wc -c <"$file") ram=$(said ram)
      else
        read -r text data bss _ < <(size "$file" | tail -1)
        flash=$((text + data)) ram=$((data + bss))
      fi
      # Without the pictures, which WebAssembly has in RAM too.
      case $program in
        digits | lenet)
          flash=$((flash - pictures))
          [ "$bin" != wasm ] || ram=$((ram - pictures))
          ;;
      esac
      stack=$(said stack) instructions=$(said instructions)
      before=$failed
      if [ -n "$measure" ]; then
        row=("$(roomy $flash)" "$(roomy $ram)" "$(roomy $stack)" "$(roomy $instructions)")
        printf '%-28s %-8s %-8s %7s %7s %7s %12s\n' "$target" $profile $program "${row[@]}"
      else
        printf '%s %s %s: flash %s, RAM %s, stack %s, instructions %s, loss %d.%06d\n' \
          "$target" $profile $program $flash $ram $stack $instructions $(($(said last) / 1000000)) \
          $(($(said last) % 1000000))
        hold "$target $profile $program" $flash $ram $stack $instructions
      fi
      if [ "$(said bits)" != "${expected[$program]-$(said bits)}" ]; then
        fail "$target $profile $program: the bits of the last loss differ from those of this machine"
      fi
      # Alignment adds a word at most.
      if (($(said static) > $(said promised) + 8)); then
        fail "$target $profile $program takes $(said static) bytes; expected at most $(said promised)"
      fi
      ((failed > before)) || passed=$((passed + 1))
    done
  done

  # Not with `||`, which would let it go on after an error.
  if [ "$target" = "$m4f" ]; then compare_c; fi

  # With a planted panic the program must not link.
  if [ "$bin" = wasm ]; then
    build "$target" "$bin" small xor,plant-panic && ! node wasm.mjs "$CARGO_TARGET_DIR/$target/small/wasm.wasm"
  else
    ! build "$target" "$bin" small xor,plant-panic
  fi >"$CARGO_TARGET_DIR/planted" 2>&1 || true
  if ! grep -q this_program_can_panic "$CARGO_TARGET_DIR/planted"; then
    fail "$target: a planted panic was not noticed"
  fi
done <<<"$boards"

# None of these chips has NEON. Check at least that its kernels compile.
neon=aarch64-unknown-none
if [ -d "$sysroot/lib/rustlib/$neon/lib" ] || [ -x "$cache/usr/bin/rustc" ]; then
  if cargo_for $neon check --manifest-path ../../Cargo.toml --lib --no-default-features; then
    passed=$((passed + 1))
  else
    fail "$neon: the library does not compile"
  fi
else
  skip $neon "no core for it (rustup target add $neon, or chips.sh --install)"
fi

echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
