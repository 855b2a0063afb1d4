// SPDX-License-Identifier: Apache-2.0
//! What is refused before the first connection, and in which words: the operator reads the place, the reason, the way
//! out.

use crate::scene::{Outcome, Scene, arguments, host, scene, stage};

/// Both fronts that start by hand refuse, with the same words and before anything runs.
fn refused(scene: Scene, words: &str) {
    let scene = scene.shell("echo never");
    let run = scene.clone().run().says(words).exits(2);
    assert_eq!(run.stdout, "", "the command ran: {run}");
    scene.listen_refused().says(words).exits(2);
}

#[test]
fn a_command_never_runs_as_root() {
    needs!(root);
    let words = "command line: the command would run as root: user root has user id 0; \
                 name an account without privileges, one for each service";
    refused(scene("strict").user("root"), words);
    refused(scene("strict").user("0"), words);
}

#[test]
fn a_command_never_runs_with_roots_group() {
    needs!(root);
    let words = "command line: the command would run with group id 0; \
                 name an account without privileges, one for each service";
    refused(scene("strict").set("command.group=root"), words);
}

#[test]
fn minus_one_is_no_user() {
    needs!(root);
    refused(scene("strict").user("4294967295"), "command line: user id -1 means no user at all; name a real account");
}

#[test]
fn an_unknown_account_is_named() {
    needs!(root);
    let words = "command line: unknown user name: nosuch; name an account that getent passwd shows";
    refused(scene("strict").user("nosuch"), words);
    let words = "command line: unknown group name: nosuch; name a group that getent group shows";
    refused(scene("strict").set("command.group=nosuch"), words);
}

#[test]
fn an_ordinary_user_cannot_run_a_command_as_another() {
    needs!(root);
    let words = "command line: user id 65534 cannot run a command as daemon (user id 1); \
                 start spawnbox as root, or leave command.user out";
    refused(scene("strict").unprivileged().set("command.user=daemon"), words);
}

#[test]
fn a_program_is_named_by_an_absolute_path_or_by_a_bare_name() {
    let words = "the program ./sh is a relative path; write the absolute path";
    scene("strict").argv(&["./sh"]).run().says(words).exits(2);
}

#[test]
fn a_program_that_the_sandbox_does_not_show_is_refused() {
    let words = "the program /opt/program is under no path that the policy lets it execute; \
                 add it: files.execute = [\"/opt/program\"]";
    scene("strict").argv(&["/opt/program"]).run().says(words).exits(2);
}

#[test]
fn a_path_that_is_not_there_is_refused() {
    let words = "/no/such: No such file or directory; correct it, or say { path = ..., optional = true }";
    refused(scene("strict").set("files.read=/no/such"), words);
}

#[test]
fn a_limit_without_its_controller_is_refused() {
    let scene = scene("strict").unprivileged().set("limits.memory=64M");
    refused(scene, "command line: limits.memory cannot be enforced: ");
}

#[test]
fn a_list_of_ports_that_the_kernel_cannot_hold_is_refused() {
    // TCP since ABI 4, UDP since ABI 10, which no released Debian kernel has.
    let words = "network.udp lists ports, which needs Landlock ABI 10; this kernel has ";
    refused(scene("strict").set("network.mode=host").set("network.udp={ports=[53]}"), words);
}

#[test]
fn a_word_that_is_no_system_call_is_refused() {
    refused(scene("strict").set("syscalls.allow=opne"), "unknown system call or group: opne; did you mean open?");
}

/// A policy file that is wrong, and the whole report.
fn wrong(text: &str, report: &str) -> Outcome {
    let room = stage::room();
    let file = room.file("wrong.toml", text);
    let report = report.replace("PATH", &file.display().to_string());
    scene("default").policy_file(&file).command("/bin/true").run().says(&report).exits(2)
}

#[test]
fn an_unknown_key_is_shown_where_it_stands() {
    let report = "\
error: unknown key `memroy`
 --> PATH:4:1
  |
3 | [limits]
  | -------- in this table
4 | memroy = \"64M\"
  | ^^^^^^ not a key of this table
  |
  = help: did you mean `memory`?";
    wrong("version = 1\n\n[limits]\nmemroy = \"64M\"\n", report);
}

#[test]
fn a_wrong_type_is_shown_where_it_stands() {
    let report = "\
error: wrong type of `read`
 --> PATH:3:8
  |
3 | read = 7
  |        ^ expected a list in brackets, found a number";
    wrong("version = 1\n[files]\nread = 7\n", report);
}

