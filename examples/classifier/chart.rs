//! The losses over the steps, as an SVG.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use plotters::prelude::*;

const SIZE: (u32, u32) = (720, 420);
const COLOURS: [RGBColor; 2] = [RGBColor(31, 119, 180), RGBColor(214, 39, 40)];

/// Steps whose mean is a point of a line.
const SMOOTHED: usize = 20;

/// The losses of one classifier.
pub(crate) struct Curve {
    pub(crate) name: &'static str,
    /// One for each step.
    pub(crate) losses: Vec<f32>,
}

impl Curve {
    /// A point for each few steps: the last of them, and the mean of their losses.
    #[expect(clippy::cast_precision_loss, reason = "a few steps")]
    fn points(&self) -> Vec<(usize, f32)> {
        let means = self.losses.chunks(SMOOTHED).map(|steps| steps.iter().sum::<f32>() / steps.len() as f32);
        means.enumerate().map(|(i, mean)| (((i + 1) * SMOOTHED).min(self.losses.len()), mean)).collect()
    }
}

/// Writes the chart to `path`, and makes the folder for it.
pub(crate) fn write(path: &Path, curves: &[Curve]) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::write(path, svg(curves)?).with_context(|| path.display().to_string())
}

fn svg(curves: &[Curve]) -> Result<String> {
    let lines: Vec<_> = curves.iter().map(|curve| (curve.name, curve.points())).collect();
    let points = || lines.iter().flat_map(|(_, points)| points);
    let steps = points().map(|point| point.0).max().unwrap_or(1);
    let highest = points().map(|point| point.1).fold(f32::MIN_POSITIVE, f32::max);

    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption("Loss with the L2 term", ("sans-serif", 20))
        .margin(15)
        .x_label_area_size(45)
        .y_label_area_size(60)
        .build_cartesian_2d(0..steps, 0.0..1.05 * highest)?;
    chart.configure_mesh().x_desc("step").y_desc("mean loss").light_line_style(WHITE).draw()?;
    for ((name, points), colour) in lines.iter().zip(COLOURS) {
        let style = colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
    root.present()?;
    drop(chart);
    drop(root);
    Ok(svg)
}
