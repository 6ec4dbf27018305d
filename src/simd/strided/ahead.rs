//! Where logits or results lie that are not wanted yet: they are asked for, and never read through this.

use super::Strided;
use crate::simd::LANES;
use crate::simd::half::Element;
use crate::views::layout::Layout;

/// Where a tile's logits lie that is read later on: it is only asked for, and may be anywhere.
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    first: *const f32,
    tile_step: usize,
    class_step: usize,
}

impl Ahead {
    /// Some tiles themselves, which are near.
    pub(crate) fn near(tiles: &[[f32; LANES]], classes: usize) -> Self {
        Self { first: tiles.as_ptr().cast(), tile_step: classes * LANES, class_step: LANES }
    }

    /// The same from a tile on.
    #[inline(always)]
    pub(crate) fn since(self, tile: usize) -> Self {
        Self { first: self.line(tile, 0), ..self }
    }

    /// A line of a tile's logits: of one class, or as many values of some rows.
    #[inline(always)]
    pub(crate) fn line(&self, tile: usize, class: usize) -> *const f32 {
        self.first.wrapping_add(tile * self.tile_step + class * self.class_step)
    }
}

impl Strided<'_> {
    /// The rows from a row on, sixteen for each tile; `None` where they do not follow each other.
    pub(crate) fn ahead(&self, row: usize) -> Option<Ahead> {
        let Layout { classes, stride, class_step, rows, .. } = self.layout;
        if row >= rows || self.layout.seam(0).is_some() || self.element != Element::F32 {
            return None;
        }
        let first = self.origin.cast::<f32>().wrapping_add(self.layout.offset(row, 0));
        match (stride, class_step) {
            (_, 1) if stride == classes => {
                Some(Ahead { first, tile_step: LANES * classes, class_step: LANES })
            }
            (1, _) => Some(Ahead { first, tile_step: LANES, class_step }),
            _ => None,
        }
    }
}
