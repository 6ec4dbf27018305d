//! Where the values of a view lie: rows × classes, or outer × classes × inner.
//!
//! A row is one pair of an outer and an inner index, rows of one outer index after each other. Within one outer index
//! rows lie `stride` values apart, and so do classes by their own stride; [`Layout::seam`] is where that ends.

use crate::Error;

/// A checked shape with its strides, in values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) rows: usize,
    pub(crate) classes: usize,
    /// From a row to the next.
    pub(crate) stride: usize,
    /// From a class to the next.
    pub(crate) class_step: usize,
    /// Rows of one outer index; `usize::MAX` where all rows lie at one stride.
    inner: usize,
    /// From an outer index to the next.
    outer_stride: usize,
    /// Rows of the first outer index that come before the first row: the origin is where the first of them would be.
    skipped: usize,
}

impl Layout {
    /// Rows whose classes follow each other, and the number of values from the first of the first row to the last
    /// of the last.
    pub(crate) fn of_rows(rows: usize, classes: usize, stride: usize) -> Result<(Self, usize), Error> {
        let layout = Self::even(rows, classes, stride, 1);
        let Some(before_last) = rows.checked_sub(1) else {
            return Ok((layout, 0));
        };
        if classes == 0 {
            return Err(Error::NoClasses { rows });
        }
        let overflow = Error::SizeOverflow { rows, stride: stride.max(classes) };
        // Sums over all logits must be countable, also where a stride of 0 repeats one row.
        rows.checked_mul(classes).ok_or_else(|| overflow.clone())?;
        let span = before_last.checked_mul(stride).and_then(|start| start.checked_add(classes));
        Ok((layout, span.ok_or(overflow)?))
    }

    /// Any strides of outer × classes × inner, and the number of values from the first to the last.
    pub(crate) fn of_axes(shape: [usize; 3], strides: [usize; 3]) -> Result<(Self, usize), Error> {
        let ([outer, classes, inner], [outer_stride, class_step, stride]) = (shape, strides);
        let overflow = || Error::AxesOverflow { shape, strides };
        let rows = outer.checked_mul(inner).ok_or_else(overflow)?;
        // What is as long as one step says nothing about steps.
        let class_step = if classes > 1 { class_step } else { 1 };
        let even = |stride| Self::even(rows, classes, stride, class_step);
        if rows == 0 {
            return Ok((even(stride), 0));
        }
        if classes == 0 {
            return Err(Error::NoClasses { rows });
        }
        rows.checked_mul(classes).ok_or_else(overflow)?;
        let mut last = 0_usize;
        for (len, stride) in shape.into_iter().zip(strides) {
            let step = (len - 1).checked_mul(stride).ok_or_else(overflow)?;
            last = last.checked_add(step).ok_or_else(overflow)?;
        }
        let span = last.checked_add(1).ok_or_else(overflow)?;
        let layout = if outer == 1 || inner.checked_mul(stride) == Some(outer_stride) {
            even(stride)
        } else if inner == 1 {
            even(outer_stride)
        } else {
            Self { rows, classes, stride, class_step, inner, outer_stride, skipped: 0 }
        };
        Ok((layout, span))
    }

    /// Outer × classes × inner of an array in row-major order, and their strides.
    pub(crate) fn along(shape: &[usize], axis: usize) -> Result<([usize; 3], [usize; 3]), Error> {
        let Some(&classes) = shape.get(axis) else {
            return Err(Error::AxisOutOfRange { axis, axes: shape.len() });
        };
        let product = |axes: &[usize]| {
            // Of nothing there is nothing, however much there is of the rest.
            if axes.contains(&0) {
                return 0;
            }
            // Too much to count is too much for any slice.
            axes.iter().fold(1_usize, |product, &len| product.saturating_mul(len))
        };
        let (outer, inner) = (product(&shape[..axis]), product(&shape[axis + 1..]));
        Ok(([outer, classes, inner], [classes.saturating_mul(inner), inner, 1]))
    }

    /// Rows of one value each, one after the other.
    pub(crate) const fn run(rows: usize) -> Self {
        Self::even(rows, 1, 1, 1)
    }

    /// Whether rows of one value follow each other.
    pub(crate) const fn is_a_run(&self) -> bool {
        self.inner == usize::MAX && self.stride == 1
    }

    const fn even(rows: usize, classes: usize, stride: usize, class_step: usize) -> Self {
        Self { rows, classes, stride, class_step, inner: usize::MAX, outer_stride: 0, skipped: 0 }
    }

    /// Whether no two values share a place, because the values of an axis with a larger stride enclose those of the
    /// others.
    pub(crate) fn is_injective(shape: [usize; 3], strides: [usize; 3]) -> bool {
        let mut axes = [0, 1, 2].map(|axis| (strides[axis], shape[axis]));
        axes.sort_unstable();
        let mut extent = 1_usize;
        for (stride, len) in axes.into_iter().filter(|(_, len)| *len > 1) {
            if stride < extent {
                return false;
            }
            extent = extent.saturating_add((len - 1).saturating_mul(stride));
        }
        true
    }

