//! Layers on images: gradients, PyTorch's numbers, memory.

use chainrule::{gradcheck::GradCheck, *};
use nalgebra::{Const, Dyn, SVector};
use std::collections::HashMap;

gradcheck_layer!(conv<T>: Conv2d<T, 2, 3, 3>, Image<2, 5, 4>);
gradcheck_layer!(conv_stride_padding_dilation<T>: Conv2d<T, 1, 2, 3, 2, 2, 2>, Image<1, 5, 6>);
gradcheck_layer!(depthwise<T>: DepthwiseConv2d<T, 3, 2>, Image<3, 4, 3>);
gradcheck_layer!(max_pool<T>: MaxPool2d<2>, Image<2, 4, 6>);
gradcheck_layer!(max_pool_overlapping<T>: MaxPool2d<3, 2, 1>, Image<1, 5, 6>);
gradcheck_layer!(avg_pool_overlapping<T>: AvgPool2d<3, 2, 1>, Image<1, 5, 6>);
gradcheck_layer!(global_avg_pool<T>: GlobalAvgPool2d, Image<2, 3, 4>);
gradcheck_layer!(augment<T>: Augment, Image<2, 3, 4>, GradCheck::new().pass(Pass::train(1, 2, 3)),
    start: Augment { shift: 1, flip: true });
gradcheck_layer!(batch_norm<T>: BatchNorm<T, 2>, Image<2, 3, 2>,
    GradCheck::new().pass(Pass::train(1, 2, 3)).per_sample(false), start: BatchNorm::default());
gradcheck_layer!(batch_norm_predicts<T>: BatchNorm<T, 2>, Image<2, 3, 2>, GradCheck::new(), start: BatchNorm::default());
gradcheck_layer!(dropout_2d<T>: Dropout2d, Image<3, 2, 2>, GradCheck::new().pass(Pass::train(1, 2, 3)));
gradcheck_layer!(dense<T>: Dense<T, Image<2, 3, 2>, 3>, Image<2, 3, 2>);

/// The arrays of one case of the goldens, by name.
fn golden(case: &str) -> HashMap<String, Vec<f64>> {
    let lines = include_str!("goldens/images.txt").lines();
    let arrays = lines.filter_map(|line| {
        let (of, rest) = line.split_once(' ')?;
        let (name, numbers) = rest.split_once(' ')?;
        let numbers = numbers.split(' ').map(|n| n.parse().unwrap()).collect();
        (of == case).then(|| (name.to_string(), numbers))
    });
    let arrays: HashMap<_, _> = arrays.collect();
    assert!(!arrays.is_empty(), "no golden of {case}");
    arrays
}

/// Sums of at most 100 products below 100, in any order: 100·100·100 roundings of 1.1e-16 are 1.1e-10 of the sum of the
/// sizes; 1e-12 is far less, and what the crate promises.
const TOLERANCE: f64 = 1e-12;

fn assert_close(case: &str, name: &str, found: &[f64], golden: &[f64]) {
    assert_eq!(found.len(), golden.len(), "{case} {name}");
    for (i, (&found, &golden)) in found.iter().zip(golden).enumerate() {
        let near = (found - golden).abs() <= TOLERANCE * golden.abs().max(1.0);
        assert!(near, "{case} {name} {i}: {found:e} is not {golden:e}");
    }
}

/// Output and gradients of a layer equal those of PyTorch.
fn parity<const C: usize, H: Size, W: Size, L>(
    case: &str,
    layer: &L,
    pass: &mut Pass,
    gradient: impl Fn(&L::Gradient) -> [Vec<f64>; 2],
) where
    L: Layer<f64, Img<C, H, W>>,
    L::Out: Flat,
{
    let arrays = golden(case);
    let mut x = Buffer::new(Dyn(arrays["x"].len() / (C * H::N * W::N)));
    Images::as_mut_slice(&mut x).copy_from_slice(&arrays["x"]);
    let mut pass = Trace::<f64, Img<C, H, W>, L, Dyn>::new(layer, &x, pass);
    assert_close(case, "y", L::Out::flat::<f64, Dyn>(&pass.y), &arrays["y"]);
    let mut dy = pass.y.clone();
    L::Out::flat_mut::<f64, Dyn>(&mut dy).copy_from_slice(&arrays["dy"]);
    let (dx, tree) = pass.backward(&dy);
    assert_close(case, "dx", dx.as_slice(), &arrays["dx"]);
    for (name, found) in ["dw", "db"].into_iter().zip(gradient(&tree)) {
        assert_close(case, name, &found, arrays.get(name).map_or(&[], |numbers| numbers));
    }
}

