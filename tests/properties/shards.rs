//! Rows whose classes are shared by shards, against the rows with all classes and against the f64 reference.

use crate::common;
use crate::common::composite::{Composite, Target};
use crate::common::{assert_same_bits, backends, bound, contract, ulp};
use fastrand::Rng;
use xent::{
    Backend, CrossEntropy, Denominator, Error, LogSumExp, PartialRow, Reduction, Rows, RowsMut, Shard,
    Smoothing,
};

const PART: usize = Shard::PART;
const IGNORED: i64 = -100;
/// Of the logits that bits are compared of: three whole parts, and a few classes.
const CLASSES: usize = 3 * PART + 40;
/// One to four shards, of one part and of several.
const CUTS: [&[usize]; 6] =
    [&[0], &[0, PART], &[0, 2 * PART], &[0, 3 * PART], &[0, PART, 3 * PART], &[0, PART, 2 * PART, 3 * PART]];

/// Rows of every kind: each with a label on another shard, one that is ignored, and logits that are not ordinary.
fn rows() -> (Vec<i64>, Vec<f32>) {
    let mut rng = Rng::with_seed(18);
    let labels = [5, 16_383, 16_384, 40_000, 49_191, IGNORED, 49_152, 7, 20_000, 33_000];
    let mut logits = vec![0.0_f32; labels.len() * CLASSES];
    for (row, logits) in logits.chunks_mut(CLASSES).enumerate() {
        for (class, x) in logits.iter_mut().enumerate() {
            let sum: f32 = (0..4).map(|_| rng.f32() - 0.5).sum();
            *x = match row {
                // Far below what is ordinary, and above it in one shard alone.
                4 => sum * 6.0 - 60.0,
                6 => sum * 60.0,
                // Sums of parts of several magnitudes: they are rounded when they are added, and the order tells.
                0 | 1 | 5 => sum * 6.0 - [0.0, 11.3, 8.7, 2.1][class / PART],
                _ => sum * 6.0,
            };
        }
        match row {
            // A label that is nearly certain.
            2 => logits[16_384] = 35.0,
            3 => logits[20_000] = 70.0,
            // One shard without anything, and rows that have masked classes.
            7 => logits[PART..2 * PART].fill(f32::NEG_INFINITY),
            8 => logits[20_000] = f32::NEG_INFINITY,
            9 => logits[12] = f32::NAN,
            _ => {}
        }
    }
    (labels.to_vec(), logits)
}

/// The columns of some classes.
fn columns(logits: &[f32], classes: usize, from: usize, to: usize) -> Vec<f32> {
    logits.chunks(classes).flat_map(|row| &row[from..to]).copied().collect()
}

/// Where what the shard from a class on knows begins, of what has been gathered.
fn gathered_at(shards: &[(usize, usize)], from: usize, rows: usize, runs: Option<usize>) -> usize {
    let before = shards.iter().take_while(|shard| shard.0 < from);
    before.map(|(from, to)| rows * runs.unwrap_or(Shard::parts(to - from))).sum()
}

/// What shards make of rows, on one machine after another.
struct Sharded {
    losses: Vec<f32>,
    value: f32,
    gradient: Vec<f32>,
    merged: Vec<PartialRow>,
}

