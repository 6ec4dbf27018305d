//! What a kernel of the bound needs of an instruction set.

/// Sixteen lanes of f32 (`F`), and sixteen of f64 or i64 for the ends of rows (`D`).
///
/// Every function must run on a processor that has the instruction set, inlined into a function that was
/// compiled for it; pointers must be good for as many values as the function says.
pub trait Lanes: Copy {
    type F: Copy;
    type D: Copy;
    type Mask: Copy;
    /// One register of f32, which is all that a sum over a long row needs.
    type Register: Copy;

    // Memory. `part` means the first `n` lanes, at most 16; the others are 0, or stay.
    unsafe fn splat(x: f32) -> Self::F;
    unsafe fn load(p: *const f32) -> Self::F;
    unsafe fn store(p: *mut f32, x: Self::F);
    /// Around the caches; 64 byte alignment.
    unsafe fn stream(p: *mut f32, x: Self::F);
    unsafe fn load_part(p: *const f32, n: usize) -> Self::F;
    unsafe fn store_part(p: *mut f32, n: usize, x: Self::F);
    unsafe fn keep_part(n: usize, x: Self::F) -> Self::F;

    // Arithmetic.
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, rounded once.
    unsafe fn mul_add(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The larger one; `b` where one of them is NaN.
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F;

    // The bits of the lanes as integers.
    unsafe fn add_bits(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn sub_bits(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn shift_left<const BITS: u32>(a: Self::F) -> Self::F;
    /// Entry `i % 8` of a table of eight, which a vector holds twice.
    unsafe fn look_up(table: Self::F, i: Self::F) -> Self::F;

    // Masks.
    /// Where `a` is not less than `b`.
    unsafe fn not_less(a: Self::F, b: Self::F) -> Self::Mask;
    /// Where the integers differ.
    unsafe fn differ(a: Self::F, b: Self::F) -> Self::Mask;
    /// 0 in the other lanes.
    unsafe fn keep(mask: Self::Mask, a: Self::F) -> Self::F;
    unsafe fn select(mask: Self::Mask, a: Self::F, or: Self::F) -> Self::F;
    /// The larger of `x` and `m` where the mask is, `m` elsewhere.
    unsafe fn max_where(mask: Self::Mask, x: Self::F, m: Self::F) -> Self::F;
    unsafe fn all(mask: Self::Mask) -> bool;

    // The ends of rows.
    unsafe fn splat_f64(x: f64) -> Self::D;
    unsafe fn widen(a: Self::F) -> Self::D;
    unsafe fn narrow(a: Self::D) -> Self::F;
    unsafe fn add_f64(a: Self::D, b: Self::D) -> Self::D;
    unsafe fn sub_f64(a: Self::D, b: Self::D) -> Self::D;
    unsafe fn mul_f64(a: Self::D, b: Self::D) -> Self::D;
    unsafe fn div_f64(a: Self::D, b: Self::D) -> Self::D;
    unsafe fn mul_add_f64(a: Self::D, b: Self::D, c: Self::D) -> Self::D;
    unsafe fn add_i64(a: Self::D, b: Self::D) -> Self::D;
    unsafe fn sub_i64(a: Self::D, b: Self::D) -> Self::D;
    unsafe fn and(a: Self::D, b: Self::D) -> Self::D;
    unsafe fn or(a: Self::D, b: Self::D) -> Self::D;
    /// The exponent of a positive f64 as an integer.
    unsafe fn exponent_bits(a: Self::D) -> Self::D;

    // Sums over long rows, in one register each.
    unsafe fn zero_register() -> Self::Register;
    unsafe fn add_register(a: Self::Register, b: Self::Register) -> Self::Register;
    unsafe fn sub_register(a: Self::Register, b: Self::Register) -> Self::Register;
    /// All vectors in one, by pairs.
    unsafe fn folded<const N: usize>(v: [Self::F; N]) -> Self::Register;
    unsafe fn or_all<const N: usize>(a: Self::Register, v: [Self::F; N]) -> Self::Register;
    unsafe fn sum(a: Self::Register) -> f64;
    unsafe fn or_lanes(a: Self::Register) -> u32;

    // Sixteen vectors at `v`, one behind the other, to one vector with what each of them comes to.
    unsafe fn sum_each(v: *const f32) -> Self::F;
    unsafe fn max_each(v: *const f32) -> Self::F;

    /// Nothing, but the compiler must have all of them before it goes on. It would otherwise work off one
    /// chain of operations after the other, and the processor cannot look far enough ahead.
    unsafe fn in_step<const N: usize>(v: [Self::F; N]) -> [Self::F; N];

    /// Whether rows of so few classes, one behind the other, turn by permutations of whole vectors. Other
    /// rows of fewer than four classes are read and written with the first values behind them.
    fn permutes(classes: usize) -> bool;
    /// Sixteen rows of `x`, `stride` apart, to a vector for each class at `to`.
    unsafe fn to_lanes(x: *const f32, stride: usize, classes: usize, to: *mut f32);
    /// The vectors of the classes, multiplied, to sixteen rows. Rows are written from the first to the last.
    unsafe fn from_lanes(from: *const f32, classes: usize, out: *mut f32, stride: usize, by: &Factor<Self>);
}

/// Makes probabilities of terms: `p = t (high + low)`, taken 2^124 times too large, so that every product is
/// a normal number. What would then be below the normal numbers becomes 0; of the others the exponent is put
/// right by a subtraction of integers.
#[derive(Clone, Copy)]
pub struct Factor<L: Lanes> {
    high: L::F,
    low: L::F,
    least: L::F,
    down: L::F,
}

impl<L: Lanes> Factor<L> {
    /// 2^124.
    pub const UP: f64 = 21_267_647_932_558_653_966_460_912_964_485_513_216.0;

    #[inline(always)]
    pub unsafe fn new(high: L::F, low: L::F) -> Self {
        // 2^-126 * 2^124, and an exponent of 124.
        Self { high, low, least: L::splat(0.25), down: L::splat(f32::from_bits(124 << 23)) }
    }

    /// Of the sum of the terms of one row.
    #[inline(always)]
    pub unsafe fn of_sum(sum: f64) -> Self {
        let factor = Self::UP / sum;
        let high = factor as f32;
        Self::new(L::splat(high), L::splat((factor - f64::from(high)) as f32))
    }

    #[inline(always)]
    pub unsafe fn apply(&self, term: L::F) -> L::F {
        let share = L::mul_add(term, self.high, L::mul(term, self.low));
        L::keep(L::not_less(share, self.least), L::sub_bits(share, self.down))
    }

    /// The same for lanes of another width, by what makes one vector of the other.
    #[inline(always)]
    pub unsafe fn with<M: Lanes>(&self, vector: impl Fn(L::F) -> M::F) -> Factor<M> {
        Factor {
            high: vector(self.high),
            low: vector(self.low),
            least: vector(self.least),
            down: vector(self.down),
        }
    }
}
