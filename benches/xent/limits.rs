//! The limits, measured right before the operations on the same buffers.

use criterion::Criterion;
use xent::Backend;

use crate::common::limits::Limit;
use crate::plan::Case;

pub fn bench(criterion: &mut Criterion, case: &mut Case) {
    let backend = *case.backends.last().expect("there is always a backend");
    for limit in Limit::ALL {
        // Without fused multiply-add in hardware, the bare loop is a loop of calls.
        if limit == Limit::SumExp && !matches!(backend, Backend::Avx2 | Backend::Avx512) {
            println!("{limit} needs AVX2 or AVX-512: not measured on {backend}");
            continue;
        }
        let names = (limit.name(), "limit");
        case.measure(criterion, names, limit.values_moved(), |_| (), |buffers| limit.run(buffers, backend));
    }
}
