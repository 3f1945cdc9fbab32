//! Chapter 6.1: compares optimizers. One picture shows their paths to the minimum of x²/20 + y². The other shows their
//! losses on the embedded handwritten digits. `--help` lists the options.

#[macro_use]
mod common;
#[allow(dead_code)] // This example uses the digits as they are
#[path = "06_train_neuralnet/digits.rs"]
mod digits;

use chainrule::data::{Dataset, Pixels};
use chainrule::{
    AdaGrad, Adam, Affine, D1, Momentum, NAdam, Network, Optimizer, Relu, RmsProp, Sgd,
    SoftmaxCrossEntropy, StepError, Training,
};
use clap::{Parser, value_parser};
use common::{BLUE, FAINT, Failure};
use nalgebra::{Dyn, Vector2};
use plotters::prelude::*;
use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Compares the optimizers of chapter 6 on a function of two variables and on handwritten digits.
#[derive(Parser)]
struct Options {
    /// Mini-batches to train on, with each optimizer
    #[arg(long, default_value_t = 600, value_parser = value_parser!(u32).range(1..=1_000_000))]
    iterations: u32,
    /// Seed of the first weights and of the mini-batches
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for the two pictures; created if missing
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
}

type Layers = (
    Affine<f32, 64, 50>,
    Relu,
    Affine<f32, 50, 50>,
    Relu,
    Affine<f32, 50, 50>,
    Relu,
    Affine<f32, 50, 10>,
);
type Net = Network<f32, D1<64>, Layers, SoftmaxCrossEntropy>;
type Digits<const IN: usize> = Dataset<Pixels<IN>, Vec<usize>>;
type Any<P, T> = Box<dyn Optimizer<T, P>>;

