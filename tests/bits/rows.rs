//! A row gives the same bits alone and in any batch, at any position, stride and alignment.

use crate::case::{Case, LONG, assert_same, lengths};
use crate::common::backends;
use crate::common::paths::Layout;
use crate::common::property::for_all;

const TIGHT: Layout = Layout { offset: 0, padding: 0 };

/// Alignments to 4, 8, 16 and 32 bytes only, and paddings that move every row to another one.
const LAYOUTS: [Layout; 5] = [
    Layout { offset: 1, padding: 0 },
    Layout { offset: 2, padding: 1 },
    Layout { offset: 4, padding: 7 },
    Layout { offset: 8, padding: 16 },
    Layout { offset: 15, padding: 33 },
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
        for classes in LONG {
            let case = Case::of_every_kind(classes, false);
            let batch = case.outcomes(TIGHT, backend);
            for row in [0, 1, 5] {
                let in_batch: Vec<_> = batch.iter().map(|outcome| outcome.row(row)).collect();
                let context = format!("row {row} of {classes} classes on {backend}");
                assert_same(&context, &case.row(row).outcomes(TIGHT, backend), &in_batch);
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
            let all = classes <= 17 || classes > 67 || classes % 16 == 0;
            let some = LAYOUTS.iter().skip(if all { 0 } else { classes % 5 }).take(if all { 5 } else { 1 });
            for &layout in some {
                let context = format!("{layout:?}, {classes} classes on {backend}");
                assert_same(&context, &case.outcomes(layout, backend), &expected);
            }
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
