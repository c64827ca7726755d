//! How the node's own gossip spreads an announce through thirty nodes on loopback: what share of them
//! it reaches, in how many copies and over how many hops. These figures are the simulator's gossip
//! model; this test is where they come from.
//!
//! Copies are counted by bytes on the sockets. The same number of messages is sent twice, in two
//! lengths, over the same connections: control messages, keep-alives and envelopes are the same both
//! times, so the difference of what was sent, over the difference of the lengths, is how often a
//! message travelled. Both lengths lie below the 1,000 bytes from which gossipsub calls off copies
//! with IDONTWANT, as announces do.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod swarm_nodes;

use std::collections::HashMap;
use std::time::Duration;

use futures::future::select_all;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::index::sample;
use shoal_node::identity::Identity;
use shoal_node::swarm::{Network, NetworkEvent, Verdict};
use shoal_protocol::id::NodeId;
use shoal_protocol::seal::SEALED_BYTES;
use shoal_sim::{GossipSpec, Scenario, simulate};
use swarm_nodes::{Nodes, RUN};
use tokio::time::{MissedTickBehavior, interval, timeout};

const NODES: usize = 30;
/// Messages of each node and length.
const MESSAGES: usize = 20;
/// The longer message: as long as stays below gossipsub's IDONTWANT.
const LONG_BYTES: usize = 900;
/// From one message of anybody to the next: far longer than one takes to spread on loopback, so that
/// messages do not queue behind each other, as announces do not in a round of seconds.
const PACE: Duration = Duration::from_millis(8);
/// Messages before anything is counted: heartbeats must pass until meshes have formed. At this pace and
/// the tests' heartbeat of 0.3 s it is five of them.
const WARM_UP: usize = 200;
/// Bound over one phase, of which the pace takes some five seconds.
const BOUND: Duration = Duration::from_secs(60);

/// How far the model's copies may be from the measured. One swarm differs from the next by a tenth: a
/// mesh that has been pruned holds 3 to 4 peers by chance. The model's is always filled to 4, and so
/// it makes an eighth more copies in the mean where everybody is connected with everybody.
const MODEL_WITHIN: f64 = 0.3;

/// Mean hops of the three topologies. An author reaches all its peers in one: with 16 of 29 the mean cannot
/// be below 1.44, and the rest should be one step further.
const MEAN_HOPS_MAX: [f64; 3] = [1.5, 2.0, 3.0];

/// What became of one phase's messages.
#[derive(Debug, Default)]
struct Spread {
    messages: usize,
    deliveries: usize,
    /// Deliveries by the number of hops from the author.
    hops: Vec<usize>,
    sent_bytes: u64,
}

/// One topology's figures.
#[derive(Debug)]
struct Figures {
    delivered: f64,
    copies: f64,
    mean_hops: f64,
    most_hops: usize,
}

/// A message: which one, its author, then as much as it takes.
fn message(number: u32, author: usize, bytes: usize) -> Vec<u8> {
    let mut message = vec![0x5a; bytes];
    message[..4].copy_from_slice(&number.to_le_bytes());
    message[4] = author as u8;
    message
}

/// Sends `count` messages in turn from everybody, one a [`PACE`], until each has come everywhere or
/// nothing more has come for a while. `first` keeps the numbers of phases apart.
async fn spread(nodes: &mut Nodes, first: u32, count: usize, bytes: usize) -> Spread {
    let index_of: HashMap<NodeId, usize> = nodes.ids.iter().enumerate().map(|(index, &id)| (id, index)).collect();
    let networks = &mut nodes.networks;
    let sent = |networks: &[Network]| networks.iter().map(|network| network.byte_counts().0).sum::<u64>();
    let before = sent(networks);
    let mut distance: HashMap<(u32, usize), usize> = HashMap::new();
    let mut result = Spread { messages: count, ..Spread::default() };
    let mut published = 0;
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let everything = async {
        while published < count || result.deliveries < count * (NODES - 1) {
            let event = tokio::select! {
                (event, index, _) = select_all(networks.iter_mut().map(|network| Box::pin(network.next_event()))) => Some((event, index)),
                _ = pace.tick(), if published < count => None,
            };
            let Some((event, index)) = event else {
                let (number, author) = (first + published as u32, published % NODES);
                distance.insert((number, author), 0);
                networks[author].publish(&RUN, message(number, author, bytes)).unwrap();
                published += 1;
                continue;
            };
            let NetworkEvent::Gossip { ticket, source, data, .. } = event else { continue };
            networks[index].validate(&ticket, Verdict::Accept);
            let number = u32::from_le_bytes(data[..4].try_into().unwrap());
            if (first..first + count as u32).contains(&number) {
                let hop = distance[&(number, index_of[&source])] + 1;
                assert!(distance.insert((number, index), hop).is_none(), "delivered twice");
                result.deliveries += 1;
                result.hops.resize(result.hops.len().max(hop + 1), 0);
                result.hops[hop] += 1;
            }
        }
    };
    // What is lost shows in the figures: the bound only ends the waiting for it.
    let _ = timeout(BOUND, everything).await;
    result.sent_bytes = sent(networks) - before;
    result
}

