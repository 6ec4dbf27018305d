//! The losses beside cross-entropy against f64 references, on every backend, with their edges.

use crate::common;
use crate::common::paths::{Axes, Layout, Strided};
use crate::common::property::{Errors, for_all};
use crate::common::strategies::{Matrix, normal};
use crate::common::{assert_same_bits, backends, ulp};
use fastrand::Rng;
use proptest::prelude::*;
use xent::{
    Backend, BinaryCrossEntropy, Denominator, ElementReduction, Error, Hinge, HingePower, KlDivergence,
    NegativeLogLikelihood, Normalise, Reduction, Rows, RowsMut, SquaredError,
};

const INF: f32 = f32::INFINITY;

/// Rounded once from f64, and what f64 itself loses.
const ROUNDED_ONCE: f64 = 0.6;

/// Some rows of numbers.
fn matrix() -> impl Strategy<Value = (usize, usize, u64)> {
    (0_usize..=5, prop_oneof![1_usize..=67, 500_usize..=520], any::<u64>())
}

/// Normally distributed logits, some of them infinite.
fn logits(len: usize, rng: &mut Rng) -> Vec<f32> {
    let special = [INF, -INF, 0.0, -0.0, 1e-40, 88.0, -200.0];
    let logit = |rng: &mut Rng| if rng.u8(..20) == 0 { special[rng.usize(..7)] } else { normal(rng) * 6.0 };
    (0..len).map(|_| logit(rng)).collect()
}

/// Numbers from 0 to 1, both ends often.
fn fractions(len: usize, rng: &mut Rng) -> Vec<f32> {
    let fraction = |rng: &mut Rng| match rng.u8(..4) {
        0 => 0.0,
        1 => 1.0,
        _ => rng.f32(),
    };
    (0..len).map(|_| fraction(rng)).collect()
}

/// `ln(1 + e^x)`.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// `a b`, 0 for no mass `a`.
fn part(a: f64, b: f64) -> f64 {
    if a == 0.0 { 0.0 } else { a * b }
}

/// Checks values and gradients of elements.
fn check_elements(
    (backend, errors): (Backend, &Errors),
    (loss, gradient): (xent::ElementLoss, Vec<f32>),
    want: impl Fn(usize) -> (f64, f64),
    reduction: f64,
) {
    let (mut sum, mut magnitude) = (0.0, 0.0);
    for (i, (&loss, &gradient)) in loss.values.iter().zip(&gradient).enumerate() {
        let (of_loss, of_gradient) = want(i);
        (sum, magnitude) = (sum + of_loss, magnitude + of_loss.abs());
        errors.within(ROUNDED_ONCE, "loss", backend, loss, of_loss);
        // A difference of two parts in f64.
        errors.within(1.0, "gradient", backend, gradient, of_gradient / reduction);
    }
    // Of the losses before they were rounded, in ULP of what is added up.
    let want = common::property::Want::from(sum / reduction).in_ulp_of(magnitude / reduction);
    errors.within(ROUNDED_ONCE, "reduced loss", backend, loss.value, want);
}

