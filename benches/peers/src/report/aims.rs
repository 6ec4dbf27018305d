//! What xent is meant to reach, and what was measured. All ratios are those of minima.

use std::fmt::Write;

use xent_peers::common::operations::Operation;
use xent_peers::common::shape::Shape;

use super::tables::{distinct, time};
use super::{halves, linear, tokens};
use crate::results::{Comparison, Kind, Results};
use crate::team::BACKENDS;

/// How many times as long as the bound xent may take.
const BOUND: f64 = 1.15;

/// A side on which a value must be.
#[derive(Clone, Copy)]
pub enum Aim {
    AtMost(f64),
    AtLeast(f64),
}

impl Aim {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }

    /// How far a value is from it: less is better.
    fn distance(self, value: f64) -> f64 {
        match self {
            Self::AtMost(most) => value / most,
            Self::AtLeast(least) => least / value,
        }
    }
}

impl std::fmt::Display for Aim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "≤ {most}"),
            Self::AtLeast(least) => write!(f, "≥ {least}"),
        }
    }
}

/// One aim at one place: what it is about, what was measured, and where.
pub struct Verdict {
    pub what: String,
    pub aim: Aim,
    pub value: f64,
    pub place: String,
}

impl Verdict {
    pub fn is_met(&self) -> bool {
        self.aim.is_met(self.value)
    }
}

/// How much faster than the best peer xent is meant to be.
fn least_lead(operation: Operation, shape: Shape, backend: &str) -> Option<(&'static str, f64)> {
    use Operation::{DenseLossAndGradient, LogSoftmax, Softmax, SparseLoss, SparseLossAndGradient};
    let place = match shape.classes {
        10 => "10 classes",
        128 => "128 classes",
        1000..=1024 => "1000 classes",
        32_000.. => "32 000 classes and more",
        _ => return None,
    };
    let of = |leads: [f64; 4]| match shape.classes {
        10 => leads[0],
        128 => leads[1],
        1000..=1024 => leads[2],
        _ => leads[3],
    };
    let middle = if backend == "avx512" { 1.1 } else { 0.95 };
    let lead = match operation {
        SparseLoss => of([2.0, 1.5, 2.0, 3.0]),
        SparseLossAndGradient => of([2.5, 1.15, 1.5, 2.0]),
        Softmax | LogSoftmax => of([1.8, middle, middle, 1.25]),
        DenseLossAndGradient if shape.classes >= 128 => 1.5,
        _ => return None,
    };
    Some((place, lead))
}

/// xent on a backend beside the bound.
pub fn beside_bound(comparison: &Comparison, backend: &str) -> Option<Verdict> {
    let value = comparison.min(&format!("xent {backend}")) / comparison.bound(backend);
    let what = format!("time over that of the bound, {backend}");
    value.is_finite().then(|| Verdict {
        what,
        aim: Aim::AtMost(BOUND),
        value,
        place: place(comparison, backend),
    })
}

/// The best peer beside xent on a backend.
pub fn beside_peers(comparison: &Comparison, backend: &str) -> Option<Verdict> {
    let operation = Operation::named(&comparison.operation)?;
    let shape = comparison.shape();
    let xent = comparison.min(&format!("xent {backend}"));
    let (what, value, least) = if shape.inner > 1 {
        if ![Operation::SparseLossAndGradient, Operation::Softmax].contains(&operation) {
            return None;
        }
        let what = format!("{operation}, classes in the middle: PyTorch's time over xent's, {backend}");
        (what, comparison.min("PyTorch") / xent, 2.5)
    } else {
        let (place, least) = least_lead(operation, shape, backend)?;
        let what = format!("{operation}, {place}: best peer's time over xent's, {backend}");
        (what, comparison.best_peer()?.min() / xent, least)
    };
    let (aim, place) = (Aim::AtLeast(least), place(comparison, backend));
    value.is_finite().then_some(Verdict { what, aim, value, place })
}

/// Where something was measured.
pub fn place(comparison: &Comparison, backend: &str) -> String {
    let threads = if comparison.threads == 1 { "1 thread" } else { "2 threads" };
    let backend = if backend.is_empty() { String::new() } else { format!(", {backend}") };
    format!("{} {}, {threads}{backend}", comparison.operation, comparison.size())
}

/// Aims that are about xent beside itself.
fn itself(results: &Results) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let mut note = |comparison: &Comparison, what: String, most: f64, value: f64| {
        if value.is_finite() {
            let place = place(comparison, "");
            verdicts.push(Verdict { what, aim: Aim::AtMost(most), value, place });
        }
    };
    for comparison in &results.comparisons {
        let ratio = |name: &str, other: &str| comparison.min(name) / comparison.min(other);
        match comparison.kind {
            Kind::Middle if ["sparse_loss_and_gradient", "softmax"].contains(&&*comparison.operation) => {
                let what = "time of classes in the middle over the same rows with classes at the end".into();
                note(comparison, what, 1.3, ratio("in the middle", "at the end"));
            }
            Kind::Front => {
                let what = "time of classes in front over turning them by hand".into();
                note(comparison, what, 1.0, ratio("in front", "turned by hand"));
            }
            Kind::Options => {
                for entrant in &comparison.entrants[1..] {
                    let what = format!("time with {} over a plain call", words(&entrant.name));
                    note(comparison, what, dearest(&entrant.name), ratio(&entrant.name, "no_option"));
                }
            }
            Kind::Logits => {
                for entrant in &comparison.entrants[1..] {
                    let what = format!("time of logits {} over ordinary ones", entrant.name);
                    note(comparison, what, 1.5, ratio(&entrant.name, "ordinary"));
                }
            }
            Kind::Call => {
                if let Some(most) = longest_call(comparison) {
                    let what = format!("{}, a call of {} in ns", comparison.operation, comparison.shape());
                    note(comparison, what, most, comparison.min("xent"));
                }
            }
            Kind::Operation | Kind::Middle | Kind::Sweep | Kind::Linear | Kind::Tokens | Kind::Halves => {}
        }
    }
    verdicts
}

