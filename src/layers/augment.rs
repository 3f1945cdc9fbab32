//! Random shifts and reflections of images in training.
#![allow(unsafe_code)] // of `parameters!`, whose unsafe part is in `kernel::place`

use crate::{Img, Size};
use rand::{Rng, SeedableRng, rngs::Xoshiro128PlusPlus};

/// In training it moves each image by up to `shift` pixels up or down and left or right, and mirrors it with
/// probability ½ if `flip` is true. In a prediction it does nothing.
///
/// y(·, r, q) = x(·, r - down, q - right), where x is zero outside of the image; dx takes dy back to where it came from.
/// (Chapter 8.1.2; PyTorch's transforms `RandomCrop` with a padding, and `RandomHorizontalFlip`.)
///
/// As the first layer of a net it makes new images from those of a data set in each step. It keeps no images: the cache
/// is the seed, and the backward pass draws the same numbers again. All randomness comes from the
/// [`Pass`](crate::Pass).
///
/// # Shapes
/// From `Image<C, H, W>` to the same shape. A NaN moves with its image.
///
/// After [`Network::init`](crate::Network::init) `shift` is 0 and `flip` false; set the layer then.
///
/// ```
/// use chainrule::{Augment, Dense, Image, Network, SoftmaxCrossEntropy};
/// use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
///
/// type Layers = (Augment, Dense<f32, Image<1, 8, 8>, 10>);
/// type Net = Network<f32, Image<1, 8, 8>, Layers, SoftmaxCrossEntropy>;
/// let mut net = Net::init(&mut Xoshiro128PlusPlus::seed_from_u64(0));
/// net.layers.0 = Augment { shift: 1, flip: false };
/// ```
#[doc(alias("RandomCrop", "RandomHorizontalFlip"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Augment {
    /// The largest shift in pixels.
    pub shift: u8,
    /// Whether to mirror images.
    pub flip: bool,
}

parameters!(Augment { keep shift, keep flip });

impl Augment {
    /// Calls `f` for each number of a batch of images: with its index in the output, and in the input if it is inside.
    #[inline(always)]
    fn each(
        self,
        seed: Option<u64>,
        [numbers, channels, height, width]: [usize; 4],
        mut f: impl FnMut(usize, Option<usize>),
    ) {
        let mut rng = seed.map(Xoshiro128PlusPlus::seed_from_u64);
        let samples = numbers.checked_div(channels * height * width).unwrap_or(0);
        let mut rows = 0..samples * channels * height;
        for _ in 0..samples {
            let most = usize::from(self.shift);
            // From 0 to 2·most, so that no number is negative.
            let mut draw = |count: usize| match &mut rng {
                Some(rng) => ((u64::from(rng.next_u32()) * count as u64) >> 32) as usize,
                None => count / 2,
            };
            let (down, right) = (draw(2 * most + 1), draw(2 * most + 1));
            let flip = self.flip && draw(2) == 0;
            for _ in 0..channels {
                for (y, row) in (0..height).zip(&mut rows) {
                    let from = (y + most).checked_sub(down).filter(|&from| from < height);
                    let first = from.map(|from| (row - y + from) * width);
                    for x in 0..width {
                        let from = (x + most).checked_sub(right).filter(|&from| from < width);
                        let from = from.map(|from| if flip { width - 1 - from } else { from });
                        f(row * width + x, first.zip(from).map(|(first, from)| first + from));
                    }
                }
            }
        }
    }
}

function!([const C: usize, H: Size, W: Size] Augment, Img<C, H, W> => Img<C, H, W>, None,
(this, seed, x, y, dy, dx)
this.each(seed, [x.len(), C, H::N, W::N], |to, from| {
    let number = from.and_then(|from| x.get(from).copied()).unwrap_or_else(T::zero);
    y.get_mut(to).into_iter().for_each(|y| *y = number);
}),
{
    dx.fill(T::zero());
    this.each(seed, [x.len(), C, H::N, W::N], |to, from| {
        let dx = from.and_then(|from| dx.get_mut(from));
        dx.into_iter().zip(dy.get(to)).for_each(|(dx, &dy)| *dx = dy);
    });
});
