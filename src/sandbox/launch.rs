// SPDX-License-Identifier: Apache-2.0
//! The launcher's own side: a process that prepares the service's objects, then makes one child for each request.
//! Holds no connection, no listener and no other service's descriptor. Ends when the supervisor lets go.

use super::confine::limit_capabilities;
use super::kept::{Kept, Kinds, Stock};
use super::line::{Given, Joins, Memory, Purpose};
use super::loan::{After, Lender};
use super::prepare::{LaunchersPart, Prepared};
use super::{HostError, filter, line, template, wire, witness};
use crate::host::facts::Resource;
use crate::plan::model::{CloneCall, HostName, Namespace, Tree};
use crate::plan::steps::Place;
use crate::plan::{Capabilities, Plan, Step};
use crate::sys::clone::{self, Side};
use crate::sys::process;
use crate::sys::{self, lock, signal, socket};
use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::Resource::RLIMIT_CORE;
use nix::sys::resource::{getrlimit, setrlimit};
use nix::unistd::Pid;
use rustix::fs::{Mode, OFlags};
use rustix::process::Rlimit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Where the launcher keeps its end of the request socket. The number is the cord's in a child: what the child
/// takes over, it replaces.
const REQUESTS: RawFd = line::CORD;

/// How long to wait for memory before what failed is tried again.
const PAUSE: Duration = Duration::from_millis(10);
/// How long without a request until the launcher lets go of what it keeps for the next.
const REST: Duration = Duration::from_secs(60);
/// The fewest descriptors that a launcher may have open and keep namespaces.
const ROOM: u64 = 256;
/// As clone(2) and unshare(2) take it.
const CGROUP_NAMESPACE: u64 = libc::CLONE_NEWCGROUP as u64;
/// How often an answer is tried: together less than the silence that a supervisor bears.
const ATTEMPTS: u32 = 300;

/// The launcher's life, in the process made for it.
pub(super) fn run(plan: &Plan, requests: OwnedFd, open_files: Rlimit) -> ! {
    let outcome = start(&requests, open_files).and_then(|()| prepare(plan));
    let requests = process::fixed(REQUESTS);
    let ready = wire::encode_ready(&outcome.as_ref().map(drop).map_err(Clone::clone));
    let told = socket::send_descriptors(requests, &ready, &[]);
    match (outcome, told) {
        (Ok((mut prepared, mut lender, mut stock)), Ok(())) => serve(plan, &mut prepared, &mut lender, &mut stock),
        _ => process::exit(1),
    }
}

/// Lets go of everything that is the supervisor's. `open_files` is the limit that it was started with: it has raised
/// its own, and only we may lower ours, whatever ids it works under.
fn start(requests: &OwnedFd, open_files: Rlimit) -> Result<(), HostError> {
    let told = |e| HostError::new("separate the launcher from the supervisor", e);
    process::duplicate_onto(requests.as_raw_fd(), REQUESTS, libc::O_CLOEXEC)
        .or_else(|e| if requests.as_raw_fd() == REQUESTS { Ok(()) } else { Err(e) })
        .map_err(told)?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty())
        .map_err(|e| HostError::new("open /dev/null", sys::errno(e)))?;
    for number in 0..3 {
        process::duplicate_stdio(null.as_raw_fd(), number).map_err(told)?;
    }
    // Also the descriptor of /dev/null and the first number of the socket: both are open twice.
    std::mem::forget(null);
    process::close_from(REQUESTS + 1).map_err(told)?;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, open_files)
        .map_err(|e| HostError::new("restore the limit on open files", sys::errno(e)))?;
    // A terminal's signals are for the supervisor; the launcher ends by end of file.
    process::new_session().map_err(told)?;
    process::set_umask(0);
    // Sessions inherit them, so they are set once a service. What the supervisor was started with is nobody's here, nor
    // is its watchdog. SIGPIPE stays ignored: a supervisor that is gone is an errno for us; a command has it set back.
    for signal in signal::changeable().filter(|&signal| signal != libc::SIGPIPE) {
        signal::set_disposition(signal, signal::Disposition::Default)
            .map_err(|e| HostError::new(format!("set signal {signal} to its default for sessions"), e))?;
    }
    // Where it is stopped, it cannot read the end of file.
    process::control(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64, 0).map_err(told)
}

