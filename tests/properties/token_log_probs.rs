//! Log-probabilities of tokens, ranks, the largest logits and entropies, against a naive reference in f64 that sorts.

use crate::common;
use crate::common::property::{Errors, for_all};
use crate::common::{assert_same_bits, backends, bound, contract, report, same_bits, ulp};
use proptest::collection::vec;
use proptest::prelude::*;
use rayon::ThreadPoolBuilder;
use xent::{Backend, Error, Rows, TokenLogProbs, TokenOutputs};

const NONE: u32 = TokenLogProbs::NO_TOKEN;

/// Log-probabilities are as good as log-softmax is.
const LOG_PROBABILITY: f64 = contract::LOG_SOFTMAX;

/// An entropy is a sum of f32 products, eight after each other at most before they are added in f64, each within one unit.
const ENTROPY: f64 = 8.0;

/// Everything that can be wanted of rows.
#[derive(Clone, Debug, PartialEq)]
struct Answer {
    chosen: Vec<f32>,
    above: Vec<u32>,
    equal: Vec<u32>,
    ids: Vec<u32>,
    top: Vec<f32>,
    named: Vec<f32>,
    entropy: Vec<f32>,
    log_sum_exp: Vec<f32>,
    argmax: Vec<u32>,
}

fn answer(options: &TokenLogProbs<'_>, logits: Rows<'_>, k: usize, chosen: &[u32], named: &[u32]) -> Answer {
    let rows = logits.rows();
    let mut all = Answer {
        chosen: vec![7.0; rows],
        above: vec![7; rows],
        equal: vec![7; rows],
        ids: vec![7; rows * k],
        top: vec![7.0; rows * k],
        named: vec![7.0; rows * named.len()],
        entropy: vec![7.0; rows],
        log_sum_exp: vec![7.0; rows],
        argmax: vec![7; rows],
    };
    let wanted = TokenOutputs::new()
        .chosen(chosen, &mut all.chosen)
        .rank(&mut all.above, &mut all.equal)
        .top(k, &mut all.ids, &mut all.top)
        .named(named, &mut all.named)
        .entropy(&mut all.entropy)
        .log_sum_exp(&mut all.log_sum_exp)
        .argmax(&mut all.argmax);
    options.read_into(logits, wanted).expect("a valid call");
    all
}

impl Answer {
    fn bits(&self) -> Vec<u32> {
        let floats = [&self.chosen, &self.top, &self.named, &self.entropy, &self.log_sum_exp];
        let floats = floats.into_iter().flatten().map(|x| if x.is_nan() { NONE } else { x.to_bits() });
        let integers = [&self.above, &self.equal, &self.ids, &self.argmax];
        floats.chain(integers.into_iter().flatten().copied()).collect()
    }
}

/// What a row's logits are compared as, and what they become: masked, capped, and divided.
struct Mapped {
    given: Vec<f32>,
    logits: Vec<f32>,
}

fn mapped(row: &[f32], mask: Option<&[bool]>, cap: Option<f64>, temperature: f64) -> Mapped {
    let keep = |class: usize| mask.is_none_or(|mask| mask[class]);
    let given: Vec<f32> = (0..row.len()).map(|i| if keep(i) { row[i] } else { f32::NEG_INFINITY }).collect();
    let map = |&x: &f32| {
        let capped = |cap: f64| if x.is_infinite() { x.into() } else { cap * (f64::from(x) / cap).tanh() };
        ulp::round(cap.map_or(x.into(), capped) / temperature)
    };
    let logits = given.iter().map(map).collect();
    Mapped { given, logits }
}

/// The log-probabilities of a row by the definition, and the log-sum-exp; NaN where there is no softmax.
#[expect(clippy::float_cmp, reason = "the largest logit is one of them")]
fn log_probabilities(logits: &[f32]) -> (Vec<f64>, f64) {
    let max = logits.iter().fold(f64::NEG_INFINITY, |max, &x| max.max(x.into()));
    if logits.iter().any(|x| x.is_nan()) {
        return (vec![f64::NAN; logits.len()], f64::NAN);
    }
    if !max.is_finite() {
        return (vec![f64::NAN; logits.len()], max);
    }
    let largest = logits.iter().position(|&x| f64::from(x) == max).expect("one is the largest");
    let terms = logits.iter().enumerate().filter(|(i, _)| *i != largest);
    let rest = terms.map(|(_, &x)| (f64::from(x) - max).exp()).sum::<f64>().ln_1p();
    (logits.iter().map(|&x| (f64::from(x) - max) - rest).collect(), max + rest)
}

