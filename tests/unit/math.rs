//! How far `math` is from the truth, in units in the last place; and how far the sine and cosine of `init`.

#![allow(unsafe_code, clippy::unwrap_used, clippy::indexing_slicing)]

use super::{
    FORCED, Float, Level,
    lanes::Lanes,
    levels,
    math::{self, Elu, Exp, Function, Ln1p, Sigmoid, Softplus, Tanh},
};
use crate::kernel::{self, Work, loops};
use core::marker::PhantomData;

type Kernel<T> = unsafe fn(*const T, *mut T, usize);

/// # Safety
/// The CPU has what the kernel needs.
unsafe fn apply<T>(kernel: Kernel<T>, x: &[T], y: &mut [T]) {
    // SAFETY: both are so long; the caller promises the rest.
    unsafe { kernel(x.as_ptr(), y.as_mut_ptr(), x.len().min(y.len())) }
}

struct Apply<P: Lanes, F>(*const P::Element, *mut P::Element, usize, PhantomData<F>);

impl<P: Lanes, F: Function> Work for Apply<P, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        // SAFETY: as who made it promises.
        unsafe { math::apply::<P, F>(self.0, self.1, self.2) }
    }
}

macro_rules! kernels {
    ($($level:ident $module:ident)*) => {
        $(unsafe fn $module<T: Float, F: Function>(x: *const T, y: *mut T, len: usize) {
            // SAFETY: as the caller promises.
            unsafe { super::$module::run(Apply::<T::$level, F>(x, y, len, PhantomData)) }
        })*

        /// One function's kernels for all that this CPU has.
        fn kernels<T: Float, F: Function>() -> Vec<(Level, Kernel<T>)> {
            let kernel = |level| match level {
                $(Level::$level => $module::<T, F> as Kernel<T>,)*
            };
            levels().into_iter().map(|level| (level, kernel(level))).collect()
        }
    };
}
#[cfg(target_arch = "x86_64")]
kernels!(Avx2 avx2 Avx512 avx512);
#[cfg(target_arch = "aarch64")]
kernels!(Neon neon);

/// One more than the normal distribution, since the error of that is one of 1.
struct Normal;

impl Function for Normal {
    #[inline(always)]
    fn of<P: Lanes>(x: P) -> P {
        math::normal(x).add(x.like(1.0))
    }
}

fn sigmoid(x: f64) -> f64 {
    if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn elu(x: f64) -> f64 {
    if x > 0.0 { x } else { x.exp_m1() }
}

/// A sum of positive terms: 2/√π exp(-x²) Σ 2ⁿ x²ⁿ⁺¹ / (2n + 1)!!.
fn erf(x: f64) -> f64 {
    let (size, mut n) = (x.abs(), 1.0);
    if x.is_nan() || size > 6.0 {
        return if x.is_nan() { x } else { 1f64.copysign(x) };
    }
    let (mut term, mut sum) = (size, size);
    while term > sum * 1e-17 {
        n += 2.0;
        term *= 2.0 * size * size / n;
        sum += term;
    }
    (core::f64::consts::FRAC_2_SQRT_PI * (-size * size).exp() * sum).copysign(x)
}

fn normal(x: f64) -> f64 {
    1.5 + 0.5 * erf(x * core::f64::consts::FRAC_1_SQRT_2)
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
            unsafe { apply(*kernel, &x, &mut y) };
            for ((&x, &y), &truth) in x.iter().zip(&y).zip(&exact) {
                let error = ulps32(y, truth);
                if error > worst.0 {
                    *worst = (error, x);
                }
            }
        }
    }
    for ((level, _), (error, x)) in kernels.iter().zip(worst) {
        println!("f32 {name} {level:?}: {error:.3} ulp at {x:e} ({:#x})", x.to_bits());
        assert!(error <= 2.0, "f32 {name} {level:?}: {error} ulp at {x:e}");
    }
}

/// The worst of the golden values in f64.
fn goldens<F: Function>(name: &str) {
    let path = std::env::var("MATH_GOLDENS")
        .unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/math.txt").into());
    let text = std::fs::read_to_string(path).unwrap();
    let bits = |text| f64::from_bits(u64::from_str_radix(text, 16).unwrap());
    let (mut x, mut truth) = (vec![], vec![]);
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        if words[0] == name {
            x.push(bits(words[1]));
            let y = if words[2] == "nan" { f64::NAN } else { bits(words[2]) };
            truth.push((y, words[3].parse::<f64>().unwrap()));
        }
    }
    assert!(x.len() > 300);
    for (level, kernel) in kernels::<f64, F>() {
        let mut y = vec![0.0; x.len()];
        // SAFETY: this CPU has the features.
        unsafe { apply(kernel, &x, &mut y) };
        let mut worst = (0.0, 0.0);
        for ((&x, &y), &(near, rest)) in x.iter().zip(&y).zip(&truth) {
            let exponent = near.abs().max(f64::MIN_POSITIVE).log2().floor() as i32 - 52;
            let error =
                match (y - near) * 2f64.powi(-exponent / 2) * 2f64.powi(exponent / 2 - exponent) {
                    _ if y.is_nan() && near.is_nan() => 0.0,
                    _ if y == near && y.is_sign_negative() == near.is_sign_negative() => rest.abs(),
                    error if y != near && error.is_finite() => (error - rest).abs(),
                    _ => f64::INFINITY,
                };
            if error > worst.0 {
                worst = (error, x);
            }
        }
        let (error, at) = worst;
        println!("f64 {name} {level:?}: {error:.3} ulp at {at:e} of {} points", x.len());
        assert!(error <= 4.0, "f64 {name} {level:?}: {error} ulp at {at:e}");
    }
}

