//! `POST /v1/predict`: which class an example is of.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shoal_ml::data::Missing;
use shoal_ml::data::asked::values;
use utoipa::ToSchema;

use super::asked::Asked;
use super::{Answers, Failure};
use crate::serve::Prediction;

/// Examples to tell apart.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PredictRequest {
    /// The run's name or id; the node's first if left out.
    pub model: Option<String>,
    /// Of a run that names its columns an object with a value for each, or a list of such objects: they are
    /// read as the run's data is. Else, and of any run, the numbers of one example or of several as the model
    /// was trained on them, in lists of any shape, the last dimension varying fastest.
    #[schema(value_type = Object)]
    pub inputs: Value,
    /// Read what is missing in objects as the mean; else it is refused.
    pub missing: Option<MissingWish>,
    /// Answer logits, too.
    #[serde(default)]
    pub logits: bool,
}

/// What is to become of a value that is missing.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MissingWish {
    /// The column's mean, or none of its words.
    Mean,
}

/// What the model says.
#[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Predictions {
    /// The run's name.
    pub model: String,
    /// Its id.
    pub run: String,
    /// Rounds that the weights have behind them.
    pub round: u64,
    /// One for each example.
    pub predictions: Vec<PredictedExample>,
}

/// What the model says of one example.
#[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PredictedExample {
    /// The likeliest class, from 0.
    pub class: usize,
    /// What it is called, if the run's spec says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its probability.
    pub probability: f32,
    /// Those of all classes.
    pub probabilities: Vec<f32>,
    /// Their logits, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logits: Option<Vec<f32>>,
}

impl PredictedExample {
    /// As the API and the command line say it.
    #[must_use]
    pub fn of(prediction: Prediction, label: impl FnOnce(usize) -> Option<String>, logits: bool) -> Self {
        let class = prediction.class();
        Self {
            class,
            label: label(class),
            probability: prediction.probabilities.get(class).copied().unwrap_or(0.0),
            probabilities: prediction.probabilities,
            logits: logits.then_some(prediction.logits),
        }
    }
}

/// Tell examples apart
#[utoipa::path(
    post, path = "/v1/predict", tag = "examples", request_body = PredictRequest, security(("token" = [])),
    responses(
        (status = 200, description = "a class and its probability for each example", body = Predictions),
        Failure,
    ),
)]
pub(super) async fn predict(
    State(answers): State<Answers>,
    Asked(request): Asked<PredictRequest>,
) -> Result<Json<Predictions>, Failure> {
    let run = answers.find(request.model.as_deref())?;
    let missing = match request.missing {
        Some(MissingWish::Mean) => Missing::Mean,
        None => Missing::Refused("`\"missing\": \"mean\"`"),
    };
    let inputs = values(&request.inputs, run.task(), missing).map_err(|reason| Failure::field("inputs", reason))?;
    let predicted = answers.engine.predict(run.clone(), inputs).await?;
    let label = |class| run.label(class).map(str::to_owned);
    let predictions = predicted.predictions.into_iter();
    Ok(Json(Predictions {
        model: run.name().to_owned(),
        run: run.run().to_string(),
        round: predicted.round,
        predictions: predictions.map(|prediction| PredictedExample::of(prediction, label, request.logits)).collect(),
    }))
}
