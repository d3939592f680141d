using System.Diagnostics;
using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>
/// Proves that a program is safe to run, or says why not: memory safety, no leaked addresses, no leaked resources, an end.
/// Pure: the same program and options give the same answer. Thread-safe.
/// </summary>
public static class ProgramVerifier
{
    /// <summary>Verifies a program.</summary>
    /// <param name="spec">The program; its <see cref="ProgramSpec.Type"/> says what it may do.</param>
    /// <param name="options">Limits and context size; null for <see cref="VerifierOptions.Default"/>.</param>
    public static VerificationResult Verify(ProgramSpec spec, VerifierOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(spec);
        options ??= VerifierOptions.Default;
        var started = Stopwatch.GetTimestamp();
        using var session = new Session(spec, options);
        VerifiedProgram? program = null;
        Rejection? rejection = null;
        try
        {
            program = session.Run();
        }
        catch (RejectedException rejected)
        {
            rejection = session.Explain(rejected.Rejection);
        }
        return new VerificationResult
        {
            Program = program,
            Rejection = rejection,
            Processed = session.Processed,
            States = session.States,
            Microseconds = Stopwatch.GetElapsedTime(started).TotalMicroseconds,
        };
    }

    /// <summary>Verifies a program that must be accepted.</summary>
    /// <param name="spec">The program.</param>
    /// <param name="options">Limits and context size; null for <see cref="VerifierOptions.Default"/>.</param>
    /// <exception cref="BpfException">UB2xxx: the program is rejected. The message is the whole explanation.</exception>
    public static VerifiedProgram VerifyOrThrow(ProgramSpec spec, VerifierOptions? options = null)
    {
        var result = Verify(spec, options);
        if (result.Program is { } program) return program;
        var rejection = result.Rejection!;
        throw new BpfException(rejection.Code, $"program '{spec.Name}': {rejection.Describe()}", rejection.Instruction);
    }
}
