//! Every public function that writes into the caller's memory, in one table: what it needs, and how to
//! call it. A new `_into` or `_in_place` function is one line here, and every error test sees it.

use xent::{
    Backend, BinaryCrossEntropy, Comparison, CrossEntropy, EmptyMean, Error, Hinge, HingePower, KlDivergence,
    LogSumExp, LogitComparison, NegativeLogLikelihood, Reduction, Rows, RowsMut, Sampler, Smoothing,
    SquaredError, Statistics, TokenLogProbs, TokenOutputs, Truncation, Upstream, argmax_into,
    log_softmax_gradient_in_place, log_softmax_gradient_into, log_softmax_in_place, log_softmax_into,
    log_sum_exp_into, row_max_into, softmax_cross_entropy_with_logits_into, softmax_gradient_in_place,
    softmax_gradient_into, softmax_in_place, softmax_into, sparse_softmax_cross_entropy_with_logits_into,
};

use super::buffer::Buffer;

/// A part of a call that can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A rows × classes output beside the logits (or beside the upstream gradient).
    Matrix,
    /// One f32 per row as output.
    Losses,
    /// One index per row as output.
    Indices,
    /// One log-sum-exp per row, as output or as input.
    Sums,
    /// A second rows × classes input.
    Second,
    /// Integer labels.
    Labels,
    /// The options' upstream gradient, one per row.
    Upstream,
}

/// What a call reads.
pub struct Inputs {
    pub rows: usize,
    pub classes: usize,
    pub logits: Buffer,
    pub labels: Vec<i64>,
    /// Dense labels, or the output of a forward pass: any second matrix, and its shape.
    pub second: Buffer,
    pub second_shape: (usize, usize),
    pub upstream: Vec<f32>,
    /// Of classes, of rows, and the classes that take part: for the calls with options.
    pub class_weights: Vec<f32>,
    pub row_weights: Vec<f32>,
    pub mask: Vec<bool>,
    pub reduction: Reduction,
    pub backend: Option<Backend>,
}

/// What a call may write.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs {
    pub matrix: Buffer,
    pub shape: (usize, usize),
    /// The losses of elements, where the matrix is their gradient. Always in the shape of the logits.
    pub elements: Buffer,
    pub losses: Vec<f32>,
    pub indices: Vec<usize>,
    pub flags: Vec<bool>,
    pub sums: Vec<LogSumExp>,
}

/// A value that no operation gives.
pub const SENTINEL: f32 = 12_345.679;

/// A call with nothing wrong, of a few values.
pub fn good() -> (Inputs, Outputs) {
    sized(3, 4)
}

/// A call with nothing wrong.
pub fn sized(rows: usize, classes: usize) -> (Inputs, Outputs) {
    let values = rows * classes;
    let inputs = Inputs {
        rows,
        classes,
        logits: (0..101_u8).cycle().step_by(37).map(|i| f32::from(i) * 0.17 - 8.0).take(values).collect(),
        labels: (0..)
            .step_by(7)
            .map(|i| i % i64::try_from(classes).expect("few classes"))
            .take(rows)
            .collect(),
        second: vec![0.25; values].into(),
        second_shape: (rows, classes),
        upstream: [1.0, -2.0, 0.5].into_iter().cycle().take(rows).collect(),
        class_weights: [1.0, 0.5, 0.0, 2.5].into_iter().cycle().take(classes).collect(),
        row_weights: [0.75, 1.0, 3.0].into_iter().cycle().take(rows).collect(),
        mask: (0..classes).map(|class| class % 7 != 1).collect(),
        reduction: Reduction::None,
        backend: None,
    };
    let outputs = Outputs {
        matrix: vec![SENTINEL; values].into(),
        shape: (rows, classes),
        elements: vec![SENTINEL; values].into(),
        losses: vec![SENTINEL; rows],
        indices: vec![usize::MAX; rows],
        flags: vec![true; rows],
        sums: vec![LogSumExp::from(SENTINEL); rows],
    };
    (inputs, outputs)
}

