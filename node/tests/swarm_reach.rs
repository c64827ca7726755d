//! Who can reach whom: through a relay, past the gate, with and without a private network's secret.
//!
//! All on loopback, so nothing here punches a hole: a node that nobody can reach is one that listens
//! nowhere. Every test waits for events, with one bound over the whole.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod swarm_nodes;

use std::collections::HashSet;
use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::core::transport::upgrade::Version;
use libp2p::futures::StreamExt;
use libp2p::identity::Keypair;
use libp2p::pnet::{PnetConfig, PreSharedKey};
use libp2p::swarm::{Config, DialError, SwarmEvent, dummy};
use libp2p::{Swarm, Transport, noise, tcp};
use shoal_node::identity::{Identity, peer_of};
use shoal_node::networks::Scope;
use shoal_node::swarm::{Network, NetworkError, NetworkEvent, Reach, Secret};
use swarm_nodes::{Nodes, RUN, config, quic, tcp};

const BOUND: Duration = Duration::from_secs(60);

/// The first can be called, the others only call; they have nothing in common but the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_listens_nowhere_is_reached_through_a_relay() {
    let mut nodes = Nodes { networks: Vec::new(), ids: Vec::new() };
    let mut open = config();
    open.scope = Scope::Internet;
    nodes.add(&Identity::generate(), open).await;
    let relay = format!("{}/p2p/{}", nodes.networks[0].listen_addresses()[0], peer_of(&nodes.ids[0]).unwrap());
    for _ in 0..2 {
        let mut hidden = config();
        hidden.scope = Scope::Internet;
        hidden.listen = Vec::new();
        hidden.bootstrap = vec![relay.parse().unwrap()];
        let identity = Identity::generate();
        let mut network = Network::new(hidden, identity.keypair()).unwrap();
        network.join_run(RUN).unwrap();
        nodes.networks.push(network);
        nodes.ids.push(identity.node_id());
    }
    let (one, two) = (nodes.ids[1], nodes.ids[2]);
    let mut met = HashSet::new();
    nodes
        .until(|_, index, event| {
            if let NetworkEvent::PeerUp { peer, .. } = event
                && ((index == 1 && peer == two) || (index == 2 && peer == one))
            {
                met.insert(index);
            }
            met.len() == 2
        })
        .await;
    let link = nodes.networks[1].peers().into_iter().find(|peer| peer.node == two).unwrap();
    assert!(link.relayed, "{}", link.address);
    let reach: Vec<Reach> = nodes.networks.iter().map(|network| network.reach().0).collect();
    assert_eq!(reach[0], Reach::Local);
    assert!(reach[1..].contains(&Reach::Relayed), "{reach:?}");
    let told = nodes.networks[1..].iter().flat_map(|network| network.reach().1).collect::<Vec<_>>();
    assert!(told.iter().all(|address| address.to_string().contains("/p2p-circuit/")), "{told:?}");
}

/// The network asks for work; who has none is refused, and the others do not notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_without_work_is_refused() {
    const BITS: u8 = 6;
    let mut nodes = Nodes { networks: Vec::new(), ids: Vec::new() };
    let mut asks = config();
    asks.identity_bits = BITS;
    nodes.add(&Identity::generate_with_work(BITS), asks.clone()).await;
    asks.bootstrap = vec![nodes.networks[0].listen_addresses()[0].clone()];
    let idle = loop {
        let identity = Identity::generate();
        if shoal_node::identity::work_bits(&identity.node_id()) < BITS {
            break identity;
        }
    };
    // It does not ask for work itself, so it calls; 0 is asked alone whether to let it in.
    let mut careless = asks.clone();
    careless.identity_bits = 0;
    nodes.add(&idle, careless).await;
    nodes.add(&Identity::generate_with_work(BITS), asks).await;
    let mut met = HashSet::new();
    nodes
        .until(|_, index, event| {
            if let NetworkEvent::PeerUp { peer, .. } = event {
                assert!(index != 0 || peer != idle.node_id(), "it was let in");
                met.insert(index);
            }
            met.contains(&0) && met.contains(&2)
        })
        .await;
    assert!(nodes.networks[0].peers().iter().all(|peer| peer.node != idle.node_id() || !peer.is_in(&RUN)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_secret_nothing_can_be_said() {
    let secret = Secret([42; 32]);
    let mut nodes = Nodes::new(2, |config| config.secret = Some(secret)).await;
    nodes.meet().await;
    let address = nodes.networks[0].listen_addresses()[0].clone();
    let cases = [(None, true), (Some([43; 32]), true), (Some([42; 32]), false)];
    for (with, refused) in cases {
        let mut dials = Box::pin(dialled(address.clone(), with));
        let outcome = async {
            loop {
                tokio::select! {
                    outcome = &mut dials => return outcome,
                    // The node lives on meanwhile, or nobody would refuse.
                    _ = nodes.networks[0].next_event() => {}
                }
            }
        };
        let outcome = tokio::time::timeout(BOUND, outcome).await.unwrap();
        assert_eq!(outcome.is_err(), refused, "{with:?}: {outcome:?}");
    }
}

/// Plain libp2p, with or without some secret, calls an address.
async fn dialled(address: Multiaddr, secret: Option<[u8; 32]>) -> Result<(), DialError> {
    let key = Keypair::generate_ed25519();
    let noise = noise::Config::new(&key).unwrap();
    let socket = tcp::tokio::Transport::default();
    let yamux = libp2p::yamux::Config::default;
    let transport = match secret {
        Some(secret) => socket
            .and_then(move |socket, _| PnetConfig::new(PreSharedKey::new(secret)).handshake(socket))
            .upgrade(Version::V1Lazy)
            .authenticate(noise)
            .multiplex(yamux())
            .timeout(Duration::from_secs(15))
            .boxed(),
        None => socket.upgrade(Version::V1Lazy).authenticate(noise).multiplex(yamux()).timeout(Duration::from_secs(15)).boxed(),
    };
    let mut swarm = Swarm::new(transport, dummy::Behaviour, key.public().to_peer_id(), Config::with_tokio_executor());
    swarm.dial(address).unwrap();
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::ConnectionEstablished { .. } => return Ok(()),
            SwarmEvent::OutgoingConnectionError { error, .. } => return Err(error),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_private_network_speaks_tcp_only() {
    let private = |listen| {
        let mut config = config();
        config.secret = Some(Secret([1; 32]));
        config.listen = listen;
        Network::new(config, Identity::generate().keypair())
    };
    assert!(matches!(private(vec![quic()]), Err(NetworkError::SecretNeedsTcp)));
    let mut network = private(vec![tcp(), quic()]).unwrap();
    let listening = async {
        loop {
            if let NetworkEvent::Listening { address } = network.next_event().await {
                return address;
            }
        }
    };
    let address = tokio::time::timeout(BOUND, listening).await.unwrap();
    assert!(address.to_string().contains("/tcp/"));
    assert_eq!(network.listen_addresses(), [address]);
}
