//! Chapters 5.5 and 5.6: ReLU, sigmoid, affine and softmax-with-loss, one after the other, forward
//! and backward, on matrices small enough to follow by hand.
//!
//! A sample is a column here and a row in the book, so each matrix is the transpose of the book's matrix.

#[macro_use]
#[path = "common/print.rs"]
mod print;

use chainrule::{Affine, ByValue, Loss, Relu, Sigmoid, Softmax, SoftmaxCrossEntropy};
use nalgebra::{Matrix2, Matrix2x3, Matrix3x2, SMatrix, Vector2};

fn shape<const R: usize, const C: usize>(_: &SMatrix<f64, R, C>) -> String {
    format!("{R}×{C}")
}

fn relu() {
    println!("ReLU: numbers that are not above zero become zero; their gradients do, too");
    let x = Matrix2::new(1.0, -2.0, -0.5, 3.0);
    let mut relu = Relu.trace(&x);
    println!("y{}", relu.y);
    assert_eq!(relu.y, Matrix2::new(1.0, 0.0, 0.0, 3.0));

    let dy = Matrix2::new(10.0, 20.0, 30.0, 40.0);
    let (dx, ()) = relu.backward(&dy);
    println!("dx{dx}");
    assert_eq!(dx, Matrix2::new(10.0, 0.0, 0.0, 40.0));
}

fn sigmoid() {
    println!("Sigmoid: the backward pass needs only the output, dx = dy·y·(1 - y)");
    let x = Vector2::new(0.0, 3_f64.ln());
    let mut sigmoid = Sigmoid.trace(&x);
    println!("y{}", sigmoid.y);
    assert!((sigmoid.y - Vector2::new(0.5, 0.75)).norm() < 1e-15);

    let (dx, ()) = sigmoid.backward(&Vector2::new(1.0, 1.0));
    println!("dx{dx}");
    assert!((dx - Vector2::new(0.25, 0.1875)).norm() < 1e-15);
}

fn affine() {
    println!("Affine: y = W·x + b on a batch of two samples with three features");
    let affine =
        Affine::new(Matrix2x3::new(1.0, 2.0, 3.0, 4.0, 5.0, 6.0), Vector2::new(10.0, 20.0));
    let x = Matrix3x2::new(1.0, 0.0, 0.0, 1.0, 0.0, 1.0);
    let mut pass = affine.trace(&x);
    let y = pass.y;
    println!(
        "W {} · x {} + b {} = y {}{y}",
        shape(&affine.weight),
        shape(&x),
        shape(&affine.bias),
        shape(&y)
    );
    assert_eq!(y, Matrix2::new(11.0, 15.0, 24.0, 31.0));

    let dy = Matrix2::new(1.0, 2.0, 3.0, 4.0);
    let (dx, grad) = pass.backward(&dy);
    println!("dx = Wᵀ·dy, {}, shaped like x{dx}", shape(&dx));
    println!("dW = dy·xᵀ, {}, shaped like W{}", shape(&grad.weight), grad.weight);
    println!("db = Σ columns of dy, {}, shaped like b{}", shape(&grad.bias), grad.bias);
    assert_eq!(dx, Matrix3x2::new(13.0, 18.0, 17.0, 24.0, 21.0, 30.0));
    assert_eq!(grad.weight, Matrix2x3::new(1.0, 2.0, 2.0, 3.0, 4.0, 4.0));
    assert_eq!(grad.bias, Vector2::new(3.0, 7.0));
}

fn softmax_with_loss() {
    println!("Softmax-with-loss: scores of two samples for three classes, labels 1 and 0");
    let scores = Matrix3x2::new(0.3, 0.1, 2.9, 0.1, 4.0, 0.1);
    let labels = [1, 0];
    let y = Softmax.trace(&scores).y;
    println!("softmax, {}, the sum of each column is 1{y:.4}", shape(&y));
    assert!((y.column(0).sum() - 1.0).abs() < 1e-15);

    let mut dx = SMatrix::zeros();
    let loss = SoftmaxCrossEntropy.loss(&scores, &labels, Some(&mut dx));
    let t = Matrix3x2::new(0.0, 1.0, 1.0, 0.0, 0.0, 0.0);
    println!("loss {loss:.6}, dx = (y - t) / 2{dx:.4}");
    assert!((loss - -(y[(1, 0)].ln() + y[(0, 1)].ln()) / 2.0).abs() < 1e-15);
    assert!((dx - (y - t) / 2.0).norm() < 1e-15);
}

fn main() {
    relu();
    sigmoid();
    affine();
    softmax_with_loss();
}
