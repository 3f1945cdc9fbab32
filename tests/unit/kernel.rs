//! The SIMD kernels against the loops, at every level that this CPU has, every shape class, and
//! with NaN around all memory: what is read beyond an end shows in the result, what is written
//! there shows too.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::{
    Scalar,
    kernel::{loops, simd},
};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::Xoshiro128PlusPlus};
use std::sync::LazyLock;

/// None where the address sanitizer watches the ends: what is beyond must not be the test's own.
static GUARD: LazyLock<usize> =
    LazyLock::new(|| std::env::var("KERNEL_GUARD").map_or(67, |guard| guard.parse().unwrap()));

/// Numbers with NaN on both sides.
#[derive(Clone)]
struct Guarded<T>(Vec<T>);

impl<T: Scalar> Guarded<T> {
    fn random(len: usize, rng: &mut Xoshiro128PlusPlus) -> Self {
        let mut all = vec![crate::shape::nan(); len + 2 * *GUARD];
        all[*GUARD..*GUARD + len]
            .fill_with(|| nalgebra::convert(f64::from(rng.random_range(-1.0f32..1.0))));
        Guarded(all)
    }

    fn get(&self) -> &[T] {
        &self.0[*GUARD..self.0.len() - *GUARD]
    }

    fn get_mut(&mut self) -> &mut [T] {
        let end = self.0.len() - *GUARD;
        &mut self.0[*GUARD..end]
    }

    fn intact(&self) -> bool {
        let is_nan = |x: &T| x.partial_cmp(x).is_none();
        let (first, last) = (&self.0[..*GUARD], &self.0[self.0.len() - *GUARD..]);
        first.iter().all(is_nan) && last.iter().all(is_nan)
    }
}

fn absolute<T: Scalar>(x: &[T]) -> Vec<T> {
    x.iter().map(|x| x.abs()).collect()
}

/// Two sums of `terms` products, in any order, each product rounded or not, differ by no more than
/// 2·(terms + 1)·ε of the sum of the sizes: each is within γ = (terms + 1)·ε/2 / (1 - …) of the exact
/// one, and what is left of the other factor pays for the quotient and for `sizes` being rounded.
fn close<T: Scalar>(
    simd: &[T],
    loops: &[T],
    sizes: &[T],
    terms: usize,
) -> Result<(), TestCaseError> {
    let bound: T = nalgebra::convert::<f64, T>(2.0 * (terms + 1) as f64) * T::default_epsilon();
    for (i, ((&a, &b), &size)) in simd.iter().zip(loops).zip(sizes).enumerate() {
        prop_assert!((a - b).abs() <= bound * size, "entry {i}: {a} and {b}");
    }
    Ok(())
}

fn check<T: Scalar>(
    (i, o, n): (usize, usize, usize),
    zeros: bool,
    seed: u64,
) -> Result<(), TestCaseError> {
    let rng = &mut Xoshiro128PlusPlus::seed_from_u64(seed);
    let mut random = |len| Guarded::<T>::random(len, rng);
    let (w, b, mut x, mut dy) = (random(i * o), random(o), random(i * n), random(o * n));
    let (y0, dw0, db0, dx0) = (random(o * n), random(i * o), random(o), random(i * n));
    if zeros {
        mostly_zeros(x.get_mut());
        mostly_zeros(dy.get_mut());
    }
    let (w_abs, b_abs) = (absolute(w.get()), absolute(b.get()));
    let (x_abs, dy_abs) = (absolute(x.get()), absolute(dy.get()));

    macro_rules! agree {
        ($terms:expr, $start:expr, $sizes_start:expr, $name:ident($($before:expr),*; $($after:expr),*), ($($abs:expr),*)) => {{
            let (mut by_simd, mut by_loops, mut sizes) = ($start.clone(), $start.clone(), $sizes_start);
            prop_assert!(simd::$name($($before,)* by_simd.get_mut() $(, $after)*));
            loops::$name($($before,)* by_loops.get_mut() $(, $after)*);
            loops::$name($($abs,)* &mut sizes $(, $after)*);
            prop_assert!(by_simd.intact(), "{} wrote beyond an end", stringify!($name));
            close(by_simd.get(), by_loops.get(), &sizes, $terms)?;
        }};
    }
    agree!(i + 1, y0, vec![T::zero(); o * n], affine(i, w.get(), b.get(), x.get();), (i, &w_abs, &b_abs, &x_abs));
    agree!(o, dx0, vec![T::zero(); i * n], pullback((o, i), w.get(), dy.get();), ((o, i), &w_abs, &dy_abs));
    for overwrite in [true, false] {
        agree!(n + 1, dw0, absolute(dw0.get()), outer((o, i), dy.get(), x.get(); overwrite), ((o, i), &dy_abs, &x_abs));
        agree!(n + 1, db0, absolute(db0.get()), sum_columns(dy.get(); overwrite), (&dy_abs));
    }
    let half: T = nalgebra::convert(0.5);
    agree!(2, dw0, absolute(dw0.get()), add_scaled(-half, w.get();), (half, &w_abs));
    Ok(())
}

