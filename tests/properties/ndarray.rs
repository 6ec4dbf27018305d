//! Views of `ndarray` arrays: any layout with the classes along any axis, and errors for the others.

use crate::common::assert_same_bits;
use fastrand::Rng;
use ndarray::{Array2, Array4, ArrayD, ArrayView, ArrayViewD, Axis, Dimension, Ix2, IxDyn, s};
use xent::{CrossEntropy, Error, Labels, Rows, RowsMut, log_sum_exp, softmax_in_place, softmax_into};

fn random(shape: &[usize], seed: u64) -> ArrayD<f32> {
    let mut rng = Rng::with_seed(seed);
    ArrayD::from_shape_simple_fn(shape, || rng.f32() * 8.0 - 4.0)
}

/// The rows of an array after each other, value by value.
fn rows_of<D: Dimension>(array: &ArrayView<'_, f32, D>, axis: Axis) -> (usize, usize, Vec<f32>) {
    let lanes = array.lanes(axis);
    let values = lanes.into_iter().flat_map(|lane| lane.to_vec()).collect();
    let classes = array.len_of(axis);
    (array.len() / classes, classes, values)
}

fn expect_same(array: &ArrayViewD<'_, f32>, axis: Axis) {
    let (rows, classes, values) = rows_of(array, axis);
    let copied = Rows::new(&values, rows, classes).unwrap();
    let view = Rows::from_ndarray(array.clone(), axis).unwrap();
    assert_eq!((view.rows(), view.classes()), (rows, classes));
    let context = format!("{:?} at {:?}, {axis:?}", array.shape(), array.strides());
    assert_same_bits(&context, &log_sum_exp(view).unwrap(), &log_sum_exp(copied).unwrap());
    let labels: Vec<u64> = (0..rows as u64).map(|row| row % classes as u64).collect();
    let of = |rows| CrossEntropy::new().loss_and_gradient(&labels, rows).unwrap();
    let ((loss, gradient), (expected, expected_gradient)) = (of(view), of(copied));
    assert_same_bits(&context, &loss.rows, &expected.rows);
    assert_same_bits(&context, &gradient, &expected_gradient);
}

#[test]
fn every_axis_of_an_array_can_be_that_of_the_classes() {
    for shape in [&[7][..], &[5, 9], &[4, 6, 5], &[3, 20, 4, 5], &[2, 1, 30, 1, 3], &[2, 130, 33]] {
        let array = random(shape, 1);
        for axis in 0..shape.len() {
            expect_same(&array.view(), Axis(axis));
        }
    }
}

#[test]
fn arrays_that_are_turned_cut_and_thinned_out_are_viewed_where_they_lie() {
    let array = random(&[6, 21, 40], 2);
    let views = [
        array.slice(s![.., .., ..]).into_dyn(),
        array.slice(s![1.., 2..20, 3..]).into_dyn(),
        array.slice(s![..;2, ..;3, ..]).into_dyn(),
        array.slice(s![2, .., ..;3]).into_dyn(),
        array.slice(s![..;5, 4.., ..;7]).into_dyn(),
    ];
    for view in views {
        let mut axes: Vec<usize> = (0..view.ndim()).collect();
        for _ in 0..axes.len() {
            axes.rotate_left(1);
            let turned = view.clone().permuted_axes(IxDyn(&axes));
            for axis in 0..axes.len() {
                expect_same(&turned, Axis(axis));
            }
        }
    }
    // One row for all.
    let row = random(&[1, 9], 3);
    expect_same(&row.broadcast(IxDyn(&[50, 9])).unwrap(), Axis(1));
    expect_same(&row.broadcast(IxDyn(&[50, 9])).unwrap(), Axis(0));
}

#[test]
fn results_go_to_arrays_of_any_layout_and_nothing_around_them_is_written() {
    let logits = random(&[3, 7, 20], 4);
    let mut larger = ArrayD::from_elem(IxDyn(&[3, 9, 44]), 9.0);
    let into = larger.slice_mut(s![.., 1..8, 2..42;2]);
    softmax_into(
        Rows::from_ndarray(logits.view(), Axis(1)).unwrap(),
        RowsMut::from_ndarray(into, Axis(1)).unwrap(),
    )
    .unwrap();
    let written = larger.slice(s![.., 1..8, 2..42;2]).to_owned().into_dyn();
    let mut over = logits.clone();
    softmax_in_place(RowsMut::from_ndarray(over.view_mut(), Axis(1)).unwrap()).unwrap();
    assert_eq!(written, over);
    for sum in written.sum_axis(Axis(1)) {
        assert!((sum - 1.0).abs() < 1e-6);
    }
    let untouched = larger.iter().filter(|x| x.to_bits() == 9.0_f32.to_bits()).count();
    assert_eq!(untouched, 3 * 9 * 44 - 3 * 7 * 20);
}

