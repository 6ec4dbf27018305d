//! An allocator that puts memory right before, or right behind, a page that nothing may touch.
//!
//! Fenced memory is taken from one reserved range of addresses and never given out twice, so that a use after it was
//! freed is a fault as well.

#![allow(unsafe_code, reason = "an allocator; each use says why")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::{null_mut, without_provenance_mut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// Where memory lies in its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fence {
    /// A forbidden page begins where the memory ends.
    Behind,
    /// A forbidden page ends where the memory begins.
    Before,
}

/// Addresses that are reserved: what all tests together take.
const RANGE: usize = 16 << 30;

/// What is allocated from now on: 0 is the system's.
static PLACEMENT: AtomicU8 = AtomicU8::new(0);
/// How much of the range has been given out.
static TAKEN: AtomicUsize = AtomicUsize::new(0);
/// The address of the range, none of it accessible.
static BASE: OnceLock<usize> = OnceLock::new();

/// Runs `work` with everything that is allocated, in any thread, behind fences.
pub(crate) fn fenced<T>(fence: Fence, work: impl FnOnce() -> T) -> T {
    reserved();
    let before = PLACEMENT.swap(if fence == Fence::Behind { 1 } else { 2 }, Ordering::SeqCst);
    assert_eq!(before, 0, "one fence at a time");
    let result = work();
    PLACEMENT.store(0, Ordering::SeqCst);
    result
}

/// Whether the memory of a slice is followed, or preceded, by a forbidden page.
pub(crate) fn is_fenced<T>(fence: Fence, values: &[T]) -> bool {
    let range = values.as_ptr_range();
    let in_range = |address: usize| (reserved()..reserved() + RANGE).contains(&address);
    let edge = if fence == Fence::Behind { range.end.addr() } else { range.start.addr() };
    in_range(range.start.addr()) && edge.is_multiple_of(page())
}

fn page() -> usize {
    static PAGE: OnceLock<usize> = OnceLock::new();
    *PAGE.get_or_init(|| {
        // SAFETY: a question without arguments that point anywhere.
        usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).expect("a size")
    })
}

fn reserved() -> usize {
    *BASE.get_or_init(|| {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the system's choice, which touches no other.
        let base = unsafe { libc::mmap(null_mut(), RANGE, libc::PROT_NONE, flags, -1, 0) };
        assert_ne!(base, libc::MAP_FAILED, "no addresses");
        base.addr()
    })
}

/// The pages of some memory, from the first to the last that it touches.
fn pages(start: usize, size: usize) -> (*mut libc::c_void, usize) {
    let first = start - start % page();
    let end = (start + size).next_multiple_of(page());
    (without_provenance_mut(first), end - first)
}

pub(crate) struct Allocator;

// SAFETY: memory is the system's, or pages that are given out once, large enough and aligned as asked.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let placement = PLACEMENT.load(Ordering::SeqCst);
        if placement == 0 || layout.align() > page() {
            // SAFETY: the caller's promises are the system allocator's.
            return unsafe { System.alloc(layout) };
        }
        let room = layout.size().next_multiple_of(page());
        // One forbidden page lies between any two.
        let offset = TAKEN.fetch_add(room + page(), Ordering::SeqCst);
        if offset + room + page() > RANGE {
            return null_mut();
        }
        let first = reserved() + page() + offset;
        let size = layout.size().next_multiple_of(layout.align());
        let start = if placement == 1 { first + room - size } else { first };
        let (from, len) = pages(start, layout.size());
        // SAFETY: these pages are in the reserved range and nobody else's.
        let done = unsafe { libc::mprotect(from, len, libc::PROT_READ | libc::PROT_WRITE) };
        if done == 0 { without_provenance_mut(start) } else { null_mut() }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        let base = BASE.get().copied().unwrap_or(usize::MAX);
        if memory.addr().wrapping_sub(base) >= RANGE {
            // SAFETY: it is not of the range, so it is the system's.
            return unsafe { System.dealloc(memory, layout) };
        }
        let (from, len) = pages(memory.addr(), layout.size());
        // SAFETY: these pages were this memory's alone, which nobody may use any more.
        unsafe {
            libc::madvise(from, len, libc::MADV_DONTNEED);
            libc::mprotect(from, len, libc::PROT_NONE);
        }
    }
}
