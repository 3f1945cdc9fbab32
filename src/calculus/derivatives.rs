//! Derivatives of a net with respect to its inputs and to its parameters.

use super::{jet::Jet, per_sample::SampleGradients};
use crate::{
    grad::{Grad, Nowhere},
    kernel::{self, Work},
    layer::Layer,
    network::Network,
    pass::Pass,
    shape::{BatchSize, Columns, D1, Number, ToTrain, nan},
    step::Activations,
};
use nalgebra::{Const, SMatrix, SVector};
use num_traits::Zero;

impl<T: Number, L, E, const I: usize> Network<T, D1<I>, L, E> {
    /// The outputs for one sample and their Jacobian: a row for each output, a column for each input. One forward
    /// pass and one backward pass for each output.
    ///
    /// ```
    /// use chainrule::{Affine, D1, Network, SumSquaredError, Tanh};
    /// use nalgebra::{Matrix2, Vector2};
    ///
    /// let layers = (Affine::new(Matrix2::new(1.0, 2.0, 3.0, 4.0), Vector2::zeros()), Tanh);
    /// let net = Network::<f64, D1<2>, _, _>::new(layers, SumSquaredError);
    /// let (y, jacobian) = net.jacobian(&Vector2::zeros());
    /// assert_eq!((y, jacobian), (Vector2::zeros(), Matrix2::new(1.0, 2.0, 3.0, 4.0)));
    /// ```
    #[doc(alias("jacrev", "jacfwd"))]
    pub fn jacobian<const O: usize>(&self, x: &SVector<T, I>) -> (SVector<T, O>, SMatrix<T, O, I>)
    where
        L: Layer<T, D1<I>, Out = D1<O>>,
    {
        let (y, [jacobian]) = self.jacobians(x);
        (y, jacobian)
    }

    /// [`jacobian`](Self::jacobian) for each sample of a batch: an array of matrices, or for `Dyn` a `Vec`.
    pub fn jacobians<B: BatchSize, const O: usize>(
        &self,
        x: &Columns<T, I, B>,
    ) -> (Columns<T, O, B>, B::Samples<SMatrix<T, O, I>>)
    where
        L: Layer<T, D1<I>, Out = D1<O>>,
    {
        kernel::run::<T, _>(Jacobians::<T, L, B, I, O> { layers: &self.layers, x })
    }

    /// The rows of the [`jacobian`](Self::jacobian), one at a time, for nets with many outputs.
    pub fn jacobian_rows<const O: usize>(
        &self,
        x: &SVector<T, I>,
    ) -> impl Iterator<Item = SVector<T, I>>
    where
        L: Layer<T, D1<I>, Out = D1<O>>,
    {
        let mut activations = Activations::new(Const);
        activations.forward(&self.layers, x, &mut Pass::Predict);
        (0..O).map(move |output| {
            let mut dx = SVector::zeros();
            seed(&mut activations, output);
            activations.backward::<Nowhere>(Grad::nowhere(&self.layers), x, Some(&mut dx));
            dx
        })
    }

    /// The Jacobian-vector product: the outputs for each sample, and their change if the inputs change along `v`.
    /// It takes one backward pass for each output.
    pub fn jvp<B: BatchSize, const O: usize>(
        &self,
        x: &Columns<T, I, B>,
        v: &Columns<T, I, B>,
    ) -> (Columns<T, O, B>, Columns<T, O, B>)
    where
        L: Layer<T, D1<I>, Out = D1<O>>,
    {
        let (y, jacobians) = self.jacobians(x);
        let mut along = y.clone();
        let columns = along.as_mut_slice().chunks_exact_mut(O.max(1));
        let v = v.as_slice().chunks_exact(I.max(1)).map(Some).chain(core::iter::repeat(None));
        for ((to, jacobian), v) in columns.zip(jacobians.as_ref()).zip(v) {
            for (to, row) in to.iter_mut().zip(jacobian.row_iter()) {
                let along =
                    |v: &[T]| row.iter().zip(v).fold(T::zero(), |sum, (&j, &v)| sum + j * v);
                *to = v.map_or(nan(), along);
            }
        }
        (y, along)
    }

