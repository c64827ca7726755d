//! A host of many machines: virtual time, fixed latency, bodies that are just labelled bytes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use shoal_protocol::fetch::AskFailure;
use shoal_protocol::id::{Digest, NodeId};
use shoal_protocol::peer::{Config, Input, Learned, Outbox, Output, Peer, ReplyId, Resume, TicketId, Verdict};
use shoal_protocol::reject::Reject;
use shoal_protocol::seal::{News, Refused, Scope};
use shoal_protocol::spec::RunSpec;
use shoal_protocol::state;
use shoal_protocol::time::{Span, Time};
use shoal_protocol::trust::TrustReport;
use shoal_protocol::wire::{Response, WIRE_VERSION};

pub const PARAMS: usize = 100_000;
const LATENCY: Span = Span::from_millis(5);
const TRAINING: Span = Span::from_millis(50);

pub fn spec(period_ms: u32, peers: u16) -> RunSpec {
    let text = format!(
        "version = 1\nname = \"test\"\nseed = 1\n[round]\nperiod_ms = {period_ms}\npeers = {peers}\nsteps = 4\n[task]\nkind = \"none\"\n"
    );
    RunSpec::parse(&text).expect("a spec")
}

pub fn node_key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

/// What one virtual host keeps for its machine.
pub struct Host {
    pub peer: Peer,
    pub config: Config,
    pub bodies: BTreeMap<Digest, Vec<u8>>,
    pub reserved: u64,
    pub checkpoint: u64,
    /// Every apply: round, `n`, digests.
    pub applied: Vec<(u64, usize, Vec<Digest>)>,
    pub published: Vec<Vec<u8>>,
    pub verdicts: Vec<Verdict>,
    pub bans: BTreeSet<NodeId>,
    pub adopted: u32,
    pub finished: bool,
}

type Event = (NodeId, Input);

/// All hosts and what is under way between them.
#[derive(Default)]
pub struct Wire {
    pub now: Time,
    seq: u64,
    queue: BTreeMap<(Time, u64), Event>,
    pub hosts: BTreeMap<NodeId, Host>,
    pub replies: BTreeMap<ReplyId, (NodeId, shoal_protocol::fetch::AskId)>,
    /// What those answer to everything who run no machine.
    pub scripted: BTreeMap<NodeId, Vec<u8>>,
    /// Gossip from these is lost.
    pub muted: BTreeSet<NodeId>,
    tickets: u64,
    /// Largest body that travels inline.
    pub inline_bytes_max: usize,
    pub body_bytes: usize,
}

impl Wire {
    pub fn new() -> Self {
        Self { inline_bytes_max: 1 << 15, body_bytes: 100, ..Self::default() }
    }

    pub fn config(&self, n: u8, spec: &RunSpec) -> Config {
        Config {
            spec: spec.clone(),
            network: "test".into(),
            signer: node_key(n).into(),
            dice_seed: [n; 32],
            next_seq: 0,
            body_bytes_max: 1 << 20,
            param_count: PARAMS,
            samples: 10,
            inline_bytes_max: self.inline_bytes_max,
            wait_for_peers: 0,
            wait: Span::from_millis(100),
            rounds_max: None,
        }
    }

    /// Starts a machine and connects it with everybody who is there.
    pub fn start(&mut self, config: Config, resume: Option<Resume>) -> NodeId {
        let me = config.signer.node_id();
        let mut out = Outbox::new();
        let peer = Peer::new(config.clone(), self.now, resume, &mut out);
        let host = Host {
            peer,
            config,
            bodies: BTreeMap::new(),
            reserved: 0,
            checkpoint: 0,
            applied: Vec::new(),
            published: Vec::new(),
            verdicts: Vec::new(),
            bans: BTreeSet::new(),
            adopted: 0,
            finished: false,
        };
        let others: Vec<NodeId> = self.hosts.keys().copied().collect();
        self.hosts.insert(me, host);
        for other in others {
            self.after(Span(0), me, Input::PeerUp { peer: other, prefix: None });
            self.after(Span(0), other, Input::PeerUp { peer: me, prefix: None });
        }
        self.carry_out(me, out);
        me
    }

    /// Kills a machine; its host keeps what was durable.
    pub fn kill(&mut self, node: &NodeId) -> Host {
        let host = self.hosts.remove(node).expect("a running node");
        self.queue.retain(|_, (to, _)| to != node);
        let others: Vec<NodeId> = self.hosts.keys().copied().collect();
        for other in others {
            self.after(Span(0), other, Input::PeerDown { peer: *node });
        }
        host
    }

    pub fn after(&mut self, delay: Span, to: NodeId, input: Input) {
        self.seq += 1;
        self.queue.insert((self.now + delay, self.seq), (to, input));
    }

    pub fn ticket(&mut self) -> TicketId {
        self.tickets += 1;
        TicketId(self.tickets)
    }

    /// Runs until `done`, or panics at the virtual deadline.
    pub fn run_until(&mut self, limit: Span, mut done: impl FnMut(&Self) -> bool) {
        let deadline = self.now + limit;
        while !done(self) {
            let wake = self.hosts.iter().filter_map(|(&node, host)| host.peer.next_wake(self.now).map(|at| (at, node))).min();
            let next = self.queue.first_key_value().map(|(&(at, _), _)| at);
            let (to, input) = match (next, wake) {
                (Some(at), wake) if wake.is_none_or(|(wake, _)| at <= wake) => {
                    self.now = at;
                    self.queue.pop_first().expect("it was there").1
                }
                (_, Some((at, node))) => {
                    self.now = self.now.max(at);
                    (node, Input::Tick)
                }
                _ => panic!("nothing will ever happen again"),
            };
            assert!(self.now < deadline, "not done in time: {:?}", self.rounds());
            self.give(to, input);
        }
    }

