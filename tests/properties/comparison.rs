//! Two sets of logits compared, against naive sums in f64 of terms that do not cancel.

use crate::common::comparison::compare;
use crate::common::property::{Errors, Want, for_all};
use crate::common::{assert_same_bits, backends, same_bits};
use proptest::collection::vec;
use proptest::prelude::*;
use rayon::ThreadPoolBuilder;
use xent::{Backend, Comparison, Error, LogitComparison, Rows, RowsMut};

/// All of it is f64 arithmetic that is rounded once.
const ROUNDED_ONCE: f64 = 1.0;

/// What a difference of two logarithms in f64 lacks, of 1.
const LOST: f64 = 1e-12;

/// Everything that can be wanted of two sets of logits.
#[derive(Clone, Debug, PartialEq)]
struct Answer {
    kl: Vec<f32>,
    reverse: Vec<f32>,
    shannon: Vec<f32>,
    same: Vec<bool>,
    change: Vec<f32>,
    gradient: Vec<f32>,
}

impl Answer {
    fn of(options: &LogitComparison<'_>, reference: Rows<'_>, logits: Rows<'_>, labels: &[i64]) -> Self {
        let (rows, classes) = (logits.rows(), logits.classes());
        let floats = || vec![7.0; rows];
        let (mut kl, mut reverse, mut shannon, mut change) = (floats(), floats(), floats(), floats());
        let (mut same, mut gradient) = (vec![false; rows], vec![7.0; rows * classes]);
        let wanted = Comparison::new()
            .kl(&mut kl)
            .reverse_kl(&mut reverse)
            .jensen_shannon(&mut shannon)
            .same_argmax(&mut same)
            .labels(labels)
            .label_change(&mut change);
        let to = RowsMut::new(&mut gradient, rows, classes).expect("a matrix");
        options.compare_and_gradient_into(reference, logits, wanted, to).expect("a valid call");
        Self { kl, reverse, shannon, same, change, gradient }
    }

    fn bits(&self) -> Vec<u32> {
        let floats = [&self.kl, &self.reverse, &self.shannon, &self.change, &self.gradient];
        let bits = floats.into_iter().flatten().map(|x| if x.is_nan() { 7 } else { x.to_bits() });
        bits.chain(self.same.iter().map(|&same| same.into())).collect()
    }
}

fn masked(row: &[f32], mask: Option<&[bool]>) -> Vec<f64> {
    let keep = |class: usize| mask.is_none_or(|mask| mask[class]);
    let of = |(i, &x): (usize, &f32)| if keep(i) { f64::from(x) } else { f64::NEG_INFINITY };
    row.iter().enumerate().map(of).collect()
}

fn argmax(row: &[f64]) -> Option<usize> {
    let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row.iter().position(|x| x.is_nan()).or_else(|| row.iter().position(|&x| x >= max))
}

/// What `got` has of a row, given its two rows as they are compared.
fn check_row(
    errors: &Errors,
    backend: Backend,
    (a, b): (&[f64], &[f64]),
    (scale, label, factor, slope): (f64, usize, f64, f64),
    got: &Answer,
    row: usize,
) {
    let want = compare(a, b, scale);
    let within = |what, got: f32, want: Want, value: f64| {
        // Nothing that is subnormal is left.
        if got != 0.0 || value.abs() >= f64::from(f32::MIN_POSITIVE) * (1.0 + 1e-6) {
            errors.within(ROUNDED_ONCE, what, backend, got, want);
        }
    };
    within("KL", got.kl[row], (factor * want.kl).into(), want.kl);
    within("reverse KL", got.reverse[row], (factor * want.reverse).into(), want.reverse);
    within("Jensen-Shannon", got.shannon[row], (factor * want.shannon).into(), want.shannon);
    assert_eq!(got.same[row], argmax(a) == argmax(b), "{backend}");
    if a[label] == f64::NEG_INFINITY && b[label] == f64::NEG_INFINITY {
        assert!(got.change[row].is_nan(), "{backend}");
    } else {
        let magnitude = (scale * (a[label] - b[label])).abs().max(1.0);
        let lost = if magnitude.is_finite() { magnitude * LOST } else { 0.0 };
        let want = Want::from(0.0 - want.differences[label]).give_or_take(lost);
        errors.within(ROUNDED_ONCE, "change of the label", backend, got.change[row], want);
    }
    let gradient = want.gradient.iter().zip(&want.larger);
    for (&got, (want, larger)) in got.gradient[row * a.len()..].iter().zip(gradient) {
        let lost = (slope * larger * LOST).abs();
        within("gradient", got, Want::from(slope * want).give_or_take(lost), slope * want);
    }
}

