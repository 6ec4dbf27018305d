//! A row gives the same bits alone and in any batch, at any position, stride and alignment.

use crate::case::{Case, LONG, assert_same, is_slow, lengths};
use xent::{CrossEntropy, Reduction, Rows, RowsMut, Smoothing};

use crate::common::paths::{Axes, Layout};
use crate::common::property::for_all;
use crate::common::{assert_same_bits, backends};

const TIGHT: Layout = Layout::new(0, 0);

/// Alignments to 4, 8, 16 and 32 bytes only, and paddings that move every row to another one; and classes along every
/// other axis.
const LAYOUTS: [Layout; 11] = [
    Layout::new(1, 0),
    Layout::new(2, 1),
    Layout::new(4, 7),
    Layout::new(8, 16),
    Layout::new(15, 33),
    Layout::new(0, 0).along(Axes::Columns),
    Layout::new(3, 2).along(Axes::Columns),
    Layout::new(0, 0).along(Axes::Images),
    Layout::new(5, 2).along(Axes::Sparse),
    Layout::new(0, 1).along(Axes::Shuffled),
    Layout::new(1, 0).along(Axes::Turned),
];

#[test]
fn a_row_alone_gives_the_bits_that_it_gives_in_a_batch() {
    for backend in backends() {
        for classes in lengths() {
            let case = Case::of_every_kind(classes, true);
            let batch = case.outcomes(TIGHT, backend);
            for row in 0..case.logits.rows {
                let in_batch: Vec<_> = batch.iter().map(|outcome| outcome.row(row)).collect();
                let context = format!("row {row} of {classes} classes on {backend}");
                assert_same(&context, &case.row(row).outcomes(TIGHT, backend), &in_batch);
            }
        }
    }
}

#[test]
fn a_long_row_alone_gives_the_bits_that_it_gives_in_a_batch() {
    for backend in backends() {
        for classes in LONG.into_iter().skip(if is_slow(backend) { 5 } else { 0 }) {
            let case = Case::of_every_kind(classes, false);
            let batch = case.outcomes(TIGHT, backend);
            for row in [0, 5] {
                let in_batch: Vec<_> = batch.iter().map(|outcome| outcome.row(row)).collect();
                let context = format!("row {row} of {classes} classes on {backend}");
                assert_same(&context, &case.row(row).outcomes(TIGHT, backend), &in_batch);
            }
        }
    }
}

/// More results than stay in a cache: those of a row are written while the next is read. Among rows of every kind are some
/// that are ignored, of NaN, and of nothing but -inf.
#[test]
fn rows_beyond_the_caches_have_the_bits_that_they_have_alone() {
    for (rows, classes) in [(62, 70_001), (66, 65_536)] {
        let mut case = Case::of_rows(rows, classes);
        case.logits.values[7 * classes + 3] = f32::NAN;
        case.logits.values[8 * classes..][..classes].fill(f32::NEG_INFINITY);
        let (logits, mut labels) = (&case.logits.values, case.labels.clone());
        (labels[4], labels[9], labels[rows - 1]) = (12_345, 12_345, 12_345);
        let entropy = CrossEntropy::new().ignore_index(12_345).reduction(Reduction::None);
        for backend in backends().into_iter().filter(|backend| !is_slow(*backend)) {
            // One value further than the logits are, so that they lie otherwise in cache lines.
            let mut results = vec![0.0; 1 + rows * classes];
            let mut call = |first: usize, rows: usize, operation: usize| {
                let of = first * classes..(first + rows) * classes;
                let view = Rows::new(&logits[of.clone()], rows, classes).unwrap().with_backend(backend);
                let view = view.on_this_thread();
                let to = RowsMut::new(&mut results[1..][of.clone()], rows, classes).unwrap();
                let (labels, mut losses) = (&labels[first..][..rows], vec![0.0; rows]);
                match operation {
                    0 => drop(entropy.loss_and_gradient_into(labels, view, &mut losses, to).unwrap()),
                    1 => xent::softmax_into(view, to).unwrap(),
                    _ => xent::log_softmax_into(view, to).unwrap(),
                }
                (losses, results[1..][of].to_vec())
            };
            for operation in 0..3 {
                let (losses, batch) = call(0, rows, operation);
                for (row, in_batch) in batch.chunks(classes).enumerate() {
                    let (loss, alone) = call(row, 1, operation);
                    let context =
                        format!("operation {operation}, row {row} of {classes} classes on {backend}");
                    assert_same_bits(&context, &loss, &losses[row..=row]);
                    assert_same_bits(&context, &alone, in_batch);
                }
            }
        }
    }
}

