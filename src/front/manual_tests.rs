// SPDX-License-Identifier: Apache-2.0
//! Nothing that can be written is missing from its page. What there is comes from the code that reads it: the grammar
//! of the command line, serde's types, Postfix's tables.

use super::super::cli::Cli;
use super::*;
use crate::plan::{calls, capabilities};
use crate::policy::model::{
    ClientNames, Device, Ends, Layer, Namespace, NetworkMode, OnDeny, Proc, RootWord, StandardError,
};
use crate::policy::words::Word;
use crate::policy::{keys, load};
use crate::postfix::options::{OptionError, Options};
use crate::supervise::metrics::names::{ALL, Kind, Metric};
use clap::CommandFactory;
use std::collections::BTreeSet;

/// Whether a macro of the page names `word`: `.Cm word`, `.It Cm a , word`.
fn has(page: &str, name: &str, word: &str) -> bool {
    page.lines().filter(|line| line.starts_with('.')).any(|line| {
        let words: Vec<&str> = line.split(' ').filter(|part| *part != "Ns").collect();
        let starts: Vec<usize> =
            words.iter().enumerate().filter(|(_, part)| part.ends_with(name)).map(|(at, _)| at).collect();
        starts
            .iter()
            .any(|start| words[start + 1..].iter().take_while(|part| !is_macro(part)).any(|part| *part == word))
    })
}

fn is_macro(word: &str) -> bool {
    word.len() == 2
        && word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.ends_with(|c: char| c.is_ascii_lowercase())
}

fn assert_has(page: &str, name: &str, word: &str) {
    assert!(has(page, name, word), "the manual has no `.{name} {word}`");
}

#[test]
fn every_word_and_option_of_the_command_line_is_in_the_manual() {
    let mut command = Cli::command();
    command.build();
    let verbs: Vec<_> = command.get_subcommands().filter(|verb| verb.get_name() != "help").collect();
    for verb in &verbs {
        assert_has(SPAWNBOX, "Cm", verb.get_name());
    }
    for command in verbs.into_iter().chain([&command]) {
        for option in command.get_arguments() {
            option.get_long().iter().for_each(|long| assert_has(SPAWNBOX, "Fl", &format!("-{long}")));
            option.get_short().iter().for_each(|short| assert_has(SPAWNBOX, "Fl", &short.to_string()));
        }
    }
}

#[test]
fn every_option_of_a_postfix_daemon_is_in_the_manual() {
    for letter in ('A'..='z').filter(char::is_ascii_alphabetic) {
        let words = [format!("-{letter}"), "1".to_string()];
        match Options::parse(&words) {
            Err(OptionError::Unknown(_)) => {}
            Ok(_) | Err(_) => assert_has(SPAWNBOX, "Fl", &letter.to_string()),
        }
    }
}

#[test]
fn every_attribute_of_an_entry_is_in_the_manual() {
    let source = include_str!("../postfix/attributes.rs");
    let names: Vec<&str> =
        source.split("value_of(word, \"").skip(1).filter_map(|rest| rest.split('=').next()).collect();
    assert!(names.contains(&"user"), "{names:?}");
    for name in names {
        assert!(SPAWNBOX.contains(&format!(".It Cm {name} Ns = Ns Ar ")), "the manual has no attribute {name}");
    }
}

#[test]
fn every_parameter_of_main_cf_is_in_the_manual() {
    let source = include_str!("../postfix/parameters.rs");
    let used: BTreeSet<&str> = source
        .split("fill.take")
        .skip(1)
        .filter_map(|rest| rest.split_once("(\"")?.1.split_once('"'))
        .map(|(name, _)| name)
        .collect();
    assert!(used.contains("max_idle") && used.contains("spawnbox_log_name"), "{used:?}");
    used.iter().for_each(|name| assert_has(SPAWNBOX, "Cm", name));
    // Those with the service's name in front.
    let of_services = |part: &&str| part.starts_with("_") || part.starts_with("{}_");
    let literals = source.split('"').skip(1).step_by(2);
    let suffixes: BTreeSet<&str> = literals.filter(of_services).map(|part| part.trim_start_matches("{}")).collect();
    assert!(suffixes.contains("_time_limit") && suffixes.contains("_concurrency"), "{suffixes:?}");
    for suffix in suffixes {
        assert_has(SPAWNBOX, "Cm", suffix);
    }
}

