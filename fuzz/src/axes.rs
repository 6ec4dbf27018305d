//! Views of outer × classes × inner values with any strides: the constructors refuse what does not fit, with the numbers,
//! and what they accept has its values where the formula says, reads nothing else and writes nothing else.

use std::collections::HashSet;

use arbitrary::{Arbitrary, Result, Unstructured};
use xent::{
    Backend, CrossEntropy, Error, Hinge, Rows, RowsMut, argmax, log_sum_exp, softmax, softmax_in_place,
    softmax_into,
};

use super::same::{UNTOUCHED, VALID, assert_same, untouched};

/// Logits, and where their gradient goes.
#[derive(Arbitrary, Debug)]
pub struct AxesInput {
    logits: Axes,
    /// The strides of results of the same shape.
    results: Axes,
    /// Rows whose labels are ignored.
    ignored: u32,
}

#[derive(Clone, Copy, Debug)]
struct Axes {
    /// Values in the buffer.
    len: usize,
    shape: [usize; 3],
    strides: [usize; 3],
}

/// A length or a stride, now and then one at which a product or a sum overflows.
fn size(u: &mut Unstructured<'_>, most: usize) -> Result<usize> {
    Ok(match u.int_in_range(0..=15)? {
        0 => (1_usize << u.int_in_range(0..=63)?).wrapping_add(u.int_in_range(0..=2)?).wrapping_sub(1),
        1 => usize::MAX - u.int_in_range(0..=20)?,
        _ => u.int_in_range(0..=most)?,
    })
}

impl<'a> Arbitrary<'a> for Axes {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let shape = [size(u, 4)?, size(u, 40)?, size(u, 40)?];
        // Mostly those of an order of the axes, with a gap.
        let mut strides = [size(u, 200)?, size(u, 200)?, size(u, 200)?];
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        if let Some(order) = orders.get(u.int_in_range(0..=7)?) {
            let mut stride = 1_usize + u.int_in_range(0..=1)?;
            for &axis in order.iter().rev() {
                strides[axis] = stride;
                stride = stride.saturating_mul(shape[axis].max(1)).saturating_add(u.int_in_range(0..=2)?);
            }
        }
        let axes = Self { len: 0, shape, strides };
        let needed = axes.span().and_then(|span| usize::try_from(span).ok()).filter(|&span| span <= 1 << 14);
        let len = match (needed, u.int_in_range(0..=5)?) {
            (Some(needed), 1..) => needed + u.int_in_range(0..=20)?,
            (Some(needed), 0) => needed.saturating_sub(1),
            _ => u.int_in_range(0..=300)?,
        };
        Ok(Self { len, ..axes })
    }
}

impl Axes {
    fn rows(&self) -> Option<usize> {
        self.shape[0].checked_mul(self.shape[2])
    }

    /// The values from the first to the last, if anything can count them.
    fn span(&self) -> Option<u128> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        let step = |axis: usize| (self.shape[axis] as u128 - 1).checked_mul(self.strides[axis] as u128);
        step(0)?.checked_add(step(1)?)?.checked_add(step(2)?)?.checked_add(1)
    }

    /// Where the value of a row and a class is.
    fn place(&self, row: usize, class: usize) -> usize {
        let [outer, of_class, inner] = self.strides;
        row / self.shape[2] * outer + class * of_class + row % self.shape[2] * inner
    }

    /// All places, rows after each other.
    fn places(&self) -> Vec<usize> {
        let rows = self.rows().unwrap_or(0);
        (0..rows).flat_map(|row| (0..self.shape[1]).map(move |class| self.place(row, class))).collect()
    }

    /// Why the view must be refused, if it must.
    fn refusal(&self) -> Option<Error> {
        let Self { len, shape, strides } = *self;
        let overflow = Some(Error::AxesOverflow { shape, strides });
        let Some(rows) = self.rows() else { return overflow };
        if rows == 0 {
            return None;
        }
        if shape[1] == 0 {
            return Some(Error::NoClasses { rows });
        }
        let span = self.span().and_then(|span| usize::try_from(span).ok());
        let (Some(_), Some(expected)) = (rows.checked_mul(shape[1]), span) else { return overflow };
        (len < expected).then_some(Error::AxesLength { given: len, expected, shape, strides })
    }

    /// Asserts that both kinds of view are refused as they must be; says whether neither is.
    fn check(&self, data: &mut [f32]) -> bool {
        let refusal = self.refusal();
        assert_eq!(Rows::with_strides(data, self.shape, self.strides).err(), refusal);
        let mutable = RowsMut::with_strides(data, self.shape, self.strides).err();
        match (mutable, refusal) {
            // It is said of overlaps first, and of some places where none meet.
            (Some(Error::AxesOverlap { .. }), refusal) => {
                assert!(!matches!(refusal, Some(Error::AxesOverflow { .. } | Error::NoClasses { .. })));
                false
            }
            (mutable, refusal) => {
                assert_eq!(mutable, refusal);
                if refusal.is_none() && self.is_small() {
                    let places = self.places();
                    let distinct: HashSet<usize> = places.iter().copied().collect();
                    assert_eq!(distinct.len(), places.len(), "values share a place");
                }
                refusal.is_none()
            }
        }
    }

    fn is_small(&self) -> bool {
        self.rows().and_then(|rows| rows.checked_mul(self.shape[1])).is_some_and(|values| values <= 1 << 13)
    }

    /// The values in a buffer of which nothing else is a number.
    fn spread(&self, values: &[f32]) -> Vec<f32> {
        let mut data = vec![UNTOUCHED; self.len];
        for (place, value) in self.places().into_iter().zip(values) {
            data[place] = *value;
        }
        data
    }

    /// The values of a buffer that nothing else has been written to.
    fn gather(&self, mut data: Vec<f32>) -> Vec<f32> {
        let values =
            self.places().into_iter().map(|place| core::mem::replace(&mut data[place], UNTOUCHED)).collect();
        assert!(data.into_iter().all(untouched), "written between rows");
        values
    }
}

