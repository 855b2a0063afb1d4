// SPDX-License-Identifier: Apache-2.0
//! Ways to speak with other processes: UNIX sockets with names, System V objects, POSIX queues.

use crate::attempt::{Attempt, Verdict, together};
use crate::kernel::{at, call};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, sendmsg, socket, socketpair};
use std::io::IoSlice;
use std::os::fd::AsRawFd;

const PRIVATE: u64 = libc::IPC_PRIVATE as u64;

pub(crate) const ALL: &[Attempt] = &[
    together("ipc: host abstract unix socket", |world| {
        reach(SockType::Stream, UnixAddr::new_abstract(world.text("abstract").as_bytes()))
    }),
    together("ipc: host pathname unix socket", |world| reach(SockType::Stream, UnixAddr::new(world.text("unix")))),
    together("ipc: host datagram (log) socket", |world| reach(SockType::Datagram, UnixAddr::new(world.text("log")))),
    together("ipc: host datagram (log) socket from a pair", |world| {
        // Needs neither socket(2) nor connect(2).
        let sent =
            socketpair(AddressFamily::Unix, SockType::Datagram, None, SockFlag::empty()).and_then(|(ours, _)| {
                let name = UnixAddr::new(world.text("log"))?;
                sendmsg(ours.as_raw_fd(), &[IoSlice::new(b"forged")], &[], MsgFlags::empty(), Some(&name))
            });
        sent.into()
    }),
    together("ipc: the system's message bus", |_| {
        reach(SockType::Stream, UnixAddr::new("/run/dbus/system_bus_socket"))
    }),
    together("ipc: host System V shared memory", |world| attach(world.number("shm"))),
    together("ipc: host System V semaphores", |world| call(libc::SYS_semget, &[world.number("sem"), 0, 0]).into()),
    together("ipc: host System V messages", |world| call(libc::SYS_msgget, &[world.number("msg"), 0]).into()),
    together("ipc: host POSIX message queue", |world| {
        let name = format!("{}\0", world.text("queue"));
        call(libc::SYS_mq_open, &[at(name.as_bytes()), libc::O_RDWR as u64, 0, 0]).into()
    }),
    together("ipc: create System V shared memory", |_| {
        let made = call(libc::SYS_shmget, &[PRIVATE, 4096, 0o600]);
        removed(made, |id| call(libc::SYS_shmctl, &[id, libc::IPC_RMID as u64, 0]))
    }),
    together("ipc: create System V semaphores", |_| {
        let made = call(libc::SYS_semget, &[PRIVATE, 1, 0o600]);
        removed(made, |id| call(libc::SYS_semctl, &[id, 0, libc::IPC_RMID as u64]))
    }),
    together("ipc: create System V message queue", |_| {
        let made = call(libc::SYS_msgget, &[PRIVATE, 0o600]);
        removed(made, |id| call(libc::SYS_msgctl, &[id, libc::IPC_RMID as u64, 0]))
    }),
    together("ipc: create POSIX message queue", |_| {
        let flags = (libc::O_RDWR | libc::O_CREAT) as u64;
        let made = call(libc::SYS_mq_open, &[at(b"attack-own\0"), flags, 0o600, 0]);
        removed(made, |_| call(libc::SYS_mq_unlink, &[at(b"attack-own\0")]))
    }),
];

fn reach(kind: SockType, name: Result<UnixAddr, Errno>) -> Verdict {
    let name = name.expect("the name fits");
    let made = socket(AddressFamily::Unix, kind, SockFlag::empty(), None);
    made.and_then(|socket| connect(socket.as_raw_fd(), &name)).into()
}

fn attach(key: u64) -> Verdict {
    let found = call(libc::SYS_shmget, &[key, 0, 0]);
    found.and_then(|id| call(libc::SYS_shmat, &[id as u64, 0, 0])).into()
}

fn removed(made: Result<i64, Errno>, remove: impl FnOnce(u64) -> Result<i64, Errno>) -> Verdict {
    if let Ok(id) = made {
        let _ = remove(id as u64);
    }
    made.into()
}
