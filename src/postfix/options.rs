// SPDX-License-Identifier: Apache-2.0
//! The command line that master(8) gives a daemon: the option grammar of Postfix's single_server, then attributes.
//! Pure: nothing is looked up, and the refusals are in Postfix's own words.
#![forbid(unsafe_code)]

use super::words;

/// The options that take a value, as Postfix 3.7's single_server.c has them.
const WITH_VALUE: &str = "imnorst";
/// Those that take none.
const FLAGS: &str = "cdDlSuvVz";

/// What the options say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// `-n`: the first column of master.cf; absent where it equals the program's name.
    pub service: Option<String>,
    /// `-t`, unchecked: [`Options::transport`] checks it, after main.cf was read.
    pub transport: Option<String>,
    /// `-l`: master runs one process at most.
    pub alone: bool,
    /// `-z`: master's process limit is 0.
    pub unlimited: bool,
    /// `-c`: the chroot column is `y`.
    pub chroot: bool,
    /// `-u`: the unprivileged column is `y`.
    pub unprivileged: bool,
    /// `-s`: how many listeners there are; absent means one.
    pub listeners: Option<u32>,
    /// `-o`, `-i` and `-m`: parameters that win over main.cf, in the order in which they were given.
    pub overrides: Vec<(String, String)>,
    /// `-v`, counted.
    pub verbosity: u32,
    /// `-d`: not a daemon.
    pub foreground: bool,
    /// `-D`: run the debugger.
    pub debugger: bool,
    /// `-S`: one client, on standard input.
    pub standard_input: bool,
    /// `-V`: log to standard error too.
    pub log_to_stderr: bool,
    /// `-r`: seconds until the process retires.
    pub retire_s: Option<u32>,
    /// What follows the options: the attributes.
    pub words: Vec<String>,
}

/// What clients arrive on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Inet,
    /// UNIX-domain stream sockets.
    Unix,
    /// UNIX-domain stream sockets over which another daemon passes the client's descriptor.
    Pass,
}

/// A command line that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum OptionError {
    #[error("invalid option: {0}")]
    Unknown(char),
    #[error("invalid \"-o {option}\" option value: {why}")]
    BadOverride { option: String, why: String },
    #[error("invalid retirement time: {0}")]
    BadRetirement(String),
    #[error("invalid socket_count: {0}")]
    BadListeners(String),
    #[error("service {0} requires privileged operation")]
    Unprivileged(String),
    #[error("no transport type specified")]
    NoTransport,
    #[error("unsupported transport type: {0}")]
    BadTransport(String),
    #[error("bad generation: {0}")]
    BadGeneration(String),
}

/// Whether this word is an option of a daemon, or several: what a command line of ours alone cannot begin with.
pub fn is_option_of_a_daemon(word: &str) -> bool {
    let first = word.strip_prefix('-').and_then(|letters| letters.chars().next());
    first.is_some_and(|letter| WITH_VALUE.contains(letter) || FLAGS.contains(letter))
}

impl Options {
    /// Reads the words after the program's name as getopt(3) with `+` does: options end at the first word that is none.
    pub fn parse(words: &[String]) -> Result<Options, OptionError> {
        let mut options = Options::default();
        let mut words = words.iter();
        while let Some(cluster) = words.as_slice().first().filter(|word| is_option(word)) {
            words.next();
            if cluster == "--" {
                break;
            }
            let mut letters = cluster[1..].chars();
            while let Some(letter) = letters.next() {
                if !WITH_VALUE.contains(letter) {
                    options.flag(letter)?;
                    continue;
                }
                let attached = letters.as_str();
                let value = if attached.is_empty() { words.next().map(String::as_str) } else { Some(attached) };
                options.value(letter, value.ok_or(OptionError::Unknown(letter))?)?;
                break;
            }
        }
        options.words = words.cloned().collect();
        Ok(options)
    }

