// SPDX-License-Identifier: Apache-2.0
//! What a session's reaper tells of denied calls becomes lines of the log: the call, what it was about, and what in the
//! policy would allow it. What is too much is counted; who tells more than a reaper of ours is none.

use super::stderr::{Rate, Voice, quoted};
use crate::host::errno_text;
use crate::observe;
use crate::plan::Plan;
use crate::plan::calls::{self, Aim, Pointer};
use crate::plan::model::Denial;
use crate::sandbox::Denied;
use nix::errno::Errno;
use nix::libc;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};
use syscalls::x86_64::Sysno;

/// The most messages that wait to be told.
const WAITING: usize = 100;

/// The denials of one session.
#[derive(Debug)]
pub(super) struct Denials {
    began: Instant,
    heard: u64,
    waiting: Vec<Denied>,
    /// Lines of calls that fail, and of those that end their process.
    lines: Rate,
    deaths: Rate,
    left_out: u64,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// It will be told.
    Kept,
    /// No reaper of ours tells so much.
    TooMany,
}

impl Denials {
    pub(super) fn new(now: Instant) -> Denials {
        let (lines, deaths) = (Rate::of_denials(now), Rate::of_deaths(now));
        Denials { began: now, heard: 0, waiting: Vec::new(), lines, deaths, left_out: 0 }
    }

    /// Takes a message, to be told once the plan is at hand.
    pub(super) fn hear(&mut self, denied: Denied, now: Instant) -> Heard {
        self.heard += 1;
        if self.heard > most(now.saturating_duration_since(self.began)) {
            return Heard::TooMany;
        }
        match self.waiting.len() < WAITING {
            true => self.waiting.push(denied),
            false => self.left_out += 1 + u64::from(denied.untold),
        }
        Heard::Kept
    }

    /// Writes a line for each message that was taken.
    pub(super) fn tell(&mut self, plan: &Plan, voice: &mut Voice<'_>, now: Instant) {
        for denied in std::mem::take(&mut self.waiting) {
            self.left_out += u64::from(denied.untold);
            let rate = match denial(plan, &denied) {
                Denial::Errno(_) => &mut self.lines,
                Denial::Kill => &mut self.deaths,
            };
            if !(rate.take(now) && voice.rate.take(now)) {
                self.left_out += 1;
                continue;
            }
            self.end(voice);
            tracing::warn!("{voice} {}", words(plan, &denied));
        }
    }

    /// Says how many were left out.
    pub(super) fn end(&mut self, voice: &Voice<'_>) {
        match std::mem::take(&mut self.left_out) {
            0 => {}
            count => tracing::warn!("{voice} denials-left-out={count}"),
        }
    }
}

/// What a reaper may have told of since its session began: twice what it does by itself. Since then, and not in a
/// moment: where the supervisor was stopped for a while, what came meanwhile is there at once.
fn most(since: Duration) -> u64 {
    120 + 3 * since.as_secs()
}

/// As it was answered.
fn denial(plan: &Plan, denied: &Denied) -> Denial {
    let denial = plan.filter.as_ref().and_then(|filter| calls::denial(filter, denied.call, denied.arguments));
    denial.unwrap_or(Denial::Errno(libc::EPERM))
}

/// One denial, without who met it.
fn words(plan: &Plan, denied: &Denied) -> String {
    let call = Sysno::new(denied.call as usize).map_or_else(|| denied.call.to_string(), |call| call.name().to_string());
    let about = match calls::pointer(denied.call) {
        _ if denied.name().is_empty() => arguments(denied),
        Some((_, Pointer::Path)) => format!("path={}", quoted(denied.name())),
        Some((_, Pointer::Address(_))) => address(denied.name()),
        None => arguments(denied),
    };
    let end = match denial(plan, denied) {
        Denial::Errno(errno) => errno_text(Errno::from_raw(errno)),
        Denial::Kill => "its process is killed".to_string(),
    };
    let missing = calls::missing(plan, denied.call, denied.arguments, aim(denied));
    format!("denied call={call} {about}: {end}; {}", calls::said(&missing))
}

/// The first arguments. What they mean is the call's; a socket's first one is worth a name.
fn arguments(denied: &Denied) -> String {
    let [first, second, third, ..] = denied.arguments;
    let family = match (libc::c_long::from(denied.call), first as libc::c_int) {
        (libc::SYS_socket | libc::SYS_socketpair, libc::AF_UNIX) => " family=unix",
        (libc::SYS_socket | libc::SYS_socketpair, libc::AF_INET) => " family=inet",
        (libc::SYS_socket | libc::SYS_socketpair, libc::AF_INET6) => " family=inet6",
        (libc::SYS_socket | libc::SYS_socketpair, libc::AF_NETLINK) => " family=netlink",
        (libc::SYS_socket | libc::SYS_socketpair, libc::AF_PACKET) => " family=packet",
        (_, _) => "",
    };
    format!("arguments={first:#x},{second:#x},{third:#x}{family}")
}

