//! One static binary. Its name decides what it is; nothing is done before that.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().peekable();
    let name = args.next().unwrap_or_default();
    match std::path::Path::new(&name).file_name().and_then(|name| name.to_str()) {
        Some("docker-init") => engine::init::main(args),
        Some("hello") => engine::hello::main(),
        Some("hull-runtime") => ExitCode::from(runtime_cli::main(args) as u8),
        _ if is_runtime(&mut args) => ExitCode::from(runtime_cli::main(args.skip(1)) as u8),
        _ => ExitCode::from(cli::main(args) as u8),
    }
}

/// `hull runtime …` is `hull-runtime …`.
fn is_runtime(args: &mut std::iter::Peekable<std::env::ArgsOs>) -> bool {
    args.peek().is_some_and(|first| first == "runtime")
}
