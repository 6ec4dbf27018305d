//! Options of the loss, as a handle: settings that C sets one by one, and the crate's options that they become for each call.

use core::ffi::{CStr, c_char};

use xent::{Backend, CrossEntropy, Denominator, Error, Reduction, Smoothing, TokenLogProbs};

use crate::memory::{Memory, unknown};
use crate::status::{Failure, guarded, xent_status};
use crate::{
    XENT_REDUCTION_MEAN, XENT_REDUCTION_NONE, XENT_REDUCTION_SUM, XENT_SMOOTHING_OTHERS,
    XENT_SMOOTHING_UNIFORM,
};

/// Options of the loss. Made by `xent_options_new`; several threads may use the same ones as long as none changes them.
#[derive(Clone, Default)]
pub struct xent_options {
    reduction: Reduction,
    denominator: Option<f64>,
    ignored: Option<i64>,
    smoothing: Option<(f64, Smoothing)>,
    z_loss: Option<f64>,
    temperature: Option<f64>,
    soft_cap: Option<f64>,
    upstream: Option<f32>,
    class_weights: Option<Vec<f32>>,
    row_weights: Option<Vec<f32>>,
    class_mask: Option<Vec<bool>>,
    pub(crate) backend: Option<Backend>,
    pub(crate) serial: bool,
}

impl xent_options {
    /// What the crate makes of the settings.
    pub(crate) fn loss(&self) -> Result<CrossEntropy<'_>, Error> {
        let mut loss = CrossEntropy::new().reduction(self.reduction);
        if let Some(denominator) = self.denominator {
            loss = loss.denominator(Denominator::Given(denominator))?;
        }
        if let Some(label) = self.ignored {
            loss = loss.ignore_index(label);
        }
        if let Some((epsilon, smoothing)) = self.smoothing {
            loss = loss.label_smoothing(epsilon, smoothing)?;
        }
        if let Some(scale) = self.z_loss {
            loss = loss.z_loss(scale)?;
        }
        if let Some(temperature) = self.temperature {
            loss = loss.temperature(temperature)?;
        }
        if let Some(cap) = self.soft_cap {
            loss = loss.soft_cap(cap)?;
        }
        if let Some(upstream) = self.upstream {
            loss = loss.upstream(upstream);
        }
        if let Some(weights) = &self.class_weights {
            loss = loss.class_weights(weights)?;
        }
        if let Some(weights) = &self.row_weights {
            loss = loss.row_weights(weights)?;
        }
        if let Some(mask) = &self.class_mask {
            loss = loss.class_mask(mask);
        }
        Ok(loss)
    }

    /// Whether logits are changed before anything is made of them.
    pub(crate) const fn maps(&self) -> bool {
        self.temperature.is_some() || self.soft_cap.is_some() || self.class_mask.is_some()
    }

    /// The settings that log-probabilities of tokens have.
    pub(crate) fn tokens(&self) -> Result<TokenLogProbs<'_>, Error> {
        let mut tokens = TokenLogProbs::new();
        if let Some(token) = self.ignored {
            tokens = tokens.ignore_index(token);
        }
        if let Some(temperature) = self.temperature {
            tokens = tokens.temperature(temperature)?;
        }
        if let Some(cap) = self.soft_cap {
            tokens = tokens.soft_cap(cap)?;
        }
        if let Some(mask) = &self.class_mask {
            tokens = tokens.class_mask(mask);
        }
        Ok(tokens)
    }
}

/// Borrows the options of a call.
///
/// # Safety
///
/// Unless it is NULL, `options` is from `xent_options_new`, and nobody changes or frees it meanwhile.
pub(crate) unsafe fn borrowed<'a>(options: *const xent_options) -> Option<&'a xent_options> {
    // SAFETY: the caller's word.
    unsafe { options.as_ref() }
}

