//! A store must give back what it acknowledged, notice what was damaged, and serve one node.
//!
//! A killed process is played by copying the files of a store that is still open: what is in the copy
//! is what the system has, nothing that a destructor would add. One test really aborts a process.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use shoal_node::store::{BODIES_MAX, PEERS_MAX, STRIDE_MAX, Store, StoreError};
use shoal_protocol::id::{Digest, NodeId, RunId};

/// All plain files below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Every file and its length.
fn listing(dir: &Path) -> Vec<(PathBuf, Option<u64>)> {
    files(dir).into_iter().map(|file| (file.clone(), fs::metadata(&file).ok().map(|about| about.len()))).collect()
}

/// The files as they are at one moment, as a kill leaves them: RocksDB writes its buffers out on a thread of
/// its own, and what was copied meanwhile, some files from before and some from after, is copied again.
fn copy(from: &Path, to: &Path) {
    loop {
        let before = listing(from);
        let copied = before.iter().all(|(file, _)| {
            let target = to.join(file.strip_prefix(from).unwrap());
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(file, &target).is_ok()
        });
        if copied && listing(from) == before {
            return;
        }
        fs::remove_dir_all(to).unwrap();
    }
}

/// The store as a restart after SIGKILL would find it.
fn after_a_kill(dir: &Path) -> (tempfile::TempDir, Store) {
    let home = tempfile::tempdir().unwrap();
    copy(dir, home.path());
    let store = Store::open(home.path()).unwrap();
    (home, store)
}

#[test]
fn a_new_store_is_empty() {
    let home = tempfile::tempdir().unwrap();
    let mut store = Store::open(&home.path().join("a/b")).unwrap();
    assert_eq!(store.sequence(), 0);
    assert_eq!(store.load_checkpoint().unwrap(), None);
    assert_eq!(store.bodies().unwrap(), []);
    assert_eq!(store.remembered_peers(), []);
}

#[test]
fn what_was_acknowledged_survives_a_kill_at_every_step() {
    let home = tempfile::tempdir().unwrap();
    let mut store = Store::open(home.path()).unwrap();
    let mut bodies = Vec::new();
    for step in 0..12_u64 {
        store.reserve_sequence((step + 1) * 10).unwrap();
        let state = vec![step as u8; 40_000 * step as usize];
        assert_eq!(store.save_checkpoint(&state).unwrap(), step);
        let body = vec![step as u8; 700];
        store.save_body(&Digest::of(&body), &body).unwrap();
        bodies.push((Digest::of(&body), body));
        bodies.drain(..bodies.len().saturating_sub(BODIES_MAX));
        let node = NodeId([step as u8; 32]);
        let address: libp2p::Multiaddr = format!("/ip4/192.0.2.1/tcp/{}", 4_000 + step).parse().unwrap();
        store.remember_peer(node, std::slice::from_ref(&address), 1_000 + step).unwrap();

        let (_home, mut again) = after_a_kill(home.path());
        assert_eq!(again.sequence(), (step + 1) * 10);
        let loaded = again.load_checkpoint().unwrap().unwrap();
        assert_eq!((loaded.generation, loaded.damage), (step, None));
        assert_eq!(loaded.bytes, state);
        assert_eq!(again.bodies().unwrap(), bodies);
        let peers = again.remembered_peers();
        assert_eq!(peers.len(), step as usize + 1);
        assert_eq!((peers[0].node, &peers[0].addresses[..]), (node, &[address][..]));
        // And it goes on from there.
        assert_eq!(again.save_checkpoint(b"next").unwrap(), step + 1);
        again.reserve_sequence((step + 2) * 10).unwrap();
    }
}

#[test]
fn numbers_go_forward_only_and_not_too_far() {
    let home = tempfile::tempdir().unwrap();
    let mut store = Store::open(home.path()).unwrap();
    store.reserve_sequence(500).unwrap();
    store.reserve_sequence(20).unwrap();
    assert_eq!(store.sequence(), 500);
    assert!(matches!(store.reserve_sequence(501 + STRIDE_MAX), Err(StoreError::Failed { .. })));
    drop(store);
    assert_eq!(Store::open(home.path()).unwrap().sequence(), 500);
}

#[test]
fn one_node_at_a_time() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    let error = Store::open(home.path()).unwrap_err();
    assert!(matches!(error, StoreError::Locked(_)), "{error}");
    drop(store);
    Store::open(home.path()).unwrap();
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, b"in the way").unwrap();
    for dir in [file.clone(), file.join("node"), PathBuf::from("/proc/self/node")] {
        let error = Store::open(&dir).unwrap_err();
        assert!(matches!(error, StoreError::Unwritable { .. }), "{error}");
        assert!(error.to_string().contains(&dir.display().to_string()));
    }
}

