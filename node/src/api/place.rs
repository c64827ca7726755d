//! What a network says of its own place, as the API says it: the same for a node and for a relay.

use std::collections::BTreeMap;

use super::WayState;
use crate::swarm::Network;

/// How a node can be reached and how it finds others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceStatus {
    /// The name of a [`crate::swarm::Reach`].
    pub reach: String,
    /// The addresses that others are told.
    pub addresses: Vec<String>,
    /// By the names of [`crate::swarm::Way`].
    pub ways: BTreeMap<String, WayState>,
}

impl PlaceStatus {
    /// As of now.
    #[must_use]
    pub fn of(network: &Network) -> Self {
        let (reach, addresses) = network.reach();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let way = |status: crate::swarm::WayStatus| {
            (status.way.name().to_owned(), WayState { state: status.state, found: count(status.found) })
        };
        Self {
            reach: reach.name().to_owned(),
            addresses: addresses.iter().map(ToString::to_string).collect(),
            ways: network.ways().into_iter().map(way).collect(),
        }
    }
}
