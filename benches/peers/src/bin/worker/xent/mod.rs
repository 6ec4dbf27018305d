//! The crate itself, and what it is measured beside in the same memory. An operation is named by
//! `PROGRAM:OPERATION@BACKEND`, where the program and the backend may be missing:
//!
//! | program | what runs |
//! |---|---|
//! | `xent` | the operation |
//! | `call` | the same for the cost of a call: with the views that it takes and nothing else |
//! | `far`, `masked` | the same with other logits |
//! | `with_z_loss`, ... | loss and gradient with an option |
//! | `by_hand` | rows turned by hand, the operation, and its results turned back |
//! | `bound`, `turns` | the bound, in both of its forms |
//! | `limit` | a limit of the machine, in the place of the operation |
//! | `tokens` | what a server reads, with so many of the largest logits in the place of the operation; or `by_hand` |

mod calls;
mod inputs;
mod options;
mod tokens;
mod turned;

use std::mem::swap;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use xent::Backend;
#[cfg(target_arch = "x86_64")]
use xent_peers::bound::{self, Form};
use xent_peers::common::limits::Limit;
use xent_peers::common::operations::{Buffers, Operation};

use crate::peer::{Loaded, Peer, results_in};
use inputs::Others;
use tokens::Tokens;
use turned::Turned;

pub struct Xent;

impl Peer for Xent {
    fn version(&self) -> String {
        Backend::selected().map_or_else(|error| error.to_string(), |backend| backend.to_string())
    }

    fn load(&self, inputs: Buffers, _: usize) -> Result<Box<dyn Loaded>> {
        Ok(Box::new(Ready {
            buffers: inputs,
            others: Others::default(),
            turned: None,
            tokens: Tokens::default(),
            prepared: None,
        }))
    }
}

struct Ready {
    buffers: Buffers,
    others: Others,
    turned: Option<Turned>,
    tokens: Tokens,
    /// The operations in place start from fresh logits once, not with each slice.
    prepared: Option<Operation>,
}

/// What a name stands for.
struct Task<'a> {
    program: &'a str,
    operation: Operation,
    backend: Backend,
}

impl<'a> Task<'a> {
    fn named(name: &'a str) -> Result<Self> {
        let (program, rest) = name.split_once(':').unwrap_or(("xent", name));
        let (operation, backend) = match rest.split_once('@') {
            Some((operation, backend)) => (operation, backend.parse()?),
            None => (rest, Backend::selected()?),
        };
        let operation = Operation::named(operation).with_context(|| format!("no operation {operation}"))?;
        Ok(Self { program, operation, backend })
    }
}

impl Ready {
    /// So many calls; `false` where there is no such operation.
    fn repeat(&mut self, name: &str, calls: u32) -> Result<bool> {
        if let Some(limit) = name.strip_prefix("limit:") {
            let limit = Limit::named(limit).context("no such limit")?;
            let backend = Backend::selected()?;
            (0..calls).for_each(|_| limit.run(&mut self.buffers, backend));
            return Ok(true);
        }
        if let Some(wanted) = name.strip_prefix("tokens:") {
            repeat(calls, || self.tokens.run(&self.buffers, wanted))?;
            return Ok(true);
        }
        let task = Task::named(name)?;
        if self.prepared != Some(task.operation) {
            self.buffers.prepare(task.operation);
            self.prepared = Some(task.operation);
        }
        self.run_task(&task, calls)
    }

    fn run_task(&mut self, &Task { program, operation, backend }: &Task<'_>, calls: u32) -> Result<bool> {
        match program {
            "xent" => repeat(calls, || Ok(self.buffers.run(operation, backend)?))?,
            "call" => calls::repeat(&mut self.buffers, operation, calls)?,
            "far" | "masked" => {
                let other = self.others.logits(program, &self.buffers)?;
                swap(&mut self.buffers.logits, other);
                let done = repeat(calls, || Ok(self.buffers.run(operation, backend)?));
                swap(&mut self.buffers.logits, other);
                done?;
            }
            "by_hand" => {
                let turned = self.turned.get_or_insert_with(|| Turned::new(self.buffers.shape));
                repeat(calls, || turned.run(&mut self.buffers, operation, backend))?;
            }
            #[cfg(target_arch = "x86_64")]
            "bound" | "turns" => {
                let form = if program == "turns" { Form::Turns } else { Form::Into };
                let shape = self.buffers.shape;
                if shape.inner > 1 || !bound::forms(operation, shape.classes).contains(&form) {
                    return Ok(false);
                }
                (0..calls).for_each(|_| bound::run(&mut self.buffers, operation, form, backend));
            }
            _ => match program.strip_prefix("with_") {
                Some(option) => options::repeat(&mut self.buffers, &mut self.others, option, calls)?,
                None => bail!("no program {program}"),
            },
        }
        Ok(true)
    }
}

fn repeat(calls: u32, mut run: impl FnMut() -> Result<()>) -> Result<()> {
    (0..calls).try_for_each(|_| run())
}

impl Loaded for Ready {
    fn run(&mut self, operation: &str) -> Result<bool> {
        self.repeat(operation, 1)
    }

    fn results(&mut self, operation: &str) -> Result<Vec<Vec<f32>>> {
        self.prepared = None;
        self.run(operation)?;
        if operation.starts_with("tokens:") {
            return Ok(self.tokens.results());
        }
        Ok(results_in(&self.buffers, Task::named(operation)?.operation.name()))
    }

    /// A call may take less time than to read its name.
    fn time(&mut self, operation: &str, calls: u32) -> Result<Option<f64>> {
        self.repeat(operation, calls / 8)?;
        let start = Instant::now();
        let offered = self.repeat(operation, calls)?;
        Ok(offered.then(|| start.elapsed().as_secs_f64()))
    }
}