fn prepare(plan: &Plan) -> Result<(Prepared, Lender, Option<Stock>), HostError> {
    // Sessions inherit it, so it costs them nothing. This process is among the first to go as well: its service makes
    // another one.
    let (path, text) = ("/proc/self/oom_score_adj", plan.oom_score_adj.to_string());
    std::fs::write(path, &text)
        .map_err(|e| HostError { doing: format!("write {text} to {path}"), why: e.to_string() })?;
    raise_core_limit(plan)?;
    let proc = rustix::fs::open("/proc", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| HostError::new("open /proc", sys::errno(e)))?;
    let host_root = witness::identity(c"/").map_err(|e| HostError::new("look at the root directory", e))?;
    if !plan.identity.change && plan.namespaces.contains(&Namespace::User) {
        own_user_namespace(plan)?;
    }
    limit_capabilities(Capabilities::of_launcher(plan))?;
    if plan.hostname == HostName::Hidden {
        hide_hostname()?;
    }
    if plan.namespaces.contains(&Namespace::Mount) {
        template::enter(plan)?;
    }
    if plan.steps.contains(&Step::BoundingSet) && plan.place(Step::BoundingSet) == Place::Launcher {
        empty_bounding_set(plan)?;
    }
    let prepared = Prepared::new(plan, proc, host_root)?;
    let lender = Lender::new(plan, &prepared.proc)?;
    // After it has looked at the namespaces that sessions must not have.
    let stock = stock(plan, &prepared);
    Ok((prepared, lender, stock))
}

/// Namespaces to keep, where there is room for their descriptors.
fn stock(plan: &Plan, prepared: &Prepared) -> Option<Stock> {
    let (room, _) = process::limit(libc::RLIMIT_NOFILE).ok()?;
    let stock = if room >= ROOM { Stock::new(Kinds::of(plan), prepared.proc.as_fd()) } else { None };
    if stock.is_some() {
        expect_rest();
    }
    stock
}

/// Has the socket say that nobody has asked for long.
fn expect_rest() {
    // Where this is refused, what is kept stays for as long as this process.
    let requests = process::fixed(REQUESTS);
    let _ = rustix::net::sockopt::set_socket_timeout(requests, rustix::net::sockopt::Timeout::Recv, Some(REST));
}

/// Nothing below executes a program before it has given up its rights, so nothing misses them.
fn empty_bounding_set(plan: &Plan) -> Result<(), HostError> {
    for capability in 0..=plan.last_capability {
        process::control(libc::PR_CAPBSET_DROP, u64::from(capability), 0)
            .map_err(|errno| HostError::new(Step::BoundingSet.doing(), errno))?;
    }
    Ok(())
}

/// Once a service: the UTS namespace of each session begins as a copy of this one.
fn hide_hostname() -> Result<(), HostError> {
    let told = |e: rustix::io::Errno| HostError::new("hide the host's name", sys::errno(e));
    sys::mount::unshare(libc::CLONE_NEWUTS).map_err(|e| HostError::new("make a UTS namespace", e))?;
    rustix::system::sethostname(b"localhost").map_err(told)?;
    // As where none was ever set, see uname(2).
    rustix::system::setdomainname(b"(none)").map_err(told)
}

/// A session cannot raise it any more: it has the right in no user namespace but the host's.
fn raise_core_limit(plan: &Plan) -> Result<(), HostError> {
    let failed = |errno| HostError::new("raise the core limit from 0 to 1", errno);
    let (_, hard) = getrlimit(RLIMIT_CORE).map_err(failed)?;
    match plan.resources.get(&Resource::CoreSize) {
        Some(1) if hard == 0 => setrlimit(RLIMIT_CORE, 1, 1).map_err(failed),
        Some(_) | None => Ok(()),
    }
}