#[test]
fn views_become_arrays_again() {
    let array = random(&[4, 3, 5], 5);
    let view = Rows::from_ndarray(array.view(), Axis(1)).unwrap();
    assert_eq!(view.to_ndarray::<f32>().unwrap().into_dyn(), array.view());
    let mut copy = array.clone();
    let mut back = RowsMut::from_ndarray(copy.view_mut(), Axis(1)).unwrap().into_ndarray().unwrap();
    back[[1, 2, 3]] = 7.0;
    assert_eq!(copy[[1, 2, 3]].to_bits(), 7.0_f32.to_bits());
    // Rows that lie at one stride are one axis.
    let rows = Rows::new(array.as_slice().unwrap(), 12, 5).unwrap().to_ndarray::<f32>().unwrap();
    assert_eq!((rows.shape(), rows.strides()), (&[12, 5, 1][..], &[5, 1, 1][..]));
}

#[test]
fn what_cannot_be_viewed_is_an_error() {
    let array = Array4::<f32>::zeros((2, 3, 4, 5));
    let axis = Error::AxisOutOfRange { axis: 4, axes: 4 };
    assert_eq!(Rows::from_ndarray(array.view(), Axis(4)).unwrap_err(), axis);
    // Beside the classes three axes that lie evenly with no other.
    let cut = array.slice(s![.., .., ..3, ..4]);
    let error = Error::AxesNotViewable { shape: vec![2, 3, 3, 4], strides: vec![60, 20, 5, 1], axis: 1 };
    assert_eq!(Rows::from_ndarray(cut, Axis(1)).unwrap_err(), error);
    let backwards = Array2::<f32>::zeros((3, 4));
    let backwards = backwards.slice(s![..;-1, ..]);
    let error = Rows::from_ndarray(backwards, Axis(1)).unwrap_err();
    assert!(matches!(&error, Error::AxesNotViewable { strides, .. } if strides[..] == [-4, 1]));
    assert!(error.to_string().contains("[-4, 1]"), "{error}");
    let mut none = Array2::<f32>::zeros((3, 0));
    assert_eq!(Rows::from_ndarray(none.view(), Axis(1)).unwrap_err(), Error::NoClasses { rows: 3 });
    assert_eq!(RowsMut::from_ndarray(none.view_mut(), Axis(0)).unwrap().rows(), 0);
}

#[test]
fn arrays_without_values_have_no_rows() {
    let empty = ArrayView::<f32, Ix2>::from_shape((0, 3), &[]).unwrap();
    let view = Rows::from_ndarray(empty, Axis(1)).unwrap();
    assert_eq!((view.rows(), view.classes()), (0, 3));
    assert_eq!(log_sum_exp(view).unwrap(), [0.0; 0]);
}

#[test]
fn labels_are_any_array_of_one_axis() {
    let table = Array2::from_shape_fn((20, 3), |(row, column)| (row + 5 * column) % 4);
    let logits = random(&[20, 4], 9);
    let logits = Rows::from_ndarray(logits.view(), Axis(1)).unwrap();
    let views = [table.column(1), table.column(2).slice_move(s![..;-1]), table.column(0)];
    for labels in views {
        let copied = labels.to_vec();
        let (got, want) =
            (CrossEntropy::new().loss(labels, logits), CrossEntropy::new().loss(&copied, logits));
        assert_eq!(got.unwrap(), want.unwrap());
    }
    let whole = ndarray::arr1(&[0_u8, 1, 5, 1]);
    let rows = Rows::new(&[0.0; 16], 4, 4).unwrap();
    let error = CrossEntropy::new().loss(whole.view(), rows).err();
    assert_eq!(error, Some(Error::LabelOutOfRange { row: 2, label: 5, classes: 4 }));
    let every_second = CrossEntropy::new().loss(whole.slice(s![..;2]), Rows::new(&[0.0; 12], 2, 6).unwrap());
    assert_eq!(every_second.unwrap().rows.len(), 2);
    assert!(Labels::from(whole.slice(s![..0])).is_empty());
}
