//! Rows in parallel: the only file that says `rayon`.
//!
//! Work is cut between rows, or, where rows are long and few, within them, and runs in whatever pool the caller
//! is in. Where it is cut changes no bit: rows do not see each other, parts of a row are always the same ones and
//! merge in their order, and sums over rows are taken afterwards, in theirs.

use std::cell::Cell;

use crate::Backend;
use crate::Error;
use crate::kernel::{Job, Join, Scratch, Task};
use crate::simd::{LANES, Token};

/// Up to this many logits run on the calling thread. Measured for loss and gradient on two cores: 64 x 1024
/// logits take 23 µs on one thread and 21 µs on two, 256 x 1024 take 95 µs and 62 µs; 32 x 1024 take 11 µs
/// on one, about what it costs to wake a worker.
pub(crate) const SERIAL: usize = 32 * 1024;

/// Logits of a task, at least: what a worker does in about 6 µs, much longer than taking a task.
const TASK: usize = 16 * 1024;

/// Rows of as many classes are shared by threads where there are fewer than two for each: the loss of such a row
/// takes 40 µs on one thread, several times what it costs to wake another. At 128,256 classes two threads took 1.75
/// times less.
const LONG: usize = 64 * 1024;

thread_local! {
    static SCRATCH: Cell<Scratch> = const { Cell::new(Scratch::new()) };
}

/// Runs a job on the chosen backend, or on the process's.
pub(crate) fn run(job: impl Job, backend: Option<Backend>) -> Result<(), Error> {
    run_on(token(backend)?, job);
    Ok(())
}

/// The proof for the chosen backend, or for the process's.
pub(crate) fn token(backend: Option<Backend>) -> Result<Token, Error> {
    match backend {
        Some(backend) => backend.token(),
        None => Token::selected(),
    }
}

/// Runs a job on a backend that is known to be here.
pub(crate) fn run_on(token: Token, job: impl Job) {
    let (rows, classes) = (job.rows(), job.classes());
    if let Some(seam) = job.seam(rows / 2) {
        return cut_at(token, job, seam, rows.saturating_mul(classes) > SERIAL);
    }
    // A view that repeats one row can have more logits than memory has bytes; they are counted, not held.
    let logits = rows.saturating_mul(classes);
    if logits <= SERIAL || (rows < 2 && classes < LONG) {
        return serial(token, job, None);
    }
    let threads = rayon::current_num_threads();
    if threads == 1 {
        serial(token, job, None);
    } else if classes >= LONG && rows < 2 * threads {
        serial(token, job, Some(join));
    } else {
        cut(token, job, (TASK / classes).max(1));
    }
}

fn join(a: &mut (dyn FnMut() + Send), b: &mut (dyn FnMut() + Send)) {
    rayon::join(a, b);
}

/// Cuts a job where its rows begin to lie elsewhere, and runs both parts, perhaps on two threads.
fn cut_at<J: Job>(token: Token, job: J, row: usize, parallel: bool) {
    let (first, rest) = job.split_at(row);
    if parallel {
        rayon::join(|| run_on(token, first), || run_on(token, rest));
    } else {
        run_on(token, first);
        run_on(token, rest);
    }
}

/// Halves a job until at most `rows` rows are left.
fn cut<J: Job>(token: Token, job: J, rows: usize) {
    if job.rows() <= rows {
        serial(token, job, None);
    } else {
        // Sixteen rows are what goes into the lanes at once.
        let middle = (job.rows() / 2).next_multiple_of(LANES).min(job.rows() - 1);
        let (first, rest) = job.split_at(middle);
        rayon::join(|| cut(token, first, rows), || cut(token, rest, rows));
    }
}

/// Runs a job on this thread, with the thread's scratch; with others, within rows, where there is a `join`.
fn serial<J: Job>(token: Token, job: J, join: Option<Join>) {
    // Taken out and put back: a panic in between leaves an empty scratch, which is a good one. Where the thread ends and a
    // destructor calls, there may be no place for it any more.
    let mut scratch = SCRATCH.try_with(Cell::take).unwrap_or_default();
    token.run(Task { job, scratch: &mut scratch, join });
    // What cannot be kept is dropped.
    let _ = SCRATCH.try_with(|kept| kept.set(scratch));
}
