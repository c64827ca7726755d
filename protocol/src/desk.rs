//! The numeric half of a host: carries out the machine's outputs on one [`Replica`].
//!
//! [`crate::peer::Peer`] names bodies and donors; the desk holds what they name: decoded bodies that
//! wait to be mixed, bytes that others may ask for, donors' pieces. Node and simulator use this very
//! type, so that between machine and model there is no code that only one of them runs.
//!
//! Every store in here is bounded: decoded bodies by the machine's inbox, bytes by
//! [`SERVED_BYTES_MAX`], pieces by the machine's number of donors.

use std::collections::{BTreeMap, VecDeque};

use crate::body::Admitted;
use crate::id::{Digest, NodeId};
use crate::mix::Incoming;
use crate::peer::{Entry, Learned, ROUND_WINDOW};
use crate::reject::Reject;
use crate::replica::{Applied, Replica, ReplicaError};
use crate::slice::Origin;
use crate::state::{self, StateBlock};
use crate::trust::TrustReport;
use crate::wire::Response;

/// Bytes of others' bodies kept so that peers can ask here instead of the author, as long as they can be
/// mixed. Guess: the bodies of a round at a model of 10 M parameters.
pub const SERVED_BYTES_MAX: usize = 4 << 20;
/// Own bodies kept whatever their size (ALGORITHM, state).
const OWN_KEPT: usize = 4;

/// Bodies as bytes, oldest dropped first.
#[derive(Debug, Default)]
struct Shelf {
    bodies: BTreeMap<Digest, Vec<u8>>,
    own: VecDeque<Digest>,
    /// With the round of each.
    others: VecDeque<(Digest, u64)>,
    others_bytes: usize,
}

impl Shelf {
    fn put_own(&mut self, digest: Digest, body: Vec<u8>) {
        if self.bodies.insert(digest, body).is_none() {
            self.own.push_back(digest);
        }
        if self.own.len() > OWN_KEPT
            && let Some(oldest) = self.own.pop_front()
        {
            self.bodies.remove(&oldest);
        }
    }

    fn put(&mut self, digest: Digest, round: u64, body: Vec<u8>) {
        if body.len() > SERVED_BYTES_MAX || self.bodies.contains_key(&digest) {
            return;
        }
        self.others_bytes += body.len();
        self.others.push_back((digest, round));
        self.bodies.insert(digest, body);
        while self.others_bytes > SERVED_BYTES_MAX {
            self.drop_oldest();
        }
    }

    /// Drops what nobody mixes any more in this round.
    fn age(&mut self, round: u64) {
        while self.others.front().is_some_and(|&(_, of)| of.saturating_add(ROUND_WINDOW) < round) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((oldest, _)) = self.others.pop_front() {
            self.others_bytes -= self.bodies.remove(&oldest).map_or(0, |body| body.len());
        }
    }
}

/// What one donor has given.
#[derive(Debug, Default)]
struct Pieces {
    blocks: Vec<StateBlock>,
    trust: TrustReport,
}

/// A replica and everything that waits to go into it or to be served from it.
#[derive(Debug)]
pub struct Desk {
    replica: Replica,
    admitted: BTreeMap<Digest, Admitted>,
    shelf: Shelf,
    pieces: BTreeMap<NodeId, Pieces>,
    samples: u32,
}

impl Desk {
    /// A desk for this replica, whose owner's shard has `samples` examples.
    #[must_use]
    pub fn new(replica: Replica, samples: u32) -> Self {
        Self { replica, admitted: BTreeMap::new(), shelf: Shelf::default(), pieces: BTreeMap::new(), samples }
    }

    /// The replica.
    #[must_use]
    pub const fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Compresses what training made of [`Replica::start`], and keeps the body.
    ///
    /// `reference_steps` is what others do in a round (FedNova).
    ///
    /// # Errors
    /// [`ReplicaError`] if the result is not finite; nothing has then changed.
    pub fn publish(
        &mut self,
        round: u64,
        start: &[f32],
        trained: &[f32],
        steps: u32,
        reference_steps: Option<u32>,
    ) -> Result<Learned, ReplicaError> {
        let nova =
            reference_steps.filter(|&reference| reference > 0).map_or(1.0, |reference| reference as f32 / steps.max(1) as f32);
        let published = self.replica.publish(round, start, trained, nova, self.samples)?;
        let digest = Digest::of(&published.bytes);
        let body_bytes = published.bytes.len() as u32;
        self.shelf.put_own(digest, published.bytes);
        Ok(Learned { digest, body_bytes, steps })
    }

    /// Keeps a body that was made otherwise, to be announced in place of the one that
    /// [`Desk::publish`] made. Nothing honest does this; simulated attackers do.
    pub fn publish_body(&mut self, body: Vec<u8>, steps: u32) -> Learned {
        let learned = Learned { digest: Digest::of(&body), body_bytes: body.len() as u32, steps };
        self.shelf.put_own(learned.digest, body);
        learned
    }

