// SPDX-License-Identifier: Apache-2.0
//! The kernel's classic BPF, as far as seccomp(2) allows it and a filter uses it.
//! Refuses whatever the kernel's checker would refuse, by panicking.

use nix::libc;

/// What the kernel tells a filter of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub number: u32,
    pub architecture: u32,
    pub arguments: [u64; 6],
}

impl Call {
    /// The word at this offset of `struct seccomp_data`.
    fn word(&self, offset: u32) -> u32 {
        assert!(offset < 64 && offset.is_multiple_of(4), "load at {offset}");
        match offset {
            0 => self.number,
            4 => self.architecture,
            // The address that the call was made from.
            8 | 12 => 0x5555_5555,
            _ => {
                let argument = self.arguments[(offset as usize - 16) / 8];
                if offset.is_multiple_of(8) { argument as u32 } else { (argument >> 32) as u32 }
            }
        }
    }
}

/// What the program answers, and how many instructions that took.
pub(super) fn run(program: &[libc::sock_filter], call: Call) -> (u32, usize) {
    let (mut accumulator, mut at) = (0u32, 0usize);
    for steps in 1.. {
        let libc::sock_filter { code, jt, jf, k } = program[at];
        at += 1;
        let branch = |taken: bool| usize::from(if taken { jt } else { jf });
        match code {
            0x20 => accumulator = call.word(k),
            0x54 => accumulator &= k,
            0x05 => at += k as usize,
            0x15 => at += branch(accumulator == k),
            0x25 => at += branch(accumulator > k),
            0x35 => at += branch(accumulator >= k),
            0x45 => at += branch(accumulator & k != 0),
            0x06 => return (k, steps),
            other => panic!("instruction {other:#x}"),
        }
    }
    unreachable!("a jump goes forward only, so a program ends")
}
