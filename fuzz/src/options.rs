//! The loss with any of its options: invalid ones are refused, each for itself; with all others every call gives
//! the same bits, on every backend, and those that the oracle says where numbers are of a size that it can tell of.

use arbitrary::{Arbitrary, Result, Unstructured};
use xent::{
    Backend, CrossEntropy, Denominator, DenseGradient, EmptyMean, EmptyRows, Error, Reduction, Smoothing,
    Statistics, Targets,
};

use super::composite::{Composite, Target};
use super::input::{Distribution, Gradient, Label, Reduced};
use super::logits::{Layout, ROWS, Row, uniform};
use super::oracle::{Value, assert_all};
use super::same::{Fused, UNTOUCHED, VALID, assert_reduced, assert_same, every_form, untouched};
use super::{reference, ulp};

/// A number for an option.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Number {
    /// 255ths.
    Nice(u8),
    /// Any number, and what is none.
    Bits(u64),
}

impl Number {
    /// A nice one is made of a number from 0 to 1.
    pub fn value(self, nice: impl FnOnce(f64) -> f64) -> f64 {
        match self {
            Self::Nice(part) => nice(f64::from(part) / 255.0),
            Self::Bits(bits) => f64::from_bits(bits),
        }
    }
}

/// Weights from 0 to 3, some of them 0.
#[derive(Debug)]
pub struct Weights {
    seed: u32,
    /// A weight that may be anything.
    any: Option<(u16, u32)>,
    /// How many there are, beyond those that there should be.
    surplus: i8,
}

impl<'a> Arbitrary<'a> for Weights {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let (seed, any) = (u.arbitrary()?, if u.ratio(1, 8)? { Some(u.arbitrary()?) } else { None });
        Ok(Self { seed, any, surplus: if u.ratio(1, 16)? { u.int_in_range(-1..=1)? } else { 0 } })
    }
}

impl Weights {
    /// Weights for so many.
    pub fn of(&self, len: usize) -> Vec<f32> {
        let weight = |at: f32| if at < 0.25 { 0.0 } else { 4.0 * at - 1.0 };
        let mut weights: Vec<f32> =
            uniform(self.seed).map(weight).take(len.saturating_add_signed(self.surplus.into())).collect();
        let len = weights.len().max(1);
        if let Some((at, bits)) = self.any
            && let Some(weight) = weights.get_mut(usize::from(at) % len)
        {
            *weight = f32::from_bits(bits);
        }
        weights
    }

    /// Whether a loss takes them.
    pub fn valid(weights: &[f32]) -> bool {
        weights.iter().all(|weight| weight.is_finite())
    }

    /// Whether the oracle can tell of them: no product of two overflows, or is too small to be normal.
    fn nice(weights: &[f32]) -> bool {
        weights.iter().all(|&weight| weight == 0.0 || (1e-6..1e6).contains(&weight.abs()))
    }
}

/// A batch, and a loss with options.
#[derive(Arbitrary, Debug)]
pub struct OptionsInput {
    layout: Layout,
    rows: [Row; ROWS],
    labels: Labels,
    options: Options,
}

#[derive(Arbitrary, Debug)]
enum Labels {
    Sparse([Label; ROWS]),
    Dense([Distribution; ROWS]),
}

