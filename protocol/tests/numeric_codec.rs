//! The codec as strangers meet it: what is encoded decodes to what was subtracted, junk is refused
//! without a panic, and the bytes are the same on every machine.

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use shoal_protocol::body::{BodyReject, Codec};
use shoal_protocol::delta::{self, DeltaReject, RESIDUAL_MAX, Shape};
use shoal_protocol::id::{Digest, NodeId, RunId};
use shoal_protocol::layout::{Layout, PARAM_COUNT_MAX};
use shoal_protocol::slice::{self, Origin, Slice};
use shoal_protocol::spec::RunSpec;

const RUN: RunId = RunId([3; 32]);

fn origin(round: u64) -> Origin {
    Origin { author: NodeId([5; 32]), round }
}

/// A run spec with these additional lines.
fn spec(lines: &str) -> RunSpec {
    RunSpec::parse(&format!("version = 1\nname = \"numeric\"\nseed = 1\n{lines}\n[task]\n")).expect("a spec")
}

fn codec(param_count: usize, value_bits: u8, per_mille: u16) -> Codec {
    let lines = format!(
        "[codec]\nchunk = 256\ndensity = [[0, {per_mille}], [100, 20]]\nvalue_bits = {value_bits}\n[slice]\nfinest = 128"
    );
    Codec::new(RUN, &spec(&lines), Layout::from_tensors(&[param_count]).expect("a layout"))
}

