//! A net in flash predicts a sine, one number at a time.

use crate::{Steps, wave};
use chainrule::{Affine, D1, Network, Relu, SumSquaredError};
use nalgebra::{ArrayStorage, SMatrix, SVector, Vector1};
use rand::{Rng, rngs::Xoshiro128PlusPlus};

type Layers = (Affine<f32, 1, 16>, Relu, Affine<f32, 16, 16>, Relu, Affine<f32, 16, 1>);
type Net = Network<f32, D1<1>, Layers, SumSquaredError>;

/// A net made by hand, so that no table of numbers is needed: straight lines between 17 knots. The
/// first layer computes how far x is beyond each knot. The weights of the last layer are the changes of slope at the
/// knots.
static NET: Net = {
    let (mut beyond, mut keep, mut bends) = ([[0.0; 16]], [[0.0; 16]; 16], [[0.0]; 16]);
    let (mut knot, mut slope) = (0, 0.0);
    while knot < 16 {
        let from = knot as f32 / 8.0 - 1.0;
        let next = (wave(from + 0.125) - wave(from)) * 8.0;
        beyond[0][knot] = -from;
        keep[knot][knot] = 1.0;
        bends[knot][0] = next - slope;
        (knot, slope) = (knot + 1, next);
    }
    let ones = SVector::<f32, 16>::from_array_storage(ArrayStorage([[1.0; 16]]));
    let zeros = SVector::<f32, 16>::from_array_storage(ArrayStorage([[0.0; 16]]));
    let layers = (
        Affine::new(ones, SVector::<f32, 16>::from_array_storage(ArrayStorage(beyond))),
        Relu,
        Affine::new(SMatrix::<f32, 16, 16>::from_array_storage(ArrayStorage(keep)), zeros),
        Relu,
        Affine::new(
            SMatrix::<f32, 1, 16>::from_array_storage(ArrayStorage(bends)),
            Vector1::new(0.0),
        ),
    );
    Network::new(layers, SumSquaredError)
};

pub struct Predict;

impl Steps for Predict {
    const ZEROS: Self = Predict;
    const PROMISED: usize = Net::predict_bytes::<1>();
    const STEPS: u32 = 500;

    fn begin(&mut self, _: &mut Xoshiro128PlusPlus) {}

    fn step(&mut self, rng: &mut Xoshiro128PlusPlus) -> f32 {
        let x = (rng.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0;
        let error = NET.predict(&Vector1::new(x)).x - wave(x);
        error * error
    }

    fn learned(&self, last: f32) -> bool {
        last < 0.001
    }
}
