// SPDX-License-Identifier: Apache-2.0
//! The line: the child's steps from the clone to the exec, in the order of the plan, which has one for spares.
//! Nothing here allocates, logs, looks up or decides. A step that fails is reported up the cord, and the child ends.

mod host_proc;
mod leave;
mod identity;
mod network;
mod prove;

use super::cord::LISTENER;
use super::loan::Loan;
use super::prepare::{LaunchersPart, Mount, Prepared, Program};
use super::report::{Record, SetupError};
use super::spare;
use crate::plan::Step;
use crate::sys;
use crate::sys::signal::Disposition;
use host_proc::{own_number_before, write_file};
pub(super) use identity::write_namespace;
use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;
use prove::Progress;
use rustix::fs::{Mode, OFlags};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// True in a child between its clone and its exec: an allocator of the tests aborts then.
pub static AFTER_CLONE: AtomicBool = AtomicBool::new(false);

/// Where every child keeps its end of the cord.
pub(super) const CORD: RawFd = 3;
/// djb's "system call failed": visible even where the record was lost.
const FAILED: i32 = 111;

/// Every securebit and its lock, but for `SECBIT_KEEP_CAPS`, which is locked at zero: see capabilities(7).
const SECUREBITS_LOCKED: u64 = 0b1110_1111;

const PR_MDWE_REFUSE_EXEC_GAIN: u64 = libc::PR_MDWE_REFUSE_EXEC_GAIN as u64;

/// A refused item of a step: its index, and why.
type Refused = (u16, Errno);

/// A child on its way.
struct Line<'a> {
    prepared: &'a mut Prepared,
    /// The place of the next step among the plan's.
    next: usize,
    cord: RawFd,
    kill: Option<RawFd>,
    /// The user namespace that is kept for it.
    user: Option<RawFd>,
    /// The ruleset of the command alone.
    domain: Option<RawFd>,
    stdio: [Option<OwnedFd>; 3],
    /// Where the reaper waits for the filter's listener.
    channel: Option<RawFd>,
    /// The relay, and our end of the channel to it.
    relay: Option<(Pid, RawFd)>,
    purpose: Purpose,
    memory: Memory,
    loan: Option<&'a mut Loan>,
    /// Of a self-test, which ends where the command would begin.
    test: Option<Progress>,
}

/// What a child finds open beside what is prepared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given {
    /// Its end of the cord.
    pub(super) cord: RawFd,
    /// Its control group's file to kill it by.
    pub(super) kill: Option<RawFd>,
    /// The user namespace that is kept for it.
    pub(super) user: Option<RawFd>,
}

/// What a child is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A connection, which is in the cord.
    Session,
    /// A connection that comes later, and is answered for.
    Spare,
    /// Proofs.
    SelfTest,
}

/// What clone3(2) would have done with the clone: a control group, and the namespace of it that comes after.
pub(super) struct Joins {
    /// Its directory.
    pub(super) into: RawFd,
    /// `CLONE_NEWCGROUP`, or nothing.
    pub(super) namespace: u64,
}

/// Whose memory a child has until it executes a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// Its own, a copy of the launcher's.
    Own,
    /// The launcher's, which waits meanwhile.
    Lent,
}

/// Takes every step. Called in the new process, which has one thread.
pub(super) fn run(
    prepared: &mut Prepared,
    (memory, loan): (Memory, &mut Loan),
    Given { cord, kill, user }: Given,
    joins: Option<Joins>,
    purpose: Purpose,
) -> ! {
    AFTER_CLONE.store(true, Ordering::Relaxed);
    let test = match purpose {
        Purpose::Session | Purpose::Spare => None,
        Purpose::SelfTest => Some(Progress::new()),
    };
    let domain = prepared.domain.as_ref().map(|(ruleset, _)| ruleset.as_raw_fd());
    let (stdio, channel, relay, loan) = ([None, None, None], None, None, Some(loan));
    let mut line =
        Line { prepared, next: 0, cord, kill, user, domain, stdio, channel, relay, purpose, memory, loan, test };
    if let Some(Err(errno)) = joins.map(join) {
        line.fail(SetupError { step: Step::Clone, index: 0, errno });
    }
    line.go_on()
}

