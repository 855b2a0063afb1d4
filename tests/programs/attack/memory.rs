// SPDX-License-Identifier: Apache-2.0
//! Memory that injected code could run in, or that helps an attack on the kernel.

use crate::attempt::{Attempt, Verdict, together};
use crate::kernel::call;
use nix::errno::Errno;
use nix::libc;

const READ_WRITE: u64 = (libc::PROT_READ | libc::PROT_WRITE) as u64;
const EXECUTE: u64 = libc::PROT_EXEC as u64;
const ANONYMOUS: u64 = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
const PAGE: u64 = 4096;

pub(crate) const ALL: &[Attempt] = &[
    together("memory: writable and executable", |_| map(READ_WRITE | EXECUTE, ANONYMOUS, 0).into()),
    together("memory: made executable after it was written", |_| {
        let page = map(READ_WRITE, ANONYMOUS, 0);
        page.and_then(|page| call(libc::SYS_mprotect, &[page as u64, PAGE, libc::PROT_READ as u64 | EXECUTE])).into()
    }),
    together("memory: shared, writable and executable", |_| {
        map(READ_WRITE | EXECUTE, (libc::MAP_SHARED | libc::MAP_ANONYMOUS) as u64, 0).into()
    }),
    together("memory: made executable by its key", |_| {
        let page = map(READ_WRITE, ANONYMOUS, 0);
        page.and_then(|page| call(libc::SYS_pkey_mprotect, &[page as u64, PAGE, EXECUTE | 1, u64::MAX])).into()
    }),
    together("memory: executable by System V", |_| {
        let made = call(libc::SYS_shmget, &[0, PAGE, 0o700]);
        let attached = made.and_then(|id| {
            let attached = call(libc::SYS_shmat, &[id as u64, 0, libc::SHM_EXEC as u64]);
            let _ = call(libc::SYS_shmctl, &[id as u64, libc::IPC_RMID as u64, 0]);
            attached
        });
        attached.into()
    }),
    together("memory: at address zero", |_| map(READ_WRITE, ANONYMOUS | libc::MAP_FIXED as u64, 0).into()),
    together("memory: program's code made writable", |_| {
        let code = (map as fn(u64, u64, u64) -> _) as usize as u64 & !(PAGE - 1);
        call(libc::SYS_mprotect, &[code, PAGE, READ_WRITE | EXECUTE]).into()
    }),
    together("memory: pages of files in another order", |_| remap()),
];

fn map(protection: u64, flags: u64, address: u64) -> Result<i64, Errno> {
    call(libc::SYS_mmap, &[address, PAGE, protection, flags, u64::MAX, 0])
}

fn remap() -> Verdict {
    let shared = (libc::MAP_SHARED | libc::MAP_ANONYMOUS) as u64;
    let page = map(READ_WRITE, shared, 0);
    page.and_then(|page| call(libc::SYS_remap_file_pages, &[page as u64, PAGE, 0, 0, 0])).into()
}
