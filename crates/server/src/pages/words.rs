//! The words of the screens for what the program has names for: statuses, actions, refusals, schedules, spans. The
//! texts themselves are with all others ([`super::texts`]).

use std::borrow::Cow;

use campaign::{
    Action, Channel, Send, Status,
    lifecycle::{self, Circumstances},
    schedule::Delay,
};
use jiff::SignedDuration;

use super::t;

/// A value as a template passes it: itself, or behind as many references as there are loops around it.
pub(super) trait Given<T>: Copy {
    fn given(&self) -> T;
}

impl<T: Copy> Given<T> for T {
    fn given(&self) -> T {
        *self
    }
}

impl<T: Copy> Given<T> for &T {
    fn given(&self) -> T {
        **self
    }
}

impl<T: Copy> Given<T> for &&T {
    fn given(&self) -> T {
        ***self
    }
}

/// A status as people read it.
pub(super) fn status(status: impl Given<Status>) -> Cow<'static, str> {
    t::word("status", status.given().word())
}

/// An action as its button reads.
pub(super) fn action(action: impl Given<Action>) -> Cow<'static, str> {
    t::word("action", action.given().word())
}

/// Why an action is not offered: when it is. None if a campaign of this kind never has it.
pub(super) fn only_while(channel: Channel, what: Action) -> Option<Cow<'static, str>> {
    const ALL: Circumstances = Circumstances { held: true, calls_up: true };
    let allowed: Vec<_> = Status::ALL
        .into_iter()
        .filter(|s| lifecycle::available_actions(channel, *s, ALL).contains(&what))
        .map(status)
        .collect();
    let words = match allowed.as_slice() {
        [] => return None,
        [one] => one.clone(),
        [first @ .., last] => t::with("or", ("first", first.join(", "), "last", last)),
    };
    Some(t::with("only-while", ("status", words)))
}

/// The API's word for how far an opt-out goes.
pub(super) fn scope_word(scope: impl Given<store::OptOutScope>) -> &'static str {
    match scope.given() {
        store::OptOutScope::Everything => "everything",
        store::OptOutScope::Channel => "channel",
        store::OptOutScope::Purpose => "purpose",
    }
}

/// What is barred, and for which purpose; empty: for every purpose.
pub(super) fn for_purpose(barred: Cow<'static, str>, purpose: &str) -> Cow<'static, str> {
    if purpose.is_empty() { barred } else { t::with("purpose-alone", ("barred", barred, "purpose", purpose)) }
}

/// Messages a second.
pub(super) fn rate(rate: impl Given<f64>) -> String {
    let rate = rate.given();
    if rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

/// What follows from a refusal.
pub(super) fn refusal(kind: impl Given<store::Refusal>) -> Cow<'static, str> {
    t::word(
        "refusal",
        match kind.given() {
            store::Refusal::Recipient => "recipient",
            store::Refusal::Throttled => "throttled",
            store::Refusal::Route => "route",
            store::Refusal::Unlisted => "unlisted",
        },
    )
}

/// Days, hours and minutes: the first `most` of them that are not zero.
fn parts(days: i64, hours: i64, minutes: i64, most: usize) -> String {
    let parts = [
        (days > 0).then(|| t::with("days", ("n", days))),
        (hours > 0).then(|| t::with("hours", ("n", hours))),
        (minutes > 0).then(|| t::with("minutes", ("n", minutes))),
    ];
    parts.into_iter().flatten().take(most).collect::<Vec<_>>().join(" ")
}

/// A span in words: "2 days", "1 hour 30 minutes".
pub(super) fn span(span: SignedDuration) -> String {
    let minutes = (span.as_secs() + 59) / 60;
    if minutes <= 0 {
        return t::say("no-time").into_owned();
    }
    parts(minutes / (24 * 60), minutes / 60 % 24, minutes % 60, 2)
}

/// When a message goes, in words: "2 days after the previous message, at 10:00, recipient's time".
pub(super) fn send(send: &Send) -> t::Markup {
    match send {
        Send::Now => t::html("send-now", ()),
        Send::At(at) => t::html("send-at", ("at", t::time(*at))),
        Send::Local { at, .. } => t::html("send-local", ("at", t::clock(&at.to_string()))),
        Send::After { delay, time } => {
            let span = match delay {
                Delay::Days(days) => parts((*days).into(), 0, 0, 1),
                Delay::Exact(exact) => parts(0, exact.as_hours(), exact.as_mins() % 60, 2),
            };
            match time {
                Some(time) => t::html("send-after-at", ("span", span, "time", t::clock(&time.to_string()))),
                None => t::html("send-after", ("span", span)),
            }
        }
    }
}

/// A number with thousands separators.
pub(super) fn number(n: impl Given<i64>) -> String {
    grouped(n.given())
}

/// The digits of a number with thousands separators.
pub(super) fn grouped(n: i64) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Why a message did not arrive, in words: what the carrier said, as far as it did.
pub(super) fn why_failed(detail: Option<&str>, code: Option<u32>) -> String {
    match (detail, code) {
        (Some(detail), _) => detail.to_owned(),
        (None, Some(_)) => t::say("failed-by-code").into_owned(),
        (None, None) => t::say("failed-unsaid").into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_read_as_sentences() {
        let read = |json: &str| send(&serde_json::from_str(json).unwrap()).to_string();
        assert_eq!(
            read(r#"{"after":"P2D","time":"10:00"}"#),
            "2 days after the previous message, at <time datetime=\"10:00\">10:00</time> recipient's time"
        );
        assert_eq!(read(r#"{"after":"PT1H30M"}"#), "1 hour 30 minutes after the previous message");
        assert_eq!(
            read(r#"{"local":"2026-11-25T10:00"}"#),
            "<time datetime=\"2026-11-25T10:00\">2026-11-25 10:00</time>, recipient's time"
        );
        assert_eq!(
            read(r#"{"at":"2026-11-24T15:00:00Z"}"#),
            "<time datetime=\"2026-11-24T15:00:00Z\">2026-11-24 15:00 UTC</time>"
        );
        assert_eq!(read(r#"{"now":true}"#), "Immediately");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(number(999), "999");
        assert_eq!(number(-123), "-123");
        assert_eq!(number(-1_234), "-1,234");
    }

    #[test]
    fn an_action_that_is_not_offered_says_when_it_is() {
        assert_eq!(
            only_while(Channel::Sms, Action::Stop).as_deref(),
            Some("Only while Scheduled or Running")
        );
        assert_eq!(only_while(Channel::Sms, Action::Restart).as_deref(), Some("Only while Stopped"));
        assert_eq!(only_while(Channel::Voice, Action::Restart), None);
    }
}
