// SPDX-License-Identifier: Apache-2.0
//! Every test that runs the program itself, in the order in which a newcomer should read them.
//!
//! `SPAWNBOX_TESTS=must` turns each skip into a failure, but for what `SPAWNBOX_LACKS` names;
//! `SPAWNBOX_PATIENCE=5` multiplies every deadline, for machines without hardware virtualisation;
//! `SPAWNBOX_FAULTS=all` fails every system call in every way instead of a sample, or those whose words it holds;
//! `SPAWNBOX_CLOCK=own` says that the clock may be set and audit be switched on, as in the machines of ci/kernels;
//! `SPAWNBOX_SOAK=20000` sets how many connections the soak makes;
//! `SPAWNBOX_STORM=3600` sets for how many seconds its storm lasts, `SPAWNBOX_SEED` what chance begins with;
//! `SPAWNBOX_BALANCED=100000` sets how many clients come to a pair of supervisors behind a balancer;
//! `SPAWNBOX_IDLE=10000` has so many sessions be idle at once, and the supervisor's answers held to what is promised;
//! `SPAWNBOX_SERVICES=500` has one server serve so many services;
//! `SPAWNBOX_MESSAGES=2000` sets how many messages each crowd of Postfix's clients sends;
//! `SPAWNBOX_ATTACKS=show` prints what came of every attack, and `SPAWNBOX_NSJAIL=PATH` tries them on this nsjail too;
//! `SPAWNBOX_CONNECTIONS=500` measures what so many at once take, with spawnbox and with Postfix's own spawn;
//! `SPAWNBOX_COMPAT=theirs` or `ours` plays the contract of spawn(8) with one of them instead of both.

#[macro_use]
mod scene;

mod refusals;
mod complaints;
mod check;
mod terminal;
mod serve;
mod reload;
mod upgrade;
mod activation;
mod seeing;
mod metrics;
mod logged;
mod startling;
mod connection;
mod stderr;
mod denials;
mod trace;
mod ends;
mod front;
mod failure;
mod proofs;
mod doctor;
mod learn;
mod programs;
mod profiles;
mod shipped;
mod forward;
mod isolation;
mod images;
mod landlock;
mod audit;
mod order;
mod allocation;
mod limits;
mod apart;
mod clients;
mod admission;
mod idle;
mod proxy;
mod balanced;
mod told;
mod spares;
mod levels;
mod death;
mod confined;
mod lent;
mod crowd;
mod postfix;
mod compat;
mod install;
mod rootless;
mod attacks;
mod readme;
mod recipes;
mod manual;
mod output;
mod hostile;
mod faults;
mod clock;
mod soak;
