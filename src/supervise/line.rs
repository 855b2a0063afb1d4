// SPDX-License-Identifier: Apache-2.0
//! The one line of a session that is over: its text, and the same in fields, for logs that keep them.

use super::door::Ended;
use super::outcome::{Outcome, signal_name};

/// Writes it at this level, which must be written out: tracing makes each place of a call once.
macro_rules! write_line {
    ($level:ident, $ended:expr) => {{
        let Ended { session, plan, client, user, outcome, time, usage, .. } = $ended;
        let limit = $ended.limit().map(|limit| limit.to_string());
        let (status, signal, step) = parts(*outcome);
        tracing::$level!(
            field.service = plan.service.as_str(),
            field.session = *session,
            field.policy = plan.policy.as_str(),
            field.policy_hash = plan.policy_hash.as_str(),
            field.client = display(client),
            field.uid = user.map(u64::from),
            field.outcome = Outcome::KINDS[outcome.kind()],
            field.status = status,
            field.signal = signal.as_deref(),
            field.step = step,
            field.limit = limit.as_deref().map(|limit| limit.trim_start_matches("limit=")),
            field.time_s = time.as_secs_f64(),
            field.cpu_s = usage.processor.as_secs_f64(),
            field.memory = usage.memory,
            "{}",
            $ended
        );
    }};
}

/// Writes the line.
pub(super) fn tell(ended: &Ended<'_>) {
    match ended.outcome.is_normal() {
        true => write_line!(info, ended),
        false => write_line!(warn, ended),
    }
}

/// What stands behind the outcome's word: a status, a signal, or a step.
fn parts(outcome: Outcome) -> (Option<u64>, Option<String>, Option<&'static str>) {
    match outcome {
        Outcome::Exited(status) => (Some(status.into()), None, None),
        Outcome::Signaled(number) => (None, Some(signal_name(number)), None),
        Outcome::SetupFailed(error) => (None, None, Some(error.step.name())),
        // The first process's own end.
        Outcome::Lost(Some(status)) => parts(Outcome::of_status(status)),
        Outcome::TimeLimit
        | Outcome::IdleLimit
        | Outcome::Lost(None)
        | Outcome::NotLaunched
        | Outcome::Stopped
        | Outcome::Foreign => (None, None, None),
    }
}
