// SPDX-License-Identifier: Apache-2.0
//! What the server was burdened with, and its command must not have.

use crate::attempt::{Attempt, Verdict, found, together};
use crate::kernel::{at, call};
use crate::world::World;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::{Mode, umask};

pub(crate) const ALL: &[Attempt] = &[
    together("inherit: descriptors beyond stdio", |world| {
        let open = &world.start.descriptors;
        found(!open.is_empty(), format!("{open:?}"))
    }),
    together("inherit: a directory descriptor", directory),
    together("inherit: a listening socket", listening),
    together("inherit: a secret in the environment", |_| variable(|name| name == "SPAWNBOX_SECRET")),
    together("inherit: an LD_ variable", |_| variable(|name| name.starts_with("LD_"))),
    together("inherit: ignored or blocked signals", |world| {
        let deaf = &world.start.deaf;
        found(!deaf.is_empty(), format!("{deaf:?}"))
    }),
    together("inherit: umask that lets others write", |_| {
        let mask = umask(Mode::empty());
        found(!mask.contains(Mode::S_IWOTH | Mode::S_IWGRP), format!("{:03o}", mask.bits()))
    }),
    together("inherit: core dumps", |_| {
        let (_, hard) = core_limit();
        found(hard > 1, format!("a limit of {hard}"))
    }),
    together("inherit: a handler of core dumps", |_| {
        // With 1 no handler is started, with 0 one is, see core(5).
        let (soft, _) = core_limit();
        let lowered = call(libc::SYS_setrlimit, &[u64::from(libc::RLIMIT_CORE), at(&[0_u64, 0])]);
        found(soft != 1 || lowered.is_ok(), format!("a limit of {soft}, which can be lowered: {}", lowered.is_ok()))
    }),
    together("inherit: the server's session", |_| {
        let leads = nix::unistd::getsid(None).ok() == Some(nix::unistd::getppid());
        found(!leads, format!("the command leads its own: {leads}"))
    }),
    together("inherit: a working directory of the host", |world| {
        std::fs::File::open(format!(".{}", world.text("secret"))).into()
    }),
];

fn core_limit() -> (u64, u64) {
    getrlimit(Resource::RLIMIT_CORE).expect("limits can be read")
}

fn directory(world: &World) -> Verdict {
    let path = format!(".{}\0", world.text("secret"));
    let opened = world
        .start
        .descriptors
        .iter()
        .map(|number| call(libc::SYS_openat, &[*number as u64, at(path.as_bytes()), libc::O_RDONLY as u64]));
    opened.reduce(Result::or).unwrap_or(Err(nix::errno::Errno::EBADF)).into()
}

fn listening(world: &World) -> Verdict {
    let accepts = |number: &i32| {
        let mut value = 0_i32;
        let mut length = 4_u32;
        let asked = [
            *number as u64,
            libc::SOL_SOCKET as u64,
            libc::SO_ACCEPTCONN as u64,
            crate::kernel::into(&mut value),
            crate::kernel::into(&mut length),
        ];
        call(libc::SYS_getsockopt, &asked).is_ok() && value == 1
    };
    let all: Vec<i32> = (0..3).chain(world.start.descriptors.iter().copied()).collect();
    found(all.iter().any(accepts), format!("among {all:?}"))
}

fn variable(so: impl Fn(&str) -> bool) -> Verdict {
    let name = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).find(|name| so(name));
    found(name.is_some(), name.unwrap_or_else(|| "no such variable".to_string()))
}
