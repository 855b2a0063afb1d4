// SPDX-License-Identifier: Apache-2.0
//! The compiled program answers as the filter says, for every number and every argument that could matter.

use super::interpreter::{Call, run};
use super::*;
use crate::plan::hosts::{listen, root_on_618, strict};
use crate::plan::{self, Step, calls};
use crate::policy::model::{OnDeny, Syscalls};
use crate::policy::{Origin, Sourced};
use crate::sandbox::line::Memory;
use crate::sandbox::prepare::reaper_filter;
use crate::sys::{self, first};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use std::collections::BTreeSet;

/// EM_386, little endian.
const I386: u32 = 0x4000_0003;

fn words(words: &str) -> Vec<Sourced<String>> {
    words.split_whitespace().map(|word| Sourced::new(word.to_string(), Origin::CommandLine)).collect()
}

fn filter(allow: &str, deny: &str, on_deny: OnDeny) -> Filter {
    let on_deny = Some(Sourced::new(on_deny, Origin::CommandLine));
    calls::resolve(&Syscalls { allow: words(allow), deny: words(deny), on_deny }).unwrap()
}

/// The answer straight from the filter.
fn expected(filter: &Filter, call: Call) -> u32 {
    if call.architecture != ARCHITECTURE || (call.number & X32 != 0 && call.number != u32::MAX) {
        return libc::SECCOMP_RET_KILL_PROCESS;
    }
    if call.number > filter.newest {
        return libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    }
    let met = |alternatives: &[Vec<Condition>]| {
        alternatives.iter().any(|conditions| conditions.iter().all(|condition| condition.holds(call.arguments)))
    };
    // What hands the listener over must pass the program that has it: the second one answers, untold.
    let denials = match HAND_OVER.contains(&call.number.into()) {
        true => Denials::Silent,
        false => filter.denials,
    };
    match filter.calls.get(&call.number) {
        None => denial(filter.default, denials),
        Some(Verdict::Allow) => libc::SECCOMP_RET_ALLOW,
        Some(Verdict::Deny(why)) => denial(*why, denials),
        Some(Verdict::AllowIf(alternatives, _)) if met(alternatives) => libc::SECCOMP_RET_ALLOW,
        Some(Verdict::AllowIf(_, why)) => denial(*why, denials),
    }
}

/// Values at and around those that a condition compares with, in both halves of the register.
fn values(alternatives: &[Vec<Condition>], argument: u8) -> Vec<u64> {
    let on_it = alternatives.iter().flatten().filter(|condition| condition.argument == argument);
    let low: BTreeSet<u64> = on_it
        .flat_map(|c| [c.value, c.value ^ c.mask, c.value | !c.mask, c.value ^ (c.mask & c.mask.wrapping_neg())])
        .chain([0])
        .collect();
    let high = [0, 0xdead_beef_0000_0000, 0x1_0000_0000, 0x8000_0000_0000_0000];
    low.iter().flat_map(|value| high.map(|high| value ^ high)).collect()
}

/// Every combination of the values that matter to this verdict; the other arguments are garbage.
fn arguments(verdict: Option<&Verdict>) -> Vec<[u64; 6]> {
    let garbage = [0x0123_4567_89ab_cdef; 6];
    let Some(Verdict::AllowIf(alternatives, _)) = verdict else { return vec![garbage, [0; 6], [u64::MAX; 6]] };
    let looked_at: BTreeSet<u8> = alternatives.iter().flatten().map(|condition| condition.argument).collect();
    looked_at.into_iter().fold(vec![garbage], |all, argument| {
        let values = values(alternatives, argument);
        let with = |so_far: &[u64; 6], value: &u64| {
            let mut next = *so_far;
            next[usize::from(argument)] = *value;
            next
        };
        all.iter().flat_map(|so_far| values.iter().map(move |value| with(so_far, value))).collect()
    })
}

/// Compares program and filter; returns instructions in the program, and the most that one call took.
fn prove(filter: &Filter) -> (usize, usize) {
    prove_of(filter, &compile(filter).unwrap())
}

