//! The fully connected layer.

use crate::shape::number;
use crate::{
    Backward, BatchSize, D1, Destination, Forward, Grad, Layer, Number, Purpose, Zeros, init,
    kernel, part,
};
use nalgebra::{SMatrix, SVector, convert};
use rand::Rng;

/// y = W·x + b, for each column of a batch.
///
/// dx = Wᵀ·dy, dW = dy·xᵀ, db = Σ columns of dy. (Chapter 5.6.)
///
/// # Shapes
/// From `D1<I>` to `D1<O>`; W is O×I, b has O entries.
///
/// A NaN in the input makes the whole output column NaN, because 0·NaN is NaN.
///
/// ```
/// use chainrule::{Affine, ByValue};
/// use nalgebra::{Matrix2, Matrix2x3, Vector2, Vector3};
///
/// let affine = Affine::new(Matrix2x3::new(1.0, 0.0, 2.0, 0.0, 1.0, 0.0), Vector2::new(10.0, 20.0));
/// let x = Vector3::new(1.0, 2.0, 3.0);
/// let mut pass = affine.trace(&x);
/// assert_eq!(pass.y, Vector2::new(17.0, 22.0));
///
/// let (dx, grad) = pass.backward(&Vector2::new(1.0, -1.0));
/// assert_eq!(dx, Vector3::new(1.0, -1.0, 2.0));
/// assert_eq!(grad.weight, Matrix2x3::new(1.0, 2.0, 3.0, -1.0, -2.0, -3.0));
/// assert_eq!(grad.bias, Vector2::new(1.0, -1.0));
/// ```
#[doc(alias("Linear", "Dense"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine<T, const I: usize, const O: usize> {
    /// W: one row per output, one column per input. Its bytes are those of the book's `W`, which is I×O and
    /// stored row after row.
    pub weight: SMatrix<T, O, I>,
    /// b.
    pub bias: SVector<T, O>,
}

parameters!(Affine<T: scalar, const I: usize, const O: usize> { weight: [O, I], bias });

impl<T: Number, const I: usize, const O: usize> Affine<T, I, O> {
    /// A layer with these parameters.
    pub const fn new(weight: SMatrix<T, O, I>, bias: SVector<T, O>) -> Self {
        Affine { weight, bias }
    }

    fn filled(f: impl FnOnce(&mut SMatrix<T, O, I>)) -> Self {
        let mut layer = Self::zeros();
        f(&mut layer.weight);
        layer
    }

    /// Weights from a normal distribution of mean 0 and standard deviation `std`, biases 0, as in the book.
    pub fn normal(std: T, rng: &mut (impl Rng + ?Sized)) -> Self {
        Self::filled(|weight| init::normal(std, weight, rng))
    }

    /// Xavier weights, for sigmoid and tanh: normal with variance 1/I. Biases 0. To make a layer of many
    /// megabytes in place, box [`Zeros`] and then call [`init`] on its `weight`.
    pub fn xavier(rng: &mut (impl Rng + ?Sized)) -> Self {
        Self::filled(|weight| init::xavier(weight, rng))
    }

    /// He weights, for ReLU: normal with variance 2/I. Biases 0.
    pub fn he(rng: &mut (impl Rng + ?Sized)) -> Self {
        Self::filled(|weight| init::he(weight, rng))
    }

    /// First parameters for tanh on inputs from -1 to 1, so that the steep parts of the O units cover the inputs
    /// evenly. Each row of W has a random direction and the length s = 0.7·O^(1/I); the biases are evenly spaced from -s
    /// to s. (Nguyen and Widrow, 1990; MATLAB's `initnw`.)
    ///
    /// ```
    /// use chainrule::Affine;
    /// use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
    ///
    /// let mut rng = Xoshiro128PlusPlus::seed_from_u64(0);
    /// let layer = Affine::<f64, 1, 20>::nguyen_widrow(&mut rng);
    /// assert!(layer.weight.iter().all(|w| (w.abs() - 14.0).abs() < 1e-9));
    /// assert_eq!(layer.bias.amax(), 14.0);
    /// ```
    pub fn nguyen_widrow(rng: &mut (impl Rng + ?Sized)) -> Self {
        let mut layer = Self::normal(T::one(), rng);
        let size = convert::<f64, T>(0.7) * number::<T>(O).powf(T::one() / number(I));
        let step = (size + size) / number(O.saturating_sub(1).max(1));
        for (i, (mut row, bias)) in layer.weight.row_iter_mut().zip(&mut layer.bias).enumerate() {
            let sign = row.iter().next().map_or(T::one(), |&w| T::one().copysign(w));
            let norm = row.norm();
            row *= size / norm;
            *bias = sign * (number::<T>(i) * step - size);
        }
        layer
    }
}

impl<T: Number, const I: usize, const O: usize> Layer<T, D1<I>> for Affine<T, I, O> {
    type Out = D1<O>;
    type Cache<B: BatchSize, P: Purpose> = ();
    type Scratch = ();

    #[inline(always)]
    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<I>, Self, B, P>) {
        let (w, b) = (self.weight.as_slice(), self.bias.as_slice());
        kernel::affine(I, w, b, at.x.as_slice(), at.y.as_mut_slice());
    }

    #[inline(always)]
    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, D1<I>, Self, B>,
    ) {
        let (x, dy) = (at.x.as_slice(), at.dy.as_slice());
        if let Some(dx) = at.dx {
            kernel::product_tn((O, I), this.weight.as_slice(), dy, dx.as_mut_slice());
        }
        part!(this.weight).product(dy, x);
        part!(this.bias).sum(dy);
    }
}
