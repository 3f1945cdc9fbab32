//! The SIMD kernels against the loops, at every level that this CPU has, every shape class, and
//! with NaN around all memory: what is read beyond an end shows in the result, what is written
//! there shows too.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::{
    Number,
    kernel::{self, loops, simd},
    view::View,
};
use num_dual::Dual64;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::Xoshiro128PlusPlus};
use std::sync::LazyLock;

/// None where the address sanitizer watches the ends: what is beyond must not be the test's own.
static GUARD: LazyLock<usize> =
    LazyLock::new(|| std::env::var("KERNEL_GUARD").map_or(67, |guard| guard.parse().unwrap()));

/// Numbers with NaN on both sides.
#[derive(Clone)]
struct Guarded<T>(Vec<T>);

impl<T: Number> Guarded<T> {
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

fn absolute<T: Number>(x: &[T]) -> Vec<T> {
    x.iter().map(|x| x.abs()).collect()
}

/// Two sums of `terms` products, in any order, each product rounded or not, differ by no more than
/// 2·(terms + 1)·ε of the sum of the sizes: each is within γ = (terms + 1)·ε/2 / (1 - …) of the exact
/// one, and what is left of the other factor pays for the quotient and for `sizes` being rounded.
fn close<T: Number>(
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

fn check<T: Number>(
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
    agree!(o, dx0, vec![T::zero(); i * n], product_tn((o, i), w.get(), dy.get();), ((o, i), &w_abs, &dy_abs));
    for overwrite in [true, false] {
        agree!(n + 1, dw0, absolute(dw0.get()), product_nt((o, i), dy.get(), x.get(); overwrite), ((o, i), &dy_abs, &x_abs));
        agree!(n + 1, db0, absolute(db0.get()), sum_columns(dy.get(); overwrite), (&dy_abs));
    }
    let half: T = nalgebra::convert(0.5);
    agree!(2, dw0, absolute(dw0.get()), add_scaled(-half, w.get();), (half, &w_abs));
    Ok(())
}

/// As an image is: four of five numbers are zero, of both signs, and many of them in runs.
fn mostly_zeros<T: Number>(x: &mut [T]) {
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
    fn check<T: Number>(of_a: f64, of_b: f64) {
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
        compare(o * n, &|dx| assert!(simd::product_tn((i, o), w.get(), x.get(), dx)), &|at, dx| {
            assert!(simd::product_tn((i, o), w.get(), part(at), dx))
        });
        let some = i / PARTS;
        let inputs = |at: usize| -> Vec<T> {
            x.get().chunks(i).flat_map(|x| x[at * some..][..some].to_vec()).collect()
        };
        compare(
            o * i,
            &|dw| assert!(simd::product_nt((o, i), dy.get(), x.get(), dw, true)),
            &|at, dw| assert!(simd::product_nt((o, some), dy.get(), &inputs(at), dw, true)),
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
    fn check<T: Number>() {
        let bytes: Vec<u8> = (0..=255).collect();
        for len in (0..40).chain([256]) {
            for at in 0..17 {
                let (mut by_simd, mut by_loops) = (vec![T::one(); 274], vec![T::one(); 274]);
                assert!(simd::from_bytes(&bytes[256 - len..], &mut by_simd[at..at + len]));
                loops::from_bytes(&bytes[256 - len..], &mut by_loops[at..at + len]);
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
    assert!(!simd::product_tn((2, 3), &[1.0f32; 6], &[1.0; 3], &mut [0.0; 6]));
    assert!(!simd::product_nt((2, 3), &[1.0f32; 4], &[1.0; 6], &mut [0.0; 5], true));
}

/// However many threads share a product, its bits are the same.
#[cfg(feature = "rayon")]
#[test]
fn threads_do_not_change_a_bit() {
    fn bits<T: Number>((i, o, n): (usize, usize, usize), threads: usize) -> Vec<T> {
        let rng = &mut Xoshiro128PlusPlus::seed_from_u64(3);
        let mut random = |len| Guarded::<T>::random(len, rng);
        let (w, b, x, dy) = (random(i * o), random(o), random(i * n), random(o * n));
        let (mut y, mut dw, mut dx) = (random(o * n), random(i * o), random(i * n));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let level = simd::level();
        pool.install(|| {
            simd::FORCED.set(level);
            assert!(simd::affine(i, w.get(), b.get(), x.get(), y.get_mut()));
            assert!(simd::product_nt((o, i), dy.get(), x.get(), dw.get_mut(), false));
            assert!(simd::product_tn((o, i), w.get(), dy.get(), dx.get_mut()));
        });
        assert!(y.intact() && dw.intact() && dx.intact());
        [y.get(), dw.get(), dx.get()].concat()
    }
    fn elementwise<T: Number>(threads: usize) {
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
    fn check<T: Number>() {
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

/// At every level, and by loops alone where the scalar has no packs.
fn at_every_level(check: impl Fn()) {
    for level in simd::levels() {
        simd::FORCED.set(Some(level));
        check();
        simd::FORCED.set(None);
    }
    check();
}

/// Whoever calls with sizes that are no slices' gets NaN, and no other memory is read or written.
#[test]
fn sizes_that_do_not_agree_give_nan() {
    const HUGE: usize = 1 << 63;
    fn check<T: Number>() {
        let refused = |what: &str, len: usize, call: &dyn Fn(&mut [T])| {
            let mut out = vec![T::one(); len];
            call(&mut out);
            assert!(out.iter().all(|x| x.partial_cmp(x).is_none()), "{what}: {out:?}");
        };
        let ones = [T::one(); 16];
        // One too many or too few of each, none, and sizes whose product wraps to one that fits.
        for (i, w, b, x, y) in [
            (3, 5, 2, 6, 4),
            (3, 6, 2, 5, 4),
            (3, 6, 2, 6, 3),
            (3, 6, 2, 6, 5),
            (3, 6, 2, 6, 2),
            (3, 6, 2, 0, 4),
            (3, 6, 0, 6, 4),
            (0, 6, 2, 0, 4),
            (0, 0, 2, 3, 4),
            (0, 0, 2, 0, 3),
            (HUGE, 0, 2, 0, 2),
            (HUGE + 1, 2, 2, 1, 2),
        ] {
            refused(&format!("affine {i} {w} {b} {x} {y}"), y, &|y| {
                kernel::affine(i, &ones[..w], &ones[..b], &ones[..x], y)
            });
        }
        for (size, w, dy, dx) in [
            ((2, 3), 5, 4, 6),
            ((2, 3), 6, 3, 6),
            ((2, 3), 6, 5, 6),
            ((2, 3), 6, 4, 5),
            ((2, 3), 6, 2, 6),
            ((2, 3), 6, 0, 6),
            ((0, 3), 1, 0, 6),
            ((0, 3), 0, 1, 6),
            ((0, 3), 0, 0, 5),
            ((2, 0), 0, 2, 3),
            ((HUGE, 2), 0, 0, 4),
            ((HUGE, 2), 0, 1, 2),
            ((HUGE, 1), 1, 1, 2),
            ((HUGE + 1, 2), 2, 2, 4),
        ] {
            refused(&format!("product_tn {size:?} {w} {dy} {dx}"), dx, &|dx| {
                kernel::product_tn(size, &ones[..w], &ones[..dy], dx)
            });
        }
        for overwrite in [false, true] {
            for (size, dy, x, dw) in [
                ((2, 3), 3, 6, 6),
                ((2, 3), 5, 6, 6),
                ((2, 3), 4, 5, 6),
                ((2, 3), 4, 6, 5),
                ((2, 3), 4, 6, 7),
                ((2, 3), 0, 6, 6),
                ((2, 3), 4, 0, 6),
                ((0, 3), 0, 3, 2),
                ((2, 0), 2, 0, 2),
                ((HUGE, 2), 0, 4, 1),
                ((HUGE, 2), 0, 4, 2),
                ((HUGE + 1, 2), 2, 4, 2),
            ] {
                refused(&format!("product_nt {size:?} {dy} {x} {dw}"), dw, &|dw| {
                    kernel::product_nt(size, &ones[..dy], &ones[..x], dw, overwrite)
                });
            }
            refused("sum_columns", 3, &|db| kernel::sum_columns(&ones[..7], db, overwrite));
            refused("sum_columns", 3, &|db| kernel::sum_columns(&ones[..2], db, overwrite));
        }
        for (size, dy, x, part, dw) in [
            ((2, 3), 4, 6, 0..2, 5),
            ((2, 3), 4, 6, 2..4, 4),
            ((2, 3), 3, 6, 0..2, 4),
            ((2, 3), 4, 5, 0..2, 4),
            ((2, 3), 4, 6, 7..8, 2),
            ((HUGE, 2), 0, 4, 0..1, 1),
        ] {
            refused(&format!("product_nt_part {size:?} {dy} {x} {part:?} {dw}"), dw, &|dw| {
                kernel::product_nt_part(size, &ones[..dy], &ones[..x], part.clone(), dw, true)
            });
        }
        macro_rules! elementwise {
            ($($name:ident)*; $($back:ident)*) => {
                for (from, to) in [(3, 4), (4, 3), (0, 1)] {
                    let from = &ones[..from];
                    $(refused(stringify!($name), to, &|y| kernel::$name(from, y));)*
                    $(refused(stringify!($back), to, &|dx| kernel::$back(from, &ones[..to], dx));
                    refused(stringify!($back), to, &|dx| kernel::$back(&ones[..to], from, dx));)*
                    refused("add_scaled", to, &|w| kernel::add_scaled(T::one(), from, w));
                    refused("from_bytes", to, &|x| kernel::from_bytes(&[1; 4][..from.len()], x));
                    refused("softmax", to, &|p| {
                        kernel::softmax(from, p);
                    });
                }
            };
        }
        elementwise!(relu tanh sigmoid gelu elu softplus; relu_back tanh_back sigmoid_back gelu_back);
    }
    at_every_level(|| {
        check::<f32>();
        check::<f64>();
        check::<Dual64>();
    });
}

/// Nothing to be added up is zero, and no samples are no error.
#[test]
fn nothing_is_right() {
    fn check<T: Number>() {
        let (one, zero) = (T::one(), T::zero());
        let run = |len: usize, call: &dyn Fn(&mut [T])| {
            let mut out = vec![one; len];
            call(&mut out);
            out
        };
        assert_eq!(run(6, &|dw| kernel::product_nt((2, 3), &[], &[], dw, true)), [zero; 6]);
        assert_eq!(run(6, &|dw| kernel::product_nt((2, 3), &[], &[], dw, false)), [one; 6]);
        assert_eq!(run(0, &|dw| kernel::product_nt((0, 3), &[], &[one; 6], dw, true)), []);
        assert_eq!(run(0, &|dw| kernel::product_nt((2, 0), &[one; 6], &[], dw, true)), []);
        assert_eq!(run(3, &|db| kernel::sum_columns(&[], db, true)), [zero; 3]);
        assert_eq!(run(3, &|db| kernel::sum_columns(&[], db, false)), [one; 3]);
        assert_eq!(run(6, &|dx| kernel::product_tn((0, 3), &[], &[], dx)), [zero; 6]);
        assert_eq!(run(0, &|dx| kernel::product_tn((2, 3), &[one; 6], &[], dx)), []);
        assert_eq!(
            run(4, &|y| kernel::affine(0, &[], &[zero, one], &[], y)),
            [zero, one, zero, one]
        );
        assert_eq!(run(0, &|y| kernel::affine(3, &[], &[], &[one; 6], y)), []);
        assert_eq!(run(0, &|y| kernel::affine(3, &[one; 6], &[one; 2], &[], y)), []);
    }
    at_every_level(|| {
        check::<f32>();
        check::<f64>();
        check::<Dual64>();
    });
}

/// Of a million samples, in turn off by 10⁻² where all are equal, as all additions are rounded the same way.
///
/// The bound, with u = 2⁻²⁴: of all constants, 48 equal terms added in turn are off by at most 12.5u of their sum, and
/// no kernel adds more in turn. To add up eight sums that are equal costs at most 2.5u, and to add the sums of 1, 2,
/// 4 … groups at most 1u: 16u is 9.5·10⁻⁷. In no order each term is rounded by u/√3 in some 48 + 24 additions:
/// √72·u/√3 is 3·10⁻⁷.
#[test]
fn long_sums_are_exact() {
    const SAMPLES: usize = 1_000_000;
    const LIMIT: f64 = 1e-6;
    // All equal, of one sign, and in no order. The last two are the worst for 64 terms and for 96 products in turn.
    let constants = [0.1f32, 0.7, 1.0 / 3.0, 1.524_975, 1.617_331_4];
    let rng = &mut Xoshiro128PlusPlus::seed_from_u64(8);
    let random: Vec<f32> = (0..3 * SAMPLES).map(|_| rng.random_range(0.0..1.0)).collect();
    let check = |outputs: usize, inputs: usize, kind: &dyn Fn(usize) -> f32, simd: bool| {
        let dy: Vec<f32> = (0..outputs * SAMPLES).map(kind).collect();
        let x: Vec<f32> = (0..inputs * SAMPLES).map(|i| kind(i + 7)).collect();
        for overwrite in [true, false] {
            let start = if overwrite { 0.0 } else { 1.0 };
            let (mut dw, mut db) = (vec![1.0; outputs * inputs], vec![1.0; outputs]);
            if simd {
                assert!(simd::product_nt((outputs, inputs), &dy, &x, &mut dw, overwrite));
                assert!(simd::sum_columns(&dy, &mut db, overwrite));
            } else {
                loops::product_nt((outputs, inputs), &dy, &x, &mut dw, overwrite);
                loops::sum_columns(&dy, &mut db, overwrite);
            }
            let (mut exact_dw, mut exact_db) = (vec![start; dw.len()], vec![start; outputs]);
            for (dy, x) in dy.chunks(outputs).zip(x.chunks(inputs)) {
                for (o, &dy) in dy.iter().enumerate() {
                    exact_db[o] += f64::from(dy);
                    for (i, &x) in x.iter().enumerate() {
                        exact_dw[i * outputs + o] += f64::from(dy) * f64::from(x);
                    }
                }
            }
            let worst = |all: &[f32], exact: &[f64]| {
                let errors = all.iter().zip(exact).map(|(&a, &b)| (f64::from(a) / b - 1.0).abs());
                errors.fold(0.0, f64::max)
            };
            let (dw, db) = (worst(&dw, &exact_dw), worst(&db, &exact_db));
            assert!(
                dw < LIMIT && db < LIMIT,
                "{outputs}x{inputs}, simd {simd}: dW {dw:e}, db {db:e}"
            );
        }
    };
    let all = |simd| {
        for (outputs, inputs) in [(1, 1), (1, 3), (3, 1), (3, 2), (2, 3), (8, 4), (12, 2)] {
            constants.iter().for_each(|&c| check(outputs, inputs, &|_| c, simd));
            check(outputs, inputs, &|i| random[i % random.len()], simd);
        }
    };
    all(false);
    for level in simd::levels() {
        simd::FORCED.set(Some(level));
        all(true);
        simd::FORCED.set(None);
    }
}

/// Sums over more terms than one block, and in more rows and columns than one part.
#[test]
fn agrees_with_the_loops_at_long_batches() {
    for (i, o, n) in [(50, 49, 4200), (1, 130, 129), (130, 1, 700), (99, 3, 9000), (2, 2, 140_000)]
    {
        at_all_levels(i, o, n, 2).unwrap();
    }
    at_all_levels(9000, 50, 20, 3).unwrap();
}

#[test]
fn infinite_and_no_numbers_in_long_sums() {
    let samples = 5000;
    let check = || {
        for (value, is) in [
            (f32::INFINITY, f32::is_infinite as fn(f32) -> bool),
            (f32::NAN, f32::is_nan as fn(f32) -> bool),
        ] {
            let mut dy = vec![1.0f32; 3 * samples];
            dy[3 * 4321 + 1] = value;
            let x = vec![1.0f32; 2 * samples];
            let (mut dw, mut db) = ([0.0; 6], [0.0; 3]);
            kernel::product_nt((3, 2), &dy, &x, &mut dw, true);
            kernel::sum_columns(&dy, &mut db, true);
            let n = samples as f32;
            assert!(is(db[1]) && is(dw[1]) && is(dw[4]));
            assert_eq!([db[0], db[2], dw[0], dw[2], dw[3], dw[5]], [n; 6]);
        }
    };
    at_every_level(check);
}

/// All terms equal, or in no order, of one sign: see `long_sums_are_exact`.
#[test]
fn a_stream_of_terms() {
    let rng = &mut Xoshiro128PlusPlus::seed_from_u64(8);
    for equal in [Some(0.1f32), Some(0.7), Some(1.0 / 3.0), None] {
        let (mut sum, mut exact, mut in_turn) = (kernel::Sum::<f32>::new(), 0.0, 0.0);
        for i in 0..1_000_000 {
            let term = equal.unwrap_or_else(|| rng.random_range(0.0..1.0));
            sum.add(term);
            exact += f64::from(term);
            in_turn += term;
            if i < 128 {
                assert_eq!(sum.total(), in_turn, "the same bits");
            }
        }
        let error = (f64::from(sum.total()) / exact - 1.0).abs();
        assert!(error < 1e-6, "{error:e}");
    }
    assert_eq!(kernel::Sum::<f32>::new().total(), 0.0);
}

/// Every count around blocks of blocks, exactly; derivatives as values; NaN and infinity as they are.
#[test]
fn a_stream_of_any_length_and_scalar() {
    let (mut sum, mut derivative) = (kernel::Sum::<f32>::new(), kernel::Sum::<Dual64>::new());
    for i in 1..10_000 {
        sum.add(1.0);
        derivative.add(Dual64::new(1.0, 2.0));
        assert_eq!(sum.total(), i as f32);
        assert_eq!(derivative.total(), Dual64::new(f64::from(i), 2.0 * f64::from(i)));
    }
    sum.add(f32::INFINITY);
    (0..1000).for_each(|_| sum.add(1.0));
    assert_eq!(sum.total(), f32::INFINITY);
    sum.add(f32::NAN);
    (0..1000).for_each(|_| sum.add(1.0));
    assert!(sum.total().is_nan());
}

/// Any strides, sizes, gaps between columns: what a plain sum of products gives; what lies between is left.
fn check_gemm<T: Number>(
    [m, k, n]: [usize; 3],
    (a_row, a_column): (usize, usize),
    (b_row, b_column): (usize, usize),
    gap: usize,
    overwrite: bool,
    seed: u64,
) -> Result<(), TestCaseError> {
    let reach = |x: usize, y: usize, (r, c): (usize, usize)| match (x, y) {
        (0, _) | (_, 0) => 0,
        _ => (x - 1) * r + (y - 1) * c + 1,
    };
    let rng = &mut Xoshiro128PlusPlus::seed_from_u64(seed);
    let mut random = |len| Guarded::<T>::random(len, rng);
    let a = random(reach(m, k, (a_row, a_column)));
    let b = random(reach(k, n, (b_row, b_column)));
    let before = random(reach(m, n, (1, m + gap)));
    let mut c = before.clone();
    let (a_view, b_view) =
        (View::strided(a.get(), a_row, a_column), View::strided(b.get(), b_row, b_column));
    kernel::gemm([m, k, n], a_view, b_view, c.get_mut(), m + gap, overwrite);
    prop_assert!(c.intact());
    for (at, (&c, &before)) in c.get().iter().zip(before.get()).enumerate() {
        let (i, j) = (at % (m + gap), at / (m + gap));
        if i >= m {
            prop_assert!(c == before, "between columns");
            continue;
        }
        let start = if overwrite { T::zero() } else { before };
        let (mut sum, mut size) = (start, start.abs());
        for l in 0..k {
            let (a, b) = (a.get()[i * a_row + l * a_column], b.get()[l * b_row + j * b_column]);
            sum += a * b;
            size += a.abs() * b.abs();
        }
        close(&[c], &[sum], &[size], k + 1)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn products_with_strides(
        m in 0usize..40,
        k in prop_oneof![0usize..40, 120usize..300],
        n in 0usize..40,
        order in 0usize..6,
        (more_a, more_b, gap) in (0usize..3, 0usize..3, 0usize..3),
        overwrite: bool,
        seed: u64,
    ) {
        // By rows, by columns, and neither.
        let a = [(1, m + more_a), (k + more_a, 1), (2, 2 * m + more_a)][order % 3];
        let b = if order < 3 { (1, k + more_b) } else { (n + more_b, 1) };
        let b = if order == 5 { (n * 3 + more_b, 3) } else { b };
        let all = || {
            check_gemm::<f32>([m, k, n], a, b, gap, overwrite, seed)?;
            check_gemm::<f64>([m, k, n], a, b, gap, overwrite, seed)
        };
        for level in simd::levels() {
            simd::FORCED.set(Some(level));
            let checked = all();
            simd::FORCED.set(None);
            checked?;
        }
        check_gemm::<Dual64>([m, k, n], a, b, gap, overwrite, seed)?;
    }
}

/// Large enough for zeros, blocks of k and threads; a row or a column again and again.
#[test]
fn large_products_with_strides() {
    let check = || {
        for (size, a, b) in [
            ([150, 5000, 100], (1, 150), (100, 1)),
            ([50, 300, 120], (300, 1), (1, 300)),
            ([50, 300, 120], (300, 1), (0, 1)),
            ([50, 300, 120], (1, 0), (1, 0)),
            ([1, 9000, 1], (5, 2), (2, 7)),
            ([200, 1, 200], (1, 9), (9, 1)),
        ] {
            check_gemm::<f32>(size, a, b, 2, false, 6).unwrap();
            check_gemm::<f64>(size, a, b, 0, true, 6).unwrap();
        }
    };
    at_every_level(check);
}

#[test]
fn products_that_do_not_fit_are_nan() {
    const HUGE: usize = 1 << 63;
    fn check<T: Number>() {
        let (good, ones) = (([2, 3, 4], (1, 2), (1, 3), 2), [T::one(); 12]);
        let run = |(size, a, b, column): ([usize; 3], (usize, usize), (usize, usize), usize),
                   [in_a, in_b, in_c]: [usize; 3]| {
            let mut c = vec![T::one(); in_c];
            let (a, b) =
                (View::strided(&ones[..in_a], a.0, a.1), View::strided(&ones[..in_b], b.0, b.1));
            kernel::gemm(size, a, b, &mut c, column, true);
            c
        };
        let three: T = nalgebra::convert(3.0);
        assert_eq!(run(good, [6, 12, 8]), [three; 8]);
        let nan = |c: Vec<T>| {
            assert!(!c.is_empty() && c.iter().all(|x| x.partial_cmp(x).is_none()), "{c:?}")
        };
        nan(run(good, [5, 12, 8]));
        nan(run(good, [6, 11, 8]));
        nan(run(good, [6, 12, 7]));
        // Columns that overlap; one column cannot.
        nan(run(([2, 3, 4], (1, 2), (1, 3), 1), [6, 12, 8]));
        assert_eq!(run(([2, 3, 1], (1, 2), (1, 3), 0), [6, 3, 2]), [three; 2]);
        // What wraps around to something small.
        nan(run(([2, 3, 4], (1, HUGE), (1, 3), 2), [6, 12, 8]));
        nan(run(([3, 3, 4], (HUGE, 2), (1, 3), 3), [6, 12, 12]));
        nan(run(([2, 3, 4], (1, 2), (HUGE, 3), 2), [6, 12, 8]));
        nan(run(([2, 3, 3], (1, 2), (1, 3), HUGE), [6, 12, 8]));
        nan(run(([HUGE, 2, 1], (2, 1), (1, 1), HUGE), [6, 12, 8]));
        // Nothing to add up, and nothing to write.
        assert_eq!(run(([2, 0, 4], (1, 2), (1, 0), 2), [0, 0, 8]), [T::zero(); 8]);
        assert_eq!(run(([0, 3, 4], (1, 0), (1, 3), 0), [0, 12, 0]), []);
        assert_eq!(run(([2, 3, 0], (1, 2), (1, 3), 2), [6, 0, 1]), [T::one()]);
    }
    at_every_level(|| {
        check::<f32>();
        check::<f64>();
        check::<Dual64>();
    });
}

/// The parts of a product have the bits of the whole, whatever is cut where.
#[test]
fn parts_of_a_product_are_the_whole() {
    fn check<T: Number>() {
        // Parameters of more than 32 KiB, as only such are cut.
        for (o, i, n) in [
            (1, 9001, 3),
            (1, 9003, 300),
            (5, 3001, 1),
            (16, 550, 129),
            (33, 261, 7),
            (50, 177, 100),
            // Two columns, each too long for a part with both.
            (9000, 2, 7),
            (9000, 2, 300),
        ] {
            let dy: Vec<T> = (0..o * n).map(|i| nalgebra::convert((i as f64).sin())).collect();
            // Some of it zero, so that zeros may be passed over.
            let x: Vec<T> =
                (0..i * n).map(|i| nalgebra::convert((i as f64).cos().max(0.4) - 0.4)).collect();
            let mut whole = vec![T::zero(); o * i];
            kernel::product_nt((o, i), &dy, &x, &mut whole, true);
            for most in [1, 8, 16, 64] {
                // A fused step never asks for such small parts.
                if most < 64 && most * o * size_of::<T>() <= 512 {
                    continue;
                }
                let mut first = 0;
                while first < i {
                    let part = first..first + kernel::next_part(i - first, most);
                    first = part.end;
                    let mut dw = vec![T::one(); o * part.len()];
                    kernel::product_nt_part((o, i), &dy, &x, part.clone(), &mut dw, true);
                    let same = dw.iter().zip(&whole[o * part.start..]).all(|(a, b)| a == b);
                    assert!(same, "{o}×{i}, {n} samples, columns {part:?}");
                }
            }
        }
    }
    at_every_level(|| {
        check::<f32>();
        check::<f64>();
        check::<Dual64>();
    });
}
