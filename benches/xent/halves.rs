//! Logits of 16 bits beside the same ones as f32: a loss, and probabilities of the logits' own type.

use criterion::{BenchmarkId, Criterion, Throughput};
use half::{bf16, f16};
use xent::{CrossEntropy, Element, Rows, RowsMut, softmax_into};

use crate::common::operations::Buffers;
use crate::common::shape::{Shape, shape};

/// In cache, a row that threads share, and beyond the caches.
const SHAPES: [Shape; 3] = [shape(16, 32_000), shape(1, 128_256), shape(2048, 131_072)];

pub fn bench(criterion: &mut Criterion, quick: bool) {
    let shapes = if quick { &SHAPES[..1] } else { &SHAPES };
    for &shape in shapes {
        let buffers = Buffers::new(shape);
        of_type(criterion, shape, "f32", &buffers, |x| x);
        of_type(criterion, shape, "bf16", &buffers, bf16::from_f32);
        of_type(criterion, shape, "f16", &buffers, f16::from_f32);
    }
}

fn of_type<T: Element>(
    criterion: &mut Criterion,
    shape: Shape,
    name: &str,
    buffers: &Buffers,
    narrow: impl Fn(f32) -> T,
) {
    let (rows, classes) = (shape.rows, shape.classes);
    let logits: Vec<T> = buffers.logits.iter().map(|x| narrow(*x)).collect();
    let (mut results, mut losses) = (logits.clone(), vec![0.0; rows]);
    let view = Rows::new(&logits, rows, classes).expect("a matrix");
    let mut group = criterion.benchmark_group("halves");
    group.throughput(Throughput::Elements(shape.logits() as u64));
    group.bench_function(BenchmarkId::new(format!("sparse_loss/{name}"), shape), |bencher| {
        let loss = CrossEntropy::new();
        bencher.iter(|| loss.loss_into(&buffers.labels, view, &mut losses).expect("a valid call"));
    });
    group.bench_function(BenchmarkId::new(format!("softmax/{name}"), shape), |bencher| {
        bencher.iter(|| {
            let results = RowsMut::new(&mut results, rows, classes).expect("a matrix");
            softmax_into(view, results).expect("a valid call");
        });
    });
    group.finish();
}
