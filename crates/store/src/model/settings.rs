//! The settings of the whole account.

use std::{collections::BTreeMap, num::NonZeroU32};

use campaign::{
    Channel, Msisdn, Sender, Window, ZoneGroup,
    content::{Account, Rule},
    keyword,
    msisdn::Country,
    segment,
};
use jiff::{SignedDuration, civil::Date};
use serde::{Deserialize, Serialize};

use super::{AnswerTexts, Barred, Problem};
use crate::save;

/// The language for contacts whose language is unknown or has no texts of its own.
pub const DEFAULT_LANGUAGE: &str = "en";

/// The longest name of an organisation, in characters.
const LONGEST_ORGANISATION: usize = 100;
/// The longest purpose, in characters.
const LONGEST_PURPOSE: usize = 40;
/// The shortest and longest periods of a communication limit.
const SHORTEST_PERIOD: SignedDuration = SignedDuration::from_hours(1);
const LONGEST_PERIOD: SignedDuration = SignedDuration::from_hours(365 * 24);

/// The account's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The answers to keywords, by language (`en`, `es`): the contact's field `language` decides.
    pub answers: BTreeMap<String, AnswerTexts>,
    /// Keywords that do not count for a sender, because they have another meaning there: CANCEL, YES.
    pub keywords_off: BTreeMap<String, Vec<String>>,
    /// Holidays, in each recipient's own calendar: campaigns scheduled from now on do not send on them.
    pub blackout_dates: Vec<Date>,
    /// The most messages to a person in a period, over all campaigns; none: no limit.
    pub limit: Option<Limit>,
    /// Whether a person without a recorded consent gets no messages.
    pub require_consent: bool,
    /// The zone of recipients whose own zone is unknown, in campaigns that name none.
    pub time_zone: String,
    /// The country of numbers without a country code, as imports read them.
    pub country: Option<String>,
    /// The sending hours of new campaigns; none: any time.
    pub window: Option<Window>,
    /// The purposes that campaigns may have.
    pub purposes: Vec<String>,
    /// The currency that prices and budgets are in: a code such as USD.
    pub currency: String,
    /// What an opt-out by reply covers.
    pub opt_out_holds_for: OptOutScope,
    /// The name that people know the account by: calls for marketing say it.
    pub organisation: String,
    /// The number at which people reach it, as E.164 with a plus: calls for marketing say it.
    pub call_back_number: Option<String>,
    /// The rules for marketing that calls do not keep.
    pub marketing_rules_off: Vec<Rule>,
}

/// How far an opt-out by reply reaches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptOutScope {
    /// Both channels and every purpose.
    #[default]
    Everything,
    /// The channel that it came through.
    Channel,
    /// The channel that it came through, and the purpose of the campaign that it answered.
    Purpose,
}

impl OptOutScope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Everything, Self::Channel, Self::Purpose];

    /// What an opt-out that came through `channel`, from a campaign for `purpose`, bars from; an empty purpose stands
    /// for every purpose.
    pub const fn of(self, channel: Channel, purpose: &str) -> (Barred, &str) {
        match self {
            Self::Everything => (Barred::All, ""),
            Self::Channel => (Barred::of(channel), ""),
            Self::Purpose => (Barred::of(channel), purpose),
        }
    }
}

/// A communication limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The most messages and calls to one number in any period of `per`; a call counts once it rang.
    pub messages: NonZeroU32,
    /// The length of the period, at most a year.
    #[serde(with = "campaign::iso_duration")]
    pub per: SignedDuration,
    /// The channel that is counted, and held back by it; none: all of them together.
    #[serde(default)]
    pub counts: Option<Channel>,
}

impl Limit {
    /// Whether what goes through `channel` counts.
    pub fn holds(&self, channel: Channel) -> bool {
        self.counts.is_none_or(|counted| counted == channel)
    }
}

impl Default for Settings {
    fn default() -> Self {
        let english = AnswerTexts {
            opt_out: "You are unsubscribed and get no more messages from us. Reply START to get them again."
                .into(),
            opt_in: String::new(),
            help: "Reply STOP to get no more messages from us. Message and data rates may apply.".into(),
        };
        Self {
            answers: [(DEFAULT_LANGUAGE.to_owned(), english)].into(),
            keywords_off: BTreeMap::new(),
            blackout_dates: Vec::new(),
            limit: None,
            require_consent: false,
            time_zone: "UTC".into(),
            country: None,
            window: Some(Window::default()),
            purposes: ["marketing", "care", "security"].map(str::to_owned).into(),
            currency: "USD".into(),
            opt_out_holds_for: OptOutScope::default(),
            organisation: String::new(),
            call_back_number: None,
            marketing_rules_off: Vec::new(),
        }
    }
}

