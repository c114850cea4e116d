//! A final answer in words, for people: the far end's own phrase, and what stands in the headers that explain it.

use std::{fmt::Write as _, time::Duration};

use rsipstack::sip::{Header, Response, prelude::HasHeaders};

use super::{super::cause, inspect};

/// The most characters of an explanation.
const MOST: usize = 300;

/// The answer in words.
pub(super) fn of(response: &Response) -> String {
    let code = response.status_code.code();
    let phrase = response.wire_reason.as_deref().unwrap_or(response.status_code.text());
    let mut words = format!("{code} {phrase}");
    let headers = response.headers();
    let value = |name: &str| {
        let of_name = |header: &&Header| header.name().eq_ignore_ascii_case(name);
        headers.iter().filter(of_name).map(Header::value).collect::<Vec<_>>().join(", ")
    };
    let explained = match code {
        300..=399 => ("redirected to ", value("Contact")),
        420 => ("the far end does not know the extension ", value("Unsupported")),
        421 => ("the far end demands the extension ", value("Require")),
        488 => ("no common codec", " ".to_owned()),
        _ => ("", String::new()),
    };
    if !explained.1.is_empty() {
        words.push_str(": ");
        words.push_str(explained.0);
        words.push_str(explained.1.trim());
    }
    if let Some(q850) = inspect::q850(response) {
        let _ = write!(words, " (Q.850 {q850}, {})", cause::q850_words(q850));
    }
    let warning = value("Warning");
    if !warning.is_empty() {
        let _ = write!(words, " ({warning})");
    }
    words.chars().filter(|c| !c.is_control()).take(MOST).collect()
}

/// How long the far end asks to be left alone (RFC 3261 §20.33).
pub(super) fn retry_after(response: &Response) -> Option<Duration> {
    seconds(response, "Retry-After").map(|seconds| Duration::from_secs(seconds.into()))
}

/// The lowest session interval that a 422 allows, in seconds (RFC 4028 §6).
pub(super) fn min_se(response: &Response) -> Option<u32> {
    seconds(response, "Min-SE")
}

/// The seconds at the beginning of a header; parameters and comments may follow.
fn seconds(response: &Response, name: &str) -> Option<u32> {
    let value = response.headers().iter().find(|header| header.name().eq_ignore_ascii_case(name))?.value();
    value.split([';', '(']).next()?.trim().parse().ok()
}
