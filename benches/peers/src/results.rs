//! The raw results, and the medians taken of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use xent_peers::common::shape::Shape;

/// One run of this program.
#[derive(Serialize, Deserialize)]
pub struct Results {
    pub date: String,
    pub quick: bool,
    /// What the machine is, a line each.
    pub machine: Vec<(String, String)>,
    pub versions: BTreeMap<String, String>,
    /// Peers that could not be measured, with the reason.
    pub missing: BTreeMap<String, String>,
    /// Results that were wrong, and operations that failed.
    pub problems: Vec<String>,
    pub comparisons: Vec<Comparison>,
}

/// What is compared with what.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// xent, and one peer.
    Peer,
    /// xent, and the limits of the machine.
    Limits,
    /// The backends of xent, the selected one first.
    Backends,
    /// xent on one thread, and on two.
    Threads,
    /// xent alone, at a constant number of logits.
    Sweep,
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
    pub threads: usize,
    /// xent comes first.
    pub entrants: Vec<Entrant>,
}

/// The times of one of them, ns per logit, a round each.
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

    /// The median over the rounds of this time over the other's.
    pub fn over(&self, other: &Self) -> f64 {
        median(self.times.iter().zip(&other.times).map(|(a, b)| a / b).collect())
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
    pub fn shape(&self) -> Shape {
        Shape { rows: self.rows, classes: self.classes, inner: self.inner }
    }

    /// What is compared: only one comparison is kept of each.
    fn subject(&self) -> (Kind, &str, Shape, usize, Option<&str>) {
        let peer = self.entrants.get(1).filter(|_| self.kind == Kind::Peer);
        (self.kind, &self.operation, self.shape(), self.threads, peer.map(|peer| &*peer.name))
    }

    pub fn xent(&self) -> &Entrant {
        &self.entrants[0]
    }

    /// How many times as long xent takes as an entrant of this name; NaN without one.
    pub fn over_named(&self, name: &str) -> f64 {
        let other = self.entrants.iter().find(|entrant| entrant.name == name);
        other.map_or(f64::NAN, |other| self.xent().over(other))
    }

    /// How many times as long xent takes as the best limit that moves the same bytes.
    pub fn over_best_limit(&self) -> f64 {
        let moving = self.entrants[1..].iter().filter(|entrant| entrant.name != "sum_exp");
        let best = moving.min_by(|a, b| a.median().total_cmp(&b.median()));
        best.map_or(f64::NAN, |best| self.xent().over(best))
    }
}

impl Results {
    pub fn new(machine: Vec<(String, String)>, quick: bool) -> Self {
        Self {
            date: jiff::Zoned::now().date().to_string(),
            quick,
            machine,
            versions: BTreeMap::new(),
            missing: BTreeMap::new(),
            problems: Vec::new(),
            comparisons: Vec::new(),
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

    /// Takes over what was measured before, to be replaced by what is measured anew.
    pub fn keep(&mut self, before: Self) {
        self.versions = before.versions;
        self.comparisons = before.comparisons;
    }

    pub fn add(&mut self, comparison: Comparison) {
        let Comparison { operation, threads, .. } = &comparison;
        print!("{operation} {} {threads}:", comparison.shape());
        for entrant in &comparison.entrants {
            print!("  {} {:.3}", entrant.name, entrant.median());
        }
        println!();
        self.comparisons.retain(|before| before.subject() != comparison.subject());
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
    use super::{Entrant, median};

    #[test]
    fn medians_are_in_the_middle() {
        assert!(median(vec![]).is_nan());
        let medians = [median(vec![3.0, 1.0, 2.0]), median(vec![4.0, 1.0, 2.0, 3.0])];
        assert_eq!(medians.map(f64::to_bits), [2.0_f64, 2.5].map(f64::to_bits));
    }

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        let entrant = |times: [f64; 3]| Entrant { name: String::new(), times: times.to_vec() };
        // The machine slowed down in the last round, for both.
        assert_eq!(entrant([1.0, 1.0, 8.0]).over(&entrant([2.0, 2.0, 16.0])).to_bits(), 0.5_f64.to_bits());
    }
}
