// SPDX-License-Identifier: Apache-2.0
//! The services, each with what its administrator puts in place and the work that it does.

use super::service::Service;
use super::talk::{Then, ask, heard, next_hop};
use crate::postfix::private::{Log, attach};
use crate::scene::stage::{Room, mode};
use crate::scene::{Server, a_second, patience};
use nix::mount::MsFlags;
use nix::unistd::{User, chown};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub(super) const ALL: &[fn() -> Service] = &[
    policyd_spf,
    policyd_spf_perl,
    greylist,
    tcp_table,
    socketmap,
    smtp_filter,
    spamc,
    quota,
    git_daemon,
    fingerd,
    challenge,
];

/// One with nothing in place and no work.
fn service(policy: &'static str, work: fn(&Server, &Log) -> Result<(), String>) -> Service {
    Service { policy, argv: &[], user: None, accounts: &[], state: None, files: &[], prepare: |_| (), work }
}

/// A question of smtpd(8), as SMTPD_POLICY_README has it.
fn question(more: &str) -> String {
    format!(
        "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nhelo_name=open.example\n\
         client_address=192.0.2.7\nclient_name=unknown\nsender=a@open.example\nrecipient=b@here.example\n\
         instance=1.2.3\n{more}\n\n"
    )
}

/// Another header than by default, so that what is asked for shows that the file was read.
fn configure_policyd_spf(room: &Room) {
    let own = room.directory("policyd-spf");
    let text = "Header_Type = AR\nAuthserv_Id = here.example\nHELO_reject = Fail\nMail_From_reject = Fail\n";
    room.file("policyd-spf/policyd-spf.conf", text);
    attach(&own, Path::new("/etc/postfix-policyd-spf-python"), None, MsFlags::MS_BIND);
}

pub(super) fn policyd_spf() -> Service {
    let work = |server: &Server, log: &Log| {
        ask(server, &question("size=9"), Then::Wait, "Authentication-Results: here.example; spf=pass")?;
        heard(log, "192.0.2.7")
    };
    Service { prepare: configure_policyd_spf, ..service("policyd-spf", work) }
}

pub(super) fn policyd_spf_perl() -> Service {
    let work = |server: &Server, log: &Log| {
        ask(server, &question("size=9"), Then::Wait, "Received-SPF: pass")?;
        heard(log, "192.0.2.7")
    };
    Service { ..service("policyd-spf-perl", work) }
}

/// The example that comes with Postfix, with the settings that its comments ask for.
fn install_greylist(_: &Room) {
    let text = fs::read_to_string("/usr/share/doc/postfix/examples/smtpd-policy/greylist.pl").expect("it is installed");
    let text = text.replace("/postfix/greylist.db", "/greylist/greylist.db").replace("delay=60", "delay=0");
    let program = Path::new("/usr/local/lib/spawnbox/greylist.pl");
    fs::write(program, text).expect("the scene's directory can be written");
    mode(program, 0o755);
}

pub(super) fn greylist() -> Service {
    let work = |server: &Server, log: &Log| {
        // Whom the database has not seen with another server.
        let question = question("size=9").replace("a@open", &format!("{}@open", server.pid()));
        ask(server, &question, Then::Wait, "action=defer_if_permit Service is unavailable")?;
        // It counts whole seconds, and lets pass from the second one on.
        let deadline = Instant::now() + 5 * a_second();
        loop {
            match ask(server, &question, Then::Wait, "\n\n") {
                Ok(answer) if answer.contains("action=dunno") => return heard(log, "client_address=192.0.2.7"),
                Ok(answer) if Instant::now() > deadline => return Err(format!("still {answer:?}")),
                Ok(_) => std::thread::park_timeout(Duration::from_millis(200)),
                Err(why) => return Err(why),
            }
        }
    };
    Service {
        // It says what it is asked.
        argv: &["/usr/local/lib/spawnbox/greylist.pl", "-v"],
        accounts: &["greylist"],
        state: Some("greylist"),
        prepare: install_greylist,
        ..service("greylist", work)
    }
}

const ROWS: &str = "key value\n";

pub(super) fn tcp_table() -> Service {
    let work = |server: &Server, log: &Log| {
        ask(server, "get key\n", Then::Wait, "200 PREPEND%20X-Table:%20value\n")?;
        heard(log, "connected")
    };
    Service {
        user: Some("nobody"),
        argv: &["/usr/local/lib/spawnbox/table.sh"],
        files: &[("table.sh", include_str!("../programs/table.sh")), ("table", ROWS)],
        ..service("tcp-table", work)
    }
}

