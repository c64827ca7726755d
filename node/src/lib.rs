//! The Shoal node: the real world around the protocol.
pub mod identity;
pub mod store;
pub mod swarm;
