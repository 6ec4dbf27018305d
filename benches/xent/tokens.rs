//! What servers read of their logits, beside the log-sum-exp alone and a loop with a heap as it is written by hand.

use criterion::{BenchmarkId, Criterion, Throughput};
use xent::{Rows, Sampler, TokenLogProbs, TokenOutputs, Truncation, log_sum_exp_into};

use crate::common::operations::Buffers;
use crate::common::shape::{Shape, shape};
use crate::common::tokens::top_by_heap;

const SHAPES: [Shape; 3] = [shape(1, 32_000), shape(1, 128_256), shape(64, 50_257)];

/// The largest logits of each row.
const TOP: [usize; 3] = [1, 20, 1000];

pub fn bench(criterion: &mut Criterion, quick: bool) {
    let shapes = if quick { &SHAPES[..1] } else { &SHAPES };
    for &shape in shapes {
        let Buffers { logits, labels, mut row_results, .. } = Buffers::new(shape);
        let (rows, classes) = (shape.rows, shape.classes);
        let view = Rows::new(&logits, rows, classes).expect("a matrix").on_this_thread();
        let mut group = criterion.benchmark_group("tokens");
        group.throughput(Throughput::Elements(shape.logits() as u64));
        group.bench_function(BenchmarkId::new("log_sum_exp", shape), |bencher| {
            bencher.iter(|| log_sum_exp_into(view, &mut row_results).expect("a valid call"));
        });
        group.bench_function(BenchmarkId::new("heap by hand, 20", shape), |bencher| {
            bencher.iter(|| logits.chunks(classes).map(|row| top_by_heap(row, 20)).collect::<Vec<_>>());
        });
        let (mut chosen, mut entropy) = (vec![0.0; rows], vec![0.0; rows]);
        let (mut above, mut equal) = (vec![0; rows], vec![0; rows]);
        for k in TOP {
            let (mut ids, mut top) = (vec![0; rows * k], vec![0.0; rows * k]);
            for with_entropy in [false, true] {
                let name = format!("top {k}, chosen, rank{}", if with_entropy { ", entropy" } else { "" });
                group.bench_function(BenchmarkId::new(name, shape), |bencher| {
                    bencher.iter(|| {
                        let mut wanted = TokenOutputs::new()
                            .chosen(&labels, &mut chosen)
                            .rank(&mut above, &mut equal)
                            .top(k, &mut ids, &mut top);
                        if with_entropy {
                            wanted = wanted.entropy(&mut entropy);
                        }
                        TokenLogProbs::new().read_into(view, wanted).expect("a valid call");
                    });
                });
            }
        }
        let usual = Truncation::new().top_p(0.95).expect("a share");
        let all = Sampler::new(1);
        let samplers = [
            ("all", all),
            ("top-p", all.truncation(usual)),
            ("top-k 50, top-p", all.truncation(usual.top_k(50))),
        ];
        for (name, sampler) in samplers {
            let (mut ids, mut log_probs) = (vec![0; rows], vec![0.0; rows]);
            group.bench_function(BenchmarkId::new(format!("sample, {name}"), shape), |bencher| {
                bencher.iter(|| {
                    let wanted = TokenOutputs::new().sample(sampler, &mut ids, &mut log_probs);
                    TokenLogProbs::new().read_into(view, wanted)
                });
            });
        }
        group.finish();
    }
}
