//! Values on their way to and from spreadsheets, which run anything that begins like a formula: the author of a name
//! must not run anything on the machine of the person who opens the file.

use std::borrow::Cow;

/// What a spreadsheet takes for the beginning of a formula, including full-width letters.
const BEGINS: [char; 11] =
    ['=', '+', '-', '@', '\t', '\r', '\n', '\u{FF1D}', '\u{FF0B}', '\u{FF0D}', '\u{FF20}'];

fn is_number(value: &str) -> bool {
    value
        .strip_prefix('+')
        .is_some_and(|digits| (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// A value in the form for a CSV file: with an apostrophe before what would run. A telephone number stays as it is.
pub(crate) fn neutral(value: &str) -> Cow<'_, str> {
    if value.starts_with(BEGINS) && !is_number(value) {
        Cow::Owned(format!("'{value}"))
    } else {
        Cow::Borrowed(value)
    }
}

/// A value without the apostrophe of [`neutral`], or of a spreadsheet that marks texts with one.
pub(crate) fn plain(value: &str) -> &str {
    value.strip_prefix('\'').filter(|rest| rest.starts_with(BEGINS)).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_run_is_made_a_text_and_read_back_as_it_was() {
        for formula in [
            "=1+1",
            "+1-800-FLOWERS",
            "-1",
            "@SUM(1)",
            "\t=1",
            "\r=1",
            "\n=1",
            "+",
            "+1 202",
            "＝1",
            "+12025550123=1",
        ] {
            let safe = neutral(formula);
            assert!(safe.starts_with('\''), "{formula}");
            assert_eq!(plain(&safe), formula);
        }
        for value in ["+12025550123", "Ana", "a=b", "'quoted'", "", "'"] {
            assert_eq!((neutral(value).as_ref(), plain(value)), (value, value));
        }
    }
}
