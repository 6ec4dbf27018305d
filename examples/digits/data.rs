//! The handwritten digits: reading them, and holding a fifth of them out.

use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Pixels of an image, 8 rows of 8.
pub(crate) const PIXELS: usize = 64;
/// The digits 0 to 9.
pub(crate) const CLASSES: usize = 10;

/// The value of a pixel that is all ink.
const INK: u8 = 16;

/// One digit in five is held out.
const HELD_OUT: usize = 5;

/// Images, one after the other, and what they show.
#[derive(Default)]
pub(crate) struct Digits {
    /// [`PIXELS`] values from 0 (paper) to 1 (ink) per image.
    pub(crate) pixels: Vec<f32>,
    /// One digit per image.
    pub(crate) labels: Vec<u8>,
}

impl Digits {
    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }

    fn push(&mut self, image: &[f32], label: u8) {
        self.pixels.extend_from_slice(image);
        self.labels.push(label);
    }

    /// The images at `indices`.
    fn at(&self, indices: &[usize]) -> Self {
        let mut digits = Self::default();
        digits.gather(self, indices);
        digits
    }

    /// Replaces the images by those of `source` at `indices`.
    pub(crate) fn gather(&mut self, source: &Self, indices: &[usize]) {
        self.pixels.clear();
        self.labels.clear();
        for &index in indices {
            let image = &source.pixels[index * PIXELS..][..PIXELS];
            self.push(image, source.labels[index]);
        }
    }
}

/// Reads a file of 64 pixels and a label per line.
pub(crate) fn load(path: &Path) -> Result<Digits> {
    let file = || path.display().to_string();
    let mut reader = csv::Reader::from_path(path).with_context(file)?;
    let mut digits = Digits::default();
    for (index, record) in reader.records().enumerate() {
        let (image, label) = parse(&record.with_context(file)?)
            .with_context(|| format!("{}: digit {}", path.display(), index + 1))?;
        digits.push(&image, label);
    }
    ensure!(
        digits.len() >= HELD_OUT,
        "{}: {} digits; expected at least {HELD_OUT}",
        path.display(),
        digits.len()
    );
    Ok(digits)
}

/// The digits to learn from, and a fifth that is held out: drawn at random, but always the same, so that
/// runs with other options compare.
pub(crate) fn split(digits: &Digits) -> (Digits, Digits) {
    let mut order: Vec<usize> = (0..digits.len()).collect();
    fastrand::Rng::with_seed(0).shuffle(&mut order);
    let (held_out, training) = order.split_at(digits.len() / HELD_OUT);
    (digits.at(training), digits.at(held_out))
}

fn parse(record: &csv::StringRecord) -> Result<([f32; PIXELS], u8)> {
    ensure!(record.len() == PIXELS + 1, "{} values; expected {PIXELS} pixels and a label", record.len());
    let value = |column: usize, largest: u8| -> Result<u8> {
        let text = &record[column];
        let value = text.trim().parse().ok().filter(|&value| value <= largest);
        value.with_context(|| format!("{text:?} in column {column}; expected 0 to {largest}"))
    };
    let mut image = [0.0; PIXELS];
    for (column, pixel) in image.iter_mut().enumerate() {
        *pixel = f32::from(value(column, INK)?) / f32::from(INK);
    }
    Ok((image, value(PIXELS, 9)?))
}
