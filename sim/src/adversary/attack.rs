//! The catalogue: which attacks there are, and which file makes the forgery of each.

use super::attacker::{Attacker, Forgery, Sight};
use super::{colluding, idle, opposing, slices, steering};

/// A way to misbehave. `Display` prints the name that `FromStr` reads; the names are listed there.
#[derive(Clone, Debug, PartialEq)]
pub enum Attack {
    /// The own delta, negated and this many times as large.
    SignFlip(f32),
    /// The honest mean reversed, at the median honest norm.
    Reverse,
    /// `Reverse` on the first trust block, the own delta elsewhere.
    LayerReverse,
    /// `Reverse` on a fixed half of the coordinates; on the other half the honest mean itself.
    HalfReverse,
    /// This share of `Reverse` and the rest own honest work, each at norm 1.
    ReverseBlend(f32),
    /// This share of `HalfReverse` and the rest own honest work, each at norm 1.
    HalfReverseBlend(f32),
    /// "A little is enough": the honest mean less so many deviations, at the median norm; by default as
    /// many as still leave most honest deltas further from the mean.
    Alie(Option<f32>),
    /// Inner-product manipulation: the honest mean reversed, at so many median norms, and slices alike.
    Ipm(f32),
    /// Noise of so many median norms.
    Noise(f32),
    /// Honest training on data whose labels are reversed (`flip_labels`).
    LabelFlip,
    /// Honest training on data with a `Trigger`, the delta so many times as large.
    Backdoor(f32),
    /// Two camps that pull in opposite directions, slices too, so that replicas part.
    Dissensus,
    /// Back to where the model was when the attack began, at exactly the median norm.
    Drift,
    /// Model replacement: so many times the way back to where the model was.
    Replace(f32),
    /// One honest node's delta, the same one for all attackers.
    Copycat,
    /// No contribution: a delta of zeros.
    FreeZero,
    /// No work: the first delta it ever made, over and over.
    FreeStale,
    /// Honest deltas; slices with noise as large as the weights.
    SliceNoise,
    /// Honest deltas; slices with all weights negated.
    SliceReverse,
    /// Honest deltas; slices shifted in one fixed direction, as far as the weights are large.
    SliceDrift,
    /// Honest before this round, then another attack.
    Sleeper(u64, Box<Attack>),
    /// Another attack for so many rounds, then as many honest ones, and so on.
    OnOff(u64, Box<Attack>),
    /// Another attack under a new identity every so many rounds; the host acts on it
    /// ([`Attack::identity_rounds`]).
    NewIdentity(u64, Box<Attack>),
    /// Honest deltas, announced for so many rounds ahead of the true one.
    RoundLie(u64),
    /// Honest deltas; whoever joins is given weights of ones, and told that nobody is to be trusted.
    DonorLie,
    /// Honest deltas, and in each round announces of so many authors who are not there.
    Sybil(u64),
    /// `Reverse`, at everybody, by attackers who all connect to node 0 and nearly alone fill its view.
    Eclipse,
    /// Another attack, with so many times as many samples claimed.
    Samples(f32, Box<Attack>),
}

impl Attack {
    /// Rounds after which the attacker appears as somebody new, if it does.
    #[must_use]
    pub fn identity_rounds(&self) -> Option<u64> {
        match self {
            Self::NewIdentity(rounds, _) => Some(*rounds),
            Self::Sleeper(_, then) | Self::OnOff(_, then) | Self::Samples(_, then) => then.identity_rounds(),
            _ => None,
        }
    }

    /// Whether the attacker's data has labels reversed before it trains.
    #[must_use]
    pub fn flips_labels(&self) -> bool {
        self.plain() == &Self::LabelFlip
    }

    /// Whether the attacker's data has a trigger put in before it trains.
    #[must_use]
    pub fn plants_trigger(&self) -> bool {
        matches!(self.plain(), Self::Backdoor(_))
    }

    /// The samples it announces where the true number is `samples`.
    #[must_use]
    pub fn claimed(&self, samples: u32) -> u32 {
        match self {
            Self::Samples(factor, _) => (samples as f32 * factor) as u32,
            Self::Sleeper(_, then) | Self::OnOff(_, then) | Self::NewIdentity(_, then) => then.claimed(samples),
            _ => samples,
        }
    }

    /// The attack within the wrappers.
    fn plain(&self) -> &Self {
        match self {
            Self::Sleeper(_, then) | Self::OnOff(_, then) | Self::NewIdentity(_, then) | Self::Samples(_, then) => then.plain(),
            _ => self,
        }
    }

