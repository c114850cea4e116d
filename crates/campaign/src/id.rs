//! Ids that cannot be mixed up. Outside (API, logs) an id is opaque text that begins with its kind; inside it is the
//! row's number.

use std::{fmt, str::FromStr};

/// The text is not an id of this kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no id of this kind")]
pub struct BadId(pub String);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(|digits| digits.parse().ok())
                    .map(Self)
                    .ok_or_else(|| BadId(text.to_owned()))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// A campaign.
    CampaignId, "cmp");
id!(
    /// A contact list.
    ListId, "lst");
id!(
    /// A route: one SMSC account or SIP trunk.
    RouteId, "rte");
id!(
    /// A person who signs in.
    UserId, "usr");
id!(
    /// One import of contacts.
    ImportId, "imp");
id!(
    /// A webhook: where another system is notified of events.
    WebhookId, "whk");
id!(
    /// A pool of senders.
    PoolId, "pol");
id!(
    /// An upload that calls play.
    AudioId, "aud");
id!(
    /// A wave: a contiguous range of an audience for one message.
    WaveId, "wav");
id!(
    /// A claim: the durable intent to send the next part of a wave.
    ClaimId, "clm");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_kinds_do_not_mix() {
        assert_eq!(CampaignId(12).to_string(), "cmp_12");
        assert_eq!("cmp_12".parse(), Ok(CampaignId(12)));
        assert_eq!("lst_12".parse::<CampaignId>(), Err(BadId("lst_12".into())));
    }
}
