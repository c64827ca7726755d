//! The gossip door: what is an announce, whose, is it news, do we want its body (PROTOCOL 4).

use super::bodies::{Pending, Stage};
use super::{Outbox, Output, Peer, ROUND_WINDOW, TicketId, Verdict};
use crate::id::{Digest, NodeId};
use crate::reject::Reject;
use crate::round::Phase;
use crate::seal::{self, Verified};
use crate::time::Time;
use crate::wire::{Announce, INLINE_BYTES_MAX};

/// Announces waiting in the inbox: every peer of a full view in each round of the window, and no more.
const INBOX_MAX: usize = 1_024;

/// What is wrong with a message, and who signed it if that is known.
struct Bad(Reject, Option<NodeId>);

impl From<Reject> for Bad {
    fn from(reason: Reject) -> Self {
        Self(reason, None)
    }
}

impl Peer {
    pub(super) fn on_gossip(&mut self, now: Time, ticket: TicketId, from: NodeId, frame: &[u8], out: &mut Outbox) {
        let verdict = match self.check_announce(now, from, frame) {
            Ok((announce, body)) => {
                out.push(Output::Verdict { ticket, verdict: Verdict::Accept });
                return self.on_news(now, from, &announce, body, out);
            }
            Err(Bad(reason, author)) => {
                self.reject(now, reason, from, author, out);
                verdict_on(reason)
            }
        };
        out.push(Output::Verdict { ticket, verdict });
    }

    /// Everything that must hold before a message is forwarded.
    fn check_announce<'a>(&mut self, now: Time, from: NodeId, frame: &'a [u8]) -> Result<(Verified<Announce>, &'a [u8]), Bad> {
        if self.standing.is_banned(now, &from) {
            return Err(Reject::Banned.into());
        }
        let (verified, body) = seal::open(&self.scope, frame)?;
        let announce = verified.get();
        let author = Some(announce.author);
        if self.standing.is_banned(now, &announce.author) {
            return Err(Bad(Reject::Banned, author));
        }
        if announce.body_bytes == 0 || announce.body_bytes as usize > self.config.body_bytes_max {
            return Err(Bad(Reject::BodyOversized, author));
        }
        if body.len() > INLINE_BYTES_MAX {
            return Err(Bad(Reject::Oversized, author));
        }
        // Before the sequence number counts as seen: a broken copy must not silence the whole one.
        if !body.is_empty() && (body.len() != announce.body_bytes as usize || Digest::of(body) != announce.digest) {
            return Err(Bad(Reject::BodyDigest, author));
        }
        self.view.note(now, announce).map_err(|reason| Bad(reason, author))?;
        Ok((verified, body))
    }

    /// A valid announce that was not seen before.
    fn on_news(&mut self, now: Time, from: NodeId, announce: &Verified<Announce>, body: &[u8], out: &mut Outbox) {
        let announce = announce.get();
        let mixing = matches!(self.round.phase, Phase::Training | Phase::Collecting | Phase::Applying);
        let reason = if !mixing || announce.round.abs_diff(self.round.number) > ROUND_WINDOW || self.inbox.len() >= INBOX_MAX {
            Some(Reject::RoundDistant)
        } else if !self.recent.insert(announce.digest) {
            Some(Reject::Duplicate)
        } else {
            None
        };
        if let Some(reason) = reason {
            return self.reject(now, reason, from, Some(announce.author), out);
        }
        let inline = !body.is_empty() && self.wants(&announce.author);
        let stage = if inline { Stage::Admitting } else { Stage::Announced };
        let pending = Pending::new(announce.clone(), from, stage);
        if let Some(older) = self.inbox.insert((announce.author, announce.round), pending) {
            out.push(Output::Forget { digests: vec![older.announce.digest] });
        }
        if inline {
            out.push(Output::Admit { digest: announce.digest, round: announce.round, body: body.to_vec() });
        }
    }
}

/// What the gossip layer is told. Only what every honest peer can see to be wrong is `Reject`ed:
/// the layer holds it against whoever forwarded it.
const fn verdict_on(reason: Reject) -> Verdict {
    match reason {
        Reject::Truncated
        | Reject::Oversized
        | Reject::Trailing
        | Reject::Kind
        | Reject::WrongRun
        | Reject::Signature
        | Reject::NotFinite
        | Reject::BodyOversized
        | Reject::BodyDigest => Verdict::Reject,
        _ => Verdict::Ignore,
    }
}
