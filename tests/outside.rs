//! Code that an author outside the crate writes: containers, nets as structs
//! with named fields, other scalars, threads. The layers are in `layers/mod.rs`.

use chainrule::*;
use layers::{AutoEncoder, Squares, Sum};
use nalgebra::{Const, Dyn, SMatrix, SVector};
use num_dual::Dual64;
use rand::{RngExt, SeedableRng, rngs::Xoshiro128PlusPlus};

mod layers;

type Encoder = (Affine<f64, 6, 4>, BatchNorm<f64, 4>, Residual<(Tanh, Affine<f64, 4, 4>, Tanh)>);
type Decoder = (
    Frozen<Affine<f64, 4, 4>>,
    Sum<(Sigmoid, Squares<f64, 4, 5>), 2>,
    Box<Affine<f64, 5, 6>>,
    Dropout,
);
type Net = Network<f64, D1<6>, AutoEncoder<Encoder, Decoder>, SumSquaredError>;

fn net() -> Net {
    let mut net = Net::init(&mut Xoshiro128PlusPlus::seed_from_u64(1));
    net.layers.decoder.3 = Dropout::new(0.3);
    net
}

fn inputs() -> SMatrix<f64, 6, 3> {
    SMatrix::from_fn(|i, j| ((i * 3 + j * 5) % 7) as f64 * 0.3 - 1.0)
}

fn numbers<L: Parameters<f64>>(layers: &L) -> Vec<f64> {
    let mut numbers = Vec::new();
    layers.visit(&Path::ROOT, &mut |leaf| numbers.extend(leaf.values));
    numbers
}

#[test]
fn names_roles_and_counts() {
    let mut names = Vec::new();
    net().layers.visit(&Path::ROOT, &mut |leaf| {
        names.push(format!("{} {:?} {:?}", leaf.path, leaf.role, leaf.shape));
    });
    assert_eq!(
        names,
        [
            "encoder.0.weight Weight (4, 6)",
            "encoder.0.bias Weight (4, 1)",
            "encoder.1.weight Weight (4, 1)",
            "encoder.1.bias Weight (4, 1)",
            "encoder.1.running_mean Statistic (4, 1)",
            "encoder.1.running_var Statistic (4, 1)",
            "encoder.1.num_batches_tracked Statistic (1, 1)",
            "encoder.2.inner.1.weight Weight (4, 4)",
            "encoder.2.inner.1.bias Weight (4, 1)",
            "decoder.0.weight Frozen (4, 4)",
            "decoder.0.bias Frozen (4, 1)",
            "decoder.1.branches.0.1.weight Weight (5, 4)",
            "decoder.1.branches.1.1.weight Weight (5, 4)",
            "decoder.2.weight Weight (6, 5)",
            "decoder.2.bias Weight (6, 1)",
        ]
    );
    assert_eq!(Net::parameter_count(), 28 + 17 + 20 + 20 + 40 + 36);
    type Gradient = <AutoEncoder<Encoder, Decoder> as Parameters<f64>>::Gradient;
    assert_eq!(<Gradient as Parameters<f64>>::COUNT, 28 + 17 + 20 + 40 + 36);
    let table = net().to_string();
    assert!(table.starts_with("   4 ×     6        24  encoder.0.weight\n"));
    assert!(
        table.contains(
            "161  in all, 1288 bytes: 132 to train, 20 frozen, 9 statistics\ntraining by SGD: "
        ),
        "{table}"
    );
}

/// One forward pass on dual numbers gives the exact derivative in one direction. Backpropagation gives the same, also
/// with random layers, containers and frozen parts.
#[test]
fn dual_numbers_agree_with_backpropagation() {
    let net = net();
    let x = inputs();
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(2);
    let weights = SMatrix::<f64, 6, 3>::from_fn(|_, _| rng.random_range(-1.0..1.0));
    for pass in [Pass::Predict, Pass::train(3, 0, 0)] {
        let mut trace = Trace::new(&net.layers, &x, &mut pass.clone());
        let (dx, grad) = trace.backward(&weights);
        // A second backward pass gives the same.
        let again = trace.backward(&weights);
        assert_eq!((dx, numbers(&grad)), (again.0, numbers(&again.1)));

        // A random direction for the input and for all weights.
        let (mut along, mut layers) = (0.0, net.layers.clone());
        let mut directions = Vec::new();
        layers.visit_mut(Some(&grad), [], &Path::ROOT, &mut |leaf: LeafMut<f64, 0>| {
            for i in 0..leaf.values.len() {
                let learns = leaf.role == Role::Weight;
                let direction = if learns { rng.random_range(-1.0..1.0) } else { 0.0 };
                along += direction * leaf.gradient.get(i).copied().unwrap_or(0.0);
                directions.push(direction);
            }
        });
        let to = SMatrix::<f64, 6, 3>::from_fn(|_, _| rng.random_range(-1.0..1.0));
        along += dx.dot(&to);

        let mut each = directions.into_iter();
        let dual = net.layers.map_scalar(&mut |w| Dual64::new(w, each.next().unwrap()));
        let x = x.zip_map(&to, Dual64::new);
        let y = Trace::new(&dual, &x, &mut pass.clone()).y;
        let exact: f64 = y.zip_map(&weights, |y: Dual64, w| y.eps * w).sum();
        // Hundreds of products of size 1.
        assert!((along - exact).abs() < 1000.0 * f64::EPSILON, "{along} is not {exact}");
    }
}