/// The classes that take part, in falling order of their logits, of equal ones the lower first.
fn ranked(given: &[f32]) -> Vec<usize> {
    let mut classes: Vec<usize> = (0..given.len()).filter(|&i| given[i] > f32::NEG_INFINITY).collect();
    classes.sort_by(|&a, &b| given[b].partial_cmp(&given[a]).expect("no NaN").then(a.cmp(&b)));
    classes
}

#[expect(clippy::float_cmp, reason = "equal logits are counted")]
fn check_row(
    errors: &Errors,
    backend: Backend,
    row: &Mapped,
    k: usize,
    (chosen, named): (u32, &[u32]),
    got: &Answer,
    i: usize,
) {
    let (logs, log_sum_exp) = log_probabilities(&row.logits);
    let nan = row.given.iter().position(|x| x.is_nan());
    let within = |what, got, want: f64| errors.within(LOG_PROBABILITY, what, backend, got, want);
    let of = |class: u32| logs[class as usize];
    within("chosen", got.chosen[i], of(chosen));
    for (got, &class) in got.named[i * named.len()..].iter().zip(named) {
        within("named", *got, of(class));
    }
    let magnitude = row
        .logits
        .iter()
        .fold(0.0, |max, &x| if x.is_finite() { f64::max(max, x.abs().into()) } else { max });
    let want = common::property::Want::from(log_sum_exp).in_ulp_of(magnitude.max(log_sum_exp.abs()));
    errors.within(contract::LOG_SUM_EXP, "log-sum-exp", backend, got.log_sum_exp[i], want);
    let part = |log: &f64| if *log == f64::NEG_INFINITY { 0.0 } else { log.exp() * log };
    let entropy = 0.0 - logs.iter().map(part).sum::<f64>();
    errors.within(ENTROPY, "entropy", backend, got.entropy[i], entropy);
    let (ids, top) = (&got.ids[i * k..][..k], &got.top[i * k..][..k]);
    if let Some(nan) = nan {
        assert_eq!(got.argmax[i] as usize, nan, "{backend}");
        assert_eq!((got.above[i], got.equal[i]), (NONE, NONE), "{backend}");
        assert!(ids.iter().all(|&id| id == NONE) && top.iter().all(|x| x.is_nan()), "{backend}: {ids:?}");
        return;
    }
    let classes = ranked(&row.given);
    let of_chosen = row.given[chosen as usize];
    let count = |of: &dyn Fn(f32) -> bool| row.given.iter().filter(|&&x| of(x)).count();
    assert_eq!(got.above[i] as usize, count(&|x| x > of_chosen), "{backend}: above");
    assert_eq!(got.equal[i] as usize, count(&|x| x == of_chosen), "{backend}: equal");
    assert_eq!(got.argmax[i], classes.first().map_or(NONE, |&class| class.try_into().expect("few")));
    for (place, (&id, &log)) in ids.iter().zip(top).enumerate() {
        if let Some(&class) = classes.get(place) {
            assert_eq!(id as usize, class, "{backend}: place {place} of {ids:?}");
            within("top", log, logs[class]);
        } else {
            assert_eq!(id, NONE, "{backend}: place {place}");
            assert!(if log_sum_exp.is_finite() { log == f32::NEG_INFINITY } else { log.is_nan() });
        }
    }
}

/// Logits with many ties, duplicates, and now and then what is none.
fn logit() -> impl Strategy<Value = f32> {
    prop_oneof![
        20 => -30.0_f32..40.0,
        10 => (-8_i8..8).prop_map(|x| f32::from(x) * 0.5),
        2 => Just(f32::NEG_INFINITY),
        1 => prop_oneof![Just(-0.0_f32), Just(500.0), Just(-500.0), Just(1e-40)],
    ]
}

/// One row in eight holds something that leaves it without a softmax.
fn row(classes: usize) -> impl Strategy<Value = Vec<f32>> {
    let special = prop_oneof![7 => Just(None), 1 => prop_oneof![Just(f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY)].prop_map(Some)];
    (vec(logit(), classes), special, 0..classes, -300.0_f32..300.0, 0..4_u8).prop_map(
        |(mut row, special, at, offset, kind)| {
            match (special, kind) {
                (Some(special), _) if special == f32::NEG_INFINITY => row.fill(special),
                (Some(special), _) => row[at] = special,
                (None, 0) => row.iter_mut().for_each(|x| *x += offset),
                (None, 1) => row[at] = 60.0,
                (None, _) => {}
            }
            row
        },
    )
}

