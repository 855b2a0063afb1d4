// SPDX-License-Identifier: Apache-2.0
//! Expansion of `$name` and its relatives in parameter values, as `mac_parse` and `mac_expand` do it (Postfix 3.7).
//! Pure. An undefined name is empty, never an error; depth, length and number of references have limits.
#![forbid(unsafe_code)]

use super::main_cf::Table;
use super::words::closing_brace;

/// Nesting that Postfix refuses.
const MAX_DEPTH: u32 = 100;
/// References in one value, and bytes of the result: ours, since `a=$b$b b=$c$c ...` doubles with each line.
const MAX_REFERENCES: u32 = 10_000;
const MAX_BYTES: usize = 1 << 20;

/// What Postfix says about a value that it cannot expand. It then ends with "dictionary mail_dict: macro processing
/// error".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExpandError(pub String);

type Expanded<T = ()> = Result<T, ExpandError>;

/// Expands every reference in `text`, and in what the references stand for.
pub fn expand(table: &Table, text: &str) -> Expanded<String> {
    let mut references = 0;
    Expansion { table, result: String::new(), depth: 0, references: &mut references }.run(text)
}

struct Expansion<'a> {
    table: &'a Table,
    result: String,
    depth: u32,
    references: &'a mut u32,
}

impl Expansion<'_> {
    fn run(mut self, text: &str) -> Expanded<String> {
        self.text(text)?;
        Ok(self.result)
    }

    /// Literal text and references.
    fn text(&mut self, text: &str) -> Expanded {
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            self.literal(&rest[..at])?;
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                self.literal("$")?;
                rest = after;
                continue;
            }
            let (reference, after) = take_reference(rest, text)?;
            self.reference(reference)?;
            rest = after;
        }
        self.literal(rest)
    }

    fn literal(&mut self, text: &str) -> Expanded {
        if self.result.len() + text.len() > MAX_BYTES {
            return refuse(format!("expanded value is longer than {MAX_BYTES} bytes"));
        }
        self.result.push_str(text);
        Ok(())
    }

    /// What stands behind a dollar sign, without its parentheses.
    fn reference(&mut self, text: &str) -> Expanded {
        *self.references += 1;
        if *self.references > MAX_REFERENCES {
            return refuse(format!("more than {MAX_REFERENCES} references in one value"));
        }
        if self.depth > MAX_DEPTH {
            return refuse(format!("unreasonable macro call nesting: \"{text}\""));
        }
        self.depth += 1;
        match trim_blanks(text).strip_prefix('{') {
            Some(inner) => self.comparison(inner)?,
            None => self.parameter(text)?,
        }
        self.depth -= 1;
        Ok(())
    }

    /// `name`, `name?text`, `name:text`, `name?{text}:{text}`.
    fn parameter(&mut self, text: &str) -> Expanded {
        let start = trim_blanks(text);
        let end = start.find(|c: char| !is_name(c)).unwrap_or(start.len());
        let (name, rest) = start.split_at(end);
        let value = self.table.get(name);
        match trim_blanks(rest).chars().next() {
            None => value.map_or(Ok(()), |value| self.text(value)),
            Some(operator @ ('?' | ':')) => {
                let chosen = !value.unwrap_or_default().is_empty();
                self.choice(operator, &trim_blanks(rest)[1..], chosen)
            }
            Some(_) => {
                let at = text.len() - rest.len();
                refuse(format!("attribute name syntax error at: \"...{}>>>{}\"", &text[..at], head(rest)))
            }
        }
    }

    /// `{a} == {b}`, and what may follow it; `inner` starts behind the first brace.
    fn comparison(&mut self, inner: &str) -> Expanded {
        let (left, rest) = take_payload(inner)?;
        let end = rest.find(|c| !"<>!=?+-*/~&|%".contains(c)).unwrap_or(rest.len());
        let Some(operator) = Operator::named(&rest[..end]) else {
            return refuse(format!(
                "\"==\" or \"!=\" or \"<\" or \"<=\" or \">=\" or \">\" expected at: \"...{left}}}>>>{}\"",
                head(rest)
            ));
        };
        let suffix_end = rest[end..].find(|c: char| !c.is_ascii_alphanumeric()).map_or(rest.len(), |at| end + at);
        let levels = match &rest[end..suffix_end] {
            "" => false,
            "level" => true,
            other => {
                return refuse(format!("bad operator suffix at: \"...{}>>>{other}\"", &rest[..end]));
            }
        };
        let after = &rest[suffix_end..];
        let Some(inner) = trim_blanks(after).strip_prefix('{') else {
            let (operator, at) = (&rest[..suffix_end], head(after));
            return refuse(format!("\"{{expression}}\" expected at: \"...{{{left}}} {operator}>>>{at}\""));
        };
        let (right, rest) = take_payload(inner)?;
        let (left, right) = (self.operand(left)?, self.operand(right)?);
        let order = if levels { level(&left)?.cmp(&level(&right)?) } else { compare(&left, &right)? };
        let holds = operator.holds(order);
        match rest.chars().next() {
            None => self.literal(if holds { "true" } else { "" }),
            Some(operator @ ('?' | ':')) => self.choice(operator, &rest[1..], holds),
            Some(_) => refuse(format!("\"?\" or \":\" expected at: \"...}}>>>{}\"", head(rest))),
        }
    }

    /// One side of a comparison, expanded.
    fn operand(&mut self, text: &str) -> Expanded<String> {
        let (table, depth) = (self.table, self.depth);
        Expansion { table, result: String::new(), depth, references: self.references }.run(text)
    }

    /// What follows `?` or `:`.
    fn choice(&mut self, operator: char, text: &str, chosen: bool) -> Expanded {
        let (text, rest) = take_result(text)?;
        if chosen == (operator == '?') {
            self.text(text)?;
        }
        match (operator, rest.strip_prefix(':')) {
            _ if rest.is_empty() => Ok(()),
            ('?', Some(rest)) => self.choice(':', rest, chosen),
            ('?', None) => refuse(format!("\":\" expected at: \"...{text}}}>>>{}\"", head(rest))),
            _ => refuse(format!("unexpected input at: \"...{text}}}>>>{}\"", head(rest))),
        }
    }
}

