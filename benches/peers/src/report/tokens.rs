//! Log-probabilities of tokens: times, and what they are meant to be.

use std::fmt::Write;

use super::aims::{Aim, Verdict, place};
use super::tables::{distinct, head, plural, ratio, row, time};
use crate::results::{Comparison, Entrant, Kind, Results};
use crate::team::BACKENDS;

const EXPLANATION: &str = "
## Token log-probabilities

`TokenLogProbs`, as a server calls it: the *k* most probable tokens and their log-probabilities, the chosen token's, its rank, and the
entropy, all at once. Times are ns per logit, the least one and in brackets the median.

- *log-sum-exp* is `xent`'s alone, on the same backend: less cannot be read of a row.
- *PyTorch* composes the same as vLLM does: `log_softmax`, `gather`, a comparison and a sum for the rank, `topk`, and the entropy, a tensor each.
- *heap* is a loop as one writes it by hand: a maximum, a sum of exponentials, and a heap of the largest logits. It has no rank and no entropy.
- What stands behind are ratios of least times.
";

/// A table for each number of threads.
pub fn section(results: &Results) -> String {
    let mut text = String::new();
    if results.of(Kind::Tokens).next().is_some() {
        text += EXPLANATION;
    }
    for threads in distinct(results.of(Kind::Tokens).map(|comparison| comparison.threads)) {
        write!(text, "\n### Tokens, {}\n\n", plural(threads)).expect("a string takes all");
        table(&mut text, results.of(Kind::Tokens).filter(|c| c.threads == threads));
    }
    text
}

/// xent, the log-sum-exp, and both ratios to others.
struct Line<'a> {
    xent: &'a Entrant,
    alone: &'a Entrant,
    over_alone: f64,
    peer: f64,
    heap: f64,
}

fn line<'a>(comparison: &'a Comparison, backend: &str) -> Option<Line<'a>> {
    let xent = comparison.named(&format!("xent {backend}"))?;
    let alone = comparison.named(&format!("log-sum-exp {backend}"))?;
    let ratio = |other: &str| comparison.min(other) / xent.min();
    let (peer, heap) = (ratio("PyTorch"), ratio("heap"));
    Some(Line { xent, alone, over_alone: xent.min() / alone.min(), peer, heap })
}

fn table<'a>(text: &mut String, all: impl Iterator<Item = &'a Comparison>) {
    let columns = [
        "shape",
        "k",
        "backend",
        "xent",
        "log-sum-exp",
        "PyTorch",
        "heap",
        "xent / log-sum-exp",
        "PyTorch / xent",
        "heap / xent",
    ];
    head(text, &columns.map(str::to_owned));
    let cell = |entrant: &Entrant| format!("{} ({})", time(entrant.min()), time(entrant.median()));
    for comparison in all {
        for backend in BACKENDS {
            let Some(line) = line(comparison, backend) else { continue };
            let other = |name: &str| comparison.named(name).map_or(String::new(), cell);
            let cells = [
                comparison.size(),
                comparison.operation.trim_start_matches("top_").to_owned(),
                backend.to_owned(),
                cell(line.xent),
                cell(line.alone),
                other("PyTorch"),
                other("heap"),
                ratio(line.over_alone),
                ratio(line.peer),
                ratio(line.heap),
            ];
            row(text, &cells);
        }
    }
}

/// What each comparison is meant to be.
pub fn aims(results: &Results) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for comparison in results.of(Kind::Tokens) {
        for backend in BACKENDS {
            let Some(line) = line(comparison, backend) else { continue };
            let count = comparison.operation.trim_start_matches("top_");
            let mut note = |what: &str, aim: Aim, value: f64| {
                if value.is_finite() {
                    let what = format!("tokens, k = {count}: {what}, {backend}");
                    verdicts.push(Verdict { what, aim, value, place: place(comparison, backend) });
                }
            };
            let most = if count == "1" { 1.2 } else { 1.5 };
            note("time over that of the log-sum-exp", Aim::AtMost(most), line.over_alone);
            if count != "1" {
                note("PyTorch's time over xent's", Aim::AtLeast(8.0), line.peer);
                note("a heap's time over xent's", Aim::AtLeast(5.0), line.heap);
            }
        }
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use xent_peers::common::shape::shape;

    use super::aims;
    use crate::results::{Comparison, Entrant, Kind, Results};

    #[test]
    fn one_token_has_an_aim_of_its_own_and_no_peers() {
        let entrant = |(name, time): (&str, f64)| Entrant { name: name.to_owned(), times: vec![time] };
        let entrants =
            || [("xent avx2", 0.4), ("log-sum-exp avx2", 0.3), ("PyTorch", 3.6), ("heap", 1.6)].map(entrant);
        let mut results = Results::new(Vec::new(), "");
        let comparison = |name| Comparison::new(Kind::Tokens, name, shape(1, 128_256), 1, entrants().into());
        results.comparisons = ["top_20", "top_1"].map(comparison).into();
        let met: Vec<_> = aims(&results).iter().map(|v| (format!("{:.2}", v.value), v.is_met())).collect();
        let expected = [("1.33", true), ("9.00", true), ("4.00", false), ("1.33", false)];
        assert_eq!(met, expected.map(|(value, met)| (value.to_owned(), met)));
    }
}
