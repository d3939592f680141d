using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace UringBpf.Bytecode;

/// <summary>Makes a program of a function: itself, then every subprogram it needs, each once, with everything patched.</summary>
internal sealed class Linker(ObjectFile file, LoadOptions options)
{
    private const byte LoadImmediate64 = 0x18, Call = 0x85, MoveImmediate = 0xb7;

    private int _linkedInObject;

    /// <summary>Links one program.</summary>
    /// <exception cref="BpfException">UB1040 to UB1043 when a limit is passed.</exception>
    public ProgramSpec Link(ObjectFunction program)
    {
        var layout = new Layout(program);
        var instructions = new Instruction[program.Length];
        var length = 0;
        var lines = ImmutableArray.CreateBuilder<LineInfo>();
        // Made when there is something to note.
        ImmutableDictionary<int, string>.Builder? poisoned = null;
        // Patching a function may find further ones: the list grows while we walk it.
        for (var i = 0; i < layout.Functions.Count; i++)
        {
            var function = layout.Functions[i];
            var start = layout.Starts[i];
            CheckSize(program, start + function.Length);
            length = start + function.Length;
            if (length > instructions.Length) Array.Resize(ref instructions, Math.Max(length, instructions.Length * 2));
            var code = file.Elf.Contents(function.Section).Span.Slice(function.Start * Instruction.Size, function.Length * Instruction.Size);
            for (var slot = 0; slot < function.Length; slot++) instructions[start + slot] = MemoryMarshal.Read<Instruction>(code[(slot * Instruction.Size)..]);
            foreach (var line in function.Lines)
                lines.Add(new LineInfo(start + (int)(line.Offset / Instruction.Size) - function.Start, line.File, line.Line, line.Column, line.Text));
            foreach (var fixup in function.Fixups) Patch(instructions, start + fixup.Slot, fixup, layout, ref poisoned);
        }
        _linkedInObject += length;
        if (length < instructions.Length) Array.Resize(ref instructions, length);

        return new ProgramSpec
        {
            Name = program.Name,
            Section = program.Section.Name,
            Type = ProgramTypes.FromSection(program.Section.Name, options.Types),
            Instructions = ImmutableCollectionsMarshal.AsImmutableArray(instructions),
            Maps = [.. layout.Maps],
            Subprograms = [.. layout.Functions.Select((function, i) => new Subprogram(function.Name, layout.Starts[i], function.Length, i > 0 && function.IsGlobal, function.TypeId))],
            Lines = lines.DrainToImmutable(),
            License = file.License,
            OwnInstructions = program.Length,
            Functions = options.Functions,
            Types = file.Btf,
            Poisoned = poisoned?.ToImmutable() ?? ImmutableDictionary<int, string>.Empty,
        };
    }

    private void CheckSize(ObjectFunction program, int instructions)
    {
        if (instructions > Limits.InstructionsPerProgram)
            throw new BpfException("UB1040", $"program '{program.Name}' with its subprograms is larger than {Limits.InstructionsPerProgram} instructions.");
        if (_linkedInObject + instructions > Limits.InstructionsPerObject)
            throw new BpfException("UB1043", $"the object's programs, each with its subprograms, are larger than {Limits.InstructionsPerObject} instructions together.");
    }

    private static void Patch(Instruction[] code, int slot, Fixup fixup, Layout layout, ref ImmutableDictionary<int, string>.Builder? poisoned)
    {
        void Load(WideKind kind, int low, int high)
        {
            code[slot] = new Instruction(LoadImmediate64, code[slot].Destination, (int)kind, 0, low);
            code[slot + 1] = new Instruction(0, immediate: high);
        }

        switch (fixup)
        {
            case Fixup.OfMap map:
                Load(WideKind.MapIndex, layout.IndexOf(map.Map), 0);
                break;
            case Fixup.OfMapValue value:
                Load(WideKind.MapValueIndex, layout.IndexOf(value.Map), value.Offset);
                break;
            case Fixup.OfFunction function:
                Load(WideKind.Function, layout.StartOf(function.Target) - slot - 1, 0);
                break;
            case Fixup.OfNumber number:
                Load(WideKind.Number, (int)number.Value, (int)(number.Value >> 32));
                break;
            case Fixup.OfCall call:
                code[slot] = new Instruction(Call, source: 1, immediate: layout.StartOf(call.Target) - slot - 1);
                break;
            case Fixup.OfKfunc kfunc:
                code[slot] = new Instruction(Call, source: 2, immediate: kfunc.Target.Id);
                break;
            case Fixup.OfPoison poison:
                // A call has no callee: what stands in its place must at least be an instruction.
                if (code[slot].Opcode == Call) code[slot] = new Instruction(MoveImmediate);
                poisoned ??= ImmutableDictionary.CreateBuilder<int, string>();
                poisoned[slot] = poison.Reason;
                break;
        }
    }

    /// <summary>What a program consists of, as far as known.</summary>
    private sealed class Layout
    {
        private readonly ObjectFunction _program;
        private readonly Dictionary<ObjectFunction, int> _starts = [];
        private readonly Dictionary<MapSpec, int> _maps = [];
        private int _end;

        public Layout(ObjectFunction program)
        {
            _program = program;
            StartOf(program);
        }

        public List<ObjectFunction> Functions { get; } = [];
        public List<int> Starts { get; } = [];
        public List<MapSpec> Maps { get; } = [];

        /// <summary>Where a function lies in the program; the first time, it is appended.</summary>
        public int StartOf(ObjectFunction function)
        {
            if (_starts.TryGetValue(function, out var start)) return start;
            if (Functions.Count == Limits.SubprogramsPerProgram)
                throw new BpfException("UB1041", $"program '{_program.Name}' has more than {Limits.SubprogramsPerProgram} functions.");
            start = _end;
            _starts.Add(function, start);
            Functions.Add(function);
            Starts.Add(start);
            // Every function fits an int, and CheckSize stops before the sum of 256 of them could overflow one.
            _end = start + function.Length;
            return start;
        }

        /// <summary>A map's index in the program; the first time, it is appended.</summary>
        public int IndexOf(MapSpec map)
        {
            if (_maps.TryGetValue(map, out var index)) return index;
            if (Maps.Count == Limits.MapsPerProgram)
                throw new BpfException("UB1042", $"program '{_program.Name}' uses more than {Limits.MapsPerProgram} maps.");
            index = Maps.Count;
            _maps.Add(map, index);
            Maps.Add(map);
            return index;
        }
    }
}
