// SPDX-License-Identifier: Apache-2.0
//! From a plan's filter to the program that seccomp(2) takes, compiled once a service.
//! Decides nothing: what becomes of a call is in the [`Filter`].
//!
//! One program: head, then a tree over the call numbers, whose leaves answer or look at arguments. The argument
//! rules are `seccompiler`'s, shortened where they stand. It compiles no tree and no head (it lets x32 numbers pass a
//! deny rule), and has one denial a program, so a stack of its programs would be needed where one of ours does.

mod shorten;
pub mod split;
#[cfg(test)]
mod interpreter;
#[cfg(test)]
mod tests;

use super::HostError;
use crate::plan::calls;
use crate::plan::model::{Condition, Denial, Denials, Filter, Tree, Verdict};
use crate::sys::{self, notify};
use nix::libc;
use seccompiler::{BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition};
use seccompiler::{SeccompFilter, SeccompRule, TargetArch};
use std::collections::BTreeMap;
use std::os::fd::RawFd;

/// A compiled program.
pub type Program = Vec<libc::sock_filter>;

/// `AUDIT_ARCH_X86_64` of linux/audit.h: EM_X86_64, 64 bits, little endian.
const ARCHITECTURE: u32 = 0xc000_003e;
/// `__X32_SYSCALL_BIT` of asm/unistd.h. A number with it is another way to nearly every call.
const X32: u32 = 0x4000_0000;
/// Where a filter finds the call's number and its architecture.
const NUMBER: u32 = std::mem::offset_of!(libc::seccomp_data, nr) as u32;
const MACHINE: u32 = std::mem::offset_of!(libc::seccomp_data, arch) as u32;
/// `BPF_MAXINSNS` of linux/bpf_common.h.
const LONGEST: usize = 4096;

/// Calls that PID 1 makes after it has made the command's process.
const REAPER: &[libc::c_long] = &[
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_wait4,
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
];

/// Calls that it makes besides where it hears of what is denied to the command.
const HEARER: &[libc::c_long] =
    &[libc::SYS_recvmsg, libc::SYS_process_vm_readv, libc::SYS_close, libc::SYS_clock_gettime];

/// What is called to give the listener away and to install a second filter, after the first one is in force.
const HAND_OVER: [libc::c_long; 2] = [libc::SYS_sendmsg, libc::SYS_seccomp];

/// Calls that a relay makes with any arguments.
const RELAY: &[libc::c_long] = &[
    libc::SYS_poll,
    libc::SYS_splice,
    libc::SYS_accept4,
    libc::SYS_pipe2,
    libc::SYS_shutdown,
    // Where the vDSO cannot tell the time.
    libc::SYS_clock_gettime,
    libc::SYS_exit_group,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
];

/// Compiles the filter of a command, in the order of installation. Where its denials are told, the first program has a
/// listener, which is to be given away under it. If the policy does not grant what that takes, a second program takes
/// it away again, and denies it untold: the kernel obeys the stricter of two programs, see seccomp(2).
pub fn compile(filter: &Filter) -> Result<Vec<Program>, HostError> {
    match filter.denials {
        // As it is answered where nobody hears.
        Denials::Silent | Denials::Traced => Ok(vec![program(filter)?]),
        Denials::Named => compile(&calls::sought(filter)),
        Denials::Told => split::divide(filter, HAND_OVER.map(|call| call as u32)),
    }
}

/// Compiles the filter of a command that is only watched: what it denies is handed to the listener instead, and so is
/// each call of another architecture.
pub fn watching(filter: &Filter) -> Result<Program, HostError> {
    let leaves = leaves(&Filter { denials: Denials::Told, ..filter.clone() }).map_err(refused)?;
    finished([head(libc::SECCOMP_RET_USER_NOTIF), tree(&islands(&leaves))].concat())
}

/// Compiles the filter of a command that is traced: the listener of its first program hears of what is denied, and of
/// what is looked up and reached.
pub fn traced(filter: &Filter) -> Result<Vec<Program>, HostError> {
    compile(&calls::watched(filter))
}

