//! The file that `--per-row` writes.

use std::fs::File;
use std::io::{BufWriter, IntoInnerError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tempfile::NamedTempFile;

use super::npy;

/// A file that appears whole or not at all, written a piece at a time.
pub(crate) struct LossFile {
    path: PathBuf,
    file: BufWriter<NamedTempFile<File>>,
}

impl LossFile {
    /// Begins the file, for the losses of so many rows.
    pub(crate) fn create(path: &Path, rows: usize) -> Result<Self> {
        // A device or a folder cannot be replaced by a file.
        ensure!(path.is_file() || !path.exists(), "{}: not a file", path.display());
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Made with the usual permissions, which temporary files otherwise do not have.
        let file = tempfile::Builder::new().make_in(folder, |path| File::create_new(path));
        let mut file = BufWriter::new(file.with_context(|| path.display().to_string())?);
        npy::write_header(rows, &mut file)?;
        Ok(Self { path: path.to_owned(), file })
    }

    pub(crate) fn write(&mut self, losses: &[f32]) -> Result<()> {
        npy::write(losses, &mut self.file).with_context(|| self.path.display().to_string())
    }

    /// Puts the file in its place.
    pub(crate) fn finish(self) -> Result<()> {
        let file = self.file.into_inner().map_err(IntoInnerError::into_error);
        let in_place = file.map_err(anyhow::Error::new).and_then(|file| Ok(file.persist(&self.path)?));
        in_place.map(drop).with_context(|| self.path.display().to_string())
    }
}
