using System.Collections.Immutable;
using System.Reflection;
using System.Runtime.InteropServices;
using UringBpf.Bytecode;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf;

/// <summary>
/// Tries inputs on the checked interpreter until it faults where the verifier said. Inputs are made from the numbers that the
/// program compares with, and their neighbours: that is where checks are off by one. The same program gives the same witness.
/// </summary>
internal sealed unsafe class WitnessSearch(ProgramSpec program, Rejection rejection, BpfEngineOptions options)
{
    private const long InstructionsPerRun = 1 << 16, InstructionsInAll = 1 << 22;
    private const int LargestInput = 1 << 16, MaxNumbers = 60;

    // What the program prints while it is tried is nobody's business.
    private static readonly FunctionRegistry s_silent = new(FunctionRegistry.BuiltIn.Prototypes.All.Select(Silence));

    private readonly ContextLayout _layout = (program.Type ?? ProgramTypes.Raw).Context;
    private readonly Random _random = new(1);
    private readonly ulong[] _numbers = [.. Numbers(program)];
    private long _instructionsLeft = InstructionsInAll;

    private bool HasData => program.Type is { HasPacket: true } || _layout.Fields.Any(part => part.Kind == ContextFieldKind.BufferStart);

    public Witness? Run()
    {
        // A host's own functions may do anything: a program that was rejected does not get to call them.
        if (rejection.Instruction < 0 || !CallsBuiltInFunctionsOnly() || options.Verifier.ContextSize > LargestInput) return null;
        try
        {
            using var maps = MapSet.Create(program.Maps);
            using var interpreter = new CheckedInterpreter(program, maps, s_silent) { InstructionBudget = InstructionsPerRun };
            for (var run = 0; run < options.WitnessRuns && _instructionsLeft > 0; run++)
            {
                var (context, data) = Candidate(run);
                if (Faults(interpreter, context, data) is { } fault) return Simplify(interpreter, context, data, fault);
            }
        }
        catch (BpfException)
        {
            // Maps that can't be made (UB41xx), no execution slot free (UB4003): then there is no run, and no witness.
        }
        return null;
    }

    // Zeroes, all ones, then numbers of the program's own.
    private (byte[] Context, byte[] Data) Candidate(int run)
    {
        var context = new byte[_layout.IsFlat ? options.Verifier.ContextSize : _layout.HostSize];
        var data = new byte[HasData ? DataLength(run) : 0];
        if (run > 1)
        {
            Fill(data, run);
            if (_layout.IsFlat) Fill(context, run);
        }
        else if (run == 1)
        {
            data.AsSpan().Fill(0xFF);
            if (_layout.IsFlat) context.AsSpan().Fill(0xFF);
        }
        foreach (var field in _layout.Fields)
        {
            var place = context.AsSpan(field.HostOffset, field.HostSize);
            if (field.Kind == ContextFieldKind.FlatMemory && run > 1) Fill(place, run);
            if (field.Kind != ContextFieldKind.Scalar || place.Length > sizeof(ulong)) continue;
            // The engine keeps these in step with the data.
            if (HasData && field.Name is "res" or "len") Write(place, (ulong)data.Length);
            else if (run > 0) Write(place, Number(run));
        }
        return (context, data);
    }

    private int DataLength(int run) => run switch
    {
        0 => 0,
        1 => 64,
        _ when _random.Next(2) == 0 && Focus(run) is < LargestInput and var number => (int)number,
        _ => _random.Next(128),
    };

    // Each number has its turn, once for each width that it may have in memory.
    private ulong Focus(int run) => _numbers[run / 4 % _numbers.Length];

    private void Fill(Span<byte> bytes, int run)
    {
        for (var at = 0; at < bytes.Length;)
        {
            var size = Math.Min(1 << run % 4, bytes.Length - at);
            Write(bytes.Slice(at, size), Number(run));
            at += size;
        }
    }

    private ulong Number(int run) => _random.Next(4) switch
    {
        0 => 0,
        1 => _numbers[_random.Next(_numbers.Length)],
        _ => Focus(run),
    };

    private static void Write(Span<byte> place, ulong number)
    {
        for (var i = 0; i < place.Length; i++) place[i] = i < sizeof(ulong) ? (byte)(number >> (8 * i)) : (byte)0;
    }

