//! The catalogue: which runs a network has, asked from node to node.
//!
//! Every node answers two questions of anybody: "which runs do you offer or take part in" and "give me
//! the spec of this run". A spec certifies itself: its hash must be the run's id, so it does not matter
//! whom it came from. All other figures are claims, and are shown as reported: the median of those who
//! say something of a run. Nobody keeps the catalogue; whoever wants to know asks around.
//!
//! | room | decides |
//! | --- | --- |
//! | `wire` | the questions and answers as bytes |
//! | `shelf` | what this node answers |
//! | `look` | what the answers of others come to |

mod look;
mod shelf;
mod wire;

pub use look::{FetchError, Offer, fetch, list, look_around};
pub use shelf::{Shelf, ShelfItem};
pub use wire::{ANSWER_BYTES_MAX, Answer, CatalogueError, ENTRIES_MAX, Entry, LIST_BYTES_MAX, Question};
