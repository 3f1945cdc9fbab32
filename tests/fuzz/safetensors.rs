//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz safetensors`

#![no_main]

mod check;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    check::loads(file);
});