impl Line<'_> {
    /// Takes every step that is left.
    fn go_on(&mut self) -> ! {
        while let Some(&step) = self.steps().get(self.next) {
            self.next += 1;
            self.prove_before(step);
            if let Err((index, errno)) = self.take(step) {
                self.fail(SetupError { step, index, errno });
            }
        }
        // Exec does not return but to say why it failed.
        sys::process::exit(FAILED)
    }

    fn steps(&self) -> &[Step] {
        match self.purpose {
            Purpose::Session | Purpose::SelfTest => &self.prepared.steps,
            Purpose::Spare => &self.prepared.steps_of_spare,
        }
    }

    fn take(&mut self, step: Step) -> Result<(), Refused> {
        match step {
            // Taken by the launcher, which makes this process; what is left of it was done before.
            Step::Clone => Ok(()),
            Step::Keyring => only(sys::lock::join_session_keyring()),
            Step::Loopback => only(raise_loopback()),
            Step::Scratch => each(self.prepared.own.scratch.iter(), mount),
            Step::Proc => each(self.prepared.proc_mount.iter(), mount),
            Step::PidLimits => self.limit_pids(),
            Step::Directory => only(sys::mount::enter_directory(&self.prepared.directory)),
            Step::Umask => {
                sys::process::set_umask(self.prepared.umask);
                Ok(())
            }
            Step::Identity => self.take_identity(),
            Step::UserNamespace => self.enter_user_namespace(),
            Step::Relay => self.make_relay(),
            Step::Network => self.enter_network(),
            Step::Limits => each(self.prepared.limits.iter(), |&(resource, soft, hard)| {
                sys::process::set_limit(resource, soft, hard)
            }),
            Step::BoundingSet => each(0..=self.prepared.last_capability, |capability| {
                sys::process::control(libc::PR_CAPBSET_DROP, u64::from(capability), 0)
            }),
            Step::Securebits => only(sys::process::control(libc::PR_SET_SECUREBITS, SECUREBITS_LOCKED, 0)),
            Step::Rights => self.give_up_rights(),
            Step::NoNewPrivileges => only(sys::process::control(libc::PR_SET_NO_NEW_PRIVS, 1, 0)),
            Step::WriteExecute => only(sys::process::control(libc::PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0)),
            Step::Landlock => {
                each(self.prepared.ruleset.iter(), |(ruleset, flags)| sys::lock::restrict_self(ruleset.as_fd(), *flags))
            }
            Step::CloseFds => self.close_descriptors(),
            Step::Fork => self.leave_reaper(),
            Step::Domain => self.enter_domain(),
            Step::Session => only(sys::process::new_session()),
            Step::Signals => self.set_signals(),
            Step::Handover => self.receive_connection(),
            Step::Exchange => self.exchange_connection(),
            Step::Stdio => self.attach_stdio(),
            Step::Seccomp => self.enforce_filters(),
            Step::Exec => self.execute(),
        }
    }

    /// Says which step failed, and ends. The filter allows write and exit_group, whatever the policy says.
    fn fail(&self, error: SetupError) -> ! {
        // If even this is refused, the supervisor sees the end of file and the exit status.
        let _ = sys::process::write(self.cord, &Record::Setup(error).encode());
        sys::process::exit(FAILED)
    }

    fn limit_pids(&self) -> Result<(), Refused> {
        let proc = &self.prepared.proc;
        if let Some(value) = &self.prepared.pid_max {
            write_file(proc, c"sys/kernel/pid_max", value.to_bytes()).map_err(|errno| (0, errno))?;
        }
        if self.prepared.memfd_noexec {
            write_file(proc, c"sys/vm/memfd_noexec", b"2").map_err(|errno| (1, errno))?;
        }
        if self.prepared.unique_pid {
            // The next process of this PID namespace is the command: it gets the number that this process has on the
            // host, which no other live process can have.
            let mut digits = [0; 20];
            let before = own_number_before(proc, &mut digits).map_err(|errno| (2, errno))?;
            write_file(proc, c"sys/kernel/ns_last_pid", before).map_err(|errno| (2, errno))?;
        }
        Ok(())
    }

    fn close_descriptors(&mut self) -> Result<(), Refused> {
        sys::process::duplicate_onto(self.cord, CORD, libc::O_CLOEXEC).map_err(|errno| (0, errno))?;
        self.cord = CORD;
        let mut next = CORD + 1;
        // What a reaper executes, or the command's own ruleset, what a reaper that must kill its cgroup writes to, and
        // the channel to the relay: each above where it goes, since they were opened in this order.
        let mut program = match (self.memory, &self.loan) {
            (Memory::Lent, Some(loan)) => loan.program.as_ref().map(AsRawFd::as_raw_fd),
            (Memory::Lent | Memory::Own, _) => None,
        };
        let channel = self.relay.as_mut().map(|(_, channel)| channel);
        for kept in [program.as_mut(), self.domain.as_mut(), self.kill.as_mut(), channel].into_iter().flatten() {
            if *kept != next {
                sys::process::duplicate_onto(*kept, next, libc::O_CLOEXEC).map_err(|errno| (0, errno))?;
                *kept = next;
            }
            next += 1;
        }
        sys::process::close_from(next).map_err(|errno| (1, errno))
    }

    /// The first filter's listener, if it has one, goes to the reaper, or up the cord to whoever traces: this is the
    /// last step but exec then, which closes it here.
    fn enforce_filters(&self) -> Result<(), Refused> {
        let (programs, hears) = match (&self.prepared.traced, &self.test) {
            (Some(traced), None) => (traced, Some((self.cord, LISTENER))),
            (Some(_), Some(_)) | (None, _) => (&self.prepared.filters, self.channel.map(|channel| (channel, &[][..]))),
        };
        let inherited = match self.prepared.launchers_part {
            LaunchersPart::Inherited => 1,
            LaunchersPart::None | LaunchersPart::Wanted => 0,
        };
        for (index, program) in programs.iter().enumerate().skip(inherited) {
            let enforced = match (index, hears) {
                (0, Some((hearer, message))) => sys::lock::install_listener(program).and_then(|listener| {
                    let listener = sys::process::fixed(listener);
                    sys::socket::send_descriptors(sys::process::fixed(hearer), message, &[listener])
                }),
                (_, _) => sys::lock::install_filter(program),
            };
            enforced.map_err(|errno| (index as u16, errno))?;
        }
        Ok(())
    }

    fn enter_domain(&mut self) -> Result<(), Refused> {
        let (Some(ruleset), Some((_, flags))) = (self.domain.take(), &self.prepared.domain) else { return Ok(()) };
        only(sys::lock::restrict_self(sys::process::fixed(ruleset), *flags))?;
        // The policy's limit on open files counts it as well.
        sys::process::close(ruleset);
        Ok(())
    }

    fn set_signals(&self) -> Result<(), Refused> {
        let set = |signal, disposition| {
            sys::signal::set_disposition(signal, disposition).map_err(|errno| (signal as u16, errno))
        };
        // Of the launcher's dispositions, which are ours, the only one that is not the default.
        set(libc::SIGPIPE, Disposition::Default)?;
        self.prepared.ignored.iter().try_for_each(|&signal| set(signal, Disposition::Ignore))?;
        only(sys::signal::set_mask(0))
    }

    fn receive_connection(&mut self) -> Result<(), Refused> {
        let cord = sys::process::fixed(self.cord);
        let environment = &mut self.prepared.environment;
        let received = sys::socket::receive_descriptors(cord, environment.buffer());
        let (length, stdio) = received.map_err(|errno| (0, errno))?;
        if length == 0 {
            // The supervisor wants no command: not a failure, so nothing is said.
            sys::process::exit(0);
        }
        environment.add_from_buffer(length).map_err(|errno| (1, errno))?;
        self.stdio = stdio;
        match self.purpose {
            Purpose::Spare => spare::take(self.cord).map_err(|errno| (2, errno)),
            Purpose::Session | Purpose::SelfTest => Ok(()),
        }
    }

    fn attach_stdio(&self) -> Result<(), Refused> {
        let [Some(input), output, error] = &self.stdio else { return Err((0, Errno::EBADF)) };
        let (output, error) = (output.as_ref().unwrap_or(input), error.as_ref().unwrap_or(input));
        for (number, descriptor) in [input, output, error].into_iter().enumerate() {
            sys::process::duplicate_stdio(descriptor.as_raw_fd(), number as RawFd)
                .map_err(|errno| (number as u16, errno))?;
        }
        Ok(())
    }

    /// Tries each program as execvp(3) does: the next one if there is none here or it may not be run.
    fn execute(&self) -> Result<(), Refused> {
        let mut refused = (0, Errno::ENOENT);
        for (index, program) in self.prepared.programs.iter().enumerate() {
            match self.execute_one(program) {
                Errno::ENOENT | Errno::ENOTDIR => {}
                Errno::EACCES => refused = (index as u16, Errno::EACCES),
                errno => return Err((index as u16, errno)),
            }
        }
        Err(refused)
    }

    fn execute_one(&self, program: &Program) -> Errno {
        let environment = &self.prepared.environment;
        match (sys::exec::execute(&program.path, &program.arguments, environment), &program.shell) {
            (Errno::ENOEXEC, Some(shell)) => sys::exec::execute(c"/bin/sh", shell, environment),
            (errno, _) => errno,
        }
    }
}

