//! `docs/ACCURACY.md` and its charts.

mod charts;
mod tables;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::results::Results;

/// Writes the page and the charts under a folder.
pub fn write(results: &Results, folder: &Path) -> Result<()> {
    let charts = folder.join("docs/accuracy");
    fs::create_dir_all(&charts)?;
    charts::write(results, &charts)?;
    let witnesses = serde_json::to_string_pretty(&results.found)?;
    fs::write(charts.join("witnesses.json"), witnesses + "\n")?;
    let page = folder.join("docs/ACCURACY.md");
    fs::write(&page, tables::page(results)).with_context(|| format!("cannot write {}", page.display()))
}
