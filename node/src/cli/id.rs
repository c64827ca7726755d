//! `shoal id`: who this node is, as the two names that others know it by.

use std::path::Path;

use serde::Serialize;
use shoal_protocol::id::NodeId;

use super::CliError;
use super::print;
use crate::config::Place;
use crate::identity::{Identity, KEY_FILE, peer_of};

#[derive(Debug, clap::Args)]
pub(super) struct IdArgs {
    #[command(flatten)]
    place: Place,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What `id --json` and `init --json` print.
#[derive(Serialize)]
pub(super) struct Identified {
    node: String,
    peer: String,
    data_dir: String,
}

impl Identified {
    pub(super) fn new(node: NodeId, dir: &Path) -> Self {
        // The key of an identity is a point of the curve, so it has a peer id.
        let peer = peer_of(&node).map_or_else(String::new, |peer| peer.to_string());
        Self { node: node.to_string(), peer, data_dir: dir.display().to_string() }
    }

    /// As a person reads it.
    pub(super) fn drawn(&self) -> String {
        print::named(&[("node", self.node.clone()), ("peer id", self.peer.clone()), ("data directory", self.data_dir.clone())])
    }
}

pub(super) fn command(args: &IdArgs) -> Result<(), CliError> {
    let dir = args.place.data_dir()?;
    let path = dir.join(KEY_FILE);
    if path.symlink_metadata().is_err() {
        return Err(CliError::NoNode(dir));
    }
    let identified = Identified::new(Identity::load(&path)?.node_id(), &dir);
    if args.json {
        return Ok(print::json(&identified)?);
    }
    Ok(print::line(&identified.drawn())?)
}
