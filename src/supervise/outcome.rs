// SPDX-License-Identifier: Apache-2.0
//! How a session ended, and which limit ended it: values and their words for the log.
//! Pure; never holds a byte that a client or a command sent.

use crate::host::facts::Resource;
use crate::plan::Plan;
use crate::sandbox::SetupError;
use crate::sandbox::cgroup::OutOf;
use nix::libc;
use nix::sys::signal::Signal;
use std::fmt;
use std::time::Duration;

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The command exited.
    Exited(u8),
    /// The command died of this signal.
    Signaled(i32),
    /// Its time limit ended it.
    TimeLimit,
    /// Its connection carried nothing for too long.
    IdleLimit,
    /// The sandbox could not be made, or the command not executed.
    SetupFailed(SetupError),
    /// The sandbox's first process died without a word: its wait status, where we had not killed it ourselves.
    Lost(Option<i32>),
    /// The launcher died or was silent too long, so the session never began.
    NotLaunched,
    /// We were told to stop.
    Stopped,
    /// Something came up the cord that no child of ours writes.
    Foreign,
}

/// A limit that can end a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `limits.time`
    Time(Duration),
    /// `limits.idle`
    Idle(Duration),
    /// `limits.processor-time`, seconds.
    ProcessorTime(u64),
    /// `limits.file-size`, bytes.
    FileSize(u64),
    /// `limits.memory`, bytes.
    Memory(u64),
    /// `limits.service.memory`, bytes.
    ServiceMemory(u64),
    /// None of ours: memory was at an end elsewhere on the host.
    HostMemory,
}

/// What a session used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time, user and system, of all that ran in it.
    pub processor: Duration,
    /// Bytes at the peak: of the whole session where there is a memory controller, else of its largest process.
    pub memory: u64,
    /// Whose memory was at an end, if the kernel killed something in it for that.
    pub out_of_memory: Option<OutOf>,
}

impl Outcome {
    /// The words that the log has for them.
    pub const KINDS: [&'static str; 9] = [
        "exited",
        "signaled",
        "time-limit",
        "idle",
        "setup-failed",
        "lost",
        "not-launched",
        "stopped",
        "foreign-report",
    ];

    /// Which of [`Outcome::KINDS`] it is.
    pub fn kind(self) -> usize {
        match self {
            Outcome::Exited(_) => 0,
            Outcome::Signaled(_) => 1,
            Outcome::TimeLimit => 2,
            Outcome::IdleLimit => 3,
            Outcome::SetupFailed(_) => 4,
            Outcome::Lost(_) => 5,
            Outcome::NotLaunched => 6,
            Outcome::Stopped => 7,
            Outcome::Foreign => 8,
        }
    }

    /// What a wait status of wait(2) says about the command.
    pub fn of_status(status: i32) -> Outcome {
        match libc::WIFSIGNALED(status) {
            true => Outcome::Signaled(libc::WTERMSIG(status)),
            // The mask is the meaning of the status: the kernel keeps eight bits of it.
            false => Outcome::Exited((libc::WEXITSTATUS(status) & 0xff) as u8),
        }
    }

    /// Whether this is what an operator expects of a healthy service.
    pub fn is_normal(self) -> bool {
        match self {
            Outcome::Exited(status) => status == 0,
            // That clients fall silent is what the limit is for.
            Outcome::Stopped | Outcome::IdleLimit => true,
            Outcome::Signaled(_)
            | Outcome::TimeLimit
            | Outcome::SetupFailed(_)
            | Outcome::Lost(_)
            | Outcome::NotLaunched
            | Outcome::Foreign => false,
        }
    }
}

/// Which limit of `plan` explains `outcome`, if one does.
pub fn limit(plan: &Plan, outcome: Outcome, usage: &Usage) -> Option<Limit> {
    let resource = |resource| plan.resources.get(&resource).copied();
    let processor_time = resource(Resource::ProcessorTime);
    match outcome {
        Outcome::TimeLimit => plan.time_limit.map(Limit::Time),
        Outcome::IdleLimit => plan.idle_limit.map(Limit::Idle),
        Outcome::Signaled(libc::SIGXCPU) => processor_time.map(Limit::ProcessorTime),
        Outcome::Signaled(libc::SIGXFSZ) => resource(Resource::FileSize).map(Limit::FileSize),
        // Whoever ignores SIGXCPU is killed at the hard limit: see setrlimit(2).
        Outcome::Signaled(libc::SIGKILL) if processor_time.is_some_and(|s| usage.processor.as_secs() >= s) => {
            processor_time.map(Limit::ProcessorTime)
        }
        // So is a reaper that has answered denied calls for so long.
        Outcome::Lost(Some(libc::SIGKILL)) if processor_time.is_some_and(|s| usage.processor.as_secs() >= s) => {
            processor_time.map(Limit::ProcessorTime)
        }
        Outcome::Signaled(_) | Outcome::Exited(1..) | Outcome::Lost(_) if usage.out_of_memory.is_some() => {
            memory(plan, usage)
        }
        Outcome::Signaled(_)
        | Outcome::Exited(_)
        | Outcome::SetupFailed(_)
        | Outcome::Lost(_)
        | Outcome::NotLaunched
        | Outcome::Stopped
        | Outcome::Foreign => None,
    }
}

