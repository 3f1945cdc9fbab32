//! The shape of images: channels, height and width as types, and a table of the output sizes of windows.

use crate::{
    kernel,
    shape::{AsBatch, BatchSize, Buffer, D1, Flat, Number, Shape},
    zeros::{ConstZeros, Zeros},
};
use core::fmt;
use core::marker::PhantomData;
use nalgebra::{Const, SVector};

/// A height or a width of `N` pixels, as a type. [`Image`] writes it for you.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Px<const N: usize>;

/// A number of pixels as a type, and arrays of that many. Other crates cannot implement it.
pub trait Extent: Copy + fmt::Debug + 'static {
    /// The number of pixels.
    const N: usize;
    /// `[X; N]`.
    type Array<X: Copy + Zeros>: Copy + Zeros;
    /// The elements of some arrays, one after the other.
    fn flat<X: Copy + Zeros>(arrays: &[Self::Array<X>]) -> &[X];
    /// The same, to write to.
    fn flat_mut<X: Copy + Zeros>(arrays: &mut [Self::Array<X>]) -> &mut [X];
}

impl<const N: usize> Extent for Px<N> {
    const N: usize = N;
    type Array<X: Copy + Zeros> = [X; N];

    #[inline(always)]
    fn flat<X: Copy + Zeros>(arrays: &[[X; N]]) -> &[X] {
        arrays.as_flattened()
    }

    #[inline(always)]
    fn flat_mut<X: Copy + Zeros>(arrays: &mut [[X; N]]) -> &mut [X] {
        arrays.as_flattened_mut()
    }
}

/// The heights and widths that images can have: `Px<1>` to `Px<512>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not in the table of heights and widths, which has 1 to 512 pixels",
    label = "not a height or width",
    note = "crop or scale the images; the table is the macro `sizes!` in chainrule's `image.rs`"
)]
pub trait Size: Extent {
    /// One pixel less; `Px<0>` is not in the table.
    type Less: Extent;
    /// One pixel more.
    type More: Extent;
    /// Half as many, rounded up.
    type Half: Size;
    /// A third, rounded up.
    type Third: Size;
    /// A quarter, rounded up.
    type Quarter: Size;
    /// The rows of places whose windows a convolution copies at the same time: 8, or half of fewer than 16.
    type Band: Extent;
}

/// The table: 32 sizes for each number.
macro_rules! sizes {
    ($($block:literal)*) => { $( sizes!(@each $block:
        1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32); )* };
    (@each $block:literal: $($n:literal)*) => { $(
        #[diagnostic::do_not_recommend]
        impl Size for Px<{ 32 * $block + $n }> {
            type Less = Px<{ 32 * $block + $n - 1 }>;
            type More = Px<{ 32 * $block + $n + 1 }>;
            type Half = Px<{ usize::div_ceil(32 * $block + $n, 2) }>;
            type Third = Px<{ usize::div_ceil(32 * $block + $n, 3) }>;
            type Quarter = Px<{ usize::div_ceil(32 * $block + $n, 4) }>;
            type Band = Px<{
                let rows = 32 * $block + $n;
                if cfg!(not(feature = "std")) { 1 } else if rows < 16 { usize::div_ceil(rows, 2) } else { 8 }
            }>;
        }
    )* };
}
sizes!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);

/// How many places a window of `K` pixels has: (N + 2P - D·(K - 1) - 1) / S + 1, rounded down.
#[diagnostic::on_unimplemented(
    message = "a window of {K} pixels (stride {S}, padding {P}, dilation {D}) does not fit on `{Self}`",
    label = "the window is larger than the padded image, or not in the table",
    note = "the table has windows of 1 to 11 pixels, strides of 1 to 4, paddings of 0 to 8, and dilations of \
            1 to 4 with windows up to 7"
)]
pub trait Window<const K: usize, const S: usize, const P: usize, const D: usize>: Size {
    /// The number of places.
    type Out: Size;
}

/// `BY` pixels less.
pub trait Minus<const BY: usize>: Size {
    #[doc(hidden)]
    type Out: Size;
}

/// `P` pixels more on both sides.
pub trait Padded<const P: usize>: Size {
    #[doc(hidden)]
    type Out: Size;
}

/// Every `S`th pixel, from the first on.
pub trait Strided<const S: usize>: Size {
    #[doc(hidden)]
    type Out: Size;
}

