//! A model of one's own in a Shoal network: write it, register it, and the program is a `shoal` that knows it.
//!
//! ```text
//! cargo run --release -p shoal-node --example own_model -- demo --rounds 10
//! cargo run --release -p shoal-node --example own_model -- run --spec run.toml ...
//! ```
//! Every verb of `shoal` is there. A spec may say `model = { kind = "residual", width = 48, blocks = 2 }`;
//! `demo` uses that model unless `--model` names another. All nodes of such a run need a program that
//! registers the kind: others refuse the spec, with a list of the kinds that they know.

use std::process::ExitCode;
use std::sync::Arc;

use shoal_ml::burn::tensor::Tensor;
use shoal_ml::burn::tensor::activation::relu;
use shoal_ml::model::{Kind, Reads, register};
use shoal_ml::{Model, Section, TaskError, TensorSpec};

/// What the demo trains where nobody says otherwise.
const DEMO_MODEL: &str = "{ kind = \"residual\", width = 48, blocks = 2 }";
/// Widest stream and most blocks: a spec comes from a stranger.
const WIDTH_MAX: usize = 1 << 13;
const BLOCKS_MAX: usize = 32;

/// Layers that add to what they were given: `x <- relu(inputs A + a)`, then for each block
/// `x <- x + relu(x U + u) D`, then `logits = x B + b`. `D` starts at zero, so a deep one begins as a
/// shallow one.
#[derive(Debug)]
struct Residual {
    width: usize,
    blocks: usize,
}

impl Residual {
    fn parse(section: &Section<'_>) -> Result<Arc<dyn Model>, TaskError> {
        section.only(&["kind", "width", "blocks"])?;
        let (width, blocks) = (section.count("width", 1..=WIDTH_MAX)?, section.count("blocks", 0..=BLOCKS_MAX)?);
        Ok(Arc::new(Self { width, blocks }))
    }
}

impl Model for Residual {
    fn tensors(&self, inputs: &[usize], outputs: usize) -> Vec<TensorSpec> {
        let (from, width) = (inputs.iter().product(), self.width);
        // Uniform with this bound, numbers keep their spread on their way through.
        let bound = |from: usize| (6.0 / from as f32).sqrt();
        let mut tensors =
            vec![TensorSpec::new("in.weight", &[from, width], bound(from)), TensorSpec::new("in.bias", &[width], 0.0)];
        for block in 0..self.blocks {
            tensors.push(TensorSpec::new(format!("blocks.{block}.up"), &[width, width], bound(width)));
            tensors.push(TensorSpec::new(format!("blocks.{block}.bias"), &[width], 0.0));
            tensors.push(TensorSpec::new(format!("blocks.{block}.down"), &[width, width], 0.0));
        }
        tensors.push(TensorSpec::new("out.weight", &[width, outputs], bound(width)));
        tensors.push(TensorSpec::new("out.bias", &[outputs], 0.0));
        tensors
    }

    fn widest(&self, inputs: &[usize], outputs: usize) -> usize {
        self.width.max(outputs).max(inputs.iter().product())
    }

    fn forward(&self, _inputs: &[usize], parameters: &[Tensor<1>], batch: Tensor<2>) -> Tensor<2> {
        // In the order of `tensors`, each flattened.
        let [weight, bias, blocks @ .., out, out_bias] = parameters else { return batch };
        let rows = |tensor: &Tensor<1>, columns: usize| tensor.clone().reshape([tensor.dims()[0] / columns, columns]);
        let row = |tensor: &Tensor<1>| tensor.clone().reshape([1, tensor.dims()[0]]);
        let mut x = relu(batch.matmul(rows(weight, self.width)).add(row(bias)));
        for block in blocks.chunks_exact(3) {
            let inner = relu(x.clone().matmul(rows(&block[0], self.width)).add(row(&block[1])));
            x = x.add(inner.matmul(rows(&block[2], self.width)));
        }
        x.matmul(rows(out, out_bias.dims()[0])).add(row(out_bias))
    }
}

fn main() -> ExitCode {
    // Before anything else: the list is closed when the first task is read.
    if let Err(error) = register("residual", Kind { reads: Reads::Numbers, parse: |section, _| Residual::parse(section) }) {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let mut arguments: Vec<_> = std::env::args_os().collect();
    let demo = arguments.get(1).is_some_and(|verb| verb == "demo");
    if demo && !arguments.iter().any(|argument| argument.to_string_lossy().starts_with("--model")) {
        arguments.extend(["--model", DEMO_MODEL].map(Into::into));
    }
    shoal_node::cli::main(arguments)
}
