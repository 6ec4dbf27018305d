//! Logits in `.safetensors` files.

use anyhow::{Context, Result, bail, ensure};
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};

use super::npy::{Matrix, Values};

/// Reads the tensor `logits`, or the only one there is: two-dimensional, of f32, f16 or bf16.
pub(crate) fn read_matrix(bytes: &[u8]) -> Result<Matrix> {
    let tensors = SafeTensors::deserialize(bytes).context("not a .safetensors file")?;
    let names = tensors.names();
    let name = if let [name] = names[..] { name } else { "logits" };
    let tensor = tensors
        .tensor(name)
        .with_context(|| format!("{} tensors, of which none has the name \"logits\"", names.len()))?;
    let &[rows, classes] = tensor.shape() else {
        bail!("a {}-dimensional tensor; expected the logits as rows x classes", tensor.shape().len());
    };
    let data = tensor.data();
    let halves = || data.as_chunks().0.iter();
    let values = match tensor.dtype() {
        Dtype::F32 => {
            Values::F32(data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
        }
        Dtype::F16 => Values::F16(halves().map(|bytes| f16::from_le_bytes(*bytes)).collect()),
        Dtype::BF16 => Values::Bf16(halves().map(|bytes| bf16::from_le_bytes(*bytes)).collect()),
        other => bail!("dtype {other:?}; expected F32, F16 or BF16 logits"),
    };
    let matrix = Matrix { rows, classes, values };
    ensure!(data.len() == rows * classes * matrix.width(), "its data has another length than its shape");
    Ok(matrix)
}
