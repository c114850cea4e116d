//! The ids that SMSCs give messages: one message's id may be spelt otherwise in its answer and in its receipt.
//!
//! Keeps: what reads alike but for case and leading zeros has one form, by which it is found; what reads alike only
//! in another base is asked for apart, and after it.

/// Longer ids are cut, in answers and receipts alike (SMPP 3.4 §5.2.23: 64 characters).
const LONGEST: usize = 64;

/// `id` as it is compared letter by letter.
pub(crate) fn spelling(id: &str) -> &str {
    let id = id.trim();
    id.char_indices().nth(LONGEST).map_or(id, |(end, _)| &id[..end])
}

/// `id` in the one spelling by which it is found: small letters, no leading zeros. Empty for no id.
pub(crate) fn folded(id: &str) -> String {
    let small = spelling(id).to_ascii_lowercase();
    let short = small.trim_start_matches('0');
    // A zero alone is an id like others.
    if short.is_empty() && !small.is_empty() { "0".to_owned() } else { short.to_owned() }
}

/// What `id` is where decimal digits stand for hexadecimal ones, and the reverse, or where a `0x` says which they are;
/// folded, without its own.
pub(crate) fn in_another_base(id: &str) -> Vec<String> {
    let own = folded(id);
    // A folded 0x has lost its zero.
    if let Some(hex) = own.strip_prefix('x').filter(|hex| u128::from_str_radix(hex, 16).is_ok()) {
        return vec![folded(hex)];
    }
    let decimal = own.parse::<u128>().map(|n| format!("{n:x}"));
    let hex = u128::from_str_radix(&own, 16).map(|n| n.to_string());
    let marked = hex.is_ok().then(|| format!("x{own}"));
    [decimal.ok(), hex.ok(), marked].into_iter().flatten().filter(|other| *other != own).collect()
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
        ] {
            assert!(in_another_base(one).contains(&folded(other)), "{one} {other}");
            assert!(in_another_base(other).contains(&folded(one)), "{other} {one}");
        }
        assert_eq!(
            (folded(""), in_another_base("a-b"), in_another_base("")),
            (String::new(), vec![], vec![])
        );
    }
}
