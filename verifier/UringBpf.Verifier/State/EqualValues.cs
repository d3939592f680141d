namespace UringBpf.Verifier;

/// <summary>
/// Values without a name that were made lately: equal ones become one object, so that there is less to collect. Programs
/// make the same few over and over. Only for values made outside loops: of the values a loop meets, one that is the same
/// object in two rounds counts as unchanged, and equal is less than that.
/// </summary>
internal sealed class EqualValues
{
    // A power of two. Two values with one place drive each other out, which costs an object.
    private const int Places = 256;

    // Short walks make too few to be worth a table.
    private const int ValuesBefore = 64;

    private Value?[]? _made;
    private int _count;

    /// <summary>As <see cref="Value.Of"/>.</summary>
    public Value Of(in Scalar number)
    {
        if (!IsWorthATable()) return Value.Of(number);
        ref var place = ref _made[Place(number, 0)];
        return place is { IsNumber: true } known && known.Number.Equals(number) ? known : place = Value.Of(number);
    }

    /// <summary>A pointer, at another offset.</summary>
    public Value Moved(Value pointer, in Scalar number, long offset)
    {
        if (pointer.Id != 0 || pointer.LinkId != 0 || !IsWorthATable()) return pointer with { Number = number, Offset = offset };
        ref var place = ref _made[Place(number, offset)];
        return place is { } known && known.Is(pointer, number, offset) ? known : place = pointer with { Number = number, Offset = offset };
    }

    [System.Diagnostics.CodeAnalysis.MemberNotNullWhen(true, nameof(_made))]
    private bool IsWorthATable()
    {
        if (_made is not null) return true;
        if (++_count < ValuesBefore) return false;
        _made = new Value?[Places];
        return true;
    }

    private static int Place(in Scalar number, long offset)
    {
        var mixed = (number.Wide.First * 0x9E37_79B9_7F4A_7C15) ^ (number.Wide.Span * 0xC2B2_AE3D_27D4_EB4F) ^ (number.Bits.Mask * 0x1656_67B1_9E37_79F9)
            ^ ((ulong)offset * 0x8EBC_6AF0_9C88_C6E3);
        return (int)(mixed >> 40) & (Places - 1);
    }
}
