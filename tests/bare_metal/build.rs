//! Links without a C runtime, with the options that the board needs.

fn main() {
    let here = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let script = |name: &str| vec![format!("-T{here}/{name}"), "--nmagic".into()];
    let arguments = match std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("arm") => {
            // LeNet-5 takes more than the micro:bit has.
            let lenet = std::env::var_os("CARGO_FEATURE_LENET").is_some();
            let ram = if lenet { 256 } else { 16 };
            [script("cortex_m.ld"), vec![format!("--defsym=_ram_size={ram}K")]].concat()
        }
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
    println!("cargo:rerun-if-env-changed=COMPILED_C");
    if let Ok(objects) = std::env::var("COMPILED_C") {
        for object in objects.split(' ') {
            println!("cargo:rustc-link-arg-bins={object}");
            println!("cargo:rerun-if-changed={object}");
        }
    }
    println!("cargo:rerun-if-changed=cortex_m.ld");
    println!("cargo:rerun-if-changed=riscv.ld");
}
