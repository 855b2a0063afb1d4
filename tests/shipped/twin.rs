// SPDX-License-Identifier: Apache-2.0
//! The hostile twin of a service: under the same policy, as the same user and where all is in place that the service
//! needs, a command that was taken over tries what a sandbox must withstand. What is open is what the policy grants:
//! `attacks/open.txt` lists it, no more and no less.

use super::service::Service;
use crate::attacks::aim::Targets;
use crate::attacks::{as_listed, open, tried};
use crate::scene::stage::{program, room};
use crate::scene::{Server, a_second, arguments, needs};

/// What the attacks take to be made at all, each in a process of its own: a service that starts nothing may have one.
const TASKS: &str = "-slimits.tasks=32";

fn start(service: &Service) -> Server {
    let attack = program("attack").display().to_string();
    let policy = format!("--policy={}", service.policy);
    let shown = format!("-sfiles.execute=[\"{attack}\"]");
    // So that what spins has an end.
    let time = format!("-slimits.processor-time=\"{}s\"", 1 + a_second().as_secs());
    let mut words = vec!["listen", "127.0.0.1:0", "--print-port", &policy, &shown, &time, TASKS];
    // So that what fills memory does not fill the host's.
    if needs::controller("memory").is_there() {
        words.push("-slimits.memory=\"256M\"");
    }
    let user = service.user.map(|name| format!("-scommand.user=\"{name}\""));
    words.extend(user.as_deref());
    words.extend(["--", &attack]);
    let scene = arguments(&words).through(&[&attack, "burdened"]);
    scene.listen_if_it_can().unwrap_or_else(|(status, said)| panic!("{status}: {said}"))
}

/// Everything that can be tried from inside.
pub(super) fn attacks(service: &Service) {
    let room = room();
    let targets = Targets::make(&room);
    let server = start(service);
    let all = tried::everything(&|| server.connect(), &targets.facts(server.pid()), &targets);
    as_listed(&open::differences(&format!("shipped/{}", service.policy), &all));
}
