// SPDX-License-Identifier: Apache-2.0
//! Whether one session may have the network, IPC or user namespace of another after it, or its control group: where
//! nothing can be left in it, and no file is shown that counts what went through it. Everything that is not known to be
//! so is a reason against it.

use super::model::{CgroupLimits, Denials, Filter, Ids, Namespace, NetworkMode, Plan, Proc, Verdict};
use super::request::{Front, Transport};
use nix::libc;

/// What makes a socket of a network, gives one an address, or gets at a namespace. Without them a command has nothing
/// in its network namespace but pairs of UNIX sockets without a name.
const OF_NETWORKS: [libc::c_long; 11] = [
    libc::SYS_socket,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_io_uring_setup,
    libc::SYS_pidfd_getfd,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_clone3,
];

/// What makes an object of System V or a message queue, or reaches one, or gets at a namespace.
const OF_IPC: [libc::c_long; 23] = [
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmdt,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_mq_timedsend,
    libc::SYS_mq_timedreceive,
    libc::SYS_mq_notify,
    libc::SYS_mq_getsetattr,
    libc::SYS_mount,
    libc::SYS_fsopen,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_clone3,
];

/// What makes a key, which a user namespace may register, or gets at a namespace, or sets work off that may go on after
/// its process.
const OF_USERS: [libc::c_long; 10] = [
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_io_uring_setup,
    libc::SYS_mount,
    libc::SYS_fsopen,
    libc::SYS_pidfd_getfd,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_clone3,
];

impl Plan {
    /// Whether the supervisor may keep the control groups of sessions that are over. Their directories are its own
    /// user's alone to enter, whatever is mounted in a sandbox: who has another may change nothing there.
    pub fn keeps_cgroups(&self) -> bool {
        let served = match self.front {
            Front::Master | Front::Listen => true,
            Front::Run => false,
        };
        // The kernel has ended all others then when the first process is dead, see pid_namespaces(7).
        let ends = self.namespaces.contains(&Namespace::Pid);
        served && ends && self.identity.change && self.cgroup == CgroupLimits::default()
    }

    /// Whether the launcher may keep the network namespaces of sessions that are over.
    pub fn keeps_networks(&self) -> bool {
        let down = match self.network {
            NetworkMode::None => self.relay.is_none(),
            NetworkMode::Loopback | NetworkMode::Host => false,
        };
        down && self.ends_whole() && self.namespaces.contains(&Namespace::Network) && self.grants_none(&OF_NETWORKS)
    }

    /// Whether it may keep their IPC namespaces. Who is in one has no right to change its limits, which belongs to the
    /// launcher's user namespace.
    pub fn keeps_ipc(&self) -> bool {
        self.ends_whole() && self.namespaces.contains(&Namespace::Ipc) && self.grants_none(&OF_IPC)
    }

    /// Whether it may keep their user namespaces: of one user, who may write nothing there. What the kernel counts in
    /// one against a limit of its own (`user.max_*`) is no session's to make, or such a limit would be written.
    pub fn keeps_users(&self) -> bool {
        let one = match self.identity.ids {
            Ids::One { .. } => self.identity.change && self.bounding_set,
            Ids::Each { .. } => false,
        };
        // A network namespace that a session makes for itself is counted in the user namespace until it is taken down.
        let unlimited = self.user_limits.is_empty() && self.relay.is_none();
        one && unlimited
            && self.namespaces.contains(&Namespace::User)
            && self.ends_whole()
            && self.grants_none(&OF_USERS)
    }

    /// Whether nothing of a session is anywhere once its first process is dead.
    fn ends_whole(&self) -> bool {
        let served = match self.front {
            Front::Master | Front::Listen => true,
            // There is one session, and descriptors of whoever started it.
            Front::Run => false,
        };
        let tcp = match self.transport {
            Transport::Tcp => true,
            // A socket that was sent to the client, or by it, outlives the session.
            Transport::Unix | Transport::Stdio => false,
        };
        // A namespace that ends with its first process, see pid_namespaces(7), and no file that counts packets.
        served && tcp && self.namespaces.contains(&Namespace::Pid) && self.proc == Proc::None
    }

    fn grants_none(&self, calls: &[libc::c_long]) -> bool {
        self.filter.as_ref().is_some_and(|filter| has_none(filter, calls))
    }
}

fn has_none(filter: &Filter, calls: &[libc::c_long]) -> bool {
    let granted = |call: &libc::c_long| {
        let call = u32::try_from(*call).ok().and_then(|call| filter.calls.get(&call));
        call.is_some_and(|verdict| !matches!(verdict, Verdict::Deny(_)))
    };
    let heard = match filter.denials {
        Denials::Silent | Denials::Told => false,
        // Calls are let through by another process then.
        Denials::Named | Denials::Traced => true,
    };
    !heard && !calls.iter().any(granted)
}

