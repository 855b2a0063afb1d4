// SPDX-License-Identifier: Apache-2.0
//! What is carried of the seccomp profile of a container runtime, and what is named instead.

use super::super::Format;
use super::check;

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
