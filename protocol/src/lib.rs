//! What Shoal nodes say to each other and compute alike.
pub mod delta;
pub mod id;
pub mod layout;
pub mod spec;
pub mod time;
