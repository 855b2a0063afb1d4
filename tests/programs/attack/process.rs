// SPDX-License-Identifier: Apache-2.0
//! Other processes: the supervisor, one of the same user outside, and the command's own children.

use crate::attempt::{Attempt, Verdict, found, together};
use crate::kernel::{Child, at, call, into, pidfd};
use crate::world::World;
use nix::libc;
use std::fs::{self, File, OpenOptions};

pub(crate) const ALL: &[Attempt] = &[
    together("process: signal the supervisor", |world| signal(world, "server")),
    together("process: signal a same-user host process", |world| signal(world, "peer")),
    together("process: hold a same-user host process by pidfd", |world| pidfd(world.number("peer")).into()),
    together("process: trace a same-user host process", |world| seize(world.number("peer"))),
    together("process: trace a child", |_| {
        let child = Child::waiting();
        seize(child.0.as_raw() as u64)
    }),
    together("process: be traced", |_| call(libc::SYS_ptrace, &[libc::PTRACE_TRACEME as u64]).into()),
    together("process: read a child's memory", |_| memory(libc::SYS_process_vm_readv)),
    together("process: write a child's memory", |_| memory(libc::SYS_process_vm_writev)),
    together("process: take a child's descriptor", take_descriptor),
    together("process: advise on a child's memory", advise),
    together("process: read another's root directory", |world| list(world, "root")),
    together("process: reach files through its root", |world| {
        File::open(format!("/proc/{}/root{}", world.number("peer"), world.text("secret"))).into()
    }),
    together("process: reach files through the first process's root", |world| {
        File::open(format!("/proc/1/root{}", world.text("secret"))).into()
    }),
    together("process: read another's environment", |world| read(world, "environ")),
    together("process: read another's command line", |world| read(world, "cmdline")),
    together("process: read another's memory map", |world| read(world, "maps")),
    together("process: open another's memory", |world| {
        OpenOptions::new().read(true).write(true).open(of(world, "mem")).into()
    }),
    together("process: open another's descriptors", |world| list(world, "fd")),
    together("process: read another's working directory", |world| list(world, "cwd")),
    together("process: see a host process", |world| {
        found(fs::metadata(format!("/proc/{}", world.number("server"))).is_ok(), "the supervisor in /proc")
    }),
    together("process: set another's limit", |world| {
        let mut old = [0_u64; 2];
        let pid = world.number("peer");
        let read = call(libc::SYS_prlimit64, &[pid, libc::RLIMIT_NOFILE as u64, 0, into(&mut old)]);
        read.and_then(|_| call(libc::SYS_prlimit64, &[pid, libc::RLIMIT_NOFILE as u64, at(&old), 0])).into()
    }),
    together("process: set another's priority", |world| {
        call(libc::SYS_setpriority, &[libc::PRIO_PROCESS as u64, world.number("peer"), 1]).into()
    }),
    together("process: set another's processors", |world| {
        call(libc::SYS_sched_setaffinity, &[world.number("peer"), 8, at(&1_u64)]).into()
    }),
    // That the signal is allowed is seen by its judge: what comes of it is not told to who has caused it.
    together("process: send a signal by a descriptor's owner", by_owner),
    together("process: lower the supervisor's standing when memory ends", |world| {
        fs::write(format!("/proc/{}/oom_score_adj", world.number("server")), "1000").into()
    }),
];

fn signal(world: &World, whom: &str) -> Verdict {
    call(libc::SYS_kill, &[world.number(whom), 0]).into()
}

fn seize(pid: u64) -> Verdict {
    call(libc::SYS_ptrace, &[libc::PTRACE_SEIZE as u64, pid, 0, 0]).into()
}

/// Makes the peer the owner of a pipe, and has the kernel tell it of a byte there, by the signal which that process
/// keeps waiting.
fn by_owner(world: &World) -> Verdict {
    let mut pipe = [0_i32; 2];
    let asked = call(libc::SYS_pipe2, &[into(&mut pipe), 0]).and_then(|_| {
        let [read, write] = pipe.map(|descriptor| descriptor as u64);
        call(libc::SYS_fcntl, &[read, libc::F_SETOWN as u64, world.number("peer")])?;
        // F_SETSIG of fcntl(2), for which libc has no name.
        call(libc::SYS_fcntl, &[read, 10, libc::SIGUSR2 as u64])?;
        call(libc::SYS_fcntl, &[read, libc::F_SETFL as u64, libc::O_ASYNC as u64])?;
        call(libc::SYS_write, &[write, at(b"x"), 1])
    });
    asked.into()
}

/// A word of a child's, which has a copy of it at the same address.
fn memory(number: i64) -> Verdict {
    let there = [7_u8; 8];
    let mut here = [0_u8; 8];
    let child = Child::waiting();
    let local = libc::iovec { iov_base: here.as_mut_ptr().cast(), iov_len: 8 };
    let remote = libc::iovec { iov_base: there.as_ptr().cast_mut().cast(), iov_len: 8 };
    call(number, &[child.0.as_raw() as u64, at(&local), 1, at(&remote), 1, 0]).into()
}

fn take_descriptor(_: &World) -> Verdict {
    let child = Child::waiting();
    pidfd(child.0.as_raw() as u64).and_then(|held| call(libc::SYS_pidfd_getfd, &[held, 0, 0])).into()
}

fn advise(_: &World) -> Verdict {
    const MADV_COLD: u64 = 20;
    let page = vec![0_u8; 8192];
    let start = page.as_ptr().align_offset(4096);
    let vector = libc::iovec { iov_base: page[start..].as_ptr().cast_mut().cast(), iov_len: 4096 };
    let child = Child::waiting();
    let held = pidfd(child.0.as_raw() as u64);
    held.and_then(|held| call(libc::SYS_process_madvise, &[held, at(&vector), 1, MADV_COLD, 0])).into()
}

fn of(world: &World, name: &str) -> String {
    format!("/proc/{}/{name}", world.number("peer"))
}

fn read(world: &World, name: &str) -> Verdict {
    fs::read(of(world, name)).into()
}

fn list(world: &World, name: &str) -> Verdict {
    fs::read_dir(of(world, name)).into()
}
