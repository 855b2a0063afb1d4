// SPDX-License-Identifier: Apache-2.0
//! What a word finds, what that extends, and whose files are believed.

use super::super::{Origin, Scene};
use super::*;
use std::sync::Arc;

/// Any service.
const FILL: Known<'_> = Known { service: "service", user: None, stand_in: None };

impl Scene {
    /// Writes a policy of format 1, in which `$DIR` is this directory.
    fn policy(&self, name: &str, text: &str) -> String {
        self.bytes(name, format!("version = 1\n{}\n", text.replace("$DIR", &self.words())).as_bytes())
    }

    fn bytes(&self, name: &str, bytes: &[u8]) -> String {
        self.file(name, 0o644, bytes).to_string_lossy().into_owned()
    }

    fn words(&self) -> String {
        self.whole().to_string_lossy().into_owned()
    }

    fn load(&self, word: &str) -> Result<Policy, InputError> {
        load_from(self.whole(), word, &[])?.fill(FILL)
    }

    fn check(&self, word: &str, expected: &[&str]) {
        let directory = self.words();
        let lines: Vec<_> = self.load(word).unwrap_err().lines().map(|line| line.replace(&directory, "$DIR")).collect();
        assert_eq!(lines, expected, "{word}");
    }
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest_known_one() {
    let scene = Scene::new();
    scene.policy("mine.toml", "");
    scene.check("min", &["there is no policy `min` (did you mean `mine`?)"]);
    scene.check("strcit", &["there is no policy `strcit` (did you mean `strict`?)"]);
    scene.check("mine.toml", &["there is no policy `mine.toml` (a file in the working directory is `./mine.toml`)"]);
    scene.check("", &["no policy can have the name ``"]);
    scene.check("a\nb", &["no policy can have the name `a\\u{a}b`"]);
    assert_eq!(
        builtin("strcit").unwrap_err().lines().next().unwrap(),
        "there is no policy `strcit` (did you mean `strict`?)"
    );
}

#[test]
fn a_file_that_others_can_write_is_refused_even_where_a_built_in_has_its_name() {
    let scene = Scene::new();
    scene.file("strict.toml", 0o666, "version = 1\n");
    let expected = "cannot use the policy file $DIR/strict.toml: it can be written by others than its owner \
                    (`chmod go-w $DIR/strict.toml`)";
    scene.check("strict", &[expected]);
}

#[test]
fn a_dangling_link_is_not_replaced_by_a_built_in_policy() {
    let scene = Scene::new();
    scene.link("strict.toml", "elsewhere");
    scene.check("strict", &["cannot use the policy file $DIR/strict.toml: $DIR/elsewhere does not exist"]);
}

#[test]
fn a_file_that_is_no_policy_is_refused() {
    let scene = Scene::new();
    let large = scene.bytes("large.toml", &vec![b'#'; 1 << 19 | 1]);
    scene.check(&large, &["$DIR/large.toml: this file is larger than 524288 bytes"]);
    let binary = scene.bytes("binary.toml", b"version = 1\n# \xff");
    scene.check(&binary, &["$DIR/binary.toml:2: this file is not UTF-8 text"]);
    scene.check(
        &format!("{}/none.toml", scene.whole().display()),
        &["cannot use the policy file $DIR/none.toml: it does not exist"],
    );
}

#[test]
fn extends_names_a_profile_or_an_absolute_path() {
    let scene = Scene::new();
    scene.policy("a.toml", "extends = [\"pyton3\"]");
    scene.check(
        "a",
        &["$DIR/a.toml:2:12: there is no policy `pyton3`: neither in $DIR nor built in (did you mean `python3`?)"],
    );
    scene.policy("b.toml", "extends = [\"./a.toml\"]");
    scene.check("b", &["$DIR/b.toml:2:12: relative path in `extends`: a path starts with `/`"]);
    scene.policy("c.toml", "extends = [\"$DIR/none.toml\"]");
    scene.check("c", &["$DIR/c.toml:2:12: cannot use the policy file $DIR/none.toml: it does not exist"]);
}

#[test]
fn extends_must_come_to_an_end() {
    let scene = Scene::new();
    scene.policy("self.toml", "extends = [\"$DIR/self.toml\"]");
    scene.check("self", &["$DIR/self.toml:2:12: `extends` goes in a circle: $DIR/self.toml extends $DIR/self.toml"]);
    scene.policy("a.toml", "extends = [\"$DIR/b.toml\"]");
    scene.policy("b.toml", "extends = [\"strict\", \"$DIR/a.toml\"]");
    let expected = "$DIR/b.toml:2:22: `extends` goes in a circle: \
                    $DIR/a.toml extends $DIR/b.toml extends $DIR/a.toml";
    scene.check("a", &[expected]);
    for depth in 0..=16 {
        scene.policy(&format!("d{depth}.toml"), &format!("extends = [\"$DIR/d{}.toml\"]", depth + 1));
    }
    scene.policy("d17.toml", "");
    let error = scene.load("d1").unwrap_err().lines().next().unwrap().replace(&scene.words(), "$DIR");
    let expected = "$DIR/d16.toml:2:12: `extends` goes too far: at most 16 files in a row and 64 in all \
                    (it comes to this because $DIR/d1.toml extends $DIR/d2.toml extends ";
    assert!(error.starts_with(expected), "{error}");
    assert!(scene.load("d2").is_ok());
}

#[test]
fn a_mistake_in_an_extended_file_names_that_file() {
    let scene = Scene::new();
    scene.policy("base.toml", "[limits]\ntime = 0");
    scene.policy("a.toml", "extends = [\"$DIR/base.toml\"]");
    scene.check("a", &["$DIR/base.toml:3:8: impossible value of `time`: must be at least 1s"]);
}

#[test]
fn the_operators_file_comes_before_the_built_in_one() {
    let scene = Scene::new();
    scene.policy("echo.toml", "description = \"mine\"");
    assert_eq!(scene.load("echo").unwrap().description.unwrap().value, "mine");
    assert_eq!(scene.load("strict").unwrap(), builtin("strict").unwrap());
    assert_eq!(
        load_from(Path::new("/nonexistent"), "strict", &[]).unwrap().fill(FILL).unwrap(),
        builtin("strict").unwrap()
    );
}

#[test]
fn a_word_with_a_slash_is_a_path() {
    let scene = Scene::new();
    let path = scene.policy("my.policy.toml", "description = \"mine\"");
    let policy = scene.load(&path).unwrap();
    assert_eq!(policy.name, "my.policy");
    let origin = policy.description.unwrap().origin;
    assert_eq!(origin, Origin::File { path: Arc::new(path.into()), line: 2, column: 15 });
}

#[test]
fn a_profile_cannot_loosen_a_limit_that_was_set_before_it() {
    let scene = Scene::new();
    scene.policy("tight.toml", "limits = { time = 5, tasks = 5 }");
    scene.policy("loose.toml", "extends = [\"$DIR/tight.toml\", \"strict\"]");
    let limits = scene.load("loose").unwrap().limits;
    assert_eq!((limits.time.unwrap().value.as_secs(), limits.tasks.unwrap().value), (5, 5));
    scene.policy(
        "said.toml",
        "extends = [\"$DIR/tight.toml\"]\noverride = [\"limits.time\"]\nlimits = { time = 9, tasks = 9 }",
    );
    let limits = scene.load("said").unwrap().limits;
    assert_eq!((limits.time.unwrap().value.as_secs(), limits.tasks.unwrap().value), (9, 5));
}

#[test]
fn a_file_that_is_reached_twice_counts_once() {
    let scene = Scene::new();
    scene.policy("base.toml", "isolation.init = true");
    scene.policy("left.toml", "extends = [\"$DIR/base.toml\"]\nisolation.init = false");
    scene.policy("right.toml", "extends = [\"$DIR/base.toml\"]");
    scene.policy("both.toml", "extends = [\"$DIR/left.toml\", \"$DIR/right.toml\"]");
    // A second time, base.toml would take back what left.toml says.
    assert!(!scene.load("both").unwrap().isolation.init.unwrap().value);
}

#[test]
fn the_hash_is_that_of_the_files_in_the_order_in_which_they_are_read() {
    let scene = Scene::new();
    for (name, text) in [("c", ""), ("b", "extends = [\"$DIR/c.toml\"]"), ("d", "extends = [\"$DIR/c.toml\"]")] {
        scene.policy(&format!("{name}.toml"), text);
    }
    scene.policy("a.toml", "extends = [\"$DIR/b.toml\", \"$DIR/d.toml\"]");
    let read = |name| std::fs::read(scene.path(&format!("{name}.toml"))).unwrap();
    let mut bytes: Vec<u8> = ["a", "b", "c", "d"].into_iter().flat_map(read).collect();
    let hex = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(scene.load("a").unwrap().hash, hex(&bytes));
    bytes.extend(b"limits.time=5m\nlimits.tasks=7\n");
    let set = ["limits.time=5m".to_owned(), "limits.tasks=7".to_owned()];
    assert_eq!(load_from(scene.whole(), "a", &set).unwrap().fill(FILL).unwrap().hash, hex(&bytes));
}

#[test]
fn what_the_command_line_sets_holds_over_every_file() {
    let set = ["limits.tasks=1000".to_owned(), "files.read=/srv".to_owned()];
    let policy = load_from(Path::new("/nonexistent"), "strict", &set).unwrap().fill(FILL).unwrap();
    let tasks = policy.limits.tasks.unwrap();
    assert_eq!((tasks.value, tasks.origin), (1000, Origin::CommandLine));
    let paths: Vec<_> = policy.files.read.iter().map(|entry| entry.value.path.display().to_string()).collect();
    assert_eq!(paths, ["/etc/ld.so.cache", "/etc/localtime", "/srv"]);
}

#[test]
fn a_name_in_extends_is_the_operators_before_it_is_the_built_in_one() {
    let scene = Scene::new();
    scene.policy("common.toml", "limits.tasks = 7");
    scene.policy("a.toml", "extends = [\"common\", \"python3\"]");
    let limit = |name: &str| scene.load(name).unwrap().limits.tasks.unwrap();
    assert_eq!(limit("a").value, 7);
    let path = Arc::new(scene.path("common.toml"));
    assert_eq!(limit("a").origin, Origin::File { path, line: 2, column: 16 });
    let hash = scene.load("a").unwrap().hash;
    scene.policy("python3.toml", "limits.tasks = 3");
    assert_eq!(limit("a").value, 3);
    assert_ne!(scene.load("a").unwrap().hash, hash);
}

#[test]
fn a_file_by_path_extends_names_of_the_same_directory() {
    let scene = Scene::new();
    scene.policy("common.toml", "limits.tasks = 7");
    scene.directory("drafts", 0o755);
    let draft = scene.policy("drafts/a.toml", "extends = [\"common\"]");
    assert_eq!(scene.load(&draft).unwrap().limits.tasks.unwrap().value, 7);
    // The draft of a policy that is installed builds on that one, and it on the built-in one.
    scene.policy("echo.toml", "extends = [\"echo\"]\ndescription = \"mine\"");
    let draft = scene.policy("drafts/echo.toml", "extends = [\"echo\"]");
    let policy = scene.load(&draft).unwrap();
    assert_eq!(policy.description.unwrap().value, "mine");
    assert_eq!(policy.command.argv, builtin("echo").unwrap().command.argv);
}

#[test]
fn a_file_that_extends_its_own_name_means_the_built_in_policy_of_that_name() {
    let scene = Scene::new();
    scene.policy("echo.toml", "extends = [\"echo\"]\nlimits.open-files = 20");
    let policy = scene.load("echo").unwrap();
    assert_eq!(policy.limits.open_files.unwrap().value, 20);
    assert_eq!(policy.command.argv, builtin("echo").unwrap().command.argv);
    scene.policy("mine.toml", "extends = [\"mine\"]");
    let expected = "$DIR/mine.toml:2:12: `extends` goes in a circle: $DIR/mine.toml extends $DIR/mine.toml";
    scene.check("mine", &[expected]);
}

#[test]
fn a_built_in_policy_extends_what_is_built_in_whatever_files_there_are() {
    let scene = Scene::new();
    scene.policy("strict.toml", "limits.tasks = 7");
    scene.policy("perl.toml", "extends = [\"none\"]");
    let whole = |policy: Policy| (policy.hash, policy.limits.tasks.unwrap().value);
    assert_eq!(whole(scene.load("python3").unwrap()), whole(builtin("python3").unwrap()));
    assert_eq!(whole(builtin("strict").unwrap()).1, 32);
}

#[test]
fn what_takes_the_place_of_a_built_in_policy_is_known() {
    let scene = Scene::new();
    scene.policy("perl.toml", "");
    scene.policy("common.toml", "");
    scene.policy("a.toml", "extends = [\"common\", \"perl\", \"shell\"]");
    let sources = scene.load("a").unwrap().sources;
    let stands_for: Vec<_> = sources.iter().map(Source::stands_for).collect();
    assert_eq!(stands_for, [None, None, Some("perl"), None, None]);
    // By its path a file is what it is.
    let path = scene.policy("perl.toml", "");
    assert_eq!(scene.load(&path).unwrap().sources[0].stands_for(), None);
}

#[test]
fn a_file_under_another_name_is_the_same_file() {
    let scene = Scene::new();
    scene.policy("a.toml", "extends = [\"strict\"]");
    scene.link("strict.toml", "a.toml");
    scene.check("a", &["$DIR/a.toml:2:12: `extends` goes in a circle: $DIR/a.toml extends $DIR/a.toml"]);
    scene.policy("b.toml", "extends = [\"c\"]");
    std::fs::hard_link(scene.path("b.toml"), scene.path("c.toml")).unwrap();
    scene.check("b", &["$DIR/b.toml:2:12: `extends` goes in a circle: $DIR/b.toml extends $DIR/b.toml"]);
}

#[test]
fn what_a_file_extends_is_trusted_no_more_than_itself() {
    let scene = Scene::new();
    scene.file("open.toml", 0o666, "version = 1\n");
    scene.directory("directory.toml", 0o755);
    scene.link("shell.toml", "elsewhere");
    scene.policy("b.toml", "extends = [\"open\", \"directory\", \"shell\", \"nod\", \"open.toml\", \"\"]");
    scene.policy("a.toml", "extends = [\"b\"]");
    let led = "it comes to this because $DIR/a.toml extends $DIR/b.toml";
    let name = "$DIR/b.toml:2";
    scene.check(
        "a",
        &[
            &format!(
                "{name}:12: cannot use the policy file $DIR/open.toml: it can be written by others than its owner \
                 (`chmod go-w $DIR/open.toml`) ({led})"
            ),
            &format!("{name}:20: cannot use the policy file $DIR/directory.toml: it is not a regular file ({led})"),
            &format!("{name}:33: cannot use the policy file $DIR/shell.toml: $DIR/elsewhere does not exist ({led})"),
            &format!(
                "{name}:42: there is no policy `nod`: neither in $DIR nor built in (did you mean `node`?) ({led})"
            ),
            &format!(
                "{name}:49: there is no policy `open.toml`: neither in $DIR nor built in \
                 (a name is written without `.toml`: `open`) ({led})"
            ),
            &format!("{name}:62: no policy can have the name `` ({led})"),
        ],
    );
}
