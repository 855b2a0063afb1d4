// SPDX-License-Identifier: Apache-2.0
//! Calls that any user may make and that have been the way in again and again: programs in the kernel, rings, faults,
//! counters, placement of memory, watches; and other ways into the same kernel.

use crate::attempt::{Attempt, Verdict, denied, served, together};
use crate::kernel::{at, call, into};
use nix::errno::Errno;
use nix::libc;

const SELF: u64 = 0;

pub(crate) const ALL: &[Attempt] = &[
    together("call: bpf", |_| {
        // BPF_MAP_CREATE of an array of one.
        let attributes = [2_u32, 4, 8, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        call(libc::SYS_bpf, &[0, at(&attributes), size_of_val(&attributes) as u64]).into()
    }),
    together("call: bpf, loading a socket filter", |_| {
        // r0 = 0; exit
        let program = [0xb7_u64, 0x95];
        let (code, licence) = (at(&program), at(b"GPL\0"));
        let attributes = [1 | 2 << 32, code, licence, 0, 0, 0, 0, 0, 0];
        call(libc::SYS_bpf, &[5, at(&attributes), size_of_val(&attributes) as u64]).into()
    }),
    together("call: perf_event_open", |_| {
        // PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, without the kernel and the hypervisor.
        let mut attributes = [0_u64; 14];
        attributes[0] = 1 | 112 << 32;
        attributes[5] = 1 << 5 | 1 << 6;
        call(libc::SYS_perf_event_open, &[at(&attributes), SELF, u64::MAX, u64::MAX, 0]).into()
    }),
    together("call: userfaultfd", |_| call(libc::SYS_userfaultfd, &[1]).into()),
    together("call: io_uring_setup", |_| call(libc::SYS_io_uring_setup, &[1, into(&mut [0_u64; 15])]).into()),
    together("call: io_uring_register", |_| {
        // Of the connection, which is no ring.
        served(call(libc::SYS_io_uring_register, &[0, 0, 0, 0]), &[Errno::EBADF, Errno::EOPNOTSUPP])
    }),
    together("call: io_setup", |_| call(libc::SYS_io_setup, &[1, into(&mut 0_u64)]).into()),
    together("call: name_to_handle_at", |_| {
        let mut handle = [128_u32; 34];
        let root = libc::AT_FDCWD as u64;
        call(libc::SYS_name_to_handle_at, &[root, at(b"/usr\0"), into(&mut handle), into(&mut 0_u32), 0]).into()
    }),
    together("call: open_by_handle_at", |_| {
        // The root inode of most file systems, by its number: the shocker.
        let handle = [8_u32, 1, 2, 0];
        call(libc::SYS_open_by_handle_at, &[libc::AT_FDCWD as u64, at(&handle), 0]).into()
    }),
    together("call: kcmp", |_| {
        let own = u64::from(std::process::id());
        call(libc::SYS_kcmp, &[own, own, 0, 0, 1]).into()
    }),
    together("call: move_pages", |_| call(libc::SYS_move_pages, &[SELF, 0, 0, 0, 0, 0]).into()),
    together("call: migrate_pages", |_| call(libc::SYS_migrate_pages, &[SELF, 64, at(&1_u64), at(&1_u64)]).into()),
    together("call: set_mempolicy", |_| call(libc::SYS_set_mempolicy, &[0, 0, 0]).into()),
    together("call: get_mempolicy", |_| call(libc::SYS_get_mempolicy, &[into(&mut 0_u64), 0, 0, 0, 0]).into()),
    together("call: mbind", |_| {
        let page = vec![0_u8; 8192];
        let start = page.as_ptr().wrapping_add(page.as_ptr().align_offset(4096)) as u64;
        call(libc::SYS_mbind, &[start, 4096, 0, 0, 0, 0]).into()
    }),
    together("call: fanotify_init", |_| call(libc::SYS_fanotify_init, &[0x200, 0]).into()),
    together("call: inotify_init1", |_| call(libc::SYS_inotify_init1, &[0]).into()),
    together("call: memfd_secret", |_| call(libc::SYS_memfd_secret, &[0]).into()),
    together("call: vmsplice", |_| {
        let (_read, write) = std::io::pipe().expect("a pipe");
        let word = [1_u8; 8];
        let vector = libc::iovec { iov_base: word.as_ptr().cast_mut().cast(), iov_len: 8 };
        let number = std::os::fd::AsRawFd::as_raw_fd(&write) as u64;
        call(libc::SYS_vmsplice, &[number, at(&vector), 1, 0]).into()
    }),
    together("call: modify_ldt", |_| call(libc::SYS_modify_ldt, &[0, into(&mut [0_u8; 16]), 16]).into()),
    together("call: set a notifier of a filter", |_| {
        // A filter that asks its own maker: SECCOMP_FILTER_FLAG_NEW_LISTENER.
        let program = [libc::sock_filter { code: 6, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW }];
        let filter = libc::sock_fprog { len: 1, filter: program.as_ptr().cast_mut() };
        let made = call(libc::SYS_prctl, &[libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0, 0, 0]);
        made.and_then(|_| call(libc::SYS_seccomp, &[1, 8, at(&filter)])).into()
    }),
    together("call: strict mode of the filter", |_| {
        denied(call(libc::SYS_prctl, &[libc::PR_SET_SECCOMP as u64, 1]), "there is a filter")
    }),
    together("call: move its own memory map", |_| {
        call(libc::SYS_prctl, &[libc::PR_SET_MM as u64, libc::PR_SET_MM_START_BRK as u64, 0x10000, 0, 0]).into()
    }),
    together("call: let others trace it", |_| {
        denied(call(libc::SYS_prctl, &[libc::PR_SET_PTRACER as u64, u64::MAX, 0, 0, 0]), "this kernel has no Yama")
    }),
    together("call: let itself be dumped", |_| {
        call(libc::SYS_prctl, &[libc::PR_SET_DUMPABLE as u64, 1, 0, 0, 0]).into()
    }),
    together("personality: no address randomisation", |_| personality(0x004_0000)),
    together("personality: all memory executable", |_| personality(0x040_0000)),
    together("personality: another system", |_| personality(8)),
    together("abi: i386 calls", |_| i386()),
    together("abi: x32 calls", |_| call(0x4000_0000 | libc::SYS_getpid, &[]).into()),
    together("abi: calls above all numbers", |_| call(4000, &[]).into()),
];

fn personality(value: u64) -> Verdict {
    call(libc::SYS_personality, &[value]).into()
}

/// getpid by the gate of 32-bit programs, whose number for it is 20.
fn i386() -> Verdict {
    let answer: i64;
    // SAFETY: getpid takes no argument and touches no memory; the gate destroys r8 to r11 alone.
    unsafe {
        std::arch::asm!(
            "int 0x80",
            inlateout("rax") 20_i64 => answer,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    if answer > 0 { Ok(()) } else { Err(Errno::from_raw(-answer as i32)) }.into()
}
