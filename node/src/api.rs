//! The local HTTP API: what a person on this machine may ask a running node, and tell it.
//!
//! Anybody on this machine may ask how the node is. Only who can read the token in the data directory may
//! tell it to join or offer a run, have it ask the network, or question the models of its runs. Listens on a loopback address and nowhere else in this version; answers only
//! requests that name that address, so that a web page whose name was pointed at 127.0.0.1 learns
//! nothing; refuses every request that a page sent. It reads the drivers' last words from watch
//! channels; what changes something is an order, which the node carries out and answers.

mod answers;
mod bounded;
mod document;
mod guard;
mod orders;
mod place;
mod roster;
mod status;
mod token;

use std::future::{Future, IntoFuture};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router, middleware};
use tokio::net::TcpListener;
use tokio::sync::watch;

use self::answers::Answers;
pub use self::answers::{
    CHAT_PATH, COMPLETIONS_PATH, Failure, FailureBody, Fault, MODEL_PATH, MODELS_PATH, Model, ModelList, PREDICT_PATH,
    PredictRequest, PredictedExample, Predictions, WEIGHTS_PATH,
};
use self::bounded::Bounded;
pub use self::document::{DOCUMENT_PATH, PAGE_PATH};
pub use self::orders::{JoinOrder, JoinedRun, ListedRun, Order, OrderSender, Refusal};
pub use self::roster::Roster;
pub use self::status::{NodeState, NodeStatus, PeerStatus, RunStatus, Snapshot, WayState};
pub use self::token::{TOKEN_FILE, Token};
use crate::atomic;
use crate::serve::Engine;