impl Settings {
    /// The answers in a contact's language: `pt-BR`, otherwise `pt`, otherwise English.
    pub fn answers_in(&self, language: Option<&str>) -> Option<&AnswerTexts> {
        let language = language.unwrap_or(DEFAULT_LANGUAGE).to_ascii_lowercase();
        let known = |name: &str| {
            self.answers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, texts)| texts)
        };
        known(&language)
            .or_else(|| known(language.split(['-', '_']).next().unwrap_or_default()))
            .or_else(|| known(DEFAULT_LANGUAGE))
    }

    /// Who calls, and which rules for marketing are kept.
    pub fn account(&self) -> Account {
        Account {
            organisation: self.organisation.clone(),
            // It was read when it was saved.
            call_back_number: self.call_back_number.as_deref().and_then(Msisdn::from_address),
            rules_off: self.marketing_rules_off.clone(),
        }
    }

    /// Keywords that do not count in replies to `sender`.
    pub fn off(&self, sender: &str) -> &[String] {
        self.keywords_off.get(sender).map_or(&[], Vec::as_slice)
    }

    /// Spells senders and words in the form that they are compared in, and reports what is wrong.
    pub fn check(mut self) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        if !self.answers.contains_key(DEFAULT_LANGUAGE) {
            problems
                .push(Problem::new("answers", "give the texts in English (`en`): they answer all others"));
        }
        for (language, texts) in &self.answers {
            for (name, text) in
                [("opt_out", &texts.opt_out), ("opt_in", &texts.opt_in), ("help", &texts.help)]
            {
                if let Err(e) = segment::measure(text) {
                    problems.push(Problem::new(format!("answers.{language}.{name}"), e));
                }
            }
        }
        let mut off = BTreeMap::new();
        for (sender, words) in std::mem::take(&mut self.keywords_off) {
            let field = format!("keywords_off.{sender}");
            let words: Vec<String> = words.iter().map(|w| w.trim().to_uppercase()).collect();
            if let Some(word) = words.iter().find(|w| !keyword::SWITCHABLE.contains(&w.as_str())) {
                problems.push(Problem::new(
                    &field,
                    format!("'{word}' always counts; CANCEL and YES can be switched off"),
                ));
            }
            match Sender::try_from(sender) {
                Ok(sender) => {
                    off.insert(sender.address().to_owned(), words);
                }
                Err(e) => problems.push(Problem::new(field, e)),
            }
        }
        self.keywords_off = off;
        self.blackout_dates.sort_unstable();
        self.blackout_dates.dedup();
        if self.limit.is_some_and(|limit| !(SHORTEST_PERIOD..=LONGEST_PERIOD).contains(&limit.per)) {
            problems.push(Problem::new("limit.per", "must be from an hour (PT1H) to a year (P365D)"));
        }
        if let Err(e) = ZoneGroup::parse(&self.time_zone) {
            problems.push(Problem::new("time_zone", e));
        }
        if let Some(Err(e)) = self.country.as_deref().map(str::parse::<Country>) {
            problems.push(Problem::new("country", e));
        }
        for purpose in &mut self.purposes {
            *purpose = purpose.trim().to_lowercase();
        }
        if self.purposes.iter().any(|p| p.is_empty() || p.chars().count() > LONGEST_PURPOSE) {
            problems.push(Problem::new(
                "purposes",
                format!("a purpose is a word or two, of at most {LONGEST_PURPOSE} characters"),
            ));
        }
        self.organisation = save::tidy(&self.organisation);
        if self.organisation.chars().count() > LONGEST_ORGANISATION {
            let message = format!("a name has at most {LONGEST_ORGANISATION} characters");
            problems.push(Problem::new("organisation", message));
        }
        if let Some(number) = &mut self.call_back_number {
            let country = self.country.as_deref().and_then(|country| country.parse().ok());
            match Msisdn::parse(number, country) {
                Ok(read) => *number = read.to_string(),
                Err(e) => problems.push(Problem::new("call_back_number", e)),
            }
        }
        self.marketing_rules_off.sort_unstable();
        self.marketing_rules_off.dedup();
        self.currency = self.currency.trim().to_uppercase();
        if self.currency.len() != 3 || !self.currency.bytes().all(|b| b.is_ascii_uppercase()) {
            problems
                .push(Problem::new("currency", "use a code of three letters, such as USD or EUR (ISO 4217)"));
        }
        if let Err(e) = Window::any_time().except(self.blackout_dates.iter().copied()) {
            problems.push(Problem::new("blackout_dates", e));
        }
        if problems.is_empty() { Ok(self) } else { Err(problems) }
    }
}
