//! Tensors with their classes on any axes, as rows.

use super::case::Case;

/// Where the rows and the classes of a case are in its tensors.
pub(crate) struct Layout {
    pub(crate) rows: usize,
    pub(crate) classes: usize,
    /// The position of each class of each row.
    positions: Vec<usize>,
}

/// The offsets of all places that some axes have, given the lengths and the strides of these.
fn offsets(axes: &[(usize, usize)]) -> Vec<usize> {
    axes.iter().fold(vec![0], |offsets, &(length, stride)| {
        offsets.iter().flat_map(|offset| (0..length).map(move |i| offset + i * stride)).collect()
    })
}

impl Layout {
    pub(crate) fn of(case: &Case) -> Self {
        let shape = &case.tensor("input").expect("every case has an input").shape;
        let stride = |axis: usize| shape[axis + 1..].iter().product();
        let of_classes = case.axes();
        let axes = |wanted: bool| {
            let axes = (0..shape.len()).filter(|axis| of_classes.contains(axis) == wanted);
            offsets(&axes.map(|axis| (shape[axis], stride(axis))).collect::<Vec<_>>())
        };
        let (rows, classes) = (axes(false), axes(true));
        let positions = rows.iter().flat_map(|row| classes.iter().map(move |class| row + class)).collect();
        Self { rows: rows.len(), classes: classes.len(), positions }
    }

    /// A tensor's values, rows after each other.
    pub(crate) fn rows_of<T: Copy>(&self, values: &[T]) -> Vec<T> {
        self.positions.iter().map(|&position| values[position]).collect()
    }

    /// The reverse.
    pub(crate) fn tensor_of(&self, rows: &[f32]) -> Vec<f32> {
        let mut values = vec![0.0; rows.len()];
        for (&position, &x) in self.positions.iter().zip(rows) {
            values[position] = x;
        }
        values
    }
}
