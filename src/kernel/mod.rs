//! The row algorithms: each written once, generic over the lanes, without `unsafe`, `cfg`, intrinsics
//! or threads.
//!
//! | file | what |
//! |---|---|
//! | `exp` | the exponential of a block of logits against a power of two |
//! | `flow`, `place` | where a kernel reads logits and writes results |
//! | `block` | maximum and sum of a block of 512 logits |
//! | `partial` | the sum of a run of terms, and how runs are put together |
//! | `row` | one read of a row: its blocks in order |
//! | `long` | the same for a row that is shared by threads |
//! | `tile` | the same for sixteen short rows in the lanes |
//! | `residues` | sums over the classes of such rows, in the order of one row's lanes |
//! | `ends` | what a row's sum says of its largest logit, of losses and of shares |
//! | `math` | `e^x` and logarithms in f64, for the ends of rows |
//! | `epilogue`, `share` | results from terms or logits, once the sum is known |
//! | `operation` | a read, an end and an epilogue: what most operations are |
//! | `rowwise` | the loops over rows that run them |
//! | `map`, `loaded` | rows that are made before they are read: scaled, capped, masked, or of any layout |
//! | `across`, `lines` | rows whose classes do not follow each other, as lanes and as slices |
//! | `scale`, `weights` | upstream factors, saved sums and weights, per row |
//! | `mixed` | the loss with labels that are made up: smoothed, weighted |
//! | `row_loss` | losses of rows that need no exponentials |
//! | `inspect` | what a read of a row tells of its prediction |
//! | `pointwise` | losses of elements that do not see each other |
//! | the others | one operation each |

mod across;
mod block;
pub(crate) mod dense;
mod ends;
pub(crate) mod epilogue;
mod exp;
mod flow;
pub(crate) mod hinge;
pub(crate) mod inspect;
pub(crate) mod likelihood;
pub(crate) mod lines;
pub(crate) mod loaded;
pub(crate) mod log_softmax;
pub(crate) mod log_sum_exp;
mod long;
pub(crate) mod map;
mod math;
pub(crate) mod maximum;
pub(crate) mod mixed;
pub(crate) mod operation;
pub(crate) mod partial;
pub(crate) mod place;
pub(crate) mod pointwise;
mod residues;
mod row;
pub(crate) mod row_loss;
pub(crate) mod rowwise;
pub(crate) mod scale;
mod share;
pub(crate) mod softmax;
pub(crate) mod softmax_gradient;
pub(crate) mod sparse;
mod tile;
pub(crate) mod weights;

use crate::simd::{Kernel, Simd};
use partial::Partial;

/// An operation on a block of rows that can be cut between any two of them.
pub(crate) trait Job: Send + Sized {
    fn rows(&self) -> usize;
    fn classes(&self) -> usize;
    /// The first `row` rows and the others.
    fn split_at(self, row: usize) -> (Self, Self);
    /// A row close to `near` where rows must be cut so that all lie at one stride; a job that is run has none.
    fn seam(&self, near: usize) -> Option<usize>;
    /// The operation; where there are threads to share a row with, by `join`. Mark every implementation
    /// `#[inline(always)]`.
    fn eval<S: Simd>(self, simd: S, scratch: &mut Scratch, join: Option<Join>);
}

/// Runs two pieces of work, perhaps on two threads.
pub(crate) type Join = fn(&mut (dyn FnMut() + Send), &mut (dyn FnMut() + Send));

/// What a worker keeps from row to row and from call to call, so that nothing is allocated per row.
#[derive(Default)]
pub(crate) struct Scratch {
    /// The sums of the blocks of a group of rows.
    blocks: Vec<Partial>,
    /// The parts of a long row.
    parts: Vec<long::Part>,
    tile: tile::Buffers,
    /// Rows that are made before they are read.
    loaded: loaded::Buffers,
}

impl Scratch {
    pub(crate) const fn new() -> Self {
        Self {
            blocks: Vec::new(),
            parts: Vec::new(),
            tile: tile::Buffers::new(),
            loaded: loaded::Buffers::new(),
        }
    }
}

/// A job with the scratch of the worker that runs it.
pub(crate) struct Task<'a, J> {
    pub(crate) job: J,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) join: Option<Join>,
}

impl<J: Job> Kernel for Task<'_, J> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        self.job.eval(simd, self.scratch, self.join);
    }
}