impl AxesInput {
    /// Checks what is refused, and that results are those of the same rows one after the other.
    ///
    /// # Panics
    ///
    /// Where something does not hold.
    pub fn check(&self) {
        let results = Axes { shape: self.logits.shape, ..self.results };
        let needed =
            results.span().and_then(|span| usize::try_from(span).ok()).filter(|&span| span < 1 << 16);
        let results = Axes { len: needed.unwrap_or(self.results.len), ..results };
        let mutable = self.logits.check(&mut vec![0.0; self.logits.len]);
        let writable = results.check(&mut vec![0.0; results.len]);
        if self.logits.refusal().is_some() || !self.logits.is_small() {
            return;
        }
        let (rows, classes) = (self.logits.rows().unwrap_or(0), self.logits.shape[1]);
        let mut values: Vec<f32> = (0..rows * classes).map(|i| small(i * 7919 % 61) / 4.0).collect();
        if !mutable {
            // Of values in one place the last is in all of them.
            let data = self.logits.spread(&values);
            values = self.logits.places().into_iter().map(|place| data[place]).collect();
        }
        for backend in Backend::available() {
            self.check_on(backend, &values, (rows, classes), mutable, writable.then_some(results));
        }
    }

    fn check_on(
        &self,
        backend: Backend,
        values: &[f32],
        (rows, classes): (usize, usize),
        mutable: bool,
        results: Option<Axes>,
    ) {
        let Axes { shape, strides, .. } = self.logits;
        let mut data = self.logits.spread(values);
        let plain = Rows::new(values, rows, classes).expect(VALID).with_backend(backend);
        let view = Rows::with_strides(&data, shape, strides).expect(VALID).with_backend(backend);
        let expected = softmax(plain).expect(VALID);
        assert_same("softmax", &softmax(view).expect(VALID), &expected);
        assert_same("log-sum-exp", &log_sum_exp(view).expect(VALID), &log_sum_exp(plain).expect(VALID));
        assert_eq!(argmax(view), argmax(plain));
        let labels: Vec<i64> = (0..rows)
            .map(|row| {
                let ignored = self.ignored >> (row % 32) & 1 == 1;
                if ignored { -1 } else { i64::try_from(row % classes.max(1)).expect("a small number") }
            })
            .collect();
        let hinge = |rows| Hinge::new().ignore_index(-1).loss_and_gradient(&labels, rows).expect(VALID);
        assert_same("hinge", &hinge(view).1, &hinge(plain).1);
        let entropy = CrossEntropy::new().ignore_index(-1);
        let (loss, gradient) = entropy.loss_and_gradient(&labels, plain).expect(VALID);
        if let Some(results) = results {
            let mut into = vec![UNTOUCHED; results.len];
            let mut losses = vec![UNTOUCHED; rows];
            let to = RowsMut::with_strides(&mut into, results.shape, results.strides).expect(VALID);
            entropy.loss_and_gradient_into(&labels, view, &mut losses, to).expect(VALID);
            assert_same("losses", &losses, &loss.rows);
            assert_same("gradient", &results.gather(into), &gradient);
            let mut into = vec![UNTOUCHED; results.len];
            let to = RowsMut::with_strides(&mut into, results.shape, results.strides).expect(VALID);
            softmax_into(view, to).expect(VALID);
            assert_same("softmax elsewhere", &results.gather(into), &expected);
        }
        if mutable {
            let over = RowsMut::with_strides(&mut data, shape, strides).expect(VALID).with_backend(backend);
            softmax_in_place(over).expect(VALID);
            assert_same("softmax in place", &self.logits.gather(data), &expected);
        }
    }
}

/// A small number as an f32.
fn small(number: usize) -> f32 {
    super::ulp::round(super::ulp::count(number))
}
