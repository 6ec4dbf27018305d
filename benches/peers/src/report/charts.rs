//! The charts.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use xent_peers::common::operations::Operation;

use super::tables::distinct;
use crate::plan::COMPARED;
use crate::results::{Comparison, Entrant, Kind, Results};
use crate::team::BACKENDS;

const SIZE: (u32, u32) = (1400, 460);
/// Room for the names, to the right of the chart.
const NAMES: u32 = 190;

const TEXT: RGBColor = RGBColor(40, 40, 40);
const FAINT: RGBColor = RGBColor(225, 225, 225);

/// xent, then the others: told apart with any colour vision (Okabe and Ito), then browns and greys.
const COLOURS: [RGBColor; 12] = [
    RGBColor(200, 30, 30),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 158, 115),
    RGBColor(240, 228, 66),
    RGBColor(0, 114, 178),
    RGBColor(204, 121, 167),
    RGBColor(150, 110, 80),
    RGBColor(70, 70, 70),
    RGBColor(110, 110, 110),
    RGBColor(150, 150, 150),
    RGBColor(190, 190, 190),
];

/// The least time of the bars, in ns: less than any memory gives.
const FLOOR: f64 = 0.02;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The charts, as the page shows them.
pub fn section(results: &Results) -> String {
    let mut text = String::from(
        "## Charts\n\nLeast times in ns per logit on one thread, lower is better; the line across is the bound.\n\n",
    );
    let sweep = results.of(Kind::Sweep).next().map(|_| "classes");
    for name in drawn_operations(results).into_iter().map(Operation::name).chain(sweep) {
        write!(text, "![{name}](docs/benchmarks/{name}.svg)\n\n").expect("a string takes all");
    }
    text.truncate(text.len() - 1);
    text
}

/// Operations that have a chart.
fn drawn_operations(results: &Results) -> Vec<Operation> {
    let measured = |operation: &Operation| !comparisons(results, operation.name()).is_empty();
    COMPARED.into_iter().filter(measured).collect()
}

/// What a chart shows.
fn comparisons<'a>(results: &'a Results, operation: &str) -> Vec<&'a Comparison> {
    results.of(Kind::Operation).filter(|c| c.operation == operation && c.threads == 1).collect()
}

/// One chart for each operation, and one of cost against classes.
pub fn write(results: &Results, folder: &Path) -> Result<()> {
    let measured = |backend: &&str| results.of(Kind::Operation).any(|c| c.bound(backend).is_finite());
    let backend = BACKENDS.into_iter().find(measured).unwrap_or(BACKENDS[1]);
    let xent = format!("xent {backend}");
    for operation in drawn_operations(results) {
        let all = comparisons(results, operation.name());
        let mut series = vec![&*xent];
        series.extend(distinct(all.iter().flat_map(|c| c.peers()).map(|peer| &*peer.name)));
        let path = folder.join(format!("{operation}.svg"));
        drawn(&path, &series, |area| bars(area, &all, (operation.name(), backend), &series))?;
    }
    if results.of(Kind::Sweep).next().is_none() {
        return Ok(());
    }
    let series = COMPARED.map(Operation::name);
    drawn(&folder.join("classes.svg"), &series, |area| classes(area, results, &series))
}

/// A chart with the names of its series, written to a file.
fn drawn(path: &Path, series: &[&str], draw: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<()> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(wrong)?;
    let (chart, names) = area.split_horizontally(SIZE.0 - NAMES);
    draw(&chart)?;
    let mut y = 45;
    for (name, colour) in series.iter().zip(COLOURS) {
        names.draw(&Rectangle::new([(0, y), (14, y + 12)], colour.filled())).map_err(wrong)?;
        names.draw_text(name, &text(13), (20, y)).map_err(wrong)?;
        y += 20;
    }
    area.present().map_err(wrong)
}

fn wrong(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw: {error}")
}

fn text(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&TEXT)
}

/// Bars on a logarithmic scale: for each shape xent, then its peers; a line across for the bound.
fn bars(
    area: &Area<'_>,
    all: &[&Comparison],
    (operation, backend): (&str, &str),
    series: &[&str],
) -> Result<()> {
    let groups = || all.iter().enumerate().map(|(group, &comparison)| (group as f64, comparison));
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{operation}: ns per logit, one thread (line: bound)"), text(20))
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(45)
        .build_cartesian_2d(0.0..all.len() as f64, (FLOOR..60.0).log_scale())
        .map_err(wrong)?;
    let mut mesh = chart.configure_mesh();
    mesh.disable_x_mesh().x_labels(0).bold_line_style(FAINT).light_line_style(WHITE);
    mesh.label_style(text(13)).y_label_formatter(&|value| format!("{value}")).draw().map_err(wrong)?;
    let width = 0.86 / series.len() as f64;
    for (index, (name, colour)) in series.iter().zip(COLOURS).enumerate() {
        let from = 0.07 + index as f64 * width;
        let bars = groups().filter_map(|(group, comparison)| {
            let time = comparison.named(name).map(Entrant::min)?;
            let corners = [(group + from, FLOOR), (group + from + 0.92 * width, time)];
            Some(Rectangle::new(corners, colour.filled()))
        });
        chart.draw_series(bars).map_err(wrong)?;
    }
    let bounds = groups().filter_map(|(group, comparison)| {
        let bound = comparison.bound(backend);
        let ends = [(group + 0.04, bound), (group + 0.96, bound)];
        bound.is_finite().then(|| PathElement::new(ends, BLACK.stroke_width(2)))
    });
    chart.draw_series(bounds).map_err(wrong)?;
    let labels = groups().map(|(group, comparison)| {
        let name = Text::new(comparison.shape().to_string(), (-30, 8), text(12));
        EmptyElement::at((group + 0.5, FLOOR)) + name
    });
    chart.draw_series(labels).map(drop).map_err(wrong)
}

/// Lines of ns per logit against the number of classes, both logarithmic.
fn classes(area: &Area<'_>, results: &Results, series: &[&str]) -> Result<()> {
    let mut chart = ChartBuilder::on(area)
        .caption("ns per logit against classes, one thread, four million logits", text(20))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(45)
        .build_cartesian_2d((2.0..1e6).log_scale(), (0.1..60.0).log_scale())
        .map_err(wrong)?;
    let mut mesh = chart.configure_mesh();
    mesh.bold_line_style(FAINT).light_line_style(WHITE).x_desc("classes").label_style(text(13));
    mesh.x_label_formatter(&|value| format!("{value:.0}")).y_label_formatter(&|value| format!("{value}"));
    mesh.draw().map_err(wrong)?;
    for (name, colour) in series.iter().zip(COLOURS) {
        let all = results.of(Kind::Sweep).filter(|comparison| comparison.operation == *name);
        let points: Vec<(f64, f64)> = all.map(|c| (c.classes as f64, c.min("xent"))).collect();
        let line = LineSeries::new(points.iter().copied(), colour.stroke_width(2));
        chart.draw_series(line).map_err(wrong)?;
        let dots = points.into_iter().map(|point| Circle::new(point, 2, colour.filled()));
        chart.draw_series(dots).map_err(wrong)?;
    }
    Ok(())
}
