// SPDX-License-Identifier: Apache-2.0
//! A crowd of clients while Postfix is reloaded again and again: whoever connects is served. Knows nothing about by
//! whom.

use super::instance::Postfix;
use crate::scene::{host, patience};
use nix::sys::signal::Signal;
use std::io::{Error, Read, Result, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// How many clients there are at once.
const CROWD: usize = 8;
/// How often each of them comes.
const TIMES: usize = 15;
/// How long a service is left alone.
const REST: Duration = Duration::from_millis(200);

/// Sends everybody to this service, which sends back what it is sent. Returns what those saw who were lost.
pub(crate) fn lost(postfix: &Postfix, service: &str) -> Vec<String> {
    let socket = postfix.private_socket(service);
    let count = AtomicU32::new(0);
    let served = || count.load(Ordering::Relaxed);
    let client = || -> Option<String> {
        let lost = ask(&socket).err();
        count.fetch_add(1, Ordering::Relaxed);
        lost.map(|error| error.to_string())
    };
    thread::scope(|scope| {
        let crowd: Vec<_> =
            (0..CROWD).map(|_| scope.spawn(|| (0..TIMES).filter_map(|_| client()).collect::<Vec<_>>())).collect();
        let over = || crowd.iter().all(|one| one.is_finished());
        while !over() {
            let before = served();
            postfix.signal(Signal::SIGHUP);
            thread::park_timeout(REST);
            // A process that is told to leave before it has started serves nobody, and neither would the next.
            host::eventually("somebody is served", patience(), || over() || served() > before);
        }
        crowd.into_iter().flat_map(|one| one.join().expect("an error is a result")).collect()
    })
}

fn ask(socket: &PathBuf) -> Result<()> {
    let mut client = UnixStream::connect(socket)?;
    client.set_read_timeout(Some(patience()))?;
    client.write_all(b"are you there\n")?;
    client.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    client.read_to_string(&mut answer)?;
    match answer.as_str() {
        "are you there\n" => Ok(()),
        other => Err(Error::other(format!("the answer is \"{}\"", other.escape_default()))),
    }
}
