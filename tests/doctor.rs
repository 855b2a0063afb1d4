// SPDX-License-Identifier: Apache-2.0
//! `spawnbox doctor`: each gap that can be made here is found, named, and has its way out; nothing is found where
//! nothing is lacking, and nothing is left behind.

use crate::scene::{Outcome, Scene, arguments, host, stage};

fn doctor(words: &[&str]) -> Scene {
    arguments(&[&["doctor"], words].concat())
}

/// The state of a line, by its name.
fn state<'a>(outcome: &'a Outcome, name: &str) -> &'a str {
    let line = outcome.stdout.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no line for {name} in {outcome}")).split_whitespace().next().expect("a state")
}

#[test]
fn a_host_that_lacks_nothing_is_told_so() {
    let outcome = doctor(&[]).run().prints("\nevery layer of a strict sandbox is there\n").exits(0);
    for layer in ["kernel", "namespaces", "system calls", "memory", "strict"] {
        assert_eq!(state(&outcome, layer), "ok", "{layer} in {outcome}");
    }
    let ordinary = doctor(&[]).unprivileged().run().prints("\nevery layer of a strict sandbox is there\n").exits(0);
    assert_eq!((state(&ordinary, "strict"), state(&ordinary, "identity")), ("ok", "less"), "{ordinary}");
}

#[test]
fn nothing_is_left_behind() {
    needs!(root);
    needs!(cgroup);
    let mut command = std::process::Command::new(stage::program("spawnbox"));
    let mut child = command.arg("doctor").stdout(std::process::Stdio::null()).spawn().expect("it starts");
    let own = format!("/spawnbox-{}-", child.id());
    assert!(child.wait().expect("it is our child").success());
    let root = host::cgroup_root().expect("needs said so");
    let left: Vec<_> =
        host::cgroups_below(&root).into_iter().filter(|path| path.display().to_string().contains(&own)).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn each_gap_is_named_with_its_way_out() {
    needs!(root);
    let gap = |refusal: &str, layer: &str, words: &[&str]| {
        let outcome = doctor(&[]).failing(refusal).run().prints("\na strict sandbox cannot be made here\n").exits(1);
        assert_eq!(state(&outcome, layer), "no", "{refusal}: {outcome}");
        assert_eq!(state(&outcome, "strict"), "no", "{refusal}: {outcome}");
        for word in words {
            assert!(outcome.stdout.contains(word), "{refusal}: no {word:?} in {outcome}");
        }
    };
    gap("unshare@0:0x10000000=ENOSPC", "namespaces", &["user: No space left on device", "user.max_user_namespaces = "]);
    gap("move_mount=EPERM", "namespaces", &["mount: Operation not permitted", "can be made: pid, network, "]);
    gap("landlock_create_ruleset=ENOSYS", "Landlock", &["this kernel has none, or it cannot be used", "-> "]);
    gap("seccomp=EINVAL", "system calls", &["filters cannot be used: Invalid argument", "-> "]);
}

#[test]
fn a_gap_that_no_policy_of_ours_needs_is_less() {
    needs!(root);
    let outcome = doctor(&[]).failing("prctl@0:65=EINVAL").run().exits(0);
    outcome.prints("by the system call filter").prints("PR_SET_MDWE needs Linux 6.3");
}

#[test]
fn a_container_without_user_namespaces_is_told_the_setting() {
    needs!(root);
    // Root of a user namespace, in which no further one can be made, as some engines leave it.
    let shell = "echo 0 >/proc/sys/user/max_user_namespaces && exec \"$0\" doctor";
    let program = stage::program("spawnbox").display().to_string();
    let mut inside = std::process::Command::new("unshare");
    inside.args(["--user", "--map-root-user", "sh", "-c", shell, &program]);
    let output = inside.output().expect("unshare is there");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("echo 'user.max_user_namespaces = 15000' >/etc/sysctl.d/60-spawnbox.conf"), "{text}");
}

#[test]
fn a_layer_that_is_answered_and_not_there_is_found() {
    needs!(root);
    needs!(landlock 6);
    let told = doctor(&["--json"]).failing("landlock_restrict_self=done").run().exits(1).stdout;
    let told: serde_json::Value = serde_json::from_str(&told).expect("it is JSON");
    let proofs = told["policies"][0]["proofs"].as_array().expect("there are proofs");
    let mut failed: Vec<&str> =
        proofs.iter().filter(|proof| proof["state"] == "no").map(|proof| proof["holds"].as_str().unwrap()).collect();
    // Each by itself: the others go on after one. Ports are as many as the kernel has rights for.
    failed.dedup();
    assert_eq!(
        failed,
        [
            "a file that the policy does not show cannot be opened",
            "an abstract UNIX socket outside cannot be reached",
            "no port can be used that the policy does not name"
        ]
    );
    let sentence = told["policies"][0]["notes"][0].as_str().expect("a note says why");
    assert!(sentence.contains("answered landlock_restrict_self without doing it"), "{sentence}");
}

#[test]
fn json_has_what_the_page_has() {
    let told = doctor(&["--json"]).run().exits(0).stdout;
    let told: serde_json::Value = serde_json::from_str(&told).expect("it is JSON");
    assert_eq!((&told["ok"], &told["policies"][0]["name"]), (&true.into(), &"strict".into()));
    let page = doctor(&[]).run().stdout;
    for layer in told["layers"].as_array().expect("there are layers") {
        let (name, state) = (layer["name"].as_str().unwrap(), layer["state"].as_str().unwrap());
        assert!(page.lines().any(|line| line.starts_with(&format!("{name:<15} {state} "))), "{name} in {page}");
    }
}

#[test]
fn a_policy_is_judged_for_this_host() {
    let room = stage::room();
    let policy = |limit: &str| {
        let text = format!("version = 1\nextends = [\"strict\"]\n[files]\nread = [\"/no/such\"]\n{limit}");
        room.file("draft.toml", &text)
    };
    let draft = policy("").display().to_string();
    let outcome = doctor(&[&draft]).run().prints("/no/such: No such file or directory").exits(1);
    outcome.prints("-> correct it").prints("\nthis host cannot run the policy draft\n");
    doctor(&["echo"]).run().prints("\nthis host can run the policy echo; ").exits(0);
    doctor(&["no-such"]).run().says("no-such").exits(2);
}
