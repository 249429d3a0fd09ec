//! One static binary. Its name decides what it is; nothing is done before that.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_default();
    match std::path::Path::new(&name).file_name().and_then(|name| name.to_str()) {
        Some("docker-init") => engine::init::main(args),
        Some("hello") => engine::hello::main(),
        _ => ExitCode::from(cli::main(args) as u8),
    }
}
