//! What `score` is told.

use std::path::PathBuf;

use clap::Parser;
use xent::{Backend, Error};

/// Scores logits against labels: mean loss, perplexity, accuracy and speed. Files are read a piece at a time, so that they may be larger
/// than memory; a progress bar shows how far a large one has been read.
#[derive(Parser)]
pub(crate) struct Args {
    /// A .npy file of float32 or float16 logits, rows x classes, or a .safetensors file of F32, F16 or BF16 ones. Without files: a
    /// sample of a speech recogniser's.
    #[arg(requires = "labels")]
    pub(crate) logits: Option<PathBuf>,

    /// A .npy file of integer labels, one per row.
    pub(crate) labels: Option<PathBuf>,

    /// Where to write the loss of each row, as a .npy file of float32.
    #[arg(long, value_name = "FILE")]
    pub(crate) per_row: Option<PathBuf>,

    /// How many rows have their label among so many of the most probable classes.
    #[arg(long, value_name = "K")]
    pub(crate) top_k: Option<usize>,

    /// A .npy file of integers, where sequences of rows begin and the last one ends: 0, 12, 20 are two. Prints the
    /// log-probability of each, its perplexity, and whether it is what the model would have said.
    #[arg(long, value_name = "FILE")]
    pub(crate) sequences: Option<PathBuf>,

    /// How many bytes of logits are read at once: whole rows, and at least one. The results do not depend on it.
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    pub(crate) piece_bytes: usize,

    /// The instruction set: scalar, portable, avx2 or avx512 [default: the best here, or `XENT_BACKEND`]
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
}

impl Args {
    /// The backend of that name, or the one that the process would use.
    pub(crate) fn backend(&self) -> Result<Backend, Error> {
        let Some(name) = &self.backend else {
            return Backend::selected();
        };
        let backend: Backend = name.parse()?;
        if backend.is_available() { Ok(backend) } else { Err(Error::UnavailableBackend { backend }) }
    }
}
