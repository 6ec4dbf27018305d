//! Tokens that are drawn: against a naive race in f64 with a generator of its own, and against the distribution.

use crate::common;
use crate::common::property::for_all;
use crate::common::race::{candidates, log_sum_exp, score};
use crate::common::{assert_same_bits, backends, contract, report, ulp};
use proptest::collection::vec;
use proptest::prelude::*;
use rayon::ThreadPoolBuilder;
use xent::{Error, Rows, Sampler, TokenLogProbs, TokenOutputs, Truncation};

const NONE: u32 = TokenLogProbs::NO_TOKEN;

fn sample(options: &TokenLogProbs<'_>, sampler: Sampler<'_>, logits: Rows<'_>) -> (Vec<u32>, Vec<f32>) {
    let (mut ids, mut log_probs) = (vec![7; logits.rows()], vec![7.0; logits.rows()]);
    let wanted = TokenOutputs::new().sample(sampler, &mut ids, &mut log_probs);
    options.read_into(logits, wanted).expect("a valid call");
    (ids, log_probs)
}

fn truncation((top_k, top_p, min_p): (usize, f64, f64)) -> Truncation {
    Truncation::new().top_k(top_k).top_p(top_p).and_then(|cut| cut.min_p(min_p)).expect("in their ranges")
}

#[derive(Clone, Debug)]
struct Case {
    logits: Vec<f32>,
    mask: Option<Vec<bool>>,
    temperature: f32,
    cut: (usize, f64, f64),
    seed: u64,
    position: u64,
}

fn case() -> impl Strategy<Value = Case> {
    let classes = prop_oneof![3 => 1..80_usize, 3 => 80..700_usize, 1 => 1000..2500_usize];
    let logit = prop_oneof![
        12 => -4.0_f32..4.0,
        2 => (-8_i8..8).prop_map(|x| f32::from(x) * 0.5),
        1 => prop_oneof![Just(f32::NEG_INFINITY), Just(90.0_f32), -200.0_f32..0.0],
    ];
    let cut = (
        prop_oneof![2 => Just(0_usize), 1 => 1..60_usize],
        prop_oneof![2 => Just(1.0), 1 => 0.01..1.0_f64],
        prop_oneof![2 => Just(0.0), 1 => 0.0..1.0_f64],
    );
    classes.prop_flat_map(move |classes| {
        let mask = proptest::option::weighted(0.3, vec(proptest::bool::weighted(0.6), classes));
        let offset = prop_oneof![3 => Just(0.0_f32), 1 => -300.0_f32..300.0];
        (vec(logit.clone(), classes), offset, mask, 0.2_f32..3.0, cut.clone(), any::<u64>(), any::<u64>())
            .prop_map(|(mut logits, offset, mask, temperature, cut, seed, position)| {
                for x in &mut logits {
                    *x += offset;
                }
                Case { logits, mask, temperature, cut, seed, position }
            })
    })
}

#[test]
fn draws_are_those_of_the_naive_race() {
    for_all("sampling", case(), |case, backend, errors| {
        let classes = case.logits.len();
        let temperatures = [case.temperature];
        let mut options = TokenLogProbs::new().row_temperatures(&temperatures).expect("positive");
        if let Some(mask) = &case.mask {
            options = options.class_mask(mask);
        }
        let takes_part = |i: usize| case.mask.as_ref().is_none_or(|mask| mask[i]);
        let logits: Vec<f32> = (0..classes)
            .map(|i| if takes_part(i) { case.logits[i] } else { f32::NEG_INFINITY })
            .map(|x| ulp::round(f64::from(x) / f64::from(case.temperature)))
            .collect();
        let view = Rows::new(&case.logits, 1, classes).expect("a row").with_backend(backend);
        let all = (0, 1.0, 0.0);
        let mut plain = None;
        for cut in [all, case.cut] {
            let sampler = Sampler::new(case.seed).first_position(case.position).truncation(truncation(cut));
            let (ids, log_probs) = sample(&options, sampler, view);
            let (same, truncated) = sample(&options, sampler.truncated_log_probs(true), view);
            assert_eq!(ids, same, "{backend}");
            let kept = candidates(&logits, cut);
            let best = kept.iter().map(|&class| u32::try_from(class).expect("few")).max_by(|&a, &b| {
                let score = |class: u32| score(logits[class as usize], case.seed, case.position, class);
                score(a).total_cmp(&score(b)).then(b.cmp(&a))
            });
            let Some(best) = best else {
                assert!(ids[0] == NONE && log_probs[0].is_nan() && truncated[0].is_nan(), "{backend}");
                continue;
            };
            assert_eq!(ids[0], best, "{backend}: {cut:?} of {classes} classes");
            let of = |logit: f32, all: f64| f64::from(logit) - all;
            let logit = logits[best as usize];
            // A sum of f64 next to which the logit is: parts of 1e-13 are lost to the reference itself.
            let want = |all: f64| {
                common::property::Want::from(of(logit, all)).give_or_take(1e-13 * all.abs().max(1.0))
            };
            let full = log_sum_exp(logits.iter().copied());
            errors.within(contract::LOG_SOFTMAX, "draw", backend, log_probs[0], want(full));
            let among = log_sum_exp(kept.iter().map(|&class| logits[class]));
            errors.within(contract::LOG_SOFTMAX, "truncated draw", backend, truncated[0], want(among));
            // The race is the same one: what it is cut down to has the same winner, if that is in it.
            let plain = *plain.get_or_insert(best);
            assert!(plain == best || !kept.contains(&(plain as usize)), "{backend}");
        }
    });
}

