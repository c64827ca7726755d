//! The machine as a host sees it: many of them on a virtual wire, without weights.

mod faults;
mod rounds;
mod wire;

use wire::{Wire, node_key, spec};