    /// Decodes a body whose hash holds and keeps it.
    ///
    /// # Errors
    /// [`Reject::BodyMalformed`]: its author's fault.
    pub fn admit(&mut self, digest: Digest, origin: Origin, body: Vec<u8>) -> Result<(), Reject> {
        let admitted = self.replica.codec().decode(&body, origin).map_err(|_| Reject::BodyMalformed)?;
        self.admitted.insert(digest, admitted);
        self.shelf.put(digest, origin.round, body);
        Ok(())
    }

    /// Drops decoded bodies; their bytes may still be served.
    pub fn forget(&mut self, digests: &[Digest]) {
        for digest in digests {
            self.admitted.remove(digest);
        }
    }

    /// Mixes the own delta and these bodies into the weights.
    pub fn apply(&mut self, round: u64, live: usize, entries: &[Entry]) -> Applied {
        let bodies: Vec<(&Entry, Admitted)> =
            entries.iter().filter_map(|entry| Some((entry, self.admitted.remove(&entry.digest)?))).collect();
        let incoming: Vec<Incoming<'_>> = bodies
            .iter()
            .map(|(entry, body)| Incoming { author: entry.author, lag: entry.lag, samples: entry.samples, body })
            .collect();
        self.shelf.age(round);
        self.replica.apply(round, live, &incoming)
    }

    /// Keeps a donor's block.
    pub fn keep_block(&mut self, donor: NodeId, block: StateBlock) {
        self.pieces.entry(donor).or_default().blocks.push(block);
    }

    /// Keeps a donor's trust table.
    pub fn keep_trust(&mut self, donor: NodeId, table: TrustReport) {
        self.pieces.entry(donor).or_default().trust = table;
    }

    /// Drops what a donor gave.
    pub fn drop_pieces(&mut self, donor: &NodeId) {
        self.pieces.remove(donor);
    }

    /// Makes the donors' pieces this replica's state; `false` if they are no whole model.
    pub fn adopt(&mut self, donors: &[NodeId]) -> bool {
        let pieces: Vec<Pieces> = donors.iter().filter_map(|donor| self.pieces.remove(donor)).collect();
        self.pieces.clear();
        let param_count = self.replica.weights().len();
        let mut weights = Vec::with_capacity(param_count);
        for block in 0..state::block_count(param_count) as usize {
            let column: Option<Vec<StateBlock>> = pieces.iter().map(|donor| donor.blocks.get(block).cloned()).collect();
            let Some(middle) = column.and_then(|column| state::assemble(&column)) else { return false };
            weights.extend(middle);
        }
        let adopted = self.replica.adopt(weights).is_ok();
        if adopted {
            let tables: Vec<TrustReport> = pieces.into_iter().map(|donor| donor.trust).collect();
            self.replica.import_trust(&tables);
        }
        adopted
    }

    /// A body's bytes, if they are still here.
    #[must_use]
    pub fn body(&self, digest: &Digest) -> Option<&[u8]> {
        self.shelf.bodies.get(digest).map(Vec::as_slice)
    }

    /// The answer to a question for a body.
    #[must_use]
    pub fn serve_body(&self, digest: &Digest) -> Response {
        self.body(digest).map_or(Response::NotHere, |body| Response::Body(body.to_vec()))
    }

    /// The answer to a question for a block of the weights.
    #[must_use]
    pub fn serve_state(&self, block: u32, round: u64) -> Response {
        self.replica.state_block(block).map_or(Response::NotHere, |block| Response::State { round, block })
    }

    /// The answer to a question for the trust table.
    #[must_use]
    pub fn serve_trust(&self) -> Response {
        Response::Trust(self.replica.export_trust())
    }

    /// Puts a saved replica in place of this one, as after a restart.
    pub fn restore(&mut self, replica: Replica) {
        self.replica = replica;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shelf_is_bounded_and_keeps_its_own_last_four() {
        let mut shelf = Shelf::default();
        let body = |n: u8| vec![n; 1 << 20];
        for n in 0..6 {
            shelf.put_own(Digest([n; 32]), body(n));
        }
        for n in 100..120 {
            shelf.put(Digest([n; 32]), n.into(), body(n));
        }
        assert_eq!(shelf.others_bytes, SERVED_BYTES_MAX);
        assert_eq!(shelf.bodies.len(), OWN_KEPT + 4);
        assert!(shelf.bodies.contains_key(&Digest([5; 32])) && !shelf.bodies.contains_key(&Digest([1; 32])));
        assert!(shelf.bodies.contains_key(&Digest([119; 32])) && !shelf.bodies.contains_key(&Digest([100; 32])));
        shelf.put(Digest([1; 32]), 119, vec![0; SERVED_BYTES_MAX + 1]);
        assert!(!shelf.bodies.contains_key(&Digest([1; 32])), "what does not fit is not kept");
        shelf.age(122);
        assert!(shelf.bodies.contains_key(&Digest([119; 32])) && !shelf.bodies.contains_key(&Digest([118; 32])));
        assert_eq!((shelf.others_bytes, shelf.bodies.len()), (1 << 20, OWN_KEPT + 1));
    }
}
