#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pykeel::fuzz::pykeel_lock(bytes));