#[derive(Clone, Debug)]
struct Case {
    classes: usize,
    rows: Vec<Vec<f32>>,
    k: usize,
    chosen: Vec<u32>,
    named: Vec<u32>,
    mask: Option<Vec<bool>>,
    cap: Option<f64>,
    temperatures: Option<Vec<f32>>,
}

fn case() -> impl Strategy<Value = Case> {
    let classes = prop_oneof![4 => 1..80_usize, 2 => 80..600_usize, 1 => 1000..1700_usize];
    (classes, 1..4_usize).prop_flat_map(|(classes, rows)| {
        let class = 0..u32::try_from(classes).expect("few classes");
        let k = prop_oneof![3 => 0..=classes.min(30), 1 => 0..classes + 7];
        let of_rows = (vec(row(classes), rows), k, vec(class.clone(), rows), vec(class, 0..4));
        let mask = proptest::option::weighted(0.3, vec(proptest::bool::weighted(0.7), classes));
        let cap = proptest::option::weighted(0.2, 5.0..60.0);
        let temperatures =
            proptest::option::weighted(0.3, vec(prop_oneof![Just(1.0_f32), 0.1_f32..4.0], rows));
        (of_rows, mask, cap, temperatures).prop_map(
            move |((rows, k, chosen, named), mask, cap, temperatures)| Case {
                classes,
                rows,
                k,
                chosen,
                named,
                mask,
                cap,
                temperatures,
            },
        )
    })
}

impl Case {
    fn options(&self) -> TokenLogProbs<'_> {
        let mut options = TokenLogProbs::new();
        if let Some(mask) = &self.mask {
            options = options.class_mask(mask);
        }
        if let Some(cap) = self.cap {
            options = options.soft_cap(cap).expect("positive");
        }
        if let Some(temperatures) = &self.temperatures {
            options = options.row_temperatures(temperatures).expect("positive");
        }
        options
    }

    fn mapped(&self, row: usize) -> Mapped {
        let temperature = self.temperatures.as_ref().map_or(1.0, |all| all[row].into());
        mapped(&self.rows[row], self.mask.as_deref(), self.cap, temperature)
    }
}

#[test]
fn all_answers_are_those_of_the_reference() {
    for_all("token log-probabilities", case(), |case, backend, errors| {
        let logits = case.rows.concat();
        let view = Rows::new(&logits, case.rows.len(), case.classes).expect("rows").with_backend(backend);
        let got = answer(&case.options(), view, case.k, &case.chosen, &case.named);
        for row in 0..case.rows.len() {
            let expected = case.mapped(row);
            check_row(errors, backend, &expected, case.k, (case.chosen[row], &case.named), &got, row);
        }
    });
}

/// Logits that repeat each other, from a small generator.
fn long(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f32::from(u16::try_from(state >> 50).expect("14 bits"))
    };
    (0..len).map(|_| (next() + next() - 16_384.0) / 1024.0).collect()
}

#[test]
fn long_rows_have_the_same_answer_on_any_number_of_threads() {
    let errors = Errors::default();
    for (rows, classes, k) in [(1, 70_000, 20), (3, 66_000, 1), (1, 150_000, 1000)] {
        let mut logits = long(rows * classes, 3);
        // Beyond the reach of the reference that the first part has, and again of that.
        logits[classes / 2] = 45.0;
        logits[classes - 5] = 300.0;
        logits[classes - 3] = 300.0;
        let chosen: Vec<u32> =
            (0..rows).map(|row| u32::try_from(row * 77 + classes - 5).expect("few")).collect();
        let chosen: Vec<u32> =
            chosen.iter().map(|&class| class % u32::try_from(classes).expect("few")).collect();
        for backend in backends() {
            let view = Rows::new(&logits, rows, classes).expect("rows").with_backend(backend);
            let alone = answer(&TokenLogProbs::new(), view.on_this_thread(), k, &chosen, &[3, 1]);
            for (i, row) in logits.chunks(classes).enumerate() {
                let mapped = mapped(row, None, None, 1.0);
                check_row(&errors, backend, &mapped, k, (chosen[i], &[3, 1]), &alone, i);
            }
            for threads in [1, 2, 3, 7] {
                let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
                let got = pool.install(|| answer(&TokenLogProbs::new(), view, k, &chosen, &[3, 1]));
                assert_eq!(
                    got.bits(),
                    alone.bits(),
                    "{backend}, {rows} rows of {classes}, {threads} threads"
                );
            }
        }
    }
    errors.report("long rows");
}