/// As an image is: four of five numbers are zero, of both signs, and many of them in runs.
fn mostly_zeros<T: Scalar>(x: &mut [T]) {
    for (i, x) in x.iter_mut().enumerate() {
        if i % 5 != 0 && i % 97 < 90 {
            *x *= T::zero();
        }
    }
}

fn at_all_levels(i: usize, o: usize, n: usize, seed: u64) -> Result<(), TestCaseError> {
    for level in simd::levels() {
        simd::FORCED.set(Some(level));
        let checked = [false, true].into_iter().try_for_each(|zeros| {
            check::<f32>((i, o, n), zeros, seed)?;
            check::<f64>((i, o, n), zeros, seed)
        });
        simd::FORCED.set(None);
        checked.map_err(|error| match error {
            TestCaseError::Fail(why) => {
                TestCaseError::fail(format!("{level:?}, {i} to {o}, batch {n}: {why}"))
            }
            reject => reject,
        })?;
    }
    Ok(())
}

#[test]
fn there_is_a_level_to_test() {
    if simd::levels().is_empty() {
        println!("skipped: this CPU has no level");
    }
    for level in simd::levels() {
        simd::FORCED.set(Some(level));
        assert_eq!(simd::level(), Some(level));
        simd::FORCED.set(None);
    }
}

/// Every remainder of every tile: widths around the packs and panels of both types and levels.
#[test]
fn agrees_with_the_loops_at_every_width() {
    for o in 1..=70 {
        for (i, n) in [(1, 1), (3, 2), (17, 5), (33, 33), (64, 16), (7, 1)] {
            at_all_levels(i, o, n, o as u64).unwrap();
            at_all_levels(o, i, n, o as u64).unwrap();
            at_all_levels(i, n, o, o as u64).unwrap();
        }
    }
}

