//! The `k` largest logits of a row.
//!
//! What is larger than the `k`-th of those so far is kept, with its class, until there is no room; then all but the `k`
//! largest are dropped, and the `k`-th is the next limit. Of equal logits those of lower classes are kept: a row is read
//! from its first class on, so that a logit that only equals the limit is one too many.
//!
//! A logit and its class are one integer, so that an order of integers is that of both: the bits of the logit, turned where
//! it is negative, above those of the class, which count backwards.

/// Room beyond twice as many as are wanted. With more there are fewer selections, but the limit is an old one for longer,
/// and more logits are above it.
const ROOM: usize = 24;

/// The largest logits so far, not in order, and what is needed to be one of them.
#[derive(Default)]
pub(crate) struct Top {
    kept: Vec<u64>,
    len: usize,
    wanted: usize,
    /// How many are kept at most: there may be room for more, which another call wanted.
    room: usize,
    limit: f32,
}

impl Top {
    /// Starts anew.
    pub(crate) fn restart(&mut self, wanted: usize) {
        (self.len, self.wanted) = (0, wanted);
        // A class of -inf takes no part.
        self.limit = if wanted == 0 { f32::INFINITY } else { f32::NEG_INFINITY };
        self.room = if wanted == 0 { 0 } else { 2 * wanted + ROOM };
        self.kept.resize(self.kept.len().max(self.room), 0);
    }

    /// What a logit must be above.
    #[inline(always)]
    pub(crate) fn limit(&self) -> f32 {
        self.limit
    }

    /// Whether nothing has been kept, so that there is no limit.
    #[inline(always)]
    pub(crate) fn is_new(&self) -> bool {
        self.len == 0 && self.wanted > 0
    }

    /// Takes the largest logits of groups of classes that are about to come: as many as are wanted are at least as large as
    /// the `k`-th of these.
    pub(crate) fn expect(&mut self, of_groups: &mut [f32]) {
        if self.wanted <= of_groups.len() {
            let (_, last, _) = of_groups.select_nth_unstable_by(self.wanted - 1, |a, b| b.total_cmp(a));
            // What equals it is to be kept.
            self.limit = last.next_down();
        }
    }

    /// Keeps a logit.
    #[inline(always)]
    pub(crate) fn add(&mut self, logit: f32, class: u32) {
        self.add_key(key(logit, class));
    }

    #[inline(always)]
    fn add_key(&mut self, key: u64) {
        if self.len == self.room {
            self.select();
        }
        self.kept[self.len] = key;
        self.len += 1;
    }

    /// Keeps what another one, of classes after these, has kept.
    pub(crate) fn merge(&mut self, other: &Self) {
        for &key in &other.kept[..other.len] {
            self.add_key(key);
        }
    }

    /// Drops all but the largest.
    #[inline(never)]
    fn select(&mut self) {
        if self.len <= self.wanted {
            return;
        }
        let (_, last, _) = self.kept[..self.len].select_nth_unstable_by(self.wanted - 1, |a, b| b.cmp(a));
        self.limit = logit(*last);
        self.len = self.wanted;
    }

    /// The classes of the largest logits, in falling order of these; of equal ones the lower class is the first.
    pub(crate) fn classes(&mut self) -> impl Iterator<Item = u32> {
        self.select();
        self.kept[..self.len].sort_unstable_by(|a, b| b.cmp(a));
        self.kept[..self.len].iter().map(|key| !low_half(*key))
    }
}

/// An integer that is larger where the logit is, or, of equal logits, where the class is lower.
#[inline(always)]
fn key(logit: f32, class: u32) -> u64 {
    // -0 is equal to +0, which this makes of it.
    let bits = (logit + 0.0).to_bits();
    let turned = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
    u64::from(turned) << 32 | u64::from(!class)
}

/// The logit of a key.
fn logit(key: u64) -> f32 {
    let turned = low_half(key >> 32);
    f32::from_bits(if turned >> 31 == 1 { turned & !(1 << 31) } else { !turned })
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
fn low_half(key: u64) -> u32 {
    key as u32
}
