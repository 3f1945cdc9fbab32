//! A backward pass that delivers the gradient of the parameters to the rule of an optimizer, piece by piece.

use crate::{
    grad::{Destination, Grad, sealed},
    kernel,
    params::{OneLeaf, Parameters, Role},
    path::Path,
    rule::{Piece, Rule},
    shape::Number,
};
use core::{marker::PhantomData, ops::Range};

/// The gradient goes to a rule, piece by piece. There is no tree of gradients.
#[derive(Clone, Copy, Debug)]
pub struct Update<R, const N: usize>(PhantomData<R>);

impl<R, const N: usize> sealed::Sealed for Update<R, N> {}

impl<'a, T: Number, L: Parameters<T>, R: Rule<T, N>, const N: usize> Grad<'a, T, L, Update<R, N>> {
    /// Gives the gradient to `rule`, which changes the layer.
    #[inline(always)]
    pub(crate) const fn update(
        layer: &'a mut L,
        state: [&'a mut L::Gradient; N],
        rule: &'a R,
        step: u64,
        look: &'a mut Look,
    ) -> Self {
        let held = Held { layer, state, rule, step, look, small: false };
        Grad { held, path: Path::ROOT }
    }
}

/// Whether the gradient is finite, as far as it is checked.
#[doc(hidden)]
pub struct Look {
    pub finite: bool,
    /// The address of the `dy` that was checked last, if its numbers are small.
    seen: usize,
}

impl Look {
    pub(crate) const fn new() -> Self {
        Look { finite: true, seen: 0 }
    }

    #[inline(always)]
    fn at<T: Number>(&mut self, numbers: &[T]) {
        self.finite &= kernel::finite(numbers);
    }

    /// The same, where it is seldom needed.
    #[cold]
    #[inline(never)]
    fn after<T: Number>(&mut self, numbers: &[T]) {
        self.at(numbers);
    }
}

/// A layer that a rule changes, with the state of its parameters.
#[doc(hidden)]
pub struct Held<'a, L, G, R, const N: usize> {
    layer: &'a mut L,
    state: [&'a mut G; N],
    rule: &'a R,
    step: u64,
    look: &'a mut Look,
    /// Whether the gradient is a product dy·xᵀ of numbers so small that it is finite. Without std they are not checked.
    small: bool,
}

/// Up to this number of inputs the factors are checked, even if the layer has fewer weights.
const FEW: usize = 64;

/// How many bytes of a gradient the backward pass computes at most before it gives them to the rule. With std the size
/// is large enough that the product is worth its preparation, and small enough for the first-level cache. Without std
/// it is small enough for the stack of a chip.
const PIECE: usize = if cfg!(feature = "std") { 32 * 1024 } else { 2 * 1024 };

impl<T: Number, R: Rule<T, N>, const N: usize> Destination<T> for Update<R, N> {
    type Held<'a, L: Parameters<T>> = Held<'a, L, L::Gradient, R, N>;

    #[inline(always)]
    fn layer<'b, L: Parameters<T>>(held: &'b Self::Held<'_, L>) -> &'b L {
        held.layer
    }

