//! What users of other libraries reported, with the right values: computed from the formulas in f64, to all digits that stand
//! here. What has a file of its own is tested there: shards, entropies, losses of elements, ranks, 16 bits, threads.

use xent::{CrossEntropy, EmptyRows, Error, Labels, Reduction, Rows, Smoothing, Statistics};

use crate::common::backends;
use crate::rows;

const INF: f32 = f32::INFINITY;

/// Within three units in the last place, and half a unit of the last digit that is given.
#[track_caller]
fn close(got: &[f32], want: &[f64], half: f64) {
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        let bound = half + 3.0 * f64::from(f32::EPSILON) * want.abs();
        assert!((f64::from(*got) - want).abs() <= bound, "{got} is not {want}");
    }
}

/// A label that takes no part has no mass to keep: what goes to the others is shared by those that take part, and what stays
/// is an infinite loss, never one of -inf.
#[test]
fn smoothing_over_the_others_where_the_label_takes_no_part() {
    let others = |eps| CrossEntropy::new().label_smoothing(eps, Smoothing::Others).expect("smoothing");
    for backend in backends() {
        let of = |loss: CrossEntropy<'_>, row: &[f32]| {
            let (loss, gradient) =
                loss.loss_and_gradient(&[2_u8], rows(row, 4, backend)).expect("a valid call");
            (loss.rows[0], gradient)
        };
        let row = [1.0, 2.0, -INF, 0.0];
        let (loss, gradient) = of(others(0.7), &row);
        assert!(loss.is_infinite() && loss > 0.0, "{backend}");
        close(&gradient, &[0.011_4, 0.431_9, -0.3, -0.143_3], 5e-5);
        let (loss, gradient) = of(others(0.1), &row);
        assert!(loss.is_infinite() && loss > 0.0, "{backend}");
        close(&gradient, &[0.211_4, 0.631_9, -0.9, 0.056_7], 5e-5);
        close(&[of(others(1.0), &row).0], &[1.407_606_0], 5e-8);
        // Masked, whatever it holds, it has no gradient either.
        let mask = [true, true, false, true];
        let (loss, gradient) = of(others(0.1).class_mask(&mask), &[1.0, 2.0, 3.0, 0.0]);
        assert!(loss.is_infinite() && loss > 0.0, "{backend}");
        close(&gradient, &[0.211_4, 0.631_9, 0.0, 0.056_7], 5e-5);
        close(&[of(others(1.0).class_mask(&mask), &[1.0, 2.0, 3.0, 0.0]).0], &[1.407_606_0], 5e-8);
    }
}

/// A padded row, or one that is wholly masked, is NaN by default, and 0 where that is asked for: then it leaves the others alone.
#[test]
fn a_row_of_nothing_does_not_have_to_poison_the_batch() {
    let logits = [0.0, 2.0, -INF, -INF];
    for backend in backends() {
        let view = rows(&logits, 2, backend);
        let loss = CrossEntropy::new().reduction(Reduction::Sum);
        assert!(loss.loss(&[0_u8, 0], view).expect("a valid call").summary.value.is_nan());
        let zero = loss.empty_rows(EmptyRows::Zero);
        let (loss, gradient) = zero.loss_and_gradient(&[0_u8, 0], view).expect("a valid call");
        close(&[loss.summary.value], &[2.126_928_0], 5e-8);
        assert_eq!((loss.rows[1], &gradient[2..]), (0.0, &[0.0; 2][..]), "{backend}");
        assert_eq!(zero.probabilities(view).expect("a valid call")[2..], [0.0; 2], "{backend}");
    }
}

/// The mean is made of losses in f64, before they are weighted and rounded: weights at either end of the range cancel.
#[test]
fn a_weighted_mean_holds_at_the_ends_of_the_range() {
    for backend in backends() {
        for weight in [3e38, 1.0, 1e-44] {
            let weights = [weight; 2];
            let mean = CrossEntropy::pytorch().class_weights(&weights).expect("weights");
            let logits = rows(&[0.0, 2.0, 0.0, 2.0], 2, backend);
            let value = mean.loss(&[0_u8, 0], logits).expect("a valid call").summary.value;
            close(&[value], &[2.126_928_0], 5e-8);
        }
    }
}

/// A sparse loss times a weight has the gradient times the weight, in every preset.
#[test]
fn a_class_weight_weighs_the_gradient_of_a_sparse_loss() {
    for backend in backends() {
        for preset in [CrossEntropy::tensorflow(), CrossEntropy::new(), CrossEntropy::keras()] {
            let weighted = preset.reduction(Reduction::Sum).class_weights(&[3.0, 1.0]).expect("weights");
            let (_, gradient) =
                weighted.loss_and_gradient(&[0_u8], rows(&[0.0, 1.0], 2, backend)).expect("a valid call");
            close(&gradient, &[-2.193_175_7, 2.193_175_7], 5e-8);
        }
    }
}

