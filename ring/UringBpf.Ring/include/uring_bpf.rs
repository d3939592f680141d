// SPDX-License-Identifier: MIT
//! uring_bpf.rs: what a completion hook in Rust is written against. It is uring_bpf.h in another language: the same structs,
//! the same calls, the same numbers; what each one means is said there and in docs/hooks.md.
//!
//! ```ignore
//! #![no_std]
//! #![no_main]
//! #[path = "uring_bpf.rs"]
//! mod uring_bpf;
//! use uring_bpf::*;
//!
//! hook!(to_the_end, |ctx| {
//!     let res = ctx.result()?;
//!     if res == 0 {
//!         return Ok(PASS);
//!     }
//!     ctx.submit(&Op::read(ctx.file, 0, 4096, ctx.offset + u64::from(res)))?;
//!     Ok(CONTINUE)
//! });
//!
//! license!("MIT");
//! ```
//!
//! Two commands make an object of it, with a clang that has rustc's version of LLVM (`rustc -vV`). The target's `core` is Debian's
//! libstd-rust-web-dev-bpf, or made by cargo's `-Z build-std=core`; bpf-linker's objects load as well.
//!
//! ```text
//! rustc --edition 2021 --crate-name hook --crate-type lib --target bpfel-unknown-none -C opt-level=2 -C debuginfo=2 \
//!     -C panic=abort -C codegen-units=1 -C target-cpu=v3 --emit llvm-bc -o hook.bc hook.bpf.rs
//! clang-22 -O2 -target bpfel -mcpu=v3 -c hook.bc -o hook.bpf.o
//! ```
//!
//! An object has no `core` in it but what is inlined. So nothing may panic: index with `get`, add with `wrapping_add` where
//! overflow checks are on. A call to a panic that stays is refused when the object is loaded, and names it.
#![allow(dead_code)]

use core::cell::UnsafeCell;
use core::mem::{size_of, transmute, MaybeUninit};

/// A negative errno as the error: what kfuncs give, and what ends a chain.
pub type Result<T = ()> = core::result::Result<T, i32>;

/// Swallow this completion; the chain lives on in what is in flight.
pub const CONTINUE: i32 = 1;
/// Hand this completion to the host and end the chain.
pub const PASS: i32 = 0;

/// The context of a completion hook. Its memory is the ring's: all is read-only but the chain's scratch and the data.
#[repr(C)]
pub struct Completion {
    pub user_data: u64,
    pub res: i32,
    pub cqe_flags: u32,
    pub opcode: u32,
    pub step: u32,
    pub file: i32,
    pub buffer: u32,
    pub offset: u64,
    data: *mut u8,
    data_end: *mut u8,
    scratch: UnsafeCell<[u64; 8]>,
}

/// The context of a policy hook: an operation about to be submitted.
#[repr(C)]
pub struct Submission {
    pub opcode: u32,
    pub flags: u32,
    pub file: i32,
    pub length: u32,
    pub offset: u64,
    pub user_data: u64,
    pub target: i32,
    pub dir: u32,
    pub buffer: u32,
    pub origin: u32,
    pub chain: u64,
    pub path_len: u32,
    reserved: u32,
    pub path: [u8; 4096],
}

pub const BY_HOST: u32 = 0;
pub const BY_HOOK: u32 = 1;

/// Types that any bytes are a value of: numbers, and `repr(C)` structs of them without padding.
///
/// # Safety
/// Every pattern of bits must be a valid value.
pub unsafe trait Plain {}
unsafe impl Plain for u8 {}
unsafe impl Plain for u16 {}
unsafe impl Plain for u32 {}
unsafe impl Plain for u64 {}
unsafe impl Plain for i8 {}
unsafe impl Plain for i16 {}
unsafe impl Plain for i32 {}
unsafe impl Plain for i64 {}
unsafe impl<T: Plain> Plain for core::cell::Cell<T> {}
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

impl Completion {
    /// The bytes, slot or other number that the operation gave, or its negative errno.
    #[inline(always)]
    pub fn result(&self) -> Result<u32> {
        if self.res < 0 {
            Err(error(self.res))
        } else {
            Ok(self.res as u32)
        }
    }

