//! Random rows of logits, and where they lie.

use core::f64::consts::TAU;
use core::fmt;

use fastrand::Rng;
use proptest::prelude::*;
use proptest::sample::select;

use crate::common::paths::{Axes, Layout};

/// Values of some rows, one row after the other.
#[derive(Clone, PartialEq)]
pub struct Matrix {
    pub rows: usize,
    pub classes: usize,
    pub values: Vec<f32>,
}

impl Matrix {
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.classes..][..self.classes]
    }

    pub fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks(self.classes)
    }

    /// One result per row, after each other, of `of` the index and the values of a row.
    pub fn map_rows<T>(&self, of: impl FnMut((usize, &[f32])) -> T) -> Vec<T> {
        self.iter().enumerate().map(of).collect()
    }
}

impl fmt::Debug for Matrix {
    /// Long rows are left to their recipe, which is printed beside them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows of {}", self.rows, self.classes)?;
        if self.values.len() <= 256 { write!(f, ": {:?}", self.values) } else { Ok(()) }
    }
}

/// What a row is made of, before what is done to it.
#[derive(Clone, Copy, Debug)]
pub enum Base {
    /// Normally distributed logits with this standard deviation.
    Normal(f32),
    /// All the same.
    Flat(f32),
    /// Down to this far below 0: most terms underflow.
    Spread(f32),
    /// Subnormal numbers of both signs.
    Subnormal,
    /// On both sides of a magnitude at which the kernels change their pivot.
    Straddle(f32),
}

/// A row: its base, and what is done to it in this order.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    pub base: Base,
    /// One logit this far above the others' maximum.
    pub confident: Option<f32>,
    /// Two more occurrences of the maximum.
    pub ties: bool,
    /// This added to all.
    pub offset: f32,
    /// This share of the logits -inf, but for one at least.
    pub masked: f32,
    pub seed: u64,
}

impl Recipe {
    pub fn cook(self, classes: usize) -> Vec<f32> {
        let mut rng = Rng::with_seed(self.seed);
        let mut row: Vec<f32> = (0..classes).map(|_| self.base.logit(&mut rng)).collect();
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let top = rng.usize(..classes);
        if let Some(gap) = self.confident {
            row[top] = max + gap;
        }
        if self.ties {
            let max = max.max(row[top]);
            row[rng.usize(..classes)] = max;
            row[rng.usize(..classes)] = max;
        }
        for (i, x) in row.iter_mut().enumerate() {
            *x += self.offset;
            if i != top && rng.f32() < self.masked {
                *x = f32::NEG_INFINITY;
            }
        }
        row
    }
}

impl Base {
    fn logit(self, rng: &mut Rng) -> f32 {
        match self {
            Self::Normal(deviation) => normal(rng) * deviation,
            Self::Flat(x) => x,
            Self::Spread(depth) => -depth * rng.f32(),
            Self::Subnormal => f32::from_bits(rng.u32(..1 << 23) | rng.u32(..2) << 31),
            Self::Straddle(at) => at.copysign(rng.f32() - 0.5) + normal(rng),
        }
    }
}

/// A normally distributed number (Box and Muller).
#[expect(clippy::cast_possible_truncation, reason = "any f32 nearby will do")]
pub fn normal(rng: &mut Rng) -> f32 {
    ((-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (TAU * rng.f64()).cos()) as f32
}

/// Lengths of rows: all short ones, and those around 128, a block (512), two, and the 32 blocks after
/// which a second level of merging begins.
pub fn classes() -> impl Strategy<Value = usize> {
    prop_oneof![
        24 => 1_usize..=67,
        4 => 126_usize..=130,
        4 => 510_usize..=514,
        4 => 1022_usize..=1026,
        1 => 16_382_usize..=16_386,
    ]
}

/// Rows that have a softmax.
pub fn recipe() -> impl Strategy<Value = Recipe> {
    let base = prop_oneof![
        6 => (1.0_f32..10.0).prop_map(Base::Normal),
        1 => select(vec![1e-3_f32, 0.1]).prop_map(Base::Normal),
        1 => (-100.0_f32..100.0).prop_map(Base::Flat),
        2 => select(vec![90.0_f32, 200.0, 1e3, 1e6, 1e30]).prop_map(Base::Spread),
        1 => Just(Base::Subnormal),
        2 => select(vec![264.0_f32, 208.0, 131.0, 528.0]).prop_map(Base::Straddle),
    ];
    let offset = prop_oneof![
        4 => Just(0.0_f32),
        1 => select(vec![-1e4_f32, 1e4, -1e8, 1e8, -1e30, 1e30]),
        1 => -300.0_f32..300.0,
    ];
    let masked = prop_oneof![3 => Just(0.0_f32), 1 => 0.05_f32..1.0];
    let confident = proptest::option::weighted(0.4, 5.0_f32..100.0);
    (base, confident, prop::bool::weighted(0.2), offset, masked, any::<u64>()).prop_map(
        |(base, confident, ties, offset, masked, seed)| Recipe {
            base,
            confident,
            ties,
            offset,
            masked,
            seed,
        },
    )
}

/// The values that make a row special, and how often: `share` 1 fills the row.
fn special() -> impl Strategy<Value = (f32, f32)> {
    let value = select(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
    (value, select(vec![0.0_f32, 0.3, 1.0]))
}

/// Some rows of one length that have a softmax.
pub fn logits() -> impl Strategy<Value = Logits> {
    classes().prop_flat_map(|classes| logits_of(classes, recipe().boxed()))
}

/// As [`logits`], with NaN, infinities of both signs and rows of nothing else among the rows.
pub fn special_logits() -> impl Strategy<Value = Logits> {
    (logits(), prop::collection::vec(proptest::option::of(special()), 4), any::<u64>()).prop_map(
        |(mut logits, special, seed)| {
            let mut rng = Rng::with_seed(seed);
            let classes = logits.matrix.classes;
            for (row, special) in logits.matrix.values.chunks_mut(classes).zip(special) {
                let Some((value, share)) = special else { continue };
                row[rng.usize(..classes)] = value;
                for x in row.iter_mut().filter(|_| rng.f32() < share) {
                    *x = value;
                }
            }
            logits
        },
    )
}

/// Mostly [`logits`], and among them [`special_logits`].
pub fn all_logits() -> impl Strategy<Value = Logits> {
    prop_oneof![3 => logits(), 1 => special_logits()]
}

/// Rows of logits, with what they were made from and where they lie.
#[derive(Clone, Debug)]
pub struct Logits {
    pub recipes: Vec<Recipe>,
    pub matrix: Matrix,
    pub layout: Layout,
}

/// Some rows of `classes` logits each.
pub fn logits_of(classes: usize, recipe: BoxedStrategy<Recipe>) -> impl Strategy<Value = Logits> {
    let rows = if classes > 4096 { 1..=2_usize } else { 1..=4 };
    (prop::collection::vec(recipe, rows), layout()).prop_map(move |(recipes, layout)| {
        let values: Vec<f32> = recipes.iter().flat_map(|recipe| recipe.cook(classes)).collect();
        let matrix = Matrix { rows: recipes.len(), classes, values };
        Logits { recipes, matrix, layout }
    })
}

/// Where rows lie in memory.
pub fn layout() -> impl Strategy<Value = Layout> {
    let axes = prop_oneof![1 => Just(Axes::Rows), 1 => prop::sample::select(&Axes::ALL[..])];
    (0_usize..=17, 0_usize..=40, axes).prop_map(|(offset, padding, axes)| Layout { offset, padding, axes })
}
