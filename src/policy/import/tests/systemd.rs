// SPDX-License-Identifier: Apache-2.0
//! What is carried of a unit of systemd, and what is named instead.

use super::super::Format;
use super::{CALLS, check, import, imported};

#[test]
fn a_list_of_calls_beside_that_of_the_profile_is_named() {
    let said = |text| import(Format::Systemd, text, CALLS).unwrap();
    let with = said("[Service]\nSystemCallFilter=read\n");
    assert!(with.lost[0].starts_with("the list of calls as the only one: the profile allows"), "{:?}", with.lost);
    let none = said("[Service]\nSystemCallFilter=breakfast\n");
    assert!(none.lost[0].starts_with("the list of calls as the only one: no word of it"), "{:?}", none.lost);
    assert_eq!(said("[Service]\nSystemCallFilter=~chown\nSystemCallErrorNumber=EPERM\n").lost, [""; 0]);
}

#[test]
fn limits_hold_as_they_were_written() {
    let found = import(Format::Systemd, "[Service]\nLimitNOFILE=5000\n", CALLS).unwrap();
    let policy = crate::policy::laws::policy(&found.policy).unwrap();
    assert_eq!(policy.limits.open_files.unwrap().value, 5000, "the profile has a smaller one");
}

#[test]
fn a_unit_of_systemd_has_its_sandbox() {
    check(
        Format::Systemd,
        "[Unit]\nDescription=Quota policy\nAfter=network.target\n[Service]\nExecStart=/usr/bin/quota 'a b' \\\n  -v\n\
         User=quota\nNoNewPrivileges=yes\nProtectHome=no\nPrivateTmp=yes\nReadWritePaths=/var/lib/quota -/srv\n\
         SystemCallFilter=@system-service\nSystemCallFilter=~chown @mount\nMemoryMax=64M\nCPUQuota=50%\nTasksMax=infinity\n\
         LimitNOFILE=64\nMemoryDenyWriteExecute=yes\nIPAddressAllow=localhost\nEnvironment=\"A=b c\"\n\
         [Install]\nWantedBy=multi-user.target\n",
        &[
            "command.argv = [\"/usr/bin/quota\", \"a b\", \"-v\"]",
            "command.environment = { \"A\" = \"b c\" }",
            "command.user = \"quota\"",
            "description = \"Quota policy\"",
            "files.write = [\"/var/lib/quota\"]",
            "isolation.memory-deny-write-execute = true",
            "limits.cpu = 50",
            "limits.memory = 67108864",
            "limits.open-files = 64",
            "syscalls.allow = [\"@system-service\"]",
            "syscalls.deny = [\"@mount\", \"chown\"]",
            "syscalls.on-deny = \"kill\"",
        ],
        &[
            "After=network.target: it says when and where the service runs, which is not a policy's",
            "ProtectHome=no: it is so for every command here",
            "ReadWritePaths=-/srv: a prefix, another place, an escape or a specifier is systemd's own",
            "TasksMax=infinity: it is no whole number",
            "IPAddressAllow=localhost: there is no such key",
            "WantedBy=multi-user.target: it says when and where the service runs, which is not a policy's",
        ],
    );
}

#[test]
fn what_no_policy_can_have_is_named_with_the_reason() {
    for (line, why) in [
        ("User=a b", "no account has this name"),
        ("UMask=999", "must be octal, from 000 to 777"),
        ("WorkingDirectory=~", "a path starts with `/`"),
        ("LimitNOFILE=3", "must be at least 8"),
        ("MemoryMax=10%", "it is no size"),
        ("ExecStart=-/bin/x", "its prefix"),
        ("ExecStart=/bin/x a\\x20b", "its prefix"),
        ("Environment=A=%n", "an escape or a specifier"),
        ("Environment=A=a\\nb", "an escape or a specifier"),
        ("Environment='a", "a quote is open"),
    ] {
        let (lines, lost) = imported(Format::Systemd, &format!("[Service]\n{line}\n"));
        assert!(
            lines.is_empty() && lost.len() == 1 && lost[0].starts_with(&format!("{line}: {why}")),
            "{lines:?} {lost:?}"
        );
    }
}

#[test]
fn every_denied_call_is_denied_or_named() {
    check(
        Format::Systemd,
        "[Service]\nSystemCallErrorNumber=EPERM\nSystemCallFilter=~@aio @privileged execve chown:ENOSYS\n",
        &["syscalls.deny = [\"@aio\", \"chown\"]"],
        &[
            "SystemCallFilter=~@privileged: it cannot be denied",
            "SystemCallFilter=~execve: it cannot be denied",
            "SystemCallFilter=~chown:ENOSYS: an errno of its own for one call",
        ],
    );
}

#[test]
fn an_empty_value_empties_what_was_there() {
    check(
        Format::Systemd,
        "[Service]\nSystemCallFilter=read\nSystemCallFilter=\nReadWritePaths=/a\nReadWritePaths=\nReadWritePaths=/b\n\
         BindReadOnlyPaths=/c\nBindPaths=\nReadOnlyPaths=/d\nBindReadOnlyPaths=\nEnvironment=A=1\nEnvironment=\n\
         Environment=B=2\nExecStart=/bin/x\nExecStart=\nExecStart=/bin/y\nUser=a\nUser=\nFoo=1\nFoo=\n",
        &[
            "command.argv = [\"/bin/y\"]",
            "command.environment = { \"B\" = \"2\" }",
            "files.read = [\"/d\"]",
            "files.write = [\"/b\"]",
        ],
        &[],
    );
}

