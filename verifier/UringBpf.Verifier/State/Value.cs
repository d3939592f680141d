using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>What a register or stack cell holds.</summary>
internal enum ValueKind : byte
{
    /// <summary>A number.</summary>
    Number,
    /// <summary>Pointer into the context.</summary>
    Context,
    /// <summary>Pointer into the stack of a frame.</summary>
    Stack,
    /// <summary>A map.</summary>
    Map,
    /// <summary>An inner map of a map of maps, or NULL.</summary>
    MapOrNull,
    /// <summary>Pointer into a value of a map.</summary>
    MapValue,
    /// <summary>Such a pointer, or NULL.</summary>
    MapValueOrNull,
    /// <summary>Pointer between (or beyond) data and data_end.</summary>
    Buffer,
    /// <summary>data_end.</summary>
    BufferEnd,
    /// <summary>Pointer into memory of a known size that a function returned.</summary>
    Memory,
    /// <summary>Such a pointer, or NULL.</summary>
    MemoryOrNull,
    /// <summary>A subprogram.</summary>
    Function,
    /// <summary>A started iterator: only in stack cells.</summary>
    Iterator,
}

/// <summary>
/// What is known of a register or stack cell. Immutable, shared between states. "Not initialised" is null.
/// </summary>
internal sealed record Value
{
    internal const long OffsetBound = 1L << 62;

    public static readonly Value Unknown = new() { Kind = ValueKind.Number, Number = Scalar.Unknown };
    public static readonly Value Zero = Of(Scalar.Constant(0));

    // Constants that programs are full of are made once.
    private const int SmallConstants = 1024;
    private static readonly Value?[] s_small = new Value?[2 * SmallConstants];

    // Apart, as there are as many values as anything.
    private readonly PointerPart _part = PointerPart.None;

    public required ValueKind Kind { get; init; }

    /// <summary>A number's members; of a pointer, the variable part of its offset.</summary>
    public Scalar Number { get; init; } = Scalar.Constant(0);

    /// <summary>Of a pointer, the fixed part of its offset; of a number with an <see cref="Id"/>, its distance from that unknown.</summary>
    public long Offset { get; init; }

    /// <summary>
    /// Numbers with one id and one <see cref="Scale"/> differ by their <see cref="Offset"/>s only. Pointers that may be NULL with one id are all NULL
    /// or all not. Buffer pointers with one id have the same variable part; id 0 has none. Other pointers: which object.
    /// </summary>
    public int Id { get; init; }

    /// <summary>The scale of the <see cref="Link"/>.</summary>
    public int Scale
    {
        get => _part.Scale;
        init
        {
            if (value != _part.Scale) _part = _part with { Scale = value };
        }
    }

    /// <summary>Of a pointer, the unknown that the variable part of its offset hangs on, or 0.</summary>
    public int LinkId
    {
        get => _part.LinkId;
        init
        {
            if (value != _part.LinkId) _part = _part with { LinkId = value };
        }
    }

    /// <summary>The offset of that link.</summary>
    public long LinkOffset
    {
        get => _part.LinkOffset;
        init
        {
            if (value != _part.LinkOffset) _part = _part with { LinkOffset = value };
        }
    }

    /// <summary>What <see cref="Number"/> hangs on.</summary>
    public Link Link => Kind is ValueKind.Number or ValueKind.Iterator ? new(Id, Scale, Offset) : new(LinkId, Scale, LinkOffset);

    /// <summary>What the whole offset of a pointer hangs on.</summary>
    public Link TotalLink => new(LinkId, Scale, LinkOffset + Offset);

    /// <summary>The reference that must be released, or 0.</summary>
    public int Reference
    {
        get => _part.Reference;
        init
        {
            if (value != _part.Reference) _part = _part with { Reference = value };
        }
    }

    public MapSpec? Map
    {
        get => _part.Map;
        init
        {
            if (!ReferenceEquals(value, _part.Map)) _part = _part with { Map = value };
        }
    }

    /// <summary>Memory: bytes. Stack: the frame. Function: its first slot.</summary>
    public int Detail
    {
        get => _part.Detail;
        init
        {
            if (value != _part.Detail) _part = _part with { Detail = value };
        }
    }

    /// <summary>Buffer pointers: bytes from base + variable part that are known to lie before data_end; -1 for none.</summary>
    public long Range
    {
        get => _part.Range;
        init
        {
            if (value != _part.Range) _part = _part with { Range = value };
        }
    }

    public bool IsReadOnly
    {
        get => _part.IsReadOnly;
        init
        {
            if (value != _part.IsReadOnly) _part = _part with { IsReadOnly = value };
        }
    }

    public bool IsNumber => Kind == ValueKind.Number;

    public bool IsPointer => Kind != ValueKind.Number;

    public bool IsMaybeNull => Kind is ValueKind.MapOrNull or ValueKind.MapValueOrNull or ValueKind.MemoryOrNull;

    public bool IsConstant(ulong value) => IsNumber && Number.IsConstant && Number.Value == value;

