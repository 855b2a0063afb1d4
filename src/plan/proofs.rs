// SPDX-License-Identifier: Apache-2.0
//! What the self-test proves of a plan: the table of proofs, which of them a plan needs, and their words.
//! A step that succeeded may still have done nothing, where a filter or another kernel answers for it; a proof looks at
//! what the step should have changed. Codes appear in reports and are never used twice.

mod words;

pub use words::{Doubt, sentence};

use super::calls;
use super::model::{Denial, Filter, Plan, Root, Verdict};
use super::steps::Step;
use crate::policy::model::Namespace;
use nix::libc;

/// Where a proof is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Station {
    /// In the supervisor, which looks at the sandbox from outside.
    Outside,
    /// In the first process, before Landlock: the host's /proc can still be read.
    Made,
    /// In the first process, under Landlock, while the host's /proc is still open.
    Confined,
    /// In the process that would become the command, under all but its filter.
    Command,
    /// The same under its filter.
    Filtered,
    /// In the reaper, under a filter of its own.
    Reaper,
    /// In the relay, the same.
    Relay,
}

macro_rules! proofs {
    ($($name:ident = $code:literal, $station:ident, $step:ident, $layer:literal, $holds:literal, $calls:literal;)*) => {
        /// Something that the self-test proves.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Proof { $(#[doc = $holds] $name = $code,)* }

        impl Proof {
            /// Every proof, in order.
            pub const ALL: &[Proof] = &[$(Proof::$name),*];

            /// The proof with this code.
            pub fn from_code(code: u8) -> Option<Proof> {
                match code { $($code => Some(Proof::$name),)* _ => None }
            }

            /// Where it is made.
            pub fn station(self) -> Station { match self { $(Proof::$name => Station::$station,)* } }

            /// The step whose work it looks at.
            pub fn step(self) -> Step { match self { $(Proof::$name => Step::$step,)* } }

            /// The layer, in the words of `explain` and `doctor`.
            pub fn layer(self) -> &'static str { match self { $(Proof::$name => $layer,)* } }

            /// What holds where it succeeds.
            pub fn holds(self) -> &'static str { match self { $(Proof::$name => $holds,)* } }

            /// The system calls that should have brought it about.
            pub fn calls(self) -> &'static str { match self { $(Proof::$name => $calls,)* } }
        }
    };
}

proofs! {
    ControlGroup = 1, Outside, Clone, "control group", "its processes are in a control group of their own", "clone3";
    Namespace = 2, Made, Clone, "namespaces", "it shares no namespace that should be its own", "clone3, unshare";
    PidSetting = 3, Made, PidLimits, "PID namespace", "its PID namespace has settings of its own", "write";
    Keyring = 4, Made, Keyring, "keyring", "it has a session keyring of its own", "keyctl";
    Outside = 5, Confined, Landlock, "Landlock", "a file that the policy does not show cannot be opened",
        "landlock_restrict_self";
    Scope = 6, Confined, Landlock, "Landlock", "an abstract UNIX socket outside cannot be reached",
        "landlock_restrict_self";
    Port = 7, Command, Landlock, "Landlock", "no port can be used that the policy does not name",
        "landlock_restrict_self";
    Root = 8, Command, Clone, "files", "the root directory is the sandbox's own and cannot be written",
        "pivot_root, umount2, mount_setattr";
    Mount = 9, Command, Clone, "files", "what is shown of the host has the policy's access", "mount_setattr";
    Scratch = 10, Command, Scratch, "files", "scratch file systems are its own and limited", "mount";
    Proc = 11, Command, Proc, "files", "/proc is that of its own PID namespace", "mount";
    Identity = 12, Command, Rights, "identity", "it is the command's user and cannot become root",
        "setresuid, setresgid, setgroups";
    Rights = 13, Command, Rights, "rights", "it has no capability and can get none", "capset, prctl";
    NoNewPrivileges = 14, Command, NoNewPrivileges, "rights", "set-user-id programs give no rights", "prctl";
    Limit = 15, Command, Limits, "limits", "the resource limits are the policy's", "prlimit64";
    WriteExecute = 16, Command, WriteExecute, "memory", "memory is never writable and executable", "prctl";
    Nesting = 17, Command, UserNamespace, "namespaces", "it can make no user namespace", "write";
    Descriptors = 18, Command, CloseFds, "descriptors", "no descriptor of the supervisor's is left to the command",
        "close_range";
    Audited = 27, Outside, Landlock, "Landlock", "what it denies is told by the audit log",
        "landlock_restrict_self, bind";
    Domain = 26, Command, Domain, "end", "it cannot signal the process that ends it", "landlock_restrict_self";
    Session = 19, Command, Session, "session", "it leads a session without a terminal", "setsid";
    Filter = 20, Filtered, Seccomp, "system calls", "a call that the policy does not allow is denied", "seccomp";
    Heard = 25, Outside, Seccomp, "system calls", "a denied call is heard of", "seccomp, ioctl, write";
    Reaper = 21, Reaper, Fork, "system calls", "the reaper is under a filter of its own", "seccomp";
    Forward = 23, Command, Network, "forward", "what is forwarded has its listener", "bind, listen";
    Relay = 24, Relay, Relay, "system calls", "the relay is under a filter of its own", "seccomp";
    Lifeline = 22, Outside, Clone, "end", "all of it ends when the supervisor lets go", "clone3, write";
}

