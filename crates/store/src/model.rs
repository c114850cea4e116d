//! What the store keeps and hands out, free of any database.

mod audit;
mod call;
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
mod sip;
mod smpp;
mod turn;
mod user;
mod webhook;

pub use self::{
    audit::*, call::*, campaign::*, change::*, contact::*, definition::*, delivery::*, pool::*, reply::*,
    route::*, secret::Secret, settings::*, sip::*, smpp::*, turn::*, user::*, webhook::*,
};
