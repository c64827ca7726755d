//! The gossip door: what is an announce, whose, is it news, do we want its body (PROTOCOL 4).

use std::sync::Arc;

use super::bodies::{Pending, Stage};
use super::{Outbox, Output, Peer, ROUND_WINDOW, TicketId, Verdict};
use crate::id::NodeId;
use crate::reject::Reject;
use crate::round::Phase;
use crate::seal::{News, Refused};
use crate::slice::Origin;
use crate::time::Time;
use crate::view::PEERS_MAX;

/// Announces waiting in the inbox: every peer of a full view in each round of the window, and no more.
const INBOX_MAX: usize = 1_024;
/// ... of which the last ones, a full view's in one round, are kept for authors of whom more is known than
/// announces: else who has many names takes all of it.
const STRANGERS_MAX: usize = INBOX_MAX - PEERS_MAX;

/// Known nodes, itself included, up to which everybody hears everybody. In a larger network news travels two steps, from
/// its author to that one's peers and on to theirs, so that what a node hears, and pays, does not grow
/// with the network: some 64 authors again at the node's 12 to 16 connections and mesh of 4.
const HEARD_WHOLE: usize = 64;

impl Peer {
    pub(super) fn on_gossip(
        &mut self,
        now: Time,
        ticket: TicketId,
        from: NodeId,
        news: &Result<Arc<News>, Refused>,
        out: &mut Outbox,
    ) {
        let checked = news.as_ref().map_err(|&refused| refused).and_then(|news| self.check_news(now, from, news).map(|()| news));
        let verdict = match checked {
            Ok(news) => {
                let forward = self.forwards(from, news.announce().author);
                out.push(Output::Verdict { ticket, verdict: if forward { Verdict::Accept } else { Verdict::Ignore } });
                return self.on_news(now, from, news, out);
            }
            Err(Refused { reason, author }) => {
                self.reject(now, reason, from, author, out);
                verdict_on(reason)
            }
        };
        out.push(Output::Verdict { ticket, verdict });
    }

    /// Everything that must hold before a message is forwarded and does not show in its bytes.
    fn check_news(&mut self, now: Time, from: NodeId, news: &News) -> Result<(), Refused> {
        if self.standing.is_banned(now, &from) {
            return Err(Refused { reason: Reject::Banned, author: None });
        }
        let announce = news.announce();
        let refuse = |reason| Refused { reason, author: Some(announce.author) };
        if self.standing.is_banned(now, &announce.author) {
            return Err(refuse(Reject::Banned));
        }
        if announce.body_bytes == 0 || announce.body_bytes as usize > self.config.body_bytes_max {
            return Err(refuse(Reject::BodyOversized));
        }
        self.view.note(now, announce).map_err(refuse)
    }

    /// Whether a valid message is passed on: always in a network that can be heard whole, and in a
    /// larger one only if it comes from its author (PROTOCOL 4.6).
    fn forwards(&self, from: NodeId, author: NodeId) -> bool {
        from == author || self.view.len() < HEARD_WHOLE
    }

    /// A valid announce that was not seen before.
    fn on_news(&mut self, now: Time, from: NodeId, news: &News, out: &mut Outbox) {
        let (announce, body) = (news.announce(), news.body());
        let mixing = matches!(self.round.phase, Phase::Training | Phase::Collecting | Phase::Applying);
        let room = if self.view.is_vouched(&announce.author) { INBOX_MAX } else { STRANGERS_MAX };
        let reason = if !mixing || announce.round.abs_diff(self.round.number) > ROUND_WINDOW || self.inbox.len() >= room {
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
            let origin = Origin { author: announce.author, round: announce.round };
            out.push(Output::Admit { digest: announce.digest, origin, body: body.to_vec() });
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