pub(super) fn socketmap() -> Service {
    let work = |server: &Server, log: &Log| {
        ask(server, "9:table key,", Then::Wait, "OK PREPEND X-Table: value,")?;
        heard(log, "connected")
    };
    Service {
        user: Some("nobody"),
        files: &[("socketmap.pl", include_str!("../programs/socketmap.pl")), ("table", ROWS)],
        ..service("socketmap", work)
    }
}

pub(super) fn smtp_filter() -> Service {
    let work = |server: &Server, log: &Log| {
        // The relay is there, and hangs up where the next hop is not.
        ask(server, "", Then::Wait, "421 4.3.0 the next hop hung up")?;
        heard(log, "the next hop hung up")?;
        let hop = next_hop();
        // More than a sandbox has room for by default.
        let body = format!("{}\r\n", "x".repeat(998)).repeat(20_000);
        let mail =
            format!("EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: x\r\n\r\n{body}.\r\nQUIT\r\n");
        let answered = ask(server, &mail, Then::Wait, "221 bye");
        let taken = hop.join().unwrap_or_default();
        answered?;
        match taken.starts_with("X-Filter: passed\nSubject: x\n") && taken.len() > 999 * 20_000 {
            true => Ok(()),
            false => Err(format!("the next hop has {} bytes", taken.len())),
        }
    };
    Service {
        accounts: &["filter"],
        argv: &["/usr/local/lib/spawnbox/filter.pl", "127.0.0.1", "10026"],
        files: &[("filter.pl", include_str!("../programs/filter.pl"))],
        ..service("smtp-filter", work)
    }
}

/// What spamd(8) answers, see spamd/PROTOCOL of SpamAssassin: the message, with a header before it.
fn serve_spamd(room: &Room) {
    let path = room.path("spamd.sock");
    let listener = UnixListener::bind(&path).expect("the stage can be written");
    mode(&path, 0o666);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let mut request = String::new();
            let _ = client.read_to_string(&mut request);
            let Some((_, message)) = request.split_once("\r\n\r\n") else { continue };
            let marked = format!("X-Spam-Flag: YES\r\n{message}");
            let head =
                format!("SPAMD/1.1 0 EX_OK\r\nContent-length: {}\r\nSpam: True ; 9.0 / 5.0\r\n\r\n", marked.len());
            let _ = client.write_all((head + &marked).as_bytes());
        }
    });
    let run = room.directory("run");
    fs::write(run.join("spamd.sock"), "").expect("the stage can be written");
    attach(&path, &run.join("spamd.sock"), None, MsFlags::MS_BIND);
    attach(&run, Path::new("/run"), None, MsFlags::MS_BIND | MsFlags::MS_REC);
}

pub(super) fn spamc() -> Service {
    let work = |server: &Server, _: &Log| {
        ask(server, "Subject: x\r\n\r\nhello\r\n", Then::Close, "X-Spam-Flag: YES").map(drop)
    };
    Service { prepare: serve_spamd, ..service("spamc", work) }
}

/// A mailbox with room and one without, which only the mail store's own user may look at.
fn fill_mailboxes(room: &Room) {
    let user = User::from_name("vmail").expect("accounts can be read").expect("the account is there");
    let store = room.directory("vmail");
    let own = |path: &Path, bits: u32| {
        mode(path, bits);
        chown(path, Some(user.uid), Some(user.gid)).expect("root may give files away");
    };
    room.directory("vmail/here.example");
    for (name, used) in [("b", 10), ("full", 990)] {
        let mailbox = room.directory(&format!("vmail/here.example/{name}"));
        let file = room.file(&format!("vmail/here.example/{name}/maildirsize"), &format!("1000S\n{used} 1\n"));
        own(&file, 0o600);
        own(&mailbox, 0o700);
    }
    own(&store.join("here.example"), 0o700);
    own(&store, 0o700);
    let var = room.directory("var");
    for entry in fs::read_dir("/var").expect("there is /var") {
        let name = entry.expect("it can be read").file_name();
        let target = var.join(&name);
        if fs::metadata(Path::new("/var").join(&name)).is_ok_and(|found| found.is_dir()) {
            fs::create_dir(&target).expect("the stage can be written");
            attach(&Path::new("/var").join(&name), &target, None, MsFlags::MS_BIND | MsFlags::MS_REC);
        }
    }
    let target = var.join("vmail");
    let _ = fs::create_dir(&target);
    attach(&store, &target, None, MsFlags::MS_BIND);
    attach(&var, Path::new("/var"), None, MsFlags::MS_BIND | MsFlags::MS_REC);
}

