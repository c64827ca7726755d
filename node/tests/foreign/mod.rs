//! Servers of a public Kademlia network that knows nothing of Shoal: plain libp2p, one with an RSA key.

use std::collections::HashSet;
use std::num::NonZeroUsize;

use libp2p::core::transport::upgrade::Version;
use libp2p::futures::StreamExt;
use libp2p::identity::Keypair;
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig, RecordStore};
use libp2p::kad::{self, ProviderRecord, RecordKey};
use libp2p::swarm::{Config, NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, Transport, identify, noise, tcp};
use tokio::sync::mpsc;

pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/ipfs/kad/1.0.0");
/// A 2048-bit RSA key made for this test alone.
const RSA: &[u8] = include_bytes!("rsa.pk8");

#[derive(NetworkBehaviour)]
struct Behaviour {
    kad: kad::Behaviour<MemoryStore>,
    identify: identify::Behaviour,
}

/// What a server saw of somebody.
#[derive(Clone, Debug)]
pub enum Saw {
    /// It connected and said what it speaks.
    Protocols(HashSet<String>),
    /// It asked for providers of something.
    Asked,
    /// It announced itself as a provider under so many addresses.
    Provider(PeerId, usize),
}

/// A server on loopback that runs until its handle is dropped.
pub struct Server {
    pub peer: PeerId,
    pub address: Multiaddr,
    pub saw: mpsc::UnboundedReceiver<Saw>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn rsa() -> Keypair {
    Keypair::rsa_from_pkcs8(&mut RSA.to_vec()).expect("a whole key")
}

/// Three servers that know each other, the first with an RSA key; `junk` are provider records that they
/// hold already.
pub async fn servers(key: &RecordKey, junk: usize) -> Vec<Server> {
    let mut servers: Vec<Server> = Vec::new();
    for index in 0..3 {
        let identity = if index == 0 { rsa() } else { Keypair::generate_ed25519() };
        let others: Vec<_> = servers.iter().map(|server| (server.peer, server.address.clone())).collect();
        servers.push(server(identity, &others, key, junk).await);
    }
    servers
}

async fn server(identity: Keypair, others: &[(PeerId, Multiaddr)], key: &RecordKey, junk: usize) -> Server {
    let peer = identity.public().to_peer_id();
    let bounds = MemoryStoreConfig { max_providers_per_key: 1_000, ..MemoryStoreConfig::default() };
    let mut settings = kad::Config::new(PROTOCOL);
    // Rust servers answer with so many providers as this; those of other languages with all they have.
    settings.set_replication_factor(NonZeroUsize::MIN.saturating_add(999));
    settings.set_max_packet_size(4 << 20).set_record_filtering(kad::StoreInserts::FilterBoth);
    let mut kad = kad::Behaviour::with_config(peer, MemoryStore::with_config(peer, bounds), settings);
    kad.set_mode(Some(kad::Mode::Server));
    for (other, address) in others {
        kad.add_address(other, address.clone());
    }
    for _ in 0..junk {
        let nobody = Keypair::generate_ed25519().public().to_peer_id();
        let addresses = (1..4).map(|port| format!("/ip4/127.0.0.1/tcp/{port}").parse().expect("an address")).collect();
        kad.store_mut().add_provider(ProviderRecord::new(key.clone(), nobody, addresses)).expect("room");
    }
    let identify = identify::Behaviour::new(identify::Config::new("ipfs/0.1.0".to_owned(), identity.public()));
    let transport = tcp::tokio::Transport::default()
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(&identity).expect("a key"))
        .multiplex(libp2p::yamux::Config::default())
        .boxed();
    let mut swarm = Swarm::new(transport, Behaviour { kad, identify }, peer, Config::with_tokio_executor());
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().expect("an address")).expect("loopback");
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break address;
        }
    };
    swarm.add_external_address(address.clone());
    let (tell, saw) = mpsc::unbounded_channel();
    let task = tokio::spawn(async move {
        loop {
            let seen = match swarm.select_next_some().await {
                SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received { info, .. })) => {
                    Saw::Protocols(info.protocols.iter().map(ToString::to_string).collect())
                }
                SwarmEvent::Behaviour(BehaviourEvent::Kad(kad::Event::InboundRequest { request })) => match request {
                    kad::InboundRequest::GetProvider { .. } => Saw::Asked,
                    kad::InboundRequest::AddProvider { record: Some(record) } => {
                        let seen = Saw::Provider(record.provider, record.addresses.len());
                        // Real servers keep nothing that has no address.
                        if !record.addresses.is_empty() {
                            swarm.behaviour_mut().kad.store_mut().add_provider(record).expect("room");
                        }
                        seen
                    }
                    _ => continue,
                },
                _ => continue,
            };
            // A test that has ended listens no longer.
            let _ = tell.send(seen);
        }
    });
    Server { peer, address, saw, task }
}
