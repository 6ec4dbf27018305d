//! Values of a view anywhere in memory, reached by row and class.
//!
//! Rows whose classes do not follow each other lie between one another, so that no slice holds some of them and not
//! the others: work on such rows can only be shared by pointers. Every access here is to a value of the view's own rows.
#![allow(
    unsafe_code,
    reason = "no slice holds every other value; each access is checked against the view's shape"
)]

use core::marker::PhantomData;

use super::LANES;
use super::half::Element;
use super::tile::{TileRows, TileRowsMut};
use crate::views::layout::Layout;

mod ahead;
mod halves;

pub(crate) use self::ahead::Ahead;

/// Borrowed values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strided<'a> {
    /// Where the layout counts from. All its values may be read as long as the borrow lives, and are of the element type.
    origin: *const (),
    element: Element,
    layout: Layout,
    /// How many values from the origin on may be read, whether they are the layout's or not.
    readable: usize,
    borrow: PhantomData<&'a [()]>,
}

/// Mutably borrowed values, no two of them in one place.
#[derive(Debug)]
pub(crate) struct StridedMut<'a> {
    /// As in [`Strided`]; all the layout's values may be written.
    origin: *mut (),
    element: Element,
    layout: Layout,
    /// How many values from the origin on may be read where nobody else writes: none where others may.
    readable: usize,
    borrow: PhantomData<&'a mut [()]>,
}

// SAFETY: it is used as a slice of numbers is.
unsafe impl Send for Strided<'_> {}
// SAFETY: it is used as a slice of numbers is.
unsafe impl Sync for Strided<'_> {}
// SAFETY: it is used as a mutable slice of numbers is.
unsafe impl Send for StridedMut<'_> {}
// SAFETY: it is used as a mutable slice of numbers is.
unsafe impl Sync for StridedMut<'_> {}

/// Panics unless a value exists: what keeps accesses within the view. Callers know that it does.
#[inline(always)]
fn check(layout: &Layout, row: usize, class: usize) {
    assert!(row < layout.rows && class < layout.classes, "a value outside of its view");
}

impl<'a> Strided<'a> {
    /// The values of a slice, of which a layout takes up `span`; `None` where it is shorter.
    #[inline(always)]
    pub(crate) fn new<T: crate::Element>(data: &'a [T], layout: Layout, span: usize) -> Option<Self> {
        let (origin, readable, element) = (data.as_ptr().cast(), data.len(), T::ELEMENT);
        (span <= readable).then_some(Self { origin, element, layout, readable, borrow: PhantomData })
    }

    /// The values of a layout from a pointer on.
    ///
    /// # Safety
    ///
    /// All may be read, and none is written, as long as the borrow lives.
    #[cfg(feature = "ndarray")]
    pub(super) const unsafe fn from_raw<T: crate::Element>(origin: *const T, layout: Layout) -> Self {
        Self { origin: origin.cast(), element: T::ELEMENT, layout, readable: 0, borrow: PhantomData }
    }

    /// Where the first value is; `None` where values are of another type.
    #[cfg(any(feature = "linear", feature = "ndarray"))]
    pub(super) fn first<T: crate::Element>(&self) -> Option<*const T> {
        let shift = if self.layout.rows == 0 { 0 } else { self.layout.offset(0, 0) };
        // SAFETY: the first of these rows is one of the view's, or there is none and the origin is what it was.
        (self.element == T::ELEMENT).then(|| unsafe { self.origin.cast::<T>().add(shift) })
    }

    /// What the values are.
    #[cfg(feature = "linear")]
    #[inline(always)]
    pub(crate) const fn element(&self) -> Element {
        self.element
    }

    #[inline(always)]
    pub(crate) fn is_of_f32(&self) -> bool {
        self.element == Element::F32
    }

    /// Whether rows are slices of f32, and can be read as they lie.
    #[inline(always)]
    pub(crate) fn are_slices(&self) -> bool {
        self.layout.class_step == 1 && self.element == Element::F32
    }

