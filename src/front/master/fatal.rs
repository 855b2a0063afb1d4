// SPDX-License-Identifier: Apache-2.0
//! Why the daemon ends: one line for the log, in Postfix's own words where it has some.
//! Values only; `master` logs them, sleeps and exits.

use crate::host::{HostError, errno_text};
use crate::plan::Refusal;
use crate::policy::InputError;
use crate::postfix::attributes::AttributeError;
use crate::postfix::environment::EnvironmentError;
use crate::postfix::main_cf::LineError;
use crate::postfix::options::OptionError;
use crate::postfix::parameters::ParameterError;
use nix::errno::Errno;

/// Why the daemon ends.
#[derive(Debug, thiserror::Error)]
pub(in crate::front) enum Fatal {
    /// A word of the command line that is not UTF-8.
    #[error("argument {0} is not valid UTF-8")]
    NotText(usize),
    #[error(transparent)]
    Option(#[from] OptionError),
    #[error("open {path}: {why}")]
    Open { path: String, why: String },
    #[error(transparent)]
    Line(#[from] LineError),
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    #[error("do not run this command by hand")]
    ByHand,
    #[error("no debugger_command variable set up")]
    NoDebugger,
    #[error("too many errors - program terminated")]
    TooManyErrors,
    #[error("watchdog_create: timeout {0} is too small")]
    ShortTimeout(u32),
    #[error("watchdog_create: sigaction(SIGALRM): {}", errno_text(*.0))]
    Watchdog(Errno),
    #[error("descriptor {number}, which master should have left open: {}", errno_text(*errno))]
    Descriptor { number: i32, errno: Errno },
    #[error("open lock file {path}: {why}")]
    LockFile { path: String, why: String },
    #[error("select lock: {}", errno_text(*.0))]
    Lock(Errno),
    #[error("chdir(\"{directory}\"): {}", errno_text(*errno))]
    Directory { directory: String, errno: Errno },
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    #[error("{}", .0.lines().collect::<Vec<_>>().join("; "))]
    Policy(#[from] InputError),
    #[error(transparent)]
    Refusal(#[from] Refusal),
    #[error(transparent)]
    Host(#[from] HostError),
    #[error("wait for a client: {}", errno_text(*.0))]
    Wait(Errno),
}

impl Fatal {
    /// Whether Postfix takes it for a bug, and leaves a core.
    pub(super) fn is_panic(&self) -> bool {
        matches!(self, Fatal::ShortTimeout(_))
    }

    /// Whether it may be for want of something that the unit withholds which started Postfix.
    pub(super) fn is_about_the_host(&self) -> bool {
        matches!(self, Fatal::Refusal(_) | Fatal::Host(_))
    }

    /// What Postfix says before it.
    pub(super) fn warnings(&self) -> Vec<String> {
        match self {
            Fatal::Parameter(error) => error.warning().into_iter().collect(),
            Fatal::NotText(_)
            | Fatal::Option(_)
            | Fatal::Open { .. }
            | Fatal::Line(_)
            | Fatal::ByHand
            | Fatal::NoDebugger
            | Fatal::TooManyErrors
            | Fatal::ShortTimeout(_)
            | Fatal::Watchdog(_)
            | Fatal::Descriptor { .. }
            | Fatal::LockFile { .. }
            | Fatal::Lock(_)
            | Fatal::Directory { .. }
            | Fatal::Attribute(_)
            | Fatal::Environment(_)
            | Fatal::Policy(_)
            | Fatal::Refusal(_)
            | Fatal::Host(_)
            | Fatal::Wait(_) => Vec::new(),
        }
    }
}