/// Uniform in -1..1, from a counter (splitmix64).
fn noise(seed: u64, len: usize) -> Vec<f32> {
    let mix = |i: u64| {
        let mut z = (seed << 32).wrapping_add(i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    (0..len as u64).map(mix).collect()
}

/// All that a gradient may hold: ordinary values, ties, zeros of both signs, denormals, huge ones.
fn value() -> impl Strategy<Value = f32> {
    prop_oneof![
        6 => -0.1_f32..0.1,
        2 => prop::sample::select(vec![0.0, -0.0, 0.5, -0.5, 1e-40, -1e-45, 65_504.0, -70_000.0, 1e29, -3e38, f32::MAX]),
        1 => prop::num::f32::NORMAL | prop::num::f32::SUBNORMAL,
    ]
}

/// Lengths around the chunk's edges, and others.
fn gradient() -> impl Strategy<Value = Vec<f32>> {
    let len = prop_oneof![prop::sample::select(vec![1_usize, 2, 7, 255, 256, 257, 511, 512, 513]), 1_usize..2_000];
    len.prop_flat_map(|len| prop::collection::vec(value(), len))
}

/// A failing case is kept beside this file.
fn kept() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(kept())]

    #[test]
    fn decoding_gives_what_was_subtracted(gradient in gradient(), value_bits in 1_u8..=2, per_mille in prop::sample::select(vec![1_u16, 4, 30, 100, 333, 500]), chunk in prop::sample::select(vec![256_usize, 512])) {
        let shape = Shape { param_count: gradient.len(), chunk, per_mille, value_bits };
        let mut residual: Vec<f32> = noise(7, gradient.len()).iter().map(|value| value * 0.05).collect();
        let before = residual.clone();
        let mut bytes = Vec::new();
        let sent = delta::encode(&shape, 0.75, &mut residual, &gradient, &mut bytes);
        prop_assert!((shape.bytes_min()..=shape.bytes_max()).contains(&bytes.len()));
        let seen = delta::decode(&shape, &bytes).expect("what was encoded");
        prop_assert_eq!(&seen, &sent);
        prop_assert_eq!(seen.indices().len(), shape.kept_total());
        prop_assert!(seen.indices().windows(2).all(|pair| pair[0] < pair[1]));
        // Error feedback loses nothing: after = (beta before + D, within bounds) - q, to the last bit.
        let mut expected: Vec<f32> = before.iter().zip(&gradient).map(|(e, d)| (0.75 * e + d).clamp(-RESIDUAL_MAX, RESIDUAL_MAX)).collect();
        for (&index, &value) in seen.indices().iter().zip(seen.values()) {
            expected[index as usize] -= value;
        }
        prop_assert_eq!(residual, expected);
    }

    #[test]
    fn what_is_left_out_is_no_larger_than_what_is_kept(gradient in gradient(), per_mille in 1_u16..=500) {
        let shape = Shape { param_count: gradient.len(), chunk: 256, per_mille, value_bits: 1 };
        let clamped: Vec<f32> = gradient.iter().map(|value| value.clamp(-RESIDUAL_MAX, RESIDUAL_MAX)).collect();
        let sent = delta::encode(&shape, 1.0, &mut vec![0.0; gradient.len()], &gradient, &mut Vec::new());
        for (number, chunk) in clamped.chunks(256).enumerate() {
            let entries = &sent.indices()[sent.entries(&(number * 256..number * 256 + chunk.len()))];
            prop_assert_eq!(entries.len(), shape.kept(chunk.len()));
            let is_kept = |i: usize| entries.contains(&((number * 256 + i) as u32));
            let least_kept = (0..chunk.len()).filter(|&i| is_kept(i)).map(|i| chunk[i].abs()).fold(f32::INFINITY, f32::min);
            let most_left = (0..chunk.len()).filter(|&i| !is_kept(i)).map(|i| chunk[i].abs()).fold(0.0, f32::max);
            prop_assert!(most_left <= least_kept);
        }
    }

    #[test]
    fn bodies_survive_the_wire(gradient in gradient(), value_bits in 1_u8..=2, per_mille in prop::sample::select(vec![1_u16, 30, 500]), parts in prop::sample::select(vec![4_u16, 16, 128]), round in 0_u64..300) {
        let codec = codec(gradient.len(), value_bits, per_mille);
        let weights = noise(round, gradient.len());
        let (bytes, sent) = codec.encode(origin(round), parts, &gradient, &mut vec![0.0; gradient.len()], &weights);
        prop_assert!(bytes.len() <= codec.body_bytes_max());
        let body = codec.decode(&bytes, origin(round)).expect("what was encoded");
        prop_assert_eq!(body.delta(), &sent);
        prop_assert_eq!(body.slice(), &Slice::quantise(RUN, origin(round), parts, &weights));
        prop_assert_eq!((body.round(), body.slice().parts()), (round, parts));
        for cut in 0..bytes.len().min(40) {
            prop_assert!(codec.decode(&bytes[..bytes.len() - 1 - cut], origin(round)).is_err());
        }
    }

    #[test]
    fn junk_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..600), value_bits in 1_u8..=2, per_mille in 1_u16..=500, param_count in 1_usize..3_000) {
        let codec = codec(param_count, value_bits, per_mille);
        let _ = codec.decode(&bytes, origin(0));
        if let Ok(delta) = delta::decode(&codec.shape(0), &bytes) {
            // An encoding is unique, so whatever is accepted has exactly this shape.
            prop_assert_eq!(delta.indices().len(), codec.shape(0).kept_total());
        }
    }

    #[test]
    fn one_flipped_bit_is_refused_or_decodes_to_a_whole_body(seed in 0_u64..50, flip in any::<prop::sample::Index>(), value_bits in 1_u8..=2) {
        let codec = codec(1_500, value_bits, 30);
        let (mut bytes, _) = codec.encode(origin(5), 16, &noise(seed, 1_500), &mut vec![0.0; 1_500], &noise(seed + 1, 1_500));
        let bit = flip.index(bytes.len() * 8);
        let whole = codec.decode(&bytes, origin(5)).expect("what was encoded");
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(body) = codec.decode(&bytes, origin(5)) {
            prop_assert!(body != whole, "two encodings of one body");
            prop_assert_eq!(body.delta().indices().len(), codec.shape(5).kept_total());
            prop_assert!(body.delta().indices().iter().all(|&index| index < 1_500));
            prop_assert!(body.delta().values().iter().all(|value| value.is_finite()));
        }
    }

    #[test]
    fn equal_weights_differ_by_nothing(weights in prop::collection::vec(-1e20_f32..1e20, 1..1_200), shrink in prop::sample::select(vec![1.0_f32, 1e-20, 1e-25, 1e-40, 1e-60]), round in any::<u64>(), parts in prop::sample::select(vec![2_u16, 16, 1_024])) {
        let weights: Vec<f32> = weights.iter().map(|weight| weight * shrink).collect();
        let slice = Slice::quantise(RUN, origin(round), parts, &weights);
        let own = &weights[slice::block_range(weights.len(), parts, slice.block())];
        let difference = slice.difference(own, &slice::dither(RUN, round, parts, own.len()));
        prop_assert!(difference.iter().all(|&value| value == 0.0));
    }

    #[test]
    fn differences_are_right_to_within_a_level(seed in any::<u32>(), round in 0_u64..1_000, apart in 0.0_f32..3.0) {
        let theirs = noise(u64::from(seed), 1_024);
        let mine: Vec<f32> = theirs.iter().zip(noise(u64::from(seed) + 1, 1_024)).map(|(weight, step)| weight + apart * step).collect();
        let slice = Slice::quantise(RUN, origin(round), 2, &theirs);
        let range = slice::block_range(1_024, 2, slice.block());
        let difference = slice.difference(&mine[range.clone()], &slice::dither(RUN, round, 2, range.len()));
        for ((seen, theirs), mine) in difference.iter().zip(&theirs[range.clone()]).zip(&mine[range]) {
            prop_assert!((seen - (theirs - mine)).abs() <= 1.01 / 126.0);
        }
    }
}