/// One proof of one thing: which namespace, which limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// What is proven.
    pub proof: Proof,
    /// Of which item of the plan, from zero.
    pub index: u16,
}

/// Calls that reach further than the connection or pass by the filter, each made with arguments that the kernel refuses
/// in another way than the filter does: what answers is known by its errno. Every filter denies the first one.
pub const CANARIES: [(&str, libc::c_long); 6] = [
    ("clone3", libc::SYS_clone3),
    ("connect", libc::SYS_connect),
    ("bind", libc::SYS_bind),
    ("listen", libc::SYS_listen),
    ("accept4", libc::SYS_accept4),
    // The one of them whose denial is told of under a filter that leaves the network to the command.
    ("mount", libc::SYS_mount),
];

/// The errno with which `filter` denies a canary whatever its arguments are.
pub fn denial(filter: &Filter, canary: usize) -> Option<i32> {
    let (_, number) = CANARIES.get(canary)?;
    let verdict = filter.calls.get(&u32::try_from(*number).ok()?);
    let denial = match verdict {
        None => filter.default,
        Some(Verdict::Deny(denial)) => *denial,
        Some(Verdict::Allow | Verdict::AllowIf(..)) => return None,
    };
    match denial {
        // What the kernel itself says to these arguments is no proof.
        Denial::Errno(libc::EBADF | libc::EINVAL | libc::EFAULT) | Denial::Kill => None,
        Denial::Errno(errno) => Some(errno),
    }
}

/// The canaries whose denial is told of.
pub fn told(filter: &Filter) -> impl Iterator<Item = u32> {
    let is_told = |canary: &usize| {
        denial(filter, *canary).is_some_and(|errno| calls::is_told(filter.denials, Denial::Errno(errno)))
    };
    (0..CANARIES.len()).filter(is_told).map(|canary| CANARIES[canary].1 as u32)
}

/// A port that is in none of the lists of the plan.
pub fn foreign_port(plan: &Plan) -> Option<u16> {
    let landlock = plan.landlock.as_ref()?;
    let lists = || [&landlock.connect, &landlock.bind, &landlock.udp].into_iter().flatten();
    // Below 1024 the kernel refuses a bind by itself, and above 49151 nobody is registered to listen.
    (49152..=u16::MAX).chain(1024..49152).find(|port| lists().all(|ports| !ports.contains(port)))
}

/// Every proof that `plan` needs, in the order of the table.
pub fn needed(plan: &Plan, control_group: bool) -> Vec<Item> {
    let items = |&proof: &Proof| {
        let wanted = plan.steps.contains(&proof.step());
        let indices = if wanted { indices(plan, proof, control_group) } else { Vec::new() };
        indices.into_iter().filter_map(move |index| Some(Item { proof, index: u16::try_from(index).ok()? }))
    };
    Proof::ALL.iter().flat_map(items).collect()
}

fn indices(plan: &Plan, proof: Proof, control_group: bool) -> Vec<usize> {
    let empty_root = matches!(plan.root, Root::Empty { .. });
    let once = |wanted: bool| if wanted { vec![0] } else { Vec::new() };
    let landlock = plan.landlock.as_ref();
    match proof {
        Proof::ControlGroup => once(control_group),
        Proof::Namespace => {
            let all = Namespace::ALL.iter().enumerate();
            all.filter(|(_, namespace)| plan.namespaces.contains(namespace)).map(|(index, _)| index).collect()
        }
        Proof::PidSetting => {
            let set = [plan.pid_limits.pid_max.is_some(), plan.pid_limits.memfd_noexec];
            chosen(&set)
        }
        Proof::Outside => once(landlock.is_some_and(|landlock| landlock.files)),
        Proof::Scope => once(landlock.is_some_and(|landlock| landlock.scopes)),
        // Its scopes have denied something by then. What is told of is the child's own: that the command is told of
        // after its exec, as LANDLOCK_RESTRICT_SELF_LOG_NEW_EXEC_ON has it, no self-test proves: it executes nothing.
        Proof::Audited => once(plan.is_audited()),
        Proof::Port => match (landlock, foreign_port(plan)) {
            (Some(landlock), Some(_)) => {
                chosen(&[landlock.connect.is_some(), landlock.bind.is_some(), landlock.udp.is_some()])
            }
            (_, _) => Vec::new(),
        },
        Proof::Root => once(empty_root),
        Proof::Mount => match &plan.root {
            Root::Empty { binds, .. } => (0..binds.len()).collect(),
            Root::Host | Root::Held { .. } => Vec::new(),
        },
        Proof::Scratch => (0..plan.scratch.len()).collect(),
        // Who has no right to change the ids keeps the groups that it was started with, as `explain` says.
        Proof::Identity => chosen(&[true, plan.identity.change, true]),
        Proof::Rights => {
            let steps = &plan.steps;
            chosen(&[true, true, steps.contains(&Step::BoundingSet), steps.contains(&Step::Securebits)])
        }
        Proof::Limit => (0..plan.resources.len()).collect(),
        Proof::Nesting => once(plan.user_limits.contains_key("max_user_namespaces")),
        Proof::Filter => {
            let filter = plan.filter.as_ref();
            (0..CANARIES.len()).filter(|canary| filter.is_some_and(|f| denial(f, *canary).is_some())).collect()
        }
        Proof::Heard => once(plan.filter.as_ref().is_some_and(|filter| told(filter).next().is_some())),
        Proof::Keyring
        | Proof::Proc
        | Proof::NoNewPrivileges
        | Proof::WriteExecute
        | Proof::Descriptors
        | Proof::Domain
        | Proof::Session
        | Proof::Reaper
        | Proof::Relay => vec![0],
        Proof::Forward => (0..plan.relay.as_ref().map_or(0, |relay| relay.peers.len())).collect(),
        // Without a reaper nobody reads the end of the cord; the command has its parent-death signal.
        Proof::Lifeline => once(plan.init),
    }
}

