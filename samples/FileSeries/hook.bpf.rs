//! hook.bpf.c in Rust: `FileSeries --rust` runs this one.
#![no_std]
#![no_main]
#![allow(non_upper_case_globals)]

#[path = "../../ring/UringBpf.Ring/include/uring_bpf.rs"]
mod uring_bpf;
use core::cell::Cell;
use uring_bpf::*;

// Set by the host before the program is loaded.
#[no_mangle]
#[link_section = ".rodata"]
static path_count: Global<u32> = Global::new(1);
#[no_mangle]
#[link_section = ".rodata"]
static block_bytes: Global<u32> = Global::new(65536);
#[no_mangle]
#[link_section = ".rodata"]
static skip_errors: Global<u32> = Global::new(1);

/// The chain's own memory.
#[repr(C)]
struct Series {
    path: Cell<u32>, // the file being read
    crc: Cell<u32>,
    bytes: Cell<u64>,
}
unsafe impl Plain for Series {}

const OPENED: u64 = 1;
const READ: u64 = 2;
const CLOSED: u64 = 3;

const FAILED: u64 = 1 << 32; // in an emitted value: the low half is an errno, not a checksum

#[inline(always)]
fn open_next(ctx: &Completion, series: &Series) -> Result<i32> {
    if series.path.get() >= path_count.get() {
        return Ok(PASS);
    }
    ctx.submit(&Op::openat(NO_DIR, series.path.get(), open::RDONLY, 0, 0).user_data(OPENED))?;
    Ok(CONTINUE)
}

#[inline(always)]
fn read_block(ctx: &Completion, series: &Series) -> Result<i32> {
    ctx.submit(&Op::read(0, 0, block_bytes.get(), series.bytes.get()).user_data(READ))?;
    Ok(CONTINUE)
}

/// The file is done: tell the host. The size follows the checksum in an emission of its own.
#[inline(always)]
fn report(ctx: &Completion, series: &Series, value: u64) -> Result {
    ctx.emit(u64::from(series.path.get()), value)?;
    ctx.emit(u64::from(series.path.get()), series.bytes.get())
}

hook!(file_series, |ctx| {
    let series: &Series = ctx.scratch();

    match ctx.user_data {
        OPENED => {
            series.crc.set(0);
            series.bytes.set(0);
            if let Err(errno) = ctx.result() {
                report(ctx, series, FAILED | u64::from(errno.unsigned_abs()))?;
                if skip_errors.get() == 0 {
                    return Err(errno);
                }
                series.path.set(series.path.get() + 1);
                return open_next(ctx, series);
            }
            read_block(ctx, series)
        }

        READ => {
            let end = match ctx.result() {
                Ok(bytes) if bytes > 0 => {
                    series.crc.set(ctx.crc32c(series.crc.get(), 0, bytes));
                    series.bytes.set(series.bytes.get() + u64::from(bytes));
                    return read_block(ctx, series);
                }
                Ok(_) => Ok(u64::from(series.crc.get())),
                Err(errno) => Err(errno),
            };
            report(ctx, series, end.unwrap_or_else(|errno| FAILED | u64::from(errno.unsigned_abs())))?;
            if skip_errors.get() == 0 {
                end?;
            }
            ctx.submit(&Op::close(0).user_data(CLOSED))?;
            Ok(CONTINUE)
        }

        CLOSED => {
            series.path.set(series.path.get() + 1);
            open_next(ctx, series)
        }

        // The nop that starts the chain.
        _ => open_next(ctx, series),
    }
});

license!("MIT");
