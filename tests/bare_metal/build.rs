//! Links without a C runtime, with the options that the board needs.

fn main() {
    let here = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let script = |name: &str| vec![format!("-T{here}/{name}"), "--nmagic".into()];
    let arguments = match std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("arm") => script("cortex_m.ld"),
        Ok("riscv32") => script("riscv.ld"),
        Ok("wasm32") => ["--no-entry", "--strip-all", "--export=__heap_base", "-zstack-size=16384"]
            .map(String::from)
            .into(),
        _ => [
            "-nostartfiles",
            "-nostdlib",
            "-static",
            "-no-pie",
            "-Wl,--gc-sections",
            "-Wl,--build-id=none",
        ]
        .map(String::from)
        .into(),
    };
    for argument in arguments {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    println!("cargo:rerun-if-changed=cortex_m.ld");
    println!("cargo:rerun-if-changed=riscv.ld");
}
