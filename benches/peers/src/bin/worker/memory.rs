//! How much memory a call takes, as Linux counts the pages of a process.

use std::fs;

use anyhow::{Context, Result};

/// How many bytes of memory are in use at most during a call, beyond those before it; `None` where it says `false`.
pub fn raised(call: impl FnOnce() -> Result<bool>) -> Result<Option<u64>> {
    // The most so far begins anew.
    fs::write("/proc/self/clear_refs", "5").context("the peak of memory cannot be reset")?;
    let before = resident("VmRSS:")?;
    let offered = call()?;
    Ok(offered.then_some(resident("VmHWM:")?.saturating_sub(before)))
}

/// A line of this process's status, in bytes.
fn resident(name: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024)
}
