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
    sums: &mut [[f64; LANES]],
    bias: S::Lanes,
    mut terms: impl FnMut(usize) -> ([S::Lanes; 2], [S::Lanes; 2]),
) -> [f64; LANES] {
    if classes <= LANES {
        // One term each: nothing is rounded away.
        return tree(
            classes,
            sums,
            #[inline(always)]
            |class| {
                let (p, scale) = terms(class);
                [(p[0] * scale[0]).widen(), (p[1] * scale[1]).widen()]
            },
        );
    }
    tree(
        classes,
        sums,
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
/// one and the next.
#[inline(always)]
pub(super) fn tree<W: Wide>(
    classes: usize,
    sums: &mut [[f64; LANES]],
    mut residues: impl FnMut(usize) -> [W; 2],
) -> [f64; LANES] {
    let mut len = classes.min(LANES);
    for (i, sums) in sums[..len.next_multiple_of(2)].as_chunks_mut().0.iter_mut().enumerate() {
        let [a, b] = residues(2 * i);
        *sums = [a.to_array(), b.to_array()];
    }
    for width in [8, 4, 2, 1] {
        let (to, from) = sums[..LANES].split_at_mut(width);
        for (to, from) in to.iter_mut().zip(&from[..len.saturating_sub(width)]) {
            for (to, from) in to.iter_mut().zip(from) {
                *to += from;
            }
        }
        len = len.min(width);
    }
    sums[0]
}

/// As [`tree`], asked for one by one.
#[inline(always)]
pub(super) fn tree_of<W: Wide>(
    classes: usize,
    sums: &mut [[f64; LANES]],
    mut residue: impl FnMut(usize) -> W,
) -> [f64; LANES] {
    tree(
        classes,
        sums,
        #[inline(always)]
        |first| [residue(first), residue(first + 1)],
    )
}
