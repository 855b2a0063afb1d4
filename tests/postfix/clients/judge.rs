// SPDX-License-Identifier: Apache-2.0
//! What must be so after a trial: every message is there, every attempt has an outcome, what hung was ended by its
//! limit, and nothing else went wrong.

use super::count as arrivals;
use super::crowd::Ledger;
use super::trial::{Trial, Way, messages};
use super::trouble::Trouble;
use crate::postfix::instance::Postfix;
use crate::postfix::private::Log;
use crate::scene::{a_second, host, patience};

pub(super) fn judge(trial: &Trial, postfix: &Postfix, log: &Log, ledgers: &[(Way, Ledger)], trouble: &Trouble) {
    let text = log.text();
    println!("{} reloads in {:.1?}", trouble.reloads, trouble.lasted);
    // As often as a second has passed, and master has heard of most: two signals that it has not taken yet are one.
    let (seconds, told) = (trouble.lasted.div_duration_f64(a_second()), count(&text, "reload -- version"));
    assert!(f64::from(trouble.reloads) >= 0.8 * seconds - 1.0, "{} reloads in {seconds} seconds", trouble.reloads);
    assert!(told > 0 && 2 * told >= trouble.reloads, "{told} of {} reloads are in the log", trouble.reloads);
    let seen = |way: &Way| (strikes(&text, &trial.name(*way)), trouble.peaks[&trial.name(*way)]);
    for (way, ledger) in ledgers {
        let (strikes, peak) = seen(way);
        println!("{}: {ledger}, {strikes} ended by the limit, {peak} at once", way.name);
    }
    for (way, ledger) in ledgers {
        let (strikes, peak) = seen(way);
        // On a busy machine many a client waits for an smtpd that a reload does not end before it has begun; and a
        // filter has each of its own for a tenth of a second.
        let least = if trial.passes_on { 2 } else { (trial.clients() as usize).div_ceil(8).max(2) };
        assert!(peak >= least || way.concurrency == 1, "{}: {peak} at once, where {least} should be", way.name);
        let held = postfix.held();
        let found = arrivals::of_crowd(&held, way.name);
        let copies = found.values().map(|copies| copies.len() as u32).sum();
        let more = if trial.passes_on { strikes + sent_again(log, *way, strikes, copies) } else { 0 };
        let marked = |number: u32, text: &str| (trial.marked)(*way, number, text);
        let complaints = arrivals::complaints(&found, messages(), more, marked);
        assert!(complaints.is_empty(), "{}: {}", way.name, complaints.join("\n"));
        attempts(trial, *way, ledger);
        assert!(way.hangs || strikes == 0, "{}: the limit struck in calm", way.name);
    }
    for (service, stopped) in &trouble.stopped {
        assert!(!stopped.is_empty(), "no command of {service} hung");
        assert!(stopped.iter().all(|one| one.end_within(patience())), "{service}: what hung goes on");
        // One that nobody waited for may have been ended only now.
        host::eventually("the limit has struck all that hung", patience(), || {
            strikes(&log.text(), service) >= stopped.len() as u32
        });
    }
    quiet(&log.text());
}

fn count(log: &str, words: &str) -> u32 {
    log.lines().filter(|line| line.contains(words)).count() as u32
}

/// How many commands of a service were ended by its limit.
fn strikes(log: &str, service: &str) -> u32 {
    count(log, &format!("set by {service}_time_limit)"))
}

/// Sent is taken, asked to come again, or broken off: and in calm nobody is asked to come again who need not.
fn attempts(trial: &Trial, way: Way, ledger: &Ledger) {
    let name = way.name;
    assert_eq!(ledger.taken, messages(), "{name}: {ledger:?}");
    assert_eq!(ledger.attempts, ledger.taken + ledger.deferrals() + ledger.broken.len() as u32, "{name}: {ledger:?}");
    // smtpd itself never hangs.
    assert!(ledger.broken.is_empty(), "{name}: {ledger:?}");
    let mut replies = ledger.deferred.values().flatten();
    match trial.comes_again {
        Some(words) => {
            let told = |number: u32| ledger.deferred.get(&number).is_some_and(|replies| replies[0].contains(words));
            assert!((0..messages()).all(told) || way.hangs, "{name}: somebody passed at once: {ledger:?}");
            assert!(way.hangs || replies.all(|reply| reply.contains(words)), "{name}: {ledger:?}");
        }
        None => assert!(way.hangs || replies.next().is_none(), "{name}: {ledger:?}"),
    }
}

/// What the client that delivers says of its attempts: each message is sent, and deferred where a command hung. How
/// many it sent again though it had sent them comes back: a reload makes another qmgr(8), and one that is flushed does
/// not give the last one's deliveries the minute that they have to end.
fn sent_again(log: &Log, way: Way, strikes: u32, copies: u32) -> u32 {
    let relay = format!("relay=127.0.0.1[127.0.0.1]:254{},", way.digit);
    let count = |status: &str| {
        let text = log.text();
        text.lines().filter(|line| line.contains(&relay) && line.contains(status)).count() as u32
    };
    // A message is there a moment before its sender says so.
    host::eventually("what is there was sent, or hung", patience(), || {
        let sent = count("status=sent");
        sent >= messages() && sent + strikes >= copies
    });
    let (sent, deferred) = (count("status=sent"), count("status=deferred"));
    assert_eq!(count("relay="), sent + deferred, "{}", way.name);
    assert!(deferred <= strikes, "{}: {deferred} are deferred, {strikes} hung", way.name);
    sent - messages()
}

/// Nothing failed, and no session ended but as it should or by the limit.
fn quiet(log: &str) {
    for words in ["panic", "fatal", "throttling", "status=bounced"] {
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(words)).collect();
        assert!(lines.is_empty(), "{}", lines.join("\n"));
    }
    let odd = |line: &&str| !line.contains(" outcome=exited status=0 ") && !line.contains(" outcome=time-limit ");
    // What commands say themselves is no end of theirs: greylist.pl complains when its client has left.
    let ends = log.lines().filter(|line| line.contains(": session=") && line.contains(" outcome="));
    let odd: Vec<&str> = ends.filter(odd).collect();
    assert!(odd.is_empty(), "{}", odd.join("\n"));
}
