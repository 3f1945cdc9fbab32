//! The checker is checked: backward passes that are wrong on purpose, each of which must be refused
//! by name, in f32 and f64; and the right one, which must not.

use chainrule::{gradcheck::*, *};
use nalgebra::Dyn;

/// What is wrong with a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// dx has the wrong sign.
    Sign,
    /// dx = W·dy, where Wᵀ·dy is right.
    Transpose,
    /// The gradient is put in the place of what is there, where it should be added.
    Overwrites,
    /// The last row of dW is left out.
    LastRow,
    /// The slope is taken at the input before.
    StaleCache,
    /// dW from y, where x is right.
    Swapped,
    /// db is zero.
    OneLeafZero,
    /// dx is too large by 10⁻⁴ of itself.
    Slightly,
    /// One entry of dW is wrong.
    OneEntry,
    /// dx is added to what is there.
    AddsToInput,
    /// The first sample of a batch is seen by all.
    SamplesMixed,
    /// NaN is hidden.
    HidesNan,
}

/// A square affine layer with tanh, written out in full and with one fault.
#[derive(Clone)]
struct Faulty<T, const N: usize> {
    fault: Fault,
    weight: nalgebra::SMatrix<T, N, N>,
    bias: nalgebra::SVector<T, N>,
}

impl<T: Scalar, const N: usize> Faulty<T, N> {
    fn new(fault: Fault) -> Self {
        Faulty { fault, weight: Zeros::zeros(), bias: Zeros::zeros() }
    }
}

impl<T: Scalar, const N: usize> Parameters<T> for Faulty<T, N> {
    type Gradient = Affine<T, N, N>;
    type With<U: Scalar> = Faulty<U, N>;
    const COUNT: usize = N * N + N;

    fn map_scalar<U: Scalar>(&self, f: &mut impl FnMut(T) -> U) -> Faulty<U, N> {
        let weight = self.weight.map_scalar(f);
        Faulty { fault: self.fault, weight, bias: self.bias.map_scalar(f) }
    }

    fn visit(&self, path: &Path, f: &mut impl FnMut(Leaf<T>)) {
        self.weight.visit(&path.field("weight"), f);
        self.bias.visit(&path.field("bias"), f);
    }

    fn visit_mut<const M: usize>(
        &mut self,
        mut trees: [&mut Self::Gradient; M],
        path: &Path,
        f: &mut impl FnMut(LeafMut<T, M>),
    ) {
        let weights = trees.each_mut().map(|tree| &mut tree.weight);
        self.weight.visit_mut(weights, &path.field("weight"), f);
        let biases = trees.each_mut().map(|tree| &mut tree.bias);
        self.bias.visit_mut(biases, &path.field("bias"), f);
    }
}

impl<T: Scalar, const N: usize> Layer<T, D1<N>> for Faulty<T, N> {
    type Out = D1<N>;
    /// The slopes of tanh.
    type Cache<B: BatchSize> = Columns<T, N, B>;

    fn forward<B: BatchSize>(
        &self,
        x: &Columns<T, N, B>,
        y: &mut Columns<T, N, B>,
        slopes: &mut Columns<T, N, B>,
        _: &mut Pass,
    ) {
        let used = slopes.iter().any(|slope| *slope != T::zero());
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
                y[(o, s)] = (z + z).exp_m1() / ((z + z).exp() + T::one());
                if !(used && self.fault == Fault::StaleCache) {
                    slopes[(o, s)] = T::one() - y[(o, s)] * y[(o, s)];
                }
            }
        }
    }

    fn backward<B: BatchSize>(
        &self,
        x: &Columns<T, N, B>,
        y: &Columns<T, N, B>,
        slopes: &mut Columns<T, N, B>,
        dy: &Columns<T, N, B>,
        dx: Option<&mut Columns<T, N, B>>,
        grad: Grad<Affine<T, N, N>>,
    ) {
        let fault = self.fault;
        let dz = |o: usize, s: usize| dy[(o, s)] * slopes[(o, s)];
        if let Some(grad) = grad.tree() {
            if fault == Fault::Overwrites {
                grad.set_zero();
            }
            for s in 0..x.ncols() {
                for o in 0..N {
                    for i in 0..N {
                        let from = if fault == Fault::Swapped { y } else { x };
                        let skipped = fault == Fault::LastRow && o == N - 1;
                        let wrong = fault == Fault::OneEntry && (o, i) == (N / 2, N / 3);
                        if !skipped && !wrong {
                            grad.weight[(o, i)] += dz(o, s) * from[(i, s)];
                        }
                    }
                    if fault != Fault::OneLeafZero {
                        grad.bias[o] += dz(o, s);
                    }
                }
            }
        }
        let Some(dx) = dx else { return };
        for s in 0..x.ncols() {
            for i in 0..N {
                let mut sum = if fault == Fault::AddsToInput { dx[(i, s)] } else { T::zero() };
                for o in 0..N {
                    let at = if fault == Fault::Transpose { (i, o) } else { (o, i) };
                    sum += self.weight[at] * dz(o, s);
                }
                dx[(i, s)] = match fault {
                    Fault::Sign => -sum,
                    Fault::Slightly => sum * nalgebra::convert(1.0001),
                    _ => sum,
                };
            }
            if fault == Fault::SamplesMixed {
                for o in 0..N {
                    let of_sample = dz(o, s);
                    dx[(o, 0)] += of_sample;
                }
            }
        }
    }
}

