//! `xent._core`: the crate's operations over arrays of Python's. What users see of it is described in `_core.pyi`.

mod array;
mod error;
mod family;
mod linear;
mod loss;
mod options;
mod output;
mod shards;
mod threads;
mod tokens;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::family::{log_softmax, logsumexp, softmax};
    #[pymodule_export]
    use crate::linear::{linear_backward, linear_cross_entropy, linear_forward};
    #[pymodule_export]
    use crate::loss::{Saved, backward, cross_entropy, forward, loss_and_grad};
    #[pymodule_export]
    use crate::shards::{Merged, shard_forward, shard_gradient, shard_partials, shard_runs};
    #[pymodule_export]
    use crate::threads::after_fork;
    #[pymodule_export]
    use crate::tokens::{sequence_logprobs, token_logprobs};

    /// The backend that calls run on, by its name.
    #[pyfunction]
    fn backend() -> PyResult<String> {
        xent::Backend::selected().map(|backend| backend.to_string()).map_err(crate::error::to_py)
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
