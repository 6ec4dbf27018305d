//! Rows in parallel: the only file that says `rayon`.
//!
//! A call is cut between rows, or, where rows are long and few, within them, and runs in whatever pool the caller is in.
//! Where it is cut changes no bit: rows do not see each other, parts of a row are always the same ones and are added in
//! their order, and sums over rows do not depend on it.

use std::cell::Cell;

use super::call::Call;
use super::columns;
use super::row_call::RowCall;
use super::rows;
use super::scratch::Scratch;
use super::total::Total;
use crate::simd::{LANES, Token};
use crate::views::rows::Execution;
use crate::{Backend, Error};

/// What a row costs beside its logits, in logits: labels, the ends of its sum, its turn into the lanes and back. A row of two
/// classes takes 5 to 7 ns, some twenty times what a logit of a long row takes; but it is the shortest calls that this decides
/// about, which gain least.
const ROW: usize = 6;

/// Up to this many logits run on the calling thread, [`ROW`] more counted for each row. Measured for loss and gradient on
/// two cores: 64 x 1024 logits take 23 µs on one thread and 21 µs on two, 256 x 1024 take 95 µs and 62 µs; 32 x 1024 take
/// 11 µs on one, about what it costs to wake a worker.
pub(crate) const SERIAL: usize = 34 * 1024;

/// Logits of a task, at least, counted likewise: what a worker does in about 6 µs, much longer than taking a task.
const TASK: usize = 16 * 1024;

/// Tasks of each thread, about, where there is enough for larger ones: few enough that rows follow others which have just been
/// read, and so many that threads end at about the same time.
const TASKS: usize = 16;

/// Rows of as many classes are shared by threads where there are fewer than two for each: the loss of such a row
/// takes 40 µs on one thread, several times what it costs to wake another. At 128,256 classes two threads took 1.75
/// times less.
const LONG: usize = 64 * 1024;

/// In logits.
const fn cost_of_row(classes: usize) -> usize {
    classes.saturating_add(ROW)
}

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// How many threads work is done on that is worth so many.
#[cfg(feature = "linear")]
pub(crate) fn threads(execution: Execution, worth: usize) -> usize {
    if execution.serial || worth < 2 { 1 } else { rayon::current_num_threads().min(worth) }
}

/// Works pieces off, each once, on this thread or on as many as there are.
#[cfg(feature = "linear")]
pub(crate) fn each<T: Send>(pieces: &mut [T], threads: usize, work: &(impl Fn(&mut T) + Sync)) {
    if threads == 1 || pieces.len() < 2 {
        return pieces.iter_mut().for_each(work);
    }
    let (first, rest) = pieces.split_at_mut(pieces.len() / 2);
    rayon::join(|| each(first, threads, work), || each(rest, threads, work));
}

/// Runs two closures, perhaps on two threads.
pub(crate) type Join = fn(&mut (dyn FnMut() + Send), &mut (dyn FnMut() + Send));

fn join(a: &mut (dyn FnMut() + Send), b: &mut (dyn FnMut() + Send)) {
    rayon::join(a, b);
}

/// What can be cut between its rows.
pub(crate) trait Cut: Send + Sized {
    /// Whether several threads can work off one row.
    const CUTS_WITHIN_ROWS: bool;

    fn shape(&self) -> (usize, usize);
    /// A row close to `near` where rows must be cut so that those of each view lie at one stride.
    fn seam(&self, near: usize) -> Option<usize>;
    /// So many rows are not cut any further.
    fn least(&self) -> usize {
        1
    }
    /// The first `row` rows and the others.
    fn split_at(self, row: usize) -> (Self, Self);
    /// Works rows off on this thread, and gives the sum of their losses; with others, within rows, where there is a
    /// `join`.
    fn run(&mut self, token: Token, scratch: &mut Scratch, join: Option<Join>) -> Total;
}

