// SPDX-License-Identifier: Apache-2.0
//! What goes on around the clients: a reload every second, and commands that hang now and then. A command hangs when it
//! is stopped: wherever it is, it does nothing more and keeps its connection, and only its time limit ends it.
//! Counts meanwhile how many are served at once.

use super::peak;
use crate::postfix::instance::Postfix;
use crate::scene::host::{self, Watched};
use crate::scene::{a_second, patience};
use nix::sys::signal::Signal;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// How many reloads there are between two commands of a service that hang.
const NOW_AND_THEN: u32 = 2;
/// How often it is counted who is served, and asked whether it is over.
const LOOK: Duration = Duration::from_millis(100);

/// Whom there is trouble around.
pub(super) struct Plan {
    /// Every service.
    pub(super) services: Vec<String>,
    /// Those whose commands hang.
    pub(super) hanging: Vec<String>,
    /// How many of each do.
    pub(super) hangs: usize,
}

/// What was done, and seen.
pub(super) struct Trouble {
    pub(super) reloads: u32,
    pub(super) lasted: Duration,
    /// The commands that were stopped, of each service.
    pub(super) stopped: Vec<(String, Vec<Watched>)>,
    /// The most clients at once, of each service.
    pub(super) peaks: BTreeMap<String, usize>,
}

/// Makes trouble until it is over, and does this after each reload.
pub(super) fn make(postfix: &Postfix, plan: &Plan, reloaded: impl Fn(), over: impl Fn() -> bool) -> Trouble {
    let began = Instant::now();
    let mut trouble = Trouble {
        reloads: 0,
        lasted: Duration::ZERO,
        stopped: plan.hanging.iter().map(|name| (name.clone(), Vec::new())).collect(),
        peaks: plan.services.iter().map(|name| (name.clone(), 0)).collect(),
    };
    let (mut reload, mut look) = (began + a_second(), began);
    loop {
        for (service, stopped) in &mut trouble.stopped {
            let due = stopped.len() as u32 * NOW_AND_THEN <= trouble.reloads && stopped.len() < plan.hangs;
            stopped.extend(due.then(|| stop_one(postfix, service)).flatten());
        }
        if Instant::now() >= look {
            if over() {
                trouble.lasted = began.elapsed();
                return trouble;
            }
            trouble.peaks.iter_mut().for_each(|(service, peak)| *peak = (*peak).max(peak::of(service)));
            look = Instant::now() + LOOK;
        }
        if Instant::now() >= reload {
            postfix.signal(Signal::SIGHUP);
            reloaded();
            trouble.reloads += 1;
            reload += a_second();
        }
        // A filter is there for a tenth of a second.
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// Stops a command of this service, if it has one now.
fn stop_one(postfix: &Postfix, service: &str) -> Option<Watched> {
    let mut all = postfix.daemons(service).into_iter().flat_map(|daemon| host::tree(daemon).into_iter().skip(1));
    all.find_map(stop)
}

/// Stops a command that goes on: a program that is not ours, whose parent is the first process of a sandbox. By pidfd,
/// so that a number which is used again is not taken for it.
fn stop(pid: u32) -> Option<Watched> {
    let watched = host::watch(&[pid]);
    let held = pidfd_open(Pid::from_raw(pid as i32)?, PidfdFlags::empty()).ok()?;
    let is_ours = |pid: &str| fs::read_link(format!("/proc/{pid}/exe")).ok().map(|path| host::is_ours(&path));
    let hangs = host::status_of(pid, "State")?.starts_with('T');
    if hangs || is_ours(&pid.to_string())? || !is_ours(&host::status_of(pid, "PPid")?)? {
        return None;
    }
    pidfd_send_signal(&held, rustix::process::Signal::STOP).ok()?;
    // It may have been about to end, and then does.
    let state = || host::status_of(pid, "State");
    host::eventually("it stops or ends", patience(), || state().is_none_or(|state| state.starts_with(['T', 'Z'])));
    state().is_some_and(|state| state.starts_with('T')).then_some(watched)
}
