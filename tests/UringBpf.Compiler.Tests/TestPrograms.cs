using System.Collections.Immutable;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler.Tests;

/// <summary>Programs for the compiler's own tests: taken as verified, with facts that promise nothing.</summary>
internal static class TestPrograms
{
    public static VerifiedProgram Trusted(params Instruction[] instructions) => Trusted(instructions, null);

    public static VerifiedProgram Trusted(Instruction[] instructions, Action<InstructionFacts[]>? facts,
        ProgramType? type = null, Termination termination = Termination.Proved, MapSpec[]? maps = null,
        Subprogram[]? subprograms = null, PrototypeTable? functions = null)
    {
        var spec = new ProgramSpec { Name = "test", Type = type ?? ProgramTypes.Raw, Instructions = [.. instructions], Maps = [.. maps ?? []], Functions = functions ?? PrototypeTable.BuiltIn };
        var all = new InstructionFacts[instructions.Length];
        for (var i = 0; i < all.Length; i++)
        {
            all[i] = new InstructionFacts
            {
                Reached = true,
                Map = -1,
                MayJump = true,
                MayFallThrough = true,
                DestinationMax = ulong.MaxValue,
                SourceMax = ulong.MaxValue,
                ConstantKey = -1,
            };
        }
        facts?.Invoke(all);
        return new VerifiedProgram(spec, spec.Type!, 0, [.. subprograms ?? [new Subprogram("test", 0, instructions.Length)]],
            [.. all], termination, termination == Termination.Proved ? 1000 : long.MaxValue, 512, true, 0);
    }

    public static ulong Run(VerifiedProgram program, CompilerOptions options, byte[]? context = null)
    {
        using var compiled = ProgramCompiler.Compile(program, MapSet.Empty, options);
        return compiled.Run(context ?? []);
    }

    public static readonly TheoryData<CompilerOptions> BothOptions = new(CompilerOptions.Straight, CompilerOptions.Default);
}