    /// The chain's own 64 bytes, zero when it starts: a struct of `Cell`s.
    #[inline(always)]
    pub fn scratch<T: Plain>(&self) -> &T {
        const { assert!(size_of::<T>() <= 64 && core::mem::align_of::<T>() <= 8) };
        unsafe { &*(self.scratch.get() as *const T) }
    }

    /// The value at an offset of the bytes that a read or receive brought, or `None` past their end.
    #[inline(always)]
    pub fn data<T: Plain + Copy>(&self, offset: u16) -> Option<T> {
        let value = self.data.wrapping_add(offset as usize);
        if value.wrapping_add(size_of::<T>()) > self.data_end {
            return None;
        }
        Some(unsafe { (value as *const T).read_unaligned() })
    }

    /// Queues an operation of this chain. It is sent when the hook has returned.
    #[inline(always)]
    pub fn submit(&self, op: &Op) -> Result {
        status(unsafe { uring_submit(self, op, size_of::<Op>() as u32) })
    }

    /// Queues one with pieces of buffers: readv, writev, sendmsg, recvmsg of as many as there are.
    #[inline(always)]
    pub fn submit_vectored<const N: usize>(&self, op: &Vectored<N>) -> Result {
        status(unsafe { uring_submit(self, &op.op, size_of::<Vectored<N>>() as u32) })
    }

    /// Cancels this chain's operations with that user data.
    #[inline(always)]
    pub fn cancel(&self, user_data: u64) -> Result<u32> {
        count(unsafe { uring_cancel(self, user_data) })
    }

    /// Cancels this chain's operations on a file slot.
    #[inline(always)]
    pub fn cancel_file(&self, slot: u32) -> Result<u32> {
        count(unsafe { uring_cancel_file(self, slot) })
    }

    /// Cancels all that the chain has in flight.
    #[inline(always)]
    pub fn cancel_all(&self) -> Result<u32> {
        count(unsafe { uring_cancel_all(self) })
    }

    /// Hands an extra completion to the host.
    #[inline(always)]
    pub fn emit(&self, user_data: u64, value: u64) -> Result {
        status(unsafe { uring_emit(self, user_data, value) })
    }

    /// A `T` at an offset of a buffer, until the hook returns; operations may write to it meanwhile.
    #[inline(always)]
    pub fn buffer<T: Plain>(&self, index: u32, offset: u64) -> Option<*mut T> {
        let bytes = unsafe { uring_buffer(self, index, offset, size_of::<T>() as u64) };
        if bytes.is_null() {
            return None;
        }
        Some(bytes as *mut T)
    }

    /// Keeps this completion's provided buffer when the hook has returned.
    #[inline(always)]
    pub fn hold_buffer(&self) -> Result {
        status(unsafe { uring_hold_buffer(self) })
    }

    #[inline(always)]
    pub fn release_buffer(&self, buffer: u32) -> Result {
        status(unsafe { uring_release_buffer(self, buffer) })
    }

    /// A timer that completes with -ETIME.
    #[inline(always)]
    pub fn timeout(&self, nanoseconds: u64, user_data: u64) -> Result {
        status(unsafe { uring_timeout(self, nanoseconds, user_data) })
    }

    /// Continues a CRC-32C over the completion's data; the first is of 0.
    #[inline(always)]
    pub fn crc32c(&self, crc: u32, offset: u32, len: u32) -> u32 {
        unsafe { uring_crc32c_update(self, crc, offset, len) }
    }

    /// Gives a file this chain opened to the host.
    #[inline(always)]
    pub fn handover(&self, slot: u32) -> Result {
        status(unsafe { uring_handover(self, slot) })
    }

    /// Adds to one of the chain's eight join counters.
    #[inline(always)]
    pub fn fork(&self, counter: u32, times: u32) -> Result {
        status(unsafe { uring_fork(self, counter, times) })
    }

    /// Takes one from a join counter; gives what is left.
    #[inline(always)]
    pub fn join(&self, counter: u32) -> Result<u32> {
        count(unsafe { uring_join(self, counter) })
    }

    /// Starts a chain of a granted hook; [`SELF`] is this one.
    #[inline(always)]
    pub fn message(&self, target: u32, user_data: u64, value: u64) -> Result {
        status(unsafe { uring_message(self, target, user_data, value) })
    }
}

