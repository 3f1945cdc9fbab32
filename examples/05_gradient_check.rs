//! Chapter 5.7.3: the gradient check. Backpropagation is fast, but easy to get wrong. Numerical differentiation is
//! slow, but simple. So this example checks one with the other, parameter by parameter.

#[macro_use]
#[path = "common/print.rs"]
mod print;

use chainrule::gradcheck::{GradCheck, Mode};
use chainrule::{Affine, D1, Parameters, Path, Relu, SoftmaxCrossEntropy, TwoLayerNet, data};
use nalgebra::SMatrix;
use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
use std::time::Instant;

fn main() -> Result<(), data::FileError> {
    // The first three of the embedded digits, 8×8 pixels each.
    let images = &include_bytes!("data/digits/train-images-idx3-ubyte.gz")[..];
    let labels = &include_bytes!("data/digits/train-labels-idx1-ubyte.gz")[..];
    let digits = data::read_labelled::<64, 10>(("images", images), ("labels", labels))?;
    let x = SMatrix::<f64, 64, 3>::from_fn(|pixel, sample| {
        f64::from(digits.inputs().0[sample][pixel]) / 255.0
    });
    let t = [0, 1, 2].map(|sample| digits.targets()[sample]);

    let mut rng = Xoshiro128PlusPlus::seed_from_u64(0);
    // The book's first weights, from a normal distribution with standard deviation 0.01.
    let layers = (Affine::normal(0.01, &mut rng), Relu, Affine::normal(0.01, &mut rng));
    let network = TwoLayerNet::<f64, 64, 50, 10>::new(layers, SoftmaxCrossEntropy);

    let start = Instant::now();
    let numerical = network.numerical_gradient(&x, &t);
    let numerical_time = start.elapsed();
    let start = Instant::now();
    let backprop = network.gradient(&x, &t);
    let backprop_time = start.elapsed();

    // The book prints the mean of the differences. A mean hides a single wrong entry among
    // thousands, so look at the largest difference.
    //
    // The book's own check ends at 1.4e-7 for b2. That is not a rounding error: its loss is
    // -log(y + 1e-7), but its backward pass, (y - t) / batch, is the derivative of -log(y). The
    // loss here contains no 1e-7, because it never computes log(0). So the two gradients agree.
    println!("           mean       maximum");
    for (name, numerical, backprop) in leaves(&numerical, &backprop) {
        let differences = numerical.iter().zip(&backprop).map(|(n, b)| (n - b).abs());
        // Not `f64::max`, which ignores NaN.
        let maximum = differences.clone().fold(0.0, |top, d| if d <= top { top } else { d });
        assert!(differences.clone().all(|difference| difference < 1e-9));
        let mean = differences.sum::<f64>() / backprop.len() as f64;
        println!("{name:10} {mean:.3e}  {maximum:.3e}");
    }

    // Dual numbers, w + ε·v with ε² = 0, carry an exact derivative through the same forward pass. They have no step
    // size and no trouble with kinks, so only rounding errors remain. The check of all entries takes one pass for each
    // entry. The check of one random direction takes one pass, and finds a fault in any entry.
    let check = GradCheck::new().keep_parameters().differences(false);
    let start = Instant::now();
    let all = check.clone().check::<f64, D1<64>, _>(&network.layers).expect("it is right");
    let all_time = start.elapsed();
    let start = Instant::now();
    let directional = check.mode(Mode::Directional).check::<f64, D1<64>, _>(&network.layers);
    let directional_time = start.elapsed();
    let worst = all.worst_relative("dual numbers");
    println!("\ndual numbers: the largest error, relative to its scale, is {worst:.1e}");
    assert!(worst < 1e-14 && directional.is_ok());

    println!("\n{} parameters, three samples:", network.layers.0.weight.len() + 50 + 500 + 10);
    println!("  backpropagation              {backprop_time:>10.1?}");
    println!("  differences                  {numerical_time:>10.1?}");
    println!("  dual numbers, every entry    {all_time:>10.1?}, with the other properties");
    println!("  dual numbers, one direction  {directional_time:>10.1?}, with the other properties");
    Ok(())
}

/// The parameters with the names of the book.
fn leaves<L: Parameters<f64>>(a: &L, b: &L) -> Vec<(&'static str, Vec<f64>, Vec<f64>)> {
    let [mut left, mut right] = [Vec::new(), Vec::new()];
    a.visit(&Path::ROOT, &mut |leaf| left.push(leaf.values.to_vec()));
    b.visit(&Path::ROOT, &mut |leaf| right.push(leaf.values.to_vec()));
    let pairs = left.into_iter().zip(right);
    ["W1", "b1", "W2", "b2"].into_iter().zip(pairs).map(|(name, (a, b))| (name, a, b)).collect()
}