#[derive(Clone, Debug)]
struct Case {
    classes: usize,
    first: Vec<Vec<f32>>,
    second: Vec<Vec<f32>>,
    labels: Vec<i64>,
    mask: Option<Vec<bool>>,
    temperature: f64,
    squared: bool,
    upstream: Vec<f32>,
}

/// A row, and one that is far from it, near to it, the same, or the same but for an offset.
fn pair(classes: usize) -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
    let logit = prop_oneof![20 => -20.0_f32..20.0, 1 => Just(f32::NEG_INFINITY), 1 => Just(-900.0_f32)];
    let noise = prop_oneof![Just(0.0_f32), Just(1e-6), Just(1e-3), Just(0.3), Just(1.0), Just(30.0)];
    let special = prop_oneof![9 => Just(None), 1 => prop_oneof![Just(f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY)].prop_map(Some)];
    (vec(logit, classes), vec(-1.0_f32..1.0, classes), noise, 0..3_u8, (special, 0..classes, 0..3_u8))
        .prop_map(|(mut first, signs, noise, offset, (special, at, which))| {
            let offset = f32::from(offset) * 100.0;
            let mut second: Vec<f32> =
                first.iter().zip(&signs).map(|(x, sign)| x + noise * sign + offset).collect();
            if let Some(special) = special {
                for (i, row) in [&mut first, &mut second].into_iter().enumerate() {
                    if which == 2 || usize::from(which) == i {
                        row[at] = special;
                    }
                }
            }
            (first, second)
        })
}

fn case() -> impl Strategy<Value = Case> {
    let classes = prop_oneof![3 => 1..70_usize, 1 => 70..1200_usize];
    (classes, 1..4_usize).prop_flat_map(|(classes, rows)| {
        let labels = vec(0..i64::try_from(classes).expect("few"), rows);
        let mask = proptest::option::weighted(0.3, vec(proptest::bool::weighted(0.7), classes));
        let temperature = prop_oneof![Just(1.0_f64), 0.25..8.0_f64];
        let upstream = vec(-2.0_f32..2.0, rows);
        (vec(pair(classes), rows), labels, mask, temperature, any::<bool>(), upstream).prop_map(
            move |(pairs, labels, mask, temperature, squared, upstream)| {
                let (first, second) = pairs.into_iter().unzip();
                Case { classes, first, second, labels, mask, temperature, squared, upstream }
            },
        )
    })
}

#[test]
fn comparisons_are_those_of_the_reference() {
    for_all("comparison", case(), |case, backend, errors| {
        let mut options = LogitComparison::new()
            .temperature(case.temperature)
            .expect("positive")
            .times_squared_temperature(case.squared)
            .upstream(&case.upstream[..]);
        if let Some(mask) = &case.mask {
            options = options.class_mask(mask);
        }
        let (first, second) = (case.first.concat(), case.second.concat());
        let rows = case.first.len();
        let view = |logits| Rows::new(logits, rows, case.classes).expect("rows").with_backend(backend);
        let got = Answer::of(&options, view(&first), view(&second), &case.labels);
        let scale = 1.0 / case.temperature;
        let factor = if case.squared { case.temperature.powi(2) } else { 1.0 };
        for row in 0..rows {
            let mask = case.mask.as_deref();
            let (a, b) = (masked(&case.first[row], mask), masked(&case.second[row], mask));
            let label = usize::try_from(case.labels[row]).expect("a class");
            let slope = factor * scale * f64::from(case.upstream[row]);
            check_row(errors, backend, (&a, &b), (scale, label, factor, slope), &got, row);
        }
        // What is asked for changes nothing, nor does where the gradient goes.
        let kl = options.kl(view(&first), view(&second)).expect("a valid call");
        assert_same_bits("alone", &kl, &got.kl);
        let mut over = second.clone();
        let to = RowsMut::new(&mut over, rows, case.classes).expect("rows").with_backend(backend);
        options.compare_and_gradient_in_place(view(&first), to, Comparison::new()).expect("a valid call");
        assert_same_bits("in place", &over, &got.gradient);
    });
}

