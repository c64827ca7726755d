//! Answering with what was learned: a run's model as whoever asks this node sees it.
//!
//! ```text
//!   desk ──after a mix──> ServedWeights ──watch──> ServedRun ──with a question──> Engine ──> answer
//! ```
//! The learner puts weights out and never waits for anybody who reads them; an answer is computed from
//! one set of weights and says of which round. All answers of a node are computed by one thread, the
//! [`Engine`], that gives way to those that train. Without a running node the last checkpoint answers
//! ([`AtRest`]).
//!
//! Decides nothing about who may ask, and knows no HTTP.

mod at_rest;
mod engine;
mod hands;
mod run;
mod turns;

pub use at_rest::{AtRest, AtRestError};
pub use engine::{Engine, Predicted, Prediction, ServeError, Text};
pub use run::{ServedRun, ServedSender, ServedWeights};
pub use turns::Piece;

#[cfg(test)]
pub(crate) use engine::tests;
