//! Tests the gradient check with layers that are wrong on purpose. The check must name each fault, in f32
//! and f64, and accept the correct layers.
//!
//! `GRADCHECK_CASES=10000 cargo test --release --test faults` is a long run.

use chainrule::{gradcheck::*, *};
use nalgebra::{Dyn, SMatrix, SVector};
use std::sync::atomic::{AtomicU32, Ordering};

/// What is wrong with a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// dx has the wrong sign.
    Sign,
    /// dx = W·dy, where Wᵀ·dy is right.
    Transpose,
    /// The gradient overwrites the tree instead of being added.
    Overwrites,
    /// The last row of dW is left out.
    LastRow,
    /// The slope is that at the previous input.
    StaleCache,
    /// dW from y, where x is right.
    Swapped,
    /// db is zero.
    OneLeafZero,
    /// dx is too large by a factor of 1 + 10⁻⁴.
    Slightly,
    /// One entry of dW is zero.
    OneEntry,
    /// One entry of dW is too large by 0.01.
    OneEntryMore,
    /// dx is added to its memory instead of overwriting it.
    AddsToInput,
    /// All samples of a batch use the first one.
    SamplesMixed,
    /// NaN is hidden.
    HidesNan,
    /// A prediction is another function.
    Predicts,
    /// A prediction is added to its memory instead of overwriting it.
    PredictsOld,
    /// A rule gets twice the gradient.
    TwiceForRule,
    /// dx is computed after dW was delivered, so the rule has already changed W.
    ReadsAfterRule,
    /// The values in f32 are off by 10⁻⁴.
    ValueInF32,
    /// A batch of constant size forgets its last sample.
    ConstantSize,
    /// dW leaves out samples from the 32nd on.
    LargeBatch,
    /// Inputs beyond 10 get the slope at 10.
    LargeInput,
    /// Inputs below 10⁻⁴ are left out of dW.
    TinyInput,
    /// A backward pass spoils the cache.
    SpoilsCache,
    /// Without dx there is no db.
    NoBiasWithoutInput,
    /// db is not delivered.
    NotDelivered,
    /// db is delivered in two halves.
    InHalves,
    /// dW is delivered under another name.
    OtherName,
    /// The output is NaN.
    Nan,
    /// The gradient is NaN.
    NanGradient,
    /// An index is out of range.
    Panics,
    /// Every second call gives another result.
    Counts,
    /// dx is not zero if dy is zero.
    NotLinear,
    /// The slope is a plain number: right, but second derivatives are lost.
    CutsDerivative,
    /// dW comes in pieces, and the layer treats each as the first one.
    IgnoresRange,
    /// A batch of eight is wrong.
    EightSamples,
}

/// A square affine layer with tanh, written out in full and with one fault.
#[derive(Clone)]
struct Faulty<T, const N: usize> {
    fault: Fault,
    weight: SMatrix<T, N, N>,
    bias: SVector<T, N>,
}

impl<T: Number, const N: usize> Faulty<T, N> {
    fn new(fault: Fault) -> Self {
        Faulty { fault, weight: Zeros::zeros(), bias: Zeros::zeros() }
    }
}

impl<T: Number, const N: usize> Parameters<T> for Faulty<T, N> {
    type Gradient = Affine<T, N, N>;
    type With<U: Number> = Faulty<U, N>;
    const COUNT: usize = N * N + N;

    fn map_scalar<U: Number>(&self, f: &mut impl FnMut(T) -> U) -> Faulty<U, N> {
        let weight = self.weight.map_scalar(f);
        Faulty { fault: self.fault, weight, bias: self.bias.map_scalar(f) }
    }

    fn visit(&self, path: &Path, f: &mut impl FnMut(Leaf<T>)) {
        self.weight.visit(&path.field("weight"), f);
        self.bias.visit(&path.field("bias"), f);
    }