/// A number as an error verdict: what is no errno becomes -EIO.
#[inline(always)]
pub fn error(res: i32) -> i32 {
    if res >= -4095 && res < 0 {
        res
    } else {
        -5
    }
}

/// What a hook returns, as its verdict.
#[inline(always)]
pub fn verdict(result: Result<i32>) -> i32 {
    match result {
        Ok(CONTINUE) => CONTINUE,
        Ok(_) => PASS,
        Err(errno) => error(errno),
    }
}

#[inline(always)]
fn status(res: i32) -> Result {
    if res == 0 {
        Ok(())
    } else {
        Err(res)
    }
}

#[inline(always)]
fn count(res: i32) -> Result<u32> {
    if res >= 0 {
        Ok(res as u32)
    } else {
        Err(res)
    }
}

/// An operation: `struct uring_op`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Op {
    pub opcode: u8,
    pub flags: u8,
    pub buffer: u16,
    pub file: i32,
    pub offset: u64,
    pub len: u32,
    pub buf_offset: u32,
    pub op_flags: u32,
    pub target: i32,
    pub dir: u32,
    pub path: u32,
    pub user_data: u64,
    pub program: u32,
    reserved0: u32,
    reserved1: u64,
}

/// A piece of a buffer.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Piece {
    buffer: u16,
    reserved0: u16,
    buf_offset: u32,
    len: u32,
    reserved1: u32,
}

impl Piece {
    #[inline(always)]
    pub const fn new(buffer: u16, buf_offset: u32, len: u32) -> Piece {
        Piece { buffer, reserved0: 0, buf_offset, len, reserved1: 0 }
    }
}

/// An operation and its pieces.
#[repr(C)]
pub struct Vectored<const N: usize> {
    op: Op,
    pieces: [Piece; N],
}

pub const PATH_IN_BUFFER: u8 = 1;
pub const LINK: u8 = 2;
pub const HARDLINK: u8 = 4;
pub const DRAIN: u8 = 8;
pub const NAMES_PROGRAM: u8 = 16;
pub const MULTISHOT: u8 = 32;
pub const PROVIDED_BUFFER: u8 = 64;

pub const NO_DIR: u32 = u32::MAX;
pub const NO_ADDRESS: u32 = u32::MAX;
pub const CURRENT_OFFSET: u64 = u64::MAX;
pub const SELF: u32 = u32::MAX;

/// IORING_OP_*, as `Completion::opcode` shows them.
pub mod opcode {
    pub const NOP: u8 = 0;
    pub const READV: u8 = 1;
    pub const WRITEV: u8 = 2;
    pub const FSYNC: u8 = 3;
    pub const POLL_ADD: u8 = 6;
    pub const SYNC_FILE_RANGE: u8 = 8;
    pub const SENDMSG: u8 = 9;
    pub const RECVMSG: u8 = 10;
    pub const TIMEOUT: u8 = 11;
    pub const ACCEPT: u8 = 13;
    pub const LINK_TIMEOUT: u8 = 15;
    pub const CONNECT: u8 = 16;
    pub const FALLOCATE: u8 = 17;
    pub const OPENAT: u8 = 18;
    pub const CLOSE: u8 = 19;
    pub const STATX: u8 = 21;
    pub const READ: u8 = 22;
    pub const WRITE: u8 = 23;
    pub const FADVISE: u8 = 24;
    pub const SEND: u8 = 26;
    pub const RECV: u8 = 27;
    pub const SPLICE: u8 = 30;
    pub const TEE: u8 = 33;
    pub const SHUTDOWN: u8 = 34;
    pub const RENAMEAT: u8 = 35;
    pub const UNLINKAT: u8 = 36;
    pub const MKDIRAT: u8 = 37;
    pub const LINKAT: u8 = 39;
    pub const MSG_RING: u8 = 40;
    pub const SOCKET: u8 = 45;
    pub const SEND_ZC: u8 = 47;
    pub const READ_MULTISHOT: u8 = 49;
    pub const FTRUNCATE: u8 = 55;
    pub const BIND: u8 = 56;
    pub const LISTEN: u8 = 57;
    pub const PROGRAM: u8 = 255;
}

