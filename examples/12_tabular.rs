//! Trains a classifier on a table of measurements, and cross-validates it: CSV, folds with the same share of each
//! class, standardised features, early stopping, confusion matrix.
//!
//! `tests/goldens/tabular.py` prints what scikit-learn's `MLPClassifier` of the same size reaches on the same folds.

#[macro_use]
mod common;

use chainrule::{
    Adam, Affine, ByValue, D1, Epoch, Network, Relu, SoftmaxCrossEntropy, Standardize, Trainer,
    data::{Dataset, Split, Table, stratified_folds, stratified_split},
    metrics::Confusion,
};
use clap::{Parser, ValueEnum, value_parser};
use common::{
    BLUE, Failure, ORANGE, Series,
    report::{self, Curve, Report},
};
use nalgebra::{Dyn, SMatrix, SVector};
use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
use std::{path::PathBuf, process::ExitCode, thread};

/// `N` measurements, 16 hidden units, `C` classes. The first layer holds the mean and the standard deviation of the
/// training samples.
type Layers<const N: usize, const C: usize> =
    (Standardize<f32, N>, Affine<f32, N, 16>, Relu, Affine<f32, 16, C>);
type Net<const N: usize, const C: usize> = Network<f32, D1<N>, Layers<N, C>, SoftmaxCrossEntropy>;

/// Cross-validates a classifier on a table that is embedded in this program.
#[derive(Parser, Debug)]
struct Options {
    /// The table
    #[arg(long, value_enum, default_value = "breast-cancer")]
    table: Choice,
    /// Folds
    #[arg(long, default_value_t = 5)]
    folds: usize,
    /// Runs, each with its own folds and first weights
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u64).range(1..=1000))]
    runs: u64,
    /// Number of threads, which does not change the result
    #[arg(long, default_value_t = 2, value_parser = value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Seed of the first run
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for the picture of the curves and the report; created if missing
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Choice {
    BreastCancer,
    Wine,
}

/// The result of one fold.
struct Fold<const N: usize, const C: usize> {
    net: Net<N, C>,
    confusion: Confusion<C>,
    curve: Vec<Epoch>,
    best: u64,
}

/// Trains on one part of the table and tests on the other.
fn fold<const N: usize, const C: usize>(
    rows: &[[f32; N]],
    labels: &[usize],
    Split { train, test }: &Split,
    seed: u64,
) -> Result<Fold<N, C>, Failure> {
    let data = Dataset::labelled(rows, labels, C)?;
    let (train, test) = (data.select(train)?, data.select(test)?);
    // The loss on a tenth of the training samples decides when to stop.
    let inner = stratified_split(&train.targets().to_vec(), train.len() / 10, seed)?;
    let (part, valid) = (train.select(&inner.train)?, train.select(&inner.test)?);

    let mut net = Net::<N, C>::init(&mut Xoshiro128PlusPlus::seed_from_u64(seed));
    net.layers.0 = Standardize::fit(&train.inputs().to_vec())?;
    let (mut trainer, mut curve) = (Trainer::new(Dyn(32), 400, seed), Vec::new());
    trainer.patience = Some(40);
    let mut adam = Adam::decoupled(2e-3, 1.0);
    trainer.fit(&mut net, &mut adam, &part, Some(&valid), |at| curve.extend(at.epoch))?;
    let confusion = net.measure(&test, Dyn(64), Confusion::new())?;
    let best = trainer.state.best.map_or(0, |epoch| epoch.number);
    Ok(Fold { net, confusion, curve, best })
}

