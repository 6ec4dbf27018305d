//! Rows of every kind with their labels, and everything the crate computes from them.

use fastrand::Rng;
use proptest::prelude::*;
use xent::{
    Backend, CrossEntropy, Smoothing, Targets, argmax, argmax_into, log_softmax, log_softmax_gradient,
    log_softmax_gradient_in_place, log_softmax_gradient_into, log_softmax_in_place, log_softmax_into,
    log_sum_exp, log_sum_exp_into, row_max, row_max_into, softmax, softmax_gradient,
    softmax_gradient_in_place, softmax_gradient_into, softmax_in_place, softmax_into,
};

use crate::common::paths::{Evaluated, Layout, Strided, every_loss_path, every_path, every_row_path};
use crate::common::strategies::{self, Base, Matrix, Pick, Recipe};
use crate::common::{assert_evaluated, assert_same_bits, same_bits};

/// Logits with all that a call can take beside them.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) logits: Matrix,
    pub(crate) labels: Vec<usize>,
    pub(crate) distributions: Matrix,
    pub(crate) upstream: Vec<f32>,
}

/// The results of one operation: `per_row` for each row. f64 holds an f32, and an index, exactly.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) operation: &'static str,
    per_row: usize,
    pub(crate) values: Vec<f64>,
}

impl Outcome {
    fn new<T: Into<f64>>(operation: &'static str, rows: usize, values: Vec<T>) -> Self {
        let values: Vec<f64> = values.into_iter().map(Into::into).collect();
        Self { operation, per_row: values.len() / rows, values }
    }

    /// The results of one row.
    pub(crate) fn row(&self, row: usize) -> Self {
        let values = self.values[row * self.per_row..][..self.per_row].to_vec();
        Self { values, ..*self }
    }
}

/// Asserts that all results are the same.
#[track_caller]
pub(crate) fn assert_same(context: &str, a: &[Outcome], b: &[Outcome]) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        let operation = a.operation;
        assert_eq!((operation, a.values.len()), (b.operation, b.values.len()), "{context}");
        for (i, (x, y)) in a.values.iter().zip(&b.values).enumerate() {
            let same = x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan());
            assert!(same, "{operation}, value {i}: {x:e} is not {y:e}, {context}");
        }
    }
}

/// Contents that take every way through the kernels.
const RECIPES: [Recipe; 13] = {
    let plain =
        Recipe { base: Base::Normal(3.0), confident: None, ties: false, offset: 0.0, masked: 0.0, seed: 11 };
    [
        plain,
        // The path that sums the others alone.
        Recipe { confident: Some(20.0), seed: 12, ..plain },
        Recipe { confident: Some(70.0), masked: 0.3, seed: 13, ..plain },
        Recipe { ties: true, seed: 14, ..plain },
        Recipe { masked: 0.6, seed: 15, ..plain },
        Recipe { masked: 0.999, seed: 23, ..plain },
        // On both sides of where the pivot moves, and far beyond.
        Recipe { base: Base::Straddle(264.0), seed: 16, ..plain },
        Recipe { offset: -400.0, confident: Some(9.0), seed: 17, ..plain },
        Recipe { offset: 1e8, base: Base::Normal(40.0), seed: 18, ..plain },
        Recipe { base: Base::Spread(1e3), seed: 19, ..plain },
        Recipe { base: Base::Flat(-2.5), seed: 20, ..plain },
        Recipe { base: Base::Subnormal, seed: 21, ..plain },
        Recipe { base: Base::Normal(100.0), seed: 22, ..plain },
    ]
};

