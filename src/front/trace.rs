// SPDX-License-Identifier: Apache-2.0
//! `spawnbox trace`: a command runs in its whole sandbox, and each thing that it is denied is named with the line of
//! the policy that would allow it.
//!
//! ```text
//! plan ──► traced ──► fork ─┬─► supervisor, as `run` and `listen` have it ──► sandbox: its filter hands calls over
//!                           └─► tracer ◄── the filter's listener ◄── door ◄── cord ◄──'
//!                                 '─ hear ──► judge: the plan's filter answers, its paths and ports are compared
//!                                             '──► tally
//! ```
//!
//! Two processes, because to read a command's memory may take as long as the command likes: the supervisor, which ends
//! sessions, never does. The tracer is the parent, since Yama lets none but an ancestor read. What it lets pass is what
//! the plan's own filter would let pass, by the numbers of the call alone; what arguments point at is held by the
//! mounts and by Landlock, whatever the tracer saw there. `--permissive` lets the calls pass that the filter denies,
//! and says so; the filter that is installed hands them over for that in either case, and nothing but this program's
//! word makes them. Where the tracer ends first, the supervisor ends its sessions.

mod door;
mod tracer;
mod judge;
mod space;
mod denial;
mod tally;

use super::arrange::{Arrangement, Failure};
use super::cli::{Listen, Seeing, Trace};
use super::given::Given;
use super::run;
use super::{check, listen};
use crate::host::{Facts, HostError};
use crate::plan::listen::transport;
use crate::plan::model::{Ids, Plan};
use crate::plan::request::Front;
use crate::plan::traced;
use crate::supervise::OnSignal;
use crate::sys::clone::{self, Side};
use door::Passing;
use judge::Manner;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::{Pid, setpgid};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use tally::Tally;
use tracer::Tracer;

/// Traces one command, or one for each connection.
pub(super) fn trace(options: &Trace) -> Result<ExitCode, Failure> {
    let mut tally = Tally::new(options.json, options.out.as_deref())?;
    if options.permissive {
        tracing::warn!(
            "permissive: calls that the filter denies are made, so the command is held by less than its policy says"
        );
    }
    let (front, transport, given) = match &options.address {
        Some(address) => (Front::Listen, transport(address), None),
        None => {
            let given = Given::take().map_err(Failure::Host)?;
            (Front::Run, given.transport, Some(given))
        }
    };
    let arrangement = Arrangement::new(&options.what, front)?.with_addresses(&options.address);
    let facts = arrangement.observe()?;
    let plan = traced(arrangement.plan(transport, &facts)?, &facts)
        .map_err(|why| Failure::Host(HostError { doing: "trace".into(), why }))?;
    let failed = |errno| Failure::Host(HostError::new("start the supervisor", errno));
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).map_err(failed)?;
    match clone::fork().map_err(failed)? {
        Side::Child => {
            drop(ours);
            supervise(options, plan, &facts, given, theirs)
        }
        Side::Parent(supervisor) => {
            drop((theirs, given));
            let ids = user(&plan);
            let manner = if options.permissive { Manner::Permissive } else { Manner::Strict };
            let status = Tracer::new((&plan, manner), supervisor, ours, ids).and_then(|tracer| tracer.run(&mut tally));
            tally.end().map_err(Failure::Host)?;
            status.map(ExitCode::from).map_err(Failure::Host)
        }
    }
}

/// The supervisor's side. A terminal's signals are for the tracer, which passes them on, so that each comes once.
fn supervise(
    options: &Trace,
    plan: Plan,
    facts: &Facts,
    given: Option<Given>,
    tracer: OwnedFd,
) -> Result<ExitCode, Failure> {
    let own = Pid::from_raw(0);
    setpgid(own, own).map_err(|errno| Failure::Host(HostError::new("leave the terminal to the tracer", errno)))?;
    check::say_what_is_missing(&plan);
    let mut door = Passing::new(tracer, options.connections);
    match (given, &options.address) {
        (Some(Given { connection, client, .. }), _) => {
            run::serve(plan, facts, (connection, client), &mut door)?;
            Ok(door.once.status())
        }
        (None, address) => {
            let like = Listen {
                addresses: address.iter().cloned().collect(),
                print_port: options.print_port,
                max_sessions: None,
                seeing: Seeing::default(),
                drain_limit: None,
                drain_delay: None,
                what: options.what.clone(),
            };
            listen::serve(vec![plan], facts, &like, (listen::Before::default(), OnSignal::Drain, &mut door))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// As whom the tracer looks at the host. Where each session has an id of its own, as nobody else but who it is.
fn user(plan: &Plan) -> Option<(u32, u32)> {
    match plan.identity.ids {
        Ids::One { uid, gid } => plan.identity.change.then_some((uid, gid)),
        Ids::Each { .. } => None,
    }
}
