//! Keywords in replies: opting out, opting in, asking for help (product document §3; CTIA and 47 CFR
//! 64.1200(a)(10) for the words).
//!
//! A STOP counts however it is typed: with accents, in full width, with a doubled letter, with a zero for its O. A
//! reply that merely may mean no is for a person to look at; it opts nobody out.

use icu_normalizer::DecomposingNormalizerBorrowed;

/// What a reply asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
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
    pub fn word(self) -> &'static str {
        self.into()
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
    // As a French rule (ARCEP) has it, and as phones in Cyrillic write it.
    ("ARRET", Keyword::OptOut),
    ("СТОП", Keyword::OptOut),
    ("START", Keyword::OptIn),
    ("YES", Keyword::OptIn),
    ("UNSTOP", Keyword::OptIn),
    ("HELP", Keyword::Help),
    ("INFO", Keyword::Help),
];

/// Keywords that also answer appointments and may be switched off for a sender.
pub const SWITCHABLE: [&str; 2] = ["CANCEL", "YES"];

/// What follows STOP without a space between, in the languages of advertisements.
const BEHIND_STOP: &[&str] = &[
    "2END", "2QUIT", "2STOP", "2UNSUB", "TOEND", "TOQUIT", "NOW", "SMS", "MSG", "TXT", "TEXT", "TEXTS",
    "PUB", "IT",
];

/// Words that a person should look at: a reply with one may mean no, but is not a keyword.
const LIKE_A_REFUSAL: &[&str] = &[
    "stop",
    "stopit",
    "unsubscribe",
    "unsub",
    "opt out",
    "opt-out",
    "remove",
    "delete me",
    "take me off",
    "leave me alone",
    "no more",
    "no thanks",
    "not interested",
    "wrong number",
    "wrong person",
    "do not text",
    "don't text",
    "dont text",
    "do not contact",
    "don't contact",
    "dont contact",
    "do not message",
    "don't message",
    "dont message",
    "do not send",
    "don't send",
    "dont send",
    "spam",
    "abmelden",
    "abbestellen",
    "afmelden",
    "aufhoren",
    "baja",
    "basta",
    "cancelar",
    "cancela",
    "desabonner",
    "desinscrire",
    "detener",
    "arreter",
    "arretez",
    "parar",
    "pare",
    "salir",
    "stopp",
    "stoppen",
    "stoppez",
];

/// `reply` with its letters as they are compared: in capitals, without accents or full width.
fn plain(reply: &str) -> String {
    let decomposed = DecomposingNormalizerBorrowed::new_nfkd().normalize(reply);
    // Accents stand behind their letters now (Unicode, Combining Diacritical Marks).
    decomposed.chars().filter(|c| !('\u{300}'..='\u{36F}').contains(c)).flat_map(char::to_uppercase).collect()
}

/// `word` with repeated letters in a row reduced to one.
fn without_repeats(word: &str) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    letters.dedup();
    letters.into_iter().collect()
}

/// The keyword that `reply` consists of, whatever its case, accents, spaces and punctuation; `off` are the words that
/// do not count, in capitals.
pub fn find(reply: &str, off: &[String]) -> Option<Keyword> {
    // No keyword is longer, even with what people type around it; a long reply is not read to its end.
    const LONGEST: usize = 24;
    let begins: String = reply.chars().take(8 * LONGEST).collect();
    let letters: String = plain(&begins).chars().filter(|c| c.is_alphanumeric()).take(LONGEST + 1).collect();
    if off.contains(&letters) {
        return None;
    }
    if let Some((_, keyword)) = WORDS.iter().find(|(word, _)| *word == letters) {
        return Some(*keyword);
    }
    // Beyond the exact words only an opt-out is read: no guess opts anybody back in.
    let typed = letters.replace('0', "O");
    let once = without_repeats(&typed);
    let opts_out = |word: &str| {
        let counts = !off.iter().any(|off| off == word);
        counts && WORDS.iter().any(|(known, keyword)| *known == word && *keyword == Keyword::OptOut)
    };
    let repeated = WORDS.iter().any(|(word, _)| opts_out(word) && without_repeats(word) == once);
    let behind = typed.strip_prefix("STOP").is_some_and(|rest| BEHIND_STOP.contains(&rest));
    (repeated || behind).then_some(Keyword::OptOut)
}

/// Whether a reply that is not a keyword still reads like a refusal.
pub fn reads_like_refusal(reply: &str) -> bool {
    let reply = plain(reply).to_lowercase().replace('\u{2019}', "'");
    let with_o = reply.replace('0', "o");
    LIKE_A_REFUSAL.iter().any(|words| {
        with_o.match_indices(words).any(|(at, _)| {
            let bounded = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
            // "stop2end", "stop4": a digit after it does not make it another word.
            let ends = |c: Option<char>| bounded(c) || (*words == "stop" && c.is_some_and(char::is_numeric));
            bounded(with_o[..at].chars().next_back()) && ends(with_o[at + words.len()..].chars().next())
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
    fn a_stop_counts_however_it_is_typed() {
        for text in [
            "STOPP",
            "stoooop",
            "ST0P",
            "st0p!",
            "STOP2END",
            "Stop 2 quit",
            "stop sms",
            "ARRET",
            "Arr\u{EA}t",
            "ARRE\u{302}T",
            "St\u{F3}p",
            "\u{FF33}\u{FF34}\u{FF2F}\u{FF30}",
            "\u{442}stop",
            "QUITT",
            "Unsubscribee",
            "СТОП",
            "стоп.",
        ] {
            let expected = (text != "\u{442}stop").then_some(Keyword::OptOut);
            assert_eq!(find(text, &[]), expected, "{text}");
        }
        // A guess never opts anybody in, nor counts as a request for help.
        for text in [
            "YESS",
            "Y\u{E9}ss",
            "STARTT",
            "HELPP",
            "S",
            "step",
            "shop",
            "spot",
            "top",
            "stoppage",
            "stop by at 5",
        ] {
            assert_eq!(find(text, &[]), None, "{text}");
        }
        assert_eq!(find("CANCELL", &["CANCEL".to_owned()]), None);
    }

    #[test]
    fn a_word_that_is_switched_off_is_an_ordinary_reply() {
        let off = ["CANCEL".to_owned()];
        assert_eq!(find("Cancel", &off), None);
        assert_eq!(find("Stop", &off), Some(Keyword::OptOut));
    }

    #[test]
    fn what_reads_like_a_refusal_is_noticed() {
        for text in [
            "please stop texting me",
            "Take me off!",
            "Don\u{2019}t text me",
            "WRONG NUMBER",
            "REMOVE",
            "remove me",
            "St0p it now",
            "stop4",
            "D\u{E9}sabonner",
            "no thanks",
            "Basta!",
            "UNSUB",
        ] {
            assert!(reads_like_refusal(text), "{text}");
        }
        for text in ["", "see you at ten", "my stopwatch broke", "nonstop"] {
            assert!(!reads_like_refusal(text), "{text}");
        }
    }
}
