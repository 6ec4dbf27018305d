#![allow(dead_code, unused, missing_docs)]
mod engine;
mod error;
mod kernels;
mod numbers;
mod simd;
mod views;
pub use error::Error;
pub use numbers::log_sum_exp::LogSumExp;
pub use simd::Backend;
pub use views::labels::{Labels, Targets};
pub use views::rows::Rows;
pub use views::rows_mut::RowsMut;
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Upstream<'a> { Uniform(f32), PerRow(&'a [f32]) }
impl Upstream<'_> { fn of(&self, r: usize) -> f32 { match self { Self::Uniform(x) => *x, Self::PerRow(v) => v[r] } } fn split_at(self, r: usize) -> (Self, Self) { match self { Self::Uniform(_) => (self, self), Self::PerRow(v) => { let (a, b) = v.split_at(r); (Self::PerRow(a), Self::PerRow(b)) } } } }
pub fn slice(op: u8, labels: &[u32], logits: Rows<'_>, losses: &mut [f32], out: Option<RowsMut<'_>>, backend: Backend) -> Result<f32, Error> {
    use engine::*; use call::*; use options::*;
    let (rows, classes) = (logits.rows(), logits.classes());
    let mut inputs = Inputs::new(match op { 2 => Work::Softmax, 3 => Work::LogSoftmax, _ => Work::Loss(LossWork::default()) }, Source::Shared(logits.values()));
    inputs.labels = if op >= 2 { None } else { Some(views::labels::RowLabels::new(labels.into(), rows, classes, Default::default())?) };
    let call = Call::new(inputs, out.map(|o| o.into_values()), Outputs { losses: if op >= 2 { &mut [] } else { losses }, ..Outputs::default() });
    Ok(parallel::run(call, Some(backend))?.value() as f32)
}
