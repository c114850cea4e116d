//! Durations as the API writes them (ISO 8601: `PT2H`, `P1D`), for serde's `with`. A day is 24 hours.

use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Writes a duration.
///
/// # Errors
/// The serializer's.
pub fn serialize<S: Serializer>(value: &SignedDuration, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(value)
}

/// Reads a duration.
///
/// # Errors
/// Where the text is not a duration, or a negative one.
pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<SignedDuration, D::Error> {
    let text = String::deserialize(d)?;
    let wrong = || D::Error::custom(format!("'{text}' is not a duration; use PT2H or P1D"));
    let span: Span = text.parse().map_err(|_| wrong())?;
    let exact = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    if exact.is_negative() { Err(wrong()) } else { Ok(exact) }
}

/// The same for a duration that may be absent.
pub mod option {
    use jiff::SignedDuration;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    struct Given(#[serde(with = "super")] SignedDuration);

    /// Writes a duration, or null.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(value: &Option<SignedDuration>, s: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(ToString::to_string).serialize(s)
    }

    /// Reads a duration, or null.
    ///
    /// # Errors
    /// As [`super::deserialize`].
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<SignedDuration>, D::Error> {
        Ok(Option::<Given>::deserialize(d)?.map(|given| given.0))
    }
}