    #[inline(always)]
    fn part<'b, L: Parameters<T>, P: Parameters<T>>(
        held: &'b mut Self::Held<'_, L>,
        _: impl FnOnce(&L) -> &P,
        layer: impl FnOnce(&mut L) -> &mut P,
        tree: impl Fn(&mut L::Gradient) -> &mut P::Gradient,
    ) -> Self::Held<'b, P> {
        let Held { layer: whole, state, rule, step, look, small } = held;
        let state = kernel::parts(state, |state| tree(state));
        Held { layer: layer(whole), state, rule, step: *step, look, small: *small }
    }

    #[inline(always)]
    fn whole<M: OneLeaf<T>>(mut held: Self::Held<'_, M>, path: &Path, f: impl FnOnce(&mut M)) {
        let mut gradient = M::zeros();
        f(&mut gradient);
        held.apply(path, 0, gradient.numbers());
    }

    #[inline(always)]
    fn add_product<'b, M: OneLeaf<T>>(
        mut held: Self::Held<'b, M>,
        dy: &[T],
        x: Option<&[T]>,
    ) -> Option<Self::Held<'b, M>> {
        // The crate checks the factors or the product, whichever has fewer numbers.
        let few = |x: &[T]| x.len() < const { M::SHAPE.0 * M::SHAPE.1 } || x.len() <= FEW;
        held.small = x.is_some_and(|x| {
            !cfg!(feature = "std") || few(x) && kernel::small(dy) & kernel::small(x)
        });
        let factor = held.rule.factor().filter(|_| M::ROLE == Role::Weight);
        let Some(factor) = factor else { return Some(held) };
        let w = held.layer.numbers();
        match x {
            Some(x) if kernel::add_product(factor, M::SHAPE, dy, x, w) => {}
            None if dy.len() == w.len() => kernel::add_scaled(factor, dy, w),
            _ => return Some(held),
        }
        // The bias gets the same `dy` as the weight before it, which was checked already.
        let dy = dy.as_ptr().addr();
        match x {
            None if held.look.seen == dy => {}
            _ if !cfg!(feature = "std") => held.look.at(w.get(..M::SHAPE.0).unwrap_or_default()),
            Some(_) if held.small => {}
            Some(x) if few(x) => held.look.after(w),
            _ => held.look.at(w),
        }
        held.look.seen = if held.small || !cfg!(feature = "std") { dy } else { 0 };
        None
    }

    #[inline(always)]
    fn in_parts<M: OneLeaf<T>>() -> bool {
        const { size_of::<M>() > PIECE && M::SHAPE.1 > 1 }
    }

    #[inline(always)]
    fn deliver<M: OneLeaf<T>>(
        mut held: Self::Held<'_, M>,
        path: &Path,
        mut f: impl FnMut(Range<usize>, &mut [T], bool),
    ) {
        if const { size_of::<M>() <= PIECE } {
            let mut gradient = M::zeros();
            f(0..M::SHAPE.1, gradient.numbers(), true);
            held.apply(path, 0, gradient.numbers());
        } else if const { size_of::<M::Columns<64>>() <= PIECE } {
            held.by_columns::<T, 64>(path, f);
        } else if const { size_of::<M::Columns<16>>() <= PIECE } {
            held.by_columns::<T, 16>(path, f);
        } else if const { size_of::<M::Columns<8>>() <= PIECE } {
            held.by_columns::<T, 8>(path, f);
        } else {
            held.by_columns::<T, 1>(path, f);
        }
    }
}

impl<M, R, const N: usize> Held<'_, M, M, R, N> {
    #[inline(always)]
    fn by_columns<T: Number, const K: usize>(
        &mut self,
        path: &Path,
        mut f: impl FnMut(Range<usize>, &mut [T], bool),
    ) where
        M: OneLeaf<T>,
        R: Rule<T, N>,
    {
        let (rows, columns) = M::SHAPE;
        let mut memory = M::columns::<K>();
        let mut first = 0;
        while first < columns {
            let last = first + kernel::next_part(columns - first, K);
            if let Some(gradient) = memory.as_mut().get_mut(..rows * (last - first)) {
                f(first..last, gradient, true);
                self.apply(path, rows * first, gradient);
            }
            first = last;
        }
    }

    /// Gives the gradient of the numbers from `first` on to the rule, or adds it to a statistic.
    #[inline(always)]
    fn apply<T: Number>(&mut self, path: &Path, first: usize, gradient: &[T])
    where
        M: OneLeaf<T>,
        R: Rule<T, N>,
    {
        let end = first + gradient.len();
        let here = self.layer.numbers().get_mut(first..end);
        let values = here.unwrap_or_default();
        let look = match (self.small, first) {
            (false, _) => gradient,
            // Without std only `dy` is checked, whose numbers are factors of the first column.
            (true, 0) if !cfg!(feature = "std") => gradient.get(..M::SHAPE.0).unwrap_or_default(),
            (true, _) => &[],
        };
        self.look.at(look);
        if M::ROLE != Role::Weight {
            return kernel::add_scaled(T::one(), gradient, values);
        }
        let state = kernel::parts(&mut self.state, |tree| {
            tree.numbers().get_mut(first..end).unwrap_or_default()
        });
        let (shape, step) = (M::SHAPE, self.step);
        let role = Role::Weight;
        self.rule.update(Piece { path, role, shape, first, step, values, gradient, state });
    }
}
