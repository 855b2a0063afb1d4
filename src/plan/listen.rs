// SPDX-License-Identifier: Apache-2.0
//! Where a service listens: what its front door says before what its policy says, for connections of one kind.
//! Whether a place is free is seen when it is taken, and not before.

use super::model::Listen;
use super::refuse::{BadIdentity, Refusal};
use super::request::{Front, Request, Transport};
use crate::host::Facts;
use crate::policy::Policy;
use crate::policy::address::{Address, UnixAddress};

/// The kernel cuts it to net.core.somaxconn, which is 4096 where nobody has changed it.
const BACKLOG: i32 = 4096;

impl Listen {
    /// Nowhere, and as everywhere else where nothing is said.
    pub const NOWHERE: Listen = Listen { addresses: Vec::new(), backlog: BACKLOG, reuse_port: false };
}

/// What kind of connections come from there.
pub fn transport(address: &Address) -> Transport {
    match address {
        Address::Tcp(_) => Transport::Tcp,
        Address::Unix(_) | Address::Abstract(_) => Transport::Unix,
    }
}

/// Those of the plan's own kind; each owner must be somebody.
pub(super) fn resolve(request: &Request, policy: &Policy, facts: &Facts) -> Result<Listen, Refusal> {
    let addresses = match (request.front, request.addresses.is_empty()) {
        // Somebody else listens.
        (Front::Master | Front::Run, _) => return Ok(Listen::NOWHERE),
        (Front::Listen, true) => &policy.listen.addresses,
        (Front::Listen, false) => &request.addresses,
    };
    let own = || addresses.iter().filter(|address| transport(&address.value) == request.transport);
    for address in own() {
        let Address::Unix(UnixAddress { user, group, .. }) = &address.value else { continue };
        let accounts = &facts.accounts;
        if let Some(name) = user.as_ref().filter(|name| !matches!(accounts.users.get(*name), Some(Some(_)))) {
            return Err(Refusal::new(BadIdentity::UnknownUser { name: name.clone() }, &address.origin));
        }
        if let Some(name) = group.as_ref().filter(|name| !matches!(accounts.groups.get(*name), Some(Some(_)))) {
            return Err(Refusal::new(BadIdentity::UnknownGroup { name: name.clone() }, &address.origin));
        }
    }
    Ok(Listen {
        addresses: own().map(|address| address.value.clone()).collect(),
        backlog: policy
            .listen
            .backlog
            .as_ref()
            .and_then(|backlog| i32::try_from(backlog.value).ok())
            .unwrap_or(BACKLOG),
        reuse_port: policy.listen.reuse_port.as_ref().is_some_and(|reuse| reuse.value),
    })
}

/// The addresses in a line.
pub(super) fn words(listen: &Listen) -> String {
    match listen.addresses.as_slice() {
        [] => "nothing".to_string(),
        addresses => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::super::difference::difference;
    use super::super::explain::{Look, explain};
    use super::super::hosts::{listen, root_on_618, strict};
    use super::super::resolve;
    use crate::plan::request::{Request, Transport};
    use crate::policy::Policy;
    use crate::policy::laws::laid_over;
    use crate::policy::{Origin, Sourced};

    fn policy(addresses: &str) -> Policy {
        let listen = laid_over(&[&format!("listen.addresses = {addresses}")]).listen;
        Policy { listen, ..strict() }
    }

    #[test]
    fn each_kind_of_connection_has_its_own_addresses() {
        let policy = policy("[\"127.0.0.1:1\", \"unix:@x\", \"[::1]:2\"]");
        let words = |transport| {
            let request = Request { transport, ..listen(&["/bin/sh"]) };
            super::words(&resolve(&request, &policy, &root_on_618()).unwrap().listen)
        };
        assert_eq!(
            (words(Transport::Tcp).as_str(), words(Transport::Unix).as_str()),
            ("127.0.0.1:1 [::1]:2", "unix:@x")
        );
    }

    #[test]
    fn what_the_command_line_names_wins() {
        let mut request = listen(&["/bin/sh"]);
        request.addresses = vec![Sourced::new("127.0.0.1:9".parse().unwrap(), Origin::CommandLine)];
        let plan = resolve(&request, &policy("[\"127.0.0.1:1\"]"), &root_on_618()).unwrap();
        assert_eq!(super::words(&plan.listen), "127.0.0.1:9");
        assert!(explain(&plan, &root_on_618(), Look::PLAIN).contains("at 127.0.0.1:9"));
    }

    #[test]
    fn an_owner_that_nobody_is_is_refused() {
        for (option, said) in [("user", "unknown user name: nemo"), ("group", "unknown group name: nemo")] {
            let policy = policy(&format!("[\"unix:/run/x,{option}=nemo\"]"));
            let request = Request { transport: Transport::Unix, ..listen(&["/bin/sh"]) };
            let refusal = resolve(&request, &policy, &root_on_618()).unwrap_err();
            assert_eq!(refusal.message(), said);
            assert!(refusal.stands_alone());
        }
    }

    #[test]
    fn another_address_is_a_change_and_no_permission() {
        let [old, new] = ["[\"127.0.0.1:1\"]", "[\"0.0.0.0:1\"]"]
            .map(|addresses| resolve(&listen(&["/bin/sh"]), &policy(addresses), &root_on_618()).unwrap());
        let found = difference(&old, &new);
        assert!(found.allows.is_empty(), "{found:?}");
        assert_eq!(found.changes, ["listens on: 0.0.0.0:1, was 127.0.0.1:1"]);
    }
}
