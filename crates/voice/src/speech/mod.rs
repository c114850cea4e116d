//! Text to speech by programs and services of the user's own: a command, or HTTP in the shape of `OpenAI`.
//!
//! Keeps: at most two texts are rendered at once; one that fails is tried once more; a rendering takes 20 seconds at
//! most; what was rendered is kept in a folder of bounded size and rendered once.

mod cache;
mod command;
mod engine;
mod find;
mod http;

pub use cache::Cache;
pub use command::Command;
pub use engine::{Engine, Speech, SpeechError};
pub use find::{Found, find};
pub use http::Http;
