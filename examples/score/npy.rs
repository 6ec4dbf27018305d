//! `.npy` files: from bytes that nobody vouches for to arrays, without a panic and without an allocation
//! that the bytes do not pay for.

use std::io::Write;

use anyhow::{Context, Result, bail, ensure};
use half::{bf16, f16};
use ndarray_npy::npy::header::{Header, Layout, ParseHeaderError, ReadHeaderError};
use ndarray_npy::{ReadableElement, WritableElement};
use xent::{Error, Labels, Rows};

/// `NumPy` refuses longer ones too.
const LONGEST_HEADER: usize = 10_000;

/// Rows × classes in row-major order.
#[derive(Debug)]
pub(crate) struct Matrix {
    pub(crate) rows: usize,
    pub(crate) classes: usize,
    pub(crate) values: Values,
}

/// Logits of any type that a file may have.
#[derive(Debug)]
pub(crate) enum Values {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
}

impl Matrix {
    pub(crate) fn view(&self) -> Result<Rows<'_>, Error> {
        match &self.values {
            Values::F32(values) => Rows::new(values, self.rows, self.classes),
            Values::F16(values) => Rows::new(values, self.rows, self.classes),
            Values::Bf16(values) => Rows::new(values, self.rows, self.classes),
        }
    }

    /// Bytes of a value.
    pub(crate) const fn width(&self) -> usize {
        match self.values {
            Values::F32(_) => 4,
            Values::F16(_) | Values::Bf16(_) => 2,
        }
    }
}

/// Integers of any type, widened.
#[derive(Debug)]
pub(crate) enum Integers {
    Signed(Vec<i64>),
    Unsigned(Vec<u64>),
}

impl Integers {
    pub(crate) fn as_labels(&self) -> Labels<'_> {
        match self {
            Self::Signed(values) => values.into(),
            Self::Unsigned(values) => values.into(),
        }
    }
}

/// Reads a two-dimensional array of f32 or f16.
pub(crate) fn read_matrix(bytes: &[u8]) -> Result<Matrix> {
    let file = File::parse(bytes)?;
    let is_half = file.element() == "f2";
    ensure!(is_half || file.element() == "f4", "dtype {:?}; expected float32 or float16 logits", file.dtype);
    let &[rows, classes] = file.shape() else {
        bail!("a {}-dimensional array; expected the logits as rows x classes", file.shape().len());
    };
    // A single row or column is the same in both orders.
    ensure!(
        file.header.layout == Layout::Standard || rows.min(classes) <= 1,
        "the array is in Fortran order; expected C order, which numpy.ascontiguousarray gives"
    );
    let values = if is_half { Values::F16(file.halves()?) } else { Values::F32(file.values()?) };
    Ok(Matrix { rows, classes, values })
}

/// Reads a one-dimensional array of integers.
pub(crate) fn read_integers(bytes: &[u8]) -> Result<Integers> {
    let file = File::parse(bytes)?;
    let dimensions = file.shape().len();
    ensure!(dimensions == 1, "a {dimensions}-dimensional array; expected one integer label per row");
    Ok(match file.element() {
        "i1" => Integers::Signed(file.widened::<i8, _>()?),
        "i2" => Integers::Signed(file.widened::<i16, _>()?),
        "i4" => Integers::Signed(file.widened::<i32, _>()?),
        "i8" => Integers::Signed(file.values()?),
        "u1" => Integers::Unsigned(file.widened::<u8, _>()?),
        "u2" => Integers::Unsigned(file.widened::<u16, _>()?),
        "u4" => Integers::Unsigned(file.widened::<u32, _>()?),
        "u8" => Integers::Unsigned(file.values()?),
        _ => bail!("dtype {:?}; expected integer labels", file.dtype),
    })
}

