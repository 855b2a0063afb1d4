// SPDX-License-Identifier: Apache-2.0
//! Postfix's own clients of a spawned service: smtpd with its policy servers and tables, smtp with a content filter,
//! each service under its shipped policy.
//!
//! A service is used by four crowds of mail at once: with one command to a process and with fifty, both in calm and
//! with commands that hang now and then; and Postfix is reloaded every second. Every attempt and every message is
//! counted: what was sent is there, once, at the first attempt or after it was asked to come again.
//! `SPAWNBOX_MESSAGES=2000` says how many messages a crowd has; 25 by default.

mod count;
mod crowd;
mod judge;
mod peak;
mod trial;
mod trouble;

use super::resolver::Entry;
use trial::{Trial, WAYS, Way, restricted, rows};

/// Mail from `open.example` may come from 192.0.2.7.
const NAMES: &[Entry] =
    &[Entry::Txt("open.example", "v=spf1 ip4:192.0.2.7 -all"), Entry::A("client.example", [192, 0, 2, 7])];

#[test]
fn policyd_spf_is_asked_about_every_message() {
    needs!(root);
    needs!(program "postfix");
    needs!(program "policyd-spf");
    let trial = Trial {
        attributes: |_| "policy=policyd-spf user=policyd-spf argv=/usr/bin/policyd-spf".to_string(),
        marked: |way, number, text| {
            text.contains("Received-SPF: Pass")
                && text.contains(&format!("envelope-from={number}.{}@open.example", way.name))
        },
        ..Trial::default()
    };
    trial.play();
}

#[test]
fn the_perl_policy_is_asked_about_every_message() {
    needs!(root);
    needs!(program "postfix");
    needs!(program "postfix-policyd-spf-perl");
    let trial = Trial {
        attributes: |_| "policy=policyd-spf-perl user=policyd-spf argv=/usr/sbin/postfix-policyd-spf-perl".to_string(),
        marked: |way, number, text| {
            // It says who has checked, which is not what a sandbox is called by default.
            let checked = text.contains("Received-SPF: pass") && text.contains("receiver=");
            checked
                && !text.contains("receiver=localhost")
                && text.contains(&format!("envelope-from=\"{number}.{}@open.example\"", way.name))
        },
        ..Trial::default()
    };
    trial.play();
}

#[test]
fn the_greylist_of_all_copies_lets_every_message_pass_when_it_comes_again() {
    needs!(root);
    needs!(program "postfix");
    // The example that comes with Postfix; Debian has it in postfix-doc.
    needs!(program "/usr/share/doc/postfix/examples/smtpd-policy/greylist.pl");
    let script = std::fs::read_to_string("/usr/share/doc/postfix/examples/smtpd-policy/greylist.pl");
    let script = script.expect("it can be read");
    // What its comments tell an administrator to set.
    let set = |way: Way| {
        let database = format!("/greylist/{}.db", way.name);
        let settings = [("/postfix/greylist.db", &*database), ("delay=60", "delay=0")];
        let text = settings.iter().fold(script.clone(), |text, (old, new)| {
            assert!(text.contains(old), "no {old} in greylist.pl");
            text.replace(old, new)
        });
        (format!("greylist-{}.pl", way.name), text)
    };
    let trial = Trial {
        attributes: |way| {
            format!("policy=greylist user=greylist argv=/usr/local/lib/spawnbox/greylist-{}.pl", way.name)
        },
        accounts: &["greylist"],
        state: Some("greylist"),
        programs: WAYS.map(set).to_vec(),
        // Who has come back often is not asked to come back any more.
        pose: |number| format!("10.0.{}.{}", number / 250, number % 250 + 1),
        // A copy keeps what it has read of the database and writes it over what others wrote meanwhile, as the script
        // confesses: it locks the database for each read and each write, not from one to the other. With fifty at once
        // hardly a message is remembered.
        most_clients: 5,
        comes_again: Some("Service is unavailable"),
        ..Trial::default()
    };
    trial.play();
}

#[test]
fn tcp_table_answers_every_lookup() {
    needs!(root);
    needs!(program "postfix");
    let trial = Trial {
        service: inet,
        attributes: |_| "policy=tcp-table user=nobody argv=/usr/local/lib/spawnbox/table.sh".to_string(),
        client: |way| restricted(&format!("check_recipient_access tcp:127.0.0.1:254{}", way.digit)),
        programs: vec![
            ("table.sh".to_string(), include_str!("../programs/table.sh").to_string()),
            ("table".to_string(), rows()),
        ],
        marked: looked_up,
        ..Trial::default()
    };
    trial.play();
}

#[test]
fn socketmap_answers_every_lookup() {
    needs!(root);
    needs!(program "postfix");
    let trial = Trial {
        attributes: |_| "policy=socketmap user=nobody argv=/usr/local/lib/spawnbox/socketmap.pl".to_string(),
        client: |way| restricted(&format!("check_recipient_access socketmap:unix:private/{}:table", way.name)),
        programs: vec![
            ("socketmap.pl".to_string(), include_str!("../programs/socketmap.pl").to_string()),
            ("table".to_string(), rows()),
        ],
        marked: looked_up,
        ..Trial::default()
    };
    trial.play();
}

#[test]
fn every_message_comes_back_from_the_content_filter() {
    needs!(root);
    needs!(program "postfix");
    let trial = Trial {
        service: inet,
        attributes: |_| {
            "policy=smtp-filter user=filter argv=/usr/local/lib/spawnbox/filter.pl 127.0.0.1 10026".to_string()
        },
        client: |way| format!("-o {{ content_filter = smtp:[127.0.0.1]:254{} }}", way.digit),
        entries: AFTER_THE_FILTER,
        settings: "smtpd_recipient_restrictions = reject_unauth_destination\n\
            smtp_connection_cache_on_demand = no\ninitial_destination_concurrency = 20\n\
            queue_run_delay = 1s\nminimal_backoff_time = 1s\nmaximal_backoff_time = 2s\n",
        accounts: &["filter"],
        programs: vec![("filter.pl".to_string(), include_str!("../programs/filter.pl").to_string())],
        marked: |_, _, text| text.matches("X-Filter: passed").count() == 1,
        passes_on: true,
        ..Trial::default()
    };
    trial.play();
}

fn inet(way: Way) -> String {
    format!("127.0.0.1:254{} inet", way.digit)
}

fn looked_up(way: Way, number: u32, text: &str) -> bool {
    text.contains(&format!("X-Table: {}.{number}.", way.name))
}

/// As FILTER_README has it, and what qmgr needs to deliver.
const AFTER_THE_FILTER: &str = "\
127.0.0.1:10026 inet n - n - - smtpd -o content_filter=
  -o receive_override_options=no_unknown_recipient_checks,no_header_body_checks
  -o { smtpd_recipient_restrictions = permit_mynetworks, reject }
  -o { smtpd_end_of_data_restrictions = check_client_access static:HOLD }
smtp unix - - n - - smtp
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
pickup unix n - n 60 1 pickup
";
