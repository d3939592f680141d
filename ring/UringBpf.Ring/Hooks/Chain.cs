using System.Runtime.InteropServices;
using UringBpf.Bytecode;

namespace UringBpf.Ring;

/// <summary>How a chain stands.</summary>
internal enum ChainPhase : byte
{
    Live,
    /// <summary>Its result is fixed; what is in flight has been cancelled and is waited for.</summary>
    Ending,
    /// <summary>Nothing is in flight any more; the files it opened are being closed.</summary>
    Closing,
}

/// <summary>What a chain's completions must see to beyond running the hook.</summary>
[Flags]
internal enum ChainMarks : byte
{
    None = 0,
    /// <summary>The hook asked for a cancel in this step.</summary>
    Cancels = 1,
    /// <summary>The operation submitted last is linked to the next.</summary>
    Links = 2,
    /// <summary>Operations wait for their turn: see <see cref="Chain.Waiting"/>.</summary>
    Waits = 4,
    /// <summary>A provided buffer is shown to the hook: it is recycled when the hook returns, unless it holds it.</summary>
    Provided = 8,
    /// <summary>The hook has released provided buffers that it held.</summary>
    Releases = 16,
}

/// <summary>
/// A chain in native memory: the context its hook sees (scratch included, so nothing is copied between steps) and what it
/// may still do. Owner thread only.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct Chain
{
    public const int MaxOwnFiles = 16;
    public const int JoinCounters = 8;

    /// <summary>First, so that the chain's address is the context's.</summary>
    public UringCompletion Context;
    public ulong Id;

    // From here 64 bytes, one cache line, that every completion reads or writes.
    public HookVersion* Hook;
    /// <summary>The slots of the operations in flight, in no order: memory behind the chain.</summary>
    public int* Operations;
    /// <summary>Operations whose last completion is still to come.</summary>
    public int InFlight;
    public uint Steps;
    /// <summary>Steps at which a completion runs no hook any more: the limit while the chain lives, 0 from its end on.</summary>
    public uint StepLimit;
    public ChainPhase Phase;
    /// <summary>What is to be looked at when the hook has returned.</summary>
    public ChainMarks Marks;
    /// <summary>Which program runs: what it submits inherits it. 0 between completions.</summary>
    public ushort Running;

    public ulong Bytes;
    /// <summary>Bytes that transfers in flight may still move.</summary>
    public ulong Reserved;
    /// <summary>Buffers of this chain alone, in one block.</summary>
    public byte* Memory;
    /// <summary>Provided buffers it holds, or has given back while operations of its own work on them.</summary>
    public int Held;
    /// <summary>Operations in flight that drain: what was submitted after them waits.</summary>
    public int Draining;

    /// <summary>True while it lives, its own program runs, nothing is marked, held or drained: what it submits goes out at once.</summary>
    // Phase, marks and program lie together, and what it holds and drains.
    public static bool IsPlain(Chain* chain) => *(uint*)&chain->Phase == 0 && *(ulong*)&chain->Held == 0;

    /// <summary>Neighbours in the list of the hook's live chains.</summary>
    public Chain* Previous, Next;
    /// <summary>Operations in flight that work on provided buffers.</summary>
    public int Occupying;
    public int Result;
    public int Verdict;
    /// <summary>Index of the host's waiting object.</summary>
    public int Host;
    /// <summary>Ring file slot of each of the chain's own file slots, or -1.</summary>
    public fixed int Files[MaxOwnFiles];
    /// <summary>Bit i: own file i is open.</summary>
    public uint OpenFiles;
    /// <summary>Bit i: own file i is being opened or closed.</summary>
    public uint BusyFiles;
    public fixed uint Counters[JoinCounters];
    /// <summary>With <see cref="ChainMarks.Links"/>: the operation whose successor comes next.</summary>
    public int LinkTail;
    /// <summary>First and last of the operations that wait, each with what is linked to it, for a drain; -1 without one.</summary>
    public int FirstWaiting, LastWaiting;
    /// <summary>Operations that wait for a drain, those linked to them included.</summary>
    public int Waiting;
    /// <summary>With <see cref="ChainMarks.Provided"/>: the buffer's id, and whether the hook has asked to hold it.</summary>
    public int ProvidedId;
    public bool Holds;
}

/// <summary>A buffer granted to a hook.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct GrantedBuffer
{
    public byte* Address;
    public ulong Length;
    public bool Writable;
}

/// <summary>A socket address granted to a hook.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct GrantedAddress
{
    public byte* Bytes;
    public uint Length;
    public ushort Family;
}

/// <summary>What a path or directory grant allows.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct GrantedPath
{
    /// <summary>NUL-terminated bytes, for a path.</summary>
    public byte* Text;
    /// <summary>The directory's descriptor, for a directory.</summary>
    public int Fd;
    public bool Writable;
}

/// <summary>
/// One program of an attachment with its grants and limits, in native memory. A chain keeps the version it started with;
/// it is freed when its attachment has gone on and no chain uses it.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct HookVersion
{
    /// <summary>First, so that the version's address is its own program's.</summary>
    public HookProgram Program;
    /// <summary>GCHandle of the <see cref="HookLink"/>.</summary>
    public nint Link;
    /// <summary>Programs that a submission may name; memory behind the version.</summary>
    public HookProgram* Named;
    public int NamedCount;
    public int References;
    public uint MaxSteps;
    public int MaxInFlight;
    public ulong MaxBytes;
    public ulong AllowedOperations;

    // What plain transfers look at: see HookCalls.Plain.
    /// <summary>Those among read, write, receive and send that it may submit and the back end has.</summary>
    public ulong PlainTransfers;
    /// <summary>Ring file slots of the granted files.</summary>
    public int* Files;
    public GrantedBuffer* Buffers;
    public int FileCount;
    public uint BufferCount;
    public uint OwnBuffers;
    public uint OwnBufferBytes;

    /// <summary>0: its own program; n: the n-th that can be named.</summary>
    public static HookProgram* ProgramAt(HookVersion* version, int index) => index == 0 ? &version->Program : version->Named + (index - 1);
}

