//! Chapters 6.3 to 6.5: a net overfits 300 digits. The example compares weight decay, dropout and batch normalisation.
//! Then it runs the book's random search for the learning rate and the weight decay. `--help` lists the options.

#[macro_use]
mod common;
#[allow(dead_code)] // this example uses the digits as they are
#[path = "06_train_neuralnet/digits.rs"]
mod digits;

use chainrule::data::{Dataset, Pixels};
use chainrule::{
    Affine, BatchNorm, D1, Decay, Dropout, Layer, Momentum, Network, Relu, Repeat,
    SoftmaxCrossEntropy, Training, TrainingError, Zeros,
};
use clap::{Parser, value_parser};
use common::{BLUE, Failure, ORANGE};
use nalgebra::Dyn;
use plotters::{coord::Shift, prelude::*};
use rand::{RngExt, SeedableRng, rngs::Xoshiro128PlusPlus};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Overfits 300 handwritten digits, regularises, and searches for a learning rate and a weight decay.
#[derive(Parser)]
struct Options {
    /// Epochs of each training
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(1..=10_000))]
    epochs: u32,
    /// Trials of the random search
    #[arg(long, default_value_t = 40, value_parser = value_parser!(u32).range(5..=10_000))]
    trials: u32,
    /// Seed of the first weights, the mini-batches, dropout and the search
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for the two pictures; created if missing
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
}

type Digits<const IN: usize> = Dataset<Pixels<IN>, Vec<usize>>;
type Rng = Xoshiro128PlusPlus;
/// 64-100-100-100-100-100-100-10, as deep as the book's.
type Layers<Block> = (Affine<f32, 64, 100>, Relu, Repeat<Block, 5>, Affine<f32, 100, 10>);
type Net<Block> = Network<f32, D1<64>, Layers<Block>, SoftmaxCrossEntropy>;
type Plain = (Affine<f32, 100, 100>, Relu);
type WithDropout = (Affine<f32, 100, 100>, Relu, Dropout);
type WithNorm = (Affine<f32, 100, 100>, BatchNorm<f32, 100>, Relu);

const BATCH: usize = 100;

/// A training with its name, and its accuracies on the training digits and on other digits after each epoch.
struct Curves {
    name: String,
    train: Vec<f32>,
    test: Vec<f32>,
}

impl Curves {
    fn last(&self) -> [f32; 2] {
        [&self.train, &self.test].map(|curve| curve.last().copied().unwrap_or(f32::NAN))
    }
}

/// Trains, and measures the accuracies after each epoch. It stops if the training diverges.
fn learn<Block>(
    name: String,
    [rate, decay]: [f32; 2],
    change: impl Fn(&mut Layers<Block>),
    [epochs, seed]: [u64; 2],
    [train, test]: [&Digits<64>; 2],
) -> Curves
where
    Block: Layer<f32, D1<100>, Out = D1<100>> + Zeros,
{
    let mut net = Net::<Block>::init(&mut Rng::seed_from_u64(seed));
    change(&mut net.layers);
    let mut momentum = Momentum::new(rate, 0.9);
    momentum.rule.decay = Decay::L2(decay);
    let per_epoch = train.len().div_ceil(BATCH);
    let training = Training { batch: Dyn(BATCH), iterations: epochs as usize * per_epoch, seed };
    let mut curves = Curves { name, train: Vec::new(), test: Vec::new() };
    let ended: Result<(), TrainingError> =
        training.run(&mut net, &mut momentum, train, |progress| {
            if (progress.iteration + 1) % per_epoch == 0 {
                curves.train.push(progress.net.accuracy_on(train, Dyn(BATCH)));
                curves.test.push(progress.net.accuracy_on(test, Dyn(BATCH)));
            }
        });
    if ended.is_err() {
        curves.name += " (diverged)";
    }
    curves
}

/// These samples of a data set.
fn part(all: &Digits<64>, range: std::ops::Range<usize>) -> Result<Digits<64>, Failure> {
    let images = all.inputs().0[range.clone()].to_vec();
    Ok(Dataset::labelled(Pixels(images), all.targets()[range].to_vec(), 10)?)
}

