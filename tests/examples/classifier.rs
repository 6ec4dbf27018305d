//! The example `classifier`: both learn, their gradients are right, and the chart is drawn.

use std::fs;
use std::path::Path;

use crate::common::example::{Run, run};

fn classifier(folder: &Path, options: &[&str]) -> Run {
    let chart = folder.join("chart.svg");
    run("classifier", options.iter().copied().chain(["--out", chart.to_str().unwrap()]))
}

#[test]
fn both_reach_95_percent_with_gradients_that_are_right() {
    let folder = tempfile::tempdir().unwrap();
    let run = classifier(folder.path(), &[]);
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{run:?}");
    assert!(run.out.starts_with("1438 digits to learn from, 359 held out\n"), "{run:?}");
    for name in ["softmax", "svm"] {
        let of_gradient = run.field(&format!("{name}: gradient checked, largest relative error"));
        assert!(of_gradient.parse::<f64>().unwrap() <= 1e-4, "{run:?}");
        let learned = run.out.lines().find(|line| line.starts_with(&format!("{name}: loss"))).unwrap();
        let accuracy = learned.split(", ").nth(1).unwrap().split(' ').next().unwrap();
        assert!(accuracy.parse::<f64>().unwrap() >= 95.0, "{run:?}");
    }
    let svg = fs::read_to_string(folder.path().join("chart.svg")).unwrap();
    let texts: Vec<_> = svg.lines().map(str::trim).collect();
    for text in ["Loss with the L2 term", "mean loss", "step", "softmax", "svm"] {
        assert!(texts.contains(&text), "{text:?} is missing in {svg}");
    }
}

#[test]
fn the_l2_term_counts_and_the_same_options_give_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let out = |reg| classifier(folder.path(), &["--iterations", "300", "--reg", reg]).out;
    assert_eq!(out("0"), out("0"));
    assert_ne!(out("0"), out("0.001"));
}

#[test]
fn missing_the_aim_is_an_error_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let run = classifier(folder.path(), &["--iterations", "1"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert_eq!(run.err, "classifier: softmax and svm below the aim of 95 %\n");
}

#[test]
fn options_out_of_range_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for options in [["--iterations", "0"], ["--batch", "0"], ["--reg", "inf"], ["--reg", "nan"]] {
        let run = classifier(folder.path(), &options);
        assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{run:?}");
        assert!(run.err.contains(options[0]), "{run:?}");
    }
}
