//! Dispatch: claims due waves, hands batches to routes, accounts for every result.
//!
//! One [`Engine::cycle`] is one turn: what routes reported and what is to be claimed go to the store in
//! one transaction, and only what is claimed there is handed to a route. Time comes in as an argument,
//! so that a campaign of three days runs in a test in milliseconds.

mod dispatch;
mod fate;
mod rate;
mod route;

pub use dispatch::{Engine, Waiting, WaitingReason};
pub use store::Receipt;

pub use route::{Attempt, Batch, Outgoing, Refusal, Report, Reports, Route, RouteState};