#[derive(Arbitrary, Debug)]
struct Options {
    reduction: Reduced,
    zero_empty_mean: bool,
    upstream: Gradient,
    ignored: Vec<i64>,
    denominator: Divisor,
    class_weights: Option<Weights>,
    row_weights: Option<Weights>,
    mask: Option<Mask>,
    smoothing: Option<(Number, bool)>,
    z_loss: Option<Number>,
    scale: Option<Scale>,
    cap: Option<Number>,
    unit_mass: bool,
    zero_empty_rows: bool,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Divisor {
    UsedRows,
    Weights,
    AllRows,
    Given(Number),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Scale {
    Scale(Number),
    Temperature(Number),
}

/// Classes that take part.
#[derive(Debug)]
struct Mask {
    seed: u32,
    /// Of 256, how many are taken out.
    share: u8,
    per_row: bool,
    surplus: i8,
}

impl<'a> Arbitrary<'a> for Mask {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let (seed, share, per_row) = u.arbitrary()?;
        Ok(Self { seed, share, per_row, surplus: if u.ratio(1, 16)? { u.int_in_range(-1..=1)? } else { 0 } })
    }
}

impl Mask {
    fn of(&self, Layout { rows, classes, .. }: Layout) -> Vec<bool> {
        let len = if self.per_row { rows * classes } else { classes };
        let keep = |at: f32| at >= f32::from(self.share) / 256.0;
        uniform(self.seed).map(keep).take(len.saturating_add_signed(self.surplus.into())).collect()
    }
}

impl OptionsInput {
    /// Checks which options are accepted, and all that must hold of the loss and its gradients with them.
    ///
    /// # Panics
    ///
    /// Where something does not hold.
    pub fn check(&self) {
        let rows = self.layout.contents(&self.rows);
        let (classes, options) = (self.layout.classes, &self.options);
        let weights = |weights: &Option<Weights>, len| weights.as_ref().map(|weights| weights.of(len));
        let given = Slices {
            class_weights: weights(&options.class_weights, classes),
            row_weights: weights(&options.row_weights, rows.len()),
            mask: options.mask.as_ref().map(|mask| mask.of(self.layout)),
            upstream: options.upstream.of_rows(rows.len()),
        };
        let (loss, taken) = options.build(&given);

        let (sparse, dense) = match &self.labels {
            Labels::Sparse(labels) => {
                let labels = labels.iter().zip(&rows).map(|(label, row)| label.index(row));
                (Some(labels.collect::<Vec<_>>()), Vec::new())
            }
            Labels::Dense(labels) => (None, labels[..rows.len()].iter().map(|l| l.over(classes)).collect()),
        };
        let buffer = self.layout.buffer(UNTOUCHED, &dense);
        let targets = match &sparse {
            Some(labels) => Targets::from(labels),
            None => Targets::from(self.layout.view(&buffer).expect(VALID)),
        };
        let batch =
            Batch { layout: self.layout, rows: &rows, targets, sparse: sparse.as_deref(), dense: &dense };
        let refusals = batch.refusals(options, &taken);
        let mut fused = Fused::default();
        for backend in Backend::available() {
            if let Some(outcome) = batch.outcome((&loss, options, &taken), backend, &refusals) {
                batch.assert_contract(backend, options, &taken, &outcome);
                fused.assert(backend, "losses", &outcome.losses);
                fused.assert(backend, "gradient", &outcome.gradient);
                fused.assert(backend, "label gradient", &outcome.label_gradient);
                batch.check_statistics(&loss, options, &taken, backend, &mut fused);
            }
        }
    }
}

/// The options that are slices.
struct Slices {
    class_weights: Option<Vec<f32>>,
    row_weights: Option<Vec<f32>>,
    mask: Option<Vec<bool>>,
    upstream: Vec<f32>,
}

/// The options that a loss has taken.
struct Taken<'a> {
    class_weights: Option<&'a [f32]>,
    row_weights: Option<&'a [f32]>,
    mask: Option<&'a [bool]>,
    upstream: &'a [f32],
    smoothing: (f64, bool),
    z_loss: f64,
    scale: f64,
    cap: Option<f64>,
    denominator: Denominator,
}

impl Options {
    fn empty_rows(&self) -> EmptyRows {
        if self.zero_empty_rows { EmptyRows::Zero } else { EmptyRows::Nan }
    }

