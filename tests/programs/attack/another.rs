// SPDX-License-Identifier: Apache-2.0
//! Another connection of the same service, which is open at the same time: its files, sockets, memory and processes.

use crate::attempt::{Attempt, Verdict, alone, found};
use crate::behave::left_in;
use crate::kernel::call;
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use std::fs::File;
use std::os::fd::AsRawFd;

pub(crate) const ALL: &[Attempt] = &[
    alone("another: files of its /tmp", |world| File::open(left_in("/tmp", world)).into()),
    alone("another: files that it left elsewhere", |world| {
        let elsewhere = ["/var/tmp".to_string(), "/dev/shm".to_string(), world.text("directory").to_string()];
        let opened = elsewhere.map(|directory| File::open(left_in(&directory, world)));
        Verdict::from(opened.into_iter().reduce(Result::or).expect("there are places"))
    }),
    alone("another: its abstract socket", |world| {
        let name = UnixAddr::new_abstract(world.text("left").as_bytes()).expect("the name fits");
        let made = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None);
        made.and_then(|socket| connect(socket.as_raw_fd(), &name)).into()
    }),
    alone("another: its System V memory", |world| call(libc::SYS_shmget, &[world.number("left"), 0, 0]).into()),
    alone("another: signal its processes", |_| {
        // Everything that may be signalled, but for this process and the first one: its parent alone is the session's.
        let own = [nix::unistd::getpid(), nix::unistd::getppid()].map(|pid| pid.as_raw() as u64);
        let others = (2..40000).filter(|pid| !own.contains(pid) && call(libc::SYS_kill, &[*pid, 0]).is_ok()).count();
        found(others > 0, format!("{others} processes can be signalled"))
    }),
];
