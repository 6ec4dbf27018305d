//! A thread that calls, and the ways in which it does.

use std::ops::AddAssign;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use fastrand::Rng;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::case::Case;

/// The payload of the panics that callers make.
pub(crate) struct Meant;

/// The ways to make calls, as they are printed.
pub(crate) const WAYS: [&str; 6] = [
    "from the thread itself",
    "in a pool of its own",
    "as both sides of a join in the shared pool",
    "as both sides of a join in a pool of its own",
    "as sides of nested joins, from pool to pool",
    "beside a side that panics",
];

/// What callers have done.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) calls: u64,
    pub(crate) logits: u64,
    /// Calls in each of the ways.
    pub(crate) ways: [u64; WAYS.len()],
    /// Cases whose result was not the first.
    pub(crate) different: Vec<String>,
}

impl AddAssign for Done {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.logits += other.logits;
        for (all, other) in self.ways.iter_mut().zip(other.ways) {
            *all += other;
        }
        self.different.extend(other.different);
    }
}

/// A thread that calls.
pub(crate) struct Caller<'a> {
    cases: &'a [Case<'a>],
    first: &'a [u64],
    rng: Rng,
    pool: ThreadPool,
    done: Done,
}

impl<'a> Caller<'a> {
    pub(crate) fn new(cases: &'a [Case<'a>], first: &'a [u64], seed: u64) -> Result<Self> {
        let mut rng = Rng::with_seed(seed);
        let pool = ThreadPoolBuilder::new().num_threads(rng.usize(1..=3)).build()?;
        Ok(Self { cases, first, rng, pool, done: Done::default() })
    }

    /// Calls, until it is told to stop or a result differs.
    pub(crate) fn until(mut self, stop: &AtomicBool) -> Result<Done> {
        while !stop.load(Ordering::Relaxed) && self.done.different.is_empty() {
            let way = self.rng.usize(..WAYS.len());
            let indices = [(); 4].map(|()| self.rng.usize(..self.cases.len()));
            let run = |index: usize| (index, self.cases[index].run());
            let [a, b, c, d] = indices;
            let results = match way {
                0 => vec![run(a)],
                1 => self.pool.install(|| vec![run(a)]),
                2 => pair(rayon::join(|| run(a), || run(b))),
                3 => self.pool.install(|| pair(rayon::join(|| run(a), || run(b)))),
                4 => {
                    let inner = || pair(rayon::join(|| run(a), || run(b)));
                    let (mut all, others) = rayon::join(
                        || self.pool.install(inner),
                        || pair(rayon::join(|| run(c), || self.pool.install(|| run(d)))),
                    );
                    all.extend(others);
                    all
                }
                _ => {
                    let panics = || -> (usize, u64) {
                        self.cases[b].run();
                        panic::panic_any(Meant)
                    };
                    let joined = || self.pool.install(|| rayon::join(|| run(a), panics));
                    let caught = panic::catch_unwind(AssertUnwindSafe(joined));
                    ensure!(caught.is_err_and(|panic| panic.is::<Meant>()), "a panic has been lost");
                    // The next call works, here and in the pool that a panic has gone through.
                    vec![run(c), self.pool.install(|| run(d))]
                }
            };
            self.count(way, &results);
        }
        Ok(self.done)
    }

    fn count(&mut self, way: usize, results: &[(usize, u64)]) {
        for &(index, hash) in results {
            self.done.calls += 1;
            self.done.ways[way] += 1;
            self.done.logits += u64::try_from(self.cases[index].values()).unwrap_or(u64::MAX);
            if hash != self.first[index] {
                self.done.different.push(format!("{}: {}", WAYS[way], self.cases[index].named()));
            }
        }
    }
}

fn pair<T>((a, b): (T, T)) -> Vec<T> {
    vec![a, b]
}