#[test]
fn equal_rows_differ_by_nothing_and_near_ones_by_what_they_do() {
    let row: Vec<f32> = (0..1000_u16).map(|i| f32::from(i * 37 % 997) * 0.03 - 12.0).collect();
    let offset: Vec<f32> = row.iter().map(|x| x + 64.0).collect();
    for backend in backends() {
        let view = |logits| Rows::new(logits, 1, 1000).expect("a row").with_backend(backend);
        let got = Answer::of(&LogitComparison::new(), view(&row), view(&row), &[3]);
        assert_eq!((got.kl[0], got.reverse[0], got.shannon[0], got.change[0]), (0.0, 0.0, 0.0, 0.0));
        assert!(got.same[0] && got.gradient.iter().all(|&x| x == 0.0), "{backend}");
        // What is rounded where an offset is added is seen, and is not more than that.
        let got = Answer::of(&LogitComparison::new(), view(&row), view(&offset), &[3]);
        assert!(got.kl[0] < 1e-11 && got.kl[0] > 0.0, "{backend}: {:e}", got.kl[0]);
        // Two classes whose logits are t apart in one row: KL is ln cosh(t / 2), next to 0 t² / 8, and JS a fourth of that.
        for t in [1e-3_f32, 1e-6, 1e-11] {
            let view = |logits| Rows::new(logits, 1, 2).expect("a row").with_backend(backend);
            let (even, other) = ([0.0, 0.0], [0.0, t]);
            let got = Answer::of(&LogitComparison::new(), view(&even), view(&other), &[0]);
            let square = f64::from(t).powi(2);
            for (what, got, want) in [
                ("KL", got.kl[0], square / 8.0),
                ("reverse KL", got.reverse[0], square / 8.0),
                ("JS", got.shannon[0], square / 32.0),
                ("gradient", got.gradient[1], f64::from(t) / 4.0),
            ] {
                // The next term of each series is less than t² of it.
                let error = (f64::from(got) / want - 1.0).abs();
                let lost = if what == "gradient" { LOST / want } else { 0.0 };
                assert!(error < 2e-7 + square + lost, "{what} on {backend}: {got:e} of {want:e} at {t:e}");
            }
        }
    }
}

#[test]
fn threads_batches_strides_and_backends_change_no_bit() {
    let (rows, classes) = (41, 1300);
    let mut random = fastrand::Rng::with_seed(8);
    let first: Vec<f32> = (0..rows * classes).map(|_| random.f32() * 20.0 - 10.0).collect();
    let second: Vec<f32> = first.iter().map(|x| x + random.f32() - 0.5).collect();
    let labels: Vec<i64> = (0..41).map(|row| row * 31 % 1300).collect();
    let masks: Vec<bool> = (0..rows * classes).map(|i| i % 11 != 4).collect();
    let turned = |values: &[f32]| {
        let mut columns = vec![0.0; values.len()];
        for (i, x) in values.iter().enumerate() {
            columns[i % classes * rows + i / classes] = *x;
        }
        columns
    };
    let (first_columns, second_columns) = (turned(&first), turned(&second));
    let options = LogitComparison::new().row_class_masks(&masks);
    let mut same: Option<Vec<u32>> = None;
    for backend in backends() {
        let view = |logits| Rows::new(logits, rows, classes).expect("rows").with_backend(backend);
        let all = Answer::of(&options, view(&first), view(&second).on_this_thread(), &labels);
        // No operation is fused, so that all backends are the same.
        assert_eq!(*same.get_or_insert_with(|| all.bits()), all.bits(), "{backend}");
        for threads in [1, 2, 3] {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            let got = pool.install(|| Answer::of(&options, view(&first), view(&second), &labels));
            assert_eq!(got.bits(), all.bits(), "{backend}, {threads} threads");
        }
        let columns =
            |values| Rows::along_axis(values, &[classes, rows], 0).expect("columns").with_backend(backend);
        for (a, b) in
            [(columns(&first_columns), columns(&second_columns)), (view(&first), columns(&second_columns))]
        {
            assert_eq!(Answer::of(&options, a, b, &labels).bits(), all.bits(), "{backend}, columns");
        }
        let mut over = second_columns.clone();
        let to = RowsMut::along_axis(&mut over, &[classes, rows], 0).expect("columns").with_backend(backend);
        options.compare_and_gradient_in_place(view(&first), to, Comparison::new()).expect("a valid call");
        assert_same_bits("over columns", &over, &turned(&all.gradient));
        for row in 0..rows {
            let of = |values: &'_ [f32]| values[row * classes..][..classes].to_vec();
            let (a, b) = (of(&first), of(&second));
            let one = |logits| Rows::new(logits, 1, classes).expect("a row").with_backend(backend);
            let options = LogitComparison::new().row_class_masks(&masks[row * classes..][..classes]);
            let alone = Answer::of(&options, one(&a), one(&b), &labels[row..=row]);
            assert!(same_bits(alone.kl[0], all.kl[row]) && same_bits(alone.shannon[0], all.shannon[row]));
        }
    }
}

