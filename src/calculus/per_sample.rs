//! The gradient of each sample: a destination of the backward pass, and the memory for some samples at a time.

use crate::{
    grad::{Destination, Grad, Tree, sealed},
    kernel,
    layer::Layer,
    params::{Leaf, LeafMut, OneLeaf, Parameters},
    path::Path,
    shape::{Batch, Buffer, Flat, Number, ToTrain, number},
    step::{Activations, PredictionInto, VectorJacobian},
    zeros::{ConstZeros, Zeros},
};
use core::ops::Range;
use nalgebra::{Const, SMatrix, try_convert};

/// The gradient of each sample goes to its own row. Layers that deliver by [`Grad::product`] and
/// [`Grad::sum`] are fast. For all others the backward pass runs once for each sample.
#[derive(Clone, Copy, Debug)]
pub struct PerSample;

impl sealed::Sealed for PerSample {}

/// A layer, the tree that holds the place of each leaf in a row, and the rows.
#[doc(hidden)]
pub struct Held<'a, L, G, T> {
    layer: &'a L,
    places: &'a mut G,
    rows: &'a mut [T],
    width: usize,
    /// Set if a layer delivered a sum over the samples.
    summed: &'a mut bool,
}

impl<T: Number> Destination<T> for PerSample {
    type Held<'a, L: Parameters<T>> = Held<'a, L, L::Gradient, T>;

    #[inline(always)]
    fn layer<'b, L: Parameters<T>>(held: &'b Self::Held<'_, L>) -> &'b L {
        held.layer
    }

    #[inline(always)]
    fn part<'b, L: Parameters<T>, P: Parameters<T>>(
        held: &'b mut Self::Held<'_, L>,
        shared: impl FnOnce(&L) -> &P,
        _: impl FnOnce(&mut L) -> &mut P,
        tree: impl Fn(&mut L::Gradient) -> &mut P::Gradient,
    ) -> Self::Held<'b, P> {
        let Held { layer, places, rows, width, summed } = held;
        Held { layer: shared(layer), places: tree(places), rows, width: *width, summed }
    }

    #[inline(always)]
    fn whole<M: OneLeaf<T>>(held: Self::Held<'_, M>, _: &Path, _: impl FnOnce(&mut M)) {
        *held.summed = true;
    }

    #[inline(always)]
    fn add_product<'b, M: OneLeaf<T>>(
        held: Self::Held<'b, M>,
        dy: &[T],
        x: Option<&[T]>,
    ) -> Option<Self::Held<'b, M>> {
        let (rows, columns) = M::SHAPE;
        let place = place(held.places.numbers());
        let mut dy = dy.chunks_exact(rows.max(1));
        let mut x = x.map(|x| x.chunks_exact(columns.max(1)));
        for row in held.rows.chunks_exact_mut(held.width.max(1)) {
            let Some(row) = row.get_mut(place..).and_then(|row| row.get_mut(..rows * columns))
            else {
                continue;
            };
            let dy = dy.next().unwrap_or_default();
            match &mut x {
                Some(x) => {
                    let columns = row.chunks_exact_mut(rows.max(1));
                    for (column, &x) in columns.zip(x.next().unwrap_or_default()) {
                        column.iter_mut().zip(dy).for_each(|(to, &dy)| *to = dy * x);
                    }
                }
                None => row.iter_mut().zip(dy).for_each(|(to, &dy)| *to = dy),
            }
        }
        None
    }

    #[inline(always)]
    fn deliver<M: OneLeaf<T>>(
        held: Self::Held<'_, M>,
        _: &Path,
        _: impl FnMut(Range<usize>, &mut [T], bool),
    ) {
        *held.summed = true;
    }
}

/// The place that the first number of a leaf says.
fn place<T: Number>(numbers: &[T]) -> usize {
    // An f32 counts exactly to 16 million.
    let first = numbers.first().and_then(|&place| try_convert::<T, f32>(place));
    first.map_or(0, |place| place as usize)
}

/// Memory for the gradients of the `P` trained weights for `C` samples at a time.
/// [`Network::sample_gradients`](crate::Network::sample_gradients) makes one.
#[cfg_attr(target_arch = "x86_64", repr(C, align(64)))]
pub struct SampleGradients<T: Number, In: Flat, L: Layer<T, In>, const P: usize, const C: usize> {
    pub(super) rows: SMatrix<T, P, C>,
    pub(super) activations: Activations<T, In, L, Const<C>, ToTrain>,
    pub(super) x: In::Batch<T, Const<C>>,
    places: L::Gradient,
}

