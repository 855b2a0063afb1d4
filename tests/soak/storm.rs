// SPDX-License-Identifier: Apache-2.0
//! Clients without end, while whatever can go wrong does: commands, reapers and launchers are killed, clients leave,
//! policies change for better and worse, the disk of the log is full, there is no memory, and the supervisor is
//! restarted, replaced by another program or killed itself.
//! Nobody is refused, nobody is lost whose own process was not killed, and nothing is left.
//! `SPAWNBOX_STORM=3600` says for how many seconds; the seed that is printed is taken from `SPAWNBOX_SEED` again.

use super::drought::Drought;
use super::fleet::{Dice, Fleet};
use crate::postfix::private::{attach, hide_mounts};
use crate::scene::{host, outcome, patience, stage};
use nix::mount::MsFlags;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, Signal as Kill, pidfd_open, pidfd_send_signal};
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it lasts where nobody says.
const SECONDS: u64 = 8;
/// How many clients are served after each blow before the next one falls.
const BETWEEN: usize = 8;
/// Blows of which each kind comes once, before chance chooses.
const FIRST: usize = 12;
/// How often somebody is killed for want of memory before there is some again.
const STARVED: u64 = 3;
/// How much of the log is shown where a storm fails.
const LAST_LINES: usize = 60;
/// What the disk of the log has room for, in bytes.
const ROOM: usize = 4 << 20;
/// A file of a tmpfs takes no less.
const PAGE: usize = 4096;
/// What a session's line says where one of its processes was killed, or the launcher that it waited for.
const KILLED: [&str; 3] = ["outcome=signaled signal=SIGKILL", "outcome=lost", "outcome=not-launched"];
/// Its standard input and output are the sockets of the services, as a service manager has them.
const PASS: &str =
    "[ -z \"$ENTER\" ] || echo $$ >\"$ENTER\"; LISTEN_PID=$$ exec \"$@\" 3<&0 4<&1 0</dev/null 1>/dev/null";

/// What is served, and by whom at the moment.
struct Storm {
    room: stage::Room,
    sockets: (TcpListener, UnixListener),
    /// Who serves.
    now: u32,
    /// The one that was started last, until it has ended; others took its place since.
    started: Option<Child>,
    /// Everyone who has served.
    all: Vec<u32>,
    version: usize,
    kills: usize,
    /// What was logged before, and is not on the disk any more.
    taken: String,
    /// Where its memory is, where the host can take it away.
    drought: Option<Drought>,
    starved: u64,
}

impl Storm {
    /// Two services whose sockets are held here, so that they outlive each supervisor; the log is on a small disk.
    fn new() -> Storm {
        let room = stage::room();
        let disk = room.directory("disk");
        attach(&PathBuf::from("storm"), &disk, Some("tmpfs"), MsFlags::empty());
        let made = Command::new("mount").args(["-o", &format!("remount,size={ROOM}")]).arg(&disk).status();
        assert!(made.expect("mount is there").success());
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let unix = UnixListener::bind(room.path("unix.sock")).expect("the name is free");
        stage::mode(&room.path("unix.sock"), 0o666);
        room.directory("policies");
        Storm::write(&room, 0);
        let drought = Drought::find();
        let server = Storm::start(&room, (&tcp, &unix), drought.as_ref());
        let now = server.id();
        let (sockets, started, all) = ((tcp, unix), Some(server), vec![now]);
        Storm { room, sockets, now, started, all, version: 0, kills: 0, taken: String::new(), drought, starved: 0 }
    }

    /// Policies that do the same by another script each time.
    fn write(room: &stage::Room, version: usize) {
        let script = format!("read line; echo $line # {version}");
        for name in ["tcp", "unix"] {
            let text = format!(
                "version = 1\nextends = [\"shell\"]\n[command]\nuser = \"nobody\"\nargv = [\"/bin/sh\", \"-c\", \"{script}\"]\n"
            );
            let new = room.file(&format!("policies/.{name}.new"), &text);
            fs::rename(new, room.path(&format!("policies/{name}.toml"))).expect("the stage can be written");
        }
    }

