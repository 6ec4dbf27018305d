//! Which instruction set runs: detection, the environment's word, and the one dispatch.

use core::fmt;
use core::str::FromStr;
use std::sync::OnceLock;

use super::portable::{self, Portable};
use super::scalar::Scalar;
use super::{Kernel, Simd};
#[cfg(target_arch = "x86_64")]
use super::{avx2::Avx2, avx512::Avx512};
use crate::Error;

/// An instruction set that the kernels can run on.
///
/// The best one that the CPU has is detected at run time: [`Backend::Avx512`], else
/// [`Backend::Avx2`], else [`Backend::Portable`] where it has vector instructions, else
/// [`Backend::Scalar`]. The environment variable `XENT_BACKEND` names another one for the whole
/// process (it is read once, at the first use), and [`Rows::with_backend`](crate::Rows::with_backend)
/// for one call.
///
/// All backends that [fuse multiply-add](Backend::is_fused) give the same bits.
///
/// ```
/// use xent::{Backend, Rows, softmax};
///
/// for backend in Backend::available() {
///     let logits = Rows::new(&[1.0, 2.0, 3.0], 1, 3)?.with_backend(backend);
///     assert!((softmax(logits)?[2] - 0.665_240_94).abs() < 1e-6, "{backend}");
/// }
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// One lane at a time, fused multiply-add in software where the CPU has none. Slow; the reference.
    Scalar,
    /// The `wide` crate's lanes: the instructions known when the crate was built (SSE2 on x86-64,
    /// NEON on `AArch64`).
    Portable,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// AVX-512 as on Ice Lake and later.
    Avx512,
}

impl Backend {
    /// All backends, slowest first, whether the CPU has them or not.
    pub const ALL: [Self; 4] = [Self::Scalar, Self::Portable, Self::Avx2, Self::Avx512];

    /// The name, as `XENT_BACKEND` takes it: `scalar`, `portable`, `avx2` or `avx512`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// The backends that this CPU can run, slowest first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|backend| backend.is_available())
    }

    /// Whether this CPU can run the backend.
    #[must_use]
    pub fn is_available(self) -> bool {
        self.token().is_ok()
    }

    /// Whether multiply-add rounds once on this backend. Fused backends give the same bits.
    #[must_use]
    pub const fn is_fused(self) -> bool {
        match self {
            Self::Portable => Portable::FUSED,
            Self::Scalar | Self::Avx2 | Self::Avx512 => true,
        }
    }

    /// The backend of every call that does not choose its own: what `XENT_BACKEND` names, else the
    /// best that was detected.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownBackend`] or [`Error::UnavailableBackend`] where `XENT_BACKEND` holds no name
    /// of a backend, or one that this CPU cannot run.
    ///
    /// ```
    /// println!("running on {}", xent::Backend::selected()?);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn selected() -> Result<Self, Error> {
        Ok(Token::selected()?.backend())
    }

    /// The proof for this backend, where the CPU has it.
    pub(crate) fn token(self) -> Result<Token, Error> {
        let token = match self {
            Self::Scalar => Some(Token::Scalar(Scalar)),
            Self::Portable => Some(Token::Portable(Portable)),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Avx2::detect().map(Token::Avx2),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Avx512::detect().map(Token::Avx512),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => None,
        };
        token.ok_or(Error::UnavailableBackend { backend: self })
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Backend {
    type Err = Error;

    /// Reads a [name](Backend::name). Upper and lower case are different.
    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|backend| backend.name() == name)
            .ok_or_else(|| Error::UnknownBackend { name: name.into() })
    }
}

/// A backend that is known to run here.
#[derive(Clone, Copy)]
pub(crate) enum Token {
    Scalar(Scalar),
    Portable(Portable),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl Token {
    /// The process's choice. The environment is read once, so a later change has no effect.
    pub(crate) fn selected() -> Result<Self, Error> {
        static SELECTED: OnceLock<Result<Token, Error>> = OnceLock::new();
        SELECTED
            .get_or_init(|| match std::env::var_os("XENT_BACKEND") {
                Some(name) if !name.is_empty() => name.to_string_lossy().parse::<Backend>()?.token(),
                _ => Ok(Self::detect()),
            })
            .clone()
    }

    /// The best backend of this CPU.
    fn detect() -> Self {
        [Backend::Avx512, Backend::Avx2]
            .into_iter()
            .find_map(|backend| backend.token().ok())
            .unwrap_or(if portable::VECTORISED { Self::Portable(Portable) } else { Self::Scalar(Scalar) })
    }

    pub(crate) fn backend(self) -> Backend {
        match self {
            Self::Scalar(_) => Backend::Scalar,
            Self::Portable(_) => Backend::Portable,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => Backend::Avx2,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => Backend::Avx512,
        }
    }

    /// Whether speed is not what this backend's code is spent on.
    pub(crate) fn is_small(self) -> bool {
        matches!(self, Self::Scalar(_)) || matches!(self, Self::Portable(_) if Portable::SMALL)
    }

    /// Runs the kernel on this backend.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Self::Scalar(simd) => simd.run(kernel),
            Self::Portable(_) if !K::VECTORS => Scalar.run(kernel),
            Self::Portable(simd) => simd.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => simd.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => simd.run(kernel),
        }
    }
}
