//! Garbage at each door: dropped with its reason, counted, and the node trains on.

use shoal_protocol::fetch::AskId;
use shoal_protocol::id::{Digest, NodeId, RunId};
use shoal_protocol::peer::{Input, ReplyId, Verdict};
use shoal_protocol::reject::Reject;
use shoal_protocol::seal::{SEALED_BYTES, Scope, node_id, seal};
use shoal_protocol::time::Span;
use shoal_protocol::wire::{Announce, GOSSIP_BYTES_MAX, Request, Response};

use super::{Wire, node_key, spec};

struct Setting {
    wire: Wire,
    victim: NodeId,
    liar: NodeId,
    run: RunId,
}

/// Two honest nodes in training, and a liar's key that never runs a machine.
fn setting() -> Setting {
    let mut wire = Wire::new();
    let spec = spec(1_000, 8);
    let run = spec.run_id();
    let victim = wire.start(wire.config(1, &spec), None);
    wire.start(wire.config(2, &spec), None);
    wire.run_until(Span::from_secs(60), |wire| wire.hosts.values().all(|host| host.peer.round() >= 3));
    Setting { wire, victim, liar: node_id(&node_key(9)), run }
}

/// An announce of `body(seq)`.
fn announce(run: RunId, author: NodeId, round: u64, seq: u64) -> Announce {
    let body = body(seq);
    let (digest, body_bytes) = (Digest::of(&body), body.len() as u32);
    Announce { run, author, round, seq, digest, body_bytes, samples: 1, steps: 1, slice_rms: 0.0 }
}

impl Setting {
    fn announce(&self, seq: u64) -> Announce {
        announce(self.run, self.liar, self.wire.hosts[&self.victim].peer.round(), seq)
    }

    fn frame(&self, announce: &Announce) -> Vec<u8> {
        seal(&node_key(9), &Scope::new("test", self.run), announce)
    }

    fn gossip(&mut self, frame: Vec<u8>) -> Verdict {
        self.gossip_from(self.liar, frame)
    }

    fn gossip_from(&mut self, from: NodeId, frame: Vec<u8>) -> Verdict {
        let ticket = self.wire.ticket();
        let news = self.wire.open(self.victim, &frame);
        self.wire.give(self.victim, Input::Gossip { ticket, from, news });
        *self.wire.hosts[&self.victim].verdicts.last().expect("every message gets a verdict")
    }

    fn count(&self, reject: Reject) -> u64 {
        self.wire.hosts[&self.victim].peer.rejects().of(reject)
    }

    /// The victim is where it was and goes on.
    fn trains_on(&mut self) {
        let goal = self.wire.hosts[&self.victim].peer.round() + 5;
        let victim = self.victim;
        self.wire.run_until(Span::from_secs(60), |wire| wire.hosts[&victim].peer.round() >= goal);
        let last = self.wire.hosts[&victim].applied.last().expect("it applied");
        assert!(!last.2.is_empty(), "it still hears the honest one");
    }
}

fn body(seq: u64) -> Vec<u8> {
    seq.to_le_bytes().to_vec()
}

#[test]
fn bad_gossip_is_dropped_for_its_reason() {
    let small = setting();
    let good = small.frame(&small.announce(1));
    let scoped = |network: &str, run| seal(&node_key(9), &Scope::new(network, run), &Announce { run, ..small.announce(1) });
    let cases: Vec<(&str, Vec<u8>, Reject, Verdict)> = vec![
        ("empty", vec![], Reject::Truncated, Verdict::Reject),
        ("cut in the announce", good[..100].to_vec(), Reject::Truncated, Verdict::Reject),
        ("cut in the signature", good[..SEALED_BYTES - 1].to_vec(), Reject::Truncated, Verdict::Reject),
        ("oversized", vec![1; GOSSIP_BYTES_MAX + 1], Reject::Oversized, Verdict::Reject),
        ("another version", [&[2][..], &good[1..]].concat(), Reject::Version, Verdict::Ignore),
        ("another kind", [&[1, 7][..], &good[2..]].concat(), Reject::Kind, Verdict::Reject),
        ("another run", scoped("test", RunId([3; 32])), Reject::WrongRun, Verdict::Reject),
        ("another network", scoped("other", small.run), Reject::Signature, Verdict::Reject),
        (
            "a bit flipped",
            {
                let mut f = good.clone();
                f[70] ^= 1;
                f
            },
            Reject::Signature,
            Verdict::Reject,
        ),
        ("not a number", small.frame(&Announce { slice_rms: f32::NAN, ..small.announce(1) }), Reject::NotFinite, Verdict::Reject),
        (
            "too long a body",
            small.frame(&Announce { body_bytes: u32::MAX, ..small.announce(1) }),
            Reject::BodyOversized,
            Verdict::Reject,
        ),
        ("no body at all", small.frame(&Announce { body_bytes: 0, ..small.announce(1) }), Reject::BodyOversized, Verdict::Reject),
        ("another body", [&good[..], b"12345678"].concat(), Reject::BodyDigest, Verdict::Reject),
        ("a longer body", [&good[..], &body(1), b"x"].concat(), Reject::BodyDigest, Verdict::Reject),
    ];
    for (name, frame, reason, verdict) in cases {
        let mut setting = setting();
        assert_eq!(setting.gossip(frame), verdict, "{name}");
        assert_eq!(setting.count(reason), 1, "{name}");
        setting.trains_on();
    }
}

