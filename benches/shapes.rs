//! Compares odd sizes with round ones: ns of CPU time for a thousand multiplications of an affine layer, forward
//! and backward, and the ratio to the nearest round size. `BENCH_MS` is the time of a sample (default 5).

use chainrule::{Affine, Backward, Forward, Grad, Layer, Number, Pass, Scratch, ToTrain, Zeros};
use cpu_time::ProcessTime;
use nalgebra::{Const, SMatrix};
use std::{hint::black_box, mem::MaybeUninit};

/// The least of nine samples.
fn ns(mut f: impl FnMut()) -> f64 {
    let target = std::env::var("BENCH_MS").ok().and_then(|ms| ms.parse().ok()).unwrap_or(5.0) / 1e3;
    let mut time = |times: u64| {
        let start = ProcessTime::now();
        (0..times).for_each(|_| f());
        start.elapsed().as_secs_f64()
    };
    let mut times = 1;
    while time(times) < target {
        times *= 2;
    }
    (0..9).map(|_| time(times) * 1e9 / times as f64).fold(f64::INFINITY, f64::min)
}

/// Where a net and its workspace begin.
#[repr(align(64))]
struct Aligned<V>(V);

/// ns for a thousand multiplications: forward, and backward with both gradients.
fn affine<T: Number, const I: usize, const O: usize, const B: usize>() -> [f64; 2] {
    let mut layer = Box::new(Aligned(Affine::<T, I, O>::zeros()));
    let mut grad = Box::new(Aligned(Affine::<T, I, O>::zeros()));
    let x = Box::new(Aligned(SMatrix::<T, I, B>::repeat(T::one())));
    let mut dx = Box::new(Aligned(SMatrix::<T, I, B>::zeros()));
    let mut y = Box::new(Aligned(SMatrix::<T, O, B>::zeros()));
    let dy = Box::new(Aligned(SMatrix::<T, O, B>::repeat(T::one())));
    layer.0.weight.fill(T::one());
    let mut room = MaybeUninit::uninit();
    let there = ns(|| {
        let (x, y, cache, pass) = (black_box(&x.0), &mut y.0, &mut (), &mut Pass::Predict);
        let scratch = Scratch::lent(&mut room);
        layer.0.forward::<Const<B>, ToTrain>(Forward { x, y, cache, scratch, pass });
    });
    let back = ns(|| {
        let (x, y, dy, dx) = (&x.0, &y.0, black_box(&dy.0), Some(&mut dx.0));
        let scratch = Scratch::lent(&mut room);
        let at = Backward { x, y, cache: &mut (), scratch, dy, dx };
        Affine::backward::<Const<B>, _>(Grad::set(&layer.0, &mut grad.0), at);
    });
    let thousands = (I * O * B) as f64 / 1e3;
    [there / thousands, back / (2.0 * thousands)]
}

macro_rules! beside {
    ($($i:literal $o:literal $b:literal, $ri:literal $ro:literal $rb:literal;)*) => { $(
        let names = [
            format!("{}-{} batch {}", $i, $o, $b), format!("{}-{} batch {}", $ri, $ro, $rb),
        ];
        row("f32", &names, [affine::<f32, $i, $o, $b>, affine::<f32, $ri, $ro, $rb>]);
        row("f64", &names, [affine::<f64, $i, $o, $b>, affine::<f64, $ri, $ro, $rb>]);
    )* };
}

/// Measures each three times, interleaved, and takes the least, because a machine has slow moments.
fn row(kind: &str, [odd, round]: &[String; 2], both: [fn() -> [f64; 2]; 2]) {
    let mut least = [[f64::INFINITY; 2]; 2];
    for _ in 0..3 {
        for (least, measure) in least.iter_mut().zip(both) {
            let now = measure();
            *least = [least[0].min(now[0]), least[1].min(now[1])];
        }
    }
    let [a, b] = least;
    let [there, back] = [a[0] / b[0], a[1] / b[1]];
    println!(
        "| {kind} | {odd} | {:.1} / {:.1} | {round} | {:.1} / {:.1} | {there:.2} / {back:.2} |",
        a[0], a[1], b[0], b[1]
    );
}

fn main() {
    println!("| type | odd | ns, there / back | round | ns, there / back | times |");
    println!("|---|---|---|---|---|---|");
    beside! {
        1 64 32, 2 64 32;
        3 64 32, 4 64 32;
        17 64 32, 16 64 32;
        65 64 32, 64 64 32;
        127 64 32, 128 64 32;
        64 1 32, 64 2 32;
        64 3 32, 64 4 32;
        64 17 32, 64 16 32;
        64 65 32, 64 64 32;
        64 127 32, 64 128 32;
        17 17 33, 16 16 32;
        65 65 33, 64 64 32;
        127 127 33, 128 128 32;
        64 64 1, 64 64 2;
        64 64 2, 64 64 4;
        64 64 33, 64 64 32;
        1000 10 33, 1024 16 32;
        10 1000 33, 16 1024 32;
    }
}
