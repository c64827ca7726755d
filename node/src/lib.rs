//! The Shoal node: the real world around the machine of `shoal-protocol`.
//!
//! Module list only. Which way things may flow is told in docs/ARCHITECTURE.md.
pub mod api;
pub mod atomic;
pub mod cli;
pub mod config;
pub mod identity;
pub mod report;
pub mod store;
pub mod swarm;
