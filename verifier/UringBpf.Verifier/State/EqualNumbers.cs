namespace UringBpf.Verifier;

/// <summary>
/// Numbers without a name that were made lately: equal ones become one object, so that there is less to collect. Programs
/// make the same few over and over. Only for numbers made outside loops: of the values a loop meets, one that is the same
/// object in two rounds counts as unchanged, and equal is less than that.
/// </summary>
internal sealed class EqualNumbers
{
    // A power of two. Two numbers with one place drive each other out, which costs an object.
    private const int Places = 256;

    // Short walks make too few to be worth a table.
    private const int NumbersBefore = 64;

    private Value?[]? _made;
    private int _count;

    /// <summary>As <see cref="Value.Of"/>.</summary>
    public Value Of(in Scalar number)
    {
        if (_made is null)
        {
            if (++_count < NumbersBefore) return Value.Of(number);
            _made = new Value?[Places];
        }
        ref var place = ref _made[Hash(number) & (Places - 1)];
        return place is { } known && known.Number.Equals(number) ? known : place = Value.Of(number);
    }

    private static int Hash(in Scalar number)
    {
        var mixed = (number.Wide.First * 0x9E37_79B9_7F4A_7C15) ^ (number.Wide.Span * 0xC2B2_AE3D_27D4_EB4F) ^ (number.Bits.Mask * 0x1656_67B1_9E37_79F9);
        return (int)(mixed >> 40);
    }
}
