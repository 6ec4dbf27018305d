//! Views of bf16 and f16: what is read has the results of the same numbers as f32, and what is written is the f32 result,
//! rounded; in every operation, on every backend.

use crate::common;
use crate::common::buffer::{Buffer, Half};
use crate::common::writers::{Inputs, Outputs, WRITERS, sized};
use crate::common::{assert_same_bits, backends, same_bits};
use half::{bf16, f16};
use xent::{
    Backend, Element, Error, Linear, LinearCrossEntropy, LinearGradients, LinearResults, LogSumExp,
    NegativeLogLikelihood, PartialRow, Rows, RowsMut, Shard, Upstream,
};

/// The same call with other logits, all of them numbers of the type.
fn call(half: Half, rows: usize, classes: usize, seed: u64, backend: Backend) -> (Inputs, Outputs) {
    let (mut i, mut o) = sized(rows, classes);
    let mut random = fastrand::Rng::with_seed(seed);
    // Rows of ordinary logits, of large ones, and of what is special.
    let spread = if seed % 3 == 1 { 300.0 } else { 8.0 };
    let mut draw = || (random.f32() - 0.5) * spread;
    i.logits.fill_with(|| half.round(draw()));
    i.second.fill_with(|| half.round(draw().abs() / spread));
    if seed % 3 == 2 {
        let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, f32::MIN_POSITIVE, 1e-7];
        for (at, value) in special.into_iter().enumerate() {
            let (len, place) = (i.logits.len(), at * 37);
            i.logits[place % len] = half.round(value);
        }
    }
    if seed % 3 == 2 && rows > 2 {
        i.logits[classes..2 * classes].fill(f32::NEG_INFINITY);
    }
    i.backend = Some(backend);
    // Sums of the row, for backward passes.
    for (sum, row) in o.sums.iter_mut().zip(i.logits.chunks(classes)) {
        *sum = row.iter().fold(LogSumExp::EMPTY, |sum, x| sum.merge(LogSumExp::from(*x)));
    }
    o.matrix = i.logits.clone();
    (i, o)
}

/// All that was written, as numbers.
fn written(o: &Outputs, rounded: Option<Half>) -> Vec<f32> {
    let round = |x: &f32| rounded.map_or(*x, |half| half.round(*x));
    let matrices = o.matrix.seen().into_iter().chain(o.elements.seen());
    let mut all: Vec<f32> = matrices.map(|x| round(&x)).collect();
    all.extend(&o.losses);
    #[expect(clippy::cast_precision_loss, reason = "indices of few classes")]
    all.extend(o.indices.iter().map(|i| *i as f32));
    all.extend(o.flags.iter().map(|flag| f32::from(u8::from(*flag))));
    all.extend(o.sums.iter().map(|sum| sum.value()));
    all
}

#[test]
fn every_operation_gives_what_it_gives_for_the_same_numbers_as_f32() {
    let shapes = [(1, 1), (3, 4), (19, 5), (35, 63), (18, 64), (3, 65), (17, 100), (2, 513), (3, 1100)];
    for backend in backends() {
        for half in Half::ALL {
            for (seed, (rows, classes)) in (0..3).flat_map(|seed| shapes.map(|shape| (seed, shape))) {
                for writer in WRITERS {
                    same(writer, call(half, rows, classes, seed, backend), half);
                }
            }
        }
    }
}

#[test]
fn rows_that_threads_share_too() {
    for half in Half::ALL {
        for seed in 0..3 {
            for writer in WRITERS.iter().filter(|writer| !writer.name.contains("columns")) {
                let backend = Backend::selected().expect("a backend");
                same(writer, call(half, 1, 70_001, seed, backend), half);
            }
        }
    }
}

/// Asserts that a call gives the same, read from halves, and written to them, too.
fn same(writer: &common::writers::Writer, (mut i, o): (Inputs, Outputs), half: Half) {
    let context =
        |what| format!("{} of {half:?}, {}x{}, {:?}: {what}", writer.name, i.rows, i.classes, i.backend);
    let [alone, read, read_and_written] = ["written alone", "read", "read and written"].map(context);
    let mut plain = o.clone();
    let expected = (writer.call)(&i, &mut plain);
    let narrowed = || {
        // Where nothing is written there is what was there.
        let mut results = o.clone();
        results.matrix = results.matrix.narrowed(half);
        results.elements = results.elements.narrowed(half);
        results
    };
    let mut results = narrowed();
    assert_eq!((writer.call)(&i, &mut results), expected, "{alone}");
    assert_same_bits(&alone, &written(&results, Some(half)), &written(&plain, Some(half)));
    i.logits = i.logits.narrowed(half);
    i.second = i.second.narrowed(half);
    let mut results = o.clone();
    assert_eq!((writer.call)(&i, &mut results), expected, "{read}");
    assert_same_bits(&read, &written(&results, None), &written(&plain, None));
    let mut results = narrowed();
    assert_eq!((writer.call)(&i, &mut results), expected, "{read_and_written}");
    assert_same_bits(&read_and_written, &written(&results, Some(half)), &written(&plain, Some(half)));
}

