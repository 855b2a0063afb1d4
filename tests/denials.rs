// SPDX-License-Identifier: Apache-2.0
//! `syscalls.on-deny = "report"`: what is denied fails as it would otherwise, and the log says which call it was, what
//! it was about, and what would allow it. Nothing that a command does makes that more than a few lines.

use crate::scene::{Scene, scene};

fn told(policy: &str) -> Scene {
    scene(policy).set("syscalls.on-deny=report")
}

#[test]
fn without_a_word_of_the_policy_nothing_is_named() {
    let outcome = scene("strict").perl("chown 1, 1, '/etc'; print $!+0").run().stdout("1");
    assert!(!outcome.stderr.contains("denied"), "{outcome}");
}

#[test]
fn a_denied_call_fails_as_ever_and_is_named_with_its_path_and_its_line() {
    let line = "session=1 denied call=chown path=\"/etc/x\\x0ay\": Operation not permitted; \
                to allow it: syscalls.allow = [\"chown\"]\n";
    told("strict").perl("chown 1, 1, \"/etc/x\\ny\"; print $!+0").run().stdout("1").says(line).exits(0);
    let allowed = told("strict").set("syscalls.allow=[\"default\",\"chown\"]");
    let outcome = allowed.perl("chown 1, 1, '/none'; print $!+0").run().stdout("2");
    assert!(!outcome.stderr.contains("denied"), "{outcome}");
}

#[test]
fn an_ordinary_user_is_told_too() {
    let scene = told("strict").unprivileged();
    scene.perl("chown 1, 1, '/etc/x'; print $!+0").run().stdout("1").says("denied call=chown path=\"/etc/x\": ");
}

#[test]
fn an_unknown_command_under_compatible_is_told_of_too() {
    needs!(root);
    let script = "my ($a, $m) = ('a', '/mnt'); syscall(165, $a, $m, $a, 0, 0); print $!+0";
    told("compatible").perl(script).run().stdout("1").says("denied call=mount path=\"/mnt\": ");
}

#[test]
fn an_address_is_named_and_so_is_the_family_of_a_socket() {
    let script = "use Socket; socket(my $s, 16, 3, 0); print $!+0, ' '; \
                  syscall(42, 9, pack_sockaddr_in(25, inet_aton('127.0.0.1')), 16); print $!+0";
    told("strict")
        .perl(script)
        .run()
        .stdout("1 1")
        .says("denied call=socket arguments=0x10,0x80003,0x0 family=netlink: Operation not permitted; ")
        .says(
            "denied call=connect address=127.0.0.1 port=25: Operation not permitted; to allow it: \
             syscalls.allow = [\"tcp-client\"], network.forward = [\"127.0.0.1:25\"]\n",
        );
}

#[test]
fn who_makes_a_call_of_an_attack_is_named_before_it_ends() {
    let server = told("strict").perl("syscall(101, 0, 0, 0, 0); print 'alive'").listen();
    assert_eq!(server.connect().rest(), "");
    server.logs("outcome=signaled signal=SIGKILL");
    let line = "session=1 denied call=ptrace arguments=0x0,0x0,0x0: its process is killed; \
                to allow it: syscalls.allow = [\"trace\"]";
    assert!(server.log().contains(line), "{}", server.log());
}

#[test]
fn what_hands_the_listener_over_can_be_denied_like_all_else() {
    let scene = told("strict").set("syscalls.deny=[\"sendmsg\",\"seccomp\",\"recvmsg\"]");
    let script = "for (46, 47, 317, 92) { syscall($_, 0, 0, 0); print $!+0, ' ' }";
    let outcome = scene.perl(script).run().stdout("1 1 1 1 ").says("denied call=chown ").says("call=recvmsg");
    assert!(!outcome.stderr.contains("call=sendmsg"), "{outcome}");
}

#[test]
fn a_flood_of_denied_calls_is_a_few_lines_and_every_one_is_answered_as_the_policy_says() {
    let script = "my $n = 0; for (1 .. 20000) { chown 1, 1, '/x'; $n++ if $! == 1 } $| = 1; print $n; \
                  syscall(101, 0, 0, 0, 0); print 'alive'";
    let server = told("strict").perl(script).listen();
    let begin = std::time::Instant::now();
    assert_eq!(server.connect().rest(), "20000");
    server.logs("outcome=signaled signal=SIGKILL");
    let log = server.log();
    let lines = log.lines().filter(|line| line.contains(" denied call=")).count();
    // Twenty, one more a second, and the death.
    let most = 21 + begin.elapsed().as_secs() as usize + 1;
    assert!((20..=most).contains(&lines), "{lines} lines, no more than {most}: {log}");
    assert!(log.contains("denials-left-out="), "{log}");
    assert!(log.contains(" denied call=ptrace arguments=0x0,0x0,0x0: its process is killed; "), "{log}");
}

#[test]
fn who_makes_denied_calls_without_end_has_used_its_processor_time_up() {
    let limited = told("strict").set("limits.processor-time=\"1s\"");
    // It counts between them, since it takes no time of its own to wait for an answer.
    let server = limited.perl("while (1) { chown 1, 1, '/x'; $n++ for 1..5000 }").listen();
    assert_eq!(server.connect().rest(), "");
    server.logs("limit=processor-time:1s");
}

