//! A net for firmware: train it, write it as a C header, compile it, and compare.

use chainrule::{Adam, Affine, D1, Network, Optimizer, SumSquaredError, Tanh};
use clap::Parser;
use nalgebra::{Const, SMatrix};
use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
use std::{error::Error, fs, io, path::PathBuf, process::Command};

/// Trains a net on a sine, writes it as C99, and compares what the C program computes.
#[derive(Parser)]
struct Options {
    /// Folder for the header and the program; created if missing
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
    /// The C compiler
    #[arg(long, default_value = "cc")]
    compiler: String,
}

type Layers = (Affine<f32, 1, 16>, Tanh, Affine<f32, 16, 1>);
type Net = Network<f32, D1<1>, Layers, SumSquaredError>;

const SAMPLES: usize = 64;

/// Prints the outputs for the inputs of `main`, one on each line.
const PROGRAM: &str = r#"#include <stdio.h>
#include "sine.h"

int main(void) {
    for (int i = 0; i < 64; i++) {
        const float x = (float)i / 32.0f - 1.0f;
        float y;
        sine_predict(&x, &y);
        printf("%.9g\n", (double)y);
    }
    return 0;
}
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let mut net = Net::init(&mut Xoshiro128PlusPlus::seed_from_u64(0));
    let x = SMatrix::<f32, 1, SAMPLES>::from_fn(|_, i| i as f32 / 32.0 - 1.0);
    let target = x.map(|x| (3.0 * x).sin());
    let (mut work, mut adam) = (Net::workspace(Const::<SAMPLES>), Adam::new(0.01));
    for _ in 0..3000 {
        adam.train_step(&mut net, &x, &target, &mut work)?;
    }
    let y = net.predict(&x);
    let error = (y - target).amax();
    println!("trained: the net differs from the sine by at most {error:.4}");
    assert!(error < 0.05);

    fs::create_dir_all(&options.out)?;
    let header = net.export_c("sine").to_string();
    fs::write(options.out.join("sine.h"), &header)?;
    fs::write(options.out.join("sine.c"), PROGRAM)?;
    println!("{}: {} bytes", options.out.join("sine.h").display(), header.len());
    // The same net for a firmware in Rust, to compare.
    fs::write(options.out.join("sine.rs"), net.export("SINE").to_string())?;

    let mut compile = Command::new(&options.compiler);
    compile.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2"]);
    match compile.args(["sine.c", "-o", "sine", "-lm"]).current_dir(&options.out).status() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            println!("not compiled: {} not found", options.compiler);
            return Ok(());
        }
        status => assert!(status?.success(), "the header does not compile"),
    }
    let printed = Command::new(options.out.join("sine").canonicalize()?).output()?;
    let mut difference = 0.0_f32;
    let printed = String::from_utf8(printed.stdout)?;
    assert_eq!(printed.lines().count(), SAMPLES);
    for (line, y) in printed.lines().zip(y.iter()) {
        difference = difference.max((line.parse::<f32>()? - y).abs());
    }
    println!("compiled: the outputs differ by at most {difference:.1e}");
    // The outputs are sums of 17 numbers in another order, and each number contains a tanh.
    assert!(difference < 1e-5);
    Ok(())
}