    fn flag(&mut self, letter: char) -> Result<(), OptionError> {
        match letter {
            'c' => self.chroot = true,
            'd' => self.foreground = true,
            'D' => self.debugger = true,
            'l' => self.alone = true,
            'S' => self.standard_input = true,
            'u' => self.unprivileged = true,
            'v' => self.verbosity += 1,
            'V' => self.log_to_stderr = true,
            'z' => self.unlimited = true,
            other => return Err(OptionError::Unknown(other)),
        }
        Ok(())
    }

    fn value(&mut self, letter: char, value: &str) -> Result<(), OptionError> {
        match letter {
            'i' => self.overrides.push(("max_idle".to_string(), value.to_string())),
            'm' => self.overrides.push(("max_use".to_string(), value.to_string())),
            'n' => self.service = Some(value.to_string()),
            't' => self.transport = Some(value.to_string()),
            'o' => self.overrides.push(parse_override(value)?),
            'r' => self.retire_s = Some(positive(value).ok_or(OptionError::BadRetirement(value.to_string()))?),
            's' => self.listeners = Some(positive(value).ok_or(OptionError::BadListeners(value.to_string()))?),
            other => return Err(OptionError::Unknown(other)),
        }
        Ok(())
    }

    /// The transport, or why the service cannot be served, in the order in which Postfix checks. None: there is no
    /// listener, since the client is on standard input.
    pub fn transport(&self, service: &str) -> Result<Option<Transport>, OptionError> {
        if self.unprivileged {
            return Err(OptionError::Unprivileged(service.to_string()));
        }
        if self.standard_input {
            return Ok(None);
        }
        let name = self.transport.as_deref().ok_or(OptionError::NoTransport)?;
        [Transport::Inet, Transport::Unix, Transport::Pass]
            .into_iter()
            .find(|transport| transport.name().eq_ignore_ascii_case(name))
            .map(Some)
            .ok_or_else(|| OptionError::BadTransport(name.to_string()))
    }
}

impl Transport {
    /// Its name in the second column of master.cf.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Inet => "inet",
            Transport::Unix => "unix",
            Transport::Pass => "pass",
        }
    }
}

/// The generation that master writes into the environment, in octal.
pub fn generation(text: &str) -> Result<u32, OptionError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(OptionError::BadGeneration(text.to_string()));
    }
    // Postfix checks for digits, then stops at the first that is not octal.
    let digits = text.bytes().take_while(|byte| (b'0'..=b'7').contains(byte));
    Ok(digits.fold(0u32, |sum, byte| sum.wrapping_mul(8).wrapping_add(u32::from(byte - b'0'))))
}

fn is_option(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-')
}

fn parse_override(text: &str) -> Result<(String, String), OptionError> {
    let refuse = |why: &str| OptionError::BadOverride { option: text.to_string(), why: why.to_string() };
    // master has taken away the braces of `-o { name = value }` already.
    let (name, value) = words::split_name_value(text).map_err(refuse)?;
    Ok((name.to_string(), value.to_string()))
}

