//! Tensors with their classes on any axes, as rows.

use xent::{Backend, Error, Rows};

use super::case::Case;

/// Where the rows and the classes of a case are in its tensors.
pub(crate) struct Layout {
    pub(crate) rows: usize,
    pub(crate) classes: usize,
    /// The position of each class of each row.
    positions: Vec<usize>,
    /// Outer, classes and inner, unless other axes lie between those of the classes: no view has these.
    axes: Option<[usize; 3]>,
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
        let axes = match of_classes[..] {
            [first, .., last] | [first @ last] if last - first + 1 == of_classes.len() => {
                Some([shape[..first].iter().product(), classes.len(), shape[last + 1..].iter().product()])
            }
            _ => None,
        };
        Self { rows: rows.len(), classes: classes.len(), positions, axes }
    }

    /// A tensor's values as they are viewed: in their own order wherever that can be.
    pub(crate) fn arranged(&self, values: Vec<f32>) -> Vec<f32> {
        if self.axes.is_some() { values } else { self.rows_of(&values) }
    }

    /// The view of what [`arranged`](Self::arranged) gives.
    pub(crate) fn view<'a>(&self, values: &'a [f32], backend: Backend) -> Result<Rows<'a>, Error> {
        let rows = match &self.axes {
            Some(axes) => Rows::along_axis(values, axes, 1),
            None => Rows::new(values, self.rows, self.classes),
        };
        Ok(rows?.with_backend(backend))
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
