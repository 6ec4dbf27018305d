//! What the crate weighs: how long a program that depends on nothing else takes to build, how much machine code the crate
//! is, and how much source.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::Folders;

#[derive(Serialize, Deserialize)]
pub struct Weight {
    /// Seconds of a clean release build on all cores, dependencies included.
    pub build: f64,
    /// The same with all features.
    pub build_all_features: f64,
    /// Machine code in the compiled crate, in bytes.
    pub code: u64,
    /// Lines under `src/`, and those of the longest file.
    pub lines: usize,
    pub longest: usize,
}

/// Builds the program twice, each time with nothing to start from.
pub fn measure(folders: &Folders) -> Result<Weight> {
    println!("building a program that depends on xent alone");
    let package = folders.target.join("weight");
    let (build, built) = clean_build(folders, &package, &[])?;
    let code = machine_code(&built)?;
    let (build_all_features, _) = clean_build(folders, &package, &["half", "linear", "ndarray"])?;
    let mut lengths = Vec::new();
    count_lines(&folders.repository.join("src"), &mut lengths)?;
    let (lines, longest) = (lengths.iter().sum(), lengths.iter().copied().max().unwrap_or(0));
    Ok(Weight { build, build_all_features, code, lines, longest })
}

/// Seconds, and where the results are.
fn clean_build(folders: &Folders, package: &Path, features: &[&str]) -> Result<(f64, PathBuf)> {
    fs::create_dir_all(package.join("src"))?;
    let target = package.join("target");
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    let manifest = format!(
        "[package]\nname = \"weight\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\nxent = {{ path = '{}', features = {features:?} }}\n",
        folders.repository.display()
    );
    fs::write(package.join("Cargo.toml"), manifest)?;
    let program = "fn main() {\n    let logits = xent::Rows::new(&[0.0, 1.0], 1, 2).unwrap();\n    \
                   println!(\"{:?}\", xent::softmax(logits));\n}\n";
    fs::write(package.join("src/main.rs"), program)?;
    let cargo = |arguments: &[&str]| -> Result<()> {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        let output = command
            .args(arguments)
            .arg("--manifest-path")
            .arg(package.join("Cargo.toml"))
            .env("CARGO_TARGET_DIR", &target)
            .env_remove("CARGO_BUILD_JOBS")
            .env_remove("RUSTFLAGS")
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    // Downloads are not timed.
    cargo(&["fetch", "--quiet"])?;
    let start = Instant::now();
    cargo(&["build", "--release", "--quiet"])?;
    Ok((start.elapsed().as_secs_f64(), target.join("release/deps")))
}

/// The text sections of the crate's library, by `size` of binutils.
fn machine_code(built: &Path) -> Result<u64> {
    let is_library = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("libxent-") && path.extension().is_some_and(|extension| extension == "rlib")
    };
    let mut paths = fs::read_dir(built)?.filter_map(|entry| Some(entry.ok()?.path()));
    let library = paths.find(is_library).context("no library was built")?;
    let output = Command::new("size").arg("--totals").arg(library).output().context("no `size`")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let totals = text.lines().last().and_then(|line| line.split_whitespace().next());
    totals.and_then(|total| total.parse().ok()).context("`size` printed no totals")
}

/// The lengths of all Rust files.
fn count_lines(folder: &Path, lengths: &mut Vec<usize>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            count_lines(&path, lengths)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            lengths.push(fs::read_to_string(&path)?.lines().count());
        }
    }
    Ok(())
}
