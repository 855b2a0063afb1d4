// SPDX-License-Identifier: Apache-2.0
//! A host with many mounts, as container hosts have: whether a session costs more there. The mounts are made in a
//! namespace that goes with the thread which made it.

use crate::figures::{Row, grown, percentile};
use crate::load::{Ends, Load, play};
use crate::peers::{Needs, Peer};
use crate::processor::Idle;
use crate::scene::stage::room;
use crate::server::Server;
use crate::size::Size;
use crate::{command, postfix::private::attach, round};
use nix::mount::MsFlags;
use nix::sched::{CloneFlags, unshare};
use std::path::Path;
use std::time::Duration;

/// Fills in what is about mounts.
pub(crate) fn measure(size: &Size, peer: &'static Peer, row: &mut Row, idle: Idle) -> Result<(), String> {
    let among = |count: &usize| {
        let p50 = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNS).expect("root may make namespaces");
                let room = room();
                mount_many(room.whole(), *count);
                visit(size, peer, idle)
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        Ok((*count, p50))
    };
    let all: Result<Vec<(usize, f64)>, String> = size.mounts.iter().map(among).collect();
    row.mounts = grown(all?);
    Ok(())
}

/// Whether this server makes mounts of its own for a session; the bare one is there to be compared with. Not those in a
/// container, which has none of the host's.
pub(crate) fn concerns(peer: &Peer) -> bool {
    !peer.unix && (peer.name == "bare" || peer.sandbox != "none") && !matches!(peer.needs, Needs::Rare(_))
}

/// So many mounts of one small file system.
fn mount_many(above: &Path, count: usize) {
    attach(Path::new("bench"), above, Some("tmpfs"), MsFlags::empty());
    let make = |name: &str| {
        let directory = above.join(name);
        std::fs::create_dir(&directory).expect("a tmpfs can be written");
        directory
    };
    let empty = make("empty");
    (1..count).for_each(|number| attach(&empty, &make(&number.to_string()), None, MsFlags::MS_BIND));
}

fn visit(size: &Size, peer: &'static Peer, idle: Idle) -> Result<f64, String> {
    let server = Server::start(peer, &[command::path().display().to_string()])?;
    let load =
        Load { clients: 1, connections: size.grown, longest: size.longest, rest: Duration::ZERO, ends: Ends::Command };
    round::quietly(size, peer.name, || {
        let (seen, used) = idle.while_doing(&server.group, || play(&server.address, load));
        (percentile(&seen.latencies, 50), used.foreign)
    })
}