/// Changes options, unless what they become is refused: then they stay as they were.
///
/// # Safety
///
/// Unless it is NULL, `options` is from `xent_options_new`, and nobody else uses it meanwhile.
unsafe fn change(
    options: *mut xent_options,
    setting: impl FnOnce(&mut xent_options) -> Result<(), Failure>,
) -> xent_status {
    guarded(|| {
        // SAFETY: the caller's word.
        let options = unsafe { options.as_mut() };
        let options = options.ok_or_else(|| Failure::new(xent_status::XENT_NULL, "the options are NULL"))?;
        let mut changed = options.clone();
        setting(&mut changed)?;
        changed.loss()?;
        *options = changed;
        Ok(())
    })
}

/// New options: those of a plain loss. NULL where there is no memory.
#[unsafe(no_mangle)]
pub extern "C" fn xent_options_new() -> *mut xent_options {
    let mut made = core::ptr::null_mut();
    guarded(|| {
        made = Box::into_raw(Box::default());
        Ok(())
    });
    made
}

/// Frees options. NULL is nothing to free.
///
/// # Safety
///
/// `options` is NULL, or from `xent_options_new` and not freed before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_options_free(options: *mut xent_options) {
    if !options.is_null() {
        // SAFETY: it comes from `Box::into_raw`, and is not used any more.
        drop(unsafe { Box::from_raw(options) });
    }
}

/// `XENT_REDUCTION_NONE`, `XENT_REDUCTION_SUM` or `XENT_REDUCTION_MEAN`.
///
/// # Safety
///
/// `options` is NULL, or from `xent_options_new` and used by nobody else meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_options_set_reduction(
    options: *mut xent_options,
    reduction: u32,
) -> xent_status {
    // SAFETY: the caller's word.
    unsafe {
        change(options, |options| {
            options.reduction = match reduction {
                XENT_REDUCTION_NONE => Reduction::None,
                XENT_REDUCTION_SUM => Reduction::Sum,
                XENT_REDUCTION_MEAN => Reduction::Mean,
                _ => return Err(unknown("reduction", reduction, "one of XENT_REDUCTION_")),
            };
            Ok(())
        })
    }
}

/// Moves a part `epsilon`, 0 to 1, of each label's mass to other classes: `XENT_SMOOTHING_UNIFORM` or `XENT_SMOOTHING_OTHERS`.
///
/// # Safety
///
/// As `xent_options_set_reduction`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_options_set_label_smoothing(
    options: *mut xent_options,
    epsilon: f64,
    smoothing: u32,
) -> xent_status {
    // SAFETY: the caller's word.
    unsafe {
        change(options, |options| {
            let smoothing = match smoothing {
                XENT_SMOOTHING_UNIFORM => Smoothing::Uniform,
                XENT_SMOOTHING_OTHERS => Smoothing::Others,
                _ => return Err(unknown("smoothing", smoothing, "one of XENT_SMOOTHING_")),
            };
            options.smoothing = Some((epsilon, smoothing));
            Ok(())
        })
    }
}

/// Sets an option that is one number.
///
/// # Safety
///
/// As `change`.
unsafe fn set(options: *mut xent_options, setting: impl FnOnce(&mut xent_options)) -> xent_status {
    // SAFETY: the caller's word.
    unsafe {
        change(options, |options| {
            setting(options);
            Ok(())
        })
    }
}

/// What a mean divides by, in place of the number of rows: a positive number, such as that of the rows of all machines.
///
/// # Safety
///
/// As `xent_options_set_reduction`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_options_set_denominator(
    options: *mut xent_options,
    denominator: f64,
) -> xent_status {
    // SAFETY: the caller's word.
    unsafe { set(options, |options| options.denominator = Some(denominator)) }
}

/// The label of rows that take no part: any number.
///
/// # Safety
///
/// As `xent_options_set_reduction`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_options_set_ignore_index(
    options: *mut xent_options,
    ignored: i64,
) -> xent_status {
    // SAFETY: the caller's word.
    unsafe { set(options, |options| options.ignored = Some(ignored)) }
}

/// Adds `z_loss` times the square of the log-sum-exp to each loss: a number of at least 0.
///
/// # Safety
///
/// As `xent_options_set_reduction`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_options_set_z_loss(options: *mut xent_options, z_loss: f64) -> xent_status {
    // SAFETY: the caller's word.
    unsafe { set(options, |options| options.z_loss = Some(z_loss)) }
}

