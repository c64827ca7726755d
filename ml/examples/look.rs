//! Says what is in data and what a task must say of it: `look SOURCE [TASK.toml]`.

use std::error::Error;

use shoal_ml::data::check;
use shoal_ml::{Schema, Source, Task};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (source, task) = match &arguments[..] {
        [source] => (source, None),
        [source, file] => (source, Some(Task::parse(&std::fs::read_to_string(file)?.parse()?)?)),
        _ => return Err("SOURCE [TASK.toml]".into()),
    };
    let source: Source = source.parse()?;
    println!("{}", check(&source, task.as_ref())?);
    match source.schema()? {
        Schema::Labelled { shape, classes, legend, .. } => {
            print!("kind = \"classify\"\ninputs = {shape:?}\nclasses = {classes}\n{}", legend.to_toml());
        }
        Schema::Text { characters, .. } => println!("kind = \"language\"\nvocabulary = {}", toml::Value::from(characters)),
    }
    Ok(())
}
