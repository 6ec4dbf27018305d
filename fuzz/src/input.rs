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
        let rows = rows(&self.rows, self.layout);
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
        check(self.layout, &self.options, self::rows(&self.rows, self.layout), Labels::Dense(labels));
    }
}

fn rows(rows: &[Row], layout: Layout) -> Vec<Vec<f32>> {
    rows[..layout.rows].iter().map(|row| row.logits(layout.classes)).collect()
}

fn check(layout: Layout, options: &Options, rows: Vec<Vec<f32>>, labels: Labels) {
    let upstream: Vec<f32> = options.upstreams().take(layout.rows).collect();
    let per_row = matches!(options.upstream, Gradient::PerRow(_));
    let of_loss = if per_row { Upstream::PerRow(&upstream) } else { Upstream::Uniform(upstream[0]) };
    let (loss, reduction) = (options.loss().upstream(of_loss), options.reduction());
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
enum Reduced {
    None,
    Sum,
    Mean,
}

/// Upstream gradients of eighths: exact, of both signs, and zero.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Gradient {
    One,
    Uniform(i8),
    PerRow([i8; ROWS]),
}

impl Options {
    fn reduction(&self) -> Reduction {
        match self.reduction {
            Reduced::None => Reduction::None,
            Reduced::Sum => Reduction::Sum,
            Reduced::Mean => Reduction::Mean,
        }
    }

    fn loss(&self) -> CrossEntropy<'static> {
        let empty_mean = if self.zero_empty_mean { EmptyMean::Zero } else { EmptyMean::Nan };
        CrossEntropy::new().reduction(self.reduction()).empty_mean(empty_mean).ignore_index(IGNORED)
    }

    fn upstreams(&self) -> impl Iterator<Item = f32> {
        let eighths = match self.upstream {
            Gradient::One => [8; ROWS],
            Gradient::Uniform(eighths) => [eighths; ROWS],
            Gradient::PerRow(eighths) => eighths,
        };
        eighths.into_iter().map(|eighths| f32::from(eighths) / 8.0)
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Label {
    Class(u16),
    Largest,
    Ignored,
    /// Any number: seldom a class.
    Any(i64),
}

impl Label {
    fn index(self, row: &[f32]) -> i64 {
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
enum Distribution {
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
    fn over(&self, classes: usize) -> Vec<f32> {
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