#[test]
fn batches_strides_and_fused_backends_change_no_bit() {
    let (rows, classes, k) = (37, 1100, 9);
    let mut logits = long(rows * classes, 11);
    logits[5 * classes + 7] = f32::NAN;
    logits[6 * classes + 7] = f32::INFINITY;
    logits[7 * classes..8 * classes].fill(f32::NEG_INFINITY);
    let chosen: Vec<u32> = (0..37).map(|row| row * 29 % 1100).collect();
    let temperatures: Vec<f32> = (0..37_u8).map(|row| 0.5 + f32::from(row % 4) * 0.25).collect();
    let masks: Vec<bool> = (0..rows * classes).map(|i| i % 13 != 5).collect();
    let mut columns = vec![0.0; rows * classes];
    let mut padded = vec![0.0; rows * (classes + 3)];
    for (i, x) in logits.iter().enumerate() {
        columns[i % classes * rows + i / classes] = *x;
        padded[i / classes * (classes + 3) + i % classes] = *x;
    }
    let with = |row: usize, len: usize| {
        let options = TokenLogProbs::new().row_temperatures(&temperatures[row..][..len]).expect("positive");
        options.row_class_masks(&masks[row * classes..][..len * classes])
    };
    let mut fused: Option<Vec<u32>> = None;
    for backend in backends() {
        for plain in [true, false] {
            let options = if plain { TokenLogProbs::new() } else { with(0, rows) };
            let view = Rows::new(&logits, rows, classes).expect("rows").with_backend(backend);
            let all = answer(&options, view, k, &chosen, &[1000]);
            let columns =
                Rows::along_axis(&columns, &[classes, rows], 0).expect("columns").with_backend(backend);
            assert_eq!(
                answer(&options, columns, k, &chosen, &[1000]).bits(),
                all.bits(),
                "{backend}: columns"
            );
            let padded =
                Rows::with_stride(&padded, rows, classes, classes + 3).expect("rows").with_backend(backend);
            assert_eq!(
                answer(&options, padded, k, &chosen, &[1000]).bits(),
                all.bits(),
                "{backend}: a stride"
            );
            for row in 0..rows {
                let options = if plain { TokenLogProbs::new() } else { with(row, 1) };
                let one = Rows::new(&logits[row * classes..][..classes], 1, classes)
                    .expect("a row")
                    .with_backend(backend);
                let one = answer(&options, one, k, &chosen[row..=row], &[1000]);
                assert_eq!(one.ids[..], all.ids[row * k..][..k], "{backend}, row {row}");
                let pairs = [
                    (one.chosen[0], all.chosen[row]),
                    (one.entropy[0], all.entropy[row]),
                    (one.named[0], all.named[row]),
                ];
                assert!(pairs.iter().all(|&(a, b)| same_bits(a, b)), "{backend}, row {row}: {pairs:?}");
            }
            if plain && backend.is_fused() {
                let bits = all.bits();
                assert_eq!(*fused.get_or_insert_with(|| bits.clone()), bits, "{backend}");
            }
        }
    }
}

#[test]
fn what_is_asked_for_does_not_change_a_log_probability() {
    let logits = long(5000, 5);
    for backend in backends() {
        let view = Rows::new(&logits, 1, 5000).expect("a row").with_backend(backend);
        let all = answer(&TokenLogProbs::new(), view, 5000, &[17], &[]);
        let (ids, top) = TokenLogProbs::new().top(3, view).expect("a valid call");
        assert_eq!((&ids[..], &top[..]), (&all.ids[..3], &all.top[..3]), "{backend}");
        let place = all.ids.iter().position(|&id| id == 17).expect("every class is there");
        assert!(same_bits(all.top[place], all.chosen[0]), "{backend}");
        // Sorted rows, in which each logit is larger than all before it.
        let mut rising = logits.clone();
        rising.sort_by(f32::total_cmp);
        let view = Rows::new(&rising, 1, 5000).expect("a row").with_backend(backend);
        let (ids, _) = TokenLogProbs::new().top(40, view).expect("a valid call");
        let expected: Vec<u32> =
            ranked(&rising)[..40].iter().map(|&class| class.try_into().expect("few")).collect();
        assert_eq!(ids, expected, "{backend}");
    }
}

