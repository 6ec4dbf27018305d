//! The counts that the repository holds.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions/baseline.tsv");

/// More than this over the baseline is a failure. Small changes of the compiler stay below it.
const GROWTH: f64 = 1.05;

/// Instructions per logit by case.
#[derive(Default)]
pub struct Baseline(BTreeMap<String, f64>);

impl Baseline {
    pub fn read() -> io::Result<Self> {
        let text = fs::read_to_string(PATH)?;
        let lines = text.lines().filter_map(|line| line.split_once('\t'));
        Ok(Self(lines.filter_map(|(case, count)| Some((case.to_owned(), count.parse().ok()?))).collect()))
    }

    pub fn write(&self) -> io::Result<()> {
        let mut text = String::from("operation/backend/rows x classes\tinstructions per logit\n");
        for (case, count) in &self.0 {
            writeln!(text, "{case}\t{count:.3}").expect("a string takes all");
        }
        fs::write(PATH, text)
    }

    pub fn insert(&mut self, case: String, count: f64) {
        self.0.insert(case, count);
    }

    /// The old count, to be printed behind the new one.
    pub fn beside(&self, case: &str) -> String {
        self.0.get(case).map_or(String::new(), |count| format!(" (baseline {count:.3})"))
    }

    /// Why a count is not accepted.
    pub fn failure(&self, case: &str, count: f64) -> Option<String> {
        match self.0.get(case) {
            None => Some(format!("{case}: no baseline; write it with --bless")),
            Some(&old) if count > old * GROWTH => Some(format!("{case}: {count:.3}, was {old:.3}")),
            Some(_) => None,
        }
    }
}
