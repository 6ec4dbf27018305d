//! Random numbers without a state: Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
//! 1, 2, 3" (2011). A key and a counter are mixed to 128 bits, which no other counter shares: what is drawn for a class
//! depends on its number, and not on what was drawn before.
//!
//! Each class has 64 bits, and those that it needs first are the sixteen highest, because with them it is hardly ever
//! worth looking further. So the counters `[n, 0, position]` give eight classes sixteen bits each, and `[class, 1,
//! position]` the other 48 of one class.

use crate::simd::{LANES, Simd, Wide};

const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];

/// What is added to both halves of the key after each round.
const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];

const ROUNDS: usize = 10;

/// Classes whose highest bits are made at once, by sixteen counters.
pub(crate) const UNIT: usize = 8 * LANES;

/// The number of which sixteen bits are the lowest of the fraction.
pub(crate) const BASE: f32 = 8_388_608.0;

/// The random numbers of one row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    pub(crate) key: u64,
    pub(crate) position: u64,
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
const fn low(bits: u64) -> u32 {
    bits as u32
}

const fn low_and_high(bits: u64) -> [u32; 2] {
    [low(bits), low(bits >> 32)]
}

/// One block: 128 bits.
fn philox(mut counter: [u32; 4], key: u64) -> [u32; 4] {
    let mut key = low_and_high(key);
    for _ in 0..ROUNDS {
        let [a, b, c, d] = counter;
        let [low_0, high_0] = low_and_high(u64::from(MULTIPLIERS[0]) * u64::from(a));
        let [low_1, high_1] = low_and_high(u64::from(MULTIPLIERS[1]) * u64::from(c));
        counter = [high_1 ^ b ^ key[0], low_1, high_0 ^ d ^ key[1], low_0];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

/// Integers in all lanes.
#[inline(always)]
fn wide<S: Simd>(simd: S, bits: u64) -> S::Wide {
    simd.splat_wide(f64::from_bits(bits))
}

/// The halves of each integer in each other's place.
#[inline(always)]
fn turned<W: Wide>(integers: W) -> W {
    integers.shift_left::<32>().xor(integers.shift_right::<32>())
}

/// The same in both halves.
const fn both(half: u32) -> u64 {
    (half as u64) << 32 | half as u64
}

impl Stream {
    /// A block of this row.
    fn block(self, number: u32, domain: u32) -> [u32; 4] {
        let [low, high] = low_and_high(self.position);
        philox([number, domain, low, high], self.key)
    }

    /// The 64 bits of a class.
    pub(crate) fn bits(self, class: u32) -> u64 {
        // A unit has four quarters of 32 classes: two of each word's low half, two of its high one.
        let (unit, quarter, lane) = (class / 128, class / 32 % 4, class % 32);
        let word = self.block(unit * 16 + lane / 2, 0)[(quarter % 2 * 2 + lane % 2) as usize];
        let highest = word >> (16 * (quarter / 2)) & 0xffff;
        let [middle, lowest, ..] = self.block(class, 1);
        u64::from(highest) << 48 | u64::from(middle) << 16 | u64::from(lowest >> 16)
    }

    /// The sixteen highest bits of each of a unit's classes, added to [`BASE`].
    ///
    /// Trick: two words of a block lie in one lane of 64 bits, the first of them where it is multiplied. The product has its
    /// halves in each other's place: turned, they are where the next round wants them.
    #[inline(always)]
    pub(crate) fn highest<S: Simd>(self, simd: S, unit: u32) -> [[f32; LANES]; UNIT / LANES] {
        let mut counters = [0.0; LANES];
        for (counter, n) in counters.iter_mut().zip(0_u64..) {
            *counter = f64::from_bits(u64::from(unit) * 16 + n);
        }
        // Of four vectors at most; all in step, so that one's latencies are filled by the others.
        let mut blocks = [[wide(simd, 0), wide(simd, self.position)]; 4];
        for (part, block) in blocks.iter_mut().enumerate().take(S::WIDE_PARTS) {
            block[0] = simd.load_wide(&counters, part);
        }
        let multipliers = [wide(simd, MULTIPLIERS[0].into()), wide(simd, MULTIPLIERS[1].into())];
        let mut key = low_and_high(self.key);
        for _ in 0..ROUNDS {
            let keys = [wide(simd, key[0].into()), wide(simd, key[1].into())];
            for block in &mut blocks[..S::WIDE_PARTS] {
                let [first, second] = *block;
                *block = [
                    turned(second.mul_low(multipliers[1])).xor(first.shift_right::<32>().xor(keys[0])),
                    turned(first.mul_low(multipliers[0])).xor(second.shift_right::<32>().xor(keys[1])),
                ];
            }
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        let (mask, base) = (wide(simd, both(0xffff)), wide(simd, both(BASE.to_bits())));
        let mut halves = [[0.0; LANES]; 4];
        for (part, [first, second]) in blocks.into_iter().enumerate().take(S::WIDE_PARTS) {
            first.and(mask).or(base).store(&mut halves[0], part);
            second.and(mask).or(base).store(&mut halves[1], part);
            first.shift_right::<16>().and(mask).or(base).store(&mut halves[2], part);
            second.shift_right::<16>().and(mask).or(base).store(&mut halves[3], part);
        }
        let mut all = [[0.0; LANES]; UNIT / LANES];
        for (two, to) in halves.as_flattened().iter().zip(all.as_flattened_mut().as_chunks_mut().0) {
            *to = low_and_high(two.to_bits()).map(f32::from_bits);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Kernel;

    #[test]
    fn blocks_are_those_of_the_paper_s_known_answers() {
        let key = |a: u32, b: u32| u64::from(b) << 32 | u64::from(a);
        for (counter, key, expected) in [
            ([0; 4], 0, [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], u64::MAX, [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                key(0xa409_3822, 0x299f_31d0),
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ] {
            assert_eq!(philox(counter, key), expected);
        }
    }

    struct Highest(Stream, u32);

    impl Kernel for Highest {
        type Output = [[f32; LANES]; UNIT / LANES];

        #[inline(always)]
        fn eval<S: Simd>(self, simd: S) -> Self::Output {
            self.0.highest(simd, self.1)
        }
    }

    #[test]
    fn lanes_hold_the_highest_bits_of_each_class() {
        let stream = Stream { key: 0x0123_4567_89ab_cdef, position: 0xfedc_ba98_7654_3210 };
        for backend in crate::Backend::available() {
            for unit in [0, 1, 77, u32::MAX / 128] {
                let got = backend.token().expect("available").run(Highest(stream, unit));
                for (got, class) in got.as_flattened().iter().zip((0..).map(|i| unit * 128 + i)) {
                    let highest = stream.bits(class) >> 48;
                    assert_eq!(got.to_bits() - BASE.to_bits(), low(highest), "{backend}, class {class}");
                }
            }
        }
    }
}
