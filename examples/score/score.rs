//! All that is asked for of the logits.

use std::io::Write;

use anyhow::{Context, Result};
use xent::{Backend, Labels, Rows};

use super::args::Args;
use super::files;
use super::losses::LossFile;
use super::summary::{Summary, share};
use super::tokens::{Sequences, among_top};

/// What has come of the pieces so far.
pub(crate) struct Score {
    pub(crate) summary: Summary,
    /// Of `--top-k`: `k`, and how many rows have their label among so many classes.
    top: Option<(usize, usize)>,
    sequences: Option<Sequences>,
    losses: Option<LossFile>,
}

impl Score {
    /// Prepares what the arguments ask for of so many rows.
    pub(crate) fn new(args: &Args, rows: usize) -> Result<Self> {
        let sequences = args.sequences.as_deref().map(|path| {
            let sequences = Sequences::read(files::integers(path)?, rows);
            sequences.with_context(|| path.display().to_string())
        });
        let losses = args.per_row.as_deref().map(|path| LossFile::create(path, rows));
        Ok(Self {
            summary: Summary::default(),
            top: args.top_k.map(|k| (k, 0)),
            sequences: sequences.transpose()?,
            losses: losses.transpose()?,
        })
    }

    /// Does with a piece what options ask for, after the summary has it.
    pub(crate) fn add_options(&mut self, labels: Labels<'_>, logits: Rows<'_>) -> Result<()> {
        if let Some((k, right)) = &mut self.top {
            *right += among_top(*k, labels, logits)?;
        }
        if let Some(sequences) = &mut self.sequences {
            sequences.add(labels, logits)?;
        }
        if let Some(file) = &mut self.losses {
            file.write(&self.summary.losses)?;
        }
        Ok(())
    }

    /// Puts the losses in their place, and prints the rest, for rows of so many classes and bytes.
    pub(crate) fn print(self, row: (usize, usize), backend: Backend, out: &mut impl Write) -> Result<()> {
        if let Some(file) = self.losses {
            file.finish()?;
        }
        self.summary.print(row, backend, out)?;
        if let Some((k, right)) = self.top {
            writeln!(out, "top-{k} accuracy  {}", share(right, self.summary.rows))?;
        }
        if let Some(sequences) = self.sequences {
            sequences.print(out)?;
        }
        Ok(())
    }
}
