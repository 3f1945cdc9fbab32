//! Chapter 5.7.4, learning by backpropagation: the four steps of the training, on the embedded
//! handwritten digits, or with `--mnist DIR` on MNIST. `--help` lists the options.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;
mod curves;
mod digits;
mod mistakes;
mod options;

use chainrule::data::{Dataset, Pixels, read_mnist, stratified_split};
use chainrule::files::{Checkpoint, Stored};
use chainrule::metrics::Confusion;
use chainrule::schedule::{Cosine, Schedule};
use chainrule::{
    Adam, Affine, Optimizer, Progress, Relu, Sgd, Trainer, TrainerState, Training, TwoLayerNet,
};
use clap::Parser;
use common::{
    Failure,
    report::{Picture, Report},
};
use curves::Curves;
use mistakes::Mistake;
use nalgebra::{Dyn, convert};
use options::{Choice, Options, Precision};
use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
use std::{ops::ControlFlow, process::ExitCode, time::Instant};

/// The net: `IN` pixels, `HIDDEN` units with ReLU, 10 digits.
type Net<T, const IN: usize, const HIDDEN: usize> = TwoLayerNet<T, IN, HIDDEN, 10>;
type Layers<T, const IN: usize, const HIDDEN: usize> =
    (Affine<T, IN, HIDDEN>, Relu, Affine<T, HIDDEN, 10>);
type Digits<const IN: usize> = Dataset<Pixels<IN>, Vec<usize>>;

