//! How a call went, and what it has to say about it.

use core::ffi::{CStr, c_char};
use std::cell::RefCell;
use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How a call went. Where it is not `XENT_OK`, nothing has been written, unless it is `XENT_PANIC`, and `xent_last_error` says
/// why.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum xent_status {
    /// All that was asked for has been written.
    XENT_OK = 0,
    /// A pointer is NULL that must not be.
    XENT_NULL = 1,
    /// A pointer is not aligned to the type that it points to.
    XENT_UNALIGNED = 2,
    /// Sizes or strides are beyond the address space.
    XENT_SIZE = 3,
    /// What is written overlaps with what is read, or with something else that is written.
    XENT_OVERLAP = 4,
    /// A type, shape, label or option is none that there is.
    XENT_INVALID = 5,
    /// There is not enough memory.
    XENT_OUT_OF_MEMORY = 6,
    /// A mistake of the library's. Please report it.
    XENT_PANIC = 7,
}

/// Why a call does not go.
pub(crate) struct Failure {
    pub(crate) status: xent_status,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(status: xent_status, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

impl From<xent::Error> for Failure {
    fn from(error: xent::Error) -> Self {
        let status = match error {
            xent::Error::OutOfMemory { .. } => xent_status::XENT_OUT_OF_MEMORY,
            xent::Error::SizeOverflow { .. } | xent::Error::AxesOverflow { .. } => xent_status::XENT_SIZE,
            _ => xent_status::XENT_INVALID,
        };
        Self::new(status, error.to_string())
    }
}

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// Runs a call, keeps what went wrong for `xent_last_error`, and lets no panic out.
pub(crate) fn guarded(call: impl FnOnce() -> Result<(), Failure>) -> xent_status {
    // What a call leaves half done after a panic is only what it was to write.
    let result = catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<&str>().map(ToString::to_string);
        let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(Failure::new(xent_status::XENT_PANIC, said))
    });
    let (status, message) = match result {
        Ok(()) => (xent_status::XENT_OK, String::new()),
        Err(Failure { status, message }) => (status, message),
    };
    let message = CString::new(message.replace('\0', "\\0")).unwrap_or_default();
    // Where the thread is about to end there may be no place for it any more.
    let _ = LAST.try_with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            *last = message;
        }
    });
    status
}

/// What went wrong in the last call of this thread: a sentence, or an empty string where it went well. It is there until
/// this thread's next call; do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn xent_last_error() -> *const c_char {
    const NOTHING: &CStr = c"";
    LAST.try_with(|last| last.try_borrow().map_or(NOTHING.as_ptr(), |last| last.as_ptr()))
        .unwrap_or(NOTHING.as_ptr())
}
