// SPDX-License-Identifier: Apache-2.0
//! Processor time of a server for what its clients did, and whether anybody else was at work meanwhile.
//!
//! A server's own time is what its control group has used, which counts every process that was in it, to the
//! nanosecond, also those that are gone. What the kernel puts off (the end of namespaces, of files, of memory) is done
//! by its own threads: theirs is added, after they have come to rest, less what they take when nothing happens. All
//! other time in which a processor was not idle is foreign: the machine's, less that of the group, the kernel's threads
//! and this program.

use crate::group::Group;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use std::fs;
use std::time::{Duration, Instant};

/// The kernel's threads have come to rest when this goes by without much work of theirs.
const STEP: Duration = Duration::from_millis(20);
/// The longest that they are waited for.
const LONGEST: Duration = Duration::from_secs(1);
/// Ticks of proc_stat(5) a second: USER_HZ, which is the same for every x86 machine.
const TICKS: f64 = 100.0;

/// What the kernel's threads take of a second when nothing happens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Idle(f64);

/// What was used while something was done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    /// By the server, with what was put off.
    pub(crate) server: Duration,
    /// By others, as a part of the whole machine.
    pub(crate) foreign: f64,
}

/// One look at every counter.
struct Look {
    at: Instant,
    group: f64,
    kernel: f64,
    own: f64,
    idle: f64,
}

impl Idle {
    /// Watches for a moment in which nobody connects.
    pub(crate) fn watch(moment: Duration) -> Idle {
        let (start, before) = (Instant::now(), kernel_threads());
        std::thread::sleep(moment);
        Idle((kernel_threads() - before).max(0.0) / start.elapsed().as_secs_f64())
    }

    /// Does something, and counts.
    pub(crate) fn while_doing<T>(self, group: &Group, something: impl FnOnce() -> T) -> (T, Used) {
        let before = Look::take(group);
        let done = something();
        self.rest();
        let after = Look::take(group);
        (done, self.between(&before, &after))
    }

    /// Waits until the kernel's threads have done what was put off.
    fn rest(self) {
        let start = Instant::now();
        let mut before = kernel_threads();
        while start.elapsed() < LONGEST {
            std::thread::sleep(STEP);
            let now = kernel_threads();
            // A hundredth of the time beyond the usual is what reading these counters can cause.
            if now - before < STEP.as_secs_f64() * (self.0 + 0.01) {
                return;
            }
            before = now;
        }
    }

    fn between(self, before: &Look, after: &Look) -> Used {
        let seconds = (after.at - before.at).as_secs_f64();
        let (group, kernel) = (after.group - before.group, after.kernel - before.kernel);
        let all = seconds * processors();
        let busy = all - (after.idle - before.idle);
        let foreign = busy - group - kernel - (after.own - before.own);
        let server = group + (kernel - self.0 * seconds).max(0.0);
        Used { server: Duration::from_secs_f64(server), foreign: (foreign / all).max(0.0) }
    }
}

impl Look {
    fn take(group: &Group) -> Look {
        let usage = getrusage(UsageWho::RUSAGE_SELF).expect("this process may ask about itself");
        Look {
            at: Instant::now(),
            group: group.used().as_secs_f64(),
            kernel: kernel_threads(),
            own: seconds(usage.user_time()) + seconds(usage.system_time()),
            idle: idle(),
        }
    }
}

fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

/// How many there are.
pub(crate) fn processors() -> f64 {
    let stat = fs::read_to_string("/proc/stat").expect("the tests need /proc");
    let is_one = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
    stat.lines().filter(is_one).count() as f64
}

/// Seconds in which processors had nothing to do or waited for a disk, all together.
fn idle() -> f64 {
    let stat = fs::read_to_string("/proc/stat").expect("the tests need /proc");
    let line = stat.lines().next().unwrap_or_default();
    line.split_whitespace().skip(4).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// Seconds that the kernel's own threads have run: the children of number 2, see /proc/PID/schedstat.
fn kernel_threads() -> f64 {
    let pids = fs::read_dir("/proc").expect("the tests need /proc").flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| is_kernel_thread(*pid)).map(ran).sum::<f64>() / 1e9
}

fn is_kernel_thread(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.split(' ').nth(1) == Some("2"))
}

fn ran(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    text.split(' ').next().and_then(|nanoseconds| nanoseconds.parse().ok()).unwrap_or(0.0)
}
