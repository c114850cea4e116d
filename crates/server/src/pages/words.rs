//! The words of the screens for what the program calls by a name: statuses, actions, outcomes, reasons, times.

use campaign::{Action, Channel, Status, lifecycle};
use jiff::{SignedDuration, tz::TimeZone};
use serde_json::Value;

/// A value as a template gives it: itself, or behind as many references as the loops around it.
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
pub(super) fn status(status: impl Given<Status>) -> &'static str {
    match status.given() {
        Status::Defined => "Defined",
        Status::Scheduled => "Scheduled",
        Status::Running => "Running",
        Status::Stopped => "Stopped",
        Status::Errored => "Errored",
        Status::Completed => "Completed",
        Status::Archived => "Archived",
    }
}

/// An action as its button reads.
pub(super) const fn action(action: Action) -> &'static str {
    match action {
        Action::Edit => "Edit",
        Action::Schedule => "Schedule",
        Action::Adjust => "Adjust schedule",
        Action::Stop => "Stop",
        Action::Restart => "Restart",
        Action::Archive => "Archive",
        Action::Clone => "Clone",
        Action::Release => "Release",
    }
}

/// Why an action is not offered: when it is.
pub(super) fn only_while(channel: Channel, what: Action) -> String {
    let allowed: Vec<&str> = Status::ALL
        .into_iter()
        .filter(|s| lifecycle::available_actions(channel, *s, true).contains(&what))
        .map(status)
        .collect();
    match allowed.as_slice() {
        [] => "not for this kind of campaign".to_owned(),
        [one] => format!("only while {one}"),
        [first @ .., last] => format!("only while {} or {last}", first.join(", ")),
    }
}

/// Why a campaign does not send at this moment, from the API's word.
pub(super) fn waiting(reason: &str) -> &'static str {
    match reason {
        "not_due" => "The next message is not due yet",
        "window_closed" => "Outside the sending hours of its recipients",
        "route_down" => "The route has no connection; it is tried again by itself",
        "route_refuses" => "The carrier refuses",
        "disk_full" => "The disk is nearly full: free some space and it goes on",
        "late" => "Held: nothing was sent for longer than its limit. Release it, stop it, or restart it",
        "pilot" => "The pilot is sent; look at what became of it, then release the rest",
        _ => "Waiting",
    }
}

/// A reason for a skip, from the API's word.
pub(super) fn skipped(reason: &str) -> &'static str {
    match reason {
        "opted_out" => "opted out",
        "blocked" => "blocked",
        "invalid_number" => "number not valid",
        "missing_field" => "a field of the text is missing",
        "no_consent" => "no consent on record",
        "limit" => "over the limit of messages a person",
        "expired" => "too late to be of use",
        "earlier_failed" => "the message before failed",
        _ => "skipped",
    }
}

/// What a webhook is told of.
pub(super) fn level(level: impl Given<store::Level>) -> &'static str {
    match level.given() {
        store::Level::Attempt => "each message as it changes (attempt)",
        store::Level::Person => "replies, opt-outs, and who is done (person)",
        store::Level::Campaign => "a campaign's statuses (campaign)",
    }
}

/// How far an opt-out goes.
pub(super) fn scope(scope: impl Given<store::OptOutScope>) -> &'static str {
    match scope.given() {
        store::OptOutScope::Everything => "of any kind: no message, no call",
        store::OptOutScope::Channel => "by SMS; calls go on",
        store::OptOutScope::Purpose => "by SMS for the purpose of the campaign that was answered",
    }
}

/// The API's word for how far an opt-out goes.
pub(super) fn scope_word(scope: impl Given<store::OptOutScope>) -> &'static str {
    match scope.given() {
        store::OptOutScope::Everything => "everything",
        store::OptOutScope::Channel => "channel",
        store::OptOutScope::Purpose => "purpose",
    }
}

/// What nobody on a do-not-contact list gets.
pub(super) fn barred(barred: impl Given<store::Barred>) -> &'static str {
    match barred.given() {
        store::Barred::Sms => "message",
        store::Barred::Voice => "call",
        store::Barred::All => "message and no call",
    }
}

/// The same from the API's word.
pub(super) fn barred_word(word: &str) -> &'static str {
    store::Barred::from_word(word).map_or("message", barred)
}

/// How far an import is.
pub(super) fn stage(stage: impl Given<store::ImportStage>) -> &'static str {
    match stage.given() {
        store::ImportStage::Queued => "waits for you",
        store::ImportStage::Running => "runs",
        store::ImportStage::Done => "done",
        store::ImportStage::Failed => "failed",
    }
}

