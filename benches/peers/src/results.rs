//! The raw results, and the medians taken of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use xent_peers::common::linear::Size;
use xent_peers::common::shape::Shape;

use crate::weight::Weight;

/// One run of this program.
#[derive(Serialize, Deserialize)]
pub struct Results {
    pub date: String,
    /// Why this is a part of what there is to measure; empty where it is all.
    pub partial: String,
    /// How long it took, without building.
    pub minutes: f64,
    /// What the machine is, a line each.
    pub machine: Vec<(String, String)>,
    pub versions: BTreeMap<String, String>,
    /// Peers that could not be measured, with the reason.
    pub missing: BTreeMap<String, String>,
    /// Results that were wrong, and operations that failed.
    pub problems: Vec<String>,
    pub weight: Option<Weight>,
    pub comparisons: Vec<Comparison>,
    /// What linear classifiers take.
    #[serde(default)]
    pub memory: Vec<Memory>,
}

/// What is compared with what.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// xent, the bound, the limits of the machine, and peers.
    Operation,
    /// Classes in the middle, and the same rows with their classes at the end.
    Middle,
    /// Classes in front, and the same turned by hand.
    Front,
    /// No option, and each option.
    Options,
    /// Ordinary logits, and others.
    Logits,
    /// One call, in ns.
    Call,
    /// xent alone, at a constant number of logits.
    Sweep,
    /// The loss of a linear classifier, the products that it is made of, and peers: a call.
    Linear,
    /// What is read of tokens on each backend, by a loop with a heap, and by a peer.
    Tokens,
    /// The loss of logits of 16 bits, and of f32.
    Halves,
}

/// Entrants that took turns.
#[derive(Serialize, Deserialize)]
pub struct Comparison {
    pub kind: Kind,
    pub operation: String,
    pub rows: usize,
    pub classes: usize,
    /// As in [`Shape`].
    pub inner: usize,
    /// Those that a linear classifier makes logits of; 0 where logits are given.
    #[serde(default)]
    pub features: usize,
    pub threads: usize,
    /// xent comes first.
    pub entrants: Vec<Entrant>,
}

/// What calls of a linear classifier take beyond their inputs, the most at any time.
#[derive(Serialize, Deserialize)]
pub struct Memory {
    pub operation: String,
    pub rows: usize,
    pub classes: usize,
    pub features: usize,
    pub threads: usize,
    /// Names and bytes; xent comes first.
    pub entrants: Vec<(String, f64)>,
}

/// The times of one of them, a round each: ns per logit, or per call.
#[derive(Serialize, Deserialize)]
pub struct Entrant {
    pub name: String,
    pub times: Vec<f64>,
}

impl Entrant {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), times: Vec::new() }
    }

    pub fn median(&self) -> f64 {
        median(self.times.clone())
    }

    pub fn min(&self) -> f64 {
        self.times.iter().copied().fold(f64::NAN, f64::min)
    }
}

/// NaN of nothing.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 0 => values[middle - 1].midpoint(values[middle]),
        _ => values[middle],
    }
}

impl Comparison {
    pub fn new(
        kind: Kind,
        operation: &str,
        Shape { rows, classes, inner }: Shape,
        threads: usize,
        entrants: Vec<Entrant>,
    ) -> Self {
        Self { kind, operation: operation.to_owned(), rows, classes, inner, features: 0, threads, entrants }
    }

    /// Calls of a linear classifier.
    pub fn linear(operation: &str, size: Size, threads: usize, entrants: Vec<Entrant>) -> Self {
        let features = size.features;
        Self { features, ..Self::new(Kind::Linear, operation, size.shape(), threads, entrants) }
    }

    /// The shape, or the size of a linear classifier.
    pub fn size(&self) -> String {
        match *self {
            Self { features: 0, .. } => self.shape().to_string(),
            Self { rows, classes, features, .. } => Size { rows, classes, features }.to_string(),
        }
    }

    pub fn shape(&self) -> Shape {
        Shape { rows: self.rows, classes: self.classes, inner: self.inner }
    }