/// Writes a one-dimensional array of f32.
pub(crate) fn write(values: &[f32], out: &mut impl Write) -> Result<()> {
    let shape = vec![values.len()];
    let header = Header { type_descriptor: f32::type_descriptor(), layout: Layout::Standard, shape };
    header.write(&mut *out)?;
    f32::write_slice(values, out)?;
    Ok(())
}

/// A file whose header has been read.
struct File<'a> {
    header: Header,
    /// Such as `<f4`: byte order, kind, and bytes per value.
    dtype: String,
    data: &'a [u8],
}

impl<'a> File<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self> {
        expect_plain_header(bytes)?;
        let mut data = bytes;
        let header = Header::from_reader(&mut data).map_err(in_one_line)?;
        let dtype = header.type_descriptor.as_string().context("the dtype in its header is no string")?;
        Ok(Self { dtype: dtype.clone(), header, data })
    }

    fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// The dtype without its byte order, which the reader of the values looks after.
    fn element(&self) -> &str {
        self.dtype.trim_start_matches(['<', '>', '|'])
    }

    /// The values, once there are exactly as many as the shape says.
    fn values<E: ReadableElement>(&self) -> Result<Vec<E>> {
        let len = self.len_of(size_of::<E>())?;
        Ok(E::read_to_end_exact_vec(self.data, &self.header.type_descriptor, len)?)
    }

    /// The same of f16, which the reader of values does not know.
    fn halves(&self) -> Result<Vec<f16>> {
        self.len_of(size_of::<f16>())?;
        ensure!(self.dtype.starts_with(['<', '>']), "dtype {:?}; expected one with a byte order", self.dtype);
        let bytes = self.data.as_chunks().0.iter();
        Ok(if self.dtype.starts_with('>') {
            bytes.map(|bytes| f16::from_be_bytes(*bytes)).collect()
        } else {
            bytes.map(|bytes| f16::from_le_bytes(*bytes)).collect()
        })
    }

    /// How many values of so many bytes there are, if they are as many as the shape says.
    fn len_of(&self, width: usize) -> Result<usize> {
        let len = self.shape().iter().try_fold(1_usize, |len, &size| len.checked_mul(size));
        let bytes = len.and_then(|len| len.checked_mul(width));
        let (Some(len), Some(bytes)) = (len, bytes) else {
            bail!("its shape overflows the address space");
        };
        let given = self.data.len();
        ensure!(given == bytes, "{given} bytes of data; its shape needs {bytes}");
        Ok(len)
    }

    fn widened<E: ReadableElement, W: From<E>>(&self) -> Result<Vec<W>> {
        Ok(self.values::<E>()?.into_iter().map(W::from).collect())
    }
}

/// Refuses what would make the parser of headers allocate, or descend, as deep as the file pleases: a header
/// longer than the file, and more brackets than the dictionary and the shape of a plain array have.
fn expect_plain_header(bytes: &[u8]) -> Result<()> {
    let rest = bytes.strip_prefix(b"\x93NUMPY").context("not a .npy file")?;
    // The version, whose first byte decides how wide the header's length is; the length; the header.
    let width = if rest.first() == Some(&1) { 2 } else { 4 };
    let header = rest.get(2..).and_then(|rest| rest.split_at_checked(width)).and_then(|(len, rest)| {
        let len = len.iter().rev().fold(0, |len, &byte| len << 8 | usize::from(byte));
        rest.get(..len)
    });
    let header = header.context("the file ends within its header")?;
    let brackets = header.iter().filter(|byte| b"{[(".contains(byte)).count();
    ensure!(header.len() <= LONGEST_HEADER && brackets <= 2, "its header is not that of a plain array");
    Ok(())
}

/// The error without the drawing of the place in the header, which takes several lines.
fn in_one_line(error: ReadHeaderError) -> anyhow::Error {
    let error = anyhow::Error::new(error);
    match error.downcast_ref() {
        Some(ReadHeaderError::Parse(ParseHeaderError::DictParse(_))) => {
            anyhow::anyhow!("its header is no Python dictionary")
        }
        _ => error,
    }
}
