//! A net solves a differential equation, u″ = -π²·sin πx with u = 0 at -1 and 1. The training knows no value of the
//! solution: the loss is the error of the equation at 101 points. The Levenberg–Marquardt method solves it in 20
//! steps; Adam is run for comparison.

use chainrule::{
    Adam, Affine, D1, LevenbergMarquardt, Network, Objective, Optimizer, SumSquaredError, Tanh,
};
use clap::{Parser, value_parser};
use nalgebra::{SMatrix, SVector};
use plotters::prelude::*;
use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
use std::{error::Error, f64::consts::PI, fs, path::PathBuf, time::Instant};

/// Solves u" = -π²·sin πx with a physics-informed net of 61 weights.
#[derive(Parser)]
struct Options {
    /// Number of starts, each with other first weights, from seed 0 on
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u64).range(1..))]
    starts: u64,
    /// Steps of Adam, each on all points
    #[arg(long, default_value_t = 1000, value_parser = value_parser!(u32).range(1..))]
    adam: u32,
    /// Folder for the picture; created if missing
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
}

type Layers = (Affine<f64, 1, 20>, Tanh, Affine<f64, 20, 1>);
type Net = Network<f64, D1<1>, Layers, SumSquaredError>;
const WEIGHTS: usize = Net::weight_count();
type Points = SMatrix<f64, 1, 101>;

/// First weights: units that cover the interval evenly, with slopes of 3, since the solution is smooth.
fn start(seed: u64) -> Net {
    let rng = &mut Xoshiro128PlusPlus::seed_from_u64(seed);
    let mut first = Affine::<f64, 1, 20>::nguyen_widrow(rng);
    first.weight *= 3.0 / 14.0;
    first.bias *= 3.0 / 14.0;
    Net::new((first, Tanh, Affine::normal(0.005, rng)), SumSquaredError)
}

fn solver() -> LevenbergMarquardt<f64, WEIGHTS> {
    let mut solver = LevenbergMarquardt::new();
    solver.damping = 0.1;
    solver
}

/// The residuals: the error of the equation at each point, and the values at the ends. The solver makes their squares
/// small.
macro_rules! equation {
    ($net:expr, $x:expr) => {
        $net.physics::<2, WEIGHTS, 8, 1, _, _>($x, |sample, x, u| {
            let at_an_end = sample % 100 == 0;
            let end = if at_an_end { u.value[0] * 10.0.into() } else { 0.0.into() };
            [u.second[0] + (PI * PI * (PI * x[0]).sin()).into(), end]
        })
    };
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let x = Points::from_fn(|_, i| i as f64 / 50.0 - 1.0);
    let truth = x.map(|x| (PI * x).sin());
    let error = |net: &Net| (net.predict(&x) - truth).norm() / truth.norm();

    for seed in 0..options.starts {
        let (mut net, clock) = (start(seed), Instant::now());
        let outcome = solver().solve(&mut equation!(net, &x), 20);
        let (seconds, error) = (clock.elapsed().as_secs_f64(), error(&net));
        println!(
            "Levenberg-Marquardt, seed {seed}: {} steps, {seconds:.3} s, relative error {error:.1e}",
            outcome.iterations
        );
        assert!(error <= 1e-5);
    }
    // The error after each step, for the picture.
    let mut net = start(0);
    let (mut solver, mut solved) = (solver(), vec![error(&net)]);
    for _ in 0..20 {
        solver.step(&mut equation!(net, &x)).map_err(|stop| stop.to_string())?;
        solved.push(error(&net));
    }

    let (mut by_adam, mut adam, clock) = (start(0), Adam::new(1e-2), Instant::now());
    let mut curve = vec![error(&by_adam)];
    let [mut weights, mut gradient] = [SVector::<f64, WEIGHTS>::zeros(); 2];
    for step in 0..options.adam {
        let mut problem = equation!(by_adam, &x);
        problem.weights(&mut weights);
        problem.evaluate(&mut gradient);
        adam.step(&mut weights, &gradient)?;
        problem.set(&weights);
        if step % 10 == 9 {
            curve.push(error(&by_adam));
        }
    }
    let (seconds, theirs) = (clock.elapsed().as_secs_f64(), error(&by_adam));
    println!("Adam, seed 0: {} steps, {seconds:.3} s, relative error {theirs:.1e}", options.adam);
    println!("picture in {}", draw(&options.out, &net, &solved, &curve)?.display());
    Ok(())
}

fn draw(
    folder: &PathBuf,
    net: &Net,
    solved: &[f64],
    adam: &[f64],
) -> Result<PathBuf, Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let file = folder.join("pinn.svg");
    let area = SVGBackend::new(&file, (960, 400)).into_drawing_area();
    area.fill(&WHITE)?;
    let (left, right) = area.split_horizontally(480);
    let (blue, orange) = (RGBColor(31, 119, 180), RGBColor(214, 90, 20));
    let mut chart = ChartBuilder::on(&left)
        .caption("u(x): the net, and sin πx as dots", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(44)
        .build_cartesian_2d(-1.0..1.0, -1.2..1.2)?;
    chart.configure_mesh().light_line_style(TRANSPARENT).x_desc("x").draw()?;
    let fine = SMatrix::<f64, 1, 201>::from_fn(|_, i| i as f64 / 100.0 - 1.0);
    let u = net.predict(&fine);
    let curve = fine.iter().copied().zip(u.iter().copied());
    chart.draw_series(LineSeries::new(curve, orange.stroke_width(2)))?;
    let dots = (0..=20).map(|i| f64::from(i) / 10.0 - 1.0);
    chart.draw_series(dots.map(|x| Circle::new((x, (PI * x).sin()), 3, blue.filled())))?;

    let mut chart = ChartBuilder::on(&right)
        .caption("Relative error", ("sans-serif", 18))
        .margin(12)
        .margin_right(28)
        .x_label_area_size(36)
        .y_label_area_size(60)
        .build_cartesian_2d(
            (1.0..10.0 * adam.len() as f64).log_scale(),
            (1e-8..10.0).log_scale(),
        )?;
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT)
        .x_desc("steps")
        .y_label_formatter(&|y| format!("{y:.0e}"))
        .draw()?;
    for (name, curve, every, colour) in
        [("Levenberg-Marquardt", solved, 1, orange), ("Adam", adam, 10, blue)]
    {
        let points = curve.iter().enumerate().map(|(i, &error)| ((every * i).max(1) as f64, error));
        let line = LineSeries::new(points, colour.stroke_width(2));
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
