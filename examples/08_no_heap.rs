//! Training without a heap, as on a chip: a net learns a sine in one `static` whose size the compiler
//! knows and checks. At the end the example prints the net as Rust source. On a chip its weights would be in flash.
//!
//! The example uses std only to print, and to check that the training allocates nothing.
//! `tests/bare_metal` has such programs without std.
#![allow(unsafe_code)] // an allocator is

#[macro_use]
#[path = "common/print.rs"]
mod print;

use chainrule::{
    Affine, ConstZeros, D1, Fused, Memory, Network, Optimizer, Sgd, SumSquaredError, Tanh,
    Workspace,
};
use clap::Parser;
use nalgebra::{Const, SMatrix, Vector1};
use rand::{RngExt, SeedableRng, rngs::Xoshiro128PlusPlus};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::{error::Error, f32::consts::PI, path::PathBuf, sync::Mutex};

const BATCH: usize = 8;
type Layers = (Affine<f32, 1, 16>, Tanh, Affine<f32, 16, 16>, Tanh, Affine<f32, 16, 1>);
type Net = Network<f32, D1<1>, Layers, SumSquaredError>;

type Work = Workspace<f32, D1<1>, Layers, Const<BATCH>, Fused>;

/// All that training needs. (On a chip use a lock that masks interrupts, or a cell whose contents are
/// taken once.)
static ARENA: Mutex<(Net, Work)> =
    Mutex::new((Net::new(ConstZeros::ZEROS, SumSquaredError), ConstZeros::ZEROS));

const MEMORY: Memory = Net::memory::<Sgd<f32>, _, BATCH>();

/// The memory budget of a device. `cargo check` tests it.
const _: () = assert!(MEMORY.total() <= 8 * 1024, "training does not fit in 8 KiB");

/// Learns sin(πx), and prints the memory that this takes.
#[derive(Parser)]
struct Options {
    /// File for the trained net as Rust source
    #[arg(long, value_name = "PATH")]
    export: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { export } = Options::parse();
    println!("{MEMORY}\npredicting  {:>9}\n", Net::predict_bytes::<1>());

    let mut arena = ARENA.lock().expect("no thread has failed");
    let (net, work) = &mut *arena;
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(1);
    net.init_weights(&mut rng);
    let mut sgd = Sgd::new(0.1);

    let (mut allocations, mut mean) = (0, 0.0);
    for thousand in 1..=8 {
        let before = ALLOCATIONS.load(Relaxed);
        mean = 0.0;
        for _ in 0..1000 {
            let x = SMatrix::<f32, 1, BATCH>::from_fn(|_, _| rng.random_range(-1.0..1.0));
            mean += sgd.train_step(net, &x, &x.map(|x| (PI * x).sin()), work)? / 1000.0;
        }
        allocations += ALLOCATIONS.load(Relaxed) - before;
        println!("{thousand}000 steps: loss {mean:.6}");
    }
    println!("allocations while it trained: {allocations}\n");
    assert_eq!(allocations, 0);
    assert!(mean < 0.01);

    for x in [-0.5, 0.0, 0.25_f32] {
        let (y, sine) = (net.predict(&Vector1::new(x)).x, (PI * x).sin());
        println!("sin({x:5.2}π) = {sine:7.4}, the net says {y:7.4}");
    }

    let source = net.export("SINE").to_string();
    println!("\nas Rust source: {} bytes, {} in flash", source.len(), Net::parameter_bytes());
    if let Some(path) = export {
        std::fs::write(&path, source)?;
        println!("written to {}", path.display());
    }
    Ok(())
}

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: it passes every call on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;
