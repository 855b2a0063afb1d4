// SPDX-License-Identifier: Apache-2.0
//! Argument and environment vectors in the shape that execve(2) reads, made before the clone.
//! The environment has free slots and a buffer, so that variables can be added after the clone without allocation.

use super::checked;
use nix::errno::Errno;
use nix::libc;
use std::ffi::{CStr, CString, c_char};

/// A NULL-terminated vector of C strings that it owns.
#[derive(Debug)]
pub struct Vector {
    // The pointers below point into these and into `buffer`; none of them is moved or changed while they do:
    // moving a CString or a Box moves the owner, not the bytes.
    _strings: Vec<CString>,
    buffer: Box<[u8]>,
    pointers: Box<[*const c_char]>,
    /// How many were there from the beginning.
    own: usize,
    used: usize,
}

impl Vector {
    /// The vector of `strings`.
    pub fn new(strings: Vec<CString>) -> Self {
        Vector::with_slots(strings, 0, 0)
    }

    /// The vector of `strings`, with room for `slots` more in a buffer of `bytes`.
    pub fn with_slots(strings: Vec<CString>, slots: usize, bytes: usize) -> Self {
        let mut pointers: Vec<*const c_char> = strings.iter().map(|string| string.as_ptr()).collect();
        let used = pointers.len();
        pointers.resize(used + slots + 1, std::ptr::null());
        Vector { _strings: strings, buffer: vec![0; bytes].into(), pointers: pointers.into(), own: used, used }
    }

    /// Forgets every string that was added.
    pub fn forget_added(&mut self) {
        self.pointers[self.own..].fill(std::ptr::null());
        self.used = self.own;
    }

    /// Where the bytes of added strings are to be written.
    pub fn buffer(&mut self) -> &mut [u8] {
        &mut self.buffer
    }

    /// Adds every non-empty string of the first `length` bytes of the buffer. E2BIG where they are more than the
    /// slots, EINVAL where the last one has no NUL.
    pub fn add_from_buffer(&mut self, length: usize) -> Result<(), Errno> {
        let mut rest = self.buffer.get(..length).ok_or(Errno::E2BIG)?;
        while !rest.is_empty() {
            let string = CStr::from_bytes_until_nul(rest).map_err(|_| Errno::EINVAL)?;
            if !string.is_empty() {
                // The last pointer stays NULL: it is the vector's end.
                let last = self.pointers.len() - 1;
                let slot = self.pointers[..last].get_mut(self.used).ok_or(Errno::E2BIG)?;
                *slot = string.as_ptr();
                self.used += 1;
            }
            rest = &rest[string.count_bytes() + 1..];
        }
        Ok(())
    }

    fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}

/// execve(2): returns only on failure.
pub fn execute(program: &CStr, arguments: &Vector, environment: &Vector) -> Errno {
    // SAFETY: both vectors end with NULL, their strings with NUL, and all of them are alive.
    let result = unsafe { libc::syscall(libc::SYS_execve, program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    checked(result).err().unwrap_or(Errno::UnknownErrno)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(slots: usize, bytes: &[u8]) -> Result<usize, Errno> {
        let mut vector = Vector::with_slots(vec![c"A=1".into()], slots, 16);
        vector.buffer()[..bytes.len()].copy_from_slice(bytes);
        vector.add_from_buffer(bytes.len()).map(|()| vector.used)
    }

    #[test]
    fn strings_fill_the_slots_and_no_more() {
        assert_eq!(vector(1, b"B=2\0C=3\0"), Err(Errno::E2BIG));
        assert_eq!(vector(2, b"B=2"), Err(Errno::EINVAL));
        assert_eq!(vector(2, b"B=2\0C=3\0"), Ok(3));
        assert_eq!(vector(0, b"\0"), Ok(1));
    }
}
