// SPDX-License-Identifier: Apache-2.0
//! What main.cf texts make of the parameters, and the words in which a bad one is refused.

use super::*;

/// The accounts of a Debian, and its /etc/mailname.
struct Host;

impl Accounts for Host {
    fn user(&self, name: &str) -> Option<(u32, u32)> {
        match name {
            "postfix" => Some((102, 105)),
            "nobody" => Some((65534, 65534)),
            _ => None,
        }
    }

    fn group(&self, name: &str) -> Option<u32> {
        (name == "postdrop").then_some(106)
    }

    fn name_of(&self, _uid: u32) -> Option<String> {
        None
    }

    fn group_name_of(&self, _gid: u32) -> Option<String> {
        None
    }
}

impl Surroundings for Host {
    fn first_line(&self, path: &str) -> Result<String, String> {
        match path {
            "/etc/mailname" => Ok(" mx.example \n".to_string()),
            "/etc/many" => Ok("a b\n".to_string()),
            "/etc/empty" => Ok(" \n".to_string()),
            _ => Err("cannot open file: No such file or directory".to_string()),
        }
    }
}

fn start(overrides: &[(&str, &str)]) -> Start {
    Start {
        process_name: "spawnbox".to_string(),
        service_name: "policy".to_string(),
        config_directory: "/etc/postfix".to_string(),
        host_name: "mx".to_string(),
        process_id: 4711,
        mail_version: Some("3.7.11".to_string()),
        overrides: overrides.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
    }
}

fn fill(text: &str, overrides: &[(&str, &str)]) -> Result<Parameters, String> {
    let start = start(overrides);
    let mut table = Parameters::table(&start);
    table.read("/etc/postfix/main.cf", text, &mut Vec::new()).unwrap();
    Parameters::fill(table, &start, &Host).map_err(|error| error.to_string())
}

#[test]
fn bad_parameters_are_refused_in_postfix_words() {
    for (text, complaint) in [
        ("max_use = zero", "bad numerical configuration: max_use = zero"),
        ("max_use =", "bad numerical configuration: max_use = "),
        ("max_use = 99999999999", "bad numerical configuration: max_use = 99999999999"),
        ("max_use = 0", "invalid max_use parameter value 0 < 1"),
        ("max_idle = 0", "invalid max_idle: 0 (min 1)"),
        ("max_idle = 1S", "parameter max_idle: bad time value or unit: 1S"),
        ("command_time_limit = soon", "invalid command_time_limit: 0 (min 1)"),
        (
            "syslog_facility = postbox",
            "file /etc/postfix/main.cf: parameter syslog_facility: unrecognized value: postbox",
        ),
        ("mail_owner =", "bad string length 0 < 1: mail_owner = "),
        ("default_verp_delimiters = +=x", "bad string length 3 > 2: default_verp_delimiters = +=x"),
        ("soft_bounce = maybe", "bad boolean configuration: soft_bounce = maybe"),
        ("smtputf8_enable = ${x}", "bad boolean configuration: smtputf8_enable = "),
        ("line_length_limit = 511", "invalid line_length_limit parameter value 511 < 512"),
        ("delay_logging_resolution_limit = 7", "invalid delay_logging_resolution_limit parameter value 7 > 6"),
        ("message_size_limit = 1M", "bad numerical configuration: message_size_limit = 1M"),
        ("in_flow_delay = 11", "invalid in_flow_delay: 11 (max 10)"),
        ("compatibility_level = new", "malformed compatibility level syntax: \"new\""),
        ("inet_protocols = ipv4, ipv5", "unknown inet_protocols value \"ipv5\" in \"ipv4, ipv5\""),
        ("myhostname = a..b", "file /etc/postfix/main.cf: parameter myhostname: bad parameter value: a..b"),
        ("myhostname = mx\nmydomain = -", "file /etc/postfix/main.cf: parameter mydomain: bad parameter value: -"),
        ("setgid_group = ghosts", "file /etc/postfix/main.cf: parameter setgid_group: unknown group name: ghosts"),
        ("myorigin = a, b", "myorigin parameter setting must not contain multiple values: a, b"),
        ("myorigin = /etc/many", "myorigin parameter setting must not contain multiple values: a b"),
        ("myorigin = /etc/empty", "myorigin file /etc/empty is empty"),
        ("myorigin = /none", "/none: cannot open file: No such file or directory"),
        (
            "myhostname = mx.example\nrelayhost = MX.example",
            "myhostname and relayhost parameter settings must not be identical: mx.example",
        ),
        (
            "verp_delimiter_filter = =",
            "file /etc/postfix/main.cf: parameters default_verp_delimiters and verp_delimiter_filter: bad first VERP \
             delimiter character",
        ),
        ("maillog_file = /tmp/x", "maillog_file value '/tmp/x' does not match any prefix in maillog_file_prefixes"),
        ("queue_directory = ${a", "dictionary mail_dict: macro processing error"),
        ("queue_directory = /\u{fffd}", "parameter queue_directory: the value is not valid UTF-8"),
    ] {
        assert_eq!(fill(text, &[]), Err(complaint.to_string()), "{text}");
    }
}