#[test]
fn replays_echoes_and_lies_about_rounds_do_nothing() {
    let mut setting = setting();
    let frame = [setting.frame(&setting.announce(5)), body(5)].concat();
    assert_eq!(setting.gossip(frame.clone()), Verdict::Accept);
    assert_eq!(setting.gossip(frame.clone()), Verdict::Ignore);
    assert_eq!(setting.gossip(setting.frame(&setting.announce(4))), Verdict::Ignore);
    assert_eq!(setting.count(Reject::Replayed), 2);
    let own = setting.wire.hosts[&setting.victim].published[0].clone();
    assert_eq!(setting.gossip(own), Verdict::Ignore);
    assert_eq!(setting.count(Reject::Echo), 1);
    let far = Announce { round: u64::MAX, ..setting.announce(6) };
    assert_eq!(setting.gossip(setting.frame(&far)), Verdict::Accept, "valid, but of no use");
    assert_eq!(setting.count(Reject::RoundDistant), 1);
    setting.trains_on();
    assert_eq!(setting.gossip(frame), Verdict::Ignore, "the same in a later round");
    assert!(setting.wire.hosts[&setting.victim].peer.round() < 100, "one liar's round moves nobody");
}

#[test]
fn an_equivocation_bans_its_author_at_once() {
    let mut setting = setting();
    assert_eq!(setting.gossip(setting.frame(&setting.announce(5))), Verdict::Accept);
    let other = Announce { digest: Digest::of(b"other"), ..setting.announce(5) };
    assert_eq!(setting.gossip(setting.frame(&other)), Verdict::Ignore);
    assert_eq!(setting.count(Reject::Equivocation), 1);
    assert!(setting.wire.hosts[&setting.victim].bans.contains(&setting.liar));
    // A ban holds for what somebody else passes on of the banned, and for what the banned pass on.
    let (other, scope) = (node_key(8), Scope::new("test", setting.run));
    let from_other = seal(&other, &scope, &Announce { author: node_id(&other), ..setting.announce(7) });
    assert_eq!(setting.gossip_from(node_id(&other), setting.frame(&setting.announce(6))), Verdict::Ignore);
    assert_eq!(setting.count(Reject::Banned), 1);
    assert_eq!(setting.gossip(from_other.clone()), Verdict::Ignore);
    assert_eq!(setting.count(Reject::Banned), 2);
    assert_eq!(setting.gossip_from(node_id(&other), from_other), Verdict::Accept, "it has done nothing");
    setting.trains_on();
}

#[test]
fn a_body_that_does_not_decode_speaks_against_its_author() {
    let mut setting = setting();
    for seq in 1..=3 {
        let bad = [vec![0xbd], body(seq)].concat();
        let announce = Announce { digest: Digest::of(&bad), body_bytes: bad.len() as u32, ..setting.announce(seq) };
        setting.gossip([setting.frame(&announce), bad].concat());
        let victim = setting.victim;
        setting.wire.run_until(Span::from_secs(5), |wire| wire.hosts[&victim].peer.rejects().of(Reject::BodyMalformed) == seq);
    }
    assert!(setting.wire.hosts[&setting.victim].bans.contains(&setting.liar), "three of them ban");
    setting.trains_on();
}

/// The announce is good and names a good body; what comes when it is asked for is something else.
#[test]
fn a_pulled_body_must_be_the_one_that_was_announced() {
    let cases = [
        ("another", body(9)),
        ("a longer", [&body(1)[..], b"x"].concat()),
        ("a shorter", body(1)[1..].to_vec()),
        ("none", vec![]),
    ];
    for (name, other) in cases {
        let mut setting = setting();
        setting.wire.scripted.insert(setting.liar, Response::Body(other.clone()).encode());
        let announce = setting.announce(1);
        assert_eq!(setting.gossip(setting.frame(&announce)), Verdict::Accept, "{name}");
        let victim = setting.victim;
        setting.wire.run_until(Span::from_secs(5), |wire| wire.hosts[&victim].peer.rejects().of(Reject::BodyDigest) > 0);
        setting.trains_on();
        let host = &setting.wire.hosts[&victim];
        assert!(!host.bodies.contains_key(&Digest::of(&other)), "{name} body got as far as the desk");
        assert!(host.applied.iter().all(|(_, _, digests)| !digests.contains(&announce.digest)), "{name} body was mixed");
    }
}

