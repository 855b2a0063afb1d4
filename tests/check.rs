// SPDX-License-Identifier: Apache-2.0
//! `spawnbox check`: what an administrator asks before anyone connects.

use crate::scene::{Outcome, arguments, stage};
use std::fs::File;
use std::time::{Duration, SystemTime};

/// `spawnbox check --master-cf` on a configuration with these entries and lines of main.cf.
fn checked(options: &[&str], main_cf: &str, entries: &str) -> Outcome {
    let room = stage::room();
    let main = room.file("main.cf", &format!("compatibility_level = 3.6\n{main_cf}"));
    // As old as an administrator's: whoever reads a younger one reads it again until it is two seconds old.
    let past = SystemTime::now() - Duration::from_secs(3600);
    File::options().write(true).open(&main).and_then(|file| file.set_modified(past)).expect("the file is ours");
    room.file("master.cf", entries);
    let directory = room.whole().display().to_string();
    arguments(&[&["check", "--master-cf", "-c", &directory], options].concat()).run()
}

#[test]
fn an_entry_that_would_be_refused_is_told_in_spawn_words_and_by_its_name() {
    needs!(root);
    needs!(program "postconf");
    let table = [
        ("user=ghost argv=/bin/cat", "error: unknown user name: ghost\n--> master.cf: p/unix"),
        ("user=nobody:ghosts argv=/bin/cat", "error: unknown group name: ghosts\n--> master.cf: p/unix"),
        ("users=nobody argv=/bin/cat", "error: unknown attribute name: users=nobody\n--> master.cf: p/unix"),
        ("argv=/bin/cat", "error: missing user= attribute\n--> master.cf: p/unix"),
        ("user=nobody", "error: missing argv= attribute\n--> master.cf: p/unix"),
        ("user=root argv=/bin/cat", "error: request to deliver as root\n--> master.cf: p/unix"),
        ("user=nobody argv=/no/cat", "error: this host has no /no/cat\n--> master.cf: p/unix, argv="),
        (
            "policy=nosuch user=nobody argv=/bin/cat",
            "error: the policy of p/unix cannot be used\n--> master.cf: p/unix",
        ),
        ("-o p_time_limit=10y user=nobody argv=/bin/cat", "parameter p_time_limit: bad time value or unit: 10y"),
    ];
    for (words, report) in table {
        let outcome = checked(&[], "", &format!("p unix - n n - 0 spawnbox {words}\n"));
        assert!(outcome.stderr.contains(report), "{words}\n{outcome}");
        outcome.exits(2).stdout("");
    }
    checked(&[], "", "p unix - - n - 0 spawnbox user=nobody argv=/bin/cat\n")
        .says("error: service p requires privileged operation")
        .exits(2);
}

#[test]
fn every_entry_is_told_of_and_not_only_the_first() {
    needs!(root);
    needs!(program "postconf");
    let entry = |name: &str, user: &str| format!("{name} unix - n n - 0 spawnbox user={user} argv=/bin/cat\n");
    let entries = [entry("a", "ghost"), entry("b", "nobody"), entry("c", "phantom")].concat();
    let outcome =
        checked(&[], "", &entries).says("unknown user name: ghost").says("unknown user name: phantom").exits(2);
    assert!(outcome.stdout.starts_with("b/unix: ok, policy compatible (none is named)\n"), "{outcome}");
}

#[test]
fn a_loader_or_library_that_the_policy_does_not_show_is_named() {
    let room = stage::room();
    let program = room.path("program");
    std::fs::copy("/bin/cat", &program).expect("the stage can be written");
    let (shown, program) = (room.whole().display(), program.display());
    let policy = |more: &str| {
        let files = format!("[files]\nroot = \"empty\"\nexecute = [\"{shown}\"{more}]");
        let text = format!("version = 1\n[command]\nuser = \"nobody\"\nargv = [\"{program}\"]\n{files}\n");
        room.file("bare.toml", &text).display().to_string()
    };
    // The kernel would say that the program itself is not there.
    let outcome = arguments(&["check", &policy("")]).run().exits(2);
    outcome
        .says(&format!("error: {program} needs /lib64/ld-linux-x86-64.so.2, which the policy does not show"))
        .says("add its directory: files.execute = [\"/lib64\"]");
    arguments(&["check", &policy(", \"/lib64\", \"/lib/x86_64-linux-gnu\"")]).run().exits(0);
}

