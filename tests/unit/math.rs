//! How far `math` is from the truth, in units in the last place.

#![allow(unsafe_code, clippy::unwrap_used, clippy::indexing_slicing)]

use super::{Float, Kernels, Level, levels};

type Kernel<T> = unsafe fn(*const T, *mut T, usize);

/// # Safety
/// The CPU has what the kernel needs.
unsafe fn apply<T>(kernel: Kernel<T>, x: &[T], y: &mut [T]) {
    // SAFETY: both are so long; the caller promises the rest.
    unsafe { kernel(x.as_ptr(), y.as_mut_ptr(), x.len().min(y.len())) }
}

/// One function's kernels for all that this CPU has.
fn kernels<T: Float>(function: fn(&Kernels<T>) -> Kernel<T>) -> Vec<(Level, Kernel<T>)> {
    levels().into_iter().map(|level| (level, function(T::table(level)))).collect()
}

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
fn sweep(name: &str, function: fn(&Kernels<f32>) -> Kernel<f32>, step: u64, truth: fn(f64) -> f64) {
    const CHUNK: usize = 1 << 16;
    let kernels = kernels(function);
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
fn goldens(name: &str, function: fn(&Kernels<f64>) -> Kernel<f64>) {
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
    for (level, kernel) in kernels(function) {
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
    for (level, kernel) in kernels::<T>(|all| all.exp) {
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

macro_rules! sweeps {
    ($($test:ident $name:literal $all:ident $function:ident $truth:expr;)*) => { $(
        #[test]
        fn $test() {
            goldens($name, |all| all.$function);
            sweep($name, |all| all.$function, 1009, $truth);
        }

        #[test]
        #[ignore = "minutes, in a release build"]
        fn $all() {
            sweep($name, |all| all.$function, 1, $truth);
        }
    )* };
}

sweeps! {
    exp "exp" exp_all exp f64::exp;
    tanh "tanh" tanh_all tanh f64::tanh;
    sigmoid_ "sigmoid" sigmoid_all sigmoid sigmoid;
}
