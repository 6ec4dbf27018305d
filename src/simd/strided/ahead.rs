//! Where logits or results lie that are not wanted yet: they are asked for, and never read through this.

use super::Strided;
use crate::simd::half::Element;
use crate::simd::{LANES, Simd};
use crate::views::layout::Layout;

/// The cache lines of some tiles that are read, or written, later on: they are only asked for, and may be anywhere.
///
/// Where rows are neighbours in memory each class of a tile lies in a page of its own. The lines of a class are asked for one
/// after the other, those of all tiles, before those of the next: memory answers long runs best.
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    /// The next line, and how many there are of its class from it on.
    at: *const f32,
    left: usize,
    /// The lines of each class, an even number, and how far it is from the last to those of the next.
    lines: usize,
    gap: usize,
}

/// A line that is near.
static NEAR: [f32; LANES] = [0.0; LANES];

impl Ahead {
    /// Nothing that is far.
    pub(crate) const NOTHING: Self = Self { at: (&raw const NEAR).cast(), left: 0, lines: 0, gap: 0 };

    /// Whether there is anything to ask for.
    #[inline(always)]
    pub(crate) fn is_far(&self) -> bool {
        self.lines > 0
    }

    /// Asks for the next two lines.
    #[inline(always)]
    pub(crate) fn ask<S: Simd>(&mut self, simd: S) {
        simd.prefetch(self.at);
        simd.prefetch(self.at.wrapping_add(LANES));
        self.at = self.at.wrapping_add(2 * LANES);
        self.left = self.left.wrapping_sub(2);
        if self.left == 0 {
            (self.at, self.left) = (self.at.wrapping_add(self.gap), self.lines);
        }
    }
}

impl Strided<'_> {
    /// The tiles of the rows from a row on, if these follow each other.
    pub(crate) fn ahead(&self, row: usize, tiles: usize) -> Ahead {
        let Layout { classes, stride, class_step, rows, .. } = self.layout;
        if row >= rows || self.layout.seam(0).is_some() || self.element != Element::F32 {
            return Ahead::NOTHING;
        }
        let at = self.origin.cast::<f32>().wrapping_add(self.layout.offset(row, 0));
        match (stride, class_step) {
            (_, 1) if stride == classes => Ahead { at, left: 0, lines: usize::MAX - 1, gap: 0 },
            (1, _) => {
                // What lies in two lines of the cache brought its first one with the tile before.
                let (at, lines) = (at.wrapping_add(LANES - 1), tiles.next_multiple_of(2));
                Ahead { at, left: lines, lines, gap: class_step.wrapping_sub(lines * LANES) }
            }
            _ => Ahead::NOTHING,
        }
    }
}