/// atoi(3), as far as it is above zero.
fn positive(text: &str) -> Option<u32> {
    let digits = text.trim_start_matches(words::is_space).trim_start_matches('+');
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Options, String> {
        Options::parse(&line.iter().map(|word| word.to_string()).collect::<Vec<_>>()).map_err(|error| error.to_string())
    }

    #[test]
    fn bad_options_are_refused_in_postfix_words() {
        for (line, complaint) in [
            (&["-x"] as &[&str], "invalid option: x"),
            (&["-:"], "invalid option: :"),
            (&["-lx"], "invalid option: x"),
            (&["-n"], "invalid option: n"),
            (&["-o", "foo"], "invalid \"-o foo\" option value: missing '=' after attribute name"),
            (&["-o", "=foo"], "invalid \"-o =foo\" option value: missing attribute name"),
            (&["-r", "0"], "invalid retirement time: 0"),
            (&["-s", "-2"], "invalid socket_count: -2"),
            (&["-s", "two"], "invalid socket_count: two"),
        ] {
            assert_eq!(parse(line), Err(complaint.to_string()), "{line:?}");
        }
    }

    #[test]
    fn a_service_that_cannot_be_served_is_refused_in_postfix_words() {
        for (line, complaint) in [
            (&["-u", "-t", "fifo"] as &[&str], "service policy requires privileged operation"),
            (&["-l"], "no transport type specified"),
            (&["-t", "fifo"], "unsupported transport type: fifo"),
        ] {
            let error = parse(line).unwrap().transport("policy").unwrap_err();
            assert_eq!(error.to_string(), complaint, "{line:?}");
        }
    }

    #[test]
    fn the_line_that_master_gives_is_understood() {
        let line = "-l -n 127.0.0.1:2525 -t inet -o stress= -s 2 -o max_idle=5 user=nobody argv=/bin/sh -c x";
        let options = parse(&line.split(' ').collect::<Vec<_>>()).unwrap();
        assert_eq!(options.service.as_deref(), Some("127.0.0.1:2525"));
        assert_eq!(options.transport("x"), Ok(Some(Transport::Inet)));
        assert_eq!(options.listeners, Some(2));
        assert!(options.alone && !options.unlimited && !options.chroot);
        let overrides = [("stress", ""), ("max_idle", "5")].map(|(name, value)| (name.into(), value.into()));
        assert_eq!(options.overrides, overrides);
        assert_eq!(options.words, ["user=nobody", "argv=/bin/sh", "-c", "x"]);
    }

    #[test]
    fn options_may_be_clustered_and_values_attached() {
        let options = parse(&["-lzcv", "-vnpolicy", "-tUNIX", "-i5s", "-m", "7", "-o", "a = b c", "--", "-l"]).unwrap();
        assert!(options.alone && options.unlimited && options.chroot);
        assert_eq!(options.verbosity, 2);
        assert_eq!(options.service.as_deref(), Some("policy"));
        assert_eq!(options.transport("policy"), Ok(Some(Transport::Unix)));
        let overrides = [("max_idle", "5s"), ("max_use", "7"), ("a", "b c")].map(|(n, v)| (n.into(), v.into()));
        assert_eq!(options.overrides, overrides);
        assert_eq!(options.words, ["-l"]);
    }

    #[test]
    fn with_the_client_on_standard_input_no_transport_is_asked_for() {
        assert_eq!(parse(&["-S"]).unwrap().transport("policy"), Ok(None));
        assert_eq!(parse(&["-S", "-t", "fifo"]).unwrap().transport("policy"), Ok(None));
        assert!(parse(&["-S", "-u"]).unwrap().transport("policy").is_err());
    }

    #[test]
    fn what_begins_a_command_line_of_a_daemon_is_known() {
        for letter in ('!'..='~').map(String::from) {
            let known = !matches!(parse(&[&format!("-{letter}"), "1"]), Err(why) if why.starts_with("invalid option"));
            assert_eq!(is_option_of_a_daemon(&format!("-{letter}x")), known && letter != "-", "{letter}");
        }
        assert!(!is_option_of_a_daemon("user=nobody") && !is_option_of_a_daemon("-"));
    }

    #[test]
    fn options_end_at_the_first_word_that_is_none() {
        assert_eq!(parse(&["user=x", "-l"]).unwrap().words, ["user=x", "-l"]);
        assert_eq!(parse(&["-", "-l"]).unwrap().words, ["-", "-l"]);
    }

    #[test]
    fn the_generation_is_octal() {
        for text in ["", "x", "1x", "-1"] {
            assert_eq!(generation(text).unwrap_err().to_string(), format!("bad generation: {text}"));
        }
        for (text, number) in [("0", 0), ("17", 15), ("37777777777", u32::MAX), ("18", 1)] {
            assert_eq!(generation(text), Ok(number), "{text}");
        }
    }
}