    fn visit_mut<const M: usize>(
        &mut self,
        gradient: Option<&Self::Gradient>,
        mut state: [&mut Self::Gradient; M],
        path: &Path,
        f: &mut impl FnMut(LeafMut<T, M>),
    ) {
        let weights = state.each_mut().map(|tree| &mut tree.weight);
        let weight = gradient.map(|tree| &tree.weight);
        self.weight.visit_mut(weight, weights, &path.field("weight"), f);
        let biases = state.each_mut().map(|tree| &mut tree.bias);
        self.bias.visit_mut(gradient.map(|tree| &tree.bias), biases, &path.field("bias"), f);
    }
}

static CALLS: AtomicU32 = AtomicU32::new(0);

fn number<T: Number>(value: f64) -> T {
    nalgebra::convert(value)
}

impl<T: Number, const N: usize> Layer<T, D1<N>> for Faulty<T, N> {
    type Out = D1<N>;
    /// The slopes of tanh.
    type Cache<B: BatchSize, P: Purpose> = Columns<T, N, B>;
    type Scratch = ();

    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<N>, Self, B, P>) {
        let Forward { x, y, cache: slopes, .. } = at;
        let used = slopes.iter().any(|slope| *slope != T::zero());
        let predicts = size_of::<P::InTraining<B, f64>>() == 0;
        for s in 0..x.ncols() {
            for o in 0..N {
                let mut z = self.bias[o];
                for i in 0..N {
                    z += self.weight[(o, i)] * x[(i, s)];
                }
                if self.fault == Fault::SamplesMixed {
                    z += x[(o, 0)];
                }
                if self.fault == Fault::HidesNan && z.partial_cmp(&z).is_none() {
                    z = T::zero();
                }
                let mut h = z.tanh();
                let slope = T::one() - h * h;
                match self.fault {
                    Fault::Predicts if predicts => h = z,
                    Fault::PredictsOld if predicts => h += y[(o, s)],
                    Fault::ValueInF32 if size_of::<T>() == 4 => h *= number(1.0001),
                    Fault::Nan if x[(0, s)] > T::zero() => h = T::zero() / T::zero(),
                    _ => {}
                }
                y[(o, s)] = h;
                if !(used && self.fault == Fault::StaleCache) {
                    slopes[(o, s)] = slope;
                }
            }
        }
    }

    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, D1<N>, Self, B>,
    ) {
        let Backward { x, y, cache: slopes, dy, mut dx, .. } = at;
        let fault = this.fault;
        let samples = x.ncols();
        if fault == Fault::Panics && samples == 3 {
            let out_of_range = x[(N, samples)];
            assert_eq!(out_of_range, T::zero());
        }
        let dz: Vec<SVector<T, N>> = (0..samples)
            .map(|s| {
                SVector::from_fn(|o, _| {
                    let slope = match fault {
                        Fault::LargeInput if x[(o, s)].abs() > number(10.0) => T::zero(),
                        Fault::CutsDerivative => {
                            number(nalgebra::try_convert::<T, f64>(slopes[(o, s)]).unwrap())
                        }
                        _ => slopes[(o, s)],
                    };
                    dy[(o, s)] * slope
                })
            })
            .collect();
        let to_rule = core::any::type_name::<D>().contains("Update");
        let wants_dx = dx.is_some();
        let deliver = |this: &mut Grad<T, Self, D>| {
            let dw = |dw: &mut SMatrix<T, N, N>| {
                if fault == Fault::Overwrites {
                    dw.set_zero();
                }
                for s in 0..samples {
                    let last = s + 1 == samples;
                    let skipped = match fault {
                        Fault::ConstantSize => B::try_to_usize().is_some() && last,
                        Fault::LargeBatch => s >= 32,
                        Fault::EightSamples => samples == 8 && last,
                        _ => false,
                    };
                    for (o, i) in (0..N).flat_map(|o| (0..N).map(move |i| (o, i))) {
                        let from = if fault == Fault::Swapped { y[(i, s)] } else { x[(i, s)] };
                        let skipped = match fault {
                            Fault::LastRow => o == N - 1,
                            Fault::OneEntry => (o, i) == (N / 2, N / 3),
                            Fault::TinyInput => from.abs() < number(1e-4),
                            _ => skipped,
                        };
                        let twice = fault == Fault::TwiceForRule && to_rule;
                        if !skipped {
                            dw[(o, i)] += dz[s][o] * from * number(if twice { 2.0 } else { 1.0 });
                        }
                    }
                }
                if fault == Fault::OneEntryMore {
                    dw[(N / 2, N / 3)] += number(0.01);
                }
                if fault == Fault::NanGradient {
                    dw[(0, 0)] /= T::zero();
                }
            };
            match fault {
                Fault::IgnoresRange => part!(this.weight).columns(|_, numbers| {
                    let mut first = SMatrix::<T, N, N>::zeros();
                    dw(&mut first);
                    numbers.iter_mut().zip(&first).for_each(|(to, &g)| *to += g);
                }),
                Fault::OtherName => {
                    this.part("w", |l| &l.weight, |l| &mut l.weight, |g| &mut g.weight).add(dw);
                }
                _ => part!(this.weight).add(dw),
            }
            let db = |part: f64| {
                let dz = &dz;
                move |db: &mut SVector<T, N>| dz.iter().for_each(|dz| *db += dz * number::<T>(part))
            };
            match fault {
                Fault::OneLeafZero => part!(this.bias).add(|_| {}),
                Fault::NoBiasWithoutInput if !wants_dx => part!(this.bias).add(|_| {}),
                Fault::NotDelivered => {}
                Fault::InHalves => {
                    part!(this.bias).add(db(0.5));
                    part!(this.bias).add(db(0.5));
                }
                _ => part!(this.bias).add(db(1.0)),
            }
        };
        if fault == Fault::ReadsAfterRule {
            deliver(&mut this);
        }
        if let Some(dx) = &mut dx {
            for s in 0..samples {
                for i in 0..N {
                    let mut sum = if fault == Fault::AddsToInput { dx[(i, s)] } else { T::zero() };
                    for (o, &dz) in dz[s].iter().enumerate() {
                        let at = if fault == Fault::Transpose { (i, o) } else { (o, i) };
                        sum += this.weight[at] * dz;
                    }
                    dx[(i, s)] = match fault {
                        Fault::Sign => -sum,
                        Fault::Slightly => sum * number(1.0001),
                        Fault::NotLinear => sum + number(1e-2),
                        Fault::Counts => {
                            let even = CALLS.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
                            sum * number(if even { 1.0 } else { 1.0 + 1e-15 }) * number(0.5)
                                + sum * number(if even { 0.5 } else { 0.5 + 1e-6 })
                        }
                        _ => sum,
                    };
                }
                if fault == Fault::SamplesMixed {
                    dx.column_mut(0).iter_mut().zip(&dz[s]).for_each(|(dx, &dz)| *dx += dz);
                }
            }
        }
        if fault != Fault::ReadsAfterRule {
            deliver(&mut this);
        }
        if fault == Fault::SpoilsCache {
            slopes.fill(T::zero());
        }
    }
}

