//! The example `soak`, for a moment.

use crate::common::example::run;
use xent::Backend;

#[test]
fn a_short_run_finds_no_other_result_and_calls_in_every_way() {
    let run = run("soak", ["--minutes", "0.05", "--callers", "8", "--growth", "512"]);
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{run:?}");
    assert_eq!(run.field("other results"), "0");
    let backends: Vec<_> = Backend::available().map(Backend::name).collect();
    assert!(run.field("cases").ends_with(&backends.join(", ")), "{run:?}");
    let ways: Vec<_> = run.out.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    assert_eq!(ways.len(), 6, "{run:?}");
    for way in ways {
        let calls: u64 = way.split_whitespace().next().unwrap().parse().unwrap();
        assert!(calls > 0, "{way}");
    }
}

#[test]
fn a_bad_number_of_minutes_is_refused() {
    for minutes in ["-1", "nan", "x"] {
        let run = run("soak", ["--minutes", minutes]);
        assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{run:?}");
    }
}
