//! `shoal generate`: a run's model continues a text.

use std::io::{self, IsTerminal, Read, Write};

use serde_json::json;
use shoal_ml::generate::PROMPT_BYTES_MAX;
use shoal_ml::{Device, Finish, GenerateError, Generator, Sampling, Step};

use super::CliError;
use super::model::ModelArgs;
use super::print;

#[derive(Debug, clap::Args)]
pub(super) struct GenerateArgs {
    /// The text to continue; `-` reads it from stdin
    #[arg(value_name = "PROMPT")]
    prompt: String,
    /// Most tokens to make
    #[arg(long, value_name = "N", default_value_t = 256)]
    max_tokens: usize,
    /// 0 for the likeliest text, up to 2
    #[arg(long, value_name = "T", default_value_t = 1.0)]
    temperature: f32,
    /// Draw among the likeliest tokens that have this share together
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    top_p: f32,
    /// The draw's seed: the same seed and weights give the same text [default: another each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// End before this text; may be repeated
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    #[command(flatten)]
    model: ModelArgs,
    /// Print JSON once the text is there
    #[arg(long)]
    json: bool,
}

/// Why there is no text.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum Failed {
    #[error("stdin cannot be read as a prompt: {0}")]
    #[diagnostic(code(shoal::generate::stdin), help("a prompt is UTF-8 text of at most 1 MiB"))]
    Stdin(io::Error),
    #[error(transparent)]
    #[diagnostic(code(shoal::generate::refused), help("`shoal generate --help` says what each value takes"))]
    Generate(#[from] GenerateError),
}

pub(super) fn command(args: &GenerateArgs) -> Result<(), CliError> {
    let prompt = if args.prompt == "-" {
        stdin().map_err(|error| CliError::operation(Failed::Stdin(error)))?
    } else {
        args.prompt.clone()
    };
    let seed = args.seed.unwrap_or_else(rand::random);
    let GenerateArgs { max_tokens, temperature, top_p, .. } = *args;
    let sampling = Sampling { max_tokens, temperature, top_p, seed, stop: args.stop.clone() };
    let refused = |error| CliError::usage(Failed::Generate(error));
    sampling.check().map_err(refused)?;
    let model = args.model.load()?;
    let generator = Generator::new(&model.task, &model.weights, Device::Cpu).map_err(refused)?;
    let mut generation = generator.begin(&prompt, sampling).map_err(refused)?;
    let failed = |error| CliError::operation(Failed::Generate(error));
    if args.json {
        let (text, finish) = generation.run().map_err(failed)?;
        return Ok(print::json(&json!({
            "text": text,
            "finish_reason": if finish == Finish::Stop { "stop" } else { "length" },
            "prompt_tokens": generation.prompt_tokens(),
            "completion_tokens": generation.made_tokens(),
            "seed": seed,
            "run": model.spec.run_id().to_string(),
            "round": model.round,
        }))?);
    }
    let mut out = Out::new();
    loop {
        match generation.step().map_err(failed)? {
            Step::Quiet => {}
            Step::Text(text) => out.write(&text)?,
            Step::Done(text, _) => {
                out.write(&text)?;
                return Ok(out.write("\n")?);
            }
        }
    }
}

fn stdin() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().take(PROMPT_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// Stdout, a piece at a time. Whoever made the run chose its characters, so a terminal gets none that
/// it would obey.
struct Out {
    stdout: io::Stdout,
    terminal: bool,
}

impl Out {
    fn new() -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        Self { stdout, terminal }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        let text = if self.terminal { harmless(text) } else { text.to_owned() };
        self.stdout.write_all(text.as_bytes())?;
        self.stdout.flush()
    }
}

/// Lines and tabs stay; all else that is no text is replaced.
fn harmless(text: &str) -> String {
    text.split_inclusive(['\n', '\t'])
        .map(|piece| match piece.strip_suffix(['\n', '\t']) {
            Some(start) => print::plain(start) + &piece[start.len()..],
            None => print::plain(piece),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_told_nothing_that_it_obeys() {
        assert_eq!(harmless("a\n\tb\u{1b}[2J\nc"), "a\n\tb\u{fffd}[2J\nc");
        assert_eq!(harmless("\n"), "\n");
    }
}
