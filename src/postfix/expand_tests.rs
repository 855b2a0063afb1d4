// SPDX-License-Identifier: Apache-2.0
//! What an expansion gives, and Postfix's words where it gives nothing.

use super::*;

fn table(entries: &[(&str, &str)]) -> Table {
    let mut table = Table::default();
    entries.iter().for_each(|(name, value)| table.set(name, value));
    table
}

fn example() -> Table {
    table(&[
        ("a", "A"),
        ("empty", ""),
        ("b", "<$a>"),
        ("seven", "7"),
        ("loop", "$loop"),
        ("compatibility_level", "3.6"),
    ])
}

#[test]
fn what_cannot_be_expanded_is_refused_in_postfix_words() {
    for (text, complaint) in [
        ("x $", "empty macro name: \"x $\""),
        ("$ a", "empty macro name: \"$ a\""),
        ("${}", "empty macro name: \"${}\""),
        ("x ${a", "truncated macro reference: \"x ${a\""),
        ("$(a", "truncated macro reference: \"$(a\""),
        ("${a-b}", "attribute name syntax error at: \"...a>>>-b\""),
        ("${a b}", "attribute name syntax error at: \"...a>>> b\""),
        ("${a?{x}y}", "\":\" expected at: \"...x}>>>y\""),
        ("${a?{x}:{y}z}", "unexpected input at: \"...y}>>>z\""),
        ("${{a} {b}}", "\"==\" or \"!=\" or \"<\" or \"<=\" or \">=\" or \">\" expected at: \"...a}>>>{b}\""),
        ("${{a} ==odd {b}}", "bad operator suffix at: \"...==>>>odd\""),
        ("${{a} == b}", "\"{expression}\" expected at: \"...{a} ==>>> b\""),
        ("${{a} == {b} x}", "\"?\" or \":\" expected at: \"...}>>>x\""),
        ("${{x.y} <level {1}}", "malformed compatibility level syntax: \"x.y\""),
        ("$loop", "unreasonable macro call nesting: \"loop\""),
        ("${{9223372036854775808} == {1}}", "mac_exp_eval: bad conversion: 9223372036854775808"),
    ] {
        assert_eq!(expand(&example(), text), refuse(complaint.to_string()), "{text}");
    }
}

#[test]
fn references_are_expanded() {
    for (text, result) in [
        ("", ""),
        ("plain", "plain"),
        ("$a", "A"),
        ("$a-$a.b", "A-A.b"),
        ("${a}(${ a })$(a)", "A(A)A"),
        ("$$a$$", "$a$"),
        ("$unknown|$empty|", "||"),
        ("$b", "<A>"),
        ("${a?x}${a:y}${empty?x}${empty:y}${unknown:$b}", "xy<A>"),
        ("${a?x:y?z}", "x:y?z"),
        ("${a ? {x} : {y}}${empty ? {x} : {y}}", "xy"),
        ("${a?{ x }}", " x "),
        ("${a?{${empty?{1}:{2}}}:{3}}", "2"),
        ("${{$a} == {A}}|${{$a} == {B}}|", "true||"),
        ("${{$a} != {A} ? {x} : {y}}", "y"),
        ("${{$seven} < {10}?{number}:{text}}", "number"),
        ("${{x7} < {x10}?{number}:{text}}", "text"),
        ("${{$compatibility_level} <level {3.10} ? {old} : {new}}", "old"),
        ("${{$compatibility_level} >=level {3} ? {yes} : {no}}", "yes"),
    ] {
        assert_eq!(expand(&example(), text).as_deref(), Ok(result), "{text}");
    }
}

#[test]
fn a_value_that_doubles_with_each_line_is_refused_before_it_fills_the_memory() {
    let names: Vec<String> = (0..60).map(|number| format!("n{number}")).collect();
    let mut table = Table::default();
    names.windows(2).for_each(|pair| table.set(&pair[0], &format!("${}${}", pair[1], pair[1])));
    assert_eq!(expand(&table, "$n0"), refuse("more than 10000 references in one value".to_string()));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_expansion_panic(text in "[ab$(){}?:=<>! ]{0,40}") {
        let _ = expand(&example(), &text);
    }
}