/// Cuts rows between classes, gathers what the shards know, and puts their gradients together. `loss` is that of a shard.
fn sharded<'a>(
    (labels, logits, classes): (&[i64], &[f32], usize),
    backend: Backend,
    cuts: &[usize],
    runs: Option<usize>,
    loss: impl Fn(usize, usize) -> CrossEntropy<'a>,
) -> Sharded {
    let rows = labels.len();
    let ends = cuts.iter().skip(1).copied().chain([classes]);
    let shards: Vec<_> = cuts.iter().copied().zip(ends).collect();
    let shard = |from, to| {
        Shard::new(from, classes).unwrap().with_loss(loss(from, to)).unwrap().with_backend(backend)
    };
    let mut gathered = Vec::new();
    for &(from, to) in &shards {
        let own = columns(logits, classes, from, to);
        let view = Rows::new(&own, rows, to - from).unwrap().with_backend(backend);
        match runs {
            None => gathered.extend(shard(from, to).partials(labels, view).unwrap()),
            Some(runs) => {
                let mut partials = vec![PartialRow::EMPTY; rows * runs];
                shard(from, to).partials_into(labels, view, &mut partials).unwrap();
                gathered.extend(partials);
            }
        }
    }
    let mut merged = vec![PartialRow::EMPTY; rows];
    Shard::merge(&gathered, &mut merged).unwrap();
    let mut gradient = vec![0.0; logits.len()];
    let mut results = Vec::new();
    for &(from, to) in &shards {
        let shard = shard(from, to);
        let mut own = columns(logits, classes, from, to);
        let view = Rows::new(&own, rows, to - from).unwrap().with_backend(backend);
        let of_classes = shard.gradient(labels, view, &merged).unwrap();
        let over = RowsMut::new(&mut own, rows, to - from).unwrap().with_backend(backend);
        shard.gradient_in_place(labels, over, &merged).unwrap();
        assert_same_bits("in place", &own, &of_classes);
        if classes < PART || cuts.len() == 2 {
            // The same with the rows of a class after each other.
            let own = columns(logits, classes, from, to);
            let turned: Vec<f32> = (0..own.len()).map(|i| own[i % rows * (to - from) + i / rows]).collect();
            let view = Rows::with_strides(&turned, [1, to - from, rows], [0, rows, 1]).unwrap();
            let view = view.with_backend(backend);
            let mut partials = vec![PartialRow::EMPTY; rows * runs.unwrap_or(Shard::parts(to - from))];
            shard.partials_into(labels, view, &mut partials).unwrap();
            let first = gathered_at(&shards, from, rows, runs);
            let bytes = |rows: &[PartialRow]| bytemuck::cast_slice::<_, u8>(rows).to_vec();
            assert_eq!(bytes(&partials), bytes(&gathered[first..][..partials.len()]));
            assert_same_bits("columns", &shard.gradient(labels, view, &merged).unwrap(), &of_classes);
        }
        for (to_row, from_row) in gradient.chunks_mut(classes).zip(of_classes.chunks(to - from)) {
            to_row[from..to].copy_from_slice(from_row);
        }
        let loss = shard.losses(labels, &merged).unwrap();
        results.push((loss.rows, loss.summary.value));
    }
    let (losses, value) = results.pop().unwrap();
    for (other, of_all) in results {
        assert_same_bits("losses on each rank", &other, &losses);
        assert_same_bits("what they add up to", &[of_all], &[value]);
    }
    Sharded { losses, value, gradient, merged }
}

