//! The operations, what they should give, and how far off they may be.

use serde::{Deserialize, Serialize};
use xent::{Backend, CrossEntropy, Rows, Targets, log_softmax, log_sum_exp, softmax};

use crate::inputs::Inputs;
use crate::precise::{Pair, Precise};
use crate::ulp;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    LogSumExp,
    SparseLoss,
    DenseLoss,
    Softmax,
    LogSoftmax,
    SparseGradient,
    /// The gradient of the sparse loss at the label.
    AtLabel,
    DenseGradient,
}

use Operation::{
    AtLabel, DenseGradient, DenseLoss, LogSoftmax, LogSumExp, Softmax, SparseGradient, SparseLoss,
};

impl Operation {
    pub const ALL: [Self; 8] =
        [LogSumExp, SparseLoss, DenseLoss, Softmax, LogSoftmax, SparseGradient, AtLabel, DenseGradient];

    pub fn title(self) -> &'static str {
        match self {
            LogSumExp => "log-sum-exp",
            SparseLoss => "sparse loss",
            DenseLoss => "dense loss",
            Softmax => "softmax",
            LogSoftmax => "log-softmax",
            SparseGradient => "sparse gradient",
            AtLabel => "sparse gradient at the label",
            DenseGradient => "dense gradient",
        }
    }

    /// The name of what is computed, of which this may be a part.
    pub fn computed(self) -> &'static str {
        match self {
            LogSumExp => "log_sum_exp",
            SparseLoss => "sparse_loss",
            DenseLoss => "dense_loss",
            Softmax => "softmax",
            LogSoftmax => "log_softmax",
            SparseGradient | AtLabel => "sparse_gradient",
            DenseGradient => "dense_gradient",
        }
    }

    /// Whether there is one result for each row, and not one for each class.
    pub fn is_per_row(self) -> bool {
        matches!(self, LogSumExp | SparseLoss | DenseLoss)
    }

    /// The bound of the numeric contract, in ULP.
    pub fn bound(fused: bool) -> f64 {
        if fused { 3.0 } else { 5.0 }
    }

    /// What xent computes.
    ///
    /// # Panics
    ///
    /// Where the inputs are refused.
    pub fn run(self, backend: Backend, inputs: &Inputs) -> Vec<f32> {
        let view = |values| {
            let rows = Rows::new(values, inputs.rows(), inputs.classes).expect("rows of classes");
            rows.with_backend(backend)
        };
        let logits = view(&inputs.logits);
        let loss = CrossEntropy::new();
        let distributions = || Targets::Dense(view(&inputs.distributions));
        match self {
            LogSumExp => log_sum_exp(logits),
            Softmax => softmax(logits),
            LogSoftmax => log_softmax(logits),
            SparseLoss => loss.loss(&inputs.labels, logits).map(|loss| loss.rows),
            DenseLoss => loss.loss(distributions(), logits).map(|loss| loss.rows),
            SparseGradient | AtLabel => loss.loss_and_gradient(&inputs.labels, logits).map(|pair| pair.1),
            DenseGradient => loss.loss_and_gradient(distributions(), logits).map(|pair| pair.1),
        }
        .expect("logits and labels")
    }

    /// The errors of a row's results, in ULP, each with its class.
    pub fn errors(self, exact: &Exact<'_>, got: &[f32]) -> Vec<(usize, f64)> {
        let label = exact.label;
        let of_class = |class: usize| (class, self.error(exact, class, got[class]));
        match self {
            LogSumExp | SparseLoss | DenseLoss => vec![(0, self.error(exact, 0, got[0]))],
            AtLabel => vec![of_class(label)],
            SparseGradient => (0..got.len()).filter(|&class| class != label).map(of_class).collect(),
            Softmax | LogSoftmax | DenseGradient => (0..got.len()).map(of_class).collect(),
        }
    }

    fn error(self, exact: &Exact<'_>, class: usize, got: f32) -> f64 {
        let plain = |want: Pair| {
            let want = want.value();
            if got == 0.0 && want.abs() < FLUSHED { 0.0 } else { ulp::error(got, want) }
        };
        match self {
            LogSumExp => ulp::error_at(got, exact.log_sum_exp().value(), exact.max),
            SparseLoss => plain(exact.loss(exact.label)),
            DenseLoss => plain(exact.dense_loss()),
            Softmax | SparseGradient => plain(exact.softmax(class)),
            // A masked class is exact.
            LogSoftmax if exact.logits[class] == f32::NEG_INFINITY => ulp::error(got, f64::NEG_INFINITY),
            LogSoftmax => plain(-exact.loss(class)),
            AtLabel => plain(-exact.others(class)),
            DenseGradient => {
                let (p, t) = (exact.softmax(class) * exact.mass, f64::from(exact.distribution[class]));
                let error = |share: Pair| ulp::error_at(got, (share - t.into()).value(), p.hi.max(t));
                // The share is flushed before the label is taken off it.
                if p.hi < FLUSHED { error(p).min(error(Pair::ZERO)) } else { error(p) }
            }
        }
    }
}

/// Below, a result may be 0: 3 ULP above the smallest normal number, which is what an error may take it below that.
const FLUSHED: f64 = f32::MIN_POSITIVE as f64 * (1.0 + 3.0 * f32::EPSILON as f64);

/// One row, to 2^-70: with the maximum `m`, one occurrence of it, and `rest`, the sum of `e^(x_j - m)` over
/// the others, nothing cancels.
pub struct Exact<'a> {
    logits: &'a [f32],
    label: usize,
    distribution: &'a [f32],
    max: f64,
    top: usize,
    /// `e^(x_j - m)`.
    terms: Vec<Pair>,
    rest: Pair,
    /// `ln(1 + rest)`.
    log: Pair,
    mass: Pair,
}

impl<'a> Exact<'a> {
    pub fn new(precise: &Precise, (logits, label, distribution): (&'a [f32], usize, &'a [f32])) -> Self {
        let top = (0..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best });
        let max = f64::from(logits[top]);
        let term = |&x: &f32| {
            // What the difference rounds away is e^lo.
            let distance = Pair::sum(f64::from(x), -max);
            if x == f32::NEG_INFINITY {
                return Pair::ZERO;
            }
            let term = precise.exp(distance.hi);
            term + (term.hi * distance.lo).into()
        };
        let terms: Vec<Pair> = logits.iter().map(term).collect();
        let others = terms.iter().enumerate().filter(|&(i, _)| i != top);
        let rest = others.fold(Pair::ZERO, |sum, (_, &term)| sum + term);
        let mass = distribution.iter().fold(Pair::ZERO, |sum, &t| sum + f64::from(t).into());
        Self { logits, label, distribution, max, top, terms, rest, log: precise.ln_1p(rest), mass }
    }

    fn log_sum_exp(&self) -> Pair {
        Pair::from(self.max) + self.log
    }

    fn loss(&self, class: usize) -> Pair {
        Pair::sum(self.max, -f64::from(self.logits[class])) + self.log
    }

    fn dense_loss(&self) -> Pair {
        let classes = self.distribution.iter().enumerate().filter(|(_, t)| **t != 0.0);
        classes.fold(Pair::ZERO, |sum, (class, &t)| sum + self.loss(class) * f64::from(t).into())
    }

    fn softmax(&self, class: usize) -> Pair {
        self.terms[class] / (Pair::ONE + self.rest)
    }

    /// What softmax leaves for the other classes.
    fn others(&self, class: usize) -> Pair {
        let others = if class == self.top { self.rest } else { Pair::ONE + (self.rest - self.terms[class]) };
        others / (Pair::ONE + self.rest)
    }
}
