// SPDX-License-Identifier: Apache-2.0
//! What a front door asks for, before any policy is applied to it.
//! Values only: names are looked up by `host`, checked by `resolve`.

use crate::policy::Sourced;
use crate::policy::address::Address;
use std::path::PathBuf;
use std::time::Duration;

/// One service as its front door describes it. What is written here wins over the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Name for log lines: the master.cf service, or the program's base name.
    pub service: String,
    /// Which front door.
    pub front: Front,
    /// What kind of socket clients arrive on.
    pub transport: Transport,
    /// `user=`, as name or decimal id; absent means the policy's, or (not under master) the caller's own.
    pub user: Option<Sourced<String>>,
    /// `user=name:group`.
    pub group: Option<Sourced<String>>,
    /// The command line.
    pub argv: Option<Sourced<Vec<String>>>,
    /// `NAME_time_limit`.
    pub time_limit: Option<Sourced<Duration>>,
    /// `NAME_concurrency`, `--max-sessions`.
    pub concurrency: Option<Sourced<u64>>,
    /// Where to listen instead of where the policy says.
    pub addresses: Vec<Sourced<Address>>,
    /// Exactly this environment comes before the policy's own additions, in this order.
    pub environment: Vec<(String, String)>,
    /// Working directory when the policy names none; absent means `/`.
    pub directory: Option<PathBuf>,
    /// A root directory below which the whole sandbox is made, without symbolic links: the chroot column.
    pub chroot: Option<PathBuf>,
    /// The account that a command must never have: Postfix's mail owner, as (uid, gid).
    pub mail_owner: Option<(u32, u32)>,
}

impl Request {
    /// A service of which its front door says no more than its name and how connections come.
    pub fn new(service: impl Into<String>, front: Front, transport: Transport) -> Self {
        Request {
            service: service.into(),
            front,
            transport,
            user: None,
            group: None,
            argv: None,
            time_limit: None,
            concurrency: None,
            addresses: Vec::new(),
            environment: Vec::new(),
            directory: None,
            chroot: None,
            mail_owner: None,
        }
    }
}

/// A front door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    /// Postfix master(8).
    Master,
    /// Our own listening sockets.
    Listen,
    /// Standard input as it is.
    Run,
}

/// The kind of socket a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP over IPv4 or IPv6.
    Tcp,
    /// A UNIX-domain stream socket.
    Unix,
    /// Pipes, a terminal, a file: `run` takes what it is given.
    Stdio,
}
