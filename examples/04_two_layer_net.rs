//! Chapter 5.7.2: the two-layer net. Build it, predict, compute loss and accuracy, and compute the
//! gradient of every parameter. Its graph is written into the folder `out`, or into another that you name.

#[path = "common/graph.rs"]
mod graph;
#[macro_use]
#[path = "common/print.rs"]
mod print;

use chainrule::{
    Affine, ByValue, D1, Loss, Network, Optimizer, Parameters, Path, Relu, Sgd,
    SoftmaxCrossEntropy, TwoLayerNet,
};
use graph::{Node, input, operation};
use nalgebra::SMatrix;
use rand::{RngExt, SeedableRng, rngs::Xoshiro128PlusPlus};
use std::{env, error::Error, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
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

    // The same layer by layer: each number of the graph is the mean size of a matrix.
    let (affine1, relu, affine2) = &network.layers;
    let mut a = affine1.trace(&x);
    let mut h = relu.trace(&a.y);
    let mut scores = affine2.trace(&h.y);
    let mut dy = y.map(|_| 0.0);
    let again = network.criterion.loss(&scores.y, &t, Some(&mut dy));
    let outputs = [size(&a.y), size(&h.y), size(&scores.y)];
    let (dh, d2) = scores.backward(&dy);
    let (da, ()) = h.backward(&dh);
    let (dx, d1) = a.backward(&da);
    // Sums of up to 784 products of numbers below 1, which may be added in another order.
    assert!((again - loss).abs() < 1e-12 && (d1.weight - grad.0.weight).amax() < 1e-12);
    let [ya, yh, ys] = outputs;
    let (w, b) = parameters(affine1, &d1);
    let image = input("x", size(&x), size(&dx));
    let first = operation("Affine", ya, size(&da), [image, w, b]);
    let hidden = operation("ReLU", yh, size(&dh), [first]);
    let (w, b) = parameters(affine2, &d2);
    let last = operation("Affine", ys, size(&dy), [hidden, w, b]);
    let labels = input("t", "5 labels", "");
    let root = operation("Softmax", format!("{loss:.4}"), 1, [last, labels]);
    let folder = env::args_os().nth(1).map_or_else(|| "out".into(), PathBuf::from);
    graph::write(&folder, "two_layer_net", &root, "L")?;
    println!("graph in {}", folder.join("two_layer_net.svg").display());

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

/// Weight and bias in the graph.
fn parameters<const I: usize, const O: usize>(
    affine: &Affine<f64, I, O>,
    gradient: &Affine<f64, I, O>,
) -> (Node, Node) {
    let weight = input("W", size(&affine.weight), size(&gradient.weight));
    (weight, input("b", size(&affine.bias), size(&gradient.bias)))
}

/// Rows, columns and the mean size of the numbers.
fn size<const R: usize, const C: usize>(matrix: &SMatrix<f64, R, C>) -> String {
    format!("{R} × {C}: {:.2e}", matrix.abs().mean())
}
