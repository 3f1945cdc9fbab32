//! The picture of a training: its loss, and its accuracies.

use super::common::{
    self, Area, BLUE, FAINT, Failure, ORANGE, Series,
    report::{self, Curve, Report},
};
use std::path::{Path, PathBuf};

type Points = Vec<(f64, f64)>;

#[derive(Default)]
pub struct Curves {
    /// The iteration at which the curves begin.
    pub first: usize,
    /// The loss of each mini-batch.
    pub losses: Vec<f64>,
    /// Iteration, accuracy on the training data, accuracy on the test data.
    pub accuracies: Vec<(usize, f64, f64)>,
}

impl Curves {
    /// Draws both curves into a file of `folder`.
    pub fn draw(&self, folder: &Path, net: &str) -> Result<PathBuf, Failure> {
        let (window, [losses, means], [train, test]) = self.lines();
        let mean = format!("mean of {window}");
        let loss = [line("mini-batch", FAINT, losses), line(&mean, BLUE, means)];
        let accuracy = [line("train", BLUE, train), line("test", ORANGE, test)];
        let left = |area: &Area| {
            common::chart(area, &format!("Loss: {net}"), ["iteration", "cross entropy"], &loss)
        };
        let right = |area: &Area| {
            common::chart(area, &format!("Accuracy: {net}"), ["iteration", "accuracy"], &accuracy)
        };
        common::picture(folder, "train_neuralnet.svg", [&left, &right])
    }

    /// Adds both curves to a report.
    pub fn report(&self, report: &mut Report) {
        let (window, [losses, means], [train, test]) = self.lines();
        let mean = format!("mean of {window}");
        let loss = [Curve("mini-batch", report::FAINT, losses), Curve(&mean, report::FIRST, means)];
        report.chart("Loss", ["iteration", "cross entropy"], &loss);
        let accuracy = [Curve("train", report::FIRST, train), Curve("test", report::SECOND, test)];
        report.chart("Accuracy", ["iteration", "accuracy"], &accuracy);
    }

    /// The length of a window, a fiftieth of the run; the losses and their means over such a window, which show the trend;
    /// and both accuracies.
    fn lines(&self) -> (usize, [Points; 2], [Points; 2]) {
        let losses = (self.first..).zip(&self.losses).map(|(i, &loss)| (i as f64, loss));
        let window = (self.losses.len() / 50).max(1);
        let means =
            self.losses.windows(window).map(|part| part.iter().sum::<f64>() / window as f64);
        let means = (self.first + window..).zip(means).map(|(i, mean)| (i as f64, mean));
        let train = self.accuracies.iter().map(|&(i, train, _)| (i as f64, train));
        let test = self.accuracies.iter().map(|&(i, _, test)| (i as f64, test));
        (window, [losses.collect(), means.collect()], [train.collect(), test.collect()])
    }
}

fn line(name: &str, colour: plotters::style::RGBColor, points: Points) -> Series<'_> {
    Series { name, colour, points, dots: false }
}
