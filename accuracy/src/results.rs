//! What was measured, as it is kept from run to run.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
pub struct Results {
    /// Names and values: what it was measured on.
    pub machine: Vec<(String, String)>,
    pub sweeps: Vec<Sweep>,
    /// What was checked about the terms, and over how many.
    pub claims: Vec<(String, u64)>,
    pub operations: Vec<Distribution>,
    /// Mean and largest errors by number of classes.
    pub classes: Vec<Curve>,
    /// Largest errors by distance from the maximum.
    pub distances: Vec<Curve>,
    pub found: Vec<Found>,
    /// The names and versions of peers.
    #[serde(default)]
    pub peers: Vec<(String, String)>,
    /// Why peers are missing, if they are.
    pub missing: Vec<String>,
}

/// A function over its domain.
#[derive(Serialize, Deserialize)]
pub struct Sweep {
    pub name: String,
    /// Where backends differ.
    pub backend: Option<String>,
    pub unit: String,
    pub from: f32,
    pub to: f32,
    /// Magnitudes of which all were taken, where that is not every one.
    pub dense: Option<(f32, f32)>,
    pub stride: usize,
    pub inputs: u64,
    pub over_half: u64,
    pub over_three_quarters: u64,
    pub decided: u64,
    pub max: f64,
    pub at: f32,
    pub profile: Vec<(f64, f64)>,
}

/// The errors of an operation on some inputs, in ULP. What is not finite where it should be is infinite.
#[derive(Serialize, Deserialize)]
pub struct Distribution {
    pub operation: String,
    /// A group of inputs, or all of them.
    pub inputs: String,
    pub engine: String,
    pub values: usize,
    /// That many in a thousand are not above it.
    #[serde(with = "finite_or_null")]
    pub percentiles: Vec<f64>,
}

#[derive(Serialize, Deserialize)]
pub struct Curve {
    pub operation: String,
    pub engine: String,
    /// The abscissa, the mean and the largest error.
    pub points: Vec<(f64, f64, f64)>,
}

/// The largest error that the search has found.
#[derive(Serialize, Deserialize)]
pub struct Found {
    pub operation: String,
    pub backend: String,
    pub error: f64,
    pub bound: f64,
    pub evaluations: u64,
    pub logits: Vec<f32>,
    pub labels: Vec<f32>,
    pub label: usize,
    /// The class that the error is at.
    pub class: usize,
}

/// JSON has no infinity.
mod finite_or_null {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        let values: Vec<_> = values.iter().map(|value| value.is_finite().then_some(*value)).collect();
        values.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        let values = Vec::<Option<f64>>::deserialize(deserializer)?;
        Ok(values.into_iter().map(|value| value.unwrap_or(f64::INFINITY)).collect())
    }
}

impl Results {
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        fs::write(path, serde_json::to_string(self)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}