/// The report of one fault in one case. It leaves out the differences, because the dual numbers find the fault alone.
fn check<T: Real, const N: usize>(fault: Fault, case: Case, mode: Mode) -> Result<Report, Report> {
    let check = GradCheck::new().at(case).mode(mode).differences(false);
    check.check::<T, D1<N>, _>(&Faulty::<T, N>::new(fault))
}

/// For each fault, the property and the leaf for which the check must fail.
const NAMED: [(Fault, &str, &str); 29] = [
    (Fault::Sign, "dual numbers", "x"),
    (Fault::Transpose, "dual numbers", "x"),
    (Fault::Overwrites, "accumulation", "weight"),
    (Fault::LastRow, "dual numbers", "weight"),
    (Fault::StaleCache, "used memory", "x"),
    (Fault::Swapped, "dual numbers", "weight"),
    (Fault::OneLeafZero, "dual numbers", "bias"),
    (Fault::Slightly, "dual numbers", "x"),
    (Fault::OneEntryMore, "dual numbers", "weight"),
    (Fault::AddsToInput, "used memory", "x"),
    (Fault::SamplesMixed, "batch", "x"),
    (Fault::HidesNan, "NaN", "all"),
    (Fault::Predicts, "prediction", "y"),
    (Fault::PredictsOld, "prediction", "y"),
    (Fault::TwiceForRule, "rule", "weight"),
    (Fault::ReadsAfterRule, "rule", "x"),
    (Fault::ConstantSize, "constant batch", "weight"),
    (Fault::SpoilsCache, "twice", "x"),
    (Fault::NoBiasWithoutInput, "parts", "bias"),
    (Fault::NotDelivered, "delivered once", "bias"),
    (Fault::NotDelivered, "overwriting", "bias"),
    (Fault::InHalves, "delivered once", "bias"),
    (Fault::OtherName, "names", "weight"),
    (Fault::NanGradient, "finite", "weight"),
    (Fault::Panics, "panic", "all"),
    (Fault::Counts, "determinism", "all"),
    (Fault::NotLinear, "zero", "x"),
    (Fault::NotLinear, "linearity", "x"),
    (Fault::CutsDerivative, "second order", "x"),
];

