//! Views of any sizes and strides: the constructors refuse what does not fit, with the numbers, and what they
//! accept has its values where the formula says, reads nothing else and writes nothing else.
//!
//! A kind of view is a line of [`Kind`], of [`Shape::place`] and of [`Shape::refusal`].

use arbitrary::{Arbitrary, Result, Unstructured};
use half::{bf16, f16};
use xent::{
    Backend, CrossEntropy, Element, Error, Rows, RowsMut, argmax_into, log_sum_exp, log_sum_exp_into,
    row_max_into, softmax, softmax_in_place, softmax_into,
};

use super::same::{UNTOUCHED, VALID, assert_same, untouched};

/// Two views, and the buffers that they are taken of.
#[derive(Arbitrary, Debug)]
pub struct ViewsInput {
    first: Shape,
    second: Shape,
    /// Moves logits apart.
    spread: u8,
    /// Whether values are of 16 bits, and of which.
    half: Option<Half>,
}

/// A type of 16 bits.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Half {
    Bf16,
    F16,
}

/// What a view is made with.
#[derive(Clone, Copy, Debug)]
struct Shape {
    kind: Kind,
    /// Values in the buffer.
    len: usize,
    rows: usize,
    classes: usize,
    stride: usize,
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Rows after each other: no stride is given, and the buffer has no value more.
    Contiguous,
    /// Rows at a stride.
    Strided,
}

/// Any number, often one at which a product or a sum overflows.
fn size(u: &mut Unstructured<'_>, other: usize) -> Result<usize> {
    Ok(match u.int_in_range(0..=9)? {
        0..=5 => u.int_in_range(0..=20)?,
        6 => (1_usize << u.int_in_range(0..=63)?).wrapping_add(u.int_in_range(0..=2)?).wrapping_sub(1),
        7 => (usize::MAX / other.max(1)).wrapping_add(u.int_in_range(0..=2)?).wrapping_sub(1),
        8 => usize::MAX - u.int_in_range(0..=20)?,
        _ => u.arbitrary()?,
    })
}

impl<'a> Arbitrary<'a> for Shape {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let kind = u.arbitrary()?;
        let rows = size(u, 1)?;
        let classes = size(u, rows)?;
        let stride = if kind == Kind::Contiguous { classes } else { size(u, rows)? };
        let shape = Self { kind, len: 0, rows, classes, stride };
        // Often just what is needed, or one less, or one more.
        let needed = shape.span().and_then(|span| usize::try_from(span).ok()).filter(|&span| span <= 4096);
        let len = match (needed, u.int_in_range(0..=3)?) {
            (Some(needed), 0 | 1) => needed,
            (Some(needed), 2) => (needed + u.int_in_range(0..=2)?).saturating_sub(1),
            _ => u.int_in_range(0..=300)?,
        };
        Ok(Self { len, ..shape })
    }
}

impl Shape {
    /// The place of a value in the buffer.
    fn place(&self, row: usize, class: usize) -> usize {
        match self.kind {
            Kind::Contiguous => row * self.classes + class,
            Kind::Strided => row * self.stride + class,
        }
    }

    /// The values from the first of the first row to the last of the last one, if anything can count them.
    fn span(&self) -> Option<u128> {
        let [rows, classes, stride] = [self.rows, self.classes, self.stride].map(|n| n as u128);
        rows.checked_sub(1).map_or(Some(0), |before| before.checked_mul(stride)?.checked_add(classes))
    }

    /// Why the view must be refused, if it must.
    fn refusal(&self, mutable: bool) -> Option<Error> {
        let Self { kind, len, rows, classes, stride } = *self;
        let most = usize::MAX as u128;
        let too_large = rows as u128 * classes as u128 > most || self.span().is_none_or(|span| span > most);
        let short = |expected| Some(Error::DataLength { given: len, expected, rows, classes, stride });
        let needed = usize::try_from(self.span().unwrap_or(u128::MAX)).unwrap_or(usize::MAX);
        match kind {
            _ if rows > 0 && classes == 0 => Some(Error::NoClasses { rows }),
            _ if rows > 0 && too_large => Some(Error::SizeOverflow { rows, stride: stride.max(classes) }),
            _ if mutable && rows > 1 && stride < classes => Some(Error::StrideTooSmall { stride, classes }),
            _ if len < needed => short(needed),
            Kind::Contiguous if len > needed => short(needed),
            _ => None,
        }
    }

