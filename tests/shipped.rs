// SPDX-License-Identifier: Apache-2.0
//! The policies that are shipped: under each the real program does its real work over a connection, and cannot any more
//! where one grant that the policy makes is taken away, which is then named; and what is in its place under the same
//! policy gets no further than what the policy grants.

mod service;
mod table;
mod talk;
mod twin;
mod without;
mod named;
mod traced;
mod limits;

use crate::scene::{Server, arguments};
use service::Service;
use std::path::PathBuf;

/// The policy of this name as it is in the source.
fn text(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("policies").join(format!("{name}.toml"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A server of this service under `policy`, a name or a file, with more settings; or its refusal to start.
fn start(service: &Service, policy: &str, settings: &[&str]) -> Result<Server, String> {
    start_as("listen", service, policy, settings)
}

/// The same by `listen` or by another word that serves connections.
fn start_as(verb: &str, service: &Service, policy: &str, settings: &[&str]) -> Result<Server, String> {
    let policy = format!("--policy={policy}");
    let mut words = vec![verb, "127.0.0.1:0", "--print-port", &policy];
    words.extend(settings);
    let user = service.user.map(|name| format!("-scommand.user=\"{name}\""));
    words.extend(user.as_deref());
    if !service.argv.is_empty() {
        words.push("--");
        words.extend(service.argv);
    }
    arguments(&words).listen_if_it_can().map_err(|(_, said)| said)
}

/// Each with its service, what is missing without one of its grants, and what is open to a command that was taken over.
macro_rules! shipped {
    ($($name:ident ($($program:literal)*) $does:ident;)*) => { $(
        mod $name {
            use super::*;

            #[test]
            fn $does() {
                needs!(root);
                $(needs!(program $program);)*
                table::$name().furnished(|service, log| {
                    let server = start(service, service.policy, &[]).unwrap_or_else(|said| panic!("{said}"));
                    let done = (service.work)(&server, log);
                    done.unwrap_or_else(|why| panic!("{why}\n{}\n{}", server.log(), log.text()));
                });
            }

            #[test]
            fn needs_each_grant() {
                needs!(root);
                $(needs!(program $program);)*
                table::$name().furnished(without::each_grant);
            }

            #[test]
            fn taken_over_reaches_what_is_granted_and_no_more() {
                needs!(root);
                $(needs!(program $program);)*
                table::$name().furnished(|service, _| twin::attacks(service));
            }

            #[test]
            fn has_the_limits_that_its_policy_writes() {
                needs!(root);
                $(needs!(program $program);)*
                table::$name().furnished(|service, _| limits::hold(service));
            }
        }
    )* };
}

shipped! {
    policyd_spf ("policyd-spf") checks_a_sender;
    policyd_spf_perl ("postfix-policyd-spf-perl") checks_a_sender;
    greylist ("/usr/share/doc/postfix/examples/smtpd-policy/greylist.pl") lets_pass_who_comes_again;
    tcp_table () answers;
    socketmap () answers;
    smtp_filter () passes_a_message_on;
    spamc ("spamc") brings_a_message_back_with_its_verdict;
    quota () refuses_mail_for_a_full_mailbox;
    git_daemon ("/usr/bin/git") lets_clone;
    fingerd ("in.fingerd" "finger") says_who_is_who;
    challenge ("cc") can_be_solved;
}

#[test]
fn every_policy_that_is_no_profile_is_here() {
    let files = std::fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("policies")).expect("it is there");
    let names = files.map(|file| file.expect("it can be read").file_name().to_string_lossy().into_owned());
    let mut found: Vec<String> = names.filter_map(|name| name.strip_suffix(".toml").map(str::to_string)).collect();
    // Which README's examples serve.
    found.retain(|name| name != "echo");
    found.sort();
    let mut here: Vec<&str> = table::ALL.iter().map(|service| service().policy).collect();
    here.sort_unstable();
    assert_eq!(found, here);
}
