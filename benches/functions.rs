//! Times layers that are functions of one number, softmax, and the loss, forward and backward, on 64 samples of 16
//! numbers, and compares them with a loop over the standard library's function.
//!
//! Run `cargo bench --bench functions`.

use chainrule::*;
use divan::{Bencher, black_box};
use nalgebra::{Const, SMatrix};

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

            type Net<L> = Network<$t, D1<16>, L, SumSquaredError>;

            #[divan::bench(types = [
                Relu, Sigmoid, Tanh, Gelu, GeluTanh, Silu, Softplus, Elu, Selu, LeakyRelu, HardSigmoid,
                HardTanh, Softmax, LogSoftmax,
            ])]
            fn forward<L: Layer<$t, D1<16>> + Default>(bencher: Bencher) {
                let (net, x) = (Net::<L>::new(L::default(), SumSquaredError), numbers());
                let mut predictor = Net::<L>::predictor(Const);
                bencher.bench_local(|| {
                    black_box(net.predict_into(black_box(&x), &mut predictor));
                });
            }

            #[divan::bench(types = [
                Relu, Sigmoid, Tanh, Gelu, GeluTanh, Silu, Softplus, Elu, Selu, LeakyRelu, HardSigmoid,
                HardTanh, Softmax, LogSoftmax,
            ])]
            fn forward_and_backward<L>(bencher: Bencher)
            where
                L: Layer<$t, D1<16>> + Default,
                L::Out: Shape<Batch<$t, Const<64>> = Batch>,
            {
                let (net, x) = (Net::<L>::new(L::default(), SumSquaredError), numbers());
                bencher.bench_local(|| {
                    black_box(net.vjp(black_box(&x), &x));
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
