//! `apply FILE DIR`: unpacks a layer and says what it was, to be timed beside `tar x`.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs::File;
use std::os::fd::AsFd;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let (Some(file), Some(dir)) = (args.next(), args.next()) else {
        return Err("usage: apply FILE DIR".into());
    };
    let applied = layer::apply(File::open(file)?, File::open(dir)?.as_fd(), &layer::Limits::default())?;
    println!("{applied:#?}");
    Ok(())
}