    /// Where a value is that exists.
    #[inline(always)]
    fn at<T>(&self, row: usize, class: usize) -> *const T {
        check(&self.layout, row, class);
        // SAFETY: the value exists.
        unsafe { self.origin.cast::<T>().add(self.layout.offset(row, class)) }
    }

    #[inline(always)]
    pub(crate) const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether rows are slices, and what lies between them may be read.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        self.layout.class_step == 1 && (self.readable > 0 || self.layout.rows == 0)
    }

    /// The rows from `from` on.
    #[inline(always)]
    pub(crate) fn part(self, from: usize, rows: usize) -> Self {
        assert!(from <= self.layout.rows && rows <= self.layout.rows - from, "rows outside of their view");
        let (layout, shift) = self.layout.part(from, rows);
        // SAFETY: the first of these rows is one of the view's, or there is none and `shift` is 0.
        let origin = unsafe { self.origin.byte_add(shift * self.element.size()) };
        Self { origin, layout, readable: self.readable.saturating_sub(shift), ..self }
    }

    /// A row of f32 whose classes follow each other.
    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> &'a [f32] {
        assert!(row < self.layout.rows && self.are_slices(), "no row of the view");
        // SAFETY: the row exists; all of it is the view's, and of this type.
        unsafe { core::slice::from_raw_parts(self.at(row, 0), self.layout.classes) }
    }

    /// Sixteen rows of f32 whose classes follow each other, if they are neighbours; `None` where they are not.
    #[inline(always)]
    pub(crate) fn tile(&self, rows: &[usize; LANES]) -> Option<TileRows<'a>> {
        let start = first_of_tile(&self.layout, rows).filter(|_| self.element == Element::F32)?;
        // SAFETY: the first of the rows exists, and the last: all classes of all sixteen may be read.
        Some(unsafe {
            TileRows::new(self.origin.cast::<f32>().add(start), self.layout.stride, self.layout.classes)
        })
    }

    /// Whether sixteen rows are neighbours in memory.
    #[inline(always)]
    pub(crate) fn has_columns(&self, rows: &[usize; LANES], len: usize) -> bool {
        neighbours(&self.layout, rows, len).is_some()
    }

    /// Sixteen rows of f32, class by class, if they are neighbours in memory; `None` where they are not.
    #[inline(always)]
    pub(crate) fn columns(&self, rows: &[usize; LANES], len: usize) -> Option<Columns<'a, f32>> {
        // SAFETY: these are f32.
        (self.element == Element::F32).then(|| unsafe { self.columns_of(rows, len) }).flatten()
    }

    /// # Safety
    ///
    /// The values have the size and the alignment of `T`, and bits that it may have.
    #[inline(always)]
    unsafe fn columns_of<T>(&self, rows: &[usize; LANES], len: usize) -> Option<Columns<'a, T>> {
        let Layout { classes, class_step, .. } = self.layout;
        let first = self.origin.cast::<T>().wrapping_add(neighbours(&self.layout, rows, len)?);
        Some(Columns { first, class_step, classes, borrow: PhantomData })
    }
}

/// Sixteen rows that are neighbours in memory.
pub(crate) struct Columns<'a, T> {
    /// The first value of the first row. All values of sixteen rows may be read as long as the borrow lives.
    first: *const T,
    class_step: usize,
    classes: usize,
    borrow: PhantomData<&'a [T]>,
}

impl<'a, T> Columns<'a, T> {
    /// One class of sixteen rows.
    #[inline(always)]
    pub(crate) fn at(&self, class: usize) -> &'a [T; LANES] {
        assert!(class < self.classes, "a class of the rows");
        // SAFETY: the sixteen values exist and follow each other.
        unsafe { &*self.first.add(class * self.class_step).cast() }
    }
}