fn named(report: &Report, property: &str, leaf: &str) -> bool {
    report.failures().any(|c| c.property == property && c.leaf == leaf)
}

fn refused<T: Real>(case: Case) {
    for (fault, property, leaf) in NAMED {
        let Err(report) = check::<T, 3>(fault, case, Mode::Full) else {
            panic!("{fault:?} was missed at {case}");
        };
        assert!(named(&report, property, leaf), "{fault:?} was not named: {report}");
    }
    if let Err(report) = check::<T, 3>(Fault::None, case, Mode::Full) {
        panic!("a right layer was refused: {report}");
    }
}

/// Three samples, so that mixed samples show and batches of constant size are tested, and slopes that do not round to
/// zero.
fn case(n: u64) -> Case {
    Case { seed: n, batch: 3, values: Values::Uniform(1.0), margin: 0.1 }
}

/// The number of cases: 20, or the one in the environment.
fn cases() -> u64 {
    if std::env::var("GRADCHECK_CASES").is_ok() { gradcheck::cases() } else { 20 }
}

#[test]
fn faults_are_named() {
    std::panic::set_hook(Box::new(|info| {
        // Do not print the planted panics.
        if !info.to_string().contains("out of bounds") {
            eprintln!("{info}");
        }
    }));
    for n in 0..cases() {
        refused::<f32>(case(n));
        refused::<f64>(case(n));
    }
    // Two of the faults stand there twice: they break two properties.
    let (cases, kinds) = (cases(), NAMED.len() - 2);
    println!("{kinds} faults in {cases} cases, f32 and f64: none missed, no right layer refused");
}

/// Faults that show only with some batches and values, which the list of cases contains.
#[test]
fn faults_of_sizes_and_scalars_are_named() {
    fn found<T: Real>(fault: Fault) -> Report {
        GradCheck::new().check_cases::<T, D1<3>, _>(&Faulty::<T, 3>::new(fault), 64).unwrap_err()
    }
    let large = [found::<f32>(Fault::LargeBatch), found::<f64>(Fault::LargeBatch)];
    // In f32 the part that is left out is smaller than the rounding of 1; there the second derivatives show it.
    let tiny = [found::<f64>(Fault::TinyInput)];
    for report in large.iter().chain(&tiny) {
        assert!(named(report, "dual numbers", "weight"), "{report}");
    }
    let report = found::<f32>(Fault::TinyInput);
    assert!(named(&report, "symmetry", "all"), "{report}");
    for report in [found::<f32>(Fault::LargeInput), found::<f64>(Fault::LargeInput)] {
        assert!(report.failures().any(|c| c.property == "dual numbers"), "{report}");
    }
    let report = found::<f32>(Fault::ValueInF32);
    assert!(named(&report, "value", "y"), "{report}");
}

