// SPDX-License-Identifier: Apache-2.0
//! What a command does that its client's judge looks at from outside: stays, runs away, writes into logs, leaves
//! things.

use crate::kernel::{at, call};
use crate::world::{World, print};
use nix::libc;
use nix::sys::signal::{SigHandler, Signal, kill, raise, signal};
use nix::unistd::{ForkResult, fork, pause, setsid};
use std::io::Read;

/// Does what the client asked for with `do=`.
pub(crate) fn behave(manner: &str, world: &World) {
    match manner {
        "hold" => hold(),
        // Every line that it can write and a terminal's colours, into whatever is open, and as its own name.
        "forge" => forge(world),
        "ignore" => {
            ignore_all();
            hold()
        }
        "run-away" => {
            run_away(false);
            hold()
        }
        "run-away-stopped" => {
            run_away(true);
            hold()
        }
        "stop-parent" => {
            let _ = kill(nix::unistd::getppid(), Signal::SIGSTOP);
            hold()
        }
        "leave" => leave(world),
        other => panic!("{other} is nothing that this program does"),
    }
}

/// Until the client closes; then, whatever ends this process.
fn hold() {
    print("holding");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn ignore_all() {
    for one in Signal::iterator().filter(|one| ![Signal::SIGKILL, Signal::SIGSTOP].contains(one)) {
        // SAFETY: ignoring runs no code of ours.
        unsafe { signal(one, SigHandler::SigIgn) }.expect("the action can be set");
    }
}

/// A process in a session of its own, whose parent is gone, that ignores every signal and holds no connection.
fn run_away(stopped: bool) {
    // SAFETY: this program has one thread.
    if let ForkResult::Parent { child } = unsafe { fork() }.expect("fork works") {
        let _ = nix::sys::wait::waitpid(child, None);
        return;
    }
    let _ = setsid();
    // SAFETY: as above.
    if let ForkResult::Parent { .. } = unsafe { fork() }.expect("fork works") {
        std::process::exit(0);
    }
    let _ = setsid();
    ignore_all();
    for descriptor in 0..3 {
        // SAFETY: a number; nothing in this process uses the descriptor any more.
        unsafe { libc::close(descriptor) };
    }
    if stopped {
        let _ = raise(Signal::SIGSTOP);
    }
    loop {
        pause();
    }
}

const FORGED: &[u8] = b"\nspawnbox: warning: forged line\r\n\x1b[31mforged\x1b[0m\n<3>forged\n";

fn forge(world: &World) {
    let _ = call(libc::SYS_prctl, &[libc::PR_SET_NAME as u64, at(b"\nforged\x1b[3\0")]);
    for descriptor in 0..256 {
        // SAFETY: the bytes live, and a descriptor that is not open is refused.
        unsafe { libc::write(descriptor, FORGED.as_ptr().cast(), FORGED.len()) };
    }
    for place in ["/dev/log", "/dev/console", "/dev/kmsg", "/dev/tty", "/proc/1/fd/2", "/proc/self/fd/2"] {
        let _ = std::fs::write(place, FORGED);
    }
    let _ = std::fs::write(world.text("log"), FORGED);
    let _ = raise(Signal::SIGABRT);
}

/// The name of a file that a command leaves in a directory.
pub(crate) fn left_in(directory: &str, world: &World) -> String {
    format!("{directory}/attack-left-{}", world.text("left"))
}

/// The name of a process that a command leaves, by which it is ended where nothing else ends it.
pub(crate) fn name_of_left(left: u64) -> String {
    format!("left{left}")
}

/// Everything that a later command could find.
fn leave(world: &World) {
    let name = name_of_left(world.number("left")) + "\0";
    // Where this is denied, so is a life after the session.
    let _ = call(libc::SYS_prctl, &[libc::PR_SET_NAME as u64, at(name.as_bytes())]);
    run_away(false);
    for directory in ["/tmp", "/var/tmp", "/dev/shm", world.text("directory")] {
        let _ = std::fs::write(left_in(directory, world), "left");
    }
    let create = (libc::IPC_CREAT | 0o666) as u64;
    let _ = call(libc::SYS_shmget, &[world.number("left"), 4096, create]);
    let name = format!("\0{}", world.text("left"));
    let socket = call(libc::SYS_socket, &[libc::AF_UNIX as u64, libc::SOCK_STREAM as u64, 0]);
    let mut address = [1_u8, 0].to_vec();
    address.extend(name.as_bytes());
    let bound = socket.and_then(|socket| {
        call(libc::SYS_bind, &[socket as u64, at(&address[..]), address.len() as u64])?;
        call(libc::SYS_listen, &[socket as u64, 1])
    });
    print(&format!("left, and the abstract socket: {bound:?}"));
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