/// Compiles the filter of PID 1, which is our own code: any other call is an attack, and ends the sandbox. One that
/// leaves its memory executes what it has open as `program`, which closes that, and may give memory back.
pub fn reaper(denials: Denials, tree: Tree, program: Option<RawFd>) -> Result<Program, HostError> {
    let mut calls: BTreeMap<_, _> = REAPER.iter().map(|call| (*call as u32, Verdict::Allow)).collect();
    let is = |argument, value: u32| {
        let (mask, value) = (u64::from(u32::MAX), u64::from(value));
        Condition { argument, mask, value, negated: false, wide: false }
    };
    if let Some(program) = program {
        let own = vec![vec![is(0, program.unsigned_abs())]];
        calls.insert(libc::SYS_execveat as u32, Verdict::AllowIf(own, Denial::Kill));
        // Gives its stack back. Nothing maps memory again, nor changes what is mapped.
        calls.insert(libc::SYS_munmap as u32, Verdict::Allow);
    }
    match denials {
        Denials::Silent | Denials::Traced => {}
        Denials::Told | Denials::Named => {
            calls.extend(HEARER.iter().map(|call| (*call as u32, Verdict::Allow)));
            let commands = notify::COMMANDS.map(|command| vec![is(1, command)]).to_vec();
            calls.insert(libc::SYS_ioctl as u32, Verdict::AllowIf(commands, Denial::Kill));
            let kill = vec![vec![is(1, libc::SIGKILL as u32)]];
            calls.insert(libc::SYS_kill as u32, Verdict::AllowIf(kill, Denial::Kill));
        }
    }
    match (tree, denials) {
        (Tree::Domain, Denials::Silent | Denials::Traced) => {
            let kill = vec![vec![is(0, u32::MAX), is(1, libc::SIGKILL as u32)]];
            calls.insert(libc::SYS_kill as u32, Verdict::AllowIf(kill, Denial::Kill));
        }
        (Tree::Domain, Denials::Told | Denials::Named) | (Tree::PidNamespace | Tree::Cgroup, _) => {}
    }
    // Denied as it is to the command, so that the self-test can ask whether this filter is there.
    calls.insert(libc::SYS_clone3 as u32, Verdict::Deny(Denial::Errno(libc::ENOSYS)));
    self::program(&Filter { calls, ..Filter::NONE })
}

/// Compiles the filter of a relay, which is our own code: it carries bytes that it never looks at, and connects to the
/// addresses that lie at these places, in memory that no call it may make can change.
///
/// It sends to an address of its choice by the sockets of the session's own network alone. Those are the first numbers
/// above the channel's, `datagrams` of them, and it can never close one: no other descriptor comes to lie there.
pub fn relay(peers: &[(u64, u32)], (cord, channel): (u32, u32), datagrams: usize) -> Result<Program, HostError> {
    let sessions: Vec<u64> = (u64::from(channel) + 1..).take(datagrams).collect();
    let is = |argument, value: u64| Condition { argument, mask: u64::MAX, value, negated: false, wide: false };
    let connect = peers.iter().map(|(place, length)| {
        vec![
            Condition { argument: 1, mask: u64::MAX, value: *place, negated: false, wide: true },
            is(2, u64::from(*length)),
        ]
    });
    let kind = |kind| (kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) as u64;
    let kinds: &[libc::c_int] =
        if datagrams > 0 { &[libc::SOCK_STREAM, libc::SOCK_DGRAM] } else { &[libc::SOCK_STREAM] };
    let socket = [libc::AF_INET, libc::AF_INET6]
        .into_iter()
        .flat_map(|family| kinds.iter().map(move |one| vec![is(0, family as u64), is(1, kind(*one)), is(2, 0)]));
    let is_not = |value| Condition { negated: true, ..is(0, value) };
    let null = |argument| Condition { argument, mask: u64::MAX, value: 0, negated: false, wide: true };
    let linger = vec![is(1, libc::SOL_SOCKET as u64), is(2, libc::SO_LINGER as u64)];
    let mut calls: BTreeMap<_, _> = RELAY.iter().map(|call| (*call as u32, Verdict::Allow)).collect();
    for (call, alternatives) in [
        (libc::SYS_connect, connect.collect()),
        (libc::SYS_socket, socket.collect()),
        (libc::SYS_close, vec![sessions.iter().map(|one| is_not(*one)).collect()]),
        (libc::SYS_setsockopt, vec![linger]),
        // Descriptors come from its own sandbox alone; what it carries it does not receive.
        (libc::SYS_recvmsg, vec![vec![is(0, u64::from(channel))]]),
        // Asked before each close in builds with debug assertions.
        (libc::SYS_fcntl, vec![vec![is(1, libc::F_GETFD as u64)]]),
        // Of a self-test, /dev/null in a session; and its word that it is confined.
        (libc::SYS_write, vec![vec![is(0, u64::from(cord))], vec![is(0, u64::from(channel))]]),
    ] {
        calls.insert(call as u32, Verdict::AllowIf(alternatives, Denial::Kill));
    }
    if datagrams > 0 {
        let flags = is(3, sys::relay::SENDING as u64);
        let to_anyone = sessions.iter().map(|one| vec![is(0, *one), flags.clone()]);
        let sendto = to_anyone.chain([vec![flags.clone(), null(4)]]).collect();
        calls.insert(libc::SYS_sendto as u32, Verdict::AllowIf(sendto, Denial::Kill));
        calls.insert(
            libc::SYS_recvfrom as u32,
            Verdict::AllowIf(vec![vec![is(3, libc::MSG_DONTWAIT as u64)]], Denial::Kill),
        );
    }
    calls.insert(libc::SYS_clone3 as u32, Verdict::Deny(Denial::Errno(libc::ENOSYS)));
    program(&Filter { calls, ..Filter::NONE })
}

