// SPDX-License-Identifier: Apache-2.0
//! Which of root's rights sandboxes and their service take, each with who uses it and for what: whatever is not here is
//! given up before the first client. A right that no plan asks for is kept where another plan may come.

use super::Plan;
use super::model::Protocol;
use super::steps::Step;
use crate::host::facts::Resource;
use caps::Capability;

/// Below it, a port is for who has CAP_NET_BIND_SERVICE: the kernel's own value of net.ipv4.ip_unprivileged_port_start.
const PRIVILEGED: u16 = 1024;

/// A set of capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities(u64);

/// Who uses a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The supervisor alone.
    Supervisor,
    /// A launcher, and the supervisor, which makes the next one.
    Launcher,
}

/// Every right that is ever kept: who uses it, and for what.
pub const USES: [(Capability, Holder, &str); 13] = [
    (Capability::CAP_CHOWN, Holder::Supervisor, "give a UNIX socket its owner"),
    (Capability::CAP_FOWNER, Holder::Supervisor, "change the mode of one that has an owner, and remove it"),
    (Capability::CAP_KILL, Holder::Supervisor, "end sessions, also by its own sudden death"),
    (Capability::CAP_AUDIT_READ, Holder::Supervisor, "hear of what Landlock denies"),
    (Capability::CAP_DAC_OVERRIDE, Holder::Launcher, "read, show and write what belongs to others"),
    (Capability::CAP_DAC_READ_SEARCH, Holder::Launcher, "reach what lies in others' directories"),
    (Capability::CAP_SETGID, Holder::Launcher, "take on the command's group"),
    (Capability::CAP_SETUID, Holder::Launcher, "take on the command's user"),
    (Capability::CAP_SETPCAP, Holder::Launcher, "drop capabilities for good"),
    (Capability::CAP_SYS_ADMIN, Holder::Launcher, "make namespaces and mounts"),
    (Capability::CAP_SYS_RESOURCE, Holder::Launcher, "raise the core limit from 0 to 1, which stops dumps"),
    (Capability::CAP_NET_ADMIN, Holder::Launcher, "bring loopback up, and give it addresses"),
    (Capability::CAP_NET_BIND_SERVICE, Holder::Launcher, "listen on ports below 1024"),
];

impl Capabilities {
    /// All that any plan can ask for, where another plan may come.
    pub fn of_any_plan() -> Capabilities {
        USES.iter().map(|(capability, _, _)| *capability).collect()
    }

    /// What it takes to serve this plan, and no other one, on connections that somebody else accepts or listens for.
    pub fn of_supervisor(plan: &Plan) -> Capabilities {
        let hears = plan.is_audited().then_some(Capability::CAP_AUDIT_READ);
        Capabilities::of_launcher(plan).with([Capability::CAP_KILL].into_iter().chain(hears).collect())
    }

    /// What a launcher of this plan takes.
    pub fn of_launcher(plan: &Plan) -> Capabilities {
        let used = |capability| match capability {
            Capability::CAP_NET_ADMIN => plan.steps.contains(&Step::Loopback) || plan.steps.contains(&Step::Network),
            Capability::CAP_NET_BIND_SERVICE => plan.relay.as_ref().is_some_and(|relay| {
                [Protocol::Tcp, Protocol::Udp].iter().any(|it| relay.ports(*it).iter().any(|port| *port < PRIVILEGED))
            }),
            Capability::CAP_SYS_RESOURCE => plan.resources.get(&Resource::CoreSize).is_some_and(|most| *most > 0),
            _ => true,
        };
        let of_launchers = USES.iter().filter(|(_, user, _)| *user == Holder::Launcher);
        of_launchers.map(|(capability, _, _)| *capability).filter(|capability| used(*capability)).collect()
    }

    /// These and those.
    pub fn with(self, others: Capabilities) -> Capabilities {
        Capabilities(self.0 | others.0)
    }

    /// As the kernel has them: a bit for each number.
    pub fn mask(self) -> u64 {
        self.0
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(all: I) -> Self {
        Capabilities(all.into_iter().fold(0, |mask, capability| mask | capability.bitmask()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::hosts::{listen, on, root_on_618, strict};
    use super::super::resolve;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_audit_log_is_read_by_the_supervisor_alone_and_only_where_the_policy_asks() {
        let mut policy = strict();
        let plan = |policy: &_| resolve(&listen(&["sh"]), policy, &root_on_618()).unwrap();
        let (without, audit) = (plan(&policy), Capability::CAP_AUDIT_READ.bitmask());
        policy.isolation.landlock_audit = Some(on(1, true));
        let with = plan(&policy);
        let rights = [Capabilities::of_supervisor(&without), Capabilities::of_supervisor(&with)];
        assert_eq!(rights.map(|rights| rights.mask() & audit), [0, audit]);
        assert_eq!(Capabilities::of_launcher(&with), Capabilities::of_launcher(&without));
    }

    #[test]
    fn the_unit_grants_what_policies_can_ask_for_and_nothing_else() {
        let unit = include_str!("../../policies/systemd/spawnbox.service");
        let lines = unit.lines().filter_map(|line| line.strip_prefix("CapabilityBoundingSet="));
        let granted: BTreeSet<String> = lines.flat_map(str::split_whitespace).map(str::to_string).collect();
        let used: BTreeSet<String> = USES.iter().map(|(capability, _, _)| capability.to_string()).collect();
        assert_eq!(granted, used);
    }
}
