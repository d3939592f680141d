using System.Collections.Immutable;
using System.Globalization;
using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>One input of a run: bytes of the context or of the data.</summary>
/// <param name="Name">How it is shown: <c>ctx->res</c>, <c>ctx[8]</c>.</param>
/// <param name="Offset">Byte offset in the context as the program sees it.</param>
/// <param name="Size">Bytes: 1, 2, 4 or 8.</param>
/// <param name="Value">The number, in its low bytes.</param>
public sealed record WitnessInput(string Name, int Offset, int Size, ulong Value);

/// <summary>
/// A run that is proposed to go wrong as a rejection says. It is a proposal only: whoever shows it runs it on the checked
/// interpreter first. Maps start empty.
/// </summary>
/// <param name="Inputs">Context bytes that are not zero.</param>
/// <param name="DataLength">Bytes between data and data_end; null when the path does not look at them.</param>
public sealed record Witness(ImmutableArray<WitnessInput> Inputs, int? DataLength)
{
    /// <summary>The inputs as text: <c>ctx->res = 17, 0 bytes of data</c>.</summary>
    public string Describe()
    {
        var parts = Inputs.Select(input => $"{input.Name} = {(input.Size == 8 && (long)input.Value < 0 ? ((long)input.Value).ToString(CultureInfo.InvariantCulture) : input.Value.ToString(CultureInfo.InvariantCulture))}");
        var text = string.Join(", ", DataLength is { } length ? parts.Append($"{length} bytes of data") : parts);
        return text.Length > 0 ? text : "any run";
    }
}

/// <summary>Proposes runs that follow the path to a rejection, from what the path learnt of its inputs.</summary>
internal static class WitnessSearch
{
    private const int MostInputs = 16;

    /// <summary>Proposals, the likeliest first.</summary>
    public static ImmutableArray<Witness> Of(ProgramSpec spec, ProgramShape shape, TraceStep failing)
    {
        // What the path, read backwards, last knew of each input.
        var known = new Dictionary<int, Scalar>();
        var inputs = new List<(int Id, string Name, int Offset, int Size)>();
        Collect(failing.Before, known);
        var seesData = SeesData(failing, shape);
        var next = failing;
        for (var step = failing.Previous; step is not null; next = step, step = step.Previous)
        {
            var row = shape.Row(step.Slot);
            var instruction = spec.Instructions[step.Slot];
            if (row.IsConditionalJump) Learn(step, next, row, instruction, shape, known);
            if (row.Operation == Operation.Load && step.Before.Register(instruction.Source) is { Kind: ValueKind.Context } pointer
                && pointer.OffsetMin == pointer.OffsetMax && next.Before.Register(instruction.Destination) is { IsNumber: true, Id: not 0 } loaded && inputs.Count < MostInputs)
            {
                var offset = (int)pointer.OffsetMin + instruction.Offset;
                var field = spec.Type!.Context.Find(offset, row.AccessBytes);
                inputs.Add((loaded.Id, field is null or { Kind: ContextFieldKind.FlatMemory } ? $"ctx[{offset}]" : $"ctx->{field.Name}", offset, row.AccessBytes));
            }
            Collect(step.Before, known);
            seesData |= SeesData(step, shape);
        }
        inputs.Reverse();
        var result = ImmutableArray.CreateBuilder<Witness>();
        int?[] lengths = seesData ? Lengths(failing.Before) : [null];
        foreach (var choice in new Func<Scalar, ulong>[] { n => n.UMax, n => n.UMin, n => (ulong)n.SMin, n => (ulong)n.SMax, Middle })
        {
            var chosen = inputs.Select(input => new WitnessInput(input.Name, input.Offset, input.Size,
                Cut(choice(known.GetValueOrDefault(input.Id, Scalar.Unsigned(8 * input.Size))), input.Size))).Where(input => input.Value != 0).ToImmutableArray();
            foreach (var length in lengths) result.Add(new(chosen, length));
        }
        return [.. result.DistinctBy(witness => witness.Describe())];
    }

    private static bool SeesData(TraceStep step, ProgramShape shape)
    {
        if (shape.Row(step.Slot).Operation is Operation.LoadPacketAbsolute or Operation.LoadPacketIndirect) return true;
        for (var register = 0; register < Frame.Pointer; register++)
        {
            if (step.Before.Register(register) is { Kind: ValueKind.Buffer or ValueKind.BufferEnd }) return true;
        }
        return false;
    }

    // No data, just what the path showed to exist, and usual sizes.
    private static int?[] Lengths(MachineState state)
    {
        var shown = state.BufferRange;
        for (var register = 0; register < Frame.Pointer; register++)
        {
            if (state.Register(register) is { Kind: ValueKind.Buffer } pointer) shown = Math.Max(shown, pointer.Range);
        }
        return [0, (int)Math.Clamp(shown, 0, 1 << 20), 1, 2, 4, 8, 14, 16, 34, 64, 256, 4096];
    }

    private static ulong Middle(Scalar number) => number.Bits.NextMember(number.UMin + (number.UMax - number.UMin) / 2);

    private static ulong Cut(ulong value, int size) => size == 8 ? value : value & ((1UL << (8 * size)) - 1);

    // Latest knowledge first: what is there already came later on the path.
    private static void Collect(MachineState state, Dictionary<int, Scalar> known)
    {
        foreach (var (_, value) in Place.Numbers(state)) Note(known, value, value.Number);
    }

    private static void Note(Dictionary<int, Scalar> known, Value value, in Scalar number)
    {
        if (value.Kind != ValueKind.Number || value.Id == 0) return;
        var original = value.Offset == 0 ? number : Scalar.Binary(Operation.Subtract, 64, number, Scalar.Constant((ulong)value.Offset));
        if (!known.TryGetValue(value.Id, out var already)) known.Add(value.Id, original);
        else if (Scalar.Intersect(already, original) is { IsEmpty: false } both) known[value.Id] = both;
    }

    private static void Learn(TraceStep step, TraceStep next, OpcodeRow row, in Instruction instruction, ProgramShape shape, Dictionary<int, Scalar> known)
    {
        if (step.Before.Register(instruction.Destination) is not { IsNumber: true } dst) return;
        var src = row.Source == OperandSource.Register ? step.Before.Register(instruction.Source) : Value.Constant(instruction.Immediate);
        if (src is not { IsNumber: true }) return;
        Scalar a = dst.Number, b = src.Number;
        if (!Scalar.Refine(row.Operation, row.Width, next.Slot == shape.Target(step.Slot), ref a, ref b)) return;
        Note(known, dst, a);
        Note(known, src, b);
    }
}
