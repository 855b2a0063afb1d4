// SPDX-License-Identifier: Apache-2.0
//! Nothing allocates or frees between the clone and the exec: the program runs under an allocator that aborts then.
//! A child that aborts says nothing and its connection is closed, so each scene here would fail.

use crate::scene::{Scene, scene, stage};
use std::os::unix::process::ExitStatusExt;

fn runs(scene: Scene) {
    scene.guarded().shell("echo whole").run().stdout("whole\n").exits(0);
}

#[test]
fn an_allocation_would_be_noticed() {
    let status = std::process::Command::new(stage::program("guarded")).arg("allocate").status().expect("it is there");
    assert_eq!(status.signal(), Some(nix::libc::SIGABRT));
}

#[test]
fn no_step_of_strict_allocates() {
    runs(scene("strict"));
}

#[test]
fn no_step_of_strict_allocates_for_an_ordinary_user() {
    runs(scene("strict").unprivileged());
}

#[test]
fn no_step_of_compatible_allocates() {
    needs!(root);
    runs(scene("compatible"));
}

#[test]
fn no_step_that_only_some_policies_take_allocates() {
    let all =
        scene("strict").set("network.mode=\"loopback\"").set("files.proc=\"subset\"").set("isolation.unique-pid=true");
    runs(all.set("files.scratch=[{path=\"/tmp\",size=\"64K\",inodes=8},{path=\"/var/tmp\",size=\"64K\",inodes=8}]"));
}

#[test]
fn no_word_about_a_denied_call_allocates() {
    let script = "chown 65534 /tmp && echo granted; echo denied";
    let scene = scene("strict").guarded().set("syscalls.on-deny=report").shell(script);
    scene.run().stdout("denied\n").says(" denied call=fchownat path=\"/tmp\": ");
}

#[test]
fn no_handover_of_a_connection_allocates() {
    let server = scene("strict").guarded().set("command.client-environment=true").shell("echo $TCPREMOTEIP").listen();
    assert_eq!(server.connect().rest(), "127.0.0.1\n");
}

#[test]
fn no_relay_allocates() {
    let forwarding =
        scene("strict").set("network.forward=[\"127.0.0.1:1\"]").set("syscalls.allow=[\"network-client\"]");
    let server = forwarding.clone().guarded().shell("exec 2>&1; echo whole").listen();
    assert_eq!(server.connect().rest(), "whole\n");
    needs!(program "bash");
    let peer = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback is there");
    let port = peer.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        let (length, client) = peer.recv_from(&mut [0; 9]).expect("it is asked");
        peer.send_to(&b"whole\n"[..length], client)
    });
    let script = format!("exec 3<>/dev/udp/127.0.0.1/{port}; echo 12345 >&3; dd bs=9 count=1 status=none <&3");
    let datagrams = forwarding.set(&format!("network.forward=[\"udp:127.0.0.1:{port}\"]"));
    datagrams.guarded().argv(&["/bin/bash", "-c", &script]).run().stdout("whole\n");
}

#[test]
fn no_failure_allocates() {
    scene("strict").guarded().argv(&["/bin/sh/none"]).run().says("cannot execute the command");
}
