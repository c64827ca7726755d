//! Records: inputs read back as they were told, bytes have the documented layout, and whatever is done
//! to a record is seen.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use shoal_protocol::fetch::{AskFailure, AskId};
use shoal_protocol::id::{Digest, NodeId};
use shoal_protocol::peer::{Config, Entry, Input, Learned, Output, ReplyId, Resume, TicketId, Verdict};
use shoal_protocol::record::{
    Ending, Malformed, Mark, Next, RECORD_BYTES_MAX, Reader, RecordError, Recorder, Start, decode_input, encode_input,
    encode_output,
};
use shoal_protocol::reject::Reject;
use shoal_protocol::seal::{News, Refused, Scope, Signer, node_id, seal};
use shoal_protocol::slice::Origin;
use shoal_protocol::spec::RunSpec;
use shoal_protocol::state::{StateBlock, encode_block};
use shoal_protocol::time::{Span, Time};
use shoal_protocol::trust::{TrustRecord, TrustReport};
use shoal_protocol::view::Prefix;
use shoal_protocol::wire::{Announce, Request, Response};

const SPEC: &str = r#"version = 1
name = "record"
seed = 9223372036854775807
[codec]
density = [[0, 100], [7, 3]]
beta = 0.1
step_ahead = 0.33333334
[mix]
rate = 1.1
[task]
kind = "none"
deep = { list = [1, 2.5, "text", true], more = { x = -0.1 } }
"#;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn config() -> Config {
    Config {
        spec: RunSpec::parse(SPEC).unwrap(),
        network: "local".to_owned(),
        signer: key().into(),
        dice_seed: [3; 32],
        next_seq: 5,
        body_bytes_max: 1_000,
        param_count: 10,
        samples: 4,
        inline_bytes_max: 100,
        wait_for_peers: 2,
        wait: Span::from_millis(70),
        rounds_max: Some(9),
    }
}

fn scope() -> Scope {
    Scope::new("local", config().spec.run_id())
}

fn news(round: u64, seq: u64, body: &[u8]) -> Arc<News> {
    let (key, scope) = (SigningKey::from_bytes(&[8; 32]), scope());
    let announce = Announce {
        run: scope.run(),
        author: node_id(&key),
        round,
        seq,
        digest: Digest::of(body),
        body_bytes: body.len() as u32,
        samples: 1,
        steps: 2,
        slice_rms: 0.25,
    };
    Arc::new(News::open(&scope, [&seal(&key, &scope, &announce), body].concat()).unwrap())
}

fn node() -> impl Strategy<Value = NodeId> {
    any::<[u8; 32]>().prop_map(NodeId)
}

fn reason() -> impl Strategy<Value = Reject> {
    (0..Reject::ALL.len()).prop_map(|place| Reject::ALL[place])
}

