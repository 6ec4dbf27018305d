//! Which rows are ordinary, and how much care those need that are not.

use crate::numbers::exp::{HEADROOM, HIGH, HIGH_SUM, are_out_of_range, are_shallow};
use crate::numbers::math::power_of_two;

/// How rows are read. Data that asks for more care goes on asking for it: what was needed last comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::engine) enum Care {
    /// Against the common reference, with no logit below its floor.
    #[default]
    None,
    /// Against the common reference.
    Clamp,
    /// Against a reference of their own, by their largest logits.
    Refer,
}

/// Which rows have the common reference: those whose largest logit is from `low` to [`HIGH`].
#[derive(Clone, Copy)]
pub(in crate::engine) struct Tame {
    pub(in crate::engine) low: f32,
    /// A sum above this has a logit that is not too low, however many classes it is of.
    sum: f64,
    pub(in crate::engine) care: Care,
}

impl Tame {
    pub(in crate::engine) fn new(classes: usize, care: Care) -> Self {
        // So that no term that can matter to the smallest normal loss, of as many classes as there are, is below the
        // lowest: a loss of 2^-126 is good to 2^-25 of it.
        let bits = classes.next_power_of_two().trailing_zeros();
        #[expect(clippy::cast_precision_loss, reason = "less than a hundred")]
        let low = (bits as f32 + 27.5 - HEADROOM) * core::f32::consts::LN_2;
        Self { low, sum: power_of_two(f64::from(2 * bits + 28)), care }
    }

    /// Asks for no care where the last rows, read against the common reference, did not need it.
    pub(in crate::engine) fn relax(&mut self, shallow: bool) {
        if shallow {
            self.care = Care::None;
        }
    }

    /// Reads rows against the common reference, with care if it is asked for or turns out to be needed. What reads is told whether to
    /// be careful, and returns the bits of all depths where sums are as they should be. Tells whether the reference was right.
    pub(in crate::engine) fn read(&mut self, mut rows: impl FnMut(&Self, bool) -> Option<u32>) -> bool {
        loop {
            if let Some(depths) =
                rows(self, self.care != Care::None).filter(|depths| !are_out_of_range(*depths))
            {
                self.relax(are_shallow(depths));
                return true;
            }
            if self.care != Care::None {
                return false;
            }
            self.care = Care::Clamp;
        }
    }

    /// Whether a row's sum, without its label, shows that its reference was right.
    pub(in crate::engine) fn holds(&self, rest: f64, logit: f32) -> bool {
        rest < HIGH_SUM && logit <= HIGH && (rest > self.sum || logit >= self.low)
    }
}
