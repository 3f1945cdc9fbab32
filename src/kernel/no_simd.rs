//! The place of `simd` where there is none: nothing but the loops.
use crate::shape::Scalar;

#[inline(always)]
#[expect(clippy::extra_unused_type_parameters, reason = "the other one asks which it is")]
pub fn run<T: Scalar, W: super::Work>(work: W) -> W::Output {
    work.run()
}

#[cfg(feature = "alloc")]
pub fn prefetch(_: &[u8]) {}

macro_rules! nothing {
    ($($name:ident($($type:ty),*);)*) => { $(
        #[inline(always)]
        pub fn $name<T: Scalar>($(_: $type),*) -> bool {
            false
        }
    )* };
}
nothing! {
    affine(usize, &[T], &[T], &[T], &mut [T]);
    pullback(usize, usize, &[T], &[T], &mut [T]);
    outer(usize, usize, &[T], &[T], &mut [T], bool);
    descend(T, usize, usize, &[T], &[T], &mut [T]);
    sum_columns(&[T], &mut [T], bool);
    add_scaled(T, &[T], &mut [T]);
    relu(&[T], &mut [T]);
    relu_back(&[T], &[T], &mut [T]);
    tanh(&[T], &mut [T]);
    tanh_back(&[T], &[T], &mut [T]);
    sigmoid(&[T], &mut [T]);
    sigmoid_back(&[T], &[T], &mut [T]);
    gelu(&[T], &mut [T]);
    gelu_back(&[T], &[T], &mut [T]);
    softplus(&[T], &mut [T]);
    softplus_back(&[T], &[T], &mut [T]);
    exp(&mut [T]);
    brightness(&[u8], &mut [T]);
}
