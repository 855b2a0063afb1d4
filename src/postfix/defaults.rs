// SPDX-License-Identifier: Apache-2.0
//! Parameters and what they are where main.cf does not say, in the order in which a Postfix daemon fills them in.
//! A table; only what decides a value that we use, or can be named in one.
#![forbid(unsafe_code)]

/// Names, defaults and least lengths up to the host's name, in the order in which Postfix fills them in.
/// A default may refer to what stands above it.
pub(super) const BEFORE_HOST_NAME: &[(&str, &str, usize)] = &[
    ("compatibility_level", "0", 0),
    ("syslog_facility", "mail", 1),
    ("inet_protocols", "all", 0),
    ("multi_instance_directories", "", 0),
    ("multi_instance_group", "", 0),
    ("multi_instance_name", "", 0),
    ("maillog_file", "", 0),
    ("maillog_file_prefixes", "/var, /dev/stdout", 1),
    ("postlog_service_name", "postlog", 1),
];

/// The same, after the host's name. The directories are Debian's; `postconf -d` shows them.
pub(super) const AFTER_HOST_NAME: &[(&str, &str, usize)] = &[
    ("mail_name", "Postfix", 1),
    ("syslog_name", "${multi_instance_name?{$multi_instance_name}:{postfix}}", 1),
    ("mail_owner", "postfix", 1),
    ("setgid_group", "postdrop", 1),
    ("mydestination", "$myhostname, localhost.$mydomain, localhost", 0),
    ("myorigin", "$myhostname", 1),
    ("relayhost", "", 0),
    ("daemon_directory", "/usr/lib/postfix/sbin", 1),
    ("data_directory", "/var/lib/postfix", 1),
    ("command_directory", "/usr/sbin", 1),
    ("meta_directory", "/etc/postfix", 1),
    ("queue_directory", "/var/spool/postfix", 1),
    ("process_id_directory", "pid", 1),
    ("export_environment", "TZ MAIL_CONFIG LANG", 0),
];

/// Parameters that Postfix does not have.
pub(super) const OURS: &[(&str, &str, usize)] =
    &[("spawnbox_log_name", "$process_name", 1), ("spawnbox_default_policy", "", 0)];
