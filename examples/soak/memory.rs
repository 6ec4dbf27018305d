//! How much memory the process has resident, over time.

use std::fs;
use std::time::Duration;

/// The resident memory, in bytes; nothing where the system does not tell.
pub(crate) fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Samples of it.
#[derive(Default)]
pub(crate) struct Samples(Vec<(Duration, u64)>);

impl Samples {
    pub(crate) fn take(&mut self, at: Duration) {
        self.0.extend(resident().map(|bytes| (at, bytes)));
    }

    /// The most that was resident in the second quarter of the time, when everything has been called, and in the last.
    pub(crate) fn peaks(&self, whole: Duration) -> Option<(u64, u64)> {
        let peak = |from: u32, to: u32| {
            let within = |&&(at, _): &&(Duration, u64)| at * 4 >= whole * from && at * 4 <= whole * to;
            self.0.iter().filter(within).map(|&(_, bytes)| bytes).max()
        };
        peak(1, 2).zip(peak(3, 5))
    }
}