fn chosen(set: &[bool]) -> Vec<usize> {
    set.iter().enumerate().filter(|(_, set)| **set).map(|(index, _)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::super::hosts::{compatible, listen, master, on, root_on_618, strict};
    use super::super::resolve;
    use super::*;

    #[test]
    fn codes_are_found_and_never_used_twice() {
        for proof in Proof::ALL {
            assert_eq!(Proof::from_code(*proof as u8), Some(*proof));
        }
        assert_eq!(Proof::from_code(0), None);
    }

    #[test]
    fn every_layer_of_a_strict_plan_is_proven() {
        let mut policy = strict();
        policy.isolation.memory_deny_write_execute = Some(on(1, true));
        let plan = resolve(&listen(&["sh"]), &policy, &root_on_618()).unwrap();
        let items = needed(&plan, true);
        let missing: Vec<&Proof> =
            Proof::ALL.iter().filter(|proof| !items.iter().any(|item| item.proof == **proof)).collect();
        // None of these is in that plan.
        let others = [
            Proof::PidSetting,
            Proof::Proc,
            Proof::Nesting,
            Proof::Audited,
            Proof::Domain,
            Proof::Heard,
            Proof::Forward,
            Proof::Relay,
        ];
        assert_eq!(missing, others.iter().collect::<Vec<_>>());
        assert_eq!(items.iter().filter(|item| item.proof == Proof::Namespace).count(), Namespace::ALL.len());
    }

    #[test]
    fn without_a_pid_namespace_the_command_is_kept_from_its_reaper() {
        let mut policy = strict();
        policy.isolation.level = Some(on(1, crate::policy::model::Level::LandlockOnly));
        let plan = resolve(&listen(&["sh"]), &policy, &root_on_618()).unwrap();
        assert!(needed(&plan, false).iter().any(|item| item.proof == Proof::Domain));
    }

    #[test]
    fn every_filter_has_a_canary() {
        for (request, policy) in [(listen(&["sh"]), strict()), (master("nobody", &["sh"]), compatible())] {
            let plan = resolve(&request, &policy, &root_on_618()).unwrap();
            assert_eq!(plan.filter.as_ref().and_then(|filter| denial(filter, 0)), Some(libc::ENOSYS));
            assert!(!needed(&plan, false).iter().any(|item| item.proof == Proof::ControlGroup));
        }
    }

    #[test]
    fn where_denied_calls_are_told_one_is_heard_of_before_the_first_client() {
        for (request, policy) in [(listen(&["sh"]), strict()), (master("nobody", &["sh"]), compatible())] {
            let heard = |policy: &_| {
                let plan = resolve(&request, policy, &root_on_618()).unwrap();
                needed(&plan, false).iter().any(|item| item.proof == Proof::Heard)
            };
            assert!(!heard(&policy));
            let mut reporting = policy.clone();
            reporting.syscalls.on_deny = Some(on(1, crate::policy::model::OnDeny::Report));
            assert!(heard(&reporting), "{}", policy.name);
        }
    }

    #[test]
    fn every_proof_has_words() {
        let plan = resolve(&listen(&["sh"]), &strict(), &root_on_618()).unwrap();
        for proof in Proof::ALL {
            for index in [0, 1, 2, 40] {
                for doubt in [Doubt::Breach, Doubt::Unseen(libc::EPERM), Doubt::Missing] {
                    let words = sentence(&plan, Item { proof: *proof, index }, doubt);
                    let told = words.contains(proof.calls()) || words.contains(proof.holds());
                    assert!(told && words.starts_with(proof.layer()) && !words.contains("  "), "{words}");
                }
            }
        }
    }
}
