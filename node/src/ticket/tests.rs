//! What tickets say, and each way in which one can be no good.

use super::*;

const NOW: Duration = Duration::from_secs(1_800_000_000);

fn now() -> SystemTime {
    UNIX_EPOCH + NOW
}

fn address(host: u8) -> Multiaddr {
    format!("/ip4/203.0.113.{host}/udp/7462/quic-v1/p2p/12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf").parse().unwrap()
}

fn private(name: &str) -> Network {
    Network::invited(NetworkName::new(name).unwrap(), Scope::Internet, 0, Some(Secret([0xab; 32])))
}

fn ticket() -> Ticket {
    Ticket::new(&Network::load("testnet").unwrap(), &[address(1), address(2)]).unwrap()
}

#[test]
fn a_ticket_says_what_it_was_made_of() {
    let full = Ticket::new(&private("ours"), &[address(1)]).unwrap();
    let full = full.with_run(Some(RunId([7; 32]))).with_life(now(), Some(Duration::from_secs(60)));
    for ticket in [ticket(), full] {
        let text = ticket.to_string();
        assert!(text.starts_with("shoal1"), "{text}");
        for text in [text.clone(), text.to_ascii_uppercase(), format!("  {text}\n")] {
            assert_eq!(Ticket::parse(&text, now()), Ok(ticket.clone()));
            assert_eq!(Ticket::new(&ticket.network(), ticket.addresses()).unwrap().network, ticket.network);
        }
    }
}

/// So that tickets given out today are read by every later version.
#[test]
fn the_bytes_do_not_change() {
    let text = ticket().with_run(Some(RunId([7; 32]))).with_life(now(), Some(Duration::from_secs(60))).to_string();
    let golden = include_str!("golden.txt").trim();
    assert_eq!(text, golden);
}

#[test]
fn a_ticket_that_lost_its_end_says_so() {
    let whole = ticket().to_string();
    for end in PREFIX.len() + 1..whole.len() {
        let error = Ticket::parse(&whole[..end], now()).unwrap_err();
        assert!(matches!(error, TicketError::Cut { found, .. } if found == end), "{end}: {error}");
    }
    let error = Ticket::parse(&whole[..whole.len() - 9], now()).unwrap_err();
    assert_eq!(error, TicketError::Cut { found: whole.len() - 9, expected: whole.len() });
}

#[test]
fn every_mistyped_letter_is_noticed() {
    let whole = ticket().to_string();
    // The letters that hold version and length may make it look cut; the others may not.
    for place in PREFIX.len() + 1..whole.len() {
        let mut letters = whole.clone().into_bytes();
        letters[place] = if letters[place] == b'q' { b'p' } else { b'q' };
        let error = Ticket::parse(core::str::from_utf8(&letters).unwrap(), now()).unwrap_err();
        let expected = place < PREFIX.len() + 6 || error == TicketError::Mistyped;
        assert!(expected && !matches!(error, TicketError::NotATicket), "{place}: {error}");
    }
}

#[test]
fn other_strings_are_no_tickets() {
    for text in ["", "shoal", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "testnet", "shöal1qqqq", &"7".repeat(64)] {
        assert_eq!(Ticket::parse(text, now()), Err(TicketError::NotATicket), "{text}");
    }
    let endless = format!("shoal1{}", "q".repeat(5_000));
    assert_eq!(Ticket::parse(&endless, now()), Err(TicketError::Nonsense("it is too long")));
}

#[test]
fn an_expired_ticket_says_since_when() {
    let text = ticket().with_life(now(), Some(Duration::from_secs(3_600))).to_string();
    let at = |seconds| Ticket::parse(&text, now() + Duration::from_secs(seconds));
    assert!(at(3_599).is_ok());
    assert_eq!(at(3_600), Err(TicketError::Expired(Duration::ZERO)));
    assert_eq!(at(3_600 + 7_300).unwrap_err().to_string(), "this ticket expired 2 hours ago; ask for a new one");
}

#[test]
fn a_later_format_is_named() {
    let mut bytes = ticket().encode();
    bytes[0] = 2;
    let text = bech32::encode::<Bech32m>(Hrp::parse(PREFIX).unwrap(), &bytes).unwrap();
    assert_eq!(Ticket::parse(&text, now()), Err(TicketError::Version(2)));
}

/// Bytes that pass the checksum are still an enemy's.
#[test]
fn whatever_the_bytes_are_nothing_breaks() {
    let good = Ticket::new(&private("ours"), &[address(1), address(2)]).unwrap().with_run(Some(RunId([7; 32]))).encode();
    assert!(decode(&good).is_ok());
    for end in 0..good.len() {
        assert!(decode(&good[..end]).is_err(), "{end} bytes");
    }
    let mut longer = good.clone();
    longer.push(0);
    assert!(decode(&longer).is_err());
    for place in 0..good.len() {
        for value in [0, 1, 33, 127, 128, 255] {
            let mut bytes = good.clone();
            bytes[place] = value;
            // Some changes say something else that is right; what is read must then be what was written.
            if let Ok(ticket) = decode(&bytes) {
                assert_eq!(ticket.encode(), bytes, "byte {place} = {value}");
            }
        }
    }
}

#[test]
fn a_secret_is_not_printed() {
    let text = format!("{:?}", Ticket::new(&private("ours"), &[address(1)]).unwrap());
    assert!(!text.contains("171") && !text.contains("abab"), "{text}");
}

#[test]
fn what_does_not_fit_is_left_out() {
    let network = private(&"n".repeat(32));
    let many: Vec<_> = (0..20).map(address).collect();
    let ticket = Ticket::new(&network, &many).unwrap();
    assert!((1..=ADDRESSES_MAX).contains(&ticket.addresses().len()));
    let full = ticket.clone().with_run(Some(RunId([1; 32]))).to_string();
    assert!(full.len() <= TICKET_CHARS_MAX, "{}", full.len());
    assert!(Ticket::parse(&full, now()).is_ok());
    let nameless: Multiaddr = "/ip4/203.0.113.1/tcp/1".parse().unwrap();
    assert!(matches!(Ticket::new(&network, &[nameless]), Err(TicketError::TooMuch(_))));
}
