//! Dispatch: claims due waves, hands batches to routes, accounts for every result.
//!
//! One [`Engine::cycle`] is one turn: what routes reported and what is to be claimed go to the store in one
//! transaction, and only what is claimed there is handed to a route. Time comes in as an argument, so that a campaign
//! of three days runs in a test in milliseconds. [`Engine::run`] takes turns by the machine's clock.

mod ahead;
mod answer;
mod calls;
mod choose;
mod clock;
mod crowded;
mod dispatch;
mod fate;
mod hand_over;
mod limits;
mod refusal;
mod route;
mod service;
mod traffic;
mod trunk;
mod waiting;

pub use ahead::Renderer;
pub use calls::{CallEnd, CallReport, Calls, Live, OutgoingCall, Phase, TestCall};
pub use dispatch::Engine;
pub use service::Handle;
pub use store::{
    BindMode, CallEvent, CallOutcome, CallRow, DefaultAlphabet, ExchangedMessage, LongText, NumberForm,
    OptOuts, Part, Receipt, Refusal, Refusals, Reply, RouteConfig, RouteKind, SipCodec, SipConfig,
    SipTransport, SmppConfig,
};
pub use traffic::{Refused, Traffic};
pub use waiting::{Waiting, WaitingReason};

pub use route::{Ack, Attempt, Batch, Connect, Job, Outgoing, Report, Reports, Route, RouteState, Trouble};