macro_rules! windows {
    (minus $($by:literal)*) => { $(
        #[diagnostic::do_not_recommend]
        impl<N: Minus<{ $by - 1 }>> Minus<$by> for N
        where
            <<N as Minus<{ $by - 1 }>>::Out as Size>::Less: Size,
        {
            type Out = <<N as Minus<{ $by - 1 }>>::Out as Size>::Less;
        }
    )* };
    (padded $($p:literal)*) => { $(
        #[diagnostic::do_not_recommend]
        impl<N: Padded<{ $p - 1 }>> Padded<$p> for N
        where
            <<N as Padded<{ $p - 1 }>>::Out as Size>::More: Size,
            <<<N as Padded<{ $p - 1 }>>::Out as Size>::More as Size>::More: Size,
        {
            type Out = <<<N as Padded<{ $p - 1 }>>::Out as Size>::More as Size>::More;
        }
    )* };
    (strided $($s:literal = $out:ident)*) => { $(
        impl<N: Size> Strided<$s> for N {
            type Out = N::$out;
        }
    )* };
    (dilated $($d:literal: $($k:literal)*;)*) => { $($(
        #[diagnostic::do_not_recommend]
        impl<N: Padded<P>, const S: usize, const P: usize> Window<$k, S, P, $d> for N
        where
            <N as Padded<P>>::Out: Minus<{ $d * ($k - 1) }>,
            <<N as Padded<P>>::Out as Minus<{ $d * ($k - 1) }>>::Out: Strided<S>,
        {
            type Out = <<<N as Padded<P>>::Out as Minus<{ $d * ($k - 1) }>>::Out as Strided<S>>::Out;
        }
    )*)* };
}

impl<N: Size> Minus<0> for N {
    type Out = N;
}
impl<N: Size> Padded<0> for N {
    type Out = N;
}
impl<N: Size> Strided<1> for N {
    type Out = N;
}
windows!(minus 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24);
windows!(padded 1 2 3 4 5 6 7 8);
windows!(strided 2 = Half 3 = Third 4 = Quarter);
windows!(dilated 1: 1 2 3 4 5 6 7 8 9 10 11; 2: 1 2 3 4 5 6 7; 3: 1 2 3 4 5 6 7; 4: 1 2 3 4 5 6 7;);

/// `C` channels of `H` rows of `W` pixels. Users write [`Image`]; a layer is generic over two [`Size`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Img<const C: usize, H, W>(PhantomData<(H, W)>);

/// The shape of images with `C` channels of `H`×`W` pixels: `Image<1, 28, 28>`.
///
/// A batch is [`Images`]. In memory it is the same as PyTorch's contiguous tensors of shape (batch, C, H, W).
pub type Image<const C: usize, const H: usize, const W: usize> = Img<C, Px<H>, Px<W>>;

/// The shape of signals with `C` channels of `L` numbers: an image of one row.
pub type Signal<const C: usize, const L: usize> = Img<C, Px<1>, Px<L>>;

/// Memory for one `X` per pixel of an image, as nested arrays, so that no size need be multiplied in a type.
pub trait Grid: Copy + fmt::Debug + 'static {
    /// Channels, height and width.
    const SIZE: [usize; 3];
    /// `[[[X; W]; H]; C]`.
    type Of<X: Copy + Zeros>: Copy + Zeros;
    /// All elements of some images.
    fn elements<X: Copy + Zeros>(images: &[Self::Of<X>]) -> &[X];
    /// The same, to write to.
    fn elements_mut<X: Copy + Zeros>(images: &mut [Self::Of<X>]) -> &mut [X];
}

impl<const C: usize, H: Extent, W: Extent> Grid for Img<C, H, W> {
    const SIZE: [usize; 3] = [C, H::N, W::N];
    type Of<X: Copy + Zeros> = [H::Array<W::Array<X>>; C];

    #[inline(always)]
    fn elements<X: Copy + Zeros>(images: &[Self::Of<X>]) -> &[X] {
        W::flat(H::flat(images.as_flattened()))
    }

    #[inline(always)]
    fn elements_mut<X: Copy + Zeros>(images: &mut [Self::Of<X>]) -> &mut [X] {
        W::flat_mut(H::flat_mut(images.as_flattened_mut()))
    }
}

/// The number of a pixel.
pub(crate) type Pixel<T> = SVector<T, 1>;

/// A batch of images of shape `S`: sample after sample, in each channel after channel, row after row.
///
/// ```
/// use chainrule::{Image, Images};
/// use nalgebra::Const;
///
/// let two = Images::<f32, Image<1, 2, 3>, _>::from([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]], [[[0.0; 3]; 2]]]);
/// assert_eq!(two.as_slice()[..4], [1.0, 2.0, 3.0, 4.0]);
///
/// let ramp = Images::<f64, Image<3, 8, 8>, _>::from_fn(Const::<4>, |sample, [channel, row, column]| {
///     (sample + channel + row + column) as f64
/// });
/// assert_eq!(ramp.as_slice().len(), 4 * 3 * 8 * 8);
/// ```
#[derive(Clone)]
pub struct Images<T: Number, S: Grid, B: BatchSize> {
    samples: B::Samples<S::Of<Pixel<T>>>,
    size: B,
}

