//! The rules of a campaign, pure: statuses and actions, schedules, sending windows, waves, texts, segments, outcomes.
//! No I/O, no clock, no async: time comes in as an argument. Every rule that the other crates must not get wrong is
//! here, once.

pub mod address;
pub mod content;
pub mod course;
pub mod email;
pub mod field;
pub mod id;
pub mod iso_duration;
pub mod keyword;
pub mod lateness;
pub mod lifecycle;
pub mod money;
pub mod msisdn;
pub mod outcome;
pub mod placeholder;
pub mod pool;
pub mod problem;
pub mod restart;
pub mod retry;
pub mod schedule;
pub mod script;
pub mod segment;
pub mod sender;
pub mod text;
pub mod tlv;
pub mod wave;
pub mod window;
pub mod zone;

pub use address::Address;
pub use content::Content;
pub use id::{AudioId, CampaignId, ClaimId, ImportId, ListId, PoolId, RouteId, UserId, WaveId, WebhookId};
pub use lifecycle::{Action, Channel, Status, Transition};
pub use msisdn::Msisdn;
pub use outcome::{Outcome, SkipReason, Totals};
pub use pool::{PoolSender, Senders};
pub use problem::Problem;
pub use schedule::Send;
pub use script::Script;
pub use sender::{SendAs, Sender};
pub use tlv::Tlvs;
pub use window::Window;
pub use zone::ZoneGroup;