#[test]
fn shards_of_whole_parts_give_the_bits_of_whole_rows() {
    let (labels, logits) = rows();
    let weights: Vec<f32> = (0..u16::MAX).map(|i| f32::from(i % 7) * 0.5).take(CLASSES).collect();
    let (row_weights, upstream) = ([1.0, -2.0, 0.5, 1.0, 0.0, 1.0, 3.0, 1.0, 1.0, 2.0], [0.3; 10]);
    let mask: Vec<bool> = (0..CLASSES).map(|class| class % 5 != 1).collect();
    let plain = CrossEntropy::new().ignore_index(IGNORED);
    let mean = plain.reduction(Reduction::Mean);
    let weighted = mean.denominator(Denominator::Weights).unwrap().class_weights(&weights).unwrap();
    let scaled = plain.temperature(0.7).unwrap().soft_cap(30.0).unwrap().row_weights(&row_weights).unwrap();
    let options: [(&str, CrossEntropy<'_>, Option<&[bool]>); 6] = [
        ("plain", plain, None),
        ("z-loss, upstream", plain.z_loss(0.01).unwrap().upstream(&upstream), None),
        ("class weights", weighted.z_loss(1e-4).unwrap(), None),
        ("mapped", scaled, None),
        ("masked", mean, Some(&mask)),
        ("smoothed", plain.label_smoothing(0.1, Smoothing::Uniform).unwrap(), None),
    ];
    for backend in backends() {
        for (what, loss, mask) in options {
            let masked = |from, to| mask.map_or(loss, |mask| loss.class_mask(&mask[from..to]));
            let view = Rows::new(&logits, labels.len(), CLASSES).unwrap().with_backend(backend);
            let (whole, gradient) = masked(0, CLASSES).loss_and_gradient(&labels, view).unwrap();
            // All options in all ways to cut, or each in one.
            for cuts in if what == "plain" { &CUTS[..] } else { &CUTS[4..5] } {
                let what = format!("{backend}, {what}, shards from {cuts:?}");
                let got = sharded((&labels, &logits, CLASSES), backend, cuts, None, masked);
                assert_same_bits(&what, &got.gradient, &gradient);
                if mask.is_none() {
                    // Before anything is rounded to f32, which hides all but one difference in millions.
                    let (_, sums) = loss.forward(&labels, view).unwrap();
                    for (row, sum) in got.merged.iter().zip(&sums).filter(|(_, sum)| !sum.value().is_nan()) {
                        let used = *sum != LogSumExp::EMPTY;
                        assert!(!used || row.log_sum_exp() == *sum, "{what}: {row:?} is not {sum:?}");
                    }
                }
                if what.contains("smoothed") {
                    for (got, want) in got.losses.iter().zip(&whole.rows) {
                        assert!(ulp::error(*got, f64::from(*want)) <= 1.0, "{what}: {got:e} for {want:e}");
                    }
                } else {
                    assert_same_bits(&what, &got.losses, &whole.rows);
                    assert_same_bits(&what, &[got.value], &[whole.summary.value]);
                }
            }
        }
    }
}

#[test]
fn any_shards_are_within_the_contract() {
    let mut rng = Rng::with_seed(3);
    let classes = 150;
    let labels = [0_i64, 149, 20, IGNORED, 75, 21, 64];
    let mut logits: Vec<f32> = (0..labels.len() * classes)
        .map(|i| (rng.f32() - 0.5) * [4.0, 30.0, 200.0, 1.0, 900.0, 8.0, 2e3][i / classes])
        .collect();
    // Masked classes, of one row a whole shard's; and a label that takes no part.
    logits[classes..][..149].iter_mut().step_by(7).for_each(|x| *x = f32::NEG_INFINITY);
    logits[5 * classes + 64..][..85].fill(f32::NEG_INFINITY);
    logits[4 * classes + 75] = f32::NEG_INFINITY;
    for backend in backends() {
        for (smoothing, kind) in
            [(0.0, Smoothing::Uniform), (0.2, Smoothing::Uniform), (0.3, Smoothing::Others)]
        {
            let loss = CrossEntropy::new().ignore_index(IGNORED).z_loss(1e-3).unwrap();
            let loss = loss.label_smoothing(smoothing, kind).unwrap();
            for cuts in [&[0][..], &[0, 1], &[0, 20, 64, 149], &[0, 75, 76]] {
                // One run of rows, or more than there are parts.
                for runs in [1, 3] {
                    let got = sharded((&labels, &logits, classes), backend, cuts, Some(runs), |_, _| loss);
                    check(backend, (&labels, &logits, classes), &got, (smoothing, kind == Smoothing::Others));
                }
            }
        }
    }
}

/// Compares with the f64 reference.
fn check(
    backend: Backend,
    (labels, logits, classes): (&[i64], &[f32], usize),
    got: &Sharded,
    smoothing: (f64, bool),
) {
    for (row, logits) in logits.chunks(classes).enumerate() {
        let own = &got.gradient[row * classes..][..classes];
        let Ok(label) = usize::try_from(labels[row]) else {
            assert_same_bits("ignored", own, &vec![0.0; classes]);
            continue;
        };
        let reference = Composite {
            class_weights: None,
            row_weight: 1.0,
            keep: vec![true; classes],
            smoothing,
            z_loss: 1e-3,
            scale: 1.0,
            cap: None,
            unit_mass: false,
        };
        let want = reference.row(Target::Class(label), logits, 1.0);
        let (of_loss, of_gradient) = want.z_slack;
        let off = |got: f32, want: f64, slack: f64| {
            ulp::error(got, want).min(((f64::from(got) - want).abs() - slack).max(0.0) / ulp::size(want))
        };
        assert!(
            off(got.losses[row], want.loss, of_loss) <= bound(backend, contract::LOSS) + 1.0,
            "{backend}, row {row}: {:e} for {:e}",
            got.losses[row],
            want.loss
        );
        for (class, (got, want_of)) in own.iter().zip(&want.gradient).enumerate() {
            let size = ulp::size(want_of.abs().max(want.parts[class].abs()));
            let error = ((f64::from(*got) - want_of).abs() - of_gradient.abs()).max(0.0) / size;
            // Below the smallest normal number results are 0.
            let flushed = *got == 0.0 && want_of.abs() < 1.2e-38;
            assert!(
                flushed || error <= bound(backend, contract::GRADIENT) + 1.0,
                "{backend}, row {row}: {got:e}"
            );
        }
        let (largest, class) = got.merged[row].largest().unwrap();
        assert_eq!(class, common::reference::argmax(logits));
        assert_same_bits("largest", &[largest], &[logits[class]]);
        let sum = got.merged[row].log_sum_exp();
        let expected = common::reference::log_sum_exp(logits);
        assert!((sum.to_f64() - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{sum:?} for {expected}");
    }
}

/// What users reported of a saved sum that covers more classes than the row.
#[test]
fn a_shard_has_the_gradient_of_its_own_classes() {
    let whole = [1.0, 2.0, 3.0, 0.5, -1.0, 2.5];
    let got = sharded((&[4], &whole, 6), backends()[0], &[0, 3], None, |_, _| CrossEntropy::new());
    let want = [0.061_233_6, 0.166_450_3, 0.452_458_8];
    assert!(got.gradient.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6), "{:?}", got.gradient);
    let one = sharded((&[0], &[1.0, 2.0], 2), backends()[0], &[0, 1], None, |_, _| CrossEntropy::new());
    assert!((one.gradient[0] + 0.731_058_6).abs() < 1e-6, "{:?}", one.gradient);
}

#[test]
fn a_rank_without_classes_changes_nothing() {
    let logits = Rows::new(&[1.0, 2.0, 3.0, 4.0], 2, 2).unwrap();
    let shard = Shard::new(0, 2).unwrap();
    let own = shard.partials(&[1_u8, 0], logits).unwrap();
    for gathered in
        [[&own[..], &[PartialRow::EMPTY; 2]].concat(), [&[PartialRow::EMPTY; 2], &own[..]].concat()]
    {
        let mut merged = [PartialRow::EMPTY; 2];
        Shard::merge(&gathered, &mut merged).unwrap();
        assert_eq!(merged, own[..]);
    }
    // The rank itself has the losses.
    let empty = Shard::new(2, 2).unwrap();
    assert_eq!(empty.losses(&[1_u8, 0], &own).unwrap(), shard.losses(&[1_u8, 0], &own).unwrap());
    let none = Rows::new(&[] as &[f32], 0, 2).unwrap();
    let of_none = shard.partials(&[0_u8; 0], none).unwrap();
    assert!(of_none.is_empty() && empty.losses(&[0_u8; 0], &of_none).unwrap().rows.is_empty());
    assert_eq!(PartialRow::EMPTY.largest(), None);
    assert!(PartialRow::EMPTY.log_sum_exp().is_empty());
}

#[test]
fn partial_rows_are_sent_as_bytes() {
    let rows =
        Shard::new(0, 3).unwrap().partials(&[0_u8], Rows::new(&[1.0, 2.0, 3.0], 1, 3).unwrap()).unwrap();
    let bytes: &[u8] = bytemuck::cast_slice(&rows);
    assert_eq!(bytes.len(), 32);
    assert_eq!(bytemuck::cast_slice::<u8, PartialRow>(bytes), rows);
    // Of other bytes nothing can be said, but that nothing panics.
    for byte in [0_u8, 0x7f, 0x80, 0xff] {
        let other: PartialRow = bytemuck::cast([byte; 32]);
        let merged = [rows[0].merge(other)];
        drop(Shard::new(0, 3).unwrap().losses(&[0_u8], &merged));
    }
}

#[test]
fn what_cannot_be_is_an_error() {
    let logits = Rows::new(&[0.0; 6], 2, 3).unwrap();
    let shard = Shard::new(2, 5).unwrap();
    let out_of_range = |first, classes, total| Error::ShardOutOfRange { first, classes, total };
    assert_eq!(Shard::new(6, 5).unwrap_err(), out_of_range(6, 0, 5));
    assert_eq!(Shard::new(0, 1 << 30).unwrap_err(), out_of_range(0, 0, 1 << 30));
    let beyond = Shard::new(3, 5).unwrap();
    assert_eq!(beyond.partials(&[0_u8, 0], logits).unwrap_err(), out_of_range(3, 3, 5));
    assert!(out_of_range(3, 3, 5).to_string().contains("3 classes from 3 on reaches beyond 5"));
    let label = Error::LabelOutOfRange { row: 1, label: 5, classes: 5 };
    assert_eq!(shard.partials(&[0_u8, 5], logits).unwrap_err(), label);
    let count = |what, given| Error::RowCount { what, given, expected: 2 };
    assert_eq!(shard.partials(&[0_u8], logits).unwrap_err(), count("labels", 1));
    for len in [0, 1, 3] {
        let mut partials = vec![PartialRow::EMPTY; len];
        assert_eq!(
            shard.partials_into(&[0_u8, 1], logits, &mut partials).unwrap_err(),
            count("partial rows", len)
        );
        assert_eq!(
            Shard::merge(&partials, &mut [PartialRow::EMPTY; 2]).unwrap_err(),
            count("partial rows", len)
        );
    }
    // The second row's label is on the other shard.
    let own = shard.partials(&[2_u8, 0], logits).unwrap();
    assert_eq!(shard.losses(&[2_u8, 0], &own).unwrap_err(), Error::LabelNotMerged { row: 1 });
    assert_eq!(shard.gradient(&[2_u8, 0], logits, &own).unwrap_err(), Error::LabelNotMerged { row: 1 });
    let nothing = [PartialRow::EMPTY; 2];
    assert_eq!(shard.gradient(&[2_u8, 0], logits, &nothing).unwrap_err(), Error::EmptySum { row: 0 });
    let mut small = [7.0; 4];
    let mismatch = Error::ShapeMismatch { what: "gradient", given: (2, 2), expected: (2, 3) };
    let gradient = RowsMut::new(&mut small, 2, 2).unwrap();
    assert_eq!(shard.gradient_into(&[2_u8, 2], logits, &own, gradient).unwrap_err(), mismatch);
    // Weights are those of all classes, masks those at hand.
    let weighted = CrossEntropy::new().class_weights(&[1.0; 3]).unwrap();
    let wrong = |what, given, expected| Error::OptionLength { what, given, expected };
    let with = |loss| shard.with_loss(loss).unwrap().partials(&[2_u8, 2], logits).unwrap_err();
    assert_eq!(with(weighted), wrong("class weights", 3, 5));
    assert_eq!(with(CrossEntropy::new().class_mask(&[true; 5])), wrong("class mask", 5, 3));
    let both = weighted.label_smoothing(0.1, Smoothing::Uniform).unwrap();
    assert!(matches!(shard.with_loss(both), Err(Error::Option { what: "label smoothing", .. })));
}
