//! Calls to each person by one script.

use std::num::NonZeroU32;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::marketing::{self, Account, Rule};
use crate::{
    Problem, Send, SendAs, Sender, iso_duration,
    retry::Retry,
    script::{Key, Script, StepId},
    text::Text,
    wave::PlanError,
};

/// How long a phone may ring.
const RING_TIMES: std::ops::RangeInclusive<SignedDuration> =
    SignedDuration::from_secs(5)..=SignedDuration::from_secs(180);
const NOT_YET: &str = "not available yet";

/// Calls to each person, by one script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voice {
    /// The number that phones show, or a pool of them: each one of the route's own.
    #[serde(default)]
    pub caller_id: Option<SendAs>,
    /// When the first calls are made.
    #[serde(default)]
    pub start: Option<Send>,
    /// When no call begins any more; none: all are made.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// How long a phone rings, 5 to 180 s.
    #[serde(default = "half_a_minute", with = "iso_duration")]
    pub ring_time: SignedDuration,
    /// The most calls at once; none: as many as the route takes.
    #[serde(default)]
    pub max_calls: Option<NonZeroU32>,
    /// The most calls to begin in a second; none: as many as the route takes.
    #[serde(default)]
    pub calls_per_second: Option<NonZeroU32>,
    /// Whether calls are recorded.
    #[serde(default)]
    pub record: bool,
    /// How answering machines are told from people; none: nobody is told apart.
    #[serde(default)]
    pub amd: Option<Amd>,
    /// Whom to call again.
    #[serde(default)]
    pub retry: Retry,
    /// The key that opts a person out wherever it is pressed.
    #[serde(default)]
    pub opt_out_key: Option<Key>,
    /// What a person has ticked that the uploads say, of what the rules for marketing ask.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audio_says: Vec<Rule>,
    /// The step that a call is made for.
    #[serde(default)]
    pub goal: Option<StepId>,
    /// What is said and asked.
    #[serde(default)]
    pub script: Option<Script>,
}

/// Detection of answering machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amd {
    /// What to do when a machine answers.
    pub on_machine: OnMachine,
    /// The step that is a message to be left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<StepId>,
}

/// What to do when a machine answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMachine {
    /// Go on as if a person had answered.
    Ignore,
    /// Hang up.
    HangUp,
    /// Leave a message after the beep.
    LeaveMessage,
}

const fn half_a_minute() -> SignedDuration {
    SignedDuration::from_secs(30)
}

impl Voice {
    /// What is wrong with it by itself, so that it cannot be saved.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.script.as_ref().map(Script::misshapen).unwrap_or_default();
        problems.extend(self.retry.problems());
        if !RING_TIMES.contains(&self.ring_time) {
            problems.push(Problem::new("ring_time", "must be from 5 to 180 seconds (PT5S to PT3M)"));
        }
        if let Some(SendAs::One(sender)) = &self.caller_id
            && !matches!(sender, Sender::Number(_))
        {
            let message = format!(
                "{} cannot be shown as the caller: use a number such as +12025550100",
                String::from(sender.clone())
            );
            problems.push(Problem::new("caller_id", message));
        }
        if self.start.as_ref().is_some_and(Send::is_after) {
            problems.push(Problem::new("start", PlanError::FirstFollows));
        }
        if let (Some(goal), Some(script)) = (&self.goal, &self.script)
            && !script.steps.contains_key(goal)
        {
            problems.push(Problem::new("goal", format!("there is no step '{goal}'")));
        }
        let not_yet = [
            ("amd", self.amd.is_some()),
            ("record", self.record),
            ("retry.machine", self.retry.machine.is_some()),
        ];
        problems.extend(
            not_yet.iter().filter(|(_, asked)| *asked).map(|(field, _)| Problem::new(*field, NOT_YET)),
        );
        problems
    }

    /// What is missing or against a rule, so that nobody can be called; `fields` are the fields that contacts have.
    pub fn missing(&self, fields: &[String], purpose: &str, account: &Account) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.caller_id.is_none() {
            problems.push(Problem::new("caller_id", "choose the number that phones show"));
        }
        if self.start.is_none() {
            problems.push(Problem::new("start", "say when the first calls are made"));
        }
        match &self.script {
            Some(script) => problems.extend(script.unfinished(fields, self.opt_out_key)),
            None => problems.push(Problem::new("script", "write what is said")),
        }
        if purpose == marketing::MARKETING {
            problems.extend(marketing::problems(self, account));
        }
        problems
    }
}

