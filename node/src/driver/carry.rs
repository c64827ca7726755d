//! Carrying out what the machine decided, in order.

use shoal_protocol::id::Digest;
use shoal_protocol::peer::{Outbox, Output, ReplyId};
use shoal_protocol::wire::Response;

use super::{Driver, Progress, translate};
use crate::learner::{Order, lock};

impl Driver {
    pub(super) fn carry_out(&mut self, outbox: Outbox) {
        for output in outbox {
            self.carry_out_one(output);
        }
    }

    fn carry_out_one(&mut self, output: Output) {
        match output {
            Output::Train { round, steps, until, reference_steps, warm_up } => {
                let until = self.instant(until);
                self.learner.order(Order::Train { round, steps, until, reference_steps, warm_up });
            }
            Output::ReserveSequence { upto } => self.reserve(upto),
            Output::Publish { frame, inline } => self.publish(frame, inline),
            Output::Verdict { ticket, verdict } => {
                if let Some(ticket) = self.tickets.remove(&ticket) {
                    self.line.validate(ticket, translate::verdict(verdict));
                }
            }
            Output::Ask { ask, peer, request, bytes_max, timeout } => {
                self.line.request(ask.0, peer, request.encode(), bytes_max, timeout.to_std());
            }
            Output::Respond { reply, response } => self.reply(reply, &response),
            Output::ServeBody { reply, digest } => self.learner.order(Order::ServeBody(reply, digest)),
            Output::ServeState { reply, block, round } => self.learner.order(Order::ServeState(reply, block, round)),
            Output::ServeTrust { reply } => self.learner.order(Order::ServeTrust(reply)),
            Output::Admit { digest, origin, body } => self.learner.order(Order::Admit { digest, origin, body }),
            Output::Forget { digests } => self.learner.order(Order::Forget(digests)),
            Output::Apply { round, live, entries } => self.learner.order(Order::Apply { round, live, entries }),
            Output::Checkpoint { round } => self.learner.order(Order::Checkpoint(round)),
            Output::KeepBlock { donor, block } => self.learner.order(Order::KeepBlock(donor, block)),
            Output::KeepTrust { donor, table } => self.learner.order(Order::KeepTrust(donor, table)),
            Output::DropPieces { donor } => self.learner.order(Order::DropPieces(donor)),
            Output::Adopt { donors, round } => {
                tracing::info!(donors = donors.len(), round, "copying the run's state");
                self.learner.order(Order::Adopt(donors));
            }
            Output::Ban { peer, span } => {
                let reason = self.peer.standing().record(&peer).map(|record| record.reason.label());
                tracing::warn!(peer = %peer.short(), reason, "banned");
                self.line.ban(peer, span.to_std());
            }
            Output::Finished { .. } => self.tell(Progress::Finished),
        }
    }

    /// Reserves sequence numbers on the disk. If that fails nothing is published until it succeeds.
    fn reserve(&mut self, upto: u64) {
        let Some(store) = &self.store else { return };
        // The store counts the last number that may be signed, the machine the first that may not.
        let reserved = lock(store).reserve_sequence(upto.saturating_sub(1));
        match reserved {
            Ok(()) => self.unreserved = None,
            Err(error) => {
                self.unreserved = Some(upto);
                tracing::error!("{error}");
                self.trouble = Some(error.to_string());
            }
        }
    }

    fn publish(&mut self, mut frame: Vec<u8>, inline: Option<Digest>) {
        if let Some(upto) = self.unreserved {
            self.reserve(upto);
        }
        if self.unreserved.is_some() {
            return;
        }
        if let Some(digest) = inline
            && let Some((_, body)) = self.own_body.as_ref().filter(|(own, _)| *own == digest)
        {
            frame.extend_from_slice(body);
        }
        self.line.publish(frame);
    }

    pub(super) fn reply(&mut self, reply: ReplyId, response: &Response) {
        let Some(handle) = self.replies.remove(&reply) else { return };
        let bytes = response.encode();
        self.payload_bytes += bytes.len() as u64;
        handle.send(bytes);
    }
}