#[test]
fn a_listener_that_nobody_can_take_a_call_from_ends_the_sandbox() {
    needs!(root);
    // SECCOMP_IOCTL_NOTIF_RECV. Without the reaper's end the kernel would answer ENOSYS, to a call of an attack too.
    let scene = told("strict").perl("print 'alive'").failing("ioctl@1:0xc0502100=EINVAL");
    let outcome = scene.run().stdout("").exits(125);
    assert!(outcome.stderr.contains("the child ended before it could say"), "{outcome}");
}

#[test]
fn a_denied_call_that_is_not_told_of_is_noticed_before_the_first_client() {
    needs!(root);
    // The length of the message about a call without a path.
    let scene = told("strict").perl("print 'alive'").failing("write@2:60=done");
    scene.clone().run().stdout("").exits(125).says("system calls: a denied call was not heard of; ");
    told("strict").perl("print 'alive'").run().stdout("alive").exits(0);
}

#[test]
fn where_somebody_listens_already_calls_fail_unnamed_and_that_is_said() {
    needs!(root);
    // SECCOMP_FILTER_FLAG_NEW_LISTENER, of which there can be one.
    let scene = told("strict").failing("seccomp@1:8=EBUSY");
    scene
        .perl("chown 1, 1, '/x'; print $!+0")
        .run()
        .stdout("1")
        .says("names of denied calls: a filter around spawnbox is listened to already: denied calls fail");
}

#[test]
fn nobody_hears_for_a_command_that_is_process_1() {
    told("strict").set("isolation.init=false").shell("true").run().exits(2).says("needs isolation.init = true");
}

#[test]
fn the_descriptors_that_it_takes_are_asked_for_before_the_first_session() {
    let files = |number: u32| told("strict").set(&format!("limits.open-files={number}")).shell("true").run();
    files(11).exits(2).says("needs limits.open-files of at least 12");
    files(12).exits(0);
}

fn told_all(policy: &str) -> Scene {
    scene(policy).set("syscalls.on-deny=report-all")
}

#[test]
fn what_an_allowed_call_asks_for_is_named_with_its_line_and_meets_what_it_would_otherwise() {
    let script = "print -e '/etc/hostname' ? 'seen ' : $!+0, ' '; for (1..3) { open(F, '<', '/usr/lib/none'); print $!+0, ' ' } \
                  open(F, '>', '/tmp/x') or die; print -s '/usr/bin/perl' ? 'there ' : ''; chown 1, 1, '/tmp/x'; print $!+0";
    let outcome = told_all("strict").perl(script).run().stdout("2 2 2 2 there 1").exits(0);
    let line = |call: &str, allow: &str| format!("session=1 denied call={call} {allow}\n");
    let outcome = outcome
        .says(&line(
            "newfstatat",
            "path=\"/etc/hostname\": No such file or directory; to allow it: files.read = [\"/etc/hostname\"]",
        ))
        .says(&line("chown", "path=\"/tmp/x\": Operation not permitted; to allow it: syscalls.allow = [\"chown\"]"));
    assert!(
        !["/usr/lib/none", "/usr/bin/perl", "openat path=\"/tmp"].iter().any(|path| outcome.stderr.contains(path)),
        "{outcome}"
    );
}

#[test]
fn a_thing_that_is_asked_for_again_and_again_is_named_once_and_a_flood_is_a_few_lines() {
    let again = told_all("strict").perl("for (1..500) { -e '/etc/hostname' } print 'done'").run().stdout("done");
    assert_eq!(again.stderr.matches("denied call=newfstatat path=\"/etc/hostname\"").count(), 1, "{again}");
    let hidden = told_all("strict").perl("for (1..500) { -e \"/srv/none/$_\" } chown 1, 1, '/x'; print 'done'").run();
    assert_eq!(hidden.stderr.matches("denied call=newfstatat path=\"/srv/none/").count(), 4, "{hidden}");
    assert!(hidden.stdout("done").stderr.contains("denials-left-out="));
    let server = told_all("strict").perl("$| = 1; for (1..5000) { -e \"/x$_\" } print 'done'").listen();
    assert_eq!(server.connect().rest(), "done");
    server.logs("outcome=exited");
    let lines = server.log().lines().filter(|line| line.contains(" denied call=")).count();
    assert!((20..60).contains(&lines), "{lines} lines: {}", server.log());
    assert!(server.log().contains("denials-left-out="), "{}", server.log());
}

#[test]
fn a_peer_that_is_not_forwarded_and_a_socket_that_is_not_shown_are_named() {
    needs!(landlock 4);
    let script = "use Socket; socket(my $s, AF_INET, SOCK_STREAM, 0) or die; connect($s, pack_sockaddr_in(9, inet_aton('127.0.0.1'))); \
                  socket(my $u, AF_UNIX, SOCK_STREAM, 0) or die; connect($u, pack_sockaddr_un('/run/none.sock')); print $!+0";
    let scene = told_all("strict").set("syscalls.allow=[\"default\",\"network-client\",\"unix-client\"]");
    scene
        .perl(script)
        .run()
        .stdout("2")
        .says(
            "denied call=connect address=127.0.0.1 port=9: there is no way to it; \
             to allow it: network.forward = [\"127.0.0.1:9\"]\n",
        )
        .says("denied call=connect path=\"/run/none.sock\": No such file or directory; to allow it: files.write = ");
}

#[test]
fn a_call_of_an_attack_ends_its_process_though_others_are_made() {
    let outcome = told_all("strict").perl("-e '/none'; syscall(101, 0, 0, 0, 0); print 'alive'").run().stdout("");
    outcome.says("denied call=ptrace arguments=0x0,0x0,0x0: its process is killed; to allow it: ");
}
