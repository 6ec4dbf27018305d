//! Sixteen rows of few classes, on their way into the lanes and back.
#![allow(unsafe_code, reason = "rows are reached by pointers that were checked once, when the tile was made")]

use core::marker::PhantomData;

use super::LANES;

/// Sixteen rows whose classes follow each other.
pub(crate) struct TileRows<'a> {
    /// From each of which `classes` values may be read as long as the borrow lives.
    at: [*const f32; LANES],
    classes: usize,
    borrow: PhantomData<&'a [f32]>,
}

/// As [`TileRows`], to be written. The same row may be there more than once.
pub(crate) struct TileRowsMut<'a> {
    at: [*mut f32; LANES],
    classes: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

impl<'a> TileRows<'a> {
    /// Some classes of sixteen lines, `stride` apart.
    #[inline(always)]
    pub(crate) fn of_lines(lines: &'a [f32], stride: usize, class: usize, classes: usize) -> Self {
        assert!(class + classes <= stride && lines.len() >= LANES * stride, "sixteen lines");
        // SAFETY: each line has these classes.
        unsafe { Self::new(core::array::from_fn(|i| lines.as_ptr().add(i * stride + class)), classes) }
    }

    /// Sixteen rows; the same may be there more than once.
    #[inline(always)]
    pub(crate) fn of_rows(rows: &[&'a [f32]; LANES], classes: usize) -> Self {
        assert!(rows.iter().all(|row| row.len() >= classes), "rows of so many classes");
        // SAFETY: each row has these classes.
        unsafe { Self::new(rows.map(<[f32]>::as_ptr), classes) }
    }

    /// # Safety
    ///
    /// From each pointer on `classes` values can be read as long as the borrow lives.
    #[inline(always)]
    pub(super) const unsafe fn new(at: [*const f32; LANES], classes: usize) -> Self {
        Self { at, classes, borrow: PhantomData }
    }

    #[inline(always)]
    pub(super) const fn classes(&self) -> usize {
        self.classes
    }

    /// Where some classes of a row are: `len` of them from `class` on.
    #[inline(always)]
    pub(super) fn chunk(&self, row: usize, class: usize, len: usize) -> *const f32 {
        debug_assert!(class + len <= self.classes, "classes of the row");
        self.at[row].wrapping_add(class)
    }

    /// Value by value.
    #[inline(always)]
    pub(super) fn turn_in(&self, to: &mut [[f32; LANES]]) {
        assert!(to.len() == self.classes, "one array per class");
        for (row, at) in self.at.iter().enumerate() {
            for (class, to) in to.iter_mut().enumerate() {
                // SAFETY: the row has this class.
                to[row] = unsafe { *at.add(class) };
            }
        }
    }
}

impl<'a> TileRowsMut<'a> {
    /// As [`TileRows::of_lines`].
    #[inline(always)]
    pub(crate) fn of_lines(lines: &'a mut [f32], stride: usize, class: usize, classes: usize) -> Self {
        assert!(class + classes <= stride && lines.len() >= LANES * stride, "sixteen lines");
        let origin = lines.as_mut_ptr();
        // SAFETY: each line has these classes, and they are nobody else's.
        unsafe { Self::new(core::array::from_fn(|i| origin.add(i * stride + class)), classes) }
    }

    /// # Safety
    ///
    /// From each pointer on `classes` values can be written, and nobody else uses them, as long as the borrow lives.
    #[inline(always)]
    pub(super) const unsafe fn new(at: [*mut f32; LANES], classes: usize) -> Self {
        Self { at, classes, borrow: PhantomData }
    }

    #[inline(always)]
    pub(super) const fn classes(&self) -> usize {
        self.classes
    }

    /// As [`TileRows::chunk`].
    #[inline(always)]
    pub(super) fn chunk(&mut self, row: usize, class: usize, len: usize) -> *mut f32 {
        debug_assert!(class + len <= self.classes, "classes of the row");
        self.at[row].wrapping_add(class)
    }

    /// Value by value.
    #[inline(always)]
    pub(super) fn turn_out(&mut self, from: &[[f32; LANES]]) {
        assert!(from.len() == self.classes, "one array per class");
        for (row, at) in self.at.iter().enumerate() {
            for (class, from) in from.iter().enumerate() {
                // SAFETY: the row has this class.
                unsafe { *at.add(class) = from[row] };
            }
        }
    }
}

/// Calls `four` with the first class of runs of four, the last of which may overlap the one before it: together they
/// cover all of at least four classes.
#[inline(always)]
pub(super) fn for_fours(classes: usize, mut four: impl FnMut(usize)) {
    let mut at = 0;
    loop {
        four(at);
        at += 4;
        if at >= classes {
            return;
        }
        at = at.min(classes - 4);
    }
}