#[test]
fn a_truth_value_is_read_as_systemd_reads_it() {
    let key = "isolation.memory-deny-write-execute";
    for value in ["1", "yes", "Y", "true", "t", "ON"] {
        let unit = format!("[Service]\nMemoryDenyWriteExecute={value}\nProtectHome={value}\n");
        check(Format::Systemd, &unit, &[&format!("{key} = true")], &[]);
    }
    for value in ["0", "no", "N", "false", "f", "OFF"] {
        let unit = format!("[Service]\nMemoryDenyWriteExecute={value}\nProtectHome={value}\n");
        let lost = format!("ProtectHome={value}: it is so for every command here");
        check(Format::Systemd, &unit, &[&format!("{key} = false")], &[&lost]);
    }
    for line in ["MemoryDenyWriteExecute=si", "PrivateTmp=disconnected", "PrivateNetwork=no"] {
        check(Format::Systemd, &format!("[Service]\n{line}\n"), &[], &[&format!("{line}: no key says this")]);
    }
}

#[test]
fn a_dynamic_user_is_named_where_no_other_is() {
    let (_, lost) = imported(Format::Systemd, "[Service]\nDynamicUser=yes\n");
    assert!(lost[0].ends_with("user = { range = \"61184-65519\" } is its like"), "{lost:?}");
    check(Format::Systemd, "[Service]\nDynamicUser=yes\nUser=a\n", &["command.user = \"a\""], &[]);
    check(Format::Systemd, "[Service]\nDynamicUser=no\n", &[], &[]);
}

/// systemd.exec(5): "the first encountered will take precedence and will dictate the default action", and later ones
/// "add or delete the listed system calls from the set".
#[test]
fn lists_of_calls_of_both_sorts_are_taken_in_their_order() {
    let unit = |lines: &[&str]| {
        let lines = lines.iter().map(|line| format!("SystemCallFilter={line}\n")).collect::<String>();
        format!("[Service]\nSystemCallErrorNumber=EPERM\n{lines}")
    };
    let both = "SystemCallFilter=mount: @mount is taken away before, and with it what both have stays denied here";
    let cases: [(&[&str], &[&str], &[&str]); 9] = [
        (&["read chown", "~chown"], &["allow = [\"chown\", \"read\"]", "deny = [\"chown\"]"], &[]),
        (&["read chown", "~chown", "chown"], &["allow = [\"chown\", \"read\"]"], &[]),
        (&["~chown", "chown"], &["allow = [\"chown\"]"], &[]),
        (&["~chown", "chown", "~chown"], &["allow = [\"chown\"]", "deny = [\"chown\"]"], &[]),
        (&["~chown mount", "@mount"], &["allow = [\"@mount\"]", "deny = [\"chown\"]"], &[]),
        (&["~@mount", "mount"], &["allow = [\"mount\"]", "deny = [\"@mount\"]"], &[both]),
        (&["read", "~@mount", "mount"], &["allow = [\"mount\", \"read\"]", "deny = [\"@mount\"]"], &[both]),
        (&["read", "~@mount", "", "chown"], &["allow = [\"chown\"]"], &[]),
        (&["~@aio", "@aio"], &["deny = [\"@aio\"]"], &["SystemCallFilter=@aio: no call or group has this name"]),
    ];
    for (lines, policy, lost) in cases {
        let policy: Vec<String> = policy.iter().map(|line| format!("syscalls.{line}")).collect();
        check(Format::Systemd, &unit(lines), &policy.iter().map(String::as_str).collect::<Vec<_>>(), lost);
    }
}

#[test]
fn a_variable_that_only_systemd_can_read_is_lost_alone() {
    check(
        Format::Systemd,
        "[Service]\nEnvironment=A=1 \"B=two words\" 'C=a\\' b' D=%n E=5\nEnvironment=A=\\x41 F=6\n",
        &["command.environment = { \"B\" = \"two words\", \"E\" = \"5\", \"F\" = \"6\" }"],
        &[
            "Environment='C=a\\' b': an escape or a specifier is systemd's own",
            "Environment=D=%n: an escape or a specifier is systemd's own",
            "Environment=A=\\x41: an escape or a specifier is systemd's own",
        ],
    );
}

#[test]
fn a_root_directory_is_an_image() {
    check(
        Format::Systemd,
        "[Service]\nReadOnlyPaths=/etc\nBindPaths=/run/x\nRootDirectory=/old\nRootDirectory=/srv/${x}\n",
        &["files.execute = [\"/\"]", "files.read = [\"/etc\"]", "files.root = \"/srv/$${x}\""],
        &["BindPaths=/run/x: only what is in the image is seen of the host"],
    );
    let host = "this is the whole host";
    check(Format::Systemd, "[Service]\nRootDirectory=/\n", &[], &[&format!("RootDirectory=/: {host}")]);
    check(Format::Systemd, "[Service]\nReadOnlyPaths=/\n", &[], &[&format!("ReadOnlyPaths=/: {host}")]);
    check(Format::Systemd, "[Service]\nRootDirectory=/srv\nRootDirectory=\n", &[], &[]);
}
