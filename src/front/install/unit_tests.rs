// SPDX-License-Identifier: Apache-2.0
//! Units as distributions have them, and what the drop-in for each says.

use super::*;

/// What matters of Debian 13's postfix.service (postfix 3.10.13-0+deb13u1).
const DEBIAN_13: &str = "\
[Unit]
Description=Postfix Mail Transport Agent (main/default instance)
[Service]
Type=forking
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
# drop root privs
CapabilityBoundingSet=CAP_SETGID CAP_SETUID
MemoryDenyWriteExecute=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelTunables=yes
ProcSubset=pid
RestrictNamespaces=yes
SystemCallFilter=@system-service @setuid chroot
";

/// Debian 12's postfix@.service.
const DEBIAN_12: &str = "[Unit]\nPartOf=postfix.service\n[Service]\nType=forking\nGuessMainPID=no\n";

#[test]
fn a_hardened_unit_gets_what_it_withholds_and_no_more() {
    let settings = Settings::read([DEBIAN_13]);
    let lines: Vec<String> =
        drop_in(&settings).lines().filter(|line| !line.starts_with('#')).map(str::to_string).collect();
    let expected = [
        "[Unit]",
        "Wants=spawnbox-sessions.service",
        "After=spawnbox-sessions.service",
        "",
        "[Service]",
        "RestrictNamespaces=no",
        "SystemCallFilter=@mount sethostname setdomainname seccomp landlock_create_ruleset landlock_add_rule \
         landlock_restrict_self",
        "CapabilityBoundingSet=CAP_SYS_ADMIN CAP_SETPCAP",
        "ProtectControlGroups=no",
        "ProtectKernelTunables=no",
        "ProcSubset=all",
        "ProtectHostname=no",
    ];
    assert_eq!(lines, expected);
    assert!(settings.denies_write_execute());
}

#[test]
fn a_list_is_never_made_where_there_was_none() {
    // SystemCallFilter=@mount alone would allow nothing else.
    assert_eq!(Settings::read([DEBIAN_12]), Settings::default());
    assert!(!drop_in(&Settings::default()).contains("[Service]"));
}

#[test]
fn with_its_drop_in_nothing_is_withheld() {
    let text = drop_in(&Settings::read([DEBIAN_13]));
    assert_eq!(Settings::read([DEBIAN_13, text.as_str()]).withheld(), []);
}

#[test]
fn settings_mean_what_systemd_takes_them_for() {
    for (service, withheld) in [
        ("RestrictNamespaces=no", ""),
        ("RestrictNamespaces=~user", "RestrictNamespaces"),
        ("RestrictNamespaces=yes\nRestrictNamespaces=", ""),
        ("SystemCallFilter=@system-service\nSystemCallFilter=", ""),
        ("SystemCallFilter=~@mount", "SystemCallFilter"),
        ("SystemCallFilter=a \\\n  b", "SystemCallFilter"),
        ("CapabilityBoundingSet=", "CapabilityBoundingSet"),
        ("CapabilityBoundingSet=\nCapabilityBoundingSet=~", ""),
        ("CapabilityBoundingSet=CAP_CHOWN CAP_SETPCAP \\\nCAP_SYS_ADMIN", ""),
        ("ProtectControlGroups=strict", "ProtectControlGroups"),
        ("ProcSubset=all", ""),
        ("# ProcSubset=pid\n;ProcSubset=pid", ""),
        ("[Install]\nProcSubset=pid", ""),
    ] {
        let text = format!("[Service]\n{service}\n");
        let keys: Vec<&str> = Settings::read([text.as_str()]).withheld().iter().map(|withheld| withheld.key).collect();
        assert_eq!(keys.join(" "), withheld, "{service}");
    }
}

#[test]
fn only_our_own_text_is_known_again() {
    assert!(is_ours(sessions().as_bytes()) && is_ours(drop_in(&Settings::default()).as_bytes()));
    assert!(!is_ours(SESSIONS_TEXT.as_bytes()) && !is_ours(b""));
}

#[test]
fn the_unit_has_the_name_that_is_looked_for() {
    assert!(crate::host::SESSIONS_UNIT.ends_with(&format!("/{SESSIONS}")));
}

#[test]
fn a_process_is_known_to_be_in_a_unit_or_in_none() {
    for (group, units) in [
        ("0::/system.slice/postfix.service", "postfix.service"),
        ("0::/system.slice/system-postfix.slice/postfix@-.service/sub", "postfix@.service"),
        ("1:name=systemd:/system.slice/postfix.service\n0::/", "postfix.service"),
        ("0::/user.slice/session-1.scope", ""),
        ("0::/system.slice/postfix-resolvconf.service", ""),
        ("", ""),
    ] {
        let found: Vec<&str> = POSTFIX.into_iter().filter(|unit| holds(unit, group)).collect();
        assert_eq!(found.join(" "), units, "{group}");
    }
}
