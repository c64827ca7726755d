//! What a network says of its own place, in the API's words: the same for a node in a run, in none, and a relay.

use super::{NodeStatus, WayState};
use crate::hub::News;

impl NodeStatus {
    /// With where it listens, how it can be reached, who is connected and how it finds others.
    #[must_use]
    pub fn placed(self, news: &News) -> Self {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let way = |status: &crate::swarm::WayStatus| {
            (status.way.name().to_owned(), WayState { state: status.state.clone(), found: count(status.found) })
        };
        Self {
            listen: news.listen.iter().map(ToString::to_string).collect(),
            reach: news.reach.name().to_owned(),
            addresses: news.addresses.iter().map(ToString::to_string).collect(),
            connected: count(news.peers.len()),
            ways: news.ways.iter().map(way).collect(),
            ..self
        }
    }
}