/// The internet address that a call was about. Its socket is not looked at: what sends to an address is a datagram, and
/// what connects is a stream but for what resolvers do.
fn aim(denied: &Denied) -> Option<Aim> {
    let (_, Pointer::Address(_)) = calls::pointer(denied.call)? else { return None };
    let address = observe::internet_address(denied.name())?;
    let call = libc::c_long::from(denied.call);
    let connects = matches!(call, libc::SYS_connect | libc::SYS_bind);
    Some(Aim { stream: connects && observe::is_mostly_a_stream(&address), bind: call == libc::SYS_bind, address })
}

/// An address of a socket: where to, and which port.
fn address(bytes: &[u8]) -> String {
    let family = bytes.first_chunk().map(|family| libc::c_int::from(u16::from_ne_bytes(*family)));
    let port = bytes.get(2..4).and_then(|port| port.try_into().ok()).map(u16::from_be_bytes);
    match (family, port) {
        (Some(libc::AF_INET), Some(port)) if bytes.len() >= 8 => {
            let ip = Ipv4Addr::new(bytes[4], bytes[5], bytes[6], bytes[7]);
            format!("address={ip} port={port}")
        }
        (Some(libc::AF_INET6), Some(port)) => match bytes.get(8..24).and_then(|ip| <[u8; 16]>::try_from(ip).ok()) {
            Some(ip) => format!("address={} port={port}", Ipv6Addr::from(ip)),
            None => format!("port={port}"),
        },
        (Some(libc::AF_UNIX), _) => {
            let path = &bytes[2..];
            let end = match path.iter().skip(1).position(|byte| *byte == 0) {
                Some(end) if path.first() != Some(&0) => end + 1,
                Some(_) | None => path.len(),
            };
            format!("path={}", quoted(&path[..end]))
        }
        (Some(family), _) => format!("family={family}"),
        (None, _) => "address=?".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::hosts::{listen, root_on_618, strict};
    use crate::plan::resolve;

    fn said(call: libc::c_long, arguments: [u64; 6], name: &[u8]) -> String {
        let plan = resolve(&listen(&["sh"]), &strict(), &root_on_618()).unwrap();
        let denied = Denied::new(call as u32, arguments, 0).named(name);
        let said = words(&plan, &denied);
        crate::fuzz::assert_one_line(&said);
        said
    }

    #[test]
    fn what_a_command_chose_stays_in_its_quotes() {
        let said = said(libc::SYS_chown, [0; 6], b"/x\" outcome=exited\n\x1b[2J\xff\0rest");
        let expected = r#"denied call=chown path="/x\" outcome=exited\x0a\x1b[2J\xff": Operation not permitted; to allow it: syscalls.allow = ["chown"]"#;
        assert_eq!(said, expected);
    }

    #[test]
    fn what_waited_while_the_supervisor_was_stopped_is_no_attack_and_what_no_reaper_tells_is_one() {
        let start = Instant::now();
        let mut denials = Denials::new(start);
        let mut told = |seconds: u64, count: usize| {
            let at = start + Duration::from_secs(seconds);
            (0..count).filter(|_| denials.hear(Denied::new(0, [0; 6], 0), at) == Heard::Kept).count()
        };
        // Sixty at once and three in two seconds are what a reaper tells.
        assert_eq!([told(0, 60), told(3600, 5400), told(3601, 1)], [60, 5400, 1]);
        assert_eq!(told(3601, 10_000), 120 + 3 * 3601 - 5461);
        assert_eq!(denials.waiting.len(), WAITING);
    }

    #[test]
    fn each_kind_of_call_says_what_it_is_about() {
        let inet = [&[2, 0, 0, 25, 127, 0, 0, 1][..], &[0; 8]].concat();
        let inet6 = [&[10, 0, 1, 187, 0, 0, 0, 0][..], &[0; 15], &[1], &[0; 4]].concat();
        for (call, name, expected) in [
            (libc::SYS_connect, &inet[..], "denied call=connect address=127.0.0.1 port=25: "),
            (libc::SYS_connect, &inet6, "denied call=connect address=::1 port=443: "),
            (libc::SYS_bind, b"\x01\0/run/x\0junk", "denied call=bind path=\"/run/x\": "),
            (libc::SYS_bind, b"\x01\0\0name", "denied call=bind path=\"\\x00name\": "),
            (libc::SYS_bind, b"\x10\0\0\0", "denied call=bind family=16: "),
            (libc::SYS_bind, b"\x01", "denied call=bind address=?: "),
            (libc::SYS_connect, b"", "denied call=connect arguments=0x10,0x3,0x0: "),
            (libc::SYS_socket, b"", "denied call=socket arguments=0x10,0x3,0x0 family=netlink: "),
            (999_999, b"", "denied call=999999 arguments=0x10,0x3,0x0: "),
        ] {
            let said = said(call, [16, 3, 0, 0, 0, 0], name);
            assert!(said.starts_with(expected), "{said}");
        }
        assert!(said(libc::SYS_ptrace, [0; 6], b"").contains(": its process is killed; to allow it: "));
    }
}