/// A cap is monotone: which logit is largest is seen before it, where it makes none of them equal.
#[test]
fn predictions_come_from_the_logits_before_a_cap() {
    for backend in backends() {
        let capped = CrossEntropy::new().soft_cap(30.0).expect("a cap");
        let (mut class, mut correct) = ([9], [false]);
        let wanted = Statistics::new().argmax(&mut class).correct(&mut correct);
        capped.statistics_into(&[1_u8], rows(&[400.0, 500.0], 2, backend), wanted).expect("a valid call");
        assert_eq!((class, correct), ([1], [true]), "{backend}");
    }
    assert!(matches!(CrossEntropy::new().temperature(1e-300), Err(Error::Option { .. })));
}

/// As in policy gradients, where advantages weigh log-probabilities.
#[test]
fn a_weight_of_a_row_may_be_negative() {
    for backend in backends() {
        let (logits, weights) = ([0.0, 2.0, 0.0, 2.0], [-2.0, 1.0]);
        let loss = CrossEntropy::new().row_weights(&weights).expect("weights");
        let (loss, gradient) =
            loss.loss_and_gradient(&[0_u8, 0], rows(&logits, 2, backend)).expect("a valid call");
        close(&loss.rows, &[-4.253_856_0, 2.126_928_0], 5e-8);
        close(&gradient, &[1.761_594_2, -1.761_594_2, -0.880_797_1, 0.880_797_1], 5e-8);
    }
}

/// Labels from anywhere: a column of a table, every second one, all but the first of each sequence.
#[test]
fn labels_lie_at_any_stride() {
    let table = [9_i16, 0, 9, 2, 9, -100, 9, 1, 9, 2, 9, 0];
    let logits: Vec<f32> = (0_u8..18).map(|i| f32::from(i * 7 % 11)).collect();
    let loss = CrossEntropy::new().ignore_index(-100);
    for backend in backends() {
        let of = |labels: Labels<'_>, from: usize| {
            let view = rows(&logits[3 * from..], 3, backend);
            loss.loss_and_gradient(labels, view).expect("a valid call")
        };
        let copied = [0_i16, 2, -100, 1, 2, 0];
        let want = of(Labels::from(&copied), 0);
        assert_eq!(want.0.summary.used_rows, 5);
        let column = Labels::with_strides(&table[1..], [1, 6], [0, 2]).expect("labels");
        assert_eq!((of(column, 0), column.len(), column.get(3)), (want.clone(), 6, Some(1)), "{backend}");
        let two_by_three = Labels::with_strides(&table[1..], [2, 3], [6, 2]).expect("labels");
        assert_eq!(of(two_by_three, 0), want, "{backend}");
        // In the order of rows that are turned: 0, 1, 2, 2, -100, 0.
        let turned = Labels::with_strides(&table[1..], [3, 2], [2, 6]).expect("labels");
        assert_eq!(of(turned, 0), of(Labels::from(&[0_i16, 1, 2, 2, -100, 0]), 0), "{backend}");
        let several = CrossEntropy::new().ignore_indices(&[-100, 2]);
        let used =
            |labels| several.loss(labels, rows(&logits, 3, backend)).expect("labels").summary.used_rows;
        assert_eq!((used(column), used(turned)), (3, 3), "{backend}");
        // One for all rows.
        let all = Labels::with_strides(&table[3..4], [1, 6], [0, 0]).expect("labels");
        assert_eq!(of(all, 0), of(Labels::from(&[2_u8; 6]), 0), "{backend}");
    }
    let error = |labels| CrossEntropy::new().loss(labels, rows(&logits, 3, backends()[0])).err();
    let column = Labels::with_strides(&table[1..], [1, 6], [0, 2]).expect("labels");
    assert_eq!(error(column), Some(Error::LabelOutOfRange { row: 2, label: -100, classes: 3 }));
    let beyond = Labels::with_strides(&table[2..], [1, 6], [0, 2]).err();
    let (shape, strides) = ([1, 1, 6], [0, 1, 2]);
    assert_eq!(beyond, Some(Error::AxesLength { given: 10, expected: 11, shape, strides }));
    let overflow = Labels::with_strides(&table, [usize::MAX, 2], [1, 1]).err();
    assert!(matches!(overflow, Some(Error::AxesOverflow { .. })));
    assert!(Labels::with_strides(&table, [0, 3], [5, 5]).expect("no labels").is_empty());
}

/// Rows of one label each are cut between threads wherever they lie.
#[test]
fn labels_at_strides_are_cut_with_their_rows() {
    let (outer, inner, classes) = (37, 41, 30);
    let rows = outer * inner;
    let logits: Vec<f32> = (0_u16..).take(rows * classes).map(|i| f32::from(i % 1013) / 200.0).collect();
    let logits = Rows::new(&logits, rows, classes).expect("rows");
    let label = |row: usize| u32::try_from(row * 7 % classes).expect("a class");
    let mut table = vec![u32::MAX; outer * (inner + 2)];
    for row in 0..rows {
        table[row / inner * (inner + 2) + 1 + row % inner] = label(row);
    }
    let labels: Vec<u32> = (0..rows).map(label).collect();
    let strided = Labels::with_strides(&table[1..], [outer, inner], [inner + 2, 1]).expect("labels");
    let loss = CrossEntropy::new();
    assert_eq!(
        loss.loss_and_gradient(strided, logits).expect("a valid call"),
        loss.loss_and_gradient(&labels, logits).expect("a valid call")
    );
}
