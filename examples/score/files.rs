//! The files that `score` is given.

use std::fs::File;
use std::io::{self, Seek};
use std::path::Path;

use anyhow::{Context, Result};

use super::values::{Integers, Matrix};
use super::{npy, tensors};

/// Logits, in a file of either kind.
pub(crate) fn logits(path: &Path) -> Result<Matrix<File>> {
    let is_tensors = path.extension().is_some_and(|extension| extension == "safetensors");
    let parse = if is_tensors { tensors::matrix } else { npy::matrix };
    open(path).and_then(|(file, len)| parse(file, len)).with_context(|| path.display().to_string())
}

/// Labels or offsets.
pub(crate) fn integers(path: &Path) -> Result<Integers<File>> {
    open(path).and_then(|(file, len)| npy::integers(file, len)).with_context(|| path.display().to_string())
}

/// Opens a file, and says how long it is.
fn open(path: &Path) -> Result<(File, u64)> {
    let mut file = File::open(path)?;
    if !file.metadata()?.is_file() {
        // A pipe has no length before it has been read.
        let mut copy = tempfile::tempfile()?;
        io::copy(&mut file, &mut copy)?;
        copy.rewind()?;
        file = copy;
    }
    let len = file.metadata()?.len();
    Ok((file, len))
}
