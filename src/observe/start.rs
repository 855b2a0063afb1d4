// SPDX-License-Identifier: Apache-2.0
//! A command as it is without a sandbox: its user, its environment and directory, and a filter that hands over its
//! calls. Between fork and exec nothing is allocated, as in a sandbox.

use super::watch::watch;
use crate::plan::model::{Command, Filter};
use crate::sandbox::HostError;
use crate::sys::clone::{self, Side};
use crate::sys::errno;
use crate::sys::exec::{self, Vector};
use crate::sys::process;
use crate::sys::{credentials, lock, mount, signal, socket};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::Pid;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// As env(1) has them.
const NOT_FOUND: i32 = 127;
const CANNOT_EXECUTE: i32 = 126;
/// The channel has a number that hardly any command uses: what is sent over that is not seen.
const CHANNEL: RawFd = 900;

/// What is started.
pub struct Opening<'a> {
    /// The plan's: its program, arguments, environment, directory, umask and ignored signals.
    pub command: &'a Command,
    /// As whom; who we are where that is not to be changed.
    pub ids: Option<(u32, u32)>,
    /// Standard input, output and error. None of them has a number below 3.
    pub stdio: [BorrowedFd<'a>; 3],
    /// What is granted anyway is made without being seen.
    pub base: &'a Filter,
}

/// A command that waits to make its first call, which is to execute its program.
#[derive(Debug)]
pub struct Started {
    /// Our child.
    pub pid: Pid,
    /// For [`super::Hearer`].
    pub listener: OwnedFd,
}

/// What the child does before its program, for the words of an error.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Stage {
    Identity = 1,
    Stdio,
    Directory,
    Privileges,
    Listener,
}

/// Who a command's user is, for whom we look at files and into memory: this user, until [`become_yourself`]. Does
/// nothing where the command has our own ids.
pub fn become_user(ids: Option<(u32, u32)>) -> Result<(), HostError> {
    let Some((uid, gid)) = ids else { return Ok(()) };
    let set = || -> Result<(), Errno> {
        credentials::set_only_group(gid)?;
        // The saved ids stay root's.
        nix::unistd::setresgid(gid.into(), gid.into(), 0.into())?;
        credentials::set_uid(uid, 0)
    };
    set().map_err(|errno| HostError::new(format!("become user {uid}"), errno))
}

/// The way back.
pub fn become_yourself(ids: Option<(u32, u32)>) -> Result<(), HostError> {
    if ids.is_none() {
        return Ok(());
    }
    let set = || -> Result<(), Errno> {
        nix::unistd::seteuid(0.into())?;
        credentials::set_uid(0, 0)?;
        credentials::set_gid(0)
    };
    set().map_err(|errno| HostError::new("become root again", errno))
}

/// Starts it. The caller has one thread.
pub fn start(opening: &Opening<'_>) -> Result<Started, HostError> {
    let failed = |errno| HostError::new("start the command", errno);
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).map_err(failed)?;
    // As high as there is room for.
    let channel = rustix::io::fcntl_dupfd_cloexec(&theirs, CHANNEL)
        .or_else(|_| rustix::io::fcntl_dupfd_cloexec(&theirs, 64))
        .map_err(|error| failed(errno(error)))?;
    drop(theirs);
    let program = watch(opening.base, channel.as_raw_fd() as u32)?;
    let (arguments, environment) =
        (Vector::new(opening.command.argv.clone()), Vector::new(opening.command.environment.clone()));
    let pid = match clone::fork().map_err(failed)? {
        Side::Child => child(opening, &program, channel.as_fd(), &arguments, &environment),
        Side::Parent(pid) => pid,
    };
    drop(channel);
    let mut bytes = [0; 8];
    match socket::receive_descriptors(ours.as_fd(), &mut bytes) {
        Ok((_, [Some(listener), ..])) => Ok(Started { pid, listener }),
        Ok((8, _)) => Err(told(bytes)),
        // It was killed before it could say why.
        Ok(_) => Err(HostError { doing: "start the command".into(), why: "it ended before its program began".into() }),
        Err(errno) => Err(failed(errno)),
    }
}

