//! The ids that SMSCs give messages: an id may be spelt differently in the answer and in the receipt.
//!
//! Keeps: ids that differ only in case and leading zeros share one form, by which they are found; ids that are equal
//! only in another base, or as a UUID with and without its hyphens, are looked up separately, and after it.

use std::borrow::Cow;

/// The longest id: longer ones are cut, in answers and receipts alike (SMPP 3.4 §5.2.23: 64 characters).
const LONGEST: usize = 64;

/// `id` in the form that is compared letter by letter.
pub(crate) fn spelling(id: &str) -> &str {
    let id = id.trim();
    id.char_indices().nth(LONGEST).map_or(id, |(end, _)| &id[..end])
}

/// `id` in the one spelling by which it is found: lower case, no leading zeros. Empty for no id.
pub(crate) fn folded(id: &str) -> Cow<'_, str> {
    let id = spelling(id);
    let short = id.trim_start_matches('0');
    // A single zero is an id like any other.
    let short = if short.is_empty() && !id.is_empty() { "0" } else { short };
    if short.bytes().any(|b| b.is_ascii_uppercase()) {
        short.to_ascii_lowercase().into()
    } else {
        short.into()
    }
}

/// The places of the hyphens of a UUID.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];
/// The hexadecimal digits of a UUID.
const UUID_DIGITS: usize = 32;

/// A UUID with its hyphens, from one without them, and the reverse, folded; braces around it do not count.
fn of_uuid(id: &str) -> Option<[String; 2]> {
    let id = spelling(id).trim_start_matches('{').trim_end_matches('}');
    let mut digits: String = id.chars().filter(|c| *c != '-').collect();
    let hyphens = id.match_indices('-').map(|(at, _)| at);
    let is_uuid = digits.len() == UUID_DIGITS
        && digits.bytes().all(|b| b.is_ascii_hexdigit())
        && (id.len() == UUID_DIGITS || hyphens.eq(HYPHENS));
    let bare = is_uuid.then(|| folded(&digits).into_owned())?;
    for at in HYPHENS {
        digits.insert(at, '-');
    }
    Some([bare, folded(&digits).into_owned()])
}

/// What `id` is if its decimal digits stand for hexadecimal ones, or the reverse, or if a `0x` says which they are, or
/// if it is a UUID in its other form; folded, and without `id` itself.
pub(crate) fn in_another_base(id: &str) -> Vec<String> {
    let own = folded(id);
    // Folding has removed the zero of a 0x.
    if let Some(hex) = own.strip_prefix('x').filter(|hex| u128::from_str_radix(hex, 16).is_ok()) {
        return vec![folded(hex).into_owned()];
    }
    let decimal = own.parse::<u128>().map(|n| format!("{n:x}"));
    let hex = u128::from_str_radix(&own, 16).map(|n| n.to_string());
    let marked = hex.is_ok().then(|| format!("x{own}"));
    let uuid = of_uuid(id).into_iter().flatten();
    [decimal.ok(), hex.ok(), marked]
        .into_iter()
        .flatten()
        .chain(uuid)
        .filter(|other| *other != *own)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_id_fold_alike_or_are_of_another_base() {
        let long = "x".repeat(80);
        for (one, other) in [
            ("00B8BE1A", "B8BE1A"),
            ("B8BE1A", "b8be1a"),
            ("0654354027", "654354027"),
            ("A29F6845-5556-4713-9E5C-8F3B817F0001", "a29f6845-5556-4713-9e5c-8f3b817f0001"),
            ("0", "000"),
            (" 12 ", "12"),
            (&long, &long[..64]),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        for (one, other) in [
            ("00b8be1a", "12107290"),
            ("ff", "255"),
            ("0xB8BE1A", "b8be1a"),
            ("a29f0000000000000000000000000001", "216160510517663409003353092681761816577"),
            ("A29F6845-5556-4713-9E5C-8F3B817F0001", "a29f6845555647139e5c8f3b817f0001"),
            ("0029f684-5556-4713-9E5C-8F3B817F0001", "0029F684555647139e5c8f3b817f0001"),
        ] {
            assert!(in_another_base(one).contains(&folded(other).into_owned()), "{one} {other}");
            assert!(in_another_base(other).contains(&folded(one).into_owned()), "{other} {one}");
        }
        let braced = in_another_base("{A29F6845-5556-4713-9E5C-8F3B817F0001}");
        assert!(braced.contains(&"a29f6845-5556-4713-9e5c-8f3b817f0001".to_owned()), "{braced:?}");
        assert_eq!(
            (folded("").into_owned(), in_another_base("a-b"), in_another_base("")),
            (String::new(), vec![], vec![])
        );
    }
}
