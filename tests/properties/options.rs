//! Any combination of the loss's options against the f64 reference, on every backend and by every path.

use crate::common::composite::{Composite, Target};
use crate::common::drawn::{Drawn, IGNORED, factor};
use crate::common::paths::{Axes, Layout, Strided, every_loss_path};
use crate::common::property::{Errors, Want, for_all};
use crate::common::reference;
use crate::common::statistics::Inspected;
use crate::common::strategies::{
    Logits, Matrix, all_logits, distributions, labels, logits_of, options, recipe,
};
use crate::common::{assert_same_bits, same_bits, ulp};
use proptest::prelude::*;
use xent::{Backend, CrossEntropy, Denominator, EmptyMean, Labels, Reduction, Targets};

/// Rows enough for a tile, or long ones.
fn rows() -> impl Strategy<Value = Logits> {
    let short = (1_usize..=40).prop_flat_map(|classes| {
        prop::collection::vec(logits_of(classes, recipe().boxed()), 1..=5).prop_map(|parts| {
            let mut all = parts[0].clone();
            for part in &parts[1..] {
                all.recipes.extend(&part.recipes);
                all.matrix.values.extend(&part.matrix.values);
                all.matrix.rows += part.matrix.rows;
            }
            all
        })
    });
    prop_oneof![1 => all_logits(), 2 => short]
}

/// Checks a loss and its gradient, row by row: `target` is none for rows that take no part.
fn check<'t>(
    drawn: &Drawn,
    loss: CrossEntropy<'_>,
    targets: Targets<'_>,
    (logits, backend, errors): (&Logits, Backend, &Errors),
    upstream: impl Fn(usize) -> f64,
    target: impl Fn(usize) -> Option<Target<'t>>,
) {
    let matrix = &logits.matrix;
    let evaluated = every_loss_path(loss, targets, matrix, logits.layout, backend);
    let gradients = evaluated.gradient.chunks(matrix.classes);
    for (index, (row, gradient)) in matrix.iter().zip(gradients).enumerate() {
        let got = evaluated.losses[index];
        let Some(target) = target(index).filter(|_| drawn.weight(index, None) != 0.0) else {
            assert_same_bits("a loss that does not count", &[got], &[0.0]);
            assert_same_bits("a gradient that does not count", gradient, &vec![0.0; matrix.classes]);
            continue;
        };
        let want = drawn.of_row(index, matrix.classes).row(target, row, upstream(index));
        let slack = drawn.slack(&want);
        // The loss's 2, and half of one for each of the roundings of a mass: its label's and its weight's.
        let (of_loss, of_gradient) = want.z_slack;
        errors.within(3.0 + slack, "loss", backend, got, Want::from(want.loss).give_or_take(of_loss));
        assert!(got != 0.0 || got.is_sign_positive(), "{backend}: -0");
        let wants = want
            .gradient
            .iter()
            .zip(&want.parts)
            .map(|(&g, &part)| Want::from(g).in_ulp_of(part).give_or_take(of_gradient));
        // A dense gradient's 3, the mass's 1, and that of the product with the slope of a cap.
        errors.all_within(5.0 + slack, "gradient", backend, gradient, wants);
    }
    check_summary(drawn, loss, &evaluated.losses, evaluated.summary, &target);
}

