//! Turns: short slices of each entrant after the other, so that all see the same machine.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::child::Child;
use crate::plan::Turns;
use crate::results::Entrant;

/// Where calls are slow, so many times the budget are enough with fewer rounds.
const PATIENCE: u32 = 4;
const ENOUGH: usize = 3;

/// Seconds after which one call says enough.
const SLOW: f64 = 1.0;

/// An operation in a process, under the name it has in the results.
pub struct Runner<'a> {
    pub name: String,
    pub child: &'a Child,
    pub operation: String,
}

/// Measures the runners in turns. Times are ns, divided by `units`: those per logit, or per call.
pub fn take_turns(runners: &[Runner<'_>], units: f64, turns: Turns) -> Result<Vec<Entrant>> {
    let paces: Vec<Pace> = runners.iter().map(|runner| pace(runner, turns.slice)).collect::<Result<_>>()?;
    let mut entrants: Vec<Entrant> = runners.iter().map(|runner| Entrant::new(&runner.name)).collect();
    let mut in_turns = Vec::new();
    for ((runner, entrant), pace) in runners.iter().zip(&mut entrants).zip(paces) {
        match pace {
            Pace::Calls(calls) => in_turns.push((runner, entrant, calls)),
            Pace::Once(seconds) => entrant.times.push(seconds * 1e9 / units),
        }
    }
    let budget = turns.budget * u32::try_from(in_turns.len())?;
    let start = Instant::now();
    let (least, most) = turns.rounds;
    for round in 0..most {
        let elapsed = start.elapsed();
        let over = elapsed > budget && round >= least;
        if over || (elapsed > PATIENCE * budget && round >= ENOUGH) {
            break;
        }
        for (runner, entrant, calls) in &mut in_turns {
            let seconds = runner.child.time(&runner.operation, *calls)?;
            entrant.times.push(seconds * 1e9 / (*calls as f64 * units));
        }
    }
    Ok(entrants)
}

/// How an entrant takes part.
enum Pace {
    /// So many calls in each of its turns.
    Calls(u64),
    /// With the one call that it has made, of so many seconds.
    Once(f64),
}

/// The number of calls that fill a slice, found in runs that also warm up what is measured.
fn pace(runner: &Runner<'_>, slice: Duration) -> Result<Pace> {
    let fill = |seconds: f64, calls: u64| {
        let calls = slice.as_secs_f64() * calls as f64 / seconds;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded and clamped")]
        let calls = calls.round().clamp(1.0, 1e6) as u64;
        calls
    };
    let first = runner.child.time(&runner.operation, 1)?;
    if first > SLOW {
        // Not for its first call's sake: it has been called before, to be checked.
        return Ok(Pace::Once(first));
    }
    let few = fill(runner.child.time(&runner.operation, 1)?, 1).div_ceil(4);
    if few == 1 {
        return Ok(Pace::Calls(1));
    }
    Ok(Pace::Calls(fill(runner.child.time(&runner.operation, few)?, few)))
}
