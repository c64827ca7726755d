//! Thirty-two nodes in one process: the default bounds do not stand in the way of a full mesh, and a
//! node with its store is small enough for a laptop to hold them all. Alone in its file, because it
//! measures the process.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod swarm_nodes;

use std::collections::HashSet;

use shoal_node::store::Store;
use shoal_node::swarm::{NetworkEvent, Verdict};
use swarm_nodes::{Nodes, RUN};

const NODES: usize = 32;
/// What a node with its store may cost, bytes of physical memory, 31 connections and all.
const NODE_BYTES_MAX: usize = 15_000_000;

/// The process's physical memory in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1_024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_two_nodes_form_a_full_mesh_in_little_memory() {
    let home = tempfile::tempdir().unwrap();
    let empty = resident();
    let mut stores: Vec<_> = (0..NODES).map(|index| Store::open(&home.path().join(index.to_string())).unwrap()).collect();
    for _ in 0..4 {
        for store in &mut stores {
            store.save_checkpoint(&vec![7; 100_000]).unwrap();
        }
    }
    let stored = resident();
    let start = std::time::Instant::now();
    let mut nodes = Nodes::new(NODES, |config| config.peers_target = NODES - 1).await;
    nodes.meet().await;
    println!("full mesh after {:?}", start.elapsed());
    let connected = resident();
    let traffic = |nodes: &Nodes| nodes.networks.iter().map(|network| network.byte_counts().0).sum::<u64>();
    let before = traffic(&nodes);
    let start = std::time::Instant::now();
    for round in 0..5 {
        for index in 0..NODES {
            nodes.networks[index].publish(&RUN, [[round; 200], [index as u8; 200]].concat()).unwrap();
        }
        let mut heard = HashSet::new();
        nodes
            .until(|networks, index, event| {
                if let NetworkEvent::Gossip { ticket, data, .. } = event {
                    networks[index].validate(&ticket, Verdict::Accept);
                    assert!(heard.insert((index, data[200])), "heard twice");
                }
                heard.len() == NODES * (NODES - 1)
            })
            .await;
    }
    println!(
        "5 rounds of gossip in {:?}, {} bytes a node and round",
        start.elapsed(),
        (traffic(&nodes) - before) / 5 / NODES as u64
    );
    let used = resident();
    println!(
        "{} kB a store, {} kB a swarm, {} kB after gossip",
        (stored - empty) / NODES / 1_000,
        (connected - stored) / NODES / 1_000,
        (used - connected) / NODES / 1_000
    );
    assert!((used - empty) / NODES < NODE_BYTES_MAX, "{} bytes a node", (used - empty) / NODES);
}
