// SPDX-License-Identifier: Apache-2.0
//! Parameters that are refused at the start, whatever they are for: a daemon reads all that mail_params_init reads.

use super::row::{Row, row};

pub(super) fn rows() -> Vec<Row> {
    [kinds(), names(), accounts(), seen()].into_iter().flatten().collect()
}

fn refuse(name: &str, proves: &'static str, setting: &str, words: &str) -> Row {
    row(name, proves).options(&format!("-o {{ {setting} }}")).ends(words)
}

fn kinds() -> Vec<Row> {
    let bad = "A bad value of any parameter that is read at the start is fatal.";
    vec![
        refuse("parameter_flag", bad, "soft_bounce = maybe", "bad boolean configuration: soft_bounce = maybe"),
        row("parameter_flag_in_capitals", "yes and no in any case").options("-o soft_bounce=YES").prints(""),
        refuse(
            "parameter_conditional_flag",
            bad,
            "smtputf8_enable = ${x?yes}",
            "bad boolean configuration: smtputf8_enable = ",
        ),
        refuse(
            "parameter_number_small",
            bad,
            "line_length_limit = 511",
            "invalid line_length_limit parameter value 511 < 512",
        ),
        refuse(
            "parameter_number_large",
            bad,
            "delay_logging_resolution_limit = 7",
            "invalid delay_logging_resolution_limit parameter value 7 > 6",
        ),
        refuse(
            "parameter_number_unit",
            bad,
            "default_process_limit = 1k",
            "bad numerical configuration: default_process_limit = 1k",
        ),
        refuse(
            "parameter_number_huge",
            bad,
            "hash_queue_depth = 4294967297",
            "bad numerical configuration: hash_queue_depth = 4294967297",
        ),
        row("parameter_number_negative", "a lower limit of 0 is none").options("-o tcp_windowsize=-1").prints(""),
        row("parameter_long", "a long may be").options("-o message_size_limit=20000000000").prints(""),
        refuse(
            "parameter_long_huge",
            bad,
            "message_size_limit = 99999999999999999999",
            "bad numerical configuration: message_size_limit = 99999999999999999999",
        ),
        refuse("parameter_time_max", bad, "in_flow_delay = 11", "invalid in_flow_delay: 11 (max 10)"),
        row("parameter_time_zero", "a lower limit of 0 is none").options("-o in_flow_delay=0").prints(""),
        refuse("parameter_time_unit", bad, "ipc_timeout = 1x", "parameter ipc_timeout: bad time value or unit: 1x"),
        refuse("parameter_daemon_timeout", bad, "daemon_timeout = 0", "invalid daemon_timeout: 0 (min 1)"),
        refuse("parameter_empty", bad, "mail_name =", "bad string length 0 < 1: mail_name = "),
        refuse(
            "parameter_long_text",
            bad,
            "default_verp_delimiters = +=+",
            "bad string length 3 > 2: default_verp_delimiters = +=+",
        ),
        refuse(
            "parameter_level",
            bad,
            "compatibility_level = three",
            "malformed compatibility level syntax: \"three\"",
        ),
        refuse(
            "parameter_protocols",
            bad,
            "inet_protocols = ipv4, ipv5",
            "unknown inet_protocols value \"ipv5\" in \"ipv4, ipv5\"",
        ),
        refuse("parameter_command_time_limit", bad, "command_time_limit = 0", "invalid command_time_limit: 0 (min 1)"),
    ]
}