/// The same for these programs.
fn prove_of(filter: &Filter, programs: &[Program]) -> (usize, usize) {
    let edges = [filter.newest.saturating_add(1), 0x3fff_ffff, X32, X32 + 59, 0x8000_0000, 0xbfff_ffff, u32::MAX];
    let mut longest = 0;
    for number in (0..600).chain(edges) {
        for arguments in arguments(filter.calls.get(&number)) {
            for architecture in [ARCHITECTURE, I386] {
                let call = Call { number, architecture, arguments };
                let answers: Vec<(u32, usize)> = programs.iter().map(|program| run(program, call)).collect();
                // The strictest action of all programs, of equal ones the newest program's; see seccomp(2).
                let action = |answer: u32| (answer & libc::SECCOMP_RET_ACTION_FULL) as i32;
                let strictest = answers.iter().rev().min_by_key(|(answer, _)| action(*answer));
                let (answer, steps) = (strictest.unwrap().0, answers.iter().map(|(_, steps)| steps).sum());
                assert_eq!(answer, expected(filter, call), "{call:x?}");
                longest = longest.max(steps);
            }
        }
    }
    (programs.iter().map(Vec::len).sum(), longest)
}

#[test]
fn the_program_answers_as_the_filter_says() {
    let cases = [
        ("", ""),
        ("default", ""),
        ("default resolve network-server unix-client trace jit", "chmod"),
        ("@system-service", "@resources"),
        ("all", ""),
        ("all", "network-server @keyring"),
        ("read ioctl openat", ""),
        ("default", "sendmsg seccomp"),
    ];
    for (allow, deny) in cases {
        for on_deny in [OnDeny::Errno, OnDeny::Kill, OnDeny::Report] {
            let denials = if on_deny == OnDeny::Report { Denials::Told } else { Denials::Silent };
            let (length, longest) = prove(&Filter { denials, ..filter(allow, deny, on_deny) });
            // A filter that grew over these would cost every call and every session.
            assert!(length < 450 && longest < 60, "{allow}: {length} instructions, {longest} for one call");
        }
    }
}

#[test]
fn the_launchers_part_and_the_sessions_answer_together_as_the_filter_says() {
    let cases = [
        ("", ""),
        ("default", ""),
        ("default resolve network-server unix-client trace jit", "chmod"),
        ("all", "network-server @keyring"),
        ("read ioctl openat", ""),
        ("default", "poll recvmsg wait4 munmap sendmsg seccomp"),
    ];
    let open = split::open(Step::ALL.iter().copied());
    for (allow, deny) in cases {
        for on_deny in [OnDeny::Errno, OnDeny::Kill] {
            let filter = filter(allow, deny, on_deny);
            let programs = split::divide(&filter, open.iter().copied()).unwrap();
            let (_, longest) = prove_of(&filter, &programs);
            assert!(longest < 90, "{allow}: {longest} instructions for one call");
            // Else a session would do better to install the whole.
            let [outer, inner] = &programs[..] else { panic!("{allow}: nothing is closed") };
            assert!(inner.len() < outer.len() || allow.len() < 20, "{allow}: {} and {}", outer.len(), inner.len());
            for call in &open {
                let call = Call { number: *call, architecture: ARCHITECTURE, arguments: [u64::MAX; 6] };
                assert_eq!(run(outer, call).0, libc::SECCOMP_RET_ALLOW, "{call:x?} would end a launcher");
            }
        }
    }
}

#[test]
fn what_a_spare_calls_under_its_filter_passes_whatever_the_arguments() {
    let mut policy = strict();
    policy.connection.spares = Some(Sourced::new(4, Origin::CommandLine));
    let plan = plan::resolve(&listen(&["sh"]), &policy, &root_on_618()).unwrap();
    let steps = plan.steps_of_spare();
    let after = steps.iter().skip_while(|step| **step != Step::Seccomp).skip(1);
    let names: Vec<&str> = after.flat_map(|step| step.calls().split(' ')).chain(["write", "exit_group"]).collect();
    assert_eq!(names, ["recvmsg", "dup2", "execve", "write", "exit_group"]);
    let filter = plan.filter.as_ref().unwrap();
    let divided = split::divide(filter, split::open(plan.steps.iter().copied())).unwrap();
    for programs in [divided, compile(filter).unwrap()] {
        for name in &names {
            let number = name.parse::<syscalls::Sysno>().unwrap().id() as u32;
            for argument in [0, 1, 3, u64::from(u32::MAX), 1 << 32, u64::MAX] {
                let call = Call { number, architecture: ARCHITECTURE, arguments: [argument; 6] };
                assert!(programs.iter().all(|program| run(program, call).0 == libc::SECCOMP_RET_ALLOW), "{name}");
            }
        }
    }
}

