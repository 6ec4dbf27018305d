//! Numbers of 16 bits: times, and what they are meant to be.

use super::aims::{Aim, Verdict, place};
use super::tables::{head, ratio, row, time};
use crate::results::{Comparison, Entrant, Kind, Results};
use crate::team::BACKENDS;

const EXPLANATION: &str = "
## Numbers of 16 bits

The loss of logits that are bf16 or f16, beside that of the same ones as f32, in ns per logit: the least time, and in brackets the
median; behind, ratios of least times to that of f32. What is in cache should cost as much; where logits come from memory, half the bytes should
show.

";

const TYPES: [&str; 2] = ["bf16", "f16"];

/// More logits than this are in memory, whatever their type.
const CACHED: usize = 1 << 24;

/// The table.
pub fn section(results: &Results) -> String {
    if results.of(Kind::Halves).next().is_none() {
        return String::new();
    }
    let mut text = EXPLANATION.to_owned();
    let columns =
        ["shape", "logits in", "threads", "backend", "f32", "bf16", "f16", "bf16 / f32", "f16 / f32"];
    head(&mut text, &columns.map(str::to_owned));
    for (comparison, backend) in lines(results) {
        let cell = |name: &str| {
            let entrant = comparison.named(&format!("{name} {backend}"));
            entrant.map_or(String::new(), |entrant: &Entrant| {
                format!("{} ({})", time(entrant.min()), time(entrant.median()))
            })
        };
        let over = |name: &str| ratio(over_f32(comparison, name, backend));
        let cells = [
            comparison.size(),
            if is_cached(comparison) { "cache" } else { "memory" }.to_owned(),
            comparison.threads.to_string(),
            backend.to_owned(),
            cell("f32"),
            cell("bf16"),
            cell("f16"),
            over("bf16"),
            over("f16"),
        ];
        row(&mut text, &cells);
    }
    text
}

/// Each comparison has one backend.
fn lines(results: &Results) -> impl Iterator<Item = (&Comparison, &'static str)> {
    results.of(Kind::Halves).filter_map(|comparison| {
        let backend =
            BACKENDS.into_iter().find(|backend| comparison.named(&format!("f32 {backend}")).is_some());
        Some((comparison, backend?))
    })
}

fn is_cached(comparison: &Comparison) -> bool {
    comparison.shape().logits() <= CACHED
}

fn over_f32(comparison: &Comparison, name: &str, backend: &str) -> f64 {
    comparison.min(&format!("{name} {backend}")) / comparison.min(&format!("f32 {backend}"))
}

/// What each comparison is meant to be.
pub fn aims(results: &Results) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for (comparison, backend) in lines(results) {
        let (most, lie) = if is_cached(comparison) { (1.1, "in cache") } else { (0.75, "from memory") };
        for name in TYPES {
            let value = over_f32(comparison, name, backend);
            let what = format!("loss of {name} {lie}: time over that of f32, {backend}");
            verdicts.push(Verdict { what, aim: Aim::AtMost(most), value, place: place(comparison, backend) });
        }
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use xent_peers::common::shape::shape;

    use super::{aims, section};
    use crate::results::{Comparison, Entrant, Kind, Results};

    #[test]
    fn less_is_asked_for_in_cache_than_from_memory() {
        let entrant = |(name, time): (&str, f64)| Entrant { name: name.to_owned(), times: vec![time] };
        let entrants = || [("f32 avx2", 0.5), ("bf16 avx2", 0.5), ("f16 avx2", 0.35)].map(entrant);
        let mut results = Results::new(Vec::new(), "");
        let shapes = [shape(1, 128_256), shape(2048, 131_072)];
        let comparison = |shape| Comparison::new(Kind::Halves, "sparse_loss", shape, 2, entrants().into());
        results.comparisons = shapes.map(comparison).into();
        let met: Vec<bool> = aims(&results).iter().map(super::Verdict::is_met).collect();
        assert_eq!(met, [true, true, false, true]);
        assert!(
            section(&results).contains(
                "| memory | 2 | avx2 | 0.500 (0.500) | 0.500 (0.500) | 0.350 (0.350) | 1.00 | 0.70 |"
            )
        );
    }
}
