//! Any bytes are a `config.json` or `process.json` of the runtime-spec or are refused, and what is read is planned or
//! refused: nothing on the way panics, and nothing is done.

#![no_main]

use libfuzzer_sys::fuzz_target;
use runtime::Plan;

fuzz_target!(|bytes: &[u8]| {
    let _ = oci::spec::read_process(bytes);
    if let Ok(read) = oci::spec::read(bytes) {
        let _ = oci::spec::unknown(bytes, &read.value);
        if let Ok(plan) = Plan::new(&read.value) {
            let _ = (plan.warnings(), plan.listener(), plan.host_owner());
        }
    }
});
