//! What Shoal nodes say to each other and compute alike.
pub mod body;
pub mod delta;
pub mod id;
pub mod layout;
pub mod mix;
pub mod replica;
pub mod slice;
pub mod spec;
pub mod state;
pub mod time;
pub mod trust;
