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

/// The same shape and strides for both kinds of view.
fn both_of_axes(data: &[f32], shape: [usize; 3], strides: [usize; 3]) -> Option<Error> {
    let shared = Rows::with_strides(data, shape, strides).err();
    let mut data = data.to_vec();
    let mutable = RowsMut::with_strides(&mut data, shape, strides).err();
    assert_eq!(shared, mutable);
    shared
}

#[test]
fn a_buffer_that_ends_before_the_last_value_of_its_axes() {
    let data = [0.0; 24];
    let (shape, strides) = ([2, 3, 4], [12, 4, 1]);
    assert_eq!(both_of_axes(&data, shape, strides), None);
    let error = Error::AxesLength { given: 23, expected: 24, shape, strides };
    assert_eq!(both_of_axes(&data[..23], shape, strides), Some(error.clone()));
    assert_eq!(
        error.to_string(),
        "the buffer holds 23 values, but a shape of [2, 3, 4] at strides [12, 4, 1] needs 24"
    );
    // What follows the last value is left alone, but not by a view of all of the data.
    assert_eq!(both_of_axes(&data, [2, 3, 3], strides), None);
    let error = Error::AxesLength { given: 24, expected: 18, shape: [2, 3, 3], strides: [9, 3, 1] };
    assert_eq!(Rows::along_axis(&data, &[2, 3, 3], 1).err(), Some(error.clone()));
    assert_eq!(RowsMut::along_axis(&mut data.clone(), &[2, 3, 3], 1).err(), Some(error));
}

#[test]
fn an_axis_that_an_array_does_not_have() {
    let error = Error::AxisOutOfRange { axis: 2, axes: 2 };
    assert_eq!(Rows::along_axis(&[0.0; 4], &[2, 2], 2).err(), Some(error.clone()));
    assert_eq!(error.to_string(), "axis 2 of an array of 2; expected an axis below that");
    assert_eq!(Rows::along_axis(&[0.0], &[], 0).err(), Some(Error::AxisOutOfRange { axis: 0, axes: 0 }));
}

#[test]
fn axes_without_values() {
    assert_eq!(both_of_axes(&[], [2, 0, 3], [0; 3]), Some(Error::NoClasses { rows: 6 }));
    for shape in [[0, 3, 4], [2, 3, 0], [0, 0, 4], [usize::MAX, 3, 0], [0, usize::MAX, usize::MAX]] {
        assert_eq!(both_of_axes(&[], shape, [usize::MAX; 3]), None, "{shape:?}");
        assert_eq!(Rows::along_axis(&[] as &[f32], &shape, 1).map(|rows| rows.rows()), Ok(0), "{shape:?}");
    }
}

#[test]
fn axes_that_overflow_usize() {
    let most = usize::MAX;
    for (shape, strides) in [
        ([most, 2, 2], [1, 1, 1]),
        ([2, most, 2], [0, 0, 0]),
        ([2, 2, 2], [most, 1, 1]),
        ([3, 2, 2], [1, most / 2, most / 2]),
        ([2, 2, 2], [1, most, 1]),
        ([1 << 33, 1, 1 << 33], [0, 0, 0]),
    ] {
        let error = both_of_axes(&[0.0; 8], shape, strides);
        assert_eq!(error, Some(Error::AxesOverflow { shape, strides }));
        assert!(error.is_some_and(|error| error.to_string().contains("overflows the address space")));
    }
    // One value along an axis takes no step along it.
    assert_eq!(both_of_axes(&[0.0; 8], [1, 8, 1], [most, 1, most]), None);
}

#[test]
fn mutable_values_that_share_a_place() {
    let mut data = [0.0; 64];
    for (shape, strides) in [
        ([2, 3, 4], [12, 3, 1]),
        ([2, 3, 4], [0, 4, 1]),
        ([2, 3, 4], [11, 4, 1]),
        ([2, 3, 1], [2, 1, 0]),
        ([1, 2, 2], [0, 1, 1]),
    ] {
        assert!(Rows::with_strides(&data, shape, strides).is_ok());
        let error = RowsMut::with_strides(&mut data, shape, strides).expect_err("an overlap");
        assert_eq!(error, Error::AxesOverlap { shape, strides });
        assert!(error.to_string().contains(&format!("{strides:?} overlap")), "{error}");
    }
}

#[test]
fn rows_of_classes_apart_are_no_slices() {
    let mut data = [1.0, 2.0, 3.0, 4.0];
    let rows = Rows::along_axis(&data, &[2, 2], 0).expect("columns");
    assert_eq!((rows.row(0), rows.get(0, 1), rows.get(1, 0)), (None, Some(3.0), Some(2.0)));
    assert_eq!((rows.get(2, 0), rows.get(0, 2), rows.class_stride(), rows.stride()), (None, None, 2, 1));
    let mut rows = RowsMut::along_axis(&mut data, &[2, 2], 0).expect("columns");
    assert_eq!(rows.class_stride(), 2);
    assert_eq!(rows.row_mut(0), None);
}
