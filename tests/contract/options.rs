//! The edges of options, each with what it is in other libraries.

use xent::{
    CrossEntropy, Denominator, DenseGradient, EmptyMean, EmptyRows, Error, Reduction, Rows, RowsMut,
    Smoothing, Statistics, Targets,
};

use crate::common::{assert_same_bits, backends};

const INF: f32 = f32::INFINITY;
const NAN: f32 = f32::NAN;
const LN_2: f32 = core::f32::consts::LN_2;

/// Losses and gradient of some rows on every backend; asserted to be those given.
#[track_caller]
fn gives(
    loss: CrossEntropy<'_>,
    targets: Targets<'_>,
    logits: &[f32],
    classes: usize,
    want: (&[f32], &[f32]),
) {
    for backend in backends() {
        let logits =
            Rows::new(logits, logits.len() / classes, classes).expect("a matrix").with_backend(backend);
        let (got, gradient) = loss.loss_and_gradient(targets, logits).expect("a valid call");
        assert_same_bits("losses", &got.rows, want.0);
        assert_same_bits("gradient", &gradient, want.1);
    }
}

/// The mean of a loss.
fn mean(loss: CrossEntropy<'_>, labels: &[i64], logits: &[f32], classes: usize) -> f32 {
    let logits = Rows::new(logits, labels.len(), classes).expect("a matrix");
    loss.reduction(Reduction::Mean).loss(labels, logits).expect("a valid call").summary.value
}

#[test]
fn a_weight_of_zero_takes_out_an_infinite_loss() {
    // PyTorch: NaN.
    let loss = CrossEntropy::new().class_weights(&[0.0, 1.0]).expect("weights");
    gives(loss, (&[0_u8]).into(), &[-INF, 0.0], 2, (&[0.0], &[0.0, 0.0]));
    let labels = Rows::new(&[1.0, 1.0], 1, 2).expect("a row");
    gives(loss, labels.into(), &[-INF, 0.0], 2, (&[0.0], &[0.0, 0.0]));
}

#[test]
fn weights_of_zero_for_all_labels_have_no_mean_and_no_gradient() {
    // PyTorch: NaN, and a gradient of NaN.
    let loss = CrossEntropy::pytorch().class_weights(&[0.0, 1.0]).expect("weights");
    gives(loss, (&[0_i64]).into(), &[1.0, 0.0], 2, (&[0.0], &[0.0, 0.0]));
    assert!(mean(loss, &[0], &[1.0, 0.0], 2).is_nan());
    assert_same_bits("0 by option", &[mean(loss.empty_mean(EmptyMean::Zero), &[0], &[1.0, 0.0], 2)], &[0.0]);
}

#[test]
fn a_row_that_does_not_count_is_never_read() {
    // PyTorch: a gradient of NaN for an ignored row that holds NaN.
    let smooth = CrossEntropy::new().label_smoothing(0.1, Smoothing::Uniform).expect("smoothing");
    for loss in [CrossEntropy::new(), smooth, smooth.soft_cap(30.0).expect("a cap")] {
        gives(loss.ignore_indices(&[7, -1]), (&[7_i64]).into(), &[NAN, INF], 2, (&[0.0], &[0.0, 0.0]));
        let weightless = loss.row_weights(&[0.0]).expect("weights");
        gives(weightless, (&[0_i64]).into(), &[NAN, -INF], 2, (&[0.0], &[0.0, 0.0]));
        let labels = Rows::new(&[0.5, 0.5], 1, 2).expect("a row");
        gives(weightless, labels.into(), &[NAN, -INF], 2, (&[0.0], &[0.0, 0.0]));
    }
}