#[cfg(test)]
mod tests {
    use super::super::hosts::{compatible, listen, master, on, root_on_618, root_on_debian_12, strict};
    use super::super::request::Request;
    use super::super::resolve;
    use super::*;
    use crate::policy::Policy;
    use crate::policy::model::Ports;

    fn kept(request: &Request, policy: &Policy) -> bool {
        resolve(request, policy, &root_on_618()).unwrap().keeps_networks()
    }

    #[test]
    fn strict_keeps_them_for_clients_over_tcp_alone() {
        let request = listen(&["sh"]);
        assert!(kept(&request, &strict()));
        for transport in [Transport::Unix, Transport::Stdio] {
            assert!(!kept(&Request { transport, ..request.clone() }, &strict()), "{transport:?}");
        }
        assert!(!kept(&Request { front: Front::Run, ..request.clone() }, &strict()));
        assert!(!kept(&master("policyd-spf", &["sh"]), &compatible()));
    }

    #[test]
    fn those_of_ipc_are_kept_where_no_object_is_made_in_them() {
        let request = listen(&["sh"]);
        let kept_ipc = |policy: &Policy| resolve(&request, policy, &root_on_618()).unwrap().keeps_ipc();
        assert!(kept_ipc(&strict()));
        for word in ["shmget", "semget", "msgget", "mq_open", "mq_unlink"] {
            let mut policy = strict();
            policy.syscalls.allow.push(on(1, word.to_string()));
            assert!(!kept_ipc(&policy), "{word}");
        }
    }

    #[test]
    fn those_of_users_are_kept_where_one_user_writes_and_counts_nothing_in_them() {
        let request = listen(&["sh"]);
        let kept_users = |policy: &Policy| resolve(&request, policy, &root_on_618()).unwrap().keeps_users();
        assert!(kept_users(&strict()));
        for word in ["add_key", "keyctl", "request_key", "unshare", "inotify_init1"] {
            let mut policy = strict();
            policy.syscalls.allow.push(on(1, word.to_string()));
            assert!(!kept_users(&policy), "{word}");
        }
        let mut policy = strict();
        policy.files.proc = Some(on(1, Proc::Subset));
        assert!(!kept_users(&policy), "/proc");
        let plan = resolve(&request, &strict(), &root_on_618()).unwrap();
        let range = crate::host::facts::IdRange { first: 61184, last: 61199 };
        let identity = super::super::model::Identity { ids: Ids::Each { range, gid: None }, ..plan.identity.clone() };
        assert!(!Plan { identity, ..plan }.keeps_users(), "a user for each session");
    }

    #[test]
    fn a_control_group_is_kept_where_the_command_has_another_user_and_no_limit_of_its_own() {
        let kept =
            |request: &Request, policy: &Policy, facts| resolve(request, policy, &facts).unwrap().keeps_cgroups();
        let request = listen(&["sh"]);
        assert!(kept(&request, &strict(), root_on_618()));
        assert!(kept(&master("policyd-spf", &["sh"]), &compatible(), root_on_618()));
        assert!(!kept(&Request { front: Front::Run, ..request.clone() }, &strict(), root_on_618()));
        let mut policy = strict();
        policy.limits.memory = Some(on(1, 1 << 30));
        assert!(!kept(&request, &policy, root_on_debian_12()));
    }

    #[test]
    fn nothing_is_kept_where_something_could_be_left_or_seen() {
        let refused = |what: &str, change: &dyn Fn(&mut Policy)| {
            let mut policy = strict();
            // Which is what other refusals ask for.
            (policy.network.connect, policy.network.bind) = (Some(on(1, Ports::Any)), Some(on(2, Ports::Any)));
            assert!(kept(&listen(&["sh"]), &policy));
            change(&mut policy);
            assert!(!kept(&listen(&["sh"]), &policy), "{what}");
        };
        refused("loopback", &|policy| policy.network.mode = Some(on(1, NetworkMode::Loopback)));
        refused("/proc", &|policy| policy.files.proc = Some(on(1, Proc::Subset)));
        refused("no filter", &|policy| policy.isolation.seccomp = Some(on(1, crate::policy::model::Layer::Off)));
        for word in ["socket", "bind", "connect", "listen", "accept4", "unix-client", "network-client"] {
            refused(word, &|policy| policy.syscalls.allow.push(on(1, word.to_string())));
        }
    }
}
