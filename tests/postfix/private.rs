// SPDX-License-Identifier: Apache-2.0
//! A small world for a mail system: a thread with a network, mounts and a /dev/log of its own. The rest of the host
//! sees none of it, and whatever still runs in it at the end is killed.

use crate::scene::{host, patience};
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, send, socket};
use nix::unistd::{Pid, User};
use std::fs;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Plays `scene` in a world of its own. `directory` is where its files go.
pub(crate) fn in_private(directory: &Path, scene: impl FnOnce(&Log) + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("root may make namespaces");
            let _leftovers = Leftovers;
            raise_loopback();
            hide_mounts();
            replace_dev(&directory.join("dev"));
            name_server(&directory.join("resolv.conf"));
            scene(&Log::start());
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// Sets the flag IFF_UP of interface 1, which is lo in every network namespace: rtnetlink(7), RTM_NEWLINK.
fn raise_loopback() {
    let netlink = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)
        .expect("rtnetlink is there");
    let up = libc::IFF_UP as u32;
    let (length, request) = (32_u32, libc::NLM_F_REQUEST as u16);
    let header = [length.to_ne_bytes(), pair(libc::RTM_NEWLINK, request), [0; 4], [0; 4]];
    let change = [[0; 4], 1_u32.to_ne_bytes(), up.to_ne_bytes(), up.to_ne_bytes()];
    let message = [header.concat(), change.concat()].concat();
    send(netlink.as_raw_fd(), &message, MsgFlags::empty()).expect("loopback can be raised");
}

fn pair(first: u16, second: u16) -> [u8; 4] {
    let (first, second) = (first.to_ne_bytes(), second.to_ne_bytes());
    [first[0], first[1], second[0], second[1]]
}

pub(crate) fn attach(source: &Path, target: &Path, kind: Option<&str>, flags: MsFlags) {
    mount(Some(source), target, kind, flags, None::<&str>)
        .unwrap_or_else(|errno| panic!("cannot mount {} on {}: {errno}", source.display(), target.display()));
}

/// From here on, no mount reaches the rest of the host.
pub(crate) fn hide_mounts() {
    attach(Path::new("none"), Path::new("/"), None, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
}

/// A /dev with the harmless nodes of the host's and without its /dev/log.
fn replace_dev(directory: &Path) {
    fs::create_dir(directory).expect("the scene's directory can be written");
    attach(Path::new("dev"), directory, Some("tmpfs"), MsFlags::empty());
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let node = directory.join(name);
        fs::write(&node, "").expect("a tmpfs can be written");
        attach(&Path::new("/dev").join(name), &node, None, MsFlags::MS_BIND);
    }
    // Terminals of its own, see devpts(5).
    fs::create_dir(directory.join("pts")).expect("a tmpfs can be written");
    attach(Path::new("devpts"), &directory.join("pts"), Some("devpts"), MsFlags::empty());
    std::os::unix::fs::symlink("pts/ptmx", directory.join("ptmx")).expect("a tmpfs can be written");
    crate::scene::stage::mode(directory, 0o755);
    attach(directory, Path::new("/dev"), None, MsFlags::MS_MOVE);
}

/// Every lookup goes to 127.0.0.1.
fn name_server(file: &Path) {
    let target = Path::new("/etc/resolv.conf");
    if !target.exists() {
        // Then resolvers ask there anyway, see resolv.conf(5).
        return;
    }
    fs::write(file, "nameserver 127.0.0.1\n").expect("the scene's directory can be written");
    crate::scene::stage::mode(file, 0o644);
    attach(file, target, None, MsFlags::MS_BIND);
}

/// A copy of /etc with these policies in it, for this thread and what it starts. `directory` is where the copy goes.
pub(crate) fn replace_policies(directory: &Path, policies: &[(&str, &str)]) {
    let copied = std::process::Command::new("/bin/cp").args(["-a", "/etc"]).arg(directory).status();
    assert!(copied.expect("cp runs").success(), "cannot copy /etc");
    let own = directory.join("spawnbox");
    let _ = fs::remove_dir_all(&own);
    fs::create_dir(&own).expect("the copy can be written");
    for (name, text) in policies {
        fs::write(own.join(name), format!("version = 1\n{text}\n")).expect("the copy can be written");
        crate::scene::stage::mode(&own.join(name), 0o644);
    }
    crate::scene::stage::mode(&own, 0o755);
    attach(directory, Path::new("/etc"), None, MsFlags::MS_BIND);
}

/// Kills whatever is left in the network namespace of the thread that drops it.
struct Leftovers;

impl Drop for Leftovers {
    fn drop(&mut self) {
        // The namespace was made for this scene, so every process in it was started by it.
        for pid in host::processes("").into_iter().filter(|pid| is_here(*pid)) {
            let _gone = kill(Pid::from_raw(pid as i32), Signal::SIGKILL);
        }
    }
}