/// Where operands are packed, in more blocks of k than one.
#[test]
fn agrees_with_the_loops_at_large_shapes() {
    for (i, o, n) in [(784, 50, 100), (300, 130, 40), (513, 257, 17), (1100, 20, 9), (130, 700, 20)]
    {
        at_all_levels(i, o, n, 1).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn agrees_with_the_loops(i in 1usize..150, o in 1usize..150, n in 1usize..60, seed: u64) {
        at_all_levels(i, o, n, seed)?;
    }
}

/// Large products pass over zeros; their parts, which are small, do not.
#[test]
fn zeros_change_no_bit() {
    const PARTS: usize = 5;
    fn check<T: Scalar>(of_a: f64, of_b: f64) {
        let rng = &mut Xoshiro128PlusPlus::seed_from_u64(5);
        let (i, o, n) = (300, 20, 100);
        let mut random = |len| Guarded::<T>::random(len, rng);
        let (mut w, b, mut dy, mut x) = (random(i * o), random(o), random(o * n), random(i * n));
        mostly_zeros(x.get_mut());
        let (of_a, of_b) = (nalgebra::convert(of_a), nalgebra::convert(of_b));
        (w.get_mut()[77], dy.get_mut()[77], x.get_mut()[1234]) = (of_a, of_a, of_b);

        let compare = |len, whole: &dyn Fn(&mut [T]), part: &dyn Fn(usize, &mut [T])| {
            let (mut a, mut b) = (vec![T::zero(); len], vec![T::zero(); len]);
            whole(&mut a);
            b.chunks_mut(len / PARTS).enumerate().for_each(|(i, to)| part(i, to));
            let same = |(a, b): (&T, &T)| {
                a == b || a.partial_cmp(a).is_none() && b.partial_cmp(b).is_none()
            };
            assert!(a.iter().zip(&b).all(same));
        };
        let part = |part: usize| &x.get()[part * i * n / PARTS..][..i * n / PARTS];
        compare(o * n, &|y| assert!(simd::affine(i, w.get(), b.get(), x.get(), y)), &|at, y| {
            assert!(simd::affine(i, w.get(), b.get(), part(at), y))
        });
        // W with 300 outputs for 20 inputs, of the same numbers.
        compare(o * n, &|dx| assert!(simd::pullback((i, o), w.get(), x.get(), dx)), &|at, dx| {
            assert!(simd::pullback((i, o), w.get(), part(at), dx))
        });
        let some = i / PARTS;
        let inputs = |at: usize| -> Vec<T> {
            x.get().chunks(i).flat_map(|x| x[at * some..][..some].to_vec()).collect()
        };
        compare(
            o * i,
            &|dw| assert!(simd::outer((o, i), dy.get(), x.get(), dw, true)),
            &|at, dw| assert!(simd::outer((o, some), dy.get(), &inputs(at), dw, true)),
        );
    }
    for level in simd::levels() {
        simd::FORCED.set(Some(level));
        for (of_a, of_b) in [(0.5, 0.5), (f64::NAN, 0.5), (f64::INFINITY, 0.5), (0.5, f64::NAN)] {
            check::<f32>(of_a, of_b);
            check::<f64>(of_a, of_b);
        }
        simd::FORCED.set(None);
    }
}

/// Every byte, slices of every length, from wherever in a cache line: what dividing gives, to the bit.
#[test]
fn bytes_are_divided() {
    fn check<T: Scalar>() {
        let bytes: Vec<u8> = (0..=255).collect();
        for len in (0..40).chain([256]) {
            for at in 0..17 {
                let (mut by_simd, mut by_loops) = (vec![T::one(); 274], vec![T::one(); 274]);
                assert!(simd::brightness(&bytes[256 - len..], &mut by_simd[at..at + len]));
                loops::brightness(&bytes[256 - len..], &mut by_loops[at..at + len]);
                assert_eq!(by_simd, by_loops);
            }
        }
    }
    for level in simd::levels() {
        simd::FORCED.set(Some(level));
        check::<f32>();
        check::<f64>();
        simd::FORCED.set(None);
    }
}

#[test]
fn lengths_that_do_not_agree_are_left_to_the_loops() {
    let mut y = [0.0; 4];
    assert!(!simd::affine(3, &[1.0f32; 6], &[0.0; 2], &[1.0; 5], &mut y));
    assert!(!simd::affine(3, &[1.0f32; 5], &[0.0; 2], &[1.0; 6], &mut y));
    assert!(!simd::affine(0, &[], &[0.0f32; 2], &[], &mut y));
    assert!(!simd::pullback((2, 3), &[1.0f32; 6], &[1.0; 3], &mut [0.0; 6]));
    assert!(!simd::outer((2, 3), &[1.0f32; 4], &[1.0; 6], &mut [0.0; 5], true));
}

/// However many threads share a product, its bits are the same.
#[cfg(feature = "rayon")]
#[test]
fn threads_do_not_change_a_bit() {
    fn bits<T: Scalar>((i, o, n): (usize, usize, usize), threads: usize) -> Vec<T> {
        let rng = &mut Xoshiro128PlusPlus::seed_from_u64(3);
        let mut random = |len| Guarded::<T>::random(len, rng);
        let (w, b, x, dy) = (random(i * o), random(o), random(i * n), random(o * n));
        let (mut y, mut dw, mut dx) = (random(o * n), random(i * o), random(i * n));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let level = simd::level();
        pool.install(|| {
            simd::FORCED.set(level);
            assert!(simd::affine(i, w.get(), b.get(), x.get(), y.get_mut()));
            assert!(simd::outer((o, i), dy.get(), x.get(), dw.get_mut(), false));
            assert!(simd::pullback((o, i), w.get(), dy.get(), dx.get_mut()));
        });
        assert!(y.intact() && dw.intact() && dx.intact());
        [y.get(), dw.get(), dx.get()].concat()
    }
    fn elementwise<T: Scalar>(threads: usize) {
        let rng = &mut Xoshiro128PlusPlus::seed_from_u64(4);
        let mut random = |len| Guarded::<T>::random(len, rng);
        let len = (1 << 17) + 5;
        let (x, mut y) = (random(len), random(len));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let level = simd::level();
        pool.install(|| {
            simd::FORCED.set(level);
            assert!(simd::relu(x.get(), y.get_mut()));
        });
        assert!(y.intact());
        assert!(y.get().iter().zip(x.get()).all(|(&y, &x)| y == x.max(T::zero())));
    }
    fn check<T: Scalar>() {
        [2, 3, 7].into_iter().for_each(elementwise::<T>);
        for shape in [(784, 512, 128), (512, 258, 131), (3000, 17, 147), (131, 1000, 50)] {
            let one = bits::<T>(shape, 1);
            for threads in [2, 3, 7] {
                assert_eq!(bits::<T>(shape, threads), one, "{shape:?}, {threads} threads");
            }
        }
    }
    for level in simd::levels() {
        simd::FORCED.set(Some(level));
        check::<f32>();
        check::<f64>();
        simd::FORCED.set(None);
    }
}
