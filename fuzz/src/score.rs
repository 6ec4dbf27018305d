//! The files that the example `score` is given: any bytes give an array or an error, and a correct file gives what
//! is in it.

use arbitrary::Arbitrary;
use half::f16;

use super::npy::{self, write, write_header};
use super::npy_bytes::{npy, with_header};
use super::values::Values;

/// A file.
#[derive(Arbitrary, Debug)]
pub enum ScoreInput {
    Bytes(Vec<u8>),
    /// The beginning of a file as it should be, and anything behind it.
    Header {
        version: u8,
        header: String,
        data: Vec<u8>,
    },
    Array(Array),
}

/// A file with a header as it should be.
#[derive(Arbitrary, Debug)]
pub struct Array {
    order: Order,
    kind: Kind,
    fortran: bool,
    shape: Shape,
    data: Vec<u8>,
    /// Bytes too many, or, where negative, too few.
    surplus: i8,
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
enum Order {
    Little,
    Big,
    /// For single bytes.
    None,
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
enum Kind {
    Float(u8),
    Signed(u8),
    Unsigned(u8),
}

#[derive(Arbitrary, Clone, Debug)]
enum Shape {
    Scalar,
    Row(u8),
    Matrix(u8, u8),
    /// Of which products overflow.
    Huge(u64, u64),
    Cube(u8, u8, u8),
}

impl ScoreInput {
    /// Checks what becomes of the file, as logits and as labels.
    ///
    /// # Panics
    ///
    /// Where something does not hold.
    pub fn check(&self) {
        let bytes = match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Header { version, header, data } => with_header(*version, header, data),
            Self::Array(array) => array.bytes(),
        };
        let (matrix, integers) = (logits(&bytes, usize::MAX), integers(&bytes, usize::MAX));
        if let Ok((rows, classes, values)) = &matrix {
            // No more than the file pays for, and the same in pieces.
            assert_eq!(rows.checked_mul(*classes), Some(values.len()));
            assert!(2 * values.len() <= bytes.len());
            assert_eq!(logits(&bytes, 1).expect("the same file").2, *values);
            // What is written is what was read.
            let values: Vec<f32> = values.iter().copied().map(f32::from_bits).collect();
            let mut file = Vec::new();
            write_header(values.len(), &mut file).expect("memory");
            write(&values, &mut file).expect("memory");
            let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            assert!(file.ends_with(&data) && file.starts_with(b"\x93NUMPY"));
        }
        if let Ok(all) = &integers {
            assert!(all.len() <= bytes.len());
            assert_eq!(self::integers(&bytes, 1).expect("the same file"), *all);
        }
        for error in [matrix.as_ref().err(), integers.as_ref().err()].into_iter().flatten() {
            let line = format!("{error:#}");
            assert!(!line.is_empty() && !line.contains('\n'), "{line:?}");
        }
        if let Self::Array(array) = self {
            assert_eq!(matrix.ok(), array.matrix());
            assert_eq!(integers.ok(), array.integers());
        }
    }
}

/// Reads logits, so many rows at once: rows, classes, and the bits of all values as f32.
fn logits(bytes: &[u8], rows_at_once: usize) -> anyhow::Result<(usize, usize, Vec<u32>)> {
    let mut matrix = npy::matrix(bytes, bytes.len() as u64)?;
    let mut bits = Vec::new();
    for first in (0..matrix.rows).step_by(rows_at_once) {
        let rows = matrix.read(rows_at_once.min(matrix.rows - first))?.rows();
        assert_eq!(rows, rows_at_once.min(matrix.rows - first));
        match &matrix.values {
            Values::F32(values) => bits.extend(values.iter().map(|value| value.to_bits())),
            Values::F16(values) => bits.extend(values.iter().map(|value| value.to_f32().to_bits())),
            Values::Bf16(values) => bits.extend(values.iter().map(|value| value.to_f32().to_bits())),
        }
    }
    assert!(matrix.data.is_empty(), "read to its end");
    Ok((matrix.rows, matrix.classes, bits))
}

/// Reads labels, so many at once.
fn integers(bytes: &[u8], at_once: usize) -> anyhow::Result<Vec<i128>> {
    let mut integers = npy::integers(bytes, bytes.len() as u64)?;
    let mut all = Vec::new();
    for first in (0..integers.len).step_by(at_once) {
        let labels = integers.read(at_once.min(integers.len - first))?;
        all.extend((0..labels.len()).filter_map(|row| labels.get(row)));
    }
    Ok(all)
}

impl Array {
    fn width(&self) -> u8 {
        1 << match self.kind {
            // Of those that NumPy has; the widest are no f4.
            Kind::Float(width) => 1 + width % 4,
            Kind::Signed(width) | Kind::Unsigned(width) => width % 4,
        }
    }

