// SPDX-License-Identifier: Apache-2.0
//! What a careless parent leaves to its children: a controlling terminal, open descriptors, a secret and a variable of
//! the loader in the environment, ignored signals, a umask of nothing, groups.

use nix::fcntl::OFlag;
use nix::libc;
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{ForkResult, Gid, fork};
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;

/// Becomes `words`, burdened. Its standard input, output and error stay as they are.
pub(crate) fn become_program(words: &[String]) -> ! {
    // A process group leader cannot; then it has a session already, and perhaps a terminal.
    let _ = nix::unistd::setsid();
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY).expect("there are pseudo terminals");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("the terminal is ours");
    let name = ptsname_r(&master).expect("it has a name");
    let terminal = OpenOptions::new().read(true).write(true).open(&name).expect("the terminal can be opened");
    // SAFETY: numbers; the terminal is open, and 0 steals it from nobody.
    unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) };
    keep(master);
    let directory = File::open("/").expect("there is a root directory");
    let file = File::open("/etc/passwd").expect("there are accounts");
    for (number, from) in [(7, &directory), (8, &file), (9, &terminal)] {
        // SAFETY: numbers; a copy without the flag that would close it.
        unsafe { libc::dup2(from.as_raw_fd(), number) };
    }
    for one in [Signal::SIGUSR1, Signal::SIGINT] {
        // SAFETY: ignoring runs no code of ours.
        unsafe { signal(one, SigHandler::SigIgn) }.expect("the action can be set");
    }
    umask(Mode::empty());
    // Groups of which an ordinary user's server has none to give: adm, and one that no account has.
    if nix::unistd::geteuid().is_root() {
        nix::unistd::setgroups(&[Gid::from_raw(0), Gid::from_raw(4), Gid::from_raw(54321)]).expect("root may");
    }
    let mut command = std::process::Command::new(&words[0]);
    command.args(&words[1..]).env("SPAWNBOX_SECRET", "of the server").env("LD_SHOW_NOTHING", "1");
    panic!("cannot execute {}: {}", words[0], command.exec());
}

/// Holds the other end of the terminal until this process ends: without it the kernel hangs the session up. By a
/// process that is no child of this one, which may count its children.
fn keep(master: PtyMaster) {
    let held = crate::kernel::pidfd(u64::from(std::process::id())).expect("a process can hold itself");
    let held = i32::try_from(held).expect("a descriptor");
    // SAFETY: this program has one thread.
    if let ForkResult::Parent { child } = unsafe { fork() }.expect("fork works") {
        let _ = nix::sys::wait::waitpid(child, None);
        return;
    }
    let _ = nix::unistd::setsid();
    // SAFETY: as above.
    if let ForkResult::Parent { .. } = unsafe { fork() }.expect("fork works") {
        // SAFETY: ends this process, and runs nothing of what its parent has registered.
        unsafe { libc::_exit(0) };
    }
    // What else it has open would keep readers of the server's output waiting.
    for number in (0..3).chain(10..64).filter(|number| ![held, master.as_raw_fd()].contains(number)) {
        // SAFETY: a number; nothing in this process uses the descriptor any more.
        unsafe { libc::close(number) };
    }
    let mut entry = libc::pollfd { fd: held, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, which lives.
    unsafe { libc::poll(&mut entry, 1, -1) };
    // SAFETY: ends this process, and runs nothing of what its parent has registered.
    unsafe { libc::_exit(0) };
}
