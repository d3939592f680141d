using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Verifier.Tests;

/// <summary>The verdict on what compilers emit does not depend on pruning and widening: every program of every object in the repository.</summary>
public sealed class CommittedObjectTests(ITestOutputHelper output)
{
    // Where these do not suffice without pruning, nothing is compared.
    private const int Steps = 60_000;

    /// <inheritdoc/>
    [Fact]
    public void Pruning_and_widening_do_not_change_the_verdict()
    {
        var (compared, undecided) = (0, 0);
        foreach (var file in Directory.EnumerateFiles(Repository.Root, "*.bpf.o", SearchOption.AllDirectories).Where(file => !file.Split('/').Any(part => part is "bin" or "obj")).Order(StringComparer.Ordinal))
        {
            ObjectSpec spec;
            try
            {
                spec = ObjectSpec.Load(File.ReadAllBytes(file), file);
            }
            catch (BpfException)
            {
                // Objects that a test wants refused.
                continue;
            }
            foreach (var program in spec.Programs.Where(program => program.Type is not null))
            {
                var options = new VerifierOptions { ContextSize = 4096, MaxSteps = Steps };
                var expected = ProgramVerifier.Verify(program, options);
                foreach (var (pruning, widening) in new[] { (false, false), (true, false) })
                {
                    var result = ProgramVerifier.Verify(program, options with { Pruning = pruning, Widening = widening });
                    if (IsUndecided(expected) || IsUndecided(result))
                    {
                        undecided++;
                        continue;
                    }
                    compared++;
                    Assert.Equal($"{file} {program.Name}: {expected.Rejection?.Code} at {expected.Rejection?.Instruction}", $"{file} {program.Name}: {result.Rejection?.Code} at {result.Rejection?.Instruction}");
                }
            }
        }
        output.WriteLine($"{compared} verdicts compared, {undecided} undecided within {Steps} steps");
        Assert.True(compared > 4 * undecided, $"{compared} verdicts compared, {undecided} undecided");
    }

    // Or about a loop: one that only widening counts is not proved to end without it.
    private static bool IsUndecided(VerificationResult result) => result.Rejection is { Code: "UB2601" or "UB2603" or "UB2901" or "UB2902" };
}