    pub fn named(&self, name: &str) -> Option<&Entrant> {
        self.entrants.iter().find(|entrant| entrant.name == name)
    }

    /// The least time of the entrant of this name; NaN without one.
    pub fn min(&self, name: &str) -> f64 {
        self.named(name).map_or(f64::NAN, Entrant::min)
    }

    /// The least time of the bound, in the better of its forms.
    pub fn bound(&self, backend: &str) -> f64 {
        self.min(&format!("bound {backend}")).min(self.min(&format!("bound in turns {backend}")))
    }

    /// The other libraries, with their times.
    pub fn peers(&self) -> impl Iterator<Item = &Entrant> {
        let own = ["xent ", "bound ", "limit "];
        self.entrants.iter().filter(move |entrant| !own.iter().any(|own| entrant.name.starts_with(own)))
    }

    /// The fastest of those peers that are optimised for speed; the loop written by hand is not.
    pub fn best_peer(&self) -> Option<&Entrant> {
        let peers = self.peers().filter(|peer| peer.name != "loop");
        peers.min_by(|a, b| a.min().total_cmp(&b.min()))
    }
}

impl Results {
    pub fn new(machine: Vec<(String, String)>, partial: &str) -> Self {
        Self {
            date: jiff::Zoned::now().date().to_string(),
            partial: partial.to_owned(),
            minutes: 0.0,
            machine,
            versions: BTreeMap::new(),
            missing: BTreeMap::new(),
            problems: Vec::new(),
            weight: None,
            comparisons: Vec::new(),
            memory: Vec::new(),
        }
    }

    pub fn missing(&mut self, peer: &str, error: &anyhow::Error) {
        println!("{peer} is missing: {error:#}");
        self.missing.insert(peer.to_owned(), format!("{error:#}"));
    }

    pub fn problem(&mut self, problem: String) {
        println!("problem: {problem}");
        self.problems.push(problem);
    }

    pub fn add(&mut self, comparison: Comparison) {
        let Comparison { operation, threads, .. } = &comparison;
        print!("{operation} {} {threads}:", comparison.size());
        for entrant in &comparison.entrants {
            print!("  {} {:.3}", entrant.name, entrant.min());
        }
        println!();
        self.comparisons.push(comparison);
    }

    /// The comparisons of one kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Comparison> {
        self.comparisons.iter().filter(move |comparison| comparison.kind == kind)
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        Ok(fs::write(path, serde_json::to_string_pretty(self)?)?)
    }

    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("no results: {}", path.display()))?;
        Ok(serde_json::from_str(&text)?)
    }
}

#[cfg(test)]
mod tests {
    use xent_peers::common::shape::shape;

    use super::{Comparison, Entrant, Kind, median};

    #[test]
    fn medians_are_in_the_middle() {
        assert!(median(vec![]).is_nan());
        let medians = [median(vec![3.0, 1.0, 2.0]), median(vec![4.0, 1.0, 2.0, 3.0])];
        assert_eq!(medians.map(f64::to_bits), [2.0_f64, 2.5].map(f64::to_bits));
    }

    #[test]
    fn the_bound_is_the_better_of_its_forms_and_no_peer() {
        let entrant =
            |name: &str, time: f64| Entrant { name: name.to_owned(), times: vec![time + 1.0, time] };
        let entrants = vec![
            entrant("xent avx2", 3.0),
            entrant("bound avx2", 2.0),
            entrant("bound in turns avx2", 1.5),
            entrant("limit copy", 0.5),
            entrant("loop", 1.0),
            entrant("JAX", 4.0),
        ];
        let comparison = Comparison::new(Kind::Operation, "softmax", shape(2, 2), 1, entrants);
        assert_eq!(comparison.bound("avx2").to_bits(), 1.5_f64.to_bits());
        assert!(comparison.bound("avx512").is_nan());
        assert_eq!(comparison.best_peer().map(|peer| &*peer.name), Some("JAX"));
    }
}
