// SPDX-License-Identifier: Apache-2.0
//! Parameters and what they are where main.cf does not say, in the order in which a Postfix daemon fills them in: all
//! that one reads at its start, since a bad value ends it, whatever it is for. See global/mail_params.c of Postfix 3.7.
//! A table, and nothing else.
#![forbid(unsafe_code)]

/// A parameter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// Expanded; it may refer to what stands above it.
    pub(super) default: &'static str,
    pub(super) kind: Kind,
}

/// What its value must be. A limit of 0 is none.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// So many bytes.
    Text { min: usize, max: usize },
    /// `yes` or `no`.
    Flag,
    /// An int.
    Number { min: i64, max: i64 },
    /// A long.
    Long { min: i64 },
    /// A time, which may have a unit.
    Time { min: i32, max: i32 },
}

/// Up to syslog_facility, which the log needs.
pub(super) const FIRST: &[Parameter] = &[
    text("compatibility_level", "0"),
    word("syslog_facility", "mail"),
    text("inet_protocols", "all"),
    text("multi_instance_directories", ""),
    text("multi_instance_group", ""),
    text("multi_instance_name", ""),
    text("maillog_file", ""),
    word("maillog_file_prefixes", "/var, /dev/stdout"),
    word("maillog_file_compressor", "gzip"),
    word("maillog_file_rotate_suffix", "%Y%m%d-%H%M%S"),
    word("postlog_service_name", "postlog"),
    text("dnssec_probe", "ns:."),
    text("known_tcp_ports", "lmtp=24, smtp=25, smtps=submissions=465, submission=587"),
];

/// Up to the host's name.
pub(super) const BEFORE_HOST_NAME: &[Parameter] = &[
    flag("daemon_table_open_error_is_fatal", "no"),
    flag("dns_ncache_ttl_fix_enable", "no"),
    flag("smtputf8_enable", "${{$compatibility_level} <level {1} ? {no} : {yes}}"),
    flag("enable_idna2003_compatibility", "no"),
    flag("respectful_logging", "${{$compatibility_level} <level {3.6} ? {no} : {yes}}"),
];