#[test]
fn a_relative_path_is_shown_where_it_stands() {
    let report = "\
error: relative path in `read`
 --> PATH:3:9
  |
3 | read = [\"etc\"]
  |         ^^^^^ a path starts with `/`";
    wrong("version = 1\n[files]\nread = [\"etc\"]\n", report);
}

#[test]
fn every_mistake_of_a_file_is_shown_at_once() {
    let outcome = wrong("version = 1\n[files]\nraed = []\n[limits]\ntsks = 3\n", "error: unknown key `raed`");
    outcome.says("error: unknown key `tsks`");
}

#[test]
fn a_policy_that_is_not_there_is_refused() {
    scene("nosuch").command("/bin/true").run().says("there is no policy `nosuch`").exits(2);
    let outcome = scene("/etc/spawnbox/nosuch.toml").command("/bin/true").run();
    outcome.says("/etc/spawnbox/nosuch.toml").exits(2);
}

#[test]
fn a_policy_that_others_may_write_is_refused() {
    let room = stage::room();
    let file = room.file("open.toml", "version = 1\n");
    stage::mode(&file, 0o666);
    let outcome = scene("default").policy_file(&file).command("/bin/true").run();
    outcome.says(&format!("cannot use the policy file {}: ", file.display())).exits(2);
}

#[test]
fn a_policy_in_a_directory_that_others_may_write_is_refused() {
    let room = stage::room();
    let directory = room.directory("open");
    let file = room.file("open/policy.toml", "version = 1\n");
    // Sticky, as /tmp is, makes no difference.
    for bits in [0o777, 0o1777] {
        stage::mode(&directory, bits);
        let outcome = scene("default").policy_file(&file).command("/bin/true").run();
        let (file, directory) = (file.display(), directory.display());
        outcome
            .says(&format!("cannot use the policy file {file}: {directory} is a directory that others"))
            .says(&format!("move the policy to another directory, or `chmod go-w {directory}`"))
            .exits(2);
    }
}

#[test]
fn a_policy_reached_through_a_link_that_others_may_turn_is_refused() {
    let room = stage::room();
    let file = room.file("policy.toml", "version = 1\n");
    let open = room.directory("open");
    let link = open.join("link.toml");
    std::os::unix::fs::symlink(&file, &link).expect("the stage can be written");
    stage::mode(&open, 0o777);
    let outcome = scene("default").policy_file(&link).command("/bin/true").run();
    outcome.says(&format!("cannot use the policy file {}: ", link.display())).exits(2);
}

#[test]
fn another_users_policy_is_refused() {
    needs!(root);
    let room = stage::room();
    let file = room.file("policy.toml", "version = 1\n");
    std::os::unix::fs::chown(&file, Some(1), None).expect("root may");
    let outcome = scene("default").policy_file(&file).command("/bin/true").run();
    outcome.says(&format!("cannot use the policy file {}: ", file.display())).exits(2);
}

#[test]
fn a_setting_without_a_value_is_refused() {
    refused(scene("strict").set("limits.time"), "write KEY=VALUE, such as `-s limits.time=5m`");
}

#[test]
fn a_word_of_the_command_line_that_means_nothing_is_refused() {
    arguments(&["lisden"]).run().says("unrecognized subcommand 'lisden'").exits(2);
}

#[test]
fn an_address_that_is_none_is_refused() {
    let user = if host::is_root() { "-scommand.user=nobody" } else { "-slimits.time=1s" };
    arguments(&["listen", "nowhere", user, "--", "/bin/true"]).run().says("nowhere").exits(2);
}

#[test]
fn what_a_policy_file_asks_for_in_vain_is_shown_where_it_stands() {
    let room = stage::room();
    let policy = room.file("vain.toml", "version = 1\nextends = [\"strict\"]\nsyscalls.allow = [\"defualt\"] # all\n");
    let report = format!(
        "error: unknown system call or group: defualt\n --> {}:3:19\n  |\n3 | syscalls.allow = [\"defualt\"] # all\n  |                   \
         ^^^^^^^^^\n  |\n  = help: did you mean default?\n",
        policy.display()
    );
    scene("strict").policy_file(&policy).shell("true").run().says(&report).exits(2);
}

/// util-linux can have the kernel say that it is a 2.6; a kernel that is too old says so itself.
#[test]
fn a_kernel_that_is_too_old_is_refused_in_words() {
    needs!(root);
    let release = nix::sys::utsname::uname().expect("uname works").release().to_string_lossy().into_owned();
    let old = ["5.10.", "5.4.", "4."].iter().any(|start| release.starts_with(start));
    let scene = scene("strict").shell("echo never");
    let (scene, named) = match old {
        true => (scene, release.as_str()),
        false => (scene.through(&["setarch", "--uname-2.6"]), "2.6."),
    };
    let outcome = scene.run().says(&format!("Linux {named}")).says(" is too old; ").exits(2);
    assert!(outcome.stdout.is_empty() && outcome.stderr.contains("5.14"), "{outcome}");
}
