//! Plans: what is resolved for each kind of host, which handshakes count, what the table says.

mod alike;
mod building;
mod containers;
mod discovery;
mod imports;
mod keys;
mod looks;
mod resolution;
mod stopped;

use certroll::testing::model::CommandLine;

fn argv(words: &[&str]) -> CommandLine {
    CommandLine::Argv(words.iter().map(|&word| word.to_owned()).collect())
}
