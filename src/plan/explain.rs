// SPDX-License-Identifier: Apache-2.0
//! A plan in words: one page that says what will be enforced, who said so, and what is off.
//! Says only what the plan says; decides nothing, and hides nothing that is weaker than it could be.

mod page;
mod clients;
mod json;
mod open;
mod sight;
mod steps;
mod walls;

use super::listen;
use super::model::{ClientNames, Ends, Ids, Level, Listen, Plan, StandardError, Tree};
use super::request::{Front, Transport};
use crate::host::facts::{Cgroup, Facts};
use crate::policy::{Filled, Origin, Paint, printable};
use page::Page;
use std::ffi::CStr;

pub use super::items::sentence;
pub(super) use clients::words as clients_words;
pub use page::broken;
pub(crate) use sight::size;

/// How a page is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Columns, where the values permit.
    pub width: usize,
    /// Whether it is painted.
    pub paint: Paint,
}

impl Look {
    /// For whatever is no terminal.
    pub const PLAIN: Look = Look { width: 120, paint: Paint::Off };
}

/// The plan on one page: label, value, and at the right the place where it was written.
pub fn explain(plan: &Plan, facts: &Facts, look: Look) -> String {
    let mut text = format!("{}\n\n{}", title(plan, look.paint), rows(plan, facts).text(look, Paint::name));
    let mut page = Page::default();
    walls::off(plan, &mut page);
    if !plan.off.is_empty() {
        text.push('\n');
        text.push_str(&page.text(look, Paint::doubtful));
    }
    text
}

/// What of a plan is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The page.
    Page,
    /// The steps of the child.
    Steps,
    /// What becomes of each system call.
    Calls,
    /// The points of each wall.
    Score,
}

/// The same for programs: that part, or, for the page, everything that can be printed of a plan.
pub fn json(plan: &Plan, facts: &Facts, part: Part) -> String {
    format!("{:#}\n", json::object(plan, &rows(plan, facts), part))
}

/// Everything but what is off.
fn rows(plan: &Plan, facts: &Facts) -> Page {
    let mut page = Page::default();
    service(plan, facts, &mut page);
    clients::clients(plan, &mut page);
    runs(plan, &mut page);
    identity(plan, &mut page);
    sight::sees(plan, &mut page);
    sight::network(plan, &mut page);
    sight::calls(plan, &mut page);
    walls::limits(plan, facts, &mut page);
    walls::layers(plan, &mut page);
    open::open(plan, &mut page);
    ends(plan, facts, &mut page);
    page
}

/// The steps of the child, in order: number, name, place, what it does about what, by which calls and why there; and
/// those that are not taken, with the reason.
pub fn steps(plan: &Plan, look: Look) -> String {
    steps::text(plan, look)
}

fn title(plan: &Plan, paint: Paint) -> String {
    // It may be the name of a program that somebody else has chosen.
    let service = paint.name(&printable(&plan.service));
    match (&plan.description, plan.level) {
        (Some(description), Level::Full | Level::Userns) => format!("{service}: {description}"),
        // What a policy says of itself, it says of what namespaces hold.
        (_, Level::LandlockOnly) => format!("{service}: at landlock-only, without what is off below"),
        (None, Level::Full | Level::Userns) => service,
    }
}

/// The place where a key was written, as far as the plan knows.
fn origin<'a>(plan: &'a Plan, key: &str) -> Option<&'a Origin> {
    plan.origins.get(key)
}

/// The same, silent where no one wrote it: for rows that are there anyway.
fn written<'a>(plan: &'a Plan, key: &str) -> Option<&'a Origin> {
    origin(plan, key).filter(|origin| **origin != Origin::Default)
}

fn service(plan: &Plan, facts: &Facts, page: &mut Page) {
    // As many digits as log lines show.
    let hash: String = plan.policy_hash.chars().take(12).collect();
    page.row("policy", format!("{}, sha256 {hash}", plan.policy), None);
    if let (Some(description), Level::LandlockOnly) = (&plan.description, plan.level) {
        page.row("", format!("which says of itself: {description}"), None);
    }
    if !plan.read_from.is_empty() {
        page.row("", format!("read from {}", plan.read_from.join(", ")), None);
    }
    let names = plan.filled.iter().map(|Filled { written, became, origin }| {
        (written.escape_debug().to_string(), format!("is {}", became.escape_debug()), Some(origin))
    });
    page.pairs("names", &names.collect::<Vec<_>>());
    let front = match plan.front {
        Front::Master => "Postfix master(8)",
        Front::Listen => "its own listening sockets",
        Front::Run => "the standard input of spawnbox run",
    };
    let transport = match plan.transport {
        Transport::Tcp => "TCP",
        Transport::Unix => "UNIX-domain sockets",
        Transport::Stdio => "whatever it is given",
    };
    page.row("clients", format!("from {front}, {transport}"), None);
    listens(plan, page);
    let who = if facts.rootless() { format!("user id {}", facts.uid) } else { "root".to_string() };
    let landlock = match facts.landlock_abi {
        0 => "no Landlock".to_string(),
        abi => format!("Landlock ABI {abi}"),
    };
    page.row("host", format!("Linux {}, {landlock}; spawnbox runs as {who}", facts.kernel.release), None);
}

fn listens(plan: &Plan, page: &mut Page) {
    let Listen { addresses, backlog, reuse_port } = &plan.listen;
    if addresses.is_empty() {
        return;
    }
    page.row("", format!("at {}", listen::words(&plan.listen)), origin(plan, "listen.addresses"));
    if let Some(origin) = written(plan, "listen.backlog") {
        page.row("", format!("of whom {backlog} may wait to be accepted"), Some(origin));
    }
    if *reuse_port {
        let text = "who may get to another process of this user that listens on the same port";
        page.row("", text, origin(plan, "listen.reuse-port"));
    }
}