/// The numbers of a weight in PyTorch's order.
fn torch<S: Grid, const O: usize>(filters: &Filters<f64, S, O>) -> Vec<f64> {
    (0..O).flat_map(|filter| filters.filter(filter)).collect()
}

fn filters<S: Grid, const O: usize>(case: &str) -> (Filters<f64, S, O>, SVector<f64, O>) {
    let arrays = golden(case);
    (Filters::from_torch(&arrays["w"]).unwrap(), SVector::from_column_slice(&arrays["b"]))
}

fn conv<
    const C: usize,
    const O: usize,
    const K: usize,
    const S: usize,
    const P: usize,
    const D: usize,
    H,
    W,
>(
    case: &str,
) where
    H: Window<K, S, P, D>,
    W: Window<K, S, P, D>,
{
    let (weight, bias) = filters(case);
    let layer = Conv2d::<f64, C, O, K, S, P, D> { weight, bias };
    parity::<C, H, W, _>(case, &layer, &mut Pass::Predict, |tree| {
        [torch(&tree.weight), tree.bias.as_slice().to_vec()]
    });
}

#[test]
fn pytorch_parity() {
    let predict = &mut Pass::Predict;
    conv::<2, 3, 3, 1, 0, 1, Px<6>, Px<5>>("conv");
    conv::<2, 3, 3, 2, 1, 1, Px<5>, Px<6>>("conv-stride-padding");
    conv::<3, 2, 3, 1, 2, 2, Px<7>, Px<6>>("conv-dilation");
    conv::<1, 2, 2, 3, 0, 1, Px<7>, Px<8>>("conv-leaves-pixels");
    let (weight, bias) = filters("depthwise");
    let layer = DepthwiseConv2d::<f64, 3, 3, 2, 1> { weight, bias };
    parity::<3, Px<6>, Px<5>, _>("depthwise", &layer, predict, |tree| {
        [torch(&tree.weight), tree.bias.as_slice().to_vec()]
    });
    let (weight, bias) = filters("conv1d");
    let layer = Conv1d::<f64, 2, 3, 4, 2, 1, 2> { weight, bias };
    parity::<2, Px<1>, Px<11>, _>("conv1d", &layer, predict, |tree| {
        [torch(&tree.weight), tree.bias.as_slice().to_vec()]
    });
    parity::<2, Px<6>, Px<7>, _>("max-2", &MaxPool2d::<2>, predict, |()| [vec![], vec![]]);
    parity::<2, Px<6>, Px<7>, _>("max-3-2-1", &MaxPool2d::<3, 2, 1>, predict, |()| {
        [vec![], vec![]]
    });
    parity::<2, Px<6>, Px<7>, _>("avg-2", &AvgPool2d::<2>, predict, |()| [vec![], vec![]]);
    parity::<2, Px<6>, Px<7>, _>("avg-3-2-1", &AvgPool2d::<3, 2, 1>, predict, |()| {
        [vec![], vec![]]
    });
    parity::<2, Px<3>, Px<4>, _>("global", &GlobalAvgPool2d, predict, |()| [vec![], vec![]]);
    let (weight, bias) = filters("dense");
    let dense = Dense::<f64, Image<2, 3, 4>, 5> { weight, bias };
    parity::<2, Px<3>, Px<4>, _>("dense", &dense, predict, |tree| {
        [torch(&tree.weight), tree.bias.as_slice().to_vec()]
    });
    for (case, mut pass) in
        [("batch-norm", Pass::train(0, 0, 0)), ("batch-norm-predicts", Pass::Predict)]
    {
        let arrays = golden(case);
        let vector = |name: &str| SVector::<f64, 2>::from_column_slice(&arrays[name]);
        let (weight, bias) = (vector("w"), vector("b"));
        let mut norm = BatchNorm { weight, bias, ..BatchNorm::default() };
        if matches!(pass, Pass::Predict) {
            (norm.running_mean, norm.running_var) =
                (Statistic(vector("mean")), Statistic(vector("var")));
        }
        parity::<2, Px<3>, Px<4>, _>(case, &norm, &mut pass, |step| {
            for (name, from, step) in [
                ("mean", norm.running_mean, step.running_mean),
                ("var", norm.running_var, step.running_var),
            ] {
                assert_close(case, name, (from.0 + step.0).as_slice(), &arrays[name]);
            }
            [step.weight, step.bias].map(|vector| vector.as_slice().to_vec())
        });
    }
}

