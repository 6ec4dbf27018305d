//! The loss of a linear classifier against an f64 oracle, and its bits.

use crate::common;
use crate::common::composite::Target;
use crate::common::drawn::{Drawn, IGNORED, factor};
use crate::common::property::{Want, for_all};
use crate::common::{assert_same_bits, backends, bound, same_bits, ulp};
use fastrand::Rng;
use proptest::prelude::*;
use rayon::ThreadPoolBuilder;
use xent::{
    Backend, CrossEntropy, Error, Linear, LinearCrossEntropy, LinearGradients, LinearResults, LogSumExp,
    Reduction, Rows, RowsMut, Statistics, Summary, Targets,
};

/// What a rounding to f32 takes away, at most: half of an ULP, of the value.
const HALF: f64 = f32::EPSILON as f64 / 2.0;

/// A classifier and its rows.
#[derive(Clone, Debug)]
struct Case {
    rows: usize,
    classes: usize,
    features: usize,
    x: Vec<f32>,
    /// Classes × features.
    weights: Vec<f32>,
    bias: Option<Vec<f32>>,
    /// Whether weights are stored as features × classes.
    turned: bool,
    /// Whether rows of `x` lie in pairs, with a gap between one pair and the next: no single stride reaches them.
    paired: bool,
}

impl Case {
    /// Values that are multiples of 1/4, and few enough that no sum of their products is rounded.
    fn exact([rows, classes, features]: [usize; 3], seed: u64) -> Self {
        let rng = &mut Rng::with_seed(seed);
        let mut values = |len| -> Vec<f32> { (0..len).map(|_| f32::from(rng.i8(-8..=8)) / 4.0).collect() };
        let (x, weights, bias) = (values(rows * features), values(classes * features), values(classes));
        let bias = rng.bool().then_some(bias);
        let (turned, paired) = (rng.bool(), rng.bool() && rows % 2 == 0);
        Self { rows, classes, features, x, weights, bias, turned, paired }
    }

    /// Values as they are in life, around 0.
    fn random([rows, classes, features]: [usize; 3], seed: u64) -> Self {
        let rng = &mut Rng::with_seed(seed);
        let mut values = |len| -> Vec<f32> { (0..len).map(|_| rng.f32() * 2.0 - 1.0).collect() };
        let (x, weights, bias) = (values(rows * features), values(classes * features), values(classes));
        Self { rows, classes, features, x, weights, bias: Some(bias), turned: seed % 2 == 1, paired: false }
    }

    /// The logits in f64.
    fn logits(&self) -> Vec<f64> {
        let mut logits = Vec::new();
        for x in self.x.chunks(self.features) {
            for (class, weights) in self.weights.chunks(self.features).enumerate() {
                let products = x.iter().zip(weights).map(|(&x, &w)| f64::from(x) * f64::from(w));
                let bias = self.bias.as_ref().map_or(0.0, |bias| f64::from(bias[class]));
                logits.push(bias + products.sum::<f64>());
            }
        }
        logits
    }

    /// How far a logit may be off its value in f64: each product and each sum is rounded.
    fn logit_error(&self) -> f64 {
        let largest = |values: &[f32]| values.iter().fold(0.0_f64, |max, x| max.max(f64::from(x.abs())));
        let bias = self.bias.as_ref().map_or(0.0, |bias| largest(bias));
        let sum = ulp::count(self.features) * largest(&self.x) * largest(&self.weights) + bias;
        (ulp::count(self.features) + 2.0) * HALF * sum
    }