fn train<T: Stored, const IN: usize, const HIDDEN: usize>(
    options: &Options,
    [train, test]: &[Digits<IN>; 2],
) -> Result<f64, Failure>
where
    f64: From<T>,
{
    let rate = convert(options.rate());
    let cosine = Cosine { steps: options.iterations() as u64, last: T::zero() };
    let falls = options.cosine;
    let schedule = move |step| if falls { cosine.factor(step) } else { T::one() };
    // The optimizer is chosen at run time. One that is chosen at compile time would change the weights during the backward
    // pass, which saves some time and gives the same bits.
    let mut optimizer: Box<dyn Optimizer<T, Layers<T, IN, HIDDEN>>> = match options.optimizer {
        Choice::Sgd => Box::new(Sgd::new(rate).schedule(schedule)),
        Choice::Adam => Box::new(Adam::new(rate).schedule(schedule)),
    };
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(options.seed);
    let mut net = Net::<T, IN, HIDDEN>::normal(convert(options.deviation()), &mut rng);
    println!("{IN}-{HIDDEN}-10 on {} images, {} to test on", train.len(), test.len());
    println!("{net}\n");

    let mut curves = Curves::default();
    let accuracies = |net: &Net<T, IN, HIDDEN>| {
        [train, test].map(|data| f64::from(net.accuracy_on(data, Dyn(256))))
    };
    let bar = options.progress_bar();
    let report = |curves: &mut Curves, net: &Net<T, IN, HIDDEN>, iteration| {
        let [train, test] = accuracies(net);
        curves.accuracies.push((iteration, train, test));
        bar.suspend(|| println!("train acc, test acc | {train:.6}, {test:.4}"));
    };
    let start = Instant::now();
    let ended = match options.patience {
        // Steps 1 to 4: draw a mini-batch, compute its gradient, update the parameters, repeat. Every thousand
        // iterations save a checkpoint.
        None => {
            let file = options.out.join("checkpoint.safetensors");
            let mut at = Checkpoint { iteration: 0, seed: options.seed };
            if options.resume && file.exists() {
                at = Checkpoint::load(&file, &mut net, &mut optimizer)?;
                curves.first = at.iteration;
                bar.set_position(at.iteration as u64);
                println!("continued from iteration {}", at.iteration);
            }
            let mut ended = Ok(());
            while at.iteration < options.iterations() && ended.is_ok() {
                let iterations = options.iterations().min(at.iteration + 1000);
                let training = Training { batch: Dyn(options.batch()), iterations, seed: at.seed };
                ended = training.run_from(at.iteration, &mut net, &mut optimizer, train, |at| {
                    let Progress { net, iteration, loss, epoch } = at;
                    curves.losses.push(loss.into());
                    if epoch.is_some() {
                        report(&mut curves, net, iteration);
                    }
                    bar.inc(1);
                });
                at.iteration = iterations;
                if ended.is_ok() {
                    at.save(&file, &net, &optimizer)?;
                }
            }
            ended
        }
        // The same by epochs. The loss on a tenth of the images, which are held out, decides when to stop.
        Some(patience) => {
            let held_out = stratified_split(train.targets(), train.len() / 10, options.seed)?;
            let (part, valid) = (train.select(&held_out.train)?, train.select(&held_out.test)?);
            let epochs = options.iterations().div_ceil(part.len().div_ceil(options.batch()));
            let file = options.out.join("trainer.safetensors");
            let mut trainer = Trainer::new(Dyn(options.batch()), epochs as u64, options.seed);
            trainer.patience = Some(patience);
            if options.resume && file.exists() {
                trainer.state = TrainerState::load(&file, &mut net, &mut optimizer)?;
                curves.first = trainer.state.updates as usize;
                bar.set_position(trainer.state.updates);
                println!("continued from iteration {}", trainer.state.updates);
            }
            // After every epoch the training is saved.
            let mut saved = Ok(());
            let ended = trainer.fit(&mut net, &mut optimizer, &part, Some(&valid), |at| {
                curves.losses.push(at.loss.into());
                if let Some(epoch) = at.epoch {
                    bar.suspend(|| println!("{epoch}"));
                    report(&mut curves, at.net, at.state.updates as usize);
                    saved = at.state.save(&file, at.net, at.optimizer);
                }
                bar.inc(1);
                if saved.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            saved?;
            ended
        }
    };
    bar.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();

    if let Err(error) = ended {
        eprintln!("warning: {error}; try a smaller --rate");
    }
    let [train_accuracy, accuracy] = accuracies(&net);
    println!("\n{} iterations in {seconds:.2} s", curves.losses.len());
    println!("train acc, test acc | {train_accuracy:.6}, {accuracy:.4}");
    let last = curves.first + curves.losses.len();
    curves.accuracies.push((last, train_accuracy, accuracy));

    let mistakes = mistakes::find(&net, test)?;
    println!("\n{} mistakes; the worst:", mistakes.len());
    for Mistake { image, digit, taken_for, probabilities: [wrong, right] } in
        mistakes.iter().take(8)
    {
        println!(
            "test image {image}: {digit}, taken for {taken_for} ({wrong:.4} against {right:.4})"
        );
    }
    let name = format!("{IN}-{HIDDEN}-10, seed {}", options.seed);
    println!("curves in {}", curves.draw(&options.out, &name)?.display());
    println!("mistakes in {}", mistakes::draw(&mistakes, test, &options.out)?.display());
    let ends = (seconds, accuracy);
    let report = on_one_page(options, &net, [train, test], &curves, &mistakes, ends)?;
    println!("report in {}", report.write(&options.out)?.display());
    Ok(accuracy)
}

/// All of the training on one page.
fn on_one_page<T: Stored, const IN: usize, const HIDDEN: usize>(
    options: &Options,
    net: &Net<T, IN, HIDDEN>,
    [train, test]: [&Digits<IN>; 2],
    curves: &Curves,
    mistakes: &[Mistake],
    (seconds, accuracy): (f64, f64),
) -> Result<Report, Failure>
where
    f64: From<T>,
{
    let percent = 100.0 * accuracy;
    let summary = format!(
        "{percent:.1} % of {} test images recognised after {} iterations in {seconds:.2} s",
        test.len(),
        curves.first + curves.losses.len(),
    );
    let mut report = Report::new(&format!("{IN}-{HIDDEN}-10 on handwritten digits"), &summary);
    curves.report(&mut report);

    let confusion = net.measure(test, Dyn(256), Confusion::<10>::new())?;
    let digits = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    report.confusion(digits, &confusion.counts);
    report.settings(&options.settings(train.len()));
    report.text("Net", "", net);
    // The book's check, on three images. The pixels are scaled as in the training.
    let (net, (x, t)) = (net.map(f64::from), train.batch::<f64, _>(&[0, 1, 2], Dyn(3))?);
    report.gradient_check(&net.gradient(&x, &t[..]), &net.numerical_gradient(&x, &t[..]));
    let note = "The worst first, with the probability that the net gives to the wrong digit.";
    report.pictures("Worst mistakes", note, 5.5, &mistakes::pictures(mistakes, test, 24));
    let unit = |row: nalgebra::RowSVector<f64, IN>| {
        Picture::signed(String::new(), IN.isqrt(), row.as_slice())
    };
    let units: Vec<_> = net.layers.0.weight.row_iter().map(|row| unit(row.into_owned())).collect();
    let note = "One picture for each hidden unit: blue weights are above 0, orange ones below.";
    report.pictures("Weights of the first layer", note, 3.2, &units);
    Ok(report)
}

fn with_hidden<T: Stored, const IN: usize>(
    options: &Options,
    data: &[Digits<IN>; 2],
) -> Result<f64, Failure>
where
    f64: From<T>,
{
    // The size of a layer is part of its type: a choice at run time is a choice among nets.
    match options.hidden() {
        100 => train::<T, IN, 100>(options, data),
        _ => train::<T, IN, 50>(options, data),
    }
}

fn with_scalar<const IN: usize>(options: &Options, data: &[Digits<IN>; 2]) -> Result<f64, Failure> {
    match options.scalar {
        Precision::F32 => with_hidden::<f32, IN>(options, data),
        Precision::F64 => with_hidden::<f64, IN>(options, data),
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    common::writable(&options.out)?;
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
    common::exit(run(&Options::parse()))
}