/// In training each image is one of the moved and mirrored images, and all of these occur. A prediction changes
/// nothing.
#[test]
fn augmentation_moves_and_mirrors() {
    type In = Image<1, 3, 4>;
    let number = |row: usize, column: usize| (10 * row + column + 1) as f32;
    let x = Images::<f32, In, _>::from_fn(Dyn(500), |_, [_, row, column]| number(row, column));
    let layer = Augment { shift: 1, flip: true };
    let mut all = vec![];
    for flip in [false, true] {
        for down in 0..3 {
            for right in 0..3 {
                let moved = |i: usize| {
                    let (row, column) =
                        ((i / 4 + 1).checked_sub(down)?, (i % 4 + 1).checked_sub(right)?);
                    (row < 3 && column < 4)
                        .then(|| number(row, if flip { 3 - column } else { column }))
                };
                all.push((0..12).map(|i| moved(i).unwrap_or(0.0)).collect::<Vec<_>>());
            }
        }
    }
    let pass = Trace::<f32, In, _, _>::new(&layer, &x, &mut Pass::train(5, 0, 0));
    let found: Vec<_> = pass.y.as_slice().chunks(12).collect();
    assert!(found.iter().all(|image| all.iter().any(|of| of == image)));
    assert!(all.iter().all(|image| found.contains(&&image[..])));
    let pass = Trace::<f32, In, _, _>::new(&layer, &x, &mut Pass::Predict);
    assert_eq!(pass.y.as_slice(), x.as_slice());
}

/// Channels of a sample are dropped whole, each on its own, and what stays is scaled; a prediction changes nothing.
#[test]
fn whole_channels_are_dropped() {
    type In = Image<100, 2, 3>;
    let x = Images::<f32, In, _>::from_fn(Dyn(20), |_, [_, row, column]| (1 + row + column) as f32);
    let layer = Dropout2d { rate: Some(0.25) };
    let pass = Trace::<f32, In, _, _>::new(&layer, &x, &mut Pass::train(5, 0, 0));
    let kept = pass.y.as_slice().chunks(6).zip(x.as_slice().chunks(6)).filter(|(y, x)| {
        let factor = y[0] / x[0];
        assert!(y.iter().zip(*x).all(|(&y, &x)| y == factor * x), "{y:?} of {x:?}");
        assert!(factor == 0.0 || factor == 1.0 / 0.75, "{factor}");
        factor > 0.0
    });
    // 1500 of 2000, within four standard deviations of 19.
    assert!((1424..=1576).contains(&kept.count()));
    let pass = Trace::<f32, In, _, _>::new(&layer, &x, &mut Pass::Predict);
    assert_eq!(pass.y.as_slice(), x.as_slice());
}

#[test]
fn weights_have_the_shapes_of_pytorch() {
    fn dims<L: Parameters<f32> + Zeros>() -> Vec<usize> {
        let mut dims = Vec::new();
        L::zeros().visit(&Path::ROOT, &mut |leaf: Leaf<f32>| dims.extend(leaf.dims));
        dims
    }
    assert_eq!(dims::<Conv2d<f32, 3, 7, 5>>(), [7, 3, 5, 5, 7]);
    assert_eq!(dims::<DepthwiseConv2d<f32, 3, 5>>(), [3, 1, 5, 5, 3]);
    assert_eq!(dims::<Conv1d<f32, 3, 7, 5>>(), [7, 3, 5, 7]);
    assert_eq!(dims::<Dense<f32, Image<3, 5, 4>, 7>>(), [7, 60, 7]);
    assert!(Filters::<f32, Image<1, 2, 2>, 1>::from_torch(&[0.0; 5]).is_none());
}