    /// Outer × classes × inner, and their strides, of rows that are not part of others.
    #[cfg(feature = "ndarray")]
    pub(crate) fn axes(&self) -> ([usize; 3], [usize; 3]) {
        let Self { rows, classes, stride, class_step, inner, outer_stride, .. } = *self;
        if inner == usize::MAX {
            // All rows are those of one outer index where they could be; rows that follow each other are outer ones.
            return if class_step == 1 {
                ([rows, classes, 1], [stride, class_step, 1])
            } else {
                ([1, classes, rows], [0, class_step, stride])
            };
        }
        ([rows.div_ceil(inner), classes, inner], [outer_stride, class_step, stride])
    }

    /// How far a value is from the origin. Both indices are in range.
    #[inline(always)]
    pub(crate) fn offset(&self, row: usize, class: usize) -> usize {
        let start = if self.inner == usize::MAX { row * self.stride } else { self.start(self.skipped + row) };
        start + class * self.class_step
    }

    /// How far a row is from the origin, counted from there.
    fn start(&self, row: usize) -> usize {
        row / self.inner * self.outer_stride + row % self.inner * self.stride
    }

    /// Whether each row lies behind those before it. Rows of one stride do.
    pub(crate) fn ascends(&self) -> bool {
        self.inner == usize::MAX || self.outer_stride >= (self.inner - 1) * self.stride + self.classes
    }

    /// A row close to `near` where another outer index begins, unless there is but one.
    #[inline(always)]
    pub(crate) fn seam(&self, near: usize) -> Option<usize> {
        if self.inner == usize::MAX {
            return None;
        }
        let near = self.skipped + near;
        Some((near - near % self.inner).max(self.inner) - self.skipped)
    }

    /// Some of the rows, and how far their origin is from this one.
    pub(crate) fn part(self, from: usize, rows: usize) -> (Self, usize) {
        let Self { classes, stride, class_step, inner, .. } = self;
        if rows == 0 {
            return (Self::even(0, classes, stride, class_step), 0);
        }
        if inner == usize::MAX {
            return (Self { rows, ..self }, from * stride);
        }
        let from = self.skipped + from;
        let skipped = from % inner;
        if skipped + rows <= inner {
            (Self::even(rows, classes, stride, class_step), self.start(from))
        } else {
            (Self { rows, skipped, ..self }, self.start(from - skipped))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Layout;

    /// Where each row starts, by the definition.
    fn starts([outer, _, inner]: [usize; 3], strides: [usize; 3]) -> Vec<usize> {
        (0..outer).flat_map(|o| (0..inner).map(move |i| o * strides[0] + i * strides[2])).collect()
    }

    /// All rows of a layout that is cut at `cuts`, again and again.
    fn cut(layout: Layout, origin: usize, cuts: &[usize], found: &mut Vec<usize>) {
        let Some((&at, cuts)) = cuts.split_first() else {
            return found.extend((0..layout.rows).map(|row| origin + layout.offset(row, 0)));
        };
        let at = at % (layout.rows + 1);
        for (from, rows) in [(0, at), (at, layout.rows - at)] {
            let (part, shift) = layout.part(from, rows);
            cut(part, origin + shift, cuts, found);
        }
    }

    #[test]
    fn parts_of_any_layout_have_its_rows() {
        let (shape, expected) = ([4, 3, 5], 20);
        for strides in [[15, 5, 1], [1, 4, 12], [5, 20, 1], [7, 1, 40], [0, 1, 3], [100, 2, 9]] {
            let starts = starts(shape, strides);
            for a in 0..=expected {
                for b in 0..7 {
                    let (layout, span) = Layout::of_axes(shape, strides).expect("a layout");
                    let mut found = Vec::new();
                    cut(layout, 0, &[a, b, 3], &mut found);
                    assert_eq!(found, starts, "{strides:?} cut at {a}, {b}");
                    assert_eq!(span, starts.iter().max().expect("rows") + 2 * strides[1] + 1);
                }
            }
        }
    }

    #[test]
    fn cutting_at_seams_leaves_even_layouts() {
        let (layout, _) = Layout::of_axes([4, 3, 5], [40, 9, 1]).expect("a layout");
        let (_, rest) = (layout.part(0, 7), layout.part(7, 13).0);
        for layout in [layout, rest] {
            for near in 0..layout.rows {
                let at = layout.seam(near).expect("a seam");
                assert!(at > 0 && at < layout.rows, "{at}");
                // The row at the seam is the first of its outer index.
                assert_eq!(layout.part(at, 1).1 % 40, 0);
            }
        }
        assert_eq!(layout.part(5, 5).0.seam(2), None);
        assert_eq!(layout.part(6, 4).0.seam(2), None);
    }

    #[test]
    fn axes_that_interleave_without_meeting_are_told_from_those_that_meet() {
        assert!(Layout::is_injective([2, 3, 4], [12, 4, 1]));
        assert!(Layout::is_injective([2, 3, 4], [1, 2, 6]));
        assert!(Layout::is_injective([1, 3, 1], [0, 1, 0]));
        assert!(!Layout::is_injective([2, 3, 4], [12, 3, 1]));
        assert!(!Layout::is_injective([2, 1, 1], [0, 1, 1]));
    }
}