#[test]
fn conditions_of_every_shape_are_compiled() {
    let condition = |argument, mask, value, negated, wide| Condition { argument, mask, value, negated, wide };
    let all = u64::from(u32::MAX);
    let shapes = [
        condition(0, all, 0x8000_0001, false, false),
        condition(0, all, 0x8000_0001, true, false),
        condition(0, 0xf0f0, 0x3030, false, false),
        condition(0, 0xf0f0, 0x3030, true, false),
        condition(0, u64::MAX, 0x7f00_0000_0001, false, true),
        condition(0, u64::MAX, 0x7f00_0000_0001, true, true),
        condition(0, 0x3_0000_0003, 0x1_0000_0002, false, true),
        condition(0, 0x3_0000_0003, 0x1_0000_0002, true, true),
    ];
    for first in &shapes {
        for second in &shapes {
            let second = Condition { argument: 5, ..second.clone() };
            let both = vec![vec![first.clone(), second.clone()]];
            let either = vec![vec![first.clone()], vec![second]];
            let calls = [(3, both, Denial::Kill), (7, either, Denial::Errno(libc::EACCES))];
            let calls = calls.map(|(call, alternatives, why)| (call, Verdict::AllowIf(alternatives, why))).into();
            prove(&Filter {
                calls,
                default: Denial::Errno(libc::EPERM),
                newest: 9,
                denials: Denials::Told,
                ..Filter::NONE
            });
        }
    }
}

#[test]
fn edges_of_the_table() {
    let always = Verdict::AllowIf(vec![vec![]], Denial::Kill);
    let never = Verdict::AllowIf(vec![], Denial::Errno(libc::EPERM));
    let numbers: [(&[u32], u32); 5] = [(&[], 9), (&[0], 0), (&[0, 9], 9), (&[1, 8, 300], 9), (&[5], u32::MAX)];
    for (numbers, newest) in numbers {
        for verdict in [&Verdict::Allow, &always, &never] {
            let calls = numbers.iter().map(|number| (*number, verdict.clone())).collect();
            prove(&Filter { calls, default: Denial::Kill, newest, ..Filter::NONE });
        }
    }
}

#[test]
fn a_leaf_whose_branches_would_reach_too_far_is_left_as_it_is() {
    let one = |value| Condition { argument: 0, mask: u64::from(u32::MAX), value, negated: false, wide: false };
    let length = |many: u64| {
        let verdict = Verdict::AllowIf((0..many).map(|value| vec![one(2 * value)]).collect(), Denial::Kill);
        let calls = [(7, verdict)].into();
        prove(&Filter { calls, default: Denial::Errno(libc::EPERM), newest: 9, ..Filter::NONE }).0
    };
    let [short, long] = [200, 300].map(length);
    // One instruction for each value; before it was shortened, more than four.
    assert!(short < 220 && long > 4 * 300, "{short} and {long} instructions");
}

#[test]
fn a_filter_that_the_kernel_would_not_take_is_refused() {
    let one = |value| Condition { argument: 0, mask: u64::from(u32::MAX), value, negated: false, wide: false };
    let calls = (0..20).map(|call| {
        let many = (0..300).map(|value| vec![one(value)]).collect();
        (call, Verdict::AllowIf(many, Denial::Kill))
    });
    let filter = Filter { calls: calls.collect(), default: Denial::Kill, newest: 20, ..Filter::NONE };
    let refused = compile(&filter).unwrap_err().to_string();
    let expected = "cannot compile the system call filter: it has 30190 instructions, and the kernel takes 4096";
    assert_eq!(refused, expected);
}