#[test]
fn smoothing_counts_only_classes_that_take_part() {
    // PyTorch: inf.
    let uniform = CrossEntropy::new().label_smoothing(0.5, Smoothing::Uniform).expect("smoothing");
    gives(uniform, (&[0_u8]).into(), &[0.0, 0.0, -INF], 3, (&[LN_2], &[-0.25, 0.25, 0.0]));
    let others = CrossEntropy::new().label_smoothing(0.5, Smoothing::Others).expect("smoothing");
    gives(others, (&[0_u8]).into(), &[0.0, 0.0, -INF], 3, (&[LN_2], &[0.0, 0.0, 0.0]));
    gives(others, (&[0_u8]).into(), &[0.0, -INF, -INF], 3, (&[0.0], &[0.0, 0.0, 0.0]));
    let mask = [true, true, false];
    gives(uniform.class_mask(&mask), (&[0_u8]).into(), &[0.0, 0.0, NAN], 3, (&[LN_2], &[-0.25, 0.25, 0.0]));
}

#[test]
fn smoothing_and_ignored_rows_divide_by_the_rows_that_count() {
    let smooth = CrossEntropy::pytorch().label_smoothing(0.1, Smoothing::Uniform).expect("smoothing");
    assert_same_bits("the mean", &[mean(smooth, &[0, -100], &[1.0, 1.0, 5.0, 0.0], 2)], &[LN_2]);
    assert!(mean(smooth, &[-100], &[1.0, 1.0], 2).is_nan());
    gives(smooth, (&[-100_i64]).into(), &[1.0, 1.0], 2, (&[0.0], &[0.0, 0.0]));
}

#[test]
fn one_class_is_certain_with_any_smoothing() {
    for smoothing in [Smoothing::Uniform, Smoothing::Others] {
        let loss = CrossEntropy::new().label_smoothing(1.0, smoothing).expect("smoothing");
        gives(loss, (&[0_u8]).into(), &[3.0], 1, (&[0.0], &[0.0]));
    }
}

#[test]
fn a_label_that_is_masked_has_an_infinite_loss_and_no_gradient() {
    let masked = CrossEntropy::new().class_mask(&[false, true, true]);
    gives(masked, (&[0_u8]).into(), &[9.0, 0.0, 0.0], 3, (&[INF], &[0.0, 0.5, 0.5]));
    // Of a distribution what is masked does not count.
    let labels = Rows::new(&[0.5, 0.5, 0.0], 1, 3).expect("a row");
    gives(masked, labels.into(), &[9.0, 0.0, 0.0], 3, (&[0.5 * LN_2], &[0.0, -0.25, 0.25]));
    let gradient = masked.label_gradient(Rows::new(&[9.0, 0.0, 0.0], 1, 3).expect("a row")).expect("a call");
    assert_eq!(gradient, [0.0, LN_2, LN_2]);
    // All of a row: NaN, as for logits that are all -inf.
    let nothing = CrossEntropy::new().class_mask(&[false, false]);
    gives(nothing, (&[0_u8]).into(), &[0.0, 0.0], 2, (&[NAN], &[NAN, NAN]));
}

#[test]
fn a_masked_class_stays_one_after_a_cap() {
    let capped = CrossEntropy::new().soft_cap(10.0).expect("a cap");
    gives(capped, (&[0_u8]).into(), &[0.0, 0.0, -INF], 3, (&[LN_2], &[-0.5, 0.5, 0.0]));
    gives(capped, (&[0_u8]).into(), &[0.0, INF, 0.0], 3, (&[NAN], &[NAN; 3]));
    // Far beyond the cap the logit is the cap, and nothing is left of the slope.
    let at_cap = CrossEntropy::new().loss(&[0_u8], Rows::new(&[10.0, -10.0], 1, 2).expect("a row"));
    let want = at_cap.expect("a valid call").rows;
    assert!((want[0] / 2.061_153_7e-9 - 1.0).abs() < 2e-7, "{want:?}");
    gives(capped, (&[0_u8]).into(), &[1e9, -1e9], 2, (&want, &[0.0, 0.0]));
}

