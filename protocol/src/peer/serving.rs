//! Answering requests: who may ask how much, and what is answered (PROTOCOL 4.5).

use std::collections::BTreeMap;

use super::{Outbox, Output, Peer, ReplyId};
use crate::id::NodeId;
use crate::reject::Reject;
use crate::state;
use crate::time::Time;
use crate::wire::{Request, Response};

/// Requests of one peer in one period, besides a whole copy of the state: as many bodies as a peer
/// that hears everybody in a full view could ask one holder for. Guess.
const REQUESTS_MAX: u32 = 64;
/// Askers remembered at once; the least busy is forgotten first.
const ASKERS_MAX: usize = 256;

/// How much each peer asked in the present period.
#[derive(Clone, Debug, Default)]
pub(super) struct Served {
    since: BTreeMap<NodeId, (Time, u32)>,
}

impl Served {
    pub(super) fn len(&self) -> usize {
        self.since.len()
    }
}

impl Peer {
    pub(super) fn on_request(&mut self, now: Time, reply: ReplyId, from: NodeId, bytes: &[u8], out: &mut Outbox) {
        let answer = match self.check_request(now, from, bytes) {
            Ok(Request::Head { .. }) => {
                Output::Respond { reply, response: Response::Head { round: self.round.number, ready: self.is_ready() } }
            }
            Ok(Request::Body { digest, .. }) => Output::ServeBody { reply, digest },
            Ok(Request::State { block, .. }) if self.is_ready() && block < state::block_count(self.config.param_count) => {
                Output::ServeState { reply, block, round: self.round.number }
            }
            Ok(Request::Trust { .. }) if self.is_ready() => Output::ServeTrust { reply },
            Ok(_) => Output::Respond { reply, response: Response::NotHere },
            Err(reason) => {
                self.reject(now, reason, from, None, out);
                Output::Respond { reply, response: Response::NotHere }
            }
        };
        out.push(answer);
    }

    fn check_request(&mut self, now: Time, from: NodeId, bytes: &[u8]) -> Result<Request, Reject> {
        if self.standing.is_banned(now, &from) {
            return Err(Reject::Banned);
        }
        let request = Request::decode(bytes)?;
        if request.run() != self.scope.run() {
            return Err(Reject::WrongRun);
        }
        let period = self.config.spec.round().period();
        let allowance = REQUESTS_MAX.saturating_add(state::block_count(self.config.param_count).saturating_mul(2));
        let askers = &mut self.served.since;
        if askers.len() >= ASKERS_MAX && !askers.contains_key(&from) {
            let idle = askers.iter().min_by_key(|(_, (_, count))| *count).map(|(&peer, _)| peer);
            if let Some(idle) = idle {
                askers.remove(&idle);
            }
        }
        let (since, count) = askers.entry(from).or_insert((now, 0));
        if now.since(*since) >= period {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        if *count > allowance { Err(Reject::RequestFlood) } else { Ok(request) }
    }
}
