//! Chapter 5.7.4, learning by backpropagation: the four steps, on the handwritten digits that are
//! embedded here, or with `--mnist DIR` on MNIST. `--help` lists the options.

mod curves;
mod digits;
mod options;

use chainrule::data::{Dataset, Pixels, read_mnist};
use chainrule::files::{Checkpoint, Stored};
use chainrule::{Progress, Sgd, Training, TwoLayerNet};
use clap::Parser;
use curves::Curves;
use nalgebra::Dyn;
use options::{Options, Precision};
use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
use std::{error::Error, fs, process::ExitCode, time::Instant};

/// The net: `IN` pixels, `HIDDEN` units with ReLU, 10 digits.
type Net<T, const IN: usize, const HIDDEN: usize> = TwoLayerNet<T, IN, HIDDEN, 10>;
type Digits<const IN: usize> = Dataset<Pixels<IN>, Vec<usize>>;

fn train<T: Stored, const IN: usize, const HIDDEN: usize>(
    options: &Options,
    [train, test]: &[Digits<IN>; 2],
) -> Result<f64, Box<dyn Error>>
where
    f64: From<T>,
{
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(options.seed);
    let mut net = Net::<T, IN, HIDDEN>::normal(nalgebra::convert(options.deviation()), &mut rng);
    println!("{IN}-{HIDDEN}-10 on {} images, {} to test on", train.len(), test.len());
    println!("{net}\n");

    let mut curves = Curves::default();
    let accuracies = |net: &Net<T, IN, HIDDEN>| {
        [train, test].map(|data| f64::from(net.accuracy_on(data, Dyn(256))))
    };

    // Steps 1 to 4: draw a mini-batch, find its gradient, update the parameters, repeat.
    let mut training = Training { batch: Dyn(options.batch()), iterations: 0, seed: options.seed };
    let mut sgd = Sgd::new(nalgebra::convert(options.rate()));
    fs::create_dir_all(&options.out)
        .map_err(|error| format!("{}: {error}", options.out.display()))?;
    let file = options.out.join("checkpoint.safetensors");
    let mut at = Checkpoint { iteration: 0, seed: options.seed };
    if options.resume && file.exists() {
        at = Checkpoint::load(&file, &mut net, &mut sgd)?;
        (training.seed, curves.first) = (at.seed, at.iteration);
        println!("continued from iteration {}", at.iteration);
    }
    let bar = options.progress_bar();
    bar.set_position(at.iteration as u64);
    let start = Instant::now();
    let mut ended = Ok(());
    while at.iteration < options.iterations() && ended.is_ok() {
        training.iterations = options.iterations().min(at.iteration + 1000);
        let observer = |Progress { net, iteration, loss, epoch }: Progress<_, T>| {
            curves.losses.push(loss.into());
            if epoch.is_some() {
                let [train, test] = accuracies(net);
                curves.accuracies.push((iteration, train, test));
                bar.suspend(|| println!("train acc, test acc | {train:.6}, {test:.4}"));
            }
            bar.inc(1);
        };
        ended = training.run_from(at.iteration, &mut net, &mut sgd, train, observer);
        at.iteration = training.iterations;
        if ended.is_ok() {
            at.save(&file, &net, &sgd)?;
        }
    }
    bar.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();

    if let Err(error) = ended {
        eprintln!("warning: {error}; try a smaller --rate");
    }
    let [train, test] = accuracies(&net);
    println!("\n{} iterations in {seconds:.2} s", curves.losses.len());
    println!("train acc, test acc | {train:.6}, {test:.4}");
    curves.accuracies.push((curves.first + curves.losses.len(), train, test));
    println!("curves in {}", curves.draw(&options.out)?.display());
    Ok(test)
}

fn with_hidden<T: Stored, const IN: usize>(
    options: &Options,
    data: &[Digits<IN>; 2],
) -> Result<f64, Box<dyn Error>>
where
    f64: From<T>,
{
    // The size of a layer is part of its type: a choice at run time is a choice among nets.
    match options.hidden() {
        20 => train::<T, IN, 20>(options, data),
        100 => train::<T, IN, 100>(options, data),
        _ => train::<T, IN, 50>(options, data),
    }
}

fn with_scalar<const IN: usize>(
    options: &Options,
    data: &[Digits<IN>; 2],
) -> Result<f64, Box<dyn Error>> {
    match options.scalar {
        Precision::F32 => with_hidden::<f32, IN>(options, data),
        Precision::F64 => with_hidden::<f64, IN>(options, data),
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    match &options.mnist {
        Some(folder) => {
            with_scalar(options, &read_mnist::<784, 10>(folder)?)?;
        }
        None => {
            let [train, test] = digits::embedded()?;
            let train = digits::varied(&train, 20, options.seed).ok_or("no digits")?;
            let accuracy = with_scalar(options, &[train, test])?;
            if options.untouched() && accuracy < 0.95 {
                return Err("less than 95 % of the test digits were recognised".into());
            }
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
