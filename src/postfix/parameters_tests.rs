// SPDX-License-Identifier: Apache-2.0
//! What main.cf texts make of the parameters, and the words in which a bad one is refused.

use super::*;

fn start(overrides: &[(&str, &str)]) -> Start {
    Start {
        process_name: "spawnbox".to_string(),
        service_name: "policy".to_string(),
        config_directory: "/etc/postfix".to_string(),
        host_name: "mx".to_string(),
        process_id: 4711,
        overrides: overrides.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
    }
}

fn fill(text: &str, overrides: &[(&str, &str)]) -> Result<Parameters, String> {
    let start = start(overrides);
    let mut table = Parameters::table(&start);
    table.read("/etc/postfix/main.cf", text, &mut Vec::new()).unwrap();
    Parameters::fill(table, &start).map_err(|error| error.to_string())
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
    assert_eq!(parameters.mail_owner, "postfix");
    assert_eq!(parameters.syslog_name, "postfix");
    assert_eq!(parameters.syslog_facility, 16);
    assert_eq!(parameters.maillog_file, None);
    assert_eq!(parameters.myhostname, "mx.localdomain");
    assert_eq!((parameters.max_use, parameters.max_idle), (100, Duration::from_secs(100)));
    assert_eq!(parameters.export_environment, "TZ MAIL_CONFIG LANG");
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