/// IORING_CQE_F_*.
pub mod cqe {
    pub const BUFFER: u32 = 1;
    pub const MORE: u32 = 2;
    pub const SOCK_NONEMPTY: u32 = 4;
    pub const NOTIF: u32 = 8;
    pub const BUF_MORE: u32 = 16;
}

/// O_* of open(2).
pub mod open {
    pub const RDONLY: u32 = 0;
    pub const WRONLY: u32 = 1;
    pub const RDWR: u32 = 2;
    pub const CREAT: u32 = 0o100;
    pub const EXCL: u32 = 0o200;
    pub const TRUNC: u32 = 0o1000;
    pub const APPEND: u32 = 0o2000;
    pub const DIRECT: u32 = 0o40000;
    pub const DIRECTORY: u32 = 0o200000;
    pub const NOFOLLOW: u32 = 0o400000;
}

impl Op {
    #[inline(always)]
    const fn new(opcode: u8, file: i32, buffer: u16, len: u32, offset: u64) -> Op {
        Op {
            opcode,
            flags: 0,
            buffer,
            file,
            offset,
            len,
            buf_offset: 0,
            op_flags: 0,
            target: 0,
            dir: NO_DIR,
            path: 0,
            user_data: 0,
            program: 0,
            reserved0: 0,
            reserved1: 0,
        }
    }

    /// What the completion shows as `user_data`.
    #[inline(always)]
    pub const fn user_data(self, user_data: u64) -> Op {
        Op { user_data, ..self }
    }

    /// Adds [`LINK`], [`HARDLINK`], [`DRAIN`] or [`MULTISHOT`].
    #[inline(always)]
    pub const fn with(self, flags: u8) -> Op {
        Op { flags: self.flags | flags, ..self }
    }

    /// The offset in its buffer.
    #[inline(always)]
    pub const fn at(self, buf_offset: u32) -> Op {
        Op { buf_offset, ..self }
    }

    /// Its completion runs the n-th granted program, or with 0 the attachment's own.
    #[inline(always)]
    pub const fn runs(self, program: u32) -> Op {
        Op { flags: self.flags | NAMES_PROGRAM, program, ..self }
    }

    /// The operation with pieces of buffers: for `readv`, `writev`, `sendmsg`, `recvmsg`.
    #[inline(always)]
    pub const fn pieces<const N: usize>(self, pieces: [Piece; N]) -> Vectored<N> {
        Vectored { op: Op { len: N as u32, ..self }, pieces }
    }

    #[inline(always)]
    pub const fn nop() -> Op {
        Op::new(opcode::NOP, -1, 0, 0, 0)
    }

    #[inline(always)]
    pub const fn read(file: i32, buffer: u16, len: u32, offset: u64) -> Op {
        Op::new(opcode::READ, file, buffer, len, offset)
    }

    #[inline(always)]
    pub const fn write(file: i32, buffer: u16, len: u32, offset: u64) -> Op {
        Op::new(opcode::WRITE, file, buffer, len, offset)
    }

    #[inline(always)]
    pub const fn readv(file: i32, offset: u64) -> Op {
        Op::new(opcode::READV, file, 0, 0, offset)
    }

    #[inline(always)]
    pub const fn writev(file: i32, offset: u64) -> Op {
        Op::new(opcode::WRITEV, file, 0, 0, offset)
    }

    /// Flags: 1 is IORING_FSYNC_DATASYNC.
    #[inline(always)]
    pub const fn fsync(file: i32, op_flags: u32) -> Op {
        Op { op_flags, ..Op::new(opcode::FSYNC, file, 0, 0, 0) }
    }

    #[inline(always)]
    pub const fn sync_file_range(file: i32, offset: u64, len: u32, op_flags: u32) -> Op {
        Op { op_flags, ..Op::new(opcode::SYNC_FILE_RANGE, file, 0, len, offset) }
    }

    #[inline(always)]
    pub const fn ftruncate(file: i32, length: u64) -> Op {
        Op::new(opcode::FTRUNCATE, file, 0, 0, length)
    }

    #[inline(always)]
    pub const fn fallocate(file: i32, mode: u32, offset: u64, len: u32) -> Op {
        Op { op_flags: mode, ..Op::new(opcode::FALLOCATE, file, 0, len, offset) }
    }

