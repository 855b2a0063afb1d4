// SPDX-License-Identifier: Apache-2.0
//! Side by side: what can be observed of Postfix's spawn(8), row by row, under Debian's master with spawn and with
//! ours.
//!
//! A row quotes the sentence that it proves and plays the same for both. What ours does otherwise on purpose stands in
//! `compat/differences.txt` with its reason. `SPAWNBOX_COMPAT=theirs|ours|both` chooses who plays, and
//! `SPAWNBOX_COMPAT_ROWS=limit_,umask` which rows: those whose names begin so.

mod row;
mod at;
mod stage;
mod differences;
mod verdict;
mod sees;
mod argv;
mod options;
mod parameters;
mod refusals;
mod connection;
mod pass;
mod limits;
mod confined;
mod habits;
mod life;
mod watchdog;
mod instances;
mod reload;
mod throttle;
mod log;
mod postlog;
mod chroot;
mod master;
mod protocol;
mod hand;

use crate::postfix::instance::Spawner;
use row::Row;
use std::thread;

/// Every row, in the order of what happens: a command line is read, or refused, and a command runs.
fn rows() -> Vec<Row> {
    [
        sees::rows(),
        argv::rows(),
        options::rows(),
        parameters::rows(),
        refusals::rows(),
        connection::rows(),
        pass::rows(),
        limits::rows(),
        confined::rows(),
        habits::rows(),
        life::rows(),
        watchdog::rows(),
        instances::rows(),
        reload::rows(),
        throttle::rows(),
        log::rows(),
        postlog::rows(),
        chroot::rows(),
        protocol::rows(),
        hand::rows(),
    ]
    .concat()
}

#[test]
fn what_spawn_does_we_do_or_say_why_not() {
    needs!(root);
    needs!(program "postfix");
    needs!(program "perl");
    needs!(program "strace");
    let sides: &[Spawner] = match std::env::var("SPAWNBOX_COMPAT").as_deref() {
        Ok("theirs") => &[Spawner::Theirs],
        Ok("ours") => &[Spawner::Ours],
        Ok("both") | Err(_) => &[Spawner::Theirs, Spawner::Ours],
        Ok(other) => panic!("SPAWNBOX_COMPAT is theirs, ours or both, not {other}"),
    };
    let wanted = std::env::var("SPAWNBOX_COMPAT_ROWS").unwrap_or_default();
    let chosen = |row: &Row| wanted.split(',').any(|start| row.name.starts_with(start));
    let all = rows();
    verdict::check_names(&all, &wanted);
    let rows: Vec<Row> = all.into_iter().filter(chosen).collect();
    let played = thread::scope(|scope| {
        let both: Vec<_> = sides.iter().map(|side| scope.spawn(|| stage::play(*side, &rows))).collect();
        both.into_iter().flat_map(|side| side.join().expect("a failed row is a result")).collect::<Vec<_>>()
    });
    let listed =
        differences::read().into_iter().filter(|one| wanted.split(',').any(|start| one.row.starts_with(start)));
    verdict::judge(sides, &rows, &played, &listed.collect::<Vec<_>>());
}