    fn view<'a, T: Element>(&self, data: &'a [T]) -> std::result::Result<Rows<'a>, Error> {
        match self.kind {
            Kind::Contiguous => Rows::new(data, self.rows, self.classes),
            Kind::Strided => Rows::with_stride(data, self.rows, self.classes, self.stride),
        }
    }

    fn view_mut<'a, T: Element>(&self, data: &'a mut [T]) -> std::result::Result<RowsMut<'a>, Error> {
        match self.kind {
            Kind::Contiguous => RowsMut::new(data, self.rows, self.classes),
            Kind::Strided => RowsMut::with_stride(data, self.rows, self.classes, self.stride),
        }
    }

    /// Whether there are so few values that all of them can be looked at.
    fn is_small(&self) -> bool {
        self.rows.checked_mul(self.classes).is_some_and(|values| values <= 4096)
    }

    /// The values of all rows, rows after each other.
    fn values(&self, data: &[f32]) -> Vec<f32> {
        let places =
            (0..self.rows).flat_map(|row| (0..self.classes).map(move |class| self.place(row, class)));
        places.map(|place| data[place]).collect()
    }
}

impl ViewsInput {
    /// Checks what is refused, and what is read and written through what is not.
    ///
    /// # Panics
    ///
    /// Where something does not hold.
    pub fn check(&self) {
        match self.half {
            None => {}
            Some(Half::Bf16) => return self.check_halves(bf16::from_f32, bf16::to_f32),
            Some(Half::F16) => return self.check_halves(f16::from_f32, f16::to_f32),
        }
        let spread = f32::from(self.spread) / 16.0;
        let mut data: Vec<f32> = (0..self.first.len).map(|i| ulp(i % 61) * spread).collect();
        self.check_mutable(&data);
        // One that the view need not have, as a value that shows.
        let view = self.first.view(&data);
        assert_eq!(view.as_ref().err(), self.first.refusal(false).as_ref());
        if view.is_err() {
            return;
        }
        if self.first.is_small() {
            self.hide(&mut data);
        }
        let view = self.first.view(&data).expect("accepted a moment ago");
        let Shape { rows, classes, stride, .. } = self.first;
        assert_eq!((view.rows(), view.classes(), view.stride()), (rows, classes, stride));
        for row in [0, 1, rows.wrapping_sub(1), rows, usize::MAX] {
            let start = (row < rows).then(|| self.first.place(row, 0));
            let slice = start.map(|start| &data[start..start + classes]);
            assert_eq!(view.row(row).map(<[f32]>::as_ptr_range), slice.map(<[f32]>::as_ptr_range));
        }
        if self.first.is_small() {
            self.check_small(view, &data);
        } else {
            check_large(view);
        }
    }

    /// Views of 16 bits are refused as those of f32 are, have the same values, the same results, and round what is written.
    fn check_halves<T: Element>(&self, narrow: fn(f32) -> T, widen: fn(T) -> f32) {
        let spread = f32::from(self.spread) / 16.0;
        let mut data: Vec<T> = (0..self.first.len).map(|i| narrow(ulp(i % 61) * spread)).collect();
        let widened: Vec<f32> = data.iter().map(|x| widen(*x)).collect();
        let (view, plain) = (self.first.view(&data), self.first.view(&widened));
        assert_eq!(view.as_ref().err(), plain.as_ref().err());
        let (Ok(view), Ok(plain)) = (view, plain) else { return };
        if !self.first.is_small() {
            return check_large(view);
        }
        let Shape { rows, classes, .. } = self.first;
        let labels: Vec<usize> = (0..rows).map(|row| row % classes.max(1)).collect();
        for backend in Backend::available() {
            let [view, plain] = [view, plain].map(|view| view.with_backend(backend));
            assert_same("softmax", &softmax(view).expect(VALID), &softmax(plain).expect(VALID));
            assert_same("log-sum-exp", &log_sum_exp(view).expect(VALID), &log_sum_exp(plain).expect(VALID));
            let [loss, expected] =
                [view, plain].map(|logits| CrossEntropy::new().loss(&labels, logits).expect(VALID).rows);
            assert_same("losses", &loss, &expected);
        }
        let expected = softmax(plain).expect(VALID);
        let Ok(view) = self.first.view_mut(&mut data) else { return };
        softmax_in_place(view).expect(VALID);
        let mut rounded = widened;
        for row in 0..rows {
            for class in 0..classes {
                rounded[self.first.place(row, class)] = widen(narrow(expected[row * classes + class]));
            }
        }
        let data: Vec<f32> = data.into_iter().map(widen).collect();
        assert_same("softmax in place, and all around it", &data, &rounded);
    }

    /// Puts a NaN wherever there is no value of a row.
    fn hide(&self, data: &mut [f32]) {
        let mut hidden = vec![UNTOUCHED; data.len()];
        for row in 0..self.first.rows {
            for class in 0..self.first.classes {
                let place = self.first.place(row, class);
                hidden[place] = data[place];
            }
        }
        data.copy_from_slice(&hidden);
    }

