//! Times layers that are functions of one number, softmax, and the loss, forward and backward, on 64 samples of 16
//! numbers, and compares them with a loop over the standard library's function.
//!
//! Run `cargo bench --bench functions`.

use chainrule::*;
use divan::{Bencher, black_box};
use nalgebra::{Const, SMatrix};
use std::mem::MaybeUninit;

fn main() {
    divan::main();
}

macro_rules! functions {
    ($t:ident) => {
        mod $t {
            use super::*;

            type Batch = SMatrix<$t, 16, 64>;

            /// Numbers from -6 to 6, not in order.
            fn numbers() -> Batch {
                Batch::from_fn(|i, s| ((i * 37 + s * 101) % 241) as $t / 20.0 - 6.0)
            }

            #[divan::bench(types = [Relu, Sigmoid, Tanh, Gelu, Softplus, Softmax])]
            fn forward<L: Layer<$t, D1<16>> + Default>(bencher: Bencher) {
                let (layer, x, mut y) = (L::default(), numbers(), Buffer::new(Const));
                let (mut cache, mut room) = (Buffer::new(Const), MaybeUninit::uninit());
                bencher.bench_local(|| {
                    let (scratch, pass) = (Scratch::lent(&mut room), &mut Pass::Predict);
                    let (x, y, cache) = (black_box(&x), &mut y, &mut cache);
                    layer.forward::<_, ToTrain>(Forward { x, y, cache, scratch, pass });
                });
            }

            #[divan::bench(types = [Relu, Sigmoid, Tanh, Gelu, Softplus, Softmax])]
            fn backward<L>(bencher: Bencher)
            where
                L: Layer<$t, D1<16>> + Default,
                L::Out: Shape<Batch<$t, Const<64>> = Batch>,
            {
                let (layer, x, mut y) = (L::default(), numbers(), Batch::zeros());
                let (mut cache, mut room) = (Buffer::new(Const), MaybeUninit::uninit());
                let (scratch, pass) = (Scratch::lent(&mut room), &mut Pass::Predict);
                let (y_, cache_) = (&mut y, &mut cache);
                layer.forward::<_, ToTrain>(Forward { x: &x, y: y_, cache: cache_, scratch, pass });
                let (dy, mut dx) = (x, Batch::zeros());
                bencher.bench_local(|| {
                    let (scratch, cache) = (Scratch::lent(&mut room), &mut cache);
                    let (x, y, dy, dx) = (black_box(&x), &y, &dy, Some(&mut dx));
                    let at = Backward { x, y, cache, scratch, dy, dx };
                    L::backward::<Const<64>, _>(Grad::nowhere(&layer), at);
                });
            }

            fn scalar(bencher: Bencher, function: impl Fn($t) -> $t) {
                let (x, mut y) = (numbers(), Batch::zeros());
                bencher.bench_local(|| {
                    let pairs = y.iter_mut().zip(black_box(&x));
                    pairs.for_each(|(y, &x)| *y = function(x));
                });
            }

            #[divan::bench]
            fn std_relu(bencher: Bencher) {
                scalar(bencher, |x| x.max(0.0));
            }

            #[divan::bench]
            fn std_sigmoid(bencher: Bencher) {
                scalar(bencher, |x| 1.0 / (1.0 + (-x).exp()));
            }

            #[divan::bench]
            fn std_tanh(bencher: Bencher) {
                scalar(bencher, $t::tanh);
            }

            #[divan::bench]
            fn std_softplus(bencher: Bencher) {
                scalar(bencher, |x| x.max(0.0) + (-x.abs()).exp().ln_1p());
            }

            /// Scores of 100 samples in 10 classes.
            #[divan::bench]
            fn softmax_cross_entropy(bencher: Bencher) {
                let y = SMatrix::<$t, 10, 100>::from_fn(|k, s| ((k * 7 + s * 3) % 11) as $t / 2.0);
                let (labels, mut dy) = ([(); 100].map(|()| 3), y);
                bencher.bench_local(|| {
                    SoftmaxCrossEntropy.loss(black_box(&y), &labels, Some(&mut dy))
                });
            }
        }
    };
}

functions!(f32);
functions!(f64);
