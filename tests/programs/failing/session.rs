// SPDX-License-Identifier: Apache-2.0
//! Refusals for sessions alone: a process beside the program is asked about each such call, see seccomp_unotify(2), and
//! refuses it where the caller is in a cgroup of its own, as every session is and no trial of the host.

use crate::landlock::{self, Answer};
use crate::refusal::Refusal;
use nix::errno::Errno;
use nix::libc;
use nix::sys::uio::writev;
use nix::unistd::{ForkResult, Pid, fork, getppid, pipe, read, write};
use std::fs;
use std::io::IoSlice;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// A clone3 that puts its child into a session's cgroup is the session's first call, though the launcher makes it.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// A refusal, and whether it is for the command's process alone.
type Rule = (Refusal, bool);

/// Puts this process, and what it becomes and starts, under the refusals.
pub(crate) fn refuse(refusals: Vec<Rule>, landlock: Option<u32>) {
    let (ask, told) = pipe().expect("a pipe");
    let (ready, say) = pipe().expect("a pipe");
    // SAFETY: this program has one thread.
    match unsafe { fork() }.expect("fork works") {
        ForkResult::Child => {
            // Nobody's child, so that the program has none that it did not make; and not under the filter itself.
            let program = getppid();
            // SAFETY: as above.
            if let ForkResult::Parent { .. } = unsafe { fork() }.expect("fork works") {
                std::process::exit(0);
            }
            let mut number = [0; 4];
            read(&ask, &mut number).expect("the program tells the number of its listener");
            let listener = take(program, RawFd::from_ne_bytes(number));
            write(&say, b"x").expect("the program listens");
            drop((ask, told, ready, say));
            answer(&listener, &refusals, landlock);
        }
        ForkResult::Parent { child } => {
            nix::sys::wait::waitpid(child, None).expect("the first child is ours");
            let ours: Vec<i64> = refusals.iter().map(|(refusal, _)| refusal.call).collect();
            let landlocks = landlock.map_or(&[][..], |_| &landlock::CALLS);
            let listener = install(&[&ours, landlocks].concat());
            // Not by write(2), which may be among the calls that are asked about, and nobody answers yet.
            let number = listener.as_raw_fd().to_ne_bytes();
            writev(&told, &[IoSlice::new(&number)]).expect("the other process reads");
            read(&ready, &mut [0]).expect("the other process is there");
        }
    }
}

/// A filter that asks about every one of the calls. It allows all else, and what its listener does not refuse.
fn install(calls: &[i64]) -> OwnedFd {
    const ASK: u32 = libc::SECCOMP_RET_USER_NOTIF;
    let statement = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    // The call's number is the first word of what a filter sees, see seccomp(2).
    let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for call in calls {
        program.push(statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, *call as u32));
        program.push(statement(libc::BPF_RET | libc::BPF_K, 0, 0, ASK));
    }
    program.push(statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW));
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // SAFETY: the program is alive, and as long as we say. Root needs no no_new_privs for it.
    let made = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &filter) };
    let made = Errno::result(made).expect("the kernel takes the filter") as RawFd;
    // SAFETY: the kernel has just made it for us, close-on-exec.
    unsafe { OwnedFd::from_raw_fd(made) }
}

fn take(from: Pid, number: RawFd) -> OwnedFd {
    // SAFETY: numbers only.
    let process = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, from.as_raw(), 0) }).expect("it lives");
    // SAFETY: numbers only.
    let taken = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process, number, 0) };
    let taken = Errno::result(taken).expect("root may take it") as RawFd;
    // SAFETY: the kernel has just made it for us.
    unsafe { OwnedFd::from_raw_fd(taken) }
}

/// Answers until no process is left under the filter.
fn answer(listener: &OwnedFd, refusals: &[Rule], landlock: Option<u32>) -> ! {
    let outside = cgroup_of("self");
    loop {
        // SAFETY: the kernel wants an all-zero structure to write into.
        let mut asked: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        let polled = &mut [nix::poll::PollFd::new(std::os::fd::AsFd::as_fd(listener), nix::poll::PollFlags::POLLIN)];
        nix::poll::poll(polled, nix::poll::PollTimeout::NONE).expect("a listener can be polled");
        if !polled[0].revents().is_some_and(|events| events.contains(nix::poll::PollFlags::POLLIN)) {
            std::process::exit(0);
        }
        // SAFETY: the structure is alive and the one that this request is for.
        if unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &mut asked) } < 0 {
            continue;
        }
        let (call, pid) = (i64::from(asked.data.nr), asked.pid);
        let in_session = match call == libc::SYS_clone3 {
            true => flags_of_clone(pid, asked.data.args[0]) & CLONE_INTO_CGROUP != 0,
            false => cgroup_of(&pid.to_string()) != outside,
        };
        let meant = |(refusal, command): &&Rule| {
            in_session && refusal.matches(call, &asked.data.args) && (!command || !is_first(pid))
        };
        let refusal = refusals.iter().find(meant);
        let mut reply = libc::seccomp_notif_resp { id: asked.id, val: 0, error: 0, flags: 0 };
        let older = landlock.and_then(|abi| landlock::answer(abi, pid, call, &asked.data.args));
        match (refusal, older) {
            (Some((refusal, _)), _) => reply.error = -refusal.errno,
            (None, Some(Answer::Value(value))) => reply.val = value,
            (None, Some(Answer::Errno(errno))) => reply.error = -errno,
            (None, Some(Answer::Kernel) | None) => reply.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
        }
        // A caller that died meanwhile needs no answer.
        // SAFETY: the structure is alive and the one that this request is for.
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &mut reply) };
    }
}

fn cgroup_of(process: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{process}/cgroup")).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_string)
}

/// Whether a process is the first one of its session, which is the reaper: its parent is outside of its cgroup.
fn is_first(pid: u32) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let parent = text.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap_or_default().trim();
    cgroup_of(parent) != cgroup_of(&pid.to_string())
}

/// The first word of a `struct clone_args` of the caller's.
fn flags_of_clone(pid: u32, address: u64) -> u64 {
    use std::os::unix::fs::FileExt;
    let mut word = [0; 8];
    let memory = fs::File::open(format!("/proc/{pid}/mem")).expect("root may read it");
    memory.read_exact_at(&mut word, address).expect("the arguments are there");
    u64::from_ne_bytes(word)
}