/// The report of one fault in one case; differences are left out, as the duals need no help.
fn check<T: Real, const N: usize>(fault: Fault, case: Case, mode: Mode) -> Result<Report, Report> {
    let check = GradCheck::new().at(case).mode(mode).differences(false);
    check.check::<T, D1<N>, _>(&Faulty::<T, N>::new(fault))
}

/// What must be said of each fault: the property and the leaf, of which the check must fail.
const NAMED: [(Fault, &str, &str); 12] = [
    (Fault::Sign, "dual numbers", "x"),
    (Fault::Transpose, "dual numbers", "x"),
    (Fault::Overwrites, "accumulation", "weight"),
    (Fault::LastRow, "dual numbers", "weight"),
    (Fault::StaleCache, "used memory", "x"),
    (Fault::Swapped, "dual numbers", "weight"),
    (Fault::OneLeafZero, "dual numbers", "bias"),
    (Fault::Slightly, "dual numbers", "x"),
    (Fault::OneEntry, "dual numbers", "weight"),
    (Fault::AddsToInput, "used memory", "x"),
    (Fault::SamplesMixed, "batch", "x"),
    (Fault::HidesNan, "NaN", "all"),
];

fn refused<T: Real>(case: Case) {
    for (fault, property, leaf) in NAMED {
        let Err(report) = check::<T, 3>(fault, case, Mode::Full) else {
            panic!("{fault:?} was missed at {case}");
        };
        let named = report.failures().any(|c| c.property == property && c.leaf == leaf);
        assert!(named, "{fault:?} was not named: {report}");
    }
    if let Err(report) = check::<T, 3>(Fault::None, case, Mode::Full) {
        panic!("a right layer was refused: {report}");
    }
}

/// Two samples at least, so that mixing them shows, and slopes that are not rounded to nothing.
fn case(n: u64) -> Case {
    Case { seed: n, batch: 2 + (n % 4) as usize, values: Values::Uniform(1.0), margin: 0.1 }
}

fn sweep(cases: u64) {
    for n in 0..cases {
        refused::<f32>(case(n));
        refused::<f64>(case(n));
    }
    let checks = 2 * cases * (NAMED.len() as u64 + 1);
    println!("{checks} checks in {cases} cases: no fault missed, no right layer refused");
}

#[test]
fn faults_are_named() {
    sweep(50);
}

/// `cargo test --release --test faults -- --ignored --nocapture`
#[test]
#[ignore = "takes a minute"]
fn faults_are_named_in_ten_thousand_cases() {
    sweep(10_000);
}

/// One wrong entry of 39,204, by name.
fn one_entry<T: Real>(mode: Mode) {
    let case = Case { seed: 1, batch: 1, values: Values::Uniform(0.1), margin: 0.01 };
    let wrong = check::<T, 198>(Fault::OneEntry, case, mode).unwrap_err();
    let failure = wrong.failures().next().unwrap();
    let worst = failure.worst.unwrap();
    assert_eq!((failure.property, &failure.leaf[..]), ("dual numbers", "weight"));
    assert_eq!((worst.entry, worst.found, failure.compared), ((99, 66), 0.0, 39_204));
    // The mean over all entries, which the chapter prints, hides it.
    assert!(failure.mean < 1e-5 && worst.absolute() > 1e-3, "{wrong}");
}

/// In f64 a random direction is enough to see it.
#[test]
fn one_entry_in_many() {
    let run = || {
        one_entry::<f64>(Mode::Directional);
        one_entry::<f32>(Mode::Full);
    };
    // The layers of this test are made by value.
    std::thread::Builder::new().stack_size(64 << 20).spawn(run).unwrap().join().unwrap();
}

/// A loss that forgets to divide by the batch.
#[derive(Clone)]
struct NotDivided;

impl<T: Scalar, const N: usize> Loss<T, D1<N>, Dyn, Vec<usize>> for NotDivided {
    fn loss(
        &self,
        y: &Columns<T, N, Dyn>,
        target: &Vec<usize>,
        dy: Option<&mut Columns<T, N, Dyn>>,
    ) -> T {
        let Some(dy) = dy else { return SoftmaxCrossEntropy.loss(y, target, None) };
        let loss = SoftmaxCrossEntropy.loss(y, target, Some(dy));
        *dy *= nalgebra::convert::<f64, T>(target.len() as f64);
        loss
    }
}

#[test]
fn a_missing_division_by_the_batch() {
    for n in 0..50 {
        let (check, labels) = (GradCheck::new().at(case(n)), case(n).labels::<3>(7));
        let report = check.check_loss::<f32, D1<3>, _, _>(&NotDivided, &labels).unwrap_err();
        assert!(report.failures().any(|c| (c.property, &c.leaf[..]) == ("dual numbers", "y")));
        let report = check.check_loss::<f64, D1<3>, _, _>(&NotDivided, &labels).unwrap_err();
        assert!(report.failures().any(|c| (c.property, &c.leaf[..]) == ("differences", "y")));
    }
}
