//! Arrays that pass between the processes as files of little-endian values.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use bytemuck::Pod;

use crate::common::linear::{Problem, Size};
use crate::common::operations::Buffers;
use crate::common::shape::Shape;

pub const LOGITS: &str = "logits.f32";
pub const LABELS: &str = "labels.u32";
pub const DISTRIBUTIONS: &str = "distributions.f32";

/// Writes the inputs of a shape for the workers.
pub fn write_inputs(folder: &Path, inputs: &Buffers) -> Result<()> {
    fs::create_dir_all(folder)?;
    write(&folder.join(LOGITS), &inputs.logits)?;
    write(&folder.join(LABELS), &inputs.labels)?;
    write(&folder.join(DISTRIBUTIONS), &inputs.distributions)
}

/// Reads what [`write_inputs`] wrote.
pub fn read_inputs(folder: &Path, shape: Shape) -> Result<Buffers> {
    let (logits, labels) = (read(&folder.join(LOGITS))?, read(&folder.join(LABELS))?);
    let distributions = read(&folder.join(DISTRIBUTIONS))?;
    ensure!(logits.len() == shape.logits(), "{} holds another shape than {shape}", folder.display());
    Ok(Buffers::with_inputs(shape, logits, labels, distributions))
}

/// The features, weights and bias of a linear classifier.
pub const LINEAR: [&str; 3] = ["x.f32", "weights.f32", "bias.f32"];

/// Writes a linear classifier for the workers.
pub fn write_problem(folder: &Path, problem: &Problem) -> Result<()> {
    fs::create_dir_all(folder)?;
    for (name, values) in LINEAR.into_iter().zip([&problem.x, &problem.weights, &problem.bias]) {
        write(&folder.join(name), values)?;
    }
    write(&folder.join(LABELS), &problem.labels)
}

/// Reads what [`write_problem`] wrote.
pub fn read_problem(folder: &Path, size: Size) -> Result<Problem> {
    let values = |index: usize| read(&folder.join(LINEAR[index]));
    let (x, weights, bias) = (values(0)?, values(1)?, values(2)?);
    let labels = read(&folder.join(LABELS))?;
    let lengths = [size.rows * size.features, size.classes * size.features, size.rows];
    let given = [x.len(), weights.len(), labels.len()];
    ensure!(given == lengths, "{} holds another classifier than {size}", folder.display());
    Ok(Problem { size, x, weights, bias, labels })
}

/// A result of more values is checked by a sample of about as many.
pub const SAMPLE: usize = 4_000_000;

/// Every how many values are in the sample. Odd, since an even step would visit a part of the classes alone.
pub fn sample_step(values: usize) -> usize {
    values.div_ceil(SAMPLE) | 1
}

/// The sample of a result.
pub fn sample(values: &[f32]) -> Vec<f32> {
    values.iter().copied().step_by(sample_step(values.len())).collect()
}

/// The file of a result: an operation has one or two, such as losses and gradient.
pub fn result_name(index: usize) -> String {
    format!("result{index}.f32")
}

pub fn write<T: Pod>(path: &Path, values: &[T]) -> Result<()> {
    fs::write(path, bytemuck::cast_slice(values)).with_context(|| format!("cannot write {}", path.display()))
}

pub fn read<T: Pod>(path: &Path) -> Result<Vec<T>> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytemuck::pod_collect_to_vec(&bytes))
}
