//! Nodes that lie about what they learned. Everything else about them is an honest machine: they
//! announce, serve and mix like others, and their signatures hold.

/// What a node makes of its own training before it publishes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conduct {
    /// Nothing.
    #[default]
    Honest,
    /// The opposite: its delta is negated, so that mixing it unlearns.
    SignFlip,
}

impl Conduct {
    /// Puts in place of `trained`, which training made of `start`, what this node claims it made.
    pub(crate) fn bend(self, start: &[f32], trained: &mut [f32]) {
        match self {
            Self::Honest => {}
            Self::SignFlip => trained.iter_mut().zip(start).for_each(|(trained, &start)| *trained = start - (*trained - start)),
        }
    }
}
