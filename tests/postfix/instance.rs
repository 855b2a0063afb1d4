// SPDX-License-Identifier: Apache-2.0
//! A Postfix of the test's own: configuration, queue and daemons in a directory of the scene, under Debian's real
//! master(8). Its daemon directory is Debian's, with spawnbox added.

use crate::scene::stage::{Room, mode, program};
use crate::scene::{host, outcome, patience};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Group, Pid, User, chown};
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

const DAEMONS: &str = "/usr/lib/postfix/sbin";

/// Stands in these texts for a byte that is no UTF-8.
pub(crate) const NO_TEXT: char = '\u{f8ff}';

/// Who serves a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spawner {
    /// spawnbox.
    Ours,
    /// Postfix's own spawn(8).
    Theirs,
}

impl Spawner {
    /// Its name in the last column of master.cf.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Spawner::Ours => "spawnbox",
            Spawner::Theirs => "spawn",
        }
    }
}

/// The first two numbers of a release of Postfix, which say what it does.
pub(crate) type Version = (u32, u32);

/// The release of Postfix that is installed: what its programs have been compiled to say.
pub(crate) fn version() -> Version {
    static VERSION: OnceLock<Version> = OnceLock::new();
    *VERSION.get_or_init(|| {
        let output = Command::new("postconf").args(["-d", "-h", "mail_version"]).output().expect("postconf is there");
        let text = String::from_utf8_lossy(&output.stdout);
        parse_version(&text).unwrap_or_else(|| panic!("no version of Postfix: {text}"))
    })
}

fn parse_version(text: &str) -> Option<Version> {
    let mut numbers = text.trim().split(['.', '-']).map(str::parse);
    let mut number = || numbers.next()?.ok();
    Some((number()?, number()?))
}

#[test]
fn the_version_is_read_from_what_postconf_prints() {
    for (text, version) in [
        ("", None),
        ("3\n", None),
        ("mail_version = 3.7", None),
        ("3.7.11\n", Some((3, 7))),
        ("3.10.5\n", Some((3, 10))),
        ("3.12-20260821\n", Some((3, 12))),
    ] {
        assert_eq!(parse_version(text), version, "{text}");
    }
}

/// A running mail system. Dropping it stops it.
pub(crate) struct Postfix {
    master: Child,
    directory: PathBuf,
}

impl Postfix {
    /// Starts a mail system with these lines of main.cf and master.cf beside the least that it needs.
    pub(crate) fn start(room: &Room, main_cf: &str, master_cf: &str) -> Postfix {
        Postfix::start_through(&[], room, main_cf, master_cf)
    }

    /// The same, started by a program that becomes master by exec.
    pub(crate) fn start_through(wrapping: &[String], room: &Room, main_cf: &str, master_cf: &str) -> Postfix {
        Postfix::begin(wrapping, room, main_cf, &format!("{master_cf}{SERVICES}{POSTLOG}"))
    }

    /// Another instance beside the first, as postmulti(1) makes them: in the same network, with another port for mail.
    pub(crate) fn start_beside(room: &Room, main_cf: &str, master_cf: &str) -> Postfix {
        Postfix::begin(&[], room, main_cf, &format!("{master_cf}{}{POSTLOG}", SERVICES.replace("2525", "2526")))
    }

    /// One that serves these lines and takes no mail, started by a program that becomes master by exec.
    pub(crate) fn start_alone(wrapping: &[String], room: &Room, master_cf: &str) -> Postfix {
        Postfix::begin(wrapping, room, "", &format!("{master_cf}{POSTLOG}"))
    }

    fn begin(wrapping: &[String], room: &Room, main_cf: &str, master_cf: &str) -> Postfix {
        let directory = room.directory("postfix");
        make_queue(&directory);
        make_daemons(&directory);
        let place = directory.display();
        let main = format!(
            "compatibility_level = 3.6\n\
             queue_directory = {place}/queue\ndata_directory = {place}/data\ndaemon_directory = {place}/daemons\n\
             maillog_file_prefixes = {place}\n\
             myhostname = mx.here.example\nmydestination = here.example\nlocal_recipient_maps =\nalias_maps =\n\
             inet_interfaces = loopback-only\ninet_protocols = ipv4\nmynetworks = 127.0.0.0/8\n\
             smtpd_authorized_xclient_hosts = 127.0.0.1\n{main_cf}\n"
        );
        write_config(&directory.join("config"), &main, master_cf);
        let config = directory.join("config");
        let mut words: Vec<OsString> = wrapping.iter().map(OsString::from).collect();
        words.extend([Path::new(DAEMONS).join("master").into(), "-c".into(), config.into()]);
        let master = Command::new(&words[0])
            .args(&words[1..])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("master is there");
        let postfix = Postfix { master, directory };
        // The last service of master.cf: when it has its socket, all have. After that master asks for its signals, the
        // last of them SIGCHLD; a SIGHUP before would be its death, and its clients' loss: see master/master_sig.c.
        let last = postfix.directory.join("queue/public/postlog");
        host::eventually("master listens", patience(), || last.exists());
        host::eventually("master takes signals", patience(), || host::catches(postfix.id(), Signal::SIGCHLD));
        postfix
    }

    /// The directory of main.cf and master.cf.
    pub(crate) fn config(&self) -> PathBuf {
        self.directory.join("config")
    }

