// SPDX-License-Identifier: Apache-2.0
//! What is carried of each format, and what is named instead.

use super::*;

/// As the plan answers, for the few names that are used here.
fn call(name: &str) -> Option<String> {
    let known =
        ["read", "write", "exit_group", "execve", "socket", "chown", "mount", "@system-service", "@mount", "all"];
    (!known.contains(&name)).then(|| "no call or group has this name".to_string())
}

fn deny(name: &str) -> Option<String> {
    (!["chown", "mount", "@mount", "@aio"].contains(&name)).then(|| "it cannot be denied".to_string())
}

/// `@mount` is a set of two, and every other word stands for itself.
fn shared(one: &str, other: &str) -> Shared {
    match (one, other) {
        (one, other) if one == other => Shared::Whole,
        ("mount" | "umount2", "@mount") => Shared::Whole,
        ("@mount", "mount" | "umount2") => Shared::Part,
        _ => Shared::Nothing,
    }
}

const CALLS: Calls<'static> = Calls { allow: &call, deny: &deny, shared: &shared };

/// The lines of the policy after its head, and what is lost.
fn imported(format: Format, text: &str) -> (Vec<String>, Vec<String>) {
    let Imported { policy, lost, .. } = import(format, text, CALLS).unwrap();
    crate::policy::laws::policy(&policy).unwrap_or_else(|error| panic!("{policy}\n{error}"));
    let lines = policy.lines().skip(3).take_while(|line| !line.is_empty()).filter(|line| !line.starts_with(['#', 'o']));
    let lost = lost.into_iter().filter(|lost| !lost.starts_with("the list of calls as the only one: "));
    (lines.map(str::to_owned).collect(), lost.collect())
}

fn check(format: Format, text: &str, policy: &[&str], lost: &[&str]) {
    let (lines, missing) = imported(format, text);
    assert_eq!(
        (lines, missing),
        (policy.iter().map(ToString::to_string).collect(), lost.iter().map(ToString::to_string).collect()),
        "{text}"
    );
}

#[test]
fn what_is_nothing_of_the_kind_is_refused() {
    for (format, text, why) in [
        (Format::Oci, "", "it is no JSON"),
        (Format::Oci, "[]", "it is no object"),
        (Format::Oci, "{}", "it has no defaultAction"),
        (Format::Nsjail, "name: \"a", "a quote is open"),
        (Format::Nsjail, "mount {", "mount has no end"),
        (Format::Nsjail, "}", "a bracket is closed that was not opened"),
        (Format::Nsjail, "name", "name has no value"),
        (Format::Xinetd, "defaults\n{\n}\n", "there is no service in it"),
        (Format::Systemd, "[Unit]\nDescription=x\n", "there is no [Service] in it"),
    ] {
        let said = import(format, text, CALLS).unwrap_err();
        assert!(said.starts_with(why), "{text}: {said}");
    }
    let deep = "a {".repeat(100);
    assert_eq!(import(Format::Nsjail, &deep, CALLS).unwrap_err(), "its messages are too deep in one another");
    assert!(import(Format::Nsjail, &" ".repeat(2 << 20), CALLS).unwrap_err().starts_with("it is longer than"));
}

#[test]
fn a_seccomp_profile_has_its_calls() {
    check(
        Format::Oci,
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "archMap": [{"architecture": "SCMP_ARCH_X86_64"}],
            "listenerPath": "/run/x", "syscalls": [
              {"names": ["read", "write", "breakfast"], "action": "SCMP_ACT_ALLOW", "args": [], "includes": {}},
              {"name": "socket", "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_NE"}]},
              {"names": ["chown"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_CHOWN"]}},
              {"names": ["execve"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm"]}},
              {"names": ["exit_group"], "action": "SCMP_ACT_NOTIFY"}]}"#,
        &["syscalls.allow = [\"read\", \"write\"]", "syscalls.on-deny = \"errno\""],
        &[
            "listenerPath: there is no such key",
            "breakfast (SCMP_ACT_ALLOW): no call or group has this name",
            "socket (SCMP_ACT_ALLOW): its arguments have conditions, and a policy has none: a group may have the right ones",
            "chown (SCMP_ACT_ALLOW): it is for those with a capability, and a command here has none",
            "execve (SCMP_ACT_ALLOW): it is for another architecture",
            "exit_group (SCMP_ACT_NOTIFY): there is no such action",
        ],
    );
    check(
        Format::Oci,
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["chown"], "action": "SCMP_ACT_ERRNO"}]}"#,
        &["syscalls.allow = [\"all\"]", "syscalls.deny = [\"chown\"]"],
        &[],
    );
}

