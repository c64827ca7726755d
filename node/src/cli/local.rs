//! How `status` and `peers` ask the running node: over its local API, at the address it left in
//! its data directory.
//!
//! Everything that answers is bounded and doubted: the file may be stale and its port somebody
//! else's by now. No proxy, no redirect, no address but a loopback one.

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::CliError;
use crate::api::ADDRESS_FILE;
use crate::config::Place;

/// A node on the same machine answers in milliseconds; one that swaps may need this long.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
/// Longest answer read, bytes: the largest view is a tenth of it.
const ANSWER_BYTES_MAX: u64 = 4 << 20;
/// Longest content of the address file, bytes: an IPv6 address and port is half of it.
const ADDRESS_BYTES_MAX: u64 = 128;

#[derive(Debug, clap::Args)]
pub(super) struct AskArgs {
    #[command(flatten)]
    place: Place,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl AskArgs {
    /// Asks the node of this place for `path`.
    pub(super) fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        let dir = self.place.data_dir()?;
        let address = address(&dir).ok_or_else(|| CliError::NotRunning(dir.clone()))?;
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(true)
            .timeout_global(Some(ANSWER_TIME_MAX))
            .build()
            .into();
        let bad = |cause: ureq::Error| CliError::BadAnswer { address: address.to_string(), cause: cause.to_string() };
        let mut answer = match agent.get(format!("http://{address}{path}")).call() {
            Ok(answer) => answer,
            // The address file outlives a killed node; nobody listens there any more.
            Err(ureq::Error::ConnectionFailed | ureq::Error::Io(_)) => return Err(CliError::NotRunning(dir)),
            Err(error) => return Err(bad(error)),
        };
        answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_json().map_err(bad)
    }
}

/// The address a node left, or `None` if there is none that can be a node's.
fn address(dir: &Path) -> Option<SocketAddr> {
    let mut text = String::new();
    File::open(dir.join(ADDRESS_FILE)).ok()?.take(ADDRESS_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim_end().parse().ok().filter(|address: &SocketAddr| address.ip().is_loopback())
}
