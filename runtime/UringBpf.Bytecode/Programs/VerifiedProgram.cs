using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>How the verifier knows that a program ends.</summary>
public enum Termination : byte
{
    /// <summary>A static worst-case instruction count was found, within <see cref="Limits.MaxInstructionsPerRun"/>.</summary>
    Proved,
    /// <summary>Not proved: engines charge back edges, calls and callbacks against a budget.</summary>
    Metered,
}

/// <summary>What an address register points to, on every path that reaches the instruction.</summary>
public enum RegionKind : byte
{
    /// <summary>Not a memory access, or different kinds on different paths.</summary>
    Unknown,
    /// <summary>The context struct.</summary>
    Context,
    /// <summary>The frame's own stack.</summary>
    Stack,
    /// <summary>A caller's stack.</summary>
    OuterStack,
    /// <summary>A value of one map (<see cref="InstructionFacts.Map"/>).</summary>
    MapValue,
    /// <summary>The buffer or packet between data and data_end.</summary>
    Buffer,
    /// <summary>Other memory: flat context, kfunc memory, ring-buffer record.</summary>
    Memory,
}

/// <summary>
/// What holds at one instruction on every path the verifier walked: what the compiler may rely on. The default value
/// promises nothing but that the instruction was not reached.
/// </summary>
public struct InstructionFacts
{
    /// <summary>False for dead code: no path reaches it.</summary>
    public bool Reached;
    /// <summary>For memory accesses: what the address register points to.</summary>
    public RegionKind Region;
    /// <summary>The one map involved (memory access to its value, or map argument of a call) as index into <see cref="ProgramSpec.Maps"/>, or -1.</summary>
    public int Map;
    /// <summary>For memory accesses: lowest byte offset, displacement included, from the region's start (from the frame top, so negative, on the stack).</summary>
    public long OffsetMin;
    /// <summary>Highest such offset.</summary>
    public long OffsetMax;
    /// <summary>Unsigned bounds of the destination register before the instruction, when it is a number on every path; else 0..max.</summary>
    public ulong DestinationMin;
    /// <summary>See <see cref="DestinationMin"/>.</summary>
    public ulong DestinationMax;
    /// <summary>Unsigned bounds of the source register before the instruction, when it is a number on every path; else 0..max.</summary>
    public ulong SourceMin;
    /// <summary>See <see cref="SourceMin"/>.</summary>
    public ulong SourceMax;
    /// <summary>For divisions: the divisor, at the operation's width, is never zero.</summary>
    public bool DivisorNonZero;
    /// <summary>For signed divisions: never MIN / -1.</summary>
    public bool NoDivideOverflow;
    /// <summary>For conditional jumps: taken on some path.</summary>
    public bool MayJump;
    /// <summary>For conditional jumps: not taken on some path.</summary>
    public bool MayFallThrough;
    /// <summary>Upper 32 bits of the destination register are not read before they are written again: a 32-bit operation need not zero-extend.</summary>
    public bool UpperHalfDead;
    /// <summary>For calls with a constant key to an array map: the key is this number and in range, else -1.</summary>
    public long ConstantKey;
}

/// <summary>
/// A program that the verifier proved safe. Only the verifier can make one, so engines that run without checks demand
/// this type. Immutable and thread-safe.
/// </summary>
public sealed class VerifiedProgram
{
    internal VerifiedProgram(ProgramSpec spec, ProgramType type, int contextSize, ImmutableArray<Subprogram> subprograms,
        ImmutableArray<InstructionFacts> facts, Termination termination, long worstCaseInstructions, int stackBytes,
        bool writesBuffers, int processed)
    {
        Spec = spec;
        Type = type;
        ContextSize = contextSize;
        Subprograms = subprograms;
        Facts = facts;
        Termination = termination;
        WorstCaseInstructions = worstCaseInstructions;
        StackBytes = stackBytes;
        WritesBuffers = writesBuffers;
        Processed = processed;
        CallCosts = termination == Termination.Metered ? [.. subprograms.Select(function => CallCost.Of(spec.Instructions, function))] : [];
    }

    /// <summary>The program.</summary>
    public ProgramSpec Spec { get; }
    /// <summary>The type it was verified as.</summary>
    public ProgramType Type { get; }
    /// <summary>Bytes of context it was verified for; a run must supply at least these.</summary>
    public int ContextSize { get; }
    /// <summary>Its functions, the main one first, without gaps: every slot belongs to one.</summary>
    public ImmutableArray<Subprogram> Subprograms { get; }
    /// <summary>One entry per slot.</summary>
    public ImmutableArray<InstructionFacts> Facts { get; }
    /// <summary>How it is known to end.</summary>
    public Termination Termination { get; }
    /// <summary>Proved upper bound of instructions executed in one run; <see cref="long.MaxValue"/> when metered.</summary>
    public long WorstCaseInstructions { get; }
    /// <summary>Of a metered program, what a run pays when it enters each of <see cref="Subprograms"/>, by a call or as a callback, in
    /// instructions: jumps backwards within it, and what it calls, are paid for apart. Empty when the end is proved.</summary>
    public ImmutableArray<int> CallCosts { get; }
    /// <summary>Deepest stack over the call chain, in bytes.</summary>
    public int StackBytes { get; }
    /// <summary>True when it may write to the completion's data or to memory from uring_buffer: attaching it with read-only buffers is refused.</summary>
    public bool WritesBuffers { get; }
    /// <summary>Instruction steps the verifier took.</summary>
    public int Processed { get; }
}