#[test]
fn what_is_good_is_said_unless_nobody_wants_to_hear() {
    needs!(root);
    needs!(program "postconf");
    let entry = "p unix - n n - 0 spawnbox policy=strict user=nobody argv=/bin/cat\n";
    checked(&[], "", entry).exits(0).stdout("p/unix: ok, policy strict (policy=)\n");
    checked(&["-q"], "", entry).exits(0).stdout("");
    let none = checked(&[], "", "p unix - n n - 0 spawn user=nobody argv=/bin/cat\n").exits(0);
    assert!(none.stdout.starts_with("no entry of "), "{none}");
}

#[test]
fn an_entry_without_a_policy_is_told_how_to_do_better() {
    needs!(root);
    needs!(program "postconf");
    needs!(program "policyd-spf");
    let entry = "p unix - n n - 0 spawnbox user=policyd-spf argv=/usr/bin/policyd-spf\n";
    let outcome = checked(&[], "", entry).exits(0);
    assert!(outcome.stdout.contains("/etc/spawnbox/p.toml gives it less"), "{outcome}");
    assert!(outcome.stdout.contains("policy=policyd-spf"), "{outcome}");
}

#[test]
fn the_warning_that_postconf_gives_is_explained() {
    needs!(root);
    needs!(program "postconf");
    let entry = "p unix - n n - 0 spawnbox user=nobody argv=/bin/cat\n";
    let outcome = checked(&[], "p_time_limit = 1h\n", entry).exits(0);
    assert!(outcome.stdout.contains("p_time_limit is in force (3600s), though postconf says `unused parameter: "));
    let set_by_the_entry = "p unix - n n - 0 spawnbox -o p_time_limit=1h user=nobody argv=/bin/cat\n";
    let outcome = checked(&[], "", set_by_the_entry).exits(0);
    assert!(!outcome.stdout.contains("unused parameter"), "{outcome}");
}

#[test]
fn only_root_sees_what_the_daemons_of_master_cf_will_find() {
    let scene = arguments(&["check", "--master-cf"]).unprivileged();
    scene.run().says("cannot check the entries of master.cf: master(8) starts them as root").exits(1);
}

#[test]
fn each_mistake_of_each_policy_is_told() {
    let room = stage::room();
    let wrong = room.file("wrong.toml", "version = 1\n[limits]\nmemroy = \"64M\"\n[files]\nraed = []\n");
    let missing = room.file("missing.toml", "version = 1\nextends = [\"strict\"]\nfiles.read = [\"/no/such\"]\n");
    let words = [&wrong, &missing].map(|file| file.display().to_string());
    let outcome = arguments(&["check", &words[0], &words[1], "strict"]).run().exits(2);
    for report in [
        format!("error: unknown key `memroy`\n --> {}:3:1\n", words[0]),
        format!("error: unknown key `raed`\n --> {}:5:1\n", words[0]),
        format!(
            "error: /no/such: No such file or directory\n --> {}:3:15\n  |\n3 | files.read = [\"/no/such\"]\n  |               ^^^^^^^^^^\n  |\n  = help: correct it",
            words[1]
        ),
    ] {
        assert!(outcome.stderr.contains(&report), "{report}\n{outcome}");
    }
    outcome.stdout("strict: ok, for a command that is named elsewhere\n");
}

