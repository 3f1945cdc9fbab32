//! A net that is exported as source and compiled has the same bits.
//!
//! The nets below print the files in `tests/export`. If you change the format on purpose,
//! `UPDATE=1 cargo test --test export` writes the files again.

use chainrule::{export::Source, *};
use nalgebra::{SMatrix, SVector};
use rand::{Rng, SeedableRng, rngs::Xoshiro128PlusPlus};
use std::{env, fs, hint::black_box};

#[path = "export/awkward.rs"]
mod awkward;
#[path = "export/wide.rs"]
mod wide;

/// Writes the two functions of a layer y = f(x) from D1<N> to D1<N>.
macro_rules! predicts {
    ([$($generics:tt)*] $name:ty, |$layer:ident, $x:ident, $y:ident| $body:expr) => {
        impl<T: Number, const N: usize $($generics)*> Layer<T, D1<N>> for $name {
            type Out = D1<N>;
            type Cache<B: BatchSize, P: Purpose> = ();
            type Scratch = ();

            fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<N>, Self, B, P>) {
                let ($layer, $x, $y) = (self, at.x, at.y);
                $body
            }

            fn backward<B: BatchSize, D: Destination<T>>(
                _: Grad<T, Self, D>,
                _: Backward<T, D1<N>, Self, B>,
            ) {
                unreachable!("nothing is trained here")
            }
        }
    };
}

/// Constants of four kinds.
#[derive(Clone, Copy)]
struct Gate<const PERCENT: u8, const OPEN: bool, const MARK: char, const LEVEL: i32>;

parameters!(Gate<const PERCENT: u8, const OPEN: bool, const MARK: char, const LEVEL: i32> {});
predicts!(
    [, const C: u8, const O: bool, const M: char, const L: i32] Gate<C, O, M, L>,
    |_layer, x, y| if O { y.copy_from(x) }
);

/// y = weight ⊙ x, and numbers that the layer does not use.
#[derive(Clone, Copy)]
struct Scale<T, const N: usize> {
    weight: SVector<T, N>,
    spare: SMatrix<T, 2, 6>,
}

parameters!(Scale<T: scalar, const N: usize> { weight, spare });
predicts!([] Scale<T, N>, |layer, x, y| {
    for (mut y, x) in y.column_iter_mut().zip(x.column_iter()) {
        y.copy_from(&layer.weight.component_mul(&x));
    }
});

/// y = inner(x), in a struct that is generic over its parts.
#[derive(Clone, Copy)]
struct Named<L> {
    inner: L,
}

parameters!(Named<L: part> { inner });
predicts!([, I: Layer<T, D1<N>, Out = D1<N>>] Named<I>, |layer, x, y| y.clone_from(&layer.inner.trace(x).y));

type Nested = (Frozen<Affine<f32, 3, 3>>, Relu, Named<(Tanh, Affine<f32, 3, 3>)>);
type AwkwardLayers =
    (Affine<f32, 2, 3>, Sigmoid, Nested, Box<Scale<f32, 3>>, Gate<30, true, '\'', -1>, Softmax);
type Awkward = Network<f32, D1<2>, AwkwardLayers, SumSquaredError>;

/// These layers with numbers from -1 to 1, the same on every machine.
fn drawn<T: Number, L: Parameters<T>>(layers: L, seed: u64) -> L::With<T> {
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(seed);
    layers.map_scalar(&mut |_| nalgebra::convert(f64::from(rng.next_u32()) / 2_f64.powi(31) - 1.0))
}

/// Every kind of layer, and every kind of number.
fn awkward() -> Awkward {
    let affine = Affine::zeros();
    let named = Named { inner: (Tanh, affine) };
    let nested: Nested = drawn::<f32, _>((Frozen(affine), Relu, named), 0);
    let weight = SVector::<f32, 3>::new(0.1, -0.0, f32::from_bits(1));
    let spare = [
        [f32::NAN, f32::from_bits(0xffa0_0001)],
        [f32::INFINITY, f32::NEG_INFINITY],
        [f32::MAX, f32::MIN],
        [f32::MIN_POSITIVE, -f32::from_bits(0x007f_ffff)],
        [1.0, 16_777_217.0],
        [1e16, std::f32::consts::PI],
    ];
    let scale = Scale { weight, spare: export::matrix(spare) };
    let first = drawn::<f32, _>(Affine::zeros(), 1);
    let layers = (first, Sigmoid, nested, Box::new(scale), Gate, Softmax);
    Network::new(layers, SumSquaredError)
}

/// The book's net in f64, with columns of more than a line.
fn wide() -> TwoLayerNet<f64, 2, 19, 3> {
    Network::new(drawn::<f64, _>((Affine::zeros(), Relu, Affine::zeros()), 2), SoftmaxCrossEntropy)
}

