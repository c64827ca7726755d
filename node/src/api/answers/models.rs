//! `GET /v1/models`: the runs whose models answer, and their weights.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shoal_ml::export::{self, Card};
use shoal_ml::safetensors;
use utoipa::ToSchema;

use super::frame::seconds;
use super::{Answers, Failure, FailureBody};
use crate::serve::{ServeError, ServedRun};

/// All models.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelList {
    /// `list`.
    pub object: &'static str,
    /// One for each run that the node takes part in, in the order in which it joined them.
    pub data: Vec<Model>,
}

/// The model of one run.
#[derive(Debug, Serialize, ToSchema)]
pub struct Model {
    /// By what it is asked for: the run's name, or its id where another run has that name.
    pub id: String,
    /// `model`.
    pub object: &'static str,
    /// When its weights were put out, seconds since 1970; 0 before the first.
    pub created: u64,
    /// `shoal`.
    pub owned_by: &'static str,
    /// The run's id.
    pub run: String,
    /// Rounds that its weights have behind them, once there are some.
    pub round: Option<u64>,
    /// `classify` or `language`.
    pub kind: &'static str,
    /// The shape of an example; of a language model how many tokens it sees at once.
    pub inputs: Vec<usize>,
    /// Classes, or tokens of the vocabulary.
    pub outputs: usize,
    /// Numbers in its weights.
    pub parameters: usize,
}

impl Model {
    fn of(run: &ServedRun, all: &[ServedRun]) -> Self {
        let first = all.iter().find(|other| other.name() == run.name());
        let named = first.is_none_or(|first| first.run() == run.run());
        let weights = run.weights();
        Self {
            id: if named { run.name().to_owned() } else { run.run().to_string() },
            object: "model",
            created: weights.as_ref().map_or(0, |weights| seconds(weights.at)),
            owned_by: "shoal",
            run: run.run().to_string(),
            round: weights.map(|weights| weights.round),
            kind: if run.task().vocabulary().is_some() { "language" } else { "classify" },
            inputs: run.task().inputs().to_vec(),
            outputs: run.task().classes(),
            parameters: run.task().layout().param_count(),
        }
    }
}

/// List the models
#[utoipa::path(
    get, path = "/v1/models", tag = "models", security(("token" = [])),
    responses((status = 200, description = "the runs that this node answers for", body = ModelList)),
)]
pub(super) async fn list(State(answers): State<Answers>) -> Json<ModelList> {
    let roster = answers.news.borrow();
    let data = roster.served.iter().map(|run| Model::of(run, &roster.served)).collect();
    Json(ModelList { object: "list", data })
}

/// Look at one model
#[utoipa::path(
    get, path = "/v1/models/{model}", tag = "models", security(("token" = [])),
    params(("model" = String, Path, description = "the run's name or id")),
    responses(
        (status = 200, description = "the model", body = Model),
        (status = 404, description = "no such run here", body = FailureBody),
    ),
)]
pub(super) async fn one(State(answers): State<Answers>, Path(model): Path<String>) -> Result<Json<Model>, Failure> {
    let run = answers.find(Some(&model))?;
    Ok(Json(Model::of(&run, &answers.news.borrow().served)))
}

/// Take the weights along
#[utoipa::path(
    get, path = "/v1/models/{model}/weights", tag = "models", security(("token" = [])),
    params(("model" = String, Path, description = "the run's name or id")),
    responses(
        (status = 200, description = "a safetensors file with run, round and peers in its metadata", content_type = "application/octet-stream"),
        (status = 404, description = "no such run here", body = FailureBody),
        (status = 503, description = "no weights yet", body = FailureBody),
    ),
)]
pub(super) async fn weights(State(answers): State<Answers>, Path(model): Path<String>) -> Result<Response, Failure> {
    let run = answers.find(Some(&model))?;
    let weights = run.weights().ok_or(ServeError::NotReady)?;
    // A copy of the whole model: not on a thread that others wait for.
    let file = tokio::task::spawn_blocking(move || {
        let (name, id) = (run.name().to_owned(), run.run().to_string());
        let mut metadata = export::metadata(&Card { name, run: id, round: weights.round, ..Card::default() });
        metadata.insert("peers".to_owned(), run.peers_known().to_string());
        safetensors::export(run.task().layout(), &weights.weights, &metadata)
    });
    let file = file.await.map_err(|_| ServeError::Stopping)?;
    let file = file.map_err(|error| Failure::invalid(format!("the weights cannot be handed over: {error}")))?;
    Ok(([(CONTENT_TYPE, "application/octet-stream")], file).into_response())
}
