//! The tables at the top of the page: shapes and operations beside the bound and the best peer.

use std::fmt::Write;

use super::aims::{Verdict, beside_bound, beside_peers, section};
use super::tables::{distinct, head, plural, ratio, row, time};
use crate::results::{Comparison, Entrant, Kind, Results};
use crate::team::BACKENDS;

const EXPLANATION: &str = "\
### Shapes and operations

Least times in ns per logit. *Bound* is a program of the same numeric core without all that a library must have, see
below. *Best peer* is the fastest other library; it chooses its instructions itself, also where xent is held to AVX2.
A dash stands where there is no aim.

";

/// One table for each backend and number of threads, the first of them open.
pub fn tables(results: &Results) -> String {
    let mut text = format!("\n## Summary\n\n{}\n{EXPLANATION}", section(results));
    let mut is_first = true;
    for threads in distinct(results.of(Kind::Operation).map(|comparison| comparison.threads)) {
        for backend in BACKENDS {
            let name = format!("xent {backend}");
            let here = |c: &&Comparison| c.threads == threads && c.named(&name).is_some();
            let all: Vec<&Comparison> = results.of(Kind::Operation).filter(here).collect();
            if all.is_empty() {
                continue;
            }
            let open = if is_first { " open" } else { "" };
            is_first = false;
            let title = format!("{}, {}", plural(threads), backend.to_uppercase());
            write!(text, "<details{open}>\n<summary>{title}</summary>\n\n").expect("a string takes all");
            table(&mut text, &all, backend);
            text += "\n</details>\n\n";
        }
    }
    text
}

fn table(text: &mut String, all: &[&Comparison], backend: &str) {
    let columns = [
        "shape",
        "operation",
        "xent",
        "bound",
        "xent / bound",
        "best peer",
        "",
        "best peer / xent",
        "aims",
        "met",
    ];
    head(text, &columns.map(str::to_owned));
    for comparison in all {
        let xent = comparison.min(&format!("xent {backend}"));
        let bound = comparison.bound(backend);
        let peer = comparison.best_peer();
        let peer_time = peer.map_or(f64::NAN, Entrant::min);
        let aims = [beside_bound(comparison, backend), beside_peers(comparison, backend)];
        let marked = |verdict: &Option<Verdict>, value: f64| {
            let missed = verdict.as_ref().is_some_and(|verdict| !verdict.is_met());
            if missed { format!("**{}**", ratio(value)) } else { ratio(value) }
        };
        let stated: Vec<String> = aims.iter().flatten().map(|verdict| verdict.aim.to_string()).collect();
        let missed = aims.iter().flatten().any(|verdict| !verdict.is_met());
        let met = match (stated.is_empty(), missed) {
            (true, _) => "–",
            (_, true) => "**missed**",
            (_, false) => "met",
        };
        row(
            text,
            &[
                comparison.shape().to_string(),
                comparison.operation.clone(),
                time(xent),
                time(bound),
                marked(&aims[0], xent / bound),
                time(peer_time),
                peer.map_or(String::new(), |peer| peer.name.clone()),
                marked(&aims[1], peer_time / xent),
                if stated.is_empty() { "–".to_owned() } else { stated.join(", ") },
                met.to_owned(),
            ],
        );
    }
}