    pub fn rounds(&self) -> Vec<(u64, shoal_protocol::round::Phase)> {
        self.hosts.values().map(|host| (host.peer.round(), host.peer.phase())).collect()
    }

    pub fn give(&mut self, to: NodeId, input: Input) {
        let Some(host) = self.hosts.get_mut(&to) else { return };
        let mut out = Outbox::new();
        host.peer.handle(self.now, input, &mut out);
        let [inbox, asks, recent, served] = host.peer.queue_lengths();
        assert!(inbox <= 1_024 && asks <= 32 && recent <= 1_024 && served <= 256, "a queue is past its bound");
        self.carry_out(to, out);
    }

    fn carry_out(&mut self, me: NodeId, out: Outbox) {
        for output in VecDeque::from(out) {
            self.carry_out_one(me, output);
        }
    }

    fn carry_out_one(&mut self, me: NodeId, output: Output) {
        let host = self.hosts.get_mut(&me).expect("it spoke");
        match output {
            Output::Train { round, warm_up, .. } => {
                let learned = (!warm_up).then(|| {
                    let mut body = vec![0; self.body_bytes];
                    body[..8].copy_from_slice(&round.to_le_bytes());
                    body[8..40].copy_from_slice(&me.0);
                    let digest = Digest::of(&body);
                    let body_bytes = body.len() as u32;
                    host.bodies.insert(digest, body);
                    Learned { digest, body_bytes, steps: 4 }
                });
                self.after(TRAINING, me, Input::Trained { round, learned });
            }
            Output::ReserveSequence { upto } => {
                assert!(upto > host.reserved);
                host.reserved = upto;
            }
            Output::Publish { frame, inline } => {
                let seq = u64::from_le_bytes(frame[74..82].try_into().expect("eight bytes"));
                assert!(seq < host.reserved, "signed before it was reserved");
                let body = inline.map(|digest| host.bodies[&digest].clone()).unwrap_or_default();
                let frame = [frame, body].concat();
                host.published.push(frame.clone());
                if !self.muted.contains(&me) {
                    self.spread(me, &frame);
                }
            }
            Output::Verdict { verdict, .. } => host.verdicts.push(verdict),
            Output::Ask { ask, peer, request, bytes_max, .. } => {
                if !self.hosts.contains_key(&peer) {
                    let result = self.scripted.get(&peer).cloned().ok_or(AskFailure::Unreachable);
                    return self.after(LATENCY, me, Input::Answer { ask, result });
                }
                assert!(bytes_max < 1 << 21);
                self.tickets += 1;
                let reply = ReplyId(self.tickets);
                self.replies.insert(reply, (me, ask));
                self.after(LATENCY, peer, Input::Request { reply, from: me, bytes: request.encode() });
            }
            Output::Respond { reply, response } => self.reply(reply, &response),
            Output::ServeBody { reply, digest } => {
                let response = host.bodies.get(&digest).cloned().map_or(Response::NotHere, Response::Body);
                self.reply(reply, &response);
            }
            Output::ServeState { reply, block, round } => {
                let block = state::encode_block(&vec![0.5; PARAMS], block).expect("in range");
                self.reply(reply, &Response::State { round, block });
            }
            Output::ServeTrust { reply } => self.reply(reply, &Response::Trust(TrustReport::default())),
            Output::Admit { digest, body, .. } => {
                let result = if body.first() == Some(&0xbd) { Err(Reject::BodyMalformed) } else { Ok(()) };
                host.bodies.insert(digest, body);
                self.after(Span(0), me, Input::Admitted { digest, result });
            }
            Output::Forget { .. } | Output::KeepBlock { .. } | Output::KeepTrust { .. } | Output::DropPieces { .. } => {}
            Output::Apply { round, live, entries } => {
                host.applied.push((round, live, entries.iter().map(|entry| entry.digest).collect()));
                assert!(entries.windows(2).all(|pair| pair[0].author < pair[1].author), "one each, in order");
                self.after(Span(1_000), me, Input::Applied { round, slice_rms: 0.0, update_rms: 0.0 });
            }
            Output::Checkpoint { round } => host.checkpoint = round,
            Output::Adopt { .. } => {
                host.adopted += 1;
                self.after(Span(0), me, Input::Adopted { adopted: true });
            }
            Output::Ban { peer, .. } => {
                host.bans.insert(peer);
            }
            Output::Finished { .. } => host.finished = true,
        }
    }

    /// What this host makes of a gossip frame.
    pub fn open(&self, host: NodeId, frame: &[u8]) -> Result<Arc<News>, Refused> {
        let Config { network, spec, .. } = &self.hosts[&host].config;
        News::open(&Scope::new(network, spec.run_id()), frame.to_vec()).map(Arc::new)
    }

    /// Gossip as if everybody forwarded to everybody once.
    pub fn spread(&mut self, me: NodeId, frame: &[u8]) {
        let others: Vec<NodeId> = self.hosts.keys().copied().filter(|&node| node != me).collect();
        for other in others {
            let ticket = self.ticket();
            self.after(LATENCY, other, Input::Gossip { ticket, from: me, news: self.open(other, frame) });
        }
    }

    fn reply(&mut self, reply: ReplyId, response: &Response) {
        let Some((to, ask)) = self.replies.remove(&reply) else { return };
        let bytes = response.encode();
        assert_eq!(bytes[0], WIRE_VERSION);
        self.after(LATENCY, to, Input::Answer { ask, result: Ok(bytes) });
    }
}
