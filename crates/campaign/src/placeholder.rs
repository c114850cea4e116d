//! Placeholders of other products in a text: they would be sent as they are, so the writer of the text is told what to
//! write instead. A warning and never an error: the brackets may be intended.

use crate::field;

/// What begins and ends a placeholder elsewhere, longer signs first, and whether its name may have spaces in it.
const SIGNS: [(&str, &str, bool); 12] = [
    ("*|", "|*", true),
    ("[[", "]]", true),
    ("<<", ">>", true),
    ("«", "»", true),
    ("${", "}", true),
    ("#{", "}", true),
    ("%%", "%%", false),
    ("{", "}", true),
    ("[", "]", true),
    ("<", ">", false),
    ("%", "%", false),
    ("#", "#", false),
];
/// What begins and ends the placeholders of our own texts.
const OURS: [(&str, &str); 3] = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")];
/// The longest name of a placeholder, in characters, and the most words in it: a longer one is a sentence in brackets.
const LONGEST: usize = 40;
const MOST_WORDS: usize = 3;

/// What looks like a placeholder but is not one here, each once, with what to do about it. In a text that is sent word
/// for word (`template` is false) our own placeholders do not count either.
pub fn warnings(text: &str, template: bool) -> Vec<String> {
    let mut found: Vec<(&str, &str)> = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let ours = OURS
            .iter()
            .find_map(|(begin, end)| Some(begin.len() + rest.strip_prefix(begin)?.find(end)? + end.len()));
        if let Some(length) = ours {
            if !template {
                found.push((&rest[..length], ""));
            }
            rest = &rest[length..];
            continue;
        }
        let before = text[..text.len() - rest.len()].chars().next_back();
        match foreign(rest, before) {
            Some((whole, name)) => {
                found.push((whole, name));
                rest = &rest[whole.len()..];
            }
            None => rest = &rest[c.len_utf8()..],
        }
    }
    let mut seen = std::collections::HashSet::new();
    found.retain(|(whole, _)| seen.insert(*whole));
    found.into_iter().map(|(whole, name)| advice(whole, name, template)).collect()
}

/// The placeholder that a text begins with, and the name in it.
fn foreign(text: &str, before: Option<char>) -> Option<(&str, &str)> {
    SIGNS.iter().find_map(|(begin, end, spaces)| {
        let inner = text.strip_prefix(begin)?;
        let written = &inner[..inner.find(end)?];
        // "{ name }", "{$name}", "{!name}".
        let name = if *spaces { written.trim().trim_start_matches(['$', '!', '@', '=']) } else { written };
        // "100% of 20%" and "#1 #2" are not placeholders.
        let counts = matches!(*begin, "%" | "#") && before.is_some_and(char::is_alphanumeric);
        let first = name.chars().next()?;
        let usual = |c: char| {
            c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '|' | ':') || (*spaces && c == ' ')
        };
        let is_name =
            (first.is_alphabetic() || matches!(first, '_') || (*begin == "{" && first.is_numeric()))
                && name.chars().all(usual)
                && name.chars().count() <= LONGEST
                && name.split_whitespace().count() <= MOST_WORDS;
        (is_name && !counts).then(|| (&text[..begin.len() + written.len() + end.len()], name))
    })
}

fn advice(whole: &str, name: &str, template: bool) -> String {
    if !template {
        return format!("'{whole}' goes out as it stands: this message is sent word for word");
    }
    let name = name.split(['|', ':']).next().unwrap_or(name);
    let field = field::meant(name).map(str::to_owned).or_else(|| field::spelt(name));
    match field {
        Some(field) => format!(
            "'{whole}' goes out as it stands; to fill in a field of the contact, write {{{{ {field} }}}}"
        ),
        None => format!(
            "'{whole}' goes out as it stands; to fill in a field of the contact, write {{{{ first_name }}}} or another"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_of_other_products_are_told_with_what_to_write() {
        for (text, whole, field) in [
            ("Hi {first_name}!", "{first_name}", "first_name"),
            ("Hi {0}!", "{0}", "_0"),
            ("Hi [first name]!", "[first name]", "first_name"),
            ("Hi [[FirstName]]!", "[[FirstName]]", "first_name"),
            ("Hi *|FNAME|*!", "*|FNAME|*", "first_name"),
            ("Hi %first_name%!", "%first_name%", "first_name"),
            ("Hi %%clinic%%!", "%%clinic%%", "clinic"),
            ("Hi <name>!", "<name>", "name"),
            ("Hi <<City>>!", "<<City>>", "city"),
            ("Hi ${city}!", "${city}", "city"),
            ("Hi «Prénom»!", "«Prénom»", "prenom"),
            ("Hi #lname#!", "#lname#", "last_name"),
            ("{{ city }} {city}", "{city}", "city"),
            ("Hi {name|there}", "{name|there}", "name"),
            ("Hi { first name }", "{ first name }", "first_name"),
            ("Hi [ Name ]", "[ Name ]", "name"),
            ("Hi {$name}", "{$name}", "name"),
            ("Hi {!Contact.Name}", "{!Contact.Name}", "contact_name"),
        ] {
            let told = warnings(text, true);
            assert_eq!(told.len(), 1, "{text}: {told:?}");
            assert!(told[0].starts_with(&format!("'{whole}'")), "{text}: {told:?}");
            assert!(told[0].ends_with(&format!("write {{{{ {field} }}}}")), "{text}: {told:?}");
        }
    }

    #[test]
    fn what_is_none_is_not_told() {
        for text in [
            "Hello {{ first_name | default('you') }}, 50% off and 20% more",
            "{% if city %}{{ city }}{% endif %} a < b > c",
            "Room #1 or #2, 100%sure%",
            "5 < 6, 7 > 3 [1] {} [] <>",
            "[this is a whole sentence in brackets]",
        ] {
            assert_eq!(warnings(text, true), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn word_for_word_our_own_are_told_as_well() {
        let told = warnings("Dear {#var#}, {{ code }}. {#var#} {%x%}", false);
        let found: Vec<&str> = told.iter().map(|t| t.split('\'').nth(1).unwrap()).collect();
        assert_eq!(found, ["{#var#}", "{{ code }}", "{%x%}"]);
    }
}
