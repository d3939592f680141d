using System.Collections.Immutable;
using static UringBpf.Bytecode.ArgumentKind;

namespace UringBpf.Bytecode;

/// <summary>
/// The built-in kfuncs: what a completion hook can ask of the ring. Objects name them by symbol; headerless bytecode by
/// the numbers here, which never change. Statuses are 0 or -errno.
/// </summary>
public static class KfuncPrototypes
{
    private static readonly Argument s_context = new Argument("ctx", Context);

    private static FunctionPrototype Status(int id, string name, string summary, params Argument[] arguments) => new()
    {
        Id = id,
        Name = name,
        Kind = FunctionKind.Kfunc,
        Arguments = [s_context, .. arguments],
        ReturnMin = Limits.MinErrno,
        ReturnMax = 0,
        Traits = FunctionTraits.NeedsRing,
        ContextStruct = "uring_completion",
        Summary = summary,
    };

    /// <summary>int uring_submit(ctx, op, size)</summary>
    public static FunctionPrototype Submit { get; } = Status(1, "uring_submit",
        "Queues an operation of this chain.", new Argument("op", ReadMemory), new Argument("size", Size));

    /// <summary>int uring_cancel(ctx, user_data)</summary>
    public static FunctionPrototype Cancel { get; } = Status(2, "uring_cancel",
        "Cancels this chain's operations in flight with that user_data.", new Argument("user_data", Scalar));

    /// <summary>int uring_emit(ctx, user_data, value)</summary>
    public static FunctionPrototype Emit { get; } = Status(3, "uring_emit",
        "Hands an extra completion to the host.", new Argument("user_data", Scalar), new Argument("value", Scalar));

    /// <summary>void *uring_buffer(ctx, index, offset, size)</summary>
    public static FunctionPrototype Buffer { get; } = Status(4, "uring_buffer",
        "Memory of a granted buffer, valid until the hook returns, or NULL.",
        new Argument("index", Scalar), new Argument("offset", Scalar), new Argument("size", AllocationSize)) with
    { Returns = ReturnKind.MemoryOrNull };

    /// <summary>int uring_hold_buffer(ctx)</summary>
    public static FunctionPrototype HoldBuffer { get; } = Status(5, "uring_hold_buffer",
        "Keeps the provided buffer of this completion until the chain ends or releases it.");

    /// <summary>int uring_timeout(ctx, nanoseconds, user_data)</summary>
    public static FunctionPrototype Timeout { get; } = Status(6, "uring_timeout",
        "Queues a timer that completes with -ETIME.", new Argument("nanoseconds", Scalar), new Argument("user_data", Scalar));

    /// <summary>u32 uring_crc32c(ctx, offset, len)</summary>
    public static FunctionPrototype Crc32c { get; } = Status(7, "uring_crc32c",
        "CRC-32C of len bytes at offset of this completion's data; bytes past its end are left out.",
        new Argument("offset", Scalar), new Argument("len", Scalar)) with
    { ReturnMin = 0, ReturnMax = uint.MaxValue };

    /// <summary>u32 uring_crc32c_update(ctx, crc, offset, len)</summary>
    public static FunctionPrototype Crc32cUpdate { get; } = Status(8, "uring_crc32c_update",
        "Continues the CRC-32C crc over len bytes at offset of this completion's data.",
        new Argument("crc", Scalar), new Argument("offset", Scalar), new Argument("len", Scalar)) with
    { ReturnMin = 0, ReturnMax = uint.MaxValue };

    /// <summary>int uring_handover(ctx, slot)</summary>
    public static FunctionPrototype Handover { get; } = Status(9, "uring_handover",
        "Gives a file that this chain opened to the host, which hears of it by an emission; the slot is empty again.", new Argument("slot", Scalar));

    /// <summary>int uring_release_buffer(ctx, buffer)</summary>
    public static FunctionPrototype ReleaseBuffer { get; } = Status(10, "uring_release_buffer",
        "Recycles a held provided buffer.", new Argument("buffer", Scalar));

    /// <summary>int uring_fork(ctx, counter, count)</summary>
    public static FunctionPrototype Fork { get; } = Status(11, "uring_fork",
        "Adds count to one of this chain's join counters.", new Argument("counter", Scalar), new Argument("count", Scalar));

    /// <summary>int uring_join(ctx, counter)</summary>
    public static FunctionPrototype Join { get; } = Status(12, "uring_join",
        "Takes one from a join counter and gives what is left, or -errno.", new Argument("counter", Scalar)) with
    { ReturnMax = int.MaxValue };

    /// <summary>int uring_message(ctx, target, user_data, value)</summary>
    public static FunctionPrototype Message { get; } = Status(13, "uring_message",
        "Starts a chain of a granted hook, of this ring or another: its first completion has opcode MSG_RING and this user_data, its scratch begins with value.",
        new Argument("target", Scalar), new Argument("user_data", Scalar), new Argument("value", Scalar));

    /// <summary>int uring_cancel_file(ctx, slot)</summary>
    public static FunctionPrototype CancelFile { get; } = Status(14, "uring_cancel_file",
        "Cancels this chain's operations in flight on a file slot.", new Argument("slot", Scalar));

    /// <summary>int uring_cancel_all(ctx)</summary>
    public static FunctionPrototype CancelAll { get; } = Status(15, "uring_cancel_all",
        "Cancels everything this chain has in flight, and goes on.");

    private static FunctionPrototype Iterate(int id, string name, ReturnKind returns, string summary, params Argument[] arguments) =>
        new() { Id = id, Name = name, Kind = FunctionKind.Kfunc, Returns = returns, Arguments = [.. arguments], Summary = summary };

    /// <summary>int bpf_iter_num_new(it, start, end)</summary>
    public static FunctionPrototype IteratorNew { get; } = Iterate(101, "bpf_iter_num_new", ReturnKind.Scalar,
        "Starts an iterator over the numbers start..end-1; 0, -EINVAL when start > end, -E2BIG past 8,388,608 of them. It must be destroyed either way.",
        new Argument("it", ArgumentKind.IteratorNew), new Argument("start", Scalar), new Argument("end", Scalar)) with
    { ReturnMin = Limits.MinErrno, ReturnMax = 0 };

    /// <summary>int *bpf_iter_num_next(it)</summary>
    public static FunctionPrototype IteratorNext { get; } = Iterate(102, "bpf_iter_num_next", ReturnKind.IteratorValueOrNull,
        "Steps to the next number: a pointer to it, or NULL at the end.", new Argument("it", Iterator));

    /// <summary>void bpf_iter_num_destroy(it)</summary>
    public static FunctionPrototype IteratorDestroy { get; } = Iterate(103, "bpf_iter_num_destroy", ReturnKind.Void,
        "Ends an iterator.", new Argument("it", ArgumentKind.IteratorDestroy));

    /// <summary>Every built-in kfunc.</summary>
    public static ImmutableArray<FunctionPrototype> All { get; } =
        [
            Submit, Cancel, Emit, Buffer, HoldBuffer, Timeout, Crc32c, Crc32cUpdate, Handover, ReleaseBuffer, Fork, Join, Message, CancelFile, CancelAll,
            IteratorNew, IteratorNext, IteratorDestroy,
        ];
}