/// The settings of the user also apply to many cases: only eight samples show this fault.
#[test]
fn settings_are_kept_in_many_cases() {
    let layer = Faulty::<f64, 3>::new(Fault::EightSamples);
    assert!(GradCheck::new().check_cases::<f64, D1<3>, _>(&layer, 20).is_ok());
    let case = Case { seed: 5, batch: 8, values: Values::Uniform(1.0), margin: 0.1 };
    for check in [GradCheck::new().batch(8), GradCheck::new().at(case)] {
        let report = check.check_cases::<f64, D1<3>, _>(&layer, 3).unwrap_err();
        assert!(named(&report, "dual numbers", "weight"), "{report}");
    }
    let at = GradCheck::new().at(case).check_cases::<f64, D1<3>, _>(&layer, 3).unwrap_err();
    assert!(at.to_string().contains(&case.to_string()), "{at}");
}

/// The report has one line for a NaN, with its cause.
#[test]
fn nan_has_one_cause() {
    let report = check::<f32, 3>(Fault::Nan, case(0), Mode::Full).unwrap_err();
    let failures: Vec<_> = report.failures().collect();
    assert_eq!(failures.len(), 1, "{report}");
    assert_eq!((failures[0].property, &failures[0].leaf[..]), ("finite", "y"));
    assert!(failures[0].cause.contains("the output is NaN or infinite in"), "{report}");
    assert!(failures[0].cause.contains("in f64 too"), "{report}");
    assert!(failures[0].worst.unwrap().found.is_nan());
}

/// The check names one wrong entry of 39,204.
fn one_entry<T: Real>(mode: Mode) {
    let case = Case { seed: 1, batch: 1, values: Values::Uniform(0.1), margin: 0.01 };
    let wrong = check::<T, 198>(Fault::OneEntry, case, mode).unwrap_err();
    let failure = wrong.failures().next().unwrap();
    let worst = failure.worst.unwrap();
    assert_eq!((failure.property, &failure.leaf[..]), ("dual numbers", "weight"));
    assert_eq!((worst.entry, worst.found, failure.compared), ((99, 66), 0.0, 39_204));
    // The mean over all entries, which the book prints, hides it.
    assert!(failure.mean < 1e-5 && worst.absolute() > 1e-3, "{wrong}");
}

/// In f64 a random direction is enough to see it.
#[test]
fn one_wrong_entry_of_many() {
    let run = || {
        one_entry::<f32>(Mode::Full);
        one_entry::<f64>(Mode::Directional);
    };
    // This test makes its layers by value.
    std::thread::Builder::new().stack_size(64 << 20).spawn(run).unwrap().join().unwrap();
}

/// Only parameters of more than 32 KiB come in pieces.
#[test]
fn pieces_are_told_apart() {
    let run = || {
        let case = Case { seed: 1, batch: 3, values: Values::Uniform(0.1), margin: 0.01 };
        let report = check::<f64, 70>(Fault::IgnoresRange, case, Mode::Directional).unwrap_err();
        assert!(named(&report, "rule", "weight"), "{report}");
        assert!(!named(&report, "dual numbers", "weight"), "{report}");
        check::<f64, 70>(Fault::None, case, Mode::Directional).unwrap();
    };
    std::thread::Builder::new().stack_size(64 << 20).spawn(run).unwrap().join().unwrap();
}

/// A fault in a tree of parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Tree {
    Right,
    GradientSwapped,
    StateSwapped,
    OtherNames,
    OtherOrder,
    OneMissing,
    Count,
    MapSwapped,
    MapOrder,
    Shape,
    NameTwice,
    ZerosNotZero,
    SetZeroForgets,
}

const TREES: [Tree; 13] = [
    Tree::Right,
    Tree::GradientSwapped,
    Tree::StateSwapped,
    Tree::OtherNames,
    Tree::OtherOrder,
    Tree::OneMissing,
    Tree::Count,
    Tree::MapSwapped,
    Tree::MapOrder,
    Tree::Shape,
    Tree::NameTwice,
    Tree::ZerosNotZero,
    Tree::SetZeroForgets,
];

/// y = a ⊙ x + b, whose tree is written by hand with fault number `K`.
struct Pair<T, const K: usize> {
    a: SVector<T, 2>,
    b: SVector<T, 2>,
}