#[test]
fn a_sure_prediction_keeps_its_digits() {
    let mut logits = vec![-20.0; 3000];
    logits[1234] = 10.0;
    let (chosen, _) = log_probabilities(&logits);
    for backend in backends() {
        let view = Rows::new(&logits, 1, 3000).expect("a row").with_backend(backend);
        let (ids, top) = TokenLogProbs::new().top(1, view).expect("a valid call");
        assert_eq!(ids, [1234]);
        let error = ulp::error(top[0], chosen[1234]);
        report(&format!("{backend}: {:e}, {error:.2} ULP", top[0]));
        assert!(error <= bound(backend, LOG_PROBABILITY), "{backend}: {:e}, not {:e}", top[0], chosen[1234]);
    }
}

#[test]
fn ignored_rows_are_not_read() {
    let logits = [f32::NAN, 1.0, 0.0, 0.0];
    let view = Rows::new(&logits, 2, 2).expect("rows");
    let (mut chosen, mut argmax, mut ids, mut top) = ([7.0; 2], [7; 2], [7; 2], [7.0; 2]);
    let wanted =
        TokenOutputs::new().chosen(&[-100, 0], &mut chosen).argmax(&mut argmax).top(1, &mut ids, &mut top);
    TokenLogProbs::new().ignore_index(-100).read_into(view, wanted).expect("a valid call");
    assert_eq!((chosen[0], argmax[0], ids[0], top[0]), (0.0, NONE, NONE, f32::NEG_INFINITY));
    assert_eq!(
        (chosen[1], argmax[1], ids[1], top[1]),
        (-core::f32::consts::LN_2, 0, 0, -core::f32::consts::LN_2)
    );
}

#[test]
fn errors_say_what_was_given_and_leave_outputs_alone() {
    let logits = [0.0; 6];
    let view = Rows::new(&logits, 2, 3).expect("rows");
    let (mut chosen, mut ids, mut top, mut named) = ([7.0; 2], [7; 4], [7.0; 4], [7.0; 2]);
    let (mut above, mut equal) = ([7; 2], [7; 2]);
    let read = |options: TokenLogProbs<'_>, wanted: TokenOutputs<'_>| {
        options.read_into(view, wanted).expect_err("an error")
    };
    let new = TokenLogProbs::new();
    assert_eq!(
        read(new, TokenOutputs::new().chosen(&[0, 3], &mut chosen).top(2, &mut ids, &mut top)),
        Error::LabelOutOfRange { row: 1, label: 3, classes: 3 }
    );
    assert_eq!(
        read(new, TokenOutputs::new().chosen(&[0], &mut chosen)),
        Error::RowCount { what: "labels", given: 1, expected: 2 }
    );
    assert_eq!(
        read(new, TokenOutputs::new().top(3, &mut ids, &mut top)),
        Error::RowCount { what: "top ids", given: 4, expected: 6 }
    );
    assert_eq!(
        read(new, TokenOutputs::new().top(usize::MAX, &mut ids, &mut top)),
        Error::RowCount { what: "top ids", given: 4, expected: usize::MAX }
    );
    assert_eq!(
        read(new, TokenOutputs::new().named(&[3], &mut named)),
        Error::TokenOutOfRange { index: 0, token: 3, classes: 3 }
    );
    assert_eq!(
        read(new, TokenOutputs::new().named_per_row(2, &[0, 1, 2], &mut named)),
        Error::RowCount { what: "named tokens", given: 3, expected: 4 }
    );
    assert_eq!(
        read(new, TokenOutputs::new().rank(&mut above, &mut equal)),
        Error::NeedsLabels { what: "ranks" }
    );
    assert_eq!(
        read(
            new.row_temperatures(&[1.0]).expect("positive"),
            TokenOutputs::new().chosen(&[0, 0], &mut chosen)
        ),
        Error::RowCount { what: "row temperatures", given: 1, expected: 2 }
    );
    assert_eq!(
        read(new.class_mask(&[true]), TokenOutputs::new().chosen(&[0, 0], &mut chosen)),
        Error::OptionLength { what: "class mask", given: 1, expected: 3 }
    );
    for bad in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let error = new.row_temperatures(&[1.0, bad]).expect_err("an error");
        assert!(matches!(&error, Error::Option { index: Some(1), .. }), "{error}");
    }
    let zero = [0.0];
    let wide = Rows::with_strides(&zero, [1, 1 << 32, 1], [0, 0, 0]).expect("one value, again and again");
    assert_eq!(
        new.read_into(wide, TokenOutputs::new().entropy(&mut [7.0])),
        Err(Error::TooManyClasses { given: 1 << 32 })
    );
    assert_eq!(
        (chosen, ids, top, named, above),
        ([7.0; 2], [7; 4], [7.0; 4], [7.0; 2], [7; 2]),
        "nothing was written"
    );
    let none = Rows::new(&[] as &[f32], 0, 3).expect("no rows");
    assert_eq!(new.top(5, none), Ok((vec![], vec![])));
}