    /// The gradient of one output with respect to the inputs, and its Hessian. One forward and one backward pass over
    /// [`Jet`]s with a derivative for each input. Both are NaN if there is no such output.
    ///
    /// It builds the net over jets on the stack, 1 + `I` times as large.
    ///
    /// ```
    /// use chainrule::{Affine, D1, Network, SumSquaredError, Tanh};
    /// use nalgebra::{Matrix1, Matrix1x2, Matrix2, Vector2};
    ///
    /// // tanh u with u = x₀ + 2·x₁ at u = 0.5: its second derivative is -2·tanh u·(1 - tanh² u).
    /// let layers = (Affine::new(Matrix1x2::new(1.0, 2.0), Matrix1::new(0.0)), Tanh);
    /// let net = Network::<f64, D1<2>, _, _>::new(layers, SumSquaredError);
    /// let (gradient, hessian) = net.hessian(&Vector2::new(0.5, 0.0), 0);
    /// let y = 0.5f64.tanh();
    /// let second = -2.0 * y * (1.0 - y * y);
    /// assert!((hessian - second * Matrix2::new(1.0, 2.0, 2.0, 4.0)).amax() < 1e-15);
    /// ```
    pub fn hessian<const O: usize>(
        &self,
        x: &SVector<T, I>,
        output: usize,
    ) -> (SVector<T, I>, SMatrix<T, I, I>)
    where
        L: Layer<T, D1<I>, Out = D1<O>>,
        L::With<Jet<T, I>>: Layer<Jet<T, I>, D1<I>, Out = D1<O>>,
    {
        let (gradient, [hessian]) = self.hessians(x, output);
        (gradient, hessian)
    }

    /// [`hessian`](Self::hessian) for each sample of a batch.
    pub fn hessians<B: BatchSize, const O: usize>(
        &self,
        x: &Columns<T, I, B>,
        output: usize,
    ) -> (Columns<T, I, B>, B::Samples<SMatrix<T, I, I>>)
    where
        L: Layer<T, D1<I>, Out = D1<O>>,
        L::With<Jet<T, I>>: Layer<Jet<T, I>, D1<I>, Out = D1<O>>,
    {
        let size = x.shape_generic().1;
        let mut jets = size.columns::<Jet<T, I>, I>();
        for (mut jets, x) in jets.column_iter_mut().zip(x.column_iter()) {
            for (i, (jet, &x)) in jets.iter_mut().zip(&x).enumerate() {
                let slope = |k| if k == i { T::one() } else { T::zero() };
                *jet = Jet::along(x, core::array::from_fn(slope));
            }
        }
        let dx = self.gradient_over_jets(&jets, output);
        let mut gradient = size.columns::<T, I>();
        let mut hessians = size.samples(SMatrix::<T, I, I>::zeros());
        let parts = gradient.column_iter_mut().zip(hessians.as_mut());
        for ((mut gradient, hessian), dx) in parts.zip(dx.column_iter()) {
            let columns = hessian.column_iter_mut().zip(&mut gradient);
            for ((mut column, gradient), dx) in columns.zip(&dx) {
                *gradient = dx.value;
                column.iter_mut().zip(dx.slopes).for_each(|(to, slope)| *to = slope);
            }
        }
        (gradient, hessians)
    }

    /// For each sample: the product of the Hessian of one output, with respect to the inputs, with `v`. The Hessian itself
    /// is not computed. NaN if there is no such output.
    pub fn hessian_vector_product<B: BatchSize, const O: usize>(
        &self,
        x: &Columns<T, I, B>,
        v: &Columns<T, I, B>,
        output: usize,
    ) -> Columns<T, I, B>
    where
        L: Layer<T, D1<I>, Out = D1<O>>,
        L::With<Jet<T, 1>>: Layer<Jet<T, 1>, D1<I>, Out = D1<O>>,
    {
        let mut jets = x.shape_generic().1.columns::<Jet<T, 1>, I>();
        let v = v.iter().copied().chain(core::iter::repeat(nan()));
        for ((jet, &x), v) in jets.iter_mut().zip(x.iter()).zip(v) {
            *jet = Jet::along(x, [v]);
        }
        let dx = self.gradient_over_jets(&jets, output);
        let mut product = x.clone();
        for (to, dx) in product.iter_mut().zip(dx.iter()) {
            let [slope] = dx.slopes;
            *to = slope;
        }
        product
    }

    /// The gradient of one output of each sample with respect to the inputs, in jets.
    fn gradient_over_jets<B: BatchSize, const O: usize, const K: usize>(
        &self,
        x: &Columns<Jet<T, K>, I, B>,
        output: usize,
    ) -> Columns<Jet<T, K>, I, B>
    where
        L: Layer<T, D1<I>, Out = D1<O>>,
        L::With<Jet<T, K>>: Layer<Jet<T, K>, D1<I>, Out = D1<O>>,
    {
        let work = GradientOverJets::<T, L, B, I, O, K> { layers: &self.layers, x, output };
        // By the scalar inside the jets, so that the loops use the CPU's instructions for it.
        kernel::run::<T, _>(work)
    }

