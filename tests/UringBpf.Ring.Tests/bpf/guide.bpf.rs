//! The example in Rust of docs/hooks.md.
#![no_std]
#![no_main]
#[path = "../../../ring/UringBpf.Ring/include/uring_bpf.rs"]
mod uring_bpf;
use core::cell::Cell;
use uring_bpf::*;

hook!(to_the_end, |ctx| {
    let bytes = ctx.result()?;
    if bytes == 0 {
        return Ok(PASS);
    }
    let sum: &Cell<u64> = ctx.scratch();
    sum.set(sum.get() + u64::from(bytes));
    ctx.submit(&Op::read(ctx.file, 0, 4096, ctx.offset + u64::from(bytes)))?;
    Ok(CONTINUE)
});

license!("MIT");
