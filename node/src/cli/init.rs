//! `shoal init`: a data directory with an identity, a configuration and an example run spec.
//!
//! Replaces nothing: if any of the three is there already, it says so and makes none of them.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use super::id::Identified;
use super::print::{line, plain};
use super::{CliError, print};
use crate::atomic;
use crate::config::{CONFIG_EXAMPLE, CONFIG_FILE, ConfigError, Place};
use crate::identity::{Identity, KEY_FILE};
use crate::networks::Network;

/// The run spec that `init` writes: the digits, as the demo trains them.
pub const EXAMPLE_SPEC: &str = include_str!("digits.toml");
/// The network of those who name none.
const DEFAULT_NETWORK: &str = "local";
/// Its file in the data directory.
const SPEC_FILE: &str = "digits.toml";

#[derive(Debug, clap::Args)]
pub(super) struct InitArgs {
    /// The node's data directory [default: shoal in the XDG data directory]
    #[arg(long, env = "SHOAL_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The network whose demands on identities the new one meets: local, testnet or a network file
    #[arg(long, env = "SHOAL_NETWORK", value_name = "NAME|FILE", default_value = DEFAULT_NETWORK)]
    network: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Files made so far: they go again if what follows fails.
struct Made(Vec<PathBuf>);

impl Drop for Made {
    fn drop(&mut self) {
        for path in &self.0 {
            // The failure that is being reported matters more than this one.
            let _ = fs::remove_file(path);
        }
    }
}

pub(super) fn command(args: &InitArgs) -> Result<(), CliError> {
    let dir = Place { data_dir: args.data_dir.clone(), config: None }.data_dir()?;
    let network = Network::load(&args.network).map_err(ConfigError::from)?;
    let files = [(CONFIG_FILE, CONFIG_EXAMPLE), (SPEC_FILE, EXAMPLE_SPEC)];
    for name in [KEY_FILE, CONFIG_FILE, SPEC_FILE] {
        let path = dir.join(name);
        if path.symlink_metadata().is_ok() {
            return Err(CliError::Exists(path));
        }
    }
    let failed = |path: PathBuf| move |source| CliError::Unwritable { path, source };
    // Closed to others, as the key in it is.
    DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(failed(dir.clone()))?;
    let mut made = Made(Vec::new());
    for (name, text) in files {
        let path = dir.join(name);
        atomic::write(&path, text.as_bytes()).map_err(failed(path.clone()))?;
        made.0.push(path);
    }
    // The key comes last: once there is one, nothing can fail that would make it be taken away.
    let node = Identity::load_or_create_with_work(&dir, network.identity_bits())?.node_id();
    made.0.clear();
    let identified = Identified::new(node, &dir);
    if args.json {
        return Ok(print::json(&identified)?);
    }
    let place = plain(&dir.display().to_string());
    let program = print::program();
    let mut next = format!("{program} run");
    if args.data_dir.is_some() {
        next += &format!(" --data-dir {place}");
    }
    if args.network != DEFAULT_NETWORK {
        next += &format!(" --network {}", plain(&args.network));
    }
    if network.run().is_none() {
        next += &format!(" --run {place}/{SPEC_FILE}");
    }
    Ok(line(&format!("{}\n\nnext: {next}", identified.drawn()))?)
}
