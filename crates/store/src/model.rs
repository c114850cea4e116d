//! What the store keeps and hands out, free of any database.

mod audit;
mod campaign;
mod change;
mod contact;
mod definition;
mod delivery;
mod flat;
mod pool;
mod reply;
mod route;
mod secret;
mod settings;
mod smpp;
mod turn;
mod user;
mod webhook;

pub use self::{
    audit::*, campaign::*, change::*, contact::*, definition::*, delivery::*, pool::*, reply::*, route::*,
    secret::Secret, settings::*, smpp::*, turn::*, user::*, webhook::*,
};
