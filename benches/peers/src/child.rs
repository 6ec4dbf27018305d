//! A worker process, and the requests that it answers.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{self, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use xent_peers::common::linear::Size;
use xent_peers::common::shape::Shape;

/// The longest answer is the first call of a compiled function.
const PATIENCE: Duration = Duration::from_mins(10);

/// How a worker is started: a program and its arguments before the number of threads.
pub struct Start {
    pub program: PathBuf,
    pub arguments: Vec<String>,
}

/// A worker. It stands still but where it is asked: threads of some libraries go on spinning for tens of milliseconds after a call, and
/// would take a processor from whoever is measured next.
pub struct Child {
    process: process::Child,
    requests: RefCell<ChildStdin>,
    answers: Receiver<String>,
    pub version: String,
}

/// What becomes of memory that a worker gives back.
#[derive(Clone, Copy)]
enum Freed {
    /// It stays mapped, so that a new result does not fault in page by page at each call.
    Kept,
    /// It is the system's again, so that the next call is seen to take it.
    Returned,
}

impl Child {
    /// Starts a worker with so many threads, on as many processors.
    pub fn start(start: &Start, threads: usize, log: &Path) -> Result<Self> {
        Self::start_with(start, threads, log, Freed::Kept)
    }

    /// Starts a worker whose memory is measured, and not its time.
    pub fn start_returning(start: &Start, threads: usize, log: &Path) -> Result<Self> {
        Self::start_with(start, threads, log, Freed::Returned)
    }

    fn start_with(start: &Start, threads: usize, log: &Path, freed: Freed) -> Result<Self> {
        if let Some(folder) = log.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut command = Command::new(&start.program);
        command.args(&start.arguments).arg(threads.to_string()).envs(environment(threads, freed));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(log)?);
        let mut process = on_processors(threads, || command.spawn())?;
        let requests = process.stdin.take().context("no pipe")?;
        let output = process.stdout.take().context("no pipe")?;
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let requests = RefCell::new(requests);
        let mut child = Self { process, requests, answers, version: String::new() };
        let ready = child.answer().with_context(|| last_line(log))?;
        let version = ready.strip_prefix("ready").context("not ready")?;
        version.trim().clone_into(&mut child.version);
        child.signal(Signal::STOP)?;
        Ok(child)
    }

    fn answer(&self) -> Result<String> {
        self.answers.recv_timeout(PATIENCE).context("the worker ended, or does not answer")
    }

    /// The answer without its `ok`; `None` where the worker does not offer what was asked.
    fn ask(&self, request: &str) -> Result<Option<String>> {
        self.signal(Signal::CONT)?;
        writeln!(self.requests.borrow_mut(), "{request}")?;
        let answer = self.answer()?;
        self.signal(Signal::STOP)?;
        match answer.split_once(' ').map_or(&*answer, |(first, _)| first) {
            "ok" => Ok(Some(answer["ok".len()..].trim().to_owned())),
            "none" => Ok(None),
            _ => bail!("{answer}"),
        }
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.process), signal).context("the worker has ended")
    }

    /// Makes the inputs of a shape.
    pub fn generate(&self, shape: Shape) -> Result<()> {
        self.ask(&format!("generate {shape}")).map(drop)
    }

    /// Reads the inputs of a shape.
    pub fn load(&self, shape: Shape, folder: &Path) -> Result<()> {
        self.ask(&format!("load {shape} {}", folder.display())).map(drop)
    }

    /// Reads a linear classifier; `false` where the worker's library has no loss of one.
    pub fn load_linear(&self, size: Size, folder: &Path) -> Result<bool> {
        Ok(self.ask(&format!("load_linear {size} {}", folder.display()))?.is_some())
    }

    pub fn unload(&self) -> Result<()> {
        self.ask("unload").map(drop)
    }

    /// Writes the results of an operation; says how many there are.
    pub fn check(&self, operation: &str, folder: &Path) -> Result<Option<usize>> {
        let count = self.ask(&format!("check {operation} {}", folder.display()))?;
        count.map(|count| Ok(count.parse()?)).transpose()
    }

    /// Seconds for so many calls.
    pub fn time(&self, operation: &str, calls: u64) -> Result<f64> {
        let seconds = self.ask(&format!("time {operation} {calls}"))?.context("not offered")?;
        Ok(seconds.parse()?)
    }

    /// How many bytes of memory a call takes at most beyond what is in use; `None` where it is not offered.
    pub fn memory(&self, operation: &str) -> Result<Option<f64>> {
        let bytes = self.ask(&format!("memory {operation}"))?;
        bytes.map(|bytes| Ok(bytes.parse()?)).transpose()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended; there is nothing to do about any other failure.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// What the libraries read about threads, and about memory.
fn environment(threads: usize, freed: Freed) -> Vec<(&'static str, String)> {
    let names = ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"];
    let memory = match freed {
        Freed::Kept => [("MALLOC_MMAP_MAX_", "0"), ("MALLOC_TRIM_THRESHOLD_", "68719476736")],
        Freed::Returned => [("MALLOC_MMAP_THRESHOLD_", "65536"), ("MALLOC_TRIM_THRESHOLD_", "65536")],
    };
    let others = [
        ("MALLOC_ARENA_MAX", "1"),
        ("TORCHINDUCTOR_COMPILE_THREADS", "1"),
        ("TF_CPP_MIN_LOG_LEVEL", "2"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ];
    let threads = names.map(|name| (name, threads.to_string()));
    let rest = memory.into_iter().chain(others).map(|(name, value)| (name, value.to_owned()));
    threads.into_iter().chain(rest).collect()
}

/// Runs `spawn` on the first processors that this process may use: what it starts stays there.
fn on_processors<T>(count: usize, spawn: impl FnOnce() -> std::io::Result<T>) -> Result<T> {
    let allowed = sched_getaffinity(None)?;
    let mut first = CpuSet::new();
    let usable = (0..CpuSet::MAX_CPU).filter(|&processor| allowed.is_set(processor));
    usable.take(count).for_each(|processor| first.set(processor));
    sched_setaffinity(None, &first)?;
    let result = spawn();
    sched_setaffinity(None, &allowed)?;
    Ok(result?)
}

/// What the worker said last before it gave up.
fn last_line(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message").trim().to_owned()
}