#[test]
fn a_newcomers_mistake_is_told_with_its_place_and_what_to_do() {
    let room = stage::room();
    let rows = [
        ("[file]\nread = [\"/etc/hosts\"]", "unknown key `file`", "3:2", "did you mean `files`?"),
        ("[files]\nread = \"/etc/hosts\"", "wrong type of `read`", "4:8", "write `[\"/etc/hosts\"]`"),
        ("[command]\nargv = \"cat -u\"", "wrong type of `argv`", "4:8", "write `[\"cat\", \"-u\"]`"),
        ("[command]\nuser = nobody", "text is in quotes", "4:8", "write `\"nobody\"`"),
        (
            "[files]\nread = [\"a\"\n\"b\"]",
            "missing comma between array elements, expected `,`",
            "5:1",
            "divided by commas",
        ),
        ("[files]\nread = [\"etc/hosts\"]", "relative path in `read`", "4:9", "a path starts with `/`"),
        (
            "[network]\nforward = [\"127.0.0.1:0\"]",
            "impossible value of `forward`",
            "4:12",
            "address and port of one peer",
        ),
        (
            "[network]\nmode = \"host\"\nforward = [\"127.0.0.1:25\"]",
            "exclude each other",
            "5:12",
            "switch one of them off",
        ),
        ("[command]\nuser = \"ghost\"\nargv = [\"/bin/cat\"]", "unknown user name: ghost", "4:8", "getent passwd"),
        ("[command]\nargv = [\"/bin/cat -u\"]", "this host has no /bin/cat -u", "4:8", "argv = [\"/bin/cat\", \"-u\"]"),
        ("[limits]\nmemory = \"64MB\"", "impossible value of `memory`", "4:10", "write `64M`"),
    ];
    for (text, title, place, way) in rows {
        let file = room.file("draft.toml", &format!("version = 1\nextends = [\"strict\"]\n{text}\n"));
        let outcome = arguments(&["check", &file.display().to_string()]).run().exits(2);
        let (first, rest) = outcome.stderr.split_once('\n').expect("a mistake is more than a line");
        assert!(first.starts_with("error: ") && first.contains(title), "{text}\n{outcome}");
        assert!(rest.contains(&format!("--> {}:{place}\n", file.display())) && rest.contains(way), "{text}\n{outcome}");
        // One mistake is one report.
        assert_eq!(outcome.stderr.matches("error: ").count(), 1, "{outcome}");
    }
    let base = room.file("base.toml", "version = 1\nextends = [\"strct\"]\n").display().to_string();
    let outcome = arguments(&["check", &base]).run().exits(2);
    outcome
        .says("error: there is no policy `strct`\n")
        .says(&format!(" --> {base}:2:12\n"))
        .says("did you mean `strict`?");
    stage::mode(&room.file("open.toml", "version = 1\n"), 0o666);
    let open = room.path("open.toml").display().to_string();
    arguments(&["check", &open]).run().exits(2).says("can be written by others").says(&format!("`chmod go-w {open}`"));
}

#[test]
fn a_mistake_of_one_kind_hides_none_of_another() {
    let room = stage::room();
    let base = room.file("base.toml", "version = 1\nlimits.tasks = 0\n").display().to_string();
    let text = format!(
        "version = 1\nextends = [\"strict\", \"{base}\"]\n[limits]\nmemroy = 1\ntime = 0\n[files]\nread = [\"a\"]\n"
    );
    let file = room.file("wrong.toml", &text).display().to_string();
    let outcome = arguments(&["check", &file]).run().exits(2);
    let titles =
        |text: &str| text.lines().filter(|line| line.starts_with("error: ")).map(str::to_owned).collect::<Vec<_>>();
    let expected = [
        "error: unknown key `memroy`",
        "error: impossible value of `time`",
        "error: relative path in `read`",
        "error: impossible value of `tasks`",
    ];
    assert_eq!(titles(&outcome.stderr), expected, "{outcome}");
    let text = "version = 1\nextends = [\"strict\"]\n[command]\nuser = \"ghost\"\ngroup = \"ghosts\"\n[files]\n\
                read = [\"/no/such\", \"/proc\", \"/nor/such\"]\n[syscalls]\nallow = [\"opne\", \"bfp\"]\n";
    let file = room.file("lacking.toml", text).display().to_string();
    let outcome = arguments(&["check", &file]).run().exits(2);
    let expected = [
        "error: unknown user name: ghost",
        "error: unknown group name: ghosts",
        "error: /no/such: No such file or directory",
        "error: /proc cannot be granted as a path",
        "error: /nor/such: No such file or directory",
        "error: unknown system call or group: opne",
        "error: unknown system call or group: bfp",
    ];
    assert_eq!(titles(&outcome.stderr), expected, "{outcome}");
}

