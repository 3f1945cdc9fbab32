//! Code that several examples share: printing, the folder for results, charts and reports.
#![allow(dead_code, reason = "no example uses all of it")]

#[macro_use]
mod print;
pub mod report;

use plotters::{coord::Shift, prelude::*};
use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

pub type Failure = Box<dyn Error + Send + Sync>;

/// Prints the error, if there is one.
pub fn exit(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Makes the folder, and tries to write into it. Call this before the work, so that no result is lost.
pub fn writable(folder: &Path) -> Result<(), Failure> {
    let probe = folder.join(".probe");
    let tried = fs::create_dir_all(folder).and_then(|()| fs::write(&probe, ""));
    tried.and_then(|()| fs::remove_file(&probe)).map_err(|error| {
        format!("{}: expected a folder to write into, found: {error}", folder.display()).into()
    })
}

pub const BLUE: RGBColor = RGBColor(31, 119, 180);
pub const ORANGE: RGBColor = RGBColor(214, 90, 20);
pub const FAINT: RGBColor = RGBColor(190, 205, 220);

/// One curve of a chart.
pub struct Series<'a> {
    pub name: &'a str,
    pub colour: RGBColor,
    pub points: Vec<(f64, f64)>,
    /// Whether to draw dots instead of a line.
    pub dots: bool,
}

pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws one chart.
type Draw<'a> = &'a dyn Fn(&Area) -> Result<(), Failure>;

/// Draws charts side by side into `folder/name`, each 450 pixels wide.
pub fn picture<const N: usize>(
    folder: &Path,
    name: &str,
    draw: [Draw; N],
) -> Result<PathBuf, Failure> {
    let path = folder.join(name);
    let area = SVGBackend::new(&path, (450 * N as u32, 420)).into_drawing_area();
    area.fill(&WHITE)?;
    for (part, draw) in area.split_evenly((1, N)).iter().zip(draw) {
        draw(part)?;
    }
    area.present().map_err(|error| format!("{}: {error}", path.display()))?;
    drop(area);
    Ok(path)
}

/// A chart with both axes labelled. It leaves out points that are not finite.
pub fn chart(
    area: &Area,
    title: &str,
    [x, y]: [&str; 2],
    series: &[Series],
) -> Result<(), Failure> {
    let finite = |&&(x, y): &&(f64, f64)| x.is_finite() && y.is_finite();
    let points = || series.iter().flat_map(|series| &series.points).filter(finite);
    let range = |of: fn(&(f64, f64)) -> f64| {
        let low = points().map(of).fold(f64::INFINITY, f64::min);
        let high = points().map(of).fold(f64::NEG_INFINITY, f64::max);
        let margin = if high > low { 0.04 * (high - low) } else { 1.0 };
        if low.is_finite() { low - margin..high + margin } else { 0.0..1.0 }
    };
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .margin_right(28)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(range(|point| point.0), range(|point| point.1))?;
    chart.configure_mesh().light_line_style(TRANSPARENT).x_desc(x).y_desc(y).draw()?;
    for Series { name, colour, points, dots } in series {
        let (points, colour) = (points.iter().filter(finite).copied(), *colour);
        let drawn = if *dots {
            chart.draw_series(points.map(|point| Circle::new(point, 2, colour.filled())))?
        } else {
            chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?
        };
        if !name.is_empty() {
            let key = move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2));
            drawn.label(*name).legend(key);
        }
    }
    if series.iter().any(|series| !series.name.is_empty()) {
        chart.configure_series_labels().background_style(WHITE).border_style(FAINT).draw()?;
    }
    Ok(())
}
