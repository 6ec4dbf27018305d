//! Random targets of a loss, and upstream gradients.

use fastrand::Rng;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;
use xent::{CrossEntropy, Reduction, Upstream};

use super::rows::{Matrix, normal};
use crate::common::{reference, ulp};

/// How the label of a row is chosen.
#[derive(Clone, Copy, Debug)]
pub enum Pick {
    Largest,
    Smallest,
    Any(u64),
}

impl Pick {
    pub fn label(self, row: &[f32]) -> usize {
        match self {
            Self::Largest => reference::argmax(row),
            Self::Smallest => reference::argmax(&row.iter().map(|x| -x).collect::<Vec<_>>()),
            Self::Any(seed) => Rng::with_seed(seed).usize(..row.len()),
        }
    }
}

/// A class per row; the largest logit often, since that is where losses are small.
pub fn labels(logits: &Matrix) -> impl Strategy<Value = Vec<usize>> + use<> {
    let logits = logits.clone();
    let pick = prop_oneof![
        3 => Just(Pick::Largest),
        1 => Just(Pick::Smallest),
        3 => any::<u64>().prop_map(Pick::Any),
    ];
    prop::collection::vec(pick, logits.rows)
        .prop_map(move |picks| logits.iter().zip(picks).map(|(row, pick)| pick.label(row)).collect())
}

/// Dense labels of one row.
#[derive(Clone, Copy, Debug)]
pub enum Mix {
    /// All on one class.
    OneHot,
    /// This much spread over all classes, the rest on one.
    Smoothed(f32),
    /// At random, with this share of zeros, summing to about 1.
    Random(f32),
    /// As `Random`, times this.
    Scaled(f32),
    /// Nothing.
    Zero,
}

impl Mix {
    fn labels(self, label: usize, classes: usize, rng: &mut Rng) -> Vec<f32> {
        let one_hot = |i| if i == label { 1.0 } else { 0.0 };
        #[expect(clippy::cast_precision_loss, reason = "classes are few")]
        let share = 1.0 / classes as f32;
        match self {
            Self::OneHot => (0..classes).map(one_hot).collect(),
            Self::Smoothed(mass) => (0..classes).map(|i| one_hot(i) * (1.0 - mass) + mass * share).collect(),
            Self::Random(zeros) => {
                let labels: Vec<_> =
                    (0..classes).map(|_| if rng.f32() < zeros { 0.0 } else { rng.f32() }).collect();
                let sum: f32 = labels.iter().sum();
                labels.iter().map(|t| t / sum.max(f32::MIN_POSITIVE)).collect()
            }
            Self::Scaled(by) => {
                Self::Random(0.2).labels(label, classes, rng).iter().map(|t| t * by).collect()
            }
            Self::Zero => vec![0.0; classes],
        }
    }
}

/// Dense labels for some logits: distributions mostly. At a masked class (-inf) often 0, so that the
/// loss is finite.
pub fn distributions(logits: &Matrix) -> impl Strategy<Value = Matrix> + use<> {
    let mix = Union::new_weighted(vec![
        (2, Just(Mix::OneHot).boxed()),
        (2, (0.01_f32..0.5).prop_map(Mix::Smoothed).boxed()),
        (4, (0.0_f32..1.0).prop_map(Mix::Random).boxed()),
        (1, (0.01_f32..50.0).prop_map(Mix::Scaled).boxed()),
        (1, Just(Mix::Zero).boxed()),
    ]);
    let logits = logits.clone();
    (labels(&logits), prop::collection::vec((mix, prop::bool::weighted(0.8), any::<u64>()), logits.rows))
        .prop_map(move |(labels, mixes)| {
            let mut values = Vec::with_capacity(logits.values.len());
            for ((row, label), (mix, spare_masked, seed)) in logits.iter().zip(labels).zip(mixes) {
                let mut labels = mix.labels(label, logits.classes, &mut Rng::with_seed(seed));
                if spare_masked {
                    for (t, _) in labels.iter_mut().zip(row).filter(|(_, x)| **x == f32::NEG_INFINITY) {
                        *t = 0.0;
                    }
                }
                values.extend(labels);
            }
            Matrix { values, ..logits.clone() }
        })
}

/// Upstream gradients of one row of results.
#[derive(Clone, Copy, Debug)]
pub enum Pull {
    /// Normally distributed with this standard deviation.
    Normal(f32),
    /// All the same: through a softmax nothing is left of it.
    Constant(f32),
    /// On one result alone.
    Single(f32),
}

/// An upstream gradient for every value of some rows.
pub fn upstream_of_results(rows: usize, classes: usize) -> impl Strategy<Value = Matrix> {
    let size = || select(vec![1.0_f32, -0.1, 1e-6, 1e4, -1e12]);
    let pull = prop_oneof![
        3 => size().prop_map(Pull::Normal),
        1 => size().prop_map(Pull::Constant),
        1 => size().prop_map(Pull::Single),
    ];
    prop::collection::vec((pull, any::<u64>()), rows).prop_map(move |pulls| {
        let mut values = Vec::with_capacity(rows * classes);
        for (pull, seed) in pulls {
            let mut rng = Rng::with_seed(seed);
            let single = rng.usize(..classes);
            values.extend((0..classes).map(|i| match pull {
                Pull::Normal(size) => normal(&mut rng) * size,
                Pull::Constant(size) => size,
                Pull::Single(size) => size * f32::from(i == single),
            }));
        }
        Matrix { rows, classes, values }
    })
}

/// The options of a loss.
#[derive(Clone, Debug)]
pub struct Options {
    pub reduction: Reduction,
    /// One for all rows, or, without a reduction, one per row.
    pub upstream: Vec<f32>,
}

impl Options {
    pub fn loss(&self) -> CrossEntropy<'_> {
        let upstream = match *self.upstream {
            [uniform] => Upstream::Uniform(uniform),
            ref per_row => Upstream::PerRow(per_row),
        };
        CrossEntropy::new().reduction(self.reduction).upstream(upstream)
    }

    /// What the gradient of a row is multiplied by, with so many rows not ignored.
    pub fn factor(&self, row: usize, used: usize) -> f64 {
        let upstream = f64::from(self.upstream[row.min(self.upstream.len() - 1)]);
        if self.reduction == Reduction::Mean { upstream / ulp::count(used) } else { upstream }
    }
}

/// Reductions, and upstream gradients as they allow them.
pub fn options(rows: usize) -> impl Strategy<Value = Options> {
    let reduction = select(vec![Reduction::None, Reduction::Sum, Reduction::Mean]);
    (reduction, any::<bool>()).prop_flat_map(move |(reduction, per_row)| {
        let per_row = per_row && reduction == Reduction::None;
        upstream(if per_row { rows } else { 1 }).prop_map(move |upstream| Options { reduction, upstream })
    })
}

/// Upstream gradients, one per row: 1 often, both signs, small and large.
pub fn upstream(rows: usize) -> impl Strategy<Value = Vec<f32>> {
    let value = prop_oneof![2 => Just(1.0_f32), 1 => Just(0.0), 4 => -3.0_f32..3.0, 1 => 1e-3_f32..1e3];
    prop::collection::vec(value, rows)
}
