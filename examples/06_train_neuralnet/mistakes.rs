//! Pictures of the worst mistakes of the net on the test images.

use super::{
    Digits, Net,
    common::{Failure, report::Picture},
};
use chainrule::Number;
use nalgebra::Dyn;
use plotters::prelude::*;
use std::path::{Path, PathBuf};

/// An image that is taken for another digit.
pub struct Mistake {
    pub image: usize,
    pub digit: usize,
    pub taken_for: usize,
    /// The probability of the wrong digit, and of the right one.
    pub probabilities: [f64; 2],
}

/// All mistakes, sorted by the probability that the net gives to the right digit, the lowest first.
pub fn find<T: Number, const IN: usize, const HIDDEN: usize>(
    net: &Net<T, IN, HIDDEN>,
    test: &Digits<IN>,
) -> Result<Vec<Mistake>, Failure>
where
    f64: From<T>,
{
    let mut mistakes = Vec::new();
    for image in 0..test.len() {
        let (x, labels) = test.batch::<T, _>(&[image], Dyn(1))?;
        let scores: Vec<f64> = net.predict(&x).iter().map(|&score| score.into()).collect();
        let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<_> = scores.iter().map(|score| (score - top).exp()).collect();
        let sum: f64 = powers.iter().sum();
        let (digit, taken_for) = (labels[0], scores.iter().position(|&score| score == top));
        if let Some(taken_for) = taken_for.filter(|&digit| digit != labels[0]) {
            let probabilities = [taken_for, digit].map(|digit| powers[digit] / sum);
            mistakes.push(Mistake { image, digit, taken_for, probabilities });
        }
    }
    mistakes.sort_by(|a, b| a.probabilities[1].total_cmp(&b.probabilities[1]));
    Ok(mistakes)
}

/// Pictures of the worst `count`.
pub fn pictures<const IN: usize>(
    mistakes: &[Mistake],
    test: &Digits<IN>,
    count: usize,
) -> Vec<Picture> {
    let picture = |mistake: &Mistake| {
        let Mistake { image, digit, taken_for, probabilities: [wrong, _] } = mistake;
        let caption = format!("{digit}, taken for {taken_for} ({:.1} %)", 100.0 * wrong);
        let pixels = test.inputs().0[*image].iter().map(|&grey| 255 - grey);
        Picture::grey(caption, IN.isqrt(), pixels)
    };
    mistakes.iter().take(count).map(picture).collect()
}

/// Draws the worst eight into a file of `folder`.
pub fn draw<const IN: usize>(
    mistakes: &[Mistake],
    test: &Digits<IN>,
    folder: &Path,
) -> Result<PathBuf, Failure> {
    const PANEL: u32 = 168;
    let path = folder.join("mistakes.svg");
    let area = SVGBackend::new(&path, (4 * PANEL, 2 * PANEL)).into_drawing_area();
    area.fill(&WHITE)?;
    let side = IN.isqrt() as i32;
    let pixel = (PANEL as i32 - 40) / side;
    for (panel, mistake) in area.split_evenly((2, 4)).iter().zip(mistakes) {
        let Mistake { digit, taken_for, probabilities: [wrong, _], .. } = mistake;
        let caption = format!("{digit}, taken for {taken_for} ({:.1} %)", 100.0 * wrong);
        panel.draw(&Text::new(caption, (12, 6), ("sans-serif", 13)))?;
        for (i, &grey) in test.inputs().0[mistake.image].iter().enumerate() {
            let (x, y) = (12 + i as i32 % side * pixel, 26 + i as i32 / side * pixel);
            let ink = RGBColor(255 - grey, 255 - grey, 255 - grey);
            panel.draw(&Rectangle::new([(x, y), (x + pixel, y + pixel)], ink.filled()))?;
        }
        let frame = [(12, 26), (12 + side * pixel, 26 + side * pixel)];
        panel.draw(&Rectangle::new(frame, RGBColor(190, 190, 190)))?;
    }
    area.present().map_err(|error| format!("{}: {error}", path.display()))?;
    drop(area);
    Ok(path)
}
