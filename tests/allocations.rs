//! A training step and a prediction with batches of constant size allocate nothing. The memory that they use
//! is as large as the constants say.

#![allow(unsafe_code)] // an allocator is unsafe to implement

use chainrule::*;
use nalgebra::{Const, SMatrix};
use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: it passes every call on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How often `f` allocates.
fn allocations(f: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    f();
    ALLOCATIONS.get() - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

/// Convolutions allocate nothing either: the caller lends their working memory, which does not grow with the batch.
#[test]
fn no_allocation_in_a_step_on_images() {
    type Layers = (Conv2d<f32, 1, 4, 3, 1, 1>, Relu, MaxPool2d<2>, Dense<f32, Image<4, 4, 4>, 3>);
    type Net = Network<f32, Image<1, 8, 8>, Layers, SoftmaxCrossEntropy>;
    let mut net = Net::init(&mut Xoshiro128PlusPlus::seed_from_u64(0));
    let x = Images::from_fn(Const::<4>, |sample, [_, row, column]| (sample + row * column) as f32);
    let (mut work, mut adam) = (Net::workspace(Const::<4>), Adam::new(0.01));
    let mut predictor = Net::predictor(Const::<4>);
    let step = || {
        adam.train_step(&mut net, &x, &[0, 1, 2, 0], &mut work).unwrap();
        net.predict_into(&x, &mut predictor);
        net.predict(&x);
    };
    assert_eq!(allocations(step), 0);
    let activations = |memory: Memory| memory.activations;
    let [one, two, three] = [
        activations(Net::memory::<Sgd<f32>, _, 16>()),
        activations(Net::memory::<Sgd<f32>, _, 32>()),
        activations(Net::memory::<Sgd<f32>, _, 48>()),
    ];
    assert_eq!(two - one, three - two);
    // The part that does not grow is the im2col of four rows of eight places.
    let fixed = one - (two - one);
    assert!((9 * 4 * 8 * 4..9 * 4 * 8 * 4 + 128).contains(&fixed), "{fixed}");
}

#[test]
fn no_allocation_in_a_step() {
    let rng = &mut Xoshiro128PlusPlus::seed_from_u64(0);
    type A<const I: usize, const O: usize> = Affine<f32, I, O>;
    let hidden = (Frozen(A::<8, 8>::he(rng)), Relu, A::<8, 8>::he(rng), Sigmoid);
    let layers = (A::<6, 8>::he(rng), Tanh, hidden, Identity, A::<8, 3>::he(rng));
    let x = SMatrix::<f32, 6, 16>::repeat(0.5);
    macro_rules! check {
        ($last:expr, $criterion:expr, $target:expr) => {{
            let mut net = Network::<f32, D1<6>, _, _>::new((layers, $last), $criterion);
            let (mut work, mut fused) = (workspace(&net), workspace(&net));
            let (mut predictor, mut adam) = (predictor(&net), Adam::new(0.1));
            let step = || {
                net.backprop(&x, &$target, &mut work);
                net.accumulate(&x, &$target, &mut work);
                Sgd::new(0.1).step(&mut net.layers, &work.grad).unwrap();
                Sgd::new(0.1).train_step(&mut net, &x, &$target, &mut fused).unwrap();
                adam.train_step(&mut net, &x, &$target, &mut fused).unwrap();
                std::hint::black_box(net.predict(&x));
                std::hint::black_box(net.predict_into(&x, &mut predictor));
            };
            assert_eq!(allocations(step), 0);
        }};
    }
    check!(Identity, SoftmaxCrossEntropy, [1; 16]);
    check!(Softmax, SumSquaredError, SMatrix::<f32, 3, 16>::zeros());
}

#[test]
fn no_allocation_in_derivatives_and_second_order() {
    type Net = Network<f32, D1<2>, (Affine<f32, 2, 4>, Tanh, Affine<f32, 4, 1>), SumSquaredError>;
    let mut net = Net::init(&mut Xoshiro128PlusPlus::seed_from_u64(0));
    let (x, t) = (SMatrix::<f32, 2, 5>::repeat(0.5), SMatrix::<f32, 1, 5>::repeat(1.0));
    let calculus = || {
        std::hint::black_box(net.jacobians(&x));
        std::hint::black_box(net.hessians(&x, 0));
        std::hint::black_box(net.hessian_vector_product(&x, &x, 0));
        std::hint::black_box(net.parameter_jacobian::<_, { Net::weight_count() }, _>(&x));
        let mut memory = Net::sample_gradients::<17, 2>();
        let outcome = LevenbergMarquardt::new().fit(&mut net, &x, &t, &mut memory, 3);
        assert!(outcome.loss < 1e-3);
        let mut work = Net::workspace(Const::<5>);
        let problem = &mut OnBatch { net: &mut net, x: &x, target: &t, work: &mut work };
        LBfgs::<f32, 17, 4>::new().solve(problem, 3);
    };
    assert_eq!(allocations(calculus), 0);
    let bytes = Net::levenberg_marquardt_bytes::<17, 2>();
    // 17² numbers, and a few times 17.
    assert!((4 * 17 * 17..=4 * 17 * (17 + 12) + 512).contains(&bytes));
}

fn workspace<L: Layer<f32, D1<6>>, E, W: Way>(
    _: &Network<f32, D1<6>, L, E>,
) -> Workspace<f32, D1<6>, L, Const<16>, W> {
    Network::<f32, D1<6>, L, E>::workspace(Const)
}

fn predictor<L: Layer<f32, D1<6>>, E>(
    _: &Network<f32, D1<6>, L, E>,
) -> Predictor<f32, D1<6>, L, Const<16>> {
    Network::<f32, D1<6>, L, E>::predictor(Const)
}

/// Products that copy their operands to a buffer first. The test uses one thread, because rayon may allocate when it
/// distributes larger products.
#[test]
fn no_allocation_in_a_wide_step() {
    fn check<T: Number>() {
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        type Wide<T> = TwoLayerNet<T, 200, 70, 10>;
        let layers = (Zeros::zeros(), Relu, Zeros::zeros());
        let mut net: Box<Wide<T>> = Box::new(Network::new(layers, SoftmaxCrossEntropy));
        let mut work = Box::new(Wide::<T>::workspace(Const::<40>));
        let mut fused = Box::new(Wide::<T>::workspace(Const::<40>));
        let mut adam = Box::new(Adam::new(T::one()));
        let x = Box::<SMatrix<T, 200, 40>>::zeros();
        let step = || {
            net.backprop(&*x, &[1; 40], &mut work);
            Sgd::new(T::one()).step(&mut net.layers, &work.grad).unwrap();
            Sgd::new(T::one()).train_step(&mut net, &*x, &[1; 40], &mut fused).unwrap();
            adam.train_step(&mut net, &*x, &[1; 40], &mut fused).unwrap();
            std::hint::black_box(net.predict(&*x));
        };
        assert_eq!(one.install(|| allocations(step)), 0);
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn memory_by_hand() {
    type Layers = (Frozen<Affine<f32, 2, 8>>, Tanh, Affine<f32, 8, 2>);
    type Net = Network<f32, D1<2>, Layers, SoftmaxCrossEntropy>;
    type Tree = <Layers as Parameters<f32>>::Gradient;

    /// A rule with two trees of state and no settings.
    struct Nothing<W>(core::marker::PhantomData<W>);
    impl<W: Way> Rule<f32, 2> for Nothing<W> {
        type Way = W;
        fn update(&self, _: Piece<f32, 2>) {}
    }
    fn check<W: Way>(need: Memory, gradient: usize) {
        let Memory { parameters, optimizer, activations, rest, .. } = need;
        assert_eq!(parameters, 4 * (2 * 8 + 8 + 8 * 2 + 2));
        assert_eq!(need.gradient, gradient);
        // Two trees, and the number of steps.
        assert_eq!(optimizer, 2 * 4 * (8 * 2 + 2) + 8);
        // The outputs of three layers for four samples and the gradients on them, padded to the alignment.
        let numbers = 4 * 4 * 2 * (8 + 8 + 2);
        assert!((numbers..numbers + 64).contains(&activations), "{activations}");
        // A seed, a step, and two paddings of at most 64.
        assert!((16..16 + 2 * 64).contains(&rest), "{rest}");
        let all = size_of::<Net>()
            + size_of::<Workspace<f32, D1<2>, Layers, Const<4>, W>>()
            + size_of::<Descent<Nothing<W>, Tree, 2>>();
        assert_eq!(need.total(), all);
        let table = need.to_string();
        let numbers = table.split_whitespace().filter_map(|word| word.parse::<usize>().ok());
        let parts = [parameters, gradient, optimizer, activations, rest, need.total()];
        assert!(numbers.eq(parts), "{table}");
    }
    const FUSED: Memory = Net::memory::<Nothing<Fused>, _, 4>();
    const WHOLE: Memory = Net::memory::<Nothing<Whole>, _, 4>();
    check::<Fused>(FUSED, 0);
    check::<Whole>(WHOLE, 4 * (8 * 2 + 2));
    assert_eq!(FUSED.total(), Net::train_bytes::<Nothing<Fused>, _, 4>());
}

/// With batches of constant size and without patience, a whole training allocates nothing, with its shuffling, its
/// validation and its short last batch.
#[test]
fn no_allocation_in_a_training() {
    let rows: [[f32; 6]; 40] = std::array::from_fn(|i| [i as f32 / 40.0; 6]);
    let data = data::Dataset::labelled(rows, [1; 40], 3).unwrap();
    let mut net = TwoLayerNet::<f32, 6, 8, 3>::init(&mut Xoshiro128PlusPlus::seed_from_u64(0));
    let (mut adam, mut trainer) = (Adam::new(0.01), Trainer::new(Const::<16>, 4, 0));
    let train = || trainer.fit(&mut net, &mut adam, &data, Some(&data), |_| ()).unwrap();
    assert_eq!(allocations(train), 0);
    assert_eq!(trainer.state.updates, 10);
}
