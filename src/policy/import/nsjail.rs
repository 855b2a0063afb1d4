// SPDX-License-Identifier: Apache-2.0
//! The text format of nsjail's configuration (protocol buffers, config.proto of nsjail 3.4).

use super::{Draft, list};

/// Tables in tables: nsjail's own has two of them.
const DEEPEST: usize = 8;

/// A field and its value.
struct Field {
    name: String,
    value: Value,
}

enum Value {
    /// A word, a number or a text.
    Plain(String),
    Message(Vec<Field>),
}

pub(super) fn read(text: &str, draft: &mut Draft<'_>) -> Result<(), String> {
    let mut tokens = tokens(text)?.into_iter().peekable();
    let fields = message(&mut tokens, 0)?;
    if tokens.next().is_some() {
        return Err("a bracket is closed that was not opened".to_string());
    }
    let image = fields.iter().rev().find_map(root);
    if let Some((fields, src)) = image {
        image_of(fields, src, draft);
    }
    let image = image.map(|(_, src)| src);
    fields.iter().for_each(|field| one(field, image, draft));
    // Its lines are one text.
    let lines = fields.iter().filter(|field| field.name == "seccomp_string").filter_map(|field| match &field.value {
        Value::Plain(value) => Some(value.as_str()),
        Value::Message(_) => None,
    });
    let filter = lines.collect::<Vec<_>>().join("\n");
    if !filter.is_empty() {
        kafel(&filter, draft);
    }
    Ok(())
}

fn one(field: &Field, image: Option<&str>, draft: &mut Draft<'_>) {
    let Field { name, value } = field;
    let value = match value {
        Value::Plain(value) => value,
        Value::Message(_) if root(field).is_some() => return,
        Value::Message(fields) if name == "mount" => return mount(fields, image, draft),
        Value::Message(fields) if name == "exec_bin" => return exec(fields, draft),
        Value::Message(_) => return draft.lose(name, "there is no such key"),
    };
    let part = format!("{name}: {value}");
    const MIB: u64 = 1 << 20;
    match (name.as_str(), value.as_str()) {
        ("name" | "description", _) => draft.text(&part, "description", value),
        ("cwd", _) => draft.text(&part, "command.directory", value),
        ("time_limit" | "rlimit_cpu" | "cgroup_mem_max" | "cgroup_pids_max" | "cgroup_cpu_ms_per_sec", "0") => {}
        ("time_limit", _) => draft.number(&part, "limits.time", value),
        ("max_conns", _) => draft.number(&part, "connection.concurrency", value),
        ("envar", _) => draft.variable(&part, value),
        ("rlimit_as", _) => draft.bytes(&part, "limits.address-space", value, MIB),
        ("rlimit_core", _) => draft.bytes(&part, "limits.core-size", value, MIB),
        ("rlimit_fsize", _) => draft.bytes(&part, "limits.file-size", value, MIB),
        ("rlimit_stack", _) => draft.bytes(&part, "limits.stack", value, MIB),
        ("rlimit_cpu", _) => draft.number(&part, "limits.processor-time", value),
        ("rlimit_nofile", _) => draft.number(&part, "limits.open-files", value),
        ("rlimit_nproc" | "cgroup_pids_max", _) => draft.number(&part, "limits.tasks", value),
        ("cgroup_mem_max", _) => draft.bytes(&part, "limits.memory", value, 1),
        // Milliseconds a second are tenths of a percent.
        ("cgroup_cpu_ms_per_sec", _) => match value.parse::<u64>() {
            Ok(ms) => draft.put(&part, "limits.cpu", (ms / 10).to_string()),
            Err(_) => draft.lose(&part, "it is no whole number"),
        },
        ("mount_proc", "true") => draft.text(&part, "files.proc", "subset"),
        ("iface_no_lo", "false") => draft.text(&part, "network.mode", "loopback"),
        // All of them together come last.
        ("seccomp_string", _) => {}
        // What is so for every command here.
        (
            "clone_newnet" | "clone_newuser" | "clone_newns" | "clone_newpid" | "clone_newipc" | "clone_newuts"
            | "clone_newcgroup" | "iface_no_lo",
            "true",
        ) => {}
        ("mode", "LISTEN" | "ONCE") | ("keep_env" | "keep_caps" | "disable_no_new_privs", "false") => {}
        ("port" | "bindhost", _) => draft.lose(&part, "say it to spawnbox listen"),
        (_, _) => draft.lose(&part, "there is no such key"),
    }
}

fn plain<'a>(fields: &'a [Field], name: &str) -> Option<&'a str> {
    fields.iter().rev().find(|field| field.name == name).and_then(|field| match &field.value {
        Value::Plain(value) => Some(value.as_str()),
        Value::Message(_) => None,
    })
}

