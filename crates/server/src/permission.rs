//! Who may do what: one table over every address, pages and API alike, with the words that the audit log
//! writes. What does not stand here is refused, so a new address without a line is of no use to anybody.

use axum::http::Method;
use store::Role;
use store::Role::{Admin, Manager, Viewer};

/// What an address asks of its caller.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// `GET` stands for `HEAD` too.
    pub method: &'static str,
    /// As the router has it.
    pub path: &'static str,
    /// The weakest role that may; none: anybody, signed in or not.
    pub role: Option<Role>,
    /// What the audit log says of it; reading has no words.
    pub words: &'static str,
}

const fn open(method: &'static str, path: &'static str) -> Rule {
    Rule { method, path, role: None, words: "" }
}

const fn look(path: &'static str) -> Rule {
    Rule { method: "GET", path, role: Some(Viewer), words: "" }
}

const fn see(path: &'static str, role: Role) -> Rule {
    Rule { method: "GET", path, role: Some(role), words: "" }
}

const fn act(method: &'static str, path: &'static str, role: Role, words: &'static str) -> Rule {
    Rule { method, path, role: Some(role), words }
}

/// Every address.
pub const TABLE: &[Rule] = &[
    open("GET", "/health"),
    open("GET", "/assets/{name}"),
    open("GET", "/sign-in"),
    open("POST", "/sign-in"),
    open("GET", "/welcome/{secret}"),
    open("POST", "/welcome/{secret}"),
    act("POST", "/sign-out", Viewer, "signed out"),
    // Pages.
    look("/"),
    look("/campaigns/{id}"),
    look("/campaigns/{id}/recipients"),
    look("/campaigns/{id}/replies"),
    see("/campaigns/new", Manager),
    act("POST", "/campaigns/new", Manager, "made a campaign"),
    see("/campaigns/{id}/edit", Manager),
    act("POST", "/campaigns/{id}/edit", Manager, "edited the campaign"),
    see("/campaigns/{id}/messages", Manager),
    act("POST", "/campaigns/{id}/messages", Manager, "edited the messages"),
    act("POST", "/preview", Manager, ""),
    see("/campaigns/{id}/schedule", Manager),
    act("POST", "/campaigns/{id}/schedule", Manager, "scheduled the campaign"),
    see("/campaigns/{id}/adjust", Manager),
    act("POST", "/campaigns/{id}/adjust", Manager, "adjusted the schedule"),
    see("/campaigns/{id}/restart", Manager),
    act("POST", "/campaigns/{id}/restart", Manager, "restarted the campaign"),
    act("POST", "/campaigns/{id}/stop", Manager, "stopped the campaign"),
    act("POST", "/campaigns/{id}/archive", Manager, "archived the campaign"),
    act("POST", "/campaigns/{id}/clone", Manager, "cloned the campaign"),
    act("POST", "/campaigns/{id}/release", Manager, "released what was held"),
    look("/contacts"),
    act("POST", "/contacts", Manager, "made a contact list"),
    look("/contacts/lists/{id}"),
    act("POST", "/contacts/lists/{id}", Manager, "sent a file of contacts"),
    look("/contacts/imports/{id}"),
    act("POST", "/contacts/imports/{id}", Manager, "began an import"),
    look("/contacts/do-not-contact"),
    act("POST", "/contacts/do-not-contact", Manager, "blocked a number"),
    act("POST", "/contacts/do-not-contact/import", Manager, "sent a do-not-contact list"),
    look("/contacts/{number}"),
    act("POST", "/contacts/{number}/block", Manager, "blocked the number"),
    act("POST", "/contacts/{number}/unblock", Manager, "lifted the block"),
    act("POST", "/contacts/{number}/consent", Manager, "noted a consent"),
    act("POST", "/contacts/{number}/delete", Admin, "deleted the contact"),
    look("/routes"),
    see("/routes/new", Manager),
    act("POST", "/routes/new", Manager, "added a route"),
    see("/routes/{id}", Manager),
    act("POST", "/routes/{id}", Manager, "changed the route"),
    act("POST", "/routes/{id}/test", Manager, "tried the route"),
    see("/settings", Admin),
    act("POST", "/settings", Admin, "changed the settings"),
    see("/settings/answers", Admin),
    act("POST", "/settings/answers", Admin, "changed the answers"),
    see("/settings/users", Admin),
    act("POST", "/settings/users/invite", Admin, "invited a person"),
    act("POST", "/settings/users/{id}/role", Admin, "changed a person's role"),
    act("POST", "/settings/users/{id}/remove", Admin, "removed a person"),
    see("/settings/tokens", Admin),
    act("POST", "/settings/tokens", Admin, "made an API token"),
    act("POST", "/settings/tokens/{id}/remove", Admin, "ended an API token"),
    see("/settings/webhooks", Admin),
    act("POST", "/settings/webhooks", Admin, "added a webhook"),
    see("/settings/webhooks/{id}", Admin),
    act("POST", "/settings/webhooks/{id}/test", Admin, "tried a webhook"),
    act("POST", "/settings/webhooks/{id}/switch", Admin, "switched a webhook"),
    act("POST", "/settings/webhooks/{id}/remove", Admin, "removed a webhook"),
    act("POST", "/settings/webhooks/{id}/events/{event}/again", Admin, "had an event told again"),
    see("/settings/audit", Admin),
    // The API.
    open("GET", "/api/v1/openapi.json"),
    look("/api/v1/events"),
    look("/api/v1/campaigns"),
    act("POST", "/api/v1/campaigns", Manager, "made a campaign"),
    look("/api/v1/campaigns/{id}"),
    act("PATCH", "/api/v1/campaigns/{id}", Manager, "edited the campaign"),
    act("PATCH", "/api/v1/campaigns/{id}/messages/{n}/send", Manager, "adjusted the schedule"),
    act("POST", "/api/v1/campaigns/{id}/schedule", Manager, "scheduled the campaign"),
    act("POST", "/api/v1/campaigns/{id}/stop", Manager, "stopped the campaign"),
    act("POST", "/api/v1/campaigns/{id}/restart", Manager, "restarted the campaign"),
    act("POST", "/api/v1/campaigns/{id}/archive", Manager, "archived the campaign"),
    act("POST", "/api/v1/campaigns/{id}/clone", Manager, "cloned the campaign"),
    act("POST", "/api/v1/campaigns/{id}/release", Manager, "released what was held"),
    look("/api/v1/campaigns/{id}/timeline"),
    look("/api/v1/campaigns/{id}/replies"),
    look("/api/v1/campaigns/{id}/deliveries"),
    look("/api/v1/campaigns/{id}/deliveries.csv"),
    act(
        "POST",
        "/api/v1/campaigns/{id}/deliveries/{delivery}/settle",
        Manager,
        "settled a delivery in doubt",
    ),
    act("POST", "/campaigns/{id}/recipients/{delivery}/settle", Manager, "settled a delivery in doubt"),
    look("/api/v1/lists"),
    act("POST", "/api/v1/lists", Manager, "made a contact list"),
    look("/api/v1/lists/{id}"),
    act("POST", "/api/v1/lists/{id}/contacts", Manager, "imported contacts"),
    look("/api/v1/imports/{id}"),
    look("/api/v1/imports/{id}/errors.csv"),
    look("/api/v1/routes"),
    act("POST", "/api/v1/routes", Manager, "added a route"),
    look("/api/v1/routes/{id}"),
    act("PATCH", "/api/v1/routes/{id}", Manager, "changed the route"),
    see("/api/v1/settings", Admin),
    act("PUT", "/api/v1/settings", Admin, "changed the settings"),
    see("/api/v1/webhooks", Admin),
    act("POST", "/api/v1/webhooks", Admin, "added a webhook"),
    see("/api/v1/webhooks/{id}", Admin),
    act("DELETE", "/api/v1/webhooks/{id}", Admin, "removed a webhook"),
    see("/api/v1/webhooks/{id}/events", Admin),
    act("POST", "/api/v1/webhooks/{id}/test", Admin, "tried a webhook"),
    act("POST", "/api/v1/webhooks/{id}/events/{event}/again", Admin, "had an event told again"),
    act("POST", "/api/v1/suppressions", Manager, "blocked the number"),
    act("POST", "/api/v1/suppressions/import", Manager, "imported a do-not-contact list"),
    act("DELETE", "/api/v1/suppressions/{channel}/{number}", Manager, "lifted the block"),
];

/// The rule of an address; none where nobody may.
pub(crate) fn of(method: &Method, path: &str) -> Option<&'static Rule> {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    TABLE.iter().find(|rule| rule.method == method && rule.path == path)
}

/// What of an address names the thing that was acted on: the parts that stand for `{…}`.
pub(crate) fn object(rule: &Rule, path: &str) -> String {
    let named = rule.path.split('/').zip(path.split('/')).filter(|(part, _)| part.starts_with('{'));
    named.map(|(_, name)| name).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_stands_once_and_whoever_changes_something_is_named_in_the_log() {
        for (at, rule) in TABLE.iter().enumerate() {
            assert!(!TABLE[..at].iter().any(|r| r.method == rule.method && r.path == rule.path), "{rule:?}");
            let changes = rule.method != "GET" && rule.role.is_some() && rule.path != "/preview";
            assert_eq!(changes, !rule.words.is_empty(), "{rule:?}");
        }
        let stop = of(&Method::POST, "/campaigns/{id}/stop").unwrap();
        assert_eq!(object(stop, "/campaigns/cmp_7/stop"), "cmp_7");
    }
}
