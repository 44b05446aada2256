//! The `certroll` command.

fn main() -> std::process::ExitCode {
    certroll::cli::main()
}