impl Strided<'_> {
    #[inline(always)]
    pub(crate) fn get(&self, row: usize, class: usize) -> f32 {
        match self.element {
            // SAFETY: the value exists, and is one of these.
            Element::F32 => unsafe { *self.at(row, class) },
            // SAFETY: the value exists, and has 16 bits.
            Element::Half(half) => half.widen(unsafe { *self.at(row, class) }),
        }
    }
}

/// Where the first of sixteen rows starts that lie at one stride, one after the other; all exist after this.
#[inline(always)]
fn first_of_tile(layout: &Layout, rows: &[usize; LANES]) -> Option<usize> {
    assert!(layout.class_step == 1, "rows are slices");
    let [first, .., last] = *rows;
    // Rows of another outer index may lie anywhere.
    if last != first.wrapping_add(LANES - 1) || layout.seam(0).is_some() {
        return None;
    }
    assert!(first <= last && last < layout.rows, "rows of the view");
    Some(layout.offset(first, 0))
}

/// Where the first class of the first of sixteen rows is, if all follow each other.
#[inline(always)]
fn neighbours(layout: &Layout, rows: &[usize; LANES], len: usize) -> Option<usize> {
    let [first, .., last] = *rows;
    // Rows of another outer index may lie anywhere.
    if len != LANES || layout.stride != 1 || layout.seam(0).is_some() || last != first + (LANES - 1) {
        return None;
    }
    check(layout, last, 0);
    Some(layout.offset(first, 0))
}

impl<'a> StridedMut<'a> {
    /// As [`Strided::new`], for a layout whose values are all in different places.
    #[inline(always)]
    pub(crate) fn new<T: crate::Element>(data: &'a mut [T], layout: Layout, span: usize) -> Option<Self> {
        let (origin, readable, element) = (data.as_mut_ptr().cast(), data.len(), T::ELEMENT);
        (span <= readable).then_some(Self { origin, element, layout, readable, borrow: PhantomData })
    }

    /// As [`Strided::from_raw`].
    ///
    /// # Safety
    ///
    /// All may be read and written, and nobody else does, as long as the borrow lives; no two are in one place.
    #[cfg(feature = "ndarray")]
    pub(super) const unsafe fn from_raw<T: crate::Element>(origin: *mut T, layout: Layout) -> Self {
        Self { origin: origin.cast(), element: T::ELEMENT, layout, readable: 0, borrow: PhantomData }
    }

    /// As [`Strided::first`].
    #[cfg(any(feature = "linear", feature = "ndarray"))]
    pub(super) fn first<T: crate::Element>(&self) -> Option<*mut T> {
        self.share().first().map(<*const T>::cast_mut)
    }

    /// As [`Strided::are_slices`], to be written.
    #[inline(always)]
    pub(crate) fn are_slices(&self) -> bool {
        self.share().are_slices()
    }

