//! Replicas that learn together, some of them honestly: what the numeric tests share.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses its own part of this one")]

use shoal_protocol::body::Admitted;
use shoal_protocol::id::NodeId;
use shoal_protocol::layout::Layout;
use shoal_protocol::mix::Incoming;
use shoal_protocol::replica::{Applied, Replica};
use shoal_protocol::spec::RunSpec;

/// Two layers, so that a reversed one has somewhere to hide.
pub const TENSORS: [usize; 2] = [1_500, 600];
pub const PARAMS: usize = 2_100;

pub fn spec(lines: &str) -> RunSpec {
    RunSpec::parse(&format!("version = 1\nname = \"numeric\"\nseed = 1\n{lines}\n[task]\n")).expect("a spec")
}

pub fn layout() -> Layout {
    Layout::from_tensors(&TENSORS).expect("a layout")
}

pub fn replica_with(spec: &RunSpec, id: u8, weights: Vec<f32>) -> Replica {
    Replica::new(spec.run_id(), spec, layout(), NodeId([id; 32]), [id ^ 0x5a; 32], weights).expect("a replica")
}

/// About normal, mean 0, variance 1, from a counter (splitmix64).
pub fn noise(seed: u64, len: usize) -> Vec<f32> {
    let uniform = |i: u64| {
        let mut z = (seed << 24).wrapping_add(i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    };
    (0..len as u64).map(|i| (0..6).map(|part| uniform(i * 6 + part)).sum::<f32>() * 1.414).collect()
}

pub fn rms(values: impl Iterator<Item = f32>) -> f32 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value * value, count + 1.0));
    (sum / count).sqrt()
}

pub fn distance(a: &[f32], b: &[f32]) -> f32 {
    rms(a.iter().zip(b).map(|(a, b)| a - b))
}

/// What a node does to the change its training found, before it publishes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Honest,
    /// Publishes so many times its change: -1 flips signs.
    Scaled(f32),
    /// Reverses the first layer and is honest about the second.
    OneLayer,
    /// All of this kind publish one and the same change, away from the target.
    Clone,
    /// Honest about its change, but its slices say that all weights should be larger by five.
    Poison,
}

/// Nodes that learn one target, each seeing it through its own noise.
pub struct Net {
    pub replicas: Vec<Replica>,
    pub kinds: Vec<Kind>,
    pub target: Vec<f32>,
    pub round: u64,
    /// What was published last.
    pub bodies: Vec<Admitted>,
    /// How many others each node hears in a round, at random.
    pub heard: usize,
    /// Each node's own noise, as a multiple of the common step.
    pub noise: f32,
}

impl Net {
    pub fn new(spec: &RunSpec, kinds: &[Kind]) -> Self {
        let replicas = (0..kinds.len()).map(|id| replica_with(spec, id as u8 + 1, vec![0.0; PARAMS])).collect();
        Self {
            replicas,
            kinds: kinds.to_vec(),
            target: noise(99, PARAMS),
            round: 0,
            bodies: Vec::new(),
            heard: usize::MAX,
            noise: 3.0,
        }
    }

    /// The change that a node publishes: a step towards the target, with its own noise.
    pub fn trained(&self, node: usize, start: &[f32]) -> Vec<f32> {
        let own = noise(1_000 * self.round + node as u64, PARAMS);
        let step = |i: usize, noise: f32| 0.02 * (start[i] - self.target[i] + self.noise * noise);
        let away = noise(77, PARAMS);
        (0..PARAMS)
            .map(|i| {
                start[i]
                    - match self.kinds[node] {
                        Kind::Honest | Kind::Poison => step(i, own[i]),
                        Kind::Scaled(factor) => factor * step(i, own[i]),
                        Kind::OneLayer if i < TENSORS[0] => -step(i, own[i]),
                        Kind::OneLayer => step(i, own[i]),
                        Kind::Clone => 0.06 * away[i],
                    }
            })
            .collect()
    }

    /// One round: everybody trains, publishes, and mixes what it hears.
    pub fn step(&mut self) -> Vec<Applied> {
        let mut bodies: Vec<Admitted> = Vec::new();
        for node in 0..self.replicas.len() {
            let start = self.replicas[node].start();
            let trained = self.trained(node, &start);
            let mut published = self.replicas[node].publish(self.round, &start, &trained, 1.0, 10).expect("finite");
            if self.kinds[node] == Kind::Poison {
                let mut liar = self.replicas[node].clone();
                liar.adopt(start.iter().map(|weight| weight + 5.0).collect()).expect("finite");
                published = liar.publish(self.round, &start, &trained, 1.0, 10).expect("finite");
            }
            let author = &self.replicas[node];
            bodies.push(author.codec().decode(&published.bytes, author.origin(self.round)).expect("what was encoded"));
        }
        let live = self.replicas.len();
        let incoming = incoming(&bodies);
        let order = |node: usize| {
            let dice = noise(7_000_000 + self.round * 1_000 + node as u64, live);
            let mut order: Vec<usize> = (0..live).filter(|&other| other != node).collect();
            order.sort_by(|&a, &b| dice[a].total_cmp(&dice[b]));
            order.into_iter().take(self.heard).map(|other| incoming[other]).collect::<Vec<_>>()
        };
        let heard: Vec<Vec<Incoming<'_>>> = (0..live).map(order).collect();
        let applied =
            self.replicas.iter_mut().zip(&heard).map(|(replica, heard)| replica.apply(self.round, live, heard)).collect();
        self.round += 1;
        self.bodies = bodies;
        applied
    }

    pub fn run(&mut self, rounds: u64) -> Vec<Applied> {
        (0..rounds).map(|_| self.step()).last().unwrap_or_default()
    }

    /// Lowest trust any honest node has in an honest one, highest it has in another.
    pub fn trust_bounds(&self, applied: &[Applied]) -> (f32, f32) {
        let (mut honest, mut other) = (1.0_f32, 0.0_f32);
        for (applied, _) in applied.iter().zip(&self.kinds).filter(|(_, kind)| **kind == Kind::Honest) {
            for (id, trust) in &applied.trust {
                match self.kinds[usize::from(id.0[0]) - 1] {
                    Kind::Honest => honest = honest.min(*trust),
                    _ => other = other.max(*trust),
                }
            }
        }
        (honest, other)
    }
}

/// All bodies as incoming; a replica ignores its own.
pub fn incoming(bodies: &[Admitted]) -> Vec<Incoming<'_>> {
    bodies
        .iter()
        .enumerate()
        .map(|(node, body)| Incoming { author: NodeId([node as u8 + 1; 32]), lag: 0, samples: 10, body })
        .collect()
}

/// Bodies of one round by as many other nodes as there are gradients, all with these weights.
pub fn bodies(spec: &RunSpec, round: u64, weights: &[Vec<f32>], gradients: &[Vec<f32>]) -> Vec<Admitted> {
    let body = |(weights, gradient): (&Vec<f32>, &Vec<f32>)| {
        let mut author = replica_with(spec, 200, weights.clone());
        let trained: Vec<f32> = weights.iter().zip(gradient).map(|(weight, step)| weight - step).collect();
        let published = author.publish(round, weights, &trained, 1.0, 10).expect("finite");
        author.codec().decode(&published.bytes, author.origin(round)).expect("what was encoded")
    };
    weights.iter().zip(gradients).map(body).collect()
}

pub fn net(attackers: usize, nodes: usize, kind: Kind) -> Net {
    let kinds: Vec<Kind> = (0..nodes).map(|node| if node < attackers { kind } else { Kind::Honest }).collect();
    Net::new(&spec(""), &kinds)
}