/// All random numbers come from the pass.
#[test]
fn passes_decide_what_is_drawn() {
    let x = SVector::<f64, 100>::repeat(1.0);
    let draw = |mut pass: Pass| Trace::<_, D1<100>, _, _>::new(&Dropout::new(0.4), &x, &mut pass).y;
    assert_eq!(draw(Pass::Predict), x);
    let once = draw(Pass::train(1, 0, 0));
    assert_eq!(once, draw(Pass::train(1, 0, 0)));
    for other in [Pass::train(2, 0, 0), Pass::train(1, 1, 0), Pass::train(1, 0, 1)] {
        assert_ne!(once, draw(other));
    }
    let kept = once.iter().filter(|&&y| y > 0.0).count();
    // 60 of 100, within four standard deviations of 5.
    assert!((40..=80).contains(&kept));
    let mut pass = Pass::train(1, 0, 0);
    assert_ne!(
        pass.rng().map(|mut rng| rng.random::<u64>()),
        pass.rng().map(|mut rng| rng.random())
    );
}

/// A fused step over layers of other crates gives the same bits as a gradient and a step.
#[test]
fn a_step_in_one_is_a_gradient_and_a_step() {
    type Layers = (Affine<f64, 6, 6>, AutoEncoder<Encoder, Decoder>);
    type Net = Network<f64, D1<6>, Layers, SumSquaredError>;
    let affine = Affine::xavier(&mut Xoshiro128PlusPlus::seed_from_u64(2));
    let mut at_once = Net::new((affine, net().layers), SumSquaredError);
    let (mut in_two, x, mut sgd) = (at_once.clone(), inputs(), Sgd::new(0.1));
    let (mut fused, mut whole) = (Net::workspace(Const::<3>), Net::workspace(Const::<3>));
    let start = numbers(&in_two.layers);
    for _ in 0..3 {
        let loss = sgd.train_step(&mut at_once, &x, &x, &mut fused).unwrap();
        assert_eq!(loss, in_two.backprop(&x, &x, &mut whole));
        sgd.step(&mut in_two.layers, &whole.grad).unwrap();
        assert_eq!(numbers(&at_once.layers), numbers(&in_two.layers));
    }
    assert_ne!(numbers(&in_two.layers), start);
}

/// Threads share a net; each has its own workspace.
#[test]
fn threads_share_a_net() {
    let (net, x) = (net(), inputs());
    let alone = net.gradient(&x, &x).encoder.0;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| assert_eq!(net.gradient(&x, &x).encoder.0, alone));
        }
    });
}

/// A shorter last batch in the memory of the other batches gives the same bits as in new memory.
#[test]
fn batches_of_changing_size() {
    let (mut net, mut other, mut sgd) = (net(), net(), Sgd::new(0.02));
    let mut work = Net::workspace(Dyn(4));
    for samples in [4, 2, 4, 3, 5, 4] {
        let columns = inputs();
        let columns = columns.iter().copied().cycle().take(6 * samples);
        let x = Columns::<f64, 6, Dyn>::from_iterator_generic(Const, Dyn(samples), columns);
        let mut new = Net::workspace(Dyn(samples));
        new.step = work.step;
        let loss = sgd.train_step(&mut net, &x, &x, &mut work).unwrap();
        assert_eq!(loss, sgd.train_step(&mut other, &x, &x, &mut new).unwrap());
        assert_eq!(numbers(&net.layers), numbers(&other.layers));
    }
}

/// The same net in another precision.
#[test]
fn nets_change_their_scalar() {
    let net = TwoLayerNet::<f64, 6, 5, 3>::normal(0.5, &mut Xoshiro128PlusPlus::seed_from_u64(4));
    let narrow: TwoLayerNet<f32, 6, 5, 3> = net.map(|w| w as f32);
    let (wide, narrow) = (net.predict(&inputs()), narrow.predict(&inputs().map(|x| x as f32)));
    // A dozen products of size 1.
    assert!(
        (wide - narrow.map(f64::from)).iter().all(|d| d.abs() < 16.0 * f64::from(f32::EPSILON))
    );
}
