// SPDX-License-Identifier: Apache-2.0
//! Asks a running supervisor over its control socket, and believes only what root or the caller's own user answers.

use super::arrange::Failure;
use super::cli::{Asked, At, Seeing};
use crate::host::{HostError, errno_text};
use crate::policy::address::UnixAddress;
use crate::supervise::Supervisor;
use crate::supervise::control::DEFAULT;
use crate::supervise::control::words::VERSION;
use nix::errno::Errno;
use nix::sys::socket::{getsockopt, sockopt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is taken: a page is a tenth of it.
const LONGEST: u64 = 1 << 20;

/// A supervisor that answers.
pub(super) struct Asking {
    stream: BufReader<UnixStream>,
    path: PathBuf,
}

/// What is looked at of every answer.
#[derive(Deserialize)]
struct Beginning {
    version: Option<u64>,
    refused: Option<String>,
}

impl Seeing {
    /// Opens what was asked for. Where nothing was said, `default` is tried by root, and no reason not to serve.
    pub(super) fn open(&self, supervisor: &mut Supervisor, default: Option<&Path>) -> Result<(), Failure> {
        self.metrics.iter().try_for_each(|address| supervisor.open_metrics(address)).map_err(Failure::Host)?;
        match (&self.control, default) {
            (Some(At::Path(address)), _) => supervisor.open_control(address).map_err(Failure::Host),
            (None, Some(path)) if rustix::process::geteuid().is_root() => {
                let address = UnixAddress { path: path.to_path_buf(), mode: 0o600, user: None, group: None };
                if let Err(error) = supervisor.open_control(&address) {
                    tracing::warn!("{error}; nobody can ask this server: --control PATH gives it a socket of its own");
                }
                Ok(())
            }
            (Some(At::Nowhere) | None, _) => Ok(()),
        }
    }
}

impl Asking {
    /// Connects.
    pub(super) fn connect(whom: &Asked) -> Result<Asking, Failure> {
        let path = whom.control.clone().unwrap_or_else(|| DEFAULT.into());
        let asking = || -> Result<Asking, String> {
            let stream = UnixStream::connect(&path).map_err(|error| absent(&error))?;
            let owner = getsockopt(&stream, sockopt::PeerCredentials).map_err(errno_text)?.uid();
            let own = rustix::process::geteuid().as_raw();
            if owner != 0 && owner != own {
                return Err(format!("user {owner} listens there, who is neither root nor the caller"));
            }
            let limited =
                stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
            limited.map_err(|error| error.to_string())?;
            Ok(Asking { stream: BufReader::new(stream), path: path.clone() })
        };
        asking().map_err(|why| Failure::Host(failed(&path, why)))
    }

    /// Asks, and reads the answer.
    pub(super) fn ask<T: DeserializeOwned>(&mut self, mut request: Value) -> Result<T, Failure> {
        request["version"] = VERSION.into();
        self.exchange(&request).map_err(|why| Failure::Host(failed(&self.path, why)))
    }

    fn exchange<T: DeserializeOwned>(&mut self, request: &Value) -> Result<T, String> {
        // Whoever refuses us may have closed the connection before it has heard us; why is there to be read.
        let sent = self.stream.get_mut().write_all(format!("{request}\n").as_bytes());
        let mut line = Vec::new();
        let read = self.stream.by_ref().take(LONGEST).read_until(b'\n', &mut line);
        match read.and(sent) {
            _ if line.ends_with(b"\n") => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err("it does not answer".to_string()),
            Err(error) => return Err(error.to_string()),
            Ok(()) => return Err("it has ended".to_string()),
        }
        let senseless = |error: serde_json::Error| format!("its answer makes no sense: {error}");
        // First: what comes in another version may have any form.
        let answer: Beginning = serde_json::from_slice(&line).map_err(senseless)?;
        match (answer.version, answer.refused) {
            (Some(VERSION), None) => serde_json::from_slice(&line).map_err(senseless),
            (Some(VERSION), Some(why)) => Err(why),
            (Some(other), _) => Err(format!("it speaks version {other} of the protocol, and this program {VERSION}")),
            (None, _) => Err("its answer makes no sense: it has no version".to_string()),
        }
    }
}

fn failed(path: &Path, why: String) -> HostError {
    HostError { doing: format!("ask the supervisor at {}", path.display()), why: crate::log::clean(&why) }
}

/// Why nobody answers, and what can be done about it.
fn absent(error: &std::io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT) => {
            "there is no such socket: `spawnbox serve` makes one, and `listen --control PATH`".to_string()
        }
        Some(Errno::ECONNREFUSED) => "nobody listens there any more: the supervisor has ended".to_string(),
        Some(Errno::EACCES) => "permission denied: root, its own user and its socket's group may ask".to_string(),
        Some(errno) => errno_text(errno),
        None => error.to_string(),
    }
}
