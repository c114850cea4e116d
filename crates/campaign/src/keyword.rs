//! Keywords in replies: opting out, opting in, asking for help (product document §3; CTIA and 47 CFR
//! 64.1200(a)(10) for the words).

/// What a reply asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keyword {
    /// No more messages to this number.
    OptOut,
    /// Messages are welcome again.
    OptIn,
    /// Who are you, how do I stop.
    Help,
}

impl Keyword {
    /// Its name, as stored and shown.
    pub const fn word(self) -> &'static str {
        match self {
            Self::OptOut => "opt_out",
            Self::OptIn => "opt_in",
            Self::Help => "help",
        }
    }
}

const WORDS: &[(&str, Keyword)] = &[
    ("STOP", Keyword::OptOut),
    ("STOPALL", Keyword::OptOut),
    ("UNSUBSCRIBE", Keyword::OptOut),
    ("CANCEL", Keyword::OptOut),
    ("END", Keyword::OptOut),
    ("QUIT", Keyword::OptOut),
    ("REVOKE", Keyword::OptOut),
    ("OPTOUT", Keyword::OptOut),
    ("START", Keyword::OptIn),
    ("YES", Keyword::OptIn),
    ("UNSTOP", Keyword::OptIn),
    ("HELP", Keyword::Help),
    ("INFO", Keyword::Help),
];

/// Keywords that also answer appointments and may be switched off for a sender.
pub const SWITCHABLE: [&str; 2] = ["CANCEL", "YES"];

/// Words in a longer reply that a person should look at: it may mean no, and is no keyword.
const LIKE_A_REFUSAL: &[&str] = &[
    "stop",
    "unsubscribe",
    "opt out",
    "opt-out",
    "remove me",
    "take me off",
    "leave me alone",
    "no more",
    "not interested",
    "wrong number",
    "do not text",
    "don't text",
    "dont text",
    "do not contact",
    "don't contact",
    "do not message",
    "don't message",
];

/// The keyword that `reply` consists of, whatever its case, spaces and punctuation; `off` are the words
/// that do not count, in capitals.
pub fn find(reply: &str, off: &[String]) -> Option<Keyword> {
    // No keyword is longer; a long reply is not read to its end.
    const LONGEST: usize = 16;
    let letters: String = reply
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_uppercase)
        .take(LONGEST + 1)
        .collect();
    if off.contains(&letters) {
        return None;
    }
    WORDS.iter().find(|(word, _)| *word == letters).map(|(_, keyword)| *keyword)
}

/// Whether a reply that is no keyword reads like a refusal all the same.
pub fn reads_like_refusal(reply: &str) -> bool {
    let reply = reply.to_lowercase().replace('\u{2019}', "'");
    LIKE_A_REFUSAL.iter().any(|words| {
        reply.match_indices(words).any(|(at, _)| {
            let bounded = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
            bounded(reply[..at].chars().next_back()) && bounded(reply[at + words.len()..].chars().next())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_match_whatever_case_and_punctuation() {
        for text in ["STOP", "stop", " Stop. ", "\"stop\"", "S.T.O.P", "opt out", "Opt-Out!", "stop all"] {
            assert_eq!(find(text, &[]), Some(Keyword::OptOut), "{text}");
        }
        assert_eq!(find("yes!", &[]), Some(Keyword::OptIn));
        assert_eq!(find("Help?", &[]), Some(Keyword::Help));
        for text in ["", "I will stop by at five", "stopwatch", "yes please, at ten"] {
            assert_eq!(find(text, &[]), None, "{text}");
        }
    }

    #[test]
    fn a_word_that_is_switched_off_is_an_ordinary_reply() {
        let off = ["CANCEL".to_owned()];
        assert_eq!(find("Cancel", &off), None);
        assert_eq!(find("Stop", &off), Some(Keyword::OptOut));
    }

    #[test]
    fn what_reads_like_a_refusal_is_noticed() {
        for text in ["please stop texting me", "Take me off!", "Don\u{2019}t text me", "WRONG NUMBER"] {
            assert!(reads_like_refusal(text), "{text}");
        }
        for text in ["", "see you at ten", "my stopwatch broke", "nonstop"] {
            assert!(!reads_like_refusal(text), "{text}");
        }
    }
}