#[test]
fn the_reaper_can_do_its_work_and_nothing_else() {
    // Written out, and not taken from the list that is tested: a call added there has to be meant here too.
    let names = "poll ppoll wait4 read write exit exit_group rt_sigreturn restart_syscall";
    let hearing = "recvmsg process_vm_readv close clock_gettime";
    for (denials, names) in [(Denials::Silent, names.into()), (Denials::Told, format!("{names} {hearing}"))] {
        let number = |name: &str| name.parse::<syscalls::Sysno>().unwrap().id() as u32;
        let numbers: Vec<u32> = names.split(' ').map(number).collect();
        let program = reaper(denials, Tree::PidNamespace, None).unwrap();
        for number in 0..600 {
            let expected = match numbers.contains(&number) {
                true => libc::SECCOMP_RET_ALLOW,
                false if number == libc::SYS_clone3 as u32 => libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32,
                false => libc::SECCOMP_RET_KILL_PROCESS,
            };
            let call = Call { number, architecture: ARCHITECTURE, arguments: [7; 6] };
            assert_eq!(run(&program, call).0, expected, "{number}");
        }
    }
}

#[test]
fn a_reaper_that_leaves_its_memory_executes_its_own_program_and_nothing_else() {
    let program = reaper(Denials::Silent, Tree::PidNamespace, Some(4)).unwrap();
    let answer = |call: libc::c_long, first: u64| {
        let call = Call { number: call as u32, architecture: ARCHITECTURE, arguments: [first, 4, 4, 4, 4, 4] };
        run(&program, call).0
    };
    assert_eq!(answer(libc::SYS_execveat, 4), libc::SECCOMP_RET_ALLOW);
    for other in [0, 3, 5, u64::from(u32::MAX)] {
        assert_eq!(answer(libc::SYS_execveat, other), libc::SECCOMP_RET_KILL_PROCESS);
    }
    assert_eq!(answer(libc::SYS_execve, 4), libc::SECCOMP_RET_KILL_PROCESS);
    assert_eq!(answer(libc::SYS_munmap, 4), libc::SECCOMP_RET_ALLOW);
    for other in [libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_mremap, libc::SYS_brk] {
        assert_eq!(answer(other, 4), libc::SECCOMP_RET_KILL_PROCESS);
    }
}

#[test]
fn a_spares_reaper_executes_nothing_where_sessions_are_lent_their_memory() {
    let plan = plan::resolve(&listen(&["sh"]), &strict(), &root_on_618()).unwrap();
    assert!(plan.lends_memory());
    let number = libc::SYS_execveat as u32;
    let call = Call { number, architecture: ARCHITECTURE, arguments: [first::PROGRAM.unsigned_abs().into(); 6] };
    for (memory, expected) in [(Memory::Own, libc::SECCOMP_RET_KILL_PROCESS), (Memory::Lent, libc::SECCOMP_RET_ALLOW)] {
        assert_eq!(run(&reaper_filter(&plan, memory).unwrap(), call).0, expected, "{memory:?}");
    }
}

#[test]
fn a_reaper_that_hears_can_answer_and_kill_and_nothing_like_it() {
    let program = reaper(Denials::Told, Tree::PidNamespace, None).unwrap();
    let passes = |call: libc::c_long, second: u64| {
        let call = Call { number: call as u32, architecture: ARCHITECTURE, arguments: [5, second, 0, 0, 0, 0] };
        run(&program, call).0 == libc::SECCOMP_RET_ALLOW
    };
    // Written out here too. To let a call pass is an answer like another, but to give a descriptor away is not.
    for (command, allowed) in [(0xc050_2100, true), (0xc018_2101, true), (0x4008_2102, true), (0x4018_2103, false)] {
        assert_eq!(passes(libc::SYS_ioctl, command), allowed, "{command:#x}");
    }
    assert!(passes(libc::SYS_kill, 9) && !passes(libc::SYS_kill, 19) && !passes(libc::SYS_ioctl, 0x5412));
}

#[test]
fn a_reaper_that_ends_a_domain_can_kill_all_in_reach_and_nobody_alone() {
    let program = reaper(Denials::Silent, Tree::Domain, None).unwrap();
    let kills = |whom: u64, signal: u64| {
        let call =
            Call { number: libc::SYS_kill as u32, architecture: ARCHITECTURE, arguments: [whom, signal, 0, 0, 0, 0] };
        run(&program, call).0 == libc::SECCOMP_RET_ALLOW
    };
    assert!(kills(u64::MAX, 9) && !kills(5, 9) && !kills(u64::MAX, 19) && !kills(0, 9));
}

