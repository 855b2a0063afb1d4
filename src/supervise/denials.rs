// SPDX-License-Identifier: Apache-2.0
//! What a session's reaper tells of denied calls, and of what granted ones looked up and reached, becomes lines of the
//! log: the call, what it was about, and what in the policy would allow it. What is too much is counted; who tells more
//! than a reaper of ours is none. Nothing is looked at to say so but the plan: a path is a command's choice, and a look
//! at it may take as long as a file system likes.

use super::stderr::{Rate, Voice, quoted};
use crate::host::errno_text;
use crate::plan::Plan;
use crate::plan::calls::{self, Aim, Name, Pointer, Using};
use crate::plan::model::{self, Denial};
use crate::plan::sought;
use crate::sandbox::Denied;
use nix::errno::Errno;
use nix::libc;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};
use syscalls::x86_64::Sysno;

/// The most messages that wait to be told.
const WAITING: usize = 160;

/// The denials of one session.
#[derive(Debug)]
pub(super) struct Denials {
    began: Instant,
    heard: u64,
    /// Denied calls since they were last asked for.
    counted: u64,
    waiting: Vec<Denied>,
    /// Lines of calls that fail, of those that end their process, and of what granted ones look up and reach.
    lines: Rate,
    deaths: Rate,
    sought: Rate,
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
        let (lines, deaths, sought) = (Rate::of_denials(now), Rate::of_deaths(now), Rate::of_denials(now));
        Denials { began: now, heard: 0, counted: 0, waiting: Vec::new(), lines, deaths, sought, left_out: 0 }
    }

    /// Takes a message, to be told once the plan is at hand.
    pub(super) fn hear(&mut self, denied: Denied, now: Instant) -> Heard {
        self.heard += 1;
        if self.heard > most(now.saturating_duration_since(self.began)) {
            return Heard::TooMany;
        }
        self.counted += 1 + u64::from(denied.untold);
        match self.waiting.len() < WAITING {
            true => self.waiting.push(denied),
            false => self.left_out += 1 + u64::from(denied.untold),
        }
        Heard::Kept
    }

    /// How many calls were denied since this was last asked.
    pub(super) fn take_counted(&mut self) -> u64 {
        std::mem::take(&mut self.counted)
    }

    /// Writes a line for each message that was taken.
    pub(super) fn tell(&mut self, plan: &Plan, voice: &mut Voice<'_>, now: Instant) {
        for denied in std::mem::take(&mut self.waiting) {
            self.left_out += u64::from(denied.untold);
            let Some(words) = words(plan, &denied) else { continue };
            let rate = match denial(plan, &denied) {
                Some(Denial::Errno(_)) => &mut self.lines,
                Some(Denial::Kill) => &mut self.deaths,
                None => &mut self.sought,
            };
            if !(rate.take(now) && voice.rate.take(now)) {
                self.left_out += 1;
                continue;
            }
            self.end(voice);
            tracing::warn!("{voice} {words}");
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
    320 + 5 * since.as_secs()
}

/// As it was answered; `None` where it was made.
fn denial(plan: &Plan, denied: &Denied) -> Option<Denial> {
    let filter = plan.filter.as_ref();
    let denial = filter.and_then(|filter| calls::denial(filter, denied.call, denied.arguments));
    let lets_pass = filter.is_some_and(|filter| filter.denials == model::Denials::Named);
    denial.or((!lets_pass).then_some(Denial::Errno(libc::EPERM)))
}

/// One denial, without who met it; `None` for a call that comes to what it would on the host.
fn words(plan: &Plan, denied: &Denied) -> Option<String> {
    let call = Sysno::new(denied.call as usize).map_or_else(|| denied.call.to_string(), |call| call.name().to_string());
    let about = match calls::pointer(denied.call) {
        _ if denied.name().is_empty() => arguments(denied),
        Some((_, Pointer::Path)) => format!("path={}", quoted(denied.name())),
        Some((_, Pointer::Address(_))) => address(denied.name()),
        None => arguments(denied),
    };
    let (end, missing) = match denial(plan, denied) {
        Some(Denial::Errno(errno)) => (errno_text(Errno::from_raw(errno)), missing(plan, denied)),
        Some(Denial::Kill) => ("its process is killed".to_string(), missing(plan, denied)),
        None => sought(plan, denied).map(|(end, missing)| (end.to_string(), missing))?,
    };
    Some(format!("denied call={call} {about}: {end}; {}", calls::said(&missing)))
}

type Missing = Result<Vec<calls::Grant>, String>;

fn missing(plan: &Plan, denied: &Denied) -> Missing {
    calls::missing(plan, denied.call, denied.arguments, aim(denied))
}

/// What a granted call meets.
fn sought(plan: &Plan, denied: &Denied) -> Option<(sought::End, Missing)> {
    let path = |path, using| sought::path(plan, Path::new(OsStr::from_bytes(path)), using);
    match calls::pointer(denied.call)? {
        (_, Pointer::Path) => path(denied.name(), calls::wanted(denied.call, denied.arguments)?),
        (_, Pointer::Address(_)) => match calls::name(denied.name())? {
            Name::File(file) if libc::c_long::from(denied.call) == libc::SYS_bind => path(file, Using::Change),
            Name::File(file) => path(file, Using::Connect),
            Name::Internet(_) => {
                aim(denied).and_then(|aim| sought::address(plan, aim)).map(|(end, all)| (end, Ok(all)))
            }
            Name::Abstract(_) | Name::Other(_) => None,
        },
    }
}

/// The first arguments. What they mean is the call's; a socket's first one is worth a name.
fn arguments(denied: &Denied) -> String {
    let [first, second, third, ..] = denied.arguments;
    let makes = matches!(libc::c_long::from(denied.call), libc::SYS_socket | libc::SYS_socketpair);
    let family = calls::family(first as libc::c_int).filter(|_| makes);
    let family = family.map_or(String::new(), |family| format!(" family={family}"));
    format!("arguments={first:#x},{second:#x},{third:#x}{family}")
}

/// The internet address that a call was about. Its socket is not looked at: what sends to an address is a datagram, and
/// what connects is a stream but for what resolvers do.
fn aim(denied: &Denied) -> Option<Aim> {
    let (_, Pointer::Address(_)) = calls::pointer(denied.call)? else { return None };
    let Name::Internet(address) = calls::name(denied.name())? else { return None };
    let call = libc::c_long::from(denied.call);
    let connects = matches!(call, libc::SYS_connect | libc::SYS_bind);
    Some(Aim { stream: connects && calls::is_mostly_a_stream(&address), bind: call == libc::SYS_bind, address })
}

/// An address of a socket: where to, and which port.
fn address(bytes: &[u8]) -> String {
    match calls::name(bytes) {
        Some(Name::Internet(address)) => format!("address={} port={}", address.ip(), address.port()),
        Some(Name::File(path)) => format!("path={}", quoted(path)),
        Some(Name::Abstract(name)) => format!("path={}", quoted(&[b"\0", name].concat())),
        Some(Name::Other(family)) => format!("family={family}"),
        None => "address=?".to_string(),
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
        let said = words(&plan, &denied).unwrap();
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
        // A hundred and sixty at once and five in two seconds are what a reaper tells.
        assert_eq!([told(0, 160), told(3600, 9000), told(3601, 1)], [160, 9000, 1]);
        assert_eq!(told(3601, 100_000), 320 + 5 * 3601 - 9161);
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

    #[test]
    fn what_a_granted_call_looks_up_and_reaches_is_named_where_the_plan_does_not_show_or_open_it() {
        let mut policy = strict();
        let open = crate::plan::hosts::on(1, "network-client".to_string());
        policy.syscalls.allow.push(open);
        policy.syscalls.on_deny = Some(crate::plan::hosts::on(2, crate::policy::model::OnDeny::ReportAll));
        policy.network.connect = Some(crate::plan::hosts::on(3, crate::policy::model::Ports::Any));
        policy.network.bind = Some(crate::plan::hosts::on(4, crate::policy::model::Ports::Any));
        let plan = resolve(&listen(&["sh"]), &policy, &root_on_618()).unwrap();
        let said = |call: libc::c_long, flags: i32, name: &[u8]| {
            let arguments = [3, 1, flags as u64, 0, 1, 16];
            words(&plan, &Denied::new(call as u32, arguments, 0).named(name)).unwrap_or_default()
        };
        let inet = [&[2, 0, 0, 25, 127, 0, 0, 1][..], &[0; 8]].concat();
        let (none, allow) = ("No such file or directory; to allow it: ", "to allow it: ");
        for (call, flags, name, expected) in [
            (libc::SYS_openat, libc::O_RDONLY, &b"/etc/x\ny\0"[..], format!("\"/etc/x\\x0ay\": {none}files.read = [")),
            (libc::SYS_openat, libc::O_RDONLY, b"/usr/../etc/x\0", format!("{none}files.read = [\"/etc/x\"]")),
            (
                libc::SYS_openat,
                libc::O_WRONLY | libc::O_CREAT,
                b"/var/lib/x/y\0",
                format!("{none}files.write = [\"/var/lib/x\"]"),
            ),
            (
                libc::SYS_unlinkat,
                0,
                b"/usr/bin/x\0",
                format!("Read-only file system; {allow}files.write = [\"/usr/bin\"]"),
            ),
            (libc::SYS_openat, 0, b"/proc/self/maps\0", format!("{none}files.proc = \"subset\"")),
            (libc::SYS_openat, 0, b"/proc/meminfo\0", format!("{none}files.proc = \"full\"")),
            (libc::SYS_openat, 0, b"/dev/tty\0", "No such file or directory; no policy shows this device".to_string()),
            (
                libc::SYS_connect,
                16,
                b"\x01\0/run/x\0",
                format!("call=connect path=\"/run/x\": {none}files.write = [\"/run/x\"]"),
            ),
            (
                libc::SYS_connect,
                16,
                &inet,
                format!("there is no way to it; {allow}network.forward = [\"127.0.0.1:25\"]"),
            ),
        ] {
            let said = said(call, flags, name);
            crate::fuzz::assert_one_line(&said);
            assert!(said.starts_with("denied call=") && said.contains(&expected), "{said}: {expected}");
        }
        for name in [&b"/usr/bin/none\0"[..], b"/tmp/none\0", b"relative\0", b"/dev/null\0", b"/etc\0", b"/\0"] {
            assert_eq!(said(libc::SYS_openat, 0, name), "");
        }
    }
}