    /// The socket of a private UNIX-domain service, as [`crate::scene::Client::connect`] takes it.
    pub(crate) fn socket(&self, service: &str) -> String {
        format!("unix:{}", self.private_socket(service).display())
    }

    /// Its path.
    pub(crate) fn private_socket(&self, service: &str) -> PathBuf {
        self.directory.join("queue/private").join(service)
    }

    /// The message with this queue id, which is on hold.
    pub(crate) fn held_message(&self, id: &str) -> String {
        let file = self.directory.join("queue/hold").join(id);
        let bytes = fs::read(&file).unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How many messages are on hold.
    pub(crate) fn count_held(&self) -> usize {
        fs::read_dir(self.directory.join("queue/hold")).expect("the queue is there").count()
    }

    /// Every message that is on hold.
    pub(crate) fn held(&self) -> Vec<String> {
        let files = fs::read_dir(self.directory.join("queue/hold")).expect("the queue is there").flatten();
        files.map(|file| self.held_message(&file.file_name().to_string_lossy())).collect()
    }

    /// The daemons of a service: master's children, as it starts them.
    pub(crate) fn daemons(&self, service: &str) -> Vec<u32> {
        let mark = format!(" -n {service} ");
        host::children(self.master.id()).into_iter().filter(|pid| host::command_line(*pid).contains(&mark)).collect()
    }

    /// master's process id.
    pub(crate) fn id(&self) -> u32 {
        self.master.id()
    }

    /// Makes a file of the configuration as young as if it were being written.
    pub(crate) fn touch(&self, name: &str) {
        let file = File::options().write(true).open(self.config().join(name));
        file.and_then(|file| file.set_modified(SystemTime::now())).expect("the file is ours");
    }

    /// Changes a file of the configuration, in which `old` must stand.
    pub(crate) fn change(&self, name: &str, old: &str, new: &str) {
        let path = self.config().join(name);
        let text = fs::read_to_string(&path).expect("the file is there");
        assert!(text.contains(old), "no {old:?} in {name}");
        write_old(&path, &text.replace(old, new));
    }

    /// `postfix flush`: what could not be delivered is tried again now.
    pub(crate) fn flush(&self) {
        let config = self.config();
        let status = Command::new("/usr/sbin/postqueue").arg("-c").arg(config).arg("-f").env_clear().status();
        assert!(status.expect("the package is installed").success(), "postqueue cannot flush the queue");
    }

    /// `postfix stop`.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        outcome::wait(&mut self.master, patience(), "master");
    }

    /// `postfix reload`, or what another signal means.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.master.id() as i32), signal).expect("master is ours");
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // Only where a test failed: `stop` has waited. A reaped child is not signalled.
        let _ = self.master.kill();
        let _ = self.master.wait();
    }
}

/// The least that smtpd needs to take a message and put it on hold. One client each, so that with a client's end
/// everything that was opened for it ends too.
const SERVICES: &str = "\
127.0.0.1:2525 inet n - n - - smtpd -o max_use=1
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
anvil unix - - n - 1 anvil
";

/// The last line of every master.cf here: its socket tells that all others are there.
const POSTLOG: &str = "postlog unix-dgram n - n - 1 postlogd\n";

/// Every directory of the queue with the owner and mode that `postfix check` wants.
fn make_queue(directory: &Path) {
    let owner = User::from_name("postfix").expect("accounts can be read").expect("the package has an account");
    let drop = Group::from_name("postdrop").expect("groups can be read").expect("the package has a group");
    let make = |name: &str, bits: u32| {
        let path = directory.join(name);
        fs::create_dir(&path).expect("the scene's directory can be written");
        mode(&path, bits);
        path
    };
    make("queue", 0o755);
    make("queue/pid", 0o755);
    let own = |path: &Path, group| chown(path, Some(owner.uid), group).expect("root may give files away");
    own(&make("data", 0o700), Some(owner.gid));
    for name in ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved"] {
        own(&make(&format!("queue/{name}"), 0o700), None);
    }
    own(&make("queue/public", 0o710), Some(drop.gid));
    own(&make("queue/maildrop", 0o730), Some(drop.gid));
}

/// Debian's daemons and ours, side by side: master looks for both in one directory.
fn make_daemons(directory: &Path) {
    let daemons = directory.join("daemons");
    fs::create_dir(&daemons).expect("the scene's directory can be written");
    mode(&daemons, 0o755);
    for entry in fs::read_dir(DAEMONS).expect("the package is installed").flatten() {
        symlink(entry.path(), daemons.join(entry.file_name())).expect("the scene's directory can be written");
    }
    symlink(program("spawnbox"), daemons.join("spawnbox")).expect("Postfix has no daemon of this name");
}

fn write_config(config: &Path, main: &str, master: &str) {
    fs::create_dir(config).expect("the scene's directory can be written");
    mode(config, 0o755);
    for (name, text) in [("main.cf", main), ("master.cf", master)] {
        write_old(&config.join(name), text);
    }
}

/// A file as old as if an administrator had written it: a daemon reads a main.cf that is younger than two seconds again
/// and again until it is older.
fn write_old(path: &Path, text: &str) {
    let parts: Vec<&[u8]> = text.split(NO_TEXT).map(str::as_bytes).collect();
    fs::write(path, parts.join(&0xff)).expect("the scene's directory can be written");
    mode(path, 0o644);
    let past = SystemTime::now() - Duration::from_secs(3600);
    File::options().write(true).open(path).and_then(|file| file.set_modified(past)).expect("the file is ours");
}
