// SPDX-License-Identifier: Apache-2.0
//! One call, and what it was about. Values only.

use crate::plan::calls::Using;
use nix::unistd::Pid;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A call that was handed to us, before it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The thread that makes it.
    pub thread: Pid,
    /// What its program calls itself: the name of the file, for a script the script's.
    pub program: String,
    /// The number of the call, of this architecture.
    pub call: u32,
    /// Its arguments.
    pub arguments: [u64; 6],
    /// What they point at; nothing for most calls, two paths for rename(2).
    pub about: Vec<About>,
}

/// What a call is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// A file.
    Path {
        /// As the program calls it, made absolute.
        written: PathBuf,
        /// What it wants to do there.
        using: Using,
        /// What is there.
        found: Found,
    },
    /// A peer or a name in the network.
    Internet {
        /// TCP, or else UDP.
        stream: bool,
        /// To have the address, or else to reach it.
        bind: bool,
        /// Which.
        address: SocketAddr,
    },
    /// The name of a UNIX socket that is no file.
    Abstract {
        /// To have the name, or else to reach it.
        bind: bool,
        /// Without its NUL.
        name: Vec<u8>,
    },
    /// A call of another architecture: 32 bits, or x32.
    Foreign,
    /// What the call is about could not be read.
    Unread,
}

/// What is at a path, for the user of the command.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Found {
    /// A file.
    File {
        /// Its name without links.
        real: PathBuf,
    },
    /// A directory.
    Directory {
        /// Its name without links.
        real: PathBuf,
    },
    /// Nothing.
    Missing,
    /// Something that this user may not use so.
    Refused,
    /// Something of /proc.
    Proc {
        /// Of a process, as `files.proc = "subset"` shows it.
        process: bool,
        /// What a link of it leads to, where that is a file.
        real: Option<PathBuf>,
    },
}
