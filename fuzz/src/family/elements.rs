//! Binary cross-entropy, Kullback-Leibler divergence and squared error.

use arbitrary::Arbitrary;
use xent::{
    Backend, BinaryCrossEntropy, ElementLoss, ElementReduction, Error, KlDivergence, Rows, RowsMut,
    SquaredError,
};

use super::{
    Fractions, Fused, Layout, UNTOUCHED, VALID, assert_reduced, assert_same, part, rounded_once, ulp,
    uniform, untouched,
};

/// One of the losses of elements, and its options.
#[derive(Arbitrary, Debug)]
pub(super) struct Elements {
    kind: Kind,
    targets: Fractions,
    weights: Option<Fractions>,
    reduction: Reduced,
    upstream: Pull,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Kind {
    Binary { positive: Option<Fractions> },
    Divergence { log_targets: bool },
    Squared,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Reduced {
    None,
    Sum,
    Mean,
    BatchMean,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Pull {
    One,
    /// Eighths.
    Factor(i8),
    PerElement(u32),
}

/// Any of the losses, whose calls have the same names.
#[derive(Clone, Copy)]
enum Any<'a> {
    Binary(BinaryCrossEntropy<'a>),
    Divergence(KlDivergence<'a>),
    Squared(SquaredError<'a>),
}

macro_rules! each {
    ($any:expr, $loss:ident => $call:expr) => {
        match $any {
            Any::Binary($loss) => $call,
            Any::Divergence($loss) => $call,
            Any::Squared($loss) => $call,
        }
    };
}

impl<'a> Any<'a> {
    fn map(
        self,
        binary: impl FnOnce(BinaryCrossEntropy<'a>) -> BinaryCrossEntropy<'a>,
        divergence: impl FnOnce(KlDivergence<'a>) -> KlDivergence<'a>,
        squared: impl FnOnce(SquaredError<'a>) -> SquaredError<'a>,
    ) -> Self {
        match self {
            Self::Binary(loss) => Self::Binary(binary(loss)),
            Self::Divergence(loss) => Self::Divergence(divergence(loss)),
            Self::Squared(loss) => Self::Squared(squared(loss)),
        }
    }
}

/// What an element should give.
struct Element {
    loss: f64,
    slope: f64,
    /// The magnitudes that were subtracted for them.
    parts: (f64, f64),
}

impl Kind {
    fn of(self, x: f64, t: f64, positive: f64) -> Element {
        match self {
            Self::Binary { .. } => {
                let softplus = |x: f64| if x.is_nan() { x } else { x.max(0.0) + (-x.abs()).exp().ln_1p() };
                let loss = part(positive * t, softplus(-x)) + part(1.0 - t, softplus(x));
                let up = (1.0 - t) / (1.0 + (-x).exp());
                let down = positive * t / (1.0 + x.exp());
                Element { loss, slope: up - down, parts: (loss, up + down) }
            }
            Self::Squared => {
                let difference = x - t;
                let parts = 2.0 * (x.abs() + t.abs());
                Element {
                    loss: difference * difference,
                    slope: 2.0 * difference,
                    parts: (parts * difference.abs(), parts),
                }
            }
            Self::Divergence { log_targets } => {
                let (p, log) = if log_targets { (t.exp(), t) } else { (t, t.ln()) };
                let nothing = p == 0.0 && !x.is_nan();
                let loss = if nothing { 0.0 } else { p * (log - x) };
                let slope = if x.is_nan() { x } else { -p };
                Element { loss, slope, parts: (p * (log.abs() + x.abs()), p) }
            }
        }
    }
}

impl Elements {
    pub(super) fn check(&self, layout: Layout, rows: &[Vec<f32>]) {
        let Layout { rows: count, classes, .. } = layout;
        let len = count * classes;
        let mut targets = self.targets.of_rows(layout);
        if let Kind::Divergence { log_targets: true } = self.kind {
            targets.iter_mut().filter(|t| !untouched(**t)).for_each(|t| *t = t.ln());
        }
        let logits = layout.buffer(UNTOUCHED, rows);
        let weights = self.weights.map(|weights| weights.of(len));
        let positive = if let Kind::Binary { positive } = self.kind { positive } else { None };
        let positive = positive.map(|positive| positive.of(classes));
        let pull: Vec<f32> = match self.upstream {
            Pull::One => vec![1.0; len],
            Pull::Factor(eighths) => vec![f32::from(eighths) / 8.0; len],
            Pull::PerElement(seed) => uniform(seed).map(|at| 4.0 * at - 2.0).take(len).collect(),
        };
        let view = |values| Rows::new(values, count, classes).expect("rows after each other");

        let mut loss = match self.kind {
            Kind::Binary { .. } => {
                let loss = BinaryCrossEntropy::new();
                let one_for_all = |row| Rows::with_stride(row, count, classes, 0).expect("one row for all");
                Any::Binary(positive.as_deref().map_or(loss, |row| loss.pos_weight(one_for_all(row))))
            }
            Kind::Divergence { log_targets } => Any::Divergence(KlDivergence::new().log_targets(log_targets)),
            Kind::Squared => Any::Squared(SquaredError::new()),
        };
        let (reduction, denominator) = self.reduction(layout);
        loss = loss.map(|l| l.reduction(reduction), |l| l.reduction(reduction), |l| l.reduction(reduction));
        if let Some(weights) = weights.as_deref().map(view) {
            loss = loss.map(|l| l.weights(weights), |l| l.weights(weights), |l| l.weights(weights));
        }
        let (factor, elements) = (pull[0], view(&pull));
        loss = match self.upstream {
            Pull::One => loss,
            Pull::Factor(_) => {
                loss.map(|l| l.upstream(factor), |l| l.upstream(factor), |l| l.upstream(factor))
            }
            Pull::PerElement(_) => loss.map(
                |l| l.upstream_elements(elements),
                |l| l.upstream_elements(elements),
                |l| l.upstream_elements(elements),
            ),
        };
        let reduced = !matches!(self.reduction, Reduced::None);
        let refused = (reduced && matches!(self.upstream, Pull::PerElement(_)))
            .then_some(Error::UpstreamPerRow { given: count });

        let values = layout.values(&logits);
        let of_targets = layout.values(&targets);
        let targets = layout.view(&targets).expect(VALID);
        let mut fused = Fused::default();
        for backend in Backend::available() {
            let inputs = layout.view(&logits).expect(VALID).with_backend(backend);
            let result = each!(loss, loss => loss.loss_and_gradient(targets, inputs));
            assert_eq!(result.as_ref().err(), refused.as_ref());
            let Ok((got, gradient)) = result else { continue };
            assert_same_from_every_call(&loss, layout, targets, inputs, (&got, &gradient));
            fused.assert(backend, "losses", &got.values);
            fused.assert(backend, "gradient", &gradient);
            assert_reduced("the reduced loss", &got.values, denominator, got.value);
            for (i, (&got, &slope)) in got.values.iter().zip(&gradient).enumerate() {
                let wide = |values: &[f32], i: usize| f64::from(values[i]);
                let positive = positive.as_deref().map_or(1.0, |positive| wide(positive, i % classes));
                let want = self.kind.of(wide(&values, i), wide(&of_targets, i), positive);
                let weight = weights.as_deref().map_or(1.0, |weights| wide(weights, i));
                if weight == 0.0 {
                    assert_same("an element that is taken out", &[got, slope], &[0.0; 2]);
                    continue;
                }
                let value = rounded_once(weight * want.loss, weight * want.parts.0);
                value.assert(backend, "loss", got);
                let pull = wide(&pull, i) / denominator * weight;
                let value = rounded_once(pull * want.slope, pull.abs() * want.parts.1);
                value.assert(backend, "gradient", slope);
            }
        }
    }

    fn reduction(&self, layout: Layout) -> (ElementReduction, f64) {
        let rows = ulp::count(layout.rows);
        match self.reduction {
            Reduced::None => (ElementReduction::None, 1.0),
            Reduced::Sum => (ElementReduction::Sum, 1.0),
            Reduced::Mean => (ElementReduction::Mean, rows * ulp::count(layout.classes)),
            Reduced::BatchMean => (ElementReduction::BatchMean, rows),
        }
    }
}

/// Asserts that the other calls give the same bits, and write nothing between rows.
fn assert_same_from_every_call(
    loss: &Any<'_>,
    layout: Layout,
    targets: Rows<'_>,
    inputs: Rows<'_>,
    (expected, slopes): (&ElementLoss, &[f32]),
) {
    let alone = each!(loss, loss => loss.loss(targets, inputs)).expect(VALID);
    assert_same("losses alone", &alone.values, &expected.values);
    assert_same("the reduced loss alone", &[alone.value], &[expected.value]);
    let (mut losses, mut gradient) = (layout.buffer(UNTOUCHED, &[]), layout.buffer(UNTOUCHED, &[]));
    let call = |losses: &mut [f32], gradient: Option<RowsMut<'_>>| {
        let losses = layout.view_mut(losses).expect(VALID);
        match gradient {
            Some(to) => each!(loss, loss => loss.loss_and_gradient_into(targets, inputs, losses, to)),
            None => each!(loss, loss => loss.loss_into(targets, inputs, losses)),
        }
    };
    for with_gradient in [false, true] {
        losses.fill(UNTOUCHED);
        let to = with_gradient.then(|| layout.view_mut(&mut gradient).expect(VALID));
        let value = call(&mut losses, to).expect(VALID);
        assert_same("losses into a buffer", &layout.values(&losses), &expected.values);
        assert_same("the reduced loss", &[value], &[expected.value]);
    }
    assert_same("gradient into a buffer", &layout.values(&gradient), slopes);
    for buffer in [&losses, &gradient] {
        assert!(layout.between(buffer).copied().all(untouched), "written between the rows");
    }
}