    /// For each sample of a batch the gradient of each output with respect to the trained weights: a column for
    /// each output. `P` is [`weight_count`](Network::weight_count).
    #[doc(alias("per_sample_gradient"))]
    pub fn parameter_jacobian<B: BatchSize, const P: usize, const O: usize>(
        &self,
        x: &Columns<T, I, B>,
    ) -> B::Samples<SMatrix<T, P, O>>
    where
        L: Layer<T, D1<I>, Out = D1<O>>,
    {
        let mut memory = SampleGradients::<T, D1<I>, L, P, 1>::new();
        let mut jacobians = x.shape_generic().1.samples(SMatrix::<T, P, O>::zeros());
        for (x, jacobian) in x.column_iter().zip(jacobians.as_mut()) {
            memory.forward(&self.layers, x.iter().copied());
            for (output, mut column) in jacobian.column_iter_mut().enumerate() {
                let row = memory.rows_of(&self.layers, output);
                column.iter_mut().zip(row).for_each(|(to, &from)| *to = from);
            }
        }
        jacobians
    }
}

/// All inlined, so that a net of constant sizes is compiled as one function.
struct Jacobians<'a, T: Number, L, B: BatchSize, const I: usize, const O: usize> {
    layers: &'a L,
    x: &'a Columns<T, I, B>,
}

impl<T: Number, L, B: BatchSize, const I: usize, const O: usize> Work
    for Jacobians<'_, T, L, B, I, O>
where
    L: Layer<T, D1<I>, Out = D1<O>>,
{
    type Output = (Columns<T, O, B>, B::Samples<SMatrix<T, O, I>>);

    #[inline(always)]
    fn run(self) -> Self::Output {
        let (layers, x, size) = (self.layers, self.x, self.x.shape_generic().1);
        let mut activations = Activations::<T, D1<I>, L, B, ToTrain>::new(size);
        let (mut dx, mut jacobians) =
            (size.columns::<T, I>(), size.samples(SMatrix::<T, O, I>::zeros()));
        activations.forward(layers, x, &mut Pass::Predict);
        for output in 0..O {
            seed(&mut activations, output);
            activations.backward::<Nowhere>(Grad::nowhere(layers), x, Some(&mut dx));
            for (jacobian, dx) in jacobians.as_mut().iter_mut().zip(dx.column_iter()) {
                jacobian.row_mut(output).tr_copy_from(&dx);
            }
        }
        (activations.y, jacobians)
    }
}

/// All inlined, too.
struct GradientOverJets<
    'a,
    T: Number,
    L,
    B: BatchSize,
    const I: usize,
    const O: usize,
    const K: usize,
> {
    layers: &'a L,
    x: &'a Columns<Jet<T, K>, I, B>,
    output: usize,
}

impl<T: Number, L, B: BatchSize, const I: usize, const O: usize, const K: usize> Work
    for GradientOverJets<'_, T, L, B, I, O, K>
where
    L: Layer<T, D1<I>, Out = D1<O>>,
    L::With<Jet<T, K>>: Layer<Jet<T, K>, D1<I>, Out = D1<O>>,
{
    type Output = Columns<Jet<T, K>, I, B>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        let layers = self.layers.map_scalar(&mut |w| Jet::from(w));
        let size = self.x.shape_generic().1;
        let (mut activations, mut dx) = (Activations::new(size), size.columns());
        activations.forward(&layers, self.x, &mut Pass::Predict);
        seed(&mut activations, self.output);
        let this = Grad::<_, _, Nowhere>::nowhere(&layers);
        activations.backward(this, self.x, Some(&mut dx));
        if self.output >= O {
            dx.fill(Jet::from(nan::<T>()) / Jet::zero());
        }
        dx
    }
}

/// Sets the gradient on the outputs to 1 for one output of each sample.
#[inline(always)]
fn seed<T: Number, L, B: BatchSize, const I: usize, const O: usize>(
    activations: &mut Activations<T, D1<I>, L, B, ToTrain>,
    output: usize,
) where
    L: Layer<T, D1<I>, Out = D1<O>>,
{
    for dy in activations.dy.as_mut_slice().chunks_exact_mut(O.max(1)) {
        for (o, dy) in dy.iter_mut().enumerate() {
            *dy = if o == output { T::one() } else { T::zero() };
        }
    }
}
