// SPDX-License-Identifier: Apache-2.0
//! Where the attacks are tried: a server, burdened with all that a careless parent leaves, and how to reach it.

use super::aim::Targets;
use crate::postfix::instance::{Postfix, Spawner};
use crate::postfix::private::{Log, in_private};
use crate::scene::stage::{mode, program, room};
use crate::scene::{Client, NOBODY, Scene, Server, a_second, needs, scene};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::cell::RefCell;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

/// Whom sessions are run as: what systemd keeps for its dynamic users, see systemd-sysusers(8).
const RANGE: &str = "61184-65519";

/// A server whose command attacks.
pub(super) struct Setting<'a> {
    /// `strict/tcp`, as `open.txt` has it.
    pub(super) name: &'static str,
    pub(super) connect: &'a dyn Fn() -> Client,
    /// The processes that serve now.
    pub(super) servers: &'a dyn Fn() -> Vec<u32>,
    /// The same with a time limit of [`few_seconds`].
    pub(super) limited: &'a dyn Fn() -> Client,
    pub(super) limited_servers: &'a dyn Fn() -> Vec<u32>,
    /// The log of both, as it stands.
    pub(super) log: &'a dyn Fn() -> String,
    pub(super) targets: &'a Targets,
}

/// Who the commands are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Users {
    /// Somebody else in each session.
    Each,
    /// The user of the process that is attacked too.
    One,
}

/// The limit on time and on processor time: two seconds of a real machine. Every attempt has a process of its own,
/// whose start alone takes an emulated one a good part of a second.
fn few_seconds() -> u64 {
    1 + a_second().as_secs()
}

/// The level of a sandbox, and who starts it, where nothing more is granted to either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// An ordinary user, who has no control groups.
    Userns,
    /// Root, from whom control groups are hidden as they are in a container.
    LandlockOnlyOfRoot,
    LandlockOnlyOfUser,
}

impl Level {
    fn setting(self) -> &'static str {
        match self {
            Level::Userns => "userns/tcp",
            Level::LandlockOnlyOfRoot => "landlock-only/root-tcp",
            Level::LandlockOnlyOfUser => "landlock-only/user-tcp",
        }
    }

    /// The command under `policy`, by a server that was started with a burden.
    fn burdened(self, policy: &Path) -> Scene {
        let scene = burdened(policy, Users::One);
        match self {
            Level::Userns => scene.set("isolation.level=userns").unprivileged(),
            Level::LandlockOnlyOfRoot => {
                let hidden = "mount -t tmpfs none /sys/fs/cgroup && exec \"$@\"";
                let around = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", hidden, "sh"];
                scene.set("isolation.level=landlock-only").through(&around)
            }
            Level::LandlockOnlyOfUser => scene.set("isolation.level=landlock-only").unprivileged(),
        }
    }
}

/// What counts the memory of a session as a whole, where the host can and the level may.
fn whole_memory() -> &'static str {
    if needs::controller("memory").is_there() { "memory = \"256M\"\n" } else { "" }
}

/// What a policy must grant and limit for the attacks to run and end.
fn granted(users: Users, memory: &str) -> String {
    let user = match users {
        Users::Each => format!("[command]\nuser = {{ range = \"{RANGE}\" }}\n"),
        Users::One => String::new(),
    };
    let program = program("attack");
    format!(
        "version = 1\nextends = [\"strict\"]\n{user}[files]\nexecute = [\"{}\"]\n[limits]\nprocessor-time = \"{}s\"\n{memory}\
         [connection]\nconcurrency = 10\n",
        program.display(),
        few_seconds()
    )
}

/// The command under `policy` of a server that was started with a burden.
fn burdened(policy: &Path, users: Users) -> Scene {
    let attack = program("attack").display().to_string();
    let scene = scene("default").policy_file(policy).through(&[&attack, "burdened"]).argv(&[&attack]);
    match users {
        Users::Each => scene.users(RANGE),
        Users::One => scene,
    }
}

/// `spawnbox listen` under `strict`, on TCP or on a UNIX socket.
pub(super) fn standing_alone(name: &'static str, users: Users, play: impl FnOnce(&Setting<'_>)) {
    with_grants(name, users, &[], play);
}

/// The same with more settings.
pub(super) fn with_grants(name: &'static str, users: Users, grants: &[&str], play: impl FnOnce(&Setting<'_>)) {
    listening(name, &granted(users, whole_memory()), grants, |policy| burdened(policy, users), play);
}

