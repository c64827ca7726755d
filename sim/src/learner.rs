//! The numeric half of one virtual peer: a desk with real weights and a trainer with real data.
//!
//! What the machine orders, this carries out on the very types that a node uses. It knows no time:
//! how long training takes is the host's to say.

use shoal_ml::{Dataset, Device, Task, Trainer};
use shoal_protocol::desk::Desk;
use shoal_protocol::id::NodeId;
use shoal_protocol::layout::Layout;
use shoal_protocol::peer::Learned;
use shoal_protocol::replica::Replica;
use shoal_protocol::spec::RunSpec;

use crate::adversary::Conduct;
use crate::scenario::ScenarioError;

/// What does not change while a node goes down and up again.
#[derive(Clone)]
pub(crate) struct Shard {
    pub(crate) spec: RunSpec,
    pub(crate) task: Task,
    pub(crate) data: Dataset,
    /// Decides the order of the examples.
    pub(crate) order_seed: u64,
    pub(crate) me: NodeId,
    /// Keys the sketches by which senders are judged.
    pub(crate) secret: [u8; 32],
    pub(crate) conduct: Conduct,
}

/// A learner as its disk has it.
#[derive(Clone)]
pub(crate) struct Saved {
    /// The round to go on with.
    pub(crate) round: u64,
    replica: Vec<u8>,
    trainer: Vec<u8>,
}

/// The weights, the data and the optimizer of one virtual peer.
pub(crate) struct Learner {
    pub(crate) desk: Desk,
    trainer: Trainer,
    conduct: Conduct,
}

impl Shard {
    fn layout(&self) -> Result<Layout, ScenarioError> {
        Layout::from_tensors(&self.task.layout().sizes()).ok_or(ScenarioError::Layout)
    }

    /// A learner that has learned nothing yet.
    pub(crate) fn fresh(&self) -> Result<Learner, ScenarioError> {
        let weights = self.task.init(self.spec.seed());
        let replica = Replica::new(self.spec.run_id(), &self.spec, self.layout()?, self.me, self.secret, weights)?;
        let samples = u32::try_from(self.data.len()).unwrap_or(u32::MAX);
        let trainer = Trainer::new(&self.task, self.data.clone(), self.order_seed, Device::Cpu)?;
        Ok(Learner { desk: Desk::new(replica, samples), trainer, conduct: self.conduct })
    }

    /// The learner that was saved.
    ///
    /// # Panics
    /// If it cannot be read back: the simulator wrote it a moment ago, and nothing damages it.
    pub(crate) fn resume(&self, saved: &Saved) -> Result<Learner, ScenarioError> {
        let mut learner = self.fresh()?;
        let run = self.spec.run_id();
        let restored = Replica::restore(&saved.replica, run, &self.spec, self.layout()?, self.me, self.secret);
        match (restored, learner.trainer.restore(&saved.trainer)) {
            (Ok(replica), Ok(())) => learner.desk.restore(replica),
            (replica, trainer) => {
                panic!("a checkpoint of round {} does not read back: {:?} {trainer:?}", saved.round, replica.err())
            }
        }
        Ok(learner)
    }
}

impl Learner {
    /// Trains from where the replica says, and publishes; `None` for a warm-up and for a training
    /// that diverged.
    pub(crate) fn train(&mut self, round: u64, steps: u32, reference_steps: Option<u32>, warm_up: bool) -> Option<Learned> {
        let start = self.desk.replica().start();
        let mut trained = start.clone();
        let report = self.trainer.train(&mut trained, steps, &mut || true).ok()?;
        if warm_up {
            return None;
        }
        self.conduct.bend(&start, &mut trained);
        self.desk.publish(round, &start, &trained, report.steps, reference_steps).ok()
    }

    /// Everything as of the start of this round.
    pub(crate) fn save(&self, round: u64) -> Option<Saved> {
        Some(Saved { round, replica: self.desk.replica().snapshot(), trainer: self.trainer.state().ok()? })
    }
}