#[test]
fn losses_of_elements_are_rounded_once() {
    for_all("elements", matrix(), |&(rows, classes, seed), backend, errors| {
        let rng = &mut Rng::with_seed(seed);
        let len = rows * classes;
        let (x, t) = (logits(len, rng), fractions(len, rng));
        let (weights, positive) = (fractions(len, rng), fractions(classes, rng));
        let inputs = Rows::new(&x, rows, classes).expect("a matrix").with_backend(backend);
        let targets = Rows::new(&t, rows, classes).expect("a matrix");
        let view = Rows::new(&weights, rows, classes).expect("a matrix");
        let of_classes = Rows::with_stride(&positive, rows, classes, 0).expect("one row for all");
        let wide = |values: &[f32], i: usize| f64::from(values[i]);
        let context = (backend, errors);

        let binary = BinaryCrossEntropy::new().weights(view).pos_weight(of_classes);
        let binary = binary.reduction(ElementReduction::BatchMean);
        let want = |i: usize| {
            let (x, t, w, c) = (wide(&x, i), wide(&t, i), wide(&weights, i), wide(&positive, i % classes));
            let loss = part(c * t, softplus(-x)) + part(1.0 - t, softplus(x));
            let (p, q) = (1.0 / (1.0 + (-x).exp()), 1.0 / (1.0 + x.exp()));
            (part(w, loss), w * ((1.0 - t) * p - c * t * q))
        };
        let result = binary.loss_and_gradient(targets, inputs).expect("a valid call");
        check_elements(context, result, want, ulp::count(rows));

        let squared = SquaredError::new().reduction(ElementReduction::Sum);
        let want = |i: usize| {
            let difference = wide(&x, i) - wide(&t, i);
            (difference * difference, 2.0 * difference)
        };
        let result = squared.loss_and_gradient(targets, inputs).expect("a valid call");
        check_elements(context, result, want, 1.0);

        for log_targets in [false, true] {
            let logs: Vec<f32> = t.iter().map(|t| t.ln()).collect();
            let targets = Rows::new(if log_targets { &logs } else { &t }, rows, classes).expect("a matrix");
            let want = |i: usize| {
                let x = wide(&x, i);
                let (p, log) = if log_targets {
                    (wide(&logs, i).exp(), wide(&logs, i))
                } else {
                    (wide(&t, i), wide(&t, i).ln())
                };
                (part(p, log - x), -p)
            };
            let divergence = KlDivergence::new().log_targets(log_targets);
            let result = divergence.loss_and_gradient(targets, inputs).expect("a valid call");
            check_elements(context, result, want, 1.0);
        }
    });
}

#[test]
fn hinges_are_rounded_once() {
    let cases = (matrix(), prop::bool::ANY, prop::bool::ANY, 0.0_f32..3.0);
    for_all("hinge", cases, |&((rows, classes, seed), squared, per_class, margin), backend, errors| {
        let rng = &mut Rng::with_seed(seed);
        let x: Vec<f32> =
            logits(rows * classes, rng).into_iter().map(|x| if x == INF { 3.0 } else { x }).collect();
        let labels: Vec<usize> = (0..rows).map(|_| rng.usize(..classes)).collect();
        let weights = fractions(classes, rng);
        let logits = Rows::new(&x, rows, classes).expect("a matrix").with_backend(backend);
        let power = if squared { HingePower::Squared } else { HingePower::Linear };
        let hinge = Hinge::new().margin(margin).expect("a margin").power(power).per_class(per_class);
        let hinge = hinge.class_weights(&weights).expect("weights");
        let (loss, gradient) = hinge.loss_and_gradient(&labels, logits).expect("a valid call");
        for (row, &label) in labels.iter().enumerate() {
            let logits = &x[row * classes..][..classes];
            let share = f64::from(weights[label]) / if per_class { ulp::count(classes) } else { 1.0 };
            let over = |class: usize| {
                let over = f64::from(margin) - f64::from(logits[label]) + f64::from(logits[class]);
                // A masked class has no part, whatever the label's logit.
                if class == label || logits[class] == -INF { 0.0 } else { over.max(0.0) }
            };
            let of = |over: f64| match (squared, over > 0.0) {
                (true, _) => (over * over, 2.0 * over),
                (false, positive) => (over, f64::from(u8::from(positive))),
            };
            let want: f64 = (0..classes).map(|class| of(over(class)).0).sum();
            errors.within(ROUNDED_ONCE, "loss", backend, loss.rows[row], part(share, want));
            for class in (0..classes).filter(|&class| class != label) {
                let want = part(share, of(over(class)).1);
                errors.within(ROUNDED_ONCE, "gradient", backend, gradient[row * classes + class], want);
            }
            let want = -part(share, (0..classes).map(|class| of(over(class)).1).sum());
            errors.within(
                ROUNDED_ONCE,
                "gradient at the label",
                backend,
                gradient[row * classes + label],
                want,
            );
        }
    });
}