fn draw(
    file: &Path,
    title: &str,
    grid: (usize, usize),
    names: [&str; 2],
    all: &[Curves],
) -> Result<(), Failure> {
    let area =
        SVGBackend::new(file, (360 * grid.1 as u32, 300 * grid.0 as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    let titled = area.titled(title, ("sans-serif", 18))?;
    for (part, curves) in titled.split_evenly(grid).iter().zip(all) {
        draw_one(part, names, curves)?;
    }
    titled.present()?;
    Ok(())
}

fn draw_one(
    part: &DrawingArea<SVGBackend, Shift>,
    [train, test]: [&str; 2],
    curves: &Curves,
) -> Result<(), Failure> {
    let mut chart = ChartBuilder::on(part)
        .caption(&curves.name, ("sans-serif", 14))
        .margin(8)
        .x_label_area_size(32)
        .y_label_area_size(44)
        .build_cartesian_2d(0..curves.train.len().max(1), 0.0..1.0_f32)?;
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT).x_labels(6).x_desc("epoch").y_desc("accuracy").draw()?;
    for (name, values, colour) in [(train, &curves.train, BLUE), (test, &curves.test, ORANGE)] {
        let points = values.iter().copied().enumerate().map(|(epoch, y)| (epoch + 1, y));
        let series = chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
        series
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    let mut labels = chart.configure_series_labels();
    labels.background_style(WHITE).position(SeriesLabelPosition::LowerRight).draw()?;
    Ok(())
}

/// 10 to a random power between these two: a logarithmic scale.
fn power(from: f32, to: f32, rng: &mut Rng) -> f32 {
    10_f32.powf(rng.random_range(from..to))
}

fn run(options: &Options) -> Result<(), Failure> {
    let [curves, search] =
        ["regularisation.svg", "random_search.svg"].map(|name| options.out.join(name));
    common::writable(&options.out)?;
    let [train, test] = digits::embedded()?;
    let (few, seed) = (part(&train, 0..300)?, options.seed);
    let (times, data) = ([options.epochs.into(), seed], [&few, &test]);

    let dropout = |layers: &mut Layers<WithDropout>| {
        layers.2.layers.iter_mut().for_each(|block| block.2 = Dropout::new(0.2));
    };
    let all = [
        learn::<Plain>("nothing".into(), [0.01, 0.0], |_| (), times, data),
        learn::<Plain>("weight decay 0.01".into(), [0.01, 0.01], |_| (), times, data),
        learn::<WithDropout>("dropout 0.2".into(), [0.01, 0.0], dropout, times, data),
        learn::<WithNorm>("batch normalisation".into(), [0.01, 0.0], |_| (), times, data),
    ];
    println!("300 digits, {} epochs:", options.epochs);
    println!("  {:<22} {:>8} {:>8} {:>6}", "", "train", "test", "gap");
    for curves in &all {
        let [train, test] = curves.last();
        println!("  {:<22} {train:>8.4} {test:>8.4} {:>6.4}", curves.name, train - test);
    }
    let title = format!("64-6×100-10 on 300 digits, momentum 0.9, rate 0.01, seed {seed}");
    draw(&curves, &title, (2, 2), ["train", "test"], &all)?;
    println!("curves in {}\n", curves.display());

    // A fifth of 500 digits is for validation, because settings must not be chosen by the test digits.
    let (learned, held) = (part(&train, 0..400)?, part(&train, 400..500)?);
    let mut rng = Rng::seed_from_u64(seed ^ 0x7365_6172_6368);
    let mut trials: Vec<_> = (0..options.trials)
        .map(|_| {
            let (rate, decay) = (power(-6.0, -1.0, &mut rng), power(-8.0, -2.0, &mut rng));
            let name = format!("rate {rate:.1e}, decay {decay:.1e}");
            let epochs = u64::from(options.epochs).min(25);
            learn::<Plain>(name, [rate, decay], |_| (), [epochs, seed], [&learned, &held])
        })
        .collect();
    // A NaN comes last, and so does a training that did not complete its first epoch.
    let key = |curves: &Curves| if curves.last()[1] >= 0.0 { curves.last()[1] } else { -1.0 };
    trials.sort_by(|a, b| key(b).total_cmp(&key(a)));
    println!("the best five of {} trials, by validation accuracy:", trials.len());
    for curves in &trials[..5] {
        println!("  {:.2}  {}", curves.last()[1], curves.name);
    }
    let title = format!(
        "Random search, 64-6×100-10 on 400 digits, momentum 0.9, seed {seed}: the best five"
    );
    draw(&search, &title, (2, 3), ["train", "validation"], &trials[..5])?;
    println!("curves in {}", search.display());

    if options.epochs == 100 && options.trials == 40 && seed == 0 {
        let [nothing, decayed, dropped, normed] = all.each_ref().map(Curves::last);
        let gap = |[train, test]: [f32; 2]| train - test;
        assert_eq!(nothing[0], 1.0, "the net knows all digits by heart");
        assert!(gap(nothing) > 0.08, "and fewer of those that it has not seen");
        assert!(gap(decayed) < gap(nothing) && gap(dropped) < gap(nothing), "less by heart");
        assert!(normed[1] > nothing[1] - 0.03, "batch normalisation does no harm");
        assert!(key(&trials[0]) > 0.85 && key(&trials[39]) < 0.5, "the search tells them apart");
    }
    Ok(())
}

fn main() -> ExitCode {
    common::exit(run(&Options::parse()))
}
