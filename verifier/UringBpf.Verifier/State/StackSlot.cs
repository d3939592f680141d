using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>
/// Eight bytes of stack: which are initialised, and the values stored at byte 0 (of 1 to 8 bytes) and at byte 4 (of 1 to
/// 4 bytes) where they are still known. Immutable. A slot with nothing initialised is null.
/// </summary>
internal sealed class StackSlot
{
    public static readonly StackSlot Data = new(0xFF, null, 0, null, 0);

    private StackSlot(int initialized, Value? low, int lowSize, Value? high, int highSize)
    {
        Initialized = (byte)initialized;
        Low = low;
        LowSize = (byte)lowSize;
        High = high;
        HighSize = (byte)highSize;
    }

    /// <summary>One bit per byte.</summary>
    public byte Initialized { get; }
    public Value? Low { get; }
    public byte LowSize { get; }
    public Value? High { get; }
    public byte HighSize { get; }

    /// <summary>True when the slot holds a pointer (or iterator), whole.</summary>
    public bool HoldsPointer => Low is { IsPointer: true };

    public static StackSlot Whole(Value value) => new(0xFF, value, 8, null, 0);

    public static int Mask(int start, int size) => ((1 << size) - 1) << start;

    public bool IsInitialized(int start, int size) => (Mask(start, size) & ~Initialized) == 0;

    /// <summary>The slot after a number of <paramref name="size"/> bytes was stored at byte <paramref name="start"/>.</summary>
    /// <param name="slot">The slot before; null when nothing is initialised.</param>
    /// <param name="start">First byte.</param>
    /// <param name="size">Bytes, within the slot.</param>
    /// <param name="value">What was stored, zero-extended from its size; null for unknown bytes.</param>
    public static StackSlot Store(StackSlot? slot, int start, int size, Value? value)
    {
        if (size == 8) return value is null ? Data : Whole(value);
        // What is left of a pointer is not readable as bytes.
        if (slot is { HoldsPointer: true }) slot = null;
        var initialized = (slot?.Initialized ?? 0) | Mask(start, size);
        var end = start + size;
        Value? low = null, high = null;
        int lowSize = 0, highSize = 0;
        if (slot?.Low is not null)
        {
            if (start >= slot.LowSize) (low, lowSize) = (slot.Low, slot.LowSize);
            else if (slot.LowSize == 8 && start >= 4) (low, lowSize) = (slot.Extract(0, 4), 4);
            else if (slot.LowSize == 8 && end <= 4) (high, highSize) = (slot.Extract(4, 4), 4);
        }
        if (slot?.High is not null && (end <= 4 || start >= 4 + slot.HighSize)) (high, highSize) = (slot.High, slot.HighSize);
        if (start == 0) (low, lowSize) = (value, value is null ? 0 : size);
        if (start == 4) (high, highSize) = (value, value is null ? 0 : size);
        if (lowSize > 4) (high, highSize) = (null, 0);
        return new(initialized, low, lowSize, high, highSize);
    }

    /// <summary>The slot after bytes may or may not have been overwritten with unknown numbers.</summary>
    public static StackSlot? MayStore(StackSlot? slot, int start, int size)
    {
        if (slot is null || slot.HoldsPointer) return null;
        var stored = Store(slot, start, size, null);
        return new(slot.Initialized, stored.Low, stored.LowSize, stored.High, stored.HighSize);
    }

    /// <summary>What <paramref name="size"/> initialised bytes hold, zero-extended; null when nothing is known of them.</summary>
    public Value? Load(int start, int size)
    {
        if (start == 0 && size == LowSize) return Low;
        if (start == 4 && size == HighSize) return High;
        // A number that fits is the same one, and what it hangs on too.
        if (start == 0 && size < LowSize && Low is { IsNumber: true } && Low.Number.UMax >> (8 * size) == 0) return Low;
        if (Low is { IsNumber: true } && start + size <= LowSize) return Extract(start, size);
        if (High is { IsNumber: true } && start >= 4 && start + size <= 4 + HighSize)
            return Cut(High.Number, start - 4, size);
        if (start == 0 && size == 8 && LowSize == 4 && HighSize == 4)
        {
            var upper = Scalar.Binary(Operation.ShiftLeft, 64, High!.Number, Scalar.Constant(32));
            return Value.Of(Scalar.Binary(Operation.Or, 64, Low!.Number, upper));
        }
        return null;
    }

    private Value Extract(int start, int size) => Cut(Low!.Number, start, size);

    private static Value Cut(in Scalar number, int start, int size) =>
        Value.Of(Scalar.Binary(Operation.ShiftRight, 64, number, Scalar.Constant((ulong)(8 * start))).Truncate(8 * size));

    /// <summary>The same slot with other values in its cells; sizes and initialised bytes stay.</summary>
    public StackSlot With(Value? low, Value? high) =>
        ReferenceEquals(low, Low) && ReferenceEquals(high, High) ? this
            : new(Initialized, low, low is null ? 0 : LowSize, high, high is null ? 0 : HighSize);

    /// <summary>A slot that includes both: the bytes both have, the cells both know.</summary>
    public static StackSlot? Join(StackSlot a, StackSlot b, Func<Value, Value, Value?> join)
    {
        if (ReferenceEquals(a, b)) return a;
        if (a.HoldsPointer || b.HoldsPointer)
            return a.HoldsPointer && b.HoldsPointer && join(a.Low!, b.Low!) is { } both ? Whole(both) : null;
        var initialized = a.Initialized & b.Initialized;
        if (initialized == 0) return null;
        Value? low = null, high = null;
        int lowSize = 0, highSize = 0;
        if (a.Low is not null && b.Low is not null)
        {
            lowSize = Math.Min(a.LowSize, b.LowSize);
            low = join(a.Load(0, lowSize)!, b.Load(0, lowSize)!);
        }
        if (lowSize <= 4 && (a.High is not null || a.LowSize == 8) && (b.High is not null || b.LowSize == 8))
        {
            highSize = Math.Min(a.LowSize == 8 ? 4 : a.HighSize, b.LowSize == 8 ? 4 : b.HighSize);
            high = join(a.Load(4, highSize)!, b.Load(4, highSize)!);
        }
        return new(initialized, low, low is null ? 0 : lowSize, high, high is null ? 0 : highSize);
    }

    public override string ToString()
    {
        var bytes = new string([.. Enumerable.Range(0, 8).Select(i => (Initialized >> i & 1) != 0 ? 'd' : '-')]);
        if (Low is not null) bytes = $"{Low}" + (LowSize < 8 ? $":{LowSize}" : "");
        return High is null ? bytes : $"{bytes}|{High}:{HighSize}";
    }
}
