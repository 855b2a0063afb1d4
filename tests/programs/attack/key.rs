// SPDX-License-Identifier: Apache-2.0
//! Keyrings of the kernel: the session's, the user's, and new keys.

use crate::attempt::{Attempt, together};
use crate::kernel::{at, call, into};
use nix::libc;

/// Of linux/keyctl.h.
const GET_KEYRING_ID: u64 = 0;
const JOIN_SESSION_KEYRING: u64 = 1;
const DESCRIBE: u64 = 6;
const GET_PERSISTENT: u64 = 22;
const PROCESS: u64 = -2_i64 as u64;
const SESSION: u64 = -3_i64 as u64;
const USER: u64 = -4_i64 as u64;
const USER_SESSION: u64 = -5_i64 as u64;

pub(crate) const ALL: &[Attempt] = &[
    together("key: session keyring", |_| {
        let mut text = [0_u8; 256];
        call(libc::SYS_keyctl, &[DESCRIBE, SESSION, into(&mut text), 256]).into()
    }),
    together("key: user keyring", |_| call(libc::SYS_keyctl, &[GET_KEYRING_ID, USER, 1]).into()),
    together("key: user's session keyring", |_| call(libc::SYS_keyctl, &[GET_KEYRING_ID, USER_SESSION, 1]).into()),
    together("key: persistent keyring", |_| call(libc::SYS_keyctl, &[GET_PERSISTENT, u64::MAX, PROCESS]).into()),
    together("key: join a keyring by its name", |_| {
        call(libc::SYS_keyctl, &[JOIN_SESSION_KEYRING, at(b"attack\0")]).into()
    }),
    together("key: add a key", |_| {
        call(libc::SYS_add_key, &[at(b"user\0"), at(b"attack\0"), at(b"x"), 1, PROCESS]).into()
    }),
    together("key: request a key (upcall)", |_| {
        // ENOKEY is the answer of /sbin/request-key, which the kernel has started as root for this.
        let asked = call(libc::SYS_request_key, &[at(b"user\0"), at(b"attack\0"), at(b"x\0"), PROCESS]);
        match asked {
            Err(nix::errno::Errno::ENOKEY | nix::errno::Errno::ENOENT) => {
                crate::attempt::found(true, "it was asked for")
            }
            other => other.into(),
        }
    }),
];
