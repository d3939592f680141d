//! What programs in Rust are made of: maps, functions of their own, slices, iterators, options, enums, loops.
#![no_std]
#![no_main]
#![allow(non_upper_case_globals)]

#[path = "../../../ring/UringBpf.Ring/include/uring_bpf.rs"]
mod uring_bpf;
use uring_bpf::*;

/// A map in the old form, as Aya's programs have them.
#[repr(C)]
pub struct LegacyMap {
    kind: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
    id: u32,
    pinning: u32,
}

#[no_mangle]
#[link_section = "maps"]
static mut legacy: LegacyMap = LegacyMap { kind: 2, key_size: 4, value_size: 8, max_entries: 4, flags: 0, id: 0, pinning: 0 };

#[no_mangle]
#[link_section = ".maps"]
static counts: Map<HASH, u32, u64, 16> = Map::new();

#[no_mangle]
#[link_section = ".rodata"]
static scale: Global<u32> = Global::new(3);
#[no_mangle]
#[link_section = ".data"]
static calls: Global<u64> = Global::new(40);

static PRIMES: [u32; 8] = [2, 3, 5, 7, 11, 13, 17, 19];

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Point,
    Circle(u32),
    Rectangle { width: u32, height: u32 },
}

/// A subprogram: rustc puts each function in a section of its own.
#[inline(never)]
fn area(shape: Shape) -> u64 {
    match shape {
        Shape::Point => 0,
        Shape::Circle(radius) => 3 * u64::from(radius) * u64::from(radius),
        Shape::Rectangle { width, height } => u64::from(width) * u64::from(height),
    }
}

/// Another, which calls on; generic, and without a name that C could give it.
#[inline(never)]
fn twice<F: Fn(u64) -> u64>(value: u64, f: F) -> u64 {
    f(f(value))
}

#[no_mangle]
#[link_section = "raw"]
pub extern "C" fn shapes(_ctx: *const u64) -> u64 {
    calls.set(calls.get() + 1);
    let shapes = [Shape::Point, Shape::Circle(2), Shape::Rectangle { width: 4, height: 5 }];
    shapes.iter().map(|&shape| area(shape)).sum::<u64>() * u64::from(scale.get())
}

#[no_mangle]
#[link_section = "raw"]
pub extern "C" fn primes(_ctx: *const u64) -> u64 {
    let odd = PRIMES.iter().skip(1).fold(0, |sum, &prime| sum + u64::from(prime));
    twice(odd, |x| x.wrapping_mul(31) ^ u64::from(scale.get()))
}

#[no_mangle]
#[link_section = "raw"]
pub extern "C" fn count(_ctx: *const u64) -> i64 {
    let key = 7;
    if let Some(value) = counts.lookup(&key) {
        value.set(value.get() + 1);
        return value.get() as i64;
    }
    match counts.update(&key, &1, NOEXIST) {
        Ok(()) => 1,
        Err(errno) => errno,
    }
}

#[no_mangle]
#[link_section = "raw"]
pub extern "C" fn old_map(_ctx: *const u64) -> u64 {
    let lookup: unsafe extern "C" fn(*const LegacyMap, *const u32) -> *mut u64 = unsafe { core::mem::transmute(1usize) };
    match unsafe { lookup(&raw const legacy, &2).as_mut() } {
        Some(value) => {
            *value += 5;
            *value
        }
        None => u64::MAX,
    }
}

#[no_mangle]
#[link_section = "raw"]
pub extern "C" fn range(_ctx: *const u64) -> u64 {
    let mut sum = 0;
    for_range(0, 1000, |i| {
        sum += i as u64;
        i < 100
    });
    sum
}

/// The sum of the 16-bit words of a packet, by a slice's iterator, up to its 64th byte.
#[no_mangle]
#[link_section = "uring/complete"]
pub extern "C" fn words(ctx: &Completion) -> i32 {
    let mut sum = 0u32;
    let mut at = 0;
    while at < 64 {
        let Some(word) = ctx.data::<u16>(at) else { break };
        sum += u32::from(u16::from_be(word));
        at += 2;
    }
    match ctx.emit(u64::from(at), u64::from(sum)) {
        Ok(()) => PASS,
        Err(errno) => errno,
    }
}

license!("MIT");
