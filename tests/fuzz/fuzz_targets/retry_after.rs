#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| kraube_parsers::check("retry_after", input));
