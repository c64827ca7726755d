//! Two nodes that train together over real sockets, and peers that send them everything wrong that
//! can be sent: each wrong is dropped under its own reason, counted, and the two train on.
//!
//! Each wrong on the topic comes from a peer of its own, because gossip stops listening to whoever
//! sent a few.

#[path = "live/hostile.rs"]
mod hostile;

use hostile::{Hostile, LARGE, OTHER_RUN, Pair, SMALL, count};
use shoal_node::identity::Identity;
use shoal_node::swarm::RequestError;
use shoal_protocol::id::{Digest, RunId};
use shoal_protocol::reject::Reject;
use shoal_protocol::seal::SEALED_BYTES;
use shoal_protocol::wire::{Announce, INLINE_BYTES_MAX, REQUEST_BYTES_MAX, Request, Response};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_wrong_on_the_topic_is_dropped_counted_and_outlived() {
    type Wrong = fn(&Hostile, RunId) -> Vec<u8>;
    let table: [(Reject, Wrong); 9] = [
        (Reject::Version, |_, _| vec![0xa5; 500]),
        (Reject::Truncated, |peer, run| peer.frame(run, b"", |_| ())[..SEALED_BYTES - 1].to_vec()),
        (Reject::Kind, |peer, run| [&[1, 9], &peer.frame(run, b"body", |_| ())[2..]].concat()),
        (Reject::Signature, |peer, run| peer.frame(run, b"body", |announce| announce.author = Identity::generate().node_id())),
        (Reject::WrongRun, |peer, _| peer.frame(OTHER_RUN, b"body", |_| ())),
        (Reject::Oversized, |peer, run| peer.frame(run, &vec![7; INLINE_BYTES_MAX + 1], |_| ())),
        (Reject::BodyOversized, |peer, run| peer.frame(run, b"", |announce| announce.body_bytes = u32::MAX)),
        (Reject::BodyDigest, |peer, run| peer.frame(run, b"body", |announce| announce.digest = Digest([0; 32]))),
        (Reject::NotFinite, |peer, run| peer.frame(run, b"body", |announce| announce.slice_rms = f32::NAN)),
    ];
    let dir = tempfile::tempdir().unwrap();
    let mut pair = Pair::start(LARGE, dir.path()).await;
    for (reason, wrong) in table {
        let mut hostile = pair.hostile().await;
        let frame = wrong(&hostile, pair.run);
        hostile.publishes(&mut pair.victims, frame, reason).await;
        pair.victims[0].trains_on(1).await;
    }
    // A body that is what its author signed, of this very round, and means nothing.
    let mut hostile = pair.hostile().await;
    let round = pair.victims[0].trains_on(2).await + 1;
    let frame = hostile.frame(pair.run, b"no body at all", |announce| announce.round = round);
    hostile.publishes(&mut pair.victims, frame, Reject::BodyMalformed).await;
    drop(hostile);
    pair.ends_well().await;
}

/// The announce of one victim said again, as it came but without its body, so that gossip does not
/// know it for the same bytes. To the other it is old, to its author an echo.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_before_is_not_heard_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut pair = Pair::start(SMALL, dir.path()).await;
    let mut hostile = pair.hostile().await;
    let [author, other] = &mut pair.victims;
    let recorded = hostile.records(author.id).await;
    let (announce, _) = Announce::decode(&recorded).unwrap();
    assert!(recorded.len() > SEALED_BYTES, "with its body");
    let heard = other.until("a later announce", |news| news.peers.iter().any(|peer| peer.round > announce.round));
    hostile.while_polled(async { drop(heard.await) }).await;
    let (echoed, replayed) = (author.count(Reject::Echo), other.count(Reject::Replayed));
    hostile.network.publish(&pair.run, recorded[..SEALED_BYTES].to_vec()).expect("a frame that gossip carries");
    let counted = async {
        other.until("a replay", |news| count(news, Reject::Replayed) > replayed).await;
        author.until("an echo", |news| count(news, Reject::Echo) > echoed).await;
    };
    hostile.while_polled(counted).await;
    drop(hostile);
    pair.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_wrong_that_is_asked_is_dropped_counted_and_outlived() {
    let dir = tempfile::tempdir().unwrap();
    let mut pair = Pair::start(SMALL, dir.path()).await;
    let mut hostile = pair.hostile().await;
    let (run, asked) = (pair.run, pair.victims[0].id);
    let whole = Request::Body { run, digest: Digest([0; 32]) }.encode();
    let table = [
        (Reject::Version, vec![0xa5; 40]),
        (Reject::Truncated, whole[..whole.len() - 1].to_vec()),
        (Reject::Truncated, vec![]),
        (Reject::Kind, [&[1, 9], &whole[2..]].concat()),
        (Reject::Trailing, [Request::Head { run }.encode(), vec![0]].concat()),
        (Reject::WrongRun, Request::Head { run: OTHER_RUN }.encode()),
        (Reject::Oversized, vec![1; REQUEST_BYTES_MAX + 1]),
    ];
    let not_here = Ok(Response::NotHere.encode());
    for (reason, bytes) in table {
        let before = pair.victims[0].count(reason);
        assert_eq!(hostile.asks(asked, bytes).await, not_here, "{reason}");
        pair.victims[0].until(reason.label(), |news| count(news, reason) > before).await;
    }
    // Longer than any message: declined, or not even read.
    assert_eq!(hostile.asks(asked, vec![1; REQUEST_BYTES_MAX + 2]).await, Err(RequestError::Declined));
    assert!(hostile.asks(asked, vec![1; 1 << 20]).await.is_err());
    // Seven faults are not yet a ban: it is still answered what it asks in good form. Four more are.
    let head = Request::Head { run };
    let answer = hostile.asks(asked, head.encode()).await.unwrap();
    assert!(matches!(Response::decode(&head, &answer), Ok(Response::Head { ready: true, .. })), "{answer:?}");
    for byte in 0..4 {
        // The last closes the connection, perhaps before it is answered.
        let _ = hostile.asks(asked, vec![1, 9, byte]).await;
    }
    let mut banned = false;
    let mut asked_again = 0;
    while !banned && asked_again < 1_000 {
        banned = hostile.asks(asked, head.encode()).await.is_err();
        asked_again += 1;
    }
    assert!(banned);
    drop(hostile);
    pair.ends_well().await;
}
