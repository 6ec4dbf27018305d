//! The operations.

use xent::{Rows, RowsMut, TokenOutputs};

use crate::memory::{Memory, read, xent_labels, xent_rows, xent_summary};
use crate::options::{borrowed, xent_options};
use crate::status::{Failure, guarded, xent_status};

/// Runs calls where the options say.
fn placed<'a>(options: &xent_options, rows: Rows<'a>) -> Rows<'a> {
    let rows = options.backend.map_or(rows, |backend| rows.with_backend(backend));
    if options.serial { rows.on_this_thread() } else { rows }
}

/// As [`placed`].
fn placed_mut<'a>(options: &xent_options, rows: RowsMut<'a>) -> RowsMut<'a> {
    let rows = match options.backend {
        Some(backend) => rows.with_backend(backend),
        None => rows,
    };
    if options.serial { rows.on_this_thread() } else { rows }
}

/// Logits, and results that go elsewhere or over them.
enum Buffers<'a> {
    Apart(Rows<'a>, RowsMut<'a>),
    Over(RowsMut<'a>),
}

/// Lends both: over the logits where both are the same memory.
///
/// # Safety
///
/// Unless they are refused, there are values where both say, which nobody else uses as long as the call takes.
unsafe fn buffers<'a>(
    memory: &mut Memory,
    options: &xent_options,
    logits: *const xent_rows,
    results: *const xent_rows,
) -> Result<Buffers<'a>, Failure> {
    // SAFETY: the same promise, in all four.
    unsafe {
        let (logits, results) = (read("logits", logits)?, read("results", results)?);
        let layout = |rows: &xent_rows| {
            (rows.data, rows.dtype, rows.rows, rows.classes, rows.row_stride, rows.class_stride)
        };
        if layout(&logits) == layout(&results) {
            return Ok(Buffers::Over(placed_mut(options, memory.rows_mut("logits", logits)?)));
        }
        let logits = placed(options, memory.rows("logits", logits)?);
        Ok(Buffers::Apart(logits, memory.rows_mut("results", results)?))
    }
}

/// The loss of each row, in nats, and what they add up to. `options` may be NULL for a plain loss, `summary` where it is not
/// wanted.
///
/// # Safety
///
/// `logits` and `labels` are there, and the memory that they describe; `losses` has a float for each row.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_loss(
    options: *const xent_options,
    logits: *const xent_rows,
    labels: *const xent_labels,
    losses: *mut f32,
    summary: *mut xent_summary,
) -> xent_status {
    guarded(|| {
        let (mut memory, plain) = (Memory::default(), xent_options::default());
        // SAFETY: the caller's word, in all of them.
        let (options, logits, labels, losses, summary) = unsafe {
            let options = borrowed(options).unwrap_or(&plain);
            let logits = placed(options, memory.rows("logits", read("logits", logits)?)?);
            let labels = memory.labels(read("labels", labels)?)?;
            let losses = memory.slice_mut("losses", losses, logits.rows())?;
            (options, logits, labels, losses, memory.optional("summary", summary, 1)?)
        };
        let result = options.loss()?.loss_into(labels, logits, losses)?;
        summary.into_iter().flatten().for_each(|to| *to = (&result).into());
        Ok(())
    })
}

