#![allow(dead_code, unused, missing_docs)]
mod engine;
mod error;
mod kernels;
mod numbers;
mod simd;
mod views;
pub use error::Error;
pub use simd::Backend;
pub use views::labels::{Labels, Targets};
pub use views::rows::Rows;
pub use views::rows_mut::RowsMut;
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Upstream<'a> { Uniform(f32), PerRow(&'a [f32]) }
pub fn slice(op: u8, labels: &[u32], logits: Rows<'_>, losses: &mut [f32], out: Option<RowsMut<'_>>, backend: Backend) -> Result<f32, Error> {
    use engine::*; use call::*; use options::*;
    let (rows, classes) = (logits.rows(), logits.classes());
    let labels = if op == 2 { None } else { Some(views::labels::RowLabels::new(labels.into(), rows, classes, Default::default())?) };
    let call = Call { work: Work::Softmax, logits: Source::Shared(logits.values()), dense: None, labels, results: out.map(|o| o.into_values()), map: Default::default(), weights: Default::default(), scale: Scale { upstream: Upstream::Uniform(1.0), constant: 1.0 }, outputs: Outputs { losses } };
    let token = backend.token()?;
    thread_local! { static SCRATCH: std::cell::Cell<scratch::Scratch> = const { std::cell::Cell::new(scratch::Scratch::new()) }; }
    let mut scratch = SCRATCH.try_with(std::cell::Cell::take).unwrap_or_default();
    let t = if classes <= few::MAX_CLASSES { few::run(token, call, &mut scratch) } else { many::run(token, call, &mut scratch) };
    let _ = SCRATCH.try_with(|k| k.set(scratch));
    Ok((t.high + t.low) as f32)
}
