// SPDX-License-Identifier: Apache-2.0
//! The main program under an allocator that aborts when a child allocates or frees between its clone and its exec.
//! A child is a copy of its launcher, locks of the allocator included, and whoever holds them is not there any more.
//! With `allocate` as its only argument it does what a step must never do, to show that this is noticed.
// A global allocator is an unsafe trait; this program is never installed.
#![allow(unsafe_code)]

use spawnbox::sandbox::AFTER_CLONE;
use std::alloc::{GlobalAlloc, Layout, System};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

struct Guard;

#[global_allocator]
static GUARD: Guard = Guard;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|word| word == "allocate") {
        AFTER_CLONE.store(true, Ordering::Relaxed);
        drop(std::hint::black_box(Box::new(1)));
    }
    spawnbox::front::main()
}

/// Ends a child that came here after its clone. No words: making them would allocate.
fn check() {
    if AFTER_CLONE.load(Ordering::Relaxed) {
        std::process::abort();
    }
}

// SAFETY: every call goes to the system allocator unchanged, or the process is gone.
unsafe impl GlobalAlloc for Guard {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        check();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        check();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
