// SPDX-License-Identifier: Apache-2.0
//! Plays the rows of one side: those that need no mail system of their own share one, several at a time.

use super::at::{At, fill};
use super::differences;
use super::row::Row;
use crate::postfix::instance::{Postfix, Spawner};
use crate::postfix::private::{Log, in_private};
use crate::scene::patience;
use crate::scene::stage::{Room, mode, room};
use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;

/// How many rows are played at once in the shared mail system: they mostly wait.
const TOGETHER: usize = 8;
/// How many mail systems of rows that need their own there are at once.
const ALONE: usize = 3;

/// How a row went.
pub(super) struct Played {
    pub(super) side: Spawner,
    pub(super) row: String,
    /// Where it failed, what was seen.
    pub(super) result: Result<(), String>,
}

/// Plays all of them.
pub(super) fn play(side: Spawner, rows: &[Row]) -> Vec<Played> {
    let twins = rows.iter().filter(|_| side == Spawner::Ours).filter_map(Row::twin);
    let (alone, together): (Vec<Row>, Vec<Row>) = rows.iter().cloned().chain(twins).partition(|row| row.alone);
    thread::scope(|scope| {
        let shared = scope.spawn(|| {
            let mut played = Vec::new();
            staged(side, &together, |world| {
                played = pool(TOGETHER, &together, |row| one(side, row, || world.play(row)));
            });
            played
        });
        let own = pool(ALONE, &alone, |row| {
            one(side, row, || staged(side, std::slice::from_ref(row), |world| world.play(row)))
        });
        shared.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).into_iter().chain(own).collect()
    })
}

/// A mail system and what belongs to it.
struct World<'a> {
    side: Spawner,
    room: &'a Room,
    postfix: &'a Postfix,
    log: &'a Log,
}

impl World<'_> {
    fn play(&self, row: &Row) {
        let World { side, room, postfix, log } = *self;
        // What is known to differ is not waited for as long.
        let listed = side == Spawner::Ours && differences::read().iter().any(|one| one.row == row.name);
        let patience = if listed { patience() / 5 } else { patience() };
        row.play(&At { name: &row.name, spawner: side, room, postfix, log, patience });
    }
}

/// A mail system with the services of these rows, for as long as `scene` lasts.
fn staged(side: Spawner, rows: &[Row], scene: impl FnOnce(&World<'_>) + Send) {
    let room = room();
    mode(&room.directory("spool"), 0o1777);
    let filled = |row: &Row, text: &str| fill(text, &row.name, side, &room);
    for row in rows {
        let text = filled(row, row.script.as_deref().unwrap_or_default());
        room.file(&format!("{}.sh", row.name), &text);
    }
    let settings: String = rows.iter().map(|row| filled(row, &row.settings) + "\n").collect();
    let entries: String = rows.iter().map(|row| filled(row, &row.entry())).collect();
    in_private(&room.path(""), |log| {
        let postfix = Postfix::start(&room, &settings, &entries);
        scene(&World { side, room: &room, postfix: &postfix, log });
        postfix.stop();
    });
}

fn one(side: Spawner, row: &Row, play: impl FnOnce()) -> Played {
    let result = catch_unwind(AssertUnwindSafe(play)).map_err(|panic| words(&*panic));
    Played { side, row: row.name.clone(), result }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_string()
}

/// Does this for each row, some at once.
fn pool(width: usize, rows: &[Row], each: impl Fn(&Row) -> Played + Sync) -> Vec<Played> {
    let waiting = Mutex::new(rows.iter().collect::<VecDeque<_>>());
    let next = || waiting.lock().expect("no holder panics").pop_front();
    thread::scope(|scope| {
        let worker = || std::iter::from_fn(next).map(&each).collect::<Vec<_>>();
        let workers: Vec<_> = (0..width).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a failed row is a result")).collect()
    })
}
