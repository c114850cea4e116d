//! Command statuses in words, and what each is blamed on (SMPP 3.4 §5.1.3).

use std::collections::BTreeMap;

use engine::Refusal;

/// `ESME_RTHROTTLED`.
pub(crate) const THROTTLED: u32 = 0x58;

/// (status, what it is blamed on, words). A status that is not listed is judged by evidence: no number is given up for
/// a code that nobody knows, and no campaign is held up by it.
const STATUSES: &[(u32, Refusal, &str)] = &[
    (0x01, Refusal::Recipient, "the text is too long for the SMSC"),
    (0x0A, Refusal::Route, "the SMSC does not accept this sender"),
    (0x0B, Refusal::Recipient, "the SMSC does not know this number"),
    (0x08, Refusal::Route, "the SMSC has a system error"),
    (0x0D, Refusal::Route, "the bind failed"),
    (0x0E, Refusal::Route, "the password is wrong"),
    (0x0F, Refusal::Route, "the system id is wrong"),
    (0x14, Refusal::Throttled, "the SMSC's queue is full"),
    (0x45, Refusal::Recipient, "the SMSC refused the message"),
    (0x48, Refusal::Route, "the sender's type of number is wrong"),
    (0x49, Refusal::Route, "the sender's numbering plan is wrong"),
    (0x50, Refusal::Recipient, "the number's type is wrong"),
    (0x51, Refusal::Recipient, "the number's numbering plan is wrong"),
    (THROTTLED, Refusal::Throttled, "the SMSC asks us to slow down"),
    (0x64, Refusal::Throttled, "the SMSC has a temporary error"),
];

/// What a command status is blamed on, and its words; `own` is what the route's SMSC means by it instead.
pub(crate) fn of(status: u32, own: &BTreeMap<u32, Refusal>) -> (Refusal, String) {
    let known = STATUSES.iter().find(|s| s.0 == status);
    let kind = own.get(&status).copied().or_else(|| known.map(|s| s.1)).unwrap_or(Refusal::Unlisted);
    let words = known
        .map_or_else(|| format!("the SMSC refused with command status {status:#010x}"), |s| s.2.to_owned());
    (kind, words)
}

/// (status, words) of a refused bind.
const OF_BINDS: &[(u32, &str)] = &[
    (0x02, "the SMSC cannot read the bind: the password or another setting may be longer than it takes"),
    (0x03, "the SMSC does not know this kind of bind: try another bind_mode"),
    (0x04, "the SMSC does not take this kind of bind now"),
    (
        0x05,
        "the account is already bound: another connection of it is open, or its limit of binds is reached",
    ),
    (0x53, "the SMSC wants another system_type"),
    (0x58, "the SMSC asks us to bind less often"),
];

/// The words of a status in answer to a bind.
pub(crate) fn of_bind(status: u32, own: &BTreeMap<u32, Refusal>) -> String {
    match OF_BINDS.iter().find(|known| known.0 == status) {
        Some((_, words)) => (*words).to_owned(),
        None => of(status, own).1,
    }
}