#[test]
fn an_empty_main_cf_gives_postfix_defaults() {
    let parameters = fill("", &[]).unwrap();
    assert_eq!(parameters.queue_directory, "/var/spool/postfix");
    assert_eq!(parameters.mail_owner, (102, 105));
    assert_eq!(parameters.daemon_timeout, Duration::from_secs(18000));
    assert_eq!(parameters.syslog_name, "postfix");
    assert_eq!(parameters.syslog_facility, 16);
    assert_eq!(parameters.maillog_file, None);
    assert_eq!(parameters.myhostname, "mx.localdomain");
    assert_eq!((parameters.max_use, parameters.max_idle), (100, Duration::from_secs(100)));
    assert_eq!(parameters.export_environment, "TZ MAIL_CONFIG LANG");
}

#[test]
fn the_version_of_postfix_can_be_named_and_set() {
    let seen = |text: &str| fill(&format!("export_environment = V=$mail_version\n{text}"), &[]).unwrap();
    assert_eq!(seen("").export_environment, "V=3.7.11");
    assert_eq!(seen("mail_version = x").export_environment, "V=x");
}

#[test]
fn what_only_others_use_may_be_in_any_encoding() {
    assert!(fill("mydestination = \u{fffd}\nmyorigin = /etc/mailname\nmessage_size_limit = 20000000000", &[]).is_ok());
}

#[test]
fn a_default_may_depend_on_the_compatibility_level() {
    let text = "mydestination = here\nexport_environment = R=<$relay_domains> S=$smtputf8_enable D=$data_directory";
    let seen = |level: &str| fill(&format!("{text}\n{level}"), &[]).unwrap().export_environment;
    assert_eq!(seen(""), "R=<here> S=no D=/var/lib/postfix");
    assert_eq!(seen("compatibility_level = 3.6"), "R=<> S=yes D=/var/lib/postfix");
}

#[test]
fn parameters_of_our_own_have_defaults_and_take_part_in_expansion() {
    let ours = |text| fill(text, &[]).map(|parameters| (parameters.log_name, parameters.default_policy));
    assert_eq!(ours("spawnbox_log_name ="), Err("bad string length 0 < 1: spawnbox_log_name = ".to_string()));
    assert_eq!(ours(""), Ok(("spawnbox".to_string(), None)));
    let text = "spawnbox_log_name = spawn-$service_name\nspawnbox_default_policy = strict\n";
    assert_eq!(ours(text), Ok(("spawn-policy".to_string(), Some("strict".to_string()))));
}

#[test]
fn options_win_over_main_cf_and_take_part_in_expansion() {
    let text = "max_use = 5\nsyslog_name = ${where}/$service_name\nmydomain = example.org\n";
    let parameters = fill(text, &[("where", "x"), ("max_use", "6"), ("where", "y")]).unwrap();
    assert_eq!(parameters.max_use, 6);
    assert_eq!(parameters.syslog_name, "y/policy");
    assert_eq!(parameters.myhostname, "mx.example.org");
}

#[test]
fn a_value_sees_only_what_is_filled_in_before_it() {
    let parameters = fill("export_environment = A=$max_idle|$mail_owner|$process_name|$smtpd_timeout", &[]).unwrap();
    assert_eq!(parameters.export_environment, "A=|postfix|spawnbox|");
}

#[test]
fn the_time_limit_is_the_services_own_or_the_global_one() {
    for (text, seconds, parameter, overridden) in [
        ("", 1000, "command_time_limit", None),
        ("command_time_limit = 5m", 300, "command_time_limit", None),
        ("policy_time_limit = 1h", 3600, "policy_time_limit", None),
        ("policy_command_time_limit = 2dozen", 172_800, "policy_command_time_limit", None),
        ("policy_command_time_limit=1\npolicy_time_limit=2", 2, "policy_time_limit", Some("policy_command_time_limit")),
        ("policy_time_limit = $max_idle", 100, "policy_time_limit", None),
    ] {
        let limit = fill(text, &[]).unwrap().time_limit().unwrap();
        let expected = TimeLimit {
            limit: Duration::from_secs(seconds),
            parameter: parameter.to_string(),
            overridden: overridden.map(str::to_string),
        };
        assert_eq!(limit, expected, "{text}");
    }
}

#[test]
fn the_concurrency_is_absent_or_at_least_one() {
    let concurrency = |overrides| {
        let filled = fill("other_concurrency = 7", overrides).unwrap();
        filled.concurrency().map_err(|error| error.to_string())
    };
    let refused = |complaint: &str| Err(complaint.to_string());
    let small = refused("invalid policy_concurrency parameter value 0 < 1");
    assert_eq!(concurrency(&[("policy_concurrency", "0")]), small);
    let bad = refused("bad numerical configuration: policy_concurrency = many");
    assert_eq!(concurrency(&[("policy_concurrency", "many")]), bad);
    assert_eq!(concurrency(&[]), Ok(None));
    assert_eq!(concurrency(&[("policy_concurrency", "$other_concurrency")]), Ok(Some(7)));
}

#[test]
fn a_bad_time_limit_is_refused_in_postfix_words() {
    for (value, complaint) in [
        ("0", "invalid policy_time_limit: 0 (min 1)"),
        ("10y", "parameter policy_time_limit: bad time value or unit: 10y"),
        ("", "parameter policy_time_limit: bad time value or unit: "),
        ("-1", "parameter policy_time_limit: bad time value or unit: -1"),
        ("9999w", "parameter policy_time_limit: bad time value or unit: 9999w"),
        ("99999999999", "parameter policy_time_limit: bad time value or unit: 99999999999"),
    ] {
        let error = fill("", &[("policy_time_limit", value)]).unwrap().time_limit().unwrap_err();
        assert_eq!(error.to_string(), complaint, "{value}");
    }
}
