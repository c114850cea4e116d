//! Whom to call again, and when: each outcome has a rule of its own, and one limit holds over all of them.
//!
//! Keeps: a person is called no more often than `most` says, the first call included, whatever the rules add up to.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use strum::VariantArray as _;

use crate::{Outcome, Problem, iso_duration};

/// The most calls that a campaign may allow to one person.
const MOST_CALLS: u32 = 20;
/// The shortest wait before a person is called again.
const SHORTEST_WAIT: SignedDuration = SignedDuration::from_secs(1);
/// The longest wait before a person is called again.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What one call came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Called {
    /// A person answered.
    Human,
    /// A machine answered.
    Machine,
    /// Somebody or something answered.
    Unknown,
    /// The line was busy.
    Busy,
    /// Nobody answered.
    NoAnswer,
    /// The call was refused.
    Rejected,
    /// The number cannot be reached.
    Unreachable,
    /// The trunk or the network had no room.
    Congestion,
    /// The call failed in another way.
    Failed,
}

impl Called {
    /// The word stored in the database.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Reads [`Called::word`] back.
    pub fn from_word(word: &str) -> Option<Self> {
        word.parse().ok()
    }

    /// The outcome of a delivery that came to this.
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Human => Outcome::AnsweredHuman,
            Self::Machine => Outcome::AnsweredMachine,
            Self::Unknown => Outcome::AnsweredUnknown,
            Self::Busy => Outcome::Busy,
            Self::NoAnswer => Outcome::NoAnswer,
            Self::Rejected => Outcome::Rejected,
            Self::Unreachable => Outcome::Unreachable,
            Self::Congestion | Self::Failed => Outcome::Failed,
        }
    }

    /// How much an answer is worth when one call is to stand for all; none for what was not answered.
    const fn worth(self) -> Option<u8> {
        match self {
            Self::Human => Some(3),
            Self::Unknown => Some(2),
            Self::Machine => Some(1),
            Self::Busy
            | Self::NoAnswer
            | Self::Rejected
            | Self::Unreachable
            | Self::Congestion
            | Self::Failed => None,
        }
    }
}

/// One call to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// What it came to.
    pub called: Called,
    /// Whether it reached the step that is the campaign's goal; true where no step is.
    pub goal: bool,
}

/// When to call again after one outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// How long after the end of the call: 1 second to 30 days of elapsed time.
    #[serde(with = "iso_duration")]
    pub after: SignedDuration,
    /// How often.
    pub times: u32,
}

/// The rules of a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// The most calls to one person, the first included: 1 to 20.
    pub most: u32,
    /// After a busy line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<Rule>,
    /// After nobody answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_answer: Option<Rule>,
    /// After a machine answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Rule>,
    /// After the trunk or the network had no room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub congestion: Option<Rule>,
    /// After the number could not be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreachable: Option<Rule>,
    /// After an answered call that did not reach the goal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_goal: Option<Rule>,
}

impl Default for Retry {
    /// One call to each person.
    fn default() -> Self {
        Self {
            most: 1,
            busy: None,
            no_answer: None,
            machine: None,
            congestion: None,
            unreachable: None,
            no_goal: None,
        }
    }
}

/// What a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
enum After {
    Busy,
    NoAnswer,
    Machine,
    Congestion,
    Unreachable,
    NoGoal,
}

impl After {
    /// The rule that a call falls under; none where nobody is called again after it.
    const fn of(call: Call) -> Option<Self> {
        match call.called {
            Called::Machine => Some(Self::Machine),
            Called::Human | Called::Unknown if !call.goal => Some(Self::NoGoal),
            Called::Busy => Some(Self::Busy),
            Called::NoAnswer => Some(Self::NoAnswer),
            Called::Congestion => Some(Self::Congestion),
            Called::Unreachable => Some(Self::Unreachable),
            Called::Human | Called::Unknown | Called::Rejected | Called::Failed => None,
        }
    }
}

impl Retry {
    const fn rule(&self, after: After) -> Option<Rule> {
        match after {
            After::Busy => self.busy,
            After::NoAnswer => self.no_answer,
            After::Machine => self.machine,
            After::Congestion => self.congestion,
            After::Unreachable => self.unreachable,
            After::NoGoal => self.no_goal,
        }
    }

    /// How long after the last of `calls`, which are all to one person in order, the person is called again; none where
    /// that was the last.
    pub fn again(&self, calls: &[Call]) -> Option<SignedDuration> {
        let (last, before) = calls.split_last()?;
        let after = After::of(*last)?;
        let rule = self.rule(after)?;
        let taken = before.iter().filter(|call| After::of(**call) == Some(after)).count();
        (calls.len() < self.most as usize && taken < rule.times as usize).then_some(rule.after)
    }

    /// What is wrong with the rules, each with its field.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !(1..=MOST_CALLS).contains(&self.most) {
            problems.push(Problem::new(
                "retry.most",
                format!("must be from 1 to {MOST_CALLS}, the first call included"),
            ));
        }
        for after in After::VARIANTS {
            let (word, Some(rule)) = (<&str>::from(after), self.rule(*after)) else { continue };
            if !(SHORTEST_WAIT..=LONGEST_WAIT).contains(&rule.after) {
                let message = "must be from one second (PT1S) to 30 days (P30D)";
                problems.push(Problem::new(format!("retry.{word}.after"), message));
            }
            if !(1..=MOST_CALLS).contains(&rule.times) {
                problems.push(Problem::new(
                    format!("retry.{word}.times"),
                    format!("must be from 1 to {MOST_CALLS}"),
                ));
            }
        }
        problems
    }
}