impl<T: Number, In: Flat, L: Layer<T, In, Out: Flat>, const P: usize, const C: usize>
    SampleGradients<T, In, L, P, C>
{
    pub(crate) fn new() -> Self {
        const { assert!(P == L::Gradient::COUNT, "P is not `Net::weight_count()`") };
        let (rows, x) = (Zeros::zeros(), Buffer::new(Const));
        SampleGradients { rows, activations: Activations::new(Const), x, places: Zeros::zeros() }
    }

    /// Takes samples, at most `C`, and runs the forward pass. Returns how many they are.
    pub(super) fn forward(&mut self, layers: &L, x: impl Iterator<Item = T>) -> usize {
        let (to, mut numbers) = (In::flat_mut::<T, Const<C>>(&mut self.x), 0_usize);
        for (to, x) in to.iter_mut().zip(x) {
            (*to, numbers) = (x, numbers + 1);
        }
        let (x, activations) = (&self.x, &mut self.activations);
        kernel::run::<T, _>(PredictionInto { layers, x, activations });
        numbers.checked_div(In::LEN).unwrap_or(0)
    }

    /// The outputs of the last forward pass, sample after sample.
    pub(super) fn outputs(&self) -> &[T] {
        L::Out::flat::<T, Const<C>>(&self.activations.y)
    }

    /// The gradient of each sample, where `dy` is the gradient on output number `output`, the same for all.
    pub(super) fn rows_of(&mut self, layers: &L, output: usize) -> &[T] {
        self.seed(|_, o| if o == output { T::one() } else { T::zero() });
        self.backward(layers)
    }

    /// Sets the gradient on the outputs by sample and output.
    pub(super) fn seed(&mut self, dy: impl Fn(usize, usize) -> T) {
        let to = L::Out::flat_mut::<T, Const<C>>(&mut self.activations.dy);
        for (sample, to) in to.chunks_exact_mut(L::Out::LEN.max(1)).enumerate() {
            to.iter_mut().enumerate().for_each(|(o, to)| *to = dy(sample, o));
        }
    }

    /// The gradient of each sample for the gradient on the outputs that is set, one after the other.
    pub(super) fn backward(&mut self, layers: &L) -> &[T] {
        let mut next = 0;
        self.places.visit_mut(None, [], &Path::ROOT, &mut |leaf: LeafMut<T, 0>| {
            leaf.values.iter_mut().take(1).for_each(|first| *first = number(next));
            next += leaf.values.len();
        });
        self.rows.as_mut_slice().fill(T::zero());
        let mut summed = false;
        let (rows, places) = (self.rows.as_mut_slice(), &mut self.places);
        let held = Held { layer: layers, places, rows, width: P, summed: &mut summed };
        let this = Grad::<T, L, PerSample> { held, path: Path::ROOT };
        let (x, activations) = (&self.x, &mut self.activations);
        kernel::run::<T, _>(VectorJacobian { x, activations, dx: None, this, forward: false });
        if summed {
            self.one_by_one(layers);
        }
        self.rows.as_slice()
    }

    /// A sum over the samples is the gradient of one of them, if the gradient on the outputs of all others is 0.
    #[cold]
    fn one_by_one(&mut self, layers: &L) {
        let all: Batch<T, L::Out, Const<C>> = self.activations.dy.clone();
        let all = L::Out::flat::<T, Const<C>>(&all);
        for (sample, row) in self.rows.as_mut_slice().chunks_exact_mut(P.max(1)).enumerate() {
            let dy = L::Out::flat_mut::<T, Const<C>>(&mut self.activations.dy);
            for (i, (to, &dy)) in dy.iter_mut().zip(all).enumerate() {
                *to = if i.checked_div(L::Out::LEN) == Some(sample) { dy } else { T::zero() };
            }
            let this = Grad::<T, L, Tree>::set(layers, &mut self.places);
            let (x, activations) = (&self.x, &mut self.activations);
            kernel::run::<T, _>(VectorJacobian { x, activations, dx: None, this, forward: false });
            let mut row = row.iter_mut();
            self.places.visit(&Path::ROOT, &mut |leaf: Leaf<T>| {
                leaf.values.iter().zip(&mut row).for_each(|(&from, to)| *to = from);
            });
        }
    }
}

impl<T: Number, In: Flat, L: Layer<T, In>, const P: usize, const C: usize> ConstZeros
    for SampleGradients<T, In, L, P, C>
where
    SMatrix<T, P, C>: ConstZeros,
    Activations<T, In, L, Const<C>, ToTrain>: ConstZeros,
    In::Batch<T, Const<C>>: ConstZeros,
    L::Gradient: ConstZeros,
{
    const ZEROS: Self = {
        assert!(P == L::Gradient::COUNT, "P is not `Net::weight_count()`");
        SampleGradients {
            rows: ConstZeros::ZEROS,
            activations: ConstZeros::ZEROS,
            x: ConstZeros::ZEROS,
            places: ConstZeros::ZEROS,
        }
    };
}
