//! An exported net predicts: in Rust, in C, or not at all. `chips.sh` compares their flash.

use crate::Steps;
use rand::{Rng, rngs::Xoshiro128PlusPlus};

#[cfg(feature = "rust")]
mod by {
    #[cfg(feature = "relu")]
    include!("../../export/chip_relu.rs");
    #[cfg(feature = "tanh")]
    include!("../../export/chip_tanh.rs");

    #[inline(never)]
    pub fn predict(x: f32) -> f32 {
        NET.predict(&nalgebra::Vector1::new(x)).x
    }
}

#[cfg(feature = "c")]
mod by {
    unsafe extern "C" {
        pub safe fn predict_in_c(x: f32) -> f32;
    }
    pub use predict_in_c as predict;
}

/// What the rest of the program takes.
#[cfg(feature = "nothing")]
mod by {
    #[inline(never)]
    pub fn predict(x: f32) -> f32 {
        core::hint::black_box(x)
    }
}

pub struct Exported;

impl Steps for Exported {
    const ZEROS: Self = Exported;
    const PROMISED: usize = 0;
    const STEPS: u32 = 500;

    fn begin(&mut self, _: &mut Xoshiro128PlusPlus) {}

    fn step(&mut self, rng: &mut Xoshiro128PlusPlus) -> f32 {
        by::predict((rng.next_u32() >> 8) as f32 / (1 << 22) as f32 - 2.0)
    }

    fn learned(&self, _: f32) -> bool {
        true
    }
}
