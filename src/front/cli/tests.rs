// SPDX-License-Identifier: Apache-2.0
//! The grammar is consistent, and every example in it is one.

use super::groups::GROUPS;
use super::{Cli, Verb, grammar};
use clap::{Command, CommandFactory, Parser};

#[test]
fn the_grammar_is_consistent_and_every_verb_has_an_example() {
    let mut command = Cli::command();
    command.clone().debug_assert();
    for verb in command.get_subcommands_mut() {
        let help = verb.render_help().to_string();
        assert!(help.contains(&format!("spawnbox {} ", verb.get_name())), "{help}");
    }
}

/// The words of an example, up to what a shell or a reader does with it.
fn words(line: &str) -> Vec<String> {
    let end = [" | ", " >", " && ", "  "].iter().filter_map(|mark| line.find(mark)).min().unwrap_or(line.len());
    let parts = line[..end].split('\'').enumerate();
    let mut words = vec![String::new()];
    for (index, part) in parts {
        // Every other part stands in quotes.
        for (number, piece) in part.split(if index % 2 == 0 { ' ' } else { '\0' }).enumerate() {
            if number > 0 {
                words.push(String::new());
            }
            words.last_mut().unwrap().push_str(piece);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn every_option_stands_under_a_heading_and_has_an_example_and_every_example_is_one() {
    let mut examples = Vec::new();
    let mut command = Cli::command();
    let top = command.render_long_help().to_string();
    for verb in command.get_subcommands_mut() {
        for option in verb.get_arguments().filter(|option| !option.is_positional()) {
            let help = option.get_long_help().map(ToString::to_string).unwrap_or_default();
            let example =
                help.split("Example: ").nth(1).unwrap_or_else(|| panic!("{} has no example", option.get_id()));
            let long = format!("--{}", option.get_long().expect("each option has a long name"));
            let short = option.get_short().map(|short| format!("-{short}"));
            let words = words(example);
            assert!(words.contains(&long) || short.is_some_and(|short| words.contains(&short)), "{long}: {words:?}");
            // What every word has stands beside --help.
            assert!(
                option.is_global_set() || option.get_help_heading().is_some(),
                "{} stands under no heading",
                option.get_id()
            );
            examples.push(example.to_string());
        }
        let help = verb.render_long_help().to_string();
        examples.extend(help.lines().filter_map(|line| Some(line[line.find("spawnbox ")?..].to_string())));
    }
    examples.extend(top.lines().filter_map(|line| Some(line.strip_prefix("  spawnbox ")?.to_string())));
    examples.retain(|line| !line.contains('[') || line.contains("'["));
    assert!(examples.len() > 60, "{}", examples.len());
    for line in examples {
        let words = words(line.strip_prefix("spawnbox ").unwrap_or(&line));
        let parsed = Cli::try_parse_from([&["spawnbox".to_string()][..], &words].concat());
        assert!(parsed.is_ok(), "{line}: {words:?}: {}", parsed.unwrap_err());
    }
}

#[test]
fn every_word_stands_in_one_group() {
    let mut command = Cli::command();
    command.build();
    let mut known: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    known.sort_unstable();
    grouped.sort_unstable();
    assert_eq!(grouped, known);
    let help = grammar(80).render_help().to_string();
    let (words, _) = help.split_once("Options:").expect("options follow");
    assert!(words.lines().all(|line| line.chars().count() <= 80), "{words}");
    assert!(help.contains("Write policies:\n  explain          Print what"), "{help}");
}

#[test]
fn everything_after_the_dashes_is_the_command() {
    let Verb::Run(run) = Cli::parse_from(["spawnbox", "run", "-slimits.time=2s", "--", "sh", "-c", "x"]).verb else {
        panic!("not run");
    };
    assert_eq!(
        (run.what.set, run.what.command),
        (vec!["limits.time=2s".into()], vec!["sh".into(), "-c".into(), "x".into()])
    );
}