/// A NaN makes the outputs NaN whose windows contain it, and the first NaN of a window gets the gradient.
#[test]
fn nan_is_the_largest() {
    let x = Images::<f64, Image<1, 2, 4>, _>::from([[[
        [f64::NAN, 2.0, 3.0, 4.0],
        [1.0, f64::NAN, 6.0, 6.0],
    ]]]);
    let dy = Images::from([[[[10.0, 20.0]]]]);
    fn check<L: Layer<f64, Image<1, 2, 4>, Out = Image<1, 1, 2>, Gradient = ()>>(
        layer: &L,
        x: &Images<f64, Image<1, 2, 4>, Const<1>>,
        dy: &Images<f64, Image<1, 1, 2>, Const<1>>,
    ) {
        let mut pass = Trace::<f64, Image<1, 2, 4>, _, _>::new(layer, x, &mut Pass::Predict);
        assert!(pass.y.as_slice()[0].is_nan() && pass.y.as_slice()[1] == 6.0);
        assert_eq!(pass.backward(dy).0.as_slice(), [10.0, 0.0, 0.0, 0.0, 0.0, 0.0, 20.0, 0.0]);
    }
    check(&MaxPool2d::<2>, &x, &dy);
}

type Pooled = Network<
    f32,
    Image<1, 8, 8>,
    (
        Conv2d<f32, 1, 4, 3, 1, 1>,
        MaxPool2d<2>,
        Relu,
        Conv2d<f32, 4, 6, 3>,
        Relu,
        Dense<f32, Image<6, 2, 2>, 3>,
    ),
    SoftmaxCrossEntropy,
>;

/// A fused step and a step by a stored gradient give the same bits.
#[test]
fn fused_is_whole() {
    let net: Pooled = net();
    let (x, labels) = samples();
    let (mut fused, mut whole) = (net.clone(), net);
    let mut adam = Adam::new(0.01);
    let mut work = Pooled::workspace(Const::<5>);
    let (mut second, mut tree) = (Adam::new(0.01), Pooled::workspace(Const::<5>));
    for _ in 0..3 {
        adam.train_step(&mut fused, &x, &labels, &mut work).unwrap();
        whole.backprop(&x, &labels, &mut tree);
        second.step(&mut whole.layers, &tree.grad).unwrap();
    }
    assert_eq!(fused.layers, whole.layers);
}

/// The first layers of a tuple compute some samples at a time, one layer after the other. A box is a layer that does not.
/// A sample has 288 bytes after the first layer, so a block has 56 samples (16 KiB).
#[test]
fn blocks_of_samples_do_not_change_a_bit() {
    use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
    type First = Conv2d<f32, 1, 2, 3>;
    type Second = Conv2d<f32, 2, 3, 2>;
    type Last = Dense<f32, Image<3, 2, 2>, 3>;
    type Net<L> = Network<f32, Image<1, 8, 8>, L, SoftmaxCrossEntropy>;
    type Blocks = Net<(First, Relu, MaxPool2d<2>, Second, Tanh, Last)>;
    type Boxes = Net<(Box<First>, Box<Relu>, Box<MaxPool2d<2>>, Box<Second>, Box<Tanh>, Last)>;

    let (mut blocks, mut boxes) = (
        Blocks::init(&mut Xoshiro128PlusPlus::seed_from_u64(1)),
        Boxes::init(&mut Xoshiro128PlusPlus::seed_from_u64(1)),
    );
    for batch in [1, 2, 56, 57, 113] {
        let x =
            Images::<f32, Image<1, 8, 8>, _>::from_fn(Dyn(batch), |sample, [_, row, column]| {
                ((sample + 1) * (3 * row + column) % 7) as f32 / 7.0 - 0.3
            });
        let labels: Vec<usize> = (0..batch).map(|sample| sample % 3).collect();
        let (mut work, mut other) = (Blocks::workspace(Dyn(batch)), Boxes::workspace(Dyn(batch)));
        for _ in 0..3 {
            let loss = Sgd::new(0.1).train_step(&mut blocks, &x, &labels, &mut work).unwrap();
            let same = Sgd::new(0.1).train_step(&mut boxes, &x, &labels, &mut other).unwrap();
            assert_eq!(loss.to_bits(), same.to_bits());
        }
        assert_eq!(blocks.predict(&x), boxes.predict(&x));
        let (first, _, _, second, _, last) = &blocks.layers;
        assert_eq!((first, second, last), (&*boxes.layers.0, &*boxes.layers.3, &boxes.layers.5));
    }
}

fn net() -> Pooled {
    use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
    Pooled::init(&mut Xoshiro128PlusPlus::seed_from_u64(1))
}

fn samples() -> (Images<f32, Image<1, 8, 8>, Const<5>>, [usize; 5]) {
    let x = Images::from_fn(Const, |sample, [_, row, column]| {
        ((sample + 1) * (3 * row + column) % 7) as f32 / 7.0
    });
    (x, [0, 1, 2, 1, 0])
}
