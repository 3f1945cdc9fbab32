use chainrule::Zeros;
use core::mem::MaybeUninit;
use nalgebra::Vector2;

#[repr(packed)]
struct Packed {
    weight: Vector2<f32>,
}

impl Zeros for Packed {
    fn zeros() -> Self {
        Packed { weight: Vector2::zeros() }
    }

    fn set_zero(&mut self) {
        self.weight = Vector2::zeros();
    }

    fn zeros_in(place: &mut MaybeUninit<Self>) -> &mut Self {
        chainrule::__zeros_in!(place: weight)
    }
}

fn main() {}
