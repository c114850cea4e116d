//! Which of a far end's digest challenges is answered, and the spellings that the SIP library and the wire disagree
//! on: it writes `SHA256` and `qop="auth"` where RFC 7616 and RFC 8760 have `SHA-256` and `qop=auth`. Pure.

/// A challenge in the library's spelling, where it can be answered: digest by MD5 or SHA-256, `qop` none or `auth`.
pub(super) fn answerable(challenge: &str) -> Option<String> {
    let (scheme, parameters) = challenge.trim().split_once(char::is_whitespace)?;
    if !scheme.eq_ignore_ascii_case("digest") {
        return None;
    }
    let mut kept = Vec::new();
    for parameter in split_outside_quotes(parameters) {
        let (name, value) = parameter.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        let bare = value.trim_matches('"');
        if name.eq_ignore_ascii_case("algorithm") {
            if bare.eq_ignore_ascii_case("SHA-256") {
                kept.push("algorithm=SHA256".to_owned());
            } else if bare.eq_ignore_ascii_case("MD5") {
                kept.push("algorithm=MD5".to_owned());
            } else {
                return None;
            }
        } else if name.eq_ignore_ascii_case("qop") {
            bare.split(',').any(|qop| qop.trim().eq_ignore_ascii_case("auth")).then_some(())?;
            kept.push("qop=\"auth\"".to_owned());
        } else {
            kept.push(format!("{name}={value}"));
        }
    }
    Some(format!("Digest {}", kept.join(", ")))
}

/// An answer as the RFCs spell it.
pub(super) fn on_the_wire(authorization: &str) -> String {
    authorization.replace("algorithm=SHA256", "algorithm=SHA-256").replace("qop=\"auth\"", "qop=auth")
}

fn split_outside_quotes(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
    .filter(|part| !part.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn md5_and_sha_256_are_answered_and_nothing_else() {
        let base = "Digest realm=\"a, b\", nonce=\"n=1\"";
        for (more, kept) in [
            ("", Some("")),
            (", algorithm=MD5", Some(", algorithm=MD5")),
            (", algorithm=\"md5\"", Some(", algorithm=MD5")),
            (", algorithm=SHA-256", Some(", algorithm=SHA256")),
            (",algorithm = sha-256 , qop=\"auth,auth-int\"", Some(", algorithm=SHA256, qop=\"auth\"")),
            (", qop=auth", Some(", qop=\"auth\"")),
            (", opaque=\"x\", stale=TRUE", Some(", opaque=\"x\", stale=TRUE")),
            (", algorithm=SHA-512-256", None),
            (", algorithm=MD5-sess", None),
            (", algorithm=SHA-256-sess", None),
            (", qop=\"auth-int\"", None),
            (", broken", None),
        ] {
            let expected = kept.map(|kept| format!("{base}{kept}"));
            assert_eq!(answerable(&format!("{base}{more}")), expected, "{more}");
        }
        assert_eq!(answerable("Basic realm=\"x\""), None);
        assert_eq!(answerable("Digest"), None);
    }

    #[test]
    fn answers_are_spelt_as_the_rfcs_do() {
        let written = "Digest uri=\"sip:x\", algorithm=SHA256, qop=\"auth\", nc=00000001";
        assert_eq!(on_the_wire(written), "Digest uri=\"sip:x\", algorithm=SHA-256, qop=auth, nc=00000001");
    }
}