impl Cut for Call<'_> {
    const CUTS_WITHIN_ROWS: bool = true;

    fn shape(&self) -> (usize, usize) {
        (self.inputs.rows(), self.inputs.classes())
    }

    fn seam(&self, near: usize) -> Option<usize> {
        self.seam(near)
    }

    fn least(&self) -> usize {
        if columns::suits(self) { LANES } else { 1 }
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        self.split_at(row)
    }

    fn run(&mut self, token: Token, scratch: &mut Scratch, join: Option<Join>) -> Total {
        rows::run(token, self, scratch, join)
    }
}

impl Cut for RowCall<'_> {
    const CUTS_WITHIN_ROWS: bool = false;

    fn shape(&self) -> (usize, usize) {
        (self.rows(), self.classes())
    }

    fn seam(&self, near: usize) -> Option<usize> {
        self.seam(near)
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        self.split_at(row)
    }

    fn run(&mut self, token: Token, scratch: &mut Scratch, _join: Option<Join>) -> Total {
        RowCall::run(self, token, scratch)
    }
}

/// Runs a call on the chosen backend, or on the process's, and on as many threads as it is worth.
#[inline]
pub(crate) fn run(call: impl Cut, execution: Execution) -> Result<Total, Error> {
    // A sum comes back in registers, and not by way of memory as an answer that may be an error does: a call without rows
    // spends most of its time on such.
    Ok(run_on(token(execution.backend)?, call, execution.serial))
}

/// As [`run`], given the proof.
pub(crate) fn run_on(token: Token, mut call: impl Cut, serially: bool) -> Total {
    let (rows, classes) = call.shape();
    // A view that repeats one row can have more logits than memory has bytes; they are counted, not held.
    let alone =
        serially || rows.saturating_mul(cost_of_row(classes)) <= SERIAL || (rows < 2 && classes < LONG);
    let threads = if alone { 1 } else { rayon::current_num_threads() };
    if threads == 1 && call.seam(rows / 2).is_none() {
        // Without moving it, which takes a while where there is but one row.
        return serial(token, &mut call, None);
    }
    let task = TASK.max(rows.saturating_mul(cost_of_row(classes)) / (TASKS * threads));
    cut(token, call, threads, task)
}

/// The proof for the chosen backend, or for the process's.
pub(crate) fn token(backend: Option<Backend>) -> Result<Token, Error> {
    match backend {
        Some(backend) => backend.token(),
        None => Token::selected(),
    }
}

/// Halves a call until its rows lie at one stride and are few enough for one thread.
fn cut<C: Cut>(token: Token, mut call: C, threads: usize, task: usize) -> Total {
    let (rows, classes) = call.shape();
    let at = match call.seam(rows / 2) {
        Some(seam) => seam,
        None if threads == 1 => return serial(token, &mut call, None),
        None if C::CUTS_WITHIN_ROWS && classes >= LONG && rows < 2 * threads => {
            return serial(token, &mut call, Some(join));
        }
        // Sixteen rows are what goes into the lanes at once.
        None if rows <= (task / cost_of_row(classes)).max(call.least()) => {
            return serial(token, &mut call, None);
        }
        None => (rows / 2).next_multiple_of(LANES).min(rows - 1),
    };
    let (first, rest) = call.split_at(at);
    if threads == 1 {
        return cut(token, first, threads, task).merge(cut(token, rest, threads, task));
    }
    let (first, rest) = rayon::join(|| cut(token, first, threads, task), || cut(token, rest, threads, task));
    first.merge(rest)
}

/// Runs a call on this thread, with the thread's scratch; with others, within rows, where there is a `join`.
fn serial(token: Token, call: &mut impl Cut, join: Option<Join>) -> Total {
    with_scratch(|scratch| call.run(token, scratch, join))
}

/// Lends the thread's scratch.
pub(crate) fn with_scratch<R>(run: impl FnOnce(&mut Scratch) -> R) -> R {
    // Taken out and put back: a panic in between leaves an empty scratch, which is a good one. Where the thread ends and a
    // destructor calls, there may be no place for it any more.
    let mut scratch = SCRATCH.try_with(Cell::take).ok().flatten().unwrap_or_default();
    let result = run(&mut scratch);
    // What cannot be kept is dropped.
    let _ = SCRATCH.try_with(|kept| kept.set(Some(scratch)));
    result
}