impl<T: Number, S: Grid, B: BatchSize> Images<T, S, B> {
    /// A batch of `size` whose numbers are `f(sample, [channel, row, column])`.
    pub fn from_fn(size: B, mut f: impl FnMut(usize, [usize; 3]) -> T) -> Self {
        let mut images = Self::new(size);
        let [channels, height, width] = S::SIZE;
        let places = (0..size.value() * channels * height)
            .flat_map(|row| (0..width).map(move |column| (row, column)));
        for (to, (row, column)) in images.as_mut_slice().iter_mut().zip(places) {
            let (image, row) = (row / height.max(1), row % height.max(1));
            *to = f(image / channels.max(1), [image % channels.max(1), row, column]);
        }
        images
    }

    /// All numbers of the batch.
    #[inline(always)]
    pub fn as_slice(&self) -> &[T] {
        kernel::numbers(S::elements(self.samples.as_ref()))
    }

    /// All numbers of the batch, to write to.
    #[inline(always)]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        kernel::numbers_mut(S::elements_mut(self.samples.as_mut()))
    }
}

/// From `[sample][channel][row][column]`.
impl<T: Number, const C: usize, const H: usize, const W: usize, const B: usize>
    From<[[[[T; W]; H]; C]; B]> for Images<T, Image<C, H, W>, Const<B>>
{
    fn from(numbers: [[[[T; W]; H]; C]; B]) -> Self {
        let mut images = Self::new(Const);
        let numbers = numbers.as_flattened().as_flattened().as_flattened();
        images.as_mut_slice().iter_mut().zip(numbers).for_each(|(to, &from)| *to = from);
        images
    }
}

impl<T: Number, S: Grid, B: BatchSize> fmt::Debug for Images<T, S, B> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let [channels, height, width] = S::SIZE;
        write!(f, "{} images of {channels}×{height}×{width}: ", self.size.value())?;
        self.as_slice().fmt(f)
    }
}

impl<T: Number, S: Grid, B: BatchSize> Buffer<B> for Images<T, S, B> {
    #[inline]
    fn new(size: B) -> Self {
        Images { samples: size.samples(Zeros::zeros()), size }
    }
}

impl<T: Number, S: Grid, const B: usize> ConstZeros for Images<T, S, Const<B>>
where
    S::Of<Pixel<T>>: ConstZeros,
{
    const ZEROS: Self = Images { samples: [ConstZeros::ZEROS; B], size: Const };
}

impl<const C: usize, H: Extent, W: Extent> Shape for Img<C, H, W> {
    type Batch<T: Number, B: BatchSize> = Images<T, Self, B>;

    #[inline(always)]
    fn size<T: Number, B: BatchSize>(x: &Images<T, Self, B>) -> B {
        x.size
    }
}

/// A shape of N channels: an image, or a vector of N features. Each channel has `PLACES` numbers, one after the other.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not have {N} channels or features",
    label = "not of {N} channels"
)]
pub trait Channels<const N: usize>: Flat {
    /// The numbers of a channel of a sample.
    const PLACES: usize;
}

impl<const N: usize> Channels<N> for D1<N> {
    const PLACES: usize = 1;
}

impl<const C: usize, H: Extent, W: Extent> Channels<C> for Img<C, H, W> {
    const PLACES: usize = H::N * W::N;
}

impl<const C: usize, H: Extent, W: Extent> Flat for Img<C, H, W> {
    const LEN: usize = C * H::N * W::N;

    #[inline(always)]
    fn flat<T: Number, B: BatchSize>(x: &Images<T, Self, B>) -> &[T] {
        x.as_slice()
    }

    #[inline(always)]
    fn flat_mut<T: Number, B: BatchSize>(x: &mut Images<T, Self, B>) -> &mut [T] {
        x.as_mut_slice()
    }
}

#[diagnostic::do_not_recommend]
impl<T: Number, const C: usize, H: Extent, W: Extent, B: BatchSize> AsBatch<T, Img<C, H, W>>
    for Images<T, Img<C, H, W>, B>
{
    type Size = B;

    #[inline(always)]
    fn as_batch(&self) -> &Self {
        self
    }
}
