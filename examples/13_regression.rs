//! A regression: a table of numbers, a net with one output, R², and the residuals. The same net is trained again in
//! f64, from the same numbers. A picture shows how the weights in f32 and f64 move apart.

#[macro_use]
mod common;

use chainrule::{
    Adam, Affine, D1, Network, Number, Parameters, Path as Name, SumSquaredError, Tanh, Trainer,
    data::{Dataset, Table, split},
    metrics::Regression,
};
use clap::Parser;
use common::{BLUE, FAINT, Failure, ORANGE, Series};
use nalgebra::{Dyn, convert};
use rand::{Rng, RngExt, SeedableRng, rngs::Xoshiro128PlusPlus};
use std::{fmt::Write, path::PathBuf, process::ExitCode};

const FEATURES: usize = 10;
const NAMES: [&str; FEATURES] = ["x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10"];

type Layers<T> = (Affine<T, FEATURES, 24>, Tanh, Affine<T, 24, 1>);
type Net<T> = Network<T, D1<FEATURES>, Layers<T>, SumSquaredError>;
type Data<T> = Dataset<Vec<[T; FEATURES]>, Vec<T>>;

/// Learns Friedman's function from a table with noise.
///
/// y = 10 sin(π x1 x2) + 20 (x3 - ½)² + 10 x4 + 5 x5 + noise. The columns x6 to x10 have no influence. The noise has the
/// variance 1, so no model can reach more than R² = 0.96 on new samples.
#[derive(Parser, Debug)]
struct Options {
    /// A CSV file with the columns x1 to x10 and y; without it, the seed makes the table
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Epochs
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    epochs: u64,
    /// Seed of the table, the split, the first weights and the order of the samples
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for the picture; created if missing
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
}

/// The table as CSV.
fn friedman(samples: usize, rng: &mut impl Rng) -> String {
    let mut table = format!("{},y\n", NAMES.join(","));
    for _ in 0..samples {
        let x: [f64; FEATURES] = std::array::from_fn(|_| rng.random());
        let [x1, x2, x3, x4, x5, ..] = x;
        let sine = (std::f64::consts::PI * x1 * x2).sin();
        let y = 10.0 * sine + 20.0 * (x3 - 0.5).powi(2) + 10.0 * x4 + 5.0 * x5;
        // The sum of twelve uniform numbers has the variance 1 and is nearly normal.
        let noise = (0..12).map(|_| rng.random_range(-0.5..0.5)).sum::<f64>();
        for x in x {
            let _ = write!(table, "{x:.4},");
        }
        let _ = writeln!(table, "{:.4}", y + noise);
    }
    table
}

/// How far apart two nets are, compared with the size of their weights.
fn distance(a: &Net<f32>, b: &Net<f64>) -> f64 {
    let numbers = |net: &Net<f64>| {
        let mut all = Vec::new();
        net.layers.visit(&Name::ROOT, &mut |leaf| all.extend_from_slice(leaf.values));
        all
    };
    let (a, b) = (numbers(&a.map(f64::from)), numbers(b));
    let squares =
        |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>().sqrt();
    squares(&mut a.iter().zip(&b).map(|(a, b)| a - b)) / squares(&mut b.iter().copied())
}