/// The digest is that of the body that comes, but its length was announced as another: bounds were checked
/// against that other length.
#[test]
fn a_pulled_body_must_have_the_length_that_was_announced() {
    for off in [-1_i32, 1] {
        let mut setting = setting();
        setting.wire.scripted.insert(setting.liar, Response::Body(body(1)).encode());
        let good = setting.announce(1);
        let announce = Announce { body_bytes: good.body_bytes.saturating_add_signed(off), ..good };
        assert_eq!(setting.gossip(setting.frame(&announce)), Verdict::Accept);
        let victim = setting.victim;
        setting.wire.run_until(Span::from_secs(5), |wire| wire.hosts[&victim].peer.rejects().of(Reject::BodyDigest) > 0);
        setting.trains_on();
        assert!(!setting.wire.hosts[&victim].bodies.contains_key(&announce.digest), "{off}");
    }
}

#[test]
fn bad_requests_are_answered_with_nothing() {
    let setting = setting();
    let run = setting.run;
    let good = Request::Head { run }.encode();
    let cases = [
        ("empty", vec![], Reject::Truncated),
        ("cut", good[..20].to_vec(), Reject::Truncated),
        ("oversized", vec![1; 10_000], Reject::Oversized),
        ("version", [&[9][..], &good[1..]].concat(), Reject::Version),
        ("kind", [&[1, 99][..], &good[2..]].concat(), Reject::Kind),
        ("leftovers", [&good[..], &[0]].concat(), Reject::Trailing),
        ("another run", Request::Head { run: RunId([4; 32]) }.encode(), Reject::WrongRun),
    ];
    for (name, bytes, reason) in cases {
        let mut setting = self::setting();
        let (victim, from) = (setting.victim, setting.liar);
        setting.wire.give(victim, Input::Request { reply: ReplyId(u64::MAX), from, bytes });
        assert_eq!(setting.count(reason), 1, "{name}");
        setting.trains_on();
    }
}

#[test]
fn a_flood_of_requests_is_cut_off_and_bans() {
    let mut setting = setting();
    let bytes = Request::State { run: setting.run, block: 0 }.encode();
    let (victim, from) = (setting.victim, setting.liar);
    for n in 0..200 {
        setting.wire.give(victim, Input::Request { reply: ReplyId(u64::MAX - n), from, bytes: bytes.clone() });
    }
    assert!(setting.count(Reject::RequestFlood) > 0);
    assert!(setting.wire.hosts[&victim].bans.contains(&from));
    setting.trains_on();
}

#[test]
fn answers_nobody_asked_for_are_dropped() {
    let mut setting = setting();
    let victim = setting.victim;
    setting.wire.give(victim, Input::Answer { ask: AskId(u64::MAX), result: Ok(vec![0; 100]) });
    setting.wire.give(victim, Input::Admitted { digest: Digest::of(b"?"), result: Ok(()) });
    setting.wire.give(victim, Input::Trained { round: 999, learned: None });
    setting.wire.give(victim, Input::Applied { round: 999, slice_rms: f32::NAN, update_rms: 0.0 });
    setting.wire.give(victim, Input::Adopted { adopted: true });
    assert_eq!(setting.count(Reject::Unasked), 1);
    setting.trains_on();
}

#[test]
fn a_flood_of_announces_from_made_up_authors_stays_within_bounds() {
    let mut setting = setting();
    // The queue bounds are checked at every step, in `Wire::give`.
    setting.announce_made_up(2_000, 1);
    setting.trains_on();
}

/// A key of somebody who is nothing but a name.
fn made_up(name: u32) -> ed25519_dalek::SigningKey {
    let mut seed = [7; 32];
    seed[..4].copy_from_slice(&name.to_le_bytes());
    ed25519_dalek::SigningKey::from_bytes(&seed)
}

impl Setting {
    /// Announces under so many made-up names for the victim's present round; no body will ever come.
    fn announce_made_up(&mut self, names: u32, seq: u64) {
        let scope = Scope::new("test", self.run);
        for name in 0..names {
            let key = made_up(name);
            let digest = Digest::of(&[name.to_le_bytes().as_slice(), &seq.to_le_bytes()].concat());
            let announce = Announce { author: node_id(&key), digest, ..self.announce(seq) };
            self.gossip(seal(&key, &scope, &announce));
        }
    }
}