/// The file in the data directory that holds the API's address while the node runs.
pub const ADDRESS_FILE: &str = "api.addr";
/// Answers a [`NodeStatus`].
pub const STATUS_PATH: &str = "/v1/status";
/// Answers a list of [`PeerStatus`].
pub const PEERS_PATH: &str = "/v1/peers";
/// `GET` answers a list of [`ListedRun`], `POST` takes a [`JoinOrder`] and answers a [`JoinedRun`]; both
/// want the token.
pub const RUNS_PATH: &str = "/v1/runs";
/// Longest order, bytes: a spec of 64 KiB, every character of it escaped.
const ORDER_BYTES_MAX: usize = 512 * 1_024;
/// Answers 200 while the driver lives, 503 after.
pub const HEALTH_PATH: &str = "/healthz";
/// Answers 200 once a model can be questioned, 503 before.
pub const READY_PATH: &str = "/readyz";

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum ApiError {
    /// The address is reachable from other machines.
    #[error("the local API cannot listen on {0}: that is not a loopback address")]
    #[diagnostic(code(shoal::api::not_loopback), help("set `api` to 127.0.0.1:0 or [::1]:0"))]
    NotLoopback(SocketAddr),
    /// Nobody can listen there.
    #[error("the local API cannot listen on {address}: {source}")]
    #[diagnostic(code(shoal::api::bind), help("set `api` to a free port; 127.0.0.1:0 takes any"))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The address cannot be left where `shoal status` looks for it.
    #[error("{} cannot be written: {source}", path.display())]
    #[diagnostic(code(shoal::api::address_file), help("the data directory must be writable and its disk not full"))]
    AddressFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The listening socket failed, or the thread that answers could not be started.
    #[error("the local API stopped: {0}")]
    #[diagnostic(code(shoal::api::stopped), help("the node itself may go on; restart it to be able to ask it again"))]
    Stopped(#[source] io::Error),
}

/// The API, listening but not answering yet. Its address file lives as long as this value.
#[derive(Debug)]
pub struct Api {
    listener: TcpListener,
    address: SocketAddr,
    file: LeftFile,
    token: Token,
    token_file: LeftFile,
}

impl Api {
    /// Listens on `address` and leaves the address that came of it in `data_dir`.
    ///
    /// # Errors
    /// [`ApiError`]; nothing is left behind then.
    pub async fn bind(address: SocketAddr, data_dir: &Path) -> Result<Self, ApiError> {
        if !address.ip().is_loopback() {
            return Err(ApiError::NotLoopback(address));
        }
        let failed = |source| ApiError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let unwritable = |path: &Path| {
            let path = path.to_owned();
            |source| ApiError::AddressFile { path, source }
        };
        // The token first: who finds the address finds it, too.
        let (token, path) = (Token::generate(), data_dir.join(TOKEN_FILE));
        token.write(&path).map_err(unwritable(&path))?;
        let token_file = LeftFile(path);
        let path = data_dir.join(ADDRESS_FILE);
        atomic::write(&path, format!("{address}\n").as_bytes()).map_err(unwritable(&path))?;
        Ok(Self { listener, address, file: LeftFile(path), token, token_file })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers from what `news` holds, and hands orders on, until `stop` is done. Dropping the future stops
    /// it too.
    ///
    /// # Errors
    /// [`ApiError::Stopped`] if the listening socket fails or there are no threads left.
    pub async fn serve(
        self,
        news: watch::Receiver<Roster>,
        orders: OrderSender,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ApiError> {
        let engine = Engine::start().map_err(ApiError::Stopped)?;
        let router = router(self.address, self.token, Answers { engine, news }, orders);
        let serving = axum::serve(Bounded::new(self.listener), router).into_future();
        let served = tokio::select! {
            served = serving => served.map_err(ApiError::Stopped),
            () = stop => Ok(()),
        };
        drop((self.file, self.token_file));
        served
    }
}

/// Removes address and token when nobody answers there any more.
#[derive(Debug)]
struct LeftFile(PathBuf);

impl Drop for LeftFile {
    fn drop(&mut self) {
        // A file that stays is harmless: who asks there is told that nobody runs.
        let _ = std::fs::remove_file(&self.0);
    }
}

type News = watch::Receiver<Roster>;

fn router(address: SocketAddr, token: Token, answers: Answers, orders: OrderSender) -> Router {
    let orders = Router::new()
        .route(RUNS_PATH, get(orders::list).post(orders::join))
        .route_layer(DefaultBodyLimit::max(ORDER_BYTES_MAX))
        .with_state(orders);
    let with_token = orders.merge(answers.clone().router()).route_layer(middleware::from_fn_with_state(token, guard::authorize));
    Router::new()
        .route(STATUS_PATH, get(status))
        .route(PEERS_PATH, get(peers))
        .route(HEALTH_PATH, get(health))
        .with_state(answers.news.clone())
        .merge(Router::new().route(READY_PATH, get(ready)).with_state(answers))
        .merge(document::router())
        .merge(with_token)
        .layer(middleware::from_fn_with_state(address.port(), guard::check))
}

/// How the node is
#[utoipa::path(get, path = "/v1/status", tag = "node", responses((status = 200, description = "as `shoal status --json` prints it")))]
async fn status(State(news): State<News>) -> Json<NodeStatus> {
    Json(news.borrow().snapshot().status)
}

/// Whom the node knows
#[utoipa::path(get, path = "/v1/peers", tag = "node", responses((status = 200, description = "as `shoal peers --json` prints them")))]
async fn peers(State(news): State<News>) -> Json<Vec<PeerStatus>> {
    Json(news.borrow().snapshot().peers)
}

/// Whether the node lives
#[utoipa::path(
    get, path = "/healthz", tag = "node",
    responses((status = 200, description = "it does"), (status = 503, description = "its runs have ended")),
)]
async fn health(State(news): State<News>) -> (StatusCode, &'static str) {
    if news.has_changed().is_ok() && news.borrow().is_alive() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the driver has ended\n")
    }
}

/// Whether a model can be questioned
#[utoipa::path(
    get, path = "/readyz", tag = "node",
    responses((status = 200, description = "one can"), (status = 503, description = "there are no weights yet")),
)]
async fn ready(State(answers): State<Answers>) -> (StatusCode, &'static str) {
    if answers.is_ready() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no run has weights to answer with yet\n")
    }
}

#[cfg(test)]
pub(crate) mod tests;
