//! The examples of docs/PROTOCOL.md, recomputed: the page says what the code does, or this fails.
//!
//! Bytes are put together here by hand, as a reader in another language would, and never with the
//! encoders that are checked.

use shoal_protocol::body::Codec;
use shoal_protocol::delta::{self, Shape};
use shoal_protocol::id::NodeId;
use shoal_protocol::layout::Layout;
use shoal_protocol::slice::{self, Origin};
use shoal_protocol::spec::RunSpec;

/// The spec of rule 1.2's example.
const SPEC: &str = "version = 1\nname = \"page\"\nseed = 7\n[task]\nkind = \"none\"\n";

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/PROTOCOL.md");
    std::fs::read_to_string(path).expect("the page is in the tree")
}

/// A byte string or a list: its length in 8 bytes, then itself.
fn counted(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u64).to_le_bytes()[..], bytes].concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_run_id_is_the_hash_of_the_bytes_of_rule_1_2() {
    let mut bytes = vec![1];
    bytes.extend(counted(b"page"));
    bytes.extend(7_u64.to_le_bytes());
    bytes.extend([&10_u32.to_le_bytes()[..], &5_000_u32.to_le_bytes(), &8_u16.to_le_bytes()].concat());
    bytes.extend([&1_024_u32.to_le_bytes()[..], &1_u64.to_le_bytes(), &0_u64.to_le_bytes(), &30_u16.to_le_bytes()].concat());
    bytes.extend([&[1][..], &1.0_f32.to_le_bytes(), &0.0_f32.to_le_bytes()].concat());
    bytes.extend([&1.0_f32.to_le_bytes()[..], &0.6_f32.to_le_bytes(), &20_u32.to_le_bytes()].concat());
    bytes.extend([16_u16, 4, 16].iter().flat_map(|part| part.to_le_bytes()));
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(counted(b"kind"));
    bytes.extend(3_u32.to_le_bytes());
    bytes.extend(counted(b"none"));
    let id = blake3::derive_key("shoal 2026 run spec v1", &bytes);
    assert_eq!(RunSpec::parse(SPEC).unwrap().run_id().0, id);
    assert!(page().contains(&format!("{} bytes", bytes.len())) && page().contains(&hex(&id)), "{} {}", bytes.len(), hex(&id));
}

#[test]
fn the_delta_of_rule_7_2_is_these_four_bytes() {
    let shape = Shape { param_count: 16, chunk: 16, per_mille: 188, value_bits: 1 };
    assert_eq!(shape.kept(16), 3);
    let mut gradient = vec![0.0_f32; 16];
    (gradient[3], gradient[4], gradient[12]) = (-0.5, 0.25, 0.75);
    let (mut residual, mut out) = (vec![0.0; 16], Vec::new());
    let sent = delta::encode(&shape, 1.0, &mut residual, &gradient, &mut out);
    assert_eq!(out, [0x00, 0x38, 0x0e, 0x07]);
    assert_eq!((sent.indices(), sent.values()), (&[3, 4, 12][..], &[-0.5, 0.5, 0.5][..]));
    assert_eq!((residual[3], residual[4], residual[12]), (0.0, -0.25, 0.25));
    assert_eq!(delta::decode(&shape, &out).unwrap(), sent);
    assert!(page().contains("`00 38 0e 07`"));
}

#[test]
fn a_body_is_header_delta_and_slice() {
    let spec = RunSpec::parse(SPEC).unwrap();
    let layout = Layout::from_tensors(&[300]).unwrap();
    let codec = Codec::new(spec.run_id(), &spec, layout);
    let weights = vec![0.5_f32; 300];
    let origin = Origin { author: NodeId([7; 32]), round: 9 };
    let (bytes, _) = codec.encode(origin, 16, &vec![0.0; 300], &mut vec![0.0; 300], &weights);
    let header = [&[2, 1][..], &30_u16.to_le_bytes(), &300_u32.to_le_bytes(), &9_u64.to_le_bytes(), &16_u16.to_le_bytes()];
    assert_eq!(bytes[..18], header.concat());
    // All scales of the slice come before all of its levels; 0.5 is level 126 before dither.
    let block = slice::block_of(spec.run_id(), origin, 16);
    let len = slice::block_range(300, 16, block).len();
    let tail = &bytes[bytes.len() - len - 4..];
    assert_eq!(tail[..4], (0.5_f32 / 126.0).to_le_bytes());
    assert!(tail[4..].iter().all(|&level| (125..=127).contains(&level)));
    // The permutation and the dither, as rule 7.3 has them.
    let mut draws = blake3::Hasher::new_derive_key("shoal 2026 slice permutation v2");
    draws.update(&spec.run_id().0).update(&origin.author.0).update(&16_u16.to_le_bytes()).update(&0_u64.to_le_bytes());
    let (mut draws, mut order) = (draws.finalize_xof(), (0..16).collect::<Vec<u16>>());
    for last in (1..16_usize).rev() {
        let mut draw = [0; 8];
        draws.fill(&mut draw);
        order.swap(last, ((u128::from(u64::from_le_bytes(draw)) * (last as u128 + 1)) >> 64) as usize);
    }
    assert_eq!(block, order[9]);
    let mut dither = blake3::Hasher::new_derive_key("shoal 2026 slice dither v1");
    dither.update(&spec.run_id().0).update(&9_u64.to_le_bytes()).update(&16_u16.to_le_bytes());
    let mut raw = vec![0; len];
    dither.finalize_xof().fill(&mut raw);
    let expected: Vec<f32> = raw.iter().map(|&byte| (f32::from(byte) - 127.5) / 256.0).collect();
    assert_eq!(slice::dither(spec.run_id(), 9, 16, len), expected);
}