#[test]
fn the_header_must_agree_with_the_spec_and_the_announce() {
    let codec = codec(1_000, 1, 30);
    let (good, _) = codec.encode(origin(7), 16, &noise(1, 1_000), &mut vec![0.0; 1_000], &noise(2, 1_000));
    assert!(codec.decode(&good, origin(7)).is_ok());
    assert!(good.len() <= codec.body_bytes_max());
    let with = |place: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[place] = byte;
        codec.decode(&bytes, origin(7))
    };
    let table = [
        (with(0, 1), BodyReject::Version(1)),
        (with(1, 2), BodyReject::ValueBits(2)),
        (with(2, 31), BodyReject::Density { found: 31, expected: 30 }),
        (with(4, 0), BodyReject::ParamCount(768)),
        (with(8, 8), BodyReject::Round { found: 8, expected: 7 }),
        (with(16, 15), BodyReject::Parts(15)),
        (with(16, 2), BodyReject::Parts(2)),
        (with(16, 0), BodyReject::Parts(0)),
        (codec.decode(&good, origin(8)), BodyReject::Round { found: 7, expected: 8 }),
        (
            codec.decode(&vec![0; codec.body_bytes_max() + 1], origin(7)),
            BodyReject::TooLong { len: codec.body_bytes_max() + 1, max: codec.body_bytes_max() },
        ),
    ];
    for (found, expected) in table {
        assert_eq!(found, Err(expected));
    }
    // A body of the next density is not one of this round's.
    let (later, _) = codec.encode(origin(100), 16, &noise(1, 1_000), &mut vec![0.0; 1_000], &noise(2, 1_000));
    assert!(codec.decode(&later, origin(100)).is_ok());
    for len in 0..good.len() {
        assert!(codec.decode(&good[..len], origin(7)).is_err(), "cut at {len}");
    }
    assert!(codec.decode(&[good.clone(), vec![0]].concat(), origin(7)).is_err());
}

