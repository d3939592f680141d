using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>What verification found. Immutable.</summary>
public sealed record VerificationResult
{
    /// <summary>True when the program is safe to run.</summary>
    public bool Accepted => Program is not null;

    /// <summary>The proved program, or null when it was rejected.</summary>
    public VerifiedProgram? Program { get; init; }

    /// <summary>Why not, or null when it was accepted.</summary>
    public Rejection? Rejection { get; init; }

    /// <summary>Instruction steps walked.</summary>
    public required int Processed { get; init; }

    /// <summary>States recorded for comparison.</summary>
    public required int States { get; init; }

    /// <summary>How the program is known to end; null when rejected.</summary>
    public Termination? Termination => Program?.Termination;

    /// <summary>Proved upper bound of instructions executed in one run, or null when there is none.</summary>
    public long? WorstCaseInstructions => Program is { Termination: Bytecode.Termination.Proved } program ? program.WorstCaseInstructions : null;

    /// <summary>Deepest stack over the call chain in bytes; 0 when rejected.</summary>
    public int StackBytes => Program?.StackBytes ?? 0;

    /// <summary>Time taken, in microseconds.</summary>
    public required double Microseconds { get; init; }
}
