//! Calls the crate from many threads for a long time: every result must be the first one, bit for bit, and no
//! memory may be lost.
//!
//! ```text
//! cargo run --release --example soak
//! cargo run --release --example soak -- --minutes 60 --callers 32
//! ```
//!
//! Each thread takes calls at random, of all operations, shapes, options and backends, and makes them in the
//! shared Rayon pool, in one of its own, as a side of `rayon::join` in either, nested, and beside a side that
//! panics. Ends with an error where a result differs or the resident memory has grown.

mod caller;
mod case;
mod memory;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::{Parser, value_parser};
use fastrand::Rng;
use rayon::ThreadPoolBuilder;
use xent::Backend;

use caller::{Caller, Done, WAYS};
use case::{Case, Inputs};
use memory::Samples;

/// Calls from many threads for a long time: equal bits, flat memory.
#[derive(Parser)]
struct Args {
    /// How long.
    #[arg(long, default_value_t = 10.0, value_parser = minutes)]
    minutes: f64,

    /// Threads that call at the same time.
    #[arg(long, default_value_t = 8, value_parser = value_parser!(u32).range(1..))]
    callers: u32,

    /// Decides the inputs, and the order of the calls of each thread.
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Megabytes by which the resident memory may grow from the second quarter of the time to the last.
    #[arg(long, default_value_t = 16, value_name = "MB")]
    growth: u64,
}

fn minutes(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..1e6).contains(number));
    number.ok_or_else(|| "expected a number of minutes".into())
}

fn main() -> ExitCode {
    match run(&Args::parse(), &mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args, out: &mut impl Write) -> Result<()> {
    let inputs = Inputs::all(&mut Rng::with_seed(args.seed));
    let cases = Case::all(&inputs);
    // The first answers, of one thread.
    let first: Vec<u64> =
        ThreadPoolBuilder::new().num_threads(1).build()?.install(|| cases.iter().map(Case::run).collect());
    let backends: Vec<_> = Backend::available().map(Backend::name).collect();
    writeln!(out, "cases           {} on {}", cases.len(), backends.join(", "))?;
    for backend in Backend::ALL.into_iter().filter(|backend| !backend.is_available()) {
        writeln!(out, "not available   {backend}: not called")?;
    }
    out.flush()?;

    // A panic that is meant has nothing to say.
    std::panic::set_hook(Box::new(|info| {
        if !info.payload().is::<caller::Meant>() {
            eprintln!("{info}");
        }
    }));
    let time = Duration::from_secs_f64(args.minutes * 60.0);
    let (start, stop) = (Instant::now(), AtomicBool::new(false));
    let mut samples = Samples::default();
    let (cases, first, stop) = (&cases, &first, &stop);
    let done = thread::scope(|scope| -> Result<Done> {
        let seed = |caller: u32| args.seed.wrapping_add(u64::from(caller) + 1);
        let callers: Vec<_> = (0..args.callers)
            .map(|caller| scope.spawn(move || Caller::new(cases, first, seed(caller))?.until(stop)))
            .collect();
        while start.elapsed() < time && !callers.iter().any(thread::ScopedJoinHandle::is_finished) {
            thread::sleep(Duration::from_millis(200).min(time));
            samples.take(start.elapsed());
        }
        stop.store(true, Ordering::Relaxed);
        let mut all = Done::default();
        for caller in callers {
            all += caller.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok(all)
    })?;
    let whole = start.elapsed();

    #[expect(clippy::cast_precision_loss, reason = "numbers for people")]
    let speed = |count: u64| count as f64 / whole.as_secs_f64();
    writeln!(out, "time            {:.1} s, {} threads that call", whole.as_secs_f64(), args.callers)?;
    writeln!(out, "calls           {} ({:.0} a second)", done.calls, speed(done.calls))?;
    writeln!(
        out,
        "logits          {:.3e} ({:.3e} a second)",
        speed(done.logits) * whole.as_secs_f64(),
        speed(done.logits)
    )?;
    for (way, count) in WAYS.iter().zip(done.ways) {
        writeln!(out, "  {count:>12}  {way}")?;
    }
    writeln!(out, "other results   {}", done.different.len())?;
    let mb = |bytes: u64| bytes / (1 << 20);
    let peaks = samples.peaks(whole);
    if let Some((early, late)) = peaks {
        writeln!(out, "resident        {} MB in the second quarter, {} MB in the last", mb(early), mb(late))?;
    } else {
        writeln!(out, "resident        not known on this system, or not in so short a time: not checked")?;
    }
    let grown = peaks.map_or(0, |(early, late)| mb(late.saturating_sub(early)));

    ensure!(done.different.is_empty(), "other results than the first:\n{}", done.different.join("\n"));
    ensure!(grown <= args.growth, "the resident memory has grown by {grown} MB");
    Ok(())
}
