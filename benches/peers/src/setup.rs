//! Makes the workers: builds one for each Rust library, and a virtual environment for those in Python.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::Folders;
use crate::child::Start;
use crate::plan::{Kind, Peer, Plan};
use crate::results::Results;

/// Makes the workers of all peers; those that cannot be made are missing.
pub fn peers<'a>(plan: &'a Plan, folders: &Folders, results: &mut Results) -> Vec<(&'a Peer, Start)> {
    let mut starts = Vec::new();
    for peer in &plan.peers {
        match self::peer(folders, peer) {
            Ok(start) => starts.push((peer, start)),
            Err(error) => results.missing(peer.name, &error),
        }
    }
    starts
}

/// Makes the worker of a peer.
fn peer(folders: &Folders, peer: &Peer) -> Result<Start> {
    println!("preparing {}", peer.name);
    match peer.kind {
        Kind::Rust { feature, native, .. } => rust_worker(folders, Some(feature), native),
        Kind::Python { library, packages } => python_worker(folders, library, packages),
    }
}

/// Builds a worker with one library, or with none for xent and the loop written by hand. Each is a
/// program of its own: one that cannot be built takes no other with it.
fn rust_worker(folders: &Folders, feature: Option<&str>, native: bool) -> Result<Start> {
    let feature = feature.unwrap_or_default();
    let target = if native { folders.target.join("native") } else { folders.target.clone() };
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--quiet", "--locked", "--bin", "worker", "--features", feature]);
    cargo.arg("--manifest-path").arg(folders.package.join("Cargo.toml"));
    cargo.arg("--target-dir").arg(&target);
    if native {
        cargo.env("RUSTFLAGS", "-Ctarget-cpu=native");
    }
    run(&mut cargo)?;
    let name = if feature.is_empty() { "plain" } else { feature };
    let program = target.join(format!("worker-{name}"));
    fs::copy(target.join("release/worker"), &program)?;
    Ok(Start { program, arguments: vec![if feature.is_empty() { "loop" } else { feature }.to_owned()] })
}

/// Installs what a library needs into the virtual environment.
fn python_worker(folders: &Folders, library: &str, packages: &[&str]) -> Result<Start> {
    let environment = folders.package.join(".venv");
    let python = environment.join("bin/python");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment))
            .context("no python3 with venv")?;
    }
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(packages))?;
    let script = folders.package.join("python/worker.py");
    Ok(Start { program: python, arguments: vec![path(&script)?, library.to_owned()] })
}

/// The worker that measures xent itself.
pub fn xent(folders: &Folders) -> Result<Start> {
    let Start { program, .. } = rust_worker(folders, None, false)?;
    Ok(Start { program, arguments: vec!["xent".to_owned()] })
}

/// The worker that measures what xent has with its features.
pub fn extras(folders: &Folders) -> Result<Start> {
    rust_worker(folders, Some("extras"), false)
}

fn path(path: &Path) -> Result<String> {
    Ok(path.to_str().context("a path that is not UTF-8")?.to_owned())
}

/// Runs a command; an error with the last line it printed.
fn run(command: &mut Command) -> Result<()> {
    let name = Path::new(command.get_program()).file_name().unwrap_or(OsStr::new("command")).to_owned();
    let output = command.output().with_context(|| format!("cannot run {}", name.display()))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let error = text.lines().find(|line| line.starts_with("error") || line.starts_with("ERROR"));
        bail!("{} failed: {}", name.display(), error.or_else(|| text.lines().last()).unwrap_or("no message"));
    }
    Ok(())
}

/// The version of a crate in the lock file.
pub fn locked_version(folders: &Folders, package: &str) -> Option<String> {
    let lock = fs::read_to_string(folders.package.join("Cargo.lock")).ok()?;
    let start = lock.find(&format!("name = \"{package}\"\n"))?;
    let version = lock[start..].lines().nth(1)?;
    Some(version.trim_start_matches("version = ").trim_matches('"').to_owned())
}
