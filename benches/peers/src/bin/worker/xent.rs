//! The crate itself, and what it is measured beside in the same memory: `softmax`, `softmax@avx2`, the bound in both
//! forms, `bound:softmax@avx2` and `turns:softmax@avx2`, and the limits of the machine, `limit:copy`.

use anyhow::{Context, Result, bail};
use xent::Backend;
#[cfg(target_arch = "x86_64")]
use xent_peers::bound::{self, Form};
use xent_peers::common::limits::Limit;
use xent_peers::common::operations::{Buffers, Operation};

use crate::peer::{Loaded, Peer, results_in};

pub struct Xent;

impl Peer for Xent {
    fn version(&self) -> String {
        Backend::selected().map_or_else(|error| error.to_string(), |backend| backend.to_string())
    }

    fn load(&self, inputs: Buffers, _: usize) -> Result<Box<dyn Loaded>> {
        Ok(Box::new(Ready { buffers: inputs, prepared: None }))
    }
}

struct Ready {
    buffers: Buffers,
    /// The operations in place start from fresh logits once, not with each slice.
    prepared: Option<Operation>,
}

impl Loaded for Ready {
    fn run(&mut self, operation: &str) -> Result<bool> {
        if let Some(limit) = operation.strip_prefix("limit:") {
            let limit = Limit::named(limit).context("no such limit")?;
            limit.run(&mut self.buffers, Backend::selected()?);
            return Ok(true);
        }
        let (program, operation) = operation.split_once(':').unwrap_or(("xent", operation));
        let (operation, backend) = match operation.split_once('@') {
            Some((operation, backend)) => (operation, backend.parse()?),
            None => (operation, Backend::selected()?),
        };
        let operation = Operation::named(operation).context("no such operation")?;
        if self.prepared != Some(operation) {
            self.buffers.prepare(operation);
            self.prepared = Some(operation);
        }
        match program {
            "xent" => self.buffers.run(operation, backend)?,
            #[cfg(target_arch = "x86_64")]
            "bound" | "turns" => {
                let form = if program == "turns" { Form::Turns } else { Form::Into };
                if !self.has_bound(operation, form) {
                    return Ok(false);
                }
                bound::run(&mut self.buffers, operation, form, backend);
            }
            _ => bail!("no program {program}"),
        }
        Ok(true)
    }

    fn results(&mut self, operation: &str) -> Result<Vec<Vec<f32>>> {
        self.prepared = None;
        self.run(operation)?;
        Ok(results_in(&self.buffers, operation))
    }
}

#[cfg(target_arch = "x86_64")]
impl Ready {
    fn has_bound(&self, operation: Operation, form: Form) -> bool {
        let shape = self.buffers.shape;
        shape.inner == 1 && bound::forms(operation, shape.classes).contains(&form)
    }
}