/// Six honest nodes that hear four, and two hundred names that announce to one of them in every round.
#[test]
fn names_that_never_deliver_do_not_crowd_out_who_does() {
    let mut wire = Wire::new();
    let spec = spec(1_000, 4);
    let run = spec.run_id();
    let nodes: Vec<NodeId> = (1..=6).map(|n| wire.start(wire.config(n, &spec), None)).collect();
    let mut setting = Setting { wire, victim: nodes[0], liar: node_id(&node_key(9)), run };
    let victim = setting.victim;
    let mut mixed = 0;
    for round in 1..=16 {
        setting.wire.run_until(Span::from_secs(60), |wire| wire.hosts[&victim].peer.round() >= round);
        if round > 6 {
            mixed += setting.wire.hosts[&victim].applied.last().map_or(0, |(_, _, digests)| digests.len());
        }
        setting.announce_made_up(200, round);
    }
    assert!(mixed >= 30, "{mixed} bodies in ten rounds of four places");
    assert_eq!(setting.wire.hosts[&victim].applied.last().map(|(_, live, _)| *live), Some(6), "names are no nodes");
    assert!(setting.wire.hosts[&victim].bans.is_empty());
}

/// More names than there is room for before the honest peer has spoken: its announce still finds room.
#[test]
fn names_alone_do_not_fill_the_inbox() {
    let mut setting = setting();
    let victim = setting.victim;
    let round = setting.wire.hosts[&victim].peer.round() + 1;
    setting.wire.run_until(Span::from_secs(60), |wire| wire.hosts[&victim].peer.round() == round);
    setting.announce_made_up(1_100, 1);
    assert_eq!(setting.count(Reject::RoundDistant), 1_100 - 768);
    setting.wire.run_until(Span::from_secs(60), |wire| wire.hosts[&victim].peer.round() > round);
    assert_eq!(setting.count(Reject::RoundDistant), 1_100 - 768, "the honest one was let in");
    let (of, _, digests) = setting.wire.hosts[&victim].applied.last().expect("it applied");
    assert_eq!((*of, digests.len()), (round, 1));
}

/// Nothing a remote sends may make the machine panic: every single-byte change of real traffic.
#[test]
fn no_byte_of_a_real_message_can_be_changed_to_harm() {
    let mut setting = setting();
    let frame = [setting.frame(&setting.announce(1)), body(1)].concat();
    for place in 0..frame.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut changed = frame.clone();
            if changed[place] == value {
                continue;
            }
            changed[place] = value;
            assert_ne!(setting.gossip(changed), Verdict::Accept, "byte {place} as {value}");
        }
    }
    setting.trains_on();
}

/// PROTOCOL 4.6: a network that can be heard whole is told everything; in a larger one news goes two steps.
#[test]
fn in_a_large_network_only_what_comes_from_its_author_is_forwarded() {
    let mut setting = setting();
    let scope = Scope::new("test", setting.run);
    let (victim, relay) = (setting.victim, setting.liar);
    let mut bring = |n: u8, from_author: bool| {
        let key = node_key(n);
        let announce = Announce { author: node_id(&key), ..setting.announce(u64::from(n)) };
        let news = setting.wire.open(victim, &seal(&key, &scope, &announce));
        let (ticket, from) = (setting.wire.ticket(), if from_author { announce.author } else { relay });
        setting.wire.give(victim, Input::Gossip { ticket, from, news });
        *setting.wire.hosts[&victim].verdicts.last().expect("every message gets a verdict")
    };
    // The victim itself, its honest peer and 62 more are 64.
    for n in 100..162 {
        assert_eq!(bring(n, false), Verdict::Accept, "{n}");
    }
    assert_eq!(bring(200, false), Verdict::Ignore);
    assert_eq!(bring(201, true), Verdict::Accept);
}

/// With fewer than three peers heard the lowest round rules, and the only one may say anything.
#[test]
fn the_only_peer_may_say_the_last_round_there_is() {
    let mut wire = Wire::new();
    let spec = spec(1_000, 8);
    let (victim, liar) = (wire.start(wire.config(1, &spec), None), node_key(9));
    let scope = Scope::new("test", spec.run_id());
    wire.give(victim, Input::PeerUp { peer: node_id(&liar), prefix: None });
    for seq in 1..60 {
        let announce = announce(spec.run_id(), node_id(&liar), u64::MAX, seq);
        let (ticket, news) = (wire.ticket(), wire.open(victim, &seal(&liar, &scope, &announce)));
        wire.give(victim, Input::Gossip { ticket, from: node_id(&liar), news });
        let until = wire.now + Span::from_millis(500);
        wire.run_until(Span::from_secs(60), |wire| wire.now >= until);
    }
    assert!(!wire.hosts[&victim].applied.is_empty());
}
