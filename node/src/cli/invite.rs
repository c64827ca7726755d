//! `shoal invite`: one string that lets somebody else join, made from what the running node says of itself.

use std::time::{Duration, SystemTime};

use fast_qr::ECL;
use fast_qr::qr::QRBuilder;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use miette::Diagnostic;
use serde::Serialize;
use shoal_protocol::id::{NodeId, RunId};
use thiserror::Error;

use super::local::AskArgs;
use super::{CliError, print};
use crate::api::{NodeStatus, STATUS_PATH};
use crate::config::{Config, Settings};
use crate::identity::peer_of;
use crate::networks::Network;
use crate::ticket::{Ticket, TicketError};

#[derive(Debug, clap::Args)]
pub(super) struct InviteArgs {
    #[command(flatten)]
    ask: AskArgs,
    /// How long the ticket is good: 30m, 24h, 7d, or never
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = life)]
    expires: Life,
    /// Print a QR code as well
    #[arg(long)]
    qr: bool,
    /// The running node's network, if it was told another than its configuration says
    #[arg(long, env = "SHOAL_NETWORK", value_name = "NAME|FILE")]
    network: Option<String>,
    /// To the network only, not to the run that this node is in
    #[arg(long)]
    no_run: bool,
}

/// How long; `None` for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Life(Option<Duration>);

fn life(text: &str) -> Result<Life, String> {
    const EXPECTED: &str = "expected a whole number with m, h or d behind it, such as 24h, or never";
    if text == "never" {
        return Ok(Life(None));
    }
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(EXPECTED)?;
    let unit = match unit {
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(EXPECTED.to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| EXPECTED)?;
    // Ten years: more is meant as never.
    match number.checked_mul(unit).filter(|seconds| (1..=315_576_000).contains(seconds)) {
        Some(seconds) => Ok(Life(Some(Duration::from_secs(seconds)))),
        None => Err("expected between 1m and 3652d, or never".to_owned()),
    }
}

/// Why there is no ticket.
#[derive(Debug, Error, Diagnostic)]
enum InviteError {
    #[error(transparent)]
    #[diagnostic(code(shoal::invite), help("wait until `shoal status` lists an address, or say one with the setting `external`"))]
    Ticket(#[from] TicketError),
    #[error("the running node calls itself {0:?}, which is no name of a node")]
    #[diagnostic(code(shoal::invite::node), help("restart the node"))]
    Name(String),
    #[error("the running node is in the network {running:?}, but this data directory's settings say {configured:?}")]
    #[diagnostic(code(shoal::invite::network), help("say --network as the running node was told"))]
    Network { running: String, configured: String },
    #[error("the ticket is too long for a QR code")]
    #[diagnostic(code(shoal::invite::qr), help("leave --qr out"))]
    Code,
}

/// What `invite --json` prints.
#[derive(Serialize)]
struct Invited<'a> {
    ticket: &'a str,
    network: &'a str,
    run: Option<String>,
    addresses: Vec<String>,
    private: bool,
}

pub(super) fn command(args: &InviteArgs) -> Result<(), CliError> {
    let status: NodeStatus = args.ask.ask(STATUS_PATH)?;
    let settings = Settings { network: args.network.clone(), ..Settings::default() };
    let config = Config::load(args.ask.place(), settings)?;
    let network = config.overlay();
    if network.name().as_str() != status.network {
        let (running, configured) = (status.network, network.name().as_str().to_owned());
        return Err(CliError::usage(InviteError::Network { running, configured }));
    }
    let ticket = ticket(&status, network, args).map_err(CliError::operation)?;
    let text = ticket.to_string();
    if args.ask.json {
        return Ok(print::json(&Invited {
            ticket: &text,
            network: &status.network,
            run: ticket.run().map(|run| run.to_string()),
            addresses: ticket.addresses().iter().map(ToString::to_string).collect(),
            private: network.secret().is_some(),
        })?);
    }
    if args.qr {
        // In capitals a letter takes five and a half bits instead of eight.
        let code = QRBuilder::new(text.to_ascii_uppercase()).ecl(ECL::L).build();
        let code = code.map_err(|_| CliError::operation(InviteError::Code))?;
        print::line(&code.to_str())?;
    }
    Ok(print::line(&text)?)
}

fn ticket(status: &NodeStatus, network: &Network, args: &InviteArgs) -> Result<Ticket, InviteError> {
    let nameless = || InviteError::Name(print::plain(&status.node));
    let node: NodeId = status.node.parse().map_err(|_| nameless())?;
    let peer = peer_of(&node).ok_or_else(nameless)?;
    let named = |text: &String| {
        let address: Multiaddr = text.parse().ok()?;
        address.with_p2p(peer).ok()
    };
    let mut addresses: Vec<Multiaddr> = status.addresses.iter().chain(&status.listen).filter_map(named).collect();
    // What leads only back to this host is of use to nobody else, unless there is nothing else.
    if addresses.iter().any(|address| !is_loopback(address)) {
        addresses.retain(|address| !is_loopback(address));
    }
    let mut seen = std::collections::BTreeSet::new();
    addresses.retain(|address| seen.insert(address.to_vec()));
    let run = status.run.parse::<RunId>().ok().filter(|_| !args.no_run);
    let ticket = Ticket::new(network, &addresses)?;
    Ok(ticket.with_run(run).with_life(SystemTime::now(), args.expires.0))
}

fn is_loopback(address: &Multiaddr) -> bool {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => ip.is_loopback(),
        Some(Protocol::Ip6(ip)) => ip.is_loopback(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> InviteArgs {
        InviteArgs { ask: AskArgs::default(), expires: Life(None), qr: false, network: None, no_run: false }
    }

    #[test]
    fn lives_are_read() {
        let seconds = |text| life(text).unwrap().0.map(|life| life.as_secs());
        assert_eq!(
            [seconds("30m"), seconds("24h"), seconds("7d"), seconds("never")],
            [Some(1_800), Some(86_400), Some(604_800), None]
        );
        for text in ["", "h", "0h", "-1h", "24", "1y", "99999999d", "ä"] {
            assert!(life(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_told_others_comes_first_and_loopback_only_alone() {
        let network = Network::load("testnet").unwrap();
        let mut status = crate::api::tests::snapshot().status;
        status.node = "no name".to_owned();
        assert!(matches!(ticket(&status, &network, &args()), Err(InviteError::Name(_))));
        status.node = crate::identity::Identity::from_seed(&[7; 32]).node_id().to_string();
        status.listen = vec!["/ip4/127.0.0.1/tcp/1".to_owned(), "/ip4/192.168.1.2/tcp/1".to_owned()];
        status.addresses = vec!["/ip4/203.0.113.9/tcp/1".to_owned()];
        let hosts = |status: &NodeStatus| {
            let ticket = ticket(status, &network, &args()).unwrap();
            assert_eq!(ticket.run().map(|run| run.to_string()), Some(status.run.clone()));
            ticket.addresses().iter().map(|address| address.iter().next().unwrap().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(hosts(&status), ["/ip4/203.0.113.9", "/ip4/192.168.1.2"]);
        (status.addresses, status.listen) = (Vec::new(), vec!["/ip4/127.0.0.1/tcp/1".to_owned()]);
        assert_eq!(hosts(&status), ["/ip4/127.0.0.1"]);
        status.listen.clear();
        assert!(matches!(ticket(&status, &network, &args()), Err(InviteError::Ticket(TicketError::TooMuch(_)))));
    }
}
