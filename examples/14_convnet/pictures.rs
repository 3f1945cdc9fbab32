//! Pictures of a convolutional net, as SVG files.

use std::{
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
};

/// An image that the net takes for another digit.
pub struct Mistake {
    pub image: Vec<f32>,
    pub label: usize,
    pub said: usize,
    /// The probabilities that the net gives to its prediction and to the label.
    pub chance: f32,
    pub of_label: f32,
}

/// The data of the pictures.
#[derive(Default)]
pub struct Pictures {
    /// The rows and columns of an image.
    pub side: usize,
    /// The first filters before and after the training.
    pub before: Vec<Vec<f32>>,
    pub after: Vec<Vec<f32>>,
    pub mistakes: Vec<Mistake>,
    /// The confusion matrix: how many images of a digit (row) got which prediction (column).
    pub confusion: [[usize; 10]; 10],
}

/// An SVG file that grows.
struct Svg(String);

impl Svg {
    fn new(width: usize, height: usize) -> Self {
        let head = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        Svg(head)
    }

    fn text(&mut self, x: usize, y: usize, text: &str) {
        writeln!(self.0, "<text x=\"{x}\" y=\"{y}\">{text}</text>").expect("a string has room");
    }

    fn square(&mut self, x: usize, y: usize, side: usize, rgb: [u8; 3]) {
        let [r, g, b] = rgb;
        let rest = format!("width=\"{side}\" height=\"{side}\" fill=\"rgb({r},{g},{b})\"/>");
        writeln!(self.0, "<rect x=\"{x}\" y=\"{y}\" {rest}").expect("a string has room");
    }

    /// Numbers from 0 (white) to 1 (black), `side` in a row, each a square of `size`.
    fn grey(&mut self, x: usize, y: usize, numbers: &[f32], side: usize, size: usize) {
        for (i, number) in numbers.iter().enumerate() {
            let grey = 255 - (number.clamp(0.0, 1.0) * 255.0) as u8;
            self.square(x + i % side * size, y + i / side * size, size, [grey; 3]);
        }
    }

    fn write(mut self, file: PathBuf) -> io::Result<PathBuf> {
        self.0.push_str("</svg>\n");
        fs::write(&file, self.0)
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", file.display())))?;
        Ok(file)
    }
}

impl Pictures {
    /// Draws all into files in a folder, which are returned.
    pub fn draw(&mut self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(vec![
            self.filters().write(folder.join("filters.svg"))?,
            self.worst().write(folder.join("mistakes.svg"))?,
            self.confused().write(folder.join("confusion.svg"))?,
        ])
    }

    /// Each filter from its smallest number (white) to its largest (black).
    fn filters(&self) -> Svg {
        let rows = self.before.len().div_ceil(10);
        let mut svg = Svg::new(10 * 56 + 16, 2 * (rows * 56 + 36));
        for (part, (title, filters)) in
            [("before", &self.before), ("after", &self.after)].iter().enumerate()
        {
            let top = part * (rows * 56 + 36);
            svg.text(8, top + 20, &format!("First filters {title} training"));
            for (i, filter) in filters.iter().enumerate() {
                let least = filter.iter().copied().fold(f32::INFINITY, f32::min);
                let most = filter.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let scaled: Vec<f32> =
                    filter.iter().map(|w| (w - least) / (most - least)).collect();
                svg.grey(
                    8 + i % 10 * 56,
                    top + 30 + i / 10 * 56,
                    &scaled,
                    filter.len().isqrt(),
                    10,
                );
            }
        }
        svg
    }

    /// The mistakes with the highest predicted probability.
    fn worst(&mut self) -> Svg {
        self.mistakes.sort_by(|a, b| b.chance.total_cmp(&a.chance));
        let size = 112 / self.side.max(1);
        let mut svg = Svg::new(5 * 136 + 16, 3 * 176 + 30);
        svg.text(8, 20, &format!("The worst of {} mistakes", self.mistakes.len()));
        for (i, mistake) in self.mistakes.iter().take(15).enumerate() {
            let (x, y) = (8 + i % 5 * 136, 34 + i / 5 * 176);
            let Mistake { image, label, said, chance, of_label } = mistake;
            svg.grey(x, y, image, self.side, size);
            svg.text(x, y + 130, &format!("net: {said}, {:.1} %", 100.0 * chance));
            svg.text(x, y + 147, &format!("label: {label}, {:.1} %", 100.0 * of_label));
        }
        svg
    }

    /// The confusion matrix, each row from white (none) to dark blue (all).
    fn confused(&self) -> Svg {
        let mut svg = Svg::new(10 * 44 + 80, 10 * 44 + 90);
        svg.text(60, 20, "predictions (columns) for each digit (rows)");
        for (label, row) in self.confusion.iter().enumerate() {
            let all = row.iter().sum::<usize>().max(1);
            svg.text(36, 76 + label * 44, &label.to_string());
            svg.text(76 + label * 44, 44, &label.to_string());
            for (said, &count) in row.iter().enumerate() {
                // The colour follows the root, so that a single mistake is visible.
                let share = (count as f32 / all as f32).sqrt();
                let fade = |dark: f32| (255.0 - share * (255.0 - dark)) as u8;
                svg.square(
                    60 + said * 44,
                    52 + label * 44,
                    42,
                    [fade(60.0), fade(110.0), fade(200.0)],
                );
                svg.text(66 + said * 44, 78 + label * 44, &count.to_string());
            }
        }
        svg
    }
}
