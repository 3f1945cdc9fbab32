//! Times the three products of an affine layer, forward (y = W·x + b) and backward (dW = dy·xᵀ, dx = Wᵀ·dy), and
//! compares them with nalgebra's products into existing matrices.
//!
//! Run `cargo bench --bench products`.

use chainrule::*;
use divan::{Bencher, black_box, counter::ItemsCount};
use nalgebra::{Const, SMatrix, convert};
use std::mem::MaybeUninit;

fn main() {
    divan::main();
}

fn matrix<T: Number, const R: usize, const C: usize>() -> Box<SMatrix<T, R, C>> {
    let mut matrix = Box::<SMatrix<T, R, C>>::zeros();
    let numbers = (0..).map(|i| convert((i * 37 % 241) as f32 / 241.0 - 0.5));
    matrix.iter_mut().zip(numbers).for_each(|(to, number)| *to = number);
    matrix
}

/// `I` inputs, `O` outputs, `B` samples.
macro_rules! products {
    ($($module:ident $t:ident $o:literal $i:literal $b:literal;)*) => { $(
        mod $module {
            use super::*;

            const MULTIPLICATIONS: usize = $o * $i * $b;

            #[divan::bench]
            fn forward(bencher: Bencher) {
                let mut layer = Box::<Affine<$t, $i, $o>>::zeros();
                layer.weight = *matrix();
                let (x, mut y, mut room) = (matrix::<$t, $i, $b>(), matrix(), MaybeUninit::uninit());
                bencher.counter(ItemsCount::new(MULTIPLICATIONS)).bench_local(|| {
                    let (x, y, cache, pass) = (black_box(&*x), &mut *y, &mut (), &mut Pass::Predict);
                    let scratch = Scratch::lent(&mut room);
                    layer.forward::<Const<$b>, ToTrain>(Forward { x, y, cache, scratch, pass });
                });
            }

            #[divan::bench]
            fn forward_nalgebra(bencher: Bencher) {
                let (w, x, mut y) =
                    (matrix::<$t, $o, $i>(), matrix::<$t, $i, $b>(), matrix::<$t, $o, $b>());
                bencher.counter(ItemsCount::new(MULTIPLICATIONS)).bench_local(|| y.gemm(1.0, &*w, black_box(&*x), 0.0));
            }

            #[divan::bench]
            fn backward(bencher: Bencher) {
                let mut layer = Box::<Affine<$t, $i, $o>>::zeros();
                layer.weight = *matrix();
                let mut grad = layer.clone();
                let (x, dy, mut dx) = (matrix::<$t, $i, $b>(), matrix(), matrix());
                let mut room = MaybeUninit::uninit();
                bencher.counter(ItemsCount::new(2 * MULTIPLICATIONS)).bench_local(|| {
                    let (x, dy, dx, cache) = (&*x, black_box(&*dy), Some(&mut *dx), &mut ());
                    let scratch = Scratch::lent(&mut room);
                    let at = Backward { x, y: dy, cache, scratch, dy, dx };
                    Affine::backward::<Const<$b>, _>(Grad::set(&*layer, &mut *grad), at);
                });
            }

            #[divan::bench]
            fn backward_nalgebra(bencher: Bencher) {
                let (w, x, dy) =
                    (matrix::<$t, $o, $i>(), matrix::<$t, $i, $b>(), matrix::<$t, $o, $b>());
                let (mut dw, mut dx) = (w.clone(), x.clone());
                let (mut wt, mut xt) = (matrix::<$t, $i, $o>(), matrix::<$t, $b, $i>());
                bencher.counter(ItemsCount::new(2 * MULTIPLICATIONS)).bench_local(|| {
                    // `gemm_tr` computes entry by entry, which is not faster for most of these sizes.
                    black_box(&x).transpose_to(&mut *xt);
                    dw.gemm(1.0, &*dy, &*xt, 0.0);
                    w.transpose_to(&mut *wt);
                    dx.gemm(1.0, &*wt, &*dy, 0.0);
                });
            }
        }
    )* };
}

products! {
    f32_16x16x32 f32 16 16 32;
    f64_16x16x32 f64 16 16 32;
    f32_50x784x100 f32 50 784 100;
    f64_50x784x100 f64 50 784 100;
    f32_256x512x128 f32 256 512 128;
    f64_256x512x128 f64 256 512 128;
    f32_512x784x128 f32 512 784 128;
    f64_512x784x128 f64 512 784 128;
}

/// Sums over many samples: dW and db, for `O` outputs and `I` inputs.
mod long {
    use super::*;
    use chainrule::ops::{To, View, gemm, sum_samples};

    const SAMPLES: usize = 50_000;

    fn numbers<T: Number>(len: usize) -> Vec<T> {
        (0..len).map(|i| convert((i * 37 % 241) as f32 / 241.0 - 0.5)).collect()
    }

    fn outer<T: Number>(bencher: Bencher, outputs: usize, inputs: usize) {
        let (dy, x) = (numbers::<T>(outputs * SAMPLES), numbers::<T>(inputs * SAMPLES));
        let mut dw = numbers::<T>(outputs * inputs);
        let bencher = bencher.counter(ItemsCount::new(outputs * inputs * SAMPLES));
        bencher.bench_local(|| {
            let (dy, x) = (View::columns(black_box(&dy), outputs), View::columns(&x, inputs));
            gemm([outputs, SAMPLES, inputs], dy, x.transposed(), &mut dw, To::Set);
        });
    }

    const SHAPES: [(usize, usize); 5] = [(1, 16), (16, 2), (16, 16), (50, 100), (128, 256)];

    #[divan::bench(args = SHAPES)]
    fn outer_f32(bencher: Bencher, (outputs, inputs): (usize, usize)) {
        outer::<f32>(bencher, outputs, inputs);
    }

    #[divan::bench(args = SHAPES)]
    fn outer_f64(bencher: Bencher, (outputs, inputs): (usize, usize)) {
        outer::<f64>(bencher, outputs, inputs);
    }

    #[divan::bench(args = [(1, 1), (16, 1), (50, 1)])]
    fn sum_columns(bencher: Bencher, (outputs, _): (usize, usize)) {
        let (dy, mut db) = (numbers::<f32>(outputs * SAMPLES), numbers::<f32>(outputs));
        let bencher = bencher.counter(ItemsCount::new(outputs * SAMPLES));
        bencher.bench_local(|| sum_samples(black_box(&dy), &mut db, To::Set));
    }

    #[divan::bench(args = [(2, 2), (16, 16), (50, 100)])]
    fn outer_by_loops(bencher: Bencher, (outputs, inputs): (usize, usize)) {
        outer::<num_dual::Dual32>(bencher, outputs, inputs);
    }
}