/// Pearson's statistic over the number of degrees of freedom, for counts and their expectation.
fn chi_square(counts: &[usize], expected: &[f64]) -> f64 {
    let part = |(&count, &expected): (&usize, &f64)| {
        let count = f64::from(u32::try_from(count).expect("few draws"));
        (count - expected).powi(2) / expected
    };
    counts.iter().zip(expected).map(part).sum()
}

#[test]
fn draws_have_the_distribution() {
    const DRAWS: usize = 40_000;
    // Of 40 classes; more of the last block than of the first have next to no mass.
    let logits: Vec<f32> = (0..40_u16).map(|i| f32::from(i * 29 % 40) * 0.08 - 0.02 * f32::from(i)).collect();
    let view = Rows::with_strides(&logits, [DRAWS, 40, 1], [0, 1, 0]).expect("one row, again and again");
    let seeds: Vec<u64> = (0..DRAWS as u64).map(|i| i * 3 + 1).collect();
    let zeros = vec![0; DRAWS];
    // The 99.99 % quantiles of 39, 9 and 15 degrees of freedom.
    for (cut, limit) in [((0, 1.0, 0.0), 84.0), ((10, 1.0, 0.0), 34.0)] {
        let kept = candidates(&logits, cut);
        let all = log_sum_exp(kept.iter().map(|&class| logits[class]));
        let expected: Vec<f64> =
            kept.iter().map(|&class| (f64::from(logits[class]) - all).exp() * 40_000.0).collect();
        let sampler = Sampler::new(99).truncation(truncation(cut));
        for (name, sampler) in
            [("positions", sampler), ("seeds", sampler.row_seeds(&seeds).positions(&zeros))]
        {
            let (ids, _) = sample(&TokenLogProbs::new(), sampler, view);
            let counts: Vec<usize> =
                kept.iter().map(|&class| ids.iter().filter(|&&id| id as usize == class).count()).collect();
            assert_eq!(counts.iter().sum::<usize>(), DRAWS, "all others are never drawn");
            let statistic = chi_square(&counts, &expected);
            report(&format!("chi-square of {name}, {} classes: {statistic:.1}", kept.len()));
            assert!(statistic < limit, "{name}: {statistic}");
        }
    }
    // Draws of neighbouring positions, and of neighbouring seeds, do not know of each other.
    let four = [0.0, 0.5, 1.0, 0.25];
    let view = Rows::with_strides(&four, [DRAWS, 4, 1], [0, 1, 0]).expect("one row, again and again");
    let all = log_sum_exp(four.into_iter());
    for sampler in [Sampler::new(5), Sampler::new(5).row_seeds(&seeds).positions(&zeros)] {
        let (ids, _) = sample(&TokenLogProbs::new(), sampler, view);
        let mut counts = [0; 16];
        for pair in ids.chunks(2) {
            counts[(pair[0] * 4 + pair[1]) as usize] += 1;
        }
        let p = four.map(|x| (f64::from(x) - all).exp());
        let expected: Vec<f64> = (0..16).map(|i| p[i / 4] * p[i % 4] * 20_000.0).collect();
        let statistic = chi_square(&counts, &expected);
        assert!(statistic < 45.0, "pairs: {statistic}");
    }
}