fn program(filter: &Filter) -> Result<Program, HostError> {
    program_of(&leaves(filter).map_err(refused)?)
}

fn program_of(leaves: &[Leaf]) -> Result<Program, HostError> {
    finished([head(libc::SECCOMP_RET_KILL_PROCESS), tree(&islands(leaves))].concat())
}

fn finished(program: Program) -> Result<Program, HostError> {
    if program.len() > LONGEST {
        return Err(refused(format!("it has {} instructions, and the kernel takes {LONGEST}", program.len())));
    }
    Ok(program)
}

fn refused(why: impl ToString) -> HostError {
    HostError { doing: "compile the system call filter".into(), why: why.to_string() }
}

/// Answers so on another architecture and on x32; leaves the call's number in the accumulator. A tracer that has a call
/// fail gives it the number -1, which has the bit of x32 as well: it is none, and above the newest.
fn head(foreign: u32) -> Program {
    vec![
        load(MACHINE),
        jump(libc::BPF_JEQ, ARCHITECTURE, 1, 0),
        answer(foreign),
        load(NUMBER),
        jump(libc::BPF_JEQ, u32::MAX, 2, 0),
        jump(libc::BPF_JSET, X32, 0, 1),
        answer(foreign),
    ]
}

/// The code for the numbers from `first` up to the next leaf. The number is in the accumulator when it starts.
struct Leaf {
    first: u32,
    code: Program,
}

/// One leaf for each run of numbers with the same answer, in order, from zero.
fn leaves(filter: &Filter) -> Result<Vec<Leaf>, BackendError> {
    let denials = filter.denials;
    let default = vec![answer(denial(filter.default, denials))];
    let mut leaves: Vec<Leaf> = Vec::new();
    let mut add = |first: u32, code: Program| {
        if leaves.last().is_none_or(|last| last.code != code) {
            leaves.push(Leaf { first, code });
        }
    };
    let mut next = 0;
    for (&call, verdict) in filter.calls.range(..=filter.newest) {
        if call > next {
            add(next, default.clone());
        }
        add(call, leaf(call, verdict, denials)?);
        next = call + 1;
    }
    if next <= filter.newest {
        add(next, default);
    }
    if let Some(above) = filter.newest.checked_add(1) {
        add(above, vec![answer(denial(Denial::Errno(libc::ENOSYS), denials))]);
    }
    Ok(leaves)
}

/// Calls that are answered otherwise than all around them, a few at a time, as one leaf that asks for their numbers:
/// fewer instructions than two borders each.
fn islands(leaves: &[Leaf]) -> Vec<Leaf> {
    const MOST: usize = 3;
    let mut grouped = Vec::new();
    let mut rest = leaves;
    while let [around, ..] = rest {
        let is_island = |pair: &&[Leaf]| match pair {
            [island, behind] => island.first + 1 == behind.first && behind.code == around.code,
            _ => false,
        };
        let islands: Vec<&[Leaf]> = rest[1..].chunks_exact(2).take(MOST).take_while(is_island).collect();
        rest = &rest[1 + 2 * islands.len()..];
        let mut code = Program::new();
        for island in islands.iter().map(|pair| &pair[0]) {
            match u8::try_from(island.code.len()) {
                Ok(distance) => code.push(jump(libc::BPF_JEQ, island.first, 0, distance)),
                Err(_) => code.extend([jump(libc::BPF_JEQ, island.first, 1, 0), skip(island.code.len())]),
            }
            code.extend(&island.code);
        }
        code.extend(&around.code);
        grouped.push(Leaf { first: around.first, code });
    }
    grouped
}

/// Halves the leaves until one is left. A jump reaches 255 instructions, so a long left half is jumped from to.
fn tree(leaves: &[Leaf]) -> Program {
    let (left, right) = match leaves {
        [] => return vec![answer(libc::SECCOMP_RET_KILL_PROCESS)],
        [leaf] => return leaf.code.clone(),
        _ => leaves.split_at(leaves.len() / 2),
    };
    let (pivot, left, right) = (right[0].first, tree(left), tree(right));
    let branch = match u8::try_from(left.len()) {
        Ok(distance) => vec![jump(libc::BPF_JGE, pivot, distance, 0)],
        Err(_) => vec![jump(libc::BPF_JGE, pivot, 0, 1), skip(left.len())],
    };
    let whole = [branch, left, right].concat();
    // Within reach of its branches an answer need be there only once.
    match u8::try_from(whole.len()) {
        Ok(_) => shorten::shorten(&whole, &[], NUMBER),
        Err(_) => whole,
    }
}