fn names() -> Vec<Row> {
    let directory = "chdir(\"DIRECTORY\"): No such file or directory";
    let main_cf = |words: &str| format!("file @room/postfix/config/main.cf: {words}");
    let host = |name: &str, setting: &str, parameter: &str, value: &str, warning: &'static str| {
        let words = main_cf(&format!("parameter {parameter}: bad parameter value: {value}"));
        refuse(name, "bad myhostname", setting, &words)
            .sees(move |at| drop(at.anyone_says(&format!("warning: valid_hostname: {warning}"))))
    };
    let origin = "myorigin parameter setting must not contain multiple values";
    vec![
        refuse(
            "parameter_queue_directory",
            directory,
            "queue_directory = /no/such/@name",
            "chdir(\"/no/such/@name\"): No such file or directory",
        ),
        host("parameter_myhostname", "myhostname = a..b", "myhostname", "a..b", "misplaced delimiter: a..b"),
        host("parameter_mydomain", "mydomain = -x", "mydomain", "-x", "misplaced hyphen: -x"),
        host("parameter_numeric_host", "myhostname = 1.2", "myhostname", "1.2", "numeric hostname: 1.2"),
        refuse(
            "parameter_relayhost",
            "myhostname and relayhost parameter settings must not be identical",
            "relayhost = MX.here.example",
            "myhostname and relayhost parameter settings must not be identical: mx.here.example",
        ),
        refuse(
            "parameter_origins",
            origin,
            "myorigin = a.example b.example",
            &format!("{origin}: a.example b.example"),
        ),
        row("parameter_origin_file", "myorigin may be a file, as Debian has it.")
            .options("-o myorigin=@room/@name.sh")
            .script("mx.example")
            .runs("user=nobody argv=/bin/cat")
            .prints(""),
        refuse(
            "parameter_origin_missing",
            "myorigin may be a file, which must be there.",
            "myorigin = /no/such/file",
            "/no/such/file: cannot open file: No such file or directory",
        ),
        refuse(
            "parameter_origin_empty",
            "myorigin may be a file, which must not be empty.",
            "myorigin = @room/@name.sh",
            "myorigin file @room/@name.sh is empty",
        ),
        refuse(
            "parameter_delimiters",
            "VERP delimiters must pass their filter.",
            "verp_delimiter_filter = =",
            &main_cf(
                "parameters default_verp_delimiters and verp_delimiter_filter: bad first VERP delimiter character",
            ),
        ),
    ]
}

fn accounts() -> Vec<Row> {
    let refuse = |name: &str, setting: &str, words: &str| {
        let words = format!("file @room/postfix/config/main.cf: {words}");
        refuse(
            name,
            "default_privs, mail_owner and setgid_group are apart from each other, and from root.",
            setting,
            &words,
        )
    };
    vec![
        refuse(
            "parameter_default_privs",
            "default_privs = ghost",
            "parameter default_privs: unknown user name value: ghost",
        ),
        refuse(
            "parameter_default_privs_root",
            "default_privs = root",
            "parameter default_privs: user root has privileged user ID",
        ),
        refuse(
            "parameter_default_privs_owner",
            "default_privs = postfix",
            "parameters default_privs and mail_owner specify the same user postfix",
        ),
        refuse("parameter_setgid_group", "setgid_group = ghosts", "parameter setgid_group: unknown group name: ghosts"),
        refuse(
            "parameter_setgid_group_root",
            "setgid_group = root",
            "parameter setgid_group: group root has privileged group ID",
        ),
        refuse(
            "parameter_setgid_group_owner",
            "setgid_group = postfix",
            "parameters mail_owner and setgid_group: user postfix and group postfix have the same group ID: *",
        ),
        refuse(
            "parameter_setgid_group_default",
            "setgid_group = nogroup",
            "parameters default_privs and setgid_group: user nobody and group nogroup have the same group ID: 65534",
        ),
    ]
}

fn seen() -> Vec<Row> {
    let env = |name: &str, list: &str, text: &str| {
        row(name, "What is filled in before a value can be named in it.")
            .options(&format!("-o {{ export_environment = {list} }}"))
            .runs("user=nobody argv=/usr/bin/env")
            .prints(&format!("{text}\nPATH=/usr/bin:/bin\n"))
    };
    vec![
        env("parameter_seen", "A=$smtputf8_enable$data_directory", "A=yes@room/postfix/data"),
        row("parameter_mail_version", "mail_version: what Postfix was compiled to say.")
            .options("-o { export_environment = V=$mail_version }")
            .runs("user=nobody argv=/usr/bin/env")
            .sees(|at| {
                let said = std::process::Command::new("postconf").args(["-d", "-h", "mail_version"]).output();
                let version = String::from_utf8(said.expect("postconf is there").stdout).expect("a version is text");
                assert_eq!(at.answer(), format!("V={version}PATH=/usr/bin:/bin\n"));
            }),
        row("parameter_mail_version_set", "mail_version may be set.")
            .options("-o { export_environment = V=$mail_version } -o mail_version=1.2")
            .runs("user=nobody argv=/usr/bin/env")
            .prints("V=1.2\nPATH=/usr/bin:/bin\n"),
        env("parameter_seen_relay_domains", "A=<$relay_domains> B=$alias_database", "A=<>\nB=hash:/etc/aliases"),
        env("parameter_not_seen_yet", "A=<$mynetworks_style><$import_environment>", "A=<><>"),
    ]
}
