//! Who may do what: one table of every address, pages and API alike. An address that is not in it is refused, so a new
//! address without a line is of no use to anybody.

use axum::http::Method;
use store::Role;
use store::Role::{Admin, Manager, Viewer};

/// What an address requires of its caller.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// `GET` stands for `HEAD` too.
    pub method: &'static str,
    /// The path, as the router has it.
    pub path: &'static str,
    /// The weakest role that may use it; none: anybody, signed in or not.
    pub role: Option<Role>,
}

const fn open(method: &'static str, path: &'static str) -> Rule {
    Rule { method, path, role: None }
}

const fn look(path: &'static str) -> Rule {
    Rule { method: "GET", path, role: Some(Viewer) }
}

const fn see(path: &'static str, role: Role) -> Rule {
    Rule { method: "GET", path, role: Some(role) }
}

const fn act(method: &'static str, path: &'static str, role: Role) -> Rule {
    Rule { method, path, role: Some(role) }
}

/// Every address.
pub const TABLE: &[Rule] = &[
    open("GET", "/health"),
    open("GET", "/assets/{name}"),
    open("GET", "/sign-in"),
    open("POST", "/sign-in"),
    open("GET", "/welcome/{secret}"),
    open("POST", "/welcome/{secret}"),
    act("POST", "/sign-out", Viewer),
    look("/account"),
    act("POST", "/account", Viewer),
    // Pages.
    look("/"),
    look("/overview"),
    look("/campaigns/{id}"),
    see("/campaigns/{id}/menu", Manager),
    look("/campaigns/{id}/recipients"),
    look("/campaigns/{id}/recipients/{delivery}"),
    look("/campaigns/{id}/replies"),
    see("/campaigns/new", Manager),
    act("POST", "/campaigns/new", Manager),
    see("/campaigns/{id}/edit", Manager),
    act("POST", "/campaigns/{id}/edit", Manager),
    see("/campaigns/{id}/messages", Manager),
    act("POST", "/campaigns/{id}/messages", Manager),
    act("POST", "/preview", Manager),
    see("/campaigns/{id}/schedule", Manager),
    act("POST", "/campaigns/{id}/schedule", Manager),
    see("/campaigns/{id}/adjust", Manager),
    act("POST", "/campaigns/{id}/adjust", Manager),
    see("/campaigns/{id}/restart", Manager),
    act("POST", "/campaigns/{id}/restart", Manager),
    see("/campaigns/{id}/stop", Manager),
    act("POST", "/campaigns/{id}/stop", Manager),
    see("/campaigns/{id}/archive", Manager),
    act("POST", "/campaigns/{id}/archive", Manager),
    act("POST", "/campaigns/{id}/clone", Manager),
    act("POST", "/campaigns/{id}/clone-remaining", Manager),
    look("/campaigns/{id}/error"),
    act("POST", "/campaigns/{id}/hang_up", Manager),
    see("/campaigns/{id}/calls", Manager),
    act("POST", "/campaigns/{id}/calls", Manager),
    see("/campaigns/{id}/calls/{step}/sound", Manager),
    act("POST", "/campaigns/{id}/audio", Manager),
    act("POST", "/campaigns/{id}/release", Manager),
    look("/contacts"),
    act("POST", "/contacts", Manager),
    look("/contacts/lists/{id}"),
    act("POST", "/contacts/lists/{id}", Manager),
    see("/contacts/lists/{id}/add", Manager),
    act("POST", "/contacts/lists/{id}/add", Manager),
    act("POST", "/contacts/lists/{id}/rename", Manager),
    act("POST", "/contacts/lists/{id}/delete", Admin),
    see("/contacts/{number}/edit", Manager),
    act("POST", "/contacts/{number}/edit", Manager),
    act("POST", "/contacts/{number}/leave", Manager),
    look("/contacts/imports/{id}"),
    act("POST", "/contacts/imports/{id}", Manager),
    look("/contacts/do-not-contact"),
    act("POST", "/contacts/do-not-contact", Manager),
    act("POST", "/contacts/do-not-contact/import", Manager),
    look("/contacts/{number}"),
    act("POST", "/contacts/{number}/block", Manager),
    act("POST", "/contacts/{number}/unblock", Manager),
    act("POST", "/contacts/{number}/consent", Manager),
    act("POST", "/contacts/{number}/delete", Admin),
    look("/routes"),
    see("/routes/new", Admin),
    act("POST", "/routes/new", Admin),
    see("/routes/{id}", Manager),
    act("POST", "/routes/{id}", Admin),
    act("POST", "/routes/{id}/test", Manager),
    look("/routes/replies"),
    look("/routes/pools"),
    see("/routes/pools/new", Manager),
    act("POST", "/routes/pools/new", Manager),
    see("/routes/pools/{id}", Manager),
    act("POST", "/routes/pools/{id}", Manager),
    act("POST", "/routes/pools/{id}/remove", Manager),
    see("/settings", Admin),
    act("POST", "/settings", Admin),
    see("/settings/answers", Admin),
    act("POST", "/settings/answers", Admin),
    see("/settings/users", Admin),
    act("POST", "/settings/users/invite", Admin),
    act("POST", "/settings/users/{id}/role", Admin),
    act("POST", "/settings/users/{id}/remove", Admin),
    see("/settings/tokens", Admin),
    act("POST", "/settings/tokens", Admin),
    act("POST", "/settings/tokens/{id}/remove", Admin),
    see("/settings/webhooks", Admin),
    act("POST", "/settings/webhooks", Admin),
    see("/settings/webhooks/{id}", Admin),
    act("POST", "/settings/webhooks/{id}/test", Admin),
    act("POST", "/settings/webhooks/{id}/switch", Admin),
    act("POST", "/settings/webhooks/{id}/remove", Admin),
    act("POST", "/settings/webhooks/{id}/events/{event}/again", Admin),
    see("/settings/audit", Admin),
    // The API.
    open("GET", "/api/v1/openapi.json"),
    look("/api/v1/events"),
    look("/api/v1/campaigns"),
    act("POST", "/api/v1/campaigns", Manager),
    look("/api/v1/campaigns/{id}"),
    act("PATCH", "/api/v1/campaigns/{id}", Manager),
    act("PATCH", "/api/v1/campaigns/{id}/messages/{n}/send", Manager),
    act("POST", "/api/v1/campaigns/{id}/schedule", Manager),
    act("POST", "/api/v1/campaigns/{id}/stop", Manager),
    act("POST", "/api/v1/campaigns/{id}/restart", Manager),
    act("POST", "/api/v1/campaigns/{id}/hang_up", Manager),
    look("/api/v1/campaigns/{id}/error"),
    look("/api/v1/campaigns/{id}/deliveries/{delivery}"),
    look("/api/v1/audio"),
    act("POST", "/api/v1/audio", Manager),
    look("/api/v1/audio/{id}"),
    act("DELETE", "/api/v1/audio/{id}", Manager),
    act("POST", "/api/v1/campaigns/{id}/archive", Manager),
    act("POST", "/api/v1/campaigns/{id}/clone", Manager),
    act("POST", "/api/v1/campaigns/{id}/release", Manager),
    look("/api/v1/campaigns/{id}/timeline"),
    look("/api/v1/campaigns/{id}/replies"),
    look("/api/v1/campaigns/{id}/deliveries"),
    look("/api/v1/campaigns/{id}/deliveries.csv"),
    act("POST", "/api/v1/campaigns/{id}/test", Manager),
    act("POST", "/api/v1/campaigns/{id}/deliveries/{delivery}/settle", Manager),
    act("POST", "/campaigns/{id}/recipients/{delivery}/settle", Manager),
    look("/api/v1/lists"),
    act("POST", "/api/v1/lists", Manager),
    look("/api/v1/lists/{id}"),
    act("POST", "/api/v1/lists/{id}/contacts", Manager),
    look("/api/v1/imports/{id}"),
    look("/api/v1/imports/{id}/errors.csv"),
    look("/api/v1/routes"),
    act("POST", "/api/v1/routes", Admin),
    look("/api/v1/routes/{id}"),
    act("PATCH", "/api/v1/routes/{id}", Admin),
    look("/api/v1/replies"),
    look("/api/v1/pools"),
    act("POST", "/api/v1/pools", Manager),
    look("/api/v1/pools/{id}"),
    act("PATCH", "/api/v1/pools/{id}", Manager),
    act("DELETE", "/api/v1/pools/{id}", Manager),
    see("/api/v1/settings", Admin),
    act("PUT", "/api/v1/settings", Admin),
    see("/api/v1/webhooks", Admin),
    act("POST", "/api/v1/webhooks", Admin),
    see("/api/v1/webhooks/{id}", Admin),
    act("DELETE", "/api/v1/webhooks/{id}", Admin),
    see("/api/v1/webhooks/{id}/events", Admin),
    act("POST", "/api/v1/webhooks/{id}/test", Admin),
    act("POST", "/api/v1/webhooks/{id}/events/{event}/again", Admin),
    act("POST", "/api/v1/suppressions", Manager),
    act("POST", "/api/v1/suppressions/import", Manager),
    act("DELETE", "/api/v1/suppressions/{channel}/{number}", Manager),
];

/// The rule of an address; none if nobody may use it.
pub(crate) fn of(method: &Method, path: &str) -> Option<&'static Rule> {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    TABLE.iter().find(|rule| rule.method == method && rule.path == path)
}

/// The methods of an address, whoever may use them; none if there is no such address.
pub(crate) fn methods(path: &str) -> Vec<&'static str> {
    TABLE.iter().filter(|rule| rule.path == path).map(|rule| rule.method).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_stands_once() {
        for (at, rule) in TABLE.iter().enumerate() {
            assert!(!TABLE[..at].iter().any(|r| r.method == rule.method && r.path == rule.path), "{rule:?}");
        }
    }
}
