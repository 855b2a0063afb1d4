// SPDX-License-Identifier: Apache-2.0
//! Takes one call from a listener, tells what it is about, and lets it be made.

use super::event::{About, Event, Found};
use super::paths;
use super::sockets;
use crate::plan::calls::{self, Argument, Name, Using, Way};
use crate::sys::notify::{self, Notice};
use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// `AUDIT_ARCH_X86_64` of linux/audit.h.
const ARCHITECTURE: u32 = 0xc000_003e;
/// `__X32_SYSCALL_BIT` of asm/unistd.h.
const X32: u32 = 0x4000_0000;
/// An address of a socket is not longer, see `sockaddr_storage`.
const LONGEST_ADDRESS: usize = 128;

/// Hears the processes of one command.
#[derive(Debug)]
pub struct Hearer {
    listener: OwnedFd,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is made.
    Resume,
    /// It fails with this errno.
    Refuse(i32),
    /// Whoever made it is killed.
    Kill,
}

/// What came of listening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A call, which goes on meanwhile.
    Event(Event),
    /// Whoever called has gone, or was interrupted and calls again.
    Nothing,
    /// Nobody is left who could call.
    Silence,
}

impl AsFd for Hearer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Hearer {
    /// With the listener of [`super::Started`].
    pub fn new(listener: OwnedFd) -> Hearer {
        Hearer { listener }
    }

    /// Takes the call that waits, and lets it be made. Blocks where none does, so poll first.
    pub fn hear(&self) -> Heard {
        self.hear_and_answer(&mut |_| Answer::Resume)
    }

    /// Takes the call that waits, and answers as it is judged. Of the arguments only their numbers bind: what they
    /// point at may be something else by the time that a call is made.
    pub fn hear_and_answer(&self, judge: &mut dyn FnMut(&Event) -> Answer) -> Heard {
        let notice = match notify::receive(self.listener.as_fd()) {
            Ok(notice) => notice,
            Err(Errno::ENOENT | Errno::EINTR | Errno::EAGAIN | Errno::ENOMEM) => return Heard::Nothing,
            Err(_) => return Heard::Silence,
        };
        let event = told(&notice);
        // What was read is only then its caller's: a number may be another process's by now.
        let valid = notify::is_valid(self.listener.as_fd(), notice.id);
        // ENOENT: nobody waits for it any more.
        let _ = match judge(&event) {
            Answer::Resume => notify::resume(self.listener.as_fd(), notice.id),
            Answer::Refuse(errno) => notify::refuse(self.listener.as_fd(), notice.id, errno),
            Answer::Kill => {
                // It waits for the answer, and dies before it has one.
                let _ = if valid { notify::kill(notice.pid) } else { Ok(()) };
                notify::refuse(self.listener.as_fd(), notice.id, nix::libc::EPERM)
            }
        };
        if valid { Heard::Event(event) } else { Heard::Nothing }
    }
}

fn told(notice: &Notice) -> Event {
    let Notice { pid: thread, call, architecture, arguments, .. } = *notice;
    let about = match architecture == ARCHITECTURE && call & X32 == 0 {
        true => about(thread, call, arguments),
        false => vec![About::Foreign],
    };
    Event { thread, program: program(thread), call, arguments, about }
}

/// See proc_pid_comm(5): of a script, the script's name. Never a line break or an escape.
fn program(thread: Pid) -> String {
    let name = std::fs::read(format!("/proc/{thread}/comm")).unwrap_or_default();
    let name = String::from_utf8_lossy(name.strip_suffix(b"\n").unwrap_or(&name)).into_owned();
    name.chars().map(|c| if c.is_control() || c == '"' || c == '\\' { '?' } else { c }).collect()
}

fn about(thread: Pid, call: u32, arguments: [u64; 6]) -> Vec<About> {
    let paths = calls::paths(call);
    if !paths.is_empty() {
        return paths.iter().flat_map(|path| of_path(thread, *path, arguments)).collect();
    }
    match libc::c_long::from(call) {
        libc::SYS_connect | libc::SYS_bind => {
            let bind = libc::c_long::from(call) == libc::SYS_bind;
            of_address(thread, arguments[0] as i32, bind, arguments[1], arguments[2] as u32)
        }
        libc::SYS_sendto => of_address(thread, arguments[0] as i32, false, arguments[4], arguments[5] as u32),
        libc::SYS_sendmsg => of_message(thread, arguments),
        libc::SYS_mmap if arguments[2] & libc::PROT_EXEC as u64 != 0 => of_mapping(thread, arguments[4] as i32),
        _ => Vec::new(),
    }
}

