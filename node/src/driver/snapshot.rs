//! What a node says of itself, and the addresses it notes for its next start.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use shoal_protocol::id::NodeId;
use shoal_protocol::round::Phase;
use shoal_protocol::view::Seen;

use super::Driver;
use crate::api::{NodeState, NodeStatus, PeerStatus, Snapshot};
use crate::learner::lock;
use crate::swarm::PeerInfo;

/// Addresses noted for one peer.
const ADDRESSES_MAX: usize = 4;

impl Driver {
    pub(super) fn tell_status(&self, stopping: bool) {
        let news = self.line.news();
        let peers = self.peer.view().iter().map(|(peer, seen)| self.peer_status(peer, seen, &news.peers)).collect();
        self.status.send_replace(Snapshot { status: self.node_status(stopping), peers });
    }

    fn state(&self, stopping: bool) -> NodeState {
        match self.peer.phase() {
            _ if stopping => NodeState::Stopping,
            Phase::Waiting | Phase::Joining if self.mixed.is_some() => NodeState::Resyncing,
            Phase::Waiting | Phase::Joining => NodeState::Joining,
            Phase::Training => NodeState::Training,
            Phase::Collecting | Phase::Applying => NodeState::Collecting,
            Phase::Done => NodeState::Done,
        }
    }

    fn node_status(&self, stopping: bool) -> NodeStatus {
        let (sent_bytes, received_bytes) = self.line.byte_counts();
        let mixed = self.mixed.as_ref();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        NodeStatus {
            network: self.names.network.clone(),
            node: self.peer.me().to_string(),
            run: self.names.run.clone(),
            name: self.names.name.clone(),
            state: self.state(stopping),
            round: self.peer.round(),
            steps: mixed.map_or(0, |mixed| mixed.steps),
            accuracy: self.accuracy,
            loss: mixed.and_then(|mixed| mixed.loss),
            peers_known: count(self.peer.view().live_count(self.now()) - 1),
            peers_heard: mixed.map_or(0, |mixed| count(mixed.heard)),
            sent_bytes,
            received_bytes,
            rejects: self.peer.rejects().seen().map(|(reject, count)| (reject.label().to_owned(), count)).collect(),
            uptime_s: self.started.elapsed().as_secs(),
            weights: mixed.map(|mixed| mixed.weights.to_string()),
            trouble: self.trouble.clone(),
            ..NodeStatus::default()
        }
        .placed(&self.line.news())
    }

    fn peer_status(&self, peer: &NodeId, seen: &Seen, connected: &[PeerInfo]) -> PeerStatus {
        let trust = self.mixed.as_ref().and_then(|mixed| mixed.trust.iter().find(|(author, _)| author == peer));
        let link = connected.iter().find(|info| info.node == *peer);
        PeerStatus {
            node: peer.to_string(),
            round: seen.heard.map_or(0, |heard| heard.round),
            heard_s: seen.heard.map(|_| self.now().since(seen.at).0 / 1_000_000),
            standing: trust.map_or(1.0, |&(_, trust)| f64::from(trust)),
            last_fault: self.peer.standing().record(peer).map(|record| record.reason.label().to_owned()),
            received_bytes: self.answers_from.get(peer).copied().unwrap_or(0),
            run: self.names.run.clone(),
            ..PeerStatus::default()
        }
        .linked(link)
    }

    /// Writes down where the peers of the run can be reached, for the next start.
    pub(super) fn remember_peers(&mut self) {
        let known: BTreeSet<NodeId> = self.peer.view().iter().map(|(&peer, _)| peer).collect();
        self.answers_from.retain(|peer, _| known.contains(peer));
        let Some(store) = &self.store else { return };
        let seen = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (news, run) = (self.line.news(), self.line.run());
        for info in news.peers.iter().filter(|info| info.is_in(&run) && !info.listens.is_empty()) {
            let addresses = &info.listens[..info.listens.len().min(ADDRESSES_MAX)];
            let noted = lock(store).remember_peer(info.node, addresses, seen);
            if let Err(error) = noted {
                return tracing::warn!("{error}");
            }
        }
    }
}