pub fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// What an option may cost, as a factor.
fn dearest(option: &str) -> f64 {
    match option {
        "z_loss" | "class_weights" | "upstream" | "ignored_rows" => 1.05,
        "soft_cap" => 3.0,
        _ => 1.4,
    }
}

fn longest_call(comparison: &Comparison) -> Option<f64> {
    match (comparison.rows, comparison.classes, &*comparison.operation) {
        (0, ..) => Some(40.0),
        (1, 10, "sparse_loss") => Some(120.0),
        (1, 10, "sparse_loss_and_gradient") => Some(160.0),
        _ => None,
    }
}

/// Each size of the sweep over the one before, or the other way round.
fn steps(results: &Results) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for operation in distinct(results.of(Kind::Sweep).map(|c| &c.operation)) {
        let all: Vec<&Comparison> = results.of(Kind::Sweep).filter(|c| c.operation == *operation).collect();
        for pair in all.windows(2) {
            let ratio = pair[1].min("xent") / pair[0].min("xent");
            verdicts.push(Verdict {
                what: "time over that of the neighbouring number of classes".into(),
                aim: Aim::AtMost(1.5),
                value: ratio.max(1.0 / ratio),
                place: format!("{operation} {} classes", pair[1].classes),
            });
        }
    }
    verdicts
}

/// What the crate may weigh.
fn weight(results: &Results) -> Vec<Verdict> {
    let Some(weight) = &results.weight else { return Vec::new() };
    let verdict = |what: &str, most: f64, value: f64, place: &str| Verdict {
        what: what.to_owned(),
        aim: Aim::AtMost(most),
        value,
        place: place.to_owned(),
    };
    vec![
        verdict("seconds of a clean build", 25.0, weight.build, "a program with xent alone"),
        verdict(
            "seconds of a clean build with every feature",
            30.0,
            weight.build_all_features,
            "a program with xent alone",
        ),
        verdict("MB of machine code", 1.5, weight.code as f64 / 1e6, "the compiled crate"),
        verdict("lines of source", 9000.0, weight.lines as f64, "`src/`"),
        verdict("lines of the longest file", 400.0, weight.longest as f64, "`src/`"),
    ]
}

/// The table of all aims: how often each is met, and where it is furthest away.
pub fn section(results: &Results) -> String {
    let mut all = Vec::new();
    for comparison in results.of(Kind::Operation) {
        for backend in BACKENDS {
            all.extend(beside_bound(comparison, backend));
            all.extend(beside_peers(comparison, backend));
        }
    }
    all.extend(itself(results));
    all.extend(linear::aims(results));
    all.extend(tokens::aims(results));
    all.extend(halves::aims(results));
    all.extend(steps(results));
    all.extend(weight(results));
    let mut text = String::from(
        "### Aims\n\nHow often each of them is met, over all shapes, operations and numbers of threads it is about.\n\n\
         | what | aim | met | worst |\n|---|---|---|---|\n",
    );
    // Those of the bound first, then by operation.
    let mut lines = distinct(all.iter().map(|verdict| &verdict.what));
    lines.sort_by_key(|what| !what.contains("bound"));
    for what in lines {
        let here: Vec<&Verdict> = all.iter().filter(|verdict| verdict.what == *what).collect();
        let met = here.iter().filter(|verdict| verdict.is_met()).count();
        let order = |verdict: &&&Verdict| verdict.aim.distance(verdict.value);
        let Some(worst) = here.iter().max_by(|a, b| order(a).total_cmp(&order(b))) else { continue };
        let count = format!("{met} of {}", here.len());
        let count = if met == here.len() { count } else { format!("**{count}**") };
        let (aim, value, place) = (worst.aim, time(worst.value), &worst.place);
        writeln!(text, "| {what} | {aim} | {count} | {value} at {place} |").expect("a string takes all");
    }
    text
}

#[cfg(test)]
mod tests {
    use xent_peers::common::shape::{images, shape};

    use super::{beside_bound, beside_peers};
    use crate::results::{Comparison, Entrant, Kind};

    fn comparison(operation: &str, classes: usize) -> Comparison {
        let entrant = |(name, time): (&str, f64)| Entrant { name: name.to_owned(), times: vec![time] };
        let entrants =
            [("xent avx2", 1.0), ("bound avx2", 0.9), ("PyTorch", 4.0), ("JAX", 1.9), ("loop", 0.5)];
        let shape = if classes == 81 { images(2, 81, 10) } else { shape(2, classes) };
        Comparison::new(Kind::Operation, operation, shape, 1, entrants.map(entrant).into())
    }

    #[test]
    fn verdicts_are_those_of_the_best_peer_and_of_the_bound() {
        let met =
            |operation, classes| beside_peers(&comparison(operation, classes), "avx2").map(|v| v.is_met());
        // 1.9 times as fast as JAX.
        assert_eq!(met("sparse_loss", 10), Some(false));
        assert_eq!(met("sparse_loss", 128), Some(true));
        assert_eq!(met("log_softmax", 10), Some(true));
        assert_eq!(met("dense_loss_and_gradient", 10), None);
        // With classes in the middle it is PyTorch that counts.
        assert_eq!(met("softmax", 81), Some(true));
        let bound = beside_bound(&comparison("softmax", 10), "avx2").map(|verdict| verdict.is_met());
        assert_eq!(bound, Some(true));
        assert!(beside_bound(&comparison("softmax", 10), "avx512").is_none());
    }
}
