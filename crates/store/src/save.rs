//! What must be right before something is saved. What is merely missing is named at schedule.

use campaign::ZoneGroup;

use crate::{Definition, Problem, RouteConfig, RouteKind};

/// Fields that every contact may have.
pub const KNOWN_FIELDS: [&str; 5] = ["email", "first_name", "language", "last_name", "time_zone"];
/// The most lists of one campaign.
const MOST_LISTS: usize = 5_000;
/// The longest name of a campaign, list or route, in characters.
pub const LONGEST_NAME: usize = 200;

/// A name as it is stored: trimmed, with single spaces between its words.
pub(crate) fn tidy(name: &str) -> String {
    // A control character that only affects the width of a gap counts as a gap.
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The form in which names are compared.
pub(crate) fn name_key(name: &str) -> String {
    tidy(name).to_lowercase()
}

/// Whether a character is invisible: control characters, marks of direction and of no width. The two joiners are
/// letters in some scripts and parts of emoji when something is next to them.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180E}' | '\u{200B}'
            | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}'
            | '\u{E0000}'..='\u{E007F}')
}

fn name(name: &str, problems: &mut Vec<Problem>) {
    let joiner = |c: char| matches!(c, '\u{200C}' | '\u{200D}' | '\u{2800}');
    if let Some(c) = name.chars().find(|c| is_invisible(*c)) {
        problems.push(Problem::new(
            "name",
            format!("the name has a character in it that nobody sees (U+{:04X}); delete it", u32::from(c)),
        ));
    } else if name.chars().all(|c| c.is_whitespace() || joiner(c)) {
        problems.push(Problem::new("name", "give it a name"));
    } else if name.chars().count() > LONGEST_NAME {
        problems.push(Problem::new("name", format!("the name is longer than {LONGEST_NAME} characters")));
    }
}

/// What is wrong with a definition by itself; `fields` are the fields that contacts have.
pub(crate) fn definition(d: &Definition, fields: &[String]) -> Vec<Problem> {
    let mut problems = Vec::new();
    name(&d.name, &mut problems);
    if let Some(zone) = &d.time_zone
        && let Err(e) = ZoneGroup::parse(zone)
    {
        problems.push(Problem::new("time_zone", e));
    }
    if d.list_ids.len() > MOST_LISTS {
        problems.push(Problem::new(
            "list_ids",
            format!("{} lists are too many: at most {MOST_LISTS}", d.list_ids.len()),
        ));
    }
    problems.extend(d.content.problems(fields));
    problems
}

/// What is wrong with a route by itself.
pub(crate) fn route(r: &RouteConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    name(&r.name, &mut problems);
    match &r.kind {
        RouteKind::Smpp(smpp) => problems.extend(smpp.problems()),
        RouteKind::Sip(sip) => problems.extend(sip.problems()),
    }
    problems
}

/// What is wrong with a name.
pub(crate) fn name_problems(text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    name(text, &mut problems);
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tidied_compared_without_case_and_refused_where_nobody_sees_a_part_of_them() {
        assert_eq!(tidy("  Spring \t Sale\u{A0} "), "Spring Sale");
        assert_eq!(name_key("ÉTÉ  sale"), name_key("été Sale "));
        let wrong = |text: &str| !name_problems(text).is_empty();
        for bad in [
            "",
            "  ",
            "\u{200B}",
            "a\0b",
            "a\nb",
            "\u{202E}abc",
            "a\u{2066}b",
            "\u{FEFF}a",
            "\u{200D}",
            "a\u{7}",
            "\u{3164}",
            "\u{2060}",
        ] {
            assert!(wrong(bad), "{bad:?}");
        }
        for good in ["Spring sale", "👨\u{200D}👩\u{200D}👧 family", "می\u{200C}خواهم", "العيادة", "-"]
        {
            assert!(!wrong(good), "{good}");
        }
    }
}