/// <summary>What is needed to run a program.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct HookProgram
{
    public delegate*<nint, byte*, ulong, Runtime.ExecutionState*, ulong> Entry;
    public nint Self;
    public Runtime.RunStart Start;
    /// <summary>Its number in the flight recorder.</summary>
    public ushort TraceProgram;
    /// <summary>Instructions that a run may use up, where they are counted; 0 for a program that was proved to end.</summary>
    public long Meter;
    /// <summary>GCHandle of the program, which must outlive its last chain.</summary>
    public nint Handle;
}

/// <summary>Verdicts of a completion hook (uring_bpf.h). A negative verdict is an errno.</summary>
public static class Verdict
{
    /// <summary>Hand this completion to the host and end the chain.</summary>
    public const int Pass = 0;
    /// <summary>Swallow this completion; the chain lives on in what is in flight.</summary>
    public const int Continue = 1;
}

/// <summary>How a chain ended.</summary>
/// <param name="Chain">The chain's number, from 1 in each ring.</param>
/// <param name="Result">The result of the completion that was passed on, or the errno, negative, that ended the chain.</param>
/// <param name="Verdict">The last verdict: <see cref="UringBpf.Ring.Verdict.Pass"/> or a negative errno.</param>
/// <param name="Steps">Completions its hook saw.</param>
/// <param name="Bytes">Bytes its reads, writes, sends and receives moved.</param>
public readonly record struct ChainResult(ulong Chain, int Result, int Verdict, uint Steps, ulong Bytes);

/// <summary>An extra completion that a hook handed to the host with uring_emit.</summary>
/// <param name="Chain">The chain's number.</param>
/// <param name="Step">The step in which it was emitted.</param>
/// <param name="UserData">What the hook gave.</param>
/// <param name="Value">What the hook gave.</param>
public readonly record struct Emission(ulong Chain, uint Step, ulong UserData, ulong Value)
{
    private readonly int _file;

    /// <summary>A file that the hook handed over (uring_handover): its slot in the ring's file table, the host's from now on; for
    /// <see cref="Ring.InstallAsync"/>, <see cref="Ring.CloseDirectAsync"/> and entries with <see cref="SqeFlags.FixedFile"/>. Else -1.
    /// UserData is then the chain's slot, Value the result of the completion.</summary>
    public int File
    {
        get => _file - 1;
        init => _file = value + 1;
    }
}

/// <summary>What a chain may use. Exceeding one gives the hook an errno, or ends the chain.</summary>
public sealed record ChainLimits
{
    /// <summary>Completions a chain may see before it is ended with -EDQUOT. Default 1,048,576.</summary>
    public uint MaxSteps { get; init; } = 1_048_576;
    /// <summary>Operations a chain may have in flight; a submit beyond gives -EBUSY. At least 1, default 64.</summary>
    public int MaxInFlight { get; init; } = 64;
    /// <summary>Bytes a chain may read, write, send and receive. What is asked for counts while it is in flight, what was moved
    /// counts for good; a submit beyond gives -EDQUOT. Default unlimited.</summary>
    public ulong MaxBytes { get; init; } = ulong.MaxValue;
    /// <summary>File slots of its own that each chain can open files into, numbered after the granted files. 0..16, default 4. They are
    /// taken from the ring's file table when something is opened; -EMFILE where the attachment's chains have their share of it: as many as they leave free.</summary>
    public int OwnFiles { get; init; } = 4;
    /// <summary>Buffers of its own that each chain has, numbered after the granted buffers. 0..4096, default 0.</summary>
    public int OwnBuffers { get; init; }
    /// <summary>Bytes of each own buffer; those of a chain take at most 2 GiB together. They lie one after the other; the first begins at a multiple of
    /// their size, rounded up to a power of two, or of 4096 where that is less. Default 65,536.</summary>
    public int OwnBufferBytes { get; init; } = 65_536;
    /// <summary>Chains that messages have started and that have not ended: further messages wait, and so many more are refused (-ENOSPC).
    /// 1..1,048,576, default 64.</summary>
    public int MaxMessageChains { get; init; } = 64;

    internal void Validate()
    {
        if (OwnFiles is < 0 or > Chain.MaxOwnFiles) throw new BpfException("UB4511", $"OwnFiles is {OwnFiles}: a chain has 0 to {Chain.MaxOwnFiles} file slots of its own.");
        if (OwnBuffers is < 0 or > 4096 || OwnBufferBytes < 0 || (long)OwnBuffers * OwnBufferBytes > 1L << 31)
            throw new BpfException("UB4511", $"{OwnBuffers} own buffers of {OwnBufferBytes} bytes: at most 4,096 buffers and 2 GiB for each chain.");
        if (MaxMessageChains is < 1 or > 1 << 20) throw new BpfException("UB4511", $"MaxMessageChains is {MaxMessageChains}: 1 to {1 << 20}.");
        if (MaxInFlight < 1) throw new BpfException("UB4511", $"MaxInFlight is {MaxInFlight}: a chain needs at least one operation.");
    }
}
