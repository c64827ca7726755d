//! Whom to call after a restart. All of it is in memory as well: 256 peers are some 100 kB.
//!
//! Keys are node ids; a value is the time last seen (u64 LE) and the addresses as lines of text.

use std::collections::HashMap;

use libp2p::Multiaddr;
use rocksdb::{IteratorMode, WriteBatch};
use shoal_protocol::id::NodeId;

use super::settings::PEERS;
use super::{Store, StoreError};

/// Peers remembered; the one not seen for longest makes room.
pub const PEERS_MAX: usize = 256;
/// Addresses remembered of one peer.
pub const PEER_ADDRESSES_MAX: usize = 8;

/// A peer to call after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RememberedPeer {
    /// The peer.
    pub node: NodeId,
    /// Where it was, at most [`PEER_ADDRESSES_MAX`].
    pub addresses: Vec<Multiaddr>,
    /// When it was last seen, in seconds since 1970.
    pub seen_unix_s: u64,
}

impl Store {
    /// Remembers where a peer was; of more than [`PEERS_MAX`] the one not seen for longest goes.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn remember_peer(&mut self, node: NodeId, addresses: &[Multiaddr], seen_unix_s: u64) -> Result<(), StoreError> {
        let addresses: Vec<_> = addresses.iter().take(PEER_ADDRESSES_MAX).cloned().collect();
        let text = addresses.iter().map(Multiaddr::to_string).collect::<Vec<_>>().join("\n");
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
        self.peers.insert(node, RememberedPeer { node, addresses, seen_unix_s });
        Ok(())
    }

    /// Peers to call, the last seen first.
    #[must_use]
    pub fn remembered_peers(&self) -> Vec<RememberedPeer> {
        let mut peers: Vec<_> = self.peers.values().cloned().collect();
        peers.sort_by_key(|peer| (std::cmp::Reverse(peer.seen_unix_s), peer.node));
        peers
    }

    pub(super) fn read_peers(&mut self) -> Result<(), StoreError> {
        let mut peers = HashMap::new();
        for entry in self.db()?.iterator_cf(self.family(PEERS)?, IteratorMode::Start).take(PEERS_MAX) {
            let (key, value) = entry.map_err(|error| StoreError::of(&self.dir, "read the peers", &error))?;
            // A peer whose entry means nothing is a peer forgotten.
            let Ok(node) = <[u8; 32]>::try_from(&*key).map(NodeId) else { continue };
            let Some((seen, text)) = value.split_first_chunk::<8>() else { continue };
            let addresses =
                String::from_utf8_lossy(text).lines().filter_map(|line| line.parse().ok()).take(PEER_ADDRESSES_MAX).collect();
            peers.insert(node, RememberedPeer { node, addresses, seen_unix_s: u64::from_le_bytes(*seen) });
        }
        self.peers = peers;
        Ok(())
    }
}
