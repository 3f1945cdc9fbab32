//! The options on the command line.

use clap::{Parser, ValueEnum, value_parser};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;

/// Trains the two-layer net of chapter 5 by backpropagation.
///
/// Without options it trains on the embedded 8×8 handwritten digits, and reaches at least 95 % test
/// accuracy in a few seconds.
#[derive(Parser, Debug)]
pub struct Options {
    /// Train on the four MNIST files in this folder, plain or .gz
    #[arg(long, value_name = "DIR")]
    pub mnist: Option<PathBuf>,
    /// The type of all numbers
    #[arg(long, value_enum, default_value = "f32")]
    pub scalar: Precision,
    /// Hidden units: 50 or 100 [default: 50 for MNIST, 100 for the embedded digits]
    #[arg(long, value_parser = hidden)]
    hidden: Option<usize>,
    /// Mini-batches to train on
    #[arg(long, default_value_t = 10_000, value_parser = value_parser!(u32).range(1..))]
    iterations: u32,
    /// Samples in a mini-batch
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(1..=100_000))]
    batch: u32,
    /// The optimizer
    #[arg(long, value_enum, default_value = "sgd")]
    pub optimizer: Choice,
    /// Let the learning rate fall to 0 along half a cosine
    #[arg(long)]
    pub cosine: bool,
    /// Hold out a tenth of the images, and stop when their loss has not fallen for this many epochs
    #[arg(long, value_name = "EPOCHS", value_parser = value_parser!(u64).range(1..))]
    pub patience: Option<u64>,
    /// Learning rate [default: 0.1 for MNIST, 0.5 for the embedded digits; 0.001 for Adam]
    #[arg(long, value_parser = positive, allow_negative_numbers = true)]
    rate: Option<f64>,
    /// Seed of the first weights and of the mini-batches
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Continue from the last checkpoint in the folder of --out, if there is one
    #[arg(long)]
    pub resume: bool,
    /// Folder for the checkpoint, the pictures of curves and mistakes, and the report; created if missing
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Precision {
    F32,
    F64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Choice {
    Sgd,
    Adam,
}

impl Options {
    pub fn hidden(&self) -> usize {
        self.hidden.unwrap_or(if self.mnist.is_some() { 50 } else { 100 })
    }

    pub fn iterations(&self) -> usize {
        self.iterations as usize
    }

    pub fn batch(&self) -> usize {
        self.batch as usize
    }

    pub fn rate(&self) -> f64 {
        let usual = match (self.optimizer, &self.mnist) {
            (Choice::Adam, _) => 0.001,
            (Choice::Sgd, Some(_)) => 0.1,
            (Choice::Sgd, None) => 0.5,
        };
        self.rate.unwrap_or(usual)
    }

    /// The standard deviation of the first weights: the book's 0.01, or about that of He, which works
    /// better on few digits.
    pub fn deviation(&self) -> f64 {
        if self.mnist.is_some() { 0.01 } else { 0.18 }
    }

    /// Whether the options are the defaults, for which the example asserts a good result.
    pub fn untouched(&self) -> bool {
        self.hidden.is_none()
            && self.rate.is_none()
            && self.patience.is_none()
            && !self.cosine
            && self.optimizer == Choice::Sgd
            && self.iterations == 10_000
            && self.batch == 100
            && self.seed == 0
    }

    /// The settings of a training on `images` images, for a report.
    pub fn settings(&self, images: usize) -> Vec<(&'static str, String)> {
        let data = if self.mnist.is_some() { "MNIST" } else { "the embedded digits" };
        let falls = if self.cosine { ", falling along half a cosine" } else { "" };
        let mut settings = vec![
            ("data", data.into()),
            ("training images", images.to_string()),
            ("scalar", format!("{:?}", self.scalar).to_lowercase()),
            ("optimizer", format!("{:?}", self.optimizer)),
            ("learning rate", format!("{}{falls}", self.rate())),
            ("samples in a mini-batch", self.batch.to_string()),
            ("iterations", self.iterations.to_string()),
            ("deviation of the first weights", self.deviation().to_string()),
            ("seed", self.seed.to_string()),
        ];
        settings.extend(self.patience.map(|epochs| ("patience", format!("{epochs} epochs"))));
        settings
    }

    /// A bar on a terminal; nothing in a pipe or a file.
    pub fn progress_bar(&self) -> ProgressBar {
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec}, {eta} to go");
        let bar = ProgressBar::new(self.iterations() as u64);
        bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }
}

fn hidden(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(size @ (50 | 100)) => Ok(size),
        _ => Err("the example is compiled for 50 and for 100".into()),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && f64::is_finite(rate) => Ok(rate),
        _ => Err("a number above 0 is needed".into()),
    }
}