/// What a child that failed has said.
fn told(bytes: [u8; 8]) -> HostError {
    let [stage, _, _, _, errno @ ..] = bytes;
    let errno = Errno::from_raw(i32::from_ne_bytes(errno));
    let listens = stage == Stage::Listener as u8;
    let why = match errno {
        Errno::EBUSY if listens => "a filter around spawnbox is listened to already, and there can be one listener: \
            run it outside the container, or without the tool that watches this one"
            .to_string(),
        Errno::EINVAL | Errno::ENOSYS if listens => {
            "this kernel has no seccomp user notification that lets calls go on \
            (Linux 5.5)"
                .to_string()
        }
        errno => crate::host::errno_text(errno),
    };
    let doing = [
        (Stage::Identity, "take the command's user"),
        (Stage::Stdio, "give the command its standard input and output"),
        (Stage::Directory, "enter the command's directory"),
        (Stage::Privileges, "keep the command from gaining privileges"),
        (Stage::Listener, "listen to the command's calls"),
    ];
    let doing = doing.iter().find(|(known, _)| *known as u8 == stage).map_or("start the command", |(_, words)| words);
    HostError { doing: doing.to_string(), why }
}

/// The other side of the fork: becomes the command. Allocates nothing.
fn child(
    opening: &Opening<'_>,
    program: &[libc::sock_filter],
    channel: BorrowedFd<'_>,
    arguments: &Vector,
    environment: &Vector,
) -> ! {
    let fail = |stage: Stage, errno: Errno| -> ! {
        let mut bytes = [stage as u8, 0, 0, 0, 0, 0, 0, 0];
        bytes[4..].copy_from_slice(&(errno as i32).to_ne_bytes());
        let _ = socket::send_descriptors(channel, &bytes, &[]);
        process::exit(CANNOT_EXECUTE)
    };
    // A terminal's signals are for whoever learns.
    let _ = process::new_session();
    if let Err(errno) = identity(opening.ids) {
        fail(Stage::Identity, errno);
    }
    // Where we die suddenly, so does what we started. After the ids, which clear it.
    let _ = process::control(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64, 0);
    for (number, descriptor) in opening.stdio.iter().enumerate() {
        if let Err(errno) = process::duplicate_stdio(descriptor.as_raw_fd(), number as RawFd) {
            fail(Stage::Stdio, errno);
        }
    }
    if let Err(errno) = process::close_on_exec_from(3) {
        fail(Stage::Stdio, errno);
    }
    process::set_umask(opening.command.umask);
    if let Err(errno) = mount::enter_directory(&opening.command.directory) {
        fail(Stage::Directory, errno);
    }
    for number in signal::changeable() {
        let ignored = opening.command.ignore_signals.contains(&number);
        let wanted = if ignored { signal::Disposition::Ignore } else { signal::Disposition::Default };
        let _ = signal::set_disposition(number, wanted);
    }
    let _ = signal::set_mask(0);
    // As in a sandbox; who is not root may install no filter without.
    if let Err(errno) = process::control(libc::PR_SET_NO_NEW_PRIVS, 1, 0) {
        fail(Stage::Privileges, errno);
    }
    let listener = match lock::install_listener(program) {
        Ok(listener) => listener,
        Err(errno) => fail(Stage::Listener, errno),
    };
    if socket::send_descriptors(channel, b"L", &[process::fixed(listener)]).is_err() {
        process::exit(CANNOT_EXECUTE);
    }
    // As execvp(3): what is not there is looked for in the next place.
    let mut status = NOT_FOUND;
    for program in &opening.command.programs {
        match exec::execute(program, arguments, environment) {
            Errno::ENOENT | Errno::ENOTDIR => {}
            _ => status = CANNOT_EXECUTE,
        }
    }
    process::exit(status)
}

fn identity(ids: Option<(u32, u32)>) -> Result<(), Errno> {
    let Some((uid, gid)) = ids else { return Ok(()) };
    // Who started us may be this user already, but for the saved ids.
    credentials::set_gid(gid)?;
    credentials::set_uid(uid, uid)?;
    credentials::drop_capabilities()?;
    // Changed ids clear it, and then nobody but root may look at us.
    process::control(libc::PR_SET_DUMPABLE, 1, 0)
}
