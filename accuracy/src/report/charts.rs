//! The charts.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::results::{Curve, Results};

const SIZE: (u32, u32) = (1100, 460);
const TEXT: RGBColor = RGBColor(40, 40, 40);
const FAINT: RGBColor = RGBColor(225, 225, 225);

/// Told apart with any colour vision (Okabe and Ito).
const COLOURS: [RGBColor; 4] =
    [RGBColor(200, 30, 30), RGBColor(0, 114, 178), RGBColor(230, 159, 0), RGBColor(0, 158, 115)];

type Points = Vec<(f64, f64)>;

pub fn write(results: &Results, folder: &Path) -> Result<()> {
    // Fused backends have one curve: it is the same.
    let of_term = |backend: &str| {
        let mut sweeps = results.sweeps.iter().filter(|sweep| sweep.name == "term");
        sweeps.find(|sweep| sweep.backend.as_deref() == Some(backend)).map(|sweep| sweep.profile.clone())
    };
    let names = [("portable", "portable, without fused multiply-add"), ("scalar", "fused multiply-add")];
    let series: Vec<(String, Points)> =
        names.iter().filter_map(|(backend, name)| Some(((*name).to_owned(), of_term(backend)?))).collect();
    linear(&folder.join("exponential.svg"), &series)?;
    let losses = results.classes.iter().filter(|curve| curve.operation == "sparse loss");
    logarithmic(
        &folder.join("classes.svg"),
        "largest error of the sparse loss in ULP against classes",
        "classes",
        &largest(losses),
        true,
    )?;
    logarithmic(
        &folder.join("distance.svg"),
        "largest error of softmax in ULP against the distance from the maximum",
        "distance",
        &largest(results.distances.iter()),
        false,
    )
}

/// The largest errors of curves, xent's first.
fn largest<'a>(curves: impl Iterator<Item = &'a Curve>) -> Vec<(String, Points)> {
    let points = |curve: &Curve| curve.points.iter().map(|point| (point.0, point.2)).collect();
    let mut series: Vec<_> = curves.map(|curve| (curve.engine.clone(), points(curve))).collect();
    series.sort_by_key(|(engine, _)| !engine.starts_with("xent"));
    series
}

fn wrong(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw: {error}")
}

fn text(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&TEXT)
}

fn legend(area: &DrawingArea<SVGBackend<'_>, Shift>, series: &[(String, Points)]) -> Result<()> {
    let mut x = 70;
    for ((name, _), colour) in series.iter().zip(COLOURS) {
        area.draw(&Rectangle::new([(x, 40), (x + 14, 52)], colour.filled())).map_err(wrong)?;
        area.draw_text(name, &text(13), (x + 20, 40)).map_err(wrong)?;
        x += 60 + 8 * i32::try_from(name.len())?;
    }
    area.present().map_err(wrong)
}

/// Lines over a domain, from 0 ULP.
fn linear(path: &Path, series: &[(String, Points)]) -> Result<()> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(wrong)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("largest error of the exponential term in ULP, in 640 parts of its domain", text(20))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(45)
        .build_cartesian_2d(-395.0..264.0, 0.0..1.0)
        .map_err(wrong)?;
    let mut mesh = chart.configure_mesh();
    mesh.bold_line_style(FAINT).light_line_style(WHITE).x_desc("logit").label_style(text(13));
    mesh.draw().map_err(wrong)?;
    for ((_, points), colour) in series.iter().zip(COLOURS) {
        chart.draw_series(LineSeries::new(points.iter().copied(), &colour)).map_err(wrong)?;
    }
    legend(&area, series)
}

/// Lines with a logarithmic ordinate, and abscissa too if so.
fn logarithmic(
    path: &Path,
    caption: &str,
    abscissa: &str,
    series: &[(String, Points)],
    both: bool,
) -> Result<()> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(wrong)?;
    // An infinite error is above the chart.
    let errors = series.iter().flat_map(|(_, points)| points).map(|point| point.1.min(1e6));
    let top = errors.fold(4.0, f64::max) * 1.5;
    let last = series.iter().flat_map(|(_, points)| points).map(|point| point.0).fold(1.0, f64::max);
    // A logarithmic abscissa is that of the powers of two.
    let place = |x: f64| if both { x.log2() } else { x };
    let mut chart = ChartBuilder::on(&area)
        .caption(caption, text(20))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(55)
        .build_cartesian_2d(0.0..place(last) * 1.01, (0.1..top).log_scale())
        .map_err(wrong)?;
    let mut mesh = chart.configure_mesh();
    mesh.bold_line_style(FAINT).light_line_style(WHITE).x_desc(abscissa).label_style(text(13));
    let label = |x: &f64| if both { format!("2^{x:.0}") } else { format!("{x:.0}") };
    mesh.x_label_formatter(&label).y_label_formatter(&|error| format!("{error}"));
    mesh.draw().map_err(wrong)?;
    for ((_, points), colour) in series.iter().zip(COLOURS) {
        let points = points.iter().map(|&(x, error)| (place(x), error.clamp(0.1, top)));
        chart.draw_series(LineSeries::new(points, colour.stroke_width(2))).map_err(wrong)?;
    }
    legend(&area, series)
}