/// A table of the samples of one fold that are taken for another class, each with the two measurements that are
/// farthest from the mean, in standard deviations.
fn mistakes<const N: usize, const C: usize>(
    net: &Net<N, C>,
    rows: &[[f32; N]],
    labels: &[usize],
    test: &[usize],
    classes: &[&str],
    columns: &[&str],
) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for &sample in test {
        let x = SVector::<f32, N>::from(rows[sample]);
        let y = net.predict(&x);
        let (taken_for, rest) = (y.argmax().0, (y.add_scalar(-y.max())).map(f32::exp));
        let probability = rest[labels[sample]] / rest.sum();
        if taken_for != labels[sample] {
            let mut far: Vec<_> = net.layers.0.trace(&x).y.iter().copied().zip(columns).collect();
            far.sort_by(|(a, _), (b, _)| b.abs().total_cmp(&a.abs()));
            let far = far.iter().take(2).map(|(x, name)| format!("{name} {x:+.1}"));
            found.push((probability, sample, taken_for, far.collect::<Vec<_>>().join(", ")));
        }
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    let head = ["row", "class", "taken for", "probability", "farthest from the mean"];
    let row = |(probability, sample, taken_for, far): &(f32, usize, usize, String)| {
        let [class, taken_for] = [labels[*sample], *taken_for].map(|class| classes[class].into());
        vec![(sample + 1).to_string(), class, taken_for, format!("{probability:.3}"), far.clone()]
    };
    [head.map(String::from).to_vec()].into_iter().chain(found.iter().take(10).map(row)).collect()
}

