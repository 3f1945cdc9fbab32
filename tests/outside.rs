//! What an author outside the crate builds on it: layers with chance, containers, nets as structs
//! with named fields, other scalars, threads.

use chainrule::*;
use nalgebra::{Const, Dyn, SMatrix, SVector};
use num_dual::Dual64;
use rand::{RngExt, SeedableRng, rngs::Xoshiro128PlusPlus};

/// Drops each number with the chance `PERCENT`/100 in training; scales what stays.
#[derive(Clone)]
struct Dropout<const PERCENT: u8>;

parameters!(Dropout<const PERCENT: u8> {});

impl<T: Scalar, S: Flat, const PERCENT: u8> Layer<T, S> for Dropout<PERCENT> {
    type Out = S;
    /// What each number was multiplied by.
    type Cache<B: BatchSize> = S::Batch<T, B>;

    fn forward<B: BatchSize>(
        &self,
        x: &S::Batch<T, B>,
        y: &mut S::Batch<T, B>,
        mask: &mut S::Batch<T, B>,
        pass: &mut Pass,
    ) {
        let stay = 1.0 - f32::from(PERCENT) / 100.0;
        let mut rng = pass.rng();
        for scale in S::flat_mut::<T, B>(mask) {
            let stays = rng.as_mut().is_none_or(|rng| rng.random::<f32>() < stay);
            let factor = if rng.is_some() { 1.0 / stay } else { 1.0 };
            *scale = nalgebra::convert(if stays { factor } else { 0.0 });
        }
        let scaled = S::flat::<T, B>(x).iter().zip(S::flat::<T, B>(mask));
        for (y, (&x, &scale)) in S::flat_mut::<T, B>(y).iter_mut().zip(scaled) {
            *y = x * scale;
        }
    }

    fn backward<B: BatchSize>(
        &self,
        _: &S::Batch<T, B>,
        _: &S::Batch<T, B>,
        mask: &mut S::Batch<T, B>,
        dy: &S::Batch<T, B>,
        dx: Option<&mut S::Batch<T, B>>,
        _: Grad<()>,
    ) {
        let Some(dx) = dx else { return };
        let scaled = S::flat::<T, B>(dy).iter().zip(S::flat::<T, B>(mask));
        for (dx, (&dy, &scale)) in S::flat_mut::<T, B>(dx).iter_mut().zip(scaled) {
            *dx = dy * scale;
        }
    }
}

/// y = x + inner(x).
#[derive(Clone)]
struct Residual<L> {
    inner: L,
}

parameters!(Residual[L] { inner });

impl<T: Scalar, S: Flat, L: Layer<T, S, Out = S>> Layer<T, S> for Residual<L> {
    type Out = S;
    /// The inner cache and the inner output, which the inner slope may need.
    type Cache<B: BatchSize> = (L::Cache<B>, S::Batch<T, B>);

    fn forward<B: BatchSize>(
        &self,
        x: &S::Batch<T, B>,
        y: &mut S::Batch<T, B>,
        (cache, inner): &mut Self::Cache<B>,
        pass: &mut Pass,
    ) {
        self.inner.forward::<B>(x, inner, cache, pass);
        y.clone_from(inner);
        add::<T, S, B>(y, x);
    }

    fn backward<B: BatchSize>(
        &self,
        x: &S::Batch<T, B>,
        _: &S::Batch<T, B>,
        (cache, inner): &mut Self::Cache<B>,
        dy: &S::Batch<T, B>,
        mut dx: Option<&mut S::Batch<T, B>>,
        mut grad: Grad<Self::Gradient>,
    ) {
        let part = grad.part(|grad| &mut grad.inner);
        self.inner.backward::<B>(x, inner, cache, dy, dx.as_deref_mut(), part);
        if let Some(dx) = dx {
            add::<T, S, B>(dx, dy);
        }
    }
}

fn add<T: Scalar, S: Flat, B: BatchSize>(y: &mut S::Batch<T, B>, x: &S::Batch<T, B>) {
    for (y, &x) in S::flat_mut::<T, B>(y).iter_mut().zip(S::flat::<T, B>(x)) {
        *y += x;
    }
}

/// A net as a struct with named fields.
#[derive(Clone)]
struct AutoEncoder<E, D> {
    encoder: E,
    decoder: D,
}

parameters!(AutoEncoder[E, D] { encoder, decoder });