fn only(result: Result<(), Errno>) -> Result<(), Refused> {
    result.map_err(|errno| (0, errno))
}

fn each<T>(items: impl Iterator<Item = T>, mut act: impl FnMut(T) -> Result<(), Errno>) -> Result<(), Refused> {
    for (index, item) in items.enumerate() {
        act(item).map_err(|errno| (index as u16, errno))?;
    }
    Ok(())
}

/// Enters its control group. The namespace comes after: it begins where its first process is, see cgroup_namespaces(7).
fn join(Joins { into, namespace }: Joins) -> Result<(), Errno> {
    let directory = sys::process::fixed(into);
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let processes = rustix::fs::openat(directory, c"cgroup.procs", flags, Mode::empty()).map_err(sys::errno)?;
    // It stands for whoever writes it.
    rustix::io::write(&processes, b"0").map_err(sys::errno)?;
    if namespace == 0 { Ok(()) } else { sys::mount::unshare(libc::CLONE_NEWCGROUP) }
}

fn mount(mount: &Mount) -> Result<(), Errno> {
    sys::mount::mount_new(&mount.kind, &mount.target, mount.flags, &mount.options)
}

fn raise_loopback() -> Result<(), Errno> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None).map_err(sys::errno)?;
    sys::process::raise_loopback(socket.as_fd())
}
