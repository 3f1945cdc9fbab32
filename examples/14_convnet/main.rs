//! Chapter 7: convolutional nets. The book's SimpleConvNet or LeNet-5 learns the embedded handwritten digits, or with
//! `--mnist DIR` MNIST. Then the example draws the first filters before and after the training, the worst mistakes, and
//! the confusion matrix. `--help` lists the options.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;
#[path = "../06_train_neuralnet/digits.rs"]
#[allow(dead_code)] // this example does not add noise
mod digits;
mod nets;
mod pictures;

use chainrule::{
    Adam, Augment, D1, Flat, Image, Images, Img, Layer, Network, Progress, Px, Size,
    SoftmaxCrossEntropy, Training, Zeros,
    data::{Dataset, Pixels, as_images, read_mnist},
    ops,
    schedule::Cosine,
};
use clap::{Parser, ValueEnum};
use common::Failure;
use nalgebra::Dyn;
use nets::{LeNet, Simple};
use pictures::{Mistake, Pictures};
use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
use std::{path::PathBuf, process::ExitCode, time::Instant};

type Digits<const IN: usize> = Dataset<Pixels<IN>, Vec<usize>>;

type SimpleConvNet = Simple<f32, 0, Image<30, 12, 12>>;
type LeNet5 = LeNet<f32, 0, Image<16, 4, 4>>;
/// As there are few images of 8×8, each step moves them by up to one pixel.
type SmallConvNet = (Augment, Simple<f32, 2, Image<30, 4, 4>>);
type SmallLeNet = (Augment, LeNet<f32, 2, Image<16, 2, 2>>);

/// Trains a convolutional net on handwritten digits.
#[derive(Parser)]
struct Options {
    /// The net to train
    #[arg(long, default_value = "simple")]
    net: Which,
    /// A folder with the four files of MNIST, instead of the embedded digits
    #[arg(long, value_name = "DIR")]
    mnist: Option<PathBuf>,
    /// Epochs [default: 120; with --mnist 20]
    #[arg(long)]
    epochs: Option<usize>,
    /// Images in a mini-batch
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch: u16,
    /// First learning rate of Adam [default: 0.003; with --mnist 0.001]
    #[arg(long)]
    rate: Option<f32>,
    /// Seed of the first weights and of the choice of images
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for the pictures; created if missing
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Which {
    /// The book's SimpleConvNet
    Simple,
    /// LeNet-5
    Lenet,
}

/// Calls `prepare` on the layers `L`, trains them, and returns the accuracy on the test images. `filters` returns the
/// filters of the first convolution.
fn train<L, H: Size, const IN: usize>(
    options: &Options,
    [train, test]: &[Digits<IN>; 2],
    filters: fn(&L) -> Vec<Vec<f32>>,
    prepare: fn(&mut L),
) -> Result<f32, Failure>
where
    L: Layer<f32, Img<1, H, H>, Out = D1<10>> + Zeros,
{
    let images = |data: &Digits<IN>| {
        Dataset::labelled(
            as_images::<Img<1, H, H>, _>(data.inputs().clone()),
            data.targets().clone(),
            10,
        )
    };
    let (train, test) = (images(train)?, images(test)?);
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(options.seed);
    // On the heap: a dense layer of 4320 inputs takes 1.7 MB.
    let mut net = Network::<f32, Img<1, H, H>, Box<L>, SoftmaxCrossEntropy>::init(&mut rng);
    prepare(&mut net.layers);
    println!("{net}\n");

    let batch = usize::from(options.batch);
    let epochs = options.epochs.unwrap_or(if options.mnist.is_some() { 20 } else { 120 });
    let training = Training {
        batch: Dyn(batch),
        iterations: (epochs * train.len()).div_ceil(batch),
        seed: options.seed,
    };
    // The rate falls to a hundredth, so that the last steps are small.
    let rate = options.rate.unwrap_or(if options.mnist.is_some() { 0.001 } else { 0.003 });
    let cosine = Cosine { steps: training.iterations as u64, last: 0.01 };
    let mut adam = Adam::new(rate).schedule(cosine);
    let before = filters(&net.layers);
    let start = Instant::now();
    training.run(&mut net, &mut adam, &train, |Progress { net, iteration, epoch, loss }| {
        // Print about twenty lines.
        if epoch.is_some_and(|epoch| epoch % (epochs / 20).max(1) == 0) {
            let accuracy = net.accuracy_on(&test, Dyn(100));
            println!("iteration {iteration:>5}, loss {loss:.4}, test acc {accuracy:.4}");
        }
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let accuracy = net.accuracy_on(&test, Dyn(100));
    println!(
        "{} iterations of {batch} in {seconds:.2} s, test acc {accuracy:.4}",
        training.iterations
    );

    let mut pictures =
        Pictures { side: H::N, before, after: filters(&net.layers), ..Pictures::default() };
    for first in (0..test.len()).step_by(100) {
        let indices: Vec<usize> = (first..test.len().min(first + 100)).collect();
        let (x, labels) = test.batch::<f32, _>(&indices, Dyn(indices.len()))?;
        let y = net.predict(&x);
        look(&mut pictures, &x, &labels, y.as_slice());
    }
    for file in pictures.draw(&options.out)? {
        println!("{}", file.display());
    }
    Ok(accuracy)
}

/// Adds the predictions for some images to the pictures.
fn look<H: Size>(
    pictures: &mut Pictures,
    x: &Images<f32, Img<1, H, H>, Dyn>,
    labels: &[usize],
    scores: &[f32],
) {
    let images = x.as_slice().chunks(Img::<1, H, H>::LEN);
    for ((image, &label), scores) in images.zip(labels).zip(scores.chunks(10)) {
        let mut chances = [0.0; 10];
        ops::softmax(scores, &mut chances);
        let (said, &chance) =
            chances.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).expect("ten classes");
        pictures.confusion[label][said] += 1;
        if said != label {
            let mistake =
                Mistake { image: image.to_vec(), label, said, chance, of_label: chances[label] };
            pictures.mistakes.push(mistake);
        }
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    common::writable(&options.out)?;
    /// The filters of a convolution.
    macro_rules! filters {
        (|$layers:ident| $conv:expr) => {
            |$layers| {
                let conv = &$conv;
                (0..conv.bias.len()).map(|filter| conv.weight.filter(filter).collect()).collect()
            }
        };
    }
    if let Some(folder) = &options.mnist {
        let data = read_mnist::<784, 10>(folder)?;
        match options.net {
            Which::Simple => train::<SimpleConvNet, Px<28>, 784>(
                options,
                &data,
                filters!(|layers| layers.0),
                |_| {},
            )?,
            Which::Lenet => {
                train::<LeNet5, Px<28>, 784>(options, &data, filters!(|layers| layers.0), |_| {})?
            }
        };
        return Ok(());
    }
    let data = digits::embedded()?;
    const AUGMENT: Augment = Augment { shift: 1, flip: false };
    match options.net {
        Which::Simple => train::<SmallConvNet, Px<8>, 64>(
            options,
            &data,
            filters!(|layers| layers.1.0),
            |layers| layers.0 = AUGMENT,
        )?,
        Which::Lenet => train::<SmallLeNet, Px<8>, 64>(
            options,
            &data,
            filters!(|layers| layers.1.0),
            |layers| layers.0 = AUGMENT,
        )?,
    };
    Ok(())
}

fn main() -> ExitCode {
    common::exit(run(&Options::parse()))
}