    #[inline(always)]
    pub const fn fadvise(file: i32, offset: u64, len: u32, advice: u32) -> Op {
        Op { op_flags: advice, ..Op::new(opcode::FADVISE, file, 0, len, offset) }
    }

    /// Opens a path of the path table into file slot `target`: `dir` is a granted directory, or [`NO_DIR`].
    #[inline(always)]
    pub const fn openat(dir: u32, path: u32, open_flags: u32, mode: u32, target: i32) -> Op {
        Op { dir, path, op_flags: open_flags, target, ..Op::new(opcode::OPENAT, -1, 0, mode, 0) }
    }

    /// The same for a name of `len` bytes with its NUL in a buffer.
    #[inline(always)]
    pub const fn openat_name(dir: u32, buffer: u16, buf_offset: u32, len: u32, open_flags: u32, mode: u32, target: i32) -> Op {
        Op { flags: PATH_IN_BUFFER, buffer, buf_offset, ..Op::openat(dir, len, open_flags, mode, target) }
    }

    #[inline(always)]
    pub const fn close(file: i32) -> Op {
        Op::new(opcode::CLOSE, file, 0, 0, 0)
    }

    #[inline(always)]
    pub const fn statx(dir: u32, path: u32, mask: u32, buffer: u16, buf_offset: u32) -> Op {
        Op { dir, path, buf_offset, ..Op::new(opcode::STATX, -1, buffer, mask, 0) }
    }

    #[inline(always)]
    pub const fn unlinkat(dir: u32, path: u32, unlink_flags: u32) -> Op {
        Op { dir, path, op_flags: unlink_flags, ..Op::new(opcode::UNLINKAT, -1, 0, 0, 0) }
    }

    #[inline(always)]
    pub const fn mkdirat(dir: u32, path: u32, mode: u32) -> Op {
        Op { dir, path, ..Op::new(opcode::MKDIRAT, -1, 0, mode, 0) }
    }

    #[inline(always)]
    pub const fn renameat(dir: u32, path: u32, new_dir: u32, new_path: u32, rename_flags: u32) -> Op {
        Op { dir, path, target: new_dir as i32, op_flags: rename_flags, ..Op::new(opcode::RENAMEAT, -1, 0, new_path, 0) }
    }