#[test]
fn an_nsjail_configuration_has_its_mounts_and_limits() {
    check(
        Format::Nsjail,
        r#"
        name: "chal"            # a comment
        mode: LISTEN
        port: 1337
        time_limit: 30
        cwd: "/srv/app"
        rlimit_as: 64
        rlimit_nofile: 16
        cgroup_mem_max: 5242880
        cgroup_cpu_ms_per_sec: 100
        envar: "A=1"
        envar: ["B=2", "A=3"]
        mount { src: "/lib" dst: "/lib" is_bind: true }
        mount { src: "/data" dst: "/srv" is_bind: true }
        mount { dst: "/tmp" fstype: "tmpfs" }
        mount { src: "/dev/null" dst: "/dev/null" is_bind: true rw: true }
        mount_proc: false
        clone_newnet: true
        seccomp_string: "ALLOW { read, write }"
        seccomp_string: " DEFAULT KILL"
        exec_bin { path: "/srv/app/run" arg: "-x" }
        "#,
        &[
            "command.argv = [\"/srv/app/run\", \"-x\"]",
            "command.directory = \"/srv/app\"",
            "command.environment = { \"A\" = \"3\", \"B\" = \"2\" }",
            "description = \"chal\"",
            "files.devices = [\"null\"]",
            "files.execute = [\"/lib\"]",
            "limits.address-space = 67108864",
            "limits.cpu = 10",
            "limits.memory = 5242880",
            "limits.open-files = 16",
            "limits.time = 30",
            "syscalls.allow = [\"read\", \"write\"]",
            "syscalls.on-deny = \"kill\"",
        ],
        &[
            "port: 1337: say it to spawnbox listen",
            "mount /data /srv: a path has the same place inside as outside",
            "mount  /tmp: a scratch file system needs a size and a number of files: files.scratch",
            "mount_proc: false: there is no such key",
        ],
    );
}

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
fn a_flat_list_of_kafel_is_carried() {
    check(
        Format::Nsjail,
        "seccomp_string: \"ALLOW { read, write } \" \"DEFAULT KILL\"",
        &["syscalls.allow = [\"read\", \"write\"]", "syscalls.on-deny = \"kill\""],
        &[],
    );
    let (_, lost) = imported(Format::Nsjail, "seccomp_string: 'ALLOW { write(fd) { fd == 1 } } DEFAULT KILL'");
    assert!(lost[0].ends_with("it has arguments or groups, and is no flat list of calls"), "{lost:?}");
}

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
fn what_a_denied_call_meets_is_carried_or_named() {
    let calls = "syscalls.allow = [\"read\"]";
    let kill = "syscalls.on-deny = \"kill\"";
    let unit = |lines: &str| format!("[Service]\n{lines}\n");
    check(Format::Systemd, &unit("SystemCallFilter=read"), &[calls, kill], &[]);
    check(Format::Systemd, &unit("SystemCallFilter=read\nSystemCallErrorNumber=kill"), &[calls, kill], &[]);
    check(Format::Systemd, &unit("SystemCallFilter=read\nSystemCallErrorNumber=EPERM"), &[calls], &[]);
    check(
        Format::Systemd,
        &unit("SystemCallErrorNumber=ENOSYS\nSystemCallFilter=read"),
        &[calls],
        &["SystemCallErrorNumber=ENOSYS: a denied call fails with EPERM here"],
    );
    let (lines, lost) = imported(Format::Systemd, &unit("SystemCallFilter=~chown"));
    assert_eq!(lines, ["syscalls.deny = [\"chown\"]"]);
    assert!(lost[0].contains("a denied call kills") && lost.len() == 1, "{lost:?}");
    check(
        Format::Oci,
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
            {"names": ["chown"], "action": "SCMP_ACT_KILL"},
            {"names": ["@aio"], "action": "SCMP_ACT_ERRNO"},
            {"names": ["chown"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
            {"names": ["read"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "4.8"}},
            {"action": "SCMP_ACT_ALLOW"}]}"#,
        &["syscalls.deny = [\"chown\"]", "syscalls.on-deny = \"errno\""],
        &[
            "chown (SCMP_ACT_KILL): it kills for this call alone, and here the call fails",
            "@aio (SCMP_ACT_ERRNO): it is no call",
            "chown (SCMP_ACT_ERRNO): it fails with an errno of its own, and here with that of every call",
            "read (SCMP_ACT_ALLOW): it is for older kernels",
            "an entry of syscalls (SCMP_ACT_ALLOW): it names no call",
        ],
    );
}

#[test]
fn a_dynamic_user_is_named_where_no_other_is() {
    let (_, lost) = imported(Format::Systemd, "[Service]\nDynamicUser=yes\n");
    assert!(lost[0].ends_with("user = { range = \"61184-65519\" } is its like"), "{lost:?}");
    check(Format::Systemd, "[Service]\nDynamicUser=yes\nUser=a\n", &["command.user = \"a\""], &[]);
    check(Format::Systemd, "[Service]\nDynamicUser=no\n", &[], &[]);
}

