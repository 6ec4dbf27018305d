//! The inputs of the two targets, and what becomes of them.

use arbitrary::Arbitrary;
use xent::{CrossEntropy, EmptyMean, Reduction, Upstream};

use super::check::{Batch, Labels};
use super::logits::{Layout, ROWS, Row, uniform};

/// The label of rows to ignore: `PyTorch`'s, which is no class.
pub const IGNORED: i64 = -100;

/// A batch with class indices.
#[derive(Arbitrary, Debug)]
pub struct SparseInput {
    layout: Layout,
    options: Options,
    labels: [Label; ROWS],
    rows: [Row; ROWS],
}

/// A batch with distributions.
#[derive(Arbitrary, Debug)]
pub struct DenseInput {
    layout: Layout,
    options: Options,
    labels: [Distribution; ROWS],
    rows: [Row; ROWS],
}

impl SparseInput {
    /// Checks all that must hold of the batch's loss and gradient.
    ///
    /// # Panics
    ///
    /// Where something does not hold.
    pub fn check(&self) {
        let rows = self.layout.contents(&self.rows);
        let labels = self.labels.iter().zip(&rows).map(|(label, row)| label.index(row)).collect();
        check(self.layout, &self.options, rows, Labels::Sparse(labels));
    }
}

impl DenseInput {
    /// Checks all that must hold of the batch's loss and gradient.
    ///
    /// # Panics
    ///
    /// Where something does not hold.
    pub fn check(&self) {
        let Layout { rows, classes, .. } = self.layout;
        let labels = self.labels[..rows].iter().map(|labels| labels.over(classes)).collect();
        check(self.layout, &self.options, self.layout.contents(&self.rows), Labels::Dense(labels));
    }
}

fn check(layout: Layout, options: &Options, rows: Vec<Vec<f32>>, labels: Labels) {
    let upstream = options.upstream.of_rows(layout.rows);
    let per_row = options.upstream.per_row();
    let loss = options.loss().upstream(options.upstream.upstream(&upstream));
    let reduction = options.reduction.into();
    Batch { layout, rows, labels, loss, reduction, upstream: &upstream, per_row }.check();
}

/// The options of the loss.
#[derive(Arbitrary, Debug)]
struct Options {
    reduction: Reduced,
    zero_empty_mean: bool,
    upstream: Gradient,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Reduced {
    None,
    Sum,
    Mean,
}

impl From<Reduced> for Reduction {
    fn from(reduced: Reduced) -> Self {
        match reduced {
            Reduced::None => Self::None,
            Reduced::Sum => Self::Sum,
            Reduced::Mean => Self::Mean,
        }
    }
}

/// Upstream gradients of eighths: exact, of both signs, and zero.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Gradient {
    One,
    Uniform(i8),
    PerRow([i8; ROWS]),
}

impl Gradient {
    /// That of each row.
    pub fn of_rows(self, rows: usize) -> Vec<f32> {
        let eighths = match self {
            Self::One => [8; ROWS],
            Self::Uniform(eighths) => [eighths; ROWS],
            Self::PerRow(eighths) => eighths,
        };
        eighths[..rows].iter().map(|&eighths| f32::from(eighths) / 8.0).collect()
    }

    pub fn per_row(self) -> bool {
        matches!(self, Self::PerRow(_))
    }

    /// As it is given to a loss.
    pub fn upstream(self, of_rows: &[f32]) -> Upstream<'_> {
        if self.per_row() { Upstream::PerRow(of_rows) } else { Upstream::Uniform(of_rows[0]) }
    }
}

impl Options {
    fn loss(&self) -> CrossEntropy<'static> {
        let empty_mean = if self.zero_empty_mean { EmptyMean::Zero } else { EmptyMean::Nan };
        CrossEntropy::new().reduction(self.reduction.into()).empty_mean(empty_mean).ignore_index(IGNORED)
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Label {
    Class(u16),
    Largest,
    Ignored,
    /// Any number: seldom a class.
    Any(i64),
}

impl Label {
    pub fn index(self, row: &[f32]) -> i64 {
        let class = match self {
            Self::Class(class) => usize::from(class) % row.len(),
            Self::Largest => (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0),
            Self::Ignored => return IGNORED,
            Self::Any(label) => return label,
        };
        i64::try_from(class).unwrap_or(i64::MAX)
    }
}

#[derive(Arbitrary, Debug)]
pub enum Distribution {
    Zero,
    /// One class holds all but `smoothing / 256`, which is shared by all.
    Smoothed {
        class: u16,
        smoothing: u8,
    },
    /// Random parts of the same order, which sum to about `2^(exponent / 8)`.
    Parts {
        seed: u32,
        exponent: i8,
    },
    /// A few classes, of both signs.
    Few(Vec<(u16, i16)>),
}

impl Distribution {
    pub fn over(&self, classes: usize) -> Vec<f32> {
        // At most 1200, so exact.
        let count = f32::from(u16::try_from(classes).unwrap_or(u16::MAX));
        match self {
            Self::Zero => vec![0.0; classes],
            &Self::Smoothed { class, smoothing } => {
                let smoothing = f32::from(smoothing) / 256.0;
                let mut labels = vec![smoothing / count; classes];
                labels[usize::from(class) % classes] += 1.0 - smoothing;
                labels
            }
            &Self::Parts { seed, exponent } => {
                let scale = 2.0 / count * (f32::from(exponent) / 8.0).exp2();
                uniform(seed).map(|part| part * scale).take(classes).collect()
            }
            Self::Few(parts) => {
                let mut labels = vec![0.0; classes];
                for &(class, part) in parts {
                    labels[usize::from(class) % classes] = f32::from(part) / 256.0;
                }
                labels
            }
        }
    }
}
