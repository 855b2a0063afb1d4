// SPDX-License-Identifier: Apache-2.0
//! "It and the processes that make its sandboxes have none of root's rights but those that they use."

use crate::postfix::instance::Postfix;
use crate::postfix::private::in_private;
use crate::scene::stage::{Running, mode, program, room};
use crate::scene::{Client, NOBODY, Scene, arguments, host, patience, scene};
use caps::Capability;
use spawnbox::plan::Capabilities;
use spawnbox::plan::capabilities::{Holder, USES};
use std::process::{Command, Stdio};

/// The capability sets of a process by their names in proc_pid_status(5).
const SETS: [&str; 5] = ["CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"];

fn sets(pid: u32) -> [u64; 5] {
    SETS.map(|name| {
        let set = host::status_of(pid, name).expect("the process lives");
        u64::from_str_radix(&set, 16).expect("a set is a number")
    })
}

/// These, as far as root has them here: what is not there at the start is not there later.
fn here(rights: Capabilities) -> u64 {
    rights.mask() & sets(std::process::id())[1]
}

/// What launchers use of all rights, but for these.
fn of_launchers(unused: &[Capability]) -> u64 {
    here(used_by_launchers(unused))
}

fn used_by_launchers(unused: &[Capability]) -> Capabilities {
    let used =
        USES.iter().filter(|(capability, holder, _)| *holder == Holder::Launcher && !unused.contains(capability));
    used.map(|(capability, _, _)| *capability).collect()
}

/// Nothing that it executes gets more, and it leaves no core.
fn assert_locked(pid: u32) {
    assert_eq!(host::status_of(pid, "NoNewPrivs").as_deref(), Some("1"));
    let core = host::soft_limit(pid, "Max core file size");
    assert!(["0", "1"].contains(&core.as_str()), "{core}");
}

#[test]
fn a_server_of_roots_has_the_rights_that_policies_can_ask_for_and_no_others() {
    needs!(root);
    let server = scene("strict").shell("read line").listen();
    let all = here(Capabilities::of_any_plan());
    assert_eq!(sets(server.pid()), [all, all, 0, all, 0]);
    assert_locked(server.pid());
    // `strict` has no loopback, and forwards nobody.
    let used = of_launchers(&[Capability::CAP_NET_ADMIN, Capability::CAP_NET_BIND_SERVICE]);
    let launcher = host::launcher_of(server.pid());
    assert_eq!(sets(launcher)[..3], [used, used, 0]);
    assert_locked(launcher);
}

#[test]
fn one_command_of_roots_is_run_with_the_rights_that_its_policy_takes() {
    needs!(root);
    let rights = |network: &str| {
        let mut command = Command::new(program("spawnbox"));
        command.args(["run", "-scommand.user=\"nobody\"", network, "--", "/bin/cat"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = Running(command.spawn().expect("the program is there"));
        let _input = running.0.stdin.take();
        host::eventually("the command is there", patience(), || host::tree(running.0.id()).len() == 4);
        assert_locked(running.0.id());
        sets(running.0.id())
    };
    let kill = here([Capability::CAP_KILL].into_iter().collect());
    let without = of_launchers(&[Capability::CAP_NET_ADMIN, Capability::CAP_NET_BIND_SERVICE]) | kill;
    assert_eq!(rights("-snetwork.mode=\"none\""), [without, without, 0, without, 0]);
    let with = of_launchers(&[Capability::CAP_NET_BIND_SERVICE]) | kill;
    assert_eq!(rights("-snetwork.mode=\"loopback\""), [with, with, 0, with, 0]);
}

#[test]
fn a_daemon_of_postfix_can_take_back_no_other_rights() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |_log| {
        let postfix = Postfix::start(&room, "", "echo unix - n n - 0 spawnbox user=nobody argv=/bin/cat\n");
        let mut client = Client::connect(&postfix.socket("echo")).send(b"hello\n");
        assert_eq!(client.line(), "hello");
        let [daemon] = postfix.daemons("echo")[..] else { panic!("one client, one daemon") };
        let kill = here([Capability::CAP_KILL].into_iter().collect());
        let used = of_launchers(&[Capability::CAP_NET_ADMIN, Capability::CAP_NET_BIND_SERVICE]) | kill;
        host::eventually("it is not root", patience(), || sets(daemon)[0] == 0);
        assert_eq!(sets(daemon), [0, used, 0, used, 0]);
        assert_locked(daemon);
        postfix.stop();
    });
}

