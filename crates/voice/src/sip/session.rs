//! Session timers (RFC 4028): who keeps a call alive, how often, and when it is dead. Pure: the caller has the clock.

use std::time::Duration;

/// How long we propose a session to last between refreshes (RFC 4028 §4 recommends it).
pub(super) const PROPOSED: u32 = 1800;
/// The shortest that we accept to be told (RFC 4028 §5).
const SHORTEST: u32 = 90;

/// The shortest interval that a call may have in which `interval` is proposed: what a 422 named, where one did (RFC 4028 §7.1).
pub(super) const fn shortest(interval: u32) -> u32 {
    if interval > PROPOSED { interval } else { SHORTEST }
}

/// Who sends the refreshes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresher {
    /// We do.
    Us,
    /// The far end does.
    FarEnd,
}

/// What both ends agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreed {
    /// The session is dead this long after the last refresh.
    pub interval: Duration,
    /// Who sends them.
    pub refresher: Refresher,
}

impl Agreed {
    /// How long after a refresh the next is due, where we send it (RFC 4028 §7.2: half the interval).
    pub fn refresh_after(&self) -> Duration {
        self.interval / 2
    }

    /// How long after a refresh that never came the call is ended (RFC 4028 §10).
    pub fn end_after(&self) -> Duration {
        self.interval.saturating_sub((self.interval / 3).min(Duration::from_secs(32)))
    }
}

/// Reads a Session-Expires header; `we_asked` says whether the request that it belongs to was ours. Without a
/// refresher named, the one who asked is taken.
pub fn agreed(session_expires: &str, we_asked: bool) -> Option<Agreed> {
    let mut parts = session_expires.split(';').map(str::trim);
    let seconds: u32 = parts.next()?.parse().ok().filter(|seconds| *seconds > 0)?;
    let named = parts.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("refresher").then(|| value.trim())
    });
    let the_asking_side = named.is_none_or(|side| !side.eq_ignore_ascii_case("uas"));
    let refresher = if the_asking_side == we_asked { Refresher::Us } else { Refresher::FarEnd };
    Some(Agreed { interval: Duration::from_secs(seconds.into()), refresher })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_names_interval_and_refresher() {
        use Refresher::{FarEnd, Us};
        for (header, we_asked, expected) in [
            ("1800;refresher=uac", true, Some((1800, Us))),
            ("1800;refresher=uas", true, Some((1800, FarEnd))),
            ("1800", true, Some((1800, Us))),
            ("90 ; Refresher = UAS", true, Some((90, FarEnd))),
            ("600;refresher=uac", false, Some((600, FarEnd))),
            ("600;refresher=uas", false, Some((600, Us))),
            ("600", false, Some((600, FarEnd))),
            ("0", true, None),
            ("", true, None),
            ("soon;refresher=uac", true, None),
        ] {
            let read = agreed(header, we_asked).map(|a| (a.interval.as_secs(), a.refresher));
            assert_eq!(read, expected, "{header}");
        }
    }

    #[test]
    fn refreshes_come_at_half_time_and_death_a_third_or_32_seconds_early() {
        let of = |seconds| Agreed { interval: Duration::from_secs(seconds), refresher: Refresher::Us };
        assert_eq!(of(1800).refresh_after().as_secs(), 900);
        assert_eq!(of(1800).end_after().as_secs(), 1768);
        assert_eq!(of(90).end_after().as_secs(), 60);
    }
}
