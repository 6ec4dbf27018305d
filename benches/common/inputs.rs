//! Inputs that are the same in every run and on every machine: a formula of the index.

use core::ops::Range;

use super::shape::Shape;

/// Mixes a counter into 64 even bits (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014).
const fn mixed(index: u64) -> u64 {
    let z = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Four numbers below 2^16.
fn quarters(index: usize) -> [u16; 4] {
    let bits = mixed(index as u64);
    [0, 16, 32, 48].map(|shift| ((bits >> shift) & 0xffff) as u16)
}

/// Numbers that are nearly normal, with this standard deviation, at these places of a sequence.
pub fn normal(places: Range<usize>, deviation: f32) -> Vec<f32> {
    // The sum of four uniform numbers has a variance of 4/12, which √3 makes 1.
    let factor = deviation * 1.732_050_8;
    let number = |index| {
        let sum: f32 = quarters(index).map(|quarter| f32::from(quarter) / 65_536.0).iter().sum();
        (sum - 2.0) * factor
    };
    places.map(number).collect()
}

/// The standard deviation of logits.
pub const SPREAD: f32 = 3.0;

/// Logits as a network gives them: nearly normal.
pub fn logits(shape: Shape) -> Vec<f32> {
    normal(0..shape.logits(), SPREAD)
}

/// One class index per row.
pub fn labels(shape: Shape) -> Vec<u32> {
    let classes = u32::try_from(shape.classes).expect("classes fit in the labels' type");
    (0..shape.rows).map(|row| (mixed(row as u64) >> 32) as u32 % classes).collect()
}

/// One distribution per row.
pub fn distributions(shape: Shape) -> Vec<f32> {
    let mut values: Vec<f32> = (0..shape.logits()).map(|index| f32::from(quarters(index)[3]) + 1.0).collect();
    for row in 0..shape.rows {
        let places = (0..shape.classes).map(|class| shape.position(row, class));
        // In f64, so that the sum of many classes stays close to 1.
        let sum: f64 = places.clone().map(|place| f64::from(values[place])).sum();
        for place in places {
            #[expect(clippy::cast_possible_truncation, reason = "a distribution of f32")]
            let share = (f64::from(values[place]) / sum) as f32;
            values[place] = share;
        }
    }
    values
}
