// SPDX-License-Identifier: Apache-2.0
//! How a command behaves, well or badly: speaks, waits, ends, forks, runs away.

use crate::attempts::number;
use crate::each::each;
use nix::libc;
use nix::sys::signal::{SigHandler, Signal, raise, signal};
use nix::unistd::{ForkResult, fork, pause};
use std::io::BufRead;

/// Does what `name` says; the line to print, if any.
pub(crate) fn act(name: &str, arguments: &[&str]) -> Option<String> {
    let first = arguments.first().copied().unwrap_or_default();
    match name {
        "say" => crate::print(&arguments.join(" ")),
        // Until the client says something or ends: a session that waits without sleeping.
        "line" => return Some(line()),
        "wait" => wait(),
        "exit" => std::process::exit(number(first) as i32),
        "die" => die(number(first) as i32),
        "stop" => raise(Signal::SIGSTOP).expect("a process may stop itself"),
        "ignore" => ignore_all(),
        "fork" => return Some(fork_many(number(first))),
        "escape" => escape(first),
        "memory" => return Some(take_memory(number(first))),
        "hold" => return Some(hold_memory(number(first))),
        "each" => return Some(each(arguments)),
        "spin" => spin(),
        // The keyring that the programs after this one would inherit.
        "join-keyring" => join_keyring(first),
        "become" => become_program(arguments),
        other => panic!("{other} is nothing that this program does"),
    }
    None
}

fn line() -> String {
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(0) => "end of file".to_string(),
        Ok(_) => line.trim_end().to_string(),
        Err(error) => error.to_string(),
    }
}

fn wait() -> ! {
    loop {
        pause();
    }
}

fn spin() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

fn die(number: i32) {
    let number = Signal::try_from(number).expect("a signal");
    if number != Signal::SIGKILL {
        // SAFETY: the default action replaces whatever was there.
        unsafe { signal(number, SigHandler::SigDfl) }.expect("the action can be set");
    }
    raise(number).expect("a process may signal itself");
}

fn ignore_all() {
    let settable = Signal::iterator().filter(|signal| ![Signal::SIGKILL, Signal::SIGSTOP].contains(signal));
    for one in settable {
        // SAFETY: ignoring runs no code of ours.
        unsafe { signal(one, SigHandler::SigIgn) }.expect("the action can be set");
    }
}

/// Makes processes that wait until one is refused or enough are there; they end with the sandbox.
fn fork_many(most: u64) -> String {
    for made in 0..most {
        // SAFETY: this program has one thread.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => wait(),
            Ok(ForkResult::Parent { .. }) => {}
            Err(errno) => return format!("{made} made, then {errno:?}"),
        }
    }
    format!("{most} made")
}

/// Leaves a process behind that has done all it can to be forgotten: double fork, own session, every signal ignored;
/// with `stopped` it also stops itself. Returns when that process is where it wants to be.
fn escape(manner: &str) {
    let (ready, told) = nix::unistd::pipe().expect("a pipe");
    // SAFETY: this program has one thread.
    if let ForkResult::Parent { child } = unsafe { fork() }.expect("fork works") {
        drop(told);
        let _ = nix::sys::wait::waitpid(child, None);
        let mut byte = [0];
        let _ = nix::unistd::read(&ready, &mut byte);
        return;
    }
    let _ = nix::unistd::setsid();
    // SAFETY: as above.
    if let ForkResult::Parent { .. } = unsafe { fork() }.expect("fork works") {
        std::process::exit(0);
    }
    let _ = nix::unistd::setsid();
    ignore_all();
    drop(ready);
    // A runaway that still holds the connection would be noticed by its client.
    for descriptor in 0..3 {
        // SAFETY: a number; nothing in this process uses the descriptor any more.
        unsafe { libc::close(descriptor) };
    }
    let _ = nix::unistd::write(&told, b"x");
    if manner == "stopped" {
        let _ = raise(Signal::SIGSTOP);
    }
    wait()
}

/// Takes memory and touches every page of it, as one process that the kernel can account.
fn take_memory(bytes: u64) -> String {
    let mut taken = vec![0u8; bytes as usize];
    for page in taken.chunks_mut(4096) {
        page[0] = 1;
    }
    let sum: u64 = taken.iter().step_by(4096).map(|&byte| u64::from(byte)).sum();
    format!("{sum} pages")
}

/// The same, and keeps it until this process ends.
fn hold_memory(bytes: u64) -> String {
    let mut taken = vec![0u8; bytes as usize];
    for page in taken.chunks_mut(4096) {
        page[0] = 1;
    }
    taken.leak();
    "held".to_string()
}

fn join_keyring(name: &str) {
    let name = std::ffi::CString::new(name).expect("no NUL");
    // SAFETY: KEYCTL_JOIN_SESSION_KEYRING (1) reads a C string.
    let joined = unsafe { libc::syscall(libc::SYS_keyctl, 1, name.as_ptr()) };
    assert!(joined >= 0, "a keyring of that name can be joined");
}

fn become_program(words: &[&str]) {
    use std::os::unix::process::CommandExt;
    let error = std::process::Command::new(words[0]).args(&words[1..]).exec();
    panic!("cannot execute {}: {error}", words[0]);
}