    // Sets what is not needed to zero.
    private Witness Simplify(CheckedInterpreter interpreter, byte[] context, byte[] data, CheckedFault fault)
    {
        foreach (var bytes in (byte[][])[context, data])
        {
            for (var size = Math.Max(1, bytes.Length / 2); size > 0; size /= 2)
            {
                for (var at = 0; at + size <= bytes.Length && _instructionsLeft > 0; at += size)
                {
                    var place = bytes.AsSpan(at, size);
                    if (!place.ContainsAnyExcept((byte)0) || IsLength(bytes == context, at, size)) continue;
                    var before = place.ToArray();
                    place.Clear();
                    if (Faults(interpreter, context, data) is { } still) fault = still;
                    else before.CopyTo(place);
                }
            }
        }
        foreach (var field in _layout.Fields.Where(field => field.Kind is ContextFieldKind.BufferStart or ContextFieldKind.BufferEnd))
            context.AsSpan(field.HostOffset, field.HostSize).Clear();
        return new Witness(_layout, ImmutableCollectionsMarshal.AsImmutableArray(context), ImmutableCollectionsMarshal.AsImmutableArray(data), fault);
    }

    private bool IsLength(bool inContext, int at, int size) => inContext && HasData &&
        _layout.Fields.Any(field => field.Name is "res" or "len" && field.HostOffset < at + size && at < field.HostOffset + field.HostSize);

    // The fault the verifier spoke of, or null.
    private CheckedFault? Faults(CheckedInterpreter interpreter, byte[] context, byte[] data)
    {
        // The program may write to its input: the next run starts from what was chosen.
        var (contextCopy, dataCopy) = ((byte[])context.Clone(), (byte[])data.Clone());
        fixed (byte* start = dataCopy)
        {
            foreach (var field in _layout.Fields)
            {
                if (field.Kind == ContextFieldKind.BufferStart) Write(contextCopy.AsSpan(field.HostOffset, field.HostSize), (ulong)start);
                if (field.Kind == ContextFieldKind.BufferEnd) Write(contextCopy.AsSpan(field.HostOffset, field.HostSize), (ulong)(start + data.Length));
            }
            if (program.Type is { HasPacket: true } && !_layout.IsFlat)
            {
                // Packet contexts begin with the packet's bounds, visible to the program or not.
                Write(contextCopy.AsSpan(0, sizeof(ulong)), (ulong)start);
                Write(contextCopy.AsSpan(sizeof(ulong), sizeof(ulong)), (ulong)(start + data.Length));
            }
            var result = interpreter.Run(contextCopy);
            _instructionsLeft -= result.Instructions;
            return result.Fault is { } fault && fault.Instruction == rejection.Instruction && fault.Code != "UB4011" ? fault : null;
        }
    }

    private bool CallsBuiltInFunctionsOnly()
    {
        for (var slot = 0; slot < program.Instructions.Length; slot++)
        {
            var instruction = program.Instructions[slot];
            if (OpcodeTable.Find(instruction) is not { } row) continue;
            if (row.IsCall && program.Functions.Find(row, instruction) is { } function && FunctionRegistry.BuiltIn.Find(function) == null) return false;
            if (row.Slots == 2) slot++;
        }
        return true;
    }

    // What the program compares with or adds, how far it reaches, and the neighbours of all these.
    private static IEnumerable<ulong> Numbers(ProgramSpec program)
    {
        var found = new List<long> { 0x7F, 0xFF, 0x7FFF_FFFF, 0xFFFF_FFFF, -1 };
        foreach (var instruction in program.Instructions)
        {
            if (OpcodeTable.Find(instruction) is not { } row) continue;
            if ((row.IsConditionalJump || row.IsArithmetic) && row.Source == OperandSource.Immediate) found.Add(instruction.Immediate);
            if (row.IsMemory) found.Add(instruction.Offset + row.AccessBytes);
        }
        return found.AsEnumerable().Reverse().SelectMany(number => (ulong[])[(ulong)number, (ulong)(number - 1), (ulong)(number + 1)]).Distinct().Take(MaxNumbers);
    }

    private static FunctionImplementation Silence(FunctionPrototype prototype)
    {
        var function = FunctionRegistry.BuiltIn.Find(prototype)!;
        return prototype.Name switch
        {
            "bpf_trace_printk" => Method(nameof(TracePrint)),
            "bpf_trace_vprintk" => Method(nameof(TracePrintArray)),
            _ => function,
        };

        FunctionImplementation Method(string name) =>
            new(prototype, typeof(WitnessSearch).GetMethod(name, BindingFlags.Static | BindingFlags.NonPublic)!, function.Arity, function.TakesState);
    }

#pragma warning disable IDE0060 // The helpers' own parameters.
    private static ulong TracePrint(ulong format, ulong formatSize, ulong first, ulong second, ulong third, ExecutionState* state) => formatSize;

    private static ulong TracePrintArray(ulong format, ulong formatSize, ulong data, ulong dataBytes, ExecutionState* state) => formatSize;
#pragma warning restore IDE0060
}