/// As `xent_loss`, with the gradient of the reduced loss with respect to the logits: of their shape, elsewhere, or over the
/// logits where `gradient` describes the same memory.
///
/// # Safety
///
/// As `xent_loss`, and for `gradient`; nobody else uses what lies between its first value and its last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_loss_and_gradient(
    options: *const xent_options,
    logits: *const xent_rows,
    labels: *const xent_labels,
    losses: *mut f32,
    gradient: *const xent_rows,
    summary: *mut xent_summary,
) -> xent_status {
    guarded(|| {
        let (mut memory, plain) = (Memory::default(), xent_options::default());
        // SAFETY: the caller's word, in all of them.
        let (options, buffers, labels, losses, summary) = unsafe {
            let options = borrowed(options).unwrap_or(&plain);
            let labels = memory.labels(read("labels", labels)?)?;
            let buffers = buffers(&mut memory, options, logits, gradient)?;
            let rows = match &buffers {
                Buffers::Apart(logits, _) => logits.rows(),
                Buffers::Over(logits) => logits.as_rows().rows(),
            };
            let losses = memory.slice_mut("losses", losses, rows)?;
            (options, buffers, labels, losses, memory.optional("summary", summary, 1)?)
        };
        let loss = options.loss()?;
        let result = match buffers {
            Buffers::Apart(logits, gradient) => {
                loss.loss_and_gradient_into(labels, logits, losses, gradient)?
            }
            Buffers::Over(logits) => loss.loss_and_gradient_in_place(labels, logits, losses)?,
        };
        summary.into_iter().flatten().for_each(|to| *to = (&result).into());
        Ok(())
    })
}

/// The probabilities of each row, after temperature, soft cap and mask: elsewhere, or, without these options, over the logits
/// where `results` describes the same memory.
///
/// # Safety
///
/// As `xent_loss_and_gradient`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_softmax(
    options: *const xent_options,
    logits: *const xent_rows,
    results: *const xent_rows,
) -> xent_status {
    // SAFETY: the caller's word.
    unsafe { probabilities(options, logits, results, false) }
}

/// As `xent_softmax`, the logarithms.
///
/// # Safety
///
/// As `xent_loss_and_gradient`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_log_softmax(
    options: *const xent_options,
    logits: *const xent_rows,
    results: *const xent_rows,
) -> xent_status {
    // SAFETY: the caller's word.
    unsafe { probabilities(options, logits, results, true) }
}

/// # Safety
///
/// As `xent_loss_and_gradient`.
unsafe fn probabilities(
    options: *const xent_options,
    logits: *const xent_rows,
    results: *const xent_rows,
    logarithms: bool,
) -> xent_status {
    guarded(|| {
        let (mut memory, plain) = (Memory::default(), xent_options::default());
        // SAFETY: the caller's word, in both.
        let (options, buffers) = unsafe {
            let options = borrowed(options).unwrap_or(&plain);
            (options, buffers(&mut memory, options, logits, results)?)
        };
        let loss = options.loss()?;
        match (buffers, logarithms) {
            (Buffers::Apart(logits, results), false) => loss.probabilities_into(logits, results)?,
            (Buffers::Apart(logits, results), true) => loss.log_probabilities_into(logits, results)?,
            (Buffers::Over(_), _) if options.maps() => {
                let message = "logits that temperature, soft cap or mask change are not overwritten; expected results elsewhere";
                return Err(Failure::new(xent_status::XENT_OVERLAP, message));
            }
            (Buffers::Over(logits), false) => xent::softmax_in_place(logits)?,
            (Buffers::Over(logits), true) => xent::log_softmax_in_place(logits)?,
        }
        Ok(())
    })
}

/// Runs an operation that gives one result for each row.
///
/// # Safety
///
/// As `xent_log_sum_exp`, with results of this type.
unsafe fn row_results<T>(
    options: *const xent_options,
    logits: *const xent_rows,
    results: *mut T,
    run: impl FnOnce(xent::Rows<'_>, &mut [T]) -> Result<(), xent::Error>,
) -> xent_status {
    guarded(|| {
        let (mut memory, plain) = (Memory::default(), xent_options::default());
        // SAFETY: the caller's word, in all of them.
        let (logits, results) = unsafe {
            let options = borrowed(options).unwrap_or(&plain);
            let logits = placed(options, memory.rows("logits", read("logits", logits)?)?);
            (logits, memory.slice_mut("results", results, logits.rows())?)
        };
        Ok(run(logits, results)?)
    })
}

/// `ln sum e^x` of each row, without options but those of where it runs.
///
/// # Safety
///
/// `logits` is there, and the memory that it describes; `results` has a float for each row.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_log_sum_exp(
    options: *const xent_options,
    logits: *const xent_rows,
    results: *mut f32,
) -> xent_status {
    // SAFETY: the caller's word.
    unsafe { row_results(options, logits, results, xent::log_sum_exp_into) }
}

