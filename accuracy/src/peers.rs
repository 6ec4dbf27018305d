//! Other libraries on the same inputs, in processes of their own: arrays pass as `.npy` files.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use ndarray::{Array1, ArrayD, ArrayView2};
use ndarray_npy::{ReadNpyExt, WriteNpyExt};

use crate::inputs::Inputs;
use crate::operation::Operation;

pub struct Peer {
    library: &'static str,
    name: &'static str,
    python: PathBuf,
    script: PathBuf,
    folder: PathBuf,
    /// What it is asked: a folder of inputs and the name of an operation.
    asked: Vec<String>,
    pub version: String,
}

impl Peer {
    pub const ALL: [(&'static str, &'static str); 2] = [("torch", "PyTorch"), ("tensorflow", "TensorFlow")];

    pub fn new((library, name): (&'static str, &'static str), python: &Path, package: &Path) -> Self {
        let folder = package.join("target/inputs");
        let script = package.join("python/peers.py");
        let asked = Vec::new();
        Self { library, name, python: python.into(), script, folder, asked, version: String::new() }
    }

    pub fn name(&self) -> &str {
        self.name
    }

    /// Whether the library is there.
    pub fn try_import(&self) -> Result<()> {
        let mut command = Command::new(&self.python);
        command.args(["-c", &format!("import {}", self.library)]).stderr(Stdio::null());
        let status = command.status().context("no Python that runs, see --python")?;
        ensure!(status.success(), "this Python has no {}", self.library);
        Ok(())
    }

    /// Notes what it is to compute.
    pub fn ask(&mut self, operations: &[Operation], inputs: &Inputs) -> Result<()> {
        let folder = self.folder.join(&inputs.name);
        fs::create_dir_all(&folder)?;
        let matrix = |values| ArrayView2::from_shape((inputs.rows(), inputs.classes), values);
        let labels =
            inputs.labels.iter().map(|&label| i64::try_from(label)).collect::<Result<Array1<_>, _>>()?;
        matrix(&inputs.logits)?.write_npy(create(&folder, "logits")?)?;
        matrix(&inputs.distributions)?.write_npy(create(&folder, "distributions")?)?;
        labels.write_npy(create(&folder, "labels")?)?;
        for operation in operations.iter().filter(|operation| **operation != Operation::AtLabel) {
            self.asked.push(format!("{}\t{}\n", folder.display(), operation.computed()));
        }
        Ok(())
    }

    /// Has all computed.
    pub fn run(&mut self) -> Result<()> {
        println!("{} computes", self.name);
        let plan = self.folder.join(format!("{}.tsv", self.library));
        fs::write(&plan, self.asked.concat())?;
        let mut command = Command::new(&self.python);
        command.arg(&self.script).arg(self.library).arg(plan).stderr(Stdio::null());
        let output = command.output().context("no such python")?;
        ensure!(output.status.success(), "python/peers.py has failed with {}", self.library);
        String::from_utf8_lossy(&output.stdout).trim().clone_into(&mut self.version);
        Ok(())
    }

    /// What it has computed.
    pub fn answer(&self, operation: Operation, inputs: &Inputs) -> Result<Vec<f32>> {
        let name = format!("{}-{}.npy", self.library, operation.computed());
        let path = self.folder.join(&inputs.name).join(name);
        let file = File::open(&path).with_context(|| format!("no {}", path.display()))?;
        Ok(ArrayD::<f32>::read_npy(file)?.into_iter().collect())
    }
}

fn create(folder: &Path, name: &str) -> Result<File> {
    let path = folder.join(format!("{name}.npy"));
    File::create(&path).with_context(|| format!("cannot write {}", path.display()))
}
