//! Changes that open pages are told of.

use campaign::{CampaignId, ImportId, WebhookId};

/// Something that a page may show has changed, and the commit that changed it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// A campaign: its status, totals or definition.
    Campaign(CampaignId),
    /// How far an import is.
    Import(ImportId),
    /// The events of a webhook.
    Webhook(WebhookId),
}
