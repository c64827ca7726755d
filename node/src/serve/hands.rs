//! Models that are ready to answer: tensors of the weights last asked for, one set a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use shoal_ml::{Device, Generator, Predictor};
use shoal_protocol::id::RunId;

use super::engine::ServeError;
use super::run::{ServedRun, ServedWeights};

/// Runs whose models are kept ready. A node is in few; past this the one that was taken up first goes.
const READY_MAX: usize = 8;

/// Weights that have become a model.
pub(super) enum Ready {
    Predictor(Box<Predictor>),
    Generator(Generator),
}

/// The models at hand.
#[derive(Default)]
pub(super) struct Hands {
    ready: BTreeMap<RunId, (Arc<ServedWeights>, Ready)>,
    order: Vec<RunId>,
}

impl Hands {
    /// The model of a run with its weights of this moment, and their round.
    pub(super) fn take_up(&mut self, run: &ServedRun) -> Result<(u64, &Ready), ServeError> {
        let weights = run.weights().ok_or(ServeError::NotReady)?;
        let id = run.run();
        let round = weights.round;
        let stale = self.ready.get(&id).is_none_or(|(held, _)| !Arc::ptr_eq(held, &weights));
        if stale {
            self.put_down(&id);
            while self.order.len() >= READY_MAX {
                let first = self.order[0];
                self.put_down(&first);
            }
            let ready = make(run, &weights)?;
            self.order.push(id);
            self.ready.insert(id, (weights, ready));
        }
        self.ready.get(&id).map(|(_, ready)| (round, ready)).ok_or(ServeError::NotReady)
    }

    fn put_down(&mut self, run: &RunId) {
        self.order.retain(|other| other != run);
        self.ready.remove(run);
    }
}

fn make(run: &ServedRun, weights: &ServedWeights) -> Result<Ready, ServeError> {
    Ok(if run.task().vocabulary().is_some() {
        Ready::Generator(Generator::new(run.task(), &weights.weights, Device::Cpu)?)
    } else {
        Ready::Predictor(Box::new(Predictor::new(run.task(), &weights.weights, Device::Cpu)?))
    })
}
