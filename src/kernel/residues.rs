//! Sums over the classes of sixteen rows in the lanes, in the order in which the lanes of one row are added up:
//! classes modulo 16 each on their own, then a tree.

use super::block::Sum;
use crate::simd::{LANES, Lanes, Simd, Wide};

/// The sum of each row's terms `p * scale`.
#[inline(always)]
pub(super) fn add_up<S: Simd>(
    simd: S,
    classes: usize,
    sums: &mut [[f64; LANES]],
    bias: S::Lanes,
    mut term: impl FnMut(usize) -> (S::Lanes, S::Lanes),
) -> [f64; LANES] {
    if classes <= LANES {
        // One term each: nothing is rounded away.
        return tree(
            classes,
            sums,
            #[inline(always)]
            |class| {
                let (p, scale) = term(class);
                (p * scale).widen()
            },
        );
    }
    tree(
        classes,
        sums,
        #[inline(always)]
        |residue| {
            let mut sum = Sum::biased(simd, bias);
            for class in (residue..classes).step_by(LANES) {
                let (p, scale) = term(class);
                sum.add(p, scale);
            }
            sum.lanes()
        },
    )
}

/// Adds up the residues of classes modulo 16 as [`Wide::reduce_add`] adds up lanes.
#[inline(always)]
pub(super) fn tree<W: Wide>(
    classes: usize,
    sums: &mut [[f64; LANES]],
    mut residue: impl FnMut(usize) -> W,
) -> [f64; LANES] {
    let mut len = classes.min(LANES);
    for (i, sum) in sums[..len].iter_mut().enumerate() {
        *sum = residue(i).to_array();
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
