// SPDX-License-Identifier: Apache-2.0
//! Who the command is, and who it could become.

use crate::attempt::{Attempt, Verdict, denied, found, together};
use crate::kernel::{at, call};
use caps::CapSet;
use nix::libc;

/// Where the kernel knows no such id.
pub(crate) const UNMAPPED: &str = "the user namespace does not have that id";

pub(crate) const ALL: &[Attempt] = &[
    together("identity: root", |_| {
        let uid = nix::unistd::getresuid().expect("ids can be read");
        let ids = [uid.real, uid.effective, uid.saved].map(nix::unistd::Uid::as_raw);
        found(ids.contains(&0), format!("{ids:?}"))
    }),
    together("identity: root's group", |_| {
        let gid = nix::unistd::getresgid().expect("ids can be read");
        let ids = [gid.real, gid.effective, gid.saved].map(nix::unistd::Gid::as_raw);
        found(ids.contains(&0), format!("{ids:?}"))
    }),
    together("identity: supplementary groups", |_| {
        let groups = nix::unistd::getgroups().expect("groups can be read");
        let own = nix::unistd::getegid();
        found(groups.iter().any(|group| *group != own), format!("{groups:?} beside {own}"))
    }),
    together("identity: become root", |_| denied(call(libc::SYS_setuid, &[0]), UNMAPPED)),
    together("identity: become another user", |_| denied(call(libc::SYS_setuid, &[1]), UNMAPPED)),
    together("identity: take root's group", |_| denied(call(libc::SYS_setgid, &[0]), UNMAPPED)),
    together("identity: add groups", |_| call(libc::SYS_setgroups, &[1, at(&[0_u32])]).into()),
    together("identity: files as another user", |_| {
        let before = call(libc::SYS_setfsuid, &[0]);
        let after = call(libc::SYS_setfsuid, &[u64::from(u32::MAX)]);
        found(after == Ok(0), format!("{before:?} became {after:?}"))
    }),
    together("capability: any permitted", |_| set(CapSet::Permitted)),
    together("capability: inheritable", |_| set(CapSet::Inheritable)),
    together("capability: ambient", |_| {
        let asks = |number: u64| {
            let ask = libc::PR_CAP_AMBIENT_IS_SET as u64;
            call(libc::SYS_prctl, &[libc::PR_CAP_AMBIENT as u64, ask, number, 0, 0]) == Ok(1)
        };
        found((0..64).any(asks), "one is set")
    }),
    together("capability: bounding set not empty", |_| {
        let asks = |number: u64| call(libc::SYS_prctl, &[libc::PR_CAPBSET_READ as u64, number]) == Ok(1);
        let count = (0..64).filter(|number| asks(*number)).count();
        found(count > 0, format!("{count} left"))
    }),
    together("capability: take one", |_| {
        let header = [0x2008_0522_u32, 0];
        let sets = [1_u32, 1, 0, 0, 0, 0];
        call(libc::SYS_capset, &[at(&header), at(&sets)]).into()
    }),
    together("capability: securebits can be changed", |_| {
        call(libc::SYS_prctl, &[libc::PR_SET_SECUREBITS as u64, 0]).into()
    }),
    together("capability: keep them over a change of ids", |_| {
        call(libc::SYS_prctl, &[libc::PR_SET_KEEPCAPS as u64, 1]).into()
    }),
];

fn set(set: CapSet) -> Verdict {
    let found_set = caps::read(None, set).expect("capabilities can be read");
    found(!found_set.is_empty(), format!("{} of them", found_set.len()))
}
