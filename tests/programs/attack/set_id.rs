// SPDX-License-Identifier: Apache-2.0
//! Set-user-id and set-group-id: programs that have it, and files that get it.

use crate::attempt::{Attempt, Verdict, found, together};
use crate::file::{with_free, with_own};
use crate::kernel::call;
use crate::world::World;
use nix::errno::Errno;
use nix::libc;
use std::process::Command;

const HERE: u64 = libc::AT_FDCWD as u64;
const WRITE_NEW: u64 = (libc::O_CREAT | libc::O_WRONLY) as u64;

pub(crate) const ALL: &[Attempt] = &[
    together("file: no_new_privs missing", |_| {
        let set = call(libc::SYS_prctl, &[libc::PR_GET_NO_NEW_PRIVS as u64, 0, 0, 0, 0]);
        found(set == Ok(0), format!("{set:?}"))
    }),
    together("file: rights by a set-user-id program", rights),
    together("file: make a set-user-id file", |_| with_own(|path| call(libc::SYS_chmod, &[path, 0o4755]))),
    together("file: make a set-group-id file", |_| with_own(|path| call(libc::SYS_chmod, &[path, 0o2755]))),
    together("file: make a set-user-id file by fchmod", |_| {
        with_free(|path| {
            let held = call(libc::SYS_openat, &[HERE, path, WRITE_NEW, 0o600])?;
            call(libc::SYS_fchmod, &[held as u64, 0o4755])
        })
    }),
    together("file: make a set-user-id file by fchmodat", |_| {
        with_own(|path| call(libc::SYS_fchmodat, &[HERE, path, 0o4755]))
    }),
    together("file: make a set-user-id file by fchmodat2", |_| {
        with_own(|path| call(libc::SYS_fchmodat2, &[HERE, path, 0o4755, 0]))
    }),
    together("file: make a set-user-id file by open", |_| {
        with_free(|path| call(libc::SYS_open, &[path, WRITE_NEW, 0o4755]))
    }),
    together("file: make a set-user-id file by openat", |_| {
        with_free(|path| call(libc::SYS_openat, &[HERE, path, WRITE_NEW, 0o4755]))
    }),
    together("file: make a set-user-id file by creat", |_| with_free(|path| call(libc::SYS_creat, &[path, 0o4755]))),
    together("file: make a set-user-id file by mknod", |_| {
        with_free(|path| call(libc::SYS_mknod, &[path, u64::from(libc::S_IFREG) | 0o4755, 0]))
    }),
    together("file: make a set-user-id file by openat2", |_| with_free(by_openat2)),
    together("file: make a set-group-id directory", |_| with_free(|path| call(libc::SYS_mkdir, &[path, 0o2755]))),
    together("file: give a program a capability", |_| {
        // VFS_CAP_REVISION_2 with the effective bit, and the first capability: see capabilities(7).
        let value = [0x0200_0001_u32, 1, 0, 0, 0];
        let size = size_of_val(&value) as u64;
        let name = crate::kernel::at(b"security.capability\0");
        with_own(|path| call(libc::SYS_setxattr, &[path, name, crate::kernel::at(&value), size, 0]))
    }),
];

fn rights(world: &World) -> Verdict {
    match Command::new(world.text("set-id")).arg("effective-user").output() {
        Ok(output) => {
            let user = String::from_utf8_lossy(&output.stdout).trim().to_string();
            found(user == "0", format!("effective user {user}"))
        }
        Err(error) => Err::<(), _>(error).into(),
    }
}

fn by_openat2(path: u64) -> Result<i64, Errno> {
    let how = [WRITE_NEW, 0o4755, 0];
    call(libc::SYS_openat2, &[HERE, path, crate::kernel::at(&how), size_of_val(&how) as u64])
}
