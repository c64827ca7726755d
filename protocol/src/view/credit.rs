//! What an author's announces are worth: whether bodies came when they were asked for.
//!
//! An announce costs its author a signature and may be made under any number of names; a body costs work.
//! So what counts is what was delivered. Counted in bodies and in this node's own rounds, never in time;
//! nothing here is a fault to be punished, for an honest author may be slow or gone.

/// Bodies that an author is remembered for: so many losses in a row are forgiven to who delivers. Guess.
const DELIVERED_MAX: u8 = 3;
/// Rounds for which who was asked in vain comes last, where strangers are doubted. Guess: a hundred names that
/// deliver nothing then cost six places a round at most, and who was offline is asked again in minutes.
const VAIN_ROUNDS: u8 = 16;
/// Strangers in vain among the last eight at which all strangers are doubted. Churn should hardly make them,
/// for doubt prefers whom a node knows: 64 nodes, a fifth off and a twentieth replaced each round, have .924
/// after 70 rounds without it, .920 with 4, .925 with 5, .922 with 6 (six seeds, standard error .002).
const DOUBT_FROM: u32 = 6;

/// What is remembered of one author.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Credit {
    delivered: u8,
    vain_rounds: u8,
}

impl Credit {
    /// A body of its came and decoded.
    pub(super) fn deliver(&mut self) {
        *self = Self { delivered: (self.delivered + 1).min(DELIVERED_MAX), vain_rounds: 0 };
    }

    /// Its body was asked for, and nobody had it.
    pub(super) fn lose(&mut self) {
        match self.delivered.checked_sub(1) {
            Some(left) => self.delivered = left,
            None => self.vain_rounds = VAIN_ROUNDS,
        }
    }

    /// A round has passed.
    pub(super) fn fade(&mut self) {
        self.vain_rounds = self.vain_rounds.saturating_sub(1);
    }

    /// Whether it delivers.
    pub(super) const fn is_proven(self) -> bool {
        self.delivered > 0
    }

    /// Whether it was asked in vain lately, and never came since.
    pub(super) const fn is_vain(self) -> bool {
        self.vain_rounds > 0
    }
}

/// How the last eight strangers turned out: a bit each, set for one who was asked in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Strangers(u8);

impl Strangers {
    /// None was asked yet.
    pub(super) const NONE: Self = Self(0);

    pub(super) fn note(&mut self, in_vain: bool) {
        self.0 = self.0 << 1 | u8::from(in_vain);
    }

    /// Whether so many were asked in vain that none is believed before it delivers.
    pub(super) const fn are_doubted(self) -> bool {
        self.0.count_ones() >= DOUBT_FROM
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_delivers_is_forgiven_and_who_never_did_comes_last_for_a_while() {
        let mut credit = Credit::default();
        assert!(!credit.is_proven() && !credit.is_vain());
        for _ in 0..10 {
            credit.deliver();
        }
        credit.lose();
        credit.lose();
        assert!(credit.is_proven() && !credit.is_vain());
        credit.lose();
        assert!(!credit.is_proven() && !credit.is_vain(), "a stranger again");
        credit.lose();
        assert!(credit.is_vain());
        for _ in 1..VAIN_ROUNDS {
            credit.fade();
        }
        assert!(credit.is_vain());
        credit.fade();
        assert!(!credit.is_vain());
        credit.lose();
        credit.deliver();
        assert!(credit.is_proven() && !credit.is_vain());
    }

    #[test]
    fn three_quarters_of_the_last_strangers_decide() {
        let mut strangers = Strangers::NONE;
        for _ in 0..5 {
            strangers.note(true);
        }
        strangers.note(false);
        assert!(!strangers.are_doubted());
        strangers.note(true);
        assert!(strangers.are_doubted());
        for _ in 0..2 {
            strangers.note(false);
        }
        assert!(!strangers.are_doubted(), "the first ones are forgotten");
    }
}
