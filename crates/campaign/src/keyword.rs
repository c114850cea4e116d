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

/// The keyword that `reply` consists of, whatever its case, spaces and punctuation.
pub fn find(reply: &str) -> Option<Keyword> {
    // No keyword is longer; a long reply is not read to its end.
    const LONGEST: usize = 16;
    let letters: String = reply
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_uppercase)
        .take(LONGEST + 1)
        .collect();
    WORDS.iter().find(|(word, _)| *word == letters).map(|(_, keyword)| *keyword)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_match_whatever_case_and_punctuation() {
        for text in ["STOP", "stop", " Stop. ", "\"stop\"", "S.T.O.P", "opt out", "Opt-Out!", "stop all"] {
            assert_eq!(find(text), Some(Keyword::OptOut), "{text}");
        }
        assert_eq!(find("yes!"), Some(Keyword::OptIn));
        assert_eq!(find("Help?"), Some(Keyword::Help));
        for text in ["", "I will stop by at five", "stopwatch", "yes please, at ten"] {
            assert_eq!(find(text), None, "{text}");
        }
    }
}