impl Case {
    /// One row of each recipe, and, where `special`, rows with NaN and infinities.
    pub(crate) fn of_every_kind(classes: usize, special: bool) -> Self {
        let mut values: Vec<f32> = RECIPES.iter().flat_map(|recipe| recipe.cook(classes)).collect();
        let mut rng = Rng::with_seed(classes as u64);
        if special {
            for x in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut row = RECIPES[0].cook(classes);
                row[rng.usize(..classes)] = x;
                values.extend(row);
                values.extend(vec![x; classes]);
            }
        }
        Self::from_logits(Matrix { rows: values.len() / classes, classes, values }, &mut rng)
    }

    /// `rows` rows of the recipes in turn.
    pub(crate) fn of_rows(rows: usize, classes: usize) -> Self {
        let recipe = |row: usize| Recipe { seed: row as u64, ..RECIPES[row % RECIPES.len()] };
        let values = (0..rows).flat_map(|row| recipe(row).cook(classes)).collect();
        Self::from_logits(Matrix { rows, classes, values }, &mut Rng::with_seed(1))
    }

    /// `rows` rows that are all ordinary: normal logits, some masked, a class that leads in some, and some that are
    /// log-probabilities, with a log-sum-exp next to 0.
    pub(crate) fn of_ordinary_rows(rows: usize, classes: usize) -> Self {
        let recipe = |row: usize| Recipe { seed: row as u64, ..RECIPES[[0, 1, 3, 4][row % 4]] };
        let cooked = |row: usize| {
            let mut logits = recipe(row).cook(classes);
            if row % 5 == 2 {
                let log_sum_exp = logits.iter().map(|x| x.exp()).sum::<f32>().ln();
                for x in &mut logits {
                    *x -= log_sum_exp;
                }
            }
            logits
        };
        let values = (0..rows).flat_map(cooked).collect();
        Self::from_logits(Matrix { rows, classes, values }, &mut Rng::with_seed(2))
    }

    fn from_logits(logits: Matrix, rng: &mut Rng) -> Self {
        // The largest logit often: that is where the others are summed alone.
        let labels = logits.map_rows(|(i, row)| {
            if i % 2 == 0 { Pick::Largest.label(row) } else { Pick::Any(i as u64).label(row) }
        });
        let label = |rng: &mut Rng| if rng.bool() { 0.0 } else { rng.f32() };
        let values = logits.values.iter().map(|_| label(rng)).collect();
        let distributions = Matrix { values, ..logits };
        let upstream = (0..logits.rows).map(|_| rng.f32() * 4.0 - 2.0).collect();
        Self { logits, labels, distributions, upstream }
    }

    /// Any rows, those of the shared strategies.
    pub(crate) fn any() -> impl Strategy<Value = (Self, Layout)> {
        strategies::special_logits().prop_flat_map(|logits| {
            let rows = logits.matrix.rows;
            let parts = (
                strategies::labels(&logits.matrix),
                strategies::distributions(&logits.matrix),
                strategies::upstream(rows),
            );
            parts.prop_map(move |(labels, distributions, upstream)| {
                (Self { logits: logits.matrix.clone(), labels, distributions, upstream }, logits.layout)
            })
        })
    }

    /// One row as a case of its own.
    pub(crate) fn row(&self, row: usize) -> Self {
        let of = |matrix: &Matrix| Matrix { rows: 1, values: matrix.row(row).to_vec(), ..*matrix };
        Self {
            logits: of(&self.logits),
            labels: vec![self.labels[row]],
            distributions: of(&self.distributions),
            upstream: vec![self.upstream[row]],
        }
    }

    /// Every operation that gives results per row, each by every path to it.
    pub(crate) fn outcomes(&self, layout: Layout, backend: Backend) -> Vec<Outcome> {
        let Self { logits, labels, distributions, upstream } = self;
        let rows = logits.rows;
        let mut outcomes = Vec::new();

        let y = every_path(logits, layout, backend, softmax, softmax_into, softmax_in_place);
        let z = every_path(logits, layout, backend, log_softmax, log_softmax_into, log_softmax_in_place);
        let sums = every_row_path(logits, layout, backend, same_bits, log_sum_exp, log_sum_exp_into);
        let max = every_row_path(logits, layout, backend, same_bits, row_max, row_max_into);
        let index = every_row_path(logits, layout, backend, |a, b| a == b, argmax, argmax_into);
        let index = index.into_iter().map(|i| u32::try_from(i).unwrap()).collect();
        outcomes.push(Outcome::new("row_max", rows, max));
        outcomes.push(Outcome::new("argmax", rows, index));

        outcomes.push(Outcome::new("softmax", rows, y.clone()));
        outcomes.push(Outcome::new("log_softmax", rows, z.clone()));

        let (dy, dz) = self.gradients_of_outputs(&y, &z, layout, backend);
        outcomes.push(Outcome::new("softmax_gradient", rows, dy));
        outcomes.push(Outcome::new("log_softmax_gradient", rows, dz));

        let loss = CrossEntropy::new().upstream(upstream);
        let indices: Vec<u64> = labels.iter().map(|&label| label as u64).collect();
        let sparse = every_loss_path(loss, Targets::from(&indices), logits, layout, backend);
        // Labels with gaps of their own between the rows.
        let elsewhere = Layout::new(layout.padding % 5, layout.offset).along(layout.axes);
        let dense_labels = Strided::of(distributions, elsewhere);
        let dense = every_loss_path(loss, Targets::from(dense_labels.view(backend)), logits, layout, backend);
        for (evaluated, names) in [
            (sparse, ["sparse loss", "sparse gradient", "sum of a sparse forward pass"]),
            (dense, ["dense loss", "dense gradient", "sum of a dense forward pass"]),
        ] {
            let Evaluated { losses, gradient, sums: saved, .. } = evaluated;
            assert_evaluated(&saved, &sums);
            outcomes.push(Outcome::new(names[0], rows, losses));
            outcomes.push(Outcome::new(names[1], rows, gradient));
            outcomes.push(Outcome::new(names[2], rows, saved.iter().map(|sum| sum.to_f64()).collect()));
        }
        outcomes.push(Outcome::new("log_sum_exp", rows, sums));

        let labels = every_path_but_in_place(loss, logits, layout, backend);
        outcomes.push(Outcome::new("label_gradient", rows, labels));
        outcomes.extend(self.outcomes_of_options(layout, backend));
        outcomes
    }

    /// The loss with every option that rows and classes can have.
    fn outcomes_of_options(&self, layout: Layout, backend: Backend) -> Vec<Outcome> {
        let Self { logits, labels, distributions, upstream } = self;
        let (rows, classes) = (logits.rows, logits.classes);
        let weights: Vec<f32> = [1.0, 0.5, 2.5, 0.0, 0.3].into_iter().cycle().take(classes).collect();
        let mask: Vec<bool> = (0..classes).map(|class| class % 7 != 3).collect();
        let row_weights: Vec<f32> = upstream.iter().map(|u| u.abs()).collect();
        let loss = CrossEntropy::new()
            .class_weights(&weights)
            .and_then(|loss| loss.row_weights(&row_weights))
            .and_then(|loss| loss.label_smoothing(0.1, Smoothing::Uniform))
            .and_then(|loss| loss.z_loss(1e-3))
            .and_then(|loss| loss.logit_scale(0.9))
            .and_then(|loss| loss.soft_cap(50.0))
            .unwrap()
            .class_mask(&mask)
            .upstream(upstream);
        let indices: Vec<u64> = labels.iter().map(|&label| label as u64).collect();
        let sparse = every_loss_path(loss, Targets::from(&indices), logits, layout, backend);
        let dense_labels = Strided::of(distributions, Layout { offset: 2, ..layout });
        let dense = every_loss_path(loss, Targets::from(dense_labels.view(backend)), logits, layout, backend);
        let labels = every_path_but_in_place(loss, logits, layout, backend);
        vec![
            Outcome::new("sparse loss with options", rows, sparse.losses),
            Outcome::new("sparse gradient with options", rows, sparse.gradient),
            Outcome::new("dense loss with options", rows, dense.losses),
            Outcome::new("dense gradient with options", rows, dense.gradient),
            Outcome::new("label gradient with options", rows, labels),
        ]
    }

    /// The gradients of softmax and log-softmax, with the distributions as upstream gradients.
    fn gradients_of_outputs(
        &self,
        y: &[f32],
        z: &[f32],
        layout: Layout,
        backend: Backend,
    ) -> (Vec<f32>, Vec<f32>) {
        let Matrix { rows, classes, .. } = self.logits;
        let place = |values: &[f32]| {
            Strided::of(&Matrix { rows, classes, values: values.to_vec() }, Layout { offset: 3, ..layout })
        };
        let (y, z) = (place(y), place(z));
        let (y, z) = (y.view(backend), z.view(backend));
        let dy = every_path(
            &self.distributions,
            layout,
            backend,
            |g| softmax_gradient(y, g),
            |g, to| softmax_gradient_into(y, g, to),
            |g| softmax_gradient_in_place(y, g),
        );
        let dz = every_path(
            &self.distributions,
            layout,
            backend,
            |g| log_softmax_gradient(z, g),
            |g, to| log_softmax_gradient_into(z, g, to),
            |g| log_softmax_gradient_in_place(z, g),
        );
        (dy, dz)
    }
}

