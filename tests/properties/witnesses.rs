//! The contract at the inputs with the largest errors that a search has found: `docs/accuracy/witnesses.json`,
//! written by the package in `accuracy/`.

use std::fs;
use std::path::Path;

use crate::common::property::{Errors, Want};
use crate::common::{backends, contract, reference, ulp};
use serde_json::Value;
use xent::{Backend, CrossEntropy, Rows, Targets, log_softmax, log_sum_exp, softmax};

/// One row that was found.
struct Witness {
    operation: String,
    logits: Vec<f32>,
    distribution: Vec<f32>,
    label: usize,
}

impl Witness {
    fn read(found: &Value) -> Option<Self> {
        let floats = |name: &str| -> Option<Vec<f32>> {
            #[expect(clippy::cast_possible_truncation, reason = "they were f32")]
            found[name].as_array()?.iter().map(|x| x.as_f64().map(|x| x as f32)).collect()
        };
        Some(Self {
            operation: found["operation"].as_str()?.to_owned(),
            logits: floats("logits")?,
            distribution: floats("labels")?,
            label: usize::try_from(found["label"].as_u64()?).ok()?,
        })
    }

    fn check(&self, backend: Backend, errors: &Errors) {
        let x = &self.logits[..];
        let (t, label) = (&self.distribution[..], self.label);
        let rows = |values| Rows::new(values, 1, x.len()).expect("one row").with_backend(backend);
        let loss = |targets: Targets<'_>| {
            CrossEntropy::new().loss_and_gradient(targets, rows(x)).expect("a row with labels")
        };
        let (sparse, sparse_gradient) = loss(Targets::from(&[label]));
        let (dense, dense_gradient) = loss(Targets::Dense(rows(t)));
        let (lse, max) = (reference::log_sum_exp(x), reference::row_max(x));
        let is_near_zero = lse.abs().max(max.abs()) < 1.0;
        let ulps = if is_near_zero { contract::LOG_SUM_EXP_NEAR_ZERO } else { contract::LOG_SUM_EXP };
        let lse = Want::from(lse).in_ulp_of(max);
        let got = log_sum_exp(rows(x)).expect("a row");
        errors.within(ulps, "log-sum-exp", backend, got[0], lse);
        let want = reference::sparse_loss(label, x);
        errors.within(contract::LOSS, "sparse loss", backend, sparse.rows[0], want);
        errors.within(contract::LOSS, "dense loss", backend, dense.rows[0], reference::dense_loss(t, x));
        let (p, z) = (softmax(rows(x)).expect("a row"), log_softmax(rows(x)).expect("a row"));
        errors.all_within(contract::SOFTMAX, "softmax", backend, &p, reference::softmax(x));
        errors.all_within(contract::LOG_SOFTMAX, "log-softmax", backend, &z, reference::log_softmax(x));
        let gradient = reference::sparse_gradient(label, x);
        for (i, (&got, want)) in sparse_gradient.iter().zip(gradient).enumerate() {
            let at_label = (contract::AT_LABEL, "sparse gradient at the label");
            let (ulps, what) = if i == label { at_label } else { (contract::GRADIENT, "sparse gradient") };
            errors.within(ulps, what, backend, got, want);
        }
        let mass = reference::mass(t);
        let parts = reference::softmax(x).into_iter().zip(t).map(|(p, &t)| (p * mass, f64::from(t)));
        let want = reference::dense_gradient(t, x).into_iter().zip(parts);
        let want =
            want.map(|(want, (p, t))| Want::from(want).in_ulp_of(p.max(t)).give_or_take(ulp::flushed(p)));
        errors.all_within(contract::DENSE_GRADIENT, "dense gradient", backend, &dense_gradient, want);
    }
}

#[test]
fn the_largest_errors_found_are_within_their_bounds() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/accuracy/witnesses.json");
    let text = fs::read_to_string(path).expect("the witnesses");
    let found: Vec<Value> = serde_json::from_str(&text).expect("a list");
    assert!(found.len() >= 16, "a witness for each operation, with and without fused multiply-add");
    let errors = Errors::default();
    for found in &found {
        let witness = Witness::read(found).expect("a witness");
        assert_eq!(witness.logits.len(), witness.distribution.len(), "{}", witness.operation);
        for backend in backends() {
            witness.check(backend, &errors);
        }
    }
    errors.report("witnesses");
}