#[test]
fn a_directory_serves_one_node_in_one_run() {
    let home = tempfile::tempdir().unwrap();
    let (node, run) = (NodeId([1; 32]), RunId([2; 32]));
    Store::open(home.path()).unwrap().claim(&node, &run).unwrap();
    let mut store = Store::open(home.path()).unwrap();
    store.claim(&node, &run).unwrap();
    for (node, run, who) in [(NodeId([3; 32]), run, "node"), (node, RunId([3; 32]), "run")] {
        let error = store.claim(&node, &run).unwrap_err();
        assert!(matches!(&error, StoreError::Foreign { what, .. } if *what == who), "{error}");
    }
}

#[test]
fn a_newer_format_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    drop(Store::open(home.path()).unwrap());
    let mut options = rocksdb::Options::default();
    options.create_missing_column_families(true);
    let names = rocksdb::DB::list_cf(&options, home.path().join("db")).unwrap();
    let db = rocksdb::DB::open_cf(&options, home.path().join("db"), names).unwrap();
    db.put_cf(db.cf_handle("meta").unwrap(), b"format", 2_u32.to_le_bytes()).unwrap();
    drop(db);
    let error = Store::open(home.path()).unwrap_err();
    assert!(matches!(error, StoreError::NewerFormat { found: 2, known: 1, .. }), "{error}");
}

#[test]
fn a_missing_ledger_is_not_a_new_one() {
    let home = tempfile::tempdir().unwrap();
    let mut store = Store::open(home.path()).unwrap();
    store.reserve_sequence(5).unwrap();
    drop(store);
    fs::remove_file(home.path().join("ledger")).unwrap();
    let error = Store::open(home.path()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupted { .. }), "{error}");
}

#[test]
fn the_peer_not_seen_for_longest_makes_room() {
    let home = tempfile::tempdir().unwrap();
    let mut store = Store::open(home.path()).unwrap();
    let node = |index: usize| NodeId(*Digest::of(&index.to_le_bytes()).0.first_chunk().unwrap());
    for index in 0..PEERS_MAX + 10 {
        store.remember_peer(node(index), &[], 5_000 - index as u64).unwrap();
    }
    // Each newcomer of the last ten was seen less recently than anybody, but it is there now.
    let mut kept: Vec<NodeId> = (0..PEERS_MAX - 1).chain([PEERS_MAX + 9]).map(node).collect();
    kept.sort();
    for _ in 0..2 {
        let mut peers: Vec<NodeId> = store.remembered_peers().iter().map(|peer| peer.node).collect();
        peers.sort();
        assert_eq!(peers, kept);
        drop(store);
        store = Store::open(home.path()).unwrap();
    }
}

/// Flips one bit at up to 60 places of every file of a store that is still open, and opens a copy each
/// time. It says that it is damaged, or gives back the state saved last or last but one, never
/// anything else and never an older sequence number. Returns how often each happened.
fn flip(home: &Path, last: &[u8], earlier: &[u8], number: u64) -> (usize, usize, usize) {
    let (mut whole, mut fell_back, mut refused) = (0, 0, 0);
    for file in files(home) {
        let length = fs::metadata(&file).unwrap().len() as usize;
        for place in (0..length).step_by((length / 60).max(1) | 1) {
            let copy_home = tempfile::tempdir().unwrap();
            copy(home, copy_home.path());
            let path = copy_home.path().join(file.strip_prefix(home).unwrap());
            let mut bytes = fs::read(&path).unwrap();
            bytes[place] ^= 1 << (place % 8);
            fs::write(&path, &bytes).unwrap();
            let opened = Store::open(copy_home.path()).and_then(|mut store| {
                assert!(store.sequence() >= number, "{} at {place}: number {}", file.display(), store.sequence());
                store.load_checkpoint()
            });
            match opened {
                Ok(Some(loaded)) if loaded.bytes == last => whole += 1,
                Ok(Some(loaded)) if loaded.bytes == earlier && loaded.damage.is_some() => fell_back += 1,
                Ok(other) => panic!("{} at {place}: served {:?}", file.display(), other.map(|loaded| loaded.generation)),
                Err(StoreError::Corrupted { .. } | StoreError::NewerFormat { .. }) => refused += 1,
                Err(error) => panic!("{} at {place}: {error}", file.display()),
            }
        }
    }
    (whole, fell_back, refused)
}

#[test]
fn no_flipped_bit_is_served() {
    let home = tempfile::tempdir().unwrap();
    let states = [1_u8, 2, 3].map(|byte| vec![byte; 30_000]);
    let mut store = Store::open(home.path()).unwrap();
    for state in &states {
        store.save_checkpoint(state).unwrap();
    }
    store.reserve_sequence(77).unwrap();
    let (whole, _, refused) = flip(home.path(), &states[2], &states[1], 77);
    assert!(whole > 0 && refused > 0, "in the log: {whole} {refused}");
    // Opening again moves everything from the log into tables.
    drop(store);
    let _store = Store::open(home.path()).unwrap();
    let (whole, fell_back, refused) = flip(home.path(), &states[2], &states[1], 77);
    assert!(whole > 0 && fell_back > 0 && refused > 0, "in tables: {whole} {fell_back} {refused}");
}