fn validate<const N: usize, const C: usize>(
    options: &Options,
    name: &str,
    file: &str,
    least: f64,
) -> Result<(), Failure> {
    let table = Table::read(name, file.as_bytes())?;
    let rows = table.numbers::<f32, N>(table.columns_except(&["class"]))?;
    let (labels, names) = table.classes("class")?;
    println!("{name}: {} rows, {N}-16-{C}, {} folds", table.len(), options.folds);

    // All folds of all runs are independent: each thread trains a share of them.
    let mut jobs = Vec::new();
    for seed in (options.seed..).take(options.runs as usize) {
        for split in stratified_folds(&labels, options.folds, seed)? {
            jobs.push((seed, split, None));
        }
    }
    let share = jobs.len().div_ceil(options.threads.into());
    thread::scope(|scope| {
        for jobs in jobs.chunks_mut(share) {
            scope.spawn(|| {
                for (seed, split, done) in jobs {
                    *done = Some(fold::<N, C>(&rows, &labels, split, *seed));
                }
            });
        }
    });
    let (mut folds, mut tests) = (Vec::new(), Vec::new());
    for (_, split, done) in jobs {
        folds.push(done.ok_or("a thread failed")??);
        tests.push(split.test);
    }

    let mut all = Confusion::<C>::new();
    for (i, Fold { confusion, curve, best, .. }) in folds.iter().enumerate() {
        let (run, fold) = (i / options.folds, i % options.folds + 1);
        let accuracy = confusion.accuracy();
        println!(
            "run {run} fold {fold}: accuracy {accuracy:.4}, best of {} epochs: {best}",
            curve.len()
        );
        for (sum, counts) in all.counts.iter_mut().zip(confusion.counts) {
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
    }
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    println!("\n{}", all.named(&names));
    for (class, name) in names.iter().enumerate() {
        let [precision, recall, f1] = [all.precision(class), all.recall(class), all.f1(class)];
        println!("{name:>10}: precision {precision:.4}, recall {recall:.4}, F1 {f1:.4}");
    }
    let ours = options.folds == 5 && options.runs == 5 && options.seed == 0;
    let accuracies: Vec<f64> = folds.iter().map(|fold| fold.confusion.accuracy()).collect();
    let mean = accuracies.iter().sum::<f64>() / accuracies.len() as f64;
    let variance = accuracies.iter().map(|a| (a - mean).powi(2)).sum::<f64>();
    let error = (variance / (accuracies.len() - 1) as f64 / options.folds as f64).sqrt();
    println!("mean accuracy {mean:.4}, standard error of one run {error:.4}");
    if ours {
        println!("MLPClassifier {least:.4} (tests/goldens/tabular.py)");
    }

    let curve = |of: fn(&Epoch) -> f64| {
        let first = folds.first().into_iter().flat_map(|fold| &fold.curve);
        first.map(|epoch| (epoch.number as f64, of(epoch))).collect()
    };
    let series = [
        Series { name: "train", colour: BLUE, points: curve(|epoch| epoch.loss), dots: false },
        Series {
            name: "validation",
            colour: ORANGE,
            points: curve(|epoch| epoch.validation.unwrap_or(f64::NAN)),
            dots: false,
        },
    ];
    let title = format!("First fold: {N}-16-{C}, seed {}", options.seed);
    let draw =
        |area: &common::Area| common::chart(area, &title, ["epoch", "cross entropy"], &series);
    let picture = common::picture(&options.out, "tabular.svg", [&draw])?;
    println!("curves in {}", picture.display());

    let summary = format!(
        "mean accuracy {mean:.4} over {} runs of {} folds, standard error of one run {error:.4}",
        options.runs, options.folds
    );
    let mut report = Report::new(&format!("{N}-16-{C} on {name}"), &summary);
    let curves = series.into_iter().zip([report::FIRST, report::SECOND]);
    let curves: Vec<_> =
        curves.map(|(series, colour)| Curve(series.name, colour, series.points)).collect();
    report.chart("Loss in the first fold", ["epoch", "cross entropy"], &curves);
    report.confusion(names.clone().try_into().map_err(|_| "other classes")?, &all.counts);
    report.settings(&[
        ("table", format!("{name}, {} rows", table.len())),
        ("runs, each with its own folds", options.runs.to_string()),
        ("folds", options.folds.to_string()),
        ("optimizer", "Adam, learning rate 0.002, decoupled decay 1".into()),
        ("samples in a mini-batch", "32".into()),
        ("most epochs", "400".into()),
        ("patience", "40 epochs".into()),
        ("first seed", options.seed.to_string()),
    ]);
    if let (Some(Fold { net, .. }), Some(test)) = (folds.first(), tests.first()) {
        let columns: Vec<_> = table.columns_except(&["class"]).collect();
        report.table(
            "Worst mistakes of the first fold",
            "The samples to which the net gives the least probability of their class.",
            true,
            &mistakes(net, &rows, &labels, test, &names, &columns),
        );
        report.text("Net of the first fold", "", net);
        let (net, x) =
            (net.map(f64::from), SMatrix::<f64, N, 3>::from_fn(|i, j| rows[j][i].into()));
        let t: [usize; 3] = std::array::from_fn(|sample| labels[sample]);
        report.gradient_check(&net.gradient(&x, &t), &net.numerical_gradient(&x, &t));
        let units: Vec<_> = (1..=16).map(|unit| unit.to_string()).collect();
        let units: [&str; 16] = std::array::from_fn(|unit| units[unit].as_str());
        let weights = net.layers.1.weight.column_iter().zip(&columns);
        let weights: Vec<_> = weights
            .map(|(of, name)| (name.to_string(), std::array::from_fn(|unit| of[unit])))
            .collect();
        let note =
            "Columns: hidden units of the first fold. Blue weights are above 0, orange ones below.";
        report.heat("Weights of the first layer", note, units, &weights, |w| {
            if w.abs() < 0.05 { "0".into() } else { format!("{w:.1}") }
        });
    }
    println!("report in {}", report.write(&options.out)?.display());
    if ours && mean < least {
        return Err(format!("expected a mean accuracy of at least {least}").into());
    }
    Ok(())
}

fn run(options: &Options) -> Result<(), Failure> {
    common::writable(&options.out)?;
    macro_rules! table {
        ($name:literal) => {
            ($name, include_str!(concat!("data/tables/", $name)))
        };
    }
    // The mean of scikit-learn's MLPClassifier of the same size on the same 25 folds.
    match options.table {
        Choice::BreastCancer => {
            let (name, file) = table!("breast_cancer.csv");
            validate::<30, 2>(options, name, file, 0.974)
        }
        Choice::Wine => {
            let (name, file) = table!("wine.csv");
            validate::<13, 3>(options, name, file, 0.9753)
        }
    }
}

fn main() -> ExitCode {
    common::exit(run(&Options::parse()))
}