#[test]
fn a_relay_connects_to_its_peers_and_to_nothing_else() {
    let peers = [(0x7f12_3456_7000, 16), (0x7f12_3456_7020, 28)];
    let program = relay(&peers, (3, 4), 0).unwrap();
    let answer = |call: libc::c_long, arguments: [u64; 6]| {
        run(&program, Call { number: call as u32, architecture: ARCHITECTURE, arguments }).0 == libc::SECCOMP_RET_ALLOW
    };
    let stream = (libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) as u64;
    for (place, length, allowed) in [
        (0x7f12_3456_7000, 16, true),
        (0x7f12_3456_7020, 28, true),
        (0x7f12_3456_7000, 28, false),
        (0x7f12_3456_7001, 16, false),
        (0x7f13_3456_7000, 16, false),
        (0x3456_7000, 16, false),
        (0, 16, false),
    ] {
        assert_eq!(answer(libc::SYS_connect, [9, place, length, 0, 0, 0]), allowed, "{place:x} {length}");
    }
    for (call, arguments, allowed) in [
        (libc::SYS_socket, [2, stream, 0, 0, 0, 0], true),
        (libc::SYS_socket, [10, stream, 0, 0, 0, 0], true),
        (libc::SYS_socket, [2, stream ^ 3, 0, 0, 0, 0], false),
        (libc::SYS_socket, [1, stream, 0, 0, 0, 0], false),
        (libc::SYS_socket, [2, stream, 262, 0, 0, 0], false),
        (libc::SYS_recvmsg, [4, 0, 0, 0, 0, 0], true),
        (libc::SYS_recvmsg, [5, 0, 0, 0, 0, 0], false),
        (libc::SYS_write, [3, 0, 0, 0, 0, 0], true),
        (libc::SYS_write, [4, 0, 0, 0, 0, 0], true),
        (libc::SYS_write, [5, 0, 0, 0, 0, 0], false),
        (libc::SYS_setsockopt, [9, 1, 13, 0, 8, 0], true),
        (libc::SYS_setsockopt, [9, 1, 36, 0, 4, 0], false),
        (libc::SYS_fcntl, [9, 1, 0, 0, 0, 0], true),
        (libc::SYS_fcntl, [9, 4, 0, 0, 0, 0], false),
    ] {
        assert_eq!(answer(call, arguments), allowed, "{call} {arguments:?}");
    }
    let allowed = [
        "poll",
        "splice",
        "accept4",
        "pipe2",
        "close",
        "shutdown",
        "clock_gettime",
        "exit_group",
        "rt_sigreturn",
        "restart_syscall",
    ];
    let allowed = allowed.map(|name| name.parse::<syscalls::Sysno>().unwrap().id() as u32);
    let asked = [
        libc::SYS_connect,
        libc::SYS_socket,
        libc::SYS_recvmsg,
        libc::SYS_write,
        libc::SYS_setsockopt,
        libc::SYS_fcntl,
    ];
    for number in (0..600).filter(|number| !asked.contains(&(*number as libc::c_long))) {
        // Memory that holds the peers' addresses cannot be changed: no mmap, mprotect, mremap, munmap.
        assert_eq!(answer(number as libc::c_long, [7; 6]), allowed.contains(&number), "{number}");
    }
}

