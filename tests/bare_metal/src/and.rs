//! A prediction from a net in flash.

use crate::Steps;
use chainrule::{Affine, D1, Network, SumSquaredError};
use nalgebra::{SMatrix, Vector1, Vector2};
use rand::{Rng, rngs::Xoshiro128PlusPlus};

type Net = Network<f32, D1<2>, Affine<f32, 2, 1>, SumSquaredError>;

/// Computes and: its score is 2·a + 2·b - 3.
static NET: Net = Network::new(
    Affine::new(SMatrix::<f32, 1, 2>::new(2.0, 2.0), Vector1::new(-3.0)),
    SumSquaredError,
);

pub struct And;

impl Steps for And {
    const ZEROS: Self = And;
    const PROMISED: usize = Net::predict_bytes::<1>();
    const STEPS: u32 = 100;

    fn begin(&mut self, _: &mut Xoshiro128PlusPlus) {}

    fn step(&mut self, rng: &mut Xoshiro128PlusPlus) -> f32 {
        let two = rng.next_u32();
        let bit = |n: u32| (two >> n & 1) as f32;
        let said = NET.predict(&Vector2::new(bit(0), bit(1))).x > 0.0;
        f32::from(u8::from(said != (two & 3 == 3)))
    }

    fn learned(&self, last: f32) -> bool {
        last == 0.0
    }
}
