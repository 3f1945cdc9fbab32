//! How to write a layer outside the crate, and how to check its backward pass: first a correct one, then
//! one that is wrong in one entry, which the report names.
//!
//! In the tests of your crate one line does this:
//! `gradcheck_layer!(scale<T>: Scale<T, 4, 0>, D1<4>);`

#[macro_use]
#[path = "common/print.rs"]
mod print;

use chainrule::gradcheck::{Case, GradCheck};
use chainrule::{
    Backward, BatchSize, D1, Destination, Forward, Grad, Layer, Number, Purpose, Zeros, parameters,
    part,
};
use nalgebra::SVector;

/// y = w ⊙ x², entry by entry. dx = 2·w ⊙ x ⊙ dy, dw = Σ x² ⊙ dy over the samples.
///
/// With an `OFF` of 1 it has a mistake: an index is off by one, only in the last row of dw.
struct Scale<T, const N: usize, const OFF: usize> {
    weight: SVector<T, N>,
}

// This gives the parameters names, gradients, and other scalars.
parameters!(Scale<T: scalar, const N: usize, const OFF: usize> { weight });

impl<T: Number, const N: usize, const OFF: usize> Layer<T, D1<N>> for Scale<T, N, OFF> {
    type Out = D1<N>;
    type Cache<B: BatchSize, P: Purpose> = ();
    type Scratch = ();

    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<N>, Self, B, P>) {
        for (mut y, x) in at.y.column_iter_mut().zip(at.x.column_iter()) {
            for i in 0..N {
                y[i] = self.weight[i] * x[i] * x[i];
            }
        }
    }

    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, D1<N>, Self, B>,
    ) {
        // First overwrite the gradient on the input, if the caller needs it.
        if let Some(dx) = at.dx {
            for (s, (x, dy)) in at.x.column_iter().zip(at.dy.column_iter()).enumerate() {
                for i in 0..N {
                    dx[(i, s)] = (x[i] + x[i]) * this.weight[i] * dy[i];
                }
            }
        }
        // Then deliver the gradient of the parameters: add it to `dw`.
        part!(this.weight).add(|dw| {
            for (x, dy) in at.x.column_iter().zip(at.dy.column_iter()) {
                for i in 0..N {
                    let j = if i == N - 1 { i - OFF } else { i };
                    dw[i] += x[i] * x[j] * dy[i];
                }
            }
        });
    }
}

fn main() {
    // Sixty-four cases in f32, the simplest first. The check compares with exact derivatives at the same f32 values.
    let right = Scale::<f32, 4, 0>::zeros();
    let verdict = GradCheck::new().check_cases::<f32, D1<4>, _>(&right, 64);
    println!("{}\n", verdict.expect("it is right"));

    let wrong = Scale::<f32, 4, 1>::zeros();
    let verdict = GradCheck::new().check_cases::<f32, D1<4>, _>(&wrong, 64);
    let report = verdict.expect_err("one entry is wrong");
    println!("{report}");
    let failure = report.failures().next().expect("a failure is named");
    let worst = failure.worst.expect("an entry is worst");
    assert_eq!((&failure.leaf[..], worst.entry), ("weight", (3, 0)));
    // The simplest case comes first: one sample whose numbers are quarters, so that you can follow it by hand.
    let Case { batch, .. } = report.check.case();
    assert_eq!(batch, 1);
    println!("\nweight[3,0] is named: dw of the last entry takes x[2] where it should take x[3]");
}