/// Checks the statistics that come with a loss: `label` is none for rows that take no part.
fn check_statistics(
    drawn: &Drawn,
    loss: CrossEntropy<'_>,
    labels: &[i64],
    (logits, backend, errors): (&Logits, Backend, &Errors),
    label: impl Fn(usize) -> Option<usize>,
) {
    let matrix = &logits.matrix;
    let strided = Strided::of(matrix, logits.layout);
    let mut losses = vec![9.0; matrix.rows];
    let all = Inspected::of(matrix.rows, |statistics| {
        loss.loss_and_statistics_into(labels, strided.view(backend), &mut losses, statistics).map(drop)
    });
    let expected = loss.loss(labels, strided.view(backend)).expect("a valid call");
    assert_same_bits("the loss with statistics", &losses, &expected.rows);
    for (index, row) in matrix.iter().enumerate() {
        let Some(label) = label(index).filter(|_| drawn.weight(index, None) != 0.0) else {
            let nothing = [all.log_probability[index], all.entropy[index], all.z_loss[index]];
            assert_same_bits("statistics of a row that does not count", &nothing, &[0.0; 3]);
            assert_eq!((all.argmax[index], all.correct[index]), (usize::MAX, false));
            continue;
        };
        let composite = drawn.of_row(index, matrix.classes);
        let (z, _) = composite.mapped(row);
        let want = composite.row(Target::Class(label), row, 1.0);
        let slack = drawn.slack(&want);
        let each = reference::losses(&z);
        errors.within(2.0 + slack, "log-probability", backend, all.log_probability[index], 0.0 - each[label]);
        let entropy = || -> f64 {
            let parts = reference::softmax(&z).into_iter().zip(&each);
            parts.map(|(p, loss)| if p == 0.0 { 0.0 } else { p * loss }).sum()
        };
        errors.within(3.0 + slack, "entropy", backend, all.entropy[index], entropy());
        let log_sum_exp = reference::log_sum_exp(&z);
        let of_lse = 2.0 * ulp::size(log_sum_exp.abs().max(reference::row_max(&z).abs())) * (1.0 + slack);
        errors.within(
            0.5,
            "log-sum-exp",
            backend,
            all.log_sum_exp[index],
            Want::from(log_sum_exp).give_or_take(if of_lse.is_finite() { of_lse } else { 0.0 }),
        );
        let unweighted = Composite { row_weight: 1.0, ..composite };
        // Without any logit but -inf there is nothing to keep from drifting.
        let square = if log_sum_exp == f64::NEG_INFINITY { 0.0 } else { log_sum_exp * log_sum_exp };
        let z_loss = if drawn.z_loss == 0.0 && !square.is_nan() { 0.0 } else { drawn.z_loss * square };
        let of_z_loss = unweighted.row(Target::Class(label), row, 1.0).z_slack.0 * (1.0 + slack);
        errors.within(
            1.0,
            "z-loss",
            backend,
            all.z_loss[index],
            Want::from(z_loss).give_or_take(if of_z_loss.is_finite() { of_z_loss } else { 0.0 }),
        );
        if drawn.cap.is_none() && !z.iter().any(|z| z.is_nan()) {
            assert_eq!(all.argmax[index], reference::argmax(&z));
            assert_eq!(all.correct[index], all.argmax[index] == label);
        }
    }
}

/// Checks the gradient with respect to dense labels.
fn check_label_gradient(
    drawn: &Drawn,
    loss: CrossEntropy<'_>,
    (logits, backend, errors): (&Logits, Backend, &Errors),
    upstream: impl Fn(usize) -> f64,
) {
    let matrix = &logits.matrix;
    let strided = Strided::of(matrix, logits.layout);
    let label_gradient = loss.label_gradient(strided.view(backend)).expect("a valid call");
    for (index, (row, got)) in matrix.iter().zip(label_gradient.chunks(matrix.classes)).enumerate() {
        if drawn.row_weights.as_ref().is_some_and(|weights| weights[index] == 0.0) {
            assert!(got.iter().all(|x| x.to_bits() == 0), "a row of weight 0 is never read, on {backend}");
            continue;
        }
        let want = drawn.of_row(index, matrix.classes).row(Target::Class(0), row, upstream(index));
        // A log-softmax, the product with its factor, which is rounded itself, and their product.
        errors.all_within(5.0 + drawn.slack(&want), "label gradient", backend, got, want.label_gradient);
    }
}

