//! What a call costs when there is next to nothing to do: validation, dispatch, the end of a row.

use criterion::{BenchmarkId, Criterion};
use xent::Backend;

use crate::common::operations::{Buffers, Operation};
use crate::common::shape::shape;

const OPERATIONS: [Operation; 4] =
    [Operation::SparseLoss, Operation::SparseLossAndGradient, Operation::Softmax, Operation::LogSumExp];

pub fn bench(criterion: &mut Criterion) {
    let backend = Backend::selected().expect("XENT_BACKEND names a backend of this CPU");
    let mut group = criterion.benchmark_group("call");
    // Without rows all that is left is validation and dispatch.
    for shape in [shape(0, 10), shape(1, 10), shape(1, 1000)] {
        let mut buffers = Buffers::new(shape);
        for operation in OPERATIONS {
            group.bench_function(BenchmarkId::new(operation.name(), shape), |bencher| {
                bencher.iter(|| buffers.run(operation, backend).expect("the inputs are valid"));
            });
        }
    }
    group.finish();
}