impl Inputs {
    fn logits(&self) -> Rows<'_> {
        with_backend(self.logits.rows(self.rows, self.classes), self.backend)
    }

    /// The same buffer as [`columns`].
    fn columns(&self) -> Rows<'_> {
        with_backend(self.logits.columns(self.rows, self.classes), self.backend)
    }

    fn second(&self) -> Rows<'_> {
        with_backend(self.second.rows(self.second_shape.0, self.second_shape.1), self.backend)
    }

    fn loss(&self) -> CrossEntropy<'_> {
        CrossEntropy::new()
            .reduction(self.reduction)
            .empty_mean(EmptyMean::Zero)
            .upstream(Upstream::PerRow(&self.upstream))
    }

    /// The loss with every option that rows and classes can have.
    fn loss_with_options(&self) -> CrossEntropy<'_> {
        let loss = self
            .loss()
            .class_weights(&self.class_weights)
            .and_then(|loss| loss.row_weights(&self.row_weights))
            .and_then(|loss| loss.label_smoothing(0.1, Smoothing::Uniform))
            .and_then(|loss| loss.z_loss(1e-3))
            .and_then(|loss| loss.logit_scale(0.9))
            .and_then(|loss| loss.soft_cap(50.0));
        loss.expect("options in their ranges").class_mask(&self.mask)
    }

    fn tokens_with_options(&self) -> TokenLogProbs<'_> {
        let tokens = TokenLogProbs::new().temperature(1.25).and_then(|tokens| tokens.soft_cap(50.0));
        tokens.expect("options in their ranges").class_mask(&self.mask)
    }

    fn hinge(&self) -> Hinge<'_> {
        Hinge::new().reduction(self.reduction).upstream(Upstream::PerRow(&self.upstream))
    }

    fn likelihood(&self) -> NegativeLogLikelihood<'_> {
        let likelihood = NegativeLogLikelihood::of_log_probabilities();
        likelihood.reduction(self.reduction).upstream(Upstream::PerRow(&self.upstream))
    }

    /// Of the logits as if they were probabilities: clipped, and divided by their sum.
    fn clipped_likelihood(&self, sparse: bool) -> NegativeLogLikelihood<'_> {
        let likelihood = NegativeLogLikelihood::keras(sparse);
        likelihood.reduction(self.reduction).upstream(Upstream::PerRow(&self.upstream))
    }
}

fn with_backend(rows: Result<Rows<'_>, Error>, backend: Option<Backend>) -> Rows<'_> {
    let rows = rows.expect("the shape fits the buffer");
    backend.map_or(rows, |backend| rows.with_backend(backend))
}

/// The matrix, beside the logits.
fn beside(o: &mut Outputs) -> RowsMut<'_> {
    matrix(&mut o.matrix, o.shape)
}

/// The results as columns: one class of all rows after the other.
fn columns(values: &mut Buffer, (rows, classes): (usize, usize)) -> RowsMut<'_> {
    values.columns_mut(rows, classes).expect("the shape fits the buffer")
}

fn matrix(values: &mut Buffer, (rows, classes): (usize, usize)) -> RowsMut<'_> {
    values.rows_mut(rows, classes).expect("the shape fits the buffer")
}

/// The losses of elements and their gradient, both beside the logits.
fn elements<'a>(i: &Inputs, o: &'a mut Outputs) -> (RowsMut<'a>, RowsMut<'a>) {
    (matrix(&mut o.elements, (i.rows, i.classes)), matrix(&mut o.matrix, o.shape))
}

/// The matrix as the one that an in-place call reads, with its backend.
fn over<'a>(i: &Inputs, values: &'a mut Buffer, shape: (usize, usize)) -> RowsMut<'a> {
    let matrix = matrix(values, shape);
    match i.backend {
        Some(backend) => matrix.with_backend(backend),
        None => matrix,
    }
}

/// Which has no reduction, and so takes an upstream gradient with any.
fn comparison() -> Result<LogitComparison<'static>, Error> {
    Ok(LogitComparison::new().temperature(1.25)?.upstream(-0.75))
}

/// A function that writes into the caller's memory.
pub struct Writer {
    pub name: &'static str,
    /// What of the call this function looks at.
    pub parts: &'static [Part],
    pub call: fn(&Inputs, &mut Outputs) -> Result<(), Error>,
}

macro_rules! writers {
    ($($name:literal [$($part:ident)*] |$i:ident, $o:ident| $call:expr;)+) => {
        &[$(Writer { name: $name, parts: &[$(Part::$part),*], call: |$i, $o| $call },)+]
    };
}

