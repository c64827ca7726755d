//! Carrying out what a person told the running node through the API.
//!
//! Asking the network takes seconds, so that is done beside the node's loop; opening a run is done in it,
//! so that no run is opened twice.

use std::time::Duration;

use shoal_protocol::id::{NodeId, RunId};
use shoal_protocol::spec::RunSpec;
use tokio::sync::{mpsc, oneshot};

use crate::api::{JoinOrder, JoinedRun, ListedRun, Order, Refusal};
use crate::catalogue::{self, Entry, Offer};
use crate::hub::HubHandle;
use crate::runs::{Runs, RunsError};
use crate::swarm::Way;
use crate::ticket::ADDRESSES_MAX;

/// How long the network is asked which runs it has. Guess: a person waits for it.
pub(crate) const LIST_WITHIN: Duration = Duration::from_secs(4);
/// How long a spec is looked for.
pub(crate) const FETCH_WITHIN: Duration = Duration::from_secs(20);

/// Carries out one order. What it came to goes back to whoever gave it, if they still wait; an order
/// that first needs a spec from others comes `again` with it.
pub(super) async fn carry_out(runs: &mut Runs, hub: &HubHandle, again: &mpsc::Sender<Order>, order: Order) {
    match order {
        Order::List(back) => {
            let (hub, own) = (hub.clone(), runs.own_entries());
            tokio::spawn(async move {
                let listed = catalogue::list(&hub, LIST_WITHIN).await;
                let listed = listed.map(|reports| listed_runs(reports, own)).map_err(|error| gone(&error));
                let _ = back.send(listed);
            });
        }
        Order::Join(mut order, back) => {
            let told = std::mem::take(&mut order.addresses);
            let addresses: Vec<_> = told.iter().take(ADDRESSES_MAX).filter_map(|text| text.parse().ok()).collect();
            if !addresses.is_empty() && hub.call(Way::Ticket, addresses, Vec::new()).await.is_err() {
                // The node is stopping; dropping the way back says so.
                return;
            }
            if order.spec.is_none() {
                let named = order.run.as_deref().and_then(|run| run.parse::<RunId>().ok());
                order.spec = named.and_then(|run| runs.text_of(&run));
                if let (None, Some(run)) = (&order.spec, named) {
                    return fetch_first(hub.clone(), again.clone(), run, order, back);
                }
            }
            let _ = back.send(join(runs, *order).await);
        }
    }
}

fn fetch_first(
    hub: HubHandle,
    again: mpsc::Sender<Order>,
    run: RunId,
    mut order: Box<JoinOrder>,
    back: oneshot::Sender<Result<JoinedRun, Refusal>>,
) {
    tokio::spawn(async move {
        match catalogue::fetch(&hub, run, FETCH_WITHIN).await {
            Ok((_, text)) => {
                order.spec = Some(text);
                // A node that is stopping takes no order, and dropping the way back says so.
                let _ = again.send(Order::Join(order, back)).await;
            }
            Err(error) => {
                let _ = back.send(Err(Refusal::of(&error)));
            }
        }
    });
}

/// Joins or offers a run whose spec is at hand.
async fn join(runs: &mut Runs, order: JoinOrder) -> Result<JoinedRun, Refusal> {
    let wrong = |error: String, help: &str| Refusal { error, help: help.to_owned() };
    let Some(text) = order.spec else {
        return Err(wrong("the order names no run".to_owned(), "give a spec, or an id of 64 hexadecimal digits"));
    };
    let spec = RunSpec::parse(&text).map_err(|error| wrong(error.to_string(), "`shoal spec check FILE` says more"))?;
    let (run, name) = (spec.run_id(), spec.name().to_owned());
    let mut joined = JoinedRun { run: run.to_string(), name, offered: order.offer, ..JoinedRun::default() };
    if order.offer {
        runs.offer(&spec, &text).await.map_err(|error| Refusal::of(&error))?;
    }
    if !order.take_part {
        return Ok(joined);
    }
    match runs.join(spec, &text, &order.data, None).await {
        Ok(()) => joined.taking_part = true,
        Err(RunsError::Taken(_)) if order.offer => joined.taking_part = true,
        // What is offered is offered, whether or not this node has data for it.
        Err(error) if order.offer => joined.note = Some(error.to_string()),
        Err(error) => return Err(Refusal::of(&error)),
    }
    Ok(joined)
}

/// What the network and this node say of runs.
pub(crate) fn listed_runs(mut reports: Vec<(NodeId, Vec<Entry>)>, own: (NodeId, Vec<Entry>)) -> Vec<ListedRun> {
    let ours: Vec<RunId> = own.1.iter().map(|entry| entry.run).collect();
    reports.retain(|(peer, _)| *peer != own.0);
    reports.push(own);
    let listed = |offer: Offer| ListedRun {
        run: offer.run.to_string(),
        name: offer.name,
        reporters: offer.reporters as u64,
        ours: ours.contains(&offer.run),
        reported_model_bytes: offer.model_bytes,
        reported_rounds: offer.rounds,
        reported_peers: u64::from(offer.peers),
        reported_accuracy: offer.accuracy,
    };
    Offer::gather(reports).into_iter().map(listed).collect()
}

fn gone(error: &dyn core::fmt::Display) -> Refusal {
    Refusal { error: error.to_string(), help: "start the node again".to_owned() }
}
