//! Sums over the classes of sixteen rows in the lanes, in the order in which the lanes of one row are added up:
//! classes modulo 16 each on their own, then a tree.

use super::block::Sum;
use crate::simd::{LANES, Lanes, Simd, Wide};

/// The sum of each row's terms `p * scale`. They are asked for in pairs, of a class and the next, which may be
/// one behind the last.
#[inline(always)]
pub(super) fn add_up<S: Simd>(
    simd: S,
    classes: usize,
    bias: S::Lanes,
    mut terms: impl FnMut(usize) -> ([S::Lanes; 2], [S::Lanes; 2]),
) -> [f64; LANES] {
    if classes <= LANES {
        // One term each: nothing is rounded away.
        return tree(
            classes,
            #[inline(always)]
            |class| {
                let (p, scale) = terms(class);
                [(p[0] * scale[0]).widen(), (p[1] * scale[1]).widen()]
            },
        );
    }
    tree(
        classes,
        #[inline(always)]
        |residue| {
            let (mut sum, mut next) = (Sum::biased(simd, bias), Sum::biased(simd, bias));
            for class in (residue..classes).step_by(LANES) {
                let (p, scale) = terms(class);
                sum.add(p[0], scale[0]);
                if class + 1 < classes {
                    next.add(p[1], scale[1]);
                }
            }
            [sum.lanes(), next.lanes()]
        },
    )
}

/// Adds up the residues of classes modulo 16 as [`Wide::reduce_add`] adds up lanes. They are asked for in pairs:
/// one and the next, which may be one behind the last.
#[inline(always)]
pub(super) fn tree<W: Wide>(classes: usize, mut residues: impl FnMut(usize) -> [W; 2]) -> [f64; LANES] {
    let mut len = classes.min(LANES);
    let [first, second] = residues(0);
    let mut sums = [first; LANES];
    sums[1] = second;
    for i in (2..len).step_by(2) {
        [sums[i], sums[i + 1]] = residues(i);
    }
    for width in [8, 4, 2, 1] {
        for i in 0..len.saturating_sub(width) {
            sums[i] = sums[i] + sums[i + width];
        }
        len = len.min(width);
    }
    sums[0].to_array()
}

/// As [`tree`], asked for one by one.
#[inline(always)]
pub(super) fn tree_of<W: Wide>(classes: usize, mut residue: impl FnMut(usize) -> W) -> [f64; LANES] {
    tree(
        classes,
        #[inline(always)]
        |first| [residue(first), residue(first + 1)],
    )
}