    /// The loss, with all options that it takes: those that it refuses are those that it must refuse.
    fn build<'a>(&'a self, slices: &'a Slices) -> (CrossEntropy<'a>, Taken<'a>) {
        let empty = if self.zero_empty_mean { EmptyMean::Zero } else { EmptyMean::Nan };
        let mass =
            if self.unit_mass { DenseGradient::ProbabilitiesMinusLabels } else { DenseGradient::Derivative };
        let upstream = self.upstream.upstream(&slices.upstream);
        let mut loss = CrossEntropy::new().reduction(self.reduction.into()).empty_mean(empty);
        loss = loss.empty_rows(self.empty_rows());
        loss = loss.dense_gradient(mass).upstream(upstream).ignore_indices(&self.ignored);
        let mut taken = Taken {
            class_weights: None,
            row_weights: None,
            mask: slices.mask.as_deref(),
            upstream: &slices.upstream,
            smoothing: (0.0, false),
            z_loss: 0.0,
            scale: 1.0,
            cap: None,
            denominator: Denominator::UsedRows,
        };
        if let (Some(mask), Some(slice)) = (&self.mask, &slices.mask) {
            loss = if mask.per_row { loss.row_class_masks(slice) } else { loss.class_mask(slice) };
        }
        let positive = |number: f64| number > 0.0 && number.is_finite();
        let of_f32 = |number: f64| (f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX)).contains(&number);
        let denominator = match self.denominator {
            Divisor::UsedRows => Denominator::UsedRows,
            Divisor::Weights => Denominator::Weights,
            Divisor::AllRows => Denominator::AllRows,
            Divisor::Given(number) => Denominator::Given(number.value(|nice| 1.0 + 8.0 * nice)),
        };
        let good = if let Denominator::Given(number) = denominator { positive(number) } else { true };
        if take(&mut loss, "denominator", good, |loss| loss.denominator(denominator)) {
            taken.denominator = denominator;
        }
        if let Some(weights) = &slices.class_weights {
            let good = Weights::valid(weights);
            if take(&mut loss, "class weight", good, |loss| loss.class_weights(weights)) {
                taken.class_weights = Some(weights);
            }
        }
        if let Some(weights) = &slices.row_weights {
            let good = Weights::valid(weights);
            if take(&mut loss, "row weight", good, |loss| loss.row_weights(weights)) {
                taken.row_weights = Some(weights);
            }
        }
        if let Some((epsilon, others)) = self.smoothing {
            let epsilon = epsilon.value(|nice| nice);
            let kind = if others { Smoothing::Others } else { Smoothing::Uniform };
            let good = (0.0..=1.0).contains(&epsilon);
            if take(&mut loss, "label smoothing", good, |loss| loss.label_smoothing(epsilon, kind)) {
                taken.smoothing = (epsilon, others);
            }
        }
        if let Some(scale) = self.z_loss {
            let scale = scale.value(|nice| nice / 16.0);
            if take(&mut loss, "z-loss", scale >= 0.0 && scale.is_finite(), |loss| loss.z_loss(scale)) {
                taken.z_loss = scale;
            }
        }
        match self.scale {
            None => {}
            Some(Scale::Scale(scale)) => {
                let scale = scale.value(|nice| 1.0 / 16.0 + 4.0 * nice);
                if take(&mut loss, "logit scale", of_f32(scale), |loss| loss.logit_scale(scale)) {
                    taken.scale = scale;
                }
            }
            Some(Scale::Temperature(temperature)) => {
                let temperature = temperature.value(|nice| 1.0 / 4.0 + 4.0 * nice);
                let scale = 1.0 / temperature;
                if take(&mut loss, "temperature", of_f32(scale), |loss| loss.temperature(temperature)) {
                    taken.scale = scale;
                }
            }
        }
        if let Some(cap) = self.cap {
            let cap = cap.value(|nice| 1.0 + 100.0 * nice);
            if take(&mut loss, "soft cap", positive(cap), |loss| loss.soft_cap(cap)) {
                taken.cap = Some(cap);
            }
        }
        (loss, taken)
    }
}

/// What a mean by weights is refused with that add up to less than nothing.
fn negative_sum(sum: f64) -> Error {
    let expected = "a positive number, for a mean by weights";
    Error::Option { what: "sum of weights", index: None, given: sum.to_string(), expected }
}

/// Whether a loss takes an option, which it must just where the option is `good`.
fn take<'a>(
    loss: &mut CrossEntropy<'a>,
    name: &str,
    good: bool,
    option: impl FnOnce(CrossEntropy<'a>) -> std::result::Result<CrossEntropy<'a>, Error>,
) -> bool {
    match option(*loss) {
        Ok(with) => {
            assert!(good, "taken: {name} {with:?}");
            *loss = with;
        }
        Err(error) => {
            let named = matches!(error, Error::Option { what, .. } if what == name);
            assert!(!good && named, "{name}: {error:?}");
        }
    }
    good
}

