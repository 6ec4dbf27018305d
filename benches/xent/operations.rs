//! The operations, on every backend that the plan has for the shape.

use criterion::Criterion;

use crate::plan::Case;

pub fn bench(criterion: &mut Criterion, case: &mut Case) {
    for operation in case.operations() {
        for backend in case.backends.clone() {
            case.measure(
                criterion,
                (operation.name(), backend.name()),
                operation.values_moved(),
                |buffers| buffers.prepare(operation),
                |buffers| buffers.run(operation, backend).expect("the inputs are valid"),
            );
        }
    }
}
