//! The largest logits of rows of few classes, sixteen in the lanes.

use super::rows::{ENOUGH, FEW, make_room};
use super::scratch::Scratch;
use crate::kernels::group::Group;
use crate::kernels::tile_ends::LargestOfTiles;
use crate::kernels::tiles::{LINES, LoadTiles};
use crate::simd::strided::Strided;
use crate::simd::{LANES, Token};

/// Whether rows are worth a tile.
pub(super) fn suits(logits: Strided<'_>) -> bool {
    logits.layout().classes <= FEW && logits.layout().rows >= ENOUGH
}

/// The class of each row's largest logit, or of its first NaN, and what is there, sixteen rows at a time.
pub(super) fn run(
    token: Token,
    logits: Strided<'_>,
    scratch: &mut Scratch,
    mut put: impl FnMut(usize, usize, f32),
) {
    let (rows, classes) = (logits.layout().rows, logits.layout().classes);
    let Scratch { tiles, groups, lines, .. } = scratch;
    make_room(lines, LINES);
    tiles.resize(tiles.len().max(classes), [0.0; LANES]);
    groups.resize_with(groups.len().max(1), || Group::EMPTY);
    let (tiles, groups) = (&mut tiles[..classes], &mut groups[..1]);
    for first in (0..rows).step_by(LANES) {
        let group = &mut groups[0];
        group.len = (rows - first).min(LANES);
        for (i, row) in group.rows.iter_mut().enumerate() {
            *row = first + if i < group.len { i } else { 0 };
        }
        token.run(LoadTiles { from: logits, groups, tiles, lines });
        let mut largest = [[0; LANES]];
        token.run(LargestOfTiles { tiles, classes, to: &mut largest });
        let mut sums = [0.0_f32; LANES];
        for class in &*tiles {
            for (sum, x) in sums.iter_mut().zip(class) {
                // NaN where the logit is NaN or infinite.
                *sum += x * 0.0;
            }
        }
        for i in 0..groups[0].len {
            let nan = if sums[i] == 0.0 { None } else { tiles.iter().position(|class| class[i].is_nan()) };
            let class = nan.unwrap_or(largest[0][i]);
            put(first + i, class, tiles[class][i]);
        }
    }
}