#[test]
fn the_stride_and_the_alignment_of_rows_change_no_bit() {
    for backend in backends() {
        for classes in lengths() {
            let case = Case::of_every_kind(classes, true);
            let expected = case.outcomes(TIGHT, backend);
            // Every layout at the lengths of loops' ends, one of them elsewhere.
            let all = !is_slow(backend) && (classes <= 17 || classes > 67 || classes % 16 == 0);
            let len = LAYOUTS.len();
            let some =
                LAYOUTS.iter().skip(if all { 0 } else { classes % len }).take(if all { len } else { 1 });
            for &layout in some {
                let context = format!("{layout:?}, {classes} classes on {backend}");
                assert_same(&context, &case.outcomes(layout, backend), &expected);
            }
        }
    }
}

/// Sixteen and more that are neighbours in memory, of as many classes as are read as they lie: near and, of the last, far
/// enough to be copied in runs.
#[test]
fn ordinary_rows_with_classes_along_another_axis_have_the_bits_of_rows() {
    let shapes = [(37, 64), (50, 81), (34, 513), (34, 511), (33, 1024), (17, 16_400), (350, 768)];
    for backend in backends() {
        for (rows, classes) in shapes.into_iter().take(if is_slow(backend) { 3 } else { shapes.len() }) {
            let case = Case::of_ordinary_rows(rows, classes);
            let expected = case.outcomes(TIGHT, backend);
            for axes in [Axes::Columns, Axes::Images] {
                let context = format!("{axes:?}, {rows} x {classes} on {backend}");
                assert_same(&context, &case.outcomes(TIGHT.along(axes), backend), &expected);
            }
        }
    }
}

#[test]
fn ignored_rows_between_neighbours_change_no_bit_of_the_others() {
    let (rows, classes) = (700, 400);
    let case = Case::of_ordinary_rows(rows, classes);
    let labels: Vec<i64> = (0..)
        .zip(&case.labels)
        .map(|(i, &label)| if i % 37 == 5 { -100 } else { i64::try_from(label).expect("a class") })
        .collect();
    let turned: Vec<f32> =
        (0..classes * rows).map(|i| case.logits.values[i % rows * classes + i / rows]).collect();
    let loss = CrossEntropy::new().ignore_index(-100);
    for backend in backends() {
        let by_rows = Rows::new(&case.logits.values, rows, classes).expect("rows").with_backend(backend);
        let by_columns =
            Rows::along_axis(&turned, &[classes, rows], 0).expect("columns").with_backend(backend);
        let (expected, gradient) = loss.loss_and_gradient(&labels, by_rows).expect("a valid call");
        let mut losses = vec![0.0; rows];
        let mut to = vec![0.0; rows * classes];
        let results = RowsMut::along_axis(&mut to, &[classes, rows], 0).expect("columns");
        loss.loss_and_gradient_into(&labels, by_columns, &mut losses, results).expect("a valid call");
        let turned_back: Vec<f32> =
            (0..rows * classes).map(|i| to[i % classes * rows + i / classes]).collect();
        assert_same_bits("losses", &losses, &expected.rows);
        assert_same_bits("gradient", &turned_back, &gradient);
    }
}