/// What a column of a file can be.
pub(super) fn column(name: &str) -> &str {
    match name {
        "phone" => "the number",
        "first_name" => "first name",
        "last_name" => "last name",
        "email" => "e-mail address",
        "language" => "language",
        "time_zone" => "time zone",
        "consent_source" => "where they agreed",
        "consent_at" => "when they agreed",
        other => other,
    }
}

/// Messages a second.
pub(super) fn rate(rate: impl Given<f64>) -> String {
    let rate = rate.given();
    if rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

/// What follows from a refusal.
pub(super) fn refusal(kind: impl Given<store::Refusal>) -> &'static str {
    match kind.given() {
        store::Refusal::Recipient => "failed, not tried again",
        store::Refusal::Throttled => "tried again later",
        store::Refusal::Route => "put back; the campaign waits after 20",
    }
}

/// How an event for a webhook stands, from the API's word.
pub(super) fn event_state(state: &str) -> &'static str {
    match state {
        "delivered" => "told",
        "given_up" => "given up",
        _ => "waits",
    }
}

/// What somebody did, from the audit log's word.
pub(super) fn deed(word: &str) -> String {
    word.replace('_', " ")
}

fn count(n: i64, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

/// A span in words: "2 days", "1 hour 30 minutes".
pub(super) fn span(span: SignedDuration) -> String {
    let minutes = (span.as_secs() + 59) / 60;
    let parts = [
        (minutes / (24 * 60), "day", "days"),
        (minutes / 60 % 24, "hour", "hours"),
        (minutes % 60, "minute", "minutes"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|p| p.0 > 0).take(2).map(|(n, one, many)| count(*n, one, many)).collect();
    if parts.is_empty() { "less than a minute".to_owned() } else { parts.join(" ") }
}

/// When a message goes, in words: "2 days after the previous message, at 10:00, recipient's time".
pub(super) fn send(send: &campaign::Send, zone: &TimeZone) -> String {
    // Its own form is what the API shows; read from there so that there is one.
    let Ok(value) = serde_json::to_value(send) else { return String::new() };
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    if let Some(after) = text("after") {
        let length = after.parse::<jiff::Span>().map_or_else(|_| after.to_owned(), |s| after_words(&s));
        return match text("time") {
            Some(time) => {
                format!("{length} after the previous message, at {}, recipient's time", hours(time))
            }
            None => format!("{length} after the previous message"),
        };
    }
    if let Some(local) = text("local") {
        let (day, time) = local.split_once('T').unwrap_or((local, ""));
        return format!("{day} at {}, recipient's time", hours(time));
    }
    if let Some(at) = text("at").and_then(|at| at.parse::<jiff::Timestamp>().ok()) {
        let local = zone.to_datetime(at).strftime("%Y-%m-%d at %H:%M");
        return format!("{local} {}", zone.to_offset_info(at).abbreviation());
    }
    "as soon as it is scheduled".to_owned()
}

fn hours(time: &str) -> &str {
    time.get(..5).unwrap_or(time)
}

fn after_words(s: &jiff::Span) -> String {
    let parts = [
        (i64::from(s.get_days()), "day", "days"),
        (i64::from(s.get_hours()), "hour", "hours"),
        (s.get_minutes(), "minute", "minutes"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|p| p.0 > 0).map(|(n, one, many)| count(*n, one, many)).collect();
    parts.join(" ")
}

/// A number with its thousands apart.
pub(super) fn number(n: impl Given<i64>) -> String {
    let digits = n.given().to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && digit != '-' {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_read_as_sentences() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let read = |json: &str| send(&serde_json::from_str(json).unwrap(), &zone);
        assert_eq!(
            read(r#"{"after":"P2D","time":"10:00"}"#),
            "2 days after the previous message, at 10:00, recipient's time"
        );
        assert_eq!(read(r#"{"after":"PT1H30M"}"#), "1 hour 30 minutes after the previous message");
        assert_eq!(read(r#"{"local":"2026-11-25T10:00"}"#), "2026-11-25 at 10:00, recipient's time");
        assert_eq!(read(r#"{"at":"2026-11-24T15:00:00Z"}"#), "2026-11-24 at 10:00 EST");
        assert_eq!(read(r#"{"now":true}"#), "as soon as it is scheduled");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(number(999), "999");
    }

    #[test]
    fn an_action_that_is_not_offered_says_when_it_is() {
        assert_eq!(only_while(Channel::Sms, Action::Stop), "only while Scheduled or Running");
        assert_eq!(only_while(Channel::Sms, Action::Restart), "only while Stopped");
        assert_eq!(only_while(Channel::Voice, Action::Restart), "not for this kind of campaign");
    }
}
