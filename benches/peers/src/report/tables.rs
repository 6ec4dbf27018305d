//! The tables of the details.

use std::fmt::Write;

use super::aims::words;
use crate::plan::COMPARED;
use crate::results::{Comparison, Kind, Results};

/// A row of a table.
pub fn row(text: &mut String, cells: &[String]) {
    writeln!(text, "| {} |", cells.join(" | ")).expect("a string takes all");
}

/// The head of a table, numbers to the right.
pub fn head(text: &mut String, names: &[String]) {
    row(text, names);
    let line: Vec<String> =
        (0..names.len()).map(|column| if column == 0 { "---" } else { "---:" }.to_owned()).collect();
    row(text, &line);
}

/// A time in ns.
pub fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n.is_nan() => String::new(),
        n if n < 1.0 => format!("{n:.3}"),
        n if n < 10.0 => format!("{n:.2}"),
        n if n < 100.0 => format!("{n:.1}"),
        n => format!("{n:.0}"),
    }
}

pub fn ratio(ratio: f64) -> String {
    if ratio.is_nan() { String::new() } else { format!("{ratio:.2}") }
}

/// The values that occur, each once, in their order.
pub fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    values.fold(Vec::new(), |mut seen, value| {
        if !seen.contains(&value) {
            seen.push(value);
        }
        seen
    })
}

pub fn plural(threads: usize) -> String {
    if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") }
}

/// A column for each of the entrants, least time and median.
fn times(text: &mut String, first: &[&str], all: &[(Vec<String>, &Comparison)]) {
    let mut names = distinct(all.iter().flat_map(|(_, c)| &c.entrants).map(|entrant| &*entrant.name));
    // Others stay in their order.
    let places = ["xent ", "bound avx", "bound in turns ", "limit "];
    names.sort_by_key(|name| places.iter().position(|start| name.starts_with(start)).unwrap_or(places.len()));
    let columns = first.iter().copied().map(str::to_owned).chain(names.iter().map(|name| words(name)));
    head(text, &columns.collect::<Vec<_>>());
    for (first, comparison) in all {
        let cells = names.iter().map(|name| {
            comparison.named(name).map_or(String::new(), |entrant| {
                format!("{} ({})", time(entrant.min()), time(entrant.median()))
            })
        });
        row(text, &first.iter().cloned().chain(cells).collect::<Vec<_>>());
    }
}

/// All entrants at all operations.
pub fn operations(results: &Results) -> String {
    let mut text =
        String::from("\n## Every operation\n\nns per logit: the least time, and in brackets the median.\n");
    for threads in distinct(results.of(Kind::Operation).map(|comparison| comparison.threads)) {
        for operation in distinct(results.of(Kind::Operation).map(|comparison| &comparison.operation)) {
            let here =
                results.of(Kind::Operation).filter(|c| c.operation == *operation && c.threads == threads);
            let all: Vec<_> = here.map(|c| (vec![c.shape().to_string()], c)).collect();
            write!(text, "\n### {operation}, {}\n\n", plural(threads)).expect("a string takes all");
            times(&mut text, &["shape"], &all);
        }
    }
    text
}

/// Comparisons of one kind, a line each.
fn lines(results: &Results, kind: Kind, heading: &str) -> String {
    let all: Vec<_> = results
        .of(kind)
        .map(|c| (vec![c.operation.clone(), c.shape().to_string(), c.threads.to_string()], c))
        .collect();
    if all.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{heading}\n\n");
    times(&mut text, &["operation", "shape", "threads"], &all);
    text
}

/// Classes that are not the last axis.
pub fn layouts(results: &Results) -> String {
    let middle = "## Classes in the middle and in front\n\nns per logit. In the middle, as in detection and segmentation, \
                  beside as many rows with their classes at the end; in front, beside a call that turns the logits \
                  into rows, computes, and turns the results back.";
    let text = lines(results, Kind::Middle, middle);
    let heading = if text.is_empty() { middle } else { "### In front" };
    text + &lines(results, Kind::Front, heading)
}

/// Options and logits that need care.
pub fn options(results: &Results) -> String {
    let options = "## Options\n\nLoss and gradient with one option, in ns per logit.";
    let logits = "## Logits that need more care\n\nns per logit of logits with a standard deviation of 3; the same \
                  around 10 000; the same with a third of the classes at -inf.";
    lines(results, Kind::Options, options) + &lines(results, Kind::Logits, logits)
}

/// What a call costs.
pub fn calls(results: &Results) -> String {
    let heading = "## What a call costs\n\nns per call with buffers of the caller, on one thread. Without rows what is \
                   left is validation and dispatch.";
    lines(results, Kind::Call, heading)
}

/// Times against classes.
pub fn sweep(results: &Results) -> String {
    if results.of(Kind::Sweep).next().is_none() {
        return String::new();
    }
    let mut text = String::from(
        "\n## From two classes to a million\n\nLeast times in ns per logit on one thread, at about four million logits.\n\n",
    );
    let names = COMPARED.map(|operation| operation.name().to_owned());
    head(&mut text, &["classes".to_owned()].into_iter().chain(names).collect::<Vec<_>>());
    for classes in distinct(results.of(Kind::Sweep).map(|c| c.classes)) {
        let mut cells = vec![classes.to_string()];
        for operation in COMPARED {
            let mut all = results.of(Kind::Sweep).filter(|c| c.classes == classes);
            let found = all.find(|c| c.operation == operation.name());
            cells.push(found.map_or(String::new(), |c| time(c.min("xent"))));
        }
        row(&mut text, &cells);
    }
    text
}