/// Nets for `tests/bare_metal`, which compares the flash of the two languages.
fn chip<A: Layer<f32, D1<16>, Out = D1<16>>>(activation: A) -> Chip<A> {
    let (first, last) = (drawn(Affine::zeros(), 3), drawn(Affine::zeros(), 4));
    Network::new((first, activation, last), SumSquaredError)
}

type Chip<A> = Network<f32, D1<1>, (Affine<f32, 1, 16>, A, Affine<f32, 16, 1>), SumSquaredError>;

/// The name of each leaf and the bits of its numbers.
fn bits<T: Number, L: Parameters<T>>(layers: &L, bits: fn(&T) -> u64) -> Vec<(String, Vec<u64>)> {
    let mut leaves = Vec::new();
    layers.visit(&Path::ROOT, &mut |leaf| {
        leaves.push((leaf.path.to_string(), leaf.values.iter().map(bits).collect()));
    });
    leaves
}

fn bits_of_f32(x: &f32) -> u64 {
    x.to_bits().into()
}

fn bits_of_f64(x: &f64) -> u64 {
    x.to_bits()
}

#[test]
fn what_is_compiled_is_the_same_net() {
    let (net, file) = (awkward(), &awkward::AWKWARD);
    assert_eq!(bits(&file.layers, bits_of_f32), bits(&net.layers, bits_of_f32));
    // Hide the input from the compiler, because constants that it computes have other last bits.
    let x = black_box(SMatrix::<f32, 2, 3>::new(0.3, -1.0, 0.0, 2.0, 0.7, -0.1));
    let (found, expected) = (file.predict(&x), net.predict(&x));
    assert_eq!(found.map(f32::to_bits), expected.map(f32::to_bits));
    // The two must not be equal because both are empty.
    assert!(expected.iter().all(|y| 0.0 < *y && *y < 1.0), "{expected}");

    let (net, file) = (wide(), &wide::WIDE);
    assert_eq!(bits(&file.layers, bits_of_f64), bits(&net.layers, bits_of_f64));
    let (x, labels) = (x.map(f64::from), [0, 1, 2]);
    let (found, expected) = (file.predict(&x), net.predict(&x));
    assert_eq!(found.map(f64::to_bits), expected.map(f64::to_bits));
    assert_eq!(file.loss(&x, &labels).to_bits(), net.loss(&x, &labels).to_bits());
}

#[test]
fn files_are_what_is_printed() {
    for (file, source) in [
        ("awkward.rs", awkward().export("AWKWARD").to_string()),
        ("wide.rs", wide().export("WIDE").to_string()),
        ("chip_relu.rs", chip(Relu).export("NET").to_string()),
        ("chip_relu.h", chip(Relu).export_c("net").to_string()),
        ("chip_tanh.rs", chip(Tanh).export("NET").to_string()),
        ("chip_tanh.h", chip(Tanh).export_c("net").to_string()),
    ] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/export").join(file);
        if env::var_os("UPDATE").is_some() {
            fs::write(&path, &source).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap();
        assert!(committed == source, "{file} is not what is printed; see the top of this test");
    }
}

/// The net in the committed file, exported again, gives the same file. So the export loses nothing. It writes the
/// content of a box, because a `static` cannot contain a box.
#[test]
fn exporting_again_changes_nothing() {
    assert_eq!(awkward::AWKWARD.export("X").to_string(), awkward().export("X").to_string());
}

/// Random bits, every other number near infinity: `str::parse`, which reads like rustc, gives the bits back.
#[test]
fn every_number_survives() {
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(3);
    macro_rules! survives {
        ($t:ident, $bits:expr) => {{
            let x = $t::from_bits($bits);
            let text = format!("{:?}", Source(Some(&x)));
            let back = match text.strip_prefix(concat!(stringify!($t), "::from_bits(0x")) {
                Some(bits) => u64::from_str_radix(bits.trim_end_matches(')'), 16).unwrap(),
                None => text.parse::<$t>().unwrap().to_bits().into(),
            };
            assert_eq!(back, u64::from(x.to_bits()), "{text}");
            // A literal without a point and an exponent would be an integer.
            assert!(text.contains(['.', 'e', '(']), "{text}");
        }};
    }
    for case in 0..300_000 {
        let top = if case % 2 == 0 { 0 } else { 0x7ff << 52 };
        survives!(f32, rng.next_u32() | (top >> 32) as u32);
        survives!(f64, rng.next_u64() | top);
    }
}

/// A net in a `static` is in read-only memory; on a chip this is flash.
#[test]
#[cfg(target_os = "linux")]
fn a_static_net_takes_no_ram() {
    let place = std::ptr::from_ref(&wide::WIDE).addr();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let within = |line: &&str| {
        let (from, to) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let address = |text| usize::from_str_radix(text, 16).unwrap();
        (address(from)..address(to)).contains(&place)
    };
    let line = maps.lines().find(within).unwrap();
    assert!(line.contains(" r--p "), "{line}");
}