    /// <summary>Lowest offset of a pointer from its object's start. Far beyond any object it is no more exact, so that
    /// displacements and sizes can be added without going round.</summary>
    public long OffsetMin => Bounded(Offset, Number.SMin);

    /// <summary>Highest offset, see <see cref="OffsetMin"/>.</summary>
    public long OffsetMax => Bounded(Offset, Number.SMax);

    // 128-bit numbers would do, but code with them is not compiled ahead of time.
    internal static long Bounded(long offset, long more)
    {
        var sum = unchecked(offset + more);
        var overflows = ((offset ^ sum) & (more ^ sum)) < 0;
        return Math.Clamp(overflows ? offset < 0 ? long.MinValue : long.MaxValue : sum, -OffsetBound, OffsetBound);
    }

    /// <summary>All offsets a pointer may have from its object's start.</summary>
    public Scalar TotalOffset => Offset == 0 ? Number : Scalar.Binary(Operation.Add, 64, Number, Scalar.Constant((ulong)Offset));

    public static Value Of(in Scalar number) => number.IsUnknown ? Unknown : new() { Kind = ValueKind.Number, Number = number };

    /// <summary>Any zero-extended number of 8, 16, 32 or 64 bits.</summary>
    public static Value Unsigned(int bits) => bits switch { 8 => s_unknown8, 16 => s_unknown16, 32 => s_unknown32, _ => Unknown };

    private static readonly Value s_unknown8 = Of(Scalar.Unsigned(8)), s_unknown16 = Of(Scalar.Unsigned(16)), s_unknown32 = Of(Scalar.Unsigned(32));

    public static Value Constant(long value) =>
        value is < -SmallConstants or >= SmallConstants ? Of(Scalar.Constant((ulong)value)) : s_small[value + SmallConstants] ??= Of(Scalar.Constant((ulong)value));

    /// <summary>The pointer it is once a test against NULL has failed.</summary>
    public Value NotNull() => this with
    {
        Kind = Kind switch
        {
            ValueKind.MapOrNull => ValueKind.Map,
            ValueKind.MapValueOrNull => ValueKind.MapValue,
            ValueKind.MemoryOrNull => ValueKind.Memory,
            _ => Kind,
        },
    };

    /// <summary>The kind in words, for messages.</summary>
    public string Noun => Kind switch
    {
        ValueKind.Number => "a number",
        ValueKind.Context => "a context pointer",
        ValueKind.Stack => "a stack pointer",
        ValueKind.Map => "a map",
        ValueKind.MapOrNull => "an inner map or NULL",
        ValueKind.MapValue => $"a pointer into a value of map '{Map!.Name}'",
        ValueKind.MapValueOrNull => $"a pointer to a value of map '{Map!.Name}', or NULL",
        ValueKind.Buffer => "a data pointer",
        ValueKind.BufferEnd => "data_end",
        ValueKind.Memory => Reference != 0 ? "a ring-buffer record" : "a memory pointer",
        ValueKind.MemoryOrNull => Reference != 0 ? "a ring-buffer record or NULL" : "a memory pointer or NULL",
        ValueKind.Function => "a function",
        _ => "an iterator",
    };

    /// <summary>True when it is what becomes of this pointer, which has no name, at another offset.</summary>
    public bool Is(Value pointer, in Scalar number, long offset) =>
        Kind == pointer.Kind && Offset == offset && Id == 0 && ReferenceEquals(_part, pointer._part) && Number.Equals(number);

    /// <summary>True when it is what becomes of this value with another number.</summary>
    public bool Is(Value value, in Scalar number) =>
        Kind == value.Kind && Id == value.Id && Offset == value.Offset && ReferenceEquals(_part, value._part) && Number.Equals(number);

    public override string ToString()
    {
        if (IsNumber) return Number.ToString() + (Id != 0 ? $" {(Scale != 1 ? $"{Scale}*" : "")}#{Id}{Offset:+0;-0;+0}" : "");
        var name = Kind switch
        {
            ValueKind.Context => "ctx",
            ValueKind.Stack => $"fp[{Detail}]",
            ValueKind.Map => $"map '{Map!.Name}'",
            ValueKind.MapOrNull => "map?",
            ValueKind.MapValue => $"value '{Map!.Name}'",
            ValueKind.MapValueOrNull => $"value? '{Map!.Name}'",
            ValueKind.Buffer => Range >= 0 ? $"data({Range} known)" : "data",
            ValueKind.BufferEnd => "data_end",
            ValueKind.Memory => $"mem({Detail})",
            ValueKind.MemoryOrNull => $"mem?({Detail})",
            ValueKind.Function => $"fn@{Detail}",
            _ => "iterator",
        };
        if (Offset != 0) name += Offset.ToString("+0;-0");
        if (!Number.IsConstant || Number.Value != 0) name += $"+({Number}{(LinkId != 0 ? $" {(Scale != 1 ? $"{Scale}*" : "")}#{LinkId}{LinkOffset:+0;-0;+0}" : "")})";
        return Id != 0 ? $"{name} #{Id}" : name;
    }
}