#[test]
fn likelihoods_are_rounded_once() {
    let normalise =
        prop::sample::select(vec![Normalise::Never, Normalise::BeforeClipping, Normalise::AfterClipping]);
    for_all("likelihood", (matrix(), normalise), |&((rows, classes, seed), normalise), backend, errors| {
        let rng = &mut Rng::with_seed(seed);
        let clip = if rng.bool() { 1e-7 } else { 0.0 };
        let (p, t) = (fractions(rows * classes, rng), fractions(rows * classes, rng));
        let inputs = Rows::new(&p, rows, classes).expect("a matrix").with_backend(backend);
        let targets = Rows::new(&t, rows, classes).expect("a matrix");
        let loss = NegativeLogLikelihood::of_probabilities(clip, normalise).expect("a clip");
        let got = loss.loss(targets, inputs).expect("a valid call");
        for (row, (p, t)) in p.chunks(classes).zip(t.chunks(classes)).enumerate() {
            let p: Vec<f64> = p.iter().map(|&p| p.into()).collect();
            let sum: f64 = p.iter().sum();
            let before = if normalise == Normalise::BeforeClipping { sum } else { 1.0 };
            let clipped: Vec<f64> = p.iter().map(|p| (p / before).clamp(clip, 1.0 - clip)).collect();
            let after = if normalise == Normalise::AfterClipping { clipped.iter().sum() } else { 1.0 };
            let want: f64 =
                t.iter().zip(&clipped).map(|(&t, p)| part(t.into(), -(p.ln() - f64::ln(after)))).sum();
            if sum > 0.0 {
                // Parts of both signs, where probabilities are not normalised: in ULP of the largest.
                let parts =
                    t.iter().zip(&clipped).map(|(&t, p)| part(t.into(), p.ln().abs() + f64::ln(after).abs()));
                let want = common::property::Want::from(want).in_ulp_of(parts.sum());
                errors.within(ROUNDED_ONCE, "loss", backend, got.rows[row], want);
            }
        }
    });
}

#[test]
fn gradients_of_likelihoods_are_differences_of_their_losses() {
    let p = [0.2_f32, 0.3, 0.1, 0.7, 0.01, 0.4];
    let t = [0.5_f32, 0.25, 0.0, 0.0, 1.0, 0.5];
    for backend in backends() {
        for normalise in [Normalise::Never, Normalise::BeforeClipping, Normalise::AfterClipping] {
            let loss = NegativeLogLikelihood::of_probabilities(1e-7, normalise)
                .expect("a clip")
                .reduction(Reduction::Sum)
                .class_weights(&[1.0, 2.0, 0.5])
                .expect("weights");
            let targets = Rows::new(&t, 2, 3).expect("a matrix");
            let at = |p: &[f32]| {
                let inputs = Rows::new(p, 2, 3).expect("a matrix").with_backend(backend);
                loss.loss_and_gradient(targets, inputs).expect("a valid call")
            };
            let gradient = at(&p).1;
            for i in 0..p.len() {
                // Central differences of f32 losses: good to about 1e-3.
                let moved = |by: f32| {
                    let mut p = p;
                    p[i] += by;
                    at(&p).0.summary.value
                };
                let slope = (moved(5e-4) - moved(-5e-4)) / 1e-3;
                let near = (slope - gradient[i]).abs() <= 0.02 * (1.0 + gradient[i].abs());
                assert!(near || p[i] < 0.05, "{normalise:?}, {i}: {slope}, not {}", gradient[i]);
            }
        }
    }
}

#[test]
fn a_probability_at_the_clip_is_not_clipped() {
    let loss = NegativeLogLikelihood::of_probabilities(0.25, Normalise::Never).expect("a clip");
    for backend in backends() {
        let inputs = Rows::new(&[0.25, 0.75, 0.125, 0.875], 2, 2).expect("rows").with_backend(backend);
        let gradient = |labels: [u8; 2]| loss.loss_and_gradient(&labels, inputs).expect("a valid call").1;
        assert_eq!(gradient([0, 0]), [-4.0, 0.0, 0.0, 0.0]);
        assert_eq!(gradient([1, 1]), [0.0, -4.0 / 3.0, 0.0, 0.0]);
    }
}

