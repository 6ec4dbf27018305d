//! Nothing is allocated on the `_into` and `_in_place` paths: per row, per class, or at all, once a thread
//! has run each of them.
//!
//! The first call on a thread may allocate its scratch: a few bytes per 512 classes, kept for later calls.
//! Work on more than about 34 000 logits, 6 more counted for each row, in a pool of several threads may allocate within Rayon: a
//! worker's queue grows when it is full. That is not this crate's to promise, and not tested.

mod common;

use allocation_counter::measure;
use rayon::ThreadPoolBuilder;
use xent::{PartialRow, Rows, RowsMut, Shard};

use common::backends;
use common::writers::{Inputs, Outputs, WRITERS, sized};

/// Runs every function of the table twice, and counts on this thread what the second run allocates.
fn assert_nothing_is_allocated(inputs: &mut Inputs, outputs: &mut Outputs) {
    for backend in backends() {
        inputs.backend = Some(backend);
        for writer in WRITERS {
            (writer.call)(inputs, outputs).unwrap();
            let count = measure(|| (writer.call)(inputs, outputs).unwrap());
            let (rows, classes) = (inputs.rows, inputs.classes);
            assert_eq!(count.count_total, 0, "{} on {backend}, {rows} rows of {classes}", writer.name);
        }
    }
}

#[test]
fn small_work_allocates_nothing() {
    // Up to 34 Ki logits stay on this thread, whatever the pool, 6 more counted for each row.
    for (rows, classes) in [(1, 1), (700, 32), (30, 1000), (1, 32_768)] {
        let (mut inputs, mut outputs) = sized(rows, classes);
        assert_nothing_is_allocated(&mut inputs, &mut outputs);
    }
}

#[test]
fn large_work_in_a_pool_of_one_thread_allocates_nothing() {
    let pool = ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    for (rows, classes) in [(3000, 32), (60, 1000), (2, 50_000)] {
        let (mut inputs, mut outputs) = sized(rows, classes);
        pool.install(|| assert_nothing_is_allocated(&mut inputs, &mut outputs));
    }
}

/// In a pool of several threads such a row is shared by them.
#[test]
fn a_single_row_however_long_allocates_nothing() {
    let pool = ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let (mut inputs, mut outputs) = sized(1, 200_000);
    pool.install(|| assert_nothing_is_allocated(&mut inputs, &mut outputs));
}

#[test]
fn shards_allocate_nothing() {
    let (logits, labels) = ([0.5; 900], [7_u16, 2000, 999]);
    let (mut partials, mut merged) = ([PartialRow::EMPTY; 3], [PartialRow::EMPTY; 3]);
    let (mut losses, mut gradient) = ([0.0; 3], logits);
    let (shard, other) = (Shard::new(0, 2500).unwrap(), Shard::new(300, 2500).unwrap());
    let far =
        other.partials(&[7_u16, 2000, 999], Rows::with_stride(&[0.0; 2200], 3, 2200, 0).unwrap()).unwrap();
    for backend in backends() {
        let view = Rows::new(&logits, 3, 300).unwrap().with_backend(backend);
        let mut step = || {
            shard.partials_into(&labels, view, &mut partials).unwrap();
            for (to, part) in merged.iter_mut().zip(partials.iter().zip(&far)) {
                *to = part.0.merge(*part.1);
            }
            shard.losses_into(&labels, &merged, &mut losses).unwrap();
            let gradient = RowsMut::new(&mut gradient, 3, 300).unwrap();
            shard.gradient_into(&labels, view, &merged, gradient).unwrap();
        };
        step();
        assert_eq!(measure(step).count_total, 0, "{backend}");
    }
}

#[test]
fn the_counter_sees_what_is_allocated() {
    let logits = [0.0, 1.0, 2.0];
    let logits = Rows::new(&logits, 1, 3).unwrap();
    let count = measure(|| drop(xent::softmax(logits).unwrap()));
    assert!(count.count_total > 0);
}
