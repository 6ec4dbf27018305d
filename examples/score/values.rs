//! Numbers as files hold them, read a piece at a time into memory that is used again.

use std::io::{ErrorKind, Read};

use anyhow::{Result, anyhow};
use half::{bf16, f16};
use xent::{Error, Labels, Rows};

/// Bytes that are converted at once: a multiple of every width, and little enough to stay in a near cache.
const CHUNK: usize = 1 << 14;

/// Logits, rows × classes in row-major order, of which the next are read.
#[derive(Debug)]
pub(crate) struct Matrix<R> {
    pub(crate) rows: usize,
    pub(crate) classes: usize,
    pub(crate) values: Values,
    pub(crate) is_big_endian: bool,
    pub(crate) data: R,
}

/// Logits of any type that a file may have: those that were read last.
#[derive(Debug)]
pub(crate) enum Values {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
}

impl Values {
    /// Bytes of a value.
    pub(crate) const fn width(&self) -> usize {
        match self {
            Self::F32(_) => 4,
            Self::F16(_) | Self::Bf16(_) => 2,
        }
    }
}

impl<R> Matrix<R> {
    /// Bytes of a row; the largest number where there are no rows to tell that these are too many.
    pub(crate) const fn row_bytes(&self) -> usize {
        self.classes.saturating_mul(self.values.width())
    }
}

impl<R: Read> Matrix<R> {
    /// The next rows, so many, in place of those before.
    pub(crate) fn read(&mut self, rows: usize) -> Result<Rows<'_>> {
        let Self { classes, ref mut values, is_big_endian, ref mut data, .. } = *self;
        let count = rows * classes;
        Ok(match values {
            Values::F32(values) => {
                fill(values, count, data, is_big_endian, f32::from_le_bytes)?;
                Rows::new(values, rows, classes)?
            }
            Values::F16(values) => {
                fill(values, count, data, is_big_endian, f16::from_le_bytes)?;
                Rows::new(values, rows, classes)?
            }
            Values::Bf16(values) => {
                fill(values, count, data, is_big_endian, bf16::from_le_bytes)?;
                Rows::new(values, rows, classes)?
            }
        })
    }
}

/// Integers of one type, of which the next are read.
#[derive(Debug)]
pub(crate) struct Integers<R> {
    pub(crate) len: usize,
    pub(crate) width: usize,
    pub(crate) values: Widened,
    pub(crate) is_big_endian: bool,
    pub(crate) data: R,
}

/// Integers of any type, widened: those that were read last.
#[derive(Debug)]
pub(crate) enum Widened {
    Signed(Vec<i64>),
    Unsigned(Vec<u64>),
}

impl<R: Read> Integers<R> {
    /// The next ones, so many, in place of those before.
    pub(crate) fn read(&mut self, count: usize) -> Result<Labels<'_>> {
        let Self { width, ref mut values, is_big_endian, ref mut data, .. } = *self;
        macro_rules! fill_from {
            ($values:ident, $type:ty) => {
                fill($values, count, data, is_big_endian, |bytes| <$type>::from_le_bytes(bytes).into())
            };
        }
        match (&mut *values, width) {
            (Widened::Signed(values), 1) => fill_from!(values, i8),
            (Widened::Signed(values), 2) => fill_from!(values, i16),
            (Widened::Signed(values), 4) => fill_from!(values, i32),
            (Widened::Signed(values), _) => fill_from!(values, i64),
            (Widened::Unsigned(values), 1) => fill_from!(values, u8),
            (Widened::Unsigned(values), 2) => fill_from!(values, u16),
            (Widened::Unsigned(values), 4) => fill_from!(values, u32),
            (Widened::Unsigned(values), _) => fill_from!(values, u64),
        }?;
        Ok(match values {
            Widened::Signed(values) => Labels::from(&*values),
            Widened::Unsigned(values) => Labels::from(&*values),
        })
    }
}

/// An error unless rows have classes, which a view of no rows would not say.
pub(crate) const fn expect_classes(rows: usize, classes: usize) -> Result<(), Error> {
    if rows > 0 && classes == 0 { Err(Error::NoClasses { rows }) } else { Ok(()) }
}

/// Reads so many values of `N` bytes, in place of those that are there.
fn fill<T, const N: usize>(
    values: &mut Vec<T>,
    count: usize,
    data: &mut impl Read,
    is_big_endian: bool,
    value: impl Fn([u8; N]) -> T,
) -> Result<()> {
    values.clear();
    values.try_reserve_exact(count)?;
    let mut chunk = [0; CHUNK];
    let mut left = count * N;
    while left > 0 {
        let bytes = &mut chunk[..left.min(CHUNK)];
        left -= bytes.len();
        data.read_exact(bytes).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => anyhow!("the file has become shorter while it was read"),
            _ => error.into(),
        })?;
        let numbers = bytes.as_chunks_mut::<N>().0;
        if is_big_endian {
            for number in &mut *numbers {
                number.reverse();
            }
        }
        values.extend(numbers.iter().map(|&number| value(number)));
    }
    Ok(())
}