/// Calls a loss with targets, inputs, weights, and room for losses and a gradient.
type Call<'a> = &'a dyn Fn(Rows<'_>, Rows<'_>, Rows<'_>, RowsMut<'_>, RowsMut<'_>) -> f32;

/// Asserts that any order of axes gives the bits of rows.
fn check_axes(name: &str, (rows, classes): (usize, usize), call: Call<'_>) {
    let mut rng = Rng::with_seed(9);
    let given = [(); 3].map(|()| {
        let values = (0..rows * classes).map(|_| rng.f32()).collect();
        Matrix { rows, classes, values }
    });
    for backend in backends() {
        let outcome = |layout| {
            let [targets, inputs, weights] = given.each_ref().map(|matrix| Strided::of(matrix, layout));
            let mut losses = Strided::unwritten(rows, classes, layout);
            let mut gradient = Strided::unwritten(rows, classes, layout);
            let value = call(
                targets.view(backend),
                inputs.view(backend),
                weights.view(backend),
                losses.view_mut(backend),
                gradient.view_mut(backend),
            );
            (losses.into_values(), gradient.into_values(), value)
        };
        let (losses, gradient, value) = outcome(Layout::new(0, 0));
        for axes in Axes::ALL {
            let got = outcome(Layout::new(1, 2).along(axes));
            assert_same_bits(name, &got.0, &losses);
            assert_same_bits(name, &got.1, &gradient);
            assert_same_bits(name, &[got.2], &[value]);
        }
    }
}

#[test]
fn classes_along_any_axis_give_the_bits_of_rows() {
    // Sixteen classes at once and four more; more than one thread takes.
    for shape in [(6, 20), (1500, 40)] {
        check_axes("binary", shape, &|targets, inputs, weights, losses, gradient| {
            let loss =
                BinaryCrossEntropy::new().pos_weight(weights).weights(targets).upstream_elements(weights);
            loss.loss_and_gradient_into(targets, inputs, losses, gradient).expect("a valid call")
        });
        check_axes("divergence", shape, &|targets, inputs, weights, losses, gradient| {
            let loss = KlDivergence::new().weights(weights).reduction(ElementReduction::BatchMean);
            loss.loss_and_gradient_into(targets, inputs, losses, gradient).expect("a valid call")
        });
        check_axes("squared", shape, &|targets, inputs, _, losses, gradient| {
            SquaredError::new()
                .loss_and_gradient_into(targets, inputs, losses, gradient)
                .expect("a valid call")
        });
        // One loss for each row: what is for losses of elements stays unwritten.
        check_axes("likelihood", shape, &|targets, inputs, _, _, gradient| {
            let mut losses = vec![9.0; inputs.rows()];
            let loss =
                NegativeLogLikelihood::of_probabilities(1e-7, Normalise::AfterClipping).expect("a clip");
            let loss = loss.reduction(Reduction::Sum);
            loss.loss_and_gradient_into(targets, inputs, &mut losses, gradient).expect("a valid call").value
        });
        check_axes("hinge", shape, &|_, inputs, _, _, gradient| {
            let labels: Vec<_> = (0..inputs.rows()).map(|row| row % inputs.classes()).collect();
            let mut losses = vec![9.0; inputs.rows()];
            let loss = Hinge::new().reduction(Reduction::Mean);
            loss.loss_and_gradient_into(&labels, inputs, &mut losses, gradient).expect("a valid call").value
        });
    }
}

#[test]
fn binary_cross_entropy_is_exact_at_infinities() {
    for backend in backends() {
        let logits = Rows::new(&[INF, INF, -INF, -INF, 20.0], 1, 5).expect("a row").with_backend(backend);
        let targets = Rows::new(&[1.0, 0.0, 0.0, 1.0, 1.0], 1, 5).expect("a row");
        let (loss, gradient) = BinaryCrossEntropy::new().loss_and_gradient(targets, logits).expect("a call");
        assert_eq!(loss.values, [0.0, INF, 0.0, INF, 2.061_153_7e-9]);
        assert_eq!(gradient, [0.0, 1.0, 0.0, -1.0, -2.061_153_7e-9]);
    }
}

#[test]
fn a_target_of_zero_has_no_divergence() {
    let (x, zero) = ([-INF, -1.0], [0.0; 2]);
    let inputs = Rows::new(&x, 1, 2).expect("a row");
    let loss = KlDivergence::new().loss(Rows::new(&zero, 1, 2).expect("a row"), inputs).expect("a call");
    assert_same_bits("divergences", &loss.values, &[0.0, 0.0]);
    let logs = [-INF; 2];
    let divergence = KlDivergence::new().log_targets(true);
    let loss = divergence.loss(Rows::new(&logs, 1, 2).expect("a row"), inputs).expect("a call");
    assert_same_bits("divergences", &loss.values, &[0.0, 0.0]);
}

/// Weights of 0 for a row that only fills up a batch, and holds anything.
#[test]
fn an_element_of_weight_zero_is_taken_out_whatever_it_holds() {
    for backend in backends() {
        let (t, x) = ([0.5, 0.5, f32::NAN, 0.5], [-0.5, -1.0, -INF, f32::NAN]);
        let inputs = Rows::new(&x, 2, 2).expect("rows").with_backend(backend);
        let targets = Rows::new(&t, 2, 2).expect("rows");
        let weights = Rows::new(&[1.0, 1.0, 0.0, -0.0], 2, 2).expect("rows");
        let check = |(loss, gradient): (xent::ElementLoss, Vec<f32>)| {
            assert_same_bits("padding", &loss.values[2..], &[0.0; 2]);
            assert_same_bits("padding", &gradient[2..], &[0.0; 2]);
            assert!(loss.value.is_finite());
        };
        let divergence = KlDivergence::new().weights(weights);
        let result = divergence.loss_and_gradient(targets, inputs).expect("a valid call");
        assert!((result.0.value - 0.056_852_82).abs() < 1e-8);
        check(result);
        check(divergence.log_targets(true).loss_and_gradient(targets, inputs).expect("a valid call"));
        let binary = BinaryCrossEntropy::new().weights(weights);
        check(binary.loss_and_gradient(targets, inputs).expect("a valid call"));
        let squared = SquaredError::new().weights(weights);
        check(squared.loss_and_gradient(targets, inputs).expect("a valid call"));
    }
}

#[test]
fn losses_of_elements_need_no_buffer_for_each() {
    // One row and more than one thread takes, of one vector and more.
    for (rows, classes) in [(1, 1), (7, 37), (1500, 40)] {
        let rng = &mut Rng::with_seed(3);
        let (x, t) = (fractions(rows * classes, rng), fractions(rows * classes, rng));
        let targets = Rows::new(&t, rows, classes).expect("rows");
        for backend in backends() {
            let inputs = Rows::new(&x, rows, classes).expect("rows").with_backend(backend);
            let loss = KlDivergence::new().reduction(ElementReduction::BatchMean);
            let (all, want) = loss.loss_and_gradient(targets, inputs).expect("a valid call");
            let (mut of_rows, mut gradient) = (vec![9.0; rows], vec![9.0; rows * classes]);
            let into = RowsMut::new(&mut gradient, rows, classes).expect("rows");
            let values = [
                loss.value(targets, inputs),
                loss.row_losses_into(targets, inputs, &mut of_rows),
                loss.gradient_into(targets, inputs, into),
            ];
            for value in values {
                assert_same_bits("reduced losses", &[value.expect("a valid call")], &[all.value]);
            }
            assert_same_bits("gradients", &gradient, &want);
            for (got, losses) in of_rows.iter().zip(all.values.chunks(classes)) {
                let sum = losses.iter().fold(0.0, |sum, &loss| sum + f64::from(loss));
                let size = losses.iter().fold(0.0, |sum, &loss| sum + f64::from(loss.abs()));
                assert!((f64::from(*got) - sum).abs() <= 1.2e-7 * size, "{got}, not {sum}");
            }
            let short = loss.row_losses_into(targets, inputs, &mut of_rows[1..]);
            assert!(matches!(short, Err(Error::RowCount { what: "losses", .. })));
        }
    }
}

#[test]
fn any_finite_number_is_a_weight_of_a_row() {
    let (x, labels) = ([0.5, 0.25, 0.5, 0.75, f32::NAN, 0.5], [0_u8, 1, 0]);
    let (weights, one) = ([-2.0, 1.0, 0.0], [1.0; 3]);
    for backend in backends() {
        let inputs = Rows::new(&x, 3, 2).expect("rows").with_backend(backend);
        let check = |plain: (xent::Loss, Vec<f32>), weighted: (xent::Loss, Vec<f32>)| {
            for (row, weight) in weights.into_iter().enumerate() {
                let times = |value: f32| if weight == 0.0 { 0.0 } else { weight * value };
                assert_same_bits("losses", &[weighted.0.rows[row]], &[times(plain.0.rows[row])]);
                for i in 2 * row..2 * row + 2 {
                    assert!((weighted.1[i] - times(plain.1[i])).abs() <= 1e-6 * times(plain.1[i]).abs());
                }
            }
            let sum = weighted.0.rows.iter().sum::<f32>();
            assert!((weighted.0.summary.value - sum).abs() <= 1e-6 * sum.abs());
        };
        let hinge = |weights| Hinge::new().row_weights(weights).expect("weights");
        let call = |weights| hinge(weights).loss_and_gradient(&labels, inputs).expect("a valid call");
        check(call(&one), call(&weights));
        let likelihood = NegativeLogLikelihood::of_probabilities(0.0, Normalise::Never).expect("a clip");
        let likelihood = |weights| likelihood.row_weights(weights).expect("weights");
        let call = |weights| likelihood(weights).loss_and_gradient(&labels, inputs).expect("a valid call");
        check(call(&one), call(&weights));
    }
    assert!(matches!(Hinge::new().row_weights(&[INF]), Err(Error::Option { what: "row weight", .. })));
}

#[test]
fn nothing_has_a_sum_and_no_mean() {
    let none = Rows::new(&[] as &[f32], 0, 3).expect("no rows");
    for (reduction, want) in [
        (ElementReduction::Sum, 0.0),
        (ElementReduction::Mean, f32::NAN),
        (ElementReduction::BatchMean, f32::NAN),
    ] {
        let loss = BinaryCrossEntropy::new().reduction(reduction).loss(none, none).expect("a call");
        assert_same_bits("over nothing", &[loss.value], &[want]);
    }
    let loss = Hinge::new()
        .reduction(Reduction::Mean)
        .ignore_index(-1)
        .loss(&[-1], Rows::new(&[f32::NAN; 2], 1, 2).expect("a row"));
    let loss = loss.expect("an ignored row");
    assert_same_bits("an ignored row", &loss.rows, &[0.0]);
    assert!(loss.summary.value.is_nan());
}

#[test]
fn bad_numbers_are_errors() {
    assert!(matches!(Hinge::new().margin(f32::NAN), Err(Error::Option { what: "margin", .. })));
    let likelihood = NegativeLogLikelihood::of_probabilities(0.6, Normalise::Never);
    assert!(matches!(likelihood, Err(Error::Option { what: "clip", .. })));
    let likelihood = NegativeLogLikelihood::of_log_probabilities().denominator(Denominator::Given(0.0));
    assert!(matches!(likelihood, Err(Error::Option { what: "denominator", .. })));
    let (two, three) =
        (Rows::new(&[0.0; 2], 1, 2).expect("a row"), Rows::new(&[0.0; 3], 1, 3).expect("a row"));
    assert!(matches!(
        SquaredError::new().loss(two, three),
        Err(Error::ShapeMismatch { what: "targets", .. })
    ));
    let loss = SquaredError::new().weights(two).loss(three, three);
    assert!(matches!(loss, Err(Error::ShapeMismatch { what: "weights", .. })));
    let reduced = SquaredError::new().reduction(ElementReduction::Sum).upstream_elements(three);
    assert!(matches!(reduced.loss(three, three), Err(Error::UpstreamPerRow { given: 1 })));
}