/// An ordinary user has the right to make the other namespaces only inside a user namespace of its own.
fn own_user_namespace(plan: &Plan) -> Result<(), HostError> {
    let doing = "make a user namespace";
    let (uid, gid) = plan.identity.ids.of(None).ok_or_else(|| HostError::new(doing, Errno::EPERM))?;
    sys::mount::unshare(libc::CLONE_NEWUSER).map_err(|e| HostError::new(doing, e))?;
    // The map of groups is taken from an ordinary user only once setgroups is denied, see user_namespaces(7).
    let files = [
        ("/proc/self/setgroups", "deny".to_string()),
        ("/proc/self/uid_map", format!("{uid} {uid} 1")),
        ("/proc/self/gid_map", format!("{gid} {gid} 1")),
    ];
    for (path, text) in files {
        std::fs::write(path, text)
            .map_err(|e| HostError { doing: format!("write {path} of the user namespace"), why: e.to_string() })?;
    }
    Ok(())
}

/// Makes one child for each request until the supervisor lets go.
fn serve(plan: &Plan, prepared: &mut Prepared, lender: &mut Lender, stock: &mut Option<Stock>) -> ! {
    loop {
        let mut bytes = [0; wire::REQUEST_LENGTH];
        match socket::receive_descriptors(process::fixed(REQUESTS), &mut bytes) {
            Ok((wire::REQUEST_LENGTH, [Some(requests), None, None])) if bytes == wire::TWIN => {
                double(prepared, &requests, stock);
            }
            Ok((wire::REQUEST_LENGTH, [Some(cord), cgroup, _])) => {
                let (session, user, purpose) = wire::decode_request(bytes);
                if prepared.launchers_part == LaunchersPart::Wanted && purpose != Purpose::SelfTest {
                    prepared.launchers_part = take_part(plan, prepared);
                }
                let kept = stock.as_mut().map(|stock| stock.enter(prepared.proc.as_fd())).unwrap_or_default();
                let given = prepared.give(plan, user);
                let made = given.and_then(|()| clone((prepared, lender), &cord, cgroup.as_ref(), &kept, purpose));
                let pidfd = answer(session, made);
                match (stock.as_mut(), pidfd, purpose) {
                    (Some(stock), Some(pidfd), Purpose::Session | Purpose::Spare) => stock.lend(kept, pidfd),
                    // Proofs make sockets.
                    (_, _, Purpose::SelfTest) | (_, None, _) | (None, _, _) => {}
                }
            }
            // What it needs did not fit under the limit on open files: this one is refused, those behind it are not.
            Err(Errno::EMFILE) => drop(answer(wire::decode_request(bytes).0, Err(Errno::EMFILE))),
            Err(Errno::EINTR) => {}
            // The request stays in the socket.
            Err(Errno::ENOMEM | Errno::ENOBUFS) => std::thread::sleep(PAUSE),
            Err(Errno::EAGAIN) => match stock {
                Some(stock) => stock.rest(),
                None => std::thread::sleep(PAUSE),
            },
            // End of file, or something that no supervisor of ours sends.
            Ok(_) | Err(_) => process::exit(0),
        }
    }
}

/// Makes another launcher with all that is prepared here, which serves this socket. Where it cannot be made, the
/// supervisor reads the end of file there.
fn double(prepared: &Prepared, requests: &OwnedFd, stock: &mut Option<Stock>) {
    let made = match prepared.clone {
        CloneCall::Clone3 => clone::clone_sibling(0, None),
        CloneCall::Clone => clone::clone_sibling_as_before(0),
    };
    match made {
        Ok(Side::Child) => {
            if process::duplicate_onto(requests.as_raw_fd(), REQUESTS, libc::O_CLOEXEC).is_err() {
                process::exit(1);
            }
            if let Some(stock) = stock {
                // Each is for one session at a time, and two launchers do not tell each other. It stays in those that
                // were entered last, in which none of its sessions ever is.
                stock.leave();
                expect_rest();
            }
            take_over();
        }
        Ok(Side::Parent(_)) | Err(_) => {}
    }
}

/// Answers a request. Where the kernel is short of memory or of descriptors in flight, that is waited for: a supervisor
/// that hears nothing loses a session, and one without its launcher every session that waits for it. The pidfd comes
/// back.
fn answer(session: u64, made: Result<(Pid, OwnedFd), Errno>) -> Option<OwnedFd> {
    let (outcome, pidfd) = match made {
        Ok((pid, pidfd)) => (Ok(pid), Some(pidfd)),
        Err(errno) => (Err(errno), None),
    };
    say(&wire::encode_reply(session, outcome), pidfd.as_ref().map(AsFd::as_fd));
    pidfd
}