/// The call that stands for all calls to one person: the best answer, otherwise the last call. None where there are none.
pub fn best(calls: &[Call]) -> Option<Called> {
    let answered = calls.iter().filter_map(|call| Some((call.called.worth()?, call.called)));
    answered
        .max_by_key(|(worth, _)| *worth)
        .map(|(_, called)| called)
        .or(calls.last().map(|call| call.called))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const ALL: [Called; 9] = [
        Called::Human,
        Called::Machine,
        Called::Unknown,
        Called::Busy,
        Called::NoAnswer,
        Called::Rejected,
        Called::Unreachable,
        Called::Congestion,
        Called::Failed,
    ];

    fn retry(json: serde_json::Value) -> Retry {
        serde_json::from_value(json).unwrap()
    }

    fn calls(all: &[Called]) -> Vec<Call> {
        all.iter().map(|called| Call { called: *called, goal: true }).collect()
    }

    #[test]
    fn each_outcome_has_its_own_wait_and_count_under_one_limit() {
        use Called::{Busy, Failed, Human, Machine, NoAnswer, Rejected};
        let rules = retry(
            json!({"most": 4, "busy": {"after": "PT5M", "times": 2}, "no_answer": {"after": "PT1H", "times": 1}}),
        );
        let minutes = |m: i64| Some(SignedDuration::from_mins(m));
        for (so_far, again) in [
            (&[][..], None),
            (&[Busy], minutes(5)),
            (&[Busy, Busy], minutes(5)),
            (&[Busy, Busy, Busy], None),
            (&[NoAnswer], minutes(60)),
            (&[NoAnswer, NoAnswer], None),
            (&[Busy, NoAnswer], minutes(60)),
            (&[Busy, NoAnswer, Busy], minutes(5)),
            // The rules would allow a fifth.
            (&[Busy, NoAnswer, Busy, NoAnswer], None),
            (&[Human], None),
            (&[Machine], None),
            (&[Rejected], None),
            (&[Failed], None),
        ] {
            assert_eq!(rules.again(&calls(so_far)), again, "{so_far:?}");
        }
        let goal = retry(json!({"most": 2, "no_goal": {"after": "P1D", "times": 1}}));
        let missed = Call { called: Human, goal: false };
        assert_eq!(goal.again(&[missed]), minutes(24 * 60));
        assert_eq!((goal.again(&calls(&[Human])), goal.again(&[missed, missed])), (None, None));
        assert_eq!(Retry::default().again(&calls(&[Busy])), None);
    }

    #[test]
    fn the_best_answer_stands_for_all_calls_and_else_the_last_call() {
        use Called::{Busy, Human, Machine, NoAnswer, Unknown};
        for (all, stands) in [
            (&[][..], None),
            (&[Busy, NoAnswer], Some(NoAnswer)),
            (&[Machine, Busy], Some(Machine)),
            (&[Machine, Unknown, Busy], Some(Unknown)),
            (&[Human, Machine], Some(Human)),
        ] {
            assert_eq!(best(&calls(all)), stands, "{all:?}");
        }
    }

    #[test]
    fn rules_that_make_no_sense_are_refused_by_name() {
        let fields = |json| retry(json).problems().into_iter().map(|p| p.field).collect::<Vec<_>>();
        assert_eq!(fields(json!({"most": 0})), ["retry.most"]);
        assert_eq!(fields(json!({"most": 21})), ["retry.most"]);
        assert_eq!(
            fields(
                json!({"most": 3, "busy": {"after": "PT0S", "times": 0}, "no_goal": {"after": "P31D", "times": 1}})
            ),
            ["retry.busy.after", "retry.busy.times", "retry.no_goal.after"]
        );
        assert!(
            serde_json::from_value::<Retry>(json!({"most": 3, "rejected": {"after": "PT5M", "times": 1}}))
                .is_err()
        );
    }

    proptest! {
        #[test]
        fn nobody_is_called_more_often_than_the_limit_and_the_rules_say(
            most in 1..20_u32, times in prop::array::uniform6(0..6_u32), course in prop::collection::vec((0..9_usize, any::<bool>()), 40),
        ) {
            let rule = |at: usize| (times[at] > 0).then(|| Rule { after: SignedDuration::from_mins(5), times: times[at] });
            let rules = Retry { most, busy: rule(0), no_answer: rule(1), machine: rule(2), congestion: rule(3), unreachable: rule(4),
                no_goal: rule(5) };
            let mut made = Vec::new();
            for (called, goal) in course {
                made.push(Call { called: ALL[called], goal });
                if rules.again(&made).is_none() {
                    break;
                }
            }
            prop_assert!(made.len() <= most as usize);
            prop_assert!(made.len() <= 1 + times.iter().sum::<u32>() as usize);
        }
    }
}
