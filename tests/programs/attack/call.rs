// SPDX-License-Identifier: Apache-2.0
//! Corners of the kernel that root alone may enter, or that no ordinary command needs: mounts, modules, clocks, power.
//! Most ask for the least that would show that the call is served, and change nothing where it is.

use crate::attempt::{Attempt, found, served, together};
use crate::kernel::{at, call, into};
use nix::errno::Errno;
use nix::libc;

const HERE: u64 = libc::AT_FDCWD as u64;
const TMP: &[u8] = b"/tmp\0";

pub(crate) const ALL: &[Attempt] = &[
    together("call: mount", |_| call(libc::SYS_mount, &[at(b"none\0"), at(TMP), at(b"tmpfs\0"), 0, 0]).into()),
    together("call: remount", |_| {
        call(libc::SYS_mount, &[0, at(b"/\0"), 0, libc::MS_REMOUNT | libc::MS_BIND, 0]).into()
    }),
    together("call: umount2", |_| call(libc::SYS_umount2, &[at(TMP), libc::MNT_DETACH as u64]).into()),
    together("call: pivot_root", |_| call(libc::SYS_pivot_root, &[at(b".\0"), at(b".\0")]).into()),
    together("call: chroot", |_| call(libc::SYS_chroot, &[at(TMP)]).into()),
    together("call: open_tree", |_| call(libc::SYS_open_tree, &[HERE, at(b"/\0"), 1]).into()),
    together("call: open_tree without a copy", |_| call(libc::SYS_open_tree, &[HERE, at(b"/\0"), 0]).into()),
    together("call: move_mount", |_| {
        let moved = call(libc::SYS_open_tree, &[HERE, at(b"/usr\0"), 0]);
        moved.and_then(|tree| call(libc::SYS_move_mount, &[tree as u64, at(b"\0"), HERE, at(TMP), 4])).into()
    }),
    together("call: fsopen", |_| call(libc::SYS_fsopen, &[at(b"tmpfs\0"), 0]).into()),
    together("call: fspick", |_| call(libc::SYS_fspick, &[HERE, at(b"/\0"), 0]).into()),
    together("call: mount_setattr", |_| {
        let attributes = [0_u64, 1, 0, 0];
        call(libc::SYS_mount_setattr, &[HERE, at(b"/\0"), 0, at(&attributes), 32]).into()
    }),
    together("call: statmount", |_| {
        // Numbers of mounts begin above this one.
        let (request, mut room) = ([24_u64, (1 << 31) + 1, 1], [0_u8; 512]);
        served(call(457, &[at(&request), into(&mut room), 512, 0]), &[Errno::ENOENT])
    }),
    together("call: listmount", |_| {
        let (request, mut room) = ([24_u64, u64::MAX, 0], [0_u64; 64]);
        call(458, &[at(&request), into(&mut room), 64, 0]).into()
    }),
    together("call: quotactl", |_| call(libc::SYS_quotactl, &[0x8000_0100, 0, 0, 0]).into()),
    together("call: swapon", |_| call(libc::SYS_swapon, &[at(b"/nothing\0"), 0]).into()),
    together("call: swapoff", |_| call(libc::SYS_swapoff, &[at(b"/nothing\0")]).into()),
    together("call: acct", |_| call(libc::SYS_acct, &[0]).into()),
    together("call: reboot", |_| call(libc::SYS_reboot, &[0xfee1_dead, 672_274_793, 0, 0]).into()),
    together("call: kexec_load", |_| call(libc::SYS_kexec_load, &[0, 0, 0, 0]).into()),
    together("call: kexec_file_load", |_| call(libc::SYS_kexec_file_load, &[u64::MAX, u64::MAX, 0, 0, 8]).into()),
    together("call: init_module", |_| call(libc::SYS_init_module, &[at(b"x"), 1, at(b"\0")]).into()),
    together("call: finit_module", |_| call(libc::SYS_finit_module, &[0, at(b"\0"), 0]).into()),
    together("call: delete_module", |_| call(libc::SYS_delete_module, &[at(b"nothing\0"), 0x800]).into()),
    together("call: settimeofday", |_| call(libc::SYS_settimeofday, &[at(&[1_u64, 0]), 0]).into()),
    together("call: clock_settime", |_| call(libc::SYS_clock_settime, &[0, at(&[1_u64, 0])]).into()),
    together("call: adjtimex", |_| call(libc::SYS_adjtimex, &[into(&mut [0_u64; 32])]).into()),
    together("call: clock_adjtime", |_| call(libc::SYS_clock_adjtime, &[0, into(&mut [0_u64; 32])]).into()),
    together("call: sethostname", |_| call(libc::SYS_sethostname, &[at(b"attacked"), 8]).into()),
    together("call: setdomainname", |_| call(libc::SYS_setdomainname, &[at(b"attacked"), 8]).into()),
    together("call: syslog", |_| call(libc::SYS_syslog, &[10, 0, 0]).into()),
    together("call: syslog, reading", |_| {
        let mut room = [0_u8; 4096];
        call(libc::SYS_syslog, &[3, into(&mut room), 4096]).into()
    }),
    together("call: vhangup", |_| call(libc::SYS_vhangup, &[]).into()),
    together("call: iopl", |_| call(libc::SYS_iopl, &[0]).into()),
    together("call: ioperm", |_| call(libc::SYS_ioperm, &[0x80, 1, 0]).into()),
    together("call: ioperm, allowing", |_| call(libc::SYS_ioperm, &[0x80, 1, 1]).into()),
    together("call: uselib", |_| call(libc::SYS_uselib, &[at(b"/bin/sh\0")]).into()),
    together("call: sysfs", |_| call(libc::SYS_sysfs, &[3, 0, 0]).into()),
    together("call: ustat", |_| served(call(libc::SYS_ustat, &[0, into(&mut [0_u64; 8])]), &[Errno::EINVAL])),
    together("call: lookup_dcookie", |_| {
        served(call(libc::SYS_lookup_dcookie, &[0, into(&mut [0_u8; 64]), 64]), &[Errno::EINVAL])
    }),
    together("host: its name", |world| {
        let name = nix::sys::utsname::uname().expect("uname works").nodename().to_string_lossy().into_owned();
        found(name == world.text("host"), name)
    }),
];