impl<T: Number, const K: usize> Parameters<T> for Pair<T, K> {
    type Gradient = Self;
    type With<U: Number> = Pair<U, K>;
    const COUNT: usize = if K == Tree::Count as usize { 3 } else { 4 };

    fn map_scalar<U: Number>(&self, f: &mut impl FnMut(T) -> U) -> Pair<U, K> {
        match TREES[K] {
            Tree::MapSwapped => {
                let (b, a) = (self.a.map_scalar(f), self.b.map_scalar(f));
                Pair { a, b }
            }
            Tree::MapOrder => {
                let b = self.b.map_scalar(f);
                Pair { a: self.a.map_scalar(f), b }
            }
            _ => Pair { a: self.a.map_scalar(f), b: self.b.map_scalar(f) },
        }
    }

    fn visit(&self, path: &Path, f: &mut impl FnMut(Leaf<T>)) {
        let second = if TREES[K] == Tree::NameTwice { "a" } else { "b" };
        self.a.visit(&path.field("a"), f);
        self.b.visit(&path.field(second), &mut |mut leaf: Leaf<T>| {
            if TREES[K] == Tree::Shape {
                leaf.shape = (1, 1);
            }
            f(leaf);
        });
    }

    fn visit_mut<const M: usize>(
        &mut self,
        gradient: Option<&Self>,
        mut state: [&mut Self; M],
        path: &Path,
        f: &mut impl FnMut(LeafMut<T, M>),
    ) {
        let tree = TREES[K];
        let (ga, gb) = (gradient.map(|g| &g.a), gradient.map(|g| &g.b));
        let (ga, gb) = if tree == Tree::GradientSwapped { (gb, ga) } else { (ga, gb) };
        let swapped = tree == Tree::StateSwapped;
        let second = if tree == Tree::NameTwice { "a" } else { "b" };
        let (first, second) = match tree {
            Tree::OtherNames => ("b", "a"),
            _ => ("a", second),
        };
        let mut shape = |mut leaf: LeafMut<T, M>, which: u8| {
            if tree == Tree::Shape && which == 1 {
                leaf.shape = (1, 1);
            }
            f(leaf);
        };
        if tree == Tree::OtherOrder {
            let states = state.each_mut().map(|s| &mut s.b);
            self.b.visit_mut(gb, states, &path.field(second), &mut |leaf| shape(leaf, 1));
        }
        let states = state.each_mut().map(|s| if swapped { &mut s.b } else { &mut s.a });
        self.a.visit_mut(ga, states, &path.field(first), &mut |leaf| shape(leaf, 0));
        if !matches!(tree, Tree::OtherOrder | Tree::OneMissing) {
            let states = state.each_mut().map(|s| if swapped { &mut s.a } else { &mut s.b });
            self.b.visit_mut(gb, states, &path.field(second), &mut |leaf| shape(leaf, 1));
        }
    }
}

impl<T: Number, const K: usize> Zeros for Pair<T, K> {
    fn zeros() -> Self {
        let mut zeros = Pair { a: SVector::zeros(), b: SVector::zeros() };
        if TREES[K] == Tree::ZerosNotZero {
            zeros.b[1] = T::one();
        }
        zeros
    }

    fn set_zero(&mut self) {
        self.a.set_zero();
        if TREES[K] != Tree::SetZeroForgets {
            self.b.set_zero();
        }
    }
}

impl<T: Number, const K: usize> Layer<T, D1<2>> for Pair<T, K> {
    type Out = D1<2>;
    type Cache<B: BatchSize, P: Purpose> = ();
    type Scratch = ();

    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<2>, Self, B, P>) {
        for (mut y, x) in at.y.column_iter_mut().zip(at.x.column_iter()) {
            y.copy_from(&(self.a.component_mul(&x) + self.b));
        }
    }

    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, D1<2>, Self, B>,
    ) {
        if let Some(dx) = at.dx {
            for (mut dx, dy) in dx.column_iter_mut().zip(at.dy.column_iter()) {
                dx.copy_from(&this.a.component_mul(&dy));
            }
        }
        part!(this.a).add(|da| {
            for (x, dy) in at.x.column_iter().zip(at.dy.column_iter()) {
                *da += x.component_mul(&dy);
            }
        });
        part!(this.b).sum(at.dy.as_slice());
    }
}

