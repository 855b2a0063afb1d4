// SPDX-License-Identifier: Apache-2.0
//! Descriptors that a client who is in league with the command sends over a UNIX connection.

use crate::attempt::{Attempt, Verdict, alone};
use crate::kernel::{at, call, into};
use crate::world::World;
use nix::errno::Errno;
use nix::libc;

pub(crate) const ALL: &[Attempt] = &[
    alone("connection: descriptor passed by a client", |world| passed(world, |_, _| Ok(0))),
    alone("connection: host file through a directory passed by a client", |world| {
        passed(world, |directory, world| {
            let path = format!(".{}\0", world.text("secret"));
            call(libc::SYS_openat, &[directory, at(path.as_bytes()), libc::O_RDONLY as u64])
        })
    }),
];

/// Receives the client's next message, and does something with the descriptor that comes with it.
fn passed(world: &World, act: fn(u64, &World) -> Result<i64, Errno>) -> Verdict {
    if world.tcp {
        return Verdict::Absent("TCP carries no descriptors");
    }
    let mut byte = [0_u8];
    let mut control = [0_u64; 8];
    let vector = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let mut message = [0, 0, at(&vector), 1, into(&mut control), size_of_val(&control) as u64, 0];
    let received = call(libc::SYS_recvmsg, &[0, into(&mut message), 0]);
    // `struct cmsghdr` has a length, a level and a type, and the descriptors follow: see cmsg(3).
    match received {
        Ok(_) if message[5] >= 20 && control[0] >= 20 => act(control[2] & 0xffff_ffff, world).into(),
        Ok(_) => Verdict::Blocked("no descriptor came".to_string()),
        Err(errno) => Err::<(), _>(errno).into(),
    }
}