/// A truth value as protocol buffers write it, or what stands where the field is not set; `None` if it is none.
fn flag(fields: &[Field], name: &str, unset: Flag) -> Option<Flag> {
    if !fields.iter().any(|field| field.name == name) {
        return Some(unset);
    }
    match plain(fields, name)? {
        "true" | "True" | "t" | "1" => Some(Flag::Yes),
        "false" | "False" | "f" | "0" => Some(Flag::No),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flag {
    Yes,
    No,
}

/// The fields of a mount over the root directory, and of what.
fn root(field: &Field) -> Option<(&[Field], &str)> {
    let Value::Message(fields) = &field.value else { return None };
    let src = plain(fields, "src")?;
    let over = field.name == "mount" && plain(fields, "dst") == Some("/") && src != "/";
    (over && flag(fields, "is_bind", Flag::No) == Some(Flag::Yes)).then_some((fields, src))
}

fn image_of(fields: &[Field], src: &str, draft: &mut Draft<'_>) {
    let part = format!("mount {src} /");
    let noexec = flag(fields, "noexec", Flag::No) == Some(Flag::Yes);
    draft.image(&part, src, if noexec { "files.read" } else { "files.execute" });
    for field in fields {
        match field.name.as_str() {
            "src" | "dst" | "is_bind" | "noexec" => {}
            "rw" if flag(fields, "rw", Flag::No) == Some(Flag::No) => {}
            "mandatory" if flag(fields, "mandatory", Flag::Yes) == Some(Flag::Yes) => {}
            "rw" => draft.lose(&format!("{part} rw"), "an image is only read: name what is written in files.write"),
            "mandatory" => draft.lose(&format!("{part} mandatory"), "it is there, or the command is not started"),
            name => draft.lose(&format!("{part} {name}"), "there is no such key"),
        }
    }
}

fn mount(fields: &[Field], image: Option<&str>, draft: &mut Draft<'_>) {
    let (src, dst) = (plain(fields, "src").unwrap_or_default(), plain(fields, "dst").unwrap_or_default());
    let part = format!("mount {src} {dst}");
    let mut plainly = true;
    for field in fields {
        match field.name.as_str() {
            "src" | "dst" | "is_bind" | "rw" | "fstype" | "noexec" | "mandatory" => {}
            name @ ("is_dir" | "nosuid" | "nodev") => draft.lose(&format!("{part} {name}"), "there is no such key"),
            // It may say that something else is mounted, or somewhere else.
            name => {
                plainly = false;
                draft.lose(&format!("{part} {name}"), "it has no like, so the mount is left out");
            }
        }
    }
    let flags = ["is_bind", "rw", "noexec"].map(|name| flag(fields, name, Flag::No));
    let ([Some(bind), Some(write), Some(noexec)], Some(needed)) = (flags, flag(fields, "mandatory", Flag::Yes)) else {
        return draft.lose(&part, "what stands in it for true or false is neither");
    };
    let fs = plain(fields, "fstype");
    // An entry of a list can be one that need not be there; these two cannot.
    if needed == Flag::No && plainly && (fs == Some("proc") || fs.is_none() && src.starts_with("/dev/")) {
        draft.lose(&format!("{part} mandatory"), "it is there, or the command is not started");
    }
    let is_device = src == dst && src.starts_with("/dev/");
    // Where there is an image, what is mounted from it is named by its place inside.
    let (from, outside) = match image {
        None => (Some(src), "a path has the same place inside as outside"),
        Some(_) if is_device => (Some(src), ""),
        Some(image) => (src.strip_prefix(image.trim_end_matches('/')), "only what is in the image is seen of the host"),
    };
    let add = if needed == Flag::Yes { Draft::add } else { Draft::add_optional };
    match fs {
        _ if !plainly => {}
        Some("proc") => draft.text(&part, "files.proc", "subset"),
        Some("tmpfs") => draft.lose(&part, "a scratch file system needs a size and a number of files: files.scratch"),
        Some(_) => draft.lose(&part, "there is no such file system"),
        None if bind == Flag::No => draft.lose(&part, "it is no bind mount"),
        None if from != Some(dst) => draft.lose(&part, outside),
        None if is_device => draft.add(&part, "files.devices", &src["/dev/".len()..]),
        None if write == Flag::Yes => {
            add(draft, &part, "files.write", dst);
            if noexec == Flag::No {
                draft.lose(&part, "what can be written cannot be executed");
            }
        }
        None if noexec == Flag::Yes => add(draft, &part, "files.read", dst),
        None => add(draft, &part, "files.execute", dst),
    }
}

fn exec(fields: &[Field], draft: &mut Draft<'_>) {
    let Some(path) = plain(fields, "path") else { return draft.lose("exec_bin", "it has no path") };
    let mut argv = vec![path.to_string()];
    for field in fields {
        match (field.name.as_str(), &field.value) {
            ("path", _) => {}
            ("arg", Value::Plain(word)) => argv.push(word.clone()),
            (name, _) => draft.lose(&format!("exec_bin {name}"), "there is no such key"),
        }
    }
    draft.put("exec_bin", "command.argv", list(&argv));
}

/// A flat list, `ALLOW { read, write } DEFAULT KILL`; kafel's rules, macros and arguments are a language of their own.
fn kafel(text: &str, draft: &mut Draft<'_>) {
    let part = "seccomp_string";
    let flat = text.trim().strip_prefix("ALLOW").and_then(|rest| rest.trim_start().strip_prefix('{')?.split_once('}'));
    let Some((names, rest)) = flat else { return draft.lose(part, "it is no flat list of allowed calls") };
    let names: Vec<&str> = names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let is_name = |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !names.iter().all(is_name) {
        return draft.lose(part, "it has arguments or groups, and is no flat list of calls");
    }
    draft.closed = true;
    match rest.trim() {
        "DEFAULT KILL" | "DEFAULT KILL_PROCESS" => draft.text(part, "syscalls.on-deny", "kill"),
        other => draft.lose(&format!("seccomp_string {other}"), "what is not allowed fails with an errno here"),
    }
    names.iter().for_each(|name| draft.call(&format!("seccomp_string {name}"), "syscalls.allow", name));
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Mark(char),
    Word(String),
    Text(String),
}

type Tokens = std::iter::Peekable<std::vec::IntoIter<Token>>;

fn message(tokens: &mut Tokens, depth: usize) -> Result<Vec<Field>, String> {
    if depth > DEEPEST {
        return Err("its messages are too deep in one another".to_string());
    }
    let mut fields = Vec::new();
    while let Some(token) = tokens.peek() {
        let name = match token {
            Token::Mark('}' | '>') => break,
            Token::Mark(',' | ';') => {
                tokens.next();
                continue;
            }
            Token::Word(name) => name.clone(),
            Token::Mark(_) | Token::Text(_) => return Err("a value stands where a name must".to_string()),
        };
        tokens.next();
        let colon = tokens.next_if_eq(&Token::Mark(':')).is_some();
        match tokens.next() {
            Some(Token::Mark('{' | '<')) => {
                let inner = message(tokens, depth + 1)?;
                tokens.next().ok_or_else(|| format!("{name} has no end"))?;
                fields.push(Field { name, value: Value::Message(inner) });
            }
            Some(Token::Mark('[')) if colon => {
                for token in tokens.by_ref() {
                    match token {
                        Token::Mark(']') => break,
                        Token::Mark(',') => {}
                        Token::Word(value) | Token::Text(value) => {
                            fields.push(Field { name: name.clone(), value: Value::Plain(value) });
                        }
                        Token::Mark(mark) => return Err(format!("{mark} stands in the list of {name}")),
                    }
                }
            }
            Some(Token::Word(value) | Token::Text(value)) if colon => {
                // Texts that follow one another are one.
                let mut value = value;
                while let Some(Token::Text(more)) = tokens.next_if(|token| matches!(token, Token::Text(_))) {
                    value.push_str(&more);
                }
                fields.push(Field { name, value: Value::Plain(value) });
            }
            Some(_) | None => return Err(format!("{name} has no value")),
        }
    }
    Ok(fields)
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        match c {
            '#' => drop(letters.by_ref().find(|c| *c == '\n')),
            '"' | '\'' => {
                let mut value = String::new();
                loop {
                    match letters.next() {
                        None => return Err("a quote is open".to_string()),
                        Some(end) if end == c => break,
                        Some('\\') => match letters.next() {
                            Some('n') => value.push('\n'),
                            Some('t') => value.push('\t'),
                            Some(other) => value.push(other),
                            None => return Err("a quote is open".to_string()),
                        },
                        Some(other) => value.push(other),
                    }
                }
                tokens.push(Token::Text(value));
            }
            '{' | '}' | '<' | '>' | '[' | ']' | ':' | ',' | ';' => tokens.push(Token::Mark(c)),
            c if c.is_whitespace() => {}
            c => {
                let mut word = String::from(c);
                let more = |c: &char| !c.is_whitespace() && !"{}<>[]:,;#\"'".contains(*c);
                while let Some(c) = letters.next_if(more) {
                    word.push(c);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}