fn of_path(thread: Pid, Argument { directory, path, way }: Argument, arguments: [u64; 6]) -> Vec<About> {
    let Some(bytes) = text(thread, arguments[path]) else {
        // utimensat(2) without a path is about its descriptor, which is open already.
        return if arguments[path] == 0 { Vec::new() } else { vec![About::Unread] };
    };
    let flags = |argument: usize| arguments[argument] as i32;
    let how = |argument: usize| {
        let mut flags = [0; 8];
        notify::read_memory(thread, arguments[argument], &mut flags).map_or(0, |_| u64::from_ne_bytes(flags) as i32)
    };
    let (wanted, follow): (Vec<Using>, bool) = match way {
        Way::Using(using) => (vec![using], true),
        Way::Link => (vec![Using::Look], false),
        Way::Open(argument) => (calls::opened(flags(argument)).collect(), true),
        Way::OpenHow(argument) => (calls::opened(how(argument)).collect(), true),
        Way::LookAt(argument) => (vec![Using::Look], flags(argument) & libc::AT_SYMLINK_NOFOLLOW == 0),
        Way::Access(_) => (vec![Using::Look], true),
    };
    // Of what is open already nothing more is asked.
    if bytes.is_empty() {
        return Vec::new();
    }
    let path = Path::new(OsStr::from_bytes(&bytes));
    let path = match path.is_absolute() {
        true => path.to_path_buf(),
        false => match paths::directory(thread, directory.map(|argument| arguments[argument] as i32)) {
            Some(directory) => directory.join(path),
            // A directory that was deleted holds nothing.
            None => return Vec::new(),
        },
    };
    let found = wanted.into_iter().map(|using| paths::resolve(thread, &path, using, follow));
    // O_CREAT makes nothing where a file is.
    let opens = matches!(way, Way::Open(_) | Way::OpenHow(_));
    let there = |about: &About| {
        matches!(about, About::Path { using: Using::Change, found: Found::File { .. } | Found::Directory { .. }, .. })
    };
    found.filter(|about| !(opens && there(about))).collect()
}

fn of_address(thread: Pid, descriptor: i32, bind: bool, place: u64, length: u32) -> Vec<About> {
    // Longer ones are refused by the kernel too.
    let mut bytes = vec![0; (length as usize).min(LONGEST_ADDRESS)];
    let read = notify::read_memory(thread, place, &mut bytes).unwrap_or(0);
    match calls::name(&bytes[..read]) {
        None => vec![About::Unread],
        Some(Name::Other(_)) => Vec::new(),
        Some(Name::Internet(address)) => vec![sockets::internet(thread, descriptor, bind, address)],
        Some(Name::Abstract(name)) => vec![About::Abstract { bind, name: name.to_vec() }],
        Some(Name::File(path)) => {
            let path = Path::new(OsStr::from_bytes(path));
            let base = if path.is_absolute() { Some(PathBuf::new()) } else { paths::directory(thread, None) };
            let using = if bind { Using::Change } else { Using::Connect };
            base.map(|base| paths::resolve(thread, &base.join(path), using, true)).into_iter().collect()
        }
    }
}

/// sendmsg(2): the address is behind the first two words of its header.
fn of_message(thread: Pid, arguments: [u64; 6]) -> Vec<About> {
    let mut header = [0; 16];
    match notify::read_memory(thread, arguments[1], &mut header) {
        Ok(16) => {}
        Ok(_) | Err(_) => return vec![About::Unread],
    }
    let word = |from: usize| header[from..from + 8].try_into().map_or(0, u64::from_ne_bytes);
    match (word(0), word(8) as u32) {
        (0, _) | (_, 0) => Vec::new(),
        (place, length) => of_address(thread, arguments[0] as i32, false, place, length),
    }
}

/// A library.
fn of_mapping(thread: Pid, descriptor: i32) -> Vec<About> {
    // Anonymous memory has -1.
    if descriptor < 0 {
        return Vec::new();
    }
    let file = paths::directory(thread, Some(descriptor));
    file.map(|file| paths::resolve(thread, &file, Using::Map, true)).into_iter().collect()
}

/// The bytes up to a NUL.
fn text(thread: Pid, place: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; libc::PATH_MAX as usize];
    let read = notify::read_memory(thread, place, &mut bytes).ok()?;
    let end = bytes[..read].iter().position(|byte| *byte == 0)?;
    bytes.truncate(end);
    Some(bytes)
}
