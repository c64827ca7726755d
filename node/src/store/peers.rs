//! Whom to call after a restart. All of it is in memory as well: 256 peers are some 100 kB.
//!
//! Keys are node ids; a value is the time last seen (u64 LE) and lines of text: the addresses, and
//! `since SECONDS` of the time first seen. Whoever is remembered the longest was there before any
//! attacker of today, which is why some connections are kept for those.

use std::collections::HashMap;

use libp2p::Multiaddr;
use rocksdb::{IteratorMode, WriteBatch};
use shoal_protocol::id::NodeId;

use super::settings::PEERS;
use super::{Store, StoreError};
use crate::identity::peer_of;

/// Peers remembered; the one not seen for longest makes room.
pub const PEERS_MAX: usize = 256;
/// Addresses remembered of one peer.
pub const PEER_ADDRESSES_MAX: usize = 8;

/// What the line of the time first seen starts with.
const SINCE: &str = "since ";

/// A peer to call after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RememberedPeer {
    /// The peer.
    pub node: NodeId,
    /// Where it was, at most [`PEER_ADDRESSES_MAX`].
    pub addresses: Vec<Multiaddr>,
    /// When it was last seen, in seconds since 1970.
    pub seen_unix_s: u64,
    /// When it was first seen, in seconds since 1970; of an older entry, when it was last seen then.
    pub since_unix_s: u64,
}

impl RememberedPeer {
    /// Its addresses with its name at their end, so that nobody else can answer in its place.
    #[must_use]
    pub fn named_addresses(self) -> Vec<Multiaddr> {
        let Some(peer) = peer_of(&self.node) else { return Vec::new() };
        // An address of another peer is dropped here.
        self.addresses.into_iter().filter_map(|address| address.with_p2p(peer).ok()).collect()
    }
}

impl Store {
    /// Remembers where a peer was; of more than [`PEERS_MAX`] the one not seen for longest goes.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn remember_peer(&mut self, node: NodeId, addresses: &[Multiaddr], seen_unix_s: u64) -> Result<(), StoreError> {
        let addresses: Vec<_> = addresses.iter().take(PEER_ADDRESSES_MAX).cloned().collect();
        let since_unix_s = self.peers.get(&node).map_or(seen_unix_s, |known| known.since_unix_s.min(seen_unix_s));
        let lines = addresses.iter().map(Multiaddr::to_string).chain([format!("{SINCE}{since_unix_s}")]);
        let text = lines.collect::<Vec<_>>().join("\n");
        self.revive()?;
        let mut batch = WriteBatch::default();
        let family = self.family(PEERS)?;
        let full = !self.peers.contains_key(&node) && self.peers.len() >= PEERS_MAX;
        let oldest = self.peers.values().min_by_key(|peer| (peer.seen_unix_s, peer.node)).map(|peer| peer.node);
        let gone = oldest.filter(|_| full);
        if let Some(gone) = &gone {
            batch.delete_cf(family, gone.0);
        }
        batch.put_cf(family, node.0, [&seen_unix_s.to_le_bytes()[..], text.as_bytes()].concat());
        self.write_unsynced("remember a peer", batch)?;
        if let Some(gone) = gone {
            self.peers.remove(&gone);
        }
        self.peers.insert(node, RememberedPeer { node, addresses, seen_unix_s, since_unix_s });
        Ok(())
    }

    /// Peers to call, the last seen first.
    #[must_use]
    pub fn remembered_peers(&self) -> Vec<RememberedPeer> {
        let mut peers: Vec<_> = self.peers.values().cloned().collect();
        peers.sort_by_key(|peer| (std::cmp::Reverse(peer.seen_unix_s), peer.node));
        peers
    }

    /// Names of the peers remembered the longest, the longest first.
    #[must_use]
    pub fn long_known(&self) -> Vec<NodeId> {
        let mut peers: Vec<_> = self.peers.values().map(|peer| (peer.since_unix_s, peer.node)).collect();
        peers.sort_unstable();
        peers.into_iter().map(|(_, node)| node).collect()
    }

    pub(super) fn read_peers(&mut self) -> Result<(), StoreError> {
        let mut peers = HashMap::new();
        for entry in self.db()?.iterator_cf(self.family(PEERS)?, IteratorMode::Start).take(PEERS_MAX) {
            let (key, value) = entry.map_err(|error| StoreError::of(&self.dir, "read the peers", &error))?;
            // A peer whose entry means nothing is a peer forgotten.
            let Ok(node) = <[u8; 32]>::try_from(&*key).map(NodeId) else { continue };
            let Some((seen, text)) = value.split_first_chunk::<8>() else { continue };
            let text = String::from_utf8_lossy(text);
            let seen_unix_s = u64::from_le_bytes(*seen);
            let since = text.lines().find_map(|line| line.strip_prefix(SINCE)?.parse().ok());
            let addresses = text.lines().filter_map(|line| line.parse().ok()).take(PEER_ADDRESSES_MAX).collect();
            let since_unix_s = since.unwrap_or(seen_unix_s);
            peers.insert(node, RememberedPeer { node, addresses, seen_unix_s, since_unix_s });
        }
        self.peers = peers;
        Ok(())
    }
}
