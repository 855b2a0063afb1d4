// SPDX-License-Identifier: Apache-2.0
//! Round after round, every server in turn: a change of the machine between two rounds is no difference of two servers.
//! A round in which others were at work is dropped whole.

use crate::figures::{Report, Round, Row, Speed, medians, times};
use crate::load::{Ends, Load, play};
use crate::peers::{self, Peer};
use crate::processor::{Idle, processors};
use crate::server::Server;
use crate::size::Size;
use crate::{command, idle, mounts};
use std::time::Duration;

/// Between two connections of a client that rests.
const REST: Duration = Duration::from_millis(4);

/// One server's rounds.
#[derive(Default)]
struct Rounds {
    speeds: Vec<Speed>,
    lost: usize,
}

/// Everything that is measured.
pub(crate) fn all(size: &Size) -> Result<Report, String> {
    let command = vec![command::build()?.display().to_string()];
    idle::raise_descriptors();
    let (mut there, mut left_out): (Vec<&Peer>, Vec<String>) = Default::default();
    for peer in peers::ALL.iter().filter(|peer| size.has(peer)) {
        match peer.needs.lacking() {
            None => there.push(peer),
            Some(why) => left_out.push(format!("{}, {why}", peer.name)),
        }
    }
    left_out.iter().for_each(|why| eprintln!("bench: left out: {why}"));
    let quiet = Idle::watch(size.longest / 6);
    let (mut servers, dropped) = speeds(size, &there, &command, quiet)?;
    for (peer, row) in there.into_iter().zip(&mut servers) {
        eprintln!("bench: idle sessions and mounts, {}", peer.name);
        idle::measure(size, peer, row, quiet)?;
        if mounts::concerns(peer) {
            mounts::measure(size, peer, row, quiet)?;
        }
    }
    Ok(Report { machine: machine(), rounds: size.rounds, dropped, servers, left_out })
}

/// A row for each server with what its clients saw, and how many rounds were dropped for it.
fn speeds(size: &Size, peers: &[&'static Peer], command: &[String], idle: Idle) -> Result<(Vec<Row>, usize), String> {
    let servers: Result<Vec<Server>, String> = peers.iter().map(|peer| Server::start(peer, command)).collect();
    let servers = servers?;
    let mut rounds: Vec<Rounds> = servers.iter().map(|_| Rounds::default()).collect();
    let mut dropped = 0;
    while rounds[0].speeds.len() < size.rounds {
        match round(size, &servers, idle) {
            Ok(all) => {
                for (one, rounds) in all.iter().zip(&mut rounds) {
                    rounds.speeds.push(one.speed());
                    rounds.lost += one.lost();
                }
                eprintln!("bench: round {} of {}", rounds[0].speeds.len(), size.rounds);
            }
            Err(why) => {
                dropped += 1;
                eprintln!("bench: a round is dropped: {why}");
                if dropped > size.spoilt {
                    return Err(format!("others are at work on this machine, {dropped} rounds were dropped: {why}"));
                }
            }
        }
    }
    let base = |peer: &Peer| peers.iter().position(|one| one.unix == peer.unix).expect("itself, at the last");
    let row = |(peer, own): (&&Peer, &Rounds)| {
        let bare = &rounds[base(peer)].speeds;
        let ratios: Vec<Speed> = own.speeds.iter().zip(bare).map(|(speed, bare)| times(speed, bare)).collect();
        Row {
            server: peer.name.to_string(),
            sandbox: peer.sandbox.to_string(),
            speed: medians(&own.speeds),
            times_bare: medians(&ratios),
            lost: own.lost,
            idle: None,
            sessions: Vec::new(),
            mounts: Vec::new(),
            left_out: Vec::new(),
        }
    };
    Ok((peers.iter().zip(&rounds).map(row).collect(), dropped))
}

/// Measures again until nobody else is at work: a figure, with the part of this machine that others had meanwhile.
pub(crate) fn quietly(size: &Size, name: &str, mut measure: impl FnMut() -> (f64, f64)) -> Result<f64, String> {
    let mut last = 0.0;
    for _ in 0..=size.spoilt {
        let (figure, foreign) = measure();
        if foreign <= size.foreign {
            return Ok(figure);
        }
        last = foreign;
    }
    Err(disturbed(name, last))
}

fn disturbed(name: &str, foreign: f64) -> String {
    format!("others had {:.0} % of this machine while {name} was measured", foreign * 100.0)
}

/// Every server once; else who was disturbed, and how much.
fn round(size: &Size, servers: &[Server], idle: Idle) -> Result<Vec<Round>, String> {
    let one = |server: &Server| {
        let round = visit(size, server, idle);
        match round.foreign() > size.foreign {
            true => Err(disturbed(server.peer.name, round.foreign())),
            false => Ok(round),
        }
    };
    servers.iter().map(one).collect()
}

fn visit(size: &Size, server: &Server, idle: Idle) -> Round {
    let load =
        |clients, connections, rest| Load { clients, connections, longest: size.longest, rest, ends: Ends::Command };
    let play = |load| idle.while_doing(&server.group, || play(&server.address, load));
    // A server that has not been used for a while is not what anyone wants to know.
    let _warm = play(load(1, size.closed.div_ceil(10), Duration::ZERO));
    Round {
        closed: play(load(1, size.closed, Duration::ZERO)),
        rested: play(load(1, size.rested, REST)),
        eight: play(load(8, size.crowd, Duration::ZERO)),
        sixty_four: play(load(64, size.crowd, Duration::ZERO)),
    }
}

fn machine() -> String {
    let kernel = nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned());
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("unknown").to_string();
    format!("Linux {}, {} processors, {model}", kernel.unwrap_or_default(), processors())
}