#[test]
fn a_relay_of_datagrams_chooses_an_address_in_the_sessions_network_alone() {
    let program = relay(&[(0x7f12_3456_7000, 16)], (3, 4), 2).unwrap();
    let answer = |call: libc::c_long, arguments: [u64; 6]| {
        run(&program, Call { number: call as u32, architecture: ARCHITECTURE, arguments }).0 == libc::SECCOMP_RET_ALLOW
    };
    let flags = (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as u64;
    let datagram = (libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) as u64;
    for (call, arguments, allowed) in [
        (libc::SYS_sendto, [5, 1, 1, flags, 1, 16], true),
        (libc::SYS_sendto, [6, 1, 1, flags, 1, 16], true),
        (libc::SYS_sendto, [7, 1, 1, flags, 1, 16], false),
        (libc::SYS_sendto, [4, 1, 1, flags, 1, 16], false),
        (libc::SYS_sendto, [7, 1, 1, flags, 0, 0], true),
        (libc::SYS_sendto, [7, 1, 1, flags, 1 << 32, 16], false),
        (libc::SYS_sendto, [5, 1, 1, flags | 0x2000_0000, 1, 16], false),
        (libc::SYS_sendto, [7, 1, 1, flags | 0x2000_0000, 0, 0], false),
        // No other descriptor ever has one of those numbers.
        (libc::SYS_close, [4, 0, 0, 0, 0, 0], true),
        (libc::SYS_close, [5, 0, 0, 0, 0, 0], false),
        (libc::SYS_close, [6, 0, 0, 0, 0, 0], false),
        (libc::SYS_close, [6 + (1 << 32), 0, 0, 0, 0, 0], false),
        (libc::SYS_close, [7, 0, 0, 0, 0, 0], true),
        (libc::SYS_dup2, [7, 5, 0, 0, 0, 0], false),
        (libc::SYS_dup3, [7, 5, 0, 0, 0, 0], false),
        (libc::SYS_close_range, [5, 6, 0, 0, 0, 0], false),
        (libc::SYS_recvfrom, [9, 1, 1, libc::MSG_DONTWAIT as u64, 1, 1], true),
        (libc::SYS_recvfrom, [9, 1, 1, 0, 1, 1], false),
        (libc::SYS_socket, [2, datagram, 0, 0, 0, 0], true),
        (libc::SYS_socket, [10, datagram, 0, 0, 0, 0], true),
        (libc::SYS_socket, [1, datagram, 0, 0, 0, 0], false),
        (libc::SYS_socket, [2, datagram, 1, 0, 0, 0], false),
        (libc::SYS_bind, [9, 1, 16, 0, 0, 0], false),
        (libc::SYS_sendmsg, [9, 1, flags, 0, 0, 0], false),
        (libc::SYS_setsockopt, [9, 1, libc::SO_BROADCAST as u64, 1, 4, 0], false),
    ] {
        assert_eq!(answer(call, arguments), allowed, "{call} {arguments:?}");
    }
}

/// Runs `probe` under the filter in a process of its own. Only raw system calls may be made there: another thread of
/// the tests may hold any lock.
fn under(filter: &Filter, probe: fn() -> bool) -> WaitStatus {
    let programs = compile(filter).unwrap();
    let child = match sys::clone::clone_child().unwrap() {
        sys::clone::Side::Parent(child) => child,
        sys::clone::Side::Child => {
            let bare = sys::process::control(libc::PR_SET_NO_NEW_PRIVS, 1, 0);
            let locked = programs.iter().all(|program| sys::lock::install_filter(program).is_ok());
            sys::process::exit(i32::from(bare.is_err() || !locked || !probe()));
        }
    };
    nix::sys::wait::waitpid(child, None).unwrap()
}

#[test]
fn the_kernel_answers_as_the_filter_says() {
    use Errno::{EAFNOSUPPORT, EPERM};
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    let strict = filter("default resolve", "", OnDeny::Errno);
    let killing = filter("default", "", OnDeny::Kill);
    // Unfiltered, this would be ENOENT.
    let slip = || nix::unistd::chown("/nowhere", None, None) == Err(EPERM);
    let refusals = || {
        let unix = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None);
        let granted = nix::unistd::access("/", nix::unistd::AccessFlags::F_OK);
        granted.is_ok() && unix.err() == Some(EAFNOSUPPORT)
    };
    let attack = || sys::mount::unshare(libc::CLONE_NEWUSER).is_err();
    let killed = |status| matches!(status, WaitStatus::Signaled(_, Signal::SIGSYS, _));
    let passed = |status| matches!(status, WaitStatus::Exited(_, 0));
    assert!(passed(under(&strict, slip)));
    assert!(passed(under(&strict, refusals)));
    assert!(killed(under(&strict, attack)));
    assert!(killed(under(&killing, slip)));
    assert!(passed(under(&filter("all", "", OnDeny::Errno), attack)));
}