fn memory(plan: &Plan, usage: &Usage) -> Option<Limit> {
    Some(match (usage.out_of_memory?, plan.cgroup.memory, plan.service_cgroup.memory) {
        (OutOf::Session, Some(limit), _) => Limit::Memory(limit),
        (OutOf::Service, _, Some(limit)) => Limit::ServiceMemory(limit),
        (OutOf::Session, None, _) | (OutOf::Service, _, None) | (OutOf::Host, _, _) => Limit::HostMemory,
    })
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "outcome={}", Outcome::KINDS[self.kind()])?;
        match *self {
            Outcome::Exited(status) => write!(f, " status={status}"),
            Outcome::Signaled(number) => write!(f, " signal={}", signal_name(number)),
            Outcome::SetupFailed(error) => write!(f, " step={}", error.step.name()),
            Outcome::Lost(Some(status)) if libc::WIFSIGNALED(status) => {
                write!(f, " signal={}", signal_name(libc::WTERMSIG(status)))
            }
            Outcome::Lost(Some(status)) => write!(f, " status={}", libc::WEXITSTATUS(status)),
            Outcome::TimeLimit
            | Outcome::IdleLimit
            | Outcome::Lost(None)
            | Outcome::NotLaunched
            | Outcome::Stopped
            | Outcome::Foreign => Ok(()),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Time(limit) => write!(f, "limit={}", seconds(*limit)),
            Limit::Idle(limit) => write!(f, "limit=idle:{}", seconds(*limit)),
            Limit::ProcessorTime(limit) => write!(f, "limit=processor-time:{limit}s"),
            Limit::FileSize(limit) => write!(f, "limit=file-size:{}", size(*limit)),
            Limit::Memory(limit) => write!(f, "limit=memory:{}", size(*limit)),
            Limit::ServiceMemory(limit) => write!(f, "limit=service.memory:{}", size(*limit)),
            Limit::HostMemory => f.write_str("limit=memory:host"),
        }
    }
}

/// The name that signal(7) gives a number.
pub fn signal_name(number: i32) -> String {
    match Signal::try_from(number) {
        Ok(signal) => signal.as_str().to_string(),
        Err(_) => number.to_string(),
    }
}

/// Seconds as the operator wrote them, with milliseconds only where there are some.
fn seconds(time: Duration) -> String {
    match time.subsec_millis() {
        0 => format!("{}s", time.as_secs()),
        millis => format!("{}.{millis:03}s", time.as_secs()),
    }
}

/// Bytes in the largest unit that keeps the number readable.
pub fn size(bytes: u64) -> String {
    let units = [(1_u64 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    for (unit, letter) in units {
        if bytes >= unit {
            let tenths = u128::from(bytes) * 10 / u128::from(unit);
            return match tenths % 10 {
                0 => format!("{}{letter}", tenths / 10),
                rest => format!("{}.{rest}{letter}", tenths / 10),
            };
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Step;
    use nix::errno::Errno;

    #[test]
    fn an_outcome_is_printed_as_key_and_value() {
        let setup = SetupError { step: Step::Exec, index: 0, errno: Errno::ENOENT };
        let table = [
            (Outcome::of_status(0), "outcome=exited status=0"),
            (Outcome::of_status(3 << 8), "outcome=exited status=3"),
            (Outcome::of_status(libc::SIGSYS), "outcome=signaled signal=SIGSYS"),
            (Outcome::of_status(libc::SIGABRT | 0x80), "outcome=signaled signal=SIGABRT"),
            (Outcome::Signaled(34), "outcome=signaled signal=34"),
            (Outcome::TimeLimit, "outcome=time-limit"),
            (Outcome::SetupFailed(setup), "outcome=setup-failed step=Exec"),
            (Outcome::Lost(Some(libc::SIGSYS)), "outcome=lost signal=SIGSYS"),
            (Outcome::Lost(Some(111 << 8)), "outcome=lost status=111"),
            (Outcome::Lost(None), "outcome=lost"),
        ];
        for (outcome, text) in table {
            assert_eq!(outcome.to_string(), text);
        }
    }

    #[test]
    fn sizes_and_times_are_short() {
        let sizes = [
            (0, "0"),
            (1023, "1023"),
            (1536, "1.5K"),
            (64 << 20, "64M"),
            (2202010, "2.1M"),
            (u64::MAX, "17179869183.9G"),
        ];
        for (bytes, text) in sizes {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(Limit::Time(Duration::from_millis(1500)).to_string(), "limit=1.500s");
        assert_eq!(Limit::Time(Duration::from_secs(1000)).to_string(), "limit=1000s");
    }
}