#[test]
fn every_right_that_is_kept_is_in_the_manual_and_no_other() {
    let items = SPAWNBOX.lines().filter_map(|line| line.strip_prefix(".It Cm CAP_"));
    let names = items.flat_map(|line| line.split(" , CAP_").map(|name| format!("CAP_{name}")));
    let used: BTreeSet<String> = capabilities::USES.iter().map(|(capability, _, _)| capability.to_string()).collect();
    assert_eq!(names.collect::<BTreeSet<_>>(), used);
}

#[test]
fn every_key_of_a_policy_is_in_the_manual_and_no_other() {
    let (mut written, mut table, mut items) = (BTreeSet::new(), String::new(), Vec::new());
    for line in POLICY.lines() {
        if let Some(name) = line.strip_prefix(".Ss Table ") {
            table = format!("{name}.");
            written.insert(name.to_string());
        } else if let Some(names) = line.strip_prefix(".It Ic ") {
            items = names.split(" , ").map(|name| format!("{table}{name}")).collect();
            written.extend(items.iter().cloned());
        } else if let Some(name) = line.strip_prefix(".Ic ") {
            let name = name.split(' ').next().unwrap_or_default();
            written.extend(items.iter().map(|item| format!("{item}.{name}")));
        }
    }
    assert_eq!(written, keys::all().into_iter().collect());
}

#[test]
fn every_word_of_a_policy_is_in_the_manual() {
    fn check<W: Word>() {
        for (word, _) in W::words() {
            assert!(POLICY.contains(&format!("Cm \\(dq{word}\\(dq")), "the manual has no value \"{word}\"");
        }
    }
    check::<RootWord>();
    check::<Proc>();
    check::<NetworkMode>();
    check::<OnDeny>();
    check::<Layer>();
    check::<Ends>();
    check::<StandardError>();
    check::<Device>();
    check::<ClientNames>();
    check::<Namespace>();
    calls::group_names().for_each(|name| assert_has(POLICY, "Cm", name));
    for name in load::builtin_names() {
        assert_has(POLICY, "Ql", name);
    }
}

#[test]
fn every_metric_is_in_the_manual_and_on_the_dashboard_stands_no_other() {
    for Metric { name, .. } in ALL {
        assert_has(SPAWNBOX, "Cm", name);
    }
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).expect("it is JSON");
    let panels = dashboard["panels"].as_array().expect("it has panels");
    let asked: Vec<&str> = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().expect("a panel asks").iter())
        .map(|target| target["expr"].as_str().expect("for something"))
        .collect();
    let mut used = BTreeSet::new();
    for expression in &asked {
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let names: Vec<&str> = words.filter(|word| word.starts_with("spawnbox_")).collect();
        assert!(!names.is_empty(), "{expression}");
        for name in names {
            let told = ALL.iter().find(|metric| match metric.kind {
                Kind::Gauge | Kind::Counter => name == metric.name,
                Kind::Histogram => name.strip_suffix("_bucket") == Some(metric.name),
            });
            used.insert(told.unwrap_or_else(|| panic!("{name} is told by nobody: {expression}")).name);
        }
    }
    // What says no more than another one is left out.
    let left_out = ["spawnbox_build_info", "spawnbox_draining"];
    let expected: BTreeSet<&str> = ALL.iter().map(|it| it.name).filter(|name| !left_out.contains(name)).collect();
    assert_eq!(used, expected);
}

#[test]
fn every_field_of_the_journal_is_in_the_manual() {
    let source = include_str!("../supervise/line.rs");
    let fields: BTreeSet<&str> = source.split("field.").skip(1).filter_map(|rest| rest.split(' ').next()).collect();
    assert!(fields.contains("outcome") && fields.contains("session"), "{fields:?}");
    for field in fields {
        assert_has(SPAWNBOX, "Cm", &format!("SPAWNBOX_{}", field.to_ascii_uppercase()));
    }
}

#[test]
fn the_sections_are_in_postfix_order() {
    let sections: Vec<&str> = SPAWNBOX.lines().filter_map(|line| line.strip_prefix(".Sh ")).collect();
    let expected = [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "COMMAND ATTRIBUTE SYNTAX",
        "SECURITY",
        "DIAGNOSTICS",
        "BUGS",
        "CONFIGURATION PARAMETERS",
        "RESOURCE AND RATE CONTROL",
        "MISCELLANEOUS",
        "FILES",
        "SEE ALSO",
        "HISTORY",
        "LICENSE",
        "AUTHORS",
    ];
    assert_eq!(sections, expected);
}