/// Nodes as they come to know each other by themselves: all but the first call the first and find the
/// rest. Returns once each has as many peers as it seeks.
async fn meet(peers_target: usize) -> Nodes {
    let mut nodes = Nodes::new(NODES, |config| config.peers_target = peers_target).await;
    nodes.until(|networks, _, _| networks.iter().all(|network| in_run(network) >= peers_target)).await;
    nodes
}

/// Nodes in a random graph, as a network of hundreds looks from within: each calls six of those that
/// were there before it, and as none answers Kademlia, that is all they find.
async fn meet_few() -> Nodes {
    let mut nodes = Nodes { networks: Vec::new(), ids: Vec::new() };
    let mut random = StdRng::seed_from_u64(1);
    let mut links = 0;
    for index in 0..NODES {
        let mut config = swarm_nodes::config();
        config.server = false;
        let called = sample(&mut random, index, index.min(6));
        links += called.len();
        config.bootstrap = called.iter().map(|place| nodes.networks[place].listen_addresses()[0].clone()).collect();
        nodes.add(&Identity::generate(), config).await;
    }
    nodes.until(|networks, _, _| networks.iter().map(in_run).sum::<usize>() >= 2 * links).await;
    nodes
}

fn in_run(network: &Network) -> usize {
    network.peers().iter().filter(|peer| peer.is_in(&RUN)).count()
}

async fn measure(name: &str, mut nodes: Nodes) -> Figures {
    spread(&mut nodes, 0, WARM_UP, SEALED_BYTES).await;
    let count = NODES * MESSAGES;
    let short = spread(&mut nodes, 10_000, count, SEALED_BYTES).await;
    let long = spread(&mut nodes, 20_000, count, LONG_BYTES).await;
    let peers: Vec<usize> = nodes.networks.iter().map(in_run).collect();

    let deliveries = short.deliveries + long.deliveries;
    let hops: Vec<usize> = (0..short.hops.len().max(long.hops.len()))
        .map(|hop| [&short, &long].iter().filter_map(|spread| spread.hops.get(hop)).sum())
        .collect();
    let extra_bytes = long.sent_bytes as f64 - short.sent_bytes as f64;
    let figures = Figures {
        delivered: deliveries as f64 / ((short.messages + long.messages) * (NODES - 1)) as f64,
        copies: extra_bytes / (LONG_BYTES - SEALED_BYTES) as f64 / long.deliveries as f64,
        mean_hops: hops.iter().enumerate().map(|(hop, count)| hop * count).sum::<usize>() as f64 / deliveries as f64,
        most_hops: hops.len() - 1,
    };
    println!(
        "{name}: {} to {} peers a node (mean {:.1}); delivered {:.4}, {:.2} copies a delivery, {:.2} hops ({hops:?}), {} bytes a message and node",
        peers.iter().min().unwrap(),
        peers.iter().max().unwrap(),
        peers.iter().sum::<usize>() as f64 / NODES as f64,
        figures.delivered,
        figures.copies,
        figures.mean_hops,
        short.sent_bytes / (count * NODES) as u64,
    );
    figures
}

/// What the simulator's model makes of thirty nodes that dial so many peers each (0: everybody): the
/// share delivered, and copies a delivery. What they train on does not matter to gossip.
fn modelled(connections: usize) -> (f64, f64) {
    let scenario = Scenario {
        nodes: NODES,
        rounds: MESSAGES as u64,
        data: "quadratic".to_owned(),
        inline_bytes_max: 0,
        gossip: GossipSpec { connections, ..GossipSpec::default() },
        ..Scenario::default()
    };
    let traffic = simulate(&scenario, 1, &mut |_| {}).unwrap().traffic;
    let (deliveries, possible) = (traffic.gossip_deliveries as f64, traffic.gossip_possible as f64);
    let (delivered, copies) = (deliveries / possible, traffic.gossip_copies as f64 / deliveries);
    println!("modelled, {connections} dialled: delivered {delivered:.4}, {copies:.2} copies a delivery");
    (delivered, copies)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_announce_reaches_everybody_in_a_few_copies() {
    let figures = [
        measure("everybody with everybody", meet(NODES - 1).await).await,
        measure("12 peers sought, the node's own figure", meet(12).await).await,
        measure("6 called by each", meet_few().await).await,
    ];
    // The random graph has 10.6 peers a node; a modelled node that dials until it has 9 ends with about as many.
    let modelled = [modelled(0), modelled(12), modelled(9)];
    for (place, (figures, (delivered, copies))) in figures.iter().zip(modelled).enumerate() {
        assert!((delivered - figures.delivered).abs() <= 0.01, "modelled {delivered}, {figures:?}");
        assert!((copies / figures.copies - 1.0).abs() <= MODEL_WITHIN, "modelled {copies}, {figures:?}");
        assert!(figures.delivered >= 0.99, "{figures:?}");
        // One copy brings it; a mesh of 3 to 6, less whoever it came from, adds 2 to 5 more.
        assert!((2.5..=6.0).contains(&figures.copies), "{figures:?}");
        assert!(figures.mean_hops < MEAN_HOPS_MAX[place] && figures.most_hops <= 8, "{figures:?}");
    }
}
