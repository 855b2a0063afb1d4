// SPDX-License-Identifier: Apache-2.0
//! Which steps a plan needs, in the order of the table. A step that would do nothing is not taken.
//! The table's order is behaviour. One step has another place, in sandboxes that wait for their clients.

use super::calls;
use super::model::{CloneCall, Denials, Namespace, NetworkMode, Plan, Proc, Tree};
use super::request::Front;
use super::steps::{Place, Step};

/// The steps of this plan.
pub(super) fn steps(plan: &Plan) -> Vec<Step> {
    Step::ALL.iter().copied().filter(|step| needed(plan, *step)).collect()
}

/// Every step is asked by name, so that a new one does not compile before someone has decided who needs it.
fn needed(plan: &Plan, step: Step) -> bool {
    match step {
        Step::Keyring => plan.keyring,
        Step::Domain => plan.shields_reaper(),
        Step::Clone | Step::Directory | Step::Umask | Step::Rights | Step::NoNewPrivileges => true,
        Step::CloseFds | Step::Session | Step::Signals | Step::Handover | Step::Stdio | Step::Exec => true,
        Step::Loopback => plan.network == NetworkMode::Loopback && plan.relay.is_none(),
        Step::Relay | Step::Network => plan.relay.is_some(),
        Step::Exchange => plan.relay.as_ref().is_some_and(|relay| relay.connection),
        Step::Scratch => !plan.scratch.is_empty(),
        Step::Proc => plan.proc != Proc::None,
        Step::PidLimits => {
            plan.pid_limits.pid_max.is_some() || plan.pid_limits.memfd_noexec || plan.pid_limits.unique_pid
        }
        Step::Identity => plan.identity.change,
        Step::UserNamespace => plan.namespaces.contains(&Namespace::User),
        Step::Limits => !plan.resources.is_empty(),
        Step::BoundingSet | Step::Securebits => has_rights(plan) && plan.bounding_set,
        Step::WriteExecute => plan.memory_deny_write_execute,
        Step::Landlock => plan.landlock.is_some(),
        Step::Fork => plan.init,
        Step::Seccomp => plan.filter.is_some(),
    }
}

impl Plan {
    /// Whether the command is in a Landlock domain inside its reaper's, which it cannot signal then. In a PID namespace
    /// no signal of its own reaches its first process.
    pub fn shields_reaper(&self) -> bool {
        let scopes = self.landlock.as_ref().is_some_and(|landlock| landlock.scopes);
        self.init && scopes && !self.namespaces.contains(&Namespace::Pid)
    }

    /// Where this plan takes a step. What every session would do alike in the launcher's own namespaces, that does once
    /// for all of them, and they inherit it: the bounding set is such where no user namespace of theirs fills it again.
    /// It takes nothing from a process that executes nothing, as the launcher.
    pub fn place(&self, step: Step) -> Place {
        match step {
            Step::BoundingSet if !self.namespaces.contains(&Namespace::User) => Place::Launcher,
            step => step.place(),
        }
    }

    /// The steps of a sandbox that waits for its client. To enforce the filter would keep that waiting longer than all
    /// else that is left to do, so it comes before the connection where it allows what is done with that.
    pub fn steps_of_spare(&self) -> Vec<Step> {
        let mut steps = self.steps.clone();
        let place = |wanted| steps.iter().position(|step| *step == wanted);
        if let (true, Some(from), Some(to)) = (self.spares_wait_filtered(), place(Step::Seccomp), place(Step::Handover))
        {
            let filter = steps.remove(from);
            steps.insert(to, filter);
        }
        steps
    }

    /// Whether the filter allows every call that a spare makes from its connection to its exec, whatever the arguments:
    /// it is the command's filter, and opens nothing for this. Each of them says that it took the connection, and ends
    /// where something fails. Not where somebody is to hear of calls.
    pub fn spares_wait_filtered(&self) -> bool {
        let Some(filter) = self.filter.as_ref().filter(|filter| filter.denials == Denials::Silent) else {
            return false;
        };
        let later = self.steps.iter().filter(|step| **step >= Step::Handover && **step != Step::Seccomp);
        let mut names = later.flat_map(|step| step.calls().split(' ')).chain(["write", "exit_group"]);
        names.all(|name| calls::allows_all(filter, name))
    }

    /// Whether the launcher is under the larger part of its sessions' filter, which they inherit. Not where each has a
    /// listener of its own, a relay, which is confined in another way, or no other session after it.
    pub fn splits_filter(&self) -> bool {
        let silent = self.filter.as_ref().is_some_and(|filter| filter.denials == Denials::Silent);
        self.is_for_many() && silent && self.relay.is_none()
    }

    /// Whether the launcher lends a session its memory until that has executed its programs, and sleeps until then. It
    /// is one of its own only then: not where the first process has more to do than a reaper, or to kill, or where the
    /// ids of both are the same from the start, for what is done against others of that id closes the launcher's files
    /// below /proc too. Nor where a session may be made to pause on its way, for that would be its service's pause; nor
    /// where processes of its new ids may look into it before it has said that they may not.
    pub fn lends_memory(&self) -> bool {
        let silent = self.filter.as_ref().is_none_or(|filter| filter.denials == Denials::Silent);
        let leaves = self.init && self.tree == Tree::PidNamespace && self.relay.is_none();
        let whole = self.clone == CloneCall::Clone3 && self.identity.change;
        self.is_for_many() && silent && leaves && whole && self.cgroup.cpu.is_none() && !self.suid_dumpable
    }

    fn is_for_many(&self) -> bool {
        match self.front {
            Front::Master | Front::Listen => true,
            Front::Run => false,
        }
    }
}

/// Root has CAP_SETPCAP, and so has the first process of a user namespace there; an ordinary user without one does
/// not, and needs neither step: no_new_privs keeps every capability away from it.
pub(super) fn has_rights(plan: &Plan) -> bool {
    plan.identity.change || plan.namespaces.contains(&Namespace::User)
}
