// SPDX-License-Identifier: Apache-2.0
//! /dev, /sys, and terminals.

use crate::attempt::{Attempt, Verdict, found, together};
use crate::kernel::{at, call};
use nix::errno::Errno;
use nix::libc;
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;

pub(crate) const ALL: &[Attempt] = &[
    together("sys: /sys visible", |_| filled("/sys")),
    together("sys: interfaces of the host", |_| fs::read_dir("/sys/class/net").into()),
    together("sys: kernel settings", |_| filled("/sys/kernel")),
    together("sys: firmware", |_| filled("/sys/firmware")),
    together("dev: more than twenty entries", |_| {
        let count = fs::read_dir("/dev").map_or(0, Iterator::count);
        found(count > 20, format!("{count} entries"))
    }),
    together("dev: a disk", |_| {
        let nodes = fs::read_dir("/dev").into_iter().flatten().flatten();
        let disks = nodes.filter(|node| node.file_type().is_ok_and(|kind| kind.is_block_device()));
        found(disks.count() > 0, "block devices in /dev")
    }),
    together("dev: kernel messages", |_| File::open("/dev/kmsg").into()),
    together("dev: memory", |_| File::open("/dev/mem").into()),
    together("dev: ports", |_| File::open("/dev/port").into()),
    together("dev: fuse", |_| writable("/dev/fuse")),
    together("dev: a network device", |_| writable("/dev/net/tun")),
    together("dev: a virtual machine", |_| writable("/dev/kvm")),
    together("dev: userfaultfd", |_| writable("/dev/userfaultfd")),
    together("dev: shared memory", |_| made("/dev/shm")),
    together("dev: a new terminal", |_| writable("/dev/ptmx")),
    together("terminal: the server's", |_| writable("/dev/tty")),
    together("terminal: another session's", |_| {
        let mut nodes = fs::read_dir("/dev/pts").into_iter().flatten().flatten();
        found(nodes.any(|node| node.file_name() != "ptmx"), "terminals in /dev/pts")
    }),
    together("terminal: TIOCSTI", |_| type_into(0)),
    together("terminal: TIOCSTI with a high bit", |_| type_into(1 << 32)),
    together("terminal: TIOCLINUX", |_| {
        let paste = 3_u8;
        on_terminal(0x541c, at(&paste))
    }),
    together("terminal: take the server's", |_| on_terminal(u64::from(libc::TIOCSCTTY as u32), 1)),
];

fn filled(path: &str) -> Verdict {
    match fs::read_dir(path).map(|mut entries| entries.next().is_some()) {
        Ok(any) => found(any, path),
        Err(error) => Err::<(), _>(error).into(),
    }
}

fn writable(path: &str) -> Verdict {
    OpenOptions::new().read(true).write(true).open(path).into()
}

fn made(directory: &str) -> Verdict {
    let path = format!("{directory}/attack");
    let result = File::create(&path);
    let _ = fs::remove_file(path);
    result.into()
}

fn type_into(high: u64) -> Verdict {
    let letter = b'x';
    on_terminal(high | u64::from(libc::TIOCSTI as u32), at(&letter))
}

/// On the controlling terminal, or whatever of the three is one.
fn on_terminal(command: u64, argument: u64) -> Verdict {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").ok();
    let own = terminal.iter().map(|terminal| terminal.as_raw_fd());
    let results = own.chain(0..3).map(|number| call(libc::SYS_ioctl, &[number as u64, command, argument]));
    results.reduce(Result::or).unwrap_or(Err(Errno::ENOTTY)).into()
}
