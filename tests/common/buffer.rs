//! Values that a call reads or writes: f32, or numbers of 16 bits in their place.

use std::ops::{Deref, DerefMut};

use half::{bf16, f16};
use xent::{Error, Rows, RowsMut};

/// Values, and, where a call sees others, these.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    values: Vec<f32>,
    halves: Option<Halves>,
}

#[derive(Clone, Debug, PartialEq)]
enum Halves {
    Bf16(Vec<bf16>),
    F16(Vec<f16>),
}

/// A type of 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    Bf16,
    F16,
}

impl Half {
    pub const ALL: [Self; 2] = [Self::Bf16, Self::F16];

    /// The nearest number of the type.
    pub fn round(self, value: f32) -> f32 {
        match self {
            Self::Bf16 => bf16::from_f32(value).to_f32(),
            Self::F16 => f16::from_f32(value).to_f32(),
        }
    }
}

/// What is made of the values that a call sees.
macro_rules! of_values {
    ($buffer:expr, |$data:ident| $view:expr) => {{
        let Buffer { values, halves } = $buffer;
        match halves {
            None => {
                let $data = values;
                $view
            }
            Some(Halves::Bf16($data)) => $view,
            Some(Halves::F16($data)) => $view,
        }
    }};
}

impl Buffer {
    /// The same numbers, which are some of the type's, in 16 bits.
    #[must_use]
    pub fn narrowed(&self, half: Half) -> Self {
        let values = self.values.iter();
        let halves = match half {
            Half::Bf16 => Halves::Bf16(values.map(|x| bf16::from_f32(*x)).collect()),
            Half::F16 => Halves::F16(values.map(|x| f16::from_f32(*x)).collect()),
        };
        Self { values: self.values.clone(), halves: Some(halves) }
    }

    /// What a call sees, or has written, as f32.
    pub fn seen(&self) -> Vec<f32> {
        match &self.halves {
            None => self.values.clone(),
            Some(Halves::Bf16(values)) => values.iter().map(|x| x.to_f32()).collect(),
            Some(Halves::F16(values)) => values.iter().map(|x| x.to_f32()).collect(),
        }
    }

    pub fn rows(&self, rows: usize, classes: usize) -> Result<Rows<'_>, Error> {
        of_values!(self, |data| Rows::new(data, rows, classes))
    }

    /// One class of all rows after the other.
    pub fn columns(&self, rows: usize, classes: usize) -> Result<Rows<'_>, Error> {
        of_values!(self, |data| Rows::along_axis(data, &[classes, rows], 0))
    }

    pub fn rows_mut(&mut self, rows: usize, classes: usize) -> Result<RowsMut<'_>, Error> {
        of_values!(self, |data| RowsMut::new(data, rows, classes))
    }

    pub fn columns_mut(&mut self, rows: usize, classes: usize) -> Result<RowsMut<'_>, Error> {
        of_values!(self, |data| RowsMut::along_axis(data, &[classes, rows], 0))
    }
}

impl From<Vec<f32>> for Buffer {
    fn from(values: Vec<f32>) -> Self {
        Self { values, halves: None }
    }
}

impl FromIterator<f32> for Buffer {
    fn from_iter<I: IntoIterator<Item = f32>>(values: I) -> Self {
        Vec::from_iter(values).into()
    }
}

impl Deref for Buffer {
    type Target = Vec<f32>;

    fn deref(&self) -> &Vec<f32> {
        &self.values
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<f32> {
        &mut self.values
    }
}
