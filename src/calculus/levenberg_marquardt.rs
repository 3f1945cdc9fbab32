//! The Levenberg–Marquardt solver.

use super::{
    outcome::{Outcome, Stop},
    per_sample::SampleGradients,
    residuals::{Fit, LeastSquares, SumOfSquares, squares},
};
use crate::{
    kernel::{self, Work},
    layer::Layer,
    network::Network,
    ops::{self, To, View},
    shape::{Batch, BatchSize, Flat, Number, number},
    zeros::ConstZeros,
};
use core::cmp::Ordering;
use nalgebra::{SMatrix, SVector, convert};
use num_traits::ConstZero;

/// Trains nets of up to a few hundred weights, in tens of steps, to errors that gradient descent does not reach.
///
/// Each step solves (JᵀJ + λ·d·1)·δ = Jᵀr, where J is the Jacobian of the residuals r and d is the mean of the
/// diagonal of JᵀJ, and subtracts δ from the weights. So λ does not depend on the scale of the outputs. (The
/// classical method scales λ by the diagonal entry of each weight instead. With that, 4 of 30 starts of the sine failed.)
/// If the sum of squares falls, λ is divided by 10. Otherwise the step is tried again with 10 times λ. (Levenberg, 1944;
/// Marquardt, 1963; Hagan and Menhaj, 1994, for nets; MATLAB's `trainlm`.)
///
/// If there are at most half as many residuals as weights, it solves a smaller system with the same solution:
/// δ = Jᵀ·(JJᵀ + λ·d·1)⁻¹·r. If the number of residuals changes between steps, it uses the larger system.
///
/// The memory is `P`² numbers and a few times `P`, where `P` is the number of weights:
///
/// ```
/// use chainrule::{Affine, D1, LevenbergMarquardt, Network, Stop, SumSquaredError, Tanh};
/// use nalgebra::SMatrix;
/// use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
///
/// type Net = Network<f64, D1<1>, (Affine<f64, 1, 5>, Tanh, Affine<f64, 5, 1>), SumSquaredError>;
/// const WEIGHTS: usize = Net::weight_count();
///
/// // One period of a sine at 41 points.
/// let x = SMatrix::<f64, 1, 41>::from_fn(|_, i| i as f64 / 20.0 - 1.0);
/// let t = x.map(|x| (std::f64::consts::PI * x).sin());
///
/// let mut net = Net::init(&mut Xoshiro128PlusPlus::seed_from_u64(0));
/// let mut memory = Net::sample_gradients::<WEIGHTS, 16>();
/// let mut solver = LevenbergMarquardt::<f64, WEIGHTS>::new();
/// solver.goal = 41.0 * 0.002;
/// let outcome = solver.fit(&mut net, &x, &t, &mut memory, 100);
/// assert_eq!(outcome.stop, Stop::Goal);
/// ```
///
/// If the residuals or their Jacobian are not finite, the weights stay as they are. No step makes the sum of
/// squares larger, so at each stop the weights are the best that were found. A singular JᵀJ, as with fewer
/// residuals than weights, is no obstacle: λ grows until the matrix can be factored.
#[doc(alias("trainlm", "lm", "least_squares"))]
#[derive(Clone, Debug)]
pub struct LevenbergMarquardt<T, const P: usize> {
    /// λ. A step changes it.
    pub damping: T,
    /// Training ends when the sum of squares is not above this. 0 at first.
    pub goal: T,
    /// The number of residuals; 0 if it is not known, `usize::MAX` if it has changed.
    count: usize,
    /// JᵀJ on the diagonal and below; above it its factor. With few residuals: the rows of J as columns, then the
    /// columns of JJᵀ with one number of r below each, and the factor above the diagonal.
    matrix: SMatrix<T, P, P>,
    pivots: SVector<T, P>,
    gradient: SVector<T, P>,
    step: SVector<T, P>,
    best: SVector<T, P>,
}