#[test]
fn scales_and_padding_are_checked() {
    let shape = Shape { param_count: 4, chunk: 256, per_mille: 250, value_bits: 1 };
    let mut good = Vec::new();
    let sent = delta::encode(&shape, 1.0, &mut [0.0; 4], &[0.0, 0.0, -2.0, 1.0], &mut good);
    assert_eq!((sent.indices(), sent.values()), (&[2][..], &[-2.0][..]));
    // 16 bits of scale, a quotient of one (01), one bit of remainder, the sign: 20 bits, 4 of padding.
    assert_eq!(good, [0x00, 0x40, 0b1010]);
    for scale in [0x8000_u16, 0xc000, 0x7c00, 0x7e00, 0xffff] {
        let [low, high] = scale.to_le_bytes();
        assert_eq!(delta::decode(&shape, &[low, high, good[2]]), Err(DeltaReject::Scale), "{scale:x}");
    }
    for bit in 4..8 {
        assert_eq!(delta::decode(&shape, &[good[0], good[1], good[2] | 1 << bit]), Err(DeltaReject::Padding));
    }
    assert_eq!(delta::decode(&shape, &[0, 0x40, 0b1000]), Err(DeltaReject::Index));
    assert_eq!(delta::decode(&shape, &good[..2]), Err(DeltaReject::Truncated));
}

#[test]
fn too_few_bytes_are_refused_before_the_first_is_read() {
    // 64 M entries would be asked for. The bytes would be refused for their first scale, were it read.
    let shape = Shape { param_count: PARAM_COUNT_MAX, chunk: 1_024, per_mille: 30, value_bits: 1 };
    assert_eq!(delta::decode(&shape, &[0xff; 1_000]), Err(DeltaReject::Truncated));
    let small = Shape { param_count: 100, ..shape };
    assert_eq!(delta::decode(&small, &vec![0xff; small.bytes_max() + 1]), Err(DeltaReject::Leftover));
    assert_eq!(delta::decode(&small, &vec![0xff; small.bytes_max()]), Err(DeltaReject::Scale));
}

#[test]
fn slice_scales_out_of_range_are_refused() {
    let codec = codec(1_000, 1, 30);
    let (mut bytes, _) = codec.encode(origin(7), 16, &noise(1, 1_000), &mut vec![0.0; 1_000], &noise(2, 1_000));
    let block = slice::block_of(RUN, origin(7), 16);
    let start = bytes.len() - slice::bytes(slice::block_range(1_000, 16, block).len());
    for scale in [f32::NAN, f32::INFINITY, -1.0, 0.0, -0.0, 1e31, 1e-31] {
        bytes[start..start + 4].copy_from_slice(&scale.to_le_bytes());
        assert_eq!(codec.decode(&bytes, origin(7)), Err(BodyReject::SliceScale), "{scale}");
    }
}

#[test]
fn bytes_are_the_same_everywhere() {
    let digest = |value_bits| {
        let codec = codec(3_000, value_bits, 30);
        let mut residual = noise(11, 3_000);
        let (bytes, _) = codec.encode(origin(9), 16, &noise(12, 3_000), &mut residual, &noise(13, 3_000));
        let residual: Vec<u8> = residual.iter().flat_map(|value| value.to_le_bytes()).collect();
        (bytes.len(), Digest::of(&bytes).short(), Digest::of(&residual).short())
    };
    // A change here is a change of the protocol: it needs a new BODY_VERSION.
    assert_eq!(digest(1), (319, "5c48607e".to_owned(), "d501f745".to_owned()));
    assert_eq!(digest(2), (354, "d30ca3a2".to_owned(), "80251b0a".to_owned()));
}

#[test]
fn a_scale_for_each_group_beats_one_for_all() {
    // A layer of small weights beside a few large ones, as biases and norms are.
    let weights: Vec<f32> =
        noise(5, 4_096).iter().enumerate().map(|(i, weight)| if i < 64 { 1.0 + weight } else { 0.02 * weight }).collect();
    let square_error = |parts_of: &[&[f32]]| -> f64 {
        parts_of
            .iter()
            .map(|part| {
                let scale = part.iter().fold(0.0_f32, |largest, weight| largest.max(weight.abs())) / 126.0;
                part.iter().map(|weight| f64::from((weight / scale).round() * scale - weight).powi(2)).sum::<f64>()
            })
            .sum()
    };
    let groups: Vec<&[f32]> = weights.chunks(slice::GROUP).collect();
    assert!(square_error(&groups) * 10.0 < square_error(&[&weights]));
}