#[test]
fn what_a_masked_class_holds_does_not_matter_to_a_cap() {
    let capped = CrossEntropy::new().soft_cap(10.0).expect("a cap").empty_rows(EmptyRows::Zero);
    for classes in [3, 70, 1000] {
        // Twenty rows, of which the last has no other class.
        let mask: Vec<bool> = (0..20 * classes).map(|i| i < 19 * classes && i % classes != 1).collect();
        let logits: Vec<f32> = (0..20 * classes).map(|i| if mask[i] { 0.25 } else { 0.0 }).collect();
        let junk: Vec<f32> = logits.iter().map(|x| if *x == 0.0 { NAN } else { *x }).collect();
        let per_row = capped.row_class_masks(&mask);
        let shared = capped.class_mask(&mask[..classes]);
        for backend in backends() {
            for (masked, rows) in [(per_row, 20), (shared, 19)] {
                let of = |values| {
                    let view = Rows::new(values, rows, classes).expect("a matrix").with_backend(backend);
                    masked.loss_and_gradient(&vec![0_u8; rows], view).expect("a valid call")
                };
                let ((want, gradient), (got, other)) =
                    (of(&logits[..rows * classes]), of(&junk[..rows * classes]));
                assert!(gradient.iter().all(|x| x.is_finite()), "{backend}");
                assert_same_bits("losses", &got.rows, &want.rows);
                assert_same_bits("gradient", &other, &gradient);
            }
        }
    }
}

#[test]
fn labels_that_do_not_add_up_to_one_have_the_gradient_that_is_asked_for() {
    let half = Rows::new(&[0.25, 0.25, 0.0, 0.0], 2, 2).expect("rows");
    let tensorflow = CrossEntropy::new().dense_gradient(DenseGradient::ProbabilitiesMinusLabels);
    assert_eq!(tensorflow, CrossEntropy::tensorflow());
    let losses = [0.5 * LN_2, 0.0];
    gives(CrossEntropy::new(), half.into(), &[0.0; 4], 2, (&losses, &[0.0; 4]));
    gives(tensorflow, half.into(), &[0.0; 4], 2, (&losses, &[0.25, 0.25, 0.5, 0.5]));
}

#[test]
fn a_temperature_is_a_division() {
    let logits = [3.0_f32, 1.0, -2.0, 0.5];
    let halved: Vec<f32> = logits.iter().map(|x| x / 2.0).collect();
    for backend in backends() {
        let view = |values| Rows::new(values, 1, 4).expect("a row").with_backend(backend);
        let warm = CrossEntropy::new().temperature(2.0).expect("a temperature");
        let (loss, gradient) = warm.loss_and_gradient(&[1_u8], view(&logits)).expect("a call");
        let (want, of_halved) =
            CrossEntropy::new().loss_and_gradient(&[1_u8], view(&halved)).expect("a call");
        assert_same_bits("losses", &loss.rows, &want.rows);
        for (got, want) in gradient.iter().zip(of_halved) {
            assert!((got - want / 2.0).abs() <= 1e-7 * want.abs(), "{got} for {}", want / 2.0);
        }
    }
}

#[test]
fn the_z_loss_is_part_of_the_loss_and_known_by_itself() {
    let loss = CrossEntropy::new().z_loss(0.5).expect("a scale");
    let logits = Rows::new(&[0.0, 0.0], 1, 2).expect("a row");
    let (got, sums) = loss.forward(&[0_u8], logits).expect("a call");
    let alone = sums[0].z_loss(0.5);
    assert!((alone - 0.5 * LN_2 * LN_2).abs() < 1e-7);
    assert!((got.rows[0] - (LN_2 + alone)).abs() < 1e-7);
    assert_same_bits("of nothing", &[xent::LogSumExp::EMPTY.z_loss(0.5)], &[0.0]);
}