#[test]
fn every_number_is_widened_to_itself() {
    // In rows of sixteen, and one more of those that share theirs with NaN, by which a row's loss is NaN.
    const ROWS: usize = (1 << 12) + 1;
    let infinities = [bf16::INFINITY, bf16::NEG_INFINITY].map(bf16::to_bits);
    let more =
        infinities.into_iter().chain([f16::INFINITY, f16::NEG_INFINITY].map(f16::to_bits)).chain([0; 12]);
    let bits: Vec<u16> = (0..=u16::MAX).chain(more).collect();
    let labels = |class: u8| vec![class; ROWS];
    let check = |rows: Rows<'_>, widened: &[f32]| {
        for backend in backends() {
            for class in 0..16 {
                let of_log_probabilities = NegativeLogLikelihood::of_log_probabilities();
                let loss =
                    of_log_probabilities.loss(&labels(class), rows.with_backend(backend)).expect("a loss");
                for (row, loss) in loss.rows.iter().enumerate() {
                    let of_row = &widened[row * 16..][..16];
                    let logit = of_row[usize::from(class)];
                    // A loss is not -0.
                    let expected = if of_row.iter().any(|x| x.is_nan()) { f32::NAN } else { 0.0 - logit };
                    assert!(same_bits(*loss, expected), "{backend}: {logit:e} is {loss:e}");
                    assert!(rows.get(row, class.into()).is_some_and(|x| same_bits(x, logit)), "{logit:e}");
                }
            }
        }
    };
    let values: Vec<_> = bits.iter().map(|bits| bf16::from_bits(*bits)).collect();
    let widened: Vec<_> = values.iter().map(|x| x.to_f32()).collect();
    check(Rows::new(&values, ROWS, 16).expect("a shape"), &widened);
    let values: Vec<_> = bits.iter().map(|bits| f16::from_bits(*bits)).collect();
    let widened: Vec<_> = values.iter().map(|x| x.to_f32()).collect();
    check(Rows::new(&values, ROWS, 16).expect("a shape"), &widened);
}

/// The gradient of a log-probability is what it is multiplied by.
#[test]
fn results_are_rounded_to_the_nearest_number_of_two_to_the_even_one() {
    for half in Half::ALL {
        // Each number, what is half-way to the next one, and what is next to that.
        let numbers = (0..=u16::MAX).map(|bits| match half {
            Half::Bf16 => bf16::from_bits(bits).to_f32(),
            Half::F16 => f16::from_bits(bits).to_f32(),
        });
        let halfway =
            |x: f32| f32::from_bits(x.to_bits() + if half == Half::Bf16 { 1 << 15 } else { 1 << 12 });
        let finite = numbers.filter(|x| x.is_finite());
        let near =
            finite.flat_map(|x| [x, halfway(x), halfway(x).next_up(), halfway(x).next_down(), x.next_down()]);
        let factors: Vec<f32> = near.filter(|x| x.is_finite()).collect();
        let rows = factors.len();
        let (labels, logits, mut losses) = (vec![0_u8; rows], vec![0.0_f32; rows], vec![0.0; rows]);
        for backend in backends() {
            let mut gradient = Buffer::from(vec![0.0; rows]).narrowed(half);
            let loss = NegativeLogLikelihood::of_log_probabilities().upstream(Upstream::PerRow(&factors));
            let logits = Rows::new(&logits, rows, 1).expect("a shape").with_backend(backend);
            let results = gradient.rows_mut(rows, 1).expect("a shape");
            loss.loss_and_gradient_into(&labels, logits, &mut losses, results).expect("a gradient");
            for (result, factor) in gradient.seen().into_iter().zip(&factors) {
                let expected = half.round(-factor);
                assert!(
                    same_bits(result + 0.0, expected + 0.0),
                    "{backend}, {half:?}: {factor:e} is {result:e}, not {expected:e}"
                );
            }
        }
    }
}

#[test]
fn views_of_halves_have_strides_and_no_slices() {
    let values: Vec<_> = (0..12_u8).map(|i| f16::from_f32(i.into())).collect();
    let rows = Rows::with_stride(&values, 2, 3, 5).expect("a shape");
    assert_eq!((rows.get(1, 2), rows.get(2, 0), rows.row(0)), (Some(7.0), None, None));
    let mut values = values;
    let mut columns = RowsMut::along_axis(&mut values, &[3, 4], 0).expect("a shape");
    assert_eq!(columns.row_mut(0), None);
    xent::softmax_in_place(columns).expect("probabilities");
    assert_eq!(
        values[8..].iter().map(|p| p.to_f32()).collect::<Vec<_>>(),
        [f16::from_f32(0.981_690_1).to_f32(); 4]
    );
}

