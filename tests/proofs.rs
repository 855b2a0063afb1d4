// SPDX-License-Identifier: Apache-2.0
//! The self-test: where something answers a system call without doing it, every step succeeds and nothing is in force.
//! Each layer is made so in turn, from outside, and no client is accepted and no command run.

use crate::scene::{Scene, host, scene};

/// Both fronts refuse, and say what is true instead of what should be.
fn caught(scene: &Scene, lie: &str, words: &str) {
    let lies: Vec<String> = lie.split(' ').map(|call| format!("{call}=done")).collect();
    let scene = scene.clone().failing(&lies.join(" ")).shell("echo never");
    let told = |outcome: crate::scene::Outcome| {
        assert!(outcome.stderr.contains(words), "{lie} was told, and {words:?} not said: {outcome}");
        assert!(outcome.stdout.is_empty(), "{lie} was told, and the command ran: {outcome}");
        outcome
    };
    told(scene.clone().listen_refused()).exits(1);
    told(scene.run()).exits(125);
}

#[test]
fn a_layer_that_is_not_there_is_caught() {
    needs!(root);
    needs!(cgroup);
    let strict = scene("strict").set("files.proc=subset");
    for (lie, words) in [
        ("keyctl", "keyring: the session keyring is still the supervisor's"),
        ("landlock_restrict_self", "Landlock: a file that the policy does not show could be opened"),
        ("mount_setattr", "files: the root directory is not the sandbox's own, or can be written"),
        ("session:mount", "files: the scratch file system /tmp is not there, or has other limits"),
        (
            "session:mount@3:15",
            "files: cannot tell whether /proc is that of its own PID namespace: No such file or directory",
        ),
        ("setgroups", "identity: it has groups that are not the command's"),
        ("prctl@0:24", "rights: it still has capabilities in its bounding set"),
        ("prctl@0:28", "rights: it still has unlocked securebits"),
        // Without a place for the old limit it sets a new one.
        ("prlimit64@3:0", "limits: the limit processor-time 60 is not in force"),
        ("close_range", "descriptors: a descriptor is left open to the command"),
        ("setsid", "session: it does not lead a session of its own"),
        ("command:seccomp", "system calls: the system call clone3 is not denied"),
        // The filter comes to lie in the reaper first.
        ("seccomp", "system calls: the system call clone3 is not denied"),
    ] {
        caught(&strict, lie, words);
    }
}

#[test]
fn memory_that_is_not_denied_is_caught() {
    needs!(root);
    needs!(kernel 6, 3);
    caught(&scene("strict"), "prctl@0:65", "memory: memory could be mapped writable and executable");
}

#[test]
fn a_peer_that_is_not_forwarded_is_caught() {
    needs!(root);
    let calls = scene("strict").set("syscalls.allow=[\"tcp-client\"]");
    let forwarding = calls.set("network.forward=[\"127.0.0.1:25\"]");
    // The relay's listeners alone have this backlog.
    caught(&forwarding, "session:listen@1:16", "forward: nothing listens at 127.0.0.1:25 in its network namespace");
    let datagrams = forwarding.clone().set("network.forward=[\"udp:[::1]:53\"]").set("syscalls.allow=[\"resolve\"]");
    caught(&datagrams, "session:bind@2:28", "forward: nothing listens at udp:[::1]:53 in its network namespace");
    datagrams.shell("echo proven").run().stdout("proven\n").exits(0);
    // In the host's own the right to configure it is missing.
    let host = "with the forwarded peers (loopback): Operation not permitted";
    caught(&forwarding, "session:unshare@0:0x40000000", host);
    forwarding.clone().shell("echo proven").run().stdout("proven\n").exits(0);
    forwarding.unprivileged().shell("echo proven").run().stdout("proven\n").exits(0);
}

#[test]
fn rights_that_stay_are_caught_by_the_step_itself() {
    needs!(root);
    needs!(cgroup);
    let strict = scene("strict");
    // The supervisor's own comes first.
    caught(&strict, "capset", "cannot give up the rights that are not needed: Operation not permitted");
    caught(&strict, "session:capset", "cannot give up every right (read back): Operation not permitted");
    caught(&strict, "pivot_root umount2", "cannot add /.scratch to the Landlock ruleset: ");
    let mounts = "cannot make a mount namespace: the kernel, or a filter around spawnbox, answered unshare without";
    caught(&strict, "unshare@0:0x20000", mounts);
    caught(
        &scene("compatible"),
        "session:setresuid",
        "cannot give up every right (read back): Operation not permitted",
    );
}

#[test]
fn a_session_has_no_new_privileges_whatever_is_answered_to_its_own_step() {
    needs!(root);
    // The supervisor has given them up before the first launcher, and whatever it makes inherits that.
    let server = scene("strict").failing("session:prctl@0:38=done").shell("echo ready; read line; echo $line").listen();
    let mut client = server.connect();
    assert_eq!(client.line(), "ready");
    let session = host::inside(server.pid());
    assert_eq!(session.len(), 2, "a reaper and its command");
    for pid in [server.pid(), host::launcher_of(server.pid())].into_iter().chain(session) {
        assert_eq!(host::status_of(pid, "NoNewPrivs").as_deref(), Some("1"), "{}", host::command_line(pid));
    }
    assert_eq!(client.send(b"served\n").rest(), "served\n");
}

#[test]
fn settings_that_are_not_written_are_caught() {
    needs!(root);
    needs!(kernel 6, 14);
    needs!(cgroup);
    // Opened for writing and nothing else are these settings alone, and what is "opened" is /dev/null.
    let limited = scene("compatible").set("isolation.unique-pid=false").set("isolation.pid-max=400");
    caught(&limited, "session:openat@2:0x88001", "PID namespace: kernel.pid_max is not what was written");
}

#[test]
fn a_proof_that_is_lost_on_its_way_is_told_and_not_waited_for() {
    needs!(root);
    needs!(cgroup);
    // The first process's, and the command's.
    for refusal in ["session:write@2:8", "command:write@2:8"] {
        for how in ["EIO", "done"] {
            let outcome = scene("strict").failing(&format!("{refusal}={how}")).shell("echo never").listen_refused();
            outcome.says("the child ended before it could say").exits(1);
        }
    }
}

#[test]
fn an_ordinary_user_is_told_too() {
    needs!(root);
    let ordinary = scene("strict").unprivileged();
    caught(&ordinary, "landlock_restrict_self", "Landlock: a file that the policy does not show could be opened");
    caught(&ordinary, "seccomp", "system calls: the system call clone3 is not denied");
    caught(&ordinary, "keyctl", "keyring: the session keyring is still the supervisor's");
}

#[test]
fn a_whole_sandbox_is_proven() {
    let every = scene("strict").set("network.mode=loopback").set("files.proc=subset").set("isolation.unique-pid=true");
    every.clone().shell("echo proven").run().stdout("proven\n").exits(0);
    every.unprivileged().shell("echo proven").run().stdout("proven\n").exits(0);
    // Where the command itself is process 1, and where the policy takes layers away.
    let few = ["landlock", "seccomp"].map(|layer| format!("isolation.{layer}=off"));
    let any = ["connect", "bind", "udp"].map(|key| format!("network.{key}={{ports=\"any\"}}"));
    let bare = few.iter().chain(&any).fold(scene("strict"), |scene, setting| scene.set(setting));
    let bare = bare.set("isolation.init=false").set("isolation.memory-deny-write-execute=false");
    bare.shell("echo proven").run().stdout("proven\n").exits(0);
}