/// Ordinary rows, whose results go elsewhere, over the logits, and one row at a time; some are ignored, and of some a class is
/// -inf.
#[test]
fn each_option_alone_has_the_same_bits_by_every_way_to_write_a_gradient() {
    for (rows, classes) in [(19, 40), (37, 200), (40, 300), (25, 1000), (7, 5001)] {
        let mut case = Case::of_ordinary_rows(rows, classes);
        let weights: Vec<f32> = [1.0, 0.5, 2.5, 0.0].into_iter().cycle().take(classes).collect();
        let mask: Vec<bool> = (0..classes).map(|class| class % 7 != 3).collect();
        let plain = CrossEntropy::new().ignore_index(-100);
        let smooth = plain.label_smoothing(0.1, Smoothing::Uniform).expect("smoothing");
        let options = [
            ("weights", plain.class_weights(&weights).expect("weights")),
            ("z-loss", plain.z_loss(0.1).expect("a factor")),
            ("mask", plain.class_mask(&mask)),
            ("scale", plain.logit_scale(0.7).expect("a scale")),
            ("cap", plain.soft_cap(20.0).expect("a cap")),
            ("smoothing", smooth),
            ("weighted smoothing", smooth.class_weights(&weights).expect("weights")),
            ("smoothing and scale", smooth.logit_scale(0.7).expect("a scale")),
            ("smoothing and mask", smooth.class_mask(&mask)),
        ];
        for masked in [false, true] {
            let labels: Vec<i64> = (0..)
                .zip(&case.labels)
                .map(|(i, &label)| if i % 11 == 6 { -100 } else { i64::try_from(label).expect("a class") })
                .collect();
            if masked {
                case.logits.values[(rows / 2) * classes + 5] = f32::NEG_INFINITY;
            }
            for backend in backends() {
                let view = |values| Rows::new(values, rows, classes).expect("rows").with_backend(backend);
                for (name, loss) in options {
                    let context = format!("{name}, {rows} x {classes} on {backend}");
                    let (elsewhere, gradient) =
                        loss.loss_and_gradient(&labels, view(&case.logits.values)).expect("a valid call");
                    let (mut over, mut losses) = (case.logits.values.clone(), vec![0.0; rows]);
                    let to = RowsMut::new(&mut over, rows, classes).expect("rows").with_backend(backend);
                    loss.loss_and_gradient_in_place(&labels, to, &mut losses).expect("a valid call");
                    assert_same_bits(&context, &losses, &elsewhere.rows);
                    assert_same_bits(&context, &over, &gradient);
                    for (row, logits) in case.logits.values.chunks(classes).enumerate() {
                        let one = Rows::new(logits, 1, classes).expect("a row").with_backend(backend);
                        let (_, own) = loss.loss_and_gradient(&labels[row..=row], one).expect("a valid call");
                        assert_same_bits(&context, &own, &gradient[row * classes..][..classes]);
                    }
                }
            }
        }
    }
}

/// A hyperbolic tangent is computed in one way next to 0 and in another elsewhere, whatever lies beside it.
#[test]
fn a_capped_logit_does_not_depend_on_its_neighbours() {
    let mut random = fastrand::Rng::with_seed(5);
    let (near, far) = (|x: f32| x.abs() < 11.0, |x: f32| x.abs() > 11.5);
    let numbers = (0..400_000).map(|_| 40.0 * random.f32() - 20.0);
    let logits: Vec<f32> = numbers.filter(|&x| near(x) || far(x)).collect();
    let loss = CrossEntropy::new().soft_cap(20.0).expect("a cap");
    let losses = |logits: &[f32], backend| {
        let beside_zero: Vec<f32> = logits.iter().flat_map(|&x| [x, 0.0]).collect();
        let view = Rows::new(&beside_zero, logits.len(), 2).expect("rows").with_backend(backend);
        loss.loss(&vec![1_u8; logits.len()], view).expect("a valid call").rows
    };
    for backend in backends() {
        let together = losses(&logits, backend);
        for (name, apart) in [("near", &near as &dyn Fn(f32) -> bool), ("far", &far)] {
            let chosen = |values: &[f32]| -> Vec<f32> {
                values.iter().zip(&logits).filter(|(_, x)| apart(**x)).map(|(value, _)| *value).collect()
            };
            let alone = losses(&chosen(&logits), backend);
            assert_same_bits(&format!("{name}, on {backend}"), &alone, &chosen(&together));
        }
    }
}

#[test]
fn no_row_depends_on_its_place_or_its_neighbours() {
    for_all("the same bits anywhere", Case::any(), |(case, layout), backend, _| {
        let batch = case.outcomes(*layout, backend);
        for row in 0..case.logits.rows {
            let in_batch: Vec<_> = batch.iter().map(|outcome| outcome.row(row)).collect();
            assert_same("alone", &case.row(row).outcomes(TIGHT, backend), &in_batch);
        }
    });
}
