//! `shoal network`: writes the file of a network of one's own.

use std::fmt::Write as _;
use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

use super::{CliError, print};
use crate::atomic;
use crate::networks::{Network, Scope};
use crate::swarm::{NetworkName, Secret};

#[derive(Debug, clap::Args)]
pub(super) struct NetworkArgs {
    /// The name: 1 to 32 lower-case letters, digits or '-'
    name: String,
    /// Only who has the file, or a ticket from somebody who has it, can speak with its nodes
    #[arg(long)]
    private: bool,
    /// How far it reaches: lan (one house), internet
    #[arg(long, value_parser = ["lan", "internet"], default_value = "internet")]
    scope: String,
    /// Leading zero bits of work in its nodes' names, 0 to 24: what makes many names dear
    #[arg(long, value_name = "BITS", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..=24))]
    identity_bits: u8,
    /// The file to write; it must not exist [default: NAME.toml]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Error, Diagnostic)]
enum NewNetworkError {
    #[error("{0:?} cannot be a network's name")]
    #[diagnostic(code(shoal::network::name), help("take 1 to 32 lower-case letters, digits or '-', but not local or testnet"))]
    Name(String),
}

pub(super) fn command(args: &NetworkArgs) -> Result<(), CliError> {
    let taken = ["local", "testnet"].contains(&args.name.as_str());
    let name = NetworkName::new(&args.name).ok().filter(|_| !taken);
    let name = name.ok_or_else(|| CliError::usage(NewNetworkError::Name(print::plain(&args.name))))?;
    let scope = if args.scope == "lan" { Scope::Lan } else { Scope::Internet };
    let secret = args.private.then(|| Secret(rand::random()));
    let network = Network::invited(name, scope, args.identity_bits, secret);
    let path = args.out.clone().unwrap_or_else(|| format!("{}.toml", args.name).into());
    if path.symlink_metadata().is_ok() {
        return Err(CliError::Exists(path));
    }
    atomic::write_private(&path, text(&network).as_bytes())
        .map_err(|source| CliError::Unwritable { path: path.clone(), source })?;
    Ok(print::line(&format!("{}", path.display()))?)
}

/// The file, with what a person should know of it.
fn text(network: &Network) -> String {
    let mut text =
        String::from("# A network of one's own. Start nodes with `--network` and this file; docs/NETWORK.md lists the keys.\n");
    if network.secret().is_some() {
        text.push_str("# The secret is the key to it: give the file, or a ticket of `shoal invite`, only to members.\n");
    }
    let _ = write!(text, "{}", network.to_toml());
    text
}
