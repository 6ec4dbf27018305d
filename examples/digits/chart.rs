//! The learning curve: loss and accuracy over the epochs, as an SVG.

use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::{Epoch, TARGET};

const SIZE: (u32, u32) = (960, 420);
const TRAINING: RGBColor = RGBColor(31, 119, 180);
const HELD_OUT: RGBColor = RGBColor(214, 39, 40);
const AIM: RGBColor = RGBColor(110, 110, 110);

type Panel<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A line of the chart: its name, its colour, and its points.
struct Line {
    name: &'static str,
    colour: RGBColor,
    points: Vec<(u32, f64)>,
}

impl Line {
    /// A point for each epoch, counted from 1.
    fn over(epochs: &[Epoch], name: &'static str, colour: RGBColor, value: impl Fn(&Epoch) -> f64) -> Self {
        Self { name, colour, points: (1..).zip(epochs.iter().map(value)).collect() }
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        self.points.iter().map(|&(_, value)| value)
    }
}

/// Writes the learning curve to `path`, and makes the folder for it.
pub(crate) fn write(path: &Path, epochs: &[Epoch], unit: &'static str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::write(path, svg(epochs, unit)?).with_context(|| path.display().to_string())
}

fn svg(epochs: &[Epoch], unit: &'static str) -> Result<String> {
    let last = u32::try_from(epochs.len())?;
    let training = Line::over(epochs, "training", TRAINING, |epoch| epoch.training_loss);
    let held_out = Line::over(epochs, "held out", HELD_OUT, |epoch| epoch.held_out.loss);
    let recognised = Line::over(epochs, "held out", HELD_OUT, |epoch| 100.0 * epoch.held_out.accuracy);
    let aim = Line { name: "aim", colour: AIM, points: vec![(0, 100.0 * TARGET), (last, 100.0 * TARGET)] };

    let highest = training.values().chain(held_out.values()).fold(f64::MIN_POSITIVE, f64::max);
    let lowest = recognised.values().fold(90.0, f64::min).floor();

    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(SIZE.0 / 2);
    let losses = Chart { title: "Mean loss", unit, range: 0.0..1.05 * highest, last };
    losses.draw(&left, &[training, held_out], SeriesLabelPosition::UpperRight)?;
    let accuracies = Chart { title: "Accuracy", unit: "%", range: lowest..100.0, last };
    accuracies.draw(&right, &[recognised, aim], SeriesLabelPosition::LowerRight)?;
    root.present()?;
    drop((left, right, root));
    Ok(svg)
}

/// One of the two charts, without its lines.
struct Chart {
    title: &'static str,
    unit: &'static str,
    range: Range<f64>,
    /// The last epoch.
    last: u32,
}

impl Chart {
    /// Draws the lines, and a legend where they are not.
    fn draw(self, area: &Panel<'_>, lines: &[Line], legend: SeriesLabelPosition) -> Result<()> {
        let text = ("sans-serif", 14);
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, ("sans-serif", 20))
            .margin(15)
            .x_label_area_size(45)
            .y_label_area_size(60)
            .build_cartesian_2d(0..self.last, self.range)?;
        let mut mesh = chart.configure_mesh();
        mesh.x_desc("epoch").y_desc(self.unit).label_style(text).light_line_style(WHITE).draw()?;
        for Line { name, colour, points } in lines {
            let style = colour.stroke_width(2);
            chart
                .draw_series(LineSeries::new(points.iter().copied(), style).point_size(2))?
                .label(*name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
        }
        let mut labels = chart.configure_series_labels();
        labels.position(legend).label_font(text).background_style(WHITE.mix(0.8)).border_style(AIM);
        labels.draw()?;
        Ok(())
    }
}
