//! Rows of logits from a few bytes: where they lie in memory, and what they hold.

use arbitrary::{Arbitrary, Result, Unstructured};
use xent::{Error, Rows, RowsMut};

/// Rows of a batch, at most.
pub const ROWS: usize = 4;

/// Two full blocks of the crate's 512 logits, a tail of a third, and every smaller shape.
const CLASSES: usize = 1200;

/// Where rows lie in a buffer.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub rows: usize,
    pub classes: usize,
    stride: usize,
    /// Values before the first row, which shift its alignment.
    offset: usize,
}

impl<'a> Arbitrary<'a> for Layout {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let rows = u.int_in_range(1..=ROWS)?;
        // Half of the shapes are small, where every class is a tail.
        let most = if u.arbitrary()? { CLASSES } else { 70 };
        let classes = u.int_in_range(1..=most)?;
        let stride = classes + u.int_in_range(0..=3)?;
        Ok(Self { rows, classes, stride, offset: u.int_in_range(0..=15)? })
    }
}

impl Layout {
    /// Rows after each other.
    pub fn contiguous(rows: usize, classes: usize) -> Self {
        Self { rows, classes, stride: classes, offset: 0 }
    }

    /// A buffer of this layout, full of `fill`, with `rows` in their places.
    pub fn buffer(&self, fill: f32, rows: &[Vec<f32>]) -> Vec<f32> {
        let mut buffer = vec![fill; self.offset + self.rows * self.stride];
        for (place, row) in buffer[self.offset..].chunks_mut(self.stride).zip(rows) {
            place[..self.classes].copy_from_slice(row);
        }
        buffer
    }

    /// The first value of each row and those that follow it, out of a buffer of this layout.
    pub fn rows_of<'a>(&self, buffer: &'a [f32]) -> impl Iterator<Item = &'a [f32]> {
        buffer[self.offset..].chunks(self.stride).map(|place| &place[..self.classes])
    }

    /// The values of a buffer that are in rows, rows after each other.
    pub fn values(&self, buffer: &[f32]) -> Vec<f32> {
        self.rows_of(buffer).flatten().copied().collect()
    }

    /// The logits of each of its rows.
    pub fn contents(&self, rows: &[Row; ROWS]) -> Vec<Vec<f32>> {
        rows[..self.rows].iter().map(|row| row.logits(self.classes)).collect()
    }

    /// The values of a buffer that are in no row.
    pub fn between<'a>(&self, buffer: &'a [f32]) -> impl Iterator<Item = &'a f32> {
        let (before, rows) = buffer.split_at(self.offset);
        before.iter().chain(rows.chunks(self.stride).flat_map(|place| &place[self.classes..]))
    }

    pub fn view<'a>(&self, buffer: &'a [f32]) -> std::result::Result<Rows<'a>, Error> {
        Rows::with_stride(&buffer[self.offset..], self.rows, self.classes, self.stride)
    }

    pub fn view_mut<'a>(&self, buffer: &'a mut [f32]) -> std::result::Result<RowsMut<'a>, Error> {
        RowsMut::with_stride(&mut buffer[self.offset..], self.rows, self.classes, self.stride)
    }
}

/// One row: random logits around a centre, and a few chosen ones.
#[derive(Arbitrary, Debug)]
pub struct Row {
    centre: Centre,
    spread: Option<Spread>,
    seed: u32,
    chosen: Vec<(u16, Chosen)>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Centre {
    Zero,
    /// Quarters, to +-8192: around every change of pivot.
    Near(i16),
    Bits(u32),
}

/// The random logits lie up to `2^exponent` from the centre.
#[derive(Clone, Copy, Debug)]
struct Spread(i16);

impl<'a> Arbitrary<'a> for Spread {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self(u.int_in_range(-24..=12)?))
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Chosen {
    Bits(u32),
    /// So many quarters above the centre: ties, confident rows, far tails.
    Above(i16),
    MinusInfinity,
    Infinity,
    Nan,
}

impl Row {
    pub fn logits(&self, classes: usize) -> Vec<f32> {
        let centre = match self.centre {
            Centre::Zero => 0.0,
            Centre::Near(quarters) => f32::from(quarters) / 4.0,
            Centre::Bits(bits) => f32::from_bits(bits),
        };
        let spread = self.spread.map_or(0.0, |spread| f32::from(spread.0).exp2());
        let mut logits: Vec<f32> =
            uniform(self.seed).map(|at| (2.0 * at - 1.0).mul_add(spread, centre)).take(classes).collect();
        for &(class, chosen) in &self.chosen {
            logits[usize::from(class) % classes] = match chosen {
                Chosen::Bits(bits) => f32::from_bits(bits),
                Chosen::Above(quarters) => centre + f32::from(quarters) / 4.0,
                Chosen::MinusInfinity => f32::NEG_INFINITY,
                Chosen::Infinity => f32::INFINITY,
                Chosen::Nan => f32::NAN,
            };
        }
        logits
    }
}

/// Numbers in 0..1 that a seed determines, by `SplitMix64`.
pub fn uniform(seed: u32) -> impl Iterator<Item = f32> {
    let mut state = u64::from(seed);
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // Sixteen bits are exact in f32.
        let [.., a, b] = (mixed ^ (mixed >> 31)).to_be_bytes();
        f32::from(u16::from_be_bytes([a, b])) / 65536.0
    })
}