    pub(super) fn forge(&self, by: &mut Attacker, sight: &Sight<'_>) -> Forgery {
        match self {
            Self::SignFlip(factor) => opposing::sign_flip(sight, *factor),
            Self::Reverse | Self::Eclipse => opposing::reverse(sight),
            Self::LayerReverse => opposing::layer_reverse(sight),
            Self::HalfReverse => opposing::half_reverse(by, sight),
            Self::ReverseBlend(share) => opposing::reverse_blend(sight, *share),
            Self::HalfReverseBlend(share) => opposing::half_reverse_blend(by, sight, *share),
            Self::Alie(deviations) => colluding::alie(by, sight, *deviations),
            Self::Ipm(factor) => colluding::ipm(sight, *factor),
            Self::Noise(factor) => colluding::noise(by, sight, *factor),
            // What these lie about is not the body: their host does it.
            Self::LabelFlip | Self::RoundLie(_) | Self::DonorLie | Self::Sybil(_) => Forgery::honest(sight),
            Self::Backdoor(factor) => opposing::sign_flip(sight, -factor),
            Self::Dissensus => steering::dissensus(by, sight),
            Self::Drift => steering::drift(by, sight),
            Self::Replace(factor) => steering::replace(by, sight, *factor),
            Self::Copycat => idle::copycat(sight),
            Self::FreeZero => idle::zero(sight),
            Self::FreeStale => idle::stale(by, sight),
            Self::SliceNoise => slices::noise(by, sight),
            Self::SliceReverse => slices::reverse(sight),
            Self::SliceDrift => slices::drift(by, sight),
            Self::Sleeper(round, then) if sight.round >= *round => then.forge(by, sight),
            Self::OnOff(rounds, then) if (sight.round / (*rounds).max(1)).is_multiple_of(2) => then.forge(by, sight),
            Self::Sleeper(..) | Self::OnOff(..) => Forgery::honest(sight),
            Self::NewIdentity(_, then) => then.forge(by, sight),
            Self::Samples(_, then) => then.forge(by, sight),
        }
    }
}

#[cfg(test)]
mod tests {
    use shoal_protocol::body::Codec;
    use shoal_protocol::delta::Delta;
    use shoal_protocol::dice::Dice;
    use shoal_protocol::id::NodeId;
    use shoal_protocol::layout::Layout;
    use shoal_protocol::slice::Origin;
    use shoal_protocol::spec::RunSpec;

    use super::*;
    use crate::adversary::direction::{cosine, noise, norm};
    use crate::adversary::{Crowd, Plot};

    const LEN: usize = 2_048;

    fn origin(round: u64) -> Origin {
        Origin { author: NodeId([1; 32]), round }
    }

    fn codec() -> Codec {
        // Half of all values are kept, so that angles survive compression.
        let spec = "version = 1\nname = \"attack\"\nseed = 1\n[codec]\ndensity = [[0, 500]]\n[task]\nkind = \"none\"";
        let spec = RunSpec::parse(spec).expect("a sound spec");
        Codec::new(spec.run_id(), &spec, Layout::from_tensors(&[1_024, 1_024]).expect("a layout"))
    }

    /// What honest nodes publish: a common direction and noise of the same size.
    fn published(codec: &Codec) -> Vec<Delta> {
        let mut dice = Dice::new(&[1; 32]);
        let common = noise(&mut dice, LEN);
        let mut one = || {
            let delta: Vec<f32> = common.iter().zip(noise(&mut dice, LEN)).map(|(common, own)| common + own).collect();
            codec.encode(origin(0), 16, &delta, &mut vec![0.0; LEN], &[0.0; LEN]).1
        };
        (0..8).map(|_| one()).collect()
    }

    fn dense(delta: &Delta) -> Vec<f32> {
        let mut dense = vec![0.0; LEN];
        delta.indices().iter().zip(delta.values()).for_each(|(&index, &value)| dense[index as usize] = value);
        dense
    }

