//! Replies from phones, and the answers to them.

use campaign::{Address, CampaignId, Msisdn, RouteId, keyword::Keyword};
use jiff::Timestamp;
use serde::Serialize;

/// A reply from a phone (MO), or a part of a long one.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The route it came on.
    pub route: RouteId,
    /// Who it is from.
    pub from: Address,
    /// The sender of ours that it went to.
    pub to: Address,
    /// What it says.
    pub text: String,
    /// Which part of a long reply it is; none for a whole reply.
    pub part: Option<Part>,
}

/// The place of a part in a long reply (3GPP TS 23.040 §9.2.3.24.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Ties the parts together.
    pub reference: u16,
    /// How many parts there are.
    pub total: u8,
    /// Which part this is, from 1.
    pub number: u8,
}

/// Which replies to list.
#[derive(Debug, Clone, Default)]
pub struct ReplyFilter {
    /// Of all replies, only those that answer no campaign.
    pub unmatched: bool,
    /// Only those before this one.
    pub before: Option<i64>,
    /// Only those that are not keywords but read like a refusal.
    pub refusals: bool,
}

/// A reply as stored.
#[derive(Debug, Clone, Serialize)]
pub struct ReplyRow {
    /// The reply's place among all replies.
    pub id: i64,
    /// The campaign that it answers; none where that sender never wrote to that number.
    pub campaign_id: Option<CampaignId>,
    /// Whether it answers a campaign.
    pub matched: bool,
    /// Who it is from.
    pub number: String,
    /// The sender that it went to.
    pub sender: String,
    /// What it says.
    pub text: String,
    /// Its keyword: `opt_out`, `opt_in`, `help`; `refusal` where it is not a keyword but reads like a refusal.
    pub keyword: Option<String>,
    /// When it came.
    pub at: Timestamp,
    /// The automatic answer to it.
    pub answer: Option<AnswerRow>,
}

/// The answer to a reply, as stored.
#[derive(Debug, Clone, Serialize)]
pub struct AnswerRow {
    /// What it says.
    pub text: String,
    /// `queued`, `taken`, `sent`, `refused`, `expired` or `in_doubt`.
    pub state: String,
}

/// An answer on its way to a phone.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The answer's id.
    pub id: i64,
    /// The route that the reply came on.
    pub route: RouteId,
    /// Who it goes to.
    pub number: Msisdn,
    /// The sender of ours that it goes out from: the one that the reply was sent to.
    pub sender: String,
    /// What it says.
    pub text: String,
    /// When it must have been written.
    pub send_before: Timestamp,
}

/// What became of an answer.
#[derive(Debug, Clone)]
pub enum AnswerFate {
    /// The SMSC accepted it, with one id per segment.
    Sent(Vec<String>),
    /// The SMSC refused it, in words.
    Refused(String),
    /// Handed over, but the SMSC's answer was lost: it is not sent again.
    InDoubt,
    /// Not taken: to be sent again then.
    Again(Timestamp),
}

/// The answers to keywords in one language. An empty text gives no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerTexts {
    /// Confirms an opt-out, once (47 CFR 64.1200(a)(12)).
    pub opt_out: String,
    /// Confirms an opt-in.
    #[serde(default)]
    pub opt_in: String,
    /// Answers HELP and INFO.
    pub help: String,
}

impl AnswerTexts {
    /// The text for a keyword; none where there is no answer to give.
    pub fn of(&self, keyword: Keyword) -> Option<&str> {
        let text = match keyword {
            Keyword::OptOut => &self.opt_out,
            Keyword::OptIn => &self.opt_in,
            Keyword::Help => &self.help,
        };
        Some(text.trim()).filter(|text| !text.is_empty())
    }
}

/// A message that was sent to test a route.
#[derive(Debug, Clone, Serialize)]
pub struct TestSend {
    /// Who it went to.
    pub number: String,
    /// The sender that it went out from.
    pub sender: String,
    /// What it says.
    pub text: String,
    /// As [`AnswerRow::state`].
    pub state: String,
    /// What the carrier said.
    pub detail: Option<String>,
    /// When it was asked for.
    pub at: Timestamp,
}