    fn start(room: &stage::Room, (tcp, unix): (&TcpListener, &UnixListener), drought: Option<&Drought>) -> Child {
        let log = File::options().append(true).create(true).open(room.path("disk/log")).expect("the disk has room");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", PASS, "sh"]).arg(stage::program("spawnbox"));
        command.args(["serve", "--drain-limit", "60s", "--control"]).arg(room.path("control"));
        command.arg(room.path("policies")).current_dir("/").env_clear().env("PATH", "/usr/bin:/bin");
        command.envs([("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "tcp:unix")]);
        command.envs(drought.map(|drought| ("ENTER", drought.entrance())));
        let held = |fd: OwnedFd| Stdio::from(fd);
        command.stdin(held(tcp.try_clone().expect("a descriptor is left").into()));
        command.stdout(held(unix.try_clone().expect("a descriptor is left").into()));
        command.stderr(log).spawn().expect("the program starts")
    }

    /// All that was logged.
    fn log(&self) -> String {
        format!("{}{}", self.taken, self.on_disk())
    }

    fn on_disk(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.room.path("disk/log")).unwrap_or_default()).into_owned()
    }

    /// Takes the log off the disk, which a long storm would fill. Nobody writes to it meanwhile.
    fn take_log(&mut self) {
        self.taken = self.log();
        let log = File::options().write(true).open(self.room.path("disk/log")).expect("it is there");
        log.set_len(0).expect("it can be cut");
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.now as i32), signal).expect("it serves");
    }

    /// Waits for one line more with this text than there was.
    fn logs(&self, text: &str, before: usize) {
        host::eventually(text, patience(), || self.log().matches(text).count() > before);
    }

    /// Kills one process of a session, or a launcher.
    fn kill(&mut self, dice: &mut Dice) {
        let all = host::tree(self.now);
        let Some(&pid) = all.get(1 + dice.below(all.len().max(2) - 1)) else { return };
        let Some(number) = rustix::process::Pid::from_raw(pid as i32) else { return };
        let Ok(held) = pidfd_open(number, PidfdFlags::empty()) else { return };
        // Its number may have been another's by the time it was held.
        if host::tree(self.now).contains(&pid) && pidfd_send_signal(held, Kill::KILL).is_ok() {
            self.kills += 1;
        }
    }

    fn reload(&mut self) {
        self.version += 1;
        Storm::write(&self.room, self.version);
        let before = self.log().matches("services: ").count();
        self.signal(Signal::SIGHUP);
        self.logs("services: ", before);
    }

    fn reload_what_is_wrong(&mut self) {
        let wrong = self.room.file("policies/wrong.toml", "version = 1\nlimits.tiem = 5\n");
        let before = self.log().matches("wrong.toml:2:8").count();
        self.signal(Signal::SIGHUP);
        self.logs("wrong.toml:2:8", before);
        fs::remove_file(wrong).expect("it is there");
    }

    /// Takes the log off its disk while no client is there, whose line might be cut.
    fn make_room(&mut self, fleet: &Fleet) {
        let _resting = fleet.rest();
        let now = self.now;
        host::eventually("no session is left", patience(), || host::inside(now).is_empty());
        self.take_log();
        self.reload();
    }

    /// Nothing more can be written to the log while clients are served. Their lines are lost, and nothing else.
    fn fill_the_disk(&mut self, fleet: &Fleet) {
        // The lines of those before are needed.
        self.make_room(fleet);
        let path = self.room.path("disk/filler");
        let mut filler = File::create(&path).expect("the disk has room for a name");
        while filler.write_all(&[0; 4096]).is_ok() {}
        while filler.write_all(&[0]).is_ok() {}
        // What is left of the last page of the log is filled by the lines of clients.
        host::eventually("the log takes nothing more", patience(), || self.on_disk().len().is_multiple_of(PAGE));
        let size = self.log().len();
        fleet.goes_on(BETWEEN);
        assert_eq!(self.log().len(), size, "the disk was not full");
        let lost = " lines of the log were lost here";
        let before = self.log().matches(lost).count();
        drop(filler);
        fs::remove_file(path).expect("it is there");
        self.reload();
        self.logs(lost, before);
    }

    /// There is no memory for what everybody does, while somebody takes it who is killed for it.
    fn starve(&mut self, fleet: &Fleet) {
        let Some(drought) = &self.drought else { return };
        let before = drought.kills();
        let hog = drought.begin();
        fleet.goes_on(BETWEEN);
        host::eventually("somebody was killed", patience(), || drought.kills() >= before + STARVED);
        drop(hog);
        self.starved += drought.kills() - before;
    }

    /// In order: who is served is served to the end, and who comes meanwhile waits for the next supervisor.
    fn restart(&mut self) {
        self.signal(Signal::SIGTERM);
        assert!(self.ended(), "it fails: {}", self.log());
        self.begin();
    }

    /// In order, and nobody has to wait for the next one.
    fn upgrade(&mut self) {
        let text = " serves in this one's place";
        let before = self.log().matches(text).count();
        self.signal(Signal::SIGUSR2);
        self.logs(text, before);
        let log = self.log();
        let heir = log.rsplit_once(text).and_then(|(rest, _)| rest.rsplit_once("process ")?.1.parse().ok());
        let heir = heir.unwrap_or_else(|| panic!("no process in {log}"));
        assert!(self.ended(), "it fails: {}", self.log());
        self.now = heir;
        self.all.push(heir);
    }

    /// Waits for the end of the one that served: whether it succeeded, as far as that is to be known.
    fn ended(&mut self) -> bool {
        match self.started.take_if(|started| started.id() == self.now) {
            Some(mut started) => outcome::wait(&mut started, patience(), "the server").success(),
            None => host::ends_within(self.now, patience()),
        }
    }

    /// Not in order: who is being served is lost with the supervisor, and nobody else.
    fn crash(&mut self, fleet: &Fleet) {
        let sessions = host::watch(&host::tree(self.now)[1..]);
        fleet.crashed(|| self.signal(Signal::SIGKILL));
        self.ended();
        assert!(sessions.end_within(patience()), "a process has outlived its supervisor");
        self.begin();
    }

    fn begin(&mut self) {
        let server = Storm::start(&self.room, (&self.sockets.0, &self.sockets.1), self.drought.as_ref());
        self.now = server.id();
        self.started = Some(server);
        self.all.push(self.now);
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().rev().take(LAST_LINES).collect();
            eprintln!("what was logged last, the last line first:\n{}", lines.join("\n"));
        }
        // Its number may be another's, where it has ended.
        if host::command_line(self.now).contains(&self.room.whole().display().to_string()) {
            let _ = kill(Pid::from_raw(self.now as i32), Signal::SIGKILL);
            self.ended();
        }
    }
}

