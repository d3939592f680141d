namespace UringBpf.Bytecode;

/// <summary>The engine's limits. Each has a test at the limit and one past it.</summary>
public static class Limits
{
    /// <summary>Stack bytes per frame.</summary>
    public const int StackBytesPerFrame = 512;
    /// <summary>Frames of BPF-to-BPF calls, the main program included.</summary>
    public const int Frames = 8;
    /// <summary>Tail calls in one run.</summary>
    public const int TailCalls = 33;
    /// <summary>Instruction steps the verifier walks before it gives up.</summary>
    public const int VerifierSteps = 1_000_000;
    /// <summary>Maps one program may reference.</summary>
    public const int MapsPerProgram = 64;
    /// <summary>Subprograms in one program, the main one included.</summary>
    public const int SubprogramsPerProgram = 256;
    /// <summary>Slots in one program after linking.</summary>
    public const int InstructionsPerProgram = 1_000_000;
    /// <summary>Slots in all programs of one object after linking: subprograms count in every program that uses them.</summary>
    public const int InstructionsPerObject = 2_000_000;
    /// <summary>Default of the worst-case instruction count up to which a program counts as proved, and the default budget of a metered run.</summary>
    public const long MaxInstructionsPerRun = 4_194_304;
    /// <summary>Rounds of bpf_loop, and at most of may_goto, in one run.</summary>
    public const int LoopRounds = 8_388_608;
    /// <summary>A run has one round of may_goto for so many instructions of its budget, so that loops of that length leave by
    /// themselves before the budget ends the run.</summary>
    public const int InstructionsPerMayGoto = 32;
    /// <summary>The lowest value a verdict or status may have: -MAX_ERRNO.</summary>
    public const int MinErrno = -4095;
    /// <summary>Bytes of a path that a policy hook is shown, the NUL included: PATH_MAX.</summary>
    public const int PathBytes = 4096;
}
