//! The local HTTP API: what a person on this machine may ask a running node.
//!
//! Read only. Listens on a loopback address and nowhere else in this version; answers only
//! requests that name that address, so that a web page whose name was pointed at 127.0.0.1 learns
//! nothing; refuses every request that a page sent. It reads the driver's last word from a watch
//! channel and can neither stop nor change the node.

mod bounded;
mod guard;
mod place;
mod status;

use std::future::{Future, IntoFuture};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router, middleware};
use tokio::net::TcpListener;
use tokio::sync::watch;

use self::bounded::Bounded;
pub use self::place::PlaceStatus;
pub use self::status::{NodeState, NodeStatus, PeerStatus, Snapshot, WayState};
use crate::atomic;

/// The file in the data directory that holds the API's address while the node runs.
pub const ADDRESS_FILE: &str = "api.addr";
/// Answers a [`NodeStatus`].
pub const STATUS_PATH: &str = "/v1/status";
/// Answers a list of [`PeerStatus`].
pub const PEERS_PATH: &str = "/v1/peers";
/// Answers 200 while the driver lives, 503 after.
pub const HEALTH_PATH: &str = "/healthz";

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
    /// The listening socket failed.
    #[error("the local API stopped: {0}")]
    #[diagnostic(code(shoal::api::stopped), help("the node itself may go on; restart it to be able to ask it again"))]
    Stopped(#[source] io::Error),
}

/// The API, listening but not answering yet. Its address file lives as long as this value.
#[derive(Debug)]
pub struct Api {
    listener: TcpListener,
    address: SocketAddr,
    file: AddressFile,
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
        let path = data_dir.join(ADDRESS_FILE);
        match atomic::write(&path, format!("{address}\n").as_bytes()) {
            Ok(()) => Ok(Self { listener, address, file: AddressFile(path) }),
            Err(source) => Err(ApiError::AddressFile { path, source }),
        }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers from what `news` holds until `stop` is done. Dropping the future stops it too.
    ///
    /// # Errors
    /// [`ApiError::Stopped`] if the listening socket fails.
    pub async fn serve(
        self,
        news: watch::Receiver<Snapshot>,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ApiError> {
        let serving = axum::serve(Bounded::new(self.listener), router(self.address, news)).into_future();
        let served = tokio::select! {
            served = serving => served.map_err(ApiError::Stopped),
            () = stop => Ok(()),
        };
        drop(self.file);
        served
    }
}

/// Removes the address when nobody answers there any more.
#[derive(Debug)]
struct AddressFile(PathBuf);

impl Drop for AddressFile {
    fn drop(&mut self) {
        // A file that stays is harmless: who asks there is told that nobody runs.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn router(address: SocketAddr, news: watch::Receiver<Snapshot>) -> Router {
    Router::new()
        .route(STATUS_PATH, get(async |State(news): State<watch::Receiver<Snapshot>>| Json(news.borrow().status.clone())))
        .route(PEERS_PATH, get(async |State(news): State<watch::Receiver<Snapshot>>| Json(news.borrow().peers.clone())))
        .route(HEALTH_PATH, get(health))
        .layer(middleware::from_fn_with_state(address.port(), guard::check))
        .with_state(news)
}

async fn health(State(news): State<watch::Receiver<Snapshot>>) -> (StatusCode, &'static str) {
    match news.has_changed() {
        Ok(_) => (StatusCode::OK, "ok\n"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the driver has ended\n"),
    }
}

#[cfg(test)]
pub(crate) mod tests;
