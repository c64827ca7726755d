//! The binary `shoal`: hands the command line to [`shoal_node::cli`] and exits with its code.

use std::process::ExitCode;

/// `.cargo/config.toml` says how it is set up and why.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    shoal_node::cli::main(std::env::args_os())
}
