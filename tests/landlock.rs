// SPDX-License-Identifier: Apache-2.0
//! Landlock, ABI by ABI: every older kernel's, up to the one that runs, is used as far as it goes; and what the newest
//! ones have is enforced where they have it.

use crate::scene::{Scene, arguments, needs, scene, stage};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::path::Path;

/// On a kernel whose Landlock is no newer than this.
fn older(abi: u32, scene: Scene) -> Scene {
    scene.failing(&format!("landlock={abi}"))
}

/// A command in the host's network that may connect to these ports alone.
fn client(ports: &str) -> Scene {
    scene("strict")
        .set("network.mode=host")
        .set("network.udp={ports=\"any\"}")
        .set("syscalls.allow=[\"network-client\"]")
        .set(&format!("network.connect={{ports={ports}}}"))
}

fn asked(scene: Scene, question: &str) -> String {
    scene.probe(question).run().exits(0).answer(question).to_string()
}

#[test]
fn every_abi_is_used_as_far_as_it_goes() {
    needs!(root);
    let listener = TcpListener::bind("127.0.0.1:0").expect("the host has a loopback");
    let address = listener.local_addr().expect("it is bound");
    for abi in 1..=needs::landlock_abi() {
        let page = older(abi, scene("strict")).shell("id").explain(&[]).exits(0);
        assert!(page.stdout.contains(&format!("Landlock ABI {abi};")), "{page}");
        // A right or a flag that this ABI has not would be refused.
        older(abi, scene("strict")).shell("echo runs").run().line("runs").exits(0);
        let connect = format!("connect {address}");
        if abi < 4 {
            let words = format!("network.connect lists ports, which needs Landlock ABI 4; this kernel has {abi}");
            older(abi, client("[1]")).probe(&connect).run().says(&words).exits(2);
        } else {
            assert_eq!(asked(older(abi, client("[1]")), &connect), "EACCES", "ABI {abi}");
            assert_eq!(asked(older(abi, client(&format!("[{}]", address.port()))), &connect), "ok", "ABI {abi}");
        }
    }
}

#[test]
fn a_kernel_without_landlock_is_refused_unless_the_policy_does_without() {
    needs!(root);
    let none = |scene: Scene| scene.failing("landlock_create_ruleset=EOPNOTSUPP").shell("echo never");
    none(scene("strict")).run().says("this kernel has no Landlock").says("boot with landlock in lsm=").exits(2);
    none(scene("strict").set("isolation.landlock=off")).run().line("never").exits(0);
}

#[test]
fn a_udp_port_that_is_not_granted_is_out_of_reach() {
    needs!(root);
    needs!(landlock 10);
    let receiver = UdpSocket::bind("127.0.0.1:0").expect("the host has a loopback");
    let address = receiver.local_addr().expect("it is bound");
    let send = |ports: String| {
        let client = client("[]").set(&format!("network.udp={{ports={ports}}}"));
        asked(client, &format!("udp {address}"))
    };
    assert_eq!(send("[1]".to_string()), "EACCES");
    assert_eq!(send(format!("[{}]", address.port())), "ok");
}

/// What `check` says of a TCP connection, which such a command could make one of its own of.
#[test]
fn where_nothing_holds_connect_the_start_is_refused_in_the_words_of_check() {
    needs!(root);
    needs!(landlock 4);
    let room = stage::room();
    let text = "version = 1\nextends = [\"strict\"]\n[command]\nuser = \"nobody\"\nargv = [\"/bin/true\"]\n\
                [syscalls]\nallow = [\"unix-client\"]\n";
    let policy = room.file("own.toml", text).display().to_string();
    let refusal = |words: &[&str]| {
        let outcome = older(3, arguments(words)).run().exits(2);
        let said = outcome.stderr.find("the system call connect is allowed, and nothing keeps it from ");
        let said = &outcome.stderr[said.unwrap_or_else(|| panic!("{outcome}"))..];
        said.split([';', '\n']).next().unwrap_or_default().to_string()
    };
    let checked = refusal(&["check", &policy]);
    assert_eq!(refusal(&["listen", "127.0.0.1:0", "--policy", &policy]), checked);
    // It has none where clients come over UNIX sockets alone, and is served.
    let address = format!("unix:{}", room.path("socket").display());
    older(3, scene("default").policy_file(Path::new(&policy))).listen_on(&address).connect().rest();
}

/// Before ABI 9 nothing keeps the command from it, and `explain` says so.
#[test]
fn a_unix_socket_that_the_command_may_only_read_is_out_of_reach_or_said_to_be_open() {
    needs!(root);
    let room = stage::room();
    let path = room.path("socket");
    let _listener = UnixListener::bind(&path).expect("the room can be written");
    stage::mode(&path, 0o777);
    let shown = |key: &str| {
        // Below ABI 4 nothing would hold connect(2) to UNIX sockets.
        let scene = scene("strict").set("syscalls.allow=[\"unix-client\"]").set("network.connect={ports=\"any\"}");
        scene.set(&format!("files.{key}=[{:?}]", room.whole()))
    };
    let question = format!("unix {}", path.display());
    let held = needs::landlock_abi() >= 9;
    assert_eq!(asked(shown("read"), &question), if held { "EACCES" } else { "ok" });
    assert_eq!(asked(shown("write"), &question), "ok");
    let page = shown("read").shell("id").explain(&[]).exits(0);
    assert_eq!(page.stdout.contains("only Landlock ABI 9"), !held, "{page}");
}