fn run(options: &Options) -> Result<(), Failure> {
    common::writable(&options.out)?;
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(options.seed);
    let table = match &options.table {
        Some(file) => Table::open(file)?,
        None => Table::read("friedman.csv", friedman(1500, &mut rng).as_bytes())?,
    };
    // Both trainings begin with the same f32 numbers.
    let (x, y) = (table.numbers::<f32, FEATURES>(NAMES)?, table.column::<f32>("y")?);
    let wide =
        (x.iter().map(|row| row.map(f64::from)).collect(), y.iter().map(|&y| y.into()).collect());
    let narrow: Data<f32> = Dataset::new(x, y)?;
    let wide: Data<f64> = Dataset::new(wide.0, wide.1)?;
    let halves = split(narrow.len(), narrow.len() / 3, options.seed)?;
    let mut net = Net::<f32>::init(&mut rng);
    let mut twin: Net<f64> = net.map(f64::from);
    println!(
        "10-24-1, tanh, {} samples to train on, {} to test on",
        halves.train.len(),
        halves.test.len()
    );

    let (train, test) = (narrow.select(&halves.train)?, narrow.select(&halves.test)?);
    let (train64, test64) = (wide.select(&halves.train)?, wide.select(&halves.test)?);
    let mut first = Trainer::new(Dyn(32), 0, options.seed);
    let mut second = Trainer::new(Dyn(32), 0, options.seed);
    let (mut adam, mut adam64) = (Adam::new(rate()), Adam::new(rate()));
    let (mut curve, mut parting) = (Vec::new(), Vec::new());
    for epoch in 1..=options.epochs {
        // A trainer continues from its state, so the two trainings can take turns.
        (first.epochs, second.epochs) = (epoch, epoch);
        first.fit(&mut net, &mut adam, &train, None, |at| {
            curve.extend(at.epoch.map(|ended| (epoch as f64, ended.loss.log10())));
        })?;
        second.fit(&mut twin, &mut adam64, &train64, None, |_| ())?;
        parting.push((epoch as f64, distance(&net, &twin).log10()));
    }

    let found = net.measure(&test, Dyn(64), Regression::<1>::new())?;
    let found64 = twin.measure(&test64, Dyn(64), Regression::<1>::new())?;
    println!("     R²      mean absolute error, on the test samples");
    println!("f32  {:.4}  {:.4}", found.r2(), found.absolute());
    println!("f64  {:.4}  {:.4}", found64.r2(), found64.absolute());
    let (_, last) = parting[parting.len() - 1];
    println!(
        "the weights of f32 and f64 differ by {:.0e} of their size at the end",
        10f64.powf(last)
    );

    let title = format!("10-24-1, seed {}", options.seed);
    let (inputs, targets) = test.batch(&(0..test.len()).collect::<Vec<_>>(), Dyn(test.len()))?;
    let predicted = net.predict(&inputs);
    let residuals = predicted.iter().zip(&targets).map(|(&y, &t)| (y.into(), (t - y).into()));
    let residuals = [Series { name: "", colour: BLUE, points: residuals.collect(), dots: true }];
    let learning = [
        Series { name: "loss, f32", colour: ORANGE, points: curve, dots: false },
        Series { name: "f32 and f64 apart, by size", colour: BLUE, points: parting, dots: false },
        Series { name: "ε of f32", colour: FAINT, points: epsilon(options.epochs), dots: false },
    ];
    let picture = common::picture(
        &options.out,
        "regression.svg",
        [
            &|area| {
                common::chart(
                    area,
                    &format!("Residuals: {title}"),
                    ["prediction", "target - prediction"],
                    &residuals,
                )
            },
            &|area| {
                common::chart(
                    area,
                    &format!("Where f32 and f64 part: {title}"),
                    ["epoch", "log₁₀"],
                    &learning,
                )
            },
        ],
    )?;
    println!("picture in {}", picture.display());
    let ours = options.table.is_none() && options.epochs == 500;
    if ours && (found.r2() < 0.9 || (found.r2() - found64.r2()).abs() > 0.02) {
        return Err("R² is below 0.9, or differs between f32 and f64".into());
    }
    Ok(())
}

/// The learning rate.
fn rate<T: Number>() -> T {
    convert(0.01)
}

/// The relative precision of f32 as a line.
fn epsilon(epochs: u64) -> Vec<(f64, f64)> {
    [1, epochs].map(|epoch| (epoch as f64, f64::from(f32::EPSILON).log10())).to_vec()
}

fn main() -> ExitCode {
    common::exit(run(&Options::parse()))
}