/// What follows the host's name. The directories are Debian's; `postconf -d` shows them.
pub(super) const AFTER_HOST_NAME: &[Parameter] = &[
    word("mail_name", "Postfix"),
    word("syslog_name", "${multi_instance_name?{$multi_instance_name}:{postfix}}"),
    word("mail_owner", "postfix"),
    word("setgid_group", "postdrop"),
    text("mydestination", "$myhostname, localhost.$mydomain, localhost"),
    word("myorigin", "$myhostname"),
    text("relayhost", ""),
    word("daemon_directory", "/usr/lib/postfix/sbin"),
    word("data_directory", "/var/lib/postfix"),
    word("command_directory", "/usr/sbin"),
    word("meta_directory", "/etc/postfix"),
    word("queue_directory", "/var/spool/postfix"),
    word("shlib_directory", "/usr/lib/postfix"),
    word("process_id_directory", "pid"),
    text("inet_interfaces", "all"),
    text("proxy_interfaces", ""),
    word("double_bounce_sender", "double-bounce"),
    word("default_privs", "nobody"),
    text("alias_database", "hash:/etc/aliases"),
    word("default_database_type", "hash"),
    word("hash_queue_names", "deferred, defer"),
    text("recipient_delimiter", ""),
    text("relay_domains", "${{$compatibility_level} <level {2} ? {$mydestination} : {}}"),
    text("fast_flush_domains", "$relay_domains"),
    text("export_environment", "TZ MAIL_CONFIG LANG"),
    text(
        "import_environment",
        "MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ XAUTHORITY DISPLAY LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME",
    ),
    word("mynetworks_style", "${{$compatibility_level} <level {2} ? {subnet} : {host}}"),
    text("debug_peer_list", ""),
    exactly(2, "default_verp_delimiters", "+="),
    word("verp_delimiter_filter", "-=+"),
    text(
        "parent_domain_matches_subdomains",
        "debug_peer_list,fast_flush_domains,mynetworks,permit_mx_backup_networks,qmqpd_authorized_clients,relay_domains,smtpd_access_maps",
    ),
    text("alternate_config_directories", ""),
    word("bounce_service_name", "bounce"),
    word("cleanup_service_name", "cleanup"),
    word("defer_service_name", "defer"),
    word("pickup_service_name", "pickup"),
    word("queue_service_name", "qmgr"),
    word("rewrite_service_name", "rewrite"),
    word("showq_service_name", "showq"),
    word("error_service_name", "error"),
    word("flush_service_name", "flush"),
    word("address_verify_service_name", "verify"),
    word("trace_service_name", "trace"),
    word("proxymap_service_name", "proxymap"),
    word("proxywrite_service_name", "proxywrite"),
    text("internal_mail_filter_classes", ""),
    text("multi_instance_wrapper", ""),
    text("default_delivery_status_filter", ""),
    word("smtputf8_autodetect_classes", "sendmail, verify"),
    text("message_drop_headers", "bcc, content-length, resent-bcc, return-path"),
    word("info_log_address_format", "external"),
    number("default_process_limit", "100", 1, 0),
    number("max_use", "100", 1, 0),
    number("dont_remove", "0", 0, 0),
    number("line_length_limit", "2048", 512, 0),
    number("hash_queue_depth", "1", 1, 0),
    number("fork_attempts", "5", 1, 0),
    number("deliver_lock_attempts", "20", 1, 0),
    number("debug_peer_level", "2", 1, 0),
    number("fault_injection_code", "0", 0, 0),
    number("berkeley_db_create_buffer_size", "16777216", 1, 0),
    number("berkeley_db_read_buffer_size", "131072", 1, 0),
    number("header_size_limit", "102400", 1, 0),
    number("header_address_token_limit", "10240", 1, 0),
    number("mime_nesting_limit", "100", 1, 0),
    number("mime_boundary_length_limit", "2048", 1, 0),
    number("delay_logging_resolution_limit", "2", 0, 6),
    number("tcp_windowsize", "0", 0, 0),
    long("message_size_limit", "10240000", 0),
    long("lmdb_map_size", "16777216", 1),
    flag("disable_dns_lookups", "no"),
    flag("soft_bounce", "no"),
    flag("owner_request_special", "yes"),
    flag("strict_8bitmime", "no"),
    flag("strict_7bit_headers", "no"),
    flag("strict_8bitmime_body", "no"),
    flag("strict_mime_encoding_domain", "no"),
    flag("disable_mime_input_processing", "no"),
    flag("disable_mime_output_conversion", "no"),
    flag("address_verify_negative_cache", "yes"),
    flag("backwards_bounce_logfile_compatibility", "yes"),
    flag("helpful_warnings", "yes"),
    flag("send_cyrus_sasl_authzid", "no"),
    flag("multi_instance_enable", "no"),
    flag("enable_long_queue_ids", "no"),
    flag("strict_smtputf8", "no"),
    flag("enable_original_recipient", "yes"),
    time("application_event_drain_time", "100s", 1, 0),
    time("max_idle", "100s", 1, 0),
    time("ipc_timeout", "3600s", 1, 0),
    time("ipc_idle", "5s", 1, 0),
    time("ipc_ttl", "1000s", 1, 0),
    time("trigger_timeout", "10s", 1, 0),
    time("fork_delay", "1s", 1, 0),
    time("deliver_lock_delay", "1s", 1, 0),
    time("stale_lock_time", "500s", 1, 0),
    time("daemon_timeout", "18000s", 1, 0),
    time("in_flow_delay", "1s", 0, 10),
];

/// What spawn(8) itself reads.
pub(super) const OF_SPAWN: &[Parameter] = &[time("command_time_limit", "1000s", 1, 0)];

/// Parameters that Postfix does not have. No parameter of Postfix sees them.
pub(super) const OURS: &[Parameter] =
    &[word("spawnbox_log_name", "$process_name"), text("spawnbox_default_policy", "")];

const fn text(name: &'static str, default: &'static str) -> Parameter {
    Parameter { name, default, kind: Kind::Text { min: 0, max: 0 } }
}

/// A text that must not be empty.
const fn word(name: &'static str, default: &'static str) -> Parameter {
    Parameter { name, default, kind: Kind::Text { min: 1, max: 0 } }
}

/// A text of just so many bytes.
const fn exactly(length: usize, name: &'static str, default: &'static str) -> Parameter {
    Parameter { name, default, kind: Kind::Text { min: length, max: length } }
}

const fn flag(name: &'static str, default: &'static str) -> Parameter {
    Parameter { name, default, kind: Kind::Flag }
}

const fn number(name: &'static str, default: &'static str, min: i64, max: i64) -> Parameter {
    Parameter { name, default, kind: Kind::Number { min, max } }
}

const fn long(name: &'static str, default: &'static str, min: i64) -> Parameter {
    Parameter { name, default, kind: Kind::Long { min } }
}

const fn time(name: &'static str, default: &'static str, min: i32, max: i32) -> Parameter {
    Parameter { name, default, kind: Kind::Time { min, max } }
}
