//! Chapter 5.7.2: the two-layer net. Build it, predict, compute loss and accuracy, and compute the
//! gradient of every parameter.

#[macro_use]
#[path = "common/print.rs"]
mod print;

use chainrule::{
    Affine, D1, Network, Optimizer, Parameters, Path, Relu, Sgd, SoftmaxCrossEntropy, StepError,
    TwoLayerNet,
};
use nalgebra::SMatrix;
use rand::{RngExt, SeedableRng, rngs::Xoshiro128PlusPlus};

fn main() -> Result<(), StepError> {
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(0);
    let mut network = TwoLayerNet::<f64, 784, 50, 10>::normal(0.01, &mut rng);
    println!("{network}\n");

    // Five images, one in each column, and their labels.
    let x = SMatrix::<f64, 784, 5>::from_fn(|_, _| rng.random());
    let t = [5, 0, 4, 1, 9];

    let y = network.predict(&x);
    println!("scores of the first image{:.4}", y.column(0));
    let (loss, accuracy) = (network.loss(&x, &t), network.accuracy(&x, &t));
    println!("loss {loss:.4}, accuracy {accuracy}");
    // An untrained net gives each of ten classes about the same probability.
    assert!((loss - 10_f64.ln()).abs() < 0.2);

    // The gradient has the same layers as the net.
    let grad = network.gradient(&x, &t);
    grad.visit(&Path::ROOT, &mut |leaf| {
        let (rows, columns) = leaf.shape;
        let mean = leaf.values.iter().map(|g: &f64| g.abs()).sum::<f64>() / (rows * columns) as f64;
        println!("d {:9} {rows:3} × {columns:<4} mean size {mean:.2e}", leaf.path.to_string());
    });
    // Softmax does not change if the same number is added to all scores, so the gradients of the last biases sum to 0.
    assert!(grad.2.bias.sum().abs() < 1e-15);

    // A step against the gradient makes the loss smaller.
    Sgd::new(0.1).step(&mut network.layers, &grad)?;
    println!("loss after one step {:.4}", network.loss(&x, &t));
    assert!(network.loss(&x, &t) < loss);

    // A deeper net is only a longer tuple.
    type Deeper = (Affine<f64, 784, 50>, Relu, Affine<f64, 50, 20>, Relu, Affine<f64, 20, 10>);
    let deeper = Network::<f64, D1<784>, Deeper, SoftmaxCrossEntropy>::init(&mut rng);
    println!("a deeper net: loss {:.4}", deeper.loss(&x, &t));
    assert_eq!(deeper.gradient(&x, &t).4.weight.shape(), (10, 20));
    Ok(())
}
