// SPDX-License-Identifier: Apache-2.0
//! spawnbox: each connection is handed to a sandboxed command.
//!
//! The command is in fresh namespaces, under Landlock and seccomp, with the configured user's identity and nothing
//! else; the connection is its standard input, output and error. The supervisor reads nothing of the conversation.
//!
//! # The stages, and a type for each
//!
//! ```text
//!  command line, main.cf, policy file          this host
//!            | parse                              | observe
//!            v                                    v
//!  plan::Request . policy::Policy  ---------> host::Facts    names and numbers; every error names its place
//!            '--------------+---------------------'
//!                           v plan::resolve      pure: no file, clock, environment or kernel
//!                      plan::Plan ---> explain   printable, comparable
//!                           v prepare            once a service, in its launcher
//!                       Prepared                 programs, vectors, ruleset, template mount namespace
//!                           v launch             one clone a session
//!                         line                   the child's steps, which are the plan's
//!                           v hand over          the connection, down the cord
//!                        Session ---> Outcome    tree dead, cgroup gone, one log line
//! ```
//!
//! A later stage never reads again what an earlier one decided. Left of the plan nothing touches the kernel but to
//! read the named files; right of it no name can be wrong; below the clone nothing allocates, logs, looks up or
//! decides.
//!
//! # The floors
//!
//! Top to bottom as below; a floor imports those under it and never one above.
//!
//! | floor | thought |
//! | --- | --- |
//! | [`front`] | master, listen, serve, run: each turns its world into a request and listeners; explain, check, learn, trace and others look and write |
//! | [`supervise`] | one thread, one event loop, many sessions; a total table of states and events |
//! | [`observe`] | a command run openly, and what it asks the kernel for |
//! | [`sandbox`] | launcher, template, line, reaper, cord, cgroup: carries a plan out |
//! | [`plan`] | the table of steps, what is refused, what is decided, and its explanation |
//! | [`policy`] | policy files: types, ownership, spans, profiles |
//! | [`postfix`] | what is Postfix's and nothing else's |
//! | [`host`] | what this machine is and can do |
//! | [`log`] | the subscriber; everyone else only says tracing events |
//! | [`sys`] | the only unsafe code |
//!
//! Who comes from xinetd, tcpserver, a unit of systemd or nsjail finds the way in [`recipes`]; how much one machine
//! carries, and what ends first, stands in [`limits`].
//!
//! # What stays true
//!
//! 1. Nothing is silently weaker: what the plan says is enforced, or the connection is refused with the step, the
//!    object, the errno and a way out. `explain` lists every layer that is off. Before the first client a sandbox is
//!    made and each layer looked at ([`plan::proofs`]): a step that succeeded may have done nothing.
//! 2. Nothing outlives a session: not a double fork, not a `setsid`, not a stopped process, not after `kill -9` of the
//!    supervisor; for the one exception see the reaper, below.
//! 3. Nothing leaks in: descriptors 0 to 2 are the connection and no other is open; environment, umask, signals,
//!    limits, groups, keyring, session and directory are stated, not inherited.
//! 4. Order is behaviour: the rows of [`plan::steps`] say why each stands where it stands.
//! 5. The cost of a session in an empty root does not grow with the host's mounts. `root = "host"` copies them all.
//! 6. A client cannot write our log, and nothing that it sends is parsed, but a PROXY header from a proxy that the
//!    policy trusts, which is read to its exact length.
//! 7. Nothing is reused that could remember: not a cord; of namespaces only those of the network, of IPC and of one
//!    user, where clients come over TCP and no call makes a socket of a network, an object of IPC or a key: after its
//!    session's processes are dead, and if the kernel counts no socket in it (`sandbox/kept.rs` says why nothing else
//!    can be left); of control groups those without a limit, whose session has ended with its first process, which
//!    nobody killed (`sandbox/cgroup/kept.rs`).
//!
//! # Security: who is trusted with what
//!
//! * **The policy's author** decides what a command gets. The file and every directory on its way must belong to root
//!   or the caller and be writable by no one else; it is opened once. So must the directory of a root image, from which
//!   a sandbox is made in place of the host's files; what is in that one is trusted with nothing.
//! * **The supervisor** keeps of root's rights those that it uses ([`plan::capabilities`]), because it makes cgroups,
//!   kills sessions and accepts connections. It parses no byte of a client or of a command, but the header of a proxy
//!   that the policy trusts: records of a fixed form come up a cord, and one that no child of ours writes is logged and
//!   ends its session. Over its control socket root and its own user may look and give orders, and the socket's group
//!   look, one bounded line at a time; where it is told to answer for metrics, whoever can connect there may send one
//!   bounded request of HTTP, and changes nothing. What a command writes to standard error is a client's, or, where the
//!   policy says so, quoted in the log and not looked at otherwise; so is the path of a call that was denied. Where a
//!   policy has the kernel's audit log tell what Landlock denies, it reads those records, and nobody's but the
//!   kernel's. A name in them is a command's: it stands in quotes in a line, and nothing follows from it.
//! * **The launcher** of a service has those of these rights that its plan takes, and prepared objects: no listener, no
//!   connection, no other service's descriptor. Where namespaces are kept it has those too, with a pidfd of each
//!   session that is in one. It is under the part of its sessions' filter that they inherit. It answers requests of its
//!   supervisor, and reads nothing else but the kernel's count of sockets. It may be stopped or killed: its service is
//!   remade, nobody waits; a session that it has not told of yet ends with it. It lends a session its memory until that
//!   has executed its programs, and waits meanwhile: our own code runs there and nothing else, nobody else looks into
//!   it (it is not dumpable), and of other sessions nothing is in it but what it was told of their ids and clients.
//!   Where somebody keeps it, the launcher goes on as a copy (`sandbox/loan.rs`). While several clients come at once
//!   there are two of it, a copy with a socket and namespaces of its own, and either goes on without the other
//!   (`supervise/twin.rs`).
//! * **The reaper** is PID 1 of a sandbox: a page of machine code of ours with a stack ([`sys::first`]), which has
//!   nothing of the launcher's but the cord. It has the command's user, no right, and a filter that allows it to wait,
//!   to write a record and to end. Where it has more to do, where sandboxes wait for clients, and with a supervisor of
//!   an ordinary user, it has a copy of the launcher's memory instead, and may lend that to the command until it
//!   executes its program. Where the policy has denied calls named (`on-deny = "report"`), it is also allowed to take
//!   them from their listener, to look into the command's memory, to refuse them and to kill. It answers with errors
//!   alone; with `"report-all"` it also lets calls be made, by their numbers, that the filter of the plan makes. One
//!   that was taken over could let any call of its own session pass that it hears of, which the namespaces, Landlock
//!   and the lack of rights still hold; a listener without a reaper is an error for whoever calls. Another process of
//!   that user on the host could stop it, but neither the supervisor's time limit nor its sudden death, which end the
//!   tree, ask anything of it. One supervisor is not the parent of its sessions: the copy to which a reload of Postfix
//!   leaves those that there are. Where it is killed too, a reaper that somebody has stopped, or whose command hangs in
//!   exec, stays until the next start, which kills what is in its control group. Where a policy wants neither
//!   namespaces nor mounts (`isolation.level = "landlock-only"`) it is no PID 1: it takes over what loses its parent,
//!   and kills all of its Landlock domain at once when the session ends. The command is in a domain inside of that one
//!   and cannot signal it. Only who has its user on the host, or the kernel for want of memory, could end it before,
//!   and then nothing ends the others.
//! * **A spare**, where a policy has sandboxes wait for clients, is a session's child before its client comes, confined
//!   as its command will be, but for a filter that does not allow to take a connection. Who has its user on the host
//!   may stop or kill it, and its client gets another; nobody looks into it ([`sandbox::spare`]).
//! * **The tracer**, where a command is traced, is the supervisor's parent, outside the sandbox. It reads the command's
//!   memory with the command's user id, or with its caller's where each session has its own, and answers by the numbers
//!   of a call alone: what it misreads is named wrong and never allowed. Where it dies, the sessions end.
//! * **The relay**, where a policy forwards peers of the host's network, is a process of the session there. It has the
//!   command's user, no right and no file, moves bytes by splice(2), datagrams through its memory, and looks at none;
//!   its filter lets it connect to the policy's peers alone: their addresses are in memory that it cannot change.
//! * **The command** is trusted with nothing, and so is **the client**. The connection itself belongs to the host's
//!   network namespace and is locked by the filter and by Landlock's ports.
//! * **Two connections of one service** share no process, scratch file, IPC object, keyring, control group or abstract
//!   socket, and what the kernel counts for a user it counts for each. On the host they are one user, unless the policy
//!   gives each an id of its own (`command.user` with a range). The kernel ends sessions before the supervisor where
//!   the host's memory is at an end.
//! * **Not promised**: that the kernel has no faults; that two services of one user cannot meet in files which both
//!   policies let them write; that a command under `compatible`, which shows the host's files as the user's rights
//!   allow, is held as one under `strict`; that a supervisor which gets no memory for itself goes on. It aborts then,
//!   and its sessions end with it. Any other system call of its own that fails costs one connection at most, with a
//!   line that says why: the tests fail them one by one. The whole list, and each attack
//!   with its defence and its test: [`security`].

pub mod front;
pub mod supervise;
pub mod observe;
pub mod sandbox;
pub mod plan;
pub mod policy;
pub mod postfix;
pub mod host;
pub mod log;
pub mod sys;
pub mod security;
pub mod recipes;
pub mod limits;
#[cfg(any(test, fuzzing))]
pub mod fuzz;

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!("spawnbox is built and tested on x86_64 Linux only: its call numbers and structures are that machine's");
