// SPDX-License-Identifier: Apache-2.0
//! One running server: started in a control group of its own, ready when it has served a client, gone with its value.

use crate::group::Group;
use crate::load::{Address, Connection};
use crate::peers::{Ask, Peer, Start};
use crate::postfix::instance::Postfix;
use crate::scene::stage::{Room, room};
use crate::scene::{host, patience};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

/// Nobody else listens in the harness's network; the kernel's own choice begins above.
static PORT: AtomicU16 = AtomicU16::new(20_000);

pub(crate) struct Server {
    pub(crate) peer: &'static Peer,
    pub(crate) address: Address,
    process: Option<Process>,
    // After the process: what is left of it is killed.
    pub(crate) group: Group,
    room: Room,
}

enum Process {
    Program(Child),
    Master(Postfix),
}

impl Server {
    /// Starts it with this command, and returns when a client has been answered; else what it said.
    pub(crate) fn start(peer: &'static Peer, command: &[String]) -> Result<Server, String> {
        let (room, group) = (room(), Group::make()?);
        let address = match peer.unix {
            false => Address::Tcp(SocketAddr::from(([127, 0, 0, 1], PORT.fetch_add(1, Ordering::Relaxed)))),
            true => Address::Unix(room.path("socket")),
        };
        let mut server = Server { peer, address, process: None, group, room };
        server.begin(command)?;
        match server.answers() {
            true => Ok(server),
            false => Err(format!("{} does not answer\n{}", peer.name, server.log())),
        }
    }

    fn begin(&mut self, command: &[String]) -> Result<(), String> {
        let ask = Ask { address: &self.address, command, room: &self.room };
        let entering = self.group.entering();
        self.process = Some(match self.peer.start {
            Start::Words(words) => {
                let words = [entering, words(&ask)].concat();
                let log = File::create(self.room.path("log")).expect("the stage can be written");
                let mut program = Command::new(&words[0]);
                program.args(&words[1..]).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/");
                program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
                Process::Program(program.spawn().map_err(|error| format!("cannot start {words:?}: {error}"))?)
            }
            Start::Master(entry) => {
                let postfix = Postfix::start_alone(&entering, &self.room, &entry(&ask));
                if self.peer.unix {
                    self.address = Address::Unix(postfix.private_socket("line"));
                }
                Process::Master(postfix)
            }
        });
        Ok(())
    }

    /// Whether a client is served before patience ends, or the server.
    fn answers(&mut self) -> bool {
        let deadline = std::time::Instant::now() + patience();
        while std::time::Instant::now() < deadline && !self.has_ended() {
            if Connection::open(&self.address).is_ok_and(|connection| connection.finish().is_ok()) {
                return true;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(5));
        }
        false
    }

    fn has_ended(&mut self) -> bool {
        match &mut self.process {
            Some(Process::Program(child)) => !matches!(child.try_wait(), Ok(None)),
            Some(Process::Master(_)) | None => false,
        }
    }

    /// What it has said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.room.path("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        match self.process.take() {
            Some(Process::Program(mut child)) => {
                let _gone = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
                if !host::ends_within(child.id(), crate::scene::a_second()) {
                    let _gone = child.kill();
                }
                let _reaped = child.wait();
            }
            Some(Process::Master(postfix)) => postfix.stop(),
            None => {}
        }
    }
}
