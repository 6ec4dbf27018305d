//! Logits in `.safetensors` files.

use std::io::{Read, Seek, SeekFrom};

use anyhow::{Context, Result, bail, ensure};
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::values::{Matrix, Values, expect_classes};

/// Bytes of the length of the header, which a file begins with.
const PREFIX: usize = size_of::<u64>();

/// The format's own limit.
const LONGEST_HEADER: u64 = 100_000_000;

/// The tensor `logits` of a file with so many bytes, or the only one there is: two-dimensional, of f32, f16 or bf16.
pub(crate) fn matrix<R: Read + Seek>(mut data: R, len: u64) -> Result<Matrix<R>> {
    let (metadata, start) = read_header(&mut data, len)?;
    let names = metadata.offset_keys();
    let name = if let [name] = &names[..] { name } else { "logits" };
    let tensor = metadata
        .info(name)
        .with_context(|| format!("{} tensors, of which none has the name \"logits\"", names.len()))?;
    let [rows, classes] = tensor.shape[..] else {
        bail!("a {}-dimensional tensor; expected the logits as rows x classes", tensor.shape.len());
    };
    let values = match tensor.dtype {
        Dtype::F32 => Values::F32(Vec::new()),
        Dtype::F16 => Values::F16(Vec::new()),
        Dtype::BF16 => Values::Bf16(Vec::new()),
        other => bail!("dtype {other:?}; expected F32, F16 or BF16 logits"),
    };
    expect_classes(rows, classes)?;
    data.seek(SeekFrom::Start(start + tensor.data_offsets.0 as u64))?;
    Ok(Matrix { rows, classes, values, is_big_endian: false, data })
}

/// What the header says, once that agrees with itself and with the length of the file, and where the data begin.
fn read_header(data: &mut impl Read, len: u64) -> Result<(Metadata, u64)> {
    let mut prefix = [0; PREFIX];
    data.read_exact(&mut prefix).context("not a .safetensors file")?;
    let header_len = u64::from_le_bytes(prefix);
    let behind = len.saturating_sub(PREFIX as u64);
    ensure!(
        header_len <= behind,
        "not a .safetensors file: its header would have {header_len} bytes, of which there are {behind}"
    );
    ensure!(
        header_len <= LONGEST_HEADER,
        "a header of {header_len} bytes; expected at most {LONGEST_HEADER}"
    );
    let mut header = Vec::new();
    data.take(header_len).read_to_end(&mut header)?;
    let metadata: Metadata = serde_json::from_slice(&header).context("not a .safetensors file")?;
    let (given, needed) = (behind - header_len, metadata.data_len());
    ensure!(given == needed as u64, "{given} bytes of data; the shapes in its header need {needed}");
    Ok((metadata, PREFIX as u64 + header_len))
}
