//! A report of a training: one HTML file that needs no network, with its style and pictures in it.

use super::Failure;
use chainrule::{Leaf, Parameters, Path};
use std::{
    fmt::{Display, Write},
    fs, path,
};

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c2733; --soft: #566577; --line: #d3dae2; --paper: #fff; --card: #f5f7fa;
  --first: #1f77b4; --second: #c8500f; --faint: #b4c8dc; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ef; --soft: #9fadbc; --line: #38444f; --paper: #12181e;
  --card: #1a222a; --first: #6db3e8; --second: #f0935a; --faint: #3d5468; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--paper); }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.15rem; margin: 0 0 .5rem; }
p { margin: .25rem 0 .75rem; color: var(--soft); }
main { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); }
section { min-width: 0; padding: 1rem; border: 1px solid var(--line); border-radius: .5rem; background: var(--card); }
.wide { grid-column: 1 / -1; }
.scroll { overflow-x: auto; }
pre { margin: 0; font: .75rem/1.5 ui-monospace, monospace; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .55rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; color: var(--soft); }
th:first-child, td:first-child { text-align: left; }
.values td { white-space: normal; }
.heat td { min-width: 2.2rem; border: 1px solid var(--card); }
.heat td:first-child { border: 0; color: var(--soft); }
@media (max-width: 30rem) { .heat th, .heat td { min-width: 0; padding: .15rem .28rem; font-size: .85rem; } }
.pictures { display: grid; gap: .6rem; grid-template-columns: repeat(auto-fill, minmax(var(--side), 1fr)); }
figure { margin: 0; }
figure img { display: block; width: 100%; aspect-ratio: 1; image-rendering: pixelated; border-radius: .2rem; }
figcaption { font-size: .8rem; line-height: 1.3; margin-top: .25rem; }
svg { display: block; width: 100%; height: auto; font-size: 12px; }
svg text { fill: var(--soft); }
.grid { stroke: var(--line); }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
.key { display: flex; flex-wrap: wrap; gap: 0 1rem; font-size: .85rem; }
.key span::before { content: ''; display: inline-block; width: 1rem; height: .2rem; margin-right: .4rem;
  vertical-align: middle; background: var(--of); }
";

/// The colours of curves.
pub const FIRST: &str = "--first";
pub const SECOND: &str = "--second";
pub const FAINT: &str = "--faint";

/// A curve of a chart: its name, its colour and its points.
pub struct Curve<'a>(pub &'a str, pub &'a str, pub Vec<(f64, f64)>);

/// An image with its caption: rows of red, green and blue.
pub struct Picture {
    pub caption: String,
    pub side: usize,
    pub pixels: Vec<[u8; 3]>,
}

pub struct Report {
    title: String,
    body: String,
}

impl Report {
    pub fn new(title: &str, summary: &str) -> Self {
        let (title, summary) = (escaped(title), escaped(summary));
        Report { body: format!("<h1>{title}</h1>\n<p>{summary}</p>\n<main>\n"), title }
    }

    /// A box with a heading. `body` is HTML.
    fn section(&mut self, wide: bool, heading: &str, note: &str, body: &str) {
        let (class, heading, note) =
            (if wide { " class=\"wide\"" } else { "" }, escaped(heading), escaped(note));
        let note = if note.is_empty() { note } else { format!("<p>{note}</p>\n") };
        self.body += &format!("<section{class}>\n<h2>{heading}</h2>\n{note}{body}</section>\n");
    }

    /// Text in columns.
    pub fn text(&mut self, heading: &str, note: &str, text: impl Display) {
        let text = escaped(&text.to_string());
        self.section(
            false,
            heading,
            note,
            &format!("<div class=\"scroll\"><pre>{text}</pre></div>\n"),
        );
    }

    /// A table. The first row may be its head.
    pub fn table(&mut self, heading: &str, note: &str, head: bool, rows: &[Vec<String>]) {
        let mut table = String::new();
        for (i, row) in rows.iter().enumerate() {
            let cell = if i == 0 && head { "th" } else { "td" };
            let cells = row.iter().map(|text| format!("<{cell}>{}</{cell}>", escaped(text)));
            table += &format!("<tr>{}</tr>\n", cells.collect::<String>());
        }
        // Text in a table without a head may be broken into lines.
        let class = if head { "" } else { " class=\"values\"" };
        let table = format!("<div class=\"scroll\"><table{class}>\n{table}</table></div>\n");
        self.section(rows.iter().any(|row| row.len() > 4), heading, note, &table);
    }

    /// Names with their values.
    pub fn settings(&mut self, rows: &[(&str, String)]) {
        let rows: Vec<_> =
            rows.iter().map(|(name, value)| vec![(*name).into(), value.clone()]).collect();
        self.table("Settings", "", false, &rows);
    }