    #[inline(always)]
    pub(crate) const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// As [`Strided::is_plain`], and whether a cut between rows is one of the memory.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        self.share().is_plain() && self.layout.ascends()
    }

    /// The same values, shared.
    #[inline(always)]
    pub(crate) fn share(&self) -> Strided<'_> {
        let Self { origin, element, layout, readable, .. } = *self;
        Strided { origin, element, layout, readable, borrow: PhantomData }
    }

    /// A borrow that ends sooner.
    #[inline(always)]
    pub(crate) fn reborrow(&mut self) -> StridedMut<'_> {
        let Self { origin, element, layout, readable, .. } = *self;
        StridedMut { origin, element, layout, readable, borrow: PhantomData }
    }

    /// The first `row` rows and the others.
    #[inline(always)]
    pub(crate) fn split_at(self, row: usize) -> (Self, Self) {
        assert!(row <= self.layout.rows, "rows outside of their view");
        let rest = self.layout.rows - row;
        let part = |from, rows, end: usize| {
            let (layout, shift) = self.layout.part(from, rows);
            // SAFETY: the first of these rows is one of the view's, or there is none and `shift` is 0.
            let origin = unsafe { self.origin.byte_add(shift * self.element.size()) };
            Self {
                origin,
                element: self.element,
                layout,
                readable: end.saturating_sub(shift),
                borrow: PhantomData,
            }
        };
        // What the first part may read ends where the others begin.
        let end = match (self.is_plain(), rest) {
            (false, _) => 0,
            (true, 0) => self.readable,
            (true, _) => self.layout.offset(row, 0),
        };
        (part(0, row, end), part(row, rest, if self.is_plain() { self.readable } else { 0 }))
    }

    /// As [`Strided::row`].
    #[inline(always)]
    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [f32] {
        self.rows_mut(row, 1)
    }

    /// Whether rows of f32 follow each other without a gap.
    pub(crate) fn are_packed(&self) -> bool {
        let Layout { rows, classes, stride, .. } = self.layout;
        self.are_slices() && (rows < 2 || stride == classes) && self.layout.seam(0).is_none()
    }

    /// Rows that follow each other without a gap, as one slice.
    #[inline(always)]
    pub(crate) fn rows_mut(&mut self, row: usize, rows: usize) -> &mut [f32] {
        let classes = self.layout.classes;
        check(&self.layout, row, 0);
        assert!(rows <= self.layout.rows - row && self.are_slices(), "no rows of the view");
        assert!(rows == 1 || self.are_packed(), "rows with a gap");
        // SAFETY: all of these rows are the view's, of this type, and nobody else's while `self` is borrowed.
        unsafe { core::slice::from_raw_parts_mut(self.at(row, 0), rows * classes) }
    }

    /// Where a value is that exists.
    #[inline(always)]
    fn at<T>(&mut self, row: usize, class: usize) -> *mut T {
        check(&self.layout, row, class);
        // SAFETY: the value exists.
        unsafe { self.origin.cast::<T>().add(self.layout.offset(row, class)) }
    }

    /// As [`Strided::tile`], to be written.
    #[inline(always)]
    pub(crate) fn tile_mut(&mut self, rows: &[usize; LANES]) -> Option<TileRowsMut<'_>> {
        let start = first_of_tile(&self.layout, rows).filter(|_| self.element == Element::F32)?;
        // SAFETY: the first of the rows exists, and the last; all are the view's, and nobody else's while `self` is
        // borrowed.
        Some(unsafe {
            TileRowsMut::new(self.origin.cast::<f32>().add(start), self.layout.stride, self.layout.classes)
        })
    }

    /// As [`Strided::has_columns`].
    #[inline(always)]
    pub(crate) fn has_columns(&self, rows: &[usize; LANES], len: usize) -> bool {
        self.share().has_columns(rows, len)
    }

    /// One class of sixteen rows of f32 that are neighbours in memory; `None` where values are of another type.
    #[inline(always)]
    pub(crate) fn column_mut(&mut self, row: usize, class: usize) -> Option<&mut [f32; LANES]> {
        // SAFETY: these are f32.
        (self.element == Element::F32).then(|| unsafe { self.column_of(row, class) })
    }

    /// # Safety
    ///
    /// As [`Strided::columns_of`].
    #[inline(always)]
    unsafe fn column_of<T>(&mut self, row: usize, class: usize) -> &mut [T; LANES] {
        assert!(self.layout.stride == 1 && self.layout.seam(0).is_none(), "no neighbours");
        assert!(row < self.layout.rows && LANES <= self.layout.rows - row, "sixteen rows of the view");
        // SAFETY: the sixteen values exist, follow each other and are nobody else's while `self` is borrowed.
        unsafe { &mut *self.at::<T>(row, class).cast() }
    }

    #[inline(always)]
    pub(crate) fn set(&mut self, row: usize, class: usize, value: f32) {
        match self.element {
            // SAFETY: the value exists, is one of these, and nobody else's while `self` is borrowed.
            Element::F32 => unsafe { *self.at(row, class) = value },
            // SAFETY: the value exists, has 16 bits, and is nobody else's while `self` is borrowed.
            Element::Half(half) => unsafe { *self.at(row, class) = half.narrow(value) },
        }
    }
}
