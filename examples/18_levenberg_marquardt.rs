//! Compares the Levenberg–Marquardt method with Adam on the same net, the same first weights, and the same 2,000 points
//! of a curve.

use chainrule::data::Dataset;
use chainrule::{
    Adam, Affine, D1, Fit, LevenbergMarquardt, Network, Progress, Stop, SumSquaredError, Tanh,
    Training,
};
use clap::{Parser, value_parser};
use nalgebra::{Const, SMatrix, convert};
use plotters::prelude::*;
use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
use std::{error::Error, f64::consts::PI, fs, path::PathBuf, time::Instant};

/// Fits sin(10πx)/(10πx) with a net of 61 weights, by the Levenberg–Marquardt method and by Adam.
#[derive(Parser)]
struct Options {
    /// Seed of the first weights and of Adam's batches
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Steps of the Levenberg–Marquardt method
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(1..))]
    steps: u32,
    /// Steps of Adam, each on 100 samples
    #[arg(long, default_value_t = 20_000, value_parser = value_parser!(u32).range(1..))]
    adam: u32,
    /// Folder for the picture; created if missing
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
}

type Layers = (Affine<f64, 1, 20>, Tanh, Affine<f64, 20, 1>);
type Net = Network<f64, D1<1>, Layers, SumSquaredError>;
const WEIGHTS: usize = Net::weight_count();
const POINTS: usize = 2000;

/// Pairs of a time in seconds and the mean squared error at that time.
type Curve = Vec<(f64, f64)>;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let x = SMatrix::<f64, 1, POINTS>::from_fn(|_, i| 2.0 * i as f64 / (POINTS - 1) as f64 - 1.0);
    let t = x.map(|x| if x == 0.0 { 1.0 } else { (10.0 * PI * x).sin() / (10.0 * PI * x) });
    let error = |net: &Net| (net.predict(&x) - t).norm_squared() / POINTS as f64;
    let rng = &mut Xoshiro128PlusPlus::seed_from_u64(options.seed);
    // The good result depends on these first weights of the first layer: its units cover the inputs evenly.
    let start = Net::new((Affine::nguyen_widrow(rng), Tanh, Affine::xavier(rng)), SumSquaredError);

    let mut net = start.clone();
    let mut memory = Net::sample_gradients::<WEIGHTS, 32>();
    let mut solver = LevenbergMarquardt::<f64, WEIGHTS>::new();
    let (mut solved, clock) = (vec![(0.0, error(&net))], Instant::now());
    for _ in 0..options.steps {
        match solver.step(&mut Fit { net: &mut net, x: &x, target: &t, memory: &mut memory }) {
            Ok(sum) => solved.push((clock.elapsed().as_secs_f64(), sum / POINTS as f64)),
            Err(stop @ (Stop::Converged | Stop::Stalled)) => {
                println!("{stop}");
                break;
            }
            Err(stop) => return Err(stop.to_string().into()),
        }
    }

    let mut net = start.clone();
    let points = |matrix: &SMatrix<f64, 1, POINTS>| matrix.iter().map(|&x| [x]).collect::<Vec<_>>();
    let data = Dataset::new(points(&x), points(&t))?;
    let training =
        Training { batch: Const::<100>, iterations: options.adam as usize, seed: options.seed };
    let (mut adam, clock) = (vec![(0.0, error(&net))], Instant::now());
    let mut measuring = 0.0;
    training.run(
        &mut net,
        &mut Adam::new(convert(3e-3)),
        &data,
        |Progress { net, iteration, .. }| {
            if iteration % 200 == 199 {
                // The time for measuring the error does not count for Adam.
                let before = clock.elapsed().as_secs_f64();
                let error = error(net);
                adam.push((before - measuring, error));
                measuring += clock.elapsed().as_secs_f64() - before;
            }
        },
    )?;

    let last = |name, steps, curve: &Curve| {
        let (seconds, error) = curve[curve.len() - 1];
        println!("{name:22} {steps:6} steps  {seconds:6.2} s  mean squared error {error:.1e}");
        error
    };
    let ours = last("Levenberg-Marquardt", solved.len() - 1, &solved);
    let theirs = last("Adam", options.adam as usize, &adam);
    if options.steps >= 100 {
        assert!(ours < 1e-6 && 10.0 * ours < theirs);
    }
    println!("picture in {}", draw(&options.out, &solved, &adam)?.display());
    Ok(())
}

fn draw(folder: &PathBuf, solved: &Curve, adam: &Curve) -> Result<PathBuf, Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let file = folder.join("levenberg_marquardt.svg");
    let area = SVGBackend::new(&file, (720, 420)).into_drawing_area();
    area.fill(&WHITE)?;
    let all = || solved.iter().chain(adam);
    let seconds = all().fold(0.0, |most, at| at.0.max(most));
    let least = all().fold(1.0, |least, at| at.1.min(least));
    let mut chart = ChartBuilder::on(&area)
        .caption("Mean squared error over time", ("sans-serif", 18))
        .margin(12)
        .margin_right(28)
        .x_label_area_size(36)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..seconds, (least / 2.0..1.0).log_scale())?;
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT)
        .x_desc("seconds")
        .y_label_formatter(&|y| format!("{y:.0e}"))
        .draw()?;
    let curves = [
        ("Levenberg-Marquardt", solved, RGBColor(214, 90, 20)),
        ("Adam", adam, RGBColor(31, 119, 180)),
    ];
    for (name, curve, colour) in curves {
        let line = LineSeries::new(curve.iter().copied(), colour.stroke_width(2));
        chart
            .draw_series(line)?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    let mut labels = chart.configure_series_labels();
    labels.background_style(WHITE).position(SeriesLabelPosition::UpperRight).draw()?;
    area.present()?;
    Ok(file.clone())
}