fn gossip() -> impl Strategy<Value = Result<Arc<News>, Refused>> {
    prop_oneof![
        (any::<u64>(), any::<u64>(), vec(any::<u8>(), 0..40)).prop_map(|(round, seq, body)| Ok(news(round, seq, &body))),
        (reason(), option::of(node())).prop_map(|(reason, author)| Err(Refused { reason, author })),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let failure = prop_oneof![Just(AskFailure::Unreachable), Just(AskFailure::Timeout), Just(AskFailure::Malformed)];
    let learned = (any::<[u8; 32]>(), any::<u32>(), any::<u32>()).prop_map(|(digest, body_bytes, steps)| Learned {
        digest: Digest(digest),
        body_bytes,
        steps,
    });
    prop_oneof![
        Just(Input::Tick),
        (node(), option::of(any::<u64>())).prop_map(|(peer, prefix)| Input::PeerUp { peer, prefix: prefix.map(Prefix) }),
        node().prop_map(|peer| Input::PeerDown { peer }),
        (any::<u64>(), node(), gossip()).prop_map(|(ticket, from, news)| Input::Gossip { ticket: TicketId(ticket), from, news }),
        (any::<u64>(), node(), vec(any::<u8>(), 0..70)).prop_map(|(reply, from, bytes)| Input::Request {
            reply: ReplyId(reply),
            from,
            bytes
        }),
        (any::<u64>(), prop_oneof![vec(any::<u8>(), 0..300).prop_map(Ok), failure.prop_map(Err)])
            .prop_map(|(ask, result)| Input::Answer { ask: AskId(ask), result }),
        (any::<[u8; 32]>(), option::of(reason()))
            .prop_map(|(digest, reason)| Input::Admitted { digest: Digest(digest), result: reason.map_or(Ok(()), Err) }),
        (any::<u64>(), option::of(learned)).prop_map(|(round, learned)| Input::Trained { round, learned }),
        (any::<u64>(), any::<u32>(), any::<u32>()).prop_map(|(round, slice, update)| Input::Applied {
            round,
            slice_rms: f32::from_bits(slice),
            update_rms: f32::from_bits(update)
        }),
        any::<bool>().prop_map(|adopted| Input::Adopted { adopted }),
    ]
}

fn encoded(input: &Input) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_input(input, &mut bytes);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn inputs_read_back_and_nothing_shorter_or_longer_does(input in input(), cut in any::<prop::sample::Index>()) {
        let bytes = encoded(&input);
        let read = decode_input(&scope(), &bytes).unwrap();
        prop_assert_eq!(format!("{read:?}"), format!("{input:?}"));
        prop_assert_eq!(encoded(&read), bytes.clone(), "ids are shortened in what is printed");
        prop_assert!(decode_input(&scope(), &bytes[..cut.index(bytes.len())]).is_err());
        prop_assert!(decode_input(&scope(), &[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn junk_is_an_input_or_refused(bytes in vec(any::<u8>(), 0..400)) {
        if let Ok(input) = decode_input(&scope(), &bytes) {
            prop_assert_eq!(encoded(&input), bytes, "one encoding each");
        }
    }

    #[test]
    fn junk_is_no_record(bytes in vec(any::<u8>(), 0..400)) {
        prop_assert!(Reader::open(&bytes).is_err());
        let headed = [&b"shoal record\x02"[..], &bytes].concat();
        prop_assert!(Reader::open(&headed).is_err());
    }
}

/// One of each kind, in the order of the kinds.
fn inputs() -> Vec<Input> {
    let (peer, digest) = (NodeId([1; 32]), Digest([2; 32]));
    let learned = Learned { digest, body_bytes: 3, steps: 4 };
    vec![
        Input::Tick,
        Input::PeerUp { peer, prefix: Some(Prefix(5)) },
        Input::PeerDown { peer },
        Input::Gossip { ticket: TicketId(6), from: peer, news: Ok(news(1, 2, b"body")) },
        Input::Gossip { ticket: TicketId(7), from: peer, news: Err(Refused { reason: Reject::NotFinite, author: Some(peer) }) },
        Input::Request { reply: ReplyId(8), from: peer, bytes: vec![1, 2] },
        Input::Answer { ask: AskId(9), result: Ok(vec![3, 4, 5]) },
        Input::Answer { ask: AskId(9), result: Err(AskFailure::Timeout) },
        Input::Admitted { digest, result: Err(Reject::BodyMalformed) },
        Input::Trained { round: 10, learned: Some(learned) },
        Input::Applied { round: 11, slice_rms: 0.5, update_rms: 0.25 },
        Input::Adopted { adopted: true },
    ]
}

/// One of each kind, in the order of the kinds.
fn outputs() -> Vec<Output> {
    let (peer, digest, run) = (NodeId([1; 32]), Digest([2; 32]), config().spec.run_id());
    let block = StateBlock::decode(&encode_block(&[0.5; 10], 0).unwrap(), 0, 10).unwrap();
    let frame = news(1, 2, b"").frame().to_vec();
    vec![
        Output::Train { round: 1, steps: 2, until: Time(3), reference_steps: Some(4), warm_up: true },
        Output::ReserveSequence { upto: 64 },
        Output::Publish { frame, inline: Some(digest) },
        Output::Verdict { ticket: TicketId(1), verdict: Verdict::Ignore },
        Output::Ask { ask: AskId(1), peer, request: Request::Body { run, digest }, bytes_max: 2, timeout: Span(3) },
        Output::Respond { reply: ReplyId(1), response: Response::Head { round: 2, ready: true } },
        Output::ServeBody { reply: ReplyId(1), digest },
        Output::ServeState { reply: ReplyId(1), block: 2, round: 3 },
        Output::ServeTrust { reply: ReplyId(1) },
        Output::Admit { digest, origin: Origin { author: peer, round: 1 }, body: b"body".to_vec() },
        Output::Forget { digests: vec![digest] },
        Output::Apply { round: 1, live: 2, entries: vec![Entry { author: peer, digest, lag: 3, samples: 4 }] },
        Output::Checkpoint { round: 1 },
        Output::KeepBlock { donor: peer, block },
        Output::KeepTrust {
            donor: peer,
            table: TrustReport {
                agreement: [0.5; 4],
                loudness: [2.0; 4],
                senders: vec![TrustRecord { peer, levels: [1.0, 2.0, 3.0, 4.0] }],
            },
        },
        Output::DropPieces { donor: peer },
        Output::Adopt { donors: vec![peer], round: 1 },
        Output::Ban { peer, span: Span(1) },
        Output::Finished { round: 1 },
    ]
}

/// A record of all inputs and, after one more, all outputs.
fn record() -> Vec<u8> {
    let (mut recorder, mut bytes) = Recorder::start(&config(), Time(1), Some(Resume { round: 8 }), RECORD_BYTES_MAX).unwrap();
    bytes.extend(recorder.outputs(&[]));
    for (place, input) in inputs().iter().enumerate() {
        bytes.extend(recorder.input(Time(10 * place as u64), input));
        bytes.extend(recorder.outputs(&[]));
    }
    bytes.extend(recorder.input(Time(1_000), &Input::Tick));
    bytes.extend(recorder.outputs(&outputs()));
    bytes.extend(recorder.stop());
    assert!(recorder.has_ended() && recorder.stop().is_empty() && recorder.outputs(&[]).is_empty());
    bytes
}

/// All that is in a record, as text.
fn read(bytes: &[u8]) -> Result<(Start, Vec<String>, Ending), RecordError> {
    let (start, first, mut reader) = Reader::open(bytes)?;
    let mut steps = vec![format!("{first:?}")];
    loop {
        match reader.next_step()? {
            Next::Step(step) => steps.push(format!("{step:?}")),
            Next::End(ending) => return Ok((start, steps, ending)),
        }
    }
}

#[test]
fn a_record_reads_back() {
    let bytes = record();
    let (start, steps, ending) = read(&bytes).unwrap();
    let (told, read) = (config(), &start.config);
    assert_eq!(
        (start.program.as_str(), start.now, start.resume),
        (env!("CARGO_PKG_VERSION"), Time(1), Some(Resume { round: 8 }))
    );
    assert_eq!((&read.spec, read.spec.run_id(), &read.network), (&told.spec, told.spec.run_id(), &told.network));
    assert_eq!((read.dice_seed, read.next_seq, read.rounds_max), (told.dice_seed, told.next_seq, told.rounds_max));
    assert_eq!((read.body_bytes_max, read.param_count, read.samples), (told.body_bytes_max, told.param_count, told.samples));
    assert_eq!((read.inline_bytes_max, read.wait_for_peers, read.wait), (told.inline_bytes_max, told.wait_for_peers, told.wait));
    assert!(matches!(read.signer, Signer::Silent(node) if node == node_id(&key())));
    assert_eq!((steps.len(), ending), (inputs().len() + 2, Ending::Stopped));
    let marks: Vec<Mark> = outputs().iter().map(Mark::of).collect();
    assert!(steps.last().unwrap().contains(&format!("outputs: Some({marks:?})")), "{steps:?}");
    for (step, input) in steps[1..].iter().zip(inputs()) {
        assert!(step.contains(&format!("input: {input:?}")), "{step} is not {input:?}");
    }
}

/// The one secret of a machine is nowhere in what is written of it.
#[test]
fn the_key_is_not_in_a_record() {
    let secret = key().to_bytes();
    let bytes = record();
    let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    assert!(holds(&node_id(&key()).0), "the public key is");
    for start in 0..25 {
        assert!(!holds(&secret[start..start + 8]));
    }
}

#[test]
fn every_flipped_bit_is_seen() {
    let bytes = record();
    let whole = read(&bytes).unwrap().1;
    for bit in 0..bytes.len() * 8 {
        let mut altered = bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        match read(&altered) {
            Err(_) => {}
            // A length that grew: all before it is as it was, and the rest is said to be no whole frame.
            Ok((_, steps, ending)) => {
                let alike = steps.iter().zip(&whole).all(|(step, told)| step == told || step.contains("None"));
                assert!(matches!(ending, Ending::Cut { bytes: 1.. }) && alike, "bit {bit}: {ending:?}");
            }
        }
    }
}

#[test]
fn what_is_whole_of_a_cut_record_counts() {
    let bytes = record();
    let whole = read(&bytes).unwrap().1;
    let mut lengths: Vec<usize> = Vec::new();
    for length in 0..bytes.len() {
        match read(&bytes[..length]) {
            Ok((_, steps, Ending::Cut { bytes })) => {
                assert!(steps.iter().zip(&whole).all(|(step, told)| step == told || step.contains("None")), "{length}");
                assert!(bytes < length);
                lengths.push(steps.len());
            }
            Ok((.., ending)) => panic!("{length}: {ending:?}"),
            Err(error) => assert!(error == RecordError::NotARecord && lengths.is_empty(), "{length}: {error}"),
        }
    }
    assert!(lengths.is_sorted() && lengths.first() == Some(&1) && lengths.last() == Some(&whole.len()));
}

#[test]
fn strangers_files_are_refused_by_name() {
    let bytes = record();
    let other_version = [&b"shoal record\x01"[..], &bytes[13..]].concat();
    assert_eq!(read(&other_version).err(), Some(RecordError::Version(1)));
    assert_eq!(read(b"#!/bin/sh").err(), Some(RecordError::NotARecord));
    assert_eq!(read(&vec![0; RECORD_BYTES_MAX + 1]).err(), Some(RecordError::TooLong));
    assert_eq!(read(&[&bytes[..], &[0]].concat()).err().map(|error| matches!(error, RecordError::Malformed { .. })), Some(true));

    // A writer that lets through a message nobody signed: its checks hold, the message's do not.
    let other = Scope::new("elsewhere", config().spec.run_id());
    let mut message = encoded(&inputs()[3]);
    assert!(matches!(decode_input(&other, &message), Err(Malformed::News(Reject::Signature))));
    let last = message.len() - 1;
    message[last] ^= 1;
    assert!(matches!(decode_input(&scope(), &message), Err(Malformed::News(Reject::BodyDigest))));
}

#[test]
fn a_full_record_ends_in_good_order() {
    let (_, beginning) = Recorder::start(&config(), Time(0), None, RECORD_BYTES_MAX).unwrap();
    for room in 0..200 {
        let bytes_max = beginning.len() + room;
        let Ok((mut recorder, mut bytes)) = Recorder::start(&config(), Time(0), None, bytes_max) else {
            assert!(room < 14, "an end mark needs no more");
            continue;
        };
        let mut steps = 0;
        while !recorder.has_ended() {
            bytes.extend(recorder.outputs(&[]));
            bytes.extend(recorder.input(Time(steps), &Input::Tick));
            steps += 1;
        }
        assert!(bytes.len() <= bytes_max && room >= 14, "{} bytes of {bytes_max}", bytes.len());
        assert_eq!(read(&bytes).unwrap().2, Ending::Full);
    }
}

/// The layout of each input and the hash of all outputs: an old record must stay readable, or the
/// version goes up.
#[test]
fn the_encoding_is_pinned() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let gossip = format!("030600000000000000<peer>01c600000000000000{}", hex(news(1, 2, b"body").frame()));
    let expected = [
        "00",
        "01<peer>010500000000000000",
        "02<peer>",
        &gossip,
        "030700000000000000<peer>000701<peer>",
        "040800000000000000<peer>02000000000000000102",
        "050900000000000000010300000000000000030405",
        "0509000000000000000001",
        "06<digest>010a",
        "070a0000000000000001<digest>0300000004000000",
        "080b000000000000000000003f0000803e",
        "0901",
    ];
    for (input, expected) in inputs().iter().zip(expected) {
        let expected = expected.replace("<peer>", &"01".repeat(32)).replace("<digest>", &"02".repeat(32));
        assert_eq!(hex(&encoded(input)), expected, "{input:?}");
    }
    let mut bytes = Vec::new();
    outputs().iter().for_each(|output| encode_output(output, &mut bytes));
    assert_eq!(Digest::of(&bytes).to_string(), "da92dc14bd5b14e9b4e6a7e9d4fbf8fcb8277f856367a8e001b69a71847ae04e");
    let record = record();
    assert_eq!(record[..13], *b"shoal record\x02");
    assert_eq!(record[record.len() - 14..record.len() - 8], [2, 0, 0, 0, 4, 0], "length, end, stopped");
}

/// Two outputs differ in their marks if they differ in anything but a signature or a body's bytes.
#[test]
fn marks_leave_out_signatures_and_bodies() {
    let publish = |byte: usize| {
        let mut frame = news(1, 2, b"").frame().to_vec();
        frame[byte] ^= 1;
        Mark::of(&Output::Publish { frame, inline: None })
    };
    assert_eq!(publish(130), publish(193), "in the signature");
    assert_ne!(publish(130), publish(129), "in what is signed");
    let admit = |body: &[u8]| {
        Mark::of(&Output::Admit {
            digest: Digest([2; 32]),
            origin: Origin { author: NodeId([3; 32]), round: 1 },
            body: body.to_vec(),
        })
    };
    assert_eq!(admit(b"body"), admit(b"ydob"));
    assert_ne!(admit(b"body"), admit(b"longer"));
    let marks: Vec<Mark> = outputs().iter().map(Mark::of).collect();
    for (place, mark) in marks.iter().enumerate() {
        assert!(marks[..place].iter().all(|other| other != mark && other.name() != mark.name()));
    }
}
