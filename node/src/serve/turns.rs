//! Texts that go on side by side, a token at a time, each in its turn.
//!
//! So a long text holds up neither a short one nor a prediction for longer than a few tokens take.

use std::collections::VecDeque;

use shoal_ml::{Finish, GenerateError, Generation, Step};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::UnboundedSender;

/// Texts that go on at once. More share the same thread, so they would only all be slower (a guess).
const GOING_MAX: usize = 4;

/// What comes of a text while it goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// More text.
    Text(String),
    /// It is at its end.
    Done {
        /// The last of it.
        text: String,
        /// Why.
        finish: Finish,
        /// Tokens made.
        made_tokens: usize,
    },
    /// It cannot go on.
    Failed(GenerateError),
}

/// A text and who waits for it. The permit is its place in the queue.
pub(super) struct Going {
    pub(super) generation: Generation,
    pub(super) pieces: UnboundedSender<Piece>,
    pub(super) _permit: OwnedSemaphorePermit,
}

/// All texts of the engine: those that go on, and those whose turn comes when one ends.
#[derive(Default)]
pub(super) struct Turns {
    going: Vec<Going>,
    waiting: VecDeque<Going>,
}

impl Turns {
    pub(super) fn add(&mut self, going: Going) {
        self.waiting.push_back(going);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.going.is_empty() && self.waiting.is_empty()
    }

    /// One step of each text that goes on. A text for which nobody waits any more ends.
    pub(super) fn step(&mut self) {
        while self.going.len() < GOING_MAX
            && let Some(next) = self.waiting.pop_front()
        {
            self.going.push(next);
        }
        self.going.retain_mut(|going| {
            let (piece, goes_on) = match going.generation.step() {
                Ok(Step::Quiet) => return !going.pieces.is_closed(),
                Ok(Step::Text(text)) => (Piece::Text(text), true),
                Ok(Step::Done(text, finish)) => {
                    (Piece::Done { text, finish, made_tokens: going.generation.made_tokens() }, false)
                }
                Err(error) => (Piece::Failed(error), false),
            };
            going.pieces.send(piece).is_ok() && goes_on
        });
    }
}
