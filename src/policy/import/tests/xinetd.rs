// SPDX-License-Identifier: Apache-2.0
//! What is carried of a service of xinetd, and what is named instead.

use super::super::Format;
use super::{check, imported};

#[test]
fn a_service_of_xinetd_has_its_command_and_user() {
    check(
        Format::Xinetd,
        "# fingerd\nservice finger\n{\n\tsocket_type = stream\n\tprotocol = tcp\n\twait = no\n\tuser = nobody\n\
         \tserver = /usr/sbin/in.fingerd\n\tserver_args = -s -l\n\tinstances = 20\n\trlimit_as = 8M\n\tumask = 077\n\
         \tonly_from = 10.0.0.0/8\n\tper_source = 3\n\tenv = A=1 B=2\n}\nservice other\n{\n\tuser = root\n}\n",
        &[
            "clients.per-source = 3",
            "command.argv = [\"/usr/sbin/in.fingerd\", \"-s\", \"-l\"]",
            "command.environment = { \"A\" = \"1\", \"B\" = \"2\" }",
            "command.umask = \"077\"",
            "command.user = \"nobody\"",
            "connection.concurrency = 20",
            "description = \"finger\"",
            "limits.address-space = 8388608",
        ],
        &[
            "only_from = 10.0.0.0/8: say it as clients.allow, whose networks have a prefix length",
            "service other: it is another service: give it a file of its own",
        ],
    );
}

#[test]
fn a_service_of_xinetd_may_stand_after_a_tab() {
    let (lines, lost) = imported(Format::Xinetd, "service\tfinger\n{\n\tserver = /a\n\tenv -= A=1\n}\n");
    assert_eq!(lines, ["command.argv = [\"/a\"]", "description = \"finger\""]);
    assert_eq!(lost, ["env -= A=1: xinetd takes nothing from env"]);
}

/// xinetd.conf(5): lists "support all assignment operators", but env not `-=`; "the remaining attributes support only
/// the '=' operator and can appear at most once".
#[test]
fn each_operator_of_xinetd_is_carried_or_named() {
    check(
        Format::Xinetd,
        "service finger\n{\n\tserver = /a\n\tserver_args = -s\n\tserver_args += -l\n\tserver -= /a\n\
         \tuser = nobody\n\tuser = daemon\n\tenv = A=1\n\tenv += B=2 A=3\n\tenv+=C=4\n\tenv -= A=1\n\
         \tonly_from += 10.0.0.0\n\tno_access -= 10.1.0.0\n}\n",
        &[
            "command.argv = [\"/a\", \"-s\"]",
            "command.environment = { \"A\" = \"3\", \"B\" = \"2\", \"C\" = \"4\" }",
            "command.user = \"nobody\"",
            "description = \"finger\"",
        ],
        &[
            "server_args += -l: xinetd has this operator for lists alone",
            "server -= /a: xinetd has this operator for lists alone",
            "user = daemon: it is said before, and xinetd takes it once",
            "env -= A=1: xinetd takes nothing from env",
            "only_from += 10.0.0.0: say it as clients.allow, whose networks have a prefix length",
            "no_access -= 10.1.0.0: say it as clients.deny, whose networks have a prefix length",
        ],
    );
}