/// A slice of any length is written as far as it goes, and no further.
fn tails<T: Float>(number: fn(f32) -> T) {
    let x: Vec<T> = (0..40).map(|i| number(i as f32 / 8.0)).collect();
    for (level, kernel) in kernels::<T, Exp>() {
        let mut all = vec![number(-1.0); 40];
        // SAFETY: this CPU has the features.
        unsafe { apply(kernel, &x, &mut all) };
        for n in 0..40 {
            // In memory of its own, so that a sanitizer sees what is read beyond it.
            let (part, mut y) = (x[..n].to_vec(), vec![number(-1.0); 40]);
            // SAFETY: as above.
            unsafe { apply(kernel, &part, &mut y) };
            assert_eq!(y[..n], all[..n], "{level:?}");
            assert!(y[n..].iter().all(|&y| y == number(-1.0)), "{level:?} {n}");
        }
    }
}

#[test]
fn tails_are_parts() {
    tails::<f32>(|x| x);
    tails::<f64>(f64::from);
}

/// Kernels that are made of functions, against the loops: exact to a few roundings of x, of slopes to
/// some of 1.
fn activations<T: Float>(number: fn(f32) -> T) {
    type There<T> = fn(&[T], &mut [T]);
    type Back<T> = fn(&[T], &[T], &mut [T]);
    let mut x: Vec<T> = (-3000..3000).map(|i| number(i as f32 / 64.0)).collect();
    x.extend([0.0, -0.0, 1e-40, 1e-7, 1e30, f32::INFINITY].map(number));
    x.extend([-1e-40, -1e-7, -1e30, f32::NEG_INFINITY, f32::NAN].map(number));
    let of = |name, [there, loops]: [There<T>; 2], [back, loops_back]: [Back<T>; 2]| {
        let dy = vec![number(1.0); x.len()];
        let (mut y, mut dx) = ([dy.clone(), dy.clone()], [dy.clone(), dy.clone()]);
        loops(&x, &mut y[0]);
        loops_back(&x, &dy, &mut dx[0]);
        for level in levels() {
            FORCED.set(Some(level));
            there(&x, &mut y[1]);
            back(&x, &dy, &mut dx[1]);
            FORCED.set(None);
            for (i, &x) in x.iter().enumerate() {
                let close = |[a, b]: [T; 2], size: T| {
                    let off = (a - b).abs() <= T::default_epsilon() * number(4.0) * size;
                    a == b || [a, b].iter().all(|a| a.partial_cmp(a).is_none()) || off
                };
                let size = x.abs().max(y[0][i].abs()).min(number(40.0));
                let y_is = close([y[0][i], y[1][i]], size);
                let dx_is = close([dx[0][i], dx[1][i]], number(1.0));
                assert!(y_is && dx_is, "{name} {level:?}: {x} {:?} {:?}", y[1][i], dx[1][i]);
            }
        }
    };
    of("gelu", [kernel::gelu, loops::gelu], [kernel::gelu_back, loops::gelu_back]);
    // Their slopes are made of other functions.
    let none: Back<T> = |_, _, dx| dx.fill(T::zero());
    of("silu", [kernel::silu, loops::silu], [none; 2]);
    of("gelu-tanh", [kernel::gelu_tanh, loops::gelu_tanh], [none; 2]);
    of("elu", [kernel::elu, loops::elu], [none; 2]);
    of("softplus", [kernel::softplus, loops::softplus], [none; 2]);
}

#[test]
fn activations_are_as_loops() {
    activations::<f32>(|x| x);
    activations::<f64>(f64::from);
}

macro_rules! sweeps {
    ($($test:ident $name:literal $all:ident $function:ident $truth:expr;)*) => { $(
        #[test]
        fn $test() {
            goldens::<$function>($name);
            sweep::<$function>($name, 1009, $truth);
        }

        #[test]
        #[ignore = "minutes, in a release build"]
        fn $all() {
            sweep::<$function>($name, 1, $truth);
        }
    )* };
}

sweeps! {
    exp "exp" exp_all Exp f64::exp;
    tanh "tanh" tanh_all Tanh f64::tanh;
    sigmoid_ "sigmoid" sigmoid_all Sigmoid sigmoid;
    ln_1p "ln_1p" ln_1p_all Ln1p f64::ln_1p;
    normal_ "normal" normal_all Normal normal;
    elu_ "elu" elu_all Elu elu;
    softplus_ "softplus" softplus_all Softplus softplus;
}

/// The sine and cosine that first weights are drawn by.
#[test]
fn circle() {
    for i in 0..=1000 {
        let turns = f64::from(i) / 1000.0;
        let (sin, cos) = (turns * core::f64::consts::TAU).sin_cos();
        let [c, s] = crate::init::circle(turns);
        assert!((c - cos).abs() < 1e-9 && (s - sin).abs() < 1e-9, "{turns}");
        // Four doublings multiply what f32 rounds, half a unit in a few operations, by 16.
        let [c, s] = crate::init::circle(turns as f32);
        let error = (f64::from(c) - cos).abs().max((f64::from(s) - sin).abs());
        assert!(error < 64.0 * f64::from(f32::EPSILON), "{turns}: {error}");
    }
}
