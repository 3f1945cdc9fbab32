//! The picture of a training: its loss, and its accuracies.

use plotters::prelude::*;
use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

#[derive(Default)]
pub struct Curves {
    /// The iteration at which they begin.
    pub first: usize,
    /// The loss of each mini-batch.
    pub losses: Vec<f64>,
    /// Iteration, accuracy on the training data, accuracy on the test data.
    pub accuracies: Vec<(usize, f64, f64)>,
}

const TRAIN: RGBColor = RGBColor(31, 119, 180);
const TEST: RGBColor = RGBColor(214, 90, 20);
const FAINT: RGBColor = RGBColor(190, 205, 220);

impl Curves {
    /// Draws both curves into a file of `folder`.
    pub fn draw(&self, folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
        let said = |error| format!("{}: {error}", folder.display());
        fs::create_dir_all(folder).map_err(said)?;
        let path = folder.join("train_neuralnet.svg");
        let area = SVGBackend::new(&path, (900, 420)).into_drawing_area();
        area.fill(&WHITE)?;
        let (left, right) = area.split_horizontally(450);
        self.draw_loss(&left)?;
        self.draw_accuracy(&right)?;
        area.present().map_err(|error| format!("{}: {error}", path.display()))?;
        drop((left, right, area));
        Ok(path)
    }

    fn range(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.losses.len().max(1)
    }

    fn draw_loss(&self, area: &Area) -> Result<(), Box<dyn Error>> {
        let top = self.losses.iter().copied().filter(|loss| loss.is_finite()).fold(0.1, f64::max);
        let mut chart = ChartBuilder::on(area)
            .caption("Loss of the mini-batch", ("sans-serif", 18))
            .margin(12)
            .margin_right(28)
            .x_label_area_size(36)
            .y_label_area_size(44)
            .build_cartesian_2d(self.range(), 0.0..1.05 * top)?;
        chart.configure_mesh().light_line_style(TRANSPARENT).x_desc("iteration").draw()?;
        let losses = (self.first..).zip(self.losses.iter().copied());
        chart.draw_series(LineSeries::new(losses, FAINT))?;

        // What a reader looks for is the trend: the mean of the last fiftieth of the run.
        let window = (self.losses.len() / 50).max(1);
        let means = (self.first..).zip(self.losses.windows(window));
        let trend = means.map(|(i, part)| (i + window, part.iter().sum::<f64>() / window as f64));
        let name = format!("mean of {window}");
        let series = chart.draw_series(LineSeries::new(trend, TRAIN.stroke_width(2)))?;
        series.label(name).legend(|(x, y)| line(x, y, TRAIN));
        chart.configure_series_labels().background_style(WHITE).draw()?;
        Ok(())
    }

    fn draw_accuracy(&self, area: &Area) -> Result<(), Box<dyn Error>> {
        let mut chart = ChartBuilder::on(area)
            .caption("Accuracy", ("sans-serif", 18))
            .margin(12)
            .margin_right(28)
            .x_label_area_size(36)
            .y_label_area_size(44)
            .build_cartesian_2d(self.range(), 0.0..1.0)?;
        chart.configure_mesh().light_line_style(TRANSPARENT).x_desc("iteration").draw()?;
        let train = self.accuracies.iter().map(|&(i, train, _)| (i, train));
        let test = self.accuracies.iter().map(|&(i, _, test)| (i, test));
        let series = chart.draw_series(LineSeries::new(train, TRAIN.stroke_width(2)))?;
        series.label("train").legend(|(x, y)| line(x, y, TRAIN));
        let series = chart.draw_series(LineSeries::new(test, TEST.stroke_width(2)))?;
        series.label("test").legend(|(x, y)| line(x, y, TEST));
        let mut labels = chart.configure_series_labels();
        labels.background_style(WHITE).position(SeriesLabelPosition::LowerRight).draw()?;
        Ok(())
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn line(x: i32, y: i32, colour: RGBColor) -> PathElement<(i32, i32)> {
    PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2))
}