/// The class of each row's largest logit: of the first NaN, else of the first largest one.
///
/// # Safety
///
/// As `xent_log_sum_exp`, with a `size_t` for each row.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_argmax(
    options: *const xent_options,
    logits: *const xent_rows,
    results: *mut usize,
) -> xent_status {
    // SAFETY: the caller's word.
    unsafe { row_results(options, logits, results, xent::argmax_into) }
}

/// What is read of the logits of tokens, in one pass. Each pointer may be NULL for what is not wanted.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct xent_token_outputs {
    /// The log-probability of each row's chosen token.
    pub chosen: *mut f32,
    /// How many logits of each row are above that of its chosen token.
    pub above: *mut u32,
    /// How many equal it, itself among them.
    pub equal: *mut u32,
    /// How many of the most probable tokens are wanted of each row.
    pub top: usize,
    /// Those tokens, rows * top, in falling order; `UINT32_MAX` after all that take part.
    pub top_ids: *mut u32,
    /// Their log-probabilities, rows * top.
    pub top_logprobs: *mut f32,
    /// The entropy of each row.
    pub entropy: *mut f32,
    /// `ln sum e^x` of each row.
    pub log_sum_exp: *mut f32,
}

/// Log-probabilities of tokens: of the chosen one, with its rank, and of the most probable ones. `chosen` may be NULL where
/// nothing is wanted of chosen tokens. Of the options temperature, soft cap, mask and the ignored label count.
///
/// # Safety
///
/// `logits`, `outputs` and, unless it is NULL, `chosen` are there, and the memory that they describe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_token_logprobs(
    options: *const xent_options,
    logits: *const xent_rows,
    chosen: *const xent_labels,
    outputs: *const xent_token_outputs,
) -> xent_status {
    guarded(|| {
        let (mut memory, plain) = (Memory::default(), xent_options::default());
        // SAFETY: the caller's word, in all of them.
        unsafe {
            let options = borrowed(options).unwrap_or(&plain);
            let logits = placed(options, memory.rows("logits", read("logits", logits)?)?);
            let (rows, outputs) = (logits.rows(), read("outputs", outputs)?);
            let mut wanted = TokenOutputs::new();
            if let Some(to) = memory.optional("chosen log-probabilities", outputs.chosen, rows)? {
                wanted = wanted.chosen(memory.labels(read("chosen tokens", chosen)?)?, to);
            }
            let above = memory.optional("above", outputs.above, rows)?;
            match (above, memory.optional("equal", outputs.equal, rows)?) {
                (Some(above), Some(equal)) => wanted = wanted.rank(above, equal),
                (None, None) => {}
                _ => return Err(one_alone("above and equal")),
            }
            let room = || rows.checked_mul(outputs.top);
            let room =
                room().ok_or_else(|| Failure::new(xent_status::XENT_SIZE, "rows times top is too large"))?;
            let ids = memory.optional("top ids", outputs.top_ids, room)?;
            match (ids, memory.optional("top log-probabilities", outputs.top_logprobs, room)?) {
                (Some(ids), Some(logprobs)) => wanted = wanted.top(outputs.top, ids, logprobs),
                (None, None) if outputs.top == 0 => {}
                _ => return Err(one_alone("top, top_ids and top_logprobs")),
            }
            if let Some(to) = memory.optional("entropy", outputs.entropy, rows)? {
                wanted = wanted.entropy(to);
            }
            if let Some(to) = memory.optional("log-sum-exp", outputs.log_sum_exp, rows)? {
                wanted = wanted.log_sum_exp(to);
            }
            Ok(options.tokens()?.read_into(logits, wanted)?)
        }
    })
}

fn one_alone(what: &str) -> Failure {
    Failure::new(
        xent_status::XENT_NULL,
        format!("{what}: one is given without the other; expected all or none"),
    )
}
