//! Chapter 6.2: how the first weights change the activations of a deep net, as histograms by depth and by scheme.
//! `--help` lists the options.

#[macro_use]
mod common;

use chainrule::{Affine, ByValue, Relu, Sigmoid, Zeros, init};
use clap::Parser;
use common::Failure;
use nalgebra::{Const, Dyn, OMatrix, SMatrix};
use plotters::prelude::*;
use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Draws the activations of five layers of 100 units for 1,000 random inputs, with six choices of first weights.
#[derive(Parser)]
struct Options {
    /// Seed of the inputs and of the weights
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for the picture; created if missing
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
}

const UNITS: usize = 100;
const SAMPLES: usize = 1000;
const DEPTH: usize = 5;
const BINS: usize = 30;

type Weight = SMatrix<f32, UNITS, UNITS>;
type Values = OMatrix<f32, Const<UNITS>, Dyn>;
type Rng = Xoshiro128PlusPlus;

/// An activation with first weights.
struct Scheme {
    name: &'static str,
    activation: fn(&Values) -> Values,
    fill: fn(&mut Weight, &mut Rng),
}

fn schemes() -> [Scheme; 6] {
    let sigmoid = |x: &Values| Sigmoid.trace(x).y;
    let relu = |x: &Values| Relu.trace(x).y;
    [
        Scheme {
            name: "sigmoid, 1",
            activation: sigmoid,
            fill: |w, rng| init::normal(1.0, w, rng),
        },
        Scheme {
            name: "sigmoid, 0.01",
            activation: sigmoid,
            fill: |w, rng| init::normal(0.01, w, rng),
        },
        Scheme {
            name: "sigmoid, Xavier",
            activation: sigmoid,
            fill: |w, rng| init::xavier(w, rng),
        },
        Scheme { name: "ReLU, 0.01", activation: relu, fill: |w, rng| init::normal(0.01, w, rng) },
        Scheme { name: "ReLU, Xavier", activation: relu, fill: |w, rng| init::xavier(w, rng) },
        Scheme { name: "ReLU, He", activation: relu, fill: |w, rng| init::he(w, rng) },
    ]
}

/// The activations of each layer.
fn activations(scheme: &Scheme, seed: u64) -> Vec<Values> {
    let mut rng = Rng::seed_from_u64(seed);
    let mut x = Values::zeros_generic(Const, Dyn(SAMPLES));
    init::fill(1.0, x.as_mut_slice(), &mut rng);
    let mut affine = Box::<Affine<f32, UNITS, UNITS>>::zeros();
    let layer = |_| {
        (scheme.fill)(&mut affine.weight, &mut rng);
        x = (scheme.activation)(&affine.trace(&x).y);
        x.clone()
    };
    (0..DEPTH).map(layer).collect()
}

fn deviation(values: &Values) -> f32 {
    values.variance().sqrt()
}

/// The share of activations at or near an end, where the slope of the sigmoid is nearly 0.
fn saturated(values: &Values) -> f32 {
    let ends = values.iter().filter(|&&y| !(0.05..=0.95).contains(&y)).count();
    ends as f32 / values.len() as f32
}

/// Percent of the activations in each bin from 0 to `top`; the last bin also counts those above `top`.
fn histogram(values: &Values, top: f32) -> [f64; BINS] {
    let mut bins = [0.0; BINS];
    for &y in values {
        let bin = (y / top * BINS as f32) as usize;
        bins[bin.min(BINS - 1)] += 100.0 / values.len() as f64;
    }
    bins
}

const BAR: RGBColor = RGBColor(31, 119, 180);
/// Higher bars are cut, as in the book.
const HIGHEST: f64 = 25.0;

fn draw(file: &Path, seed: u64, all: &[(Scheme, Vec<Values>)]) -> Result<(), Failure> {
    let area = SVGBackend::new(file, (1100, 1000)).into_drawing_area();
    area.fill(&WHITE)?;
    let title = format!("Activations of 100-100-100-100-100-100 by first weights, seed {seed}");
    let area = area.titled(&title, ("sans-serif", 20))?;
    for (row, (scheme, layers)) in area.split_evenly((all.len(), 1)).iter().zip(all) {
        let top = if scheme.name.starts_with("ReLU") { 2.0 } else { 1.0 };
        for (i, (part, values)) in row.split_evenly((1, DEPTH)).iter().zip(layers).enumerate() {
            let mut chart = ChartBuilder::on(part)
                .caption(format!("{}: layer {}", scheme.name, i + 1), ("sans-serif", 13))
                .margin(5)
                .margin_right(14)
                .x_label_area_size(30)
                .y_label_area_size(40)
                .build_cartesian_2d(0.0..top, 0.0..HIGHEST)?;
            let mut mesh = chart.configure_mesh();
            mesh.disable_mesh()
                .x_labels(3)
                .y_labels(4)
                .x_desc("activation")
                .y_desc("percent")
                .draw()?;
            let width = top / BINS as f64;
            let bars =
                histogram(values, top as f32).into_iter().enumerate().map(|(bin, percent)| {
                    let left = bin as f64 * width;
                    Rectangle::new(
                        [(left, 0.0), (left + width, percent.min(HIGHEST))],
                        BAR.filled(),
                    )
                });
            chart.draw_series(bars)?;
        }
    }
    area.present()?;
    Ok(())
}

fn run(options: &Options) -> Result<(), Failure> {
    let file = options.out.join("initialisation.svg");
    common::writable(&options.out)?;

    let all: Vec<_> = schemes()
        .into_iter()
        .map(|scheme| {
            let layers = activations(&scheme, options.seed);
            (scheme, layers)
        })
        .collect();
    println!("standard deviation of the activations, layer 1 to {DEPTH}:");
    for (scheme, layers) in &all {
        let deviations: String = layers.iter().map(|v| format!(" {:>8.4}", deviation(v))).collect();
        println!("  {:<16}{deviations}", scheme.name);
    }
    draw(&file, options.seed, &all)?;
    println!("histograms in {}", file.display());

    // What the book's pictures show.
    let last: Vec<_> = all.iter().map(|(_, layers)| &layers[DEPTH - 1]).collect();
    assert!(saturated(last[0]) > 0.5, "large weights drive the sigmoid to its ends");
    assert!(deviation(last[1]) < 0.02, "small weights give every unit the same output");
    assert!(deviation(last[2]) > 0.05 && saturated(last[2]) < 0.01, "Xavier keeps them apart");
    assert!(deviation(last[3]) < 1e-3, "small weights let ReLU vanish");
    let [first, fifth] = [0, DEPTH - 1].map(|i| deviation(&all[5].1[i]));
    assert!(fifth > 0.5 * first && fifth < 2.0 * first, "He keeps the deviation");
    assert!(deviation(last[4]) < 0.5 * fifth, "with Xavier ReLU's activations shrink");
    Ok(())
}

fn main() -> ExitCode {
    common::exit(run(&Options::parse()))
}
