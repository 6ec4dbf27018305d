//! The loss as an operation of candle: forward and backward are calls of xent, on candle's memory as it lies.

use std::sync::Mutex;

use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape, Storage, Tensor};
use xent::{CrossEntropy, LogSumExp, Rows, RowsMut};

/// Softmax cross-entropy of logits, rows × classes, with one label per row; `options` say how it is reduced.
///
/// What the backward pass needs is 32 bytes per row, and not the probabilities.
pub fn cross_entropy(logits: &Tensor, labels: &[i64], options: CrossEntropy<'static>) -> Result<Tensor> {
    logits.apply_op1(Loss { labels: labels.to_vec(), options, sums: Mutex::default() })
}

struct Loss {
    labels: Vec<i64>,
    options: CrossEntropy<'static>,
    /// What the forward pass saved.
    sums: Mutex<Vec<LogSumExp>>,
}

/// A tensor's memory as xent reads it, whatever its strides.
fn rows<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<Rows<'a>> {
    let (rows, classes) = layout.shape().dims2()?;
    let values = storage.as_slice::<f32>()?;
    let [row_stride, class_stride] = *layout.stride() else { candle_core::bail!("a matrix has two strides") };
    let strides = [0, class_stride, row_stride];
    Rows::with_strides(&values[layout.start_offset()..], [1, classes, rows], strides).map_err(Error::wrap)
}

impl CustomOp1 for Loss {
    fn name(&self) -> &'static str {
        "xent-cross-entropy"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (loss, sums) = self.options.forward(&self.labels, rows(storage, layout)?).map_err(Error::wrap)?;
        *self.sums.lock().map_err(|_| Error::msg("a thread panicked"))? = sums;
        Ok((CpuStorage::F32(vec![loss.summary.value]), Shape::from(())))
    }

    fn bwd(&self, logits: &Tensor, _loss: &Tensor, upstream: &Tensor) -> Result<Option<Tensor>> {
        let (storage, layout) = logits.storage_and_layout();
        let Storage::Cpu(storage) = &*storage else { candle_core::bail!("these logits are not on a CPU") };
        let logits = rows(storage, layout)?;
        let sums = self.sums.lock().map_err(|_| Error::msg("a thread panicked"))?;
        let mut gradient = vec![0.0; logits.rows() * logits.classes()];
        let to = RowsMut::new(&mut gradient, logits.rows(), logits.classes()).map_err(Error::wrap)?;
        let options = self.options.upstream(upstream.to_scalar::<f32>()?);
        options.backward_into(&self.labels, logits, &sums, to).map_err(Error::wrap)?;
        Tensor::from_vec(gradient, layout.shape(), &candle_core::Device::Cpu).map(Some)
    }
}