/// Logits of many classes, a few of which matter.
fn long(len: usize, seed: u64) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..len).map(|_| random.f32() * 6.0 - 3.0 + if random.u16(..) < 9 { 9.0 } else { 0.0 }).collect()
}

#[test]
fn threads_batches_strides_and_backends_draw_the_same() {
    for (rows, classes) in [(23, 1100), (1, 150_000), (3, 70_000)] {
        let logits = long(rows * classes, 4);
        let cuts: Vec<Truncation> = (0..rows)
            .map(|row| truncation([(0, 1.0, 0.0), (50, 0.9, 0.0), (0, 0.95, 0.0), (0, 1.0, 0.01)][row % 4]))
            .collect();
        let seeds: Vec<u64> = (0..rows as u64).map(|row| row * row).collect();
        let mut columns = vec![0.0; rows * classes];
        for (i, x) in logits.iter().enumerate() {
            columns[i % classes * rows + i / classes] = *x;
        }
        for plain in [false, true] {
            let mut first: Option<Vec<u32>> = None;
            let mut sampler = Sampler::new(0).row_seeds(&seeds);
            if !plain {
                sampler = sampler.row_truncations(&cuts);
            }
            for backend in backends() {
                let view = Rows::new(&logits, rows, classes).expect("rows").with_backend(backend);
                let (ids, log_probs) = sample(&TokenLogProbs::new(), sampler, view.on_this_thread());
                assert_eq!(*first.get_or_insert_with(|| ids.clone()), ids, "{backend}");
                for threads in [1, 2, 3, 7] {
                    let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
                    let got = pool.install(|| sample(&TokenLogProbs::new(), sampler, view));
                    assert_eq!(got.0, ids, "{backend}, {threads} threads");
                    assert_same_bits("in a pool", &got.1, &log_probs);
                }
                let columns =
                    Rows::along_axis(&columns, &[classes, rows], 0).expect("columns").with_backend(backend);
                let got = sample(&TokenLogProbs::new(), sampler, columns);
                assert_eq!(got.0, ids, "{backend}, columns");
                assert_same_bits("columns", &got.1, &log_probs);
                for (row, logits) in logits.chunks(classes).enumerate() {
                    let alone = Rows::new(logits, 1, classes).expect("a row").with_backend(backend);
                    let mut sampler = Sampler::new(seeds[row]).first_position(row as u64);
                    if !plain {
                        sampler = sampler.truncation(cuts[row]);
                    }
                    assert_eq!(sample(&TokenLogProbs::new(), sampler, alone).0[0], ids[row], "{backend}");
                }
            }
        }
    }
}

#[test]
fn a_nucleus_that_is_most_of_a_large_vocabulary() {
    // As many as it takes: a number of classes that no list was made for.
    let classes = 20_000;
    let logits: Vec<f32> = (0..classes).map(|i| if i % 3 == 0 { 0.0 } else { -0.5 }).collect();
    let kept = candidates(&logits, (0, 0.9, 0.0)).len();
    assert!(kept > 17_000, "{kept}");
    let view = Rows::new(&logits, 1, classes).expect("a row");
    for seed in 0..40 {
        let plain = sample(&TokenLogProbs::new(), Sampler::new(seed), view).0[0];
        let cut = Sampler::new(seed).truncation(truncation((0, 0.9, 0.0))).truncated_log_probs(true);
        let (ids, log_probs) = sample(&TokenLogProbs::new(), cut, view);
        let rank = candidates(&logits, (0, 1.0, 0.0)).iter().position(|&class| class == plain as usize);
        assert_eq!(ids[0] == plain, rank.expect("one of them") < kept, "seed {seed}");
        let among = log_sum_exp(candidates(&logits, (0, 0.9, 0.0)).iter().map(|&class| logits[class]));
        assert!((f64::from(log_probs[0]) - (f64::from(logits[ids[0] as usize]) - among)).abs() < 1e-5);
    }
}

