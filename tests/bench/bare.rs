// SPDX-License-Identifier: Apache-2.0
//! The measure of all: accept, vfork, exec, and nothing else. No user is changed for a connection, no limit set,
//! nothing logged, nobody waited for. What another server adds to this is what it costs.
// The child shares this program's memory until it execs, as after vfork(2), which has no safe wrapper.
#![allow(unsafe_code)]

use crate::scene::NOBODY;
use nix::libc::{self, c_char, c_int, c_void};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::socket::{Backlog, SockFlag, accept4, listen};
use nix::unistd::{Gid, Uid, close, setgroups, setresgid, setresuid};
use std::ffi::CString;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixListener;

/// What the child needs, all of it made before.
struct Child {
    connection: RawFd,
    path: *const c_char,
    argv: *const *const c_char,
    environment: *const *const c_char,
}

/// `bare ADDRESS COMMAND...`, as nobody; until it is killed.
pub(crate) fn serve(words: &[String]) -> ! {
    let listener = match words[0].strip_prefix("unix:") {
        Some(path) => std::os::fd::OwnedFd::from(UnixListener::bind(path).expect("the socket can be made")),
        None => TcpListener::bind(&words[0]).expect("the port is free").into(),
    };
    listen(&listener, Backlog::new(1024).expect("a number of clients")).expect("it listens already");
    // Children vanish when they end; exec takes this back for the command.
    let vanish = SigAction::new(SigHandler::SigDfl, SaFlags::SA_NOCLDWAIT, SigSet::empty());
    // SAFETY: no handler is installed, so nothing can run at a bad moment.
    unsafe { sigaction(Signal::SIGCHLD, &vanish) }.expect("SIGCHLD can be set");
    setgroups(&[]).expect("root may");
    setresgid(Gid::from_raw(NOBODY), Gid::from_raw(NOBODY), Gid::from_raw(NOBODY)).expect("root may");
    setresuid(Uid::from_raw(NOBODY), Uid::from_raw(NOBODY), Uid::from_raw(NOBODY)).expect("root may");

    let command: Vec<CString> = words[1..].iter().map(|word| CString::new(word.as_str()).expect("no zero")).collect();
    let argv: Vec<*const c_char> = command.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]).collect();
    let environment = [std::ptr::null()];
    let mut stack = vec![0_u128; 4096];
    let top = stack.as_mut_ptr_range().end.cast::<c_void>();
    loop {
        let Ok(connection) = accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC) else { continue };
        let child = Child { connection, path: argv[0], argv: argv.as_ptr(), environment: environment.as_ptr() };
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        // SAFETY: this program has one thread, which sleeps until the child has left `stack` by exec or exit; all that
        // the child reads outlives that.
        let pid = unsafe { libc::clone(become_command, top, flags, (&raw const child).cast_mut().cast()) };
        assert!(pid > 0, "cannot clone: {}", std::io::Error::last_os_error());
        close(connection).expect("it is open");
    }
}

extern "C" fn become_command(child: *mut c_void) -> c_int {
    // SAFETY: `serve` gives a `Child` that it keeps until this has ended.
    let child = unsafe { &*child.cast::<Child>() };
    for target in 0..3 {
        // SAFETY: two numbers of descriptors, of which no owner is in the child's life.
        unsafe { libc::dup2(child.connection, target) };
    }
    // SAFETY: both vectors end with a null pointer, and their strings with a zero.
    unsafe { libc::execve(child.path, child.argv, child.environment) };
    127
}
