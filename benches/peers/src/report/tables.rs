//! The tables.

use std::fmt::Write;

use xent_peers::common::shape::{IMAGES, SHAPES, Shape};

use crate::plan::COMPARED;
use crate::results::{Comparison, Entrant, Kind, Results, median};

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

/// A time in ns per logit.
pub fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n.is_nan() => String::new(),
        n if n < 1.0 => format!("{n:.3}"),
        n if n < 10.0 => format!("{n:.2}"),
        n => format!("{n:.1}"),
    }
}

fn ratio(ratio: f64) -> String {
    if ratio.is_nan() { String::new() } else { format!("{ratio:.2}") }
}

/// The values that occur, each once, in their order.
fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    values.fold(Vec::new(), |mut seen, value| {
        if !seen.contains(&value) {
            seen.push(value);
        }
        seen
    })
}

/// The numbers of threads that were measured.
pub fn threads(results: &Results, kind: Kind) -> Vec<usize> {
    distinct(results.of(kind).map(|comparison| comparison.threads))
}

/// The peers that were measured.
pub fn names(results: &Results) -> Vec<&str> {
    distinct(results.of(Kind::Peer).flat_map(|c| &c.entrants[1..]).map(|entrant| &*entrant.name))
}

/// Comparisons of one operation on one shape.
pub fn at<'a>(
    results: &'a Results,
    kind: Kind,
    operation: &'a str,
    shape: Shape,
    threads: usize,
) -> impl Iterator<Item = &'a Comparison> {
    results.of(kind).filter(move |c| c.operation == operation && c.shape() == shape && c.threads == threads)
}

/// The time of an entrant; xent, which met every peer, has the median over all of them.
pub fn peer_time(
    results: &Results,
    operation: &str,
    shape: Shape,
    threads: usize,
    name: &str,
) -> Option<f64> {
    let all = at(results, Kind::Peer, operation, shape, threads).flat_map(|c| &c.entrants);
    let times: Vec<f64> = all.filter(|entrant| entrant.name == name).map(Entrant::median).collect();
    (!times.is_empty()).then(|| median(times))
}

fn plural(threads: usize) -> String {
    if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") }
}

/// Times beside those of each peer, with ratios.
pub fn peers(results: &Results) -> String {
    let mut text = String::from(
        "\n## Beside other libraries\n\nns per logit; in brackets, how many times as long as xent.\n",
    );
    let names = names(results);
    for threads in threads(results, Kind::Peer) {
        for operation in COMPARED {
            let operation = operation.name();
            write!(text, "\n### {operation}, {}\n\n", plural(threads)).expect("a string takes all");
            if threads == 1 {
                write!(text, "![{operation}](docs/benchmarks/{operation}.svg)\n\n")
                    .expect("a string takes all");
            }
            let offered = |name: &&&str| {
                let mut all =
                    results.of(Kind::Peer).filter(|c| c.operation == operation && c.threads == threads);
                all.any(|comparison| comparison.entrants[1].name == **name)
            };
            let names: Vec<&str> = names.iter().filter(offered).copied().collect();
            let columns = ["shape", "xent"].into_iter().chain(names.iter().copied());
            head(&mut text, &columns.map(str::to_owned).collect::<Vec<_>>());
            for shape in SHAPES.into_iter().chain(IMAGES) {
                peers_at(&mut text, results, operation, shape, threads, &names);
            }
        }
    }
    text
}

fn peers_at(
    text: &mut String,
    results: &Results,
    operation: &str,
    shape: Shape,
    threads: usize,
    names: &[&str],
) {
    let all: Vec<&Comparison> = at(results, Kind::Peer, operation, shape, threads).collect();
    let Some(xent) = peer_time(results, operation, shape, threads, "xent") else { return };
    let mut cells = vec![shape.to_string(), format!("**{}**", time(xent))];
    for name in names {
        let found = all.iter().find(|comparison| comparison.entrants[1].name == *name);
        cells.push(found.map_or(String::new(), |comparison| {
            let peer = &comparison.entrants[1];
            format!("{} ({})", time(peer.median()), ratio(peer.over(comparison.xent())))
        }));
    }
    row(text, &cells);
}

/// Times beside those of the limits.
pub fn limits(results: &Results) -> String {
    let mut text = String::from(
        "\n## Beside the limits of the machine\n\nns per logit; the ratio is that to the best limit that moves the same bytes.\n",
    );
    for operation in distinct(results.of(Kind::Limits).map(|c| &c.operation)) {
        let all: Vec<&Comparison> = results.of(Kind::Limits).filter(|c| c.operation == *operation).collect();
        write!(text, "\n### {operation}\n\n").expect("a string takes all");
        let limits = all[0].entrants.iter().map(|entrant| entrant.name.clone());
        head(
            &mut text,
            &["shape".to_owned(), "threads".to_owned()]
                .into_iter()
                .chain(limits)
                .chain(["ratio".to_owned()])
                .collect::<Vec<_>>(),
        );
        for comparison in all {
            let mut cells = vec![comparison.shape().to_string(), comparison.threads.to_string()];
            cells.extend(comparison.entrants.iter().map(|entrant| time(entrant.median())));
            cells.push(ratio(comparison.over_best_limit()));
            row(&mut text, &cells);
        }
    }
    text
}

/// The backends beside each other.
pub fn backends(results: &Results) -> String {
    let mut text = String::from("\n## Backends\n\nns per logit.\n\n");
    let Some(first) = results.of(Kind::Backends).next() else { return String::new() };
    let names = first.entrants.iter().map(|entrant| entrant.name.clone());
    let fixed = ["operation", "shape", "threads"].map(str::to_owned);
    head(&mut text, &fixed.into_iter().chain(names).collect::<Vec<_>>());
    for comparison in results.of(Kind::Backends) {
        let Comparison { operation, threads, .. } = comparison;
        let mut cells = vec![operation.clone(), comparison.shape().to_string(), threads.to_string()];
        cells.extend(comparison.entrants.iter().map(|entrant| time(entrant.median())));
        row(&mut text, &cells);
    }
    text
}

/// Times against classes.
pub fn sweep(results: &Results) -> String {
    let mut text = String::from(
        "\n## From two classes to a million\n\nns per logit on one thread, at about four million logits.\n\n\
         ![cost against classes](docs/benchmarks/classes.svg)\n\n",
    );
    let names = COMPARED.map(|operation| operation.name().to_owned());
    head(&mut text, &["classes".to_owned()].into_iter().chain(names).collect::<Vec<_>>());
    for classes in distinct(results.of(Kind::Sweep).map(|c| c.classes)) {
        let mut cells = vec![classes.to_string()];
        for operation in COMPARED {
            let mut all = results.of(Kind::Sweep).filter(|c| c.classes == classes);
            let found = all.find(|c| c.operation == operation.name());
            cells.push(found.map_or(String::new(), |c| time(c.xent().median())));
        }
        row(&mut text, &cells);
    }
    text
}