    /// A confusion matrix: `counts[actual][predicted]`.
    pub fn confusion<const N: usize>(&mut self, names: [&str; N], counts: &[[u64; N]; N]) {
        let row = |(name, counts): (&&str, &[u64; N])| (name.to_string(), counts.map(|n| n as f64));
        let rows: Vec<_> = names.iter().zip(counts).map(row).collect();
        let note = "Rows: the actual class. Columns: the predicted one.";
        let show = |count: f64| if count > 0.0 { count.to_string() } else { String::new() };
        self.heat("Confusion matrix", note, names, &rows, show);
    }

    /// Numbers as coloured cells: blue above 0, orange below. `show` gives the text of a cell.
    pub fn heat<const N: usize>(
        &mut self,
        heading: &str,
        note: &str,
        columns: [&str; N],
        rows: &[(String, [f64; N])],
        show: impl Fn(f64) -> String,
    ) {
        let largest = rows.iter().flat_map(|row| row.1).fold(0.0, |top: f64, x| top.max(x.abs()));
        let head: String =
            columns.iter().map(|name| format!("<th>{}</th>", escaped(name))).collect();
        let mut table = format!("<tr><th></th>{head}</tr>\n");
        for (name, numbers) in rows {
            table += &format!("<tr><td>{}</td>", escaped(name));
            for &number in numbers {
                let colour = if number < 0.0 { SECOND } else { FIRST };
                // A few of many are to be seen, too.
                let part = 75.0 * (number.abs() / largest.max(f64::MIN_POSITIVE)).sqrt();
                let style =
                    format!("background:color-mix(in srgb,var({colour}) {part:.0}%,transparent)");
                table += &format!("<td style=\"{style}\">{}</td>", escaped(&show(number)));
            }
            table += "</tr>\n";
        }
        let table =
            format!("<div class=\"scroll\"><table class=\"heat\">\n{table}</table></div>\n");
        self.section(N > 10, heading, note, &table);
    }

    /// Images of at least `side` rem.
    pub fn pictures(&mut self, heading: &str, note: &str, side: f64, pictures: &[Picture]) {
        let mut body = format!("<div class=\"pictures\" style=\"--side:{side}rem\">\n");
        for picture in pictures {
            let caption = escaped(&picture.caption);
            let source = base64(&picture.bitmap());
            let shown = if caption.is_empty() {
                caption.clone()
            } else {
                format!("<figcaption>{caption}</figcaption>")
            };
            body += &format!(
                "<figure><img alt=\"{caption}\" src=\"data:image/bmp;base64,{source}\">{shown}</figure>\n"
            );
        }
        self.section(true, heading, note, &(body + "</div>\n"));
    }

    /// Curves over one axis. It leaves out points that are not finite.
    pub fn chart(&mut self, heading: &str, [x, y]: [&str; 2], curves: &[Curve]) {
        const SIZE: [f64; 2] = [380.0, 240.0];
        let finite = |&&(x, y): &&(f64, f64)| x.is_finite() && y.is_finite();
        let points = || curves.iter().flat_map(|curve| &curve.2).filter(finite);
        let range = |of: fn(&(f64, f64)) -> f64| {
            let (low, high) =
                points().map(of).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
                    (low.min(x), high.max(x))
                });
            if low < high {
                [low, high]
            } else if low.is_finite() {
                [low - 1.0, low + 1.0]
            } else {
                [0.0, 1.0]
            }
        };
        let [across, up] = [range(|point| point.0), range(|point| point.1)];
        let place = |[low, high]: [f64; 2], [from, to]: [f64; 2], x: f64| {
            from + (to - from) * (x - low) / (high - low)
        };
        let right = |x| place(across, [52.0, SIZE[0] - 20.0], x);
        let above = |y| place(up, [SIZE[1] - 40.0, 10.0], y);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n",
            SIZE[0],
            SIZE[1],
            escaped(heading)
        );
        for tick in ticks(up) {
            let at = above(tick);
            svg += &format!("<path class=\"grid\" d=\"M52 {at:.1}H{}\"/>", SIZE[0] - 12.0);
            svg += &format!(
                "<text x=\"46\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
                at + 4.0,
                short(tick)
            );
        }
        for tick in ticks(across) {
            let (at, y) = (right(tick), SIZE[1] - 22.0);
            svg += &format!(
                "<text x=\"{at:.1}\" y=\"{y}\" text-anchor=\"middle\">{}</text>\n",
                short(tick)
            );
        }
        svg += &format!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n",
            SIZE[0] - 12.0,
            SIZE[1] - 5.0,
            escaped(x)
        );
        let mut key = String::new();
        for Curve(name, colour, points) in curves {
            // More points than pixels show nothing more.
            let step = points.len().div_ceil(400).max(1);
            let mut line = String::new();
            for &(x, y) in
                points.iter().filter(finite).step_by(step).chain(points.iter().rfind(finite))
            {
                let _ = write!(line, "{:.1},{:.1} ", right(x), above(y));
            }
            svg += &format!(
                "<polyline class=\"curve\" style=\"stroke:var({colour})\" points=\"{}\"/>\n",
                line.trim_end()
            );
            key += &format!("<span style=\"--of:var({colour})\">{}</span>", escaped(name));
        }
        let note = format!("{y} by {x}");
        self.section(
            false,
            heading,
            &note,
            &format!("{svg}</svg>\n<div class=\"key\">{key}</div>\n"),
        );
    }

    /// The gradient by backpropagation against the numerical one: as the book's check, but with the largest difference.
    pub fn gradient_check<G: Parameters<f64>>(&mut self, backprop: &G, numerical: &G) {
        let [backprop, numerical] = [backprop, numerical].map(|tree| {
            let mut leaves = Vec::new();
            tree.visit(&Path::ROOT, &mut |leaf: Leaf<f64>| {
                leaves.push((leaf.path.to_string(), leaf.values.to_vec()));
            });
            leaves
        });
        let mut rows = vec![["", "size", "largest difference"].map(String::from).to_vec()];
        for ((name, a), (_, b)) in backprop.into_iter().zip(numerical) {
            let size = a.iter().map(|x| x * x).sum::<f64>().sqrt();
            // Not `f64::max`, which ignores NaN.
            let differences = a.iter().zip(&b).map(|(a, b)| (a - b).abs());
            let largest = differences.fold(0.0, |top, x| if x <= top { top } else { x });
            rows.push(vec![name, format!("{size:.3e}"), format!("{largest:.1e}")]);
        }
        let note =
            "The gradient by backpropagation against central differences, in f64 on three samples.";
        self.table("Gradient check", note, true, &rows);
    }

    /// Writes `report.html`.
    pub fn write(self, folder: &path::Path) -> Result<path::PathBuf, Failure> {
        let path = folder.join("report.html");
        let Report { title, body } = self;
        let html = format!(
            "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<link rel=\"icon\" href=\"data:,\">
<title>{title}</title>
<style>{STYLE}</style>
</head>
<body>
{body}</main>
</body>
</html>
"
        );
        fs::write(&path, html).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }
}

