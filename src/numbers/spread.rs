//! The sum of a run of classes, with the block that its largest logit is in apart, and how far all are from that logit:
//! what log-probabilities and entropies are made of.
//!
//! Formulas: with `m` the largest logit, `ln p_i = (x_i - m) - L` for `L = ln(1 + R / e^m)`, `R` being the sum of all
//! other terms; and the entropy is `L + sum p_i (m - x_i)`. No part of either is negative but for the sign of all:
//! nothing cancels, whatever the class and however sure the prediction.
//!
//! Trick: which logit is the largest is known at the end, and `R` is not what is left of a rounded sum. So the block with the
//! largest logit is not added to the others, and summed again without it: one block of the row, and not all.

use super::exp::Reference;
use super::log_sum_exp::LogSumExp;
use super::math::ln_1p;

/// A reference serves logits up to so much above the one that it was made for: their terms are less than 2^111.
const REACH: f32 = 32.0;

/// What is known of a run of classes.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) reference: Reference,
    /// The logit that the reference was made for.
    referred: f32,
    /// The largest logit: -inf where there is none.
    pub(crate) max: f32,
    /// The largest that was given, which may have been mapped to the same as others.
    pub(crate) given: f32,
    /// The first class of the block that it is in.
    pub(crate) block: usize,
    /// The sum of the terms of that block, and that of all others.
    pub(crate) at_max: f64,
    pub(crate) others: f64,
    /// `sum e^(x_i) (m - x_i)`, in units of the reference as the sums.
    pub(crate) distance: f64,
}

impl Spread {
    /// Of no classes.
    pub(crate) const EMPTY: Self = Self {
        reference: Reference::TAME,
        referred: f32::NEG_INFINITY,
        max: f32::NEG_INFINITY,
        given: f32::NEG_INFINITY,
        block: 0,
        at_max: 0.0,
        others: 0.0,
        distance: 0.0,
    };

    /// Measures distances from a logit that is at least as large as all that were read, whose terms are all `others`.
    fn move_up(&mut self, max: f32) {
        (self.others, self.at_max) = (self.others + self.at_max, 0.0);
        if self.max == f32::NEG_INFINITY {
            // Nothing was added but what stands for nothing; a NaN stays.
            (self.others, self.distance) = (self.others * 0.0, 0.0);
        } else {
            self.distance += (f64::from(max) - f64::from(self.max)) * self.others;
        }
        self.max = max;
    }

    /// Begins with a block whose largest logit is larger than all before, and chooses another reference where it asks for
    /// one.
    pub(crate) fn begin(&mut self, max: f32, given: f32, block: usize) {
        self.move_up(max);
        (self.given, self.block) = (given, block);
        if max - self.referred > REACH {
            self.referred = max;
            self.refer_to(Reference::for_max(max));
        }
    }

    /// Takes sums in units of another reference.
    fn refer_to(&mut self, reference: Reference) {
        let unit = LogSumExp { pivot: reference.pivot, exponent: reference.exponent, ..LogSumExp::EMPTY };
        let scale = unit.scale_of(self.reference);
        for sum in [&mut self.others, &mut self.at_max, &mut self.distance] {
            // Of nothing the scale may be infinite.
            *sum = if *sum == 0.0 { 0.0 } else { *sum * scale };
        }
        self.reference = reference;
    }

    /// That of both runs, of which the other one's classes come later.
    pub(crate) fn merge(self, other: Self) -> Self {
        let (mut large, mut small) = if other.given > self.given { (other, self) } else { (self, other) };
        small.move_up(large.max);
        small.refer_to(large.reference);
        large.others += small.others;
        large.distance += small.distance;
        large
    }

    /// The term of the largest logit.
    fn term(&self) -> f64 {
        self.reference.term(f64::from(self.max) - f64::from(self.reference.pivot))
    }

    /// `L` and the entropy, given the sum of the largest logit's block without its term.
    pub(crate) fn log_and_entropy(&self, rest: f64) -> (f64, f64) {
        let (rest, term) = (self.others + rest, self.term());
        let log = ln_1p(rest / term);
        (log, log + self.distance / (rest + term))
    }
}
