//! Where each node is: its identity and life, whether it is up, behind what, in which part of a network
//! that fell apart, and with whom it is connected.

#![expect(clippy::disallowed_types, reason = "asked for one node at a time in every delivery, and never gone through")]

use std::collections::{BTreeSet, HashMap};

use shoal_protocol::id::NodeId;
use shoal_protocol::view::Prefix;

use super::Address;
use super::link::Links;
use crate::scenario::NatSpec;

/// What a node sits behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nat {
    Open,
    Cone,
    Symmetric,
}

/// One node's place.
struct Spot {
    id: NodeId,
    life: u32,
    up: bool,
    nat: Nat,
    prefix: Option<Prefix>,
    peers: BTreeSet<usize>,
    /// Bytes sent, downloaded as answers, and authored or served, over all lives.
    sent: u64,
    downloaded: u64,
    payload: u64,
}

/// All of them.
pub(crate) struct Places {
    spots: Vec<Spot>,
    /// Only ever asked for one member, so its own order decides nothing.
    index: HashMap<NodeId, usize>,
    up_count: usize,
    groups: usize,
}

impl Places {
    pub(super) fn new(nat: &NatSpec, ids: Vec<NodeId>, links: &mut Links) -> Self {
        let index = ids.iter().enumerate().map(|(node, &id)| (id, node)).collect();
        let mut behind = || match links.unit() {
            draw if draw < nat.cone => Nat::Cone,
            draw if draw < nat.cone + nat.symmetric => Nat::Symmetric,
            _ => Nat::Open,
        };
        let spots = ids
            .into_iter()
            .map(|id| Spot {
                id,
                life: 0,
                up: false,
                nat: behind(),
                prefix: None,
                peers: BTreeSet::new(),
                sent: 0,
                downloaded: 0,
                payload: 0,
            })
            .collect();
        Self { spots, index, up_count: 0, groups: 1 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.spots.len()
    }

    pub(crate) fn id(&self, node: usize) -> NodeId {
        self.spots[node].id
    }

    pub(crate) fn find(&self, id: &NodeId) -> Option<usize> {
        self.index.get(id).copied()
    }

    /// From now on the node is somebody else; it must be down.
    pub(crate) fn rename(&mut self, node: usize, id: NodeId) {
        self.index.remove(&self.spots[node].id);
        self.index.insert(id, node);
        self.spots[node].id = id;
    }

    /// The node in its present life.
    pub(crate) fn address(&self, node: usize) -> Address {
        Address { node, life: self.spots[node].life }
    }

    /// Whether what is sent to this address still finds it.
    pub(crate) fn is_there(&self, to: Address) -> bool {
        self.is_up(to.node) && self.spots[to.node].life == to.life
    }

    pub(crate) fn is_up(&self, node: usize) -> bool {
        self.spots[node].up
    }

    /// The nodes that are up, in order.
    pub(crate) fn up(&self) -> impl Iterator<Item = usize> + '_ {
        self.spots.iter().enumerate().filter(|(_, spot)| spot.up).map(|(node, _)| node)
    }

    pub(crate) const fn up_count(&self) -> usize {
        self.up_count
    }

    pub(super) fn take_up(&mut self, node: usize, prefix: Option<Prefix>) {
        let spot = &mut self.spots[node];
        self.up_count += usize::from(!spot.up);
        (spot.up, spot.life, spot.prefix) = (true, spot.life + 1, prefix);
    }

    pub(super) fn take_down(&mut self, node: usize) {
        self.up_count -= usize::from(self.spots[node].up);
        self.spots[node].up = false;
    }

    pub(super) fn prefix(&self, node: usize) -> Option<Prefix> {
        self.spots[node].prefix
    }

    pub(crate) fn peers(&self, node: usize) -> &BTreeSet<usize> {
        &self.spots[node].peers
    }

    /// `false` if they were connected.
    pub(super) fn connect(&mut self, a: usize, b: usize) -> bool {
        self.spots[b].peers.insert(a);
        self.spots[a].peers.insert(b)
    }

    /// `false` if they were not connected.
    pub(super) fn disconnect(&mut self, a: usize, b: usize) -> bool {
        self.spots[b].peers.remove(&a);
        self.spots[a].peers.remove(&b)
    }

    pub(super) const fn split(&mut self, groups: usize) {
        self.groups = groups;
    }

    /// In which part of the network a node is.
    pub(crate) const fn group(&self, node: usize) -> usize {
        node % self.groups
    }

    /// Connections between parts that have fallen apart.
    pub(super) fn torn(&self) -> Vec<(usize, usize)> {
        let pairs = self.spots.iter().enumerate().flat_map(|(a, spot)| spot.peers.iter().map(move |&b| (a, b)));
        pairs.filter(|&(a, b)| a < b && self.group(a) != self.group(b)).collect()
    }

    /// Whether a connection between these can be made at all.
    pub(super) fn dialable(&self, a: usize, b: usize) -> bool {
        let (this, that) = (self.spots[a].nat, self.spots[b].nat);
        self.group(a) == self.group(b) && (this == Nat::Open || that == Nat::Open || (this == Nat::Cone && that == Nat::Cone))
    }

    /// Adds to what a node has sent, downloaded, and authored or served.
    pub(super) fn charge(&mut self, node: usize, sent: u64, downloaded: u64, payload: u64) {
        let spot = &mut self.spots[node];
        spot.sent += sent;
        spot.downloaded += downloaded;
        spot.payload += payload;
    }

    /// Bytes that a node sent, downloaded, and authored or served, over all its lives.
    pub(crate) fn charged(&self, node: usize) -> [u64; 3] {
        let spot = &self.spots[node];
        [spot.sent, spot.downloaded, spot.payload]
    }
}