impl Taken<'_> {
    /// The options as they are for one row.
    fn of_row(&self, row: usize, classes: usize, unit_mass: bool) -> Composite<'_> {
        let keep = match self.mask {
            None => vec![true; classes],
            Some(mask) if mask.len() == classes => mask.to_vec(),
            Some(masks) => masks[row * classes..][..classes].to_vec(),
        };
        Composite {
            class_weights: self.class_weights,
            row_weight: self.row_weight(row),
            keep,
            smoothing: self.smoothing,
            z_loss: self.z_loss,
            scale: self.scale,
            cap: self.cap,
            unit_mass,
        }
    }

    fn row_weight(&self, row: usize) -> f64 {
        self.row_weights.map_or(1.0, |weights| weights[row].into())
    }

    /// Whether the mean of losses is one by weights.
    fn divides_by_weights(&self, options: &Options) -> bool {
        matches!((options.reduction, self.denominator), (Reduced::Mean, Denominator::Weights))
    }

    /// Whether nothing of a row takes part: all logits are `-inf`, or become that, or are masked.
    fn is_empty(&self, row: usize, logits: &[f32]) -> bool {
        let (mapped, _) = self.of_row(row, logits.len(), false).mapped(logits);
        mapped.iter().all(|&z| z == f32::NEG_INFINITY)
    }

    /// Whether the oracle can tell of these numbers in f64, naively.
    fn is_nice(&self) -> bool {
        let moderate = |number: f64| (1e-3..1e3).contains(&number);
        [self.class_weights, self.row_weights].into_iter().flatten().all(Weights::nice)
            && (self.smoothing.0 == 0.0 || self.smoothing.0 >= 1e-6)
            && (self.z_loss == 0.0 || (1e-6..10.0).contains(&self.z_loss))
            && moderate(self.scale)
            && self.cap.is_none_or(moderate)
            && if let Denominator::Given(number) = self.denominator { moderate(number) } else { true }
    }
}

/// What the loss is computed of.
struct Batch<'a> {
    layout: Layout,
    rows: &'a [Vec<f32>],
    targets: Targets<'a>,
    sparse: Option<&'a [i64]>,
    dense: &'a [Vec<f32>],
}

struct Outcome {
    losses: Vec<f32>,
    gradient: Vec<f32>,
    label_gradient: Vec<f32>,
    summary: xent::Summary,
}