/// The check names the cause for each wrong tree, although all numbers of the layer are right.
#[test]
fn trees_are_checked() {
    fn cause<const K: usize>() -> Option<(String, String)> {
        let check = GradCheck::new();
        let start = Pair { a: SVector::zeros(), b: SVector::zeros() };
        let result = check.check::<f32, D1<2>, Pair<f32, K>>(&start);
        let start = Pair { a: SVector::zeros(), b: SVector::zeros() };
        assert_eq!(result.is_ok(), check.check::<f64, D1<2>, Pair<f64, K>>(&start).is_ok());
        let report = result.err()?;
        let failure = report.failures().next().unwrap();
        assert_eq!(failure.property, "parameters", "{report}");
        Some((failure.leaf.clone(), failure.cause.clone()))
    }
    let found = [
        cause::<0>(),
        cause::<1>(),
        cause::<2>(),
        cause::<3>(),
        cause::<4>(),
        cause::<5>(),
        cause::<6>(),
        cause::<7>(),
        cause::<8>(),
        cause::<9>(),
        cause::<10>(),
        cause::<11>(),
        cause::<12>(),
    ];
    let beside = "`visit_mut` shows it beside the gradient or state of another leaf";
    let expected = [
        None,
        Some(("a", beside)),
        Some(("a", beside)),
        Some(("a", "`visit_mut` shows (\"b\", Weight, (2, 1)) where `visit` shows this")),
        Some(("a", "`visit_mut` shows (\"b\", Weight, (2, 1)) where `visit` shows this")),
        Some(("all", "`visit` and `visit_mut` show not the same number of leaves")),
        Some(("all", "COUNT is 3, but the leaves have 4 numbers")),
        Some(("a", "`map_scalar` gives this leaf the numbers of another")),
        Some(("all", "`map_scalar` does not go through the leaves as `visit` does")),
        Some(("b", "it has another number of values than its shape")),
        Some(("a", "two leaves have this name")),
        Some(("b", "`zeros_in` of the gradient leaves numbers in it")),
        Some(("b", "`set_zero` of the gradient leaves numbers in it")),
    ];
    for ((found, expected), tree) in found.iter().zip(expected).zip(TREES) {
        let found = found.as_ref().map(|(leaf, cause)| (&leaf[..], &cause[..]));
        assert_eq!(found, expected, "{tree:?}");
    }
}

/// A running mean, whose step is wrong in one of these ways; with fault 0 it is right.
struct Running<T, const FAULT: usize> {
    mean: Statistic<T, 2>,
}
parameters!(Running<T: scalar, const FAULT: usize> { mean });

impl<T: Number, const FAULT: usize> Layer<T, D1<2>> for Running<T, FAULT> {
    type Out = D1<2>;
    type Cache<B: BatchSize, P: Purpose> = ();
    type Scratch = ();

    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<2>, Self, B, P>) {
        at.y.copy_from(at.x);
    }

    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, D1<2>, Self, B>,
    ) {
        if let Some(dx) = at.dx {
            dx.copy_from(at.dy);
        }
        let mut step = SVector::<T, 2>::zeros();
        at.x.column_iter().for_each(|x| step += x);
        step -= this.mean.0;
        if FAULT == 3 && core::any::type_name::<D>().contains("Update") {
            step *= number::<T>(2.0);
        }
        part!(this.mean).add(|to| match FAULT {
            1 => to.0 = step,
            2 => to.0 += step / T::zero(),
            _ => to.0 += step,
        });
    }
}

