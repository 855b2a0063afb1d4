// SPDX-License-Identifier: Apache-2.0
//! The level that takes nothing of a host but Landlock and seccomp: what it promises, tried by whoever would break it,
//! and what ends a session where neither a control group nor a PID namespace does.

use crate::scene::{Scene, Server, a_second, host, scene, soon, stage};
use nix::sys::signal::Signal;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

const LEVEL: &str = "isolation.level=landlock-only";

fn alone() -> Scene {
    scene("strict").set(LEVEL)
}

/// Where no control group can be made: for an ordinary user there is none, and from root it is hidden.
fn without_control_groups() -> Vec<Scene> {
    let hidden = "mount -t tmpfs none /sys/fs/cgroup && exec \"$@\"";
    let around = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", hidden, "sh"];
    let root = host::is_root().then(|| alone().through(&around));
    std::iter::once(alone().unprivileged()).chain(root).collect()
}

/// Double forks for ever: each child leaves its parent's session and group, and the parent ends. There are always as
/// many as there were first, and none of them is anywhere for long.
const CHAINS: &str = "$| = 1; for (1 .. 8) { next if fork; while (1) { exit if fork; syscall 112 } } print qq(ready\\n); \
                      sleep 1000";

/// A word that no other process has in its command line, nor those of another run of the tests.
fn marked(what: &str, number: usize) -> String {
    format!("mark-{what}-{number}-of-{}-", std::process::id())
}

/// A session of chains of which nothing may be left, and their mark.
fn storm(scene: Scene, mark: &str) -> (Server, crate::scene::Client) {
    let server = scene.argv(&["/usr/bin/perl", "-e", CHAINS, mark]).listen();
    let mut client = server.connect();
    assert_eq!(client.line(), "ready");
    (server, client)
}

/// Whether the command line of a process begins with perl's, and has the mark: not that of the supervisor.
fn left_of(mark: &str) -> usize {
    host::processes(mark).into_iter().filter(|pid| host::command_line(*pid).starts_with("/usr/bin/perl")).count()
}

#[test]
fn what_forks_for_ever_ends_with_its_time_limit() {
    needs!(landlock 6);
    for (number, scene) in without_control_groups().into_iter().enumerate() {
        let mark = marked("chains-limit", number);
        // Eight chains leave it little of the processor before they are ready.
        let limit = format!("limits.time=\"{}s\"", 5 * a_second().as_secs());
        let (server, client) = storm(scene.set(&limit), &mark);
        let line = server.logs("outcome=time-limit");
        host::eventually(&format!("all chains have ended: {line}"), soon(), || left_of(&mark) == 0);
        assert_eq!(client.rest(), "");
    }
}

#[test]
fn what_forks_for_ever_ends_with_its_killed_supervisor() {
    needs!(landlock 6);
    for (number, scene) in without_control_groups().into_iter().enumerate() {
        let mark = marked("chains-killed", number);
        let (server, client) = storm(scene, &mark);
        server.signal(Signal::SIGKILL);
        host::eventually("all chains have ended", soon(), || left_of(&mark) == 0);
        assert_eq!(client.rest(), "");
    }
}

#[test]
fn what_has_run_away_or_stopped_itself_ends_with_the_command_and_a_neighbour_goes_on() {
    needs!(landlock 6);
    let probe = stage::program("probe").display().to_string();
    for (number, scene) in without_control_groups().into_iter().enumerate() {
        let mark = marked("run-away", number);
        let server = scene.probe(&format!("ignore , escape , escape stopped , say ready {mark} , line")).listen();
        let (mut first, mut second) = (server.connect(), server.connect());
        let ready = format!("ready {mark}");
        assert_eq!([first.line(), second.line()], [ready.clone(), ready]);
        let left = || host::processes(&mark).into_iter().filter(|pid| host::command_line(*pid).starts_with(&probe));
        assert_eq!(left().count(), 6, "a command and two that have run away, twice");
        writeln!(first, "end").expect("it reads");
        assert_eq!(first.rest(), "line: end\n");
        host::eventually("those of the first are gone, and no others", soon(), || left().count() == 3);
        writeln!(second, "end").expect("it reads");
        assert_eq!(second.rest(), "line: end\n");
        host::eventually("those of the second are gone", soon(), || left().count() == 0);
    }
}

