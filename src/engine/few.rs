//! Rows of few classes, by tiles of sixteen.

use super::call::Call;
use super::options::Total;
use super::scratch::Scratch;
use crate::kernels::finish::Finish;
use crate::kernels::group::{Group, LossSum};
use crate::kernels::tiles::{LoadTiles, SumTiles};
use crate::kernels::write::WriteTiles;
use crate::simd::{LANES, Token};

/// Up to so many classes rows go into the lanes: the order in which a row's terms are added depends on it.
pub(crate) const MAX_CLASSES: usize = 63;

/// Tiles that are on their way at once.
const TILES: usize = 8;

pub(crate) fn run(token: Token, mut call: Call<'_>, scratch: &mut Scratch) -> Total {
    let (rows, classes) = (call.rows(), call.classes());
    let at_once = (256 / classes).clamp(2, TILES) & !1;
    let Scratch { tiles, groups, .. } = scratch;
    tiles.resize(at_once * classes, [0.0; LANES]);
    groups.clear();
    groups.resize(at_once, Group::EMPTY);
    let writes = call.writes();
    let mut sum = LossSum::EMPTY;
    let mut first = 0;
    while first < rows {
        let (used, next) = call.collect(first, groups);
        first = next;
        let groups = &mut groups[..used];
        let tiles = &mut tiles[..used * classes];
        let labels = call.labels.is_some();
        token.run(LoadTiles { from: call.logits.share(), groups, tiles });
        token.run(SumTiles { groups, tiles, classes, labels, keep: writes });
        token.run(Finish {
            groups,
            labels,
            losses: labels.then_some(&mut sum),
            logs: false,
            factors: writes,
        });
        call.put_losses(groups);
        if let Some(results) = call.destination() {
            token.run(WriteTiles { groups, tiles, results: &mut results.reborrow() });
        }
    }
    Total::of(&sum)
}
