// SPDX-License-Identifier: Apache-2.0
//! The policies that are shipped: under each the real program does its real work over a connection, and cannot any more
//! where one grant that the policy makes is taken away.

mod service;
mod table;
mod talk;
mod without;

use crate::scene::{Server, arguments};
use service::Service;
use std::path::PathBuf;

/// The policy of this name as it is in the source.
fn text(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("policies").join(format!("{name}.toml"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A server of this service under `policy`, a name or a file; or its refusal to start.
fn start(service: &Service, policy: &str) -> Result<Server, String> {
    let policy = format!("--policy={policy}");
    let mut words = vec!["listen", "127.0.0.1:0", "--print-port", &policy];
    let user = service.user.map(|name| format!("-scommand.user=\"{name}\""));
    words.extend(user.as_deref());
    if !service.argv.is_empty() {
        words.push("--");
        words.extend(service.argv);
    }
    arguments(&words).listen_if_it_can().map_err(|(_, said)| said)
}

/// Each with its service, and what is missing without it.
macro_rules! shipped {
    ($($name:ident ($($program:literal)*) $does:ident $fails:ident;)*) => { $(
        #[test]
        fn $does() {
            needs!(root);
            $(needs!(program $program);)*
            table::$name().furnished(|service, log| {
                let server = start(service, service.policy).unwrap_or_else(|said| panic!("{said}"));
                let done = (service.work)(&server, log);
                done.unwrap_or_else(|why| panic!("{why}\n{}\n{}", server.log(), log.text()));
            });
        }

        #[test]
        fn $fails() {
            needs!(root);
            $(needs!(program $program);)*
            table::$name().furnished(without::each_grant);
        }
    )* };
}

shipped! {
    policyd_spf ("policyd-spf") policyd_spf_checks_a_sender policyd_spf_needs_each_grant;
    policyd_spf_perl ("postfix-policyd-spf-perl") policyd_spf_in_perl_checks_a_sender policyd_spf_in_perl_needs_each_grant;
    greylist ("/usr/share/doc/postfix/examples/smtpd-policy/greylist.pl") greylist_lets_pass_who_comes_again greylist_needs_each_grant;
    tcp_table () tcp_table_answers tcp_table_needs_each_grant;
    socketmap () socketmap_answers socketmap_needs_each_grant;
    smtp_filter () smtp_filter_passes_a_message_on smtp_filter_needs_each_grant;
    spamc ("spamc") spamc_brings_a_message_back_with_its_verdict spamc_needs_each_grant;
    quota () quota_refuses_mail_for_a_full_mailbox quota_needs_each_grant;
    git_daemon ("/usr/bin/git") git_daemon_lets_clone git_daemon_needs_each_grant;
    fingerd ("in.fingerd" "finger") fingerd_says_who_is_who fingerd_needs_each_grant;
    challenge ("cc") the_challenge_can_be_solved the_challenge_needs_each_grant;
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
