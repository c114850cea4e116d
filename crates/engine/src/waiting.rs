//! Why a campaign does not send at this moment, in the words of the API.

use jiff::Timestamp;

/// Why a campaign does not send at this moment.
#[derive(Debug, Clone, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum WaitingReason {
    /// The time of the next message has not come.
    NotDue,
    /// Outside the sending window.
    WindowClosed,
    /// The route has no connection.
    RouteDown,
    /// The far end refuses the connection or the messages, in its words.
    RouteRefuses(String),
    /// The route is switched off.
    Disabled,
    /// The rate of the route or of the sender is used up.
    Rate,
    /// As many calls are up as the route or the campaign allows.
    CallsFull,
    /// It goes more slowly: the trunk answers more calls than usual as busy or congested, and may be at its limit.
    TrunkBusy,
    /// What is said in the next calls is being rendered.
    Rendering,
    /// The budget is spent, or the calls that are up may spend the rest of it.
    Budget,
    /// The previous message was not sent long enough ago.
    EarlierMessage,
    /// The disk is nearly full: what is sent could not be recorded.
    DiskFull,
    /// On hold until a person releases it: nothing was dispatched for too long.
    Late,
    /// The pilot has been sent; a person looks at it and releases the rest.
    Pilot,
    /// The campaign's data cannot be read or stored, in words; tried again each minute.
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

    /// Whether it does not pass by itself.
    pub const fn needs_a_person(&self) -> bool {
        match self {
            Self::NotDue
            | Self::WindowClosed
            | Self::RouteDown
            | Self::Rate
            | Self::CallsFull
            | Self::TrunkBusy
            | Self::Rendering
            | Self::EarlierMessage => false,
            Self::RouteRefuses(_)
            | Self::Disabled
            | Self::Budget
            | Self::DiskFull
            | Self::Late
            | Self::Pilot
            | Self::Fault(_) => true,
        }
    }
}

/// A reason, and until when it lasts if that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Why the campaign waits.
    pub reason: WaitingReason,
    /// Until when it waits.
    pub until: Option<Timestamp>,
}

/// Adds a reason; one that is already there lasts until the earlier of the two times.
pub(crate) fn add(waits: &mut Vec<Waiting>, reason: WaitingReason, until: Option<Timestamp>) {
    match waits.iter_mut().find(|w| w.reason == reason) {
        Some(known) => known.until = known.until.into_iter().chain(until).min(),
        None => waits.push(Waiting { reason, until }),
    }
}