/// Divides logits by a positive number, after the soft cap.
///
/// # Safety
///
/// As `xent_options_set_reduction`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_options_set_temperature(
    options: *mut xent_options,
    temperature: f64,
) -> xent_status {
    // SAFETY: the caller's word.
    unsafe { set(options, |options| options.temperature = Some(temperature)) }
}

/// Makes of each logit `soft_cap * tanh(logit / soft_cap)`: a positive number.
///
/// # Safety
///
/// As `xent_options_set_reduction`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_options_set_soft_cap(options: *mut xent_options, soft_cap: f64) -> xent_status {
    // SAFETY: the caller's word.
    unsafe { set(options, |options| options.soft_cap = Some(soft_cap)) }
}

/// What gradients are multiplied by: the gradient of what is made of the loss.
///
/// # Safety
///
/// As `xent_options_set_reduction`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_options_set_upstream(options: *mut xent_options, upstream: f32) -> xent_status {
    // SAFETY: the caller's word.
    unsafe { set(options, |options| options.upstream = Some(upstream)) }
}

/// One weight for each class, which is copied; NULL for none.
///
/// # Safety
///
/// As `xent_options_set_reduction`, and there are `len` weights.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_options_set_class_weights(
    options: *mut xent_options,
    weights: *const f32,
    len: usize,
) -> xent_status {
    // SAFETY: the caller's word.
    unsafe {
        change(options, |options| {
            options.class_weights = copied("class weights", weights, len)?;
            Ok(())
        })
    }
}

/// One weight for each row, which is copied; NULL for none. A row of weight 0 is not read.
///
/// # Safety
///
/// As `xent_options_set_class_weights`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_options_set_row_weights(
    options: *mut xent_options,
    weights: *const f32,
    len: usize,
) -> xent_status {
    // SAFETY: the caller's word.
    unsafe {
        change(options, |options| {
            options.row_weights = copied("row weights", weights, len)?;
            Ok(())
        })
    }
}

/// Which classes take part: those whose byte is not 0. The bytes are copied; NULL for all classes.
///
/// # Safety
///
/// As `xent_options_set_reduction`, and there are `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_options_set_class_mask(
    options: *mut xent_options,
    mask: *const u8,
    len: usize,
) -> xent_status {
    // SAFETY: the caller's word.
    unsafe {
        change(options, |options| {
            let mask = copied("class mask", mask, len)?;
            options.class_mask = mask.map(|mask| mask.iter().map(|byte| *byte != 0).collect());
            Ok(())
        })
    }
}

/// The backend that calls run on, `"avx2"` or `"portable"` for instance; NULL for the best there is.
///
/// # Safety
///
/// As `xent_options_set_reduction`, and `name` is a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_options_set_backend(
    options: *mut xent_options,
    name: *const c_char,
) -> xent_status {
    // SAFETY: the caller's word.
    unsafe {
        change(options, |options| {
            options.backend = if name.is_null() {
                None
            } else {
                Some(CStr::from_ptr(name).to_string_lossy().parse::<Backend>()?)
            };
            Ok(())
        })
    }
}

/// Whether calls run on the calling thread alone: 0 for no, anything else for yes.
///
/// # Safety
///
/// As `xent_options_set_reduction`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_options_set_on_this_thread(
    options: *mut xent_options,
    alone: u32,
) -> xent_status {
    // SAFETY: the caller's word.
    unsafe {
        change(options, |options| {
            options.serial = alone != 0;
            Ok(())
        })
    }
}

/// Copies values, unless there are none.
///
/// # Safety
///
/// Unless it is NULL or refused, there are `len` values from `data` on.
unsafe fn copied<T: Clone>(what: &str, data: *const T, len: usize) -> Result<Option<Vec<T>>, Failure> {
    if data.is_null() {
        return Ok(None);
    }
    // SAFETY: the same promise.
    let values = unsafe { Memory::default().slice(what, data, len)? };
    let mut copy = Vec::new();
    let refused = |_| Failure::new(xent_status::XENT_OUT_OF_MEMORY, format!("no memory for {len} values"));
    copy.try_reserve_exact(len).map_err(refused)?;
    copy.extend_from_slice(values);
    Ok(Some(copy))
}
