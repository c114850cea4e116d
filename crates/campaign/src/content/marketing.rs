//! What the United States ask of recorded calls for marketing (47 CFR 64.1200), each rule a setting of the account.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::Voice;
use crate::{
    Msisdn, Problem,
    script::{Key, Prompt, Script, Step, StepId},
};

/// The purpose that the rules are for.
pub(super) const MARKETING: &str = "marketing";
/// How long a phone rings at least before an unanswered call is given up.
const RINGS: SignedDuration = SignedDuration::from_secs(15);
/// The characters that a voice says in two seconds: how soon after the name the key is explained.
const SOON: usize = 28;

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// It rings for at least 15 seconds: (a)(6).
    RingTime,
    /// The first step says who calls: (b)(1).
    Organisation,
    /// A number to call back is said: (b)(2).
    CallBackNumber,
    /// A key opts out wherever it is pressed, and is explained within two seconds of the name: (b)(3).
    OptOutKey,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::RingTime, Self::Organisation, Self::CallBackNumber, Self::OptOutKey];

    /// The word in the API.
    pub const fn word(self) -> &'static str {
        match self {
            Self::RingTime => "ring_time",
            Self::Organisation => "organisation",
            Self::CallBackNumber => "call_back_number",
            Self::OptOutKey => "opt_out_key",
        }
    }
}

/// Who calls, as the account says, and which rules it keeps.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// The name that people know it by; empty: not said.
    pub organisation: String,
    /// The number at which people can reach it.
    pub call_back_number: Option<Msisdn>,
    /// The rules that it does not keep.
    pub rules_off: Vec<Rule>,
}

/// The texts and uploads of a part of a script.
struct Heard {
    texts: Vec<String>,
    has_uploads: bool,
}

impl Heard {
    fn of(prompts: impl Iterator<Item = Prompt>) -> Self {
        let mut heard = Self { texts: Vec::new(), has_uploads: false };
        for prompt in prompts {
            match prompt {
                // Spaces and capitals are not heard.
                Prompt::Say { text, .. } => {
                    heard.texts.push(text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase());
                }
                Prompt::Play(_) => heard.has_uploads = true,
            }
        }
        heard
    }
}

/// The steps that everybody hears first: up to the first that asks for keys, or has several ways on.
fn opening(script: &Script) -> Vec<&Step> {
    let mut steps: Vec<(&StepId, &Step)> = Vec::new();
    let mut next = Some(&script.first);
    while let Some(id) = next.filter(|id| steps.iter().all(|(seen, _)| seen != id)) {
        let Some(step) = script.steps.get(id) else { break };
        steps.push((id, step));
        next = match step.branches()[..] {
            [ref only] if !only.by_input => only.to,
            _ => None,
        };
    }
    steps.into_iter().map(|(_, step)| step).collect()
}

fn prompts<'a>(steps: impl IntoIterator<Item = &'a Step>) -> impl Iterator<Item = Prompt> {
    steps.into_iter().flat_map(Step::prompts).map(|(_, prompt)| prompt)
}

/// Whether `text` explains the key in a sentence that begins at most two seconds after the name, in small letters, has
/// been said.
fn explains_soon(text: &str, name: &str, key: Key) -> bool {
    let named = text.find(name).map_or(0, |at| at + name.len());
    let is_word = |at: usize, len: usize| {
        let edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        edge(text[..at].chars().next_back()) && edge(text[at + len..].chars().next())
    };
    said(key).iter().any(|word| {
        text.match_indices(word).filter(|(at, found)| is_word(*at, found.len())).any(|(at, _)| {
            let sentence = text[..at].rfind(['.', '!', '?']).map_or(0, |end| end + 1);
            text.get(named..sentence).is_none_or(|between| between.chars().count() <= SOON)
        })
    })
}

/// How a key is called.
fn said(key: Key) -> Vec<String> {
    let written = key.char().to_string();
    let words: &[&str] = match key.char() {
        '0' => &["zero"],
        '1' => &["one"],
        '2' => &["two"],
        '3' => &["three"],
        '4' => &["four"],
        '5' => &["five"],
        '6' => &["six"],
        '7' => &["seven"],
        '8' => &["eight"],
        '9' => &["nine"],
        '*' => &["star"],
        _ => &["pound", "hash"],
    };
    words.iter().map(|word| (*word).to_owned()).chain([written]).collect()
}