impl Picture {
    /// Grey pixels, 255 for white.
    pub fn grey(caption: String, side: usize, pixels: impl Iterator<Item = u8>) -> Self {
        Picture { caption, side, pixels: pixels.map(|grey| [grey; 3]).collect() }
    }

    /// Numbers in colours: blue above 0, orange below, white at 0.
    pub fn signed(caption: String, side: usize, numbers: &[f64]) -> Self {
        let largest =
            numbers.iter().fold(0.0, |top: f64, x| top.max(x.abs())).max(f64::MIN_POSITIVE);
        let pixel = |x: &f64| {
            let ends = if *x < 0.0 { [214.0, 90.0, 20.0] } else { [31.0, 119.0, 180.0] };
            ends.map(|end: f64| (255.0 + (end - 255.0) * x.abs() / largest) as u8)
        };
        Picture { caption, side, pixels: numbers.iter().map(pixel).collect() }
    }

    /// A BMP file: rows from the last to the first, each of a multiple of four bytes.
    fn bitmap(&self) -> Vec<u8> {
        let row = (3 * self.side).next_multiple_of(4);
        let (side, size) = (self.side as u32, (row * self.side) as u32);
        let mut file = b"BM".to_vec();
        file.extend([54 + size, 0, 54, 40, side, side].map(u32::to_le_bytes).concat());
        file.extend([1_u16, 24].map(u16::to_le_bytes).concat());
        file.extend([0, size, 2835, 2835, 0, 0].map(u32::to_le_bytes).concat());
        for pixels in self.pixels.chunks(self.side).rev() {
            let end = file.len() + row;
            file.extend(pixels.iter().flat_map(|&[red, green, blue]| [blue, green, red]));
            file.resize(end, 0);
        }
        file
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let bits = part.iter().fold(0, |bits, &byte| bits << 8 | u32::from(byte))
            << (8 * (3 - part.len()));
        for digit in 0..4 {
            let six = bits >> (18 - 6 * digit) & 63;
            text.push(if digit <= part.len() { DIGITS[six as usize].into() } else { '=' });
        }
    }
    text
}

/// Four to eight round numbers of a range.
fn ticks([low, high]: [f64; 2]) -> Vec<f64> {
    let power = 10_f64.powf(((high - low) / 4.0).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    let step = steps.into_iter().find(|step| (high - low) / step <= 7.0).unwrap_or(10.0 * power);
    let first = (low / step).ceil() as i64;
    (first..).map(|i| i as f64 * step).take_while(|&tick| tick <= high + 1e-9 * step).collect()
}

/// A number without the digits that rounding leaves.
fn short(number: f64) -> String {
    let text = format!("{number:.6}");
    text.trim_end_matches('0').trim_end_matches('.').into()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