/// Whether the one command that this user has below what is in the network of this thread is in a sandbox, by what the
/// kernel says.
pub(crate) fn is_confined(user: &str) -> bool {
    let uid = User::from_name(user).expect("accounts can be read").expect("the account is there").uid.to_string();
    let pids = host::processes("");
    let theirs = |pid: &u32| host::status_of(*pid, "Uid").is_some_and(|ids| ids.starts_with(&uid));
    // The sandbox's first process, which waits for the command, is spawnbox's own.
    let reaper = |pid: &u32| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|path| host::is_ours(&path));
    // A sandbox may have a network of its own; who makes it is here.
    let parent = |pid: &u32| host::status_of(*pid, "PPid").and_then(|pid| pid.parse().ok()).filter(|pid| *pid > 1);
    let below_here = |pid: &u32| std::iter::successors(Some(*pid), parent).any(is_here);
    let all = pids.into_iter().filter(theirs).filter(below_here);
    let commands: Vec<u32> = all.filter(|pid| !reaper(pid)).collect();
    let [command] = commands[..] else { panic!("{user} has the processes {commands:?}") };
    let namespaces = ["mnt", "pid"].map(|kind| fs::read_link(format!("/proc/{command}/ns/{kind}")).ok());
    let ours = ["mnt", "pid"].map(|kind| fs::read_link(format!("/proc/thread-self/ns/{kind}")).ok());
    let facts = ["NoNewPrivs", "Seccomp", "CapBnd"].map(|name| host::status_of(command, name).unwrap_or_default());
    let open = namespaces == ours && facts[..2] == ["0", "0"];
    let confined = facts == ["1", "2", "0000000000000000"] && namespaces.iter().all(|one| !ours.contains(one));
    assert!(open || confined, "half confined: {namespaces:?} {facts:?}");
    confined
}

/// Whether this process is in the network namespace of this thread.
fn is_here(pid: u32) -> bool {
    let ours = fs::read_link("/proc/thread-self/ns/net").expect("the tests need /proc");
    fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|net| net == ours)
}

/// What was written to /dev/log, line by line.
pub(crate) struct Log {
    socket: UnixDatagram,
    kept: Arc<Kept>,
}

#[derive(Default)]
struct Kept {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
}

impl Log {
    fn start() -> Log {
        let path = PathBuf::from("/dev/log");
        let socket = UnixDatagram::bind(&path).expect("the scene's /dev can be written");
        crate::scene::stage::mode(&path, 0o666);
        let kept = Arc::new(Kept::default());
        let log = Log { socket: socket.try_clone().expect("a descriptor is left"), kept: Arc::clone(&kept) };
        std::thread::spawn(move || kept.keep(&socket));
        log
    }

    /// Waits for a line that contains `text` and returns it.
    pub(crate) fn says(&self, text: &str) -> String {
        self.says_all(&[text])
    }

    /// Waits for a line that contains each of `texts` and returns it.
    pub(crate) fn says_all(&self, texts: &[&str]) -> String {
        let line = self.find(patience(), |line| texts.iter().all(|text| line.contains(text)));
        line.unwrap_or_else(|| panic!("the log does not say {texts:?}:\n{}", self.text()))
    }

    /// Waits so long for a line that is so, and returns it if it came.
    pub(crate) fn find(&self, limit: Duration, so: impl Fn(&str) -> bool) -> Option<String> {
        self.find_after(0, limit, so)
    }

    /// The same of the lines after the first so many.
    pub(crate) fn find_after(&self, count: usize, limit: Duration, so: impl Fn(&str) -> bool) -> Option<String> {
        let deadline = Instant::now() + limit;
        let mut lines = self.kept.lines.lock().expect("no holder panics");
        loop {
            if let Some(line) = lines.iter().skip(count).find(|line| so(line)) {
                return Some(line.clone());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            lines = self.kept.grown.wait_timeout(lines, left).expect("no holder panics").0;
        }
    }
}

impl Log {
    /// Reads nothing for as long as `scene` lasts, as a syslogd does that hangs.
    pub(crate) fn hang(&self, scene: impl FnOnce()) {
        let _kept_waiting = self.kept.lines.lock().expect("no holder panics");
        scene();
    }

    /// How many lines there are so far.
    pub(crate) fn count(&self) -> usize {
        self.kept.lines.lock().expect("no holder panics").len()
    }

    /// Everything so far.
    pub(crate) fn text(&self) -> String {
        self.text_after(0)
    }

    /// Everything after the first so many lines.
    pub(crate) fn text_after(&self, count: usize) -> String {
        self.kept.lines.lock().expect("no holder panics")[count..].join("\n")
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // The thread that reads sees the end.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

impl Kept {
    fn keep(&self, socket: &UnixDatagram) {
        let mut bytes = [0; 8192];
        while let Ok(length @ 1..) = socket.recv(&mut bytes) {
            let line = String::from_utf8_lossy(&bytes[..length]).trim_end_matches('\0').to_string();
            self.lines.lock().expect("no holder panics").push(line);
            self.grown.notify_all();
        }
    }
}