    /// Calls with the views of the rows and of the weights.
    fn with<R>(&self, backend: Backend, call: impl FnOnce(Linear<'_>) -> R) -> R {
        let Self { rows, classes, features, .. } = *self;
        let turned = transposed(&self.weights, classes, features);
        let weights = if self.turned {
            Rows::along_axis(&turned, &[features, classes], 0)
        } else {
            Rows::new(&self.weights, classes, features)
        };
        let mut paired = Vec::new();
        let x = if self.paired {
            for pair in self.x.chunks(2 * features) {
                paired.extend_from_slice(pair);
                paired.extend([f32::NAN; 3]);
            }
            Rows::with_strides(&paired, [rows / 2, features, 2], [2 * features + 3, 1, features])
        } else {
            Rows::new(&self.x, rows, features)
        };
        let x = x.expect("rows").with_backend(backend);
        let mut linear = Linear::new(x, weights.expect("weights")).expect("features of both");
        if let Some(bias) = &self.bias {
            linear = linear.bias(bias).expect("a value for each class");
        }
        call(linear)
    }

    /// Gradients, added to 0 or written over NaN; that of weights is stored as they are.
    fn gradients(
        &self,
        adds: bool,
        call: impl FnOnce(LinearGradients<'_>) -> Result<Option<Summary>, Error>,
    ) -> Result<(Option<Summary>, Gradients), Error> {
        let Self { rows, classes, features, turned, .. } = *self;
        let fill = if adds { 0.0 } else { f32::NAN };
        let [mut x, mut weights, mut bias] =
            [rows * features, classes * features, classes].map(|n| vec![fill; n]);
        let of_x = RowsMut::new(&mut x, rows, features)?;
        let of_weights = if turned {
            RowsMut::along_axis(&mut weights, &[features, classes], 0)?
        } else {
            RowsMut::new(&mut weights, classes, features)?
        };
        let gradients = LinearGradients::new();
        let summary = call(if adds {
            gradients.add_to_x(of_x).add_to_weights(of_weights).add_to_bias(&mut bias)
        } else {
            gradients.x(of_x).weights(of_weights).bias(&mut bias)
        })?;
        if turned {
            weights = transposed(&weights, features, classes);
        }
        Ok((summary, Gradients { x, weights, bias }))
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Gradients {
    x: Vec<f32>,
    /// Classes × features.
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Gradients {
    fn assert_same(&self, what: &str, other: &Self) {
        assert_same_bits(&format!("{what}: gradient of x"), &self.x, &other.x);
        assert_same_bits(&format!("{what}: gradient of weights"), &self.weights, &other.weights);
        assert_same_bits(&format!("{what}: gradient of bias"), &self.bias, &other.bias);
    }
}

fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..rows * columns).map(|i| values[i % rows * columns + i / rows]).collect()
}

/// A class at random.
fn class(rng: &mut Rng, classes: usize) -> i64 {
    i64::try_from(rng.usize(..classes)).expect("a class")
}

/// All that calls give.
#[derive(Clone, Debug)]
struct Outcome {
    losses: Vec<f32>,
    saved: Vec<LogSumExp>,
    argmax: Vec<usize>,
    correct: Vec<bool>,
    forward: Summary,
    /// With gradients.
    all_losses: Vec<f32>,
    summary: Summary,
    gradients: Gradients,
    /// From what was saved.
    backward: Gradients,
}

fn outcome(
    case: &Case,
    loss: LinearCrossEntropy<'_>,
    targets: Targets<'_>,
    backend: Backend,
) -> Result<Outcome, Error> {
    case.with(backend, |linear| {
        let rows = case.rows;
        let (mut losses, mut saved) = (vec![f32::NAN; rows], vec![LogSumExp::from(9.0); rows]);
        let (mut argmax, mut correct) = (vec![7; rows], vec![true; rows]);
        let results = LinearResults::new().losses(&mut losses).saved(&mut saved);
        let results = results.argmax(&mut argmax).correct(&mut correct);
        let forward = loss.forward_into(targets, linear, results)?;
        let mut all_losses = vec![f32::NAN; rows];
        let results = LinearResults::new().losses(&mut all_losses);
        let (summary, gradients) = case.gradients(false, |gradients| {
            loss.loss_and_gradients_into(targets, linear, results, gradients).map(Some)
        })?;
        let summary = summary.expect("a loss");
        let (_, backward) = case.gradients(true, |gradients| {
            loss.backward_into(targets, linear, &saved, gradients).map(|()| None)
        })?;
        Ok(Outcome { losses, saved, argmax, correct, forward, all_losses, summary, gradients, backward })
    })
}

/// The sum of products of gradients with values, and how far it may be off: by the errors of the gradients, and by half an ULP of
/// the sum of magnitudes for each product and each sum.
#[derive(Clone, Copy, Default)]
struct Sum {
    value: f64,
    magnitude: f64,
    error: f64,
    terms: usize,
}

impl Sum {
    fn add(&mut self, (gradient, error): (f64, f64), value: f32) {
        let value = f64::from(value);
        self.value += gradient * value;
        self.magnitude += (gradient * value).abs();
        self.error += error * value.abs();
        self.terms += 1;
    }

    #[track_caller]
    fn assert(&self, what: &str, backend: Backend, got: f32) {
        if self.value.is_nan() {
            return assert!(got.is_nan(), "{backend}, {what}: {got:e} for NaN");
        }
        // What is too small to be normal is lost.
        let lost = f64::from(f32::MIN_POSITIVE) * ulp::count(self.terms + 1);
        let most = self.error + (ulp::count(self.terms) + 2.0) * HALF * self.magnitude + lost;
        let error = (f64::from(got) - self.value).abs();
        assert!(
            error <= most,
            "{backend}, {what}: {got:e} for {:e}, off by {error:e}, at most {most:e}",
            self.value
        );
    }
}

/// Checks gradients against those of the logits, value by value with its error.
fn check_gradients(case: &Case, backend: Backend, of_logits: &[(f64, f64)], l2_slope: f64, got: &Gradients) {
    let Case { rows, classes, features, .. } = *case;
    for row in 0..rows {
        let of_row = &of_logits[row * classes..][..classes];
        for feature in 0..features {
            let mut sum = Sum::default();
            for (class, &gradient) in of_row.iter().enumerate() {
                sum.add(gradient, case.weights[class * features + feature]);
            }
            sum.assert("gradient of x", backend, got.x[row * features + feature]);
        }
    }
    for class in 0..classes {
        let of_class = || of_logits.iter().skip(class).step_by(classes);
        let mut bias = Sum::default();
        of_class().for_each(|&gradient| bias.add(gradient, 1.0));
        bias.assert("gradient of the bias", backend, got.bias[class]);
        for feature in 0..features {
            let mut sum = Sum::default();
            for (row, &gradient) in of_class().enumerate() {
                sum.add(gradient, case.x[row * features + feature]);
            }
            // Rounded once more.
            sum.add((l2_slope, HALF * l2_slope), case.weights[class * features + feature]);
            sum.assert("gradient of weights", backend, got.weights[class * features + feature]);
        }
    }
}

/// Shapes around what is a tile, a group, a span; large ones have few features.
fn shapes() -> impl Strategy<Value = [usize; 3]> {
    prop_oneof![
        6 => (1_usize..40, 1_usize..=80, 1_usize..20).prop_map(|(rows, classes, features)| [rows, classes, features]),
        1 => (1_usize..5, 1020_usize..1030, 1_usize..4).prop_map(|(rows, classes, features)| [rows, classes, features]),
        1 => (1_usize..4, 8190_usize..9000, 1_usize..3).prop_map(|(rows, classes, features)| [rows, classes, features]),
        1 => (250_usize..270, 1_usize..20, 1_usize..4).prop_map(|(rows, classes, features)| [rows, classes, features]),
    ]
}

/// Checks all that calls give for logits that are exact.
fn check<'t>(
    case: &Case,
    drawn: &Drawn,
    (loss, l2): (CrossEntropy<'_>, f64),
    targets: Targets<'_>,
    (backend, errors): (Backend, &common::property::Errors),
    upstream: (f32, &dyn Fn(usize) -> f64),
    target: &dyn Fn(usize) -> Option<Target<'t>>,
) {
    let Case { rows, classes, .. } = *case;
    let linear_loss = LinearCrossEntropy::new(loss).l2(l2).expect("a factor");
    let got = outcome(case, linear_loss, targets, backend).expect("a valid call");
    let logits: Vec<f32> = case.logits().into_iter().map(ulp::round).collect();
    let mut of_logits = Vec::new();
    for (row, logits) in logits.chunks(classes).enumerate() {
        let own = target(row).filter(|_| drawn.weight(row, None) != 0.0);
        let Some(own) = own else {
            assert_same_bits(
                "a loss that does not count",
                &[got.losses[row], got.all_losses[row]],
                &[0.0; 2],
            );
            assert_eq!(
                (got.saved[row], got.argmax[row], got.correct[row]),
                (LogSumExp::EMPTY, usize::MAX, false)
            );
            of_logits.extend(vec![(0.0, 0.0); classes]);
            continue;
        };
        let want = drawn.of_row(row, classes).row(own, logits, upstream.1(row));
        let slack = drawn.slack(&want);
        let (of_loss, of_gradient) = want.z_slack;
        // As for the loss of logits: 2, and half of one for each of the roundings of a mass.
        let wanted = Want::from(want.loss).give_or_take(of_loss);
        errors.within(3.0 + slack, "loss", backend, got.losses[row], wanted);
        errors.within(3.0 + slack, "loss, with gradients", backend, got.all_losses[row], wanted);
        let ulps = bound(backend, 5.0 + slack);
        let parts = want.gradient.iter().zip(&want.parts);
        of_logits.extend(parts.map(|(&gradient, &part)| (gradient, ulps * ulp::size(part) + of_gradient)));
    }
    let l2_slope = 2.0 * l2 * f64::from(upstream.0);
    check_gradients(case, backend, &of_logits, l2_slope, &got.gradients);
    check_gradients(case, backend, &of_logits, l2_slope, &got.backward);

    // What the loss of the logits gives, beside the L2 term.
    let view = Rows::new(&logits, rows, classes).expect("logits").with_backend(backend);
    let mut losses = vec![0.0; rows];
    let expected = loss.loss_into(targets, view, &mut losses).expect("a valid call");
    let term = l2 * case.weights.iter().map(|&w| f64::from(w).powi(2)).sum::<f64>();
    let whole = f64::from(expected.value) + term;
    let magnitude = losses.iter().fold(0.0, |sum, loss| sum + f64::from(loss.abs()));
    for summary in [got.forward, got.summary] {
        // Each loss may have other last bits, by the 3 ULP of above.
        let scale =
            (f64::from(expected.value) / losses.iter().fold(0.0, |sum, &loss| sum + f64::from(loss))).abs();
        let off = 8.0 * HALF * (magnitude * scale + term + whole.abs());
        let near =
            (f64::from(summary.value) - whole).abs() <= off * (1.0 + 30.0 * drawn.cap.map_or(0.0, |_| 2.0));
        assert!(near || same_bits(summary.value, ulp::round(whole)), "{summary:?} for {whole:e}");
        assert_eq!((summary.used_rows, summary.weight_sum), (expected.used_rows, expected.weight_sum));
        assert_eq!(summary.non_finite_rows, expected.non_finite_rows);
    }
    if let Targets::Sparse(labels) = targets {
        let (mut argmax, mut correct) = (vec![0; rows], vec![false; rows]);
        let statistics = Statistics::new().argmax(&mut argmax).correct(&mut correct);
        loss.loss_and_statistics_into(labels, view, &mut losses, statistics).expect("a valid call");
        assert_eq!((&got.argmax, &got.correct), (&argmax, &correct), "{backend}");
    }
}

#[test]
fn class_indices_with_any_options_keep_the_contract() {
    let cases = (shapes(), any::<u64>(), any::<u64>());
    for_all("linear, class indices", cases, |&(shape, seed, options), backend, errors| {
        let (case, rng) = (Case::exact(shape, seed), &mut Rng::with_seed(options));
        let [rows, classes, _] = shape;
        let drawn = Drawn::new(rows, classes, options);
        let labels: Vec<i64> =
            (0..rows).map(|_| IGNORED.get(rng.usize(..9)).copied().unwrap_or(class(rng, classes))).collect();
        let label = |row: usize| usize::try_from(labels[row]).ok().filter(|&label| label < classes);
        let used = labels.iter().filter(|label| !IGNORED.contains(label)).count();
        let weighed = (0..rows).filter(|&row| label(row).is_some()).map(|row| drawn.weight(row, label(row)));
        let totals = (ulp::count(used), weighed.sum(), ulp::count(rows));
        let reduction = [Reduction::None, Reduction::Sum, Reduction::Mean][rng.usize(..3)];
        let each: Vec<f32> = (0..rows).map(|_| rng.f32() * 2.0 - 0.5).collect();
        let per_row = reduction == Reduction::None && rng.bool();
        let loss = drawn.apply(CrossEntropy::new().ignore_indices(&IGNORED).reduction(reduction), classes);
        let loss = if per_row { loss.upstream(&each) } else { loss.upstream(1.5) };
        let upstream =
            |row: usize| factor(&drawn, reduction, if per_row { f64::from(each[row]) } else { 1.5 }, totals);
        let l2 = [0.0, 0.25][rng.usize(..2)];
        let uniform = if per_row { 1.0 } else { 1.5 };
        check(
            &case,
            &drawn,
            (loss, l2),
            Targets::from(&labels),
            (backend, errors),
            (uniform, &upstream),
            &|row| label(row).map(Target::Class),
        );
    });
}

#[test]
fn distributions_with_any_options_keep_the_contract() {
    let cases = (shapes(), any::<u64>(), any::<u64>());
    for_all("linear, distributions", cases, |&(shape, seed, options), backend, errors| {
        let (case, rng) = (Case::exact(shape, seed), &mut Rng::with_seed(options));
        let [rows, classes, _] = shape;
        let drawn = Drawn::new(rows, classes, options);
        let dense: Vec<f32> =
            (0..rows * classes).map(|_| rng.f32() / ulp::round(ulp::count(classes))).collect();
        let weighed = (0..rows).map(|row| drawn.weight(row, None));
        let totals = (ulp::count(rows), weighed.sum(), ulp::count(rows));
        let reduction = [Reduction::None, Reduction::Sum, Reduction::Mean][rng.usize(..3)];
        let loss = drawn.apply(CrossEntropy::new().reduction(reduction), classes).upstream(0.5);
        let upstream = |_| factor(&drawn, reduction, 0.5, totals);
        let targets = Targets::Dense(Rows::new(&dense, rows, classes).expect("labels"));
        let context = (backend, errors);
        let target = |row: usize| Some(Target::Dense(&dense[row * classes..][..classes]));
        check(&case, &drawn, (loss, 0.0), targets, context, (0.5, &upstream), &target);
    });
}

/// `softmax_loss_naive` of `CS231n`, `W` classes × features: the mean loss with `reg sum W^2`, dW and dX.
fn softmax_loss_naive(case: &Case, labels: &[usize], reg: f64) -> (f64, Vec<f64>, Vec<f64>) {
    let Case { rows, classes, features, .. } = *case;
    let n = ulp::count(rows);
    let (mut loss, mut dw, mut dx) = (0.0, vec![0.0; classes * features], vec![0.0; rows * features]);
    for (row, scores) in case.logits().chunks(classes).enumerate() {
        let shift = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = scores.iter().map(|score| (score - shift).exp()).sum();
        loss += (sum.ln() - (scores[labels[row]] - shift)) / n;
        for (class, score) in scores.iter().enumerate() {
            let p = (score - shift).exp() / sum;
            let d = (p - if class == labels[row] { 1.0 } else { 0.0 }) / n;
            for feature in 0..features {
                dw[class * features + feature] += d * f64::from(case.x[row * features + feature]);
                dx[row * features + feature] += d * f64::from(case.weights[class * features + feature]);
            }
        }
    }
    for (dw, &w) in dw.iter_mut().zip(&case.weights) {
        loss += reg * f64::from(w).powi(2);
        *dw += 2.0 * reg * f64::from(w);
    }
    (loss, dw, dx)
}

#[test]
fn the_naive_softmax_loss_is_reproduced() {
    for backend in backends() {
        for (classes, rows, reg) in
            [(3, 40, 0.0), (3, 40, 0.1), (10, 300, 0.0), (10, 300, 0.05), (1000, 60, 0.0), (1000, 60, 1e-4)]
        {
            for seed in 0..2 {
                let case = Case { bias: None, ..Case::random([rows, classes, 33], seed) };
                let rng = &mut Rng::with_seed(seed);
                let labels: Vec<_> = (0..rows).map(|_| rng.usize(..classes)).collect();
                let (loss, dw, dx) = softmax_loss_naive(&case, &labels, reg);
                let mean = CrossEntropy::new().reduction(Reduction::Mean);
                let linear = LinearCrossEntropy::new(mean).l2(reg).expect("a factor");
                let got = outcome(&case, linear, Targets::from(&labels), backend).expect("a valid call");
                // A logit that is off by `d` moves a loss by `2 d` at most, and a probability by as much; 3 ULP of each, and
                // those of the sums.
                let moved = 2.0 * case.logit_error() + 16.0 * HALF;
                for summary in [got.forward, got.summary] {
                    let off = (f64::from(summary.value) - loss).abs();
                    assert!(off <= moved + 8.0 * HALF * loss, "{backend}: {summary:?} for {loss}");
                }
                for got in [&got.gradients, &got.backward] {
                    // Features and weights are below 1: a sum over rows of 1 / rows each is moved by no more than one row is,
                    // one over classes by all of them.
                    let sums = ulp::count(rows + classes) * HALF;
                    for (what, got, want, most) in [
                        ("dW", &got.weights, &dw, moved + sums * (1.0 + reg)),
                        ("dX", &got.x, &dx, (moved * ulp::count(classes) + sums) / ulp::count(rows)),
                    ] {
                        for (got, want) in got.iter().zip(want) {
                            let off = (f64::from(*got) - want).abs();
                            assert!(
                                off <= most,
                                "{backend}, {what}: {got:e} for {want:e}, off by {off:e}, at most {most:e}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn losses_are_as_exact_as_those_of_the_logits() {
    let x = [1.0];
    for backend in backends() {
        for (weights, loss) in [(&[20.0, 0.0], 2.061_153_7e-9), (&[80.0, 0.0], 1.804_851_4e-35)] {
            let x = Rows::new(&x, 1, 1).expect("a row").with_backend(backend);
            let linear = Linear::new(x, Rows::new(weights, 2, 1).expect("weights")).expect("a feature");
            assert_eq!(LinearCrossEntropy::default().loss(&[0_u8], linear).expect("a loss").rows, [loss]);
        }
        // The same in one of many tiles, with the other logits far below.
        let mut weights = vec![-1000.0; 20_000];
        (weights[15_001], weights[3]) = (20.0, 0.0);
        let x = Rows::new(&x, 1, 1).expect("a row").with_backend(backend);
        let linear = Linear::new(x, Rows::new(&weights, 20_000, 1).expect("weights")).expect("a feature");
        assert_eq!(
            LinearCrossEntropy::default().loss(&[15_001], linear).expect("a loss").rows,
            [2.061_153_7e-9]
        );
    }
}

/// Every third row is ignored, or none.
fn labels_of(case: &Case, ignores: bool) -> Vec<i64> {
    let rng = &mut Rng::with_seed(5);
    (0..case.rows).map(|row| if ignores && row % 3 == 1 { -100 } else { class(rng, case.classes) }).collect()
}

fn mean() -> CrossEntropy<'static> {
    CrossEntropy::new().reduction(Reduction::Mean).ignore_index(-100)
}

fn assert_same_outcome(what: &str, a: &Outcome, b: &Outcome) {
    assert_same_bits(what, &a.losses, &b.losses);
    assert_same_bits(what, &a.all_losses, &b.all_losses);
    assert_eq!((&a.saved, &a.argmax, &a.correct), (&b.saved, &b.argmax, &b.correct), "{what}");
    assert_eq!((a.forward, a.summary), (b.forward, b.summary), "{what}");
    a.gradients.assert_same(what, &b.gradients);
    a.backward.assert_same(what, &b.backward);
}

#[test]
fn no_thread_and_no_workspace_changes_a_bit() {
    let backend = Backend::selected().expect("a backend");
    for ([rows, classes, features], ignores) in
        [([700, 1500, 40], true), ([900, 7, 300], false), ([70, 9000, 30], true), ([1, 40_000, 30], false)]
    {
        let case = Case::random([rows, classes, features], 3);
        let labels = labels_of(&case, ignores);
        let expected = outcome(&case, LinearCrossEntropy::new(mean()), Targets::from(&labels), backend);
        let expected = expected.expect("a valid call");
        // Room for one block, with copies of what is not ignored; for some; for more than there is.
        let block = 256.min(labels.iter().filter(|label| **label != -100).count());
        let least = 4 * block * (classes + features);
        for (workspace, threads) in [(least, 1), (least, 3), (least * 2 + 12, 2), (usize::MAX, 8)] {
            {
                let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
                let loss = LinearCrossEntropy::new(mean()).workspace(workspace);
                let got = pool.install(|| outcome(&case, loss, Targets::from(&labels), backend));
                let what = format!("{rows} x {classes} x {features}, {threads} threads, {workspace} bytes");
                assert_same_outcome(&what, &got.expect("a valid call"), &expected);
            }
        }
    }
}

#[test]
fn a_forward_pass_works_in_the_room_of_one_row() {
    let case = Case::random([100, 3000, 20], 1);
    let (labels, backend) = (labels_of(&case, false), Backend::selected().expect("a backend"));
    let forward = |bytes| {
        let loss = LinearCrossEntropy::new(mean()).workspace(bytes);
        case.with(backend, |linear| loss.forward(&labels, linear))
    };
    // A tile of 1,024 classes.
    assert_eq!(forward(4096), forward(1 << 30));
    assert_eq!(forward(4095).err(), Some(Error::Workspace { given: 4095, expected: 4096 }));
}

#[test]
fn rows_do_not_depend_on_each_other() {
    let case = Case::random([300, 1100, 17], 2);
    let (labels, backend) = (labels_of(&case, false), Backend::selected().expect("a backend"));
    let loss = LinearCrossEntropy::new(CrossEntropy::new());
    let all = outcome(&case, loss, Targets::from(&labels), backend).expect("a valid call");
    for row in [0, 1, 63, 64, 255, 256, 299] {
        let x = case.x[row * 17..][..17].to_vec();
        let one = Case { rows: 1, x, ..case.clone() };
        let got = outcome(&one, loss, Targets::from(&labels[row..=row]), backend).expect("a valid call");
        assert_same_bits("a loss", &got.losses, &all.losses[row..=row]);
        assert_same_bits("a loss with gradients", &got.all_losses, &all.all_losses[row..=row]);
        assert_same_bits("a gradient of x", &got.gradients.x, &all.gradients.x[row * 17..][..17]);
        assert_same_bits("a gradient of x, added", &got.backward.x, &all.backward.x[row * 17..][..17]);
    }
}

#[test]
fn rows_that_are_ignored_are_never_read() {
    for backend in backends() {
        let mut case = Case::random([280, 50, 9], 4);
        let labels = labels_of(&case, true);
        let kept: Vec<_> = (0..case.rows).filter(|&row| labels[row] != -100).collect();
        let x = kept.iter().flat_map(|&row| case.x[row * 9..][..9].to_vec()).collect();
        let alone = Case { rows: kept.len(), x, ..case.clone() };
        let own: Vec<_> = kept.iter().map(|&row| labels[row]).collect();
        for row in (0..case.rows).filter(|row| !kept.contains(row)) {
            case.x[row * 9..][..9].fill(f32::NAN);
        }
        let masks = vec![true; case.rows * case.classes];
        for masks in [None, Some(&masks)] {
            let loss = LinearCrossEntropy::new(masks.map_or(mean(), |masks| mean().row_class_masks(masks)));
            let got = outcome(&case, loss, Targets::from(&labels), backend).expect("a valid call");
            let of_kept = masks.map_or(mean(), |masks| mean().row_class_masks(&masks[..own.len() * 50]));
            let want = outcome(&alone, LinearCrossEntropy::new(of_kept), Targets::from(&own), backend);
            let want = want.expect("a valid call");
            assert_eq!((got.forward, got.summary), (want.forward, want.summary));
            for (i, &row) in kept.iter().enumerate() {
                assert_same_bits("a loss", &got.losses[row..=row], &want.losses[i..=i]);
                assert_same_bits("of x", &got.gradients.x[row * 9..][..9], &want.gradients.x[i * 9..][..9]);
            }
            for row in (0..case.rows).filter(|row| !kept.contains(row)) {
                assert_same_bits("of x, ignored", &got.gradients.x[row * 9..][..9], &[0.0; 9]);
                assert_same_bits("a loss, ignored", &got.losses[row..=row], &[0.0]);
            }
            if masks.is_none() {
                assert_same_bits("of weights", &got.gradients.weights, &want.gradients.weights);
                assert_same_bits("of the bias", &got.gradients.bias, &want.gradients.bias);
            } else {
                // Such rows stay, as zeros, so that sums are cut elsewhere.
                let finite = got.gradients.weights.iter().chain(&got.gradients.bias).all(|g| g.is_finite());
                assert!(finite, "{backend}: an ignored row has been read");
            }
        }
    }
}

#[test]
fn gradients_are_added_to_what_is_there() {
    let case = Case::exact([6, 5, 3], 1);
    let (labels, backend) = (labels_of(&case, false), Backend::selected().expect("a backend"));
    let loss = LinearCrossEntropy::default().l2(0.5).expect("a factor");
    let written = outcome(&case, loss, Targets::from(&labels), backend).expect("a valid call").gradients;
    let [mut x, mut weights, mut bias] = [18, 15, 5].map(|len| vec![100.0; len]);
    case.with(backend, |linear| {
        let gradients = LinearGradients::new()
            .add_to_x(RowsMut::new(&mut x, 6, 3)?)
            .add_to_weights(RowsMut::new(&mut weights, 5, 3)?)
            .add_to_bias(&mut bias);
        loss.loss_and_gradients_into(&labels, linear, LinearResults::new(), gradients)
    })
    .expect("a valid call");
    for (got, want) in [(x, written.x), (weights, written.weights), (bias, written.bias)] {
        for (got, want) in got.iter().zip(want) {
            // Rounded at 100 and a little, twice for weights with an L2 term.
            assert!((got - 100.0 - want).abs() <= 2.0 * 128.0 * f32::EPSILON, "{got} for 100 + {want}");
        }
    }
}

#[test]
fn of_no_rows_there_is_a_mean_over_nothing_and_gradients_of_zero() {
    let weights = [1.0, 2.0];
    let linear =
        Linear::new(Rows::new(&[] as &[f32], 0, 1).expect("none"), Rows::new(&weights, 2, 1).expect("two"));
    let linear = linear.expect("a feature");
    let (mut gradient, mut bias) = ([f32::NAN; 2], [f32::NAN; 2]);
    let gradients =
        LinearGradients::new().weights(RowsMut::new(&mut gradient, 2, 1).expect("two")).bias(&mut bias);
    let loss = LinearCrossEntropy::new(mean());
    let summary = loss.loss_and_gradients_into(&[0_u8; 0], linear, LinearResults::new(), gradients);
    assert!(summary.expect("a valid call").value.is_nan());
    assert_same_bits("of weights", &gradient, &[0.0; 2]);
    assert_same_bits("of the bias", &bias, &[0.0; 2]);
    let ignored =
        Linear::new(Rows::new(&[f32::NAN], 1, 1).expect("a row"), Rows::new(&weights, 2, 1).expect("two"));
    let gradients = LinearGradients::new().weights(RowsMut::new(&mut gradient, 2, 1).expect("two"));
    let loss = loss.l2(1.0).expect("a factor");
    loss.loss_and_gradients_into(&[-100], ignored.expect("a feature"), LinearResults::new(), gradients)
        .expect("a valid call");
    assert_same_bits("of the L2 term", &gradient, &[2.0, 4.0]);
}
