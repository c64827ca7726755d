//! `shoal init`: a data directory with an identity, a configuration and an example run spec.
//!
//! Replaces nothing: if any of the three is there already, it says so and makes none of them.

use shoal_protocol::id::NodeId;

use super::id::Identified;
use super::print::{line, plain};
use super::{CliError, print};
use crate::atomic;
use crate::config::{CONFIG_EXAMPLE, CONFIG_FILE, Place};
use crate::identity::{Identity, KEY_FILE};

/// The run spec that `init` writes: the digits, as the demo trains them.
pub const EXAMPLE_SPEC: &str = include_str!("digits.toml");
/// Its file in the data directory.
const SPEC_FILE: &str = "digits.toml";

#[derive(Debug, clap::Args)]
pub(super) struct InitArgs {
    /// The node's data directory [default: shoal in the XDG data directory]
    #[arg(long, env = "SHOAL_DATA_DIR", value_name = "DIR")]
    data_dir: Option<std::path::PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn command(args: &InitArgs) -> Result<(), CliError> {
    let dir = Place { data_dir: args.data_dir.clone(), config: None }.data_dir()?;
    let files = [(CONFIG_FILE, CONFIG_EXAMPLE), (SPEC_FILE, EXAMPLE_SPEC)];
    for name in [KEY_FILE, CONFIG_FILE, SPEC_FILE] {
        let path = dir.join(name);
        if path.symlink_metadata().is_ok() {
            return Err(CliError::Exists(path));
        }
    }
    // The identity comes first: it makes the directory, closed to others.
    let node: NodeId = Identity::load_or_create(&dir)?.node_id();
    for (name, text) in files {
        let path = dir.join(name);
        atomic::write(&path, text.as_bytes()).map_err(|source| CliError::Unwritable { path, source })?;
    }
    let identified = Identified::new(node, &dir);
    if args.json {
        return Ok(print::json(&identified)?);
    }
    let place = plain(&dir.display().to_string());
    let next = match &args.data_dir {
        Some(_) => format!("shoal run --data-dir {place} --run {place}/{SPEC_FILE}"),
        None => format!("shoal run --run {place}/{SPEC_FILE}"),
    };
    Ok(line(&format!("{}\n\nnext: {next}", identified.drawn()))?)
}