impl<T: Number, const P: usize> LevenbergMarquardt<T, P> {
    /// A solver with λ = 0.01 and goal 0.
    pub fn new() -> Self {
        let (zeros, matrix) = (SVector::zeros(), SMatrix::zeros());
        let (damping, goal) = (convert(0.01), T::zero());
        let [pivots, gradient, step, best] = [zeros; 4];
        LevenbergMarquardt { damping, goal, count: 0, matrix, pivots, gradient, step, best }
    }

    /// Trains a net on a whole data set, for at most `iterations` steps.
    pub fn fit<In, L, E, B, const C: usize>(
        &mut self,
        net: &mut Network<T, In, L, E>,
        x: &In::Batch<T, B>,
        target: &Batch<T, L::Out, B>,
        memory: &mut SampleGradients<T, In, L, P, C>,
        iterations: usize,
    ) -> Outcome<T>
    where
        In: Flat,
        L: Layer<T, In, Out: Flat>,
        E: SumOfSquares,
        B: BatchSize,
    {
        self.solve(&mut Fit { net, x, target, memory }, iterations)
    }

    /// Makes the sum of squares of any residuals small, in at most `iterations` steps.
    pub fn solve(
        &mut self,
        problem: &mut (impl LeastSquares<T, P> + ?Sized),
        iterations: usize,
    ) -> Outcome<T> {
        let mut loss = problem.sum_of_squares();
        for done in 0..iterations {
            match self.step(problem) {
                Ok(next) => loss = next,
                Err(stop) => return Outcome { stop, iterations: done, loss },
            }
        }
        let stop = if loss <= self.goal { Stop::Goal } else { Stop::Budget };
        Outcome { stop, iterations, loss }
    }

    /// One step, for mini-batches: call it with the residuals of another batch each time. Returns the sum of
    /// squares after the step.
    ///
    /// # Errors
    /// Why no step was taken. The weights are unchanged then.
    pub fn step(&mut self, problem: &mut (impl LeastSquares<T, P> + ?Sized)) -> Result<T, Stop> {
        let (loss, mean) = self.linearize(problem)?;
        if loss <= self.goal {
            return Err(Stop::Goal);
        } else if self.gradient.iter().all(|g| g.is_zero()) {
            return Err(Stop::Flat);
        }
        let [ten, most, least] = [10.0, 1e16, 1e-16].map(convert::<f64, T>);
        problem.weights(&mut self.best);
        self.damping = if self.damping > least { self.damping.min(most) } else { least };
        let mut first = true;
        loop {
            if self.factor(self.damping * mean) {
                let expected = self.solve_factored();
                let next = self.best.zip_map(&self.step, |w, step| w - step);
                problem.set(&next);
                let after = problem.sum_of_squares();
                if after < loss {
                    self.damping /= ten;
                    return Ok(after);
                }
                if expected <= T::default_epsilon() * loss {
                    problem.set(&self.best);
                    return Err(if first { Stop::Converged } else { Stop::Stalled });
                }
                first = false;
            }
            if self.damping >= most {
                problem.set(&self.best);
                return Err(Stop::Stalled);
            }
            self.damping *= ten;
        }
    }

    /// The number of residuals if J and JJᵀ fit into the matrix, else 0.
    const fn few(&self) -> usize {
        if self.count <= P / 2 { self.count } else { 0 }
    }

