//! Lies that are not in a body: what an attacker's host changes of its machine's messages.
//!
//! Frames are signed anew with the attacker's own keys, so every lie passes the gossip door and is for
//! the view, the sample and the join to withstand.

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use shoal_protocol::id::Digest;
use shoal_protocol::layout::BLOCK_COUNT_MAX;
use shoal_protocol::seal::{News, Scope, node_id, seal};
use shoal_protocol::trust::{TrustRecord, TrustReport};
use shoal_protocol::view::Prefix;
use shoal_protocol::wire::{Announce, Response};

use super::Attack;

/// Where all addresses of one attacker's people lie.
pub(crate) const PREFIX: Prefix = Prefix(0xbad);
/// What a lying donor says of everybody: the lowest level there is.
const DISTRUST: f32 = -6.0;

impl Attack {
    /// The frames to gossip in place of `frame`, an announce of this attacker's and perhaps its body.
    pub(crate) fn frames(&self, frame: Vec<u8>, key: &SigningKey, scope: &Scope) -> Vec<Vec<u8>> {
        let Ok(news) = News::open(scope, frame.clone()).map(Arc::new) else { return vec![frame] };
        match self {
            Self::RoundLie(rounds) => {
                let round = news.announce().round.saturating_add(*rounds);
                let lie = Announce { round, ..news.announce().clone() };
                vec![[seal(key, scope, &lie), news.body().to_vec()].concat()]
            }
            Self::Sybil(count) => (0..*count).map(|number| made_up(number, news.announce(), key, scope)).chain([frame]).collect(),
            Self::Sleeper(round, then) if news.announce().round >= *round => then.frames(frame, key, scope),
            _ => vec![frame],
        }
    }

    /// The answer to give in place of `answer`.
    pub(crate) fn answer(&self, answer: Response) -> Response {
        match (self, answer) {
            (Self::DonorLie, Response::State { round, block }) => {
                // 1 as bf16, little-endian.
                Response::State { round, block: [0x80, 0x3f].repeat(block.len() / 2) }
            }
            (Self::DonorLie, Response::Trust(table)) => {
                let distrust = |record: TrustRecord| TrustRecord { levels: [DISTRUST; BLOCK_COUNT_MAX], ..record };
                let senders = table.senders.into_iter().map(distrust).collect();
                // And nothing is ever to be evidence.
                Response::Trust(TrustReport { agreement: [1.0; BLOCK_COUNT_MAX], loudness: [f32::MAX; BLOCK_COUNT_MAX], senders })
            }
            (_, answer) => answer,
        }
    }

    /// Whether this attacker's addresses all lie together.
    pub(crate) const fn shares_prefix(&self) -> bool {
        matches!(self, Self::Sybil(_) | Self::Eclipse)
    }

    /// Whom all attackers connect to.
    pub(crate) fn victim(&self) -> Option<usize> {
        (self == &Self::Eclipse).then_some(0)
    }
}

/// An announce in the name of somebody who has a key and nothing else.
fn made_up(number: u64, like: &Announce, key: &SigningKey, scope: &Scope) -> Vec<u8> {
    let secret = blake3::keyed_hash(&key.to_bytes(), &number.to_le_bytes());
    let key = SigningKey::from_bytes(secret.as_bytes());
    let digest = Digest::of(&[&like.digest.0[..], &number.to_le_bytes()].concat());
    seal(&key, scope, &Announce { author: node_id(&key), digest, ..like.clone() })
}

#[cfg(test)]
mod tests {
    use shoal_protocol::id::RunId;

    use super::*;

    #[test]
    fn lies_pass_the_door() {
        let (key, run) = (SigningKey::from_bytes(&[1; 32]), RunId([2; 32]));
        let scope = Scope::new("test", run);
        let digest = Digest::of(b"body");
        let announce = Announce {
            run,
            author: node_id(&key),
            round: 7,
            seq: 1,
            digest,
            body_bytes: 4,
            samples: 1,
            steps: 1,
            slice_rms: 0.0,
        };
        let frame = [seal(&key, &scope, &announce), b"body".to_vec()].concat();
        let open = |name: &str| {
            let frames = name.parse::<Attack>().unwrap().frames(frame.clone(), &key, &scope);
            frames.into_iter().map(|frame| News::open(&scope, frame).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(open("round-lie:5")[0].announce().round, 12);
        let sybils = open("sybil:3");
        assert_eq!(sybils.len(), 4);
        assert!(sybils[..3].iter().all(|news| news.announce().author != announce.author) && sybils[0] != sybils[1]);
        assert_eq!(open("drift")[0].body(), b"body");
        let lie = Attack::DonorLie.answer(Response::State { round: 3, block: vec![0; 6] });
        assert_eq!(lie, Response::State { round: 3, block: vec![0x80, 0x3f, 0x80, 0x3f, 0x80, 0x3f] });
    }
}