impl Voice {
    /// Steps that no call comes to: they do no harm, and are not meant.
    pub(super) fn warnings(&self) -> Vec<Problem> {
        let unreached = self.script.as_ref().map(Script::unreached).unwrap_or_default();
        let told = |id: &StepId| Problem::new(format!("script.steps.{id}"), "no call comes to this step");
        unreached.into_iter().map(told).collect()
    }

    /// The texts that are said, where nothing is missing.
    pub(super) fn complete(
        &self,
        fields: &[String],
        purpose: &str,
        account: &Account,
    ) -> Result<Vec<Text>, Vec<Problem>> {
        Problem::none(self.missing(fields, purpose, account))?;
        let prompts = self.script.iter().flat_map(Script::prompts);
        // Each of them was read for the check.
        Ok(prompts.filter_map(|prompt| prompt.text().and_then(|text| Text::parse(text).ok())).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn reminder() -> Value {
        json!({"caller_id": "+12025550100", "start": {"now": true}, "until": null, "ring_time": "PT30S", "max_calls": 50,
            "calls_per_second": 10, "record": false, "amd": null,
            "retry": {"most": 3, "busy": {"after": "PT5M", "times": 2}, "no_answer": {"after": "PT1H", "times": 1}},
            "opt_out_key": "9", "goal": "thanks",
            "script": {"first": "hello", "steps": {
                "hello": {"say": "Hello {{ first_name }}.", "next": "thanks"},
                "thanks": {"play": "aud_7", "next": "bye"}, "bye": {"hang_up": true}}}})
    }

    fn voice(json: Value) -> Voice {
        serde_json::from_value(json).unwrap()
    }

    fn fields(problems: Vec<Problem>) -> Vec<String> {
        problems.into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn it_is_read_as_the_api_describes_it_and_may_be_saved_incomplete() {
        let whole = voice(reminder());
        let known = ["first_name".to_owned()];
        let nobody = Account::default();
        assert_eq!((whole.problems(), whole.missing(&known, "care", &nobody)), (vec![], vec![]));
        assert!(!whole.missing(&known, "marketing", &nobody).is_empty());
        let short =
            Voice { ring_time: SignedDuration::from_secs(14), opt_out_key: None, ..voice(reminder()) };
        assert_eq!(short.missing(&known, "care", &nobody), vec![]);
        assert_eq!(serde_json::to_value(&whole).unwrap(), reminder());
        let empty = voice(json!({}));
        assert_eq!((empty.ring_time.as_secs(), &empty.retry), (30, &Retry::default()));
        assert_eq!(empty.problems(), vec![]);
        assert_eq!(fields(empty.missing(&known, "care", &nobody)), ["caller_id", "start", "script"]);
        assert!(serde_json::from_value::<Voice>(json!({"sender": "+12025550100"})).is_err());
    }

    #[test]
    fn what_is_wrong_in_itself_or_not_there_yet_is_refused_by_its_field() {
        for (field, wrong) in [
            ("ring_time", json!("PT4S")),
            ("ring_time", json!("PT181S")),
            ("caller_id", json!("CLINIC")),
            ("caller_id", json!("12345")),
            ("start", json!({"after": "P1D"})),
            ("goal", json!("nowhere")),
            ("retry.most", json!({"most": 0})),
            ("retry.machine", json!({"most": 2, "machine": {"after": "PT5M", "times": 1}})),
            ("amd", json!({"on_machine": "hang_up"})),
            ("record", json!(true)),
            ("script.first", json!({"first": "nowhere", "steps": {}})),
        ] {
            let mut json = reminder();
            json[field.split('.').next().unwrap()] = wrong.clone();
            if field == "script.first" {
                json["goal"] = Value::Null;
            }
            assert_eq!(fields(voice(json).problems()), [field], "{wrong}");
        }
    }
}
