// SPDX-License-Identifier: Apache-2.0
//! Sessions that do nothing: what each takes of the host, and whether a new client waits longer for the many.

use crate::figures::{Idle, Row, grown, percentile, short};
use crate::load::{Connection, Ends, Load, play};
use crate::peers::{self, Peer};
use crate::processor;
use crate::scene::memory::{Taken, kernel_kib, of_host_kib, taken};
use crate::scene::{host, patience};
use crate::server::Server;
use crate::size::Size;
use crate::{command, round};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs;
use std::time::Duration;

/// Memory that a session may take, of which as many must fit as are opened.
const ROOM_KIB: u64 = 1024;
/// Descriptors that a session may take of a server.
const DESCRIPTORS: u64 = 3;

/// How long they do nothing before it is looked at what they take: some give memory back.
const REST: Duration = Duration::from_millis(600);

/// Fills in what is about idle sessions; else in words what was in the way.
pub(crate) fn measure(size: &Size, peer: &'static Peer, row: &mut Row, quiet: processor::Idle) -> Result<(), String> {
    let server = Server::start(peer, &[command::path().display().to_string(), "stay".to_string()])?;
    host::eventually("the first client's command has ended", patience(), || {
        Standing::of(&server).commands.processes == 0
    });
    let before = Standing::of(&server);
    let mut open = Vec::new();
    let mut sessions = Vec::new();
    for &count in size.sessions.iter().filter(|count| **count <= peer.most) {
        if let Err(why) = fit(count) {
            row.left_out.push(format!("{count} idle sessions: {why}"));
            continue;
        }
        while open.len() < count {
            open.push(stay(&server, open.len())?);
            if open.len() == size.idle {
                std::thread::sleep(REST);
                row.idle = Some(before.until(&Standing::of(&server), size.idle)?);
            }
        }
        sessions.push((count, newcomer(size, &server, quiet)?));
    }
    row.sessions = grown(sessions);
    open.into_iter().try_for_each(Connection::finish).map_err(|error| format!("{} does not end: {error}", peer.name))
}

/// What a new client waits while the others are there, on a quiet machine.
fn newcomer(size: &Size, server: &Server, quiet: processor::Idle) -> Result<f64, String> {
    let load =
        Load { clients: 1, connections: size.grown, longest: size.longest, rest: Duration::ZERO, ends: Ends::Client };
    round::quietly(size, server.peer.name, || {
        let (seen, used) = quiet.while_doing(&server.group, || play(&server.address, load));
        (percentile(&seen.latencies, 50), used.foreign)
    })
}

fn stay(server: &Server, number: usize) -> Result<Connection, String> {
    let name = server.peer.name;
    Connection::open(&server.address)
        .map_err(|error| format!("{name}, idle session {}: {error}\n{}", number + 1, server.log()))
}

/// A server and its host at one moment.
struct Standing {
    own: Taken,
    commands: Taken,
    kernel_kib: u64,
}

impl Standing {
    fn of(server: &Server) -> Standing {
        // One that has ended and was not waited for has no program any more.
        let program = |pid: u32| Some((pid, fs::read_link(format!("/proc/{pid}/exe")).ok()?));
        let all = server.group.processes().into_iter().filter_map(program);
        let (commands, own): (Vec<_>, Vec<_>) = all.partition(|(_, program)| program.ends_with(command::NAME));
        let [commands, own] = [commands, own].map(|all| all.into_iter().map(|(pid, _)| pid).collect::<Vec<u32>>());
        Standing { own: taken(&own), commands: taken(&commands), kernel_kib: kernel_kib() }
    }

    /// What each of so many sessions has added since.
    fn until(&self, after: &Standing, sessions: usize) -> Result<Idle, String> {
        let commands = after.commands.processes;
        if commands != sessions as u64 {
            return Err(format!("{commands} commands stay for {sessions} clients"));
        }
        let each = |before: u64, after: u64| short((after as f64 - before as f64) / sessions as f64);
        let kib = |taken: &Taken| taken.memory_kib + taken.tables_kib;
        Ok(Idle {
            sessions,
            base_kib: kib(&self.own),
            processes: each(self.own.processes, after.own.processes),
            own_kib: each(kib(&self.own), kib(&after.own)),
            command_kib: each(kib(&self.commands), kib(&after.commands)),
            kernel_kib: each(self.kernel_kib, after.kernel_kib),
        })
    }
}

/// Lets this process, and what it starts, have as many descriptors as are needed, or as it may.
pub(crate) fn raise_descriptors() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit can be asked for");
    let needed = peers::MOST as u64 * DESCRIPTORS;
    let _it_may_not = setrlimit(Resource::RLIMIT_NOFILE, needed.max(soft), needed.max(hard))
        .or_else(|_| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
}

/// Whether this machine has room for so many.
fn fit(sessions: usize) -> Result<(), String> {
    let (needed, there) = (sessions as u64 * ROOM_KIB, of_host_kib("MemAvailable:"));
    if needed > there {
        return Err(format!("{needed} KiB of memory may be needed, {there} are there"));
    }
    let (descriptors, _) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit can be asked for");
    match sessions as u64 * DESCRIPTORS > descriptors {
        true => Err(format!("a process may have {descriptors} descriptors")),
        false => Ok(()),
    }
}
