//! The example `digits`: it learns, says what it learned, and draws it.

use std::fs;
use std::path::Path;

use crate::common::example::{Run, run};

/// Runs the example with a chart in `folder`.
fn digits(folder: &Path, options: &[&str]) -> Run {
    let chart = folder.join("chart.svg");
    run("digits", options.iter().copied().chain(["--out", chart.to_str().unwrap()]))
}

/// Training loss, held-out loss and held-out accuracy of each epoch.
fn epochs(run: &Run) -> Vec<[f64; 3]> {
    let table = run.out.lines().filter(|line| line.ends_with(" %"));
    table
        .enumerate()
        .map(|(index, line)| {
            let mut fields = line.split_whitespace();
            assert_eq!(fields.next(), Some((index + 1).to_string().as_str()), "{line}");
            [(); 3].map(|()| fields.next().unwrap().parse().unwrap())
        })
        .collect()
}

#[test]
fn the_default_run_reaches_95_percent() {
    let folder = tempfile::tempdir().unwrap();
    let run = digits(folder.path(), &[]);
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{run:?}");
    assert!(run.out.starts_with("1438 digits to learn from, 359 held out; backend "), "{run:?}");
    let epochs = epochs(&run);
    let [.., last] = epochs.as_slice() else { panic!("{run:?}") };
    assert!(last[2] >= 95.0, "{run:?}");
    assert!(run.out.ends_with("the aim of 95 % is reached\n"), "{run:?}");
}

#[test]
fn every_loss_reaches_95_percent() {
    let folder = tempfile::tempdir().unwrap();
    for options in [
        &["--label-smoothing", "0.1"][..],
        &["--class-weights", "balanced"],
        &["--label-smoothing", "0.1", "--class-weights", "balanced"],
        &["--loss", "hinge"],
        &["--loss", "hinge", "--class-weights", "balanced"],
        &["--head", "fused", "--label-smoothing", "0.1", "--class-weights", "balanced"],
    ] {
        let run = digits(folder.path(), options);
        assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{options:?}: {run:?}");
        assert!(run.out.ends_with("the aim of 95 % is reached\n"), "{options:?}: {run:?}");
    }
}

#[test]
fn a_fused_head_learns_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let [own, fused] = ["logits", "fused"].map(|head| epochs(&digits(folder.path(), &["--head", head])));
    let ([.., own], [.., fused]) = (own.as_slice(), fused.as_slice()) else { panic!("{own:?}, {fused:?}") };
    // Its products are rounded in another order: of six digits after the point, the last ones differ at most.
    assert!((own[0] - fused[0]).abs() < 1e-4 && (own[1] - fused[1]).abs() < 1e-4, "{own:?}, {fused:?}");
    assert_eq!(own[2].to_bits(), fused[2].to_bits(), "{own:?}, {fused:?}");
}

#[test]
fn what_a_hinge_has_not_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for options in [["--label-smoothing", "0.1"], ["--head", "fused"]] {
        let run = digits(folder.path(), &["--loss", "hinge", options[0], options[1]]);
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.err.contains(options[0]) && run.err.lines().count() == 1, "{run:?}");
    }
}

#[test]
fn every_epoch_has_its_line_and_the_losses_fall() {
    let folder = tempfile::tempdir().unwrap();
    let run = digits(folder.path(), &["--epochs", "3"]);
    let epochs = epochs(&run);
    assert_eq!(epochs.len(), 3, "{run:?}");
    // An untrained model gives every digit the loss ln 10.
    let mut before = [10_f64.ln(); 2];
    for [training, held_out, accuracy] in epochs {
        assert!(training < before[0] && held_out < before[1], "{run:?}");
        assert!((0.0..=100.0).contains(&accuracy), "{run:?}");
        before = [training, held_out];
    }
}

#[test]
fn the_chart_names_its_axes_and_lines() {
    let folder = tempfile::tempdir().unwrap();
    let run = digits(folder.path(), &["--epochs", "2"]);
    assert!(
        run.out.contains(&format!("learning curve: {}", folder.path().join("chart.svg").display())),
        "{run:?}"
    );
    let svg = fs::read_to_string(folder.path().join("chart.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
    let texts: Vec<_> = svg.lines().map(str::trim).collect();
    for text in ["Mean loss", "nats", "Accuracy", "%", "epoch", "training", "held out", "aim"] {
        assert!(texts.contains(&text), "{text:?} is missing in {svg}");
    }
}

#[test]
fn the_same_options_give_the_same_bits_and_another_seed_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let chart = || fs::read(folder.path().join("chart.svg")).unwrap();
    let options = ["--epochs", "2", "--seed", "7", "--batch", "50", "--learning-rate", "0.3"];
    let first = (digits(folder.path(), &options).out, chart());
    let again = (digits(folder.path(), &options).out, chart());
    assert_eq!(first, again);
    let other =
        digits(folder.path(), &["--epochs", "2", "--seed", "8", "--batch", "50", "--learning-rate", "0.3"]);
    assert_ne!(first.0, other.out);
}

#[test]
fn missing_the_aim_is_an_error_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let run = digits(folder.path(), &["--epochs", "1", "--learning-rate", "1e-6"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.err.starts_with("digits: ") && run.err.ends_with("; the aim is 95 %\n"), "{run:?}");
    assert_eq!(run.err.lines().count(), 1, "{run:?}");
}

#[test]
fn a_loss_that_is_no_number_any_more_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let run = digits(folder.path(), &["--epochs", "2", "--learning-rate", "3e38"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.err.contains("try a smaller --learning-rate") && run.err.lines().count() == 1, "{run:?}");
    assert!(!folder.path().join("chart.svg").exists());
}

#[test]
fn options_out_of_range_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for options in [
        ["--epochs", "0"],
        ["--batch", "0"],
        ["--learning-rate", "0"],
        ["--learning-rate", "nan"],
        ["--label-smoothing", "1.5"],
    ] {
        let run = digits(folder.path(), &options);
        assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{run:?}");
        assert!(run.err.contains(options[0]), "{run:?}");
    }
}
