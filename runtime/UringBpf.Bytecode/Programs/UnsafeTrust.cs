using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>
/// UNSAFE: takes programs as verified that nobody verified. The engines that demand a <see cref="VerifiedProgram"/>
/// check nothing, so a program made this way reads and writes any memory of the process it can compute an address of.
/// Only for measuring conformance (<c>uringbpf plugin</c>, the conformance corpus), with bytecode you wrote or trust.
/// </summary>
internal static class UnsafeTrust
{
    /// <summary>Takes a well-formed program as verified, with facts that promise nothing. It runs metered.</summary>
    /// <param name="program">The program; a raw one when it has no type.</param>
    /// <param name="contextSize">Bytes of context a run supplies at least.</param>
    /// <exception cref="BpfException">UB1102 to UB1111: malformed, recursive, or with calls nested deeper than <see cref="Limits.Frames"/>.</exception>
    public static VerifiedProgram Verified(ProgramSpec program, int contextSize = 0)
    {
        var functions = BytecodeChecker.Check(program);
        CheckCallDepth(program, functions);
        var nothing = new InstructionFacts
        {
            Reached = true,
            Map = -1,
            OffsetMin = long.MinValue,
            OffsetMax = long.MaxValue,
            DestinationMax = ulong.MaxValue,
            SourceMax = ulong.MaxValue,
            MayJump = true,
            MayFallThrough = true,
            ConstantKey = -1,
        };
        return new VerifiedProgram(program, program.Type ?? ProgramTypes.Raw, contextSize, functions,
            [.. Enumerable.Repeat(nothing, program.Instructions.Length)], Termination.Metered, long.MaxValue,
            Limits.Frames * Limits.StackBytesPerFrame, writesBuffers: true, processed: 0);
    }

    // The engines' stacks have room for so many frames, and nothing else stops a recursion.
    private static void CheckCallDepth(ProgramSpec program, ImmutableArray<Subprogram> functions)
    {
        var starts = functions.Select(function => function.Start).ToArray();
        var depths = new int[functions.Length];
        Depth(0, 1);

        int Depth(int index, int depth)
        {
            if (depth > Limits.Frames)
                throw new BpfException("UB1111", $"{program.Name}: calls are nested deeper than {Limits.Frames} frames, or recursive.", starts[index]);
            if (depths[index] > 0)
            {
                if (depth + depths[index] - 1 > Limits.Frames)
                    throw new BpfException("UB1111", $"{program.Name}: calls are nested deeper than {Limits.Frames} frames.", starts[index]);
                return depths[index];
            }
            var deepest = 1;
            for (var slot = starts[index]; slot < functions[index].End; slot++)
            {
                var instruction = program.Instructions[slot];
                if (OpcodeTable.Find(instruction) is not { } row) continue;
                if (row.Operation == Operation.CallSubprogram || row.Wide == WideKind.Function)
                    deepest = Math.Max(deepest, 1 + Depth(Array.BinarySearch(starts, slot + 1 + instruction.Immediate), depth + 1));
                slot += row.Slots - 1;
            }
            return depths[index] = deepest;
        }
    }
}
