//! `.npy` files: from bytes that nobody vouches for to arrays, without a panic and without an allocation
//! that the bytes do not pay for.

use std::io::{Read, Write};

use anyhow::{Context, Result, bail, ensure};
use ndarray_npy::npy::header::{Header, Layout, ParseHeaderError, ReadHeaderError};
use ndarray_npy::{WritableElement, WriteDataError};

use super::values::{Integers, Matrix, Values, Widened, expect_classes};

/// `NumPy` refuses longer ones too.
const LONGEST_HEADER: usize = 10_000;

/// The logits of a file with so many bytes: a two-dimensional array of f32 or f16.
pub(crate) fn matrix<R: Read>(data: R, len: u64) -> Result<Matrix<R>> {
    let file = File::open(data, len)?;
    let (values, width) = match file.element() {
        "f4" => (Values::F32(Vec::new()), 4),
        "f2" => (Values::F16(Vec::new()), 2),
        _ => bail!("dtype {:?}; expected float32 or float16 logits", file.dtype),
    };
    let &[rows, classes] = file.shape() else {
        bail!("a {}-dimensional array; expected the logits as rows x classes", file.shape().len());
    };
    // A single row or column is the same in both orders.
    ensure!(
        file.header.layout == Layout::Standard || rows.min(classes) <= 1,
        "the array is in Fortran order; expected C order, which numpy.ascontiguousarray gives"
    );
    file.expect_len(width)?;
    expect_classes(rows, classes)?;
    Ok(Matrix { rows, classes, values, is_big_endian: file.is_big_endian(width)?, data: file.data })
}

/// The integers of a file with so many bytes: a one-dimensional array of them.
pub(crate) fn integers<R: Read>(data: R, len: u64) -> Result<Integers<R>> {
    let file = File::open(data, len)?;
    let &[count] = file.shape() else {
        bail!("a {}-dimensional array; expected one integer label per row", file.shape().len());
    };
    let (kind, width) = file.element().split_at_checked(1).unwrap_or_default();
    let values = match kind {
        "i" => Widened::Signed(Vec::new()),
        "u" => Widened::Unsigned(Vec::new()),
        _ => bail!("dtype {:?}; expected integer labels", file.dtype),
    };
    let width = match width {
        "1" => 1,
        "2" => 2,
        "4" => 4,
        "8" => 8,
        _ => bail!("dtype {:?}; expected integer labels", file.dtype),
    };
    file.expect_len(width)?;
    Ok(Integers { len: count, width, values, is_big_endian: file.is_big_endian(width)?, data: file.data })
}

/// Writes the header of a one-dimensional array of so many f32.
pub(crate) fn write_header(len: usize, out: &mut impl Write) -> Result<()> {
    let shape = vec![len];
    let header = Header { type_descriptor: f32::type_descriptor(), layout: Layout::Standard, shape };
    Ok(header.write(out)?)
}

/// Writes some of its values.
pub(crate) fn write(values: &[f32], out: &mut impl Write) -> Result<(), WriteDataError> {
    f32::write_slice(values, out)
}

/// A file whose header has been read.
struct File<R> {
    header: Header,
    /// Such as `<f4`: byte order, kind, and bytes per value.
    dtype: String,
    /// What is behind the header.
    data: R,
    /// How many bytes that are.
    data_len: u64,
}

impl<R: Read> File<R> {
    fn open(mut data: R, len: u64) -> Result<Self> {
        let bytes = read_plain_header(&mut data)?;
        let header = Header::from_reader(&mut &bytes[..]).map_err(in_one_line)?;
        let dtype = header.type_descriptor.as_string().context("the dtype in its header is no string")?;
        Ok(Self { dtype: dtype.clone(), header, data, data_len: len.saturating_sub(bytes.len() as u64) })
    }

    fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// The dtype without its byte order.
    fn element(&self) -> &str {
        self.dtype.trim_start_matches(['<', '>', '|'])
    }

    /// The order of the bytes of a value, which has so many of them.
    fn is_big_endian(&self, width: usize) -> Result<bool> {
        match (self.dtype.strip_suffix(self.element()), width) {
            (Some("" | "|"), 1) | (Some("<"), 2..) => Ok(false),
            (Some(">"), 2..) => Ok(true),
            (_, 1) => bail!("dtype {:?}; expected single bytes to have no byte order", self.dtype),
            _ => bail!("dtype {:?}; expected one with a byte order", self.dtype),
        }
    }

    /// An error unless there are exactly as many values of so many bytes as the shape says.
    fn expect_len(&self, width: usize) -> Result<()> {
        let len = self.shape().iter().try_fold(1_usize, |len, &size| len.checked_mul(size));
        let bytes = len.and_then(|len| len.checked_mul(width));
        let bytes = bytes.context("its shape overflows the address space")?;
        let given = self.data_len;
        ensure!(given == bytes as u64, "{given} bytes of data; its shape needs {bytes}");
        Ok(())
    }
}

/// Reads the bytes of the header, and refuses what would make its parser allocate, or descend, as deep as the file
/// pleases: a header longer than the file, and more brackets than the dictionary and the shape of a plain array have.
fn read_plain_header(data: &mut impl Read) -> Result<Vec<u8>> {
    const MAGIC: &[u8] = b"\x93NUMPY";
    let mut bytes = Vec::new();
    // The magic string; the version, whose first byte decides how wide the header's length is; the length; the header.
    read_more(&mut bytes, MAGIC.len(), data)?;
    ensure!(bytes == MAGIC, "not a .npy file");
    let within = "the file ends within its header";
    ensure!(read_more(&mut bytes, 2, data)?, within);
    let width = if bytes[MAGIC.len()] == 1 { 2 } else { 4 };
    ensure!(read_more(&mut bytes, width, data)?, within);
    let len = bytes[MAGIC.len() + 2..].iter().rev().fold(0, |len, &byte| len << 8 | usize::from(byte));
    let start = bytes.len();
    ensure!(read_more(&mut bytes, len.min(LONGEST_HEADER + 1), data)?, within);
    let brackets = bytes[start..].iter().filter(|byte| b"{[(".contains(byte)).count();
    ensure!(len <= LONGEST_HEADER && brackets <= 2, "its header is not that of a plain array");
    Ok(bytes)
}

/// Appends so many bytes, and says whether there were as many.
fn read_more(bytes: &mut Vec<u8>, count: usize, data: &mut impl Read) -> Result<bool> {
    Ok(data.take(count as u64).read_to_end(bytes)? == count)
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
