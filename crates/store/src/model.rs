//! What the store keeps and hands out, free of any database.

mod campaign;
mod contact;
mod definition;
mod delivery;
mod route;
mod turn;

pub use self::{campaign::*, contact::*, definition::*, delivery::*, route::*, turn::*};
