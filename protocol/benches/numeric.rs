//! What compression and mixing cost, on one core. `cargo bench -p shoal-protocol`, under a minute.
//!
//! Printed first, since no clock is needed: bits for each kept value beside the floor of any code. Then
//! encoding and decoding 10 M parameters, and mixing eight such bodies beside a plain mean of eight
//! vectors of as many f32, which is what the mix would cost if nothing were compressed or doubted.
#![allow(missing_docs, reason = "criterion's macros make functions without any")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a benchmark is the host here, and reads a clock")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shoal_protocol::body::Admitted;
use shoal_protocol::delta::{self, Shape};
use shoal_protocol::id::NodeId;
use shoal_protocol::layout::Layout;
use shoal_protocol::mix::Incoming;
use shoal_protocol::replica::Replica;
use shoal_protocol::spec::RunSpec;

const PARAMS: usize = 10_000_000;
const SENDERS: usize = 8;

/// About normal, from a counter (splitmix64).
fn noise(seed: u64, len: usize) -> Vec<f32> {
    let draw = |i: u64| {
        let mut z = (seed << 32).wrapping_add(i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let part = |shift: u32| f32::from((z >> shift) as u16) / 65_536.0 - 0.5;
        0.01 * (part(0) + part(16) + part(32) + part(48))
    };
    (0..len as u64).map(draw).collect()
}

/// log2 of n over k.
fn log2_choose(n: u32, k: u32) -> f64 {
    (0..k).map(|i| f64::from(n - i).log2() - f64::from(k - i).log2()).sum()
}

/// About 64 of 4,096: index and value bits for each kept value, scales apart.
fn print_bits() {
    // 64 of 4,096 is no whole per mille: 61 and 66 of 4,096 on both sides of it, and 64 of 4,000.
    for (n, value_bits, per_mille) in [(4_096_u32, 1, 15), (4_096, 1, 16), (4_000, 1, 16), (4_000, 2, 16)] {
        let params = n as usize * 512;
        let shape = Shape { param_count: params, chunk: n as usize, per_mille, value_bits };
        let mut bytes = Vec::new();
        let delta = delta::encode(&shape, 1.0, &mut vec![0.0; params], &noise(1, params), &mut bytes);
        let (kept, k) = (delta.indices().len() as f64, shape.kept(n as usize) as u32);
        let floor = log2_choose(n, k) / f64::from(k);
        let found = (bytes.len() * 8 - shape.scale_bits()) as f64 / kept;
        let bound = 1.05 * (floor + f64::from(value_bits));
        let scales = shape.scale_bits() as f64 / kept;
        println!("{k} of {n}, {value_bits}-bit values: {found:.3} bits a kept value, bound {bound:.3}, scales {scales:.3} more");
        assert!(found <= bound, "worse than 1.05 x the floor");
    }
}

fn codec(criterion: &mut Criterion) {
    print_bits();
    let shape = Shape { param_count: PARAMS, chunk: 1_024, per_mille: 30, value_bits: 1 };
    let gradient = noise(2, PARAMS);
    let (mut residual, mut bytes) = (vec![0.0; PARAMS], Vec::new());
    let mut group = criterion.benchmark_group("10 M parameters, 3 %, 1 bit");
    group.sample_size(20).measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    group.throughput(Throughput::Elements(PARAMS as u64));
    group.bench_function("encode, error feedback included", |bencher| {
        bencher.iter(|| {
            bytes.clear();
            black_box(delta::encode(&shape, 1.0, &mut residual, &gradient, &mut bytes))
        });
    });
    group.bench_function("decode", |bencher| bencher.iter(|| black_box(delta::decode(&shape, &bytes))));
    group.finish();
}

fn mix(criterion: &mut Criterion) {
    let spec = RunSpec::parse("version = 1\nname = \"bench\"\nseed = 1\n[task]\n").expect("a spec");
    let layout = Layout::from_tensors(&[PARAMS / 4; 4]).expect("a layout");
    let new = |id: u8| {
        Replica::new(spec.run_id(), &spec, layout.clone(), NodeId([id; 32]), [id; 32], vec![0.0; PARAMS]).expect("a replica")
    };
    let start = vec![0.0; PARAMS];
    let bodies: Vec<Admitted> = (0..SENDERS as u8)
        .map(|id| {
            let mut author = new(id);
            let published = author.publish(0, &start, &noise(u64::from(id), PARAMS), 1.0, 1).expect("finite");
            author.codec().decode(&published.bytes, author.origin(0)).expect("what was encoded")
        })
        .collect();
    let incoming = |(id, body): (usize, &'_ Admitted)| (NodeId([id as u8; 32]), body.clone());
    let authors: Vec<(NodeId, Admitted)> = bodies.iter().enumerate().map(incoming).collect();
    let incoming: Vec<Incoming<'_>> =
        authors.iter().map(|(author, body)| Incoming { author: *author, lag: 0, samples: 1, body }).collect();
    let dense: Vec<Vec<f32>> = (0..SENDERS as u64).map(|seed| noise(seed, PARAMS)).collect();
    let mut replica = new(100);
    let mut mean = vec![0.0_f32; PARAMS];

    // Alternating, so that whatever else the machine does falls on both alike.
    let mut spent = [Duration::ZERO; 2];
    for round in 3..23 {
        let begun = Instant::now();
        black_box(replica.apply(round, SENDERS + 1, &incoming));
        spent[0] += begun.elapsed();
        let begun = Instant::now();
        plain_mean(&dense, &mut mean);
        black_box(&mean);
        spent[1] += begun.elapsed();
    }
    let ratio = spent[0].as_secs_f64() / spent[1].as_secs_f64();
    println!(
        "mixing {SENDERS} bodies: {:?}, plain mean of {SENDERS} vectors: {:?}, ratio {ratio:.2}",
        spent[0] / 20,
        spent[1] / 20
    );

    let mut group = criterion.benchmark_group("10 M parameters from 8 senders");
    group.sample_size(10).measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    group.bench_function("mix: trust, slices, outer step", |bencher| {
        bencher.iter(|| black_box(replica.apply(30, SENDERS + 1, &incoming)));
    });
    group.bench_function("plain mean of f32", |bencher| {
        bencher.iter(|| {
            plain_mean(&dense, &mut mean);
            black_box(mean[0])
        });
    });
    group.finish();
}

/// The mean of eight equally long vectors, all read once, in a form that compiles to vector
/// instructions: a baseline that is slow for want of care would prove nothing.
fn plain_mean(vectors: &[Vec<f32>], mean: &mut [f32]) {
    let count = mean.len();
    let [a, b, c, d, e, f, g, h] = vectors else { return };
    let [a, b, c, d, e, f, g, h] = [a, b, c, d, e, f, g, h].map(|vector| &vector[..count]);
    for (i, mean) in mean.iter_mut().enumerate() {
        *mean = 0.125 * (((a[i] + b[i]) + (c[i] + d[i])) + ((e[i] + f[i]) + (g[i] + h[i])));
    }
}

criterion_group!(benches, codec, mix);
criterion_main!(benches);
