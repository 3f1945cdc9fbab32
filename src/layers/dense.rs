//! The fully connected layer on images.
#![allow(unsafe_code)] // of `parameters!`, whose unsafe part is in `kernel::place`

use crate::{
    Backward, BatchSize, ConstZeros, D1, Destination, Filters, Forward, Grad, Grid, Images, Img,
    Layer, Number, Purpose, Size, export::Export, kernel, part,
};
use nalgebra::SVector;
use num_traits::ConstZero;

/// y = W·x + b, where x is all numbers of an image: [`Affine`](crate::Affine) on images.
///
/// `Dense<f32, Image<30, 12, 12>, 100>` names its input, because the compiler cannot compute 30·12·12 in a type. If the
/// layer before has another output, the net does not compile.
///
/// # Shapes
/// From `Image<C, H, W>` to `D1<O>`. W is O×(C·H·W), where the columns are channel after channel, row after row. So it
/// is the weight of PyTorch's `Linear` after `Flatten`; b has O entries.
///
/// A NaN in the input makes all outputs of that sample NaN.
///
/// ```
/// use chainrule::{Dense, Image, Images, Network, SumSquaredError, Zeros};
///
/// let mut dense = Dense::<f64, Image<1, 1, 3>, 2>::zeros();
/// // A column for each pixel.
/// dense.weight.as_mut_slice().copy_from_slice(&[1.0, 0.0, 1.0, 0.0, 1.0, 2.0]);
/// let net = Network::<f64, Image<1, 1, 3>, _, _>::new(dense, SumSquaredError);
/// assert_eq!(net.predict(&Images::from([[[[10.0, 20.0, 30.0]]]])).as_slice(), [60.0, 60.0]);
/// ```
#[doc(alias("Linear"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dense<T: Number, S: Grid, const O: usize> {
    /// W: one row per output.
    pub weight: Filters<T, S, O>,
    /// b.
    pub bias: SVector<T, O>,
}

// As `parameters!(Dense<T: scalar, S: Grid, const O: usize> { weight, bias })`, but with bounds on the memory of the
// image for `ConstZeros` and `Export`.
parameters!(@fields Dense T
    [T: Number, S: Grid, const O: usize,] [T: Number, S: Grid, const O: usize,]
    [T: Number + ConstZero, S: Grid<Of<SVector<T, O>>: ConstZeros>, const O: usize,] []
    (Dense<T, S, O>) (Dense<OtherScalar, S, O>) (Dense<T, S, O>) [] [] weight: [O, Filters::<T, S, O>::TAPS], bias);
parameters!(@export Dense
    [T: Number + Export, S: Grid<Of<SVector<T, O>>: Export> + Export, const O: usize,]
    (Dense<T, S, O>) [&crate::export::Source::<T>(None), &crate::export::Source::<S>(None), &O,] [] weight, bias);

impl<T: Number, const C: usize, H: Size, W: Size, const O: usize> Layer<T, Img<C, H, W>>
    for Dense<T, Img<C, H, W>, O>
{
    type Out = D1<O>;
    type Cache<B: BatchSize, P: Purpose> = ();
    type Scratch = ();

    #[inline(always)]
    fn forward<B: BatchSize, P: Purpose>(&self, at: Forward<T, Img<C, H, W>, Self, B, P>) {
        let (w, b, inputs) = (self.weight.as_slice(), self.bias.as_slice(), C * H::N * W::N);
        kernel::affine(inputs, w, b, at.x.as_slice(), at.y.as_mut_slice());
    }

    #[inline(always)]
    fn backward<B: BatchSize, D: Destination<T>>(
        mut this: Grad<T, Self, D>,
        at: Backward<T, Img<C, H, W>, Self, B>,
    ) {
        let (x, dy) = (at.x.as_slice(), at.dy.as_slice());
        if let Some(dx) = at.dx.map(Images::as_mut_slice) {
            kernel::product_tn((O, C * H::N * W::N), this.weight.as_slice(), dy, dx);
        }
        part!(this.weight).product(dy, x);
        part!(this.bias).sum(dy);
    }
}
