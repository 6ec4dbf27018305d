//! The vectors' files: cases with their tensors and attributes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use crate::common::ulp::round;

/// A tensor, its values widened.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f64>,
}

/// One call of another system, and what it gave.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) op: String,
    pub(crate) outputs: Vec<String>,
    attributes: Value,
    tensors: BTreeMap<String, Tensor>,
}

/// All cases of a file beside this one.
pub(crate) fn read(file: &str) -> anyhow::Result<Vec<Case>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let (_, header) = SafeTensors::read_metadata(&bytes)?;
    let cases = header.metadata().as_ref().and_then(|metadata| metadata.get("cases")).context("no cases")?;
    let cases: Vec<Value> = serde_json::from_str(cases)?;
    let tensors = SafeTensors::deserialize(&bytes)?;
    cases.into_iter().map(|attributes| Case::new(attributes, &tensors)).collect()
}

impl Case {
    fn new(attributes: Value, file: &SafeTensors<'_>) -> anyhow::Result<Self> {
        let text = |key: &str| Some(attributes.get(key)?.as_str()?.to_owned());
        let name = text("name").context("a case without a name")?;
        let op = text("op").with_context(|| format!("{name} has no op"))?;
        let outputs = strings(&attributes["outputs"]);
        let mut tensors = BTreeMap::new();
        for tensor in strings(&attributes["inputs"]).iter().chain(&outputs) {
            tensors.insert(tensor.clone(), read_tensor(file, &format!("{name}/{tensor}"))?);
        }
        Ok(Self { name, op, outputs, attributes, tensors })
    }

    pub(crate) fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// The values of a tensor as f32, which they were.
    pub(crate) fn f32s(&self, name: &str) -> Option<Vec<f32>> {
        Some(self.tensor(name)?.values.iter().map(|&x| round(x)).collect())
    }

    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        self.attributes.get(key)?.as_f64()
    }

    pub(crate) fn integer(&self, key: &str) -> Option<i64> {
        self.attributes.get(key)?.as_i64()
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.attributes.get(key)?.as_str()
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        self.attributes.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    /// The axes over which classes run, ascending: all of them for an empty list, the last where nothing is said.
    pub(crate) fn axes(&self) -> Vec<usize> {
        let rank = self.tensors["input"].shape.len();
        let axis = |value: &Value| {
            let axis = usize::try_from(value.as_i64()?.rem_euclid(i64::try_from(rank).ok()?)).ok()?;
            Some(axis)
        };
        let mut axes: Vec<usize> = match (&self.attributes["axes"], &self.attributes["axis"]) {
            (Value::Array(axes), _) if axes.is_empty() => (0..rank).collect(),
            (Value::Array(axes), _) => axes.iter().filter_map(axis).collect(),
            (_, Value::Null) => vec![rank - 1],
            (_, one) => axis(one).into_iter().collect(),
        };
        axes.sort_unstable();
        axes
    }

    /// Asserts that an output is what it should be.
    #[track_caller]
    pub(crate) fn expect(&self, output: &str, got: &[f32]) {
        let want = &self.tensors[output];
        let tolerance = &self.attributes["tolerance"];
        let (relative, absolute) = (tolerance["rtol"].as_f64(), tolerance["atol"].as_f64());
        let (Some(relative), Some(absolute)) = (relative, absolute) else {
            panic!("{}: no tolerance", self.name)
        };
        assert_eq!(got.len(), want.values.len(), "{}, {output}: lengths differ", self.name);
        for (i, (&got, &want)) in got.iter().zip(&want.values).enumerate() {
            let got = f64::from(got);
            let same = (got.is_nan() && want.is_nan()) || got.total_cmp(&want).is_eq();
            let near = (got - want).abs() <= absolute + relative * want.abs();
            assert!(same || near, "{}, {output} {i}: {got:e} for {want:e}", self.name);
        }
    }
}

fn strings(values: &Value) -> Vec<String> {
    let texts = values.as_array().into_iter().flatten();
    texts.filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

fn read_tensor(file: &SafeTensors<'_>, name: &str) -> anyhow::Result<Tensor> {
    let tensor = file.tensor(name).with_context(|| format!("the tensor {name}"))?;
    let data = tensor.data();
    #[expect(clippy::cast_precision_loss, reason = "labels are small")]
    let values = match tensor.dtype() {
        Dtype::F32 => data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes).into()).collect(),
        Dtype::I64 => data.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes) as f64).collect(),
        Dtype::U8 => data.iter().map(|&byte| byte.into()).collect(),
        other => bail!("{name} is {other:?}"),
    };
    Ok(Tensor { shape: tensor.shape().to_vec(), values })
}