    /// Computes JᵀJ or JJᵀ, and Jᵀr. Returns the sum of squares, and the mean of the diagonal of JᵀJ.
    fn linearize(
        &mut self,
        problem: &mut (impl LeastSquares<T, P> + ?Sized),
    ) -> Result<(T, T), Stop> {
        let few = self.few();
        let LevenbergMarquardt { matrix, gradient, .. } = self;
        matrix.as_mut_slice().fill(T::zero());
        gradient.fill(T::zero());
        let (mut loss, mut count) = (T::zero(), 0);
        problem.residuals(true, &mut |rows, residuals| {
            let n = residuals.len();
            loss += squares(residuals);
            let (a, r) = (View::columns(rows, P), View::columns(residuals, n));
            ops::gemm([P, n, 1], a, r, gradient.as_mut_slice(), To::Add);
            match few {
                0 => add_square(rows, n, matrix),
                _ => keep(rows, residuals, (few, count), &mut matrix.data.0),
            }
            count += n;
        });
        // The first step counts them. If their number changes later, the larger system serves any.
        let first = self.count == 0;
        self.count = if first || few == count { count } else { usize::MAX };
        if few != self.few() {
            return self.linearize(problem);
        }
        let LevenbergMarquardt { matrix, gradient, .. } = self;
        if let Some((j, square)) = matrix.as_mut_slice().split_at_mut_checked(few * P) {
            let rows = View::rows(j, P);
            ops::gemm_into([few, P, few], rows, rows.transposed(), square, P, To::Set);
        }
        let diagonal = system(&mut matrix.data.0, few).iter().enumerate();
        let trace = diagonal.filter_map(|(i, column)| column.get(i)).fold(T::zero(), |t, &a| t + a);
        if count == 0 {
            Err(Stop::Empty)
        } else if loss.is_finite() && trace.is_finite() && kernel::finite(gradient.as_slice()) {
            Ok((loss, trace / number(P)))
        } else {
            Err(Stop::NotFinite)
        }
    }

    /// The factor U of JᵀJ + d·1 = UᵀU, or of JJᵀ + d·1, by Cholesky. False if the matrix is not positive definite.
    fn factor(&mut self, damping: T) -> bool {
        let few = self.few();
        let (matrix, [pivots]) = (system(&mut self.matrix.data.0, few), &mut self.pivots.data.0);
        kernel::run::<T, _>(Factor { matrix, pivots, damping })
    }

    /// δ from the factor. Returns δᵀJᵀr, by about which the sum of squares should fall.
    fn solve_factored(&mut self) -> T {
        let few = self.few();
        let LevenbergMarquardt { matrix, pivots, gradient, step, .. } = self;
        let columns = system(&mut matrix.data.0, few);
        *step = *gradient;
        let step = step.as_mut_slice();
        if few > 0 {
            let r = columns.iter().filter_map(|column| column.get(few));
            step.iter_mut().zip(r).for_each(|(z, &r)| *z = r);
        }
        for (i, (column, &pivot)) in columns.iter().zip(pivots.iter()).enumerate() {
            let sum = kernel::dot(upper(column, i), step.get(..i).unwrap_or_default());
            step.iter_mut().skip(i).take(1).for_each(|z| *z = (*z - sum) / pivot);
        }
        // `rev` on zipped iterators may panic, as far as the linker knows.
        for j in (0..columns.len()).rev() {
            let (Some(column), Some(&pivot)) = (columns.get(j), pivots.iter().nth(j)) else {
                continue;
            };
            let mut last = T::zero();
            step.iter_mut().skip(j).take(1).for_each(|z| (*z, last) = (*z / pivot, *z / pivot));
            upper(column, j).iter().zip(&mut *step).for_each(|(&u, z)| *z -= u * last);
        }
        if few > 0 {
            // The pivots are computed anew for the next λ.
            pivots.iter_mut().zip(&*step).for_each(|(to, &z)| *to = z);
            let (j, z) = (View::columns(matrix.as_slice(), P), View::columns(pivots.as_slice(), P));
            ops::gemm([P, few, 1], j, z, step, To::Set);
        }
        kernel::dot(step, gradient.as_slice())
    }
}

impl<T: Number, In: Flat, L, E> Network<T, In, L, E> {
    /// The bytes that training by [`LevenbergMarquardt`] takes: the net, the solver, and the gradients of `C` samples
    /// at a time. It does not count what the caller keeps: the batch and its targets.
    ///
    /// ```
    /// use chainrule::{Affine, D1, Network, SumSquaredError, Tanh};
    /// type Net = Network<f32, D1<1>, (Affine<f32, 1, 5>, Tanh, Affine<f32, 5, 1>), SumSquaredError>;
    /// const _: () = assert!(Net::levenberg_marquardt_bytes::<16, 4>() <= 3 * 1024, "too large");
    /// ```
    pub const fn levenberg_marquardt_bytes<const P: usize, const C: usize>() -> usize
    where
        L: Layer<T, In, Out: Flat>,
    {
        size_of::<Self>()
            + size_of::<LevenbergMarquardt<T, P>>()
            + size_of::<SampleGradients<T, In, L, P, C>>()
    }
}

