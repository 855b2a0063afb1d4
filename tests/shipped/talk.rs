// SPDX-License-Identifier: Apache-2.0
//! Conversations with a service, which may fail: a question, and an answer that must say something.

use crate::postfix::private::Log;
use crate::scene::{Server, a_second, patience};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

/// Whether the client says that nothing more will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Wait,
    Close,
}

/// Sends `question` and reads until the answer says `answer`; all of it so far.
pub(super) fn ask(server: &Server, question: &str, then: Then, answer: &str) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("the connection: {error}");
    let mut client = TcpStream::connect(server.address()).map_err(failed)?;
    client.set_read_timeout(Some(patience())).map_err(failed)?;
    let sent = client.write_all(question.as_bytes());
    if then == Then::Close {
        let _ = client.shutdown(Shutdown::Write);
    }
    let (mut text, mut bytes) = (String::new(), [0; 4096]);
    let ended = loop {
        match client.read(&mut bytes) {
            Ok(0) => break sent.map_or_else(|error| error.to_string(), |()| "it hung up".to_string()),
            Ok(length) => text.push_str(&String::from_utf8_lossy(&bytes[..length])),
            Err(error) => break error.to_string(),
        }
        if text.contains(answer) {
            return Ok(text);
        }
        // As policy servers end an answer.
        if text.ends_with("\n\n") {
            break "nothing more".to_string();
        }
    };
    Err(format!("no {answer:?} but {text:?}, then {ended}"))
}

/// Waits until the system's log says this.
pub(super) fn heard(log: &Log, text: &str) -> Result<(), String> {
    log.find(2 * a_second(), |line| line.contains(text)).map(|_| ()).ok_or_else(|| format!("no {text:?} in the log"))
}

/// A next hop that takes one message on 127.0.0.1:10026, as smtpd(8) does, and says what is in it.
pub(super) fn next_hop() -> std::thread::JoinHandle<String> {
    let listener = TcpListener::bind("127.0.0.1:10026").expect("the test has a network of its own");
    listener.set_nonblocking(true).expect("a socket can be set");
    std::thread::spawn(move || {
        let deadline = std::time::Instant::now() + patience();
        while std::time::Instant::now() < deadline {
            if let Ok((client, _)) = listener.accept() {
                client.set_nonblocking(false).expect("a socket can be set");
                client.set_read_timeout(Some(patience())).expect("a time-out can be set");
                return takes(client).unwrap_or_default();
            }
            std::thread::park_timeout(std::time::Duration::from_millis(5));
        }
        String::new()
    })
}

fn takes(client: TcpStream) -> std::io::Result<String> {
    let mut replies = client.try_clone()?;
    replies.write_all(b"220 hop\r\n")?;
    let (mut message, mut within) = (String::new(), false);
    for line in BufReader::new(client).lines() {
        let line = line?;
        match (within, line.as_str()) {
            (true, ".") => {
                within = false;
                replies.write_all(b"250 taken\r\n")?;
            }
            (true, text) => message += &format!("{text}\n"),
            (false, "DATA") => {
                within = true;
                replies.write_all(b"354 go on\r\n")?;
            }
            (false, "QUIT") => {
                replies.write_all(b"221 bye\r\n")?;
                break;
            }
            (false, _) => replies.write_all(b"250 ok\r\n")?,
        }
    }
    Ok(message)
}