#[test]
fn classes_that_take_no_part_are_never_drawn() {
    // Of two classes in a thousand, whatever the random numbers; and of a row in which hardly one has a term.
    let mut logits = vec![f32::NEG_INFINITY; 1000];
    (logits[3], logits[998]) = (-80.0, -3000.0);
    for (a, b) in [(-80.0, -80.5), (-3e38, -3e38), (3e38, 3e38), (1e-40, -1e-40)] {
        (logits[3], logits[998]) = (a, b);
        for backend in backends() {
            let rows = 300;
            let view = Rows::with_strides(&logits, [rows, 1000, 1], [0, 1, 0]).expect("rows");
            for cut in [(0, 1.0, 0.0), (5, 1.0, 0.0), (0, 0.999, 0.0)] {
                let sampler = Sampler::new(1).truncation(truncation(cut));
                let (ids, log_probs) = sample(&TokenLogProbs::new(), sampler, view.with_backend(backend));
                assert!(ids.iter().all(|&id| id == 3 || id == 998), "{backend}");
                assert!(ids.contains(&3) && ids.contains(&998), "{backend}: {a}, {b}");
                assert!(log_probs.iter().all(|&log| (-1.1..-0.3).contains(&log)), "{backend}");
            }
        }
    }
}

#[test]
fn rows_without_a_distribution_and_ignored_rows_have_no_token() {
    for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let logits = [[0.0, special, 1.0], [special; 3], [0.0, 1.0, 2.0]].concat();
        for cut in [(0, 1.0, 0.0), (2, 0.5, 0.1)] {
            for backend in backends() {
                let view = Rows::new(&logits, 3, 3).expect("rows").with_backend(backend);
                let sampler = Sampler::new(1).truncation(truncation(cut));
                let (mut chosen, mut ids, mut log_probs) = ([0.0; 3], [7; 3], [7.0; 3]);
                let wanted = TokenOutputs::new().chosen(&[0, 0, -1], &mut chosen);
                let wanted = wanted.sample(sampler, &mut ids, &mut log_probs);
                TokenLogProbs::new().ignore_index(-1).read_into(view, wanted).expect("a valid call");
                let masked = special == f32::NEG_INFINITY;
                assert_eq!(
                    (ids[0] == NONE, log_probs[0].is_nan()),
                    (!masked, !masked),
                    "{backend}, {special}"
                );
                assert!(ids[0] != 1 && ids[1] == NONE && log_probs[1].is_nan(), "{backend}, {special}");
                assert_eq!((ids[2], log_probs[2]), (NONE, 0.0), "{backend}: ignored");
            }
        }
    }
}

#[test]
fn errors_say_what_was_given_and_leave_outputs_alone() {
    let view = Rows::new(&[0.0; 6], 2, 3).expect("rows");
    let (mut ids, mut log_probs) = ([7; 2], [7.0; 2]);
    let new = Sampler::new(0);
    for (what, sampler) in [
        ("seeds", new.row_seeds(&[1])),
        ("positions", new.positions(&[1])),
        ("truncations", new.row_truncations(&[Truncation::new()])),
    ] {
        let wanted = TokenOutputs::new().sample(sampler, &mut ids, &mut log_probs);
        let error = TokenLogProbs::new().read_into(view, wanted).expect_err("an error");
        assert_eq!(error, Error::RowCount { what, given: 1, expected: 2 });
    }
    let wanted = TokenOutputs::new().sample(new, &mut ids[..1], &mut log_probs);
    let error = TokenLogProbs::new().read_into(view, wanted).expect_err("an error");
    assert_eq!(error, Error::RowCount { what: "sampled ids", given: 1, expected: 2 });
    assert_eq!((ids, log_probs), ([7; 2], [7.0; 2]), "nothing was written");
    for bad in [0.0, -0.1, 1.1, f64::NAN] {
        let error = Truncation::new().top_p(bad).expect_err("an error");
        assert!(matches!(&error, Error::Option { what: "top-p", .. }), "{error}");
    }
    for bad in [-0.1, 1.1, f64::NAN] {
        let error = Truncation::new().min_p(bad).expect_err("an error");
        assert!(matches!(&error, Error::Option { what: "min-p", .. }), "{error}");
    }
    let none = Rows::new(&[] as &[f32], 0, 3).expect("no rows");
    assert_eq!(TokenLogProbs::new().sample(new, none), Ok((vec![], vec![])));
}
