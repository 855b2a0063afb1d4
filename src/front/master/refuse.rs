// SPDX-License-Identifier: Apache-2.0
//! A service that cannot be served. spawn(8) finds that out with its first client, which it has accepted by then, and
//! so do we: the client sees an end of file instead of hanging, and master throttles the service.

use super::fatal::Fatal;
use super::gate::Gate;
use crate::postfix::protocol::Status;
use crate::supervise::{Arrival, Listener, NotAccepted};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};
use std::time::Instant;

/// Waits for the first client and then fails with `fatal`; without one, ends as an idle daemon does.
pub(super) fn first_client(gate: &mut Gate, listeners: &[Listener], fatal: Fatal) -> Result<(), Fatal> {
    let deadline = Instant::now() + gate.max_idle();
    loop {
        gate.enter()?;
        let left = deadline.saturating_duration_since(Instant::now());
        let mut watched = vec![PollFd::new(gate.status(), PollFlags::POLLIN)];
        watched.extend(listeners.iter().map(|listener| PollFd::new(listener.as_fd(), PollFlags::POLLIN)));
        match poll(&mut watched, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(0) if left.is_zero() => return Ok(()),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Fatal::Wait(errno)),
        }
        let ready: Vec<bool> = watched.iter().map(|fd| fd.any().unwrap_or(true)).collect();
        if ready[0] {
            return Ok(());
        }
        for (listener, _) in listeners.iter().zip(&ready[1..]).filter(|(_, ready)| **ready) {
            let came = accept(listener);
            gate.leave();
            match came {
                Ok(Some(client)) => {
                    let _gone = gate.notify(Status::Taken);
                    // Open until the process ends, which is a second later.
                    let _until_exit = client.into_raw_fd();
                    return Err(fatal);
                }
                // Whoever finds no client after all waits on.
                Ok(None) => {}
                Err(why) => gate.refuse(&why)?,
            }
        }
    }
}

/// The client that has come; one that is handed over is waited for. None: it has left again.
fn accept(listener: &Listener) -> Result<Option<OwnedFd>, NotAccepted> {
    match listener.accept() {
        Ok(Some(Arrival::Client(connection, _))) => Ok(Some(connection)),
        Ok(Some(Arrival::Passer(passer))) => Ok(passer.wait().map(Some)?),
        // Turned away already, as every client here is.
        Ok(Some(Arrival::Nobody(_)) | None) => Ok(None),
        Err(errno) => Err(NotAccepted::Errno(errno)),
    }
}
