//! What can be wrong with a view: lengths, strides, sizes.

use xent::{Error, Rows, RowsMut};

/// The error of a constructor of [`Rows`] and of the same one of [`RowsMut`], which must agree.
fn both(data: &[f32], rows: usize, classes: usize, stride: Option<usize>) -> Option<Error> {
    let mut copy = data.to_vec();
    let (shared, exclusive) = match stride {
        Some(stride) => (
            Rows::with_stride(data, rows, classes, stride).err(),
            RowsMut::with_stride(&mut copy, rows, classes, stride).err(),
        ),
        None => (Rows::new(data, rows, classes).err(), RowsMut::new(&mut copy, rows, classes).err()),
    };
    assert_eq!(shared, exclusive);
    shared
}

#[test]
fn a_buffer_too_short_or_too_long() {
    let expected = |given| Error::DataLength { given, expected: 6, rows: 2, classes: 3, stride: 3 };
    for given in [0, 1, 5, 7, 100] {
        assert_eq!(both(&vec![0.0; given], 2, 3, None), Some(expected(given)));
    }
    assert_eq!(both(&[0.0; 6], 2, 3, None), None);
    assert_eq!(
        expected(5).to_string(),
        "the buffer holds 5 values, but 2 rows of 3 classes at stride 3 need 6"
    );
}

#[test]
fn a_strided_buffer_that_ends_before_its_last_row() {
    // Rows at 0 and 5 need 5 + 3 values; what follows the last row is nobody's business.
    let expected = Error::DataLength { given: 7, expected: 8, rows: 2, classes: 3, stride: 5 };
    assert_eq!(both(&[0.0; 7], 2, 3, Some(5)), Some(expected.clone()));
    assert_eq!(both(&[0.0; 8], 2, 3, Some(5)), None);
    assert_eq!(both(&[0.0; 9], 2, 3, Some(5)), None);
    assert_eq!(expected.to_string(), "the buffer holds 7 values, but 2 rows of 3 classes at stride 5 need 8");
}

#[test]
fn no_classes_is_an_error_where_there_are_rows() {
    for stride in [None, Some(0), Some(7)] {
        assert_eq!(both(&[], 2, 0, stride), Some(Error::NoClasses { rows: 2 }));
        assert_eq!(both(&[], 0, 0, stride), None);
        assert_eq!(both(&[], 0, 5, stride), None);
    }
    assert_eq!(Error::NoClasses { rows: 2 }.to_string(), "2 rows have 0 classes; expected at least 1");
}

#[test]
fn a_buffer_for_no_rows_is_too_long() {
    let expected = Error::DataLength { given: 1, expected: 0, rows: 0, classes: 4, stride: 4 };
    assert_eq!(both(&[0.0], 0, 4, None), Some(expected));
}

#[test]
fn mutable_rows_that_overlap() {
    let mut data = [0.0; 12];
    for stride in 0..4 {
        let expected = Error::StrideTooSmall { stride, classes: 4 };
        assert_eq!(RowsMut::with_stride(&mut data, 3, 4, stride).err(), Some(expected));
        // Shared rows may overlap, and one row has nothing to overlap with.
        assert_eq!(Rows::with_stride(&data, 3, 4, stride).err(), None);
        assert_eq!(RowsMut::with_stride(&mut data, 1, 4, stride).err(), None);
    }
    assert_eq!(RowsMut::with_stride(&mut data, 3, 4, 4).err(), None);
    assert_eq!(
        Error::StrideTooSmall { stride: 3, classes: 4 }.to_string(),
        "a stride of 3 makes mutable rows of 4 classes overlap; expected at least 4"
    );
}

#[test]
fn sizes_that_overflow_usize() {
    const HALF: usize = usize::MAX / 2 + 1;
    // rows * classes; (rows - 1) * stride; the start of the last row plus its classes.
    assert_eq!(both(&[], HALF, 2, None), Some(Error::SizeOverflow { rows: HALF, stride: 2 }));
    assert_eq!(both(&[0.0; 4], 3, 1, Some(HALF)), Some(Error::SizeOverflow { rows: 3, stride: HALF }));
    assert_eq!(
        both(&[0.0; 4], 2, 2, Some(usize::MAX - 1)),
        Some(Error::SizeOverflow { rows: 2, stride: usize::MAX - 1 })
    );
    // One row is never multiplied: it only has to be there.
    let expected =
        Error::DataLength { given: 4, expected: usize::MAX, rows: 1, classes: usize::MAX, stride: 0 };
    assert_eq!(both(&[0.0; 4], 1, usize::MAX, Some(0)), Some(expected));
    assert_eq!(
        Error::SizeOverflow { rows: 3, stride: 9 }.to_string(),
        "3 rows of 9 values overflow the address space"
    );
}

#[test]
fn a_stride_of_zero_overflows_only_with_its_classes() {
    let expected = Error::SizeOverflow { rows: usize::MAX, stride: 2 };
    assert_eq!(Rows::with_stride(&[0.0_f32; 2], usize::MAX, 2, 0).err(), Some(expected));
    assert!(Rows::with_stride(&[0.0_f32; 2], usize::MAX, 1, 0).is_ok());
}

#[test]
fn rows_past_the_end_are_none() {
    let mut data = [1.0, 2.0, 9.0, 3.0, 4.0];
    let rows = Rows::with_stride(&data, 2, 2, 3).unwrap();
    assert_eq!(rows.row(1), Some(&[3.0, 4.0][..]));
    assert_eq!(rows.row(2), None);
    assert_eq!(rows.row(usize::MAX), None);
    let mut rows = RowsMut::with_stride(&mut data, 2, 2, 3).unwrap();
    assert_eq!(rows.row_mut(1), Some(&mut [3.0, 4.0][..]));
    assert_eq!(rows.row_mut(2), None);
    assert_eq!(rows.row_mut(usize::MAX), None);
}