#[test]
fn the_z_loss_of_an_infinite_log_sum_exp_is_infinite_and_0_times_it_is_0() {
    let edges = [[f32::INFINITY, 1.0], [f32::NEG_INFINITY; 2], [f32::NAN, f32::INFINITY]];
    for backend in backends() {
        let logits = Rows::new(edges.as_flattened(), 3, 2).expect("rows").with_backend(backend);
        for (scale, expected) in [(0.5, [f32::INFINITY, 0.0, f32::NAN]), (0.0, [0.0, 0.0, f32::NAN])] {
            let loss = CrossEntropy::new().z_loss(scale).expect("a scale");
            let mut z_loss = [9.0; 3];
            let wanted = Statistics::new().z_loss(&mut z_loss);
            loss.statistics_into(&[0_u8, 0, 0], logits, wanted).expect("a call");
            assert_same_bits("with a read of the rows", &z_loss, &expected);
            let sums = loss.forward(&[0_u8, 0, 0], logits).expect("a call").1;
            let z_loss: Vec<_> = sums.iter().map(|sum| sum.z_loss(scale)).collect();
            assert_same_bits("of their sums", &z_loss, &expected);
        }
    }
}

#[test]
fn gradients_of_a_large_z_loss_and_of_large_weights_are_the_same_by_every_way_to_read_rows() {
    const ROWS: usize = 17;
    const CLASSES: usize = 300;
    // Class 3 has next to everything.
    let logit = |class| if class == 3 { 30.0_f32 } else { 1.0 };
    let logits: Vec<f32> = (0..ROWS * CLASSES).map(|i| logit(i % CLASSES)).collect();
    let turned: Vec<f32> = (0..ROWS * CLASSES).map(|i| logit(i / ROWS)).collect();
    let labels = [7_u16; ROWS];
    let sum = 30_f64.exp() + 299.0 * 1_f64.exp();
    let slope = |factor: f64| 1.0 + 2.0 * factor * sum.ln();
    let weights: Vec<f32> = (0..CLASSES).map(|class| if class == 7 { 2e38 } else { 0.0 }).collect();
    let z_loss = |factor| CrossEntropy::new().z_loss(factor).expect("a factor");
    let weighted = CrossEntropy::new().class_weights(&weights).expect("weights");
    for (loss, factor, at_label) in [
        (z_loss(1e37), slope(1e37), 1.0),
        (z_loss(1e46), slope(1e46), 1.0),
        (weighted, f64::from(2e38_f32), f64::from(2e38_f32)),
    ] {
        for backend in backends() {
            let last = Rows::new(&logits, ROWS, CLASSES).expect("a matrix").with_backend(backend);
            let (_, of_last) = loss.loss_and_gradient(&labels[..], last).expect("a valid call");
            for (i, got) in of_last.iter().enumerate() {
                let share = factor * (f64::from(logits[i]).exp() / sum);
                let want = if i % CLASSES == 7 { share - at_label } else { share };
                let error = (f64::from(*got) - want).abs() / want.abs();
                // Three units of an f32 at the most.
                let is_right = error < 3.0 * f64::from(f32::EPSILON)
                    || (got.is_infinite() && want.abs() > f64::from(f32::MAX));
                assert!(is_right, "{backend}, class {}: {got} is not {want}", i % CLASSES);
            }
            let middle =
                Rows::along_axis(&turned, &[1, CLASSES, ROWS], 1).expect("rows").with_backend(backend);
            let (mut losses, mut of_middle) = ([0.0; ROWS], vec![0.0; ROWS * CLASSES]);
            let to = RowsMut::along_axis(&mut of_middle, &[1, CLASSES, ROWS], 1).expect("rows");
            loss.loss_and_gradient_into(&labels[..], middle, &mut losses, to).expect("a valid call");
            let turned: Vec<f32> =
                (0..ROWS * CLASSES).map(|i| of_middle[i % CLASSES * ROWS + i / CLASSES]).collect();
            assert_same_bits("classes in the middle", &turned, &of_last);
        }
    }
}