    fn descr(&self) -> String {
        let order = match self.order {
            Order::Little => '<',
            Order::Big => '>',
            Order::None => '|',
        };
        let kind = match self.kind {
            Kind::Float(_) => 'f',
            Kind::Signed(_) => 'i',
            Kind::Unsigned(_) => 'u',
        };
        format!("'{order}{kind}{}'", self.width())
    }

    fn sizes(&self) -> Vec<u64> {
        match self.shape {
            Shape::Scalar => vec![],
            Shape::Row(a) => vec![(a % 20).into()],
            Shape::Matrix(a, b) => vec![(a % 6).into(), (b % 6).into()],
            Shape::Huge(a, b) => vec![a, b],
            Shape::Cube(a, b, c) => [a, b, c].map(|size| (size % 3).into()).to_vec(),
        }
    }

    /// The bytes that the shape needs.
    fn needed(&self) -> Option<usize> {
        // Of no values there are none, whatever the other sizes.
        let values = self.sizes().iter().try_fold(1_u64, |values, &size| values.checked_mul(size));
        let bytes = values.and_then(|values| values.checked_mul(self.width().into()));
        bytes.and_then(|bytes| usize::try_from(bytes).ok())
    }

    /// As many as are needed, where that are few, and a few more or less.
    fn data(&self) -> Vec<u8> {
        let len = self.needed().filter(|&bytes| bytes <= 4096).unwrap_or(self.data.len());
        let filler = self.data.iter().chain(std::iter::repeat(&0x3f)).copied();
        filler.take(len.saturating_add_signed(self.surplus.into())).collect()
    }

    fn bytes(&self) -> Vec<u8> {
        let sizes: Vec<_> = self.sizes().iter().map(u64::to_string).collect();
        // A tuple of one has a comma.
        let comma = if sizes.len() == 1 { "," } else { "" };
        npy(&self.descr(), self.fortran, &format!("({}{comma})", sizes.join(", ")), &self.data())
    }

    /// The data, value by value and in little endian, where the file is as it should be.
    fn values<const N: usize>(&self) -> Option<Vec<[u8; N]>> {
        let data = self.data();
        // A single byte has no order, and nothing else has none.
        let good = Some(data.len()) == self.needed() && (self.order == Order::None) == (N == 1);
        let value = |bytes: &[u8]| {
            let mut bytes = <[u8; N]>::try_from(bytes).expect("a chunk");
            if self.order == Order::Big {
                bytes.reverse();
            }
            bytes
        };
        good.then(|| data.chunks(N).map(value).collect())
    }

    /// The logits that it holds, if it is a matrix of them.
    fn matrix(&self) -> Option<(usize, usize, Vec<u32>)> {
        let [rows, classes] = self.sizes()[..] else { return None };
        let float = matches!(self.kind, Kind::Float(_)) && matches!(self.width(), 2 | 4);
        if !float || (self.fortran && rows.min(classes) > 1) || (rows > 0 && classes == 0) {
            return None;
        }
        let values = if self.width() == 4 {
            self.values()?.into_iter().map(u32::from_le_bytes).collect()
        } else {
            self.values()?.into_iter().map(|bytes| f16::from_le_bytes(bytes).to_f32().to_bits()).collect()
        };
        Some((usize::try_from(rows).ok()?, usize::try_from(classes).ok()?, values))
    }

    /// The labels that it holds, if it is a row of them.
    fn integers(&self) -> Option<Vec<i128>> {
        if self.sizes().len() != 1 {
            return None;
        }
        macro_rules! as_type {
            ($type:ty) => {
                self.values()?.into_iter().map(|bytes| <$type>::from_le_bytes(bytes).into()).collect()
            };
        }
        Some(match (self.kind, self.width()) {
            (Kind::Signed(_), 1) => as_type!(i8),
            (Kind::Signed(_), 2) => as_type!(i16),
            (Kind::Signed(_), 4) => as_type!(i32),
            (Kind::Signed(_), _) => as_type!(i64),
            (Kind::Unsigned(_), 1) => as_type!(u8),
            (Kind::Unsigned(_), 2) => as_type!(u16),
            (Kind::Unsigned(_), 4) => as_type!(u32),
            (Kind::Unsigned(_), _) => as_type!(u64),
            (Kind::Float(_), _) => return None,
        })
    }
}
