using System.Runtime.InteropServices;

namespace UringBpf.Ring;

/// <summary>What an event tells.</summary>
internal enum TraceKind : byte
{
    /// <summary>A chain began: <see cref="TraceEvent.Program"/>.</summary>
    ChainStart,
    /// <summary>An operation was queued: A offset, B length and (upper half) buffer, C user_data, Result file slot.</summary>
    Submit,
    /// <summary>A cancel request was queued for an operation.</summary>
    Cancel,
    /// <summary>A completion came: Result, A cqe flags.</summary>
    Complete,
    /// <summary>A completion hook ran: Result verdict, A step, Duration.</summary>
    Hook,
    /// <summary>A hook called a kfunc: Code its number, A, B, C arguments after the context, Result.</summary>
    Call,
    /// <summary>A chain's result was fixed: Result, A verdict. What is in flight is cancelled.</summary>
    ChainEnding,
    /// <summary>Nothing of a chain is in flight any more: Result, A verdict, B steps, C bytes.</summary>
    ChainEnd,
    /// <summary>A policy judged an operation: Code its opcode, A its file slot and (upper half) length, B the policy's program, C offset, Result verdict.</summary>
    Policy,
    /// <summary>A path of the operation queued just before.</summary>
    Path,
}

/// <summary>One event of the flight recorder: 64 bytes, a cache line.</summary>
[StructLayout(LayoutKind.Sequential, Size = 64)]
internal struct TraceEvent
{
    /// <summary>System.Diagnostics.Stopwatch ticks; one stamp for all events of a batch of completions.</summary>
    public long Time;
    /// <summary>The chain, 0 for the host's own operations.</summary>
    public ulong Chain;
    /// <summary>Which operation: slot and generation.</summary>
    public ulong Tag;
    public ulong A, B, C;
    public int Result;
    /// <summary>Slot of the BPF instruction, or -1 when it is not known.</summary>
    public int Site;
    /// <summary>Nanoseconds, 0 when durations are not recorded.</summary>
    public uint Duration;
    /// <summary>Index in the recorder's list of programs.</summary>
    public ushort Program;
    public TraceKind Kind;
    /// <summary>IORING_OP_*, or a kfunc's number; of a path how many bytes of it there are, and <see cref="PathIsCut"/>.</summary>
    public byte Code;

    /// <summary>Bytes of a path that an event holds, in place of A to Duration.</summary>
    public const int PathBytes = 36;
    /// <summary>In Code: there is more before these.</summary>
    public const byte PathIsCut = 128;

    /// <summary>Where they begin.</summary>
    public const int PathOffset = 24;
}