/// The steps of statistics are not gradients. But they must be finite, add up, and be the same for a rule.
#[test]
fn steps_of_statistics() {
    fn report<const FAULT: usize>() -> Result<Report, Report> {
        let check = GradCheck::new().per_sample(false);
        let report = check.check_cases::<f32, D1<2>, _>(&Running::<f32, FAULT>::zeros(), 20);
        let wide = check.check_cases::<f64, D1<2>, _>(&Running::<f64, FAULT>::zeros(), 20);
        assert_eq!(report.is_ok(), wide.is_ok());
        report
    }
    assert!(report::<0>().is_ok(), "{}", report::<0>().unwrap_err());
    assert!(named(&report::<1>().unwrap_err(), "accumulation", "mean"));
    assert!(named(&report::<2>().unwrap_err(), "finite", "mean"));
    assert!(named(&report::<3>().unwrap_err(), "rule", "mean"));
}

/// y = max(x, 0), whose slope at 0 is `SLOPE`/2: 0, ½ and 1 are right.
struct Ramp<const SLOPE: u8>;
parameters!(Ramp<const SLOPE: u8> {});

impl<T: Number, const SLOPE: u8> Layer<T, D1<3>> for Ramp<SLOPE> {
    type Out = D1<3>;
    type Cache<B: BatchSize, P: Purpose> = ();
    type Scratch = ();

    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<3>, Self, B, P>) {
        for (y, &x) in at.y.iter_mut().zip(at.x) {
            *y = if x < T::zero() { T::zero() } else { x };
        }
    }

    fn backward<B: BatchSize, D: Destination<T>>(
        _: Grad<T, Self, D>,
        at: Backward<T, D1<3>, Self, B>,
    ) {
        let Some(dx) = at.dx else { return };
        for ((dx, &dy), &x) in dx.iter_mut().zip(at.dy).zip(at.x) {
            let at_kink = number::<T>(f64::from(SLOPE) / 2.0);
            *dx =
                dy * if x.is_zero() { at_kink } else { number(f64::from(u8::from(x > T::zero()))) };
        }
    }
}

/// At a kink a layer may choose a slope between those on both sides. The check counts such an entry as unchecked.
#[test]
fn slopes_at_kinks() {
    let check = GradCheck::new().at(Case { values: Values::Integers, margin: 0.0, ..case(3) });
    for report in [
        check.check::<f32, D1<3>, _>(&Ramp::<0>).unwrap(),
        check.check::<f64, D1<3>, _>(&Ramp::<1>).unwrap(),
    ] {
        let unchecked = report.unchecked().find(|check| check.property == "dual numbers").unwrap();
        assert!(unchecked.unchecked.0 > 0 && unchecked.compared > 0, "{report}");
        assert_eq!(unchecked.unchecked.1, "a branch changes inside the step");
    }
    assert!(check.check::<f64, D1<3>, _>(&Ramp::<2>).is_ok());
    let report = check.check::<f32, D1<3>, _>(&Ramp::<5>).unwrap_err();
    assert!(named(&report, "dual numbers", "x"), "{report}");
}

/// A loss that forgets to divide by the batch.
#[derive(Clone)]
struct NotDivided;

impl<T: Number, const N: usize> Loss<T, D1<N>, Dyn, Vec<usize>> for NotDivided {
    fn loss(
        &self,
        y: &Columns<T, N, Dyn>,
        target: &Vec<usize>,
        dy: Option<&mut Columns<T, N, Dyn>>,
    ) -> T {
        let Some(dy) = dy else { return SoftmaxCrossEntropy.loss(y, target, None) };
        let loss = SoftmaxCrossEntropy.loss(y, target, Some(dy));
        *dy *= number::<T>(target.len() as f64);
        loss
    }
}

#[test]
fn a_missing_division_by_the_batch() {
    for n in 0..50 {
        let (check, labels) = (GradCheck::new().at(case(n)), case(n).labels::<3>(7));
        let report = check.check_loss::<f32, D1<3>, _, _>(&NotDivided, &labels).unwrap_err();
        assert!(named(&report, "dual numbers", "y"));
        let report = check.check_loss::<f64, D1<3>, _, _>(&NotDivided, &labels).unwrap_err();
        assert!(named(&report, "differences", "y"));
    }
}
