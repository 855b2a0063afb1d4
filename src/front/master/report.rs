// SPDX-License-Identifier: Apache-2.0
//! The lines of a session that is over: one of ours, and for an abnormal end spawn(8)'s, which operators search for.
//! Words only; nothing in them comes from a client or a command.

use crate::plan::Plan;
use crate::supervise::{Ended, Outcome};
use nix::libc::SIGKILL;

/// Logs the end of a session.
pub(super) fn report(ended: &Ended<'_>) {
    tracing::info!("{ended}");
    for line in lines(ended) {
        tracing::warn!("{line}");
    }
}

/// What spawn(8) would say; for what it has no words for, what went wrong.
fn lines(ended: &Ended<'_>) -> Vec<String> {
    let command = argv0(ended.plan);
    let killed = |signal| format!("command {command} killed by signal {signal}");
    match ended.outcome {
        Outcome::Exited(0) | Outcome::Stopped | Outcome::IdleLimit => Vec::new(),
        Outcome::Exited(status) => vec![format!("command {command} exit status {status}")],
        Outcome::Signaled(signal) => vec![killed(signal)],
        Outcome::TimeLimit => {
            let session = ended.session;
            let exceeded = format!("{command}: session {session}: command time limit exceeded ({})", limit(ended.plan));
            vec![exceeded, killed(SIGKILL)]
        }
        Outcome::SetupFailed(_) | Outcome::Lost(_) | Outcome::NotLaunched | Outcome::Foreign => {
            vec![format!("command {command}: {}", ended.why().unwrap_or_default())]
        }
    }
}

fn argv0(plan: &Plan) -> String {
    plan.command.argv.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The limit and what sets it: the parameter that an operator must change.
fn limit(plan: &Plan) -> String {
    let seconds = plan.time_limit.unwrap_or_default().as_secs_f64();
    match plan.origins.get("limits.time") {
        Some(origin) => format!("{seconds}s, set by {origin}"),
        None => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Step, hosts, resolve};
    use crate::sandbox::SetupError;
    use crate::supervise::{Client, Usage};
    use nix::errno::Errno;
    use std::time::Duration;

    fn said(outcome: Outcome) -> Vec<String> {
        let request = hosts::master("nobody", &["/usr/bin/policy", "secret"]);
        let plan = resolve(&request, &hosts::compatible(), &hosts::root_on_618()).unwrap();
        let (time, usage) = (Duration::ZERO, Usage::default());
        let client = Client::Given;
        lines(&Ended {
            service: 0,
            session: 7,
            plan: &plan,
            client: &client,
            user: None,
            outcome,
            trouble: None,
            time,
            usage,
        })
    }

    #[test]
    fn an_abnormal_end_has_the_words_of_spawn() {
        let missing = SetupError { step: Step::Exec, index: 0, errno: Errno::ENOENT };
        for (outcome, lines) in [
            (Outcome::Exited(0), &[] as &[&str]),
            (Outcome::Exited(75), &["command /usr/bin/policy exit status 75"]),
            (Outcome::Signaled(13), &["command /usr/bin/policy killed by signal 13"]),
            (
                Outcome::TimeLimit,
                &[
                    "/usr/bin/policy: session 7: command time limit exceeded (3600s, set by policy_time_limit)",
                    "command /usr/bin/policy killed by signal 9",
                ],
            ),
            (Outcome::NotLaunched, &["command /usr/bin/policy: the launcher died or did not answer"]),
        ] {
            assert_eq!(said(outcome), lines, "{outcome}");
        }
        let [line] = &said(Outcome::SetupFailed(missing))[..] else { panic!("one line tells all") };
        assert!(line.starts_with("command /usr/bin/policy: ") && line.ends_with("No such file or directory"), "{line}");
    }
}
