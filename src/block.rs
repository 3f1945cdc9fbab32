//! Some samples of a batch, which go through several layers before the next ones do.

use crate::shape::{BatchSize, Flat, Number, nan};
use core::ops::Range;

/// Some samples of a batch of `size` samples, and the places in a layer's input and output where they are read and
/// written.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Block {
    size: usize,
    samples: Range<usize>,
    from: Range<usize>,
    to: Range<usize>,
}

impl Block {
    /// How many samples go through the layers together if one sample takes this number of bytes. Few enough for the
    /// second-level cache, and enough to be worth a call.
    pub const fn most(bytes: usize) -> usize {
        let some = (16 * 1024) / if bytes > 0 { bytes } else { 1 };
        if some > 2 { some } else { 2 }
    }

    /// The next `most` samples, from `first` on.
    #[inline(always)]
    pub fn from(first: usize, size: usize, most: usize) -> Self {
        let samples = first..size.min(first + most);
        Block { size, samples: samples.clone(), from: samples.clone(), to: samples }
    }

    /// Moves to the next layer. With `shared`, each block writes its result to the same place, because only the layer
    /// after it reads it.
    #[inline(always)]
    pub fn next(&mut self, shared: bool) {
        let to = if shared { 0..self.samples.len() } else { self.samples.clone() };
        self.from = core::mem::replace(&mut self.to, to);
    }

    /// Input and output. All outputs are NaN if the batches are not of the same size.
    #[inline(always)]
    pub(crate) fn forward<'a, T: Number, S: Flat, O: Flat, B: BatchSize>(
        &self,
        x: &'a S::Batch<T, B>,
        y: &'a mut O::Batch<T, B>,
    ) -> (&'a [T], &'a mut [T]) {
        let (x, y) = (S::flat::<T, B>(x), O::flat_mut::<T, B>(y));
        if (x.len(), y.len()) != (self.size * S::LEN, self.size * O::LEN) {
            y.fill(nan());
            return Default::default();
        }
        let [from, to] = [Self::numbers::<S>(&self.from), Self::numbers::<O>(&self.to)];
        (x.get(from).unwrap_or_default(), y.get_mut(to).unwrap_or_default())
    }

    #[inline(always)]
    fn numbers<S: Flat>(samples: &Range<usize>) -> Range<usize> {
        samples.start * S::LEN..samples.end * S::LEN
    }
}
