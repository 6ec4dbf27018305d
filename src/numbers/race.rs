//! A race between the classes of a row, which class `i` wins with the probability `softmax_i`: the Gumbel-max trick.
//!
//! Formula: the winner is the class of the largest `z_i - ln E_i`, with exponential variates `E_i = -ln(1 - u_i)` of uniform
//! ones `u_i`; `-ln E_i` has Gumbel's distribution.
//!
//! Identity: `E_i = ln(1 + u_i / (1 - u_i))`, which keeps its digits where `u_i` is next to 0. These are the ones that win.
//!
//! Trick: `E_i` is at least `u_i`, and that at least what its highest bits are. A class whose term is not above those times a
//! limit cannot be ahead of the best one so far, and most classes' are not. So the f64 arithmetic that decides, whose bits are
//! the same everywhere, is needed for a few classes of a row.

use core::cmp::Ordering;

use super::exp::Reference;
use super::factor::narrow_normal;
use super::math::{ln, ln_1p};
use super::philox::Stream;

/// Above the terms of a block, and such that no product with sixteen bits is NaN.
const LARGEST: f64 = 1e34;

/// What sixteen bits are multiplied by, and a little less: terms and products are rounded.
const UNIT: f64 = (1.0 - 1e-3) / 65_536.0;

/// The best of the classes so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Race {
    pub(crate) stream: Stream,
    /// Its score, and what that was rounded by: next to a large logit there is no room for random numbers.
    score: [f64; 2],
    /// Its class, `u32::MAX` where there is none.
    pub(crate) class: u32,
}

impl Race {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, score: [f64::NEG_INFINITY, 0.0], class: u32::MAX }
    }

    /// Lets a class take part; a logit of -inf never wins. Whether it is the best one now.
    #[inline(never)]
    pub(crate) fn enter(&mut self, logit: f32, class: u32) -> bool {
        let bits = self.stream.bits(class);
        // Neither is 0.
        #[expect(clippy::cast_precision_loss, reason = "of 64 bits the highest 53")]
        let (below, above) = (bits as f64 + 0.5, !bits as f64 + 0.5);
        let (logit, gumbel) = (f64::from(logit), 0.0 - ln(ln_1p(below / above)));
        // Knuth's two-sum. Of -inf the rest is NaN, which is ahead of nothing.
        let score = logit + gumbel;
        let part = score - logit;
        self.take([score, (logit - (score - part)) + (gumbel - part)], class)
    }

    /// Takes the best of other classes. Of equal ones the lower is ahead.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.take(other.score, other.class);
    }

    fn take(&mut self, score: [f64; 2], class: u32) -> bool {
        let ahead = match score.partial_cmp(&self.score) {
            Some(Ordering::Greater) => true,
            Some(Ordering::Equal) => class < self.class,
            _ => false,
        };
        if ahead {
            (self.score, self.class) = (score, class);
        }
        ahead
    }

    /// What the highest bits of a class times this must be below its term, relative to a reference, for it to be the best one.
    pub(crate) fn limit(&self, reference: Reference) -> f32 {
        let term = reference.term((self.score[0] - f64::from(reference.pivot)) + self.score[1]);
        narrow_normal((term * UNIT).min(LARGEST))
    }
}
