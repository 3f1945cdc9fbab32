//! How far `math` is from the truth, in units in the last place.

#![allow(unsafe_code)]

use super::{
    math::{self, Constants, Erf, Exp, ExpM1, Function, Ln, Ln1p, Sigmoid, Tanh},
    pack::{F32x8, F32x16, F64x4, F64x8},
};

type Kernel<T> = unsafe fn(&[T], &mut [T]);

/// What this CPU can run, named.
fn kernels<T: Levels, F: Function>() -> Vec<(&'static str, Kernel<T>)> {
    let mut kernels = Vec::new();
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        kernels.push(("avx2", T::avx2::<F>()));
        if ["avx512f"; 1].iter().all(|_| is_x86_feature_detected!("avx512f"))
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
        {
            kernels.push(("avx512", T::avx512::<F>()));
        }
    }
    kernels
}

trait Levels: Constants {
    fn avx2<F: Function>() -> Kernel<Self>;
    fn avx512<F: Function>() -> Kernel<Self>;
}
macro_rules! levels {
    ($t:ident, $avx2:ident, $avx512:ident) => {
        impl Levels for $t {
            fn avx2<F: Function>() -> Kernel<$t> {
                math::avx2::<$avx2, F>
            }
            fn avx512<F: Function>() -> Kernel<$t> {
                math::avx512::<$avx512, F>
            }
        }
    };
}
levels!(f32, F32x8, F32x16);
levels!(f64, F64x4, F64x8);

fn sigmoid(x: f64) -> f64 {
    if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }
}

/// The distance of `y` from `truth`, in units in the last place of f32 there.
fn ulps32(y: f32, truth: f64) -> f64 {
    if y.is_nan() || truth.is_nan() {
        return if y.is_nan() && truth.is_nan() { 0.0 } else { f64::INFINITY };
    }
    let rounded = truth as f32;
    if y == rounded {
        // Zeros have signs; a bound on the error of what was rounded right.
        return if y.to_bits() == rounded.to_bits() { 0.0 } else { f64::INFINITY };
    }
    if y.is_infinite() || rounded.is_infinite() {
        // Next to the largest number, where rounding takes the truth.
        let far = if y.is_infinite() { truth.abs() } else { y.abs() as f64 };
        let last = f32::MAX as f64 - f32::MAX.next_down() as f64;
        return if far >= f32::MAX as f64 - last { 1.0 } else { f64::INFINITY };
    }
    let exponent = (truth.abs().max(f32::MIN_POSITIVE as f64).to_bits() >> 52) as i32 - 1023;
    (y as f64 - truth).abs() / 2f64.powi(exponent - 23)
}

/// The worst of every `step`th f32.
fn sweep<F: Function>(name: &str, step: u64, truth: fn(f64) -> f64) {
    const CHUNK: usize = 1 << 16;
    let kernels = kernels::<f32, F>();
    let mut worst = vec![(0.0, 0.0); kernels.len()];
    let (mut x, mut exact, mut y) = (vec![], vec![], vec![0f32; CHUNK]);
    let mut bits = 0u64;
    while bits < 1 << 32 {
        x.clear();
        while x.len() < CHUNK && bits < 1 << 32 {
            x.push(f32::from_bits(bits as u32));
            bits += step;
        }
        exact.clear();
        exact.extend(x.iter().map(|&x| truth(x as f64)));
        for ((_, kernel), worst) in kernels.iter().zip(&mut worst) {
            // SAFETY: this CPU has the features.
            unsafe { kernel(&x, &mut y) };
            for ((&x, &y), &truth) in x.iter().zip(&y).zip(&exact) {
                let error = ulps32(y, truth);
                if error > worst.0 {
                    *worst = (error, x);
                }
            }
        }
    }
    for ((level, _), (error, x)) in kernels.iter().zip(worst) {
        println!("f32 {name} {level}: {error:.3} ulp at {x:e} ({:#x})", x.to_bits());
        assert!(error <= 2.0, "f32 {name} {level}: {error} ulp at {x:e}");
    }
}

macro_rules! sweeps {
    ($($test:ident $all:ident $function:ident $truth:expr;)*) => { $(
        #[test]
        fn $test() {
            sweep::<$function>(stringify!($test), 1009, $truth);
        }

        #[test]
        #[ignore = "minutes, in a release build"]
        fn $all() {
            sweep::<$function>(stringify!($test), 1, $truth);
        }
    )* };
}

sweeps! {
    exp exp_all Exp f64::exp;
    exp_m1 exp_m1_all ExpM1 f64::exp_m1;
    tanh tanh_all Tanh f64::tanh;
    sigmoid_ sigmoid_all Sigmoid sigmoid;
    ln ln_all Ln f64::ln;
    ln_1p ln_1p_all Ln1p f64::ln_1p;
    erf erf_all Erf libm::erf;
}
