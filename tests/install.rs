// SPDX-License-Identifier: Apache-2.0
//! `spawnbox install-postfix`: what it puts where, what it leaves alone, and the way back.

use crate::scene::stage::{Room, program, room};
use crate::scene::{Outcome, arguments};
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The parts of Debian 13's postfix.service that stand in a sandbox's way.
const HARDENED: &str = "\
[Service]
ExecStart=postfix debian-systemd-start
CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_SETGID CAP_SETUID
MemoryDenyWriteExecute=yes
ProtectControlGroups=yes
ProtectKernelTunables=yes
ProcSubset=pid
RestrictNamespaces=yes
SystemCallFilter=@system-service @setuid chroot
";

/// A Postfix that is configuration and directories only, and units beside it.
struct Host {
    room: Room,
}

impl Host {
    fn new(master_cf: &str) -> Host {
        let room = room();
        let daemons = room.directory("daemons");
        room.directory("units");
        room.file("main.cf", &format!("compatibility_level = 3.6\ndaemon_directory = {}\n", daemons.display()));
        room.file("master.cf", master_cf);
        room.file("units/postfix.service", HARDENED);
        Host { room }
    }

    fn install(&self, options: &[&str]) -> Outcome {
        let (config, units) = (self.room.whole().display().to_string(), self.path("units").display().to_string());
        arguments(&[&["install-postfix", "-c", &config, "--unit-directory", &units], options].concat()).run()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.room.path(name)
    }

    /// Every file with its owner, mode and what tells its text from another.
    fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut directories = vec![self.room.whole().to_path_buf()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).expect("the scene's").flatten() {
                let metadata = entry.path().symlink_metadata().expect("the scene's");
                let text = fs::read(entry.path()).unwrap_or_default();
                let mut hash = DefaultHasher::new();
                hash.write(&text);
                let (path, hash) = (entry.path().display().to_string(), hash.finish());
                found.push(format!("{path} {} {:o} {} {hash}", metadata.uid(), metadata.mode(), text.len()));
                if metadata.is_dir() {
                    directories.push(entry.path());
                }
            }
        }
        found.sort();
        found
    }
}

#[test]
fn a_dry_run_shows_everything_and_changes_nothing() {
    needs!(program "postconf");
    let host = Host::new("p unix - n n - 0 spawn user=nobody argv=/bin/cat -u\n");
    let before = host.files();
    let outcome = host.install(&["--dry-run"]).exits(0);
    assert_eq!(host.files(), before);
    let config = host.room.whole().display();
    for line in [
        format!("would copy this program to {config}/daemons/spawnbox, mode 0755, owner root"),
        format!("would write {config}/units/spawnbox-sessions.service, mode 0644, owner root"),
        "    Delegate=yes".to_string(),
        format!("would write {config}/units/postfix.service.d/spawnbox.conf, mode 0644, owner root"),
        "    RestrictNamespaces=no".to_string(),
        format!("    postconf -c {config} -M 'p/unix=p unix - n n - 0 spawnbox user=nobody argv=/bin/cat -u'"),
        "where main.cf sets it; it is in force all the same, and spawnbox check --master-cf shows its value."
            .to_string(),
    ] {
        assert!(outcome.stdout.lines().any(|found| found == line), "no line {line}\n{outcome}");
    }
    assert!(!outcome.stdout.contains("postfix@.service.d"), "there is no such unit: {outcome}");
}

#[test]
fn only_root_can_install() {
    needs!(program "postconf");
    needs!(root);
    let host = Host::new("");
    let config = host.room.whole().display().to_string();
    let scene = arguments(&["install-postfix", "-c", &config]).unprivileged();
    scene.run().says("cannot install into Postfix: its directories are root's; try sudo, or --dry-run").exits(1);
}

#[test]
fn what_is_installed_is_taken_away_again_and_nothing_else() {
    needs!(root);
    needs!(program "postconf");
    let host = Host::new("");
    let before = host.files();
    host.install(&[]).exits(0);
    let daemon = host.path("daemons/spawnbox");
    let metadata = daemon.symlink_metadata().expect("it is installed");
    assert!(metadata.is_file(), "`postfix check` warns about a link that leaves the directory");
    assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o7777), (0, 0, 0o755));
    assert_eq!(fs::read(&daemon).expect("it is ours"), fs::read(program("spawnbox")).expect("it is ours"));
    let installed = host.files();
    host.install(&[]).prints("everything is in its place").exits(0);
    assert_eq!(host.files(), installed);
    host.install(&["--remove"]).exits(0);
    assert_eq!(host.files(), before);
    host.install(&["--remove"]).stdout("nothing of ours is installed\n").exits(0);
}

#[test]
fn an_older_program_of_ours_is_replaced_by_another_file() {
    needs!(root);
    needs!(program "postconf");
    let host = Host::new("");
    host.install(&[]).exits(0);
    let daemon = host.path("daemons/spawnbox");
    let mut old = fs::read(&daemon).expect("it is installed");
    old.extend(b"an older one");
    fs::write(&daemon, &old).expect("it is ours");
    let before = daemon.metadata().expect("it is there").ino();
    host.install(&[]).prints("copy this program to").exits(0);
    // A daemon that runs has the old one, and a start never meets half of the new one.
    assert_ne!(daemon.metadata().expect("it is there").ino(), before);
    assert_eq!(fs::read(&daemon).expect("it is ours"), fs::read(program("spawnbox")).expect("it is ours"));
}