/// The name of an optimizer, and its path.
type Named = (&'static str, Vec<Vector2<f64>>);

/// The book's function.
fn f(at: &Vector2<f64>) -> f64 {
    at.x * at.x / 20.0 + at.y * at.y
}

/// The optimizers of the book with the rates that its pictures have, and 30 steps of each from (-7, 2).
fn paths() -> Result<Vec<Named>, StepError> {
    let optimizers: [(&str, Any<Vector2<f64>, f64>); 6] = [
        ("SGD, η = 0.95", Box::new(Sgd::new(0.95))),
        ("Momentum, η = 0.1", Box::new(Momentum::new(0.1, 0.9))),
        ("Nesterov, η = 0.1", Box::new(Momentum::book_nesterov(0.1))),
        ("AdaGrad, η = 1.5", Box::new(AdaGrad::book(1.5))),
        ("RMSprop, η = 0.1", Box::new(RmsProp::book(0.1))),
        ("Adam, η = 0.3", Box::new(Adam::book(0.3))),
    ];
    let path = |(name, mut optimizer): (_, Any<Vector2<f64>, f64>)| {
        let mut path = vec![Vector2::new(-7.0, 2.0)];
        let mut at = path[0];
        for _ in 0..30 {
            let gradient = Vector2::new(at.x / 10.0, 2.0 * at.y);
            optimizer.step(&mut at, &gradient)?;
            path.push(at);
        }
        Ok((name, path))
    };
    optimizers.into_iter().map(path).collect()
}

fn draw_paths(file: &Path, paths: &[Named]) -> Result<(), Failure> {
    let area = SVGBackend::new(file, (960, 560)).into_drawing_area();
    area.fill(&WHITE)?;
    let titled = area.titled("30 steps on x²/20 + y² from (-7, 2)", ("sans-serif", 20))?;
    for (part, (name, path)) in titled.split_evenly((2, 3)).iter().zip(paths) {
        let mut chart = ChartBuilder::on(part)
            .caption(name, ("sans-serif", 15))
            .margin(8)
            .x_label_area_size(30)
            .y_label_area_size(52)
            .build_cartesian_2d(-8.0..8.0, -3.0..3.0)?;
        let mut mesh = chart.configure_mesh();
        mesh.disable_mesh().x_labels(5).y_labels(5).x_desc("x").y_desc("y").draw()?;
        for level in [0.1, 0.5, 1.0, 2.0, 3.0] {
            let ellipse = (0..=120).map(|i| {
                let angle = f64::from(i) / 60.0 * std::f64::consts::PI;
                (f64::sqrt(20.0 * level) * angle.cos(), f64::sqrt(level) * angle.sin())
            });
            chart.draw_series(LineSeries::new(ellipse, FAINT))?;
        }
        let points = || path.iter().map(|at| (at.x, at.y));
        chart.draw_series(LineSeries::new(points(), BLUE.stroke_width(2)))?;
        chart.draw_series(points().map(|point| Circle::new(point, 3, BLUE.filled())))?;
        chart.draw_series([Cross::new((0.0, 0.0), 5, BLACK)])?;
    }
    titled.present()?;
    Ok(())
}

/// The loss of each mini-batch, and the accuracy on the test digits.
struct Learned {
    name: &'static str,
    losses: Vec<f32>,
    accuracy: f32,
}

impl Learned {
    /// The mean of the `count` losses that end with the one at `end`.
    fn mean(&self, end: usize, count: usize) -> f32 {
        let part = &self.losses[end.saturating_sub(count)..end];
        part.iter().sum::<f32>() / part.len() as f32
    }
}

fn learn(options: &Options, [train, test]: &[Digits<64>; 2]) -> Vec<Learned> {
    // Rates as in chapter 6.1.8, or PyTorch's defaults.
    let optimizers: [(&str, Any<Layers, f32>); 6] = [
        ("SGD 0.01", Box::new(Sgd::new(0.01))),
        ("Momentum 0.01", Box::new(Momentum::new(0.01, 0.9))),
        ("AdaGrad 0.01", Box::new(AdaGrad::new(0.01))),
        ("RMSprop 0.001", Box::new(RmsProp::new(0.001))),
        ("Adam 0.001", Box::new(Adam::new(0.001))),
        ("NAdam 0.002", Box::new(NAdam::new(0.002))),
    ];
    let training =
        Training { batch: Dyn(100), iterations: options.iterations as usize, seed: options.seed };
    let learned = optimizers.into_iter().map(|(name, mut optimizer)| {
        // All begin with the same weights, and get the same digits in the same order.
        let mut net = Net::init(&mut Xoshiro128PlusPlus::seed_from_u64(options.seed));
        let mut losses = Vec::new();
        let ended = training.run(&mut net, &mut optimizer, train, |progress| {
            losses.push(progress.loss);
        });
        if let Err(error) = ended {
            eprintln!("warning: {name}, {error}");
        }
        Learned { name, losses, accuracy: net.accuracy_on(test, Dyn(100)) }
    });
    learned.collect()
}

fn draw_losses(file: &Path, options: &Options, all: &[Learned]) -> Result<(), Failure> {
    let area = SVGBackend::new(file, (820, 480)).into_drawing_area();
    area.fill(&WHITE)?;
    let end = options.iterations as usize;
    let window = (end / 20).max(1);
    let caption = format!("64-50-50-50-10 on handwritten digits, seed {}", options.seed);
    let mut chart = ChartBuilder::on(&area)
        .caption(caption, ("sans-serif", 18))
        .margin(12)
        .margin_right(28)
        .x_label_area_size(38)
        .y_label_area_size(62)
        .build_cartesian_2d(0..end, (0.001..4.0).log_scale())?;
    let loss = format!("loss, mean of {window} mini-batches");
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT).x_desc("iteration").y_desc(loss).draw()?;
    for (i, learned) in all.iter().enumerate() {
        let colour = Palette99::pick(i).to_rgba();
        let means = (window..=learned.losses.len()).map(|i| (i, learned.mean(i, window)));
        let drawn = means.map(|(i, loss)| (i, f64::from(loss).clamp(0.001, 4.0)));
        let series = chart.draw_series(LineSeries::new(drawn, colour.stroke_width(2)))?;
        series
            .label(learned.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    let mut labels = chart.configure_series_labels();
    labels.background_style(WHITE).position(SeriesLabelPosition::LowerLeft).draw()?;
    area.present()?;
    Ok(())
}

fn run(options: &Options) -> Result<(), Failure> {
    common::writable(&options.out)?;
    let [curves, plane] =
        ["optimizers_digits.svg", "optimizers_paths.svg"].map(|name| options.out.join(name));
    let paths = paths()?;
    println!("30 steps on x²/20 + y² from (-7, 2), where it is 6.45:");
    for (name, path) in &paths {
        let end = path[30];
        println!("  {name:<18} ({:7.4}, {:7.4})  {:.4}", end.x, end.y, f(&end));
    }
    draw_paths(&plane, &paths)?;
    println!("paths in {}\n", plane.display());
    // What the book's pictures show: SGD crosses the valley at each step, and all come near the minimum.
    assert!(paths[0].1.windows(2).all(|step| step[0].y * step[1].y < 0.0));
    assert!(paths.iter().all(|(_, path)| f(&path[30]) < 0.2));

    let digits = digits::embedded()?;
    println!("{} mini-batches of 100 digits:", options.iterations);
    println!("  {:<14} {:>10} {:>14}", "", "last loss", "test accuracy");
    let learned = learn(options, &digits);
    for one in &learned {
        let last = one.mean(one.losses.len(), 20);
        println!("  {:<14} {last:>10.4} {:>14.4}", one.name, one.accuracy);
    }
    draw_losses(&curves, options, &learned)?;
    println!("losses in {}", curves.display());
    if options.iterations == 600 && options.seed == 0 {
        // All others are faster than plain SGD, and recognise digits that they have not seen.
        let [sgd, others @ ..] = &learned[..] else { return Err("no optimizers".into()) };
        for other in others {
            assert!(other.mean(600, 20) < 0.5 * sgd.mean(600, 20), "{}", other.name);
            assert!(other.accuracy > 0.85, "{}: {}", other.name, other.accuracy);
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    common::exit(run(&Options::parse()))
}