impl<T: Scalar, In: Shape, E: Layer<T, In>, D: Layer<T, E::Out>> Layer<T, In>
    for AutoEncoder<E, D>
{
    type Out = D::Out;
    /// The parts' caches; between them the code and the gradient on it.
    type Cache<B: BatchSize> = (E::Cache<B>, Batch<T, E::Out, B>, Batch<T, E::Out, B>, D::Cache<B>);

    fn forward<B: BatchSize>(
        &self,
        x: &In::Batch<T, B>,
        y: &mut Batch<T, D::Out, B>,
        (e, code, _, d): &mut Self::Cache<B>,
        pass: &mut Pass,
    ) {
        self.encoder.forward::<B>(x, code, e, pass);
        self.decoder.forward::<B>(code, y, d, pass);
    }

    fn backward<B: BatchSize>(
        &self,
        x: &In::Batch<T, B>,
        y: &Batch<T, D::Out, B>,
        (e, code, d_code, d): &mut Self::Cache<B>,
        dy: &Batch<T, D::Out, B>,
        dx: Option<&mut In::Batch<T, B>>,
        mut grad: Grad<Self::Gradient>,
    ) {
        let part = grad.part(|grad| &mut grad.decoder);
        self.decoder.backward::<B>(code, y, d, dy, Some(d_code), part);
        let part = grad.part(|grad| &mut grad.encoder);
        self.encoder.backward::<B>(x, code, e, d_code, dx, part);
    }
}

type Encoder = (Affine<f64, 6, 4>, Residual<(Tanh, Affine<f64, 4, 4>, Tanh)>);
type Decoder = (Frozen<Affine<f64, 4, 4>>, Sigmoid, Box<Affine<f64, 4, 6>>, Dropout<30>);
type Net = Network<f64, D1<6>, AutoEncoder<Encoder, Decoder>, SumSquaredError>;

fn net() -> Net {
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(1);
    let residual = Residual { inner: (Tanh, Affine::xavier(&mut rng), Tanh) };
    let encoder = (Affine::xavier(&mut rng), residual);
    let frozen = Frozen(Affine::xavier(&mut rng));
    let decoder = (frozen, Sigmoid, Box::new(Affine::xavier(&mut rng)), Dropout);
    Net::new(AutoEncoder { encoder, decoder }, SumSquaredError)
}

fn inputs() -> SMatrix<f64, 6, 3> {
    SMatrix::from_fn(|i, j| ((i * 3 + j * 5) % 7) as f64 * 0.3 - 1.0)
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
            "encoder.1.inner.1.weight Weight (4, 4)",
            "encoder.1.inner.1.bias Weight (4, 1)",
            "decoder.0.weight Frozen (4, 4)",
            "decoder.0.bias Frozen (4, 1)",
            "decoder.2.weight Weight (6, 4)",
            "decoder.2.bias Weight (6, 1)",
        ]
    );
    assert_eq!(Net::parameters(), 28 + 20 + 20 + 30);
    type Gradient = <AutoEncoder<Encoder, Decoder> as Parameters<f64>>::Gradient;
    assert_eq!(<Gradient as Parameters<f64>>::COUNT, 28 + 20 + 30);
    assert!(net().to_string().starts_with("   4 ×     6        24  encoder.0.weight\n"));
}

/// One forward pass on dual numbers is the exact derivative in one direction; backpropagation
/// gives the same, chance, containers and frozen parts included.
#[test]
fn dual_numbers_agree_with_backpropagation() {
    let net = net();
    let x = inputs();
    let size = Const::<3>;
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(2);
    let weights = SMatrix::<f64, 6, 3>::from_fn(|_, _| rng.random_range(-1.0..1.0));
    for pass in [Pass::Predict, Pass::Train { seed: 3 }] {
        let (mut y, mut cache) = (Buffer::lend(size), Buffer::lend(size));
        let mut grad = Zeros::zeros();
        net.layers.forward::<Const<3>>(&x, &mut y, &mut cache, &mut pass.clone());
        let mut dx = x;
        let into = Grad::add(&mut grad);
        net.layers.backward::<Const<3>>(&x, &y, &mut cache, &weights, Some(&mut dx), into);

        // A random direction for the input and for all parameters that learn.
        let (mut along, mut layers) = (0.0, net.layers.clone());
        let mut directions = Vec::new();
        layers.visit_mut([&mut grad], &Path::ROOT, &mut |leaf: LeafMut<f64, 1>| {
            let [slopes] = leaf.trees;
            for i in 0..leaf.values.len() {
                let learns = leaf.role == Role::Weight;
                let direction = if learns { rng.random_range(-1.0..1.0) } else { 0.0 };
                along += direction * slopes.get(i).copied().unwrap_or(0.0);
                directions.push(direction);
            }
        });
        let to = SMatrix::<f64, 6, 3>::from_fn(|_, _| rng.random_range(-1.0..1.0));
        along += dx.dot(&to);

        let mut each = directions.into_iter();
        let dual = net.layers.map_scalar(&mut |w| Dual64::new(w, each.next().unwrap()));
        let x = x.zip_map(&to, Dual64::new);
        let (mut y, mut cache) = (Buffer::lend(size), Buffer::lend(size));
        dual.forward::<Const<3>>(&x, &mut y, &mut cache, &mut pass.clone());
        let exact: f64 = y.zip_map(&weights, |y: Dual64, w| y.eps * w).sum();
        // Hundreds of products of size 1.
        assert!((along - exact).abs() < 1000.0 * f64::EPSILON, "{along} is not {exact}");
    }
}

