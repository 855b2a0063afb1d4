// SPDX-License-Identifier: Apache-2.0
//! What is carried of a configuration of nsjail, and what is named instead.

use super::super::Format;
use super::{check, imported};

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

/// The usual form of a jail whose image is a directory, as that of redpwn.
#[test]
fn a_mount_over_the_root_is_an_image() {
    let root = "mount { src: '/srv' dst: '/' is_bind: true ";
    let image = ["files.execute = [\"/\"]", "files.root = \"/srv\""];
    check(Format::Nsjail, &format!("{root} }}"), &image, &[]);
    check(Format::Nsjail, &format!("{root} rw: false mandatory: true }}"), &image, &[]);
    check(Format::Nsjail, &format!("{root} noexec: true }}"), &["files.read = [\"/\"]", image[1]], &[]);
    for (more, lost) in [
        ("rw: true", "rw: an image is only read: name what is written in files.write"),
        ("mandatory: false", "mandatory: it is there, or the command is not started"),
        ("nosuid: true", "nosuid: there is no such key"),
    ] {
        check(Format::Nsjail, &format!("{root} {more} }}"), &image, &[&format!("mount /srv / {lost}")]);
    }
    check(
        Format::Nsjail,
        &format!(
            "mount {{ src: '/srv/data' dst: '/data' is_bind: true rw: true noexec: true }}\n{root} }}\n\
             mount {{ src: '/lib' dst: '/lib' is_bind: true }}\n\
             mount {{ src: '/dev/null' dst: '/dev/null' is_bind: true }}\n"
        ),
        &["files.devices = [\"null\"]", image[0], image[1], "files.write = [\"/data\"]"],
        &["mount /lib /lib: only what is in the image is seen of the host"],
    );
    // The host itself is none.
    check(Format::Nsjail, "mount { src: '/' dst: '/' is_bind: true }", &[], &["mount / /: this is the whole host"]);
    let relative = "mount { src: 'host' dst: '/' is_bind: true }";
    check(Format::Nsjail, relative, &[], &["mount host /: a path starts with `/`"]);
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