    /// The same for two names in a buffer, one behind the other: `len` and `new_len` bytes with their NULs.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub const fn renameat_names(dir: u32, new_dir: u32, buffer: u16, buf_offset: u32, len: u32, new_len: u32, rename_flags: u32) -> Op {
        Op { flags: PATH_IN_BUFFER, buffer, buf_offset, ..Op::renameat(dir, len, new_dir, new_len, rename_flags) }
    }

    #[inline(always)]
    pub const fn linkat(dir: u32, path: u32, new_dir: u32, new_path: u32) -> Op {
        Op { dir, path, target: new_dir as i32, ..Op::new(opcode::LINKAT, -1, 0, new_path, 0) }
    }

    /// Completes with -ETIME after so many nanoseconds.
    #[inline(always)]
    pub const fn timeout(nanoseconds: u64) -> Op {
        Op::new(opcode::TIMEOUT, -1, 0, 0, nanoseconds)
    }

    /// Again and again, `times` times or, with 0, until it is cancelled.
    #[inline(always)]
    pub const fn timeout_multishot(nanoseconds: u64, times: u32) -> Op {
        Op { flags: MULTISHOT, ..Op::new(opcode::TIMEOUT, -1, 0, times, nanoseconds) }
    }

    /// The timer of the operation submitted before it, which has [`LINK`] or [`HARDLINK`].
    #[inline(always)]
    pub const fn link_timeout(nanoseconds: u64) -> Op {
        Op::new(opcode::LINK_TIMEOUT, -1, 0, 0, nanoseconds)
    }

    /// Waits for POLL* events.
    #[inline(always)]
    pub const fn poll(file: i32, events: u32) -> Op {
        Op { op_flags: events, ..Op::new(opcode::POLL_ADD, file, 0, 0, 0) }
    }

    #[inline(always)]
    pub const fn splice(file: i32, offset: u64, target: i32, len: u32, splice_flags: u32) -> Op {
        Op { target, op_flags: splice_flags, ..Op::new(opcode::SPLICE, file, 0, len, offset) }
    }

    #[inline(always)]
    pub const fn tee(file: i32, target: i32, len: u32, splice_flags: u32) -> Op {
        Op { target, op_flags: splice_flags, ..Op::new(opcode::TEE, file, 0, len, 0) }
    }

    /// A socket of the family of a granted address in file slot `target`; `kind` is SOCK_*: 1 a stream.
    #[inline(always)]
    pub const fn socket(address: u32, kind: u32, target: i32) -> Op {
        Op { path: address, target, ..Op::new(opcode::SOCKET, -1, 0, kind, 0) }
    }

    #[inline(always)]
    pub const fn connect(file: i32, address: u32) -> Op {
        Op { path: address, ..Op::new(opcode::CONNECT, file, 0, 0, 0) }
    }

    #[inline(always)]
    pub const fn bind(file: i32, address: u32) -> Op {
        Op { path: address, ..Op::new(opcode::BIND, file, 0, 0, 0) }
    }

    #[inline(always)]
    pub const fn listen(file: i32, backlog: u32) -> Op {
        Op::new(opcode::LISTEN, file, 0, backlog, 0)
    }

    #[inline(always)]
    pub const fn accept(file: i32, target: i32) -> Op {
        Op { target, ..Op::new(opcode::ACCEPT, file, 0, 0, 0) }
    }

    #[inline(always)]
    pub const fn accept_multishot(file: i32) -> Op {
        Op { flags: MULTISHOT, target: -1, ..Op::new(opcode::ACCEPT, file, 0, 0, 0) }
    }

    #[inline(always)]
    pub const fn send(file: i32, buffer: u16, len: u32, msg_flags: u32) -> Op {
        Op { op_flags: msg_flags, ..Op::new(opcode::SEND, file, buffer, len, 0) }
    }

    #[inline(always)]
    pub const fn send_zc(file: i32, buffer: u16, len: u32, msg_flags: u32) -> Op {
        Op { op_flags: msg_flags, ..Op::new(opcode::SEND_ZC, file, buffer, len, 0) }
    }

    #[inline(always)]
    pub const fn recv(file: i32, buffer: u16, len: u32, msg_flags: u32) -> Op {
        Op { op_flags: msg_flags, ..Op::new(opcode::RECV, file, buffer, len, 0) }
    }

    /// Into a provided buffer; with [`MULTISHOT`], again and again.
    #[inline(always)]
    pub const fn recv_provided(file: i32, msg_flags: u32) -> Op {
        Op { flags: PROVIDED_BUFFER, op_flags: msg_flags, ..Op::new(opcode::RECV, file, 0, 0, 0) }
    }

    #[inline(always)]
    pub const fn read_multishot(file: i32) -> Op {
        Op { flags: PROVIDED_BUFFER | MULTISHOT, ..Op::new(opcode::READ_MULTISHOT, file, 0, 0, 0) }
    }

    #[inline(always)]
    pub const fn sendmsg(file: i32, address: u32, msg_flags: u32) -> Op {
        Op { path: address, op_flags: msg_flags, ..Op::new(opcode::SENDMSG, file, 0, 0, 0) }
    }

    #[inline(always)]
    pub const fn recvmsg(file: i32, msg_flags: u32) -> Op {
        Op { op_flags: msg_flags, ..Op::new(opcode::RECVMSG, file, 0, 0, 0) }
    }

    /// The same, and puts the sender's address into `len` bytes of a buffer.
    #[inline(always)]
    pub const fn recvmsg_from(file: i32, msg_flags: u32, buffer: u16, buf_offset: u32, len: u32) -> Op {
        Op { buffer, buf_offset, path: len, ..Op::recvmsg(file, msg_flags) }
    }

    #[inline(always)]
    pub const fn shutdown(file: i32, how: u32) -> Op {
        Op::new(opcode::SHUTDOWN, file, 0, how, 0)
    }

    /// Runs a program as an operation, over `len` bytes of a buffer.
    #[inline(always)]
    pub const fn program(program: u32, buffer: u16, buf_offset: u32, len: u32) -> Op {
        Op { flags: NAMES_PROGRAM, buf_offset, program, ..Op::new(opcode::PROGRAM, -1, buffer, len, 0) }
    }
}

