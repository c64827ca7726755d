//! Which layer wins, what is refused, and how it is said.

use super::*;

fn at(dir: &Path) -> Place {
    Place { data_dir: Some(dir.to_owned()), config: None }
}

fn load(file: &str, flags: Settings) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(CONFIG_FILE), file).unwrap();
    Config::load(&at(dir.path()), flags)
}

const PEER: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

#[test]
fn nothing_said_gives_the_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::load(&at(dir.path()), Settings::default()).unwrap();
    assert_eq!(config, Config::from_settings(dir.path().to_owned(), Settings::default()).unwrap());
    assert_eq!((config.network().as_str(), config.mdns(), config.wait_for_peers()), ("local", true, 0));
    let listen: Vec<String> = config.listen().iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["/ip4/0.0.0.0/tcp/7462", "/ip4/0.0.0.0/udp/7462/quic-v1"]);
    let DataSource { source, shard, partition, split_seed } = config.data();
    let said = (source.to_string(), shard.to_string(), partition.to_string(), *split_seed);
    assert_eq!(said, ("digits".to_owned(), "0/1".to_owned(), "dirichlet:0.5".to_owned(), 0));
    assert_eq!((config.connections_in(), config.connections_out()), (128, 32));
    assert_eq!((config.api().to_string().as_str(), config.log()), ("127.0.0.1:0", "info"));
}

#[test]
fn the_example_says_the_defaults_and_every_key() {
    let said: String = CONFIG_EXAMPLE
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix("# ").filter(|l| l.contains(" = ")).unwrap_or("")))
        .collect();
    let config = load(&said, Settings::default()).unwrap();
    assert_eq!(config, Config { data_dir: config.data_dir.clone(), ..load("", Settings::default()).unwrap() });
    assert_eq!(config, Config { data_dir: config.data_dir.clone(), ..load(CONFIG_EXAMPLE, Settings::default()).unwrap() });
    let keys = format!("{:?}", Settings::default());
    let keys = keys.split([' ', ',', '{']).filter_map(|word| word.strip_suffix(':')).filter(|key| *key != "data_dir");
    for key in keys {
        assert!(CONFIG_EXAMPLE.contains(&format!("# {key} = ")), "{key}");
    }
}

#[test]
fn a_flag_beats_the_file() {
    let file = "network = \"garden\"\nlisten = [\"/ip4/127.0.0.1/tcp/0\"]\nmdns = false\nshard = \"1/3\"\n";
    let flags = Settings { network: Some("sea".to_owned()), shard: Some("2/3".to_owned()), ..Settings::default() };
    let config = load(file, flags).unwrap();
    assert_eq!((config.network().as_str(), config.mdns()), ("sea", false));
    assert_eq!(config.listen()[0].to_string(), "/ip4/127.0.0.1/tcp/0");
    assert_eq!(config.data().shard.to_string(), "2/3");
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let cases = [
        ("colour = 3", 1, "colour"),
        ("mdns = false\n\nlissten = []", 3, "lissten"),
        ("mdns = \"yes\"", 1, "boolean"),
        ("mdns = true\nmdns = false", 2, "duplicate"),
        ("network = ", 1, ""),
        ("# one\nnetwork = \"Local\"", 2, "`network` is \"Local\""),
        ("network = \"\"", 1, "`network`"),
        ("listen = []", 1, "`listen`"),
        ("\nlisten = [\"/ip4/0.0.0.0/udp/1\"]", 2, "`listen`"),
        ("listen = [\"/dns4/example.org/tcp/1\"]", 1, "`listen`"),
        ("bootstrap = [\"/ip4/192.0.2.1/tcp/1\"]", 1, "`bootstrap`"),
        ("bootstrap = [\"/ip4/192.0.2.1/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN\"]", 1, "`bootstrap`"),
        ("data = \"photos\"", 1, "`data`"),
        ("shard = \"3/3\"", 1, "`shard`"),
        ("partition = \"dirichlet:0\"", 1, "`partition`"),
        ("split_seed = -1", 1, "split_seed"),
        ("wait_for_peers = 65", 1, "`wait_for_peers`"),
        ("connections_in = 0", 1, "`connections_in`"),
        ("connections_out = 18446744073709551615", 1, ""),
        ("api = \"0.0.0.0:80\"", 1, "`api`"),
        ("api = \"localhost\"", 1, "`api`"),
        ("log = \"loud=very\"", 1, "`log`"),
    ];
    for (file, line, naming) in cases {
        let refused = load(file, Settings::default()).unwrap_err().to_string();
        assert!(refused.contains(&format!("{CONFIG_FILE} line {line}")), "{file:?}: {refused}");
        assert!(refused.contains(naming) && !refused.contains('\n'), "{file:?}: {refused}");
    }
}

#[test]
fn a_flag_is_blamed_for_what_it_says() {
    let flags = Settings { wait_for_peers: Some(1_000), ..Settings::default() };
    let refused = load("wait_for_peers = 1", flags).unwrap_err().to_string();
    assert!(refused.contains("--wait-for-peers") && refused.contains("SHOAL_WAIT_FOR_PEERS"), "{refused}");
}

#[test]
fn peers_are_addresses_with_a_peer_id() {
    for way in ["/ip4/192.0.2.1/tcp/7462", "/ip6/2001:db8::1/udp/7462/quic-v1"] {
        let flags = Settings { bootstrap: Some(vec![format!("{way}/p2p/{PEER}")]), ..Settings::default() };
        assert_eq!(load("", flags).unwrap().bootstrap()[0].to_string(), format!("{way}/p2p/{PEER}"));
    }
}

#[test]
fn only_a_file_outside_names_the_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    let outside = dir.path().join("node.toml");
    let data = dir.path().join("data");
    std::fs::write(&outside, format!("data_dir = {:?}\nmdns = false\n", data)).unwrap();
    let place = Place { data_dir: None, config: Some(outside.clone()) };
    let config = Config::load(&place, Settings::default()).unwrap();
    assert_eq!((config.data_dir(), config.mdns()), (data.as_path(), false));
    let flagged = Place { data_dir: Some(dir.path().to_owned()), config: Some(outside) };
    assert_eq!(Config::load(&flagged, Settings::default()).unwrap().data_dir(), dir.path());
    assert!(matches!(
        load("\ndata_dir = \"/x\"", Settings::default()),
        Err(ConfigError::OwnDataDir { origin: Origin::File(_, 2) })
    ));
}

#[test]
fn unreadable_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    let place = Place { data_dir: Some(dir.path().to_owned()), config: Some(path.clone()) };
    let refused = || matches!(Config::load(&place, Settings::default()), Err(ConfigError::Unreadable { .. }));
    assert!(refused(), "absent");
    std::fs::write(&path, "#".repeat(CONFIG_BYTES_MAX as usize + 1)).unwrap();
    assert!(refused(), "too long");
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(refused(), "not text");
    std::fs::write(&path, "#".repeat(CONFIG_BYTES_MAX as usize)).unwrap();
    assert!(!refused());
}

#[test]
fn the_swarm_gets_what_was_said() {
    let flags = Settings { network: Some("sea".to_owned()), mdns: Some(false), connections_in: Some(7), ..Settings::default() };
    let config = load("", flags).unwrap();
    let swarm = config.network_config();
    assert_eq!((&swarm.network, &swarm.listen, swarm.mdns), (config.network(), &config.listen().to_vec(), false));
    assert_eq!((swarm.connections.established_in, swarm.connections.established_out, swarm.connections.total), (7, 32, 39));
}