/// The reduced loss: that of the row losses over the denominator, in f64, rounded once.
fn check_summary<'t>(
    drawn: &Drawn,
    loss: CrossEntropy<'_>,
    losses: &[f32],
    summary: xent::Summary,
    target: &impl Fn(usize) -> Option<Target<'t>>,
) {
    let label = |target| if let Target::Class(label) = target { Some(label) } else { None };
    let used: Vec<_> = (0..losses.len()).filter_map(|row| Some((row, label(target(row)?)))).collect();
    let weight_sum = used.iter().fold(0.0, |sum, &(row, label)| sum + drawn.weight(row, label));
    let sum = losses.iter().fold(0.0, |sum, &loss| sum + f64::from(loss));
    let denominator = match drawn.denominator {
        Denominator::UsedRows => ulp::count(used.len()),
        Denominator::Weights => weight_sum,
        Denominator::AllRows => ulp::count(losses.len()),
        Denominator::Given(number) => number,
        other => panic!("a denominator that this test does not know: {other:?}"),
    };
    let value = match denominator {
        _ if loss == loss.reduction(Reduction::None) || loss == loss.reduction(Reduction::Sum) => sum,
        0.0 => f64::NAN,
        denominator => sum / denominator,
    };
    // What the crate adds up has not been rounded to f32: half a unit of each loss, and one of the result.
    let magnitude = losses.iter().map(|loss| f64::from(loss.abs())).sum::<f64>() * (value / sum).abs();
    let off = (f64::from(summary.value) - value).abs() <= magnitude * f64::from(f32::EPSILON);
    assert!(off || same_bits(summary.value, ulp::round(value)), "{summary:?}, not {value:e}");
    assert_eq!((summary.used_rows, summary.weight_sum.to_bits()), (used.len(), weight_sum.to_bits()));
    let non_finite = losses.iter().filter(|loss| !loss.is_finite()).count();
    assert_eq!(summary.non_finite_rows, non_finite);
    if denominator == 0.0 {
        let zero = loss.empty_mean(EmptyMean::Zero);
        assert_ne!(zero, loss);
    }
}

#[test]
fn class_indices_with_any_options_keep_the_contract() {
    let cases = (rows(), any::<u64>()).prop_flat_map(|(logits, seed)| {
        let rows = logits.matrix.rows;
        let (drawn, labels) = (Drawn::new(rows, logits.matrix.classes, seed), labels(&logits.matrix));
        (Just(logits), Just(drawn), labels, options(rows), prop::collection::vec(0_usize..12, rows))
    });
    for_all("class indices", cases, |(logits, drawn, labels, base, ignored), backend, errors| {
        let classes = logits.matrix.classes;
        let labels: Vec<i64> = labels
            .iter()
            .zip(ignored)
            .map(|(&label, &i)| IGNORED.get(i).copied().unwrap_or(i64::try_from(label).expect("a class")))
            .collect();
        let label = |row: usize| usize::try_from(labels[row]).ok().filter(|&label| label < classes);
        let used = labels.iter().filter(|label| !IGNORED.contains(label)).count();
        let weight_sum = (0..labels.len())
            .filter(|&row| label(row).is_some())
            .map(|row| drawn.weight(row, label(row)))
            .sum();
        let totals = (ulp::count(used), weight_sum, ulp::count(labels.len()));
        let loss = drawn.apply(base.loss().ignore_indices(&IGNORED), classes);
        let upstream = |row: usize| {
            let upstream = f64::from(base.upstream[row.min(base.upstream.len() - 1)]);
            factor(drawn, base.reduction, upstream, totals)
        };
        let targets = Targets::Sparse(Labels::from(&labels));
        let context = (logits, backend, errors);
        check(drawn, loss, targets, context, upstream, |row| label(row).map(Target::Class));
        check_statistics(drawn, loss, &labels, context, label);
    });
}

#[test]
fn distributions_with_any_options_keep_the_contract() {
    let cases = (rows(), any::<u64>()).prop_flat_map(|(logits, seed)| {
        let rows = logits.matrix.rows;
        let drawn = Drawn::new(rows, logits.matrix.classes, seed);
        let labels = distributions(&logits.matrix);
        (Just(logits), Just(drawn), labels, options(rows))
    });
    for_all("distributions", cases, |(logits, drawn, labels, base), backend, errors| {
        let Matrix { rows, classes, .. } = *labels;
        let weight_sum = (0..rows).map(|row| drawn.weight(row, None)).sum();
        let totals = (ulp::count(rows), weight_sum, ulp::count(rows));
        let loss = drawn.apply(base.loss(), classes);
        let upstream = |row: usize| {
            let upstream = f64::from(base.upstream[row.min(base.upstream.len() - 1)]);
            factor(drawn, base.reduction, upstream, totals)
        };
        // Other axes than those of the logits.
        let axes = Axes::ALL[(rows + logits.layout.padding) % Axes::ALL.len()];
        let placed = Strided::of(labels, Layout::new(1, 2).along(axes));
        let targets = Targets::Dense(placed.view(backend));
        let context = (logits, backend, errors);
        check(drawn, loss, targets, context, upstream, |row| Some(Target::Dense(labels.row(row))));
        check_label_gradient(drawn, loss, context, upstream);
    });
}