/// How long to wait before attempt 0, 1, 2 …: base, twice that, four times …, at most longest.
#[inline(always)]
pub const fn backoff(attempt: u32, base: u64, longest: u64) -> u64 {
    let delay = base << if attempt < 20 { attempt } else { 20 };
    if delay < base || delay > longest {
        longest
    } else {
        delay
    }
}

/// A variable that the host sets before the program is loaded (in `.rodata`), or that both see (in `.data`).
///
/// ```ignore
/// #[no_mangle]
/// #[link_section = ".rodata"]
/// static path_count: Global<u32> = Global::new(1);
/// ```
#[repr(transparent)]
pub struct Global<T>(UnsafeCell<T>);

// Loads and stores of numbers are what C's are: of one width, and visible to all threads.
unsafe impl<T> Sync for Global<T> {}

impl<T: Plain + Copy> Global<T> {
    pub const fn new(value: T) -> Global<T> {
        Global(UnsafeCell::new(value))
    }

    #[inline(always)]
    pub fn get(&self) -> T {
        unsafe { self.0.get().read_volatile() }
    }

    #[inline(always)]
    pub fn set(&self, value: T) {
        unsafe { self.0.get().write_volatile(value) }
    }
}

/// A map with keys: an array, a hash, an LRU or per-CPU one. `KIND` is BPF_MAP_TYPE_*.
///
/// ```ignore
/// #[no_mangle]
/// #[link_section = ".maps"]
/// static counts: Map<HASH, u32, u64, 1024> = Map::new();
/// ```
#[repr(C)]
pub struct Map<const KIND: usize, K, V, const ENTRIES: usize> {
    r#type: *const [i32; KIND],
    key: *const K,
    value: *const V,
    max_entries: *const [i32; ENTRIES],
}

pub const HASH: usize = 1;
pub const ARRAY: usize = 2;
pub const PERCPU_HASH: usize = 5;
pub const PERCPU_ARRAY: usize = 6;
pub const LRU_HASH: usize = 9;
pub const LRU_PERCPU_HASH: usize = 10;

pub const ANY: u64 = 0;
pub const NOEXIST: u64 = 1;
pub const EXIST: u64 = 2;

unsafe impl<const KIND: usize, K, V, const ENTRIES: usize> Sync for Map<KIND, K, V, ENTRIES> {}

impl<const KIND: usize, K: Plain, V: Plain, const ENTRIES: usize> Map<KIND, K, V, ENTRIES> {
    pub const fn new() -> Self {
        Map {
            r#type: core::ptr::null(),
            key: core::ptr::null(),
            value: core::ptr::null(),
            max_entries: core::ptr::null(),
        }
    }

    /// The value of a key, shared with the host and with other programs.
    #[inline(always)]
    pub fn lookup(&self, key: &K) -> Option<&Global<V>> {
        let lookup: unsafe extern "C" fn(*const Self, *const K) -> *const Global<V> = unsafe { transmute(1usize) };
        unsafe { lookup(self, key).as_ref() }
    }

    #[inline(always)]
    pub fn update(&self, key: &K, value: &V, flags: u64) -> core::result::Result<(), i64> {
        let update: unsafe extern "C" fn(*const Self, *const K, *const V, u64) -> i64 = unsafe { transmute(2usize) };
        match unsafe { update(self, key, value, flags) } {
            0 => Ok(()),
            errno => Err(errno),
        }
    }

    #[inline(always)]
    pub fn delete(&self, key: &K) -> core::result::Result<(), i64> {
        let delete: unsafe extern "C" fn(*const Self, *const K) -> i64 = unsafe { transmute(3usize) };
        match unsafe { delete(self, key) } {
            0 => Ok(()),
            errno => Err(errno),
        }
    }
}

/// Helpers, by the numbers of the Linux ABI (man 7 bpf-helpers).
#[inline(always)]
pub fn ktime_get_ns() -> u64 {
    let call: unsafe extern "C" fn() -> u64 = unsafe { transmute(5usize) };
    unsafe { call() }
}

