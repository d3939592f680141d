using UringBpf.Bytecode;

namespace UringBpf.Fuzz;

/// <summary>Makes a failing program easier to read: instructions that do not matter become jumps to the next one.</summary>
public static class ProgramMinimizer
{
    private static readonly Instruction s_nothing = new(0x05);

    /// <summary>The program with as little left as still fails in the same way.</summary>
    public static GeneratedProgram Minimize(GeneratedProgram program, Func<GeneratedProgram, bool> fails)
    {
        for (var size = program.Spec.Instructions.Length / 2; size > 0; size /= 2)
        {
            for (var at = 0; at < program.Spec.Instructions.Length; at += size)
            {
                var code = program.Spec.Instructions.ToArray();
                var end = Math.Min(code.Length, at + size);
                if (at > 0 && code[at - 1].IsWide || code[end - 1].IsWide && end == code.Length) continue;
                if (code[end - 1].IsWide) end++;
                for (var slot = at; slot < end; slot++) code[slot] = s_nothing;
                if (code.AsSpan().SequenceEqual(program.Spec.Instructions.AsSpan())) continue;
                var smaller = program with { Spec = program.Spec with { Instructions = [.. code] } };
                if (fails(smaller)) program = smaller;
            }
        }
        return program;
    }
}