    /// What receivers read in rounds 0 and 1, as `(delta, cosine to the honest mean, norm in median
    /// norms, claimed samples of 100, whether the slice is forged)`; the own work is the honest mean.
    fn seen(name: &str, index: usize) -> Vec<(Vec<f32>, f64, f64, u32, bool)> {
        let codec = codec();
        let published = published(&codec);
        let crowd = Crowd::new(published.iter().collect(), LEN);
        let plot = Plot { attackers: 2, nodes: 10, seed: [9; 32] };
        let attack: Attack = name.parse().expect(name);
        let mut attacker = Attacker::new(attack.clone(), plot, index);
        let one_round = |round: u64| {
            // The model moves along the honest mean, as it would.
            let weights: Vec<f32> = crowd.mean().iter().map(|mean| 0.1 - mean * round as f32).collect();
            let trained: Vec<f32> = weights.iter().zip(crowd.mean()).map(|(weight, mean)| weight - mean).collect();
            let sight =
                Sight { round, start: &weights, trained: &trained, weights: &weights, crowd: &crowd, layout: codec.layout() };
            let forgery = attacker.forge(&sight);
            let (bytes, delta) = attacker.encode(&codec, origin(round), 16, &forgery, &weights);
            assert_eq!(codec.decode(&bytes, origin(round)).expect("a valid body").delta(), &delta, "{name}");
            let dense = dense(&delta);
            let (angle, length) = (cosine(&dense, crowd.mean()), norm(&dense) / crowd.median_norm());
            (dense, angle, length, attack.claimed(100), forgery.slice_weights.is_some())
        };
        (0..2).map(one_round).collect()
    }

    #[test]
    fn angles_and_norms_are_what_the_name_says() {
        // Name, cosine to the honest mean from .. to, norm in median norms from .. to, slice forged.
        let table = [
            ("sign-flip", (-1.0, -0.8), (0.5, 1.1), false),
            ("sign-flip:10", (-1.0, -0.8), (5.0, 11.0), false),
            ("reverse", (-1.0, -0.8), (0.99, 1.01), false),
            ("layer-reverse", (-0.3, 0.3), (0.5, 1.1), false),
            ("half-reverse", (-0.3, 0.3), (0.99, 1.01), false),
            ("reverse-blend", (-1.0, -0.8), (0.99, 1.01), false),
            ("reverse-blend:0.3", (0.8, 1.0), (0.99, 1.01), false),
            ("half-reverse-blend", (0.15, 0.9), (0.99, 1.01), false),
            ("alie:4", (-0.5, 0.5), (0.99, 1.01), false),
            ("ipm:0.5", (-1.0, -0.8), (0.49, 0.51), true),
            ("noise:10", (-0.2, 0.2), (9.9, 10.1), false),
            ("backdoor:3", (0.8, 1.0), (1.5, 3.3), false),
            ("dissensus", (-0.2, 0.2), (0.99, 1.01), true),
            ("drift", (-1.0, -0.8), (0.99, 1.01), false),
            ("copycat", (0.5, 1.0), (0.5, 1.5), false),
            ("free-zero", (0.0, 0.0), (0.0, 0.0), false),
            ("free-stale", (0.8, 1.0), (0.99, 1.01), false),
            ("slice-noise", (0.8, 1.0), (0.5, 1.1), true),
            ("slice-reverse", (0.8, 1.0), (0.5, 1.1), true),
            ("slice-drift", (0.8, 1.0), (0.5, 1.1), true),
            ("sleeper:1:ipm", (-1.0, -0.8), (0.99, 1.01), true),
            ("sleeper:2:ipm", (0.8, 1.0), (0.5, 1.1), false),
            ("new-identity:5:sign-flip", (-1.0, -0.8), (0.5, 1.1), false),
        ];
        for (name, angles, norms, forged) in table {
            let (_, angle, length, samples, slice) = seen(name, 0).remove(1);
            assert!((angles.0..=angles.1).contains(&angle), "{name}: cosine {angle}");
            assert!((norms.0..=norms.1).contains(&length), "{name}: norm {length}");
            assert_eq!((samples, slice), (100, forged), "{name}");
        }
    }

    #[test]
    fn attackers_collude_and_the_two_camps_oppose_each_other() {
        let delta = |name: &str, index| seen(name, index).remove(1).0;
        assert_eq!(delta("copycat", 0), delta("copycat", 1));
        assert_eq!(delta("half-reverse", 0), delta("half-reverse", 1));
        assert!(cosine(&delta("dissensus", 0), &delta("dissensus", 1)) < -0.99);
        assert!(cosine(&delta("noise", 0), &delta("noise", 1)).abs() < 0.2, "noise is each one's own");
    }

    #[test]
    fn wrappers_change_when_and_who_and_how_much_is_claimed() {
        let angles: Vec<bool> = seen("on-off:1:sign-flip", 0).iter().map(|seen| seen.1 < 0.0).collect();
        assert_eq!(angles, [true, false]);
        assert_eq!(seen("samples:4:sign-flip", 0)[0].3, 400);
        let attack: Attack = "sleeper:3:new-identity:10:label-flip".parse().expect("a name");
        assert!(attack.identity_rounds() == Some(10) && attack.flips_labels() && !attack.plants_trigger());
    }
}