#[test]
fn a_program_reads_the_same_as_a_person() {
    let room = stage::room();
    let wrong = room.file("wrong.toml", "version = 1\n[limits]\nmemroy = \"64M\"\n").display().to_string();
    let outcome = arguments(&["check", "--json", &wrong, "strict"]).run().exits(2);
    assert_eq!(outcome.stderr, "", "{outcome}");
    let told: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("it is JSON");
    let expected = serde_json::json!([{
        "what": "unknown key `memroy`", "place": wrong, "line": 3, "column": 1,
        "label": "not a key of this table", "help": ["did you mean `memory`?"],
    }]);
    assert_eq!((&told["ok"], &told["mistakes"]), (&false.into(), &expected));
    assert_eq!(told["good"], serde_json::json!(["strict: ok, for a command that is named elsewhere"]));
    arguments(&["check", "--json", "-q"]).run().says("cannot be used with").exits(2);
    arguments(&["check", "-q", "strict"]).run().exits(0).stdout("");
}

#[test]
fn a_policy_with_fewer_points_than_wanted_is_a_mistake() {
    let said = arguments(&["check", "--min-score", "80", "strict", "compatible"]).run().exits(2);
    said.stdout("strict: ok, for a command that is named elsewhere\n")
        .says("error: compatible has ")
        .says(" points of 100, and 80 are wanted")
        .says("these could be more: network 0 of 16 (the host's; any port by 3 of connect, bind and udp)");
    arguments(&["check", "--min-score", "101"]).run().says("invalid value '101'").exits(2);
}

#[test]
fn what_a_change_allows_and_takes_away_is_told() {
    let room = stage::room();
    let policy = |name: &str, text: &str| {
        room.file(name, &format!("version = 1\nextends = [\"strict\"]\n{text}")).display().to_string()
    };
    let old = policy("old.toml", "limits.time = \"5m\"\n");
    let new =
        policy("new.toml", "limits.time = \"4m\"\nsyscalls.allow = [\"chown\"]\nfiles.read = [\"/etc/passwd\"]\n");
    let there = "+ read /etc/passwd\n+ call chown\n+ call fchown\n+ call fchownat\n+ call lchown\n- limits.time: 240s, was 300s\n";
    arguments(&["diff", &old, &new]).run().stdout(there).exits(3);
    arguments(&["diff", &old, &old]).run().stdout("no difference\n").exits(0);
    let less = policy("less.toml", "limits.time = \"4m\"\n");
    arguments(&["diff", &old, &less]).run().stdout("- limits.time: 240s, was 300s\n").exits(0);
    arguments(&["diff", &old, "nosuch"]).run().says("nosuch").exits(2);
}

#[test]
fn what_is_imported_is_a_policy_that_names_what_is_not_in_it() {
    let room = stage::room();
    let unit = room
        .file("cat.service", "[Service]\nExecStart=/bin/cat -u\nUser=nobody\nLimitNOFILE=32\n")
        .display()
        .to_string();
    let outcome = arguments(&["import", &unit]).run().exits(0);
    let policy = room.file("cat.toml", &outcome.stdout).display().to_string();
    arguments(&["check", &policy]).run().exits(0).stdout(&format!("{policy}: ok\n"));
    let service = b"service x\n{\n server = /bin/cat\n only_from = 10.0.0.1\n}\n";
    let outcome = arguments(&["import", "-"]).input(service).run().exits(3);
    assert!(
        outcome.stdout.ends_with("# Not carried over:\n#  only_from = 10.0.0.1: say it as clients.allow, whose networks have a prefix length\n"),
        "{outcome}"
    );
    outcome.says("1 part is not carried over: the end of the policy names what and why");
    arguments(&["import", "-", "--from", "oci"])
        .input(b"{")
        .run()
        .says("error: this is nothing that can be imported")
        .exits(2);
    arguments(&["import", "/no/such"]).run().says("cannot read /no/such: No such file or directory").exits(1);
}

