//! Shapes that do not fit, and what the compiler says of them, to the letter.

/// The texts are those of this compiler; other versions word the rest of a message differently.
const COMPILER: &str = "rustc 1.95.";

#[test]
fn messages() {
    let version = std::process::Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()))
        .arg("--version")
        .output()
        .unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    if !version.starts_with(COMPILER) {
        println!("skipped: the messages are those of {COMPILER}x, this is {version}");
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
