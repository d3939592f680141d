using System.Globalization;
using System.Text.RegularExpressions;
using UringBpf.Bytecode;
using UringBpf.Verifier;
using Scalar = UringBpf.Verifier.ScalarOf<UringBpf.Verifier.Bits64, UringBpf.Verifier.Bits32>;

namespace UringBpf.Fuzz;

/// <summary>
/// What the kernel's verifier knows of a register, read from how it prints it (kernel/bpf/log.c, print_reg_state): the members
/// of a number, or the offsets of a pointer from its object's start.
/// </summary>
/// <param name="Pointer">What it points to: <c>fp</c>, <c>ctx</c>, <c>map_value</c>, …; null for a number.</param>
/// <param name="Frame">Of a stack pointer, its frame; null for the frame at hand.</param>
/// <param name="Number">Members.</param>
/// <param name="Variable">Of a pointer, the variable part of its offset.</param>
/// <param name="Least">The least member as a signed number, as the kernel takes it: its bounds may know less than its bits.</param>
/// <param name="Most">The greatest one.</param>
/// <param name="Range">Of a data pointer, the bytes from its variable part on that are known to lie before data_end.</param>
internal sealed partial record KernelValue(string? Pointer, int? Frame, Scalar Number, Scalar Variable, Int128 Least, Int128 Most, ulong Range)
{
    /// <summary>Reads one; null where the text tells no number.</summary>
    public static KernelValue? Parse(string text)
    {
        if (text.StartsWith('P')) text = text[1..];
        if (Integer(text) is { } constant) return new(null, null, Scalar.Constant(constant), default, (long)constant, (long)constant, 0);
        if (Shape().Match(text) is not { Success: true } shape) return null;
        var name = shape.Groups["name"].Value;
        int? frame = shape.Groups["frame"].Value is { Length: > 0 } digits ? int.Parse(digits, CultureInfo.InvariantCulture) : null;
        ulong range = 0, offset = shape.Groups["offset"].Value is { Length: > 0 } fixedOffset && Integer(fixedOffset) is { } known ? known : 0;
        // Of a pointer, what is not printed is 0; of a number, it is any.
        var number = name == "scalar" ? Scalar.Unknown : Scalar.Constant(0);
        Int128 least = number.SMin, most = number.SMax;
        if (shape.Groups["fields"].Value is { Length: > 0 } fields)
        {
            if (Field(fields, "off") is { } more) offset += more;
            range = Field(fields, "r") ?? 0;
            var members = Members(fields);
            if (name == "scalar" || !members.IsUnknown)
            {
                number = members;
                (least, most) = ((long)(Field(fields, "smin") ?? 1UL << 63), (long)(Field(fields, "smax") ?? long.MaxValue));
            }
        }
        if (name == "scalar") return new(null, null, number, default, least, most, 0);
        return new(name, frame, Scalar.Binary(Operation.Add, 64, number, Scalar.Constant(offset)), number, least + (long)offset, most + (long)offset, range);
    }

    /// <summary>False when no register can hold a value of both.</summary>
    /// <param name="ours">What is claimed here.</param>
    /// <param name="frame">The frame at hand.</param>
    public bool Meets(Value ours, int frame) => Comparable(ours, frame) is not { } numbers || !Scalar.Intersect(numbers, Number).IsEmpty;

    /// <summary>True when the kernel takes more for possible than what is claimed here, or knows less of a data pointer's room.</summary>
    public bool IsWiderThan(Value ours, int frame) =>
        Comparable(ours, frame) is { } numbers && (numbers.SMin > Least || numbers.SMax < Most || !numbers.Includes(Number)) || Pointer == "pkt" && ours.Kind == ValueKind.Buffer && ours.Range > (long)Range;

    // Our members, where both are numbers or both point into the same object.
    private Scalar? Comparable(Value ours, int frame) => (Pointer, ours.Kind) switch
    {
        (null, ValueKind.Number) => ours.Number,
        ("fp", ValueKind.Stack) when (Frame ?? frame) == ours.Detail => ours.TotalOffset,
        ("ctx", ValueKind.Context) or ("map_value", ValueKind.MapValue) or ("pkt", ValueKind.Buffer) => ours.TotalOffset,
        _ => null,
    };

    private static Scalar Members(string fields)
    {
        var wide = Scalar.Intersect(Scalar.FromRange(Field(fields, "umin") ?? 0, Field(fields, "umax") ?? ulong.MaxValue),
            Scalar.FromSigned((long)(Field(fields, "smin") ?? 1UL << 63), (long)(Field(fields, "smax") ?? long.MaxValue)));
        if (Bits().Match(fields) is { Success: true } bits) wide = Scalar.Intersect(wide, Scalar.FromBits(new Tnum(Integer(bits.Groups["value"].Value)!.Value, Integer(bits.Groups["mask"].Value)!.Value)));
        return wide;
    }

    // "smin=umin=smin32=4": each of several names.
    private static ulong? Field(string fields, string name)
    {
        foreach (var part in fields.Split(','))
        {
            var names = part.Split('=');
            if (names[..^1].Contains(name)) return Integer(names[^1]);
        }
        return null;
    }

    private static ulong? Integer(string text)
    {
        var negative = text.StartsWith('-');
        var digits = negative ? text[1..] : text;
        var hexadecimal = digits.StartsWith("0x", StringComparison.Ordinal);
        if (!ulong.TryParse(hexadecimal ? digits[2..] : digits, hexadecimal ? NumberStyles.HexNumber : NumberStyles.None, CultureInfo.InvariantCulture, out var value)) return null;
        return negative ? 0 - value : value;
    }

    [GeneratedRegex(@"^(?<name>[a-z_]+)(\[(?<frame>\d+)\])?(?<offset>[-+]?\d+)?(\((?<fields>.*)\))?$")]
    private static partial Regex Shape();

    [GeneratedRegex(@"var_off=\((?<value>0x[0-9a-f]+|0); (?<mask>0x[0-9a-f]+|0)\)")]
    private static partial Regex Bits();
}
