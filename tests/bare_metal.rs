//! Runs the freestanding programs of `tests/bare_metal` on x86-64 Linux, with stable Rust: they train
//! without std and heap, link only if they contain no panic, and stay within the promised memory.
//! `tests/bare_metal/chips.sh` runs them on emulated chips.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("bare_metal")
}

fn build(profile: &str, features: &str) -> Output {
    Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--bin", "linux", "--profile", profile, "--features", features])
        .arg("--manifest-path")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bare_metal/Cargo.toml"))
        .env("CARGO_TARGET_DIR", target())
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap()
}

#[test]
fn trains_without_std_heap_and_panic() {
    for profile in ["release", "small"] {
        for program in ["xor", "sine", "fit", "friction", "predict", "digits", "lenet"] {
            if (profile, program) == ("small", "lenet") {
                continue; // one build of it is enough
            }
            let built = build(profile, program);
            assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
            let ran = Command::new(target().join(profile).join("linux")).output().unwrap();
            let said = String::from_utf8(ran.stdout).unwrap();
            println!("{profile} {program}:\n{said}");
            assert!(ran.status.success(), "{said}");
            let lines = said.lines().filter_map(|line| line.split_once(' '));
            let number: HashMap<_, usize> = lines.map(|(k, v)| (k, v.parse().unwrap())).collect();
            assert_eq!(number["learned"], 1);
            // Compare static memory and the highest use of the stack with the constants.
            let used = (number["static"] + number["stack"]) as f64;
            assert!(used <= 1.35 * number["promised"] as f64 + 1024.0, "{said}");
        }
        // A planted panic and a planted allocation must not link.
        let refused = |features: &str, reason: &str| {
            let built = build(profile, features);
            let said = String::from_utf8_lossy(&built.stderr);
            assert!(!built.status.success() && said.contains(reason), "{features}: {said}");
        };
        refused("xor,plant-panic", "this_program_can_panic");
        refused("xor,plant-allocation", "no global memory allocator");
    }
}
