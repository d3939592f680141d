using System.Collections.Immutable;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf.Fuzz;

/// <summary>
/// What must hold of every object that loads, however damaged: specs that agree with themselves, the same again from the same bytes;
/// of every program that is accepted, runs without a fault, on all engines alike.
/// </summary>
public static class LoadedObject
{
    private const int ContextBytes = 64, MostMapBytes = 1 << 20;

    private static readonly VerifierOptions s_options = new() { MaxSteps = 20_000, ContextSize = ContextBytes };

    // Their results are the same in every run.
    private static readonly HashSet<string> s_repeatable =
        ["bpf_map_lookup_elem", "bpf_map_update_elem", "bpf_map_delete_elem", "bpf_map_push_elem", "bpf_map_pop_elem", "bpf_map_peek_elem", "bpf_loop", "bpf_tail_call", "bpf_spin_lock", "bpf_spin_unlock"];

    /// <summary>What an object contradicts itself in, or null.</summary>
    public static string? Contradiction(ObjectSpec spec)
    {
        foreach (var map in spec.Maps)
        {
            if (map.KeySize < 0 || map.ValueSize < 0 || map.MaxEntries < 0) return $"map {map.Name}: a size is negative";
            if (map.SpinLockOffset >= 0 && map.SpinLockOffset > map.ValueSize - 4) return $"map {map.Name}: its lock lies outside its values";
            if (!map.InitialValue.IsEmpty && map.InitialValue.Length != map.ValueSize) return $"map {map.Name}: its first value has another size";
            if (map.IsFrozen && (map.Flags & MapFlags.ReadOnlyProgram) == 0) return $"map {map.Name}: frozen, but writable";
            if (map.ValueTypeId >= spec.Types.Types.Length || map.KeyTypeId >= spec.Types.Types.Length) return $"map {map.Name}: a type that does not exist";
        }
        foreach (var global in spec.Globals)
        {
            if (!spec.Maps.Contains(global.Map)) return $"variable {global.Name}: in no map";
            if (global.Offset < 0 || global.Size < 0 || global.Offset > global.Map.ValueSize - global.Size) return $"variable {global.Name}: not in its map";
        }
        return spec.Programs.Select(Contradiction).FirstOrDefault(problem => problem is not null);
    }

    private static string? Contradiction(ProgramSpec program)
    {
        var next = 0;
        foreach (var function in program.Subprograms)
        {
            if (function.Start != next || function.Length < 1) return $"program {program.Name}: function {function.Name} at {function.Start}, not at {next}";
            if ((uint)function.TypeId >= (uint)program.Types.Types.Length) return $"program {program.Name}: function {function.Name} has a type that does not exist";
            next = function.End;
        }
        if (next != program.Instructions.Length) return $"program {program.Name}: its functions end at {next} of {program.Instructions.Length}";
        for (var i = 1; i < program.Lines.Length; i++)
        {
            if (program.Lines[i].Instruction < program.Lines[i - 1].Instruction && program.Subprograms.All(function => function.Start > program.Lines[i].Instruction || function.End <= program.Lines[i].Instruction))
                return $"program {program.Name}: line {i} is of no instruction";
        }
        if (program.Poisoned.Keys.Any(slot => (uint)slot >= (uint)program.Instructions.Length)) return $"program {program.Name}: a note on an instruction that does not exist";
        foreach (var (instruction, slot) in program.Instructions.Select((instruction, slot) => (instruction, slot)))
        {
            if (OpcodeTable.Find(instruction) is { Wide: WideKind.MapIndex or WideKind.MapValueIndex } && (uint)instruction.Immediate >= (uint)program.Maps.Length)
                return $"program {program.Name}: instruction {slot} names map {instruction.Immediate} of {program.Maps.Length}";
        }
        return null;
    }

    /// <summary>True when two loads gave the same.</summary>
    public static bool Same(ObjectSpec a, ObjectSpec b) =>
        a.Programs.Length == b.Programs.Length && a.Maps.Length == b.Maps.Length
        && a.Programs.Zip(b.Programs).All(pair => pair.First.Name == pair.Second.Name && pair.First.Instructions.SequenceEqual(pair.Second.Instructions))
        && a.Maps.Zip(b.Maps).All(pair => pair.First.Name == pair.Second.Name && pair.First.ValueSize == pair.Second.ValueSize && pair.First.InitialValue.SequenceEqual(pair.Second.InitialValue));

    /// <summary>Verifies a program, and runs it when it can be.</summary>
    /// <param name="spec">The object.</param>
    /// <param name="program">One of its programs.</param>
    /// <param name="compile">True to run it on the JIT as well.</param>
    /// <param name="summary">What is counted.</param>
    /// <returns>What went wrong, or null.</returns>
    public static string? Run(ObjectSpec spec, ProgramSpec program, bool compile, ObjectFuzzer.Summary summary)
    {
        var verified = ProgramVerifier.Verify(program, s_options).Program;
        if (verified is null)
        {
            summary.Rejected++;
            return null;
        }
        summary.Accepted++;
        // The others want a context that somebody fills in.
        if (verified.Type != ProgramTypes.Raw || spec.Maps.Sum(map => (double)map.ValueSize * Math.Max(1, map.MaxEntries)) > MostMapBytes) return null;
        var expected = Checked(spec, program, out var fault);
        if (fault is { Code: "UB4011" }) return null;
        if (fault is not null) return $"fault: {fault.Code} at {fault.Instruction}: {fault.Message}";
        summary.Runs++;
        var repeatable = program.Instructions.Select(instruction => OpcodeTable.Find(instruction) is { IsCall: true } row ? program.Functions.Find(row, instruction) : null)
            .All(function => function is null || s_repeatable.Contains(function.Name));
        foreach (var jit in compile ? (bool[])[false, true] : [false])
        {
            using var maps = MapSet.Create(spec.Maps);
            using BpfProgram engine = jit ? ProgramCompiler.Compile(verified, maps) : InterpretedProgram.Create(verified, maps);
            var result = engine.Run(new byte[ContextBytes]);
            if (repeatable && result != expected) return $"{engine.Engine}: r0 is 0x{result:x}, 0x{expected:x} on the checked interpreter";
        }
        return null;
    }

    private static ulong Checked(ObjectSpec spec, ProgramSpec program, out CheckedFault? fault)
    {
        using var maps = MapSet.Create(spec.Maps);
        using var interpreter = new CheckedInterpreter(program, maps) { InstructionBudget = EngineCheck.Budget };
        var run = interpreter.Run(new byte[ContextBytes]);
        fault = run.Fault;
        return run.Result;
    }
}
