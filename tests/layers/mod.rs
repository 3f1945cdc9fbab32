//! What an author outside the crate writes: containers, working memory.
#![allow(dead_code)] // each test uses some

use chainrule::*;
use nalgebra::{SMatrix, SVector};

/// A net as a struct with named fields. (`named!` writes this; here it is by hand.)
#[derive(Clone)]
pub struct AutoEncoder<E, D> {
    pub encoder: E,
    pub decoder: D,
}

parameters!(AutoEncoder<E: part, D: part> { encoder, decoder });

impl<T: Number, In: Shape, E: Layer<T, In>, F: Layer<T, E::Out>> Layer<T, In>
    for AutoEncoder<E, F>
{
    type Out = F::Out;
    /// The parts' caches; between them the code and the gradient on it.
    type Cache<B: BatchSize, P: Purpose> = (
        E::Cache<B, P>,
        Batch<T, E::Out, B>,
        P::InTraining<B, Batch<T, E::Out, B>>,
        F::Cache<B, P>,
    );
    type Scratch = Larger<E::Scratch, F::Scratch>;

    #[inline(always)]
    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, In, Self, B, P>) {
        let Forward { x, y, cache: (e, code, _, d), mut scratch, pass } = at;
        let lent = scratch.again().first();
        self.encoder.forward::<B, P>(Forward { x, y: code, cache: e, scratch: lent, pass });
        let lent = scratch.second();
        self.decoder.forward::<B, P>(Forward { x: code, y, cache: d, scratch: lent, pass });
    }

    #[inline(always)]
    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, In, Self, B>,
    ) {
        let Backward { x, y, cache: (e, code, d_code, d), mut scratch, dy, dx } = at;
        let (lent, d_in) = (scratch.again().second(), Some(&mut *d_code));
        let decoder = Backward { x: code, y, cache: d, scratch: lent, dy, dx: d_in };
        F::backward::<B, D>(part!(this.decoder), decoder);
        let lent = scratch.first();
        let encoder = Backward { x, y: code, cache: e, scratch: lent, dy: d_code, dx };
        E::backward::<B, D>(part!(this.encoder), encoder);
    }
}

/// y = W·(x ⊙ x).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Squares<T, const I: usize, const O: usize> {
    pub weight: SMatrix<T, O, I>,
}

parameters!(Squares<T: scalar, const I: usize, const O: usize> { weight });

impl<T: Number, const I: usize, const O: usize> Layer<T, D1<I>> for Squares<T, I, O> {
    type Out = D1<O>;
    type Cache<B: BatchSize, P: Purpose> = ();
    /// The squares of one sample, or the gradient on them.
    type Scratch = SVector<T, I>;

    #[inline(always)]
    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, D1<I>, Self, B, P>) {
        let squares = at.scratch.zeroed();
        for (mut y, x) in at.y.column_iter_mut().zip(at.x.column_iter()) {
            squares.copy_from(&x);
            squares.component_mul_assign(&x);
            y.gemv(T::one(), &self.weight, squares, T::zero());
        }
    }

    #[inline(always)]
    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        Backward { x, scratch, dy, dx, .. }: Backward<T, D1<I>, Self, B>,
    ) {
        let squares = scratch.zeroed();
        let samples = || x.column_iter().zip(dy.column_iter());
        for (mut dx, (x, dy)) in dx.into_iter().flat_map(|dx| dx.column_iter_mut()).zip(samples()) {
            squares.gemv_tr(T::one() + T::one(), &this.weight, &dy, T::zero());
            dx.copy_from(&squares.component_mul(&x));
        }
        part!(this.weight).columns(|columns, numbers| {
            for (x, dy) in samples() {
                for (column, dw) in columns.clone().zip(numbers.chunks_exact_mut(O)) {
                    dw.iter_mut().zip(&dy).for_each(|(dw, &dy)| *dw += x[column] * x[column] * dy);
                }
            }
        });
    }
}

/// y = Σ branchᵢ(x), of `M` layers that are alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sum<L, const M: usize> {
    pub branches: [L; M],
}

parameters!(Sum<L: part, const M: usize> { branches });

impl<T: Number, In: Flat, L: Layer<T, In>, const M: usize> Layer<T, In> for Sum<L, M>
where
    L::Out: Flat,
{
    type Out = L::Out;
    /// Of each branch its cache, its output and the gradient on its input.
    type Cache<B: BatchSize, P: Purpose> =
        [(L::Cache<B, P>, Batch<T, L::Out, B>, P::InTraining<B, In::Batch<T, B>>); M];
    type Scratch = L::Scratch;

    #[inline(always)]
    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, In, Self, B, P>) {
        let Forward { x, y, cache, mut scratch, pass } = at;
        L::Out::flat_mut::<T, B>(y).fill(T::zero());
        for (branch, (cache, part, _)) in self.branches.iter().zip(cache) {
            branch.forward::<B, P>(Forward { x, y: part, cache, scratch: scratch.again(), pass });
            ops::add_scaled(T::one(), L::Out::flat::<T, B>(part), L::Out::flat_mut::<T, B>(y));
        }
    }

    #[inline(always)]
    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, In, Self, B>,
    ) {
        let Backward { x, cache, mut scratch, dy, mut dx, .. } = at;
        if let Some(dx) = &mut dx {
            In::flat_mut::<T, B>(dx).fill(T::zero());
        }
        let mut caches = cache.iter_mut();
        part!(this.branches).each(|branch| {
            let Some((cache, y, part)) = caches.next() else { return };
            let (scratch, wanted) = (scratch.again(), dx.is_some().then_some(&mut *part));
            L::backward::<B, D>(branch, Backward { x, y, cache, scratch, dy, dx: wanted });
            if let Some(dx) = &mut dx {
                ops::add_scaled(T::one(), In::flat::<T, B>(part), In::flat_mut::<T, B>(dx));
            }
        });
    }
}
