//! Two sets of logits compared, beside the log-sum-exp of both and a loop as it is written by hand.

use criterion::{BenchmarkId, Criterion, Throughput};
use xent::{Comparison, LogitComparison, Rows, RowsMut, log_sum_exp_into};

use crate::common::operations::Buffers;
use crate::common::shape::{Shape, shape};

const SHAPES: [Shape; 3] = [shape(256, 1000), shape(16, 32_000), shape(8, 128_256)];

pub fn bench(criterion: &mut Criterion, quick: bool) {
    let shapes = if quick { &SHAPES[..1] } else { &SHAPES };
    for &shape in shapes {
        let Buffers { logits, mut row_results, .. } = Buffers::new(shape);
        let (rows, classes) = (shape.rows, shape.classes);
        // As another format would have rounded them.
        let rounded: Vec<f32> = logits.iter().map(|x| (x * 8.0).round() / 8.0).collect();
        let (mut reverse, mut shannon, mut same) = (vec![0.0; rows], vec![0.0; rows], vec![false; rows]);
        let mut gradient = vec![0.0; logits.len()];
        let view = |values| Rows::new(values, rows, classes).expect("a matrix").on_this_thread();
        let (first, second) = (view(&logits[..]), view(&rounded[..]));
        let new = LogitComparison::new();
        let mut group = criterion.benchmark_group("compare");
        group.throughput(Throughput::Elements(shape.logits() as u64));
        group.bench_function(BenchmarkId::new("log_sum_exp of both", shape), |bencher| {
            bencher.iter(|| {
                log_sum_exp_into(first, &mut row_results)?;
                log_sum_exp_into(second, &mut row_results)
            });
        });
        group.bench_function(BenchmarkId::new("KL by hand", shape), |bencher| {
            let rows = || logits.chunks(classes).zip(rounded.chunks(classes));
            bencher.iter(|| rows().map(|(a, b)| by_hand(a, b)).sum::<f32>());
        });
        group.bench_function(BenchmarkId::new("KL both ways, argmax", shape), |bencher| {
            bencher.iter(|| {
                let wanted =
                    Comparison::new().kl(&mut row_results).reverse_kl(&mut reverse).same_argmax(&mut same);
                new.compare_into(first, second, wanted)
            });
        });
        group.bench_function(BenchmarkId::new("and Jensen-Shannon", shape), |bencher| {
            bencher.iter(|| {
                let wanted = Comparison::new().kl(&mut row_results).reverse_kl(&mut reverse);
                new.compare_into(first, second, wanted.same_argmax(&mut same).jensen_shannon(&mut shannon))
            });
        });
        group.bench_function(BenchmarkId::new("KL and gradient", shape), |bencher| {
            bencher.iter(|| {
                let to = RowsMut::new(&mut gradient, rows, classes)?;
                new.compare_and_gradient_into(first, second, Comparison::new().kl(&mut row_results), to)
            });
        });
        group.finish();
    }
}

/// `sum p (ln p - ln q)` of two log-softmaxes in f32.
fn by_hand(a: &[f32], b: &[f32]) -> f32 {
    let log_sum_exp = |row: &[f32]| {
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        max + row.iter().map(|x| (x - max).exp()).sum::<f32>().ln()
    };
    let (of_a, of_b) = (log_sum_exp(a), log_sum_exp(b));
    let terms = a.iter().zip(b).map(|(x, y)| (x - of_a).exp() * ((x - of_a) - (y - of_b)));
    terms.sum()
}
