//! What the vectors of x86-64 have in common: methods that are one intrinsic each.

/// Runs a value intrinsic.
macro_rules! proven {
    ($body:expr) => {
        // SAFETY: a token, or a vector made with one, exists only where detection found the features.
        unsafe { $body }
    };
}

/// Lane-by-lane methods of two vectors.
macro_rules! operations {
    ($($method:ident $intrinsic:ident),*) => {
        $(#[inline(always)]
        fn $method(self, other: Self) -> Self {
            proven!(Self($intrinsic(self.0, other.0)))
        })*
    };
}

/// The same of the bits as integers.
macro_rules! bit_operations {
    ($($method:ident $intrinsic:ident),*) => {
        $(#[inline(always)]
        fn $method(self, other: Self) -> Self {
            Self::of(proven!($intrinsic(self.integers(), other.integers())))
        })*
    };
}

/// The operators of a vector.
macro_rules! operators {
    ($vector:ident $($trait:ident $method:ident $intrinsic:ident),*) => {
        $(impl core::ops::$trait for $vector {
            type Output = Self;
            operations!($method $intrinsic);
        })*
    };
}

/// A vector's bits as integers, and back.
macro_rules! bits {
    ($vector:ident as $integers:ident by $to:ident and $from:ident) => {
        impl $vector {
            #[inline(always)]
            fn integers(self) -> $integers {
                proven!($to(self.0))
            }

            #[inline(always)]
            fn of(integers: $integers) -> Self {
                proven!(Self($from(integers)))
            }
        }
    };
}

/// As [`Simd::chosen`](super::Simd::chosen): no instruction, but to the compiler one that makes the address anew.
#[inline(always)]
#[allow(unsafe_code, reason = "a reference through an instruction that leaves it as it is")]
#[expect(clippy::pointers_in_nomem_asm_block, reason = "nothing is read there")]
pub(super) fn chosen<T>(one: &T) -> &T {
    let mut at = core::ptr::from_ref(one);
    // SAFETY: a comment does nothing, so that the address is still that of the reference.
    unsafe {
        core::arch::asm!("/* {} */", inout(reg) at, options(pure, nomem, nostack, preserves_flags));
        &*at
    }
}

pub(super) use {bit_operations, bits, operations, operators, proven};
