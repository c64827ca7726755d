//! The Shoal node: the real world around the machine of `shoal-protocol`.
//!
//! Module list only. Which way things may flow is told in docs/ARCHITECTURE.md.
pub mod api;
pub mod assets;
pub mod atomic;
pub mod catalogue;
pub mod cli;
pub mod config;
pub mod demo;
pub mod driver;
pub mod hub;
pub mod identity;
pub mod learner;
pub mod networks;
pub mod report;
pub mod run;
pub mod runs;
pub mod serve;
pub mod start;
pub mod store;
pub mod swarm;
pub mod ticket;
pub mod visit;
