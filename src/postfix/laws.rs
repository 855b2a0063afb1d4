// SPDX-License-Identifier: Apache-2.0
//! What must hold of everything that Postfix's files and master(8)'s command line can say. For tests and fuzzers only.

use super::attributes::{self, Accounts};
use super::environment;
use super::main_cf::Table;
use super::master_cf::{self, ChrootDefault, Entry};
use super::options::{Options, generation};
use super::parameters::{Parameters, Start, Surroundings};
use super::passing::{Attributes, Progress};
use crate::fuzz::thoroughly;
use std::collections::BTreeMap;

/// No value that a parameter has is longer: `expand` refuses it.
const LONGEST: usize = 1 << 20;
const MAIL_OWNER: (u32, u32) = (102, 105);

/// Every name is somebody; ids are what the name's bytes make of them, but for those of Postfix's defaults.
struct Everybody;

impl Accounts for Everybody {
    fn user(&self, name: &str) -> Option<(u32, u32)> {
        let uid = name.bytes().fold(0, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
        match name {
            "postfix" => Some(MAIL_OWNER),
            "nobody" => Some((65534, 65534)),
            "ghost" => None,
            _ => Some((uid % 200, uid % 150)),
        }
    }

    fn group(&self, name: &str) -> Option<u32> {
        if name == "postdrop" { Some(151) } else { self.user(name).map(|(_, gid)| gid) }
    }

    fn name_of(&self, uid: u32) -> Option<String> {
        (!uid.is_multiple_of(2)).then(|| uid.to_string())
    }

    fn group_name_of(&self, gid: u32) -> Option<String> {
        gid.is_multiple_of(2).then(|| gid.to_string())
    }
}

impl Surroundings for Everybody {
    fn first_line(&self, path: &str) -> Result<String, String> {
        Ok(format!("{path}\n"))
    }
}

/// `postconf -M`: an entry is what it was after another command took its place and gave it back, and master's command
/// line for it is read or refused.
pub(crate) fn master_cf(text: &str) {
    let Ok(entries) = master_cf::parse(text) else { return };
    for entry in &entries {
        let ours = again(&entry.with_command("spawnbox"));
        assert!(ours.is_ours());
        for default in [ChrootDefault::Yes, ChrootDefault::No] {
            assert_eq!(ours.words(default), entry.words(default), "{:?}", entry.with_command("spawnbox"));
            words(&entry.words(default));
        }
        let spawn = again(&ours.with_command("spawn"));
        assert_eq!(spawn.with_command("spawn"), entry.with_command("spawn"));
    }
}

fn again(line: &str) -> Entry {
    let entries = master_cf::parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    let [entry] = &entries[..] else { panic!("not one entry: {line:?}") };
    entry.clone()
}

/// A command line, one word a line, as master gives it; and GENERATION, which is its first.
pub(crate) fn options(text: &str) {
    let all: Vec<String> = text.split('\n').map(str::to_string).collect();
    let digits = all[0].bytes().all(|byte| byte.is_ascii_digit()) && !all[0].is_empty();
    assert_eq!(generation(&all[0]).is_ok(), digits);
    words(&all);
}

fn words(words: &[String]) {
    let options = Options::parse(words);
    assert_eq!(options, Options::parse(words));
    let Ok(options) = options else { return };
    assert!(words.ends_with(&options.words));
    assert!(options.listeners != Some(0) && options.retire_s != Some(0));
    let _ = options.transport("service");
    if let Ok(found) = attributes::parse(&options.words, &Everybody, MAIL_OWNER) {
        assert!(!found.argv.is_empty() && (found.user.is_some() || found.policy.is_some()));
        let (uid, gid) = found.user.map_or((1, 1), |user| user.ids);
        assert!(![0, MAIL_OWNER.0, u32::MAX].contains(&uid) && ![0, MAIL_OWNER.1, u32::MAX].contains(&gid));
    }
}

/// main.cf: what is read is what its own names and values are when they are written down and read again, and every
/// parameter is short.
pub(crate) fn main_cf(text: &str) {
    let start = Start {
        process_name: "spawnbox".to_string(),
        service_name: "policy".to_string(),
        config_directory: "/etc/postfix".to_string(),
        host_name: "mx.example".to_string(),
        process_id: 1,
        mail_version: None,
        overrides: Vec::new(),
    };
    let (mut table, mut warnings) = (Parameters::table(&start), Vec::new());
    if table.read("main.cf", text, &mut warnings).is_err() {
        return;
    }
    assert!(warnings.len() <= text.lines().count());
    if thoroughly(text.as_bytes()) {
        assert_eq!(written_and_read(&table), table);
    }
    let again = thoroughly(text.as_bytes()).then(|| Parameters::fill(table.clone(), &start, &Everybody));
    let filled = Parameters::fill(table, &start, &Everybody);
    assert!(again.is_none_or(|again| again == filled), "{filled:?}");
    let Ok(parameters) = filled else { return };
    let texts = [&parameters.queue_directory, &parameters.syslog_name, &parameters.export_environment];
    assert!(texts.iter().all(|value| value.len() <= LONGEST));
    assert!(parameters.max_use > 0 && !parameters.max_idle.is_zero());
    assert!(parameters.time_limit().is_ok_and(|limit| !limit.limit.is_zero()) || parameters.time_limit().is_err());
    assert!(parameters.concurrency().ok().flatten() != Some(0));
    assert!(parameters.mail_owner.0 != 0 && parameters.mail_owner.1 != 0);
    environment(&parameters.export_environment);
}

fn written_and_read(table: &Table) -> Table {
    let (mut again, mut warnings) = (Table::default(), Vec::new());
    let text: String =
        table.names().map(|name| format!("{name} = {}\n", table.get(name).unwrap_or_default())).collect();
    again.read("main.cf", &text, &mut warnings).unwrap_or_else(|error| panic!("{error}"));
    assert!(warnings.is_empty(), "{warnings:?}");
    again
}

/// The attributes of a client that another daemon hands over: where they end does not depend on how they come.
pub(crate) fn passing(bytes: &[u8]) {
    let whole = Attributes::default().take(bytes);
    assert!(whole != Progress::TooLong, "an input is shorter");
    let (mut one_by_one, mut end) = (Attributes::default(), Progress::More);
    for byte in bytes {
        assert_eq!(end, Progress::More);
        end = one_by_one.take(std::slice::from_ref(byte));
        if end == Progress::Complete {
            assert_eq!(*byte, 0);
            break;
        }
    }
    assert_eq!(whole, end);
}

/// `export_environment`: no name twice, the search path always, and nothing of the daemon's own that is not named.
pub(crate) fn environment(list: &str) {
    let own = [("TZ", "UTC"), ("LANG", "C"), ("PATH", "/sbin"), ("SECRET", "s3cret")];
    let own: BTreeMap<String, String> = own.map(|(name, value)| (name.to_string(), value.to_string())).into();
    let Ok(pairs) = environment::exported(list, &own) else { return };
    let once: BTreeMap<&String, &String> = pairs.iter().map(|(name, value)| (name, value)).collect();
    assert_eq!(once.len(), pairs.len());
    assert_eq!(once.get(&"PATH".to_string()).map(|path| path.as_str()), Some("/usr/bin:/bin"));
    assert!(pairs.iter().all(|(name, _)| !name.is_empty() && !name.contains('=')));
    assert!(list.contains("SECRET") || list.contains("s3cret") || pairs.iter().all(|(_, value)| value != "s3cret"));
}
