//! Where calls run: without the interpreter, and the large ones in a pool of threads of their own.

use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::to_py;

/// Calls of so many logits stay on the calling thread, as the crate's do.
const SERIAL: usize = 32 * 1024;

/// The pool of this process, once there was a large call. It is never freed: threads of a call may be in it.
static POOL: AtomicPtr<ThreadPool> = AtomicPtr::new(null_mut());

/// Runs a call over so many values, while other Python threads run.
pub(crate) fn run<T: Send>(
    py: Python<'_>,
    values: usize,
    call: impl FnOnce() -> Result<T, xent::Error> + Send,
) -> PyResult<T> {
    py.detach(|| match (values > SERIAL && !is_alone()).then(pool).flatten() {
        Some(pool) => pool.install(call),
        None => call(),
    })
    .map_err(to_py)
}

/// Whether there is to be one thread: then calls stay on the one that makes them, and are to be told so.
pub(crate) fn is_alone() -> bool {
    static ALONE: OnceLock<bool> = OnceLock::new();
    // As Rayon reads it.
    *ALONE.get_or_init(|| match std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok()) {
        Some(0) | None => std::thread::available_parallelism().is_ok_and(|n| n.get() == 1),
        Some(threads) => threads == 1_usize,
    })
}

/// The pool; none where no thread can be started.
fn pool() -> Option<&'static ThreadPool> {
    let mut pool = POOL.load(Ordering::Acquire);
    if pool.is_null() {
        let new = ThreadPoolBuilder::new().thread_name(|i| format!("xent-{i}")).build().ok()?;
        let new = Box::into_raw(Box::new(new));
        match POOL.compare_exchange(null_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => pool = new,
            Err(first) => {
                // SAFETY: it was made above, and nobody else has seen it.
                drop(unsafe { Box::from_raw(new) });
                pool = first;
            }
        }
    }
    // SAFETY: it is not null, and never freed.
    Some(unsafe { &*pool })
}

/// Leaves the pool behind, whose threads a forked process does not have: it makes one of its own.
#[pyfunction]
pub(crate) fn after_fork() {
    POOL.store(null_mut(), Ordering::Release);
}