#[test]
fn a_storm_loses_nobody_whose_process_was_not_killed_and_leaves_nothing_behind() {
    needs!(root);
    std::thread::scope(|scope| {
        let storm = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).expect("root may make namespaces");
            hide_mounts();
            storm();
        });
        storm.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn storm() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("it is a number"));
    let length = Duration::from_secs(number("SPAWNBOX_STORM").unwrap_or(SECONDS));
    let seed = number("SPAWNBOX_SEED").unwrap_or_else(|| RandomState::new().build_hasher().finish()) | 1;
    println!("the seed is {seed}");
    let mut storm = Storm::new();
    let mounts = host::mounts(std::process::id());
    let tcp = storm.sockets.0.local_addr().expect("it has an address").to_string();
    let unix = format!("unix:{}", storm.room.path("unix.sock").display());
    let (mut dice, begin) = (Dice::new(seed), Instant::now());
    let fleet = Fleet::of(&[&tcp, &unix, &tcp, &unix], seed);
    fleet.goes_on(BETWEEN);
    let mut blows = 0;
    while begin.elapsed() < length || blows < FIRST {
        // It is to be full when it is filled, and not before.
        if storm.on_disk().len() > ROOM / 2 {
            storm.make_room(&fleet);
        }
        match if blows < FIRST { blows } else { dice.below(FIRST) } {
            0..4 => storm.kill(&mut dice),
            4 | 5 => storm.reload(),
            6 => storm.reload_what_is_wrong(),
            7 => storm.fill_the_disk(&fleet),
            8 => storm.restart(),
            9 => storm.upgrade(),
            10 => storm.starve(&fleet),
            _ => storm.crash(&fleet),
        }
        blows += 1;
        fleet.goes_on(BETWEEN);
    }
    let (served, lost) = fleet.end();
    let now = storm.now;
    // The second ones of crowds go after seconds without use.
    host::eventually("launchers alone are left", patience(), || host::tree(now).len() == 3);
    // The lines of those that were killed last come before this.
    storm.reload_what_is_wrong();
    let log = storm.log();
    let (kills, restarts) = (storm.kills, storm.all.len() - 1);
    let starved = match &storm.drought {
        Some(_) => storm.starved.to_string(),
        None => "nobody: this host has no control group of version 1 for memory, or lets none be made".to_string(),
    };
    println!("blows {blows}, kills {kills}, restarts {restarts}, served {served}, lost {}", lost.len());
    println!("killed for want of memory: {starved}");
    let killed: Vec<&str> = log.lines().filter(|line| KILLED.iter().any(|outcome| line.contains(outcome))).collect();
    for client in lost.iter().filter(|client| client.starts_with("127.0.0.1:")) {
        let own = format!("client={client} ");
        assert!(killed.iter().any(|line| line.contains(&own)), "{client} is lost, and was not killed: {log}");
    }
    let of_unix = killed.iter().filter(|line| line.contains(": unix: ")).count();
    let lost_of_unix = lost.iter().filter(|client| client.starts_with("unix:")).count();
    assert!(lost_of_unix <= of_unix, "{lost_of_unix} lost over UNIX sockets, {of_unix} killed: {log}");
    assert!(!log.contains("panicked") && !log.contains("panic: "), "{log}");
    // Two launchers, two listeners, control groups of one program and two services, and what the loop itself has.
    assert!(host::descriptors(now) < 32, "{} descriptors", host::descriptors(now));
    storm.signal(Signal::SIGTERM);
    assert!(storm.ended(), "{log}");
    let is_own = |path: &PathBuf| {
        let text = path.display().to_string();
        storm.all.iter().any(|pid| text.contains(&format!("/spawnbox-{pid}-")))
    };
    let left = host::cgroup_root().map_or(Vec::new(), |root| host::cgroups_below(&root));
    assert_eq!(left.iter().find(|path| is_own(path)), None, "a control group is left");
    assert_eq!(host::mounts(std::process::id()), mounts, "a mount is left");
    let room = storm.room.whole().display().to_string();
    // Its launchers were killed, which nobody waits for.
    host::eventually("no process is left", patience(), || host::processes(&room).is_empty());
    assert!(!storm.room.path("control").exists(), "the control socket is left");
}
