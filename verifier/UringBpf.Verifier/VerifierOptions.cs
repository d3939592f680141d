using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>How a program is verified. Immutable.</summary>
public sealed record VerifierOptions
{
    private readonly int _contextSize;
    private readonly int _maxSteps = Limits.VerifierSteps;
    private readonly long _maxInstructionsPerRun = Limits.MaxInstructionsPerRun;
    private readonly int _maxMemoryMiB = 256;

    /// <summary>The defaults.</summary>
    public static VerifierOptions Default { get; } = new();

    /// <summary>Bytes of context a run supplies at least, for program types with a flat context; ignored by others. Default 0.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Negative.</exception>
    public int ContextSize
    {
        get => _contextSize;
        init => _contextSize = value >= 0 ? value : throw new ArgumentOutOfRangeException(nameof(value));
    }

    /// <summary>Instruction steps after which verification gives up with UB2901. Default <see cref="Limits.VerifierSteps"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not positive.</exception>
    public int MaxSteps
    {
        get => _maxSteps;
        init => _maxSteps = value > 0 ? value : throw new ArgumentOutOfRangeException(nameof(value));
    }

    /// <summary>Mebibytes of recorded and waiting states after which verification gives up with UB2902 (an estimate). Default 256.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not positive.</exception>
    public int MaxMemoryMiB
    {
        get => _maxMemoryMiB;
        init => _maxMemoryMiB = value > 0 ? value : throw new ArgumentOutOfRangeException(nameof(value));
    }

    /// <summary>The worst-case instruction count up to which termination counts as proved. Default <see cref="Limits.MaxInstructionsPerRun"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not positive.</exception>
    public long MaxInstructionsPerRun
    {
        get => _maxInstructionsPerRun;
        init => _maxInstructionsPerRun = value > 0 ? value : throw new ArgumentOutOfRangeException(nameof(value));
    }

    /// <summary>True to refuse (UB2602) a program whose termination is not proved; else it is accepted as <see cref="Termination.Metered"/>. Default false.</summary>
    public bool RequireTerminationProof { get; init; }

    /// <summary>False to walk every path to its end, without comparing it to those already walked. The verdict is the same
    /// where the step budget suffices; for testing. Default true.</summary>
    public bool Pruning { get; init; } = true;

    /// <summary>False to walk loops round by round instead of generalising over their rounds. The verdict is the same where
    /// the step budget suffices; for testing. Default true.</summary>
    public bool Widening { get; init; } = true;

    /// <summary>Receives the walk: the source line where it changes, and for each step the instruction with the registers and
    /// stack as they are known before it; where a path ends, goes on elsewhere or stands for many. Null for none.</summary>
    public TextWriter? Log { get; init; }

    /// <summary>Ends verification with UB2903.</summary>
    public CancellationToken CancellationToken { get; init; }

    /// <summary>Tests only: the check that is left out, to see that some test notices.</summary>
    internal Rule? DisabledCheck { get; init; }

    /// <summary>Tests only: the same for one place of the source, <c>Walker.Memory.cs:61</c>.</summary>
    internal string? DisabledSite { get; init; }

    /// <summary>Tests only: sees the walk.</summary>
    internal WalkObserver? Observer { get; init; }
}