#[test]
fn each_field_of_a_mount_is_carried_or_named() {
    let mount = |fields: &str| format!("mount {{ src: '/a' dst: '/a' is_bind: true {fields} }}");
    let left = |name: &str| format!("mount /a /a {name}: it has no like, so the mount is left out");
    let wrong = "mount /a /a: what stands in it for true or false is neither";
    for (fields, policy, lost) in [
        ("", "files.execute = [\"/a\"]", None),
        ("noexec: true", "files.read = [\"/a\"]", None),
        ("noexec: T", "", Some(wrong.to_string())),
        ("rw: 1 noexec: t", "files.write = [\"/a\"]", None),
        ("mandatory: false", "files.execute = [{ path = \"/a\", optional = true }]", None),
        ("nosuid: true", "files.execute = [\"/a\"]", Some("mount /a /a nosuid: there is no such key".to_string())),
        ("mandatory: False noexec: true", "files.read = [{ path = \"/a\", optional = true }]", None),
        ("mandatory: never", "", Some(wrong.to_string())),
        ("prefix_src_env: 'HOME'", "", Some(left("prefix_src_env"))),
        ("src_content: 'x'", "", Some(left("src_content"))),
        ("is_symlink: true", "", Some(left("is_symlink"))),
    ] {
        let policy: Vec<&str> = Some(policy).filter(|line| !line.is_empty()).into_iter().collect();
        check(Format::Nsjail, &mount(fields), &policy, &lost.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

/// config.proto: "Should the sandboxing fail if we cannot mount this resource?", which is so where it is not said.
#[test]
fn a_mount_that_may_be_missing_is_optional_or_named() {
    let needed = "it is there, or the command is not started";
    for (fields, policy, lost) in [
        ("src: '/dev/zero' dst: '/dev/zero' is_bind: true", "files.devices = [\"zero\"]", "mount /dev/zero /dev/zero"),
        ("dst: '/proc' fstype: 'proc'", "files.proc = \"subset\"", "mount  /proc"),
    ] {
        check(Format::Nsjail, &format!("mount {{ {fields} mandatory: true }}"), &[policy], &[]);
        let lost = format!("{lost} mandatory: {needed}");
        check(Format::Nsjail, &format!("mount {{ {fields} mandatory: false }}"), &[policy], &[&lost]);
    }
}

#[test]
fn the_parts_that_are_too_many_are_counted() {
    let found = import(Format::Systemd, &format!("[Service]\n{}", "Foo=1\n".repeat(MOST_LOST + 7)), CALLS).unwrap();
    assert_eq!((found.lost.len(), found.lost.last().unwrap().as_str()), (MOST_LOST + 1, "and 7 more parts"));
    assert_eq!(found.parts, MOST_LOST + 7);
    assert!(found.policy.ends_with("#  and 7 more parts\n"));
    let found = import(Format::Systemd, &format!("[Service]\n{}", "Foo=1\n".repeat(MOST_LOST + 1)), CALLS).unwrap();
    assert_eq!(found.lost.last().unwrap(), "and 1 more part");
}

#[test]
fn a_service_of_xinetd_may_stand_after_a_tab() {
    let (lines, lost) = imported(Format::Xinetd, "service\tfinger\n{\n\tserver = /a\n\tenv -= A=1\n}\n");
    assert_eq!(lines, ["command.argv = [\"/a\"]", "description = \"finger\""]);
    assert_eq!(lost, ["env -= A=1: xinetd takes nothing from env"]);
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

#[test]
fn a_condition_that_is_not_known_keeps_a_call_out() {
    check(
        Format::Oci,
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW", "comment": "", "includes": {"hosts": ["a"]}},
            {"names": ["write"], "action": "SCMP_ACT_ALLOW", "excludes": {"phase": "full", "arches": ["arm"]}},
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_X"]}, "priority": 3}]}"#,
        &["syscalls.allow = [\"socket\"]", "syscalls.on-deny = \"errno\""],
        &[
            "read (SCMP_ACT_ALLOW): `hosts` is a condition that is not known",
            "write (SCMP_ACT_ALLOW): `phase` is a condition that is not known",
            "priority of an entry of syscalls: there is no such key",
        ],
    );
}

#[test]
fn a_long_line_is_cut_at_a_word() {
    let long = |word: &str| {
        let (_, lost) = imported(Format::Systemd, &format!("[Service]\nFoo={}\n", word.repeat(100)));
        lost[0].clone()
    };
    let words = long("abcde ");
    assert!(words.ends_with("abcde ...") && words.chars().count() <= 304, "{words}");
    let one = long("abcdef");
    assert_eq!(one, format!("Foo={} ...", &"abcdef".repeat(100)[..296]), "there is nothing to cut at");
}

#[test]
fn braces_after_a_dollar_stay_what_they_are() {
    check(
        Format::Nsjail,
        "exec_bin { path: '/bin/sh' arg: '-c' arg: 'echo ${HOME}' }\nenvar: 'A=${B}'\ncwd: '/srv/${x}'\n\
         mount { src: '/${a}' dst: '/${a}' is_bind: true noexec: true }\n",
        &[
            "command.argv = [\"/bin/sh\", \"-c\", \"echo $${HOME}\"]",
            "command.directory = \"/srv/$${x}\"",
            "command.environment = { \"A\" = \"$${B}\" }",
            "files.read = [\"/$${a}\"]",
        ],
        &[],
    );
}
