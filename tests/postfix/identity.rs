// SPDX-License-Identifier: Apache-2.0
//! As whom the daemon works: "This program needs root privilege in order to execute external commands as the specified
//! user", says spawn(8), and it has the mail owner's effective ids all other time.

use super::instance::{Postfix, Spawner};
use super::private::in_private;
use crate::scene::stage::room;
use crate::scene::{Client, host, patience};

/// The daemon's ids and rights, once it is not root any more: both are for the moment in which they make or end a
/// command.
fn ids(daemon: u32) -> Vec<String> {
    let effective = || host::status_of(daemon, "Uid").and_then(|ids| Some(ids.split('\t').nth(1)?.to_string()));
    host::eventually("it is not root", patience(), || effective().is_some_and(|uid| uid != "0"));
    ["Uid", "Gid", "Groups", "CapEff"].map(|name| host::status_of(daemon, name).expect("the daemon lives")).to_vec()
}

#[test]
fn the_daemon_works_as_the_mail_owner_while_it_waits_and_while_it_serves() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |_log| {
        let entry = |spawner: Spawner| {
            let name = spawner.name();
            format!("echo-{name} unix - n n - 0 {name} user=nobody argv=/bin/cat\n")
        };
        let both = [Spawner::Ours, Spawner::Theirs];
        let postfix = Postfix::start(&room, "", &both.map(entry).concat());
        let [ours, theirs] = both.map(|spawner| {
            let service = format!("echo-{}", spawner.name());
            let mut client = Client::connect(&postfix.socket(&service)).send(b"hello\n");
            assert_eq!(client.line(), "hello");
            let [daemon] = postfix.daemons(&service)[..] else { panic!("one client, one daemon") };
            let serving = ids(daemon);
            assert_eq!(client.finish().rest(), "");
            host::eventually("the daemon is idle", patience(), || host::children(daemon).len() <= 1);
            (serving, ids(daemon))
        });
        assert!(ours.1[0].starts_with("0\t"), "{ours:?}");
        assert_eq!(ours, theirs);
        postfix.stop();
    });
}

#[test]
fn no_cgroup_of_a_session_is_left_behind_by_a_daemon_without_roots_rights() {
    needs!(root);
    needs!(cgroup);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |log| {
        let entry = "quick unix - n n - 1 spawnbox -o quick_time_limit=3 user=nobody argv=/bin/sleep 60\n";
        let postfix = Postfix::start(&room, "", entry);
        let client = Client::connect(&postfix.socket("quick"));
        host::eventually("the daemon is there", patience(), || postfix.daemons("quick").len() == 1);
        let daemon = postfix.daemons("quick")[0];
        host::eventually("the command is there", patience(), || host::children(daemon).len() == 2);
        let of = |pid: &u32| host::cgroup_of(*pid).filter(|path| path.to_string_lossy().contains("spawnbox-"));
        let cgroups: Vec<_> = host::tree(daemon).iter().filter_map(of).collect();
        assert!(!cgroups.is_empty(), "the command is in no cgroup of ours");
        assert_eq!(client.rest(), "");
        log.says("warning: command /bin/sleep killed by signal 9");
        for cgroup in cgroups {
            assert!(!cgroup.exists(), "{}", cgroup.display());
        }
        assert!(!log.text().contains("cannot"), "{}", log.text());
        postfix.stop();
    });
}

#[test]
fn a_policy_gives_each_client_a_user_id_of_its_own_where_the_entry_names_no_user() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |log| {
        let text = "version = 1\nextends = [\"strict\"]\n[command]\nuser = { range = \"61320-61339\" }\n";
        let policy = room.file("each.toml", text).display().to_string();
        let entry = |name: &str, user: &str| {
            format!("{name} unix - n n - 0 spawnbox -o {name}_concurrency=9 {user} policy={policy} argv=/bin/cat\n")
        };
        let postfix = Postfix::start(&room, "", &(entry("each", "") + &entry("both", "user=nobody")));
        let served = || {
            let mut client = Client::connect(&postfix.socket("each")).send(b"hello\n");
            assert_eq!(client.line(), "hello");
            client
        };
        let clients = [served(), served()];
        let [daemon] = postfix.daemons("each")[..] else { panic!("two clients, one daemon") };
        let commands = host::tree(daemon).into_iter().filter(|pid| host::command_line(*pid).starts_with("/bin/cat"));
        let uids: Vec<String> = commands.map(|pid| host::status_of(pid, "Uid").expect("it serves")).collect();
        assert!(matches!(&uids[..], [one, other] if one != other && one.starts_with("613")), "{uids:?}");
        drop(clients);
        assert_eq!(Client::connect(&postfix.socket("both")).rest(), "");
        log.says("the policy gives each session a user id of its own, and user= of master.cf names one for all");
        postfix.stop();
    });
}
