// SPDX-License-Identifier: Apache-2.0
//! Our reading of main.cf beside that of postconf(1), which has Postfix's own code for lines and expansion.

use crate::scene::stage::room;
use spawnbox::postfix::expand::expand;
use spawnbox::postfix::main_cf::Table;
use std::process::Command;

/// A parameter that postconf knows, and does nothing else with.
const PARAMETER: &str = "smtpd_banner";

const DEFINITIONS: &str = "\
a = A
empty =
b = <$a>
  # a comment inside
  $empty.

seven = 7
compatibility_level = 3.6
loop = $loop
myhostname = mx.example
";

/// Texts that both sides read. The first refused one ends postconf, so each is a file of its own.
const VALUES: &[&str] = &[
    "plain text # not a comment",
    "$a$b ${a} $(b) ${ a }",
    "$$a $$$$ a$$",
    "$unknown|$empty|",
    "${a?yes}${a:no}${empty?yes}${empty:no}",
    "${a?x:y?z}${unknown:{b}ar}",
    "${a ? {x} : {y}}${empty ? {x} : {y}}${unknown?{x}:{y}}",
    "${a?{ ${empty?{1}:{2}} }}",
    "${{$a} == {A}}|${{$a} != {A}}|",
    "${{$seven} < {10}?{number}:{text}}${{x7} < {x10}?{number}:{text}}",
    "${{1} <= {1}?{y}:{n}}${{1} >= {2}?{y}:{n}}${{2} > {1}:{n}}",
    "${{$compatibility_level} <level {3.10} ? {old} : {new}}",
    "${{$compatibility_level} >=level {3} ? {old} : {new}}",
    "\n  two\n  # comment\n\n\tlines\n",
    "one\n\nsmtpd_banner = two",
    "$",
    "$ a",
    "${}",
    "${a",
    "$(a",
    "${a-b}",
    "${a b}",
    "${a?{x}y}",
    "${a?{x}:{y}z}",
    "${{a} {b}}",
    "${{a} ==odd {b}}",
    "${{a} == b}",
    "${{a} == {b} x}",
    "${{x} <level {1}}",
    "${{1.2.3.4} <level {1}}",
    "$loop",
    "x\nnothing here",
    "x\n = nothing",
];

#[test]
fn main_cf_means_what_postconf_says() {
    needs!(program "postconf");
    // All at once: postconf sleeps for a second before it ends with an error.
    std::thread::scope(|scope| {
        for value in VALUES {
            scope.spawn(|| compare(value));
        }
    });
}

/// Both give the same value, or both refuse with the same complaint.
fn compare(value: &str) {
    let room = room();
    let text = format!("{DEFINITIONS}{PARAMETER} = {value}\n");
    let path = room.file("main.cf", &text);
    room.file("master.cf", "");
    let directory = path.parent().expect("a file is in a directory");
    let output = Command::new("postconf").arg("-c").arg(directory).args(["-hx", PARAMETER]).output();
    let output = output.expect("postconf runs");
    let (theirs, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    match ours(&path.display().to_string(), &text) {
        Ok(ours) => {
            // postconf breaks long lines at blanks, so it prints one for many.
            let words = |text: &str| text.split_whitespace().map(str::to_string).collect::<Vec<_>>();
            assert_eq!((words(&ours), true), (words(&theirs), output.status.success()), "{value}\n{complaints}");
        }
        Err(complaint) => {
            // Postfix 3.7 misplaces quotes in one of its complaints.
            let said = complaints.replace('"', "").contains(&complaint.replace('"', ""));
            assert!(!output.status.success() && said, "{value}\n{complaint}\n{complaints}");
        }
    }
}

fn ours(path: &str, text: &str) -> Result<String, String> {
    let mut table = Table::default();
    table.read(path, text, &mut Vec::new()).map_err(|error| error.to_string())?;
    expand(&table, table.get(PARAMETER).unwrap_or_default()).map_err(|error| error.to_string())
}