/// `spawnbox listen` under `strict` at this level, on TCP.
pub(super) fn at_level(level: Level, play: impl FnOnce(&Setting<'_>)) {
    listening(level.setting(), &granted(Users::One, ""), &[], |policy| level.burdened(policy), play);
}

/// A server of such scenes, and one with a time limit, under this policy.
fn listening(
    name: &'static str,
    policy: &str,
    grants: &[&str],
    burdened: impl Fn(&Path) -> Scene,
    play: impl FnOnce(&Setting<'_>),
) {
    let room = room();
    let policy = room.file("attack.toml", policy);
    let targets = Targets::make(&room);
    let socket = |which: &str| format!("unix:{}", room.path(which).display());
    let start = |scene: Scene, which: &str| match name.ends_with("unix") {
        true => {
            let server = scene.listen_on(&socket(which));
            mode(&room.path(which), 0o666);
            server
        }
        false => scene.listen(),
    };
    // The port that attacks aim at is the host's choice.
    let grants: Vec<String> = grants.iter().map(|grant| grant.replace("{port}", targets.fact("port"))).collect();
    let granted = |scene: Scene| grants.iter().fold(scene, |scene, grant| scene.set(grant));
    let server = start(granted(burdened(&policy)), "socket");
    let limited = start(granted(burdened(&policy)).set(&format!("limits.time=\"{}s\"", few_seconds())), "limited");
    play(&Setting {
        name,
        connect: &|| server.connect(),
        servers: &|| vec![server.pid()],
        limited: &|| limited.connect(),
        limited_servers: &|| vec![limited.pid()],
        log: &|| Server::log(&server) + &limited.log(),
        targets: &targets,
    });
}

/// Under master(8), over both kinds of its sockets.
pub(super) fn under_master(spawner: Spawner, policy: Policy, play: impl Fn(&Setting<'_>) + Sync) {
    let room = room();
    let file = room.file("attack.toml", &granted(Users::Each, whole_memory()));
    // One process serves ten at once where the policy says so, else one.
    let (attribute, processes) = match policy {
        Policy::Strict => (format!("policy={}", file.display()), 1),
        Policy::Unnamed => ("user=nobody".to_string(), 10),
    };
    let (daemon, attack) = (spawner.name(), program("attack"));
    let command = format!("{attribute} argv={}", attack.display());
    let limit = few_seconds();
    let entries = format!(
        "attack unix - n n - {processes} {daemon} {command}\nlimited unix - n n - {processes} {daemon} -o limited_time_limit={limit} {command}\n\
         127.0.0.1:2526 inet n n n - {processes} {daemon} {command}\n\
         127.0.0.1:2527 inet n n n - {processes} {daemon} -o 127.0.0.1:2527_time_limit={limit} {command}\n"
    );
    in_private(&room.path(""), |log| {
        let targets = Targets::make(&room);
        let wrapping = [attack.display().to_string(), "burdened".to_string()];
        let postfix = Postfix::start_through(&wrapping, &room, "command_time_limit = 1000\n", &entries);
        for (kind, service, limited) in [("unix", "attack", "limited"), ("tcp", "127.0.0.1:2526", "127.0.0.1:2527")] {
            let address = |service: &str| match kind {
                "unix" => postfix.socket(service),
                _ => service.to_string(),
            };
            play(&Setting {
                name: policy.setting(kind),
                connect: &|| Client::connect(&address(service)),
                servers: &|| postfix.daemons(service),
                limited: &|| Client::connect(&address(limited)),
                limited_servers: &|| postfix.daemons(limited),
                log: &|| Log::text(log),
                targets: &targets,
            });
        }
        postfix.stop();
    });
}

/// Which policy a service of master.cf names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    Strict,
    /// None: ours runs it under `compatible`, spawn(8) knows none.
    Unnamed,
}

impl Policy {
    fn setting(self, kind: &str) -> &'static str {
        match (self, kind) {
            (Policy::Strict, "unix") => "strict/master-unix",
            (Policy::Strict, _) => "strict/master-tcp",
            (Policy::Unnamed, "unix") => "compatible/master-unix",
            (Policy::Unnamed, _) => "compatible/master-tcp",
        }
    }
}

impl Setting<'_> {
    /// What a command is told in its first line.
    pub(super) fn facts(&self) -> String {
        let server = (self.servers)().first().copied().unwrap_or_else(std::process::id);
        self.targets.facts(server)
    }

    /// Ends every process that serves, as suddenly as can be.
    pub(super) fn kill(&self) {
        for server in (self.servers)() {
            kill(Pid::from_raw(server as i32), Signal::SIGKILL).expect("the server is ours");
        }
    }
}

/// An inetd of ten lines: each connection is handed to a command of another user, below the program of these words
/// where there are any, and that is all.
pub(super) fn inetd(words: &[String], play: impl FnOnce(&dyn Fn() -> Client, &Targets)) {
    let room = room();
    let targets = Targets::make(&room);
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let address = listener.local_addr().expect("it is bound").to_string();
    let children = RefCell::new(Vec::new());
    let connect = || {
        let client = Client::connect(&address);
        let (connection, _) = listener.accept().expect("there is a client");
        let copy = || Stdio::from(OwnedFd::from(connection.try_clone().expect("a descriptor is left")));
        let user = ["--reuid", "--regid"].map(|word| format!("{word}={NOBODY}"));
        let mut command = Command::new(program("attack"));
        command.args(["burdened", "setpriv"]).args(user).arg("--clear-groups").args(words).arg(program("attack"));
        let child = command.stdin(copy()).stdout(copy()).stderr(copy()).spawn();
        children.borrow_mut().push(child.expect("the attack program runs"));
        client
    };
    play(&connect, &targets);
    for mut child in children.into_inner() {
        let _ = child.kill();
        let _ = child.wait();
    }
}
