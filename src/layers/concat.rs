//! Two layers on one input.

use crate::init::{self, Gain};
use crate::{
    Backward, Batch, BatchSize, Columns, D1, Destination, Flat, Forward, Grad, Larger, Layer,
    Number, Purpose, kernel, part, shape::nan,
};
use rand::Rng;

/// y = (left(x), right(x)), one after the other; dx is the sum of both gradients. (PyTorch's `torch.cat` of two
/// branches.)
///
/// For more branches, nest them. To keep the input, make one branch an [`Identity`](crate::Identity).
///
/// # Shapes
/// From any flat shape to `D1<N>`, where N is the sum of the lengths of both outputs. Stable Rust cannot add
/// constants in a type, so N must be given. A wrong N is a compile error, but `cargo check` does not see it:
/// `cargo build` does.
///
/// ```
/// use chainrule::{ByValue, Concat, Identity, Relu};
/// use nalgebra::{Vector2, Vector4};
///
/// let both = Concat::<_, _, 4> { left: Identity, right: Relu };
/// let x = Vector2::new(1.0, -2.0);
/// let mut pass = both.trace(&x);
/// assert_eq!(pass.y, Vector4::new(1.0, -2.0, 1.0, 0.0));
/// let (dx, _) = pass.backward(&Vector4::new(1.0, 2.0, 10.0, 20.0));
/// assert_eq!(dx, Vector2::new(11.0, 2.0));
/// ```
#[doc(alias("cat", "concatenate"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Concat<P, Q, const N: usize> {
    /// The layer whose output comes first.
    pub left: P,
    /// The layer whose output comes second.
    pub right: Q,
}

parameters!(Concat<P: part, Q: part, const N: usize> { left, right });

/// What a branch keeps: its cache, its output and the gradient on it.
type Branch<T, S, L, B, P> = (
    <L as Layer<T, S>>::Cache<B, P>,
    Batch<T, <L as Layer<T, S>>::Out, B>,
    <P as Purpose>::InTraining<B, Batch<T, <L as Layer<T, S>>::Out, B>>,
);

impl<T: Number, S: Flat, L, R, const N: usize> Layer<T, S> for Concat<L, R, N>
where
    L: Layer<T, S, Out: Flat>,
    R: Layer<T, S, Out: Flat>,
{
    type Out = D1<N>;
    /// Both branches, and the right one's gradient on the input.
    type Cache<B: BatchSize, P: Purpose> =
        (Branch<T, S, L, B, P>, Branch<T, S, R, B, P>, P::InTraining<B, S::Batch<T, B>>);
    type Scratch = Larger<L::Scratch, R::Scratch>;
    const GAIN: Option<Gain> = init::first([L::GAIN, R::GAIN]);

    #[inline(always)]
    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, S, Self, B, P>) {
        const {
            assert!(
                L::Out::LEN + R::Out::LEN == N,
                "the N of `Concat` is not the sum of its outputs"
            )
        };
        let Forward { x, y, cache, mut scratch, pass } = at;
        let ((cache, left, _), (other, right, _), _) = cache;
        let lent = scratch.again().first();
        self.left.forward::<B, P>(Forward { x, y: left, cache, scratch: lent, pass });
        let lent = scratch.second();
        self.right.forward::<B, P>(Forward { x, y: right, cache: other, scratch: lent, pass });
        y.fill(nan());
        let (left, right) = (L::Out::flat::<T, B>(left), R::Out::flat::<T, B>(right));
        for (s, y) in y.as_mut_slice().chunks_exact_mut(N.max(1)).enumerate() {
            let both = sample(left, s, L::Out::LEN).iter().chain(sample(right, s, R::Out::LEN));
            y.iter_mut().zip(both).for_each(|(y, &from)| *y = from);
        }
    }

    #[inline(always)]
    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, S, Self, B>,
    ) {
        let Backward { x, cache, mut scratch, dy, mut dx, .. } = at;
        let ((cache, left, d_left), (other, right, d_right), d_x) = cache;
        take::<T, B, L::Out, N>(dy, 0, d_left);
        take::<T, B, R::Out, N>(dy, L::Out::LEN, d_right);
        let (lent, dx_left) = (scratch.again().first(), dx.as_deref_mut());
        let at = Backward { x, y: left, cache, scratch: lent, dy: d_left, dx: dx_left };
        L::backward::<B, D>(part!(this.left), at);
        let (lent, dx_right) = (scratch.second(), dx.is_some().then_some(&mut *d_x));
        let at = Backward { x, y: right, cache: other, scratch: lent, dy: d_right, dx: dx_right };
        R::backward::<B, D>(part!(this.right), at);
        if let Some(dx) = dx {
            kernel::add_scaled(T::one(), S::flat::<T, B>(d_x), S::flat_mut::<T, B>(dx));
        }
    }

    fn init<G: Rng + ?Sized>(&mut self, next: Gain, rng: &mut G) {
        self.left.init(next, rng);
        self.right.init(next, rng);
    }
}

/// The numbers of one sample.
#[inline(always)]
fn sample<T>(batch: &[T], s: usize, len: usize) -> &[T] {
    batch.get(s * len..(s + 1) * len).unwrap_or_default()
}

/// Copies the rows of `dy` from `first` on.
#[inline(always)]
fn take<T: Number, B: BatchSize, O: Flat, const N: usize>(
    dy: &Columns<T, N, B>,
    first: usize,
    to: &mut O::Batch<T, B>,
) {
    let to = O::flat_mut::<T, B>(to);
    to.fill(nan());
    for (to, dy) in to.chunks_exact_mut(O::LEN.max(1)).zip(dy.as_slice().chunks_exact(N.max(1))) {
        to.iter_mut().zip(dy.iter().skip(first)).for_each(|(to, &dy)| *to = dy);
    }
}
