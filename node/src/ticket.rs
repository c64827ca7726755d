//! A ticket: one string that lets somebody join a network, and a run in it, with nothing else known.
//!
//! ```text
//! shoal1  version 1 | length 2 | expires 8 | scope 1 | identity bits 1 | network 1+n | run 1+32? | secret 1+32?
//!         | addresses 1, each 1+n                                                        bech32m, 6 digits
//! ```
//! Bech32m (BIP 350) has no letters that look alike, notices every mistyped letter, and in capitals makes
//! a small QR code. Integers are little-endian. The length comes early, so that a ticket that lost its end
//! is told from one that was mistyped. A ticket proves nothing: whoever is met through it is checked like
//! any other peer, and a run by the hash of its spec. One with a secret is a key: whoever has it is in.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bech32::primitives::decode::{CheckedHrpstring, UncheckedHrpstring};
use bech32::{Bech32m, Hrp};
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use shoal_protocol::id::RunId;

use crate::networks::{IDENTITY_BITS_MAX, Network, Scope};
use crate::swarm::{NetworkName, Secret};

/// What every ticket starts with, before the `1`.
pub const PREFIX: &str = "shoal";
/// The only format there is.
const VERSION: u8 = 1;
/// Longest ticket, characters: where bech32m's checksum stops promising anything.
pub const TICKET_CHARS_MAX: usize = 1_023;
/// Most addresses: a few ways to each of two or three nodes.
pub const ADDRESSES_MAX: usize = 8;
/// Longest address, bytes: one over a relay, with two peer ids, has about 100.
const ADDRESS_BYTES_MAX: usize = 160;
/// Bytes before the expiry: version and length.
const HEAD_BYTES: usize = 3;

/// What a ticket says. Made by [`Ticket::new`] or [`Ticket::parse`], so it is within its bounds.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    network: NetworkName,
    scope: Scope,
    identity_bits: u8,
    run: Option<RunId>,
    secret: Option<Secret>,
    addresses: Vec<Multiaddr>,
    /// Seconds since 1970; `None` for one that does not expire.
    expires: Option<u64>,
}

