//! The runs of a node as the API sees them, and how they make one status.

use std::sync::Arc;

use tokio::sync::watch;

use super::status::{NodeState, NodeStatus, PeerStatus, RunStatus, Snapshot};
use crate::hub::HubHandle;
use crate::serve::ServedRun;

/// Who there is to ask.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    /// The last words of the runs that the node is in, in the order in which they were joined.
    pub members: Vec<watch::Receiver<Snapshot>>,
    /// The runs that questions are answered for, in the same order.
    pub served: Vec<ServedRun>,
    /// Ids and names of the runs that it only offers.
    pub offered: Vec<(String, String)>,
    /// What is known of a node that is in no run.
    pub node: NodeStatus,
    /// Where addresses and bytes are asked for, while the node is in no run.
    pub hub: Option<HubHandle>,
}

impl Roster {
    /// Status and peers of this moment: the node as its first run sees it, and all its runs.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut status = self.members.first().map_or_else(|| self.idle(), |first| first.borrow().status.clone());
        let mut peers: Vec<PeerStatus> = Vec::new();
        for member in &self.members {
            let snapshot = member.borrow();
            let mut run = RunStatus::of(&snapshot.status);
            if member.has_changed().is_err() && run.state != NodeState::Stopping {
                run.state = NodeState::Failed;
            }
            status.runs.push(run);
            peers.extend(snapshot.peers.iter().cloned().map(|peer| PeerStatus { run: snapshot.status.run.clone(), ..peer }));
        }
        if let (true, Some(hub)) = (self.members.is_empty(), &self.hub) {
            peers.extend(hub.news().borrow().peers.iter().map(PeerStatus::connected));
        }
        let offered = self.offered.iter().cloned();
        let offered = offered.map(|(run, name)| RunStatus { run, name, state: NodeState::Idle, ..RunStatus::default() });
        status.runs.extend(offered);
        Snapshot { status, peers }
    }

    /// Whether a run is going on, or none was meant to.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.members.is_empty() || self.members.iter().any(|member| member.has_changed().is_ok())
    }

    fn idle(&self) -> NodeStatus {
        let state = if self.node.state == NodeState::Relaying { NodeState::Relaying } else { NodeState::Idle };
        let mut status = NodeStatus { state, ..self.node.clone() };
        if let Some(hub) = &self.hub {
            (status.sent_bytes, status.received_bytes) = hub.byte_counts();
            status = status.placed(&Arc::clone(&hub.news().borrow()));
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::snapshot;

    #[test]
    fn the_first_run_speaks_for_the_node_and_all_are_listed() {
        let (first, one) = watch::channel(snapshot());
        let mut other = snapshot();
        (other.status.run, other.status.round) = ("99".repeat(32), 3);
        let (second, two) = watch::channel(other);
        let offered = vec![("77".repeat(32), "spare".to_owned())];
        let roster = Roster { members: vec![one, two], offered, ..Roster::default() };
        let now = roster.snapshot();
        assert_eq!((now.status.round, now.status.run), (12, "cd".repeat(32)));
        let runs: Vec<_> = now.status.runs.iter().map(|run| (run.round, run.state)).collect();
        assert_eq!(runs, [(12, NodeState::Training), (3, NodeState::Training), (0, NodeState::Idle)]);
        assert_eq!(now.peers.iter().filter(|peer| peer.run == "99".repeat(32)).count(), 2);
        drop(second);
        assert_eq!(roster.snapshot().status.runs[1].state, NodeState::Failed);
        assert!(roster.is_alive());
        drop(first);
        assert!(!roster.is_alive());
        assert_eq!(Roster::default().snapshot().status.state, NodeState::Idle);
    }
}
