//! Why a campaign does not send at this moment, in the words of the API.

use jiff::Timestamp;

/// Why a campaign does not send at this moment.
#[derive(Debug, Clone, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum WaitingReason {
    /// Its time has not come.
    NotDue,
    /// Outside the sending window.
    WindowClosed,
    /// The route has no connection.
    RouteDown,
    /// The far end refuses, in its words.
    RouteRefuses(String),
    /// The route is switched off.
    Disabled,
    /// The rate of the route or of the sender is used up.
    Rate,
    /// The message before it has not been sent for long enough.
    EarlierMessage,
    /// The disk is nearly full: what is sent could not be accounted for.
    DiskFull,
    /// Held until a person releases it: nothing was dispatched for too long.
    Late,
    /// The pilot is sent; a person looks at it and releases the rest.
    Pilot,
    /// Its data cannot be read or stored, in words; tried again each minute.
    Fault(String),
}

impl WaitingReason {
    /// The word used in the API.
    pub fn word(&self) -> &'static str {
        self.into()
    }

    /// What the far end or the database says.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::RouteRefuses(words) | Self::Fault(words) => Some(words),
            _ => None,
        }
    }
}

/// Why, and until when if that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Why.
    pub reason: WaitingReason,
    /// Until when.
    pub until: Option<Timestamp>,
}

/// Adds a reason; one that is there already lasts until the earlier time.
pub(crate) fn add(waits: &mut Vec<Waiting>, reason: WaitingReason, until: Option<Timestamp>) {
    match waits.iter_mut().find(|w| w.reason == reason) {
        Some(known) => known.until = known.until.into_iter().chain(until).min(),
        None => waits.push(Waiting { reason, until }),
    }
}
