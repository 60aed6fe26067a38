// SPDX-License-Identifier: GPL-2.0

//! A fuzzer of one target, which `$FUZZ_TARGET` names when this is compiled; see `tools/fuzz`.

#![no_main]

/// One input; libFuzzer calls this, and has the program's `main`.
#[no_mangle]
pub extern "C" fn LLVMFuzzerTestOneInput(data: *const u8, len: usize) -> i32 {
    let input = if len == 0 {
        &[]
    } else {
        // SAFETY: libFuzzer passes `len` bytes, which nobody changes until this returns.
        unsafe { std::slice::from_raw_parts(data, len) }
    };
    match env!("FUZZ_TARGET") {
        "stream" => fuzz::stream(input),
        _ => fuzz::record(input),
    }
    0
}