/// A host where something foreign has a name of ours: refused as a whole, and left alone on the way back.
fn foreign(name: &str, make: impl Fn(&Path), why: &str) {
    let host = Host::new("");
    let path = host.path(name);
    fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("the scene's");
    make(&path);
    let before = host.files();
    host.install(&[]).says(&format!("cannot write {}: {why}", path.display())).exits(1);
    assert_eq!(host.files(), before, "nothing may be half done");
    host.install(&["--remove"]).says(&format!("{} stays: {why}", path.display())).exits(0);
    assert_eq!(host.files(), before);
}

#[test]
fn what_is_not_ours_is_neither_overwritten_nor_removed() {
    needs!(root);
    needs!(program "postconf");
    let script = |path: &Path| fs::write(path, "#!/bin/sh\n").expect("the scene's");
    let link = |path: &Path| symlink("/bin/true", path).expect("the scene's");
    let unit = |path: &Path| fs::write(path, "[Service]\n").expect("the scene's");
    foreign("daemons/spawnbox", script, "a file that spawnbox did not write has that name");
    foreign("daemons/spawnbox", link, "a symbolic link has that name");
    foreign("units/spawnbox-sessions.service", unit, "a file that spawnbox did not write has that name");
    foreign("units/postfix.service.d/spawnbox.conf", unit, "a file that spawnbox did not write has that name");
}

#[test]
fn a_service_that_still_starts_us_keeps_us() {
    needs!(root);
    needs!(program "postconf");
    let host = Host::new("p unix - n n - 0 spawn user=nobody argv=/bin/cat\n");
    host.install(&[]).exits(0);
    host.room.file("master.cf", "p unix - n n - 0 spawnbox policy=echo user=nobody argv=/bin/cat\n");
    let before = host.files();
    let refused = host
        .install(&["--remove"])
        .exits(1)
        .says("cannot remove spawnbox from Postfix: master.cf still starts it for p/unix");
    assert_eq!(host.files(), before);
    // The way out that it names is one.
    let (_, command) = refused.stderr.split_once("first: ").expect("it names one");
    let (command, _) = command.split_once("; postfix").expect("a reload follows");
    assert!(Command::new("/bin/sh").args(["-c", command]).status().expect("a shell is there").success(), "{command}");
    let entry = fs::read_to_string(host.path("master.cf")).expect("it is there");
    let words: Vec<&str> = entry.split_whitespace().collect();
    assert_eq!(words.join(" "), "p unix - n n - 0 spawn user=nobody argv=/bin/cat");
    host.install(&["--remove"]).exits(0);
}

/// Debian's own daemon directory, with ours installed in it, in a mount namespace that ends with the test.
#[test]
fn postfix_check_accepts_what_is_installed() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    let config = room.directory("config");
    room.directory("queue");
    let data = room.directory("data");
    let owner = nix::unistd::User::from_name("postfix").expect("accounts can be read").expect("the package's");
    nix::unistd::chown(&data, Some(owner.uid), None).expect("root may");
    let place = room.whole().display();
    let main = format!(
        "compatibility_level = 3.6\nqueue_directory = {place}/queue\ndata_directory = {place}/data\n\
         maillog_file = {place}/log\nmaillog_file_prefixes = {place}\n"
    );
    room.file("config/main.cf", &main);
    // Without the last one `postfix check` has nowhere to write to.
    let entries = "p unix - n n - 0 spawnbox user=nobody argv=/bin/cat\npostlog unix-dgram n - n - 1 postlogd\n";
    room.file("config/master.cf", entries);
    room.file("log", "");
    let (config, program) = (config.display(), program("spawnbox").display().to_string());
    let script = format!(
        "set -e\n\
         mount -t tmpfs -o mode=755 daemons /mnt\n\
         cp -a /usr/lib/postfix/sbin/. /mnt\n\
         mount --bind /mnt /usr/lib/postfix/sbin\n\
         {program} install-postfix -c {config} --unit-directory {place}/data >&2\n\
         cmp {program} /usr/lib/postfix/sbin/spawnbox\n\
         postfix -c {config} check\n\
         cp {place}/log {place}/with-ours\n\
         ln -s /bin/true /usr/lib/postfix/sbin/a-link\n\
         postfix -c {config} check\n"
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "/bin/sh", "-c", &script]).env_clear();
    command
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Outcome::of(command, b"").exits(0);
    // It has more to say of such an empty queue. Of the daemons it says nothing, until there is something to say.
    let log = |name| fs::read_to_string(room.path(name)).unwrap_or_default();
    assert!(!log("with-ours").contains("/usr/lib/postfix/sbin"), "{}", log("with-ours"));
    assert!(log("log").contains("/usr/lib/postfix/sbin/./a-link"), "{}", log("log"));
}
