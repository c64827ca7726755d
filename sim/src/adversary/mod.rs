//! Nodes that lie about what they learned: a catalogue of attacks as pure code.
//!
//! ```text
//! own training, what honest nodes published ──> Sight ──> Attacker::forge ──> Forgery ──> body
//! ```
//! An [`Attacker`] is a learner turned bad. Its host trains it like any other node, shows it the round
//! as a [`Sight`], and publishes the [`Forgery`] in place of its own work. All else about it is an
//! honest machine: it announces, serves and mixes like others, its signatures hold, and what it
//! publishes decodes. It sees every honest delta of the round, colludes with the other attackers, and
//! is deterministic by seed.
//!
//! Attacks are named by text ([`Attack`] parses and prints it), so that a scenario can ask for them.
//! Nothing here reads what receivers think of a sender: an attack on the trust rule itself is a blend
//! whose share somebody scanned for.
//!
//! A delta is a pseudo-gradient, as everywhere: what is *subtracted* from the weights.

mod attack;
mod attacker;
mod colluding;
mod crowd;
mod data;
mod direction;
mod idle;
mod name;
mod opposing;
mod slices;
mod steering;
mod wire;

pub use attack::Attack;
pub use attacker::{Attacker, Plot, Sight};
pub use crowd::Crowd;
pub use data::{Trigger, flip_labels};
pub use name::NameError;
pub(crate) use wire::PREFIX;