/// What stands behind a `$`, and what follows it. `whole` is for the complaint.
fn take_reference<'a>(text: &'a str, whole: &str) -> Expanded<(&'a str, &'a str)> {
    let (reference, rest) = match text.chars().next() {
        Some(open @ ('{' | '(')) => {
            let Some(end) = closing(&text[1..], open) else {
                return refuse(format!("truncated macro reference: \"{whole}\""));
            };
            (&text[1..=end], &text[end + 2..])
        }
        _ => text.split_at(text.find(|c: char| !is_name(c)).unwrap_or(text.len())),
    };
    if reference.is_empty() {
        return refuse(format!("empty macro name: \"{whole}\""));
    }
    Ok((reference, rest))
}

/// Where the parenthesis is that closes the one before `text`; those of the other kind do not count.
fn closing(text: &str, open: char) -> Option<usize> {
    if open == '{' {
        return closing_brace(text);
    }
    let mut depth = 1;
    text.char_indices().find_map(|(at, c)| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        (depth == 0).then_some(at)
    })
}

/// The text up to the brace that closes the one before `inner`, and what follows that brace and blanks.
fn take_payload(inner: &str) -> Expanded<(&str, &str)> {
    match closing_brace(inner) {
        Some(end) => Ok((&inner[..end], trim_blanks(&inner[end + 1..]))),
        None => refuse(format!("unbalanced {{}} in attribute expression: \"{{{inner}\"")),
    }
}

/// `{text}` with what follows it, or everything: without braces, text may hold any of the operators.
fn take_result(text: &str) -> Expanded<(&str, &str)> {
    match trim_blanks(text).strip_prefix('{') {
        Some(inner) => take_payload(inner),
        None => Ok((text, "")),
    }
}

/// A relation.
#[derive(Debug, Clone, Copy)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    GreaterOrEqual,
    Greater,
}

impl Operator {
    fn named(text: &str) -> Option<Operator> {
        match text {
            "==" => Some(Operator::Equal),
            "!=" => Some(Operator::NotEqual),
            "<" => Some(Operator::Less),
            "<=" => Some(Operator::LessOrEqual),
            ">=" => Some(Operator::GreaterOrEqual),
            ">" => Some(Operator::Greater),
            _ => None,
        }
    }

    fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Operator::Equal => order.is_eq(),
            Operator::NotEqual => order.is_ne(),
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual => order.is_le(),
            Operator::GreaterOrEqual => order.is_ge(),
            Operator::Greater => order.is_gt(),
        }
    }
}

/// Numbers as numbers, all else as bytes.
fn compare(left: &str, right: &str) -> Expanded<std::cmp::Ordering> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !(digits(left) && digits(right)) {
        return Ok(left.cmp(right));
    }
    let number = |text: &str| text.parse::<i64>().or_else(|_| refuse(format!("mac_exp_eval: bad conversion: {text}")));
    Ok(number(left)?.cmp(&number(right)?))
}

/// A compatibility level: one to three numbers.
pub(super) fn level(text: &str) -> Expanded<[u64; 3]> {
    let malformed = || ExpandError(format!("malformed compatibility level syntax: \"{text}\""));
    let mut level = [0; 3];
    for (at, number) in text.split('.').enumerate() {
        let limit = if at == 0 { u64::MAX } else { 0x3ff };
        let number = number.parse().ok().filter(|number| *number <= limit).ok_or_else(malformed)?;
        *level.get_mut(at).ok_or_else(malformed)? = number;
    }
    Ok(level)
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn trim_blanks(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\r', '\n'])
}

/// As much of what follows as Postfix quotes.
fn head(text: &str) -> &str {
    &text[..text.char_indices().nth(20).map_or(text.len(), |(at, _)| at)]
}

fn refuse<T>(why: String) -> Expanded<T> {
    Err(ExpandError(why))
}

#[cfg(test)]
#[path = "expand_tests.rs"]
mod tests;