pub(super) fn quota() -> Service {
    let work = |server: &Server, log: &Log| {
        let ask_for = |name: &str, answer: &str| {
            let question = question("size=100").replace("b@here", &format!("{name}@here"));
            ask(server, &question, Then::Wait, answer)
        };
        ask_for("full", "action=REJECT 5.2.2 mailbox full")?;
        ask_for("b", "action=DUNNO")?;
        heard(log, "mailbox full")
    };
    Service {
        accounts: &["vmail"],
        files: &[("quota.pl", include_str!("../programs/quota.pl"))],
        prepare: fill_mailboxes,
        ..service("quota", work)
    }
}

/// Runs a program that has to succeed, without the settings of whoever runs the tests.
fn must(words: &[&str]) {
    let done = Command::new(words[0]).args(&words[1..]).env("HOME", "/nonexistent").output();
    let done = done.unwrap_or_else(|error| panic!("{}: {error}", words[0]));
    assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A directory at a place below /srv.
fn in_srv(room: &Room, name: &str) -> PathBuf {
    let srv = room.directory("srv");
    room.directory(&format!("srv/{name}"));
    attach(&srv, Path::new("/srv"), None, MsFlags::MS_BIND);
    Path::new("/srv").join(name)
}

fn make_repository(room: &Room) {
    in_srv(room, "git");
    must(&["/usr/bin/git", "init", "-q", "--bare", "/srv/git/it.git"]);
    let commit = "/usr/bin/git -C /srv/git/it.git -c user.name=a -c user.email=a@b.example commit-tree -m first \
        $(/usr/bin/git -C /srv/git/it.git mktree </dev/null)";
    let script = format!("/usr/bin/git -C /srv/git/it.git update-ref HEAD $({commit})");
    must(&["/bin/sh", "-c", &script]);
}

pub(super) fn git_daemon() -> Service {
    let work = |server: &Server, _: &Log| {
        let url = format!("git://{}/it.git", server.address());
        let mut git = Command::new("/usr/bin/timeout");
        git.arg(patience().as_secs().to_string()).args(["/usr/bin/git", "ls-remote", "--exit-code", &url, "HEAD"]);
        let listed = git.env("HOME", "/nonexistent").stdin(Stdio::null()).output().expect("git is there");
        let fetched = Command::new("/usr/bin/timeout")
            .arg(patience().as_secs().to_string())
            .args(["/usr/bin/git", "clone", "-q", "--bare", &url])
            .arg(format!("/srv/clone-{}", server.pid()))
            .env("HOME", "/nonexistent")
            .output()
            .expect("git is there");
        match listed.status.success() && fetched.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&fetched.stderr).into_owned()),
        }
    };
    Service { prepare: make_repository, ..service("git-daemon", work) }
}

pub(super) fn fingerd() -> Service {
    let work = |server: &Server, _: &Log| ask(server, "vmail\r\n", Then::Wait, "Login: vmail").map(drop);
    Service { accounts: &["vmail"], ..service("fingerd", work) }
}

fn build_challenge(room: &Room) {
    let directory = in_srv(room, "challenge");
    let source = room.file("challenge.c", include_str!("../programs/challenge.c"));
    let program = directory.join("run");
    must(&["cc", "-w", "-o", &program.display().to_string(), &source.display().to_string()]);
    mode(&program, 0o755);
    fs::write(directory.join("flag"), "flag{of this test}\n").expect("the stage can be written");
    mode(&directory.join("flag"), 0o644);
}

pub(super) fn challenge() -> Service {
    let work = |server: &Server, _: &Log| {
        let too_long = format!("{}/bin/cat /srv/challenge/flag\0", "x".repeat(16));
        ask(server, &too_long, Then::Wait, "flag{of this test}").map(drop)
    };
    Service { prepare: build_challenge, ..service("challenge", work) }
}
