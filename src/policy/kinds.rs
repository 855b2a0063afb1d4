// SPDX-License-Identifier: Apache-2.0
//! What a policy chooses by one word each: the values that `words` spells.
//! No meaning here beyond the choice itself: `plan` decides what follows from it.

pub use crate::host::facts::Namespace;
use std::path::PathBuf;

/// What the root directory of the command is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// An empty file system with only what the policy lists.
    Empty,
    /// The host's own tree, as the user's rights allow.
    Host,
    /// An empty one with what the policy lists of this directory of the host: an image that was unpacked there.
    Image(PathBuf),
}

/// Of these the ones that have a word; an image has a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum RootWord {
    Empty,
    Host,
}

impl From<RootWord> for Root {
    fn from(word: RootWord) -> Root {
        match word {
            RootWord::Empty => Root::Empty,
            RootWord::Host => Root::Host,
        }
    }
}

/// A node of /dev that can do no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Device {
    Null,
    Zero,
    Full,
    Random,
    Urandom,
}

/// What /proc shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proc {
    /// No /proc.
    None,
    /// A fresh one, read-only, processes of the sandbox only (`subset=pid`, Linux 5.8).
    Subset,
    /// A fresh one with all that procfs shows, as the user's rights allow; for `root = "host"`.
    Full,
}

/// Which network namespace the command is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkMode {
    /// Its own, with a loopback interface that is down.
    None,
    /// Its own, with loopback up.
    Loopback,
    /// The host's.
    Host,
}

/// What a call that is not allowed meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDeny {
    /// EPERM, or ENOSYS where libc falls back on it.
    Errno,
    /// The command is killed by SIGSYS.
    Kill,
    /// As with `Errno`, and the call is named in the log.
    Report,
    /// As with `Report`, and so is each path and each peer that the policy does not show or open.
    ReportAll,
}

/// What kind of sandbox is made: what of a host it takes, and so what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// None is made: Landlock, the filter of system calls and limits alone hold the command.
    LandlockOnly,
    /// Namespaces are made by whoever starts spawnbox, inside a user namespace of its own; the command is that user.
    Userns,
    /// They are made by root, and the command is another user.
    Full,
}

/// Whether a layer is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// In force, or the connection is refused.
    Required,
    /// Switched off by name.
    Off,
}

/// Which name of the host the command sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostName {
    /// None that tells anything: `localhost`.
    Hidden,
    /// The host's own.
    Host,
}

/// When a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// With the command; what it left behind is killed.
    Command,
    /// When its last process is gone.
    Tree,
}

/// Whose names the variables have that tell a command about its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientNames {
    /// Those of ucspi-tcp: `PROTO`, `TCPREMOTEIP` and others.
    Tcpserver,
    /// `REMOTE_HOST`
    Xinetd,
    /// `REMOTE_ADDR` and `REMOTE_PORT`
    Systemd,
}

/// Where a command's standard error goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StandardError {
    /// To the client, as standard output does.
    Connection,
    /// To /dev/null.
    None,
    /// Into our log.
    Log,
}

impl Device {
    /// Every node that a policy may name.
    pub const ALL: [Device; 5] = [Device::Null, Device::Zero, Device::Full, Device::Random, Device::Urandom];

    /// Its name below /dev.
    pub fn name(self) -> &'static str {
        match self {
            Device::Null => "null",
            Device::Zero => "zero",
            Device::Full => "full",
            Device::Random => "random",
            Device::Urandom => "urandom",
        }
    }
}