    /// What is computed of a view is what is computed of its values one after the other, into any other view.
    fn check_small(&self, view: Rows<'_>, data: &[f32]) {
        let Shape { rows, classes, .. } = self.first;
        let values = self.first.values(data);
        let labels: Vec<usize> = (0..rows).map(|row| row % classes.max(1)).collect();
        for backend in Backend::available() {
            let view = view.with_backend(backend);
            let plain = Rows::new(&values, rows, classes).expect("all of them").with_backend(backend);
            let expected = softmax(plain).expect(VALID);
            assert_same("softmax", &softmax(view).expect(VALID), &expected);
            assert_same("log-sum-exp", &log_sum_exp(view).expect(VALID), &log_sum_exp(plain).expect(VALID));
            let (loss, gradient) = CrossEntropy::new().loss_and_gradient(&labels, view).expect(VALID);
            let (plain_loss, plain_gradient) =
                CrossEntropy::new().loss_and_gradient(&labels, plain).expect(VALID);
            assert_same("losses", &loss.rows, &plain_loss.rows);
            assert_same("gradient", &gradient, &plain_gradient);

            let mut other = vec![UNTOUCHED; self.second.len];
            let Ok(results) = self.second.view_mut(&mut other) else { continue };
            let shapes = [(results.rows(), results.classes()), (rows, classes)];
            let result = softmax_into(view, results);
            if shapes[0] == shapes[1] || (shapes[0].0 == 0 && rows == 0) {
                assert_eq!(result, Ok(()));
                assert_same("softmax into another view", &self.second.values(&other), &expected);
                assert_gaps(&self.second, &other);
            } else {
                let [given, expected] = shapes;
                assert_eq!(result, Err(Error::ShapeMismatch { what: "output", given, expected }));
                assert!(other.iter().copied().all(untouched), "a refused call wrote");
            }
            let Ok(second) = self.second.view(&other) else { continue };
            let result = CrossEntropy::new().loss(second, view);
            assert_eq!(result.is_ok(), shapes[0] == shapes[1] || (shapes[0].0 == 0 && rows == 0));
        }
    }

    /// A view to be written, where nothing may be written but its rows.
    fn check_mutable(&self, data: &[f32]) {
        let mut data = data.to_vec();
        let values = self.first.refusal(true).is_none().then(|| self.first.values(&data));
        if values.is_some() {
            self.hide(&mut data);
        }
        let original = data.clone();
        for backend in Backend::available() {
            data.copy_from_slice(&original);
            let view = self.first.view_mut(&mut data);
            assert_eq!(view.as_ref().err(), self.first.refusal(true).as_ref());
            let (Ok(mut view), Some(values)) = (view, &values) else { return };
            let Shape { rows, classes, stride, .. } = self.first;
            assert_eq!((view.rows(), view.classes(), view.stride()), (rows, classes, stride));
            for row in [0, rows.wrapping_sub(1), rows, usize::MAX] {
                assert_eq!(view.row_mut(row).map(|row| row.len()), (row < rows).then_some(classes));
            }
            softmax_in_place(view.with_backend(backend)).expect(VALID);
            let plain = Rows::new(values, rows, classes).expect("all of them").with_backend(backend);
            assert_same("softmax in place", &self.first.values(&data), &softmax(plain).expect(VALID));
            assert_gaps(&self.first, &data);
        }
    }
}

/// Asserts that nothing has been written where there is no row.
fn assert_gaps(shape: &Shape, data: &[f32]) {
    let mut gap = vec![true; data.len()];
    for row in 0..shape.rows {
        for class in 0..shape.classes {
            gap[shape.place(row, class)] = false;
        }
    }
    assert!(data.iter().zip(gap).all(|(&x, gap)| !gap || untouched(x)), "written between rows");
}

/// A view of more rows than there can be results: every call that would need them is refused.
fn check_large(view: Rows<'_>) {
    let (rows, classes) = (view.rows(), view.classes());
    let count = |what| Err(Error::RowCount { what, given: 1, expected: rows });
    if rows > 1 {
        assert_eq!(log_sum_exp_into(view, &mut [0.0]), count("results"));
        assert_eq!(row_max_into(view, &mut [0.0]), count("results"));
        assert_eq!(argmax_into(view, &mut [0]), count("results"));
        let loss = CrossEntropy::new().loss_into(&[0_u8], view, &mut [0.0]);
        assert_eq!(loss.map(drop), count("losses"));
    }
    // Beyond what an allocator is asked for; what lies below is up to the machine.
    let values = rows * classes;
    if values > isize::MAX.cast_unsigned() / size_of::<f32>() {
        assert_eq!(softmax(view), Err(Error::OutOfMemory { values }));
        assert_eq!(CrossEntropy::new().label_gradient(view), Err(Error::OutOfMemory { values }));
    }
    if rows > isize::MAX.cast_unsigned() / size_of::<f32>() {
        assert_eq!(log_sum_exp(view), Err(Error::OutOfMemory { values: rows }));
        assert_eq!(CrossEntropy::new().loss(&[0_u8], view), Err(Error::OutOfMemory { values: rows }));
    }
}

/// A small number as an f32.
fn ulp(number: usize) -> f32 {
    super::ulp::round(super::ulp::count(number))
}