#[test]
fn features_of_a_linear_classifier_may_be_halves_and_weights_may_not() {
    let (rows, classes, features) = (5, 4, 3);
    let halves = |len: u8| (0..len).map(|i| bf16::from_f32(f32::from(i % 7) / 4.0 - 0.5)).collect::<Vec<_>>();
    let floats = |halves: &[bf16]| halves.iter().map(|x| x.to_f32()).collect::<Vec<_>>();
    let (x, weights) = (halves(15), halves(12));
    let (wide_x, wide_weights, labels) = (floats(&x), floats(&weights), [0_u8, 3, 1, 2, 2]);
    let weights_of = |values| Rows::new(values, classes, features).expect("a matrix");
    let loss = LinearCrossEntropy::default();
    let mut of_wide = vec![0.0; 15];
    let linear = Linear::new(Rows::new(&wide_x, rows, features).unwrap(), weights_of(&wide_weights)).unwrap();
    let wanted = LinearGradients::new().x(RowsMut::new(&mut of_wide, rows, features).unwrap());
    let expected = loss.loss_and_gradients_into(&labels, linear, LinearResults::new(), wanted).unwrap();

    let linear = Linear::new(Rows::new(&x, rows, features).unwrap(), weights_of(&wide_weights)).unwrap();
    let mut of_x = vec![bf16::ZERO; 15];
    let wanted = LinearGradients::new().x(RowsMut::new(&mut of_x, rows, features).unwrap());
    let summary = loss.loss_and_gradients_into(&labels, linear, LinearResults::new(), wanted).unwrap();
    assert!(same_bits(summary.value, expected.value));
    let rounded: Vec<f32> = of_wide.iter().map(|x| Half::Bf16.round(*x)).collect();
    assert_same_bits("the gradient of features", &floats(&of_x), &rounded);

    let error = |what| Error::ElementType { what, given: "bf16", expected: "f32" };
    let half_weights = Rows::new(&weights, classes, features).unwrap();
    let refused = Linear::new(Rows::new(&x, rows, features).unwrap(), half_weights);
    assert_eq!(refused.err(), Some(error("weights")));
    let mut of_weights = vec![bf16::ONE; 12];
    let wanted = LinearGradients::new().weights(RowsMut::new(&mut of_weights, classes, features).unwrap());
    let refused = loss.loss_and_gradients_into(&labels, linear, LinearResults::new(), wanted);
    assert_eq!(refused.err(), Some(error("gradient of the weights")));
    assert_eq!(error("weights").to_string(), "the weights: values are bf16; expected f32");
    assert_eq!(of_weights, [bf16::ONE; 12]);
}

/// What one of two shards makes of rows: what is merged, losses and gradient.
fn sharded<T: Element>(
    logits: &[T],
    labels: &[u32],
    classes: usize,
    backend: Backend,
) -> (Vec<PartialRow>, Vec<f32>, Vec<f32>) {
    let view = Rows::new(logits, labels.len(), classes).unwrap().with_backend(backend);
    let (shard, other) = (Shard::new(0, classes + 2).unwrap(), Shard::new(classes, classes + 2).unwrap());
    let own = shard.partials(labels, view).unwrap();
    let far =
        other.partials(labels, Rows::with_stride(&[0.5_f32, 0.25], labels.len(), 2, 0).unwrap()).unwrap();
    let mut merged = vec![PartialRow::EMPTY; labels.len()];
    Shard::merge(&[own, far].concat(), &mut merged).unwrap();
    let gradient = shard.gradient(labels, view, &merged).unwrap();
    (merged.clone(), shard.losses(labels, &merged).unwrap().rows, gradient)
}

#[test]
fn shards_of_16_bits_have_the_bits_of_the_same_numbers() {
    let mut rng = fastrand::Rng::with_seed(5);
    for classes in [1, 40, 700, Shard::PART + 30] {
        let last = u32::try_from(classes + 1).unwrap();
        let labels = [0, last, last / 2, 1];
        let narrow: Vec<bf16> = (0..4 * classes).map(|_| bf16::from_f32(rng.f32() * 60.0 - 40.0)).collect();
        let wide: Vec<f32> = narrow.iter().map(|x| x.to_f32()).collect();
        for backend in backends() {
            let (a, b) =
                (sharded(&narrow, &labels, classes, backend), sharded(&wide, &labels, classes, backend));
            assert_eq!(a.0, b.0);
            assert_same_bits("losses", &a.1, &b.1);
            assert_same_bits("gradient", &a.2, &b.2);
        }
    }
}