/// A damaged last checkpoint is replaced by the next one; the good one behind it is not.
#[test]
fn after_a_fallback_the_good_one_stays() {
    let home = tempfile::tempdir().unwrap();
    let mut store = Store::open(home.path()).unwrap();
    for state in [b"zero", b"one ", b"two "] {
        store.save_checkpoint(state).unwrap();
    }
    drop(store);
    let options = rocksdb::Options::default();
    let edit = |key: &[u8], value: &[u8]| {
        let names = rocksdb::DB::list_cf(&options, home.path().join("db")).unwrap();
        let db = rocksdb::DB::open_cf(&options, home.path().join("db"), names).unwrap();
        db.put_cf(db.cf_handle("checkpoint").unwrap(), key, value).unwrap();
    };
    edit(b"even", b"not what was written");
    let mut store = Store::open(home.path()).unwrap();
    let loaded = store.load_checkpoint().unwrap().unwrap();
    assert_eq!((&loaded.bytes[..], loaded.generation), (&b"one "[..], 1));
    assert!(loaded.damage.unwrap().contains("too short"));
    assert_eq!(store.save_checkpoint(b"two again").unwrap(), 2);
    drop(store);
    edit(b"odd", b"");
    let mut store = Store::open(home.path()).unwrap();
    assert_eq!(store.load_checkpoint().unwrap().unwrap().bytes, b"two again");
    drop(store);
    edit(b"even", b"");
    let error = Store::open(home.path()).unwrap().load_checkpoint().unwrap_err();
    assert!(matches!(error, StoreError::Corrupted { .. }), "{error}");
}

const CHILD_DIR: &str = "SHOAL_TEST_ABORTING_STORE";

/// The child of the next test; alone it does nothing.
#[test]
fn abort_in_the_middle() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let mut store = Store::open(Path::new(&dir)).unwrap();
    let next = store.sequence() + 7;
    store.reserve_sequence(next).unwrap();
    store.save_checkpoint(&next.to_le_bytes()).unwrap();
    std::process::abort();
}

#[test]
fn an_aborted_process_loses_nothing_and_holds_no_lock() {
    let home = tempfile::tempdir().unwrap();
    for turn in 1..=3_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["abort_in_the_middle", "--exact", "--test-threads=1"]).env(CHILD_DIR, home.path());
        assert!(!child.output().unwrap().status.success(), "it must have aborted");
        let mut store = Store::open(home.path()).unwrap();
        assert_eq!(store.sequence(), 7 * turn);
        assert_eq!(store.load_checkpoint().unwrap().unwrap().bytes, (7 * turn).to_le_bytes());
    }
}

const FULL_DIR: &str = "SHOAL_TEST_FULL_STORE";

/// The child of the next test, run with a bound on the size of files; alone it does nothing.
#[test]
fn write_to_a_full_disk() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Some(dir) = std::env::var_os(FULL_DIR) else { return };
    let big = vec![9; 900_000];
    let mut store = Store::open(Path::new(&dir)).unwrap();
    store.save_checkpoint(b"before").unwrap();
    for _ in 0..3 {
        let error = store.save_checkpoint(&big).unwrap_err();
        assert!(matches!(error, StoreError::Failed { .. }), "{error}");
    }
    store.reserve_sequence(5).unwrap();
    assert_eq!(store.load_checkpoint().unwrap().unwrap().bytes, b"before");
    let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, hard, hard).unwrap();
    assert_eq!(store.save_checkpoint(&big).unwrap(), 1);
    drop(store);
    let mut store = Store::open(Path::new(&dir)).unwrap();
    assert_eq!((store.sequence(), store.load_checkpoint().unwrap().unwrap().bytes), (5, big));
}

/// Files may grow to 256 KiB, which is what a full disk looks like from inside, and then to any size.
#[test]
fn a_full_disk_is_reported_and_writing_goes_on_once_there_is_space() {
    let home = tempfile::tempdir().unwrap();
    let mut child = Command::new("sh");
    // The signal that goes with the bound is ignored, so that the write itself fails.
    child.args(["-c", "trap '' XFSZ; ulimit -S -f 512; exec \"$0\" write_to_a_full_disk --exact --test-threads=1"]);
    child.arg(std::env::current_exe().unwrap()).env(FULL_DIR, home.path());
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(Store::open(home.path()).unwrap().sequence(), 5, "the child did run");
}
