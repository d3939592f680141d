//! Refused: an index that may be out of bounds panics, and an object has no panics.
#![no_std]
#![no_main]

#[path = "../../../ring/UringBpf.Ring/include/uring_bpf.rs"]
mod uring_bpf;
use uring_bpf::*;

static PRIMES: [u32; 8] = [2, 3, 5, 7, 11, 13, 17, 19];

#[no_mangle]
#[link_section = "raw"]
pub extern "C" fn panics(_ctx: *const u64) -> u64 {
    u64::from(PRIMES[prandom_u32() as usize])
}

license!("MIT");