fn say(message: &[u8], descriptor: Option<BorrowedFd<'_>>) {
    for _ in 0..ATTEMPTS {
        match socket::send_descriptors(process::fixed(REQUESTS), message, descriptor.as_slice()) {
            Ok(()) => return,
            Err(Errno::EINTR) => {}
            Err(Errno::ENOMEM | Errno::ENOBUFS | Errno::EAGAIN | Errno::ETOOMANYREFS) => std::thread::sleep(PAUSE),
            Err(_) => break,
        }
    }
    process::exit(1)
}

/// Makes the first process of a session: with a copy of this memory, or, where all goes on to programs at once, with
/// this memory itself until then.
fn clone(
    (prepared, lender): (&mut Prepared, &mut Lender),
    cord: &OwnedFd,
    cgroup: Option<&OwnedFd>,
    kept: &Kept,
    purpose: Purpose,
) -> Result<(Pid, OwnedFd), Errno> {
    // Where there is one already, the child is where we are. Else it gets its own by the clone.
    let namespaces = prepared.namespaces & !kept.made_before();
    if purpose == Purpose::Session && lender.loan.program.is_some() {
        prepared.environment.forget_added();
        let given = Given { cord: cord.as_raw_fd(), kill: None, user: kept.user() };
        let (after, made) = lender.lend(namespaces, cgroup.map(AsFd::as_fd), |loan| {
            line::run(prepared, (Memory::Lent, loan), given, None, purpose)
        })?;
        line::AFTER_CLONE.store(false, Ordering::Relaxed);
        match after {
            After::Same => {}
            After::Copy => take_over(),
        }
        return Ok(made);
    }
    // Here, while the rights are there: the reaper has none when it needs it.
    let kill = match cgroup {
        Some(cgroup) if prepared.tree == Tree::Cgroup => Some(open_kill(cgroup)?),
        Some(_) | None => None,
    };
    let (made, joins) = match (prepared.clone, cgroup) {
        (CloneCall::Clone3, into) => (clone::clone_sibling(namespaces, into.map(AsFd::as_fd))?, None),
        (CloneCall::Clone, None) => (clone::clone_sibling_as_before(namespaces)?, None),
        (CloneCall::Clone, Some(into)) => {
            let joins = Joins { into: into.as_raw_fd(), namespace: namespaces & CGROUP_NAMESPACE };
            (clone::clone_sibling_as_before(namespaces & !CGROUP_NAMESPACE)?, Some(joins))
        }
    };
    match made {
        Side::Child => {
            let kill = kill.as_ref().map(AsRawFd::as_raw_fd);
            let given = Given { cord: cord.as_raw_fd(), kill, user: kept.user() };
            line::run(prepared, (Memory::Own, &mut lender.loan), given, joins, purpose)
        }
        Side::Parent(made) => Ok(made),
    }
}

/// Goes on in the place of the process that this is a copy of, and says so.
fn take_over() {
    // A fork clears it. Without it this process reads end of file all the same, unless it is stopped.
    let _ = process::control(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64, 0);
    let moved = wire::encode_moved(nix::unistd::getpid());
    say(&moved, None);
}

/// Goes under the first program of the sessions' filter. What is not seen to be so is each session's own to do.
fn take_part(plan: &Plan, prepared: &Prepared) -> LaunchersPart {
    let installed = prepared.filters.first().is_some_and(|program| {
        // It asks for no_new_privs, or for a right that an ordinary user has not. Nothing is executed here.
        let alone = process::control(libc::PR_SET_NO_NEW_PRIVS, 1, 0);
        alone.and_then(|()| lock::install_filter(program)).is_ok()
    });
    match installed && prepared.witness.is_denied_but(&filter::split::open(plan.steps.iter().copied())) {
        true => LaunchersPart::Inherited,
        false => LaunchersPart::None,
    }
}

fn open_kill(cgroup: &OwnedFd) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(cgroup, c"cgroup.kill", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).map_err(sys::errno)
}
