// SPDX-License-Identifier: Apache-2.0
//! Names that somebody exchanges while they are looked at: what a policy shows, and the policy itself. Whatever is seen
//! is what may be seen, or nothing.

use crate::scene::{host, patience, scene, stage};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Exchanges two names until it is dropped.
struct Exchange {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl Exchange {
    fn begin(one: PathBuf, other: PathBuf) -> Exchange {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut count = 0;
            while !seen.load(Ordering::Relaxed) {
                renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).expect("two names can be exchanged");
                count += 1;
                std::thread::yield_now();
            }
            count
        });
        Exchange { stop, thread: Some(thread) }
    }

    fn end(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let count = self.thread.take().expect("it was begun").join().expect("it does not panic");
        assert!(count > 10, "only {count} times");
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn directory(room: &stage::Room, name: &str, file: &str) -> PathBuf {
    let path = room.directory(name);
    std::fs::write(path.join(file), "").expect("the stage can be written");
    path
}

/// A directory that is shown, exchanged with a link to one that is not, while sessions and launchers come and go.
#[test]
fn a_shown_directory_that_is_exchanged_with_a_link_shows_nothing_else() {
    needs!(root);
    let room = stage::room();
    let shown = directory(&room, "shown", "good");
    let secret = directory(&room, "secret", "never");
    let link = room.path("link");
    symlink(&secret, &link).expect("a link can be made");
    let setting = format!("files.read=[\"{}\"]", shown.display());
    let looking = scene("strict").set(&setting).probe(&format!("list {}", shown.display()));
    let server = looking.listen();
    let exchange = Exchange::begin(shown.clone(), link.clone());
    for round in 0..40 {
        let seen = server.connect().rest();
        assert!(!seen.contains("never"), "what no policy shows: {seen}");
        if round % 10 == 9 {
            // The next launcher looks at the names again.
            let launcher = nix::unistd::Pid::from_raw(host::children(server.pid())[0] as i32);
            nix::sys::signal::kill(launcher, nix::sys::signal::Signal::SIGKILL).expect("root may");
        }
    }
    exchange.end();
    if std::fs::symlink_metadata(&shown).expect("it is there").is_symlink() {
        renameat_with(CWD, &shown, CWD, &link, RenameFlags::EXCHANGE).expect("two names can be exchanged");
    }
    host::eventually("the directory is shown again", patience(), || server.connect().rest().contains("good"));
}

/// The same while programs start: each serves what may be seen, or is refused in words.
#[test]
fn a_start_in_the_middle_of_an_exchange_shows_what_may_be_seen_or_is_refused() {
    needs!(root);
    let room = stage::room();
    let (shown, secret) = (directory(&room, "shown", "good"), directory(&room, "secret", "never"));
    let link = room.path("link");
    symlink(&secret, &link).expect("a link can be made");
    let setting = format!("files.read=[\"{}\"]", shown.display());
    let exchange = Exchange::begin(shown.clone(), link);
    for _ in 0..15 {
        // A link that is there from the start on is the operator's, and leads where it leads: not so one that comes
        // later.
        match scene("strict").set(&setting).probe(&format!("list {}", shown.display())).listen_if_it_can() {
            Ok(server) => {
                let seen = server.connect().rest();
                let shown = seen.split_whitespace().last();
                assert!(matches!(shown, None | Some("good" | "never")), "{seen}");
            }
            Err((status, log)) => assert!(status.code() == Some(1) || status.code() == Some(2), "{status}: {log}"),
        }
    }
    exchange.end();
}

/// A policy file, exchanged with one that somebody else has written.
#[test]
fn a_policy_that_is_exchanged_with_a_foreign_one_is_read_as_it_is_or_not_at_all() {
    needs!(root);
    let room = stage::room();
    let own = room.file("policy.toml", "version = 1\nextends = [\"strict\"]\n");
    let foreign =
        room.file("foreign", "version = 1\nextends = [\"strict\"]\n[command]\nenvironment = { FOREIGN = \"yes\" }\n");
    chown(&foreign, Some(65534), Some(65534)).expect("root may");
    let exchange = Exchange::begin(own.clone(), foreign);
    let (mut served, mut refused) = (0, 0);
    for _ in 0..60 {
        let outcome = scene("strict").policy_file(Path::new(&own)).probe("environment").run();
        assert!(!outcome.stdout.contains("FOREIGN"), "{outcome}");
        match outcome.status.code() {
            Some(0) => served += 1,
            Some(2) => refused += 1,
            _ => panic!("neither served nor refused in words: {outcome}"),
        }
    }
    exchange.end();
    assert!(served > 0 && refused > 0, "{served} served, {refused} refused");
}