#[test]
fn ignored_rows_are_not_read() {
    let (a, b) = ([f32::NAN, 1.0, 0.0, 2.0], [1.0, f32::INFINITY, 2.0, 0.0]);
    for backend in backends() {
        let view = |logits| Rows::new(logits, 2, 2).expect("rows").with_backend(backend);
        let options = LogitComparison::new().ignore_index(-100);
        let got = Answer::of(&options, view(&a), view(&b), &[-100, 1]);
        assert_eq!((got.kl[0], got.reverse[0], got.shannon[0], got.change[0]), (0.0, 0.0, 0.0, 0.0));
        assert_eq!((got.same[0], &got.gradient[..2]), (false, &[0.0, 0.0][..]));
        assert!(
            got.kl[1] > 1.0 && (got.change[1] + 2.0).abs() < 1e-6 && got.gradient[2] > 0.5,
            "{backend}: {got:?}"
        );
    }
}

#[test]
fn errors_say_what_was_given_and_leave_outputs_alone() {
    let (six, four) = ([0.0; 6], [0.0; 4]);
    let (view, other) = (Rows::new(&six, 2, 3).expect("rows"), Rows::new(&four, 2, 2).expect("rows"));
    let (mut kl, mut short, mut change) = ([7.0; 2], [7.0; 1], [7.0; 2]);
    let new = LogitComparison::new();
    let error = new.compare_into(other, view, Comparison::new().kl(&mut kl)).expect_err("an error");
    assert_eq!(error, Error::ShapeMismatch { what: "reference", given: (2, 2), expected: (2, 3) });
    let error = new.compare_into(view, view, Comparison::new().kl(&mut short)).expect_err("an error");
    assert_eq!(error, Error::RowCount { what: "divergences", given: 1, expected: 2 });
    let wanted = Comparison::new().kl(&mut kl).label_change(&mut change);
    let error = new.compare_into(view, view, wanted).expect_err("an error");
    assert_eq!(error, Error::NeedsLabels { what: "changes of log-probabilities" });
    let wanted = Comparison::new().kl(&mut kl).labels(&[0, 3]);
    let error = new.compare_into(view, view, wanted).expect_err("an error");
    assert_eq!(error, Error::LabelOutOfRange { row: 1, label: 3, classes: 3 });
    let mut gradient = [7.0; 4];
    let to = RowsMut::new(&mut gradient, 2, 2).expect("rows");
    let error = new.compare_and_gradient_into(view, view, Comparison::new(), to).expect_err("an error");
    assert_eq!(error, Error::ShapeMismatch { what: "gradient", given: (2, 2), expected: (2, 3) });
    let error = new.upstream(&[1.0]).kl(view, view).expect_err("an error");
    assert_eq!(error, Error::RowCount { what: "upstream gradients", given: 1, expected: 2 });
    let error = new.class_mask(&[true]).kl(view, view).expect_err("an error");
    assert_eq!(error, Error::OptionLength { what: "class mask", given: 1, expected: 3 });
    assert_eq!(
        (kl, short, change, gradient),
        ([7.0; 2], [7.0; 1], [7.0; 2], [7.0; 4]),
        "nothing was written"
    );
    let none = Rows::new(&[] as &[f32], 0, 3).expect("no rows");
    assert_eq!(new.kl(none, none), Ok(vec![]));
}
