//! How RocksDB is set up: small, because a store holds a few megabytes and 32 of them may live in
//! one process, and strict, because what it acknowledges must be there after a crash.
//!
//! All stores of a process share RocksDB's threads (its default environment), one block cache and
//! one bound on write buffers.

use std::sync::OnceLock;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBRecoveryMode, LogLevel, Options, WriteBufferManager, WriteOptions,
};

/// The format version and whose directory it is.
pub(super) const META: &str = "meta";
/// Two generations of the node's state.
pub(super) const CHECKPOINT: &str = "checkpoint";
/// The node's own last bodies.
pub(super) const BODIES: &str = "bodies";
/// Peers to call after a restart.
pub(super) const PEERS: &str = "peers";

/// Blocks read of late, for all stores of the process: checkpoints are read once, at start.
const CACHE_BYTES: usize = 2 << 20;
/// Write buffers of all stores of the process together.
const BUFFERS_BYTES: usize = 16 << 20;
/// One family's write buffer. A checkpoint larger than this goes straight on to a file.
const BUFFER_BYTES: usize = 256 << 10;
/// What is gathered before it is written to a file (RocksDB: 1 MiB for each file).
const WRITER_BYTES: u64 = 64 << 10;
/// Log bytes after which the oldest family's buffer is written out.
const WAL_BYTES: u64 = 4 << 20;
/// File handles of one store (32 stores must fit under a limit of 4,096).
const OPEN_FILES: i32 = 48;

struct Shared {
    cache: Cache,
    buffers: WriteBufferManager,
}

fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| Shared {
        cache: Cache::new_lru_cache(CACHE_BYTES),
        buffers: WriteBufferManager::new_write_buffer_manager(BUFFERS_BYTES, false),
    })
}

/// The database as a whole.
pub(super) fn database() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    // A crash can leave a torn last record, which was never acknowledged; anything worse is an error.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_paranoid_checks(true);
    options.set_max_background_jobs(2);
    options.set_max_open_files(OPEN_FILES);
    options.set_max_file_opening_threads(1);
    options.set_max_total_wal_size(WAL_BYTES);
    options.set_writable_file_max_buffer_size(WRITER_BYTES);
    options.set_write_buffer_manager(&shared().buffers);
    options.set_manifest_preallocation_size(64 << 10);
    options.set_max_manifest_file_size(1 << 20);
    options.set_keep_log_file_num(1);
    options.set_max_log_file_size(256 << 10);
    options.set_log_level(LogLevel::Error);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options.set_skip_stats_update_on_db_open(true);
    options
}

/// The four families.
pub(super) fn families() -> Vec<ColumnFamilyDescriptor> {
    [META, CHECKPOINT, BODIES, PEERS].map(|name| ColumnFamilyDescriptor::new(name, family())).into()
}

fn family() -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&shared().cache);
    table.set_cache_index_and_filter_blocks(true);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_write_buffer_size(BUFFER_BYTES);
    options.set_max_write_buffer_number(2);
    options.set_arena_block_size(16 << 10);
    options.set_target_file_size_base(8 << 20);
    options
}

/// For what must not be lost: on the disk before the call returns.
pub(super) fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}