#[test]
fn an_ordinary_user_has_no_right_before_and_none_afterwards() {
    let server = scene("strict").unprivileged().shell("read line").listen();
    let [effective, permitted, inheritable, _, ambient] = sets(server.pid());
    assert_eq!([effective, permitted, inheritable, ambient], [0; 4]);
    assert_locked(server.pid());
    // In the user namespace of its own, which this is about.
    let used = used_by_launchers(&[Capability::CAP_NET_ADMIN, Capability::CAP_NET_BIND_SERVICE]).mask();
    assert_eq!(sets(host::launcher_of(server.pid()))[..3], [used, used, 0]);
}

#[test]
fn a_right_that_was_given_to_an_ordinary_user_is_kept_and_passed_to_no_program() {
    needs!(root);
    let given = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let rights = ["--inh-caps=+net_bind_service,+sys_time", "--ambient-caps=+net_bind_service,+sys_time"];
    let words: Vec<&str> = given.into_iter().chain(rights).collect();
    // Another run has another address: of the port below 1024 there is one for each.
    let own = std::process::id();
    let address = format!("127.77.{}.{}:1023", own / 250 % 250, own % 250 + 1);
    let server = scene("strict").user("nobody").through(&words).shell("echo hello").listen_on(&address);
    assert_eq!(server.connect().rest(), "hello\n");
    let bind = [Capability::CAP_NET_BIND_SERVICE].into_iter().collect::<Capabilities>().mask();
    let [effective, permitted, inheritable, _, ambient] = sets(server.pid());
    assert_eq!([effective, permitted, inheritable, ambient], [bind, bind, 0, 0]);
}

/// Without each of these something is refused: it is not kept in vain. Not tried: CAP_KILL and CAP_FOWNER, which are
/// used for what there is already, and CAP_SYS_RESOURCE, without which the plan is another one and nothing is refused.
#[test]
fn most_rights_are_used() {
    needs!(root);
    let without = |right: &str, scene: Scene| scene.through(&["setpriv", &format!("--bounding-set=-{right}")]);
    let simple = || scene("strict").command("/bin/true");
    for right in ["sys_admin", "setuid", "setgid", "setpcap"] {
        let found = without(right, simple()).run();
        assert!([1, 2, 125].contains(&found.status.code().unwrap_or(0)), "without {right}: {found}");
    }
    simple().set("network.mode=\"loopback\"").run().exits(0);
    without("net_admin", simple().set("network.mode=\"loopback\"")).run().says("bring loopback up").exits(125);
    let room = room();
    let theirs = room.directory("theirs");
    std::fs::write(theirs.join("file"), "shown\n").expect("the stage can be written");
    mode(&theirs.join("file"), 0o604);
    std::os::unix::fs::chown(&theirs, Some(NOBODY), Some(NOBODY)).expect("root can");
    mode(&theirs, 0o700);
    let path = theirs.join("file").display().to_string();
    let shown = || scene("strict").set(&format!("files.read=[\"{path}\"]")).command(&format!("/bin/cat {path}"));
    shown().run().stdout("shown\n").exits(0);
    let found = without("dac_override,-dac_read_search", shown()).run();
    assert!(found.status.code() != Some(0) && found.stdout.is_empty(), "{found}");
    let listening = |address: &str| {
        arguments(&["listen", address, "--print-port", "--policy=strict", "-scommand.user=nobody", "--", "true"])
    };
    let socket = format!("unix:{},user=nobody", room.path("socket").display());
    drop(listening(&socket).listen_on(&socket));
    without("chown", listening(&socket)).listen_refused().says("Operation not permitted").exits(1);
    // In a network of its own, where nobody has the port.
    let privileged = || listening("0.0.0.0:1").through(&["unshare", "--net"]);
    drop(privileged().listen_on("0.0.0.0:1"));
    without("net_bind_service", privileged()).listen_refused().says("Permission denied").exits(1);
}