#[test]
fn a_log_sum_exp_from_a_number_has_its_value() {
    for value in [0.0, -3.5, 88.7, 1e30, -1e30, INF, -INF, NAN] {
        assert_same_bits("the number", &[xent::LogSumExp::from(value).value()], &[value]);
    }
    assert_eq!(xent::LogSumExp::from(-INF), xent::LogSumExp::EMPTY);
}

#[test]
fn denominators_are_what_they_say() {
    let logits = [0.0; 6];
    let loss = CrossEntropy::new().ignore_index(-1).class_weights(&[1.0, 3.0]).expect("weights");
    let by = |denominator| mean(loss.denominator(denominator).expect("a number"), &[0, -1, 1], &logits, 2);
    let sum = 4.0 * LN_2;
    for (denominator, number) in [
        (Denominator::UsedRows, 2.0),
        (Denominator::Weights, 4.0),
        (Denominator::AllRows, 3.0),
        (Denominator::Given(16.0), 16.0),
    ] {
        assert!((by(denominator) - sum / number).abs() < 1e-6, "{denominator:?}");
    }
    let rows = Rows::new(&logits, 3, 2).expect("rows");
    let summary = loss.loss(&[0, -1, 1], rows).expect("a call").summary;
    assert_eq!((summary.used_rows, summary.weight_sum, summary.non_finite_rows), (2, 4.0, 0));
    let nan = Rows::new(&[NAN, 0.0, 0.0, 0.0, -INF, -INF], 3, 2).expect("rows");
    let summary = CrossEntropy::new().loss(&[0, 1, 0], nan).expect("a call").summary;
    assert_eq!(summary.non_finite_rows, 2);
}

#[test]
fn numbers_that_an_option_cannot_be_are_errors() {
    let new = CrossEntropy::new;
    let results = [
        new().class_weights(&[1.0, INF]),
        new().row_weights(&[NAN]),
        new().label_smoothing(-0.1, Smoothing::Uniform),
        new().label_smoothing(1.1, Smoothing::Others),
        new().z_loss(-1.0),
        new().logit_scale(0.0),
        new().temperature(f64::INFINITY),
        new().temperature(1e-300),
        new().soft_cap(f64::NAN),
        new().denominator(Denominator::Given(0.0)),
    ];
    let names: Vec<_> = results
        .into_iter()
        .map(|result| match result {
            Err(error @ Error::Option { what, .. }) => {
                assert!(error.to_string().contains("expected"), "{error}");
                what
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [
        "class weight",
        "row weight",
        "label smoothing",
        "label smoothing",
        "z-loss",
        "logit scale",
        "temperature",
        "temperature",
        "soft cap",
        "denominator",
    ];
    assert_eq!(names, expected);
}

#[test]
fn options_of_another_length_are_errors_before_anything_is_written() {
    let logits = Rows::new(&[0.0; 6], 2, 3).expect("rows");
    let weighted = CrossEntropy::new().class_weights(&[1.0; 2]).expect("weights");
    let per_row = CrossEntropy::new().row_weights(&[1.0; 3]).expect("weights");
    for (loss, what, given, expected) in [
        (weighted, "class weights", 2, 3),
        (CrossEntropy::new().class_mask(&[true; 2]), "class mask", 2, 3),
        (CrossEntropy::new().row_class_masks(&[true; 3]), "class mask", 3, 6),
    ] {
        let mut losses = [9.0; 2];
        let error = loss.loss_into(&[0_u8, 1], logits, &mut losses).expect_err("a length");
        assert_eq!(error, Error::OptionLength { what, given, expected });
        assert_same_bits("untouched", &losses, &[9.0; 2]);
    }
    let error = per_row.loss(&[0_u8, 1], logits).expect_err("a length");
    assert_eq!(error, Error::RowCount { what: "row weights", given: 3, expected: 2 });
}
