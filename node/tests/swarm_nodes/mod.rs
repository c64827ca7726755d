//! Several networks in one task, driven together, so that a test sees every event in turn.

use std::collections::HashSet;
use std::time::Duration;

use futures::future::select_all;
use libp2p::Multiaddr;
use shoal_node::identity::Identity;
use shoal_node::swarm::{Network, NetworkConfig, NetworkEvent, NetworkName};
use shoal_protocol::id::{NodeId, RunId};

/// The bound over a whole wait. Nothing waits for it; a test that meets it has failed.
const BOUND: Duration = Duration::from_secs(60);

/// The run that all of them are in.
pub const RUN: RunId = RunId([5; 32]);

pub fn tcp() -> Multiaddr {
    "/ip4/127.0.0.1/tcp/0".parse().unwrap()
}

#[allow(dead_code, reason = "not every test file needs it")]
pub fn quic() -> Multiaddr {
    "/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()
}

/// A node on TCP that calls nobody.
pub fn config() -> NetworkConfig {
    let mut config = NetworkConfig::new(NetworkName::new("local").unwrap());
    config.listen = vec![tcp()];
    config.heartbeat = Duration::from_millis(300);
    config
}

pub struct Nodes {
    pub networks: Vec<Network>,
    pub ids: Vec<NodeId>,
}

impl Nodes {
    /// So many nodes; all but the first are given the first one's address and nothing else.
    #[allow(dead_code, reason = "not every test file needs it")]
    pub async fn new(count: usize, change: impl Fn(&mut NetworkConfig)) -> Self {
        let mut nodes = Self { networks: Vec::new(), ids: Vec::new() };
        for _ in 0..count {
            let mut config = config();
            change(&mut config);
            config.bootstrap = nodes.networks.first().map(|first| first.listen_addresses()[0].clone()).into_iter().collect();
            nodes.add(&Identity::generate(), config).await;
        }
        nodes
    }

    /// One more; returns once it listens everywhere.
    pub async fn add(&mut self, identity: &Identity, config: NetworkConfig) {
        self.add_to(RUN, identity, config).await;
    }

    /// One more, in another run.
    pub async fn add_to(&mut self, run: RunId, identity: &Identity, config: NetworkConfig) {
        let places = config.listen.len();
        let mut network = Network::new(config, identity.keypair()).unwrap();
        network.join_run(run).unwrap();
        self.networks.push(network);
        self.ids.push(identity.node_id());
        let newest = self.networks.len() - 1;
        let mut listening = 0;
        self.until(|_, index, event| {
            listening += usize::from(index == newest && matches!(event, NetworkEvent::Listening { .. }));
            listening == places
        })
        .await;
    }

    /// Runs all of them until `done` says so of an event.
    pub async fn until(&mut self, mut done: impl FnMut(&mut [Network], usize, NetworkEvent) -> bool) {
        let networks = &mut self.networks;
        let wait = async {
            loop {
                let (event, index, _) = select_all(networks.iter_mut().map(|network| Box::pin(network.next_event()))).await;
                if done(networks, index, event) {
                    return;
                }
            }
        };
        tokio::time::timeout(BOUND, wait).await.expect("it did not happen in time");
    }

    /// Until everybody has seen everybody else come up.
    #[allow(dead_code, reason = "not every test file needs it")]
    pub async fn meet(&mut self) {
        let count = self.networks.len();
        let mut met: HashSet<(usize, NodeId)> = HashSet::new();
        self.until(|networks, index, event| {
            match event {
                NetworkEvent::PeerUp { run: RUN, peer, prefix } => {
                    assert_eq!(prefix, None, "loopback has no prefix");
                    assert!(met.insert((index, peer)), "up twice");
                }
                NetworkEvent::PeerDown { run: RUN, peer } => {
                    met.remove(&(index, peer));
                }
                _ => {}
            }
            networks.iter().all(|network| network.peers().iter().filter(|peer| peer.is_in(&RUN)).count() == count - 1)
        })
        .await;
    }
}
