//! The binary `shoal`: hands the command line to [`shoal_node::cli`] and exits with its code.

use std::process::ExitCode;

fn main() -> ExitCode {
    shoal_node::cli::main(std::env::args_os())
}
