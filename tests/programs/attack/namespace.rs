// SPDX-License-Identifier: Apache-2.0
//! Namespaces of the command's own making, in which it would have every right, and those of others.

use crate::attempt::{Attempt, Verdict, together};
use crate::kernel::{apart, at, call, ended, pidfd};
use crate::world::World;
use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;
use std::fs::File;
use std::os::fd::AsRawFd;

const NEW_TIME: i32 = 0x80;

pub(crate) const ALL: &[Attempt] = &[
    together("namespace: new user by unshare", |_| by_unshare(libc::CLONE_NEWUSER)),
    together("namespace: new mount by unshare", |_| by_unshare(libc::CLONE_NEWNS)),
    together("namespace: new pid by unshare", |_| by_unshare(libc::CLONE_NEWPID)),
    together("namespace: new net by unshare", |_| by_unshare(libc::CLONE_NEWNET)),
    together("namespace: new ipc by unshare", |_| by_unshare(libc::CLONE_NEWIPC)),
    together("namespace: new uts by unshare", |_| by_unshare(libc::CLONE_NEWUTS)),
    together("namespace: new cgroup by unshare", |_| by_unshare(libc::CLONE_NEWCGROUP)),
    together("namespace: new time by unshare", |_| by_unshare(NEW_TIME)),
    together("namespace: new user by clone", |_| by_clone(libc::CLONE_NEWUSER)),
    together("namespace: new user by clone with a high bit", |_| {
        cloned(call(libc::SYS_clone, &[1 << 32 | (libc::CLONE_NEWUSER | libc::SIGCHLD) as u64, 0, 0, 0, 0]))
    }),
    together("namespace: new user and net by clone", |_| by_clone(libc::CLONE_NEWUSER | libc::CLONE_NEWNET)),
    together("namespace: new user by clone3", |_| by_clone3(libc::CLONE_NEWUSER)),
    together("namespace: new user and pid by clone3", |_| by_clone3(libc::CLONE_NEWUSER | libc::CLONE_NEWPID)),
    together("namespace: mount inside a new user namespace", |_| {
        inside(libc::CLONE_NEWUSER | libc::CLONE_NEWNS, || {
            call(libc::SYS_mount, &[at(b"none\0"), at(b"/\0"), 0, libc::MS_REC | libc::MS_PRIVATE, 0])?;
            call(libc::SYS_mount, &[at(b"none\0"), at(b"/tmp\0"), at(b"tmpfs\0"), 0, 0])
        })
    }),
    together("namespace: nfnetlink inside a new user namespace", |_| {
        inside(libc::CLONE_NEWUSER | libc::CLONE_NEWNET, || {
            let netfilter = libc::NETLINK_NETFILTER as u64;
            call(libc::SYS_socket, &[libc::AF_NETLINK as u64, libc::SOCK_RAW as u64, netfilter])
        })
    }),
    together("namespace: packets inside a new user namespace", |_| {
        inside(libc::CLONE_NEWUSER | libc::CLONE_NEWNET, || {
            call(libc::SYS_socket, &[libc::AF_PACKET as u64, libc::SOCK_RAW as u64, 0])
        })
    }),
    together("namespace: join a host process's network", |world| join(world, "net", libc::CLONE_NEWNET)),
    together("namespace: join a host process's mounts", |world| join(world, "mnt", libc::CLONE_NEWNS)),
    together("namespace: join by a pidfd", |world| {
        apart(|| pidfd(world.number("peer")).and_then(|held| call(libc::SYS_setns, &[held, ALL_BUT_USER])).map(drop))
            .into()
    }),
    together("namespace: see a host process's", |world| {
        std::fs::read_link(format!("/proc/{}/ns/net", world.number("peer"))).into()
    }),
];

const ALL_BUT_USER: u64 = (libc::CLONE_NEWNET | libc::CLONE_NEWIPC) as u64;

fn by_unshare(flags: i32) -> Verdict {
    apart(|| call(libc::SYS_unshare, &[flags as u64]).map(drop)).into()
}

fn by_clone(flags: i32) -> Verdict {
    cloned(call(libc::SYS_clone, &[(flags | libc::SIGCHLD) as u64, 0, 0, 0, 0]))
}

fn by_clone3(flags: i32) -> Verdict {
    // `struct clone_args` of linux/sched.h: flags first, the exit signal fifth.
    let arguments = [flags as u64, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0];
    cloned(call(libc::SYS_clone3, &[at(&arguments), size_of_val(&arguments) as u64]))
}

fn cloned(made: Result<i64, Errno>) -> Verdict {
    match made {
        // SAFETY: the new process ends here, and runs nothing of what its parent has registered.
        Ok(0) => unsafe { libc::_exit(0) },
        Ok(child) => ended(Pid::from_raw(child as i32)).into(),
        Err(errno) => Err::<(), _>(errno).into(),
    }
}

fn inside(flags: i32, act: impl FnOnce() -> Result<i64, Errno>) -> Verdict {
    apart(|| call(libc::SYS_unshare, &[flags as u64]).and_then(|_| act()).map(drop)).into()
}

fn join(world: &World, name: &str, kind: i32) -> Verdict {
    match File::open(format!("/proc/{}/ns/{name}", world.number("peer"))) {
        Ok(file) => apart(|| call(libc::SYS_setns, &[file.as_raw_fd() as u64, kind as u64]).map(drop)).into(),
        Err(error) => Err::<(), _>(error).into(),
    }
}