#[inline(always)]
pub fn prandom_u32() -> u32 {
    let call: unsafe extern "C" fn() -> u32 = unsafe { transmute(7usize) };
    unsafe { call() }
}

#[inline(always)]
pub fn smp_processor_id() -> u32 {
    let call: unsafe extern "C" fn() -> u32 = unsafe { transmute(8usize) };
    unsafe { call() }
}

// Kfuncs, found by their names.
extern "C" {
    fn uring_submit(ctx: *const Completion, op: *const Op, size: u32) -> i32;
    fn uring_cancel(ctx: *const Completion, user_data: u64) -> i32;
    fn uring_cancel_file(ctx: *const Completion, slot: u32) -> i32;
    fn uring_cancel_all(ctx: *const Completion) -> i32;
    fn uring_emit(ctx: *const Completion, user_data: u64, value: u64) -> i32;
    fn uring_buffer(ctx: *const Completion, index: u32, offset: u64, size: u64) -> *mut u8;
    fn uring_hold_buffer(ctx: *const Completion) -> i32;
    fn uring_release_buffer(ctx: *const Completion, buffer: u32) -> i32;
    fn uring_timeout(ctx: *const Completion, nanoseconds: u64, user_data: u64) -> i32;
    fn uring_crc32c_update(ctx: *const Completion, crc: u32, offset: u32, len: u32) -> u32;
    fn uring_handover(ctx: *const Completion, slot: u32) -> i32;
    fn uring_fork(ctx: *const Completion, counter: u32, count: u32) -> i32;
    fn uring_join(ctx: *const Completion, counter: u32) -> i32;
    fn uring_message(ctx: *const Completion, target: u32, user_data: u64, value: u64) -> i32;
    fn bpf_iter_num_new(it: *mut IterNum, start: i32, end: i32) -> i32;
    fn bpf_iter_num_next(it: *mut IterNum) -> *const i32;
    fn bpf_iter_num_destroy(it: *mut IterNum);
}

#[repr(C, align(8))]
struct IterNum([u64; 1]);

/// Calls `body` with start, start + 1 … end - 1, until it says false: a loop whose end the verifier need not prove.
#[inline(always)]
pub fn for_range(start: i32, end: i32, mut body: impl FnMut(i32) -> bool) {
    let mut it = MaybeUninit::<IterNum>::uninit();
    unsafe {
        bpf_iter_num_new(it.as_mut_ptr(), start, end);
        while let Some(i) = bpf_iter_num_next(it.as_mut_ptr()).as_ref() {
            if !body(*i) {
                break;
            }
        }
        bpf_iter_num_destroy(it.as_mut_ptr());
    }
}

/// Defines a completion hook, by its name and a closure that gives [`CONTINUE`], [`PASS`] or a negative errno as the error.
#[macro_export]
macro_rules! hook {
    ($name:ident, |$ctx:ident| $body:expr) => {
        #[no_mangle]
        #[link_section = "uring/complete"]
        pub extern "C" fn $name($ctx: &$crate::uring_bpf::Completion) -> i32 {
            let run = |$ctx: &$crate::uring_bpf::Completion| -> $crate::uring_bpf::Result<i32> { $body };
            $crate::uring_bpf::verdict(run($ctx))
        }
    };
}

/// Defines a policy hook: a closure that gives 0 to allow, a negative errno to refuse.
#[macro_export]
macro_rules! policy {
    ($name:ident, |$ctx:ident| $body:expr) => {
        #[no_mangle]
        #[link_section = "uring/submit"]
        pub extern "C" fn $name($ctx: &$crate::uring_bpf::Submission) -> i32 {
            $body
        }
    };
}

/// The object's licence.
#[macro_export]
macro_rules! license {
    ($text:literal) => {
        #[no_mangle]
        #[link_section = "license"]
        static _license: [u8; $text.len() + 1] = {
            let mut bytes = [0; $text.len() + 1];
            let mut i = 0;
            while i < $text.len() {
                bytes[i] = $text.as_bytes()[i];
                i += 1;
            }
            bytes
        };
    };
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

const _: () = assert!(size_of::<Completion>() == 120);
const _: () = assert!(size_of::<Submission>() == 64 + 4096);
const _: () = assert!(size_of::<Op>() == 64);
const _: () = assert!(size_of::<Piece>() == 16);