#[test]
fn nobody_outside_is_signalled_or_limited() {
    needs!(landlock 6);
    let mut neighbour = Neighbour::start();
    for scene in [alone(), alone().unprivileged()] {
        let pid = neighbour.pid();
        let found = scene.clone().probe(&format!("kill {pid} 9 , kill {pid} 0")).run();
        for attempt in ["kill {} 9", "kill {} 0"] {
            let attempt = attempt.replace("{}", &pid.to_string());
            assert_eq!(found.answer(&attempt), "EPERM", "{found}");
        }
        let limit = format!("my $l = pack('QQ', 9, 9); print syscall(302, {pid}, 7, $l, 0) == -1 ? $!+0 : 'done'");
        scene.clone().perl(&limit).run().stdout("1");
        // The reaper is the parent: neither a signal nor a stop gets there.
        scene.shell("kill -STOP $PPID; kill -KILL $PPID; echo here").run().line("here").exits(0);
    }
    assert!(neighbour.lives());
}

/// A process outside, of one user with the command, as the supervisor itself is where nobody is root.
struct Neighbour(std::process::Child);

impl Neighbour {
    fn start() -> Neighbour {
        let become_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        let wrapping: &[&str] = if host::is_root() { &become_nobody } else { &["env"] };
        let mut command = Command::new(wrapping[0]);
        command.args(&wrapping[1..]).args(["sleep", "1000"]);
        Neighbour(command.stdin(Stdio::null()).spawn().expect("it starts"))
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().expect("it is our child").is_none()
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_file_that_is_not_listed_is_neither_read_nor_changed_though_it_is_the_users_own() {
    needs!(root);
    needs!(landlock 6);
    let room = stage::room();
    stage::mode(room.whole(), 0o777);
    let (own, listed) = (room.file("own", "secret"), room.file("listed", "open"));
    for file in [&own, &listed] {
        std::os::unix::fs::chown(file, Some(crate::scene::NOBODY), Some(crate::scene::NOBODY)).expect("root may");
    }
    let (own, listed) = (own.display().to_string(), listed.display().to_string());
    for scene in [alone(), alone().unprivileged()] {
        let actions = format!(
            "read {own} , chmod {own} 777 , fill {own} 1 , remove {own} , list / , read {listed} , read /proc/self/status , \
             mkdir /tmp/new , execute /usr/sbin/nologin"
        );
        let found = scene.set(&format!("files.read=[\"{listed}\"]")).probe(&actions).run();
        for attempt in [
            format!("read {own}"),
            format!("fill {own} 1"),
            format!("remove {own}"),
            "list /".into(),
            "read /proc/self/status".into(),
            "mkdir /tmp/new".into(),
            "execute /usr/sbin/nologin".into(),
        ] {
            assert_eq!(found.answer(&attempt), "EACCES", "{found}");
        }
        // Landlock has no right for it; the filter has.
        assert_eq!(found.answer(&format!("chmod {own} 777")), "EPERM", "{found}");
        assert_eq!(found.answer(&format!("read {listed}")), "open", "{found}");
    }
    // Landlock opens what is listed, and has no right for what is beside a file's bytes: fchmod, getxattr.
    let beside = format!(
        "open(my $f, '<', '{listed}') or die; print syscall(91, fileno($f), 0777) == -1 ? $!+0 : 'done'; \
         my ($path, $name, $value) = ('{own}', 'user.spawnbox', ' ' x 9); \
         print ' ', syscall(191, $path, $name, $value, 9) == -1 ? $!+0 : 'done'"
    );
    let command = alone().set(&format!("files.read=[\"{listed}\"]"));
    command.perl(&beside).run().stdout(&format!("{} {}", nix::libc::EPERM, nix::libc::ENOTSUP));
    let left = std::fs::metadata(&listed).expect("it is there still");
    assert_eq!(left.permissions().mode() & 0o777, 0o644);
    let left = std::fs::metadata(&own).expect("it is there still");
    assert_eq!((left.len(), left.permissions().mode() & 0o777), (6, 0o644));
}

#[test]
fn it_is_what_a_container_without_privileges_can_have() {
    needs!(landlock 6);
    // What an engine's filter answers to whoever has no CAP_SYS_ADMIN.
    let refusals = "clone3=ENOSYS unshare=EPERM setns=EPERM mount=EPERM pivot_root=EPERM open_tree=EPERM move_mount=EPERM \
                    fsopen=EPERM keyctl=EPERM clone@0:0x10000000=EPERM";
    for scene in [scene("strict"), scene("strict").unprivileged()] {
        let scene = scene.failing(refusals);
        scene.clone().shell("echo never").run().says("namespace cannot be made").exits(2);
        scene.set(LEVEL).shell("echo here").run().stdout("here\n").exits(0);
    }
}

#[test]
fn a_landlock_that_only_says_it_was_enforced_is_found_before_anybody_is_killed() {
    needs!(root);
    needs!(landlock 6);
    let mut neighbour = Neighbour::start();
    for scene in without_control_groups() {
        let refused = scene.failing("landlock_restrict_self=done").shell("echo never").listen_refused();
        refused.says("cannot prove the sandbox in the self-test: ").exits(1);
    }
    assert!(neighbour.lives());
}

#[test]
fn what_the_level_does_not_hold_is_said_and_what_it_cannot_have_is_refused() {
    needs!(landlock 6);
    let page = alone().unprivileged().shell("true").explain(&[]).exits(0);
    for words in [
        "landlock-only: no namespace and no mount",
        "every file can be seen to be there",
        "at landlock-only, without what is off below",
        "which says of itself: an almost empty root",
        "process ids are the host's, and can be held by a descriptor",
        "nothing holds addresses",
        "nothing counts those of one session",
        "nothing can be written there",
        "by the reaper, which kills all of its Landlock domain in one call",
    ] {
        let joined = page.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(joined.contains(words), "{words:?} is not in {page}");
    }
    for (setting, words) in [
        ("network.mode=loopback", "network.mode = \"loopback\" exclude each other"),
        ("files.root=host", "files.root = \"host\" exclude each other"),
        ("files.proc=subset", "files.proc needs "),
        ("isolation.landlock=off", "isolation.landlock = \"off\" exclude each other"),
        ("isolation.seccomp=off", "isolation.seccomp = \"off\" exclude each other"),
    ] {
        alone().unprivileged().set(setting).shell("true").run().says(words).exits(2);
    }
    if host::is_root() {
        let older = alone().failing("landlock=5").shell("true").run();
        older.says("isolation.level = \"landlock-only\" cannot be had here, which needs: Landlock ABI 6").exits(2);
        // Landlock ABI 9 has a right for it.
        let connecting = alone().failing("landlock=6").set("syscalls.allow=[\"unix-client\"]").shell("true").run();
        connecting.says("connects to UNIX sockets by path (before Landlock ABI 9) exclude each other").exits(2);
    }
    scene("strict")
        .unprivileged()
        .set("isolation.level=full")
        .shell("true")
        .run()
        .says("to be started as root")
        .exits(2);
}

#[test]
fn doctor_names_the_level_that_there_is() {
    needs!(root);
    needs!(landlock 6);
    let outcome = crate::scene::arguments(&["doctor"]).failing("unshare=EPERM move_mount=EPERM").run();
    outcome.prints("landlock-only: no namespace and no mount").prints("userns needs: the mount namespace");
}