#[test]
fn explain_prints_its_parts_and_all_of_them_for_a_program() {
    let scene = || crate::scene::scene("strict").argv(&["sh"]);
    let list = scene().explain(&["--seccomp"]).exits(0).stdout;
    assert!(
        list.contains("read                     allow\n") && list.contains("bpf                      kill\n"),
        "{list}"
    );
    let table = scene().explain(&["--score"]).exits(0).stdout;
    let all = scene().explain(&["--json"]).exits(0).stdout;
    let told: serde_json::Value = serde_json::from_str(&all).expect("it is JSON");
    let points = told["score"]["points"].as_u64().expect("a number");
    assert!(table.ends_with(&format!("{points:>3} of 100  together\n")), "{table}");
    let rows = told["rows"].as_array().expect("a list");
    assert!(rows.iter().any(|row| row["label"] == "open"), "{all}");
    let calls = told["calls"].as_array().expect("a list");
    assert!(calls.contains(&serde_json::json!({ "name": "read" })), "{all}");
    assert_eq!(told["steps"][0]["place"], "launcher", "{all}");
    scene().explain(&["--score", "--steps"]).says("cannot be used with").exits(2);
    let part = scene().explain(&["--json", "--steps"]).exits(0).stdout;
    let part: serde_json::Value = serde_json::from_str(&part).expect("it is JSON");
    assert_eq!((&part["steps"], &part["skipped"], part.get("calls")), (&told["steps"], &told["skipped"], None));
    let find = |list: &str, name: &str| -> serde_json::Value {
        let steps = told[list].as_array().expect("a list");
        steps.iter().find(|step| step["name"] == name).unwrap_or_else(|| panic!("no {name} in {all}")).clone()
    };
    assert_eq!(
        (&find("steps", "Scratch")["about"], &find("steps", "Scratch")["calls"][0]),
        (&"/tmp".into(), &"mount".into())
    );
    assert_eq!(find("skipped", "Proc")["why"], "the command sees no /proc (files.proc)");
}

#[test]
fn a_script_whose_interpreter_the_policy_does_not_show_is_found() {
    let room = stage::room();
    let interpreter = room.file("interpreter", "");
    stage::mode(&interpreter, 0o755);
    let script = room.file("script", &format!("#!{}\n", interpreter.display()));
    stage::mode(&script, 0o755);
    let script = script.display();
    let text =
        format!("version = 1\nextends = [\"strict\"]\ncommand.argv = [\"{script}\"]\nfiles.execute = [\"{script}\"]\n");
    let file = room.file("policy.toml", &text).display().to_string();
    let words = format!(
        "error: {script} needs {}, which the policy does not let it execute\n --> {file}:3:",
        interpreter.display()
    );
    let outcome = arguments(&["check", &file]).run().exits(2);
    assert!(outcome.stderr.starts_with(&words), "{outcome}");
}

#[test]
fn what_depends_on_a_service_that_nobody_names_is_doubtful_and_no_mistake() {
    let room = stage::room();
    let text = "version = 1\nextends = [\"echo\"]\n[files]\nread = [\"/nowhere/${service}\"]\n";
    let policy = room.file("filters.toml", text).display().to_string();
    let place = format!("{policy}:4");
    let outcome = arguments(&["check", &policy]).run().exits(0);
    outcome
        .line(&format!("{policy}: ok"))
        .line("    note: taken here: `${service}` for `filters`; --service and command.user say another")
        .line(&format!(
            "    note: perhaps: /nowhere/filters: No such file or directory (/nowhere/${{service}}, {place})"
        ));
    let sure = arguments(&["check", "--service", "spf", &policy]).run().exits(2).stdout("");
    sure.says("error: /nowhere/spf: No such file or directory").says("4 | read = [\"/nowhere/${service}\"]");
    arguments(&["check", "--service", "../spf", &policy])
        .run()
        .exits(2)
        .says("error: `${service}` cannot stand for `../spf`: with a `/` it would be another directory");
}

#[test]
fn explain_and_diff_say_what_a_text_became_for_the_service() {
    let room = stage::room();
    let write = |name: &str, path: &str| {
        let files = format!("[files]\nread = [{{ path = \"{path}\", optional = true }}]");
        room.file(name, &format!("version = 1\nextends = [\"echo\"]\n{files}\n")).display().to_string()
    };
    let (old, new) = (write("old.toml", "/usr/share/${service}"), write("new.toml", "/usr/share/new"));
    let page = arguments(&["explain", "--service", "dict", "--policy", &old]).run().exits(0).stdout;
    let row = page.lines().find(|line| line.starts_with("names    ")).expect("the page has the row");
    assert_eq!(
        row.split_whitespace().collect::<Vec<_>>()[..4],
        ["names", "/usr/share/${service}", "is", "/usr/share/dict"]
    );
    // Both are looked at for one service, which is called as the new one is.
    arguments(&["diff", &old, &new]).run().exits(0).stdout("no difference\n");
    let refused = arguments(&["explain", "-s", "command.environment.A=${user}", "--policy", &old]).run().exits(2);
    refused.says("`${user}` stands for nobody: no user is named");
}
