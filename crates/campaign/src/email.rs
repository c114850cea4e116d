//! E-mail addresses: of those who sign in, and of contacts.

use email_address::{EmailAddress, Options};

/// The most characters that an address may have (RFC 5321 §4.5.3.1.3, less the angle brackets).
const LONGEST: usize = 254;

/// Whether `text` is an e-mail address (RFC 5322, RFC 6531) and nothing else: no name beside it, no address of a machine
/// in the place of a domain.
pub fn is_address(text: &str) -> bool {
    let bare = Options::default().without_display_text().without_domain_literal();
    text.len() <= LONGEST && EmailAddress::parse_with_options(text, bare).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_what_is_none() {
        for good in ["ana@clinic.example", "o'neil+news@a.b.example", "jörg@müller.example", "x@localhost"]
        {
            assert!(is_address(good), "{good}");
        }
        let long = format!("{}@clinic.example", "a".repeat(250));
        for bad in [
            "",
            "ana",
            "@clinic.example",
            "ana@",
            "ana@@clinic.example",
            "ana b@clinic.example",
            "Ana <ana@clinic.example>",
            "ana@clinic..example",
            "ana@[127.0.0.1]",
            "ana@clinic.example, ben@clinic.example",
            &long,
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
