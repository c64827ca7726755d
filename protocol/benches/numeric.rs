fn main() {
    use shoal_protocol::delta::*;
    use std::time::Instant;
    let n = 10_000_000;
    let mut s = 1u64;
    let mut rnd = || {
        s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((s >> 40) as f32 / (1u64 << 24) as f32) - 0.5
    };
    let g: Vec<f32> = (0..n).map(|_| (rnd() + rnd() + rnd() + rnd()) * 0.01).collect();
    let mut e = vec![0.0f32; n];
    for pm in [30, 100, 300] {
        let sh = Shape { param_count: n, chunk: 1024, per_mille: pm, value_bits: 1 };
        let mut out = Vec::new();
        for i in 0..6 {
            out.clear();
            let t = Instant::now();
            let d = encode(&sh, 1.0, &mut e, &g, &mut out);
            let dt = t.elapsed();
            let t = Instant::now();
            let dd = decode(&sh, &out).unwrap();
            let dt2 = t.elapsed();
            assert_eq!(d, dd);
            println!(
                "pm {pm} {i} encode {:.0} M/s decode {:.0} M/s bytes {}",
                n as f64 / dt.as_secs_f64() / 1e6,
                n as f64 / dt2.as_secs_f64() / 1e6,
                out.len()
            );
        }
    }
}
