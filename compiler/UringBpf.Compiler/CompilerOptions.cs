using UringBpf.Runtime;

namespace UringBpf.Compiler;

/// <summary>When a program is compiled.</summary>
public enum CompilationMode
{
    /// <summary>Before <see cref="ProgramCompiler.Compile"/> returns.</summary>
    Eager,
    /// <summary>In the background: the program runs on the interpreter until its code is ready.</summary>
    Tiered,
    /// <summary>Never: the program runs on the interpreter.</summary>
    InterpreterOnly,
}

/// <summary>
/// What the compiler does beside the straight translation. Every optimisation can be switched off alone, which leaves
/// results as they are and helps to find the one at fault when they differ. Immutable and thread-safe.
/// </summary>
public sealed record CompilerOptions
{
    /// <summary>Everything on, compiled before <see cref="ProgramCompiler.Compile"/> returns.</summary>
    public static CompilerOptions Default { get; } = new();

    /// <summary>Every optimisation off: one instruction after the other, registers in 64-bit locals.</summary>
    public static CompilerOptions Straight { get; } = new()
    {
        SkipDeadCode = false,
        SplitLiveRanges = false,
        NarrowRegisters = false,
        StackSlotsInLocals = false,
        UseDivisorFacts = false,
        InlineSubprograms = false,
        InlineArrayLookups = false,
        DirectMapCalls = false,
        VectorizeLoops = false,
        AvoidBranches = false,
        ThreadJumps = false,
        RepeatLoops = false,
        CopyLoopEnds = false,
        MoveBlocks = false,
        ReassociateSums = false,
    };

    /// <summary>When to compile. Without dynamic code (NativeAOT) it is always <see cref="CompilationMode.InterpreterOnly"/>.</summary>
    public CompilationMode Mode { get; init; } = CompilationMode.Eager;

    /// <summary>The code of helpers and kfuncs; null for the built-in ones.</summary>
    public FunctionRegistry? Functions { get; init; }

    /// <summary>Leaves out instructions and branches that the verifier found unreachable.</summary>
    public bool SkipDeadCode { get; init; } = true;

    /// <summary>Gives each live range of a register a local of its own.</summary>
    public bool SplitLiveRanges { get; init; } = true;

    /// <summary>Keeps live ranges whose upper halves are zero or unread in 32-bit locals, and compares and masks such values at 32 bits.
    /// Needs <see cref="SplitLiveRanges"/>.</summary>
    public bool NarrowRegisters { get; init; } = true;

    /// <summary>Keeps stack slots that are only accessed at constant offsets in locals.</summary>
    public bool StackSlotsInLocals { get; init; } = true;

    /// <summary>Leaves out division checks that the verifier's facts make redundant.</summary>
    public bool UseDivisorFacts { get; init; } = true;

    /// <summary>Emits small subprograms without loops in place of their calls.</summary>
    public bool InlineSubprograms { get; init; } = true;

    /// <summary>Emits lookups in arrays as a comparison and an address.</summary>
    public bool InlineArrayLookups { get; init; } = true;

    /// <summary>Calls the map type's own operations when the map is known.</summary>
    public bool DirectMapCalls { get; init; } = true;

    /// <summary>Runs loops that add up or copy bytes on vectors, where the number of rounds is known when they start.</summary>
    public bool VectorizeLoops { get; init; } = true;

    /// <summary>Writes a jump over a few register operations without a jump, where the condition as a number does it as well.</summary>
    public bool AvoidBranches { get; init; } = true;

    /// <summary>Tests a condition once where a program tests it twice in succession.</summary>
    public bool ThreadJumps { get; init; } = true;

    /// <summary>Writes small loops with branches in them twice, so that every other round goes on without a jump.</summary>
    public bool RepeatLoops { get; init; } = true;

    /// <summary>Writes the end of a loop's rounds at each way through its body that would jump there.</summary>
    public bool CopyLoopEnds { get; init; } = true;

    /// <summary>Writes runs of stores of zero, and of loads that are stored again, as block operations.</summary>
    public bool MoveBlocks { get; init; } = true;

    /// <summary>Adds before it shifts where a hash multiplies by 2^n ± 1 and adds.</summary>
    public bool ReassociateSums { get; init; } = true;

    /// <summary>
    /// Writes the slot of each call, and of each block's last instruction, to <see cref="ExecutionState.Site"/>: a ring's flight
    /// recorder then tells from which source line a hook called and decided. One store each. Default off.
    /// </summary>
    public bool RecordSites { get; init; }

    /// <summary>
    /// BPF instructions per generated method. RyuJIT gives up optimising above about 60,000 IL bytes or 8,000 local
    /// references, so longer functions are cut into regions. 64 to 4,000.
    /// </summary>
    public int RegionInstructions { get; init; } = 1_500;
}