/// What is against the rules in a campaign of calls for marketing.
pub(super) fn problems(voice: &Voice, account: &Account) -> Vec<Problem> {
    let Account { organisation, call_back_number, rules_off } = account;
    let keeps = |rule| !rules_off.contains(&rule);
    let ticked = |heard: &Heard, rule| heard.has_uploads && voice.audio_says.contains(&rule);
    let mut problems = Vec::new();
    let mut refuse = |field: &str, message: String| problems.push(Problem::new(field, message));
    if keeps(Rule::RingTime) && voice.ring_time < RINGS {
        refuse(
            "ring_time",
            "a call for marketing rings for at least 15 seconds (47 CFR 64.1200(a)(6))".into(),
        );
    }
    let Some(script) = &voice.script else { return problems };
    let first = Heard::of(prompts(script.steps.get(&script.first)));
    let name = organisation.to_lowercase();
    let named = |text: &String| !name.is_empty() && text.contains(&name);
    if keeps(Rule::Organisation) && !ticked(&first, Rule::Organisation) && !first.texts.iter().any(named) {
        let rule = "a call for marketing says at its beginning who calls (47 CFR 64.1200(b)(1))";
        let how = if organisation.is_empty() {
            "set the organisation's name in the account's settings, and say it in the first step".to_owned()
        } else {
            format!("say '{organisation}' in the first step, or tick that its upload does")
        };
        refuse(&format!("script.steps.{}", script.first), format!("{rule}: {how}"));
    }
    let all = Heard::of(script.prompts());
    let national = call_back_number.and_then(|number| number.national(None));
    let spoken = |text: &String| {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        national.as_ref().is_some_and(|number| digits.contains(number))
    };
    if keeps(Rule::CallBackNumber) && !ticked(&all, Rule::CallBackNumber) && !all.texts.iter().any(spoken) {
        let rule = "a call for marketing says a number to call back (47 CFR 64.1200(b)(2))";
        let how = call_back_number.map_or_else(
            || "set the number in the account's settings, and say it".to_owned(),
            |number| format!("say {number}, or tick that an upload does"),
        );
        refuse("script", format!("{rule}: {how}"));
    }
    if keeps(Rule::OptOutKey) {
        let rule = "(47 CFR 64.1200(b)(3))";
        let opening = Heard::of(prompts(opening(script)));
        match voice.opt_out_key {
            None => refuse(
                "opt_out_key",
                format!("a call for marketing has a key that opts out wherever it is pressed {rule}"),
            ),
            Some(key) if !ticked(&opening, Rule::OptOutKey) => {
                let explained = explains_soon(&opening.texts.join(" "), &name, key);
                if !explained {
                    let message = format!(
                        "a call for marketing explains within two seconds of the name that key {key} opts out {rule}: \
                         say so in the sentence after the name, or tick that the upload does"
                    );
                    refuse(&format!("script.steps.{}", script.first), message);
                }
            }
            Some(_) => {}
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn account() -> Account {
        Account {
            organisation: "Northside Clinic".into(),
            call_back_number: Msisdn::parse("+1 202 555 0188", None).ok(),
            rules_off: Vec::new(),
        }
    }

    fn fields(hello: &str, more: &Value) -> Vec<String> {
        of(&json!({"say": hello, "next": "bye"}), more, &account())
    }

    fn of(hello: &Value, more: &Value, account: &Account) -> Vec<String> {
        let mut voice = json!({"ring_time": "PT30S", "opt_out_key": "9",
            "script": {"first": "hello", "steps": {"hello": hello,
                "bye": {"say": "Call us back at 2 0 2, 5 5 5, 0188.", "next": "end"}, "end": {"hang_up": true}}}});
        voice.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let voice: Voice = serde_json::from_value(voice).unwrap();
        problems(&voice, account).into_iter().map(|problem| problem.field).collect()
    }

    const HELLO: &str = "Hello, this is  northside clinic. Press 9 to hear no more from us.";

    #[test]
    fn who_calls_the_number_and_the_key_are_searched_for_in_what_is_said() {
        let none = json!({});
        assert_eq!(fields(HELLO, &none), [""; 0]);
        assert_eq!(fields("Northside Clinic here, nine stops these calls.", &none), [""; 0]);
        // Too late, no key, only a part of another number.
        for hello in [
            "This is Northside Clinic. We have an offer for you this week. Press 9 to hear no more.",
            "This is Northside Clinic. We open in 1990.",
            "This is Northside Clinic. Press 19 to hear no more.",
        ] {
            assert_eq!(fields(hello, &none), ["script.steps.hello"], "{hello}");
        }
        assert_eq!(fields("Hello. Press 9 to hear no more.", &none), ["script.steps.hello"]);
        assert_eq!(fields(HELLO, &json!({"ring_time": "PT14S"})), ["ring_time"]);
        assert_eq!(fields(HELLO, &json!({"opt_out_key": null})), ["opt_out_key"]);
        let other = Account { call_back_number: Msisdn::parse("+12025550177", None).ok(), ..account() };
        assert_eq!(of(&json!({"say": HELLO, "next": "bye"}), &none, &other), ["script"]);
    }

    #[test]
    fn a_rule_may_be_off_and_what_an_upload_says_is_ticked() {
        let nobody = Account::default();
        let hello = json!({"say": "Hello.", "next": "bye"});
        let silent = json!({"ring_time": "PT5S", "opt_out_key": null});
        assert_eq!(
            of(&hello, &silent, &nobody),
            ["ring_time", "script.steps.hello", "script", "opt_out_key"]
        );
        let off = Account { rules_off: Rule::ALL.to_vec(), ..Account::default() };
        assert_eq!(of(&hello, &silent, &off), [""; 0]);
        let upload = json!({"play": "aud_1", "next": "bye"});
        assert_eq!(of(&upload, &json!({}), &account()), ["script.steps.hello", "script.steps.hello"]);
        assert_eq!(of(&upload, &json!({"audio_says": ["organisation", "opt_out_key"]}), &account()), [""; 0]);
        // A tick is for uploads: what is said is searched.
        assert_eq!(of(&hello, &json!({"audio_says": ["organisation", "opt_out_key"]}), &account()).len(), 2);
    }
}