/// Why a string is no ticket that can be used. Each says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Something else altogether.
    #[error("this is no ticket: a ticket starts with `{PREFIX}1`")]
    NotATicket,
    /// It lost its end.
    #[error("this ticket is cut: {found} characters of {expected} are here; copy all of it")]
    Cut {
        /// Characters that are there.
        found: usize,
        /// Characters that it had.
        expected: usize,
    },
    /// Some letter is wrong.
    #[error("this ticket is mistyped: its checksum does not fit; copy it again")]
    Mistyped,
    /// Made by a later version.
    #[error("this ticket is of format {0}, which this version does not know; update shoal, or ask for an older one")]
    Version(u8),
    /// Its time is over.
    #[error("this ticket expired {} ago; ask for a new one", spoken(*.0))]
    Expired(Duration),
    /// Whole, but not what a ticket holds.
    #[error("this ticket holds nonsense ({0}); ask for a new one")]
    Nonsense(&'static str),
    /// What was to go into a new ticket does not fit.
    #[error("a ticket cannot hold this: {0}")]
    TooMuch(&'static str),
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("network", &self.network)
            .field("run", &self.run)
            .field("secret", &self.secret)
            .field("addresses", &self.addresses)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

impl Ticket {
    /// A ticket for a network, with its secret if it has one.
    ///
    /// `addresses` end in `/p2p/<peer id>`; those that are too long or too many are left out, the
    /// last first.
    ///
    /// # Errors
    /// [`TicketError::TooMuch`] if no address is left, or it would be longer than
    /// [`TICKET_CHARS_MAX`] with the first one alone.
    pub fn new(network: &Network, addresses: &[Multiaddr]) -> Result<Self, TicketError> {
        let fits = |address: &&Multiaddr| is_address(address) && address.len() <= ADDRESS_BYTES_MAX;
        let addresses: Vec<_> = addresses.iter().filter(fits).take(ADDRESSES_MAX).cloned().collect();
        if addresses.is_empty() {
            return Err(TicketError::TooMuch("the node has no address that others could call"));
        }
        let mut ticket = Self {
            network: network.name().clone(),
            scope: network.scope(),
            identity_bits: network.identity_bits(),
            run: None,
            secret: network.secret(),
            addresses,
            expires: None,
        };
        // A run may still be added.
        let room = |ticket: &Self| ticket.clone().with_run(Some(RunId([0; 32]))).to_string().len() <= TICKET_CHARS_MAX;
        while !room(&ticket) {
            ticket.addresses.pop();
            if ticket.addresses.is_empty() {
                return Err(TicketError::TooMuch("the address is too long"));
            }
        }
        Ok(ticket)
    }

    /// For this run.
    #[must_use]
    pub fn with_run(self, run: Option<RunId>) -> Self {
        Self { run, ..self }
    }

    /// Good for so long from `now` on.
    #[must_use]
    pub fn with_life(self, now: SystemTime, life: Option<Duration>) -> Self {
        let expires = life.map(|life| seconds(now).saturating_add(life.as_secs()).min(u64::MAX - 1));
        Self { expires, ..self }
    }

    /// The network: the built-in one of that name, or one of its own that is found by the ticket's addresses.
    #[must_use]
    pub fn network(&self) -> Network {
        Network::invited(self.network.clone(), self.scope, self.identity_bits, self.secret)
    }

    /// The run, if it is for one.
    #[must_use]
    pub const fn run(&self) -> Option<RunId> {
        self.run
    }

    /// Whom to call: 1 to [`ADDRESSES_MAX`], each ending in `/p2p/<peer id>`.
    #[must_use]
    pub fn addresses(&self) -> &[Multiaddr] {
        &self.addresses
    }

    /// Reads a ticket that is good at `now`. Blanks around it and capitals throughout do no harm.
    ///
    /// # Errors
    /// [`TicketError`] says which way it is no good.
    pub fn parse(text: &str, now: SystemTime) -> Result<Self, TicketError> {
        let text = text.trim();
        let head = text.get(..PREFIX.len() + 1).map(str::to_ascii_lowercase);
        if head.as_deref() != Some("shoal1") {
            return Err(TicketError::NotATicket);
        }
        if text.len() > TICKET_CHARS_MAX {
            return Err(TicketError::Nonsense("it is too long"));
        }
        let bytes = match CheckedHrpstring::new::<Bech32m>(text) {
            Ok(checked) => checked.byte_iter().collect::<Vec<u8>>(),
            Err(_) => return Err(damage(text)),
        };
        let ticket = decode(&bytes)?;
        match ticket.expires.map(|end| seconds(now).checked_sub(end)) {
            Some(Some(late)) => Err(TicketError::Expired(Duration::from_secs(late))),
            _ => Ok(ticket),
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, 0, 0];
        bytes.extend(self.expires.unwrap_or(u64::MAX).to_le_bytes());
        bytes.push(match self.scope {
            Scope::Lan => 0,
            Scope::Internet => 1,
        });
        bytes.push(self.identity_bits);
        push(&mut bytes, self.network.as_str().as_bytes());
        push(&mut bytes, self.run.as_ref().map_or(&[], |run| &run.0[..]));
        push(&mut bytes, self.secret.as_ref().map_or(&[], |secret| &secret.0[..]));
        bytes.push(self.addresses.len() as u8);
        for address in &self.addresses {
            push(&mut bytes, address.as_ref());
        }
        // At most 640 bytes: `new` and `decode` see to that.
        let length = (bytes.len() as u16).to_le_bytes();
        bytes[1..HEAD_BYTES].copy_from_slice(&length);
        bytes
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = Hrp::parse(PREFIX).map_err(|_| fmt::Error)?;
        // The checksum's bound on length is ours; `new` asks before it lets an address in.
        let code = bech32::encode_to_fmt::<Bech32m, _>(f, prefix, &self.encode());
        code.or_else(|_| "too long a ticket ".repeat(TICKET_CHARS_MAX / 16).fmt(f))
    }
}

/// Each field of changing length has at most 255 bytes, said in one.
fn push(bytes: &mut Vec<u8>, field: &[u8]) {
    bytes.push(field.len() as u8);
    bytes.extend(field);
}

fn take<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], TicketError> {
    const SHORT: TicketError = TicketError::Nonsense("it ends too early");
    let (&length, after) = rest.split_first().ok_or(SHORT)?;
    let (field, after) = after.split_at_checked(length.into()).ok_or(SHORT)?;
    *rest = after;
    Ok(field)
}

fn decode(bytes: &[u8]) -> Result<Ticket, TicketError> {
    let nonsense = TicketError::Nonsense;
    let version = *bytes.first().ok_or(nonsense("it is empty"))?;
    if version != VERSION {
        return Err(TicketError::Version(version));
    }
    let (head, mut rest) = bytes.split_first_chunk::<{ HEAD_BYTES + 10 }>().ok_or(nonsense("it ends too early"))?;
    if usize::from(u16::from_le_bytes([head[1], head[2]])) != bytes.len() {
        return Err(nonsense("its length is another"));
    }
    let expires = head[HEAD_BYTES..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let scope = match head[HEAD_BYTES + 8] {
        0 => Scope::Lan,
        1 => Scope::Internet,
        _ => return Err(nonsense("its network has no scope")),
    };
    let identity_bits = head[HEAD_BYTES + 9];
    if identity_bits > IDENTITY_BITS_MAX {
        return Err(nonsense("its network asks for too much work"));
    }
    let name = core::str::from_utf8(take(&mut rest)?).ok().and_then(|name| NetworkName::new(name).ok());
    let network = name.ok_or(nonsense("its network has no name"))?;
    let key = |field: &[u8], what| match field.len() {
        0 => Ok(None),
        _ => field.try_into().map(Some).map_err(|_| nonsense(what)),
    };
    let run = key(take(&mut rest)?, "its run is no id")?.map(RunId);
    let secret = key(take(&mut rest)?, "its secret is no key")?.map(Secret);
    let (&count, mut rest) = rest.split_first().ok_or(nonsense("it ends too early"))?;
    if !(1..=ADDRESSES_MAX).contains(&count.into()) {
        return Err(nonsense("it has no address, or too many"));
    }
    let mut addresses = Vec::new();
    for _ in 0..count {
        let field = take(&mut rest)?.to_vec();
        let address = Multiaddr::try_from(field).ok().filter(is_address);
        addresses.push(address.ok_or(nonsense("an address leads nowhere"))?);
    }
    if !rest.is_empty() {
        return Err(nonsense("something follows it"));
    }
    let expires = (expires != u64::MAX).then_some(expires);
    Ok(Ticket { network, scope, identity_bits, run, secret, addresses, expires })
}

fn is_address(address: &Multiaddr) -> bool {
    address.iter().count() <= 16 && matches!(address.iter().last(), Some(Protocol::P2p(_)))
}

/// What is wrong with a string whose checksum does not fit: the length it claims tells.
fn damage(text: &str) -> TicketError {
    let claimed = || {
        let lower = text.to_ascii_lowercase();
        let unchecked = UncheckedHrpstring::new(&lower).ok()?;
        let digits = unchecked.data_part_ascii().iter().map(|&digit| bech32::Fe32::from_char(digit.into()).ok());
        let bits =
            digits.take(HEAD_BYTES * 8 / 5 + 1).try_fold(0_u32, |bits, digit| Some(bits << 5 | u32::from(digit?.to_u8())))?;
        let [_, version, low, high] = (bits >> 1).to_be_bytes();
        let bytes = usize::from(u16::from_le_bytes([low, high]));
        // The prefix with its 1, eight bits in each five, six digits of checksum.
        (version == VERSION).then_some(PREFIX.len() + 1 + (bytes * 8).div_ceil(5) + 6)
    };
    match claimed() {
        Some(expected) if text.len() < expected && expected <= TICKET_CHARS_MAX => {
            TicketError::Cut { found: text.len(), expected }
        }
        None if text.len() < 2 * PREFIX.len() + 6 => TicketError::Cut { found: text.len(), expected: TICKET_CHARS_MAX },
        _ => TicketError::Mistyped,
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A duration in the largest unit that fits.
pub(crate) fn spoken(time: Duration) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let seconds = time.as_secs().max(1);
    let (unit, name) = units.into_iter().find(|(unit, _)| seconds >= *unit).unwrap_or((1, "second"));
    let count = seconds / unit;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