fn runs(plan: &Plan, page: &mut Page) {
    let command = &plan.command;
    let words = command.argv.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    page.row("runs", words, origin(plan, "command.argv"));
    if command.programs.len() > 1 {
        let programs = command.programs.iter().map(|program| quoted(program)).collect::<Vec<_>>().join(" ");
        page.row("", format!("looked for as {programs}"), None);
    }
    page.row("", format!("in {}", quoted(&command.directory)), written(plan, "command.directory"));
    page.row("", format!("with umask {:03o}", command.umask), written(plan, "command.umask"));
    if !command.ignore_signals.is_empty() {
        let names = command.ignore_signals.iter().map(|signal| super::items::signal(*signal));
        let names = names.collect::<Vec<_>>().join(" ");
        page.row("", format!("ignoring {names}"), written(plan, "command.ignore-signals"));
    }
    if !command.environment.is_empty() {
        let variables = command.environment.iter().map(|variable| quoted(variable)).collect::<Vec<_>>().join(" ");
        page.row("", format!("with {variables}"), written(plan, "command.environment"));
    }
    let stderr = match (plan.stderr, plan.transport) {
        (StandardError::Connection, Transport::Tcp | Transport::Unix) => "with its standard error to the client",
        (StandardError::Connection, Transport::Stdio) => "with the standard error that it is given",
        (StandardError::None, _) => "with its standard error to nobody (/dev/null)",
        (StandardError::Log, _) => "with its standard error to the log, escaped and no more than 10 lines a second",
    };
    page.row("", stderr, written(plan, "connection.stderr"));
    if let Some(names) = command.client_environment {
        let text = match names {
            ClientNames::Tcpserver => "with what is known of the client (PROTO, TCPREMOTEIP, ...)",
            ClientNames::Xinetd => "with what is known of the client (REMOTE_HOST, as xinetd has it)",
            ClientNames::Systemd => "with what is known of the client (REMOTE_ADDR, REMOTE_PORT, as systemd has it)",
        };
        page.row("", text, written(plan, "command.client-environment"));
    }
}

fn identity(plan: &Plan, page: &mut Page) {
    let identity = &plan.identity;
    let who = match identity.ids {
        Ids::One { uid, gid } => format!("{} (uid {uid}, gid {gid})", identity.name),
        Ids::Each { range, gid } => {
            let group = gid.map_or("group id the same number".to_string(), |gid| format!("gid {gid}"));
            format!("each session a user id of its own from {range}, {group}")
        }
    };
    let groups =
        if identity.change { ", no other groups, no capabilities" } else { ", who started it; no capabilities" };
    page.row("as", format!("{who}{groups}"), origin(plan, "command.user"));
    if origin(plan, "command.group") != origin(plan, "command.user") {
        let gid = match identity.ids {
            Ids::One { gid, .. } => gid.to_string(),
            Ids::Each { gid, .. } => gid.map_or("the user id".to_string(), |gid| gid.to_string()),
        };
        page.row("", format!("group id {gid}"), origin(plan, "command.group"));
    }
}

fn ends(plan: &Plan, facts: &Facts, page: &mut Page) {
    let when = match plan.ends {
        Ends::Command => "with the command; what it left behind is killed",
        Ends::Tree => "with the last process that the command left behind",
    };
    page.row("ends", when, origin(plan, "connection.ends"));
    let time = match plan.time_limit {
        Some(limit) => format!("at the latest {} s after accept, all processes killed at once", limit.as_secs()),
        None => "no time limit".to_string(),
    };
    page.row("", time, origin(plan, "limits.time"));
    if let Some(limit) = plan.idle_limit {
        let text = format!("when its connection has carried no byte for {} s, either way", limit.as_secs());
        page.row("", text, origin(plan, "limits.idle"));
    }
    let means = match (&facts.cgroup, plan.tree) {
        (Cgroup::At { path, .. }, Tree::PidNamespace) => {
            format!("by the PID namespace, and cgroup.kill below {}", path.display())
        }
        (Cgroup::At { path, .. }, Tree::Cgroup) => format!("by cgroup.kill below {}", path.display()),
        (_, Tree::Domain) => "by the reaper, which kills all of its Landlock domain in one call".to_string(),
        (Cgroup::Unavailable(_), _) => "by the PID namespace".to_string(),
    };
    page.row("", means, None);
    let init = if plan.init && plan.tree != Tree::PidNamespace {
        "its first process is a reaper of ours, which takes over whatever loses its parent"
    } else if plan.init {
        "process 1 is a reaper of ours: the command dies of its signals as it would outside"
    } else {
        "process 1 is the command itself, which no signal with a default action ends"
    };
    page.row("", init, written(plan, "isolation.init"));
    let hold = if plan.hold {
        "the supervisor keeps its copy of the connection until then"
    } else {
        "the supervisor keeps no copy of the connection"
    };
    page.row("", hold, written(plan, "connection.hold"));
    let sessions = format!("sessions in one process: {}", plan.concurrency);
    page.row("at once", sessions, written(plan, "connection.concurrency"));
    if plan.spares > 0 {
        let spares = format!("sandboxes that wait for clients: up to {}", plan.spares);
        page.row("", spares, written(plan, "connection.spares"));
    }
}

/// A word as a shell would want it, control characters escaped: a plan must not write to the terminal.
fn quoted(word: &CStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:=@%+,-".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.into_owned() } else { format!("\"{}\"", word.escape_debug()) }
}