pub const WRITERS: &[Writer] = writers! {
    "softmax_into" [Matrix] |i, o| softmax_into(i.logits(), beside(o));
    "softmax_in_place" [] |i, o| softmax_in_place(over(i, &mut o.matrix, o.shape));
    "log_softmax_into" [Matrix] |i, o| log_softmax_into(i.logits(), beside(o));
    "log_softmax_in_place" [] |i, o| log_softmax_in_place(over(i, &mut o.matrix, o.shape));
    "softmax_gradient_into" [Matrix Second] |i, o| softmax_gradient_into(i.second(), i.logits(), beside(o));
    "softmax_gradient_in_place" [Matrix Second] |i, o| softmax_gradient_in_place(i.second(), beside(o));
    "log_softmax_gradient_into" [Matrix Second]
        |i, o| log_softmax_gradient_into(i.second(), i.logits(), beside(o));
    "log_softmax_gradient_in_place" [Matrix Second]
        |i, o| log_softmax_gradient_in_place(i.second(), beside(o));
    "log_sum_exp_into" [Losses] |i, o| log_sum_exp_into(i.logits(), &mut o.losses);
    "row_max_into" [Losses] |i, o| row_max_into(i.logits(), &mut o.losses);
    "argmax_into" [Indices] |i, o| argmax_into(i.logits(), &mut o.indices);
    "softmax_cross_entropy_with_logits_into" [Losses Second]
        |i, o| softmax_cross_entropy_with_logits_into(i.second(), i.logits(), &mut o.losses);
    "sparse_softmax_cross_entropy_with_logits_into" [Losses Labels]
        |i, o| sparse_softmax_cross_entropy_with_logits_into(&i.labels, i.logits(), &mut o.losses);
    "softmax_into, columns" [Matrix] |i, o| softmax_into(i.columns(), columns(&mut o.matrix, o.shape));
    "softmax_in_place, columns" [] |i, o| {
        let logits = columns(&mut o.matrix, o.shape);
        softmax_in_place(match i.backend {
            Some(backend) => logits.with_backend(backend),
            None => logits,
        })
    };
    "log_sum_exp_into, columns" [Losses] |i, o| log_sum_exp_into(i.columns(), &mut o.losses);
    "loss_and_gradient_into, sparse, columns" [Matrix Losses Labels Upstream] |i, o| {
        let gradient = columns(&mut o.matrix, o.shape);
        i.loss().loss_and_gradient_into(&i.labels, i.columns(), &mut o.losses, gradient).map(drop)
    };
    "loss_and_gradient_into, dense, columns, with options" [Matrix Losses Second Upstream] |i, o| {
        let gradient = columns(&mut o.matrix, o.shape);
        i.loss_with_options().loss_and_gradient_into(i.second(), i.columns(), &mut o.losses, gradient).map(drop)
    };
    "loss_into, sparse" [Losses Labels Upstream]
        |i, o| i.loss().loss_into(&i.labels, i.logits(), &mut o.losses).map(drop);
    "loss_into, dense" [Losses Second Upstream]
        |i, o| i.loss().loss_into(i.second(), i.logits(), &mut o.losses).map(drop);
    "loss_and_gradient_into, sparse" [Matrix Losses Labels Upstream] |i, o| {
        let gradient = matrix(&mut o.matrix, o.shape);
        i.loss().loss_and_gradient_into(&i.labels, i.logits(), &mut o.losses, gradient).map(drop)
    };
    "loss_and_gradient_into, dense" [Matrix Losses Second Upstream] |i, o| {
        let gradient = matrix(&mut o.matrix, o.shape);
        i.loss().loss_and_gradient_into(i.second(), i.logits(), &mut o.losses, gradient).map(drop)
    };
    "loss_and_gradient_in_place, sparse" [Losses Labels Upstream] |i, o| {
        let logits = over(i, &mut o.matrix, o.shape);
        i.loss().loss_and_gradient_in_place(&i.labels, logits, &mut o.losses).map(drop)
    };
    "loss_and_gradient_in_place, dense" [Losses Second Upstream] |i, o| {
        let logits = over(i, &mut o.matrix, o.shape);
        i.loss().loss_and_gradient_in_place(i.second(), logits, &mut o.losses).map(drop)
    };
    "forward_into, sparse" [Losses Sums Labels Upstream]
        |i, o| i.loss().forward_into(&i.labels, i.logits(), &mut o.losses, &mut o.sums).map(drop);
    "forward_into, dense" [Losses Sums Second Upstream]
        |i, o| i.loss().forward_into(i.second(), i.logits(), &mut o.losses, &mut o.sums).map(drop);
    "backward_into, sparse" [Matrix Sums Labels Upstream]
        |i, o| i.loss().backward_into(&i.labels, i.logits(), &o.sums, matrix(&mut o.matrix, o.shape));
    "backward_into, dense" [Matrix Sums Second Upstream]
        |i, o| i.loss().backward_into(i.second(), i.logits(), &o.sums, matrix(&mut o.matrix, o.shape));
    "backward_in_place, sparse" [Sums Labels Upstream]
        |i, o| i.loss().backward_in_place(&i.labels, over(i, &mut o.matrix, o.shape), &o.sums);
    "backward_in_place, dense" [Sums Second Upstream]
        |i, o| i.loss().backward_in_place(i.second(), over(i, &mut o.matrix, o.shape), &o.sums);
    "label_gradient_into" [Matrix Upstream] |i, o| i.loss().label_gradient_into(i.logits(), beside(o));
    "loss_into, sparse, with options" [Losses Labels Upstream]
        |i, o| i.loss_with_options().loss_into(&i.labels, i.logits(), &mut o.losses).map(drop);
    "loss_into, dense, with options" [Losses Second Upstream]
        |i, o| i.loss_with_options().loss_into(i.second(), i.logits(), &mut o.losses).map(drop);
    "loss_and_gradient_into, sparse, with options" [Matrix Losses Labels Upstream] |i, o| {
        let gradient = matrix(&mut o.matrix, o.shape);
        i.loss_with_options().loss_and_gradient_into(&i.labels, i.logits(), &mut o.losses, gradient).map(drop)
    };
    "loss_and_gradient_into, dense, with options" [Matrix Losses Second Upstream] |i, o| {
        let gradient = matrix(&mut o.matrix, o.shape);
        i.loss_with_options().loss_and_gradient_into(i.second(), i.logits(), &mut o.losses, gradient).map(drop)
    };
    "loss_and_gradient_in_place, sparse, with options" [Losses Labels Upstream] |i, o| {
        let logits = over(i, &mut o.matrix, o.shape);
        i.loss_with_options().loss_and_gradient_in_place(&i.labels, logits, &mut o.losses).map(drop)
    };
    "loss_and_gradient_in_place, dense, with options" [Losses Second Upstream] |i, o| {
        let logits = over(i, &mut o.matrix, o.shape);
        i.loss_with_options().loss_and_gradient_in_place(i.second(), logits, &mut o.losses).map(drop)
    };
    "forward_into, sparse, with options" [Losses Sums Labels Upstream] |i, o| {
        i.loss_with_options().forward_into(&i.labels, i.logits(), &mut o.losses, &mut o.sums).map(drop)
    };
    "backward_into, dense, with options" [Matrix Sums Second Upstream] |i, o| {
        let gradient = matrix(&mut o.matrix, o.shape);
        i.loss_with_options().backward_into(i.second(), i.logits(), &o.sums, gradient)
    };
    "entropy_and_gradient_into" [Matrix Losses Upstream]
        |i, o| i.loss().entropy_and_gradient_into(i.logits(), &mut o.losses, matrix(&mut o.matrix, o.shape));
    "entropy_and_gradient_into, with options" [Matrix Losses Upstream] |i, o| {
        let gradient = matrix(&mut o.matrix, o.shape);
        i.loss_with_options().entropy_and_gradient_into(i.logits(), &mut o.losses, gradient)
    };
    "label_gradient_into, with options" [Matrix Upstream]
        |i, o| i.loss_with_options().label_gradient_into(i.logits(), beside(o));
    "statistics_into, log-probability, argmax, correct" [Losses Indices Labels] |i, o| {
        let wanted = Statistics::new().log_probability(&mut o.losses).argmax(&mut o.indices).correct(&mut o.flags);
        i.loss().statistics_into(&i.labels, i.logits(), wanted)
    };
    "statistics_into, log-sum-exp, with options" [Losses Labels] |i, o| {
        let wanted = Statistics::new().log_sum_exp(&mut o.losses);
        i.loss_with_options().statistics_into(&i.labels, i.logits(), wanted)
    };
    "statistics_into, entropy" [Losses Labels] |i, o| {
        let wanted = Statistics::new().entropy(&mut o.losses);
        i.loss().statistics_into(&i.labels, i.logits(), wanted)
    };
    "token log-probabilities" [Losses Labels] |i, o| {
        TokenLogProbs::new().read_into(i.logits(), TokenOutputs::new().chosen(&i.labels, &mut o.losses))
    };
    "token log-probabilities, columns, with options" [Losses Labels] |i, o| {
        i.tokens_with_options().read_into(i.columns(), TokenOutputs::new().chosen(&i.labels, &mut o.losses))
    };
    "token entropies" [Losses] |i, o| TokenLogProbs::new().read_into(i.logits(), TokenOutputs::new().entropy(&mut o.losses));
    "token entropies, with options" [Losses] |i, o| {
        i.tokens_with_options().read_into(i.logits(), TokenOutputs::new().entropy(&mut o.losses))
    };
    "token log-sum-exps" [Losses]
        |i, o| TokenLogProbs::new().read_into(i.logits(), TokenOutputs::new().log_sum_exp(&mut o.losses));
    "draws" [Losses] |i, o| {
        let (sampler, mut ids) = (Sampler::new(5), [0; 4096]);
        let ids = &mut ids[..i.rows.min(4096)];
        TokenLogProbs::new().read_into(i.logits(), TokenOutputs::new().sample(sampler, ids, &mut o.losses))
    };
    "draws of a nucleus, columns, with options" [Losses] |i, o| {
        let sampler = Sampler::new(5).truncation(Truncation::new().top_k(7).top_p(0.8)?);
        let mut ids = [0; 4096];
        let ids = &mut ids[..i.rows.min(4096)];
        let wanted = TokenOutputs::new().sample(sampler, ids, &mut o.losses);
        i.tokens_with_options().read_into(i.columns(), wanted)
    };
    "comparison, gradient into" [Matrix Losses Second Labels] |i, o| {
        let (comparison, gradient) = (comparison()?, matrix(&mut o.matrix, o.shape));
        let wanted = Comparison::new().kl(&mut o.losses).labels(&i.labels);
        comparison.compare_and_gradient_into(i.second(), i.logits(), wanted, gradient)
    };
    "comparison, gradient in place" [Losses Second Labels] |i, o| {
        let wanted = Comparison::new().jensen_shannon(&mut o.losses).labels(&i.labels);
        let logits = over(i, &mut o.matrix, o.shape);
        comparison()?.compare_and_gradient_in_place(i.second(), logits, wanted)
    };
    "comparison, change of labels, columns" [Losses Second Labels] |i, o| {
        let wanted = Comparison::new().labels(&i.labels).label_change(&mut o.losses);
        comparison()?.compare_into(i.second(), i.columns(), wanted)
    };
    "hinge, loss_into" [Losses Labels Upstream]
        |i, o| i.hinge().loss_into(&i.labels, i.logits(), &mut o.losses).map(drop);
    "squared hinge, loss_and_gradient_into" [Matrix Losses Labels Upstream] |i, o| {
        let (hinge, gradient) = (i.hinge().power(HingePower::Squared), matrix(&mut o.matrix, o.shape));
        hinge.loss_and_gradient_into(&i.labels, i.logits(), &mut o.losses, gradient).map(drop)
    };
    "likelihood, loss_into, sparse" [Losses Labels Upstream]
        |i, o| i.likelihood().loss_into(&i.labels, i.logits(), &mut o.losses).map(drop);
    "likelihood, loss_and_gradient_into, dense" [Matrix Losses Second Upstream] |i, o| {
        let gradient = matrix(&mut o.matrix, o.shape);
        i.likelihood().loss_and_gradient_into(i.second(), i.logits(), &mut o.losses, gradient).map(drop)
    };
    "clipped likelihood, loss_and_gradient_into, sparse" [Matrix Losses Labels Upstream] |i, o| {
        let (likelihood, gradient) = (i.clipped_likelihood(true), matrix(&mut o.matrix, o.shape));
        likelihood.loss_and_gradient_into(&i.labels, i.logits(), &mut o.losses, gradient).map(drop)
    };
    "clipped likelihood, loss_into, dense" [Losses Second Upstream]
        |i, o| i.clipped_likelihood(false).loss_into(i.second(), i.logits(), &mut o.losses).map(drop);
    "binary cross-entropy, loss_into" [Matrix Second]
        |i, o| BinaryCrossEntropy::new().loss_into(i.second(), i.logits(), beside(o)).map(drop);
    "binary cross-entropy, loss_and_gradient_into" [Matrix Second] |i, o| {
        let ((losses, gradient), binary) = (elements(i, o), BinaryCrossEntropy::new().pos_weight(i.second()));
        binary.loss_and_gradient_into(i.second(), i.logits(), losses, gradient).map(drop)
    };
    "divergence, loss_and_gradient_into" [Matrix Second] |i, o| {
        let (losses, gradient) = elements(i, o);
        KlDivergence::new().loss_and_gradient_into(i.second(), i.logits(), losses, gradient).map(drop)
    };
    "divergence of log-targets, loss_into" [Matrix Second] |i, o| {
        KlDivergence::new().log_targets(true).loss_into(i.second(), i.logits(), beside(o)).map(drop)
    };
    "squared error, loss_and_gradient_into" [Matrix Second] |i, o| {
        let (losses, gradient) = elements(i, o);
        SquaredError::new().loss_and_gradient_into(i.second(), i.logits(), losses, gradient).map(drop)
    };
};