fn leaf(call: u32, verdict: &Verdict, denials: Denials) -> Result<Program, BackendError> {
    match verdict {
        Verdict::Allow => Ok(vec![answer(libc::SECCOMP_RET_ALLOW)]),
        Verdict::Deny(why) => Ok(vec![answer(denial(*why, denials))]),
        // For seccompiler a list without rules means every argument; here it means none.
        Verdict::AllowIf(alternatives, why) if alternatives.is_empty() => Ok(vec![answer(denial(*why, denials))]),
        Verdict::AllowIf(alternatives, _) if alternatives.iter().any(Vec::is_empty) => {
            Ok(vec![answer(libc::SECCOMP_RET_ALLOW)])
        }
        Verdict::AllowIf(alternatives, why) => checked(call, alternatives, denial(*why, denials)),
    }
}

/// A whole program of seccompiler's for this one call, without what the head and the tree have decided.
fn checked(call: u32, alternatives: &[Vec<Condition>], mismatch: u32) -> Result<Program, BackendError> {
    let mut rules = Vec::new();
    for conditions in alternatives {
        for combination in combinations(conditions)? {
            rules.push(SeccompRule::new(combination)?);
        }
    }
    // It knows no action that hands a call to a listener, so one that nothing else here uses stands for every answer.
    let rules = BTreeMap::from([(i64::from(call), rules)]);
    let compiled: BpfProgram =
        SeccompFilter::new(rules, SeccompAction::Trace(0), SeccompAction::Allow, TargetArch::x86_64)?.try_into()?;
    let stands_for_it = answer(libc::SECCOMP_RET_TRACE);
    let ours = |i: &seccompiler::sock_filter| {
        let instruction = libc::sock_filter { code: i.code, jt: i.jt, jf: i.jf, k: i.k };
        if instruction == stands_for_it { answer(mismatch) } else { instruction }
    };
    let compiled: Program = compiled.iter().map(ours).collect();
    Ok(shorten::shorten(&compiled, &[(NUMBER, call), (MACHINE, ARCHITECTURE)], NUMBER))
}

/// The conditions in seccompiler's words. It cannot say that some of several bits differ, so that becomes one
/// combination for each bit.
fn combinations(conditions: &[Condition]) -> Result<Vec<Vec<SeccompCondition>>, BackendError> {
    let mut all = vec![Vec::new()];
    for condition in conditions {
        let ways = ways(condition)?;
        all = all
            .iter()
            .flat_map(|so_far| ways.iter().map(|way| [&so_far[..], std::slice::from_ref(way)].concat()))
            .collect();
    }
    Ok(all)
}

/// Each way of meeting one condition.
fn ways(condition: &Condition) -> Result<Vec<SeccompCondition>, BackendError> {
    let (length, full) = match condition.wide {
        true => (SeccompCmpArgLen::Qword, u64::MAX),
        false => (SeccompCmpArgLen::Dword, u64::from(u32::MAX)),
    };
    let way = |operator, value| SeccompCondition::new(condition.argument, length.clone(), operator, value & full);
    let mask = condition.mask & full;
    match (condition.negated, mask == full) {
        (false, true) => Ok(vec![way(SeccompCmpOp::Eq, condition.value)?]),
        (true, true) => Ok(vec![way(SeccompCmpOp::Ne, condition.value)?]),
        (false, false) => Ok(vec![way(SeccompCmpOp::MaskedEq(mask), condition.value)?]),
        (true, false) => {
            let bits = (0..u64::BITS).map(|bit| 1 << bit).filter(|bit| mask & bit != 0);
            bits.map(|bit| way(SeccompCmpOp::MaskedEq(bit), !condition.value)).collect()
        }
    }
}

fn denial(denial: Denial, denials: Denials) -> u32 {
    match denial {
        told if calls::is_told(denials, told) => libc::SECCOMP_RET_USER_NOTIF,
        Denial::Errno(errno) => libc::SECCOMP_RET_ERRNO | (errno as u32 & libc::SECCOMP_RET_DATA),
        Denial::Kill => libc::SECCOMP_RET_KILL_PROCESS,
    }
}

fn load(offset: u32) -> libc::sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0)
}

fn jump(test: u32, value: u32, if_true: u8, if_false: u8) -> libc::sock_filter {
    instruction(libc::BPF_JMP | test | libc::BPF_K, value, if_true, if_false)
}

fn skip(instructions: usize) -> libc::sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JA, instructions as u32, 0, 0)
}

fn answer(action: u32) -> libc::sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, action, 0, 0)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}
