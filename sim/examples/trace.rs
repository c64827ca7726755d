//! Prints the digest of all that happens in a few small simulations, a line each: what any build of this
//! code prints on the same machine is the same. `make digest` compares a build without optimization, and
//! with debug assertions, with the one that ships; sim/tests/digits.rs compares numbers of threads.
//!
//! ```console
//! $ cargo run --release -p shoal-sim --example trace
//! ```

use std::error::Error;

use shoal_sim::{Scenario, simulate};

type Keys<'a> = &'a [(&'a str, &'a str)];

/// Every learner, and every fault and defence that can change what a machine does: at sizes that an
/// unoptimized build simulates in seconds.
const SIMULATIONS: &[(&str, Keys)] = &[
    (
        "digits, lossy, people going and coming",
        &[
            ("nodes", "16"),
            ("rounds", "12"),
            ("link.loss", "0.05"),
            ("link.jitter_ms", "50"),
            ("churn.offline", "0.2"),
            ("churn.replaced", "0.1"),
            ("churn.from_round", "1"),
            ("device.slowness", "[1, 2]"),
        ],
    ),
    (
        "digits, liars, bodies pulled through narrow links",
        &[
            ("nodes", "16"),
            ("rounds", "12"),
            ("inline_bytes_max", "0"),
            ("link.up_kbit", "[200, 400]"),
            ("nat.symmetric", "0.3"),
            ("attack", "[{ kind = \"half-reverse\", fraction = 0.2 }]"),
        ],
    ),
    (
        "quadratic, two halves",
        &[
            ("data", "quadratic"),
            ("nodes", "64"),
            ("rounds", "20"),
            ("split", "[{ from_round = 4, until_round = 9, groups = 2 }]"),
        ],
    ),
    ("hamlet, a transformer", &[("data", "hamlet"), ("partition", "iid"), ("nodes", "3"), ("rounds", "2")]),
];

fn main() -> Result<(), Box<dyn Error>> {
    for (name, keys) in SIMULATIONS {
        let scenario = Scenario::default().set_all(keys.iter().copied())?;
        let outcome = simulate(&scenario, 2, &mut |_| {})?;
        println!("{}  {name}", outcome.trace);
    }
    Ok(())
}