/// The gradient with respect to dense labels, which exists in two forms.
fn every_path_but_in_place(
    loss: CrossEntropy<'_>,
    logits: &Matrix,
    layout: Layout,
    backend: Backend,
) -> Vec<f32> {
    let strided = Strided::of(logits, layout);
    let gradient = loss.label_gradient(strided.view(backend)).unwrap();
    let mut output = Strided::unwritten(logits.rows, logits.classes, layout);
    loss.label_gradient_into(strided.view(backend), output.view_mut(backend)).unwrap();
    assert_same_bits("label_gradient_into", &output.into_values(), &gradient);
    gradient
}

/// Lengths where loops begin and end: every short one, and around the block, two blocks, and the lengths
/// at which blocks are merged on a second level.
pub(crate) fn lengths() -> impl Iterator<Item = usize> {
    (1..=67).chain([95, 96, 97, 511, 512, 513, 1023, 1024, 1025])
}

/// As [`lengths`], the long ones.
pub(crate) const LONG: [usize; 6] = [16_383, 16_384, 16_385, 32_767, 32_768, 32_769];

/// Whether a backend is no CPU's first choice where this runs, and takes several times as long as those that are. What hardly
/// depends on the backend, such as how work is cut, is tried on it with fewer cases.
pub(crate) fn is_slow(backend: Backend) -> bool {
    match backend {
        // It calls a library for each fused multiply-add.
        Backend::Scalar => cfg!(target_arch = "x86_64"),
        Backend::Portable => Backend::Avx2.is_available(),
        _ => false,
    }
}