#[test]
fn named_tokens_of_each_row() {
    let logits = [0.0, 1.0, 2.0, 2.0, 1.0, 0.0];
    let view = Rows::new(&logits, 2, 3).expect("rows");
    let (mut shared, mut own) = ([0.0; 6], [0.0; 4]);
    let new = TokenLogProbs::new();
    new.read_into(view, TokenOutputs::new().named(&[0, 1, 2], &mut shared)).expect("a valid call");
    new.read_into(view, TokenOutputs::new().named_per_row(2, &[2, 0, 1, 0], &mut own)).expect("a valid call");
    assert_same_bits("of each row", &own, &[shared[2], shared[0], shared[4], shared[3]]);
}

#[test]
fn sequences_are_sums_of_their_rows() {
    let (rows, classes) = (11, 300);
    let logits = long(rows * classes, 21);
    let mut tokens: Vec<i64> = (0..11).map(|row| row * 31 % 300).collect();
    // One row that the model would have given itself, and one that is not scored.
    tokens[4] = ranked(&logits[4 * classes..5 * classes])[0].try_into().expect("few");
    tokens[7] = -100;
    let options = TokenLogProbs::new().ignore_index(-100);
    let offsets = [0, 3, 4, 5, 5, 10];
    for backend in backends() {
        let view = Rows::new(&logits, rows, classes).expect("rows").with_backend(backend);
        let log = |row: usize, token: i64| {
            let (logs, _) = log_probabilities(&logits[row * classes..][..classes]);
            logs[usize::try_from(token).expect("a class")]
        };
        for shift in [0, 1] {
            let got = if shift == 0 {
                options.sequence_log_probs(&tokens, view, &offsets)
            } else {
                options.next_token_log_probs(&tokens, view, &offsets)
            };
            let got = got.expect("a valid call");
            assert_eq!(got.len(), 5);
            for (got, ends) in got.iter().zip(offsets.windows(2)) {
                let rows = (ends[0]..ends[1].max(shift) - shift).filter(|row| tokens[row + shift] >= 0);
                let want: f64 = rows.clone().map(|row| log(row, tokens[row + shift])).sum();
                assert_eq!(got.tokens, rows.count(), "{backend}, {ends:?}, shifted by {shift}");
                // The terms of a row are f32; no sum of theirs is.
                assert!((got.sum - want).abs() <= 1e-7 * want.abs(), "{backend}: {got:?}, not {want}");
            }
            let greedy: Vec<bool> = got.iter().map(|score| score.is_greedy).collect();
            assert_eq!(
                greedy,
                if shift == 0 { [false, false, true, true, false] } else { [false, true, true, true, false] }
            );
        }
    }
    let view = Rows::new(&logits, rows, classes).expect("rows");
    for (bad, index) in [([3, 2], 1), ([0, 12], 1), ([12, 12], 0)] {
        let error = options.sequence_log_probs(&tokens, view, &bad).expect_err("an error");
        assert!(
            matches!(error, Error::Option { what: "sequence offset", index: Some(at), .. } if at == index),
            "{error}"
        );
    }
    assert_eq!(
        options.next_token_log_probs(&tokens[..5], view, &[0]),
        Err(Error::RowCount { what: "labels", given: 5, expected: 11 })
    );
    let none = Rows::new(&[] as &[f32], 0, 3).expect("no rows");
    let nothing = options.next_token_log_probs(&[0_u8; 0], none, &[0, 0]).expect("no rows");
    assert!(nothing[0].is_greedy && nothing[0].mean().is_nan());
}
