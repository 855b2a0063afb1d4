// SPDX-License-Identifier: Apache-2.0
//! What runs, where it is looked for, and with what around it.

use super::super::hosts::{compatible, listen, master, on, root_on_618, strict};
use super::super::request::Request;
use super::{SH, check, planned, refused};
use crate::policy::Policy;
use std::path::PathBuf;

#[test]
fn commands_that_cannot_be_meant_are_refused() {
    let facts = root_on_618();
    let run = |argv: &[&str]| refused(&listen(argv), &strict(), &facts);
    assert_eq!(run(&["bin/sh"]), "command line: the program bin/sh is a relative path; write the absolute path");
    assert_eq!(run(&[""]), "command line: no command is named; name one after --, or as command.argv in the policy");
    assert_eq!(run(&["/bin/sh", "a\0b"]), "command line: command.argv holds a NUL character; take it out");
    let line = "command line: the program /opt/x is under no path that the policy lets it execute; \
                add it: files.execute = [\"/opt/x\"]";
    assert_eq!(run(&["/opt/x"]), line);
    let mut none = listen(SH);
    none.argv = None;
    let line = "no command is named; name one after --, or as command.argv in the policy";
    assert_eq!(refused(&none, &strict(), &facts), line);
    check(
        |policy| drop(policy.command.environment.insert("A=B".to_string(), on(5, String::new()))),
        "/etc/spawnbox/test.toml:5: the environment cannot hold a variable named \"A=B\"; a name is not empty and holds neither = nor NUL",
    );
    check(
        |policy| drop(policy.command.environment.insert("PATH".to_string(), on(5, ".:bin".to_string()))),
        "command line: the program sh cannot be looked for: no directory of PATH is absolute; write the absolute path, or set PATH to absolute directories",
    );
    check(
        |policy| policy.command.directory = Some(on(5, PathBuf::from("/home"))),
        "/etc/spawnbox/test.toml:5: the working directory /home is under no path that the policy shows; add it: files.read = [\"/home\"], or leave command.directory out",
    );
}

#[test]
fn a_program_is_looked_for_as_execvp_does() {
    let programs = |request: &Request, policy: &Policy| {
        let programs = planned(request, policy, &root_on_618()).command.programs;
        programs.into_iter().map(|program| program.into_string().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(programs(&listen(SH), &strict()), ["/usr/bin/sh", "/bin/sh"]);
    assert_eq!(programs(&listen(&["/bin/sh"]), &strict()), ["/bin/sh"]);
    let mut policy = strict();
    policy.command.environment.insert("PATH".to_string(), on(5, "/opt/bin/::rel:/bin".to_string()));
    assert_eq!(programs(&listen(SH), &policy), ["/opt/bin/sh", "/bin/sh"]);
    // spawn(8) sets PATH to the compiled-in one, and takes relative paths from the working directory.
    let mut request = master("policyd-spf", SH);
    assert_eq!(programs(&request, &compatible()), ["/usr/bin/sh", "/bin/sh"]);
    request.argv = Some(on(1, vec!["bin/policyd".to_string()]));
    assert_eq!(programs(&request, &compatible()), ["bin/policyd"]);
}

#[test]
fn the_policy_wins_over_the_front_doors_environment() {
    let mut policy = compatible();
    policy.command.environment.insert("LANG".to_string(), on(5, "C.UTF-8".to_string()));
    policy.command.environment.insert("A".to_string(), on(6, "1".to_string()));
    let plan = planned(&master("policyd-spf", SH), &policy, &root_on_618());
    let environment: Vec<_> = plan.command.environment.iter().map(|variable| variable.to_str().unwrap()).collect();
    assert_eq!(environment, ["MAIL_CONFIG=/etc/postfix", "PATH=/usr/bin:/bin", "A=1", "LANG=C.UTF-8"]);
}
