//! How verbs ask the running node, and tell it what to do: over its local API, at the address it left in
//! its data directory. Orders carry the token that lies beside it.
//!
//! Everything that answers is bounded and doubted: the file may be stale and its port somebody
//! else's by now. No proxy, no redirect, no address but a loopback one.

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::Body;
use ureq::http::Response;

use super::CliError;
use crate::api::{ADDRESS_FILE, NodeStatus, Refusal, STATUS_PATH, TOKEN_FILE, Token};
use crate::config::Place;

/// A node on the same machine answers in milliseconds; one that swaps may need this long.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
/// An order may have the network asked, which takes up to 20 s; a connection of the API lasts 30 s.
const ORDER_TIME_MAX: Duration = Duration::from_secs(28);
/// Longest answer read, bytes: the largest view is a tenth of it.
const ANSWER_BYTES_MAX: u64 = 4 << 20;
/// Longest content of the address file, bytes: an IPv6 address and port is half of it.
const ADDRESS_BYTES_MAX: u64 = 128;

#[derive(Debug, Default, clap::Args)]
pub(super) struct AskArgs {
    #[command(flatten)]
    place: Place,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl AskArgs {
    /// Where the node lies.
    pub(super) const fn place(&self) -> &Place {
        &self.place
    }

    /// Asks the node of this place for `path`.
    pub(super) fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        let dir = self.place.data_dir()?;
        Local::find(&dir).ok_or_else(|| CliError::NotRunning(dir.clone()))?.ask(path)
    }
}

/// A node that has left its address in a data directory, whether or not it still runs.
pub(super) struct Local {
    dir: PathBuf,
    address: SocketAddr,
}

impl Local {
    /// The node of this data directory, if there is an address of one.
    pub(super) fn find(dir: &Path) -> Option<Self> {
        Some(Self { dir: dir.to_owned(), address: address(dir)? })
    }

    /// The answer to what anybody may ask.
    fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        self.call(ANSWER_TIME_MAX, |agent, address| agent.get(format!("http://{address}{path}")).call())
    }

    /// How the node is.
    pub(super) fn status(&self) -> Result<NodeStatus, CliError> {
        self.ask(STATUS_PATH)
    }

    /// The answer to an order without content, which may take as long as asking the network does.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        let token = self.token()?;
        self.call(ORDER_TIME_MAX, |agent, address| {
            agent.get(format!("http://{address}{path}")).header("Authorization", token.header()).call()
        })
    }

    /// The answer to an order.
    pub(super) fn post<T: DeserializeOwned>(&self, path: &str, order: &impl Serialize) -> Result<T, CliError> {
        let token = self.token()?;
        self.call(ORDER_TIME_MAX, |agent, address| {
            agent.post(format!("http://{address}{path}")).header("Authorization", token.header()).send_json(order)
        })
    }

    /// A file of at most so many bytes that the node hands over to whoever has the token, with the status
    /// of the answer; no bytes but with 200.
    pub(super) fn file(&self, path: &str, bytes_max: u64) -> Result<(u16, Vec<u8>), CliError> {
        let token = self.token()?;
        let mut answer = self.send(ORDER_TIME_MAX, |agent, address| {
            agent.get(format!("http://{address}{path}")).header("Authorization", token.header()).call()
        })?;
        let status = answer.status().as_u16();
        if status != 200 {
            return Ok((status, Vec::new()));
        }
        let file = answer.body_mut().with_config().limit(bytes_max).read_to_vec();
        Ok((status, file.map_err(|error| self.bad(error.to_string()))?))
    }

    /// A node that was killed leaves its token, too; only a missing one says that nobody runs.
    fn token(&self) -> Result<Token, CliError> {
        Token::read(&self.dir.join(TOKEN_FILE)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => CliError::NotRunning(self.dir.clone()),
            _ => CliError::BadAnswer { address: self.address.to_string(), cause: format!("its token cannot be read: {error}") },
        })
    }

    fn bad(&self, cause: String) -> CliError {
        CliError::BadAnswer { address: self.address.to_string(), cause }
    }

    fn send(
        &self,
        time_max: Duration,
        send: impl FnOnce(&ureq::Agent, SocketAddr) -> Result<Response<Body>, ureq::Error>,
    ) -> Result<Response<Body>, CliError> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_global(Some(time_max))
            .build()
            .into();
        match send(&agent, self.address) {
            Ok(answer) => Ok(answer),
            // The address file outlives a killed node; nobody listens there any more.
            Err(ureq::Error::ConnectionFailed | ureq::Error::Io(_)) => Err(CliError::NotRunning(self.dir.clone())),
            Err(error) => Err(self.bad(error.to_string())),
        }
    }

    fn call<T: DeserializeOwned>(
        &self,
        time_max: Duration,
        send: impl FnOnce(&ureq::Agent, SocketAddr) -> Result<Response<Body>, ureq::Error>,
    ) -> Result<T, CliError> {
        let mut answer = self.send(time_max, send)?;
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        match status.as_u16() {
            200 => body.read_json().map_err(|error| self.bad(error.to_string())),
            422 => match body.read_json::<Refusal>() {
                Ok(refusal) => Err(CliError::Refused(refusal)),
                Err(error) => Err(self.bad(error.to_string())),
            },
            other => Err(self.bad(format!("http status: {other}"))),
        }
    }
}

/// The address a node left, or `None` if there is none that can be a node's.
fn address(dir: &Path) -> Option<SocketAddr> {
    let mut text = String::new();
    File::open(dir.join(ADDRESS_FILE)).ok()?.take(ADDRESS_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim_end().parse().ok().filter(|address: &SocketAddr| address.ip().is_loopback())
}