impl<T: Number, const P: usize> Default for LevenbergMarquardt<T, P> {
    fn default() -> Self {
        Self::new()
    }
}

/// All zeros, for a solver in a `static`. Set `damping` before the first step.
impl<T: Number, const P: usize> ConstZeros for LevenbergMarquardt<T, P>
where
    T: ConstZero,
{
    const ZEROS: Self = LevenbergMarquardt {
        damping: T::ZERO,
        goal: T::ZERO,
        count: 0,
        matrix: ConstZeros::ZEROS,
        pivots: ConstZeros::ZEROS,
        gradient: ConstZeros::ZEROS,
        step: ConstZeros::ZEROS,
        best: ConstZeros::ZEROS,
    };
}

/// The entries of a column above the diagonal.
#[inline(always)]
fn upper<T, const P: usize>(column: &[T; P], diagonal: usize) -> &[T] {
    column.get(..diagonal).unwrap_or_default()
}

/// The columns of the matrix to factor.
fn system<T, const P: usize>(matrix: &mut [[T; P]; P], few: usize) -> &mut [[T; P]] {
    let columns = if few > 0 { few..2 * few } else { 0..P };
    matrix.get_mut(columns).unwrap_or_default()
}

/// Copies rows of J to the first `few` columns from `done` on, and residuals to the next ones.
fn keep<T: Number, const P: usize>(
    rows: &[T],
    residuals: &[T],
    (few, done): (usize, usize),
    matrix: &mut [[T; P]; P],
) {
    let Some((j, square)) = matrix.split_at_mut_checked(few) else { return };
    let columns = j.iter_mut().zip(square).skip(done);
    for ((row, &r), (column, below)) in rows.chunks_exact(P.max(1)).zip(residuals).zip(columns) {
        column.iter_mut().zip(row).for_each(|(to, &from)| *to = from);
        below.iter_mut().skip(few).take(1).for_each(|to| *to = r);
    }
}

/// Adds the squares of `n` rows to the lower triangle, some columns at a time.
fn add_square<T: Number, const P: usize>(rows: &[T], n: usize, matrix: &mut SMatrix<T, P, P>) {
    let mut first = 0;
    while first < P {
        let (size, rows) =
            ([P - first, n, WIDTH.min(P - first)], rows.get(first..).unwrap_or_default());
        let (a, b) = (View::strided(rows, 1, P), View::strided(rows, P, 1));
        let to = matrix.as_mut_slice().get_mut(first * P + first..).unwrap_or_default();
        ops::gemm_into(size, a, b, to, P, To::Add);
        first += WIDTH;
    }
}

/// How many columns are computed at a time.
const WIDTH: usize = 16;

struct Factor<'a, T, const P: usize> {
    matrix: &'a mut [[T; P]],
    pivots: &'a mut [T; P],
    damping: T,
}

impl<T: Number, const P: usize> Work for Factor<'_, T, P> {
    type Output = bool;

    #[inline(always)]
    fn run(self) -> bool {
        for j in 0..self.matrix.len() {
            let Some((before, [column, ..])) = self.matrix.split_at_mut_checked(j) else {
                return false;
            };
            for (i, (other, &pivot)) in before.iter().zip(self.pivots.iter()).enumerate() {
                let sum = kernel::dot(upper(column, i), upper(other, i));
                for (u, &a) in column.iter_mut().skip(i).take(1).zip(other.iter().skip(j)) {
                    *u = (a - sum) / pivot;
                }
            }
            let sum = kernel::dot(upper(column, j), upper(column, j));
            for (&a, pivot) in column.iter().zip(self.pivots.iter_mut()).skip(j).take(1) {
                *pivot = (a - sum + self.damping).sqrt();
                // Also false for NaN.
                if (*pivot).partial_cmp(&T::zero()) != Some(Ordering::Greater) {
                    return false;
                }
            }
        }
        true
    }
}
