//! `cargo bench`: every operation beside the limits of the machine, with ids
//! `operation/backend/rows x classes/threads`.
//!
//! `XENT_BENCH=quick cargo bench` takes about two minutes; `cargo bench -- softmax/` runs a part.

#![allow(unreachable_pub, reason = "a program has no API")]

#[path = "../common/mod.rs"]
mod common;

mod calls;
mod compare;
mod halves;
mod limits;
mod linear;
mod operations;
mod options;
mod plan;
mod tokens;

use std::env;
use std::time::Duration;

use criterion::Criterion;

fn main() {
    // Without `--bench` all is run once, as a test.
    let test = !env::args().any(|argument| argument == "--bench");
    let quick = test || env::var("XENT_BENCH").is_ok_and(|mode| mode == "quick");
    let mut criterion = criterion(quick).configure_from_args();
    calls::bench(&mut criterion);
    halves::bench(&mut criterion, quick);
    linear::bench(&mut criterion, quick);
    tokens::bench(&mut criterion, quick);
    compare::bench(&mut criterion, quick);
    for mut case in plan::cases(quick) {
        limits::bench(&mut criterion, &mut case);
        operations::bench(&mut criterion, &mut case);
        if case.has_options() {
            options::bench(&mut criterion, &mut case);
        }
    }
    criterion.final_summary();
}

/// The medians are stable long before the defaults: several hundred measurements at five seconds each
/// would take half an hour more.
fn criterion(quick: bool) -> Criterion {
    let (warm_up, measurement) = if quick { (50, 200) } else { (200, 1000) };
    Criterion::default()
        .warm_up_time(Duration::from_millis(warm_up))
        .measurement_time(Duration::from_millis(measurement))
        .sample_size(if quick { 10 } else { 20 })
        .nresamples(2000)
}
