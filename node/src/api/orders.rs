//! What a node may be told: to join or offer a run, and to ask the network which there are.
//!
//! The API only carries orders to the node and its answers back. An order that nobody answers, because
//! the node is stopping, is refused like any other.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::config::DataSettings;

/// An order and the way back.
#[derive(Debug)]
pub enum Order {
    /// Join or offer a run.
    Join(Box<JoinOrder>, oneshot::Sender<Result<JoinedRun, Refusal>>),
    /// Ask the network which runs it has.
    List(oneshot::Sender<Result<Vec<ListedRun>, Refusal>>),
}

/// Where orders go. Few fit: one who gives many waits.
pub type OrderSender = mpsc::Sender<Order>;

/// Which run, and what to do with it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinOrder {
    /// The run's spec as TOML, or
    #[serde(default)]
    pub spec: Option<String>,
    /// its id, 64 hexadecimal digits: then the spec is fetched from whoever has it.
    #[serde(default)]
    pub run: Option<String>,
    /// Offer it to others.
    #[serde(default)]
    pub offer: bool,
    /// Take part in it.
    #[serde(default)]
    pub take_part: bool,
    /// What of its data is its own.
    #[serde(default)]
    pub data: DataSettings,
    /// Addresses to call, from a ticket; those that are none are passed over.
    #[serde(default)]
    pub addresses: Vec<String>,
}

/// What an order to join came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinedRun {
    /// The run's id.
    pub run: String,
    /// Its name.
    pub name: String,
    /// Whether the node offers it.
    pub offered: bool,
    /// Whether the node takes part in it.
    pub taking_part: bool,
    /// Why it does not, if it was to and offers it only.
    pub note: Option<String>,
}

/// A run of the network; all figures but the id are as peers report them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ListedRun {
    /// Its id, 64 hexadecimal digits.
    pub run: String,
    /// Its name.
    pub name: String,
    /// Nodes that report it, this one included if it does.
    pub reporters: u64,
    /// Whether this node is one of them.
    pub ours: bool,
    /// The model as dense f32, bytes.
    pub reported_model_bytes: u64,
    /// Rounds done: the median.
    pub reported_rounds: u64,
    /// Peers of the run: the median.
    pub reported_peers: u64,
    /// Accuracy: the median of those who report one.
    pub reported_accuracy: Option<f64>,
}

/// Why an order was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// One sentence.
    pub error: String,
    /// What to do about it.
    pub help: String,
}

impl Refusal {
    /// A room's own failure.
    #[must_use]
    pub fn of(error: &dyn miette::Diagnostic) -> Self {
        Self { error: error.to_string(), help: error.help().map_or_else(String::new, |help| help.to_string()) }
    }

    fn stopping() -> Self {
        Self { error: "the node is stopping".to_owned(), help: "start it again".to_owned() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (StatusCode::UNPROCESSABLE_ENTITY, Json(self)).into_response()
    }
}

/// Carries an order to the node and its answer back.
async fn give<T>(
    orders: &OrderSender,
    order: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> Order,
) -> Result<Json<T>, Refusal> {
    let (back, answer) = oneshot::channel();
    orders.send(order(back)).await.map_err(|_| Refusal::stopping())?;
    answer.await.unwrap_or_else(|_| Err(Refusal::stopping())).map(Json)
}

/// List the runs that the network offers
#[utoipa::path(
    get, path = "/v1/runs", tag = "node", security(("token" = [])),
    responses((status = 200, description = "as `shoal runs --json` prints them; all but the id as peers report it")),
)]
pub(super) async fn list(State(orders): State<OrderSender>) -> Result<Json<Vec<ListedRun>>, Refusal> {
    give(&orders, Order::List).await
}

/// Join or offer a run
#[utoipa::path(
    post, path = "/v1/runs", tag = "node", security(("token" = [])),
    responses((status = 200, description = "what it came to"), (status = 422, description = "why it was refused, and what to do")),
)]
pub(super) async fn join(State(orders): State<OrderSender>, Json(order): Json<JoinOrder>) -> Result<Json<JoinedRun>, Refusal> {
    give(&orders, |back| Order::Join(Box::new(order), back)).await
}
