//! Distances between an f32 result and its f64 reference, in units of the last place of f32.

/// `|got - want|` in ULP of f32 at `want`.
///
/// 0 where both are NaN or the same infinity, where `want` overflows f32 to the infinity that was given,
/// and where a result below the smallest normal number was flushed to zero. Infinite where only one is
/// NaN or infinite. +0 and -0 are equal.
pub fn error(got: f32, want: f64) -> f64 {
    error_at(got, want, want)
}

/// As [`error`], in ULP at the larger of `want` and `magnitude`: for results that are differences.
#[expect(clippy::float_cmp, reason = "infinities, and zero, are exact")]
pub fn error_at(got: f32, want: f64, magnitude: f64) -> f64 {
    if got.is_nan() || want.is_nan() {
        return if got.is_nan() && want.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if got.is_infinite() || want.is_infinite() {
        return if got.is_infinite() && round(want) == got { 0.0 } else { f64::INFINITY };
    }
    if got == 0.0 && want.abs() < f64::from(f32::MIN_POSITIVE) {
        return 0.0;
    }
    (f64::from(got) - want).abs() / size(want.abs().max(magnitude.abs()))
}

/// What a part that is subtracted from another may lack: all of it where it is subnormal, or next to that.
pub fn flushed(part: f64) -> f64 {
    let part = part.abs();
    if part < f64::from(f32::MIN_POSITIVE) * (1.0 + 4e-7) { part } else { 0.0 }
}

/// As [`flushed`], of a probability times a factor: one that is small enough may count as 0 whatever the factor.
pub fn flushed_share(probability: f64, factor: f64) -> f64 {
    let part = probability * factor;
    if probability.abs() < 2.0_f64.powi(-187) { part.abs() } else { flushed(part) }
}

/// The ULP of f32 in the binade of `value`, which is at least that of the smallest normal number. Beyond the largest
/// number, where only a part of a result can lie, that of an f32 with more exponents.
pub fn size(value: f64) -> f64 {
    let value = value.abs().clamp(f64::from(f32::MIN_POSITIVE), f64::MAX);
    // The exponent bits alone are the power of two at or below a normal number.
    let binade = f64::from_bits(value.to_bits() & f64::INFINITY.to_bits());
    binade * f64::from(f32::EPSILON)
}

/// The nearest f32.
#[expect(clippy::cast_possible_truncation, reason = "rounding is what is asked for")]
pub fn round(value: f64) -> f32 {
    value as f32
}

/// A number of rows or classes as an f64.
#[expect(clippy::cast_precision_loss, reason = "counts in tests are small")]
pub fn count(count: usize) -> f64 {
    count as f64
}