impl Batch<'_> {
    /// All reasons to refuse the batch; a call gives one of them.
    fn refusals(&self, options: &Options, taken: &Taken<'_>) -> Vec<Error> {
        let Layout { rows, classes, .. } = self.layout;
        let mut all = Vec::new();
        let masked =
            if options.mask.as_ref().is_some_and(|mask| mask.per_row) { rows * classes } else { classes };
        for (what, given, expected) in [
            ("class mask", taken.mask.map(<[bool]>::len), masked),
            ("class weights", taken.class_weights.map(<[f32]>::len), classes),
        ] {
            let wrong = given.filter(|&given| given != expected);
            all.extend(wrong.map(|given| Error::OptionLength { what, given, expected }));
        }
        let of_rows = taken.row_weights.map(<[f32]>::len).filter(|&given| given != rows);
        all.extend(of_rows.map(|given| Error::RowCount { what: "row weights", given, expected: rows }));
        if options.upstream.per_row() && !matches!(options.reduction, Reduced::None) {
            all.push(Error::UpstreamPerRow { given: rows });
        }
        if let Some(labels) = self.sparse {
            let is_good = |label: i64| options.ignored.contains(&label) || self.class(label).is_some();
            let bad = labels.iter().position(|&label| !is_good(label));
            all.extend(bad.map(|row| Error::LabelOutOfRange { row, label: labels[row].into(), classes }));
        }
        // Weights have been found to have the right lengths, and labels to be classes, before they are added up.
        if all.is_empty() && taken.divides_by_weights(options) {
            let (_, sum) = self.totals(options, taken);
            all.extend((sum < 0.0).then(|| negative_sum(sum)));
        }
        all
    }

    fn class(&self, label: i64) -> Option<usize> {
        usize::try_from(label).ok().filter(|&label| label < self.layout.classes)
    }

    /// What every call gives, the same bits; nothing where all refuse.
    fn outcome(
        &self,
        (loss, options, taken): (&CrossEntropy<'_>, &Options, &Taken<'_>),
        backend: Backend,
        refusals: &[Error],
    ) -> Option<Outcome> {
        let buffer = self.layout.buffer(UNTOUCHED, self.rows);
        let logits = self.layout.view(&buffer).expect(VALID).with_backend(backend);
        let (mut losses, mut gradient) =
            (vec![UNTOUCHED; self.rows.len()], self.layout.buffer(UNTOUCHED, &[]));
        let into = self.layout.view_mut(&mut gradient).expect(VALID);
        let summary = match loss.loss_and_gradient_into(self.targets, logits, &mut losses, into) {
            Ok(summary) => summary,
            Err(error) => {
                assert!(refusals.contains(&error), "{error:?} is none of {refusals:?}");
                assert!(losses.iter().chain(&gradient).copied().all(untouched), "a refused call wrote");
                return None;
            }
        };
        assert!(refusals.is_empty(), "accepted, for all of {refusals:?}");
        let check = |what: &str, of: &[f32], value: f32| {
            assert_same(what, of, &losses);
            assert_same(what, &[value], &[summary.value]);
        };
        let alone = loss.loss(self.targets, logits).expect(VALID);
        check("losses alone", &alone.rows, alone.summary.value);
        let (forward, sums) = loss.forward(self.targets, logits).expect(VALID);
        check("losses of forward", &forward.rows, forward.summary.value);
        let together = every_form(
            self.layout,
            backend,
            self.rows,
            |logits| loss.loss_and_gradient(self.targets, logits).map(|(_, gradient)| gradient),
            |logits, to| {
                loss.loss_and_gradient_into(self.targets, logits, &mut vec![0.0; sums.len()], to).map(drop)
            },
            |logits| {
                let mut losses = vec![UNTOUCHED; sums.len()];
                let summary = loss.loss_and_gradient_in_place(self.targets, logits, &mut losses)?;
                check("losses in place", &losses, summary.value);
                Ok(())
            },
        );
        assert_same("gradient", &self.layout.values(&gradient), &together);
        let backward = every_form(
            self.layout,
            backend,
            self.rows,
            |logits| loss.backward(self.targets, logits, &sums),
            |logits, to| loss.backward_into(self.targets, logits, &sums, to),
            |logits| loss.backward_in_place(self.targets, logits, &sums),
        );
        assert_same("gradient of backward", &backward, &together);
        // It knows no labels, so that its mean is by the weights of all rows.
        let weights = taken.row_weights.filter(|_| taken.divides_by_weights(options));
        let sum = weights.map_or(0.0, |weights| weights.iter().fold(0.0, |sum, &w| sum + f64::from(w)));
        let label_gradient = match loss.label_gradient(logits) {
            Ok(gradient) => gradient,
            Err(error) => {
                assert!(self.sparse.is_some() && sum < 0.0 && error == negative_sum(sum), "{error:?}");
                vec![0.0; together.len()]
            }
        };
        Some(Outcome { losses, gradient: together, label_gradient, summary })
    }

    /// The target of a row, if it takes part.
    fn target(&self, row: usize, options: &Options, taken: &Taken<'_>) -> Option<Target<'_>> {
        if taken.row_weight(row) == 0.0 {
            return None;
        }
        match self.sparse {
            Some(labels) if options.ignored.contains(&labels[row]) => None,
            Some(labels) => self.class(labels[row]).map(Target::Class),
            None => Some(Target::Dense(&self.dense[row])),
        }
    }

    /// The number of rows that are not ignored, and the sum of their weights.
    fn totals(&self, options: &Options, taken: &Taken<'_>) -> (usize, f64) {
        let used = |row: &usize| self.sparse.is_none_or(|labels| !options.ignored.contains(&labels[*row]));
        let used: Vec<_> = (0..self.rows.len()).filter(used).collect();
        let weight = |row: usize| {
            let label = self.sparse.and_then(|labels| self.class(labels[row]));
            let of_class =
                label.zip(taken.class_weights).map_or(1.0, |(label, weights)| weights[label].into());
            taken.row_weight(row) * of_class
        };
        (used.len(), used.iter().fold(0.0, |sum, &row| sum + weight(row)))
    }

    /// What gradients are divided by, or nothing where the mean is over nothing.
    fn divisor(&self, options: &Options, taken: &Taken<'_>, summary: &xent::Summary) -> Option<f64> {
        let (used, weight_sum) = self.totals(options, taken);
        assert_eq!((summary.used_rows, summary.weight_sum.to_bits()), (used, weight_sum.to_bits()));
        let divisor = match taken.denominator {
            _ if !matches!(options.reduction, Reduced::Mean) => 1.0,
            Denominator::UsedRows => ulp::count(used),
            Denominator::Weights => weight_sum,
            Denominator::AllRows => ulp::count(self.rows.len()),
            Denominator::Given(number) => number,
            other => panic!("a denominator that this target does not know: {other:?}"),
        };
        (divisor != 0.0).then_some(divisor)
    }

    /// Asserts the bounds of the numeric contract, as far as the oracle goes, and what gradients sum to.
    fn assert_contract(&self, backend: Backend, options: &Options, taken: &Taken<'_>, outcome: &Outcome) {
        let classes = self.layout.classes;
        let divisor = self.divisor(options, taken, &outcome.summary);
        if let Some(divisor) = divisor {
            assert_reduced("summary", &outcome.losses, divisor, outcome.summary.value);
        } else {
            let value = if options.zero_empty_mean { 0.0 } else { f32::NAN };
            assert_same("summary", &[outcome.summary.value], &[value]);
        }
        let non_finite = outcome.losses.iter().filter(|loss| !loss.is_finite()).count();
        assert_eq!(outcome.summary.non_finite_rows, non_finite);

        let gradients = outcome.gradient.chunks(classes).zip(outcome.label_gradient.chunks(classes));
        for (row, (gradient, label_gradient)) in gradients.enumerate() {
            let loss = outcome.losses[row];
            assert!(loss != 0.0 || loss.is_sign_positive(), "{backend}, row {row}: -0");
            let Some(target) = self.target(row, options, taken) else {
                assert_same("a loss that does not count", &[loss], &[0.0]);
                assert_same("a gradient that does not count", gradient, &vec![0.0; classes]);
                continue;
            };
            if options.zero_empty_rows && taken.is_empty(row, &self.rows[row]) {
                assert_same("the loss of an empty row", &[loss], &[0.0]);
                assert_same("the gradient of an empty row", gradient, &vec![0.0; classes]);
                continue;
            }
            let upstream = divisor.map_or(0.0, |divisor| f64::from(taken.upstream[row]) / divisor);
            let want = taken.of_row(row, classes, options.unit_mass).row(target, &self.rows[row], upstream);
            // Where a row of so large logits is scaled, what is left of a mass is lost.
            if !taken.is_nice() || want.magnitude > 1e30 {
                continue;
            }
            // Where the tangent of a cap is rounded the other way, each logit is off by an ULP, and each
            // probability by as many as the logit has.
            let capped = if taken.cap.is_some() { 2.0 * (1.0 + want.magnitude) } else { 0.0 };
            let (of_loss, of_gradient) = want.z_slack;
            let value = Value::new(want.loss, 3.0 + capped).in_ulp_of(want.unsigned_loss);
            value.give_or_take(of_loss).assert(backend, format_args!("loss {row}"), loss);
            let parts = want.gradient.iter().zip(&want.parts);
            let values = parts.map(|(&want, &part)| {
                Value::new(want, 5.0 + capped).in_ulp_of(part).give_or_take(of_gradient)
            });
            assert_all(backend, &format!("gradient of row {row}"), gradient, values);
            // What a masked label has is in no gradient.
            if taken.cap.is_none() && taken.z_loss == 0.0 && !options.unit_mass && want.loss.is_finite() {
                assert_nothing_in_sum(backend, gradient, &want.parts);
            }
            // It knows no labels: what a row's target is does not count. Its reduction is that of dense labels.
            if self.sparse.is_none() {
                // A row of weight 0 is never read: NaN is no part of it either.
                let counts = taken.row_weight(row) != 0.0;
                let values = want
                    .label_gradient
                    .iter()
                    .map(|&want| Value::new(if counts { want } else { 0.0 }, 5.0 + capped));
                assert_all(backend, &format!("label gradient of row {row}"), label_gradient, values);
            }
        }
    }

    /// Asserts what the statistics of a prediction have in common with its loss.
    fn check_statistics(
        &self,
        loss: &CrossEntropy<'_>,
        options: &Options,
        taken: &Taken<'_>,
        backend: Backend,
        fused: &mut Fused,
    ) {
        let Some(labels) = self.sparse else { return };
        let rows = self.rows.len();
        let buffer = self.layout.buffer(UNTOUCHED, self.rows);
        let logits = self.layout.view(&buffer).expect(VALID).with_backend(backend);
        let [mut log_sum_exp, mut log_probability, mut entropy] = [const { Vec::new() }; 3];
        for values in [&mut log_sum_exp, &mut log_probability, &mut entropy] {
            values.resize(rows, UNTOUCHED);
        }
        let (mut argmax, mut correct) = (vec![0; rows], vec![false; rows]);
        let wanted = Statistics::new().log_sum_exp(&mut log_sum_exp).log_probability(&mut log_probability);
        let wanted = wanted.argmax(&mut argmax).correct(&mut correct).entropy(&mut entropy);
        loss.statistics_into(labels, logits, wanted).expect(VALID);
        for (what, values) in
            [("log-sum-exp", &log_sum_exp), ("log-probability", &log_probability), ("entropy", &entropy)]
        {
            fused.assert(backend, what, values);
        }
        // The loss of what the statistics are taken of: without weights, smoothing, z-loss.
        let mut plain =
            CrossEntropy::new().ignore_indices(&options.ignored).logit_scale(taken.scale).expect(VALID);
        plain = plain.empty_rows(options.empty_rows());
        plain = taken.cap.map_or(plain, |cap| plain.soft_cap(cap).expect(VALID));
        if let (Some(mask), Some(slice)) = (&options.mask, taken.mask) {
            plain = if mask.per_row { plain.row_class_masks(slice) } else { plain.class_mask(slice) };
        }
        let losses = plain.reduction(Reduction::None).loss(labels, logits).expect(VALID).rows;
        let negative: Vec<f32> = losses.iter().map(|loss| 0.0 - loss).collect();
        assert_same("log-probabilities", &log_probability, &negative);
        for (row, &label) in labels.iter().enumerate() {
            if options.ignored.contains(&label) {
                assert_eq!((argmax[row], correct[row]), (usize::MAX, false));
                continue;
            }
            // A NaN is no guess, though it is the first thing that argmax points at.
            let keep = taken.of_row(row, self.layout.classes, false).keep;
            let guess =
                |class: usize| class == argmax[row] && !(keep[class] && self.rows[row][class].is_nan());
            assert_eq!(correct[row], self.class(label).is_some_and(guess), "{backend}, row {row}");
            let most = ulp::count(self.layout.classes).ln() * (1.0 + 1e-6);
            assert!(
                entropy[row].is_nan() || (0.0..=most).contains(&f64::from(entropy[row])),
                "{}",
                entropy[row]
            );
            // A scale and a cap may make equal logits of different ones, but the largest is that of the logits.
            let masked = |(&x, &keep): (&f32, &bool)| if keep { x } else { f32::NEG_INFINITY };
            let logits: Vec<f32> = self.rows[row].iter().zip(&keep).map(masked).collect();
            assert_eq!(argmax[row], reference::argmax(&logits), "{backend}, row {row}");
        }
    }
}

/// Asserts that a row's gradient sums to nothing: to no more than the errors of its values.
fn assert_nothing_in_sum(backend: Backend, gradient: &[f32], parts: &[f64]) {
    if gradient.iter().all(|g| g.is_finite()) {
        let sum: f64 = gradient.iter().map(|&g| f64::from(g)).sum();
        let ulps = super::oracle::bound(backend, 5.0);
        // What is too small to be normal may be lost, once as a share and once as a mass.
        let lost = |part: &f64| ulps * ulp::size(*part) + 2.0 * f64::from(f32::MIN_POSITIVE);
        let most: f64 = parts.iter().map(lost).sum();
        assert!(sum.abs() <= most, "{backend}: a gradient sums to {sum:e}, at most {most:e}");
    }
}