/// Chance comes from the pass alone.
#[test]
fn passes_decide_what_is_drawn() {
    let x = SVector::<f64, 100>::repeat(1.0);
    let draw = |pass: Pass| {
        let (mut y, mut mask) = (x, x);
        let pass = &mut pass.clone();
        Layer::<f64, D1<100>>::forward::<Const<1>>(&Dropout::<40>, &x, &mut y, &mut mask, pass);
        y
    };
    assert_eq!(draw(Pass::Predict), x);
    let once = draw(Pass::Train { seed: 1 });
    assert_eq!(once, draw(Pass::Train { seed: 1 }));
    assert_ne!(once, draw(Pass::Train { seed: 2 }));
    let kept = once.iter().filter(|&&y| y > 0.0).count();
    // 60 of 100, within four standard deviations of 5.
    assert!((40..=80).contains(&kept));
    let mut pass = Pass::Train { seed: 1 };
    assert_ne!(
        pass.rng().map(|mut rng| rng.random::<u64>()),
        pass.rng().map(|mut rng| rng.random())
    );
}

/// Layers that know nothing of descent, in a chain that does: the same bits as a gradient and a step.
#[test]
fn a_step_in_one_is_a_gradient_and_a_step() {
    type Layers = (Affine<f64, 6, 6>, AutoEncoder<Encoder, Decoder>);
    type Net = Network<f64, D1<6>, Layers, SumSquaredError>;
    let affine = Affine::xavier(&mut Xoshiro128PlusPlus::seed_from_u64(2));
    let mut at_once = Net::new((affine, net().layers), SumSquaredError);
    let (mut in_two, x, mut sgd) = (at_once.clone(), inputs(), Sgd::new(0.1));
    let mut work = [(); 2].map(|()| Net::workspace(Const::<3>));
    let bits = |net: &Net| {
        let mut bits = Vec::new();
        net.layers.visit(&Path::ROOT, &mut |leaf| {
            bits.extend(leaf.values.iter().map(|w| w.to_bits()));
        });
        bits
    };
    let start = bits(&in_two);
    for _ in 0..3 {
        let loss = sgd.train_step(&mut at_once, &x, &x, &mut work[0]);
        assert_eq!(loss, in_two.backprop(&x, &x, &mut work[1]));
        sgd.step(&mut in_two.layers, &mut work[1].grad);
        assert_eq!(bits(&at_once), bits(&in_two));
    }
    assert_ne!(bits(&in_two), start);
}

/// A net is shared by threads, each with a workspace of its own.
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

/// A last batch that is shorter, in the memory of the others.
#[test]
fn batches_of_changing_size() {
    let mut net = net();
    let mut work = Net::workspace(Dyn(3));
    let x = inputs();
    let whole = Columns::<f64, 6, Dyn>::from_column_slice_generic(Const, Dyn(3), x.as_slice());
    let one = Columns::<f64, 6, Dyn>::from_column_slice_generic(Const, Dyn(1), &x.as_slice()[..6]);
    let before = net.loss(&whole, &whole);
    for _ in 0..200 {
        for x in [&whole, &one] {
            net.backprop(x, x, &mut work);
            Sgd::new(0.02).step(&mut net.layers, &mut work.grad);
        }
    }
    assert!(net.loss(&whole, &whole) < 0.8 * before);
}

/// The same net in another precision.
#[test]
fn nets_change_their_scalar() {
    let net = TwoLayerNet::<f64, 6, 5, 3>::init(0.5, &mut Xoshiro128PlusPlus::seed_from_u64(4));
    let narrow: TwoLayerNet<f32, 6, 5, 3> = net.map(|w| w as f32);
    let (wide, narrow) = (net.predict(&inputs()), narrow.predict(&inputs().map(|x| x as f32)));
    // A dozen products of size 1.
    assert!(
        (wide - narrow.map(f64::from)).iter().all(|d| d.abs() < 16.0 * f64::from(f32::EPSILON))
    );
}
