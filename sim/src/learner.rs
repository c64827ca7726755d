//! The numeric half of one virtual node: a desk with real weights, a mind with its own data, and for a
//! liar what it makes of both.
//!
//! What the machine orders, this carries out on the very types that a node uses. It knows no time:
//! how long training takes is the host's to say.

use std::rc::Rc;

use shoal_protocol::body::Admitted;
use shoal_protocol::desk::Desk;
use shoal_protocol::id::NodeId;
use shoal_protocol::peer::Learned;
use shoal_protocol::replica::Replica;

use crate::adversary::{Attack, Attacker, Crowd, Plot, Sight};
use crate::net::Training;
use crate::pool::{Errand, Pool};
use crate::scenario::ScenarioError;
use crate::workload::{Mind, Workload};

/// What does not change while a node goes down and up again.
#[derive(Clone)]
pub(crate) struct Shard {
    pub(crate) workload: Rc<Workload>,
    pub(crate) node: usize,
    /// Decides the order of the examples.
    pub(crate) order_seed: u64,
    pub(crate) me: NodeId,
    /// Keys the sketches by which senders are judged.
    pub(crate) secret: [u8; 32],
    /// What it does instead of honest work, with whom, and as which of them.
    pub(crate) lies: Option<(Attack, Plot, usize)>,
}

/// A learner as its disk has it.
#[derive(Clone)]
pub(crate) struct Saved {
    /// The round to go on with.
    pub(crate) round: u64,
    replica: Vec<u8>,
    mind: Vec<u8>,
}

enum Slot {
    Here(Mind),
    Out(Errand),
    /// Only between taking it out and putting it back.
    Nowhere,
}

/// The weights, the data and the optimizer of one virtual node.
pub(crate) struct Learner {
    pub(crate) desk: Desk,
    slot: Slot,
    attacker: Option<Box<Attacker>>,
}

/// What a training came to.
pub(crate) struct Work {
    pub(crate) learned: Learned,
    /// The delta as others will read it.
    pub(crate) delta: Option<Admitted>,
}

impl Shard {
    fn replica(&self) -> Result<Replica, ScenarioError> {
        let (spec, layout) = (self.workload.spec(), self.workload.layout()?);
        Ok(Replica::new(spec.run_id(), spec, layout, self.me, self.secret, self.workload.init())?)
    }

    /// A learner that has learned nothing yet.
    pub(crate) fn fresh(&self) -> Result<Learner, ScenarioError> {
        let mind = self.workload.mind(self.node, self.order_seed, self.lies.as_ref().map(|lies| &lies.0))?;
        let attacker = self.lies.as_ref().map(|(attack, plot, index)| Box::new(Attacker::new(attack.clone(), *plot, *index)));
        Ok(Learner { desk: Desk::new(self.replica()?, self.workload.samples(self.node)), slot: Slot::Here(mind), attacker })
    }

    /// The learner that was saved.
    ///
    /// # Panics
    /// If it cannot be read back: the simulator wrote it a moment ago, and nothing damages it.
    pub(crate) fn resume(&self, saved: &Saved) -> Result<Learner, ScenarioError> {
        let mut learner = self.fresh()?;
        let (spec, layout) = (self.workload.spec(), self.workload.layout()?);
        let restored = Replica::restore(&saved.replica, spec.run_id(), spec, layout, self.me, self.secret);
        let replica =
            restored.unwrap_or_else(|error| panic!("a checkpoint of round {} does not read back: {error}", saved.round));
        learner.desk.restore(replica);
        let mind_ok = if let Slot::Here(mind) = &mut learner.slot { mind.restore(&saved.mind) } else { false };
        assert!(mind_ok, "an optimizer of round {} does not read back", saved.round);
        Ok(learner)
    }
}

impl Learner {
    /// Sends the mind out to train from where the replica says.
    pub(crate) fn train(&mut self, pool: &Pool, steps: u32) {
        if let Slot::Here(mind) = std::mem::replace(&mut self.slot, Slot::Nowhere) {
            self.slot = Slot::Out(pool.train(mind, self.desk.replica().start(), steps));
        }
    }

    /// Takes the mind back and publishes what it learned; `None` for a warm-up and for a training that
    /// diverged. `watched` says whether anybody looks at the delta.
    pub(crate) fn publish(&mut self, training: Training, crowd: &[Option<Admitted>], watched: bool) -> Option<Work> {
        let Slot::Out(errand) = std::mem::replace(&mut self.slot, Slot::Nowhere) else { return None };
        let returned = errand.wait();
        self.slot = Slot::Here(returned.mind);
        let steps = returned.steps?;
        if training.warm_up {
            return None;
        }
        let start = self.desk.replica().start();
        let learned = self.desk.publish(training.round, &start, &returned.weights, steps, training.reference_steps).ok()?;
        let learned = match self.attacker.take() {
            None => learned,
            Some(mut attacker) => {
                let forged = self.forge(&mut attacker, training, (&start, &returned.weights), crowd);
                self.attacker = Some(attacker);
                self.desk.publish_body(forged, steps)
            }
        };
        let replica = self.desk.replica();
        let decode = || replica.codec().decode(self.desk.body(&learned.digest)?, replica.origin(training.round)).ok();
        let delta = if watched { decode() } else { None };
        Some(Work { learned, delta })
    }

    fn forge(
        &self,
        attacker: &mut Attacker,
        training: Training,
        (start, trained): (&[f32], &[f32]),
        crowd: &[Option<Admitted>],
    ) -> Vec<u8> {
        let replica = self.desk.replica();
        let crowd = Crowd::new(crowd.iter().flatten().map(Admitted::delta).collect(), start.len());
        let sight = Sight {
            round: training.round,
            start,
            trained,
            weights: replica.weights(),
            crowd: &crowd,
            layout: replica.codec().layout(),
        };
        let forgery = attacker.forge(&sight);
        attacker.encode(replica.codec(), replica.origin(training.round), replica.parts(), &forgery, replica.weights()).0
    }

    /// Everything as of the start of this round; `None` while the mind is out.
    pub(crate) fn save(&self, round: u64) -> Option<Saved> {
        let Slot::Here(mind) = &self.slot else { return None };
        Some(Saved { round, replica: self.desk.replica().snapshot(), mind: mind.state()? })
    }
}
